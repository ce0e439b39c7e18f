// One version on its way through life, as a value: an event goes in, what to do comes out. No thread, no clock, no disk.
//
//        load           begin              inspected           loaded             unload            unloaded
//    new ─────► queued ───────► inspecting ──────────► loading ───────► available ───────► unloading ───────► ended
//     ▲           ▲                 │                     │                                    │
//     │           │      incomplete │              failed │ attempts left   for good           │
//     │           │ due             ▼                     ├─────────────► retrying             │
//     │           ├───────────── waiting                  └─────────────────────────► ended    │
//     │           └────────────────────────────────────────────────────── due                  │
//     └─────────────────────────────────────────────────────── aspired again ──────────────────┘
//
// A version that nobody aspires to any more is dropped at once, unless a loader thread has it (then when that returns) or it
// serves (then when the policy says so).
internal import Catalog

struct Harness {
  enum State {
    case new
    /// Its directory is being filled; it is looked at again then.
    case waiting(due: Duration)
    /// Waits for a loader thread.
    case queued
    case inspecting
    case loading
    /// The last attempt failed; the next is due then.
    case retrying(LoadError, due: Duration)
    case available(Slot)
    /// Out of the catalog; the slot is with the manager, until nobody uses it.
    case unloading
    case ended(LoadError?)
  }

  /// An incomplete directory, as it was last seen.
  struct Vigil {
    var reason: String
    var fingerprint: Fingerprint
    var pause: Duration
  }

  let version: Int64
  /// Where it is loaded from, the next time it is.
  var directory: String
  private(set) var state = State.new
  private(set) var isAspired = true
  /// Attempts that failed.
  private(set) var failures = 0
  private(set) var vigil: Vigil?

  init(version: Int64, directory: String) {
    self.version = version
    self.directory = directory
  }

  /// How long to go on, and how often to look.
  struct Limits: Sendable, Equatable {
    /// Attempts after the first.
    var retriesMax = 5
    var retryInterval = Duration.seconds(60)
    /// A directory that does not change is looked at less and less often, between these two.
    var waitMin = Duration.milliseconds(100)
    var waitMax = Duration.seconds(2)
  }

  /// What came of an attempt.
  enum Outcome: Sendable {
    case loaded(Slot)
    case failed(LoadError)
    /// Not attempted, or in vain, because something is missing.
    case incomplete(reason: String, Fingerprint)
    /// Not attempted, because its files were written just now; they will have been quiet for long enough after `rest`.
    case settling(Fingerprint, rest: Duration)
  }

  /// What the manager does about an outcome.
  enum Action: Equatable {
    case publish
    /// Tell the operator, once per reason.
    case reportWaiting(String)
    case reportFailure(LoadError, retryIn: Duration?)
    /// Nobody wants it any more; what was loaded is let go.
    case drop
    case none
  }

  /// Queues the load that the policy chose.
  mutating func load() {
    guard case .new = state else { preconditionFailure("version \(version) is loaded from \(state)") }
    state = .queued
  }

  /// A loader thread took it.
  mutating func begin() {
    guard case .queued = state else { preconditionFailure("version \(version) begins from \(state)") }
    state = .inspecting
  }

  /// The directory is whole; the loader thread goes on to load it.
  mutating func inspected() {
    guard case .inspecting = state else { preconditionFailure("version \(version) is inspected from \(state)") }
    state = .loading
    vigil = nil
  }

  /// A loader thread is done with it.
  mutating func finished(_ outcome: Outcome, at now: Duration, _ limits: Limits) -> Action {
    switch state {
    case .inspecting, .loading: break
    default: preconditionFailure("version \(version) finishes from \(state)")
    }
    guard isAspired else {
      state = .ended(nil)
      return .drop
    }
    switch outcome {
    case .loaded(let slot):
      state = .available(slot)
      return .publish
    case .failed(let error) where error.isTransient && failures < limits.retriesMax:
      failures += 1
      let pause = max(.zero, limits.retryInterval)
      state = .retrying(error, due: now + pause)
      return .reportFailure(error, retryIn: pause)
    case .failed(let error):
      failures += 1
      state = .ended(error)
      return .reportFailure(error, retryIn: nil)
    case .incomplete(let reason, let fingerprint):
      return wait(reason, fingerprint, now, limits)
    case .settling(let fingerprint, let rest):
      vigil = Vigil(reason: "it is being written", fingerprint: fingerprint, pause: limits.waitMin)
      state = .waiting(due: now + rest)
      return .none
    }
  }

  private mutating func wait(_ reason: String, _ seen: Fingerprint, _ now: Duration, _ limits: Limits) -> Action {
    let last = vigil
    let pause = last?.fingerprint == seen ? min(limits.waitMax, (last?.pause ?? .zero) * 2) : limits.waitMin
    vigil = Vigil(reason: reason, fingerprint: seen, pause: pause)
    state = .waiting(due: now + pause)
    return last?.reason == reason ? .none : .reportWaiting(reason)
  }

  /// When `due` has something to do.
  var deadline: Duration? {
    switch state {
    case .waiting(let due), .retrying(_, let due): due
    default: nil
    }
  }

  /// Queues the next attempt, and says so, if its time has come.
  mutating func due(at now: Duration) -> Bool {
    guard let deadline, deadline <= now else { return false }
    state = .queued
    return true
  }

  /// Something moved in the directory: look again soon.
  mutating func touched(at now: Duration, _ limits: Limits) {
    guard case .waiting(let due) = state else { return }
    state = .waiting(due: min(due, now + limits.waitMin))
  }

  /// Takes the version up or gives it up. What has not begun ends here.
  mutating func aspire(_ isWanted: Bool) {
    isAspired = isWanted
    if isWanted { return }
    switch state {
    case .new, .waiting, .queued, .retrying: state = .ended(nil)
    case .inspecting, .loading, .available, .unloading, .ended: break
    }
  }

  /// Gives the slot out, to be taken from the catalog and freed.
  mutating func unload() -> Slot {
    guard case .available(let slot) = state else { preconditionFailure("version \(version) is unloaded from \(state)") }
    state = .unloading
    return slot
  }

  /// The slot is freed. Who is aspired to again begins anew.
  mutating func unloaded() {
    guard case .unloading = state else { preconditionFailure("version \(version) was unloaded from \(state)") }
    state = isAspired ? .new : .ended(nil)
    (failures, vigil) = (0, nil)
  }
}

extension Harness {
  var snapshot: VersionSnapshot {
    let state: VersionSnapshot.State =
      switch self.state {
      case .new: .new
      case .waiting, .queued, .inspecting, .loading, .retrying: .loading
      case .available: .ready
      case .unloading: .unloading
      case .ended: .ended
      }
    return VersionSnapshot(version: version, state: state, isAspired: isAspired)
  }

  var slot: Slot? { if case .available(let slot) = state { slot } else { nil } }

  var isQueued: Bool { if case .queued = state { true } else { false } }

  var isEnded: Bool { if case .ended = state { true } else { false } }

  /// As TensorFlow Serving reports it; a version between two attempts counts as loading, with the last attempt's error.
  var status: VersionStatus {
    switch state {
    case .new, .waiting, .queued, .inspecting:
      VersionStatus(
        version: version, state: failures == 0 ? .start : .loading,
        errorMessage: vigil.map { "\(directory) is incomplete and waited for: \($0.reason)" } ?? "")
    case .loading: VersionStatus(version: version, state: .loading)
    case .retrying(let error, _):
      VersionStatus(version: version, state: .loading, errorCode: error.code, errorMessage: error.message)
    case .available: VersionStatus(version: version, state: .available)
    case .unloading: VersionStatus(version: version, state: .unloading, willReturn: isAspired)
    case .ended(let error):
      VersionStatus(version: version, state: .end, errorCode: error?.code ?? 0, errorMessage: error?.message ?? "")
    }
  }
}
