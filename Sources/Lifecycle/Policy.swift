// Which step to take next for one model's versions: TensorFlow Serving's AvailabilityPreservingPolicy. A pure function of a
// snapshot; asked twice, it answers the same. The manager asks until there is nothing to do.

/// A version as the policy sees it.
struct VersionSnapshot: Sendable, Equatable {
  enum State: Sendable { case new, loading, ready, unloading, ended }
  var version: Int64
  var state: State
  /// Whether it should serve.
  var isAspired: Bool
}

enum PolicyAction: Sendable, Equatable {
  case load(Int64)
  case unload(Int64)
}

/// Loads before it unloads: while anything is aspired, what serves goes on serving until an aspired version can. Old and
/// new are in memory together.
func availabilityPreservingAction(_ versions: [VersionSnapshot]) -> PolicyAction? {
  if let newest = versions.filter({ $0.isAspired && $0.state == .new }).map(\.version).max() { return .load(newest) }
  let outgoing = versions.filter { !$0.isAspired && $0.state == .ready }.map(\.version)
  guard let oldest = outgoing.min() else { return nil }
  let aspired = versions.filter(\.isAspired)
  let isReplaceable = aspired.isEmpty || aspired.contains { $0.state == .ready } || outgoing.count > 1
  return isReplaceable ? .unload(oldest) : nil
}
