// Plans for tensors that no signature names: what SessionRun asks for. Such a plan is made when it is asked for first and
// kept, the last few of them. What it is made from, the graph with its state, is not kept by a model that serves (its
// variables would stand in memory twice, plain and packed), so it is opened once more when the first plan is wanted;
// unless requests change variables: then the state is the model's, and the plans share it.
internal import Synchronization
public import Tensors

/// A plan by the names of its tensors.
public final class SessionPlan: Sendable {
  public let plan: Plan
  public let cost = CostEstimate()
  /// What each feed must be; `nil` where that is not known.
  public let feedTypes: [DType?]

  init(_ plan: Plan, feedTypes: [DType?]) {
    self.plan = plan
    self.feedTypes = feedTypes
  }
}

public final class SessionPlans: Sendable {
  /// The tensors' names of a run: `node`, `node:0`, `node:1`.
  public struct Names: Hashable, Sendable {
    public var feeds: [String]
    public var fetches: [String]
    /// Nodes.
    public var targets: [String]

    public init(feeds: [String], fetches: [String], targets: [String]) {
      self.feeds = feeds
      self.fetches = fetches
      self.targets = targets
    }
  }

  /// A session and the types of its tensors.
  public struct Opened: Sendable {
    public var session: Session
    /// The types a node's outputs have, where known; `nil` for a node nobody knows the outputs of.
    public var types: @Sendable (Int) -> [DType?]?

    public init(session: Session, types: @escaping @Sendable (Int) -> [DType?]?) {
      self.session = session
      self.types = types
    }
  }

  /// The most plans that are kept; of more, those used longest ago go.
  public static let plansMax = 64

  private struct State {
    var plans: [Names: (plan: SessionPlan, used: UInt64)] = [:]
    var clock: UInt64 = 0

    mutating func plan(_ names: Names) -> SessionPlan? {
      guard let plan = plans[names]?.plan else { return nil }
      clock += 1
      plans[names]?.used = clock
      return plan
    }

    mutating func keep(_ plan: SessionPlan, _ names: Names) {
      clock += 1
      plans[names] = (plan, clock)
      if plans.count > SessionPlans.plansMax, let oldest = plans.min(by: { $0.value.used < $1.value.used })?.key {
        plans[oldest] = nil
      }
    }
  }

  private let state = Mutex(State())
  private let opened = Mutex<Opened?>(nil)
  private let open: @Sendable () throws(GraphError) -> Opened

  /// - Parameter open: makes the session, when the first plan is asked for.
  public init(_ open: @escaping @Sendable () throws(GraphError) -> Opened) { self.open = open }

  /// A plan that is there already. Costs a lock.
  public func known(_ names: Names) -> SessionPlan? { state.withLock { $0.plan(names) } }

  /// The plan for these names, made if need be: that can take as long as loading the model did.
  public func plan(_ names: Names) throws(RunError) -> SessionPlan {
    if let plan = known(names) { return plan }
    let plan = try SessionPlans.make(names, in: try session())
    return state.withLock { state in
      // Of two that were made at the same time the first stays: who asks for the same has the same plan.
      if let first = state.plan(names) { return first }
      state.keep(plan, names)
      return plan
    }
  }

  /// One opens it, the others wait.
  private func session() throws(RunError) -> Opened {
    let result: Result<Opened, RunError> = opened.withLock { opened in
      if let opened { return .success(opened) }
      do throws(GraphError) {
        let new = try open()
        opened = new
        return .success(new)
      } catch { return .failure(RunError(.failedPrecondition, "the model's graph cannot be opened: \(error.message)")) }
    }
    return try result.get()
  }

  /// The checks are those of tensorflow/core/graph/subgraph.cc, in its words.
  private static func make(_ names: Names, in opened: Opened) throws(RunError) -> SessionPlan {
    guard !names.fetches.isEmpty || !names.targets.isEmpty else {
      throw .invalidArgument("Must specify at least one target to fetch or execute.")
    }
    var seen: Set<String> = []
    for name in names.feeds where !seen.insert(name).inserted {
      throw .invalidArgument("Endpoint \"\(name)\" fed more than once.")
    }
    for name in names.fetches where seen.contains(name) { throw .invalidArgument("\(name) is both fed and fetched.") }
    var interface = Session.Interface(feeds: [], fetches: [])
    var types: [DType?] = []
    for name in names.feeds {
      guard let endpoint = opened.session.endpoint(name) else {
        throw RunError(.notFound, "FeedInputs: unable to find feed output \(name)")
      }
      if let count = opened.types(endpoint.node)?.count, endpoint.output >= count {
        throw .invalidArgument("FeedInputs: \(name) should have output index < \(count)")
      }
      guard !interface.feeds.contains(endpoint) else {
        throw .invalidArgument("Endpoint \"\(name)\" fed more than once.")
      }
      interface.feeds.append(endpoint)
      types.append(opened.type(of: endpoint))
    }
    for name in names.fetches {
      guard let endpoint = opened.session.endpoint(name) else {
        throw RunError(.notFound, "FetchOutputs node \(name): not found")
      }
      if let count = opened.types(endpoint.node)?.count, endpoint.output >= count {
        throw .invalidArgument("FetchOutputs \(name): output index too large, must be < \(count)")
      }
      if let type = opened.type(of: endpoint), type == .resource || type == .variant {
        throw .unimplemented("\(name) is \(type), which cannot be fetched")
      }
      interface.fetches.append(endpoint)
    }
    var missing: [String] = []
    for name in names.targets {
      if let node = opened.session.node(name) { interface.targets.append(node) } else { missing.append(name) }
    }
    guard missing.isEmpty else {
      throw RunError(.notFound, "PruneForTargets: Some target nodes not found: \(missing.joined(separator: ","))")
    }
    do { return SessionPlan(try opened.session.plan(interface), feedTypes: types) } catch {
      let node = error.node.map { "\n\t [[{{node \($0)}}]]" } ?? ""
      switch error.kind {
      case .unsupported: throw .unimplemented(error.message + node)
      case .invalid: throw .invalidArgument(error.message + node)
      case .failed: throw RunError(.failedPrecondition, error.message + node)
      }
    }
  }
}

extension SessionPlans.Opened {
  fileprivate func type(of endpoint: Endpoint) -> DType? {
    guard let types = types(endpoint.node), types.indices.contains(endpoint.output) else { return nil }
    return types[endpoint.output]
  }
}
