// The alphabets of RFC 9110 and RFC 3986, and looking at bytes through them.
internal import Glibc

/// A set of ASCII characters: one bit each.
struct ByteSet: Sendable {
  private var low: UInt64 = 0
  private var high: UInt64 = 0

  init(_ characters: StaticString, alphanumerics: Bool) {
    // A literal's bytes live for the whole process.
    for i in 0..<characters.utf8CodeUnitCount { insert(unsafe characters.utf8Start[i]) }
    if alphanumerics {
      for byte in UInt8(ascii: "0")...UInt8(ascii: "9") { insert(byte) }
      for byte in UInt8(ascii: "a")...UInt8(ascii: "z") {
        insert(byte)
        insert(byte & ~Ascii.caseBit)
      }
    }
  }

  private mutating func insert(_ byte: UInt8) {
    if byte < 64 { low |= 1 << UInt64(byte) } else { high |= 1 << UInt64(byte & 63) }
  }

  func contains(_ byte: UInt8) -> Bool {
    if byte < 64 { return low >> UInt64(byte) & 1 != 0 }
    return byte < 128 && high >> UInt64(byte & 63) & 1 != 0
  }

  /// RFC 9110 §5.6.2.
  static let token = ByteSet("!#$%&'*+-.^_`|~", alphanumerics: true)
  /// RFC 3986 §3.2.2: a registered name or IPv4 address; a percent sign begins an escape.
  static let registeredName = ByteSet("-._~!$&'()*+,;=", alphanumerics: true)
  /// RFC 3986 §3.2.2: what stands between the brackets of an IPv6 address. Zones and future forms have no business here.
  static let addressLiteral = ByteSet(":.0123456789abcdefABCDEF", alphanumerics: false)
}

enum Ascii {
  static let tab = UInt8(ascii: "\t"), lineFeed = UInt8(ascii: "\n"), carriageReturn = UInt8(ascii: "\r")
  static let space = UInt8(ascii: " "), colon = UInt8(ascii: ":"), comma = UInt8(ascii: ",")
  static let caseBit: UInt8 = 0x20

  static func isDigit(_ byte: UInt8) -> Bool { byte &- UInt8(ascii: "0") < 10 }

  static func hexValue(_ byte: UInt8) -> Int? {
    if isDigit(byte) { return Int(byte - UInt8(ascii: "0")) }
    let letter = (byte | caseBit) &- UInt8(ascii: "a")
    return letter < 6 ? Int(letter) + 10 : nil
  }

  static func lowercased(_ byte: UInt8) -> UInt8 { byte &- UInt8(ascii: "A") < 26 ? byte | caseBit : byte }

  static func isBlank(_ byte: UInt8) -> Bool { byte == space || byte == tab }
}

extension RawSpan {
  /// The byte at `i`, which must be inside.
  func byte(_ i: Int) -> UInt8 {
    // Checked against the bounds; any bits are a byte.
    unsafe unsafeLoad(fromByteOffset: i, as: UInt8.self)
  }

  func firstIndex(of byte: UInt8, in range: Range<Int>) -> Int? {
    precondition(range.lowerBound >= 0 && range.upperBound <= byteCount)
    if range.isEmpty { return nil }
    // The range is inside, see above.
    return unsafe withUnsafeBytes { bytes in
      let base = bytes.baseAddress!
      guard let found = unsafe memchr(base + range.lowerBound, Int32(byte), range.count) else { return nil }
      return unsafe UnsafeRawPointer(found) - base
    }
  }

  func isMade(of set: ByteSet) -> Bool {
    for i in 0..<byteCount where !set.contains(byte(i)) { return false }
    return true
  }

  /// Without spaces and tabs at both ends.
  func trimmed(_ range: Range<Int>) -> Range<Int> {
    var start = range.lowerBound, end = range.upperBound
    while start < end, Ascii.isBlank(byte(start)) { start += 1 }
    while start < end, Ascii.isBlank(byte(end - 1)) { end -= 1 }
    return start..<end
  }

  /// - Parameter text: in lower case.
  func equalsIgnoringCase(_ text: StaticString) -> Bool {
    if byteCount != text.utf8CodeUnitCount { return false }
    // As many bytes as the literal has.
    for i in 0..<byteCount {
      let wanted = unsafe text.utf8Start[i]
      if Ascii.lowercased(byte(i)) != wanted { return false }
    }
    return true
  }

  /// The next element of a comma-separated list (RFC 9110 §5.6.1), without the white space around it; perhaps empty. Nil
  /// behind the last. Start with 0.
  func listElement(from at: inout Int) -> Range<Int>? {
    if at > byteCount { return nil }
    let end = firstIndex(of: Ascii.comma, in: at..<byteCount) ?? byteCount
    let element = trimmed(at..<end)
    at = end + 1
    return element
  }
}
