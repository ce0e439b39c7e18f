// Base64 (RFC 4648 §4) for `-bin` metadata: written without padding, read with or without ("Binary-Header").

package enum Base64 {
  private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

  package static func encode(_ bytes: [UInt8]) -> String {
    var text: [UInt8] = []
    text.reserveCapacity((bytes.count * 4 + 2) / 3)
    var at = 0
    while at < bytes.count {
      let n = min(3, bytes.count - at)
      var group = 0
      for i in 0..<3 { group = group << 8 | (i < n ? Int(bytes[at + i]) : 0) }
      for i in 0...n { text.append(alphabet[group >> (18 - 6 * i) & 63]) }
      at += 3
    }
    return String(decoding: text, as: UTF8.self)
  }

  /// Nil: not base64, or with bits set that belong to no byte.
  package static func decode(_ text: some Collection<UInt8>) -> [UInt8]? {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(text.count * 3 / 4)
    var group: UInt32 = 0, bits = 0, padding = 0, digits = 0
    for character in text {
      if character == UInt8(ascii: "=") {
        padding += 1
        continue
      }
      guard padding == 0, let value = value(character) else { return nil }
      digits += 1
      group = group << 6 | UInt32(value)
      bits += 6
      if bits >= 8 {
        bits -= 8
        bytes.append(UInt8(truncatingIfNeeded: group >> UInt32(bits)))
      }
    }
    let isWhole = digits % 4 != 1 && group & (1 << UInt32(bits) - 1) == 0
    return isWhole && (padding == 0 || (digits + padding) % 4 == 0 && padding <= 2) ? bytes : nil
  }

  private static func value(_ character: UInt8) -> UInt8? {
    switch character {
    case UInt8(ascii: "A")...UInt8(ascii: "Z"): character - UInt8(ascii: "A")
    case UInt8(ascii: "a")...UInt8(ascii: "z"): character - UInt8(ascii: "a") + 26
    case UInt8(ascii: "0")...UInt8(ascii: "9"): character - UInt8(ascii: "0") + 52
    case UInt8(ascii: "+"): 62
    case UInt8(ascii: "/"): 63
    default: nil
    }
  }
}
