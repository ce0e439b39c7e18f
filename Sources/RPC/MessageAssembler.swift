// Messages put together from however their bytes arrive.
//
//   [compressed: 1][length: 4, big endian][message: length]      (gRPC over HTTP/2, "Length-Prefixed-Message")
//
// A value: bytes go in, a failure or nothing comes out. Memory grows with what has arrived, not with what was announced.
// A unary call has one message and uses `received` and `ended`; a streaming call goes from message to message:
//
//   take ─► isComplete? ─► (decompress) ─► takeMessage ─► take …
public import HTTP

public struct MessageAssembler: ~Copyable {
  public enum Failure: Hashable, Sendable {
    /// The announced length is over the limit, or what it decompresses to (then `length` is only the least it can be).
    case tooLarge(length: Int, limit: Int)
    /// The compressed flag is set (1) without a coding that we know, or is no flag at all.
    case compressed(flag: UInt8)
    /// A compressed message is damaged.
    case corrupt(ContentCoding, Decompressor.Failure)
    /// A second message began.
    case secondMessage
    /// The stream ended before the message did.
    case truncated(received: Int, expected: Int)
    /// The stream ended without a message.
    case missing
    case outOfMemory(length: Int)
  }

  static let prefixCount = 5
  /// Announced lengths up to this are believed, as far as bytes back them: memory that is not written to costs nothing, but
  /// mappings are not endless. The first 16 KB frame of a message makes room for a megabyte.
  static let trustedLength = 1 << 20
  static let trustPerByte = 64
  /// Buffers up to this size are not worth a pool.
  static let smallLength = 16 << 10

  private let limit: Int
  let plainLimit: Int
  /// How messages with the compressed flag are compressed (`grpc-encoding`); nil: they may not be.
  public var coding: ContentCoding?
  private var prefix: UInt64 = 0
  private var prefixReceived = 0
  var length = 0
  var buffer = ByteBuffer()
  /// A message that is being made plain (`MessageAssembler+Unpacking.swift`).
  var unpacking: Unpacking?

  /// - Parameters:
  ///   - limit: bytes of a message, as it is sent and as it is after decompression.
  ///   - plainLimit: a lower limit for what comes out of decompression, where a little can become very much; nil: the same.
  public init(limit: Int, plainLimit: Int? = nil, coding: ContentCoding? = nil) {
    self.limit = limit
    self.plainLimit = min(limit, plainLimit ?? limit)
    self.coding = coding
  }

  /// The message; whole once `isComplete`, and plain once `decompress` has been called for a compressed one.
  public var message: RawSpan {
    @_lifetime(borrow self)
    get { buffer.bytes }
  }

  public var isComplete: Bool { prefixReceived == MessageAssembler.prefixCount && buffer.count == length }

  /// The message at hand came with the compressed flag and has not been decompressed yet.
  public var isCompressed: Bool { prefix >> 32 & 0xff == 1 && prefixReceived == MessageAssembler.prefixCount }

  /// Nothing of a message has come yet.
  public var isEmpty: Bool { prefixReceived == 0 }

  /// Bytes of the message at hand that have come, prefix included.
  public var receivedBytes: Int { prefixReceived + buffer.count }

  /// What is known to be still to come of the message that has begun.
  public var missingBytes: Int { length - buffer.count }

  /// Memory held, in bytes.
  var reservedBytes: Int { buffer.capacity }

  /// Takes bytes as they come, of one message and no more; memory for a large message comes from `pool`.
  public mutating func received(_ bytes: RawSpan, from pool: inout BufferPool) -> Failure? {
    var at = 0
    if let failure = take(bytes, &at, from: &pool) { return failure }
    return at < bytes.byteCount ? .secondMessage : nil
  }

  /// Takes bytes from `at` on, up to the end of the message at most, and moves `at` behind them.
  /// - Precondition: the message is not complete, or `takeMessage` has taken it.
  public mutating func take(_ bytes: RawSpan, _ at: inout Int, from pool: inout BufferPool) -> Failure? {
    while prefixReceived < MessageAssembler.prefixCount, at < bytes.byteCount {
      prefix = prefix << 8 | UInt64(bytes[at])
      prefixReceived += 1
      at += 1
      if prefixReceived == MessageAssembler.prefixCount, let failure = announced() { return failure }
    }
    let more = min(bytes.byteCount - at, length - buffer.count)
    if more == 0 { return nil }
    if buffer.capacity < buffer.count + more, !grow(to: capacity(for: buffer.count + more), &pool) {
      return .outOfMemory(length: length)
    }
    guard buffer.append(bytes.extracting(at..<at + more)) else { return .outOfMemory(length: length) }
    at += more
    return nil
  }

  /// The room behind what has come and `lent` bytes more, for bytes of the message at hand: what there is, and nothing before
  /// the message's length is known.
  @unsafe func landing(behind lent: Int) -> UnsafeMutableRawBufferPointer {
    let start = buffer.count + lent
    guard prefixReceived == MessageAssembler.prefixCount, start < min(length, buffer.capacity) else {
      return unsafe UnsafeMutableRawBufferPointer(start: nil, count: 0)
    }
    return unsafe buffer.room(from: start, to: min(length, buffer.capacity))
  }

  /// `count` bytes have been written where `landing` said.
  public mutating func landed(_ count: Int) { buffer.grew(by: count) }

  /// Why the bytes of a unary call may not end here; nil when they are one message.
  public func ended() -> Failure? { prefixReceived == 0 ? .missing : endedBetweenMessages() }

  /// Why the bytes of a stream may not end here.
  public func endedBetweenMessages() -> Failure? {
    if prefixReceived == 0 || isComplete { return nil }
    return .truncated(
      received: prefixReceived + buffer.count,
      expected: MessageAssembler.prefixCount + (prefixReceived == MessageAssembler.prefixCount ? length : 0))
  }

  /// The message at hand is plain from now on: the bytes of `plain`. Gives back what it was made of.
  mutating func become(_ plain: consuming ByteBuffer) -> ByteBuffer {
    var plain = plain
    length = plain.count
    prefix = UInt64(UInt32(truncatingIfNeeded: length))
    swap(&plain, &buffer)
    return plain
  }

  /// Gives the complete message away and is ready for the next.
  public mutating func takeMessage() -> ByteBuffer {
    var taken = ByteBuffer()
    swap(&taken, &buffer)
    prefix = 0
    prefixReceived = 0
    length = 0
    return taken
  }

  private mutating func announced() -> Failure? {
    let flag = UInt8(truncatingIfNeeded: prefix >> 32)
    length = Int(prefix & 0xffff_ffff)
    if flag != 0, flag != 1 || coding == nil { return .compressed(flag: flag) }
    return length > limit ? .tooLarge(length: length, limit: limit) : nil
  }

  private mutating func grow(to capacity: Int, _ pool: inout BufferPool) -> Bool {
    if capacity <= buffer.capacity { return true }
    if capacity <= MessageAssembler.smallLength { return buffer.reserve(capacity) }
    guard var larger = pool.take(capacity: capacity), larger.append(buffer.bytes) else { return false }
    swap(&larger, &buffer)
    pool.give(larger)
    return true
  }

  /// What the bytes so far are trusted for, then doubling, but never beyond the announced length.
  private func capacity(for needed: Int) -> Int {
    let trusted = min(MessageAssembler.trustedLength, needed * MessageAssembler.trustPerByte)
    return min(length, max(needed, buffer.capacity * 2, trusted))
  }

  /// Ready for the next call; keeps memory up to `capacityMax`, more goes to `pool`.
  public mutating func reset(keeping capacityMax: Int, into pool: inout BufferPool) {
    if buffer.capacity > capacityMax {
      var large = ByteBuffer()
      swap(&large, &buffer)
      pool.give(large)
    }
    coding = nil
    prefix = 0
    prefixReceived = 0
    length = 0
    unpacking = nil
    buffer.clear()
  }
}
