// TF1 writes a branch as a Switch, which gives its input to one of two outputs, and a Merge, which passes on the one input it gets. In a
// plan they are steps like others: the output that gets nothing is dead, a step with a dead input is left out and its outputs are dead,
// a Merge takes the input that is alive.
//
//                 ┌─► 0 ─► … ─┐
//   x ─► Switch ──┤           ├─► Merge ─►
//   p ──────┘     └─► 1 ─► … ─┘
//
// A node in a branch that reads nothing from outside hangs on the Switch by a control edge. Control edges end where a plan begins
// (`Subgraph.swift`), so it gets a `_Gate` here, which passes one input on and reads the other only to die with it. A predicate that is
// a constant (`training` is false) leaves nothing of all this: see `settled`, which `Fold.swift` asks.
internal import Tensors

/// The branch something stands in: it is dead unless the predicate chose it.
struct Guard: Hashable {
  var predicate: Endpoint
  var branch: Int
}

extension Node {
  var isSwitch: Bool { op == "Switch" || op == "RefSwitch" }
  var isMerge: Bool { op == "Merge" || op == "RefMerge" }

  /// Whether an output may be dead though every input is alive.
  var kills: Bool { isSwitch || op == Node.dead }

  /// The op of an output that is never alive.
  static let dead = "_Dead"
  static let gate = "_Gate"
  /// The op of a node whose reader is told why it is not supported.
  static let refused = "_Refused"

  /// A node in the place of this one, for its readers to be told of.
  func refused(_ reason: String) -> Node {
    Node(name: name, op: Node.refused, attributes: ["reason": .string(Array(reason.utf8))])
  }
}

extension [Node] {
  /// More branches in each other than any model has; each node knows all it stands in.
  static let branchesMax = 256

  /// The branches a tensor stands in, from those its node's inputs stand in.
  func guards(of tensor: Endpoint, _ known: [Set<Guard>]) -> Set<Guard> {
    var guards = known[tensor.node]
    if self[tensor.node].isSwitch, self[tensor.node].inputs.count == 2 {
      var predicate = self[tensor.node].inputs[1]
      while self[predicate.node].op == "Identity", let source = self[predicate.node].inputs.first { predicate = source }
      guards.insert(Guard(predicate: predicate, branch: tensor.output))
    }
    return guards
  }

  /// The branches a node stands in: all that its inputs do; a Merge, those they have in common.
  func guards(of node: Node, _ known: [Set<Guard>]) -> Set<Guard> {
    var result: Set<Guard> = []
    for (i, input) in node.inputs.enumerated() {
      let guards = guards(of: input, known)
      if node.isMerge && i > 0 { result.formIntersection(guards) } else { result.formUnion(guards) }
    }
    return result
  }

  /// Nodes with gates where a control edge decides whether they run. Gates stand at the end.
  /// - Returns: also where a tensor that nobody computes from others, a constant of a branch, is read now.
  func guardingBranches() -> (nodes: [Node], moved: [Endpoint: Endpoint]) {
    guard contains(where: \.isSwitch), let order = try? runningOrder(of: self, from: [Int](indices)) else { return (self, [:]) }
    var nodes = self
    var moved: [Endpoint: Endpoint] = [:]
    var guards = [Set<Guard>](repeating: [], count: count)
    for i in order {
      nodes[i].inputs = nodes[i].inputs.map { moved[$0] ?? $0 }
      guards[i] = nodes.guards(of: nodes[i], guards)
      if guards[i].count > Self.branchesMax {
        nodes[i] = nodes[i].refused("more than \(Self.branchesMax) branches in each other")
        guards[i] = []
      }
      if nodes[i].isMerge { continue }
      let readsNothing = nodes[i].inputs.isEmpty
      for control in nodes[i].controls where !guards[control].isSubset(of: guards[i]) {
        guards[i].formUnion(guards[control])
        if nodes[i].op == "NoOp" {
          nodes[i].inputs.append(Endpoint(node: control))
          continue
        }
        let tensor = readsNothing ? moved[Endpoint(node: i)] ?? Endpoint(node: i) : nodes[i].inputs[0]
        let gate = Endpoint(node: nodes.count)
        nodes.append(Node(name: nodes[i].name + "/gate", op: Node.gate, inputs: [tensor, Endpoint(node: control)]))
        guards.append(guards[i])
        if readsNothing { moved[Endpoint(node: i)] = gate } else { nodes[i].inputs[0] = gate }
      }
    }
    return (nodes, moved)
  }

  /// What a node's outputs are, once its branch is known: other tensors, or nothing (`nil`), never alive. `nil` as long as that is open.
  /// - Parameter known: the guards of these nodes, among which the node's inputs are.
  func settled(_ node: Node, outputCount: Int, _ known: [Set<Guard>]) -> [Endpoint?]? {
    let dead = [Endpoint?](repeating: nil, count: outputCount)
    let alive = node.inputs.filter { self[$0.node].op != Node.dead }
    if node.isMerge {
      if alive.isEmpty { return dead }
      return alive.count == 1 && outputCount == 1 ? [alive[0]] : nil
    }
    if alive.count < node.inputs.count { return dead }
    if node.isSwitch, node.inputs.count == 2, let predicate = self[node.inputs[1].node].constant, predicate.dtype == .bool,
      predicate.shape.rank == 0
    {
      // A bool is a byte, and the tensor has one.
      let branch = unsafe predicate.view.bytes.unsafeLoad(as: UInt8.self) == 0 ? 0 : 1
      return (0..<outputCount).map { $0 == branch ? node.inputs[0] : nil }
    }
    if node.op == Node.gate, guards(of: node.inputs[1], known).isSubset(of: guards(of: node.inputs[0], known)) { return [node.inputs[0]] }
    return nil
  }

  /// A node that reads constants as they are, not by way of a gate or a Switch, where another input dies with them: a kernel may then
  /// prepare for them.
  func readingConstants(_ node: Node, _ known: [Set<Guard>]) -> Node {
    guard node.inputs.count > 1, !node.isMerge, !node.isSwitch, node.op != Node.gate else { return node }
    var node = node
    for i in node.inputs.indices {
      let source = self[node.inputs[i].node]
      guard source.isSwitch || source.op == Node.gate, self[source.inputs[0].node].constant != nil else { continue }
      var others = node
      others.inputs.remove(at: i)
      if guards(of: node.inputs[i], known).isSubset(of: guards(of: others, known)) { node.inputs[i] = source.inputs[0] }
    }
    return node
  }
}
