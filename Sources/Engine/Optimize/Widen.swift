// Half and bfloat16 are stored short and computed long: the dense ops know float and double only. Where a model asks them for a
// short type, casts are put around them; those of constants are folded away, and a weight is then packed as float.
internal import Tensors

extension Subgraph {
  /// The inputs of the short type, for each op whose kernel wants floats.
  private static let widened: [String: [Int]] = {
    var result: [String: [Int]] = [
      "MatMul": [0, 1], "BatchMatMul": [0, 1], "BatchMatMulV2": [0, 1], "BatchMatMulV3": [0, 1], "Einsum": [0, 1],
      "Conv2D": [0, 1], "Conv3D": [0, 1], "DepthwiseConv2dNative": [0, 1], "Conv2DBackpropInput": [1, 2],
      "Conv3DBackpropInputV2": [1, 2], "FusedBatchNorm": [0, 1, 2, 3, 4],
    ]
    for op in [
      "MaxPool", "MaxPoolV2", "AvgPool", "MaxPool3D", "AvgPool3D", "FusedBatchNormV2", "FusedBatchNormV3", "LRN", "L2Loss",
      "Softmax", "LogSoftmax", "Relu", "Relu6", "LeakyRelu", "Elu", "Selu", "Softplus", "Softsign",
    ] { result[op] = [0] }
    return result
  }()

  func widened() -> Subgraph {
    func shortType(_ node: Node) -> DType? {
      for name in ["T", "Ta"] {
        if case .type(let type)? = node.attributes[name], type == .half || type == .bfloat16 { return type }
      }
      return nil
    }
    guard nodes.contains(where: { Subgraph.widened[$0.op] != nil && shortType($0) != nil }) else { return self }
    var result: [Node] = []
    // Where each old node stands now, and where the first output of a widened one is found.
    var position: [Int] = []
    var narrowed: [Int: Int] = [:]
    func moved(_ endpoint: Endpoint) -> Endpoint {
      if endpoint.output == 0, let cast = narrowed[endpoint.node] { return Endpoint(node: cast) }
      return Endpoint(node: position[endpoint.node], output: endpoint.output)
    }
    func cast(_ source: Endpoint, _ name: String, from: DType, to: DType) -> Int {
      result.append(
        Node(name: name, op: "Cast", inputs: [source], attributes: ["SrcT": .type(from), "DstT": .type(to)]))
      return result.count - 1
    }
    for (i, old) in nodes.enumerated() {
      var node = old
      node.inputs = old.inputs.map(moved)
      guard let inputs = Subgraph.widened[old.op], let type = shortType(old) else {
        position.append(result.count)
        result.append(node)
        continue
      }
      for input in inputs where input < node.inputs.count {
        node.inputs[input] = Endpoint(
          node: cast(node.inputs[input], "\(node.name)/float\(input)", from: type, to: .float))
      }
      var given = type
      if case .type(let type)? = node.attributes["Tout"] { given = type }
      for name in ["T", "Ta", "Tb", "Tout"] where node.attributes[name] != nil { node.attributes[name] = .type(.float) }
      position.append(result.count)
      result.append(node)
      narrowed[i] = cast(Endpoint(node: result.count - 1), node.name, from: .float, to: given)
    }
    return Subgraph(
      nodes: result, inputs: inputs.map { position[$0] }, outputs: outputs.map(moved), targets: targets.map { position[$0] })
  }
}
