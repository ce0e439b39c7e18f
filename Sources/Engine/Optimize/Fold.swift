// What depends on constants alone is computed now, by the kernels themselves; what only passes a value on is left out.
internal import Tensors

extension Subgraph {
  /// A folded constant may be larger than what it was made from by this much; a `Fill` of millions stays a step.
  private static let growthMax = 1 << 20

  /// Ops that give back their input.
  private static let passing: Set<String> = [
    "Identity", "StopGradient", "PreventGradient", "Snapshot", "PlaceholderWithDefault", "RefIdentity", "EnsureShape",
  ]

  func folded(_ session: Session) throws(GraphError) -> Subgraph {
    var result: [Node] = []
    result.reserveCapacity(nodes.count)
    // Where each output of each old node is found now.
    var moved = [[Int: Endpoint]](repeating: [:], count: nodes.count)
    var position = [Int](repeating: -1, count: nodes.count)
    let counts = outputCounts
    func real(_ endpoint: Endpoint) -> Endpoint {
      moved[endpoint.node][endpoint.output] ?? Endpoint(node: position[endpoint.node], output: endpoint.output)
    }
    let references = variableNames()
    // The branches each node of the result stands in; for none when there is no branch.
    let hasBranches = nodes.contains(where: \.kills)
    var guards: [Set<Guard>] = []
    var dead: Endpoint?
    func place(_ node: Node) -> Endpoint {
      guards.append(hasBranches ? result.guards(of: node, guards) : [])
      result.append(node)
      return Endpoint(node: result.count - 1)
    }
    var frame = Frame()
    for (i, old) in nodes.enumerated() {
      var node = old
      node.inputs = old.inputs.map(real)
      // A handle or a reference is not its value: it goes on to the node that assigns.
      if Subgraph.passing.contains(node.op), node.inputs.count == 1, references[i] == nil {
        moved[i][0] = node.inputs[0]
        continue
      }
      if hasBranches, let settled = result.settled(node, outputCount: counts[i], guards) {
        for (output, tensor) in settled.enumerated() {
          if tensor == nil, dead == nil { dead = place(Node(name: "dead branch", op: Node.dead)) }
          moved[i][output] = tensor ?? dead
        }
        continue
      }
      if hasBranches { node = result.readingConstants(node, guards) }
      let constants = node.inputs.map { input in
        result[input.node].op == "Const" && input.output == 0 ? result[input.node].constant : nil
      }
      if !node.inputs.isEmpty, constants.allSatisfy({ $0 != nil }), node.op != "Const",
        let definition = session.registry[node.op], definition.effect == .none, counts[i] > 0,
        let values = try fold(node, definition, constants.map { $0! }, counts[i], session, &frame)
      {
        for (output, value) in values.enumerated() {
          moved[i][output] = place(
            Node(name: output == 0 ? node.name : "\(node.name):\(output)", op: "Const", attributes: ["value": .tensor(value)]))
        }
        continue
      }
      position[i] = place(node).node
      // Deeper than a model writes them, inlined calls may nest branches.
      if guards[position[i]].count > [Node].branchesMax {
        throw GraphError(.unsupported, "more than \([Node].branchesMax) branches in each other", node: node.name)
      }
    }
    var folded = Subgraph(
      nodes: result, inputs: inputs.map { position[$0] }, outputs: outputs.map(real),
      targets: targets.compactMap { position[$0] >= 0 ? position[$0] : nil })
    folded.prune()
    return folded
  }

  /// The node's outputs, or `nil` when they are better computed at run time: too large, too slow (a loop without end),
  /// or an error that is the request's.
  private func fold(
    _ node: Node, _ definition: KernelDefinition, _ constants: [Tensor], _ outputCount: Int, _ session: Session,
    _ frame: inout Frame
  ) throws(GraphError) -> [Tensor]? {
    let kernel = Kernel(
      try definition.make(NodeContext(node: node, constants: constants, outputCount: outputCount, session: session)))
    let plan = Plan(
      inputCount: 0, slotCount: outputCount,
      steps: [
        Step(
          firstInput: 0, inputCount: Int32(constants.count), firstOutput: 0, outputCount: Int32(outputCount),
          firstRelease: 0, releaseCount: 0, lastUses: 0, neededBy: .max)
      ],
      operands: (0..<constants.count).map { ~Int32($0) }, releases: [], outputs: (0..<outputCount).map { Int32($0) },
      leftovers: [], constants: constants, kernels: [kernel], names: [node.name], ops: [node.op],
      isPlain: false, changesState: false)
    frame.begin(plan)
    frame.interruption = TimeLimit(seconds: 1)
    do { try frame.run(plan) } catch { return nil }
    let limit = constants.reduce(Subgraph.growthMax) { $0 + $1.byteCount }
    var outputs: [Tensor] = []
    for i in 0..<outputCount {
      let value = frame.output(i, of: plan)
      // Handles and the like have no meaning as a constant's bytes.
      if value.byteCount > limit || value.dtype == .resource || value.dtype == .variant { return nil }
      outputs.append(Tensor(copying: value.view))
    }
    return outputs
  }
}

extension Node {
  /// The tensor of a `Const`.
  var constant: Tensor? { if case .tensor(let tensor)? = attributes["value"] { tensor } else { nil } }
}
