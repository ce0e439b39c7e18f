/// RFC 4648 §5, without padding.
enum Base64URL {
  /// Appends what `text` stands for. False: it is not base64url of whole bytes.
  static func decode(_ text: RawSpan, into out: inout ByteBuffer) -> Bool {
    guard text.byteCount % 4 != 1 else { return false }
    var isGood = true
    let appended = out.append(byteCount: text.byteCount * 3 / 4) { output in
      var bits: UInt32 = 0
      var count = 0
      for i in 0..<text.byteCount {
        guard let value = value(text.byte(i)) else {
          isGood = false
          return
        }
        bits = bits << 6 | value
        count += 6
        if count >= 8 {
          count -= 8
          output.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
        }
      }
      // RFC 4648 §3.5: the bits left over are zero.
      if bits & (1 << UInt32(count) - 1) != 0 { isGood = false }
    }
    return appended && isGood
  }

  private static func value(_ byte: UInt8) -> UInt32? {
    switch byte {
    case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt32(byte - UInt8(ascii: "A"))
    case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt32(byte - UInt8(ascii: "a")) + 26
    case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(byte - UInt8(ascii: "0")) + 52
    case UInt8(ascii: "-"): 62
    case UInt8(ascii: "_"): 63
    default: nil
    }
  }
}
