// From nodes to integers. Order is the subgraph's; a slot is an output of a node; constants are operands below zero.
internal import Tensors

struct Planner {
  private let subgraph: Subgraph
  private let session: Session

  init(_ subgraph: Subgraph, _ session: Session) {
    self.subgraph = subgraph
    self.session = session
  }

  func plan() throws(GraphError) -> Plan {
    let nodes = subgraph.nodes
    let counts = subgraph.outputCounts
    let masks = neededBy()
    let mayDie = subgraph.mayDie

    // Operands: inputs first, then the outputs of each node that runs.
    var constants: [Tensor] = []
    var operand = [Int32](repeating: 0, count: nodes.count)
    var slotCount = Int32(subgraph.inputs.count)
    for (i, input) in subgraph.inputs.enumerated() { operand[input] = Int32(i) }
    for (i, node) in nodes.enumerated() where node.op != Subgraph.argument {
      if node.op == "Const" {
        guard let tensor = node.constant else { throw GraphError(.invalid, "the constant has no value", node: node.name) }
        operand[i] = ~Int32(constants.count)
        constants.append(tensor)
      } else {
        operand[i] = slotCount
        slotCount += Int32(counts[i])
      }
    }
    func value(_ endpoint: Endpoint) throws(GraphError) -> Int32 {
      let first = operand[endpoint.node]
      guard first < 0 || nodes[endpoint.node].op == Subgraph.argument else { return first + Int32(endpoint.output) }
      guard endpoint.output == 0 else {
        throw GraphError(.invalid, "there is no output \(endpoint.output)", node: nodes[endpoint.node].name)
      }
      return first
    }

    var outputs: [Int32] = []
    for output in subgraph.outputs { outputs.append(try value(output)) }
    let runs = nodes.indices.filter { nodes[$0].op != Subgraph.argument && nodes[$0].op != "Const" }

    // The last reader of each slot; outputs are read by whoever asked for them, after the end.
    let afterTheEnd = runs.count
    var lastReader = [Int](repeating: -1, count: Int(slotCount))
    for (at, i) in runs.enumerated() {
      for input in nodes[i].inputs {
        let slot = try value(input)
        if slot >= 0 { lastReader[Int(slot)] = at }
      }
      // An output nobody reads is let go where it was made.
      for output in 0..<counts[i] where lastReader[Int(operand[i]) + output] < 0 {
        lastReader[Int(operand[i]) + output] = at
      }
    }
    for output in outputs where output >= 0 { lastReader[Int(output)] = afterTheEnd }

    var released = [[Release]](repeating: [], count: runs.count)
    var leftovers: [Int32] = []
    var producedFor = [UInt64](repeating: .max, count: Int(slotCount))
    for i in runs { for output in 0..<counts[i] { producedFor[Int(operand[i]) + output] = masks[i] } }
    for slot in 0..<Int(slotCount) {
      let reader = lastReader[slot]
      if reader >= 0, reader < afterTheEnd {
        released[reader].append(Release(slot: Int32(slot), producedFor: producedFor[slot]))
      } else {
        leftovers.append(Int32(slot))
      }
    }

    var steps: [Step] = []
    var operands: [Int32] = []
    var releases: [Release] = []
    var kernels: [Kernel] = []
    var isPlain = true
    var changesState = false
    // What a kernel has packed it does not read: in its place stands an empty tensor, the last of the constants.
    let absent = ~Int32(constants.count)
    var packed: [any PackedStorage] = []
    for (at, i) in runs.enumerated() {
      let node = nodes[i]
      guard let definition = session.registry[node.op] else {
        throw GraphError(.unsupported, "Op type not registered '\(node.op)'", node: node.name)
      }
      var known: [Tensor?] = []
      var lastUses: UInt32 = 0
      let firstInput = operands.count
      var seen: [Int32: Int] = [:]
      for (j, input) in node.inputs.enumerated() {
        let slot = try value(input)
        known.append(slot < 0 ? constants[Int(~slot)] : nil)
        operands.append(slot < 0 && definition.packs.contains(j) ? absent : slot)
        if slot >= 0 {
          seen[slot, default: 0] += 1
          if j < 32, lastReader[Int(slot)] == at { lastUses |= 1 << UInt32(j) }
        }
      }
      // A value read twice by one step is not free while the step reads it.
      for j in node.inputs.indices where j < 32 {
        if seen[operands[firstInput + j], default: 0] > 1 { lastUses &= ~(1 << UInt32(j)) }
      }
      let context = NodeContext(
        node: node, constants: known, outputCount: counts[i], session: session)
      kernels.append(Kernel(try definition.make(context)))
      if isPlain { isPlain = try self.isPlain(node, definition) }
      if !changesState { changesState = try self.changesState(node, definition) }
      for j in definition.packs where j < known.count {
        if let tensor = known[j] { packed += session.packed.storage(of: tensor) }
      }
      steps.append(
        Step(
          firstInput: Int32(firstInput), inputCount: Int32(node.inputs.count), firstOutput: operand[i],
          outputCount: Int32(counts[i]), firstRelease: Int32(releases.count), releaseCount: Int32(released[at].count),
          lastUses: lastUses, life: node.inputs.contains { mayDie[$0.node] } ? node.isMerge ? .anyInput : .everyInput : .always,
          neededBy: masks[i]))
      releases += released[at]
    }
    // A constant that nobody reads any more is not kept.
    let read = Set(operands + outputs)
    let empty = Tensor(.uint8, shape: [0], [UInt8]())
    for i in constants.indices where !read.contains(~Int32(i)) { constants[i] = empty }
    constants.append(empty)
    return Plan(
      inputCount: subgraph.inputs.count, slotCount: Int(slotCount), steps: steps, operands: operands,
      releases: releases, outputs: outputs, leftovers: leftovers, constants: constants, packed: packed,
      kernels: kernels, names: runs.map { nodes[$0].name }, ops: runs.map { nodes[$0].op }, isPlain: isPlain, changesState: changesState,
      mayDie: subgraph.outputs.contains { mayDie[$0.node] })
  }

  /// Ops that count as writing because they may refuse a run, and do nothing else.
  private static let refusing: Set<String> = ["Assert", "CheckNumerics", "CheckNumericsV2"]

  /// Whether the step runs once and changes nothing. A branch is what its functions are.
  private func isPlain(_ node: Node, _ definition: KernelDefinition) throws(GraphError) -> Bool {
    var functions: [FunctionReference] = []
    for attribute in node.attributes.values { attribute.collect(&functions) }
    if functions.isEmpty { return definition.effect != .writes || Planner.refusing.contains(node.op) }
    guard ["If", "StatelessIf", "Case", "StatelessCase"].contains(node.op) else { return false }
    // The kernel has had them made.
    for function in functions where !(try session.plan(function).isPlain) { return false }
    return true
  }

  /// Whether the step changes something. A branch or a loop does when one of its functions does.
  private func changesState(_ node: Node, _ definition: KernelDefinition) throws(GraphError) -> Bool {
    var functions: [FunctionReference] = []
    for attribute in node.attributes.values { attribute.collect(&functions) }
    if functions.isEmpty { return definition.effect == .writes && !Planner.refusing.contains(node.op) }
    for function in functions where try session.plan(function).changesState { return true }
    return false
  }

  /// For each node the outputs (by bit) it works for. A target works for all.
  private func neededBy() -> [UInt64] {
    var masks = [UInt64](repeating: 0, count: subgraph.nodes.count)
    for (i, output) in subgraph.outputs.enumerated() { masks[output.node] |= 1 << UInt64(min(i, 63)) }
    for target in subgraph.targets { masks[target] = .max }
    for i in subgraph.nodes.indices.reversed() {
      for input in subgraph.nodes[i].inputs { masks[input.node] |= masks[i] }
    }
    return masks
  }
}

extension Attribute {
  /// The functions the attribute names.
  fileprivate func collect(_ functions: inout [FunctionReference]) {
    switch self {
    case .function(let reference): functions.append(reference)
    case .list(let elements): for element in elements { element.collect(&functions) }
    default: break
    }
  }
}
