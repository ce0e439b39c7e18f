// Random numbers as TensorFlow makes them (tensorflow/core/lib/random): Philox 4x32-10, a counter that is enciphered. With the seeds a
// model gives, the numbers are TensorFlow's, run by run; without seeds nobody can tell. A run takes its part of the sequence, whoever
// runs beside it.
//
//   dropout in a TF1 graph:   floor(RandomUniform(shape) + keep_prob) * x / keep_prob
internal import Glibc
internal import Synchronization
internal import Tensors

let randomKernels: [KernelDefinition] = [
  random("RandomUniform") { stream, out in
    switch out.dtype {
    case .float: unsafe stream.fill(out.pointer(Float.self), out.count, 4) { $0.uniforms }
    case .double: unsafe stream.fill(out.pointer(Double.self), out.count, 2) { $0.doubleUniforms }
    default: return false
    }
    return true
  },
  random("RandomStandardNormal") { stream, out in
    switch out.dtype {
    case .float: unsafe stream.fill(out.pointer(Float.self), out.count, 4) { $0.normals }
    default: return false
    }
    return true
  },
  random("TruncatedNormal") { stream, out in
    guard out.dtype == .float else { return false }
    unsafe stream.fillTruncated(out.pointer(Float.self), out.count)
    return true
  },
  KernelDefinition("RandomUniformInt", .reads) { node throws(GraphError) in
    let source = try PhiloxSource(node)
    let type = try node.dtype("Tout")
    guard type == .int32 || type == .int64 else { throw node.unsupported("numbers of type \(type)") }
    return { frame throws(RunError) in
      let shape = try frame.randomShape()
      guard frame.input(1).dtype == type, frame.input(2).dtype == type else { throw .invalidArgument("minval and maxval must be \(type)") }
      guard frame.input(1).shape.rank == 0 else { throw .invalidArgument("minval must be 0-D, got shape \(frame.input(1).shape)") }
      guard frame.input(2).shape.rank == 0 else { throw .invalidArgument("maxval must be 0-D, got shape \(frame.input(2).shape)") }
      let (low, high) = (try frame.scalar(1, "minval"), try frame.scalar(2, "maxval"))
      let out = try frame.output(0, type, shape)
      if out.count == 0 { return }
      guard low < high else { throw .invalidArgument("Need minval < maxval, got \(low) >= \(high)") }
      let range = UInt64(bitPattern: Int64(high &- low))
      var stream = source.take(out.count)
      if type == .int32 {
        unsafe stream.fill(out.pointer(Int32.self), out.count, 4) { block in
          [4 of Int32] { Int32(truncatingIfNeeded: low &+ Int(block[$0] % UInt32(truncatingIfNeeded: range))) }
        }
      } else {
        unsafe stream.fill(out.pointer(Int64.self), out.count, 2) { block in
          [4 of Int64] { i in
            let word = UInt64(block[i * 2 & 3]) | UInt64(block[(i * 2 + 1) & 3]) << 32
            return Int64(low) &+ Int64(bitPattern: word % range)
          }
        }
      }
    }
  },
]

/// An op whose input is the shape of what it makes.
private func random(
  _ op: String, _ fill: @escaping @Sendable (inout Philox, Value) -> Bool
) -> KernelDefinition {
  KernelDefinition(op, .reads) { node throws(GraphError) in
    let source = try PhiloxSource(node)
    let type = try node.dtype("dtype")
    // Short floats are rounded from their own generator in TensorFlow, which no dropout uses.
    guard type == .float || type == .double && op == "RandomUniform" else { throw node.unsupported("numbers of type \(type)") }
    return { frame throws(RunError) in
      let out = try frame.output(0, type, try frame.randomShape())
      var stream = source.take(out.count)
      guard fill(&stream, out) else { throw .unimplemented("\(op) of \(type)") }
    }
  }
}

extension Frame {
  fileprivate func randomShape() throws(RunError) -> Shape {
    let shape = input(0)
    guard shape.shape.rank == 1, shape.dtype == .int32 || shape.dtype == .int64 else {
      throw .invalidArgument("shape must be a vector of {int32,int64}, got shape \(shape.shape)")
    }
    return try Shape(checking: try shape.dims())
  }
}

/// Where a node's runs take their numbers from.
private final class PhiloxSource: Sendable {
  private let start: Philox
  /// The blocks that were taken.
  private let taken = Atomic<UInt64>(0)

  init(_ node: NodeContext) throws(GraphError) {
    var seeds = (UInt64(bitPattern: Int64(try node.int("seed", default: 0))), UInt64(bitPattern: Int64(try node.int("seed2", default: 0))))
    if seeds == (0, 0) { seeds = (.random(in: .min ... .max), .random(in: .min ... .max)) }
    start = Philox(seeds.0, seeds.1)
  }

  /// A stream for so many numbers, nobody else's.
  func take(_ count: Int) -> Philox {
    // As many as TensorFlow sets aside for those that are drawn again and again.
    let blocks = UInt64(count) &* 256
    var stream = start
    stream.skip(taken.wrappingAdd(blocks, ordering: .relaxed).oldValue)
    return stream
  }
}

private typealias Block = [4 of UInt32]

/// The generator: a key and a counter of 128 bits; each count is a block of four numbers.
private struct Philox {
  private let key: (UInt32, UInt32)
  private var counter: (low: UInt64, high: UInt64)

  init(_ seed: UInt64, _ seed2: UInt64) {
    key = (UInt32(truncatingIfNeeded: seed), UInt32(truncatingIfNeeded: seed >> 32))
    counter = (0, seed2)
  }

  mutating func skip(_ blocks: UInt64) {
    let (low, overflow) = counter.low.addingReportingOverflow(blocks)
    counter = (low, overflow ? counter.high &+ 1 : counter.high)
  }

  mutating func next() -> Block {
    var c: Block = [
      UInt32(truncatingIfNeeded: counter.low), UInt32(truncatingIfNeeded: counter.low >> 32), UInt32(truncatingIfNeeded: counter.high),
      UInt32(truncatingIfNeeded: counter.high >> 32),
    ]
    var (k0, k1) = key
    for _ in 0..<10 {
      let (a, b) = (UInt64(c[0]) * 0xD251_1F53, UInt64(c[2]) * 0xCD9E_8D57)
      c = [
        UInt32(truncatingIfNeeded: b >> 32) ^ c[1] ^ k0, UInt32(truncatingIfNeeded: b), UInt32(truncatingIfNeeded: a >> 32) ^ c[3] ^ k1,
        UInt32(truncatingIfNeeded: a),
      ]
      k0 &+= 0x9E37_79B9
      k1 &+= 0xBB67_AE85
    }
    skip(1)
    return c
  }

  /// Fills memory from one block after the other, the first `size` of what each makes.
  /// - Precondition: there is room for `count` elements.
  @unsafe mutating func fill<Element>(_ out: UnsafeMutablePointer<Element>, _ count: Int, _ size: Int, _ make: (Block) -> [4 of Element]) {
    var at = 0
    while at < count {
      let elements = make(next())
      for i in 0..<min(size, count - at) { unsafe out[at + i] = elements[i] }
      at += size
    }
  }

  /// Normal numbers below two, others drawn again: each four from a stretch of 256 blocks of their own.
  /// - Precondition: there is room for `count` elements.
  @unsafe mutating func fillTruncated(_ out: UnsafeMutablePointer<Float>, _ count: Int) {
    let start = self
    var at = 0
    while at < count {
      var stream = start
      stream.skip(UInt64(at / 4) * 256)
      var found = 0
      while found < min(4, count - at) {
        let numbers = stream.next().normals
        for i in 0..<4 where abs(numbers[i]) < 2 && found < min(4, count - at) {
          unsafe out[at + found] = numbers[i]
          found += 1
        }
      }
      at += 4
    }
  }
}

extension [4 of UInt32] {
  /// Numbers from zero to below one.
  fileprivate var uniforms: [4 of Float] { [4 of Float] { Float(bitPattern: self[$0] & 0x7F_FFFF | 127 << 23) - 1 } }

  /// Two of them.
  fileprivate var doubleUniforms: [4 of Double] {
    [4 of Double] { i in
      guard i < 2 else { return 0 }
      let mantissa = UInt64(self[i * 2] & 0xF_FFFF) << 32 | UInt64(self[i * 2 + 1])
      return Double(bitPattern: mantissa | 1023 << 52) - 1
    }
  }

  /// Normal numbers by Box and Muller, two from two.
  fileprivate var normals: [4 of Float] {
    let uniforms = uniforms
    var result = [4 of Float](repeating: 0)
    for i in [0, 2] {
      // Multiplied as doubles, which shows near zero.
      let angle = Float(2 * Double.pi * Double(uniforms[i + 1]))
      let radius = sqrtf(-2 * logf(max(uniforms[i], 1e-7)))
      result[i] = sinf(angle) * radius
      result[i + 1] = cosf(angle) * radius
    }
    return result
  }
}
