// The hashes TensorFlow puts strings into buckets with. Models are trained with them: they must agree bit for bit.

/// FarmHash's `Fingerprint64` (farmhashna::Hash64).
func fingerprint64(_ span: RawSpan) -> UInt64 {
  unsafe span.withUnsafeBytes { unsafe Farm($0).hash }
}

@safe private struct Farm {
  private static let k0: UInt64 = 0xc3a5_c85c_97cb_3127
  private static let k1: UInt64 = 0xb492_b66f_be98_f273
  private static let k2: UInt64 = 0x9ae1_6a3b_2f90_404f

  /// Lent for the life of this value.
  @unsafe private let bytes: UnsafeRawBufferPointer
  private var count: Int { unsafe bytes.count }

  @unsafe init(_ bytes: UnsafeRawBufferPointer) { unsafe self.bytes = bytes }

  // Every caller below reads within `count`: the length class it was chosen for says so.
  private func u64(_ at: Int) -> UInt64 { unsafe bytes.loadUnaligned(fromByteOffset: at, as: UInt64.self) }
  private func u32(_ at: Int) -> UInt64 { unsafe UInt64(bytes.loadUnaligned(fromByteOffset: at, as: UInt32.self)) }

  private func rotate(_ x: UInt64, _ by: UInt64) -> UInt64 { x >> by | x << (64 - by) }
  private func mix(_ x: UInt64) -> UInt64 { x ^ x >> 47 }
  private func fold(_ u: UInt64, _ v: UInt64, _ mul: UInt64) -> UInt64 {
    let a = mix((u ^ v) &* mul)
    return mix((v ^ a) &* mul) &* mul
  }
  private func weak(_ at: Int, _ a: UInt64, _ b: UInt64) -> (UInt64, UInt64) {
    let (w, x, y, z) = (u64(at), u64(at + 8), u64(at + 16), u64(at + 24))
    let first = a &+ w
    var second = rotate(b &+ first &+ z, 21)
    let sum = first &+ x &+ y
    second = second &+ rotate(sum, 44)
    return (sum &+ z, second &+ first)
  }

  var hash: UInt64 {
    let (k0, k1, k2) = (Farm.k0, Farm.k1, Farm.k2)
    let mul = k2 &+ UInt64(count) &* 2
    switch count {
    case 0: return k2
    case 1...3:
      let y = unsafe UInt64(bytes[0]) &+ UInt64(bytes[count >> 1]) << 8
      let z = unsafe UInt64(count) &+ UInt64(bytes[count - 1]) << 2
      return mix(y &* k2 ^ z &* k0) &* k2
    case 4...7:
      return fold(UInt64(count) &+ u32(0) << 3, u32(count - 4), mul)
    case 8...16:
      let a = u64(0) &+ k2
      let b = u64(count - 8)
      return fold(rotate(b, 37) &* mul &+ a, (rotate(a, 25) &+ b) &* mul, mul)
    case 17...32:
      let a = u64(0) &* k1
      let b = u64(8)
      let c = u64(count - 8) &* mul
      let d = u64(count - 16) &* k2
      return fold(rotate(a &+ b, 43) &+ rotate(c, 30) &+ d, a &+ rotate(b &+ k2, 18) &+ c, mul)
    case 33...64:
      let a = u64(0) &* k2
      let b = u64(8)
      let c = u64(count - 8) &* mul
      let d = u64(count - 16) &* k2
      let y = rotate(a &+ b, 43) &+ rotate(c, 30) &+ d
      let z = fold(y, a &+ rotate(b &+ k2, 18) &+ c, mul)
      let e = u64(16) &* mul
      let f = u64(24)
      let g = (y &+ u64(count - 32)) &* mul
      let h = (z &+ u64(count - 24)) &* mul
      return fold(rotate(e &+ f, 43) &+ rotate(g, 30) &+ h, e &+ rotate(f &+ a, 18) &+ g, mul)
    default: return long
    }
  }

  /// More than 64 bytes.
  private var long: UInt64 {
    let (k0, k1, k2) = (Farm.k0, Farm.k1, Farm.k2)
    let seed: UInt64 = 81
    var x = seed &* k2 &+ u64(0)
    var y = seed &* k1 &+ 113
    var z = mix(y &* k2 &+ 113) &* k2
    var (v, w): ((UInt64, UInt64), (UInt64, UInt64)) = ((0, 0), (0, 0))
    let end = (count - 1) / 64 * 64
    var at = 0
    repeat {
      x = rotate(x &+ y &+ v.0 &+ u64(at + 8), 37) &* k1
      y = rotate(y &+ v.1 &+ u64(at + 48), 42) &* k1
      x ^= w.1
      y = y &+ v.0 &+ u64(at + 40)
      z = rotate(z &+ w.0, 33) &* k1
      v = weak(at, v.1 &* k1, x &+ w.0)
      w = weak(at + 32, z &+ w.1, y &+ u64(at + 16))
      swap(&z, &x)
      at += 64
    } while at != end
    let mul = k1 &+ (z & 0xff) << 1
    at = count - 64
    w.0 = w.0 &+ UInt64((count - 1) & 63)
    v.0 = v.0 &+ w.0
    w.0 = w.0 &+ v.0
    x = rotate(x &+ y &+ v.0 &+ u64(at + 8), 37) &* mul
    y = rotate(y &+ v.1 &+ u64(at + 48), 42) &* mul
    x ^= w.1 &* 9
    y = y &+ v.0 &* 9 &+ u64(at + 40)
    z = rotate(z &+ w.0, 33) &* mul
    v = weak(at, v.1 &* mul, x &+ w.0)
    w = weak(at + 32, z &+ w.1, y &+ u64(at + 16))
    swap(&z, &x)
    return fold(fold(v.0, w.0, mul) &+ mix(y) &* k0 &+ z, fold(v.1, w.1, mul) &+ x, mul)
  }
}

/// TensorFlow's `Hash64` (MurmurHash64A with its seed).
func hash64(_ span: RawSpan) -> UInt64 {
  let m: UInt64 = 0xc6a4_a793_5bd1_e995
  return unsafe span.withUnsafeBytes { bytes in
    var h = 0xDECAFCAFFE ^ UInt64(bytes.count) &* m
    var at = 0
    while at + 8 <= bytes.count {
      var k = unsafe bytes.loadUnaligned(fromByteOffset: at, as: UInt64.self) &* m
      k ^= k >> 47
      h = (h ^ k &* m) &* m
      at += 8
    }
    if at < bytes.count {
      for i in (at..<bytes.count).reversed() { h ^= unsafe UInt64(bytes[i]) << UInt64(8 * (i - at)) }
      h = h &* m
    }
    h = (h ^ h >> 47) &* m
    return h ^ h >> 47
  }
}

/// SipHash-2-4 (Aumasson, Bernstein: "SipHash: a fast short-input PRF").
func sipHash(_ span: RawSpan, _ k0: UInt64, _ k1: UInt64) -> UInt64 {
  var (a, b) = (k0 ^ 0x736f_6d65_7073_6575, k1 ^ 0x646f_7261_6e64_6f6d)
  var (c, d) = (k0 ^ 0x6c79_6765_6e65_7261, k1 ^ 0x7465_6462_7974_6573)
  func rotate(_ x: UInt64, _ by: UInt64) -> UInt64 { x << by | x >> (64 - by) }
  func round() {
    a = a &+ b
    b = rotate(b, 13) ^ a
    a = rotate(a, 32)
    c = c &+ d
    d = rotate(d, 16) ^ c
    a = a &+ d
    d = rotate(d, 21) ^ a
    c = c &+ b
    b = rotate(b, 17) ^ c
    c = rotate(c, 32)
  }
  unsafe span.withUnsafeBytes { bytes in
    func take(_ word: UInt64) {
      d ^= word
      round()
      round()
      a ^= word
    }
    var at = 0
    while at + 8 <= bytes.count {
      take(unsafe bytes.loadUnaligned(fromByteOffset: at, as: UInt64.self))
      at += 8
    }
    var last = UInt64(bytes.count & 0xff) << 56
    for i in at..<bytes.count { unsafe last |= UInt64(bytes[i]) << UInt64(8 * (i - at)) }
    take(last)
  }
  c ^= 0xff
  for _ in 0..<4 { round() }
  return a ^ b ^ c ^ d
}
