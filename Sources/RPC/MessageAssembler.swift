// The one message of a unary call, put together from however its bytes arrive.
//
//   [compressed: 1][length: 4, big endian][message: length]      (gRPC over HTTP/2, "Length-Prefixed-Message")
//
// A value: bytes go in, a failure or nothing comes out. Memory grows with what has arrived, not with what was announced.
public import HTTP

public struct MessageAssembler: ~Copyable {
  public enum Failure: Hashable, Sendable {
    /// The announced length is over the limit.
    case tooLarge(length: Int, limit: Int)
    /// The compressed flag is set (1), or is no flag at all.
    case compressed(flag: UInt8)
    /// A second message began.
    case secondMessage
    /// The stream ended before the message did.
    case truncated(received: Int, expected: Int)
    /// The stream ended without a message.
    case missing
    case outOfMemory(length: Int)
  }

  static let prefixCount = 5
  /// Announced lengths up to this are believed at once: memory that is not written to costs nothing.
  static let trustedLength = 1 << 20
  /// Buffers up to this size are not worth a pool.
  static let smallLength = 16 << 10

  private let limit: Int
  private var prefix: UInt64 = 0
  private var prefixReceived = 0
  private var length = 0
  private var buffer = ByteBuffer()

  public init(limit: Int) { self.limit = limit }

  /// The message; whole once `ended` has returned nil.
  public var message: RawSpan {
    @_lifetime(borrow self)
    get { buffer.bytes }
  }

  public var isComplete: Bool { prefixReceived == MessageAssembler.prefixCount && buffer.count == length }

  /// What is known to be still to come of the message that has begun.
  public var missingBytes: Int { length - buffer.count }

  /// Memory held, in bytes.
  var reservedBytes: Int { buffer.capacity }

  /// Takes bytes as they come; memory for a large message comes from `pool`.
  public mutating func received(_ bytes: RawSpan, from pool: inout BufferPool) -> Failure? {
    var at = 0
    while prefixReceived < MessageAssembler.prefixCount, at < bytes.byteCount {
      prefix = prefix << 8 | UInt64(bytes[at])
      prefixReceived += 1
      at += 1
      if prefixReceived == MessageAssembler.prefixCount, let failure = announced(&pool) { return failure }
    }
    let rest = bytes.byteCount - at
    if rest == 0 { return nil }
    let wanted = length - buffer.count
    if rest > wanted { return .secondMessage }
    if buffer.capacity < buffer.count + rest, !grow(to: capacity(for: buffer.count + rest), &pool) {
      return .outOfMemory(length: length)
    }
    return buffer.append(bytes.extracting(at..<bytes.byteCount)) ? nil : .outOfMemory(length: length)
  }

  public func ended() -> Failure? {
    if prefixReceived == 0 { return .missing }
    if !isComplete {
      return .truncated(
        received: prefixReceived + buffer.count,
        expected: MessageAssembler.prefixCount + (prefixReceived == MessageAssembler.prefixCount ? length : 0))
    }
    return nil
  }

  private mutating func announced(_ pool: inout BufferPool) -> Failure? {
    let flag = UInt8(truncatingIfNeeded: prefix >> 32)
    length = Int(prefix & 0xffff_ffff)
    if flag != 0 { return .compressed(flag: flag) }
    if length > limit { return .tooLarge(length: length, limit: limit) }
    if !grow(to: min(length, MessageAssembler.trustedLength), &pool) { return .outOfMemory(length: length) }
    return nil
  }

  private mutating func grow(to capacity: Int, _ pool: inout BufferPool) -> Bool {
    if capacity <= buffer.capacity { return true }
    if capacity <= MessageAssembler.smallLength { return buffer.reserve(capacity) }
    guard var larger = pool.take(capacity: capacity), larger.append(buffer.bytes) else { return false }
    swap(&larger, &buffer)
    pool.give(larger)
    return true
  }

  /// Doubling, but never beyond the announced length.
  private func capacity(for needed: Int) -> Int { min(length, max(needed, buffer.capacity * 2)) }

  /// Ready for the next call; keeps memory up to `capacityMax`, more goes to `pool`.
  public mutating func reset(keeping capacityMax: Int, into pool: inout BufferPool) {
    if buffer.capacity > capacityMax {
      var large = ByteBuffer()
      swap(&large, &buffer)
      pool.give(large)
    }
    prefix = 0
    prefixReceived = 0
    length = 0
    buffer.clear()
  }
}

extension OutputRawSpan {
  /// The five bytes before an uncompressed message.
  @_lifetime(self: copy self)
  mutating func appendPrefix(messageLength: Int) {
    append(0 as UInt8)
    // A fixed-width integer has no padding.
    unsafe append(UInt32(truncatingIfNeeded: messageLength).bigEndian, as: UInt32.self)
  }
}
