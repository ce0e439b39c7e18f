import Engine
import Tensors
import TestThreads
import Testing

/// Ops whose inputs are not what any graph would give them: too few, of other types and shapes, with numbers out of all bounds.
/// Whatever comes out, the process lives.
@Suite(.blocking) struct HostileInputTests {
  @Test(arguments: GoldenTests.families, UInt64(1)...4)
  func `no input stops the process`(family: String, seed: UInt64) throws {
    var random = Generator(state: seed)
    for golden in try Golden.load(family) {
      let tensors = golden.in.map(\.tensor)
      let constants = golden.in.map { $0.c == true }
      run(golden, random.mutated(tensors), constants)
    }
  }

  private func run(_ golden: Golden, _ inputs: [Tensor], _ constants: [Bool]) {
    var nodes: [Node] = []
    var feeds: [Int] = []
    for (i, tensor) in inputs.enumerated() {
      if i < constants.count, constants[i] {
        nodes.append(Node(name: "x\(i)", op: "Const", attributes: ["value": .tensor(tensor)]))
      } else {
        feeds.append(i)
        nodes.append(Node(name: "x\(i)", op: "Placeholder"))
      }
    }
    nodes.append(
      Node(
        name: "node", op: golden.op, inputs: inputs.indices.map { Endpoint(node: $0) },
        attributes: golden.attrs.compactMapValues { $0?.attribute }))
    // One output more than the op has.
    let fetches = (0...(golden.out?.count ?? 1)).map { Endpoint(node: inputs.count, output: $0) }
    guard
      let plan = try? Session(Graph(nodes: nodes)).plans([
        .init(feeds: feeds.map { Endpoint(node: $0) }, fetches: fetches)
      ])[0]
    else { return }
    var frame = Frame(bytesMax: 1 << 24)
    frame.begin(plan)
    for (i, input) in feeds.enumerated() { frame.feed(i, inputs[input]) }
    try? frame.run(plan)
    for i in fetches.indices { _ = frame.output(i, of: plan).byteCount }
  }

  /// SplitMix64: the seed is the test.
  private struct Generator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
      state &+= 0x9E37_79B9_7F4A_7C15
      var z = state
      z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
      z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
      return z ^ (z >> 31)
    }

    mutating func mutated(_ tensors: [Tensor]) -> [Tensor] {
      var tensors = tensors
      guard !tensors.isEmpty else { return tensors }
      let at = Int.random(in: 0..<tensors.count, using: &self)
      switch Int.random(in: 0..<6, using: &self) {
      case 0: tensors.remove(at: at)
      case 1: tensors.swapAt(0, at)
      case 2: tensors[at] = numbers(like: tensors[at])
      case 3: tensors[at] = reshaped(tensors[at])
      case 4: tensors[at] = tensors[Int.random(in: 0..<tensors.count, using: &self)]
      default: tensors[at] = .init(.int32, shape: [2], [Int32.max, -1])
      }
      return tensors
    }

    /// Numbers from the edges of the type.
    private mutating func numbers(like tensor: Tensor) -> Tensor {
      func filled<T: BitwiseCopyable>(_ choices: [T]) -> Tensor {
        Tensor(tensor.dtype, shape: tensor.shape, (0..<tensor.shape.count).map { _ in choices.randomElement(using: &self)! })
      }
      switch tensor.dtype {
      case .int32: return filled([Int32.min, -1, 0, 1, 7, 1 << 20, .max])
      case .int64: return filled([Int64.min, -1, 0, 1, 7, 1 << 40, .max])
      case .float: return filled([-Float.infinity, .nan, 0, -1e30, 3e9, .leastNonzeroMagnitude])
      case .double: return filled([-Double.infinity, .nan, 0, -1e300, 3e18, .leastNonzeroMagnitude])
      case .int8: return filled([Int8.min, -1, 0, .max])
      case .bool: return filled([UInt8(0), 1, 2, 255])
      case .string:
        return Tensor(
          shape: tensor.shape,
          strings: (0..<tensor.shape.count).map { _ in (0..<Int.random(in: 0..<9, using: &self)).map { _ in UInt8.random(in: 0...255, using: &self) } })
      default: return tensor
      }
    }

    /// The same elements under another shape, or none.
    private mutating func reshaped(_ tensor: Tensor) -> Tensor {
      let n = tensor.shape.count
      let shapes: [Shape] = [[n], [1, n], [n, 1], [1, 1, 1, 1, 1, 1, 1, n], [0], [0, 3], [2, 0, 1 << 40]]
      let shape = shapes.randomElement(using: &self)!
      if tensor.dtype == .string { return Tensor(shape: shape, strings: shape.count == 0 ? [] : tensor.strings) }
      // As many bytes as elements, or none of both.
      return unsafe tensor.view.bytes.withUnsafeBytes { bytes in
        unsafe Tensor(
          dtype: tensor.dtype, shape: shape, bytes: RawSpan(_unsafeBytes: UnsafeRawBufferPointer(rebasing: bytes[..<(shape.count == 0 ? 0 : bytes.count)])))
      }
    }
  }
}
