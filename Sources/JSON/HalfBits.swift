/// Floats of 16 bits, rounded from a double to the nearest, ties to even.
enum HalfBits {
  static func half(_ value: Double) -> UInt16 { round(value, exponentBits: 5, fractionBits: 10) }
  static func bfloat16(_ value: Double) -> UInt16 { round(value, exponentBits: 8, fractionBits: 7) }

  private static func round(_ value: Double, exponentBits: Int, fractionBits: Int) -> UInt16 {
    let sign = UInt16(value.bitPattern >> 63) << 15
    let infinity = UInt16((1 << exponentBits) - 1) << UInt16(fractionBits)
    if value.isNaN { return sign | infinity | 1 << UInt16(fractionBits - 1) }
    if value.isInfinite { return sign | infinity }
    if value == 0 { return sign }
    // The lowest exponent of a normal number, below which numbers are whole multiples of one power of two.
    let lowest = 2 - 1 << (exponentBits - 1)
    let exponent = max(Int(value.exponent), lowest)
    // Exact: scaling by a power of two.
    let units = (value.magnitude * scale(fractionBits - exponent)).rounded(.toNearestOrEven)
    // A carry out of the fraction is the next exponent's zero.
    let bits = Int(units) + (exponent - lowest) << fractionBits
    return sign | UInt16(min(bits, Int(infinity)))
  }

  private static func scale(_ exponent: Int) -> Double { Double(sign: .plus, exponent: exponent, significand: 1) }

  static func value(ofHalf bits: UInt16) -> Float { value(bits, exponentBits: 5, fractionBits: 10) }
  static func value(ofBFloat16 bits: UInt16) -> Float { Float(bitPattern: UInt32(bits) << 16) }

  private static func value(_ bits: UInt16, exponentBits: Int, fractionBits: Int) -> Float {
    let negative = bits >> 15 != 0
    let exponent = Int(bits >> UInt16(fractionBits)) & (1 << exponentBits - 1)
    let fraction = Int(bits) & (1 << fractionBits - 1)
    let lowest = 2 - 1 << (exponentBits - 1)
    if exponent == 1 << exponentBits - 1 { return fraction != 0 ? .nan : negative ? -.infinity : .infinity }
    let units = exponent == 0 ? fraction : fraction + 1 << fractionBits
    let value = Float(units) * Float(sign: .plus, exponent: max(exponent, 1) - 1 + lowest - fractionBits, significand: 1)
    return negative ? -value : value
  }
}
