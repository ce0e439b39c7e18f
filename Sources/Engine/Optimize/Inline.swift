// Calls are replaced by the bodies they call, so that every later pass sees through them. `If` and `While` keep theirs.
internal import Tensors

extension Subgraph {
  /// A model that calls deeper than this calls itself.
  private static let depthMax = 100
  /// More nodes than any real model has; a library of functions can double its size with every level.
  private static let nodesMax = 2_000_000

  func inlined(_ functions: [String: Function], _ registry: KernelRegistry) throws(GraphError) -> Subgraph {
    guard nodes.contains(where: { Subgraph.isCall($0.op) || functions[$0.op] != nil }) else {
      var pruned = resolvingReferences()
      try pruned.prune(functions: functions, registry)
      return pruned
    }
    var inliner = Inliner(functions: functions)
    let placed = try inliner.place(nodes, arguments: nil, attributes: nil, prefix: "", controls: [], depth: 0)
    var result = Subgraph(
      nodes: inliner.nodes, inputs: inputs.map { placed.endpoint(Endpoint(node: $0)).node },
      outputs: outputs.map(placed.endpoint), targets: targets.flatMap { placed.last[$0] }
    ).resolvingReferences()
    try result.prune(functions: functions, registry)
    return result
  }

  private struct Inliner {
    let functions: [String: Function]
    var nodes: [Node] = []

    /// Where the nodes of a body went.
    struct Placement {
      /// For each node, its new outputs when it was a call, or the single node it became.
      var calls: [Int: [Endpoint]] = [:]
      var node: [Int]
      /// What to wait for to have waited for a node.
      var last: [[Int]]

      func endpoint(_ old: Endpoint) -> Endpoint {
        if let results = calls[old.node] { return results[old.output] }
        return Endpoint(node: node[old.node], output: old.output)
      }
    }

    mutating func place(
      _ body: [Node], arguments: [Endpoint]?, attributes: [String: Attribute]?, prefix: String, controls: [Int],
      depth: Int
    ) throws(GraphError) -> Placement {
      guard depth < Subgraph.depthMax else {
        throw GraphError(.unsupported, "functions call each other more than \(Subgraph.depthMax) deep", node: prefix)
      }
      guard nodes.count + body.count <= Subgraph.nodesMax else {
        throw GraphError(.unsupported, "the graph has more than \(Subgraph.nodesMax) nodes when its calls are inlined")
      }
      var placement = Placement(
        node: [Int](repeating: -1, count: body.count), last: [[Int]](repeating: [], count: body.count))
      // The first nodes of a function's body are its arguments.
      if let arguments {
        for (i, argument) in arguments.enumerated() { placement.calls[i] = [argument] }
      }
      // Outputs of calls are known only once the call was placed: place in running order.
      let order = try runningOrder(body, skipping: arguments?.count ?? 0)
      for i in order {
        var node = body[i]
        if let attributes { node.attributes = node.attributes.substituting(attributes) }
        let inputs = try inputs(of: node, in: placement)
        let waits = Array(Set(node.controls.flatMap { placement.last[$0] } + controls)).sorted()
        if let (function, values) = try callee(of: node) {
          guard inputs.count == function.argumentCount else {
            throw GraphError(
              .invalid, "function '\(function.name)' takes \(function.argumentCount) arguments, got \(inputs.count)",
              node: node.name)
          }
          let inner = try place(
            function.body, arguments: inputs, attributes: values, prefix: prefix + node.name + "/", controls: waits,
            depth: depth + 1)
          for result in function.results
          where !function.body.indices.contains(result.node) {
            throw GraphError(.invalid, "function '\(function.name)' returns a value of no node", node: node.name)
          }
          placement.calls[i] = function.results.map(inner.endpoint)
          // Whoever waits for the call waits for all it does.
          placement.last[i] = Array(Set(function.controlResults.flatMap { inner.last[$0] })).sorted() + waits
        } else {
          node.name = prefix + node.name
          node.inputs = inputs
          node.controls = waits
          placement.node[i] = nodes.count
          placement.last[i] = [nodes.count]
          nodes.append(node)
        }
      }
      return placement
    }

    private func inputs(of node: Node, in placement: Placement) throws(GraphError) -> [Endpoint] {
      var inputs: [Endpoint] = []
      for input in node.inputs {
        if let results = placement.calls[input.node], !results.indices.contains(input.output) {
          throw GraphError(.invalid, "an input asks for output \(input.output) of a call that gives \(results.count)", node: node.name)
        }
        inputs.append(placement.endpoint(input))
      }
      return inputs
    }

    private func callee(of node: Node) throws(GraphError) -> (Function, [String: Attribute])? {
      if Subgraph.isCall(node.op) {
        guard case .function(let reference)? = node.attributes["f"] else {
          throw GraphError(.invalid, "the call has no function attribute 'f'", node: node.name)
        }
        guard let function = functions[reference.name] else {
          throw GraphError(.invalid, "function '\(reference.name)' is not in the library", node: node.name)
        }
        return (function, reference.attributes)
      }
      guard let function = functions[node.op] else { return nil }
      return (function, node.attributes)
    }

    /// Nodes after all they depend on. The body of a function comes in any order.
    private func runningOrder(_ body: [Node], skipping arguments: Int) throws(GraphError) -> [Int] {
      var waiting = [Int](repeating: 0, count: body.count)
      var readers = [[Int]](repeating: [], count: body.count)
      for i in body.indices where i >= arguments {
        for source in body[i].inputs.map(\.node) + body[i].controls {
          guard body.indices.contains(source) else {
            throw GraphError(.invalid, "an edge leads out of the graph", node: body[i].name)
          }
          if source >= arguments {
            waiting[i] += 1
            readers[source].append(i)
          }
        }
      }
      var order = body.indices.filter { $0 >= arguments && waiting[$0] == 0 }
      var next = 0
      while next < order.count {
        for reader in readers[order[next]] {
          waiting[reader] -= 1
          if waiting[reader] == 0 { order.append(reader) }
        }
        next += 1
      }
      guard order.count == body.count - arguments else {
        let stuck = body.indices.first { $0 >= arguments && waiting[$0] > 0 }
        throw GraphError(.unsupported, "the graph has a cycle (a TF1 while loop?)", node: stuck.map { body[$0].name })
      }
      return order
    }
  }
}
