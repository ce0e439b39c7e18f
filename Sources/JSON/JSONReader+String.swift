// Strings: found first, taken apart only if somebody wants what is in them.

/// A string where it stands, without its quotation marks.
public struct JSONString: Sendable {
  public let range: Range<Int>
  /// The text is its own meaning: nothing in it is escaped.
  public let isPlain: Bool
}

extension JSONReader {
  /// Reads the string that begins here.
  @_lifetime(self: copy self)
  public mutating func string() throws(JSONSyntaxError) -> JSONString {
    at &+= 1
    let start = at
    var isPlain = true
    while true {
      // Eight bytes at a time, as long as none of them is a quotation mark, a backslash or a control character.
      while at &+ 8 <= bytes.byteCount {
        let word = unsafe bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: at, as: UInt64.self)
        guard JSONReader.isPlain(word) else { break }
        at &+= 8
      }
      let next = next
      switch next {
      case UInt8(ascii: "\""):
        let range = start..<at
        at &+= 1
        return JSONString(range: range, isPlain: isPlain)
      case UInt8(ascii: "\\"):
        isPlain = false
        _ = try escaped()
      case 0: throw error(.missingQuotationMark)
      case 1..<0x20: throw error(.controlCharacter)
      default: at &+= 1
      }
    }
  }

  /// Whether eight bytes have nothing special among them. It may say no without need.
  @inline(__always)
  private static func isPlain(_ word: UInt64) -> Bool {
    let ones: UInt64 = 0x0101_0101_0101_0101, tops: UInt64 = 0x8080_8080_8080_8080
    let quote = word ^ 0x2222_2222_2222_2222, backslash = word ^ 0x5c5c_5c5c_5c5c_5c5c
    let control = word &- ones &* 0x20
    return ((quote &- ones) & ~quote | (backslash &- ones) & ~backslash | control & ~word) & tops == 0
  }

  /// Reads an escape sequence, its backslash first, and says which character it stands for.
  @_lifetime(self: copy self)
  private mutating func escaped() throws(JSONSyntaxError) -> UInt32 {
    let start = at
    at &+= 1
    let character = next
    switch character {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): at &+= 1; return UInt32(character)
    case UInt8(ascii: "b"): at &+= 1; return 0x08
    case UInt8(ascii: "f"): at &+= 1; return 0x0c
    case UInt8(ascii: "n"): at &+= 1; return 0x0a
    case UInt8(ascii: "r"): at &+= 1; return 0x0d
    case UInt8(ascii: "t"): at &+= 1; return 0x09
    case UInt8(ascii: "u"): at &+= 1
    default: throw JSONSyntaxError(.invalidEscape, at: start)
    }
    let first = try hex4(from: start)
    // The second half of a pair alone is let through, as RapidJSON does.
    guard first & 0xfc00 == 0xd800 else { return first }
    guard consume(UInt8(ascii: "\\")), consume(UInt8(ascii: "u")) else {
      throw JSONSyntaxError(.invalidSurrogate, at: start)
    }
    let second = try hex4(from: start)
    guard second & 0xfc00 == 0xdc00 else { throw JSONSyntaxError(.invalidSurrogate, at: start) }
    return (first - 0xd800) << 10 | (second - 0xdc00) + 0x10000
  }

  @_lifetime(self: copy self)
  private mutating func hex4(from start: Int) throws(JSONSyntaxError) -> UInt32 {
    var value: UInt32 = 0
    for _ in 0..<4 {
      let digit = next
      switch digit {
      case UInt8(ascii: "0")...UInt8(ascii: "9"): value = value << 4 | UInt32(digit - UInt8(ascii: "0"))
      case UInt8(ascii: "a")...UInt8(ascii: "f"): value = value << 4 | UInt32(digit - UInt8(ascii: "a") + 10)
      case UInt8(ascii: "A")...UInt8(ascii: "F"): value = value << 4 | UInt32(digit - UInt8(ascii: "A") + 10)
      default: throw JSONSyntaxError(.invalidHexDigit, at: start)
      }
      at &+= 1
    }
    return value
  }

  /// The bytes of a string where they stand, escapes and all.
  @_lifetime(copy self)
  public func raw(_ string: JSONString) -> RawSpan { bytes.extracting(string.range) }

  /// What a string that has been read means. Writes at most as many bytes as the string has, and says how many.
  @discardableResult
  func decode(_ string: JSONString, into memory: UnsafeMutableRawPointer) -> Int {
    var reader = JSONReader(bytes)
    reader.at = string.range.lowerBound
    var count = 0
    func put(_ byte: UInt32) {
      // An escape is longer than what it stands for in UTF-8.
      unsafe memory.storeBytes(of: UInt8(truncatingIfNeeded: byte), toByteOffset: count, as: UInt8.self)
      count += 1
    }
    while reader.at < string.range.upperBound {
      guard reader.next == UInt8(ascii: "\\") else {
        put(UInt32(reader.next))
        reader.at += 1
        continue
      }
      // It has been read before without an error.
      guard let character = try? reader.escaped() else { break }
      switch character {
      case ..<0x80: put(character)
      case ..<0x800:
        put(0xc0 | character >> 6)
        put(0x80 | character & 0x3f)
      case ..<0x10000:
        put(0xe0 | character >> 12)
        put(0x80 | character >> 6 & 0x3f)
        put(0x80 | character & 0x3f)
      default:
        put(0xf0 | character >> 18)
        put(0x80 | character >> 12 & 0x3f)
        put(0x80 | character >> 6 & 0x3f)
        put(0x80 | character & 0x3f)
      }
    }
    return count
  }

  /// What a string means, as an array.
  public func decoded(_ string: JSONString) -> [UInt8] {
    unsafe [UInt8](unsafeUninitializedCapacity: string.range.count) { buffer, count in
      // There is an address unless nothing is to be written.
      if let base = buffer.baseAddress { count = unsafe decode(string, into: base) }
    }
  }

  /// What a string means, for an error or a name: bytes that are no UTF-8 show as U+FFFD.
  public func text(_ string: JSONString) -> String { String(decoding: decoded(string), as: UTF8.self) }

  /// Whether a string means the same as some bytes.
  public func means(_ string: JSONString, _ other: [UInt8]) -> Bool {
    guard string.isPlain else { return decoded(string) == other }
    guard string.range.count == other.count else { return false }
    for i in 0..<other.count where byte(string.range.lowerBound + i) != other[i] { return false }
    return true
  }
}
