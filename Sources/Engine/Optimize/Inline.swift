// Calls are replaced by the bodies they call, so that every later pass sees through them. `If` and `While` keep theirs.
internal import Tensors

extension Subgraph {
  /// A model that calls deeper than this calls itself.
  private static let depthMax = 100
  /// More nodes than any real model has; a library of functions can double its size with every level.
  private static let nodesMax = 250_000

  func inlined(_ functions: [String: Function], _ registry: KernelRegistry) throws(GraphError) -> Subgraph {
    guard nodes.contains(where: { Subgraph.isCall($0.op) || functions[$0.op] != nil }) else {
      return resolvingReferences()
    }
    var inliner = Inliner(functions: functions, registry: registry)
    let placed = try inliner.place(nodes, in: Array(nodes.indices), arguments: [], attributes: nil, prefix: "", depth: 0)
    var result = Subgraph(
      nodes: inliner.nodes, inputs: inputs.map { placed[$0][0].node },
      outputs: try outputs.map { output throws(GraphError) in try placed.endpoint(output) }, targets: [])
    // What was placed is live: all of it that acts has to run. A target that does nothing is not missed.
    result.targets = result.nodes.indices.filter { result.nodes[$0].acts([:], registry) }
    result = result.resolvingReferences()
    result.prune()
    return result
  }

  private struct Inliner {
    let functions: [String: Function]
    let registry: KernelRegistry
    var nodes: [Node] = []
    private var visited = 0

    init(functions: [String: Function], registry: KernelRegistry) {
      self.functions = functions
      self.registry = registry
    }

    /// Where the outputs of a body's nodes are found now. A plain node has one entry for as many outputs as it has.
    struct Placement {
      private var results: [[Endpoint]]
      private var isCall: [Bool]

      init(count: Int) {
        results = [[Endpoint]](repeating: [], count: count)
        isCall = [Bool](repeating: false, count: count)
      }

      subscript(node: Int) -> [Endpoint] { results[node] }

      mutating func place(_ node: Int, at new: Int) { results[node] = [Endpoint(node: new)] }

      mutating func place(call node: Int, giving endpoints: [Endpoint]) {
        results[node] = endpoints
        isCall[node] = true
      }

      func endpoint(_ old: Endpoint) throws(GraphError) -> Endpoint {
        if !isCall[old.node] { return Endpoint(node: results[old.node][0].node, output: old.output) }
        guard results[old.node].indices.contains(old.output) else {
          throw GraphError(.invalid, "output \(old.output) is asked of a call that gives \(results[old.node].count)")
        }
        return results[old.node][old.output]
      }
    }

    mutating func place(
      _ body: [Node], in order: [Int], arguments: [Endpoint], attributes: [String: Attribute]?, prefix: String,
      depth: Int
    ) throws(GraphError) -> Placement {
      guard depth < Subgraph.depthMax else {
        throw GraphError(.unsupported, "functions call each other more than \(Subgraph.depthMax) deep", node: prefix)
      }
      // Every node that is visited counts: functions that only call each other place none.
      visited += order.count
      guard visited <= Subgraph.nodesMax else {
        throw GraphError(.unsupported, "the graph has more than \(Subgraph.nodesMax) nodes when its calls are inlined")
      }
      var placement = Placement(count: body.count)
      // The first nodes of a function's body are its arguments.
      for (i, argument) in arguments.enumerated() { placement.place(call: i, giving: [argument]) }
      for i in order where i >= arguments.count {
        var node = body[i]
        if let attributes { node.attributes = node.attributes.substituting(attributes) }
        var inputs: [Endpoint] = []
        for input in node.inputs {
          do { inputs.append(try placement.endpoint(input)) } catch {
            throw GraphError(error.kind, error.message, node: prefix + node.name)
          }
        }
        if let (function, values) = try callee(of: node) {
          placement.place(call: i, giving: try expand(function, values, inputs, prefix + node.name + "/", depth + 1))
        } else {
          node.name = prefix + node.name
          node.inputs = inputs
          node.controls = []
          placement.place(i, at: nodes.count)
          nodes.append(node)
        }
      }
      return placement
    }

    private mutating func expand(
      _ function: Function, _ attributes: [String: Attribute], _ arguments: [Endpoint], _ prefix: String, _ depth: Int
    ) throws(GraphError) -> [Endpoint] {
      guard arguments.count == function.argumentCount else {
        throw GraphError(
          .invalid, "function '\(function.name)' takes \(function.argumentCount) arguments, got \(arguments.count)",
          node: prefix)
      }
      let acts = function.body.map { $0.acts(functions, registry) }
      let results = function.results.map(\.node)
      // The order also finds edges that lead nowhere.
      let order = try runningOrder(of: function.body, from: results + function.controlResults)
      let live = liveNodes(function.body, acts, data: results, control: function.controlResults)
      let placed = try place(
        function.body, in: order.filter { live[$0] }, arguments: arguments, attributes: attributes, prefix: prefix,
        depth: depth)
      return try function.results.map { result throws(GraphError) in try placed.endpoint(result) }
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
  }
}
