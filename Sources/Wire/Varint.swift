// Varints: seven bits to a byte, the lowest first, the top bit set on all but the last. At most ten bytes.
//
// A packed field is checked as a whole before it is read, eight bytes at a time; reading it then cannot fail.

/// Sizes, and the bulk reading of packed fields.
public enum Varint {
  /// The bytes a value takes: one for each begun seven bits.
  @inlinable @inline(__always)
  public static func size(_ value: UInt64) -> Int {
    // ⌈bits / 7⌉ for 1...64 bits, without dividing: (bits * 9 + 64) / 64.
    let bits = 64 &- (value | 1).leadingZeroBitCount
    return (bits &* 9 &+ 64) &>> 6
  }

  /// The bytes of an `int32`, `int64` or enum: ten when negative.
  @inlinable @inline(__always)
  public static func size(_ value: Int64) -> Int { size(UInt64(bitPattern: value)) }

  @inlinable static var topBits: UInt64 { 0x8080_8080_8080_8080 }

  /// How many of the top bits are set. A population count is no single instruction on every x86-64, this is.
  @inlinable @inline(__always)
  static func marks(_ word: UInt64) -> Int {
    Int(truncatingIfNeeded: (((word & topBits) &>> 7) &* 0x0101_0101_0101_0101) &>> 56)
  }

  /// The number of varints that exactly fill `range` of `bytes`.
  public static func count(_ bytes: RawSpan, in range: Range<UInt32>) throws(WireError) -> Int {
    precondition(Int(range.upperBound) <= bytes.byteCount)
    let end = Int(range.upperBound)
    var position = Int(range.lowerBound)
    var count = 0
    // Continuation bytes seen since the last one that ended a varint.
    var run = 0
    while position &+ 8 <= end {
      // Eight bytes lie before `end`.
      let word = unsafe UInt64(
        littleEndian: bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: position, as: UInt64.self))
      let ends = ~word & topBits
      if ends == 0 {
        run &+= 8
      } else {
        if run &+ ends.trailingZeroBitCount &>> 3 > 9 { throw WireError(.varintTooLong, at: position) }
        run = ends.leadingZeroBitCount &>> 3
        count &+= marks(ends)
      }
      if run > 9 { throw WireError(.varintTooLong, at: position) }
      position &+= 8
    }
    if position < end && end >= 8 {
      // The last eight bytes before `end`, of which those already seen are shifted out.
      let left = UInt64(truncatingIfNeeded: end &- position)
      let word = unsafe UInt64(
        littleEndian: bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: end &- 8, as: UInt64.self))
      let ends = (~word & topBits) &>> (64 &- 8 &* left)
      // The last byte must end a varint.
      if word &>> 63 != 0 { throw WireError(.truncated, at: end) }
      if run &+ (ends.trailingZeroBitCount &>> 3) > 9 { throw WireError(.varintTooLong, at: position) }
      count &+= marks(ends)
      run = 0
      position = end
    }
    while position < end {
      // `position` is below `end`.
      if unsafe bytes.unsafeLoad(fromUncheckedByteOffset: position, as: UInt8.self) < 0x80 {
        run = 0
        count &+= 1
      } else {
        run &+= 1
        if run > 9 { throw WireError(.varintTooLong, at: position) }
      }
      position &+= 1
    }
    if run != 0 { throw WireError(.truncated, at: end) }
    return count
  }

  /// The varint at `position` of bytes that `count` has checked, and a step past it.
  @inlinable @inline(__always)
  public static func read(_ bytes: RawSpan, at position: inout Int) -> UInt64 {
    // A checked varint begins at `position`, so its bytes, up to the one below 0x80, are inside the span.
    let first = unsafe bytes.unsafeLoad(fromUncheckedByteOffset: position, as: UInt8.self)
    if first < 0x80 {
      position &+= 1
      return UInt64(first)
    }
    if position &+ 8 <= bytes.byteCount {
      // Eight bytes of the span; those behind the varint are masked off.
      let word = unsafe UInt64(
        littleEndian: bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: position, as: UInt64.self))
      let ends = ~word & topBits
      if ends != 0 {
        let last = ends.trailingZeroBitCount
        position &+= last &>> 3 &+ 1
        return compact(word & (UInt64.max &>> (63 &- UInt64(truncatingIfNeeded: last))))
      }
    }
    let value: UInt64
    (value, position) = readBytewise(bytes, position)
    return value
  }

  /// Drops the top bit of each byte: eight groups of seven bits, then four of fourteen, then two of 28, become one.
  @inlinable @inline(__always)
  static func compact(_ word: UInt64) -> UInt64 {
    var x = word & ~topBits
    x = (x & 0x007F_007F_007F_007F) | (x & 0x7F00_7F00_7F00_7F00) &>> 1
    x = (x & 0x0000_3FFF_0000_3FFF) | (x & 0x3FFF_0000_3FFF_0000) &>> 2
    x = (x & 0x0000_0000_0FFF_FFFF) | (x & 0x0FFF_FFFF_0000_0000) &>> 4
    return x
  }

  /// A varint near the end of the buffer, or of nine bytes and more; and the position behind it.
  @usableFromInline @inline(never)
  static func readBytewise(_ bytes: RawSpan, _ start: Int) -> (UInt64, Int) {
    var result: UInt64 = 0
    var position = start
    var shift: UInt64 = 0
    while position < bytes.byteCount && shift < 70 {
      // `position` is below the count, just checked.
      let next = unsafe bytes.unsafeLoad(fromUncheckedByteOffset: position, as: UInt8.self)
      position &+= 1
      result |= UInt64(next & 0x7F) &<< shift
      if next < 0x80 { break }
      shift &+= 7
    }
    return (result, position)
  }
}
