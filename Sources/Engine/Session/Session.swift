// A graph with its state, before it serves: restoring and initialising run here, and plans for signatures are made here.
internal import Synchronization
public import Tensors

public final class Session: Sendable {
  public let graph: Graph
  public let registry: KernelRegistry
  public let resources = Resources()
  /// What kernels have packed, so that plans share it.
  let packed = PackedConstants()
  /// Where `RestoreV2` reads.
  public let checkpoint: (any CheckpointReader)?
  /// Where files named by the graph (assets) are read.
  public let files: (any FileReader)?
  private let index: [String: Int]
  /// What plans for serving write: these variables, and tables.
  private let written = Mutex<(variables: Set<String>, tables: Bool)>(([], false))
  private let functionPlans = Mutex<[String: FunctionPlan]>([:])

  public init(
    _ graph: Graph, registry: KernelRegistry = .standard, checkpoint: (any CheckpointReader)? = nil,
    files: (any FileReader)? = nil
  ) {
    let graph = graph.structured(registry)
    self.graph = graph
    self.registry = registry
    self.checkpoint = checkpoint
    self.files = files
    index = graph.indexByName()
  }

  /// A tensor by TensorFlow's name: `node`, `node:0`, `node:1`; `nil` when there is no such node.
  public func endpoint(_ name: String) -> Endpoint? {
    let colon = name.lastIndex(of: ":")
    let node = colon.map { String(name[..<$0]) } ?? name
    let output = colon.map { Int(name[name.index(after: $0)...]) ?? -1 } ?? 0
    guard output >= 0, let at = index[node] else { return nil }
    return Endpoint(node: at, output: output)
  }

  /// A node by name, with or without the `^` of a control input or a `:0`.
  public func node(_ name: String) -> Int? { endpoint(name.hasPrefix("^") ? String(name.dropFirst()) : name)?.node }

  /// A plan for a function that a kernel calls (`If`, `While`): made once, shared by all who call it with the same attributes.
  func plan(_ function: FunctionReference) throws(GraphError) -> Plan {
    let key = function.name + function.attributes.sorted { $0.key < $1.key }.map { " \($0.key)=\($0.value)" }.joined()
    let known = functionPlans.withLock { plans -> FunctionPlan? in
      if let known = plans[key] { return known }
      plans[key] = .beingMade
      return nil
    }
    switch known {
    case .made(let plan): return plan
    case .beingMade: throw GraphError(.unsupported, "function '\(function.name)' calls itself")
    case nil: break
    }
    let nesting = functionPlans.withLock { plans in plans.values.count { if case .beingMade = $0 { true } else { false } } }
    guard nesting <= Frame.depthMax else {
      throw GraphError(.unsupported, "functions call each other more than \(Frame.depthMax) deep", node: function.name)
    }
    guard let body = graph.functions[function.name] else {
      throw GraphError(.invalid, "function '\(function.name)' is not in the library")
    }
    let plan = try finish(
      try Subgraph(body, attributes: function.attributes, graph.functions, registry).inlined(graph.functions, registry),
      freezing: nil)
    functionPlans.withLock { $0[key] = .made(plan) }
    return plan
  }

  private enum FunctionPlan: Sendable {
    case beingMade
    case made(Plan)
  }

  /// Which tensors a plan takes and gives.
  public struct Interface: Sendable {
    public var feeds: [Endpoint]
    public var fetches: [Endpoint]
    /// Nodes to run for what they do.
    public var targets: [Int]

    public init(feeds: [Endpoint], fetches: [Endpoint], targets: [Int] = []) {
      self.feeds = feeds
      self.fetches = fetches
      self.targets = targets
    }
  }

  /// Plans to serve with. Variables that none of them writes become constants, at the value they have now.
  public func plans(_ interfaces: [Interface]) throws(GraphError) -> [Plan] {
    var subgraphs: [Subgraph] = []
    var written: Set<String> = []
    for interface in interfaces {
      let subgraph = try extract(interface)
      written.formUnion(subgraph.writtenVariables(registry))
      subgraphs.append(subgraph)
    }
    // What branches and loops write to by a handle of their own.
    for function in graph.functions.values { written.formUnion(function.writtenVariables(registry)) }
    let tables = subgraphs.contains { $0.nodes.contains { $0.op.hasPrefix("LookupTable") && registry[$0.op]?.effect == .writes } }
    self.written.withLock { $0 = (written, tables) }
    var plans: [Plan] = []
    for subgraph in subgraphs { plans.append(try finish(subgraph, freezing: written)) }
    return plans
  }

  /// Whether requests change variables or tables: the state of such a model is part of it for as long as it serves.
  public var hasState: Bool { written.withLock { !$0.variables.isEmpty || $0.tables } }

  /// A plan beside those that serve. It may write the variables that those write; all others are constants.
  func plan(_ interface: Interface) throws(GraphError) -> Plan {
    let subgraph = try extract(interface)
    let written = self.written.withLock { $0.variables }
    if let name = subgraph.writtenVariables(registry).subtracting(written).min() {
      // A name has its container before a slash; most have none.
      let name = name.hasPrefix("/") ? String(name.dropFirst()) : name
      throw GraphError(.failed, "variable '\(name)' is a constant while the model serves, and cannot be assigned to")
    }
    return try finish(subgraph, freezing: written)
  }

  /// Runs once, at load: restoring, initialising. The outputs are copies.
  public func run(_ interface: Interface, feeding tensors: [Tensor] = []) throws(GraphError) -> [Tensor] {
    precondition(tensors.count == interface.feeds.count)
    let plan = try finish(try extract(interface), freezing: nil)
    var frame = Frame()
    frame.begin(plan)
    for (i, tensor) in tensors.enumerated() { frame.feed(i, tensor) }
    do { try frame.run(plan) } catch { throw GraphError(.failed, error.message) }
    return (0..<plan.outputCount).map { Tensor(copying: frame.output($0, of: plan).view) }
  }

  private func extract(_ interface: Interface) throws(GraphError) -> Subgraph {
    let subgraph = try Subgraph(
      graph, feeds: interface.feeds, fetches: interface.fetches, targets: interface.targets, registry
    ).inlined(graph.functions, registry)
    return subgraph.readingReferences(subgraph.writtenVariables(registry))
  }

  private func finish(_ subgraph: Subgraph, freezing written: Set<String>?) throws(GraphError) -> Plan {
    var subgraph = subgraph
    if let written { subgraph = subgraph.frozen(resources, except: written) }
    subgraph = try subgraph.widened().folded(self).fused(self)
    return try Planner(subgraph, self).plan()
  }
}
