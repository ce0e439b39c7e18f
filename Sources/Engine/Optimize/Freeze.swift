// A variable that no signature writes is a constant: its value is put in the place of every read.
internal import Tensors

extension Subgraph {
  /// For each node that names a variable, or passes its handle or reference on, the variable's name.
  func variableNames() -> [String?] {
    var names = [String?](repeating: nil, count: nodes.count)
    for (i, node) in nodes.enumerated() {
      switch node.op {
      case "VarHandleOp", "VariableV2", "Variable":
        names[i] = node.variableName
      case "Identity", "RefIdentity", "Switch", "RefSwitch", Node.gate:
        if let first = node.inputs.first { names[i] = names[first.node] }
      case _ where Subgraph.referenceOps.contains(node.op):
        if case .string(let bytes)? = node.attributes[Node.variable] { names[i] = String(decoding: bytes, as: UTF8.self) }
      default: break
      }
    }
    return names
  }

  /// A reference is resolved to the variable's name and its edge cut, so that the variable is not read to be written.
  func resolvingReferences() -> Subgraph {
    var result = self
    for i in nodes.indices where Subgraph.referenceOps.contains(nodes[i].op) && !nodes[i].inputs.isEmpty {
      // In running order: what this node refers to has been resolved.
      guard nodes[i].attributes[Node.variable] == nil, let name = result.variableName(of: nodes[i].inputs[0].node) else {
        continue
      }
      result.nodes[i].attributes[Node.variable] = .string(Array(name.utf8))
      result.nodes[i].inputs.removeFirst()
    }
    return result
  }

  /// A reference is read where somebody reads its value, not where the variable stands: behind the assignments its reader waits
  /// for. TensorFlow's `Identity` passes a reference's memory on, so what stands behind one reads there as well. Each reader of a
  /// variable the subgraph writes gets a read of its own, and so does each output, at the end.
  func readingReferences(_ written: Set<String>) -> Subgraph {
    func variable(_ start: Int) -> Node? {
      var node = nodes[start]
      while node.op == "Identity" || node.op == "RefIdentity", let first = node.inputs.first { node = nodes[first.node] }
      return (node.op == "VariableV2" || node.op == "Variable") && written.contains(node.variableName) ? node : nil
    }
    let variables = nodes.indices.map(variable)
    guard variables.contains(where: { $0 != nil }) else { return self }
    var result = Subgraph(nodes: [], inputs: [], outputs: [], targets: [])
    var position: [Int] = []
    func place(_ endpoint: Endpoint) -> Endpoint {
      guard let variable = variables[endpoint.node] else {
        return Endpoint(node: position[endpoint.node], output: endpoint.output)
      }
      result.nodes.append(variable)
      return Endpoint(node: result.nodes.count - 1, output: endpoint.output)
    }
    for (i, node) in nodes.enumerated() {
      var node = node
      if variables[i] == nil { node.inputs = node.inputs.map(place) } else { node.inputs = [] }
      position.append(result.nodes.count)
      result.nodes.append(node)
    }
    result.inputs = inputs.map { position[$0] }
    result.outputs = outputs.map(place)
    result.targets = targets.map { position[$0] }
    result.prune()
    return result
  }

  private func variableName(of start: Int) -> String? {
    var node = nodes[start]
    while ["Identity", "RefIdentity", "Switch", "RefSwitch", Node.gate].contains(node.op), let first = node.inputs.first {
      node = nodes[first.node]
    }
    if case .string(let bytes)? = node.attributes[Node.variable] { return String(decoding: bytes, as: UTF8.self) }
    return node.op == "VariableV2" || node.op == "Variable" ? node.variableName : nil
  }

  /// The variables some node of the subgraph writes, or might: a handle that goes anywhere but to a read is taken for written.
  func writtenVariables(_ registry: KernelRegistry) -> Set<String> {
    let names = variableNames()
    var written: Set<String> = []
    for node in nodes where registry[node.op]?.effect == .writes {
      for input in node.inputs { if let name = names[input.node] { written.insert(name) } }
      if case .string(let bytes)? = node.attributes[Node.variable] { written.insert(String(decoding: bytes, as: UTF8.self)) }
    }
    return written
  }

  func frozen(_ resources: Resources, except written: Set<String>) -> Subgraph {
    let names = variableNames()
    func value(_ name: String?) -> Tensor? {
      guard let name, !written.contains(name) else { return nil }
      return resources.variable(name).variable.tensor
    }
    let mayDie = mayDie
    var result: [Node] = []
    var position: [Int] = []
    for (i, old) in nodes.enumerated() {
      var node = old
      node.inputs = old.inputs.map { Endpoint(node: position[$0.node], output: $0.output) }
      switch old.op {
      case "ReadVariableOp":
        guard let first = old.inputs.first, let tensor = value(names[first.node]) else { break }
        // In a branch the handle tells whether the branch is taken.
        let handle = node.inputs[0]
        node.becomeConstant(tensor)
        if mayDie[first.node] {
          result.append(node)
          node = Node(name: node.name, op: Node.gate, inputs: [Endpoint(node: result.count - 1), handle])
        }
      case "VariableV2", "Variable":
        if let tensor = value(names[i]) { node.becomeConstant(tensor) }
      case "ResourceGather":
        // A gather from a variable nobody writes is a gather from a constant.
        if old.inputs.count == 2, let tensor = value(names[old.inputs[0].node]) {
          var rows = Node(name: node.name + "/params", op: "Const")
          rows.becomeConstant(tensor)
          node.inputs[0] = Endpoint(node: result.count)
          result.append(rows)
        }
      default: break
      }
      position.append(result.count)
      result.append(node)
    }
    return Subgraph(
      nodes: result, inputs: inputs.map { position[$0] },
      outputs: outputs.map { Endpoint(node: position[$0.node], output: $0.output) },
      targets: targets.map { position[$0] })
  }
}

extension Function {
  /// The variables the body names itself and may write.
  func writtenVariables(_ registry: KernelRegistry) -> Set<String> {
    Subgraph(nodes: body, inputs: [], outputs: [], targets: []).writtenVariables(registry)
  }
}

extension Node {
  /// The attribute that names the variable a node refers to.
  static let variable = "_variable"

  fileprivate mutating func becomeConstant(_ tensor: Tensor) {
    op = "Const"
    inputs = []
    attributes = ["value": .tensor(tensor)]
  }

  fileprivate var variableName: String {
    func text(_ key: String) -> String {
      if case .string(let bytes)? = attributes[key] { String(decoding: bytes, as: UTF8.self) } else { "" }
    }
    return text("container") + "/" + (text("shared_name").isEmpty ? name : text("shared_name"))
  }
}
