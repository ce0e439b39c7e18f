// Base64 (RFC 4648 §4) as Abseil reads it: padding may be missing, blanks are passed over.

enum Base64 {
  /// Writes the bytes of a text, at most three for every four characters, and says how many; `nil` when it is no base64.
  static func decode(_ text: RawSpan, into memory: UnsafeMutableRawPointer) -> Int? {
    var count = 0, group: UInt32 = 0, bits: UInt32 = 0, digits = 0, padding = 0
    for at in 0..<text.byteCount {
      // Inside the text.
      let character = unsafe text.unsafeLoad(fromUncheckedByteOffset: at, as: UInt8.self)
      let value = values[Int(character)]
      if value < 64 {
        guard padding == 0 else { return nil }
        digits += 1
        group = group << 6 | UInt32(value)
        bits += 6
        if bits >= 8 {
          bits -= 8
          unsafe memory.storeBytes(of: UInt8(truncatingIfNeeded: group >> bits), toByteOffset: count, as: UInt8.self)
          count += 1
        }
      } else if character == UInt8(ascii: "=") {
        padding += 1
      } else if value != blank {
        return nil
      }
    }
    // One digit alone holds no byte, and bits of no byte are zero.
    guard digits % 4 != 1, group & (1 << bits - 1) == 0 else { return nil }
    return padding == 0 || padding == (4 - digits % 4) % 4 ? count : nil
  }

  /// The bytes of a text; `nil` when it is no base64.
  static func decode(_ text: [UInt8]) -> [UInt8]? {
    var count: Int?
    let bytes = unsafe [UInt8](unsafeUninitializedCapacity: max(text.count, 1)) { buffer, initialized in
      // There is room for one byte at least, so there is an address.
      count = unsafe text.withUnsafeBytes { unsafe decode($0.bytes, into: buffer.baseAddress!) }
      initialized = count ?? 0
    }
    return count == nil ? nil : bytes
  }

  private static let blank: UInt8 = 0x7f

  private static let values: [UInt8] = {
    var values = [UInt8](repeating: 0xff, count: 256)
    for (value, character) in alphabet.enumerated() { values[Int(character)] = UInt8(value) }
    for character in [0x20, 0x09, 0x0a, 0x0b, 0x0c, 0x0d] { values[character] = blank }
    return values
  }()

  static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
}
