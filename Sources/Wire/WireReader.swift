// The one reader of the protobuf wire format. It knows no message: it hands out tags, numbers and ranges.
//
//     ┌ tag ┬ value ┐┌ tag ┬ length ┬ bytes … ┐┌ tag ┬ …
//     ^position                                          ^end
//
// The invariant everything unsafe below rests on: 0 ≤ position ≤ end ≤ bytes.byteCount. `init` establishes it and each
// read checks the room for its field once, before it moves. Nothing here recurses with the input but `skipGroup`, whose
// depth is limited; embedded messages are handed out as ranges and read by whoever wants them.

/// Walks the fields of one message.
public struct WireReader: ~Escapable {
  /// The buffer positions count in.
  public let bytes: RawSpan
  /// Where the next field begins.
  public private(set) var position: Int
  /// Where the message, or the piece of it being read, ends.
  public private(set) var end: Int
  /// The pieces of the message behind the one being read, from `nextRest` on. See `WireMessage`.
  var rest: [Range<UInt32>]?
  var nextRest = 0

  @inline(__always)
  @_lifetime(copy message)
  public init(_ message: WireMessage) {
    bytes = message.bytes
    position = Int(message.extent.first.lowerBound)
    end = Int(message.extent.first.upperBound)
    rest = message.extent.rest
  }

  /// Reads one stretch of `bytes`.
  @inline(__always)
  @_lifetime(copy bytes)
  public init(_ bytes: RawSpan, at range: Range<UInt32>) {
    precondition(Int(range.upperBound) <= bytes.byteCount)
    self.bytes = bytes
    position = Int(range.lowerBound)
    end = Int(range.upperBound)
    rest = nil
  }

  @inline(__always)
  func byte(_ offset: Int) -> UInt8 {
    // Callers ask for offsets below `end` only.
    unsafe bytes.unsafeLoad(fromUncheckedByteOffset: offset, as: UInt8.self)
  }

  // MARK: Tags

  /// The tag of the next field; `nil` at the end of the message.
  @inline(__always)
  @_lifetime(self: copy self)
  public mutating func nextTag() throws(WireError) -> WireTag? {
    if position == end {
      guard rest != nil, beginNextPiece() else { return nil }
    }
    let start = position
    var raw = UInt32(byte(position))
    position &+= 1
    if raw >= 0x80 { raw = try longTag(from: start) }
    if raw < 8 { throw WireError(.fieldNumberZero, at: start) }
    if raw & 7 > 5 { throw WireError(.wireType, at: start) }
    return WireTag(unchecked: raw)
  }

  @inline(never)
  @_lifetime(self: copy self)
  mutating func beginNextPiece() -> Bool {
    guard let rest else { return false }
    while nextRest < rest.count {
      let range = rest[nextRest]
      nextRest &+= 1
      guard !range.isEmpty else { continue }
      position = Int(range.lowerBound)
      end = Int(range.upperBound)
      return true
    }
    return false
  }

  @inline(never)
  @_lifetime(self: copy self)
  mutating func longTag(from start: Int) throws(WireError) -> UInt32 {
    var result: UInt64 = 0
    for index in 0..<5 {
      guard start &+ index < end else { throw WireError(.truncated, at: start) }
      let next = byte(start &+ index)
      result |= UInt64(next & 0x7F) << (7 &* UInt64(index))
      if next < 0x80 {
        guard let tag = UInt32(exactly: result) else { break }
        position = start &+ index &+ 1
        return tag
      }
    }
    throw WireError(.tagTooLong, at: start)
  }

  // MARK: Values

  /// A varint, all 64 bits of it. Narrower fields keep the low bits, as protobuf does.
  @inline(__always)
  @_lifetime(self: copy self)
  public mutating func varint() throws(WireError) -> UInt64 {
    if position < end {
      let first = byte(position)
      if first < 0x80 {
        position &+= 1
        return UInt64(first)
      }
    }
    return try longVarint()
  }

  @inline(never)
  @_lifetime(self: copy self)
  mutating func longVarint() throws(WireError) -> UInt64 {
    let start = position
    var result: UInt64 = 0
    for index in 0..<10 {
      guard start &+ index < end else { throw WireError(.truncated, at: start) }
      let next = byte(start &+ index)
      result |= UInt64(next & 0x7F) &<< (7 &* UInt64(index))
      if next < 0x80 {
        position = start &+ index &+ 1
        return result
      }
    }
    throw WireError(.varintTooLong, at: start)
  }

  /// A `bool`: any varint but zero is true.
  @inline(__always)
  @_lifetime(self: copy self)
  public mutating func bool() throws(WireError) -> Bool { try varint() != 0 }

  /// An `int32` or an enum: the low bits of the varint.
  @inline(__always)
  @_lifetime(self: copy self)
  public mutating func int32() throws(WireError) -> Int32 { Int32(truncatingIfNeeded: try varint()) }

  /// An `int64`.
  @inline(__always)
  @_lifetime(self: copy self)
  public mutating func int64() throws(WireError) -> Int64 { Int64(bitPattern: try varint()) }

  @inline(__always)
  @_lifetime(self: copy self)
  public mutating func fixed32() throws(WireError) -> UInt32 {
    guard end &- position >= 4 else { throw WireError(.truncated, at: position) }
    // Four bytes of room, just checked.
    let value = unsafe bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: position, as: UInt32.self)
    position &+= 4
    return UInt32(littleEndian: value)
  }

  @inline(__always)
  @_lifetime(self: copy self)
  public mutating func fixed64() throws(WireError) -> UInt64 {
    guard end &- position >= 8 else { throw WireError(.truncated, at: position) }
    // Eight bytes of room, just checked.
    let value = unsafe bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: position, as: UInt64.self)
    position &+= 8
    return UInt64(littleEndian: value)
  }

  /// Where the bytes of a string, bytes, message or packed field stand.
  @inline(__always)
  @_lifetime(self: copy self)
  public mutating func lengthDelimited() throws(WireError) -> Range<UInt32> {
    let start = position
    let length = try varint()
    guard length <= UInt64(truncatingIfNeeded: end &- position) else { throw WireError(.truncated, at: start) }
    let lower = UInt32(truncatingIfNeeded: position)
    position &+= Int(truncatingIfNeeded: length)
    // The position only moved forward.
    return unsafe Range(uncheckedBounds: (lower, UInt32(truncatingIfNeeded: position)))
  }

  /// The bytes of a string or bytes field.
  @inline(__always)
  @_lifetime(copy self)
  @_lifetime(self: copy self)
  public mutating func span() throws(WireError) -> RawSpan {
    let range = try lengthDelimited()
    // A range `lengthDelimited` returned lies before `end`.
    return unsafe bytes.extracting(unchecked: Int(range.lowerBound)..<Int(range.upperBound))
  }

  // MARK: Unknown fields

  /// Steps over the value of a field nobody asked for.
  @inline(__always)
  @_lifetime(self: copy self)
  public mutating func skip(_ tag: WireTag) throws(WireError) {
    switch tag.rawValue & 7 {
    case 0: _ = try varint()
    case 2: _ = try lengthDelimited()
    default: try skipRare(tag)
    }
  }

  @inline(never)
  @_lifetime(self: copy self)
  mutating func skipRare(_ tag: WireTag) throws(WireError) {
    switch tag.type {
    case .fixed32: _ = try fixed32()
    case .fixed64: _ = try fixed64()
    case .startGroup: try skipGroup(tag.number, depth: 1)
    case .endGroup: throw WireError(.endGroup, at: position)
    case .varint, .length: try skip(tag)
    }
  }

  @_lifetime(self: copy self)
  mutating func skipGroup(_ number: UInt32, depth: Int) throws(WireError) {
    guard depth <= WireLimits.depthMax else { throw WireError(.tooDeep, at: position) }
    while true {
      // A group ends in the piece it began in.
      guard position < end, let tag = try nextTag() else { throw WireError(.truncated, at: position) }
      switch tag.type {
      case .startGroup:
        try skipGroup(tag.number, depth: depth + 1)
      case .endGroup:
        guard tag.number == number else { throw WireError(.endGroup, at: position) }
        return
      default:
        try skip(tag)
      }
    }
  }
}
