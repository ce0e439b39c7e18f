internal import Glibc

/// Bytes owned by one: a message being assembled, a body being sent. Starts on a cache line, so that a tensor at offset 0
/// is aligned for vector loads. Grows by doubling; memory that was asked for but never written costs no resident page.
@safe public struct ByteBuffer: ~Copyable, @unchecked Sendable {
  public static let alignment = 64
  /// Capacities are no smaller than this.
  static let capacityMin = 512

  private var base: UnsafeMutableRawPointer?
  public private(set) var capacity = 0
  public private(set) var count = 0

  public init() { unsafe base = nil }

  public init(capacity: Int) {
    unsafe base = nil
    if !reserve(capacity) { fatalError("out of memory for \(capacity) bytes") }
  }

  /// - Precondition: `base` came from `release` of a buffer of this capacity.
  init(adopting base: UnsafeMutableRawPointer, capacity: Int) {
    unsafe self.base = unsafe base
    self.capacity = capacity
  }

  deinit { unsafe free(base) }

  /// Gives the memory away, and the duty to free it.
  mutating func release() -> UnsafeMutableRawPointer? {
    defer {
      unsafe base = nil
      capacity = 0
      count = 0
    }
    return unsafe base
  }

  public var bytes: RawSpan {
    @_lifetime(borrow self)
    get {
      // [base, base + count) is allocated and initialised, and ours while `self` is borrowed.
      unsafe _overrideLifetime(
        RawSpan(_unsafeBytes: UnsafeRawBufferPointer(start: base, count: count)), borrowing: self)
    }
  }

  /// Room for `capacity` bytes in all. False when the system has no memory: the buffer is as it was.
  public mutating func reserve(_ wanted: Int) -> Bool {
    wanted <= capacity || reserve(exactly: max(wanted, capacity &* 2, ByteBuffer.capacityMin))
  }

  /// The same for a caller with a better idea of the end than doubling.
  public mutating func reserve(exactly size: Int) -> Bool {
    if size <= capacity { return true }
    var fresh: UnsafeMutableRawPointer?
    guard unsafe posix_memalign(&fresh, ByteBuffer.alignment, size) == 0, let memory = unsafe fresh else { return false }
    // Both regions hold at least `count` bytes and are distinct allocations.
    if let old = unsafe base, count > 0 { unsafe memcpy(memory, old, count) }
    unsafe free(base)
    unsafe base = memory
    capacity = size
    return true
  }

  /// Appends as much as fits the memory of the machine. False: nothing was appended.
  public mutating func append(_ span: RawSpan) -> Bool {
    unsafe span.withUnsafeBytes { unsafe append($0.baseAddress, $0.count) }
  }

  /// - Precondition: `source` has `length` readable bytes outside this buffer.
  mutating func append(_ source: UnsafeRawPointer?, _ length: Int) -> Bool {
    if length == 0 { return true }
    guard reserve(count + length), let base = unsafe base, let source = unsafe source else { return false }
    // reserve() made room behind `count`.
    unsafe memcpy(base + count, source, length)
    count += length
    return true
  }

  /// Makes `n` bytes part of the buffer and says where they start; the caller writes all of them at once.
  mutating func grow(by n: Int) -> UnsafeMutableRawPointer? {
    guard reserve(count + n), let base = unsafe base else { return nil }
    defer { count += n }
    return unsafe base + count
  }

  /// The memory between two offsets, for whoever fills it and then says so by `grew`. Valid until the next mutation.
  /// - Precondition: `count <= from <= to <= capacity`, and the buffer has memory.
  @unsafe package func room(from: Int, to: Int) -> UnsafeMutableRawBufferPointer {
    precondition(count <= from && from <= to && to <= capacity)
    return unsafe UnsafeMutableRawBufferPointer(start: base! + from, count: to - from)
  }

  /// `n` bytes behind `count` have been written in place, into room that `reserve` made.
  package mutating func grew(by n: Int) {
    precondition(n <= capacity - count)
    count += n
  }

  /// Appends `byteCount` bytes written by `fill`; bytes that it leaves out are zero, so that no old memory leaves the process.
  public mutating func append(byteCount: Int, _ fill: (inout OutputRawSpan) -> Void) -> Bool {
    if byteCount == 0 { return true }
    guard reserve(count + byteCount), let base = unsafe base else { return false }
    // reserve() made room; the span covers exactly the fresh region and ends its life before we look at it.
    let region = unsafe UnsafeMutableRawBufferPointer(start: base + count, count: byteCount)
    var output = unsafe OutputRawSpan(buffer: region, initializedCount: 0)
    fill(&output)
    let written = unsafe output.finalize(for: region)
    if written < byteCount { unsafe memset(base + count + written, 0, byteCount - written) }
    count += byteCount
    return true
  }

  /// Writes the first `n` bytes anew; what `fill` leaves out stays.
  public mutating func replaceFirst(_ n: Int, _ fill: (inout OutputRawSpan) -> Void) {
    precondition(n <= count)
    guard n > 0, let base = unsafe base else { return }
    // The first `n` bytes are there; the span covers exactly them and ends its life before we look at them.
    let region = unsafe UnsafeMutableRawBufferPointer(start: base, count: n)
    var output = unsafe OutputRawSpan(buffer: region, initializedCount: 0)
    fill(&output)
    _ = unsafe output.finalize(for: region)
  }

  /// Offers `most` bytes of fresh memory to `fill`, which writes from their start and says how many it wrote.
  mutating func append(atMost most: Int, _ fill: (UnsafeMutableRawBufferPointer) -> Int) -> Bool {
    guard reserve(exactly: count + most), let base = unsafe base else { return false }
    // reserve() made room for `most` bytes behind `count`.
    let written = unsafe fill(UnsafeMutableRawBufferPointer(start: base + count, count: most))
    precondition(written >= 0 && written <= most)
    count += written
    return true
  }

  /// Forgets the bytes behind the first `length`.
  mutating func truncate(to length: Int) {
    precondition(length <= count)
    count = length
  }

  /// Forgets the bytes; gives the memory back when it is more than `keeping`.
  public mutating func clear(keeping capacityMax: Int = .max) {
    count = 0
    if capacity > capacityMax {
      unsafe free(base)
      unsafe base = nil
      capacity = 0
    }
  }

  /// Drops bytes from the start.
  mutating func removeFirst(_ n: Int) {
    precondition(n <= count)
    if n == count { count = 0; return }
    if let base = unsafe base, n > 0 { unsafe memmove(base, base + n, count - n) }
    count -= n
  }

  /// The memory, for C. Valid until the next mutation.
  @unsafe var unsafeBase: UnsafeMutableRawPointer? { unsafe base }
}
