// `grpc-timeout`: at most eight digits and a unit (gRPC over HTTP/2, "Timeout").

enum Timeout {
  /// The remaining time in nanoseconds; nil when the text is no timeout.
  static func parse(_ text: RawSpan) -> UInt64? {
    let digits = text.byteCount - 1
    guard (1...8).contains(digits) else { return nil }
    var value: UInt64 = 0
    for i in 0..<digits {
      let byte = text[i]
      guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) else { return nil }
      value = value * 10 + UInt64(byte - UInt8(ascii: "0"))
    }
    // 99,999,999 hours are 3.6e20 ns: saturates. Every other unit fits.
    switch text[digits] {
    case UInt8(ascii: "H"):
      let (product, overflow) = value.multipliedReportingOverflow(by: 3_600_000_000_000)
      return overflow ? .max : product
    case UInt8(ascii: "M"): return value * 60_000_000_000
    case UInt8(ascii: "S"): return value * 1_000_000_000
    case UInt8(ascii: "m"): return value * 1_000_000
    case UInt8(ascii: "u"): return value * 1000
    case UInt8(ascii: "n"): return value
    default: return nil
    }
  }

  /// The finest text that holds `nanoseconds`, rounded up so that the server does not give up before us.
  static func format(nanoseconds: UInt64) -> String {
    let units: [(Character, UInt64)] = [
      ("n", 1), ("u", 1000), ("m", 1_000_000), ("S", 1_000_000_000), ("M", 60_000_000_000),
    ]
    for (unit, size) in units {
      let value = nanoseconds / size + (nanoseconds % size == 0 ? 0 : 1)
      if value <= 99_999_999 { return "\(value)\(unit)" }
    }
    return "\(min(nanoseconds / 3_600_000_000_000 + 1, 99_999_999))H"
  }
}
