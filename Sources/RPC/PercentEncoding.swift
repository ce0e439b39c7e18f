// `grpc-message` carries UTF-8 in a header: bytes outside printable ASCII, and `%`, travel as `%XX`
// (gRPC over HTTP/2, "Percent-Encoded"). A decoder takes what it cannot decode literally.

enum PercentEncoding {
  /// Encodes `message`, cut at a whole character so that the result has at most `limit` bytes.
  static func encode(_ message: String, limit: Int = 4096) -> String {
    var encoded: [UInt8] = []
    for scalar in message.unicodeScalars {
      let start = encoded.count
      for byte in UTF8.encode(scalar)! { append(byte, to: &encoded) }
      if encoded.count > limit {
        encoded.removeLast(encoded.count - start)
        break
      }
    }
    return String(decoding: encoded, as: UTF8.self)
  }

  private static func append(_ byte: UInt8, to encoded: inout [UInt8]) {
    if (0x20...0x7e).contains(byte), byte != UInt8(ascii: "%") {
      encoded.append(byte)
    } else {
      encoded.append(UInt8(ascii: "%"))
      encoded.append(digit(byte >> 4))
      encoded.append(digit(byte & 15))
    }
  }

  private static func digit(_ value: UInt8) -> UInt8 { value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "A") + value - 10 }

  static func decode(_ bytes: RawSpan) -> String {
    var decoded: [UInt8] = []
    decoded.reserveCapacity(bytes.byteCount)
    var i = 0
    while i < bytes.byteCount {
      let byte = bytes[i]
      if byte == UInt8(ascii: "%"), i + 2 < bytes.byteCount, let high = value(bytes[i + 1]), let low = value(bytes[i + 2]) {
        decoded.append(high << 4 | low)
        i += 3
      } else {
        decoded.append(byte)
        i += 1
      }
    }
    return String(decoding: decoded, as: UTF8.self)
  }

  private static func value(_ digit: UInt8) -> UInt8? {
    switch digit {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
    case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
    case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
    default: nil
    }
  }
}

extension RawSpan {
  /// One byte, checked.
  subscript(_ index: Int) -> UInt8 {
    precondition(index >= 0 && index < byteCount)
    // Checked above; every bit pattern is a UInt8.
    return unsafe unsafeLoad(fromByteOffset: index, as: UInt8.self)
  }
}
