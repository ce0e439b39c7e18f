// What a plan is made from: the nodes that some fetches need, in an order in which they can run. Each pass of this folder reads
// one subgraph and returns another:
//
//   Graph → pruned (here) → inlined → frozen → folded → fused → Planner
//
// Control edges survive only towards nodes that change something: an op without state that hangs on nothing but a control
// edge is not run.
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
      nodes.append(Node(name: "\(nodes[feed.node].name)", op: Subgraph.argument))
    }
    self.init(nodes: nodes, inputs: inputs, outputs: fetches, targets: targets)
    try prune(replacing: replacement, functions: graph.functions, registry)
  }

  /// A function's body.
  init(function: Function, attributes: [String: Attribute]) throws(GraphError) {
    var nodes = function.body
    for i in nodes.indices { nodes[i].attributes = nodes[i].attributes.substituting(attributes) }
    self.init(
      nodes: nodes, inputs: Array(0..<function.argumentCount), outputs: function.results,
      targets: function.controlResults)
  }

  /// Leaves the nodes the outputs and targets need, in running order.
  mutating func prune(
    replacing replacement: [Endpoint: Endpoint] = [:], functions: [String: Function], _ registry: KernelRegistry
  ) throws(GraphError) {
    func real(_ endpoint: Endpoint) -> Endpoint { replacement[endpoint] ?? endpoint }
    func acts(_ node: Node) -> Bool {
      functions[node.op] != nil || Subgraph.isCall(node.op) || registry[node.op]?.effect == .writes
    }

    // Everything reachable, in postorder: a running order, as long as there is no cycle.
    let order = try postorder(from: outputs.map { real($0).node } + targets + inputs) { node in
      nodes[node].inputs.map { real($0).node } + nodes[node].controls
    }

    // What is needed: data edges always, control edges only towards nodes that act, through those that do not.
    var needed = [Bool](repeating: false, count: nodes.count)
    var seen = [Bool](repeating: false, count: nodes.count)
    var pending = outputs.map { real($0).node } + targets
    for input in inputs { needed[input] = true }
    var controlled = targets
    while true {
      while let node = pending.popLast() {
        if needed[node] { continue }
        needed[node] = true
        pending += nodes[node].inputs.map { real($0).node }
        controlled += nodes[node].controls
      }
      guard let node = controlled.popLast() else { break }
      if seen[node] { continue }
      seen[node] = true
      if acts(nodes[node]) { pending.append(node) }
      controlled += nodes[node].controls + nodes[node].inputs.map { real($0).node }
    }

    var position = [Int](repeating: -1, count: nodes.count)
    var kept: [Node] = []
    for old in order where needed[old] {
      position[old] = kept.count
      kept.append(nodes[old])
    }
    // A control edge towards a node that is gone goes on to what that node waited for.
    var memo: [Int: [Int]] = [:]
    func keptControls(_ node: Int) -> [Int] {
      if position[node] >= 0 { return [position[node]] }
      if let known = memo[node] { return known }
      memo[node] = []
      let through = Array(
        Set((nodes[node].controls + nodes[node].inputs.map { real($0).node }).flatMap(keptControls))).sorted()
      memo[node] = through
      return through
    }
    for i in kept.indices {
      kept[i].inputs = kept[i].inputs.map {
        let endpoint = real($0)
        return Endpoint(node: position[endpoint.node], output: endpoint.output)
      }
      kept[i].controls = Array(Set(kept[i].controls.flatMap(keptControls))).sorted()
    }
    outputs = outputs.map {
      let endpoint = real($0)
      return Endpoint(node: position[endpoint.node], output: endpoint.output)
    }
    inputs = inputs.map { position[$0] }
    targets = targets.map { position[$0] }
    nodes = kept
  }

  /// The nodes reachable from `roots` over `edges`, each after all it depends on.
  private func postorder(from roots: [Int], edges: (Int) -> [Int]) throws(GraphError) -> [Int] {
    var order: [Int] = []
    // 0 not seen, 1 on the path, 2 done
    var state = [UInt8](repeating: 0, count: nodes.count)
    var path: [(node: Int, edges: [Int], next: Int)] = []
    for root in roots where state[root] == 0 {
      state[root] = 1
      path.append((root, edges(root), 0))
      while let top = path.last {
        if top.next == top.edges.count {
          state[top.node] = 2
          order.append(top.node)
          path.removeLast()
          continue
        }
        path[path.count - 1].next += 1
        let next = top.edges[top.next]
        guard nodes.indices.contains(next) else {
          throw GraphError(.invalid, "an edge leads to node \(next), there are \(nodes.count)", node: nodes[top.node].name)
        }
        switch state[next] {
        case 0:
          state[next] = 1
          path.append((next, edges(next), 0))
        case 1:
          throw GraphError(
            .unsupported, "the graph has a cycle (a TF1 while loop?) through op '\(nodes[next].op)'", node: nodes[next].name)
        default: break
        }
      }
    }
    return order
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

  static func isCall(_ op: String) -> Bool { op == "PartitionedCall" || op == "StatefulPartitionedCall" }
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
