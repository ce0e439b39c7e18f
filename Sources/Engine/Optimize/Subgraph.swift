// What a plan is made from: the nodes that some fetches need, in the order they will run in. Each pass of this folder reads
// one subgraph and returns another:
//
//   Graph, structured once (Loops, Branches) → extracted (here) → inlined → frozen → widened → folded → fused → Planner
//
// The order is found once, from data and control edges, when the part is cut out of its graph; every later pass keeps it. So
// control edges are needed no more after that: a node that changes something is a target, and stands where it has to.
// An op without state that hangs on nothing but a control edge is not run.
internal import Tensors

struct Subgraph: Sendable {
  /// In an order in which every input and every control stands before its reader.
  var nodes: [Node]
  /// The `_Arg` nodes, one for each input of the plan.
  var inputs: [Int]
  var outputs: [Endpoint]
  /// Nodes to run for what they do.
  var targets: [Int]

  /// The op of a plan's input.
  static let argument = "_Arg"

  init(nodes: [Node], inputs: [Int], outputs: [Endpoint], targets: [Int]) {
    self.nodes = nodes
    self.inputs = inputs
    self.outputs = outputs
    self.targets = targets
  }

  /// The part of a graph between some feeds and some fetches. A feed replaces whatever computed that tensor.
  init(
    _ graph: Graph, feeds: [Endpoint], fetches: [Endpoint], targets: [Int], _ registry: KernelRegistry
  ) throws(GraphError) {
    var nodes = graph.nodes
    var replacement: [Endpoint: Endpoint] = [:]
    var inputs: [Int] = []
    for feed in feeds {
      inputs.append(nodes.count)
      replacement[feed] = Endpoint(node: nodes.count)
      nodes.append(Node(name: nodes[feed.node].name, op: Subgraph.argument))
    }
    for i in nodes.indices where !replacement.isEmpty {
      for j in nodes[i].inputs.indices {
        if let fed = replacement[nodes[i].inputs[j]] { nodes[i].inputs[j] = fed }
      }
    }
    self.init(nodes: nodes, inputs: inputs, outputs: fetches.map { replacement[$0] ?? $0 }, targets: targets)
    try extract(graph.functions, registry)
  }

  /// A function's body.
  init(
    _ function: Function, attributes: [String: Attribute], _ functions: [String: Function], _ registry: KernelRegistry
  ) throws(GraphError) {
    var nodes = function.body
    for i in nodes.indices { nodes[i].attributes = nodes[i].attributes.substituting(attributes) }
    self.init(
      nodes: nodes, inputs: Array(0..<function.argumentCount), outputs: function.results,
      targets: function.controlResults)
    try extract(functions, registry)
  }

  /// Leaves the live nodes, ordered, without control edges; what acts becomes a target.
  private mutating func extract(_ functions: [String: Function], _ registry: KernelRegistry) throws(GraphError) {
    let acts = nodes.map { $0.acts(functions, registry) }
    let order = try runningOrder(of: nodes, from: outputs.map(\.node) + targets + inputs)
    let live = liveNodes(nodes, acts, data: outputs.map(\.node) + inputs, control: targets)
    // A target that does nothing itself has done its part: what it waits for, and acts, is a target now.
    keep(order.filter { live[$0] }, targets: order.filter { live[$0] && acts[$0] })
  }

  /// Leaves the nodes that outputs and targets need, in their order.
  mutating func prune() {
    let live = liveNodes(nodes, [], data: outputs.map(\.node) + inputs + targets, control: [])
    keep(nodes.indices.filter { live[$0] }, targets: targets)
  }

  /// Leaves `order`, in that order.
  private mutating func keep(_ order: [Int], targets kept: [Int]) {
    var position = [Int](repeating: -1, count: nodes.count)
    for (new, old) in order.enumerated() { position[old] = new }
    nodes = order.map { old in
      var node = nodes[old]
      node.inputs = node.inputs.map { Endpoint(node: position[$0.node], output: $0.output) }
      node.controls = []
      return node
    }
    outputs = outputs.map { Endpoint(node: position[$0.node], output: $0.output) }
    inputs = inputs.map { position[$0] }
    targets = Array(Set(kept.map { position[$0] })).sorted()
  }

  /// For each node, how many of its outputs somebody reads, counted up to the highest.
  var outputCounts: [Int] {
    var counts = [Int](repeating: 0, count: nodes.count)
    for node in nodes {
      for input in node.inputs { counts[input.node] = max(counts[input.node], input.output + 1) }
    }
    for output in outputs { counts[output.node] = max(counts[output.node], output.output + 1) }
    for input in inputs { counts[input] = max(counts[input], 1) }
    return counts
  }

  /// For each node, whether it may be left out of a run because an input is dead.
  var mayDie: [Bool] {
    var result: [Bool] = []
    for node in nodes { result.append(node.kills || node.inputs.contains { result[$0.node] }) }
    return result
  }

  static func isCall(_ op: String) -> Bool { op == "PartitionedCall" || op == "StatefulPartitionedCall" }
}

extension Node {
  /// Whether the node changes something, so that it must run when it is waited for though nobody reads it. What a call does
  /// is not known before it is inlined.
  func acts(_ functions: [String: Function], _ registry: KernelRegistry) -> Bool {
    Subgraph.isCall(op) || functions[op] != nil || registry[op]?.effect == .writes
  }
}

/// The nodes reachable from `roots`, each after all it depends on.
func runningOrder(of nodes: [Node], from roots: [Int]) throws(GraphError) -> [Int] {
  var order: [Int] = []
  enum Visit: UInt8 { case not, onPath, done }
  var visits = [Visit](repeating: .not, count: nodes.count)
  // A graph is as deep as its author likes: the path is kept here, not on the stack.
  var path: [(node: Int, edges: [Int], next: Int)] = []
  func enter(_ node: Int, from reader: Int?) throws(GraphError) {
    guard nodes.indices.contains(node) else {
      throw GraphError(
        .invalid, "an edge leads to node \(node) of \(nodes.count)", node: reader.map { nodes[$0].name })
    }
    switch visits[node] {
    case .done: return
    case .onPath:
      throw GraphError(
        .unsupported, "the graph has a cycle through op '\(nodes[node].op)'", node: nodes[node].name)
    case .not:
      visits[node] = .onPath
      path.append((node, nodes[node].inputs.map(\.node) + nodes[node].controls, 0))
    }
  }
  for root in roots {
    try enter(root, from: nil)
    while let top = path.last {
      if top.next == top.edges.count {
        visits[top.node] = .done
        order.append(top.node)
        path.removeLast()
      } else {
        path[path.count - 1].next += 1
        try enter(top.edges[top.next], from: top.node)
      }
    }
  }
  return order
}

/// Which nodes have to run: all that `data` needs, and those that act among what `control` and the control edges of live
/// nodes lead to, however indirectly.
func liveNodes(_ nodes: [Node], _ acts: [Bool], data: [Int], control: [Int]) -> [Bool] {
  var live = [Bool](repeating: false, count: nodes.count)
  var waited = [Bool](repeating: false, count: nodes.count)
  var pending = data
  var waitedFor = control
  while true {
    while let node = pending.popLast() {
      if live[node] { continue }
      live[node] = true
      pending += nodes[node].inputs.map(\.node)
      waitedFor += nodes[node].controls
    }
    guard let node = waitedFor.popLast() else { return live }
    if waited[node] { continue }
    waited[node] = true
    if acts[node] { pending.append(node) }
    waitedFor += nodes[node].controls + nodes[node].inputs.map(\.node)
  }
}

extension [String: Attribute] {
  /// The attributes with each placeholder replaced by what the caller gives for it.
  func substituting(_ values: [String: Attribute]) -> [String: Attribute] {
    mapValues { $0.substituting(values) }
  }
}

extension Attribute {
  func substituting(_ values: [String: Attribute]) -> Attribute {
    switch self {
    case .placeholder(let name): values[name] ?? self
    case .list(let elements): .list(elements.map { $0.substituting(values) })
    case .function(let reference):
      .function(FunctionReference(name: reference.name, attributes: reference.attributes.substituting(values)))
    default: self
    }
  }
}
