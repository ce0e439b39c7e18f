import Engine
import Tensors
import TestThreads
import Testing

/// Layers of several ops: what they become, and that they compute what the ops do.
@Suite(.blocking) struct FusionTests {
  private var generator = Numbers(seed: 20_241)

  /// Small numbers from a seed.
  private struct Numbers {
    var state: UInt64
    init(seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return state >> 33
    }
    mutating func int(_ range: ClosedRange<Int>) -> Int { range.lowerBound + Int(next() % UInt64(range.count)) }
    mutating func tensor(_ shape: Shape, positive: Bool = false) -> Tensor {
      Tensor(
        .float, shape: shape,
        (0..<shape.count).map { _ in positive ? Float(int(1...20)) / 10 : Float(int(-20...20)) / 10 })
    }
  }

  /// A graph as a list of ops; node 0 is the input.
  private struct Layers {
    var nodes = [Node(name: "x", op: "Placeholder")]

    mutating func constant(_ tensor: Tensor) -> Int {
      nodes.append(Node(name: "c\(nodes.count)", op: "Const", attributes: ["value": .tensor(tensor)]))
      return nodes.count - 1
    }

    mutating func add(_ op: String, _ inputs: [Int], _ attributes: [String: Attribute] = [:]) -> Int {
      var attributes = attributes
      attributes["T"] = .type(.float)
      nodes.append(Node(name: "\(op)\(nodes.count)", op: op, inputs: inputs.map { Endpoint(node: $0) }, attributes: attributes))
      return nodes.count - 1
    }

    /// The ops the plan has and what comes out of them for an input.
    func run(_ input: Tensor, fetching: [Int]? = nil) throws -> (ops: [String], outputs: [[Float]]) {
      let fetches = fetching ?? [nodes.count - 1]
      let plan = try Session(Graph(nodes: nodes)).plans([
        .init(feeds: [Endpoint(node: 0)], fetches: fetches.map { Endpoint(node: $0) })
      ])[0]
      var frame = Frame()
      frame.begin(plan)
      frame.feed(0, input)
      try frame.run(plan)
      return (plan.ops, fetches.indices.map { Tensor(copying: frame.output($0, of: plan).view).array(of: Float.self) })
    }

    /// The same with every node fetched, so that nothing can be fused.
    func plain(_ input: Tensor) throws -> [Float] {
      let fetches = nodes.indices.filter { nodes[$0].op != "Const" && $0 > 0 }
      return try run(input, fetching: fetches).outputs.last!
    }
  }

  private func expectClose(_ a: [Float], _ b: [Float], _ what: String) {
    let worst = zip(a, b).map { abs($0 - $1) / max(1, abs($1)) }.max() ?? 0
    #expect(a.count == b.count && worst < 1e-4, "\(what): off by \(worst)")
  }

  private func strings(_ text: String) -> Attribute { .string(Array(text.utf8)) }

  @Test mutating func `a dense layer is one step`() throws {
    for activation in ["Relu", "Relu6", "LeakyRelu", "Elu", "Sigmoid", "Tanh", "Selu"] {
      for bias in ["BiasAdd", "AddV2"] {
        var layers = Layers()
        let weights = layers.constant(generator.tensor([5, 7]))
        let product = layers.add("MatMul", [0, weights])
        let sum = layers.add(bias, [product, layers.constant(generator.tensor([7]))])
        _ = layers.add(activation, [sum])
        let input = generator.tensor([3, 5])
        let (ops, outputs) = try layers.run(input)
        #expect(ops == ["_FusedMatMul"])
        expectClose(outputs[0], try layers.plain(input), activation)
      }
    }
  }

  @Test mutating func `a convolution swallows padding, bias, normalisation, a sum and its activation`() throws {
    for round in 0..<8 {
      var layers = Layers()
      let one: Attribute = .list([.int(1), .int(1), .int(1), .int(1)])
      let pads = Tensor(.int32, shape: [4, 2], [0, 0, 1, 1, 0, 2, 0, 0].map { Int32($0) })
      let padded = layers.add("Pad", [0, layers.constant(pads)])
      var last = layers.add(
        "Conv2D", [padded, layers.constant(generator.tensor([3, 3, 4, 4]))], ["strides": one, "padding": strings("VALID")])
      if round % 2 == 0 { last = layers.add("BiasAdd", [last, layers.constant(generator.tensor([4]))]) }
      if round < 4 {
        let numbers = [generator.tensor([4]), generator.tensor([4]), generator.tensor([4]), generator.tensor([4], positive: true)]
        last = layers.add("FusedBatchNormV3", [last] + numbers.map { layers.constant($0) }, ["is_training": .bool(false)])
      } else {
        last = layers.add("Mul", [last, layers.constant(generator.tensor([4]))])
        last = layers.add("AddV2", [layers.constant(generator.tensor([1, 1, 1, 4])), last])
      }
      // The input is what is added: a residual, here of another shape in every second round.
      let residual = round % 4 < 2
      if residual { last = layers.add("AddV2", [last, 0]) }
      _ = layers.add("Relu", [last])
      let input = generator.tensor(residual ? [2, 1, 1, 4] : [2, 6, 5, 4])
      let (ops, outputs) = try layers.run(input)
      #expect(ops == ["_FusedConv2D"])
      expectClose(outputs[0], try layers.plain(input), "round \(round)")
    }
  }

  @Test mutating func `a residual block adds in place`() throws {
    var layers = Layers()
    let attributes: [String: Attribute] = [
      "strides": .list([.int(1), .int(1), .int(1), .int(1)]), "padding": strings("SAME"),
    ]
    var last = layers.add("Relu", [0])
    for _ in 0..<3 {
      let convolution = layers.add("Conv2D", [last, layers.constant(generator.tensor([3, 3, 4, 4]))], attributes)
      let sum = layers.add("BiasAdd", [convolution, layers.constant(generator.tensor([4]))])
      last = layers.add("Relu", [layers.add("AddV2", [last, sum])])
    }
    let input = generator.tensor([2, 7, 7, 4])
    let (ops, outputs) = try layers.run(input)
    #expect(ops == ["Relu", "_FusedConv2D", "_FusedConv2D", "_FusedConv2D"])
    expectClose(outputs[0], try layers.plain(input), "blocks")
  }

  @Test mutating func `what somebody else reads stays a step of its own`() throws {
    var layers = Layers()
    let product = layers.add("MatMul", [0, layers.constant(generator.tensor([5, 7]))])
    let sum = layers.add("BiasAdd", [product, layers.constant(generator.tensor([7]))])
    let relu = layers.add("Relu", [sum])
    let (ops, _) = try layers.run(generator.tensor([3, 5]), fetching: [relu, sum])
    #expect(ops == ["_FusedMatMul", "Relu"])
  }

  @Test mutating func `a number times a plus b is one step`() throws {
    var layers = Layers()
    let product = layers.add("Mul", [layers.constant(Tensor(.float, shape: [], [Float(0.5)])), 0])
    _ = layers.add("AddV2", [product, layers.constant(Tensor(.float, shape: [], [Float(2)]))])
    let (ops, outputs) = try layers.run(Tensor(.float, shape: [3], [Float(1), 2, 5]))
    #expect(ops == ["_ScaleShift"])
    #expect(outputs[0] == [2.5, 3, 4.5])
  }

  @Test mutating func `a convolution of any shape is what the sum over its window is`() throws {
    for _ in 0..<120 {
      let (height, width, channels) = (generator.int(1...9), generator.int(1...9), generator.int(1...5))
      let (kh, kw, filters) = (generator.int(1...4), generator.int(1...4), generator.int(1...36))
      let (stride, dilation) = (generator.int(1...3), generator.int(1...2))
      let pads = (0..<4).map { _ in generator.int(0...3) }
      let reach = ((kh - 1) * dilation + 1, (kw - 1) * dilation + 1)
      guard height + pads[0] + pads[1] >= reach.0, width + pads[2] + pads[3] >= reach.1 else { continue }
      let x = generator.tensor([2, height, width, channels])
      let f = generator.tensor([kh, kw, channels, filters])
      var layers = Layers()
      _ = layers.add(
        "Conv2D", [0, layers.constant(f)],
        [
          "strides": .list([1, stride, stride, 1].map { .int($0) }), "dilations": .list([1, dilation, dilation, 1].map { .int($0) }),
          "padding": strings("EXPLICIT"), "explicit_paddings": .list(([0, 0] + pads + [0, 0]).map { .int($0) }),
        ])
      let got = try layers.run(x).outputs[0]
      let (xs, fs) = (x.array(of: Float.self), f.array(of: Float.self))
      let (rows, columns) = (
        (height + pads[0] + pads[1] - reach.0) / stride + 1, (width + pads[2] + pads[3] - reach.1) / stride + 1
      )
      var want: [Float] = []
      for n in 0..<2 {
        for y in 0..<rows {
          for z in 0..<columns {
            for o in 0..<filters {
              var sum: Float = 0
              for i in 0..<kh {
                for j in 0..<kw {
                  let (r, c) = (y * stride - pads[0] + i * dilation, z * stride - pads[2] + j * dilation)
                  guard r >= 0, r < height, c >= 0, c < width else { continue }
                  for d in 0..<channels {
                    sum += xs[((n * height + r) * width + c) * channels + d] * fs[((i * kw + j) * channels + d) * filters + o]
                  }
                }
              }
              want.append(sum)
            }
          }
        }
      }
      expectClose(got, want, "\(x.shape) * \(f.shape), stride \(stride), dilation \(dilation), padding \(pads)")
    }
  }
}
