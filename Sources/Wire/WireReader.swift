// The one reader of the protobuf wire format. It knows no message: it hands out tags, numbers and ranges.
//
//     ┌ tag ┬ value ┐┌ tag ┬ length ┬ bytes … ┐┌ tag ┬ …
//     ^position                                          ^end
//
// The invariant everything unsafe below rests on: 0 ≤ at ≤ limit ≤ bytes.byteCount, the position and the end. `init` establishes it and each
// read checks the room for its field once, before it moves. Nothing here recurses with the input but `skipGroup`, whose
// depth is limited; embedded messages are handed out as ranges and read by whoever wants them.
//
// `@inlinable` here and in this module's other small functions is measured, not habit: without it each tag is a call, and
// an Example takes 3.4 µs instead of 2.1.

/// Walks the fields of one message.
public struct WireReader: ~Escapable {
  /// The buffer positions count in.
  public let bytes: RawSpan
  @usableFromInline var at: Int
  @usableFromInline var limit: Int
  /// The pieces of the message behind the one being read, from `nextRest` on. See `WireMessage`.
  @usableFromInline var rest: [Range<UInt32>]?
  @usableFromInline var nextRest = 0

  @inlinable @inline(__always)
  @_lifetime(copy message)
  public init(_ message: WireMessage) {
    bytes = message.bytes
    at = Int(message.extent.first.lowerBound)
    limit = Int(message.extent.first.upperBound)
    rest = message.extent.rest
  }

  /// Reads one stretch of `bytes`.
  @inlinable @inline(__always)
  @_lifetime(copy bytes)
  public init(_ bytes: RawSpan, at range: Range<UInt32>) {
    precondition(Int(range.upperBound) <= bytes.byteCount)
    self.bytes = bytes
    at = Int(range.lowerBound)
    limit = Int(range.upperBound)
    rest = nil
  }

  @inlinable @inline(__always)
  func byte(_ offset: Int) -> UInt8 {
    // Callers ask for offsets below `limit` only.
    unsafe bytes.unsafeLoad(fromUncheckedByteOffset: offset, as: UInt8.self)
  }

  /// Where the next field begins.
  @inlinable public var position: Int { at }

  /// Where the message, or the piece of it being read, ends.
  @inlinable public var end: Int { limit }

  // MARK: Tags

  /// The tag of the next field; `nil` at the end of the message.
  @inlinable @inline(__always)
  @_lifetime(self: copy self)
  public mutating func nextTag() throws(WireError) -> WireTag? {
    if at == limit {
      guard let rest, let piece = WireReader.piece(of: rest, from: nextRest) else { return nil }
      nextRest = piece &+ 1
      at = Int(rest[piece].lowerBound)
      limit = Int(rest[piece].upperBound)
    }
    let start = at
    var raw = UInt32(byte(at))
    at &+= 1
    if raw >= 0x80 { (raw, at) = try WireReader.longTag(bytes, start, limit) }
    if raw < 8 { throw WireError(.fieldNumberZero, at: start) }
    if raw & 7 > 5 { throw WireError(.wireType, at: start) }
    return WireTag(unchecked: raw)
  }

  // The rare cases below are functions of a position, not of the reader, so that the reader can live in registers.

  /// The first piece that is not empty.
  @usableFromInline @inline(never)
  static func piece(of rest: [Range<UInt32>], from index: Int) -> Int? {
    rest[index...].firstIndex { !$0.isEmpty }
  }

  /// A tag of several bytes, and the position behind it.
  @usableFromInline @inline(never)
  static func longTag(_ bytes: RawSpan, _ start: Int, _ end: Int) throws(WireError) -> (UInt32, Int) {
    let (value, position): (UInt64, Int)
    do {
      (value, position) = try longVarint(bytes, start, min(end, start &+ 5))
    } catch {
      throw WireError(end &- start >= 5 ? .tagTooLong : .truncated, at: start)
    }
    guard let tag = UInt32(exactly: value) else { throw WireError(.tagTooLong, at: start) }
    return (tag, position)
  }

  /// A length of several bytes, at most five, and the position behind it.
  @usableFromInline @inline(never)
  static func longLength(_ bytes: RawSpan, _ start: Int, _ end: Int) throws(WireError) -> (UInt64, Int) {
    do {
      return try longVarint(bytes, start, min(end, start &+ 5))
    } catch {
      throw WireError(end &- start >= 5 ? .lengthTooLong : .truncated, at: start)
    }
  }

  /// A varint at `start`, and the position behind it.
  @usableFromInline @inline(never)
  static func longVarint(_ bytes: RawSpan, _ start: Int, _ end: Int) throws(WireError) -> (UInt64, Int) {
    var result: UInt64 = 0
    var position = start
    var shift: UInt64 = 0
    while position < end {
      // `position` is below `end`, which no caller puts behind the bytes.
      let next = unsafe bytes.unsafeLoad(fromUncheckedByteOffset: position, as: UInt8.self)
      position &+= 1
      result |= UInt64(next & 0x7F) &<< shift
      if next < 0x80 { return (result, position) }
      shift &+= 7
      if shift == 70 { throw WireError(.varintTooLong, at: start) }
    }
    throw WireError(.truncated, at: start)
  }

  // MARK: Values

  /// A varint, all 64 bits of it. Narrower fields keep the low bits, as protobuf does.
  @inlinable @inline(__always)
  @_lifetime(self: copy self)
  public mutating func varint() throws(WireError) -> UInt64 {
    if at < limit {
      let first = byte(at)
      if first < 0x80 {
        at &+= 1
        return UInt64(first)
      }
    }
    let value: UInt64
    (value, at) = try WireReader.longVarint(bytes, at, limit)
    return value
  }

  /// A `bool`: any varint but zero is true.
  @inlinable @inline(__always)
  @_lifetime(self: copy self)
  public mutating func bool() throws(WireError) -> Bool { try varint() != 0 }

  /// An `int32` or an enum: the low bits of the varint.
  @inlinable @inline(__always)
  @_lifetime(self: copy self)
  public mutating func int32() throws(WireError) -> Int32 { Int32(truncatingIfNeeded: try varint()) }

  /// An `int64`.
  @inlinable @inline(__always)
  @_lifetime(self: copy self)
  public mutating func int64() throws(WireError) -> Int64 { Int64(bitPattern: try varint()) }

  @inlinable @inline(__always)
  @_lifetime(self: copy self)
  public mutating func fixed32() throws(WireError) -> UInt32 {
    guard limit &- at >= 4 else { throw WireError(.truncated, at: at) }
    // Four bytes of room, just checked.
    let value = unsafe bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: at, as: UInt32.self)
    at &+= 4
    return UInt32(littleEndian: value)
  }

  @inlinable @inline(__always)
  @_lifetime(self: copy self)
  public mutating func fixed64() throws(WireError) -> UInt64 {
    guard limit &- at >= 8 else { throw WireError(.truncated, at: at) }
    // Eight bytes of room, just checked.
    let value = unsafe bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: at, as: UInt64.self)
    at &+= 8
    return UInt64(littleEndian: value)
  }

  /// A length, not yet held against what is left.
  @inlinable @inline(__always)
  @_lifetime(self: copy self)
  mutating func length() throws(WireError) -> UInt64 {
    if at < limit {
      let first = byte(at)
      if first < 0x80 {
        at &+= 1
        return UInt64(first)
      }
    }
    let value: UInt64
    (value, at) = try WireReader.longLength(bytes, at, limit)
    return value
  }

  /// Where the bytes of a string, bytes, message or packed field stand.
  @inlinable @inline(__always)
  @_lifetime(self: copy self)
  public mutating func lengthDelimited() throws(WireError) -> Range<UInt32> {
    let start = at
    let length = try length()
    guard length <= UInt64(truncatingIfNeeded: limit &- at) else { throw WireError(.truncated, at: start) }
    let lower = UInt32(truncatingIfNeeded: at)
    at &+= Int(truncatingIfNeeded: length)
    // The position only moved forward.
    return unsafe Range(uncheckedBounds: (lower, UInt32(truncatingIfNeeded: at)))
  }

  /// The bytes of a string or bytes field.
  @inlinable @inline(__always)
  @_lifetime(copy self)
  @_lifetime(self: copy self)
  public mutating func span() throws(WireError) -> RawSpan {
    let range = try lengthDelimited()
    // A range `lengthDelimited` returned lies before `limit`.
    return unsafe bytes.extracting(unchecked: Int(range.lowerBound)..<Int(range.upperBound))
  }

  /// Reads a length and steps inside, if what it measures is all that is left: a message whose last field is a message.
  /// Otherwise `false`, and the reader is of no further use.
  @inlinable @inline(__always)
  @_lifetime(self: copy self)
  public mutating func descend() throws(WireError) -> Bool {
    let length = try length()
    return length == UInt64(truncatingIfNeeded: limit &- at)
  }

  /// Whether the piece being read is at its end.
  @inlinable @inline(__always)
  public var isAtEnd: Bool { at == limit }

  // MARK: Unknown fields

  /// Steps over the value of a field nobody asked for.
  @inlinable @inline(__always)
  @_lifetime(self: copy self)
  public mutating func skip(_ tag: WireTag) throws(WireError) {
    switch tag.rawValue & 7 {
    case 0: _ = try varint()
    case 2: _ = try lengthDelimited()
    default: at = try WireReader.skipRare(tag, bytes, at, limit)
    }
  }

  /// The position behind a value of the other wire types.
  @usableFromInline @inline(never)
  static func skipRare(_ tag: WireTag, _ bytes: RawSpan, _ position: Int, _ end: Int) throws(WireError) -> Int {
    var reader = WireReader(bytes, at: UInt32(position)..<UInt32(end))
    switch tag.type {
    case .fixed32: _ = try reader.fixed32()
    case .fixed64: _ = try reader.fixed64()
    case .startGroup: try reader.skipGroup(tag.number, depth: 1)
    case .endGroup: throw WireError(.endGroup, at: position)
    case .varint, .length: try reader.skip(tag)
    }
    return reader.position
  }

  @_lifetime(self: copy self)
  mutating func skipGroup(_ number: UInt32, depth: Int) throws(WireError) {
    guard depth <= WireLimits.depthMax else { throw WireError(.tooDeep, at: at) }
    // A group ends in the piece of the message it began in; `skipRare` reads no other.
    while let tag = try nextTag() {
      switch tag.type {
      case .startGroup:
        try skipGroup(tag.number, depth: depth + 1)
      case .endGroup:
        guard tag.number == number else { throw WireError(.endGroup, at: at) }
        return
      default:
        try skip(tag)
      }
    }
    throw WireError(.truncated, at: at)
  }
}
