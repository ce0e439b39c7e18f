// Keys that sort as what they encode (tensorflow/core/lib/strings/ordered_code): the parts of a partitioned variable stand
// under keys made of the variable's name and the part's place.

/// A key under construction.
struct OrderedCode {
  private(set) var bytes: [UInt8] = []

  /// How many bytes the number has, then those bytes, the highest first.
  mutating func append(_ number: UInt64) {
    let count = (64 - number.leadingZeroBitCount + 7) / 8
    bytes.append(UInt8(count))
    for i in (0..<count).reversed() { bytes.append(UInt8(truncatingIfNeeded: number >> UInt64(8 * i))) }
  }

  /// A zero is followed by 0xFF and a 0xFF by zero; zero and one end the string.
  mutating func append(_ string: [UInt8]) {
    for byte in string {
      bytes.append(byte)
      if byte == 0 { bytes.append(0xFF) }
      if byte == 0xFF { bytes.append(0) }
    }
    bytes += [0, 1]
  }

  /// The number's sign-extended bytes, the highest first, as few as leave room for as many leading bits as there are bytes;
  /// those bits, and the sign, are flipped into the first byte or two.
  mutating func appendSigned(_ number: Int64) {
    let magnitude = UInt64(bitPattern: number < 0 ? ~number : number)
    let count = (64 - magnitude.leadingZeroBitCount) / 7 + 1
    // The upper 16 of 80 bits are the sign.
    let sign: UInt8 = number < 0 ? 0xFF : 0
    var code = [sign, sign] + (0..<8).reversed().map { UInt8(truncatingIfNeeded: number >> Int64(8 * $0)) }
    code.removeFirst(10 - count)
    let header = UInt16.max << UInt16(16 - count)
    code[0] ^= UInt8(header >> 8)
    if count > 1 { code[1] ^= UInt8(header & 0xFF) }
    bytes += code
  }
}
