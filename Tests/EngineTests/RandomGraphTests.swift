import Tensors
import TestThreads
import Testing

@testable import Engine

/// Random graphs of two ops, evaluated twice: by a plan, with its slots, releases and reused memory, and by looking at the
/// nodes one after the other.
@Suite(.blocking) struct RandomGraphTests {
  /// SplitMix64 (Steele, Lea, Flood 2014): a seed is a whole test.
  struct Generator: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
      state &+= 0x9E37_79B9_7F4A_7C15
      var z = state
      z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
      z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
      return z ^ (z >> 31)
    }
  }

  /// `Add` in place when it may; `Both` has two outputs, the sum and the difference; `Double` calls a function.
  private static let kernels: [KernelDefinition] = [
    KernelDefinition("Add") { _ throws(GraphError) in
      { frame throws(RunError) in
        let (a, b) = (frame.input(0), frame.input(1))
        var out = try frame.output(0, .float, a.shape, reusing: 0)
        var span = out.mutableSpan(of: Float.self)
        for i in 0..<a.count { span[i] = a.span(of: Float.self)[i] + b.span(of: Float.self)[i] }
      }
    },
    KernelDefinition("Both") { _ throws(GraphError) in
      { frame throws(RunError) in
        let (a, b) = (frame.input(0), frame.input(1))
        var sum = try frame.output(0, .float, a.shape)
        var difference = try frame.output(1, .float, a.shape)
        for i in 0..<a.count {
          let (x, y) = (a.span(of: Float.self)[i], b.span(of: Float.self)[i])
          var span = sum.mutableSpan(of: Float.self)
          span[i] = x + y
          var other = difference.mutableSpan(of: Float.self)
          other[i] = x - y
        }
      }
    },
  ]
  private static let registry = KernelRegistry([controlKernels, resourceKernels, assignmentKernels, kernels])

  @Test(arguments: 0..<200 as Range<UInt64>)
  func `a plan computes what the nodes say`(seed: UInt64) throws {
    var random = Generator(state: seed)
    let length = Int.random(in: 1...5, using: &random)
    let inputCount = Int.random(in: 1...3, using: &random)
    var nodes: [Node] = (0..<inputCount).map { Node(name: "x\($0)", op: "Placeholder") }
    let inputs: [[Float]] = (0..<inputCount).map { _ in (0..<length).map { _ in Float(Int.random(in: -9...9, using: &random)) } }
    var values: [[[Float]]] = inputs.map { [$0] }
    for i in 0..<Int.random(in: 1...40, using: &random) {
      func pick() -> Endpoint {
        let node = Int.random(in: max(0, nodes.count - 8)..<nodes.count, using: &random)
        return Endpoint(node: node, output: Int.random(in: 0..<values[node].count, using: &random))
      }
      let (a, b) = (pick(), pick())
      let (x, y) = (values[a.node][a.output], values[b.node][b.output])
      switch Int.random(in: 0..<5, using: &random) {
      case 0:
        let constant = (0..<length).map { _ in Float(Int.random(in: -3...3, using: &random)) }
        nodes.append(Node(name: "c\(i)", op: "Const", attributes: ["value": .tensor(Tensor(.float, shape: Shape([length])!, constant))]))
        values.append([constant])
      case 1:
        nodes.append(Node(name: "b\(i)", op: "Both", inputs: [a, b]))
        values.append([zip(x, y).map { $0 + $1 }, zip(x, y).map { $0 - $1 }])
      case 2:
        nodes.append(Node(name: "f\(i)", op: "PartitionedCall", inputs: [a, b], attributes: ["f": .function(.init(name: "swap"))]))
        values.append([y, zip(x, y).map { $0 + $1 }])
      default:
        nodes.append(Node(name: "a\(i)", op: "Add", inputs: [a, b]))
        values.append([zip(x, y).map { $0 + $1 }])
      }
      // Numbers stay exact in a Float.
      if values[values.count - 1].joined().contains(where: { abs($0) > 1_000_000 }) {
        nodes.removeLast()
        values.removeLast()
      }
    }
    let swap = Function(
      name: "swap", argumentCount: 2,
      body: [
        Node(name: "a", op: "_Arg"), Node(name: "b", op: "_Arg"),
        Node(name: "sum", op: "Add", inputs: [Endpoint(node: 0), Endpoint(node: 1)]),
      ], results: [Endpoint(node: 1), Endpoint(node: 2)])
    let fetches = (0..<Int.random(in: 1...6, using: &random)).map { _ in
      let node = Int.random(in: 0..<nodes.count, using: &random)
      return Endpoint(node: node, output: Int.random(in: 0..<values[node].count, using: &random))
    }
    let plan = try Session(Graph(nodes: nodes, functions: ["swap": swap]), registry: RandomGraphTests.registry).plans([
      .init(feeds: (0..<inputCount).map { Endpoint(node: $0) }, fetches: fetches)
    ])[0]
    var frame = Frame()
    for wanted in [UInt64.max, UInt64.random(in: 1..<(1 << UInt64(fetches.count)), using: &random), .max] {
      frame.begin(plan)
      for (i, input) in inputs.enumerated() {
        if Bool.random(using: &random) {
          frame.feed(i, Tensor(.float, shape: Shape([length])!, input))
        } else {
          var value = try frame.feed(i, dtype: .float, shape: Shape([length])!)
          var span = value.mutableSpan(of: Float.self)
          for j in 0..<length { span[j] = input[j] }
        }
      }
      try frame.run(plan, wanted: wanted)
      for (i, fetch) in fetches.enumerated() where wanted & (1 << UInt64(i)) != 0 {
        let value = frame.output(i, of: plan)
        let got = (0..<length).map { value.span(of: Float.self)[$0] }
        #expect(got == values[fetch.node][fetch.output], "seed \(seed), output \(i), wanted \(wanted)")
      }
    }
  }
}
