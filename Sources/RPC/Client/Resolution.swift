// When a name is looked up: before the first call, and again when a connection fails or is lost, because the server may
// have moved. Not more often than every half minute, so that a server that is down does not become a storm on the name
// servers; after a failed look-up the back-off of connections applies.
internal import HTTP

struct ResolutionPacer {
  enum Action: Hashable {
    case none
    case start
    case wait(until: MonotonicTime)
  }

  private let interval: UInt64
  private var backoff: Backoff
  private var isRunning = false
  private var isAwaited = false
  private var allowed: MonotonicTime?

  init(interval: Duration, backoff: Backoff) {
    self.interval = interval.clampedNanoseconds
    self.backoff = backoff
  }

  mutating func wanted(at now: MonotonicTime) -> Action {
    if isRunning || isAwaited { return .none }
    if let allowed, now < allowed {
      isAwaited = true
      return .wait(until: allowed)
    }
    isRunning = true
    return .start
  }

  /// The wait is over. Whether to look up is asked again.
  mutating func waited() { isAwaited = false }

  mutating func ended(succeeded: Bool, at now: MonotonicTime, random: Double) {
    isRunning = false
    if succeeded {
      backoff.succeeded()
      allowed = now.advanced(byNanoseconds: interval)
    } else {
      allowed = now.advanced(byNanoseconds: backoff.failed(random: random))
    }
  }
}
