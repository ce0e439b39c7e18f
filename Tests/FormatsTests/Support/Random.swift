/// SplitMix64: the same numbers from the same seed, everywhere. A failing test prints its seed.
struct SeededGenerator: RandomNumberGenerator {
  var state: UInt64

  init(_ seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}

extension [UInt8] {
  /// The bytes with a few of them changed, cut, or doubled.
  func mutated(using generator: inout SeededGenerator) -> [UInt8] {
    var bytes = self
    for _ in 0..<Int.random(in: 1...4, using: &generator) where !bytes.isEmpty {
      let at = Int.random(in: 0..<bytes.count, using: &generator)
      switch Int.random(in: 0..<10, using: &generator) {
      case 0...4: bytes[at] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
      case 5...6: bytes[at] = UInt8.random(in: .min ... .max, using: &generator)
      case 7: bytes.removeSubrange(at..<Swift.min(bytes.count, at + Int.random(in: 1...16, using: &generator)))
      case 8: bytes.insert(contentsOf: bytes[at..<Swift.min(bytes.count, at + 32)], at: at)
      default: bytes[at] = [0x00, 0x7F, 0x80, 0xFF].randomElement(using: &generator)!
      }
    }
    return bytes
  }
}
