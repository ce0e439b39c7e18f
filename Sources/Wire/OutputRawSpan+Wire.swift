// The writer of the wire format. Whoever writes a message has asked for its size first and made the room, so nothing
// here grows and nothing fails; writing past the room traps, and is a bug of ours, never of a peer.

/// Sizes of whole fields: tag and value.
public enum WireSize {
  @inlinable @inline(__always)
  public static func tag(_ number: UInt32) -> Int { Varint.size(UInt64(number) << 3) }

  @inlinable @inline(__always)
  public static func varint(_ number: UInt32, _ value: UInt64) -> Int { tag(number) + Varint.size(value) }

  @inlinable @inline(__always)
  public static func varint(_ number: UInt32, _ value: Int64) -> Int { tag(number) + Varint.size(value) }

  /// A string, bytes, message or packed field of `count` bytes.
  @inlinable @inline(__always)
  public static func length(_ number: UInt32, _ count: Int) -> Int {
    tag(number) + Varint.size(UInt64(truncatingIfNeeded: count)) + count
  }

  /// A string or bytes field as proto3 writes it: nothing for an empty one.
  @inlinable @inline(__always)
  public static func string(_ number: UInt32, _ bytes: RawSpan) -> Int {
    bytes.isEmpty ? 0 : length(number, bytes.byteCount)
  }
}

extension OutputRawSpan {
  @inlinable @inline(__always)
  @_lifetime(self: copy self)
  public mutating func appendVarint(_ value: UInt64) {
    var rest = value
    while rest >= 0x80 {
      append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest &>>= 7
    }
    append(UInt8(truncatingIfNeeded: rest))
  }

  @inlinable @inline(__always)
  @_lifetime(self: copy self)
  public mutating func appendTag(_ number: UInt32, _ type: WireType) {
    appendVarint(UInt64(WireTag(number, type).rawValue))
  }

  @inlinable @inline(__always)
  @_lifetime(self: copy self)
  public mutating func appendVarint(_ number: UInt32, _ value: UInt64) {
    appendTag(number, .varint)
    appendVarint(value)
  }

  @inlinable @inline(__always)
  @_lifetime(self: copy self)
  public mutating func appendVarint(_ number: UInt32, _ value: Int64) {
    appendVarint(number, UInt64(bitPattern: value))
  }

  @_lifetime(self: copy self)
  public mutating func appendFixed32(_ number: UInt32, _ value: UInt32) {
    appendTag(number, .fixed32)
    // A UInt32 has no padding: four bytes of value.
    unsafe append(value.littleEndian, as: UInt32.self)
  }

  /// What stands before `count` bytes of a string, bytes, message or packed field.
  @inlinable @inline(__always)
  @_lifetime(self: copy self)
  public mutating func appendLength(_ number: UInt32, _ count: Int) {
    appendTag(number, .length)
    appendVarint(UInt64(truncatingIfNeeded: count))
  }

  /// Bytes as they are.
  @inlinable @inline(__always)
  @_lifetime(self: copy self)
  public mutating func appendBytes(_ bytes: RawSpan) {
    precondition(bytes.byteCount <= freeCapacity)
    unsafe bytes.withUnsafeBytes { source in
      guard let from = source.baseAddress else { return }
      unsafe withUnsafeMutableBytes { buffer, count in
        // The free room, checked above, begins `count` bytes in.
        if let base = buffer.baseAddress { unsafe (base + count).copyMemory(from: from, byteCount: source.count) }
        count &+= source.count
      }
    }
  }

  /// A whole string or bytes field, written even when empty.
  @_lifetime(self: copy self)
  public mutating func appendBytes(_ number: UInt32, _ bytes: RawSpan) {
    appendLength(number, bytes.byteCount)
    appendBytes(bytes)
  }

  /// The fields of a message as they were read, pieces joined.
  @_lifetime(self: copy self)
  public mutating func appendMessage(_ message: WireMessage) {
    appendBytes(message.bytes.extracting(message.extent.first))
    for range in message.extent.rest ?? [] { appendBytes(message.bytes.extracting(range)) }
  }

  /// A string or bytes field as proto3 writes it: nothing for an empty one.
  @_lifetime(self: copy self)
  public mutating func appendString(_ number: UInt32, _ bytes: RawSpan) {
    if !bytes.isEmpty { appendBytes(number, bytes) }
  }
}

extension Array where Element == UInt8 {
  /// An array of exactly `byteCount` bytes that `body` writes.
  public init(wireSize byteCount: Int, _ body: (inout OutputRawSpan) -> Void) {
    self = unsafe Array(unsafeUninitializedCapacity: byteCount) { buffer, count in
      // The array's own memory, which outlives the span; `count` says how much of it was written.
      let raw = unsafe UnsafeMutableRawBufferPointer(start: buffer.baseAddress, count: byteCount)
      var output = unsafe OutputRawSpan(buffer: raw, initializedCount: 0)
      body(&output)
      count = unsafe output.finalize(for: raw)
    }
  }
}
