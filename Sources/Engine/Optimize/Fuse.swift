// Layers made of several ops become one step: what follows a product (a bias, an activation) is done while its numbers are still
// in registers, and a scale that is known at load is multiplied into the weights.
//
//   Conv2D → FusedBatchNorm → Relu        becomes   _FusedConv2D [BiasAdd, Relu], filter and bias scaled
//   MatMul → BiasAdd → Tanh               becomes   _FusedMatMul [BiasAdd, Tanh]
//   x * a + b                             becomes   _ScaleShift
//
// A rule looks at one node and returns a patch: the node to stand in its place. What the patch made superfluous is pruned. Every
// rule asks that nobody else reads what disappears. The names of the fused ops are those of TensorFlow's remapper.
internal import Tensors

extension Subgraph {
  /// A node in place of another; constants of its own may stand among its inputs.
  struct Patch {
    enum Input {
      case endpoint(Endpoint)
      case constant(Tensor)
    }
    var node: Node
    var inputs: [Input]
  }

  /// A graph more often rewritten than this is being rewritten in circles.
  private static let passesMax = 16

  func fused(_ session: Session) -> Subgraph {
    var result = self
    for _ in 0..<Subgraph.passesMax {
      guard let next = result.fusedOnce(session) else { break }
      result = next
    }
    return result
  }

  /// The graph with every patch applied that can be without waiting for another; `nil` when there is none.
  private func fusedOnce(_ session: Session) -> Subgraph? {
    let readers = readerCounts
    var patches: [Int: Patch] = [:]
    var taken: Set<Int> = []
    for i in nodes.indices {
      let site = Site(graph: self, session: session, readers: readers, node: i)
      for rule in Site.rules {
        guard let patch = rule(site), session.registry[patch.node.op] != nil else { continue }
        // A node that an earlier patch is about to change waits for the next pass.
        let sources = nodes[i].inputs.map(\.node)
        if taken.isDisjoint(with: sources) {
          patches[i] = patch
          taken.insert(i)
          taken.formUnion(sources)
        }
        break
      }
    }
    return patches.isEmpty ? nil : patched(patches)
  }

  private func patched(_ patches: [Int: Patch]) -> Subgraph {
    var result: [Node] = []
    var position: [Int] = []
    func moved(_ endpoint: Endpoint) -> Endpoint { Endpoint(node: position[endpoint.node], output: endpoint.output) }
    for (i, old) in nodes.enumerated() {
      var node = patches[i]?.node ?? old
      if let patch = patches[i] {
        node.inputs = []
        for (j, input) in patch.inputs.enumerated() {
          switch input {
          case .endpoint(let endpoint): node.inputs.append(moved(endpoint))
          case .constant(let tensor):
            node.inputs.append(Endpoint(node: result.count))
            result.append(Node(name: "\(node.name)/fused\(j)", op: "Const", attributes: ["value": .tensor(tensor)]))
          }
        }
      } else {
        node.inputs = old.inputs.map(moved)
      }
      position.append(result.count)
      result.append(node)
    }
    var graph = Subgraph(
      nodes: result, inputs: inputs.map { position[$0] }, outputs: outputs.map(moved), targets: targets.map { position[$0] })
    graph.prune()
    return graph
  }

  /// For each node, how many read it: as an input, as an output of the plan, or for what it does.
  private var readerCounts: [Int] {
    var counts = [Int](repeating: 0, count: nodes.count)
    for node in nodes { for input in node.inputs { counts[input.node] += 1 } }
    for node in outputs.map(\.node) + targets + inputs { counts[node] += 1 }
    return counts
  }
}

/// A node as the rules see it, with the graph around it.
private struct Site {
  let graph: Subgraph
  let session: Session
  let readers: [Int]
  let node: Int

  static let rules: [@Sendable (Site) -> Subgraph.Patch?] = [
    { $0.paddedConvolution() }, { $0.biasOfProduct() }, { $0.sumWithVector() }, { $0.activationOfProduct() }, { $0.normalizationOfConvolution() },
    { $0.scaleOfProduct() }, { $0.sumWithTensor() }, { $0.scaleAndShift() }, { $0.swish() },
  ]

  var this: Node { graph.nodes[node] }

  /// The node behind an input, when nobody else reads it.
  func only(_ input: Int) -> Node? {
    guard input < this.inputs.count else { return nil }
    let source = this.inputs[input]
    guard source.output == 0, readers[source.node] == 1 else { return nil }
    return graph.nodes[source.node]
  }

  func constant(_ endpoint: Endpoint) -> Tensor? {
    let node = graph.nodes[endpoint.node]
    return node.op == "Const" ? node.constant : nil
  }

  func constant(_ input: Int) -> Tensor? { input < this.inputs.count ? constant(this.inputs[input]) : nil }

  // MARK: Padding

  /// `Pad → convolution`, zeros around the pixels: the convolution imagines them itself.
  func paddedConvolution() -> Subgraph.Patch? {
    guard let layer = FusedLayer(this), !layer.isMatrix, this.text("padding", "") == "VALID",
      this.text("data_format", "NHWC") == "NHWC", let pad = only(0), pad.op == "Pad", pad.inputs.count == 2,
      let amounts = constant(pad.inputs[1]), amounts.shape == [4, 2], amounts.dtype == .int32 || amounts.dtype == .int64
    else { return nil }
    let list = amounts.dtype == .int32 ? amounts.array(of: Int32.self).map(Int.init) : amounts.array(of: Int64.self).map(Int.init)
    guard list.allSatisfy({ $0 >= 0 && $0 < 1 << 31 }), list[0] == 0, list[1] == 0, list[6] == 0, list[7] == 0 else { return nil }
    var node = this
    node.attributes["padding"] = .string(Array("EXPLICIT".utf8))
    node.attributes["explicit_paddings"] = .list(list.map { .int($0) })
    return Subgraph.Patch(node: node, inputs: [.endpoint(pad.inputs[0])] + this.inputs[1...].map { .endpoint($0) })
  }

  // MARK: Bias and activation

  /// `product → BiasAdd`
  func biasOfProduct() -> Subgraph.Patch? {
    guard this.op == "BiasAdd", let product = only(0).flatMap(FusedLayer.init), product.tail.isEmpty, this.inputs.count == 2,
      product.isMatrix || this.text("data_format", "NHWC") == product.node.text("data_format", "NHWC")
    else { return nil }
    return product.appending("BiasAdd", [.endpoint(this.inputs[1])], as: this)
  }

  /// `product → Add(vector)`, the vector as long as the product has columns.
  func sumWithVector() -> Subgraph.Patch? {
    guard ["Add", "AddV2"].contains(this.op), this.inputs.count == 2 else { return nil }
    for (x, y) in [(0, 1), (1, 0)] {
      guard let vector = constant(y), let product = only(x).flatMap(FusedLayer.init), let columns = product.columns(self),
        let bias = vector.asVector(of: columns, in: product.rank)
      else { continue }
      if product.tail.isEmpty { return product.appending("BiasAdd", [.constant(bias)], as: this) }
      // A second bias is added to the first, where that is known.
      guard product.tail == ["BiasAdd"], product.node.inputs.count == 3, let first = constant(product.node.inputs[2])?.floats,
        let second = bias.floats, first.count == second.count
      else { continue }
      let sum = Tensor(.float, shape: [columns], zip(first, second).map(+))
      var node = product.node
      node.name = this.name
      return Subgraph.Patch(node: node, inputs: product.node.inputs[..<2].map { .endpoint($0) } + [.constant(sum)])
    }
    return nil
  }

  /// `convolution (→ bias) → Add(another layer)`: what a residual network is made of.
  func sumWithTensor() -> Subgraph.Patch? {
    guard ["Add", "AddV2"].contains(this.op), this.inputs.count == 2 else { return nil }
    for (x, y) in [(0, 1), (1, 0)] {
      guard let product = only(x).flatMap(FusedLayer.init), product.op == "Conv2D", product.tail == ["BiasAdd"],
        constant(y) == nil, this.inputs[x] != this.inputs[y]
      else { continue }
      return product.appending("Add", [.endpoint(this.inputs[y])], as: this)
    }
    return nil
  }

  /// `product (→ bias) (→ Add) → activation`
  func activationOfProduct() -> Subgraph.Patch? {
    guard Activation(op: this.op) != nil, let product = only(0).flatMap(FusedLayer.init),
      product.tail.allSatisfy({ $0 == "BiasAdd" || $0 == "Add" })
    else { return nil }
    var patch = product.appending(this.op, [], as: this)
    if this.op == "LeakyRelu" { patch.node.attributes["leakyrelu_alpha"] = this.attributes["alpha"] ?? .float(0.2) }
    return patch
  }

  // MARK: Scales

  /// `convolution (→ bias) → FusedBatchNorm`, all of its numbers known.
  func normalizationOfConvolution() -> Subgraph.Patch? {
    guard ["FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"].contains(this.op),
      case .bool(false)? = this.attributes["is_training"], graph.outputCounts[node] <= 1,
      let product = only(0).flatMap(FusedLayer.init), !product.isMatrix,
      this.text("data_format", "NHWC") == product.node.text("data_format", "NHWC"), let scale = constant(1)?.floats,
      let offset = constant(2)?.floats, let mean = constant(3)?.floats, let variance = constant(4)?.floats
    else { return nil }
    var epsilon: Float = 0.0001
    if case .float(let value)? = this.attributes["epsilon"] { epsilon = value }
    guard Set([scale, offset, mean, variance].map(\.count)).count == 1 else { return nil }
    let factors = scale.indices.map { scale[$0] / (variance[$0] + epsilon).squareRoot() }
    return product.scaled(self, by: factors, plus: offset.indices.map { offset[$0] - mean[$0] * factors[$0] })
  }

  /// `product (→ bias) → Mul(vector)`
  func scaleOfProduct() -> Subgraph.Patch? {
    guard this.op == "Mul", this.inputs.count == 2 else { return nil }
    for (x, y) in [(0, 1), (1, 0)] {
      guard let vector = constant(y), let product = only(x).flatMap(FusedLayer.init),
        let columns = product.columns(self), let factors = vector.asVector(of: columns, in: product.rank)?.floats
      else { continue }
      return product.scaled(self, by: factors, plus: nil)
    }
    return nil
  }

  /// `x * a + b` with numbers for a and b.
  func scaleAndShift() -> Subgraph.Patch? {
    guard ["Add", "AddV2"].contains(this.op), this.inputs.count == 2 else { return nil }
    for (x, y) in [(0, 1), (1, 0)] {
      guard let shift = constant(y), let product = only(x), product.op == "Mul", product.inputs.count == 2 else { continue }
      for (u, v) in [(0, 1), (1, 0)] {
        guard let scale = constant(product.inputs[v]), scale.shape.rank == 0, shift.shape.rank == 0, scale.dtype == .float,
          shift.dtype == .float
        else { continue }
        return Subgraph.Patch(
          node: Node(name: this.name, op: "_ScaleShift", attributes: ["T": .type(.float)]),
          inputs: [.endpoint(product.inputs[u]), .constant(scale), .constant(shift)])
      }
    }
    return nil
  }

  /// `x * sigmoid(x)`
  func swish() -> Subgraph.Patch? {
    guard this.op == "Mul", this.inputs.count == 2, case .type(.float)? = this.attributes["T"] else { return nil }
    for (x, y) in [(0, 1), (1, 0)] {
      guard let sigmoid = only(y), sigmoid.op == "Sigmoid", sigmoid.inputs == [this.inputs[x]] else { continue }
      return Subgraph.Patch(
        node: Node(name: this.name, op: "_Swish", attributes: ["T": .type(.float)]), inputs: [.endpoint(this.inputs[x])])
    }
    return nil
  }
}

/// A product of the kind that takes a tail.
private struct FusedLayer {
  let node: Node
  /// The op without its tail.
  let op: String
  /// What follows it already.
  let tail: [String]

  init?(_ node: Node) {
    let base = node.op.hasPrefix("_Fused") ? String(node.op.dropFirst(6)) : node.op
    guard ["MatMul", "Conv2D", "DepthwiseConv2dNative"].contains(base) else { return nil }
    // Integers are multiplied by kernels that know no tails.
    switch node.attributes["T"] {
    case .type(.float)?, .type(.double)?, nil: break
    default: return nil
    }
    self.node = node
    op = base
    tail =
      if case .list(let ops)? = node.attributes["fused_ops"] {
        ops.compactMap { if case .string(let bytes) = $0 { String(decoding: bytes, as: UTF8.self) } else { nil } }
      } else { [] }
  }

  var isMatrix: Bool { op == "MatMul" }
  /// Of the output.
  var rank: Int { isMatrix ? 2 : 4 }

  /// The number of columns (channels) of the output, when it is known and they come last.
  func columns(_ site: Site) -> Int? {
    guard node.text("data_format", "NHWC") == "NHWC", let shape = site.constant(node.inputs[1])?.shape, shape.rank == rank
    else { return nil }
    switch op {
    case "MatMul":
      if case .bool(true)? = node.attributes["transpose_b"] { return shape[0] }
      return shape[1]
    case "DepthwiseConv2dNative": return shape[2] * shape[3]
    default: return shape[3]
    }
  }

  /// The same with one op more behind it, under the name of the node that was that op.
  func appending(_ op: String, _ inputs: [Subgraph.Patch.Input], as last: Node) -> Subgraph.Patch {
    var fused = node
    fused.name = last.name
    fused.op = "_Fused" + self.op
    fused.attributes["fused_ops"] = .list((tail + [op]).map { .string(Array($0.utf8)) })
    return Subgraph.Patch(node: fused, inputs: node.inputs.map { .endpoint($0) } + inputs)
  }

  /// The same with `columns * factors + offsets` put into its filter and its bias; `nil` unless both are known.
  func scaled(_ site: Site, by factors: [Float], plus offsets: [Float]?) -> Subgraph.Patch? {
    guard tail.isEmpty || tail == ["BiasAdd"], let filter = site.constant(node.inputs[1]), filter.dtype == .float,
      filter.shape.rank == rank, filter.shape.count % max(factors.count, 1) == 0, !factors.isEmpty
    else { return nil }
    let transposed = if case .bool(true)? = node.attributes["transpose_b"] { true } else { false }
    let columns = isMatrix ? filter.shape[transposed ? 0 : 1] : op == "Conv2D" ? filter.shape[3] : filter.shape[2] * filter.shape[3]
    guard columns == factors.count else { return nil }
    var bias = [Float](repeating: 0, count: columns)
    if !tail.isEmpty {
      guard node.inputs.count == 3, let known = site.constant(node.inputs[2])?.floats, known.count == columns else { return nil }
      bias = known
    }
    // Plans that share a filter share the scaled one.
    let scaled = site.session.packed.scaled(filter, by: factors, rows: transposed)
    for c in 0..<columns { bias[c] = bias[c] * factors[c] + (offsets?[c] ?? 0) }
    var patch = appending("BiasAdd", [], as: site.this)
    patch.node.attributes["fused_ops"] = .list(
      tail.isEmpty && offsets == nil ? [] : [.string(Array("BiasAdd".utf8))])
    patch.inputs = [.endpoint(node.inputs[0]), .constant(scaled)]
    if !(tail.isEmpty && offsets == nil) { patch.inputs.append(.constant(Tensor(.float, shape: [columns], bias))) }
    return patch
  }
}

extension Node {
  fileprivate func text(_ name: String, _ fallback: String) -> String {
    if case .string(let bytes)? = attributes[name] { String(decoding: bytes, as: UTF8.self) } else { fallback }
  }
}

extension Tensor {
  /// The numbers, when they are floats.
  fileprivate var floats: [Float]? { dtype == .float ? array(of: Float.self) : nil }

  /// The tensor as a vector of `count`, when it is one but for leading ones, and adding it to a tensor of `rank` dimensions
  /// leaves that one's shape.
  fileprivate func asVector(of count: Int, in rank: Int) -> Tensor? {
    guard shape.rank >= 1, shape.rank <= rank, shape.count == count, shape[shape.rank - 1] == count, dtype == .float else { return nil }
    return shape.rank == 1 ? self : Tensor(.float, shape: [count], array(of: Float.self))
  }
}
