// The life of one pooled connection, as a value: what happened goes in, what to do comes out.
//
//            wanted                 SETTINGS came
//   idle ──────────────► connecting ───────────────► ready
//    ▲                       │                         │ loss; GOAWAY: idle
//    │      back-off over    ▼ refused, timed out      │
//    ├──────────────────── failed ◄────────────────────┤ before it answered anything
//    └─────────────────────────────────────────────────┘ after
//
// gRPC's connectivity states, with one caution more: a connection that is lost before any call on it was answered counts
// as a failure. A server that accepts and hangs up is left alone like one that refuses.
internal import HTTP

/// Whether calls can be made: gRPC's connectivity states.
public enum Connectivity: Sendable, Hashable {
  case idle, connecting, ready, transientFailure, shutdown
}

struct Subchannel {
  enum State: Hashable {
    case idle
    case connecting(since: MonotonicTime)
    case ready(since: MonotonicTime, hasAnswered: Bool)
    /// No attempt before `until`.
    case failed(until: MonotonicTime)
    case shutdown
  }

  enum Action: Hashable {
    case none
    /// Connect; give up at `deadline`.
    case connect(deadline: MonotonicTime)
    /// Call `timeCame` at this moment.
    case wait(until: MonotonicTime)
    /// Cut the connection.
    case close
  }

  private(set) var state = State.idle
  /// GOAWAYs in a row on connections that answered no call, before they count as failures.
  private static let unansweredMovesMax = 3
  private var unansweredMoves = 0
  private var backoff: Backoff
  private let connectTimeout: UInt64

  init(backoff: Backoff, connectTimeout: Duration) {
    self.backoff = backoff
    self.connectTimeout = connectTimeout.clampedNanoseconds
  }

  var connectivity: Connectivity {
    switch state {
    case .idle: .idle
    case .connecting: .connecting
    case .ready: .ready
    case .failed: .transientFailure
    case .shutdown: .shutdown
    }
  }

  /// Somebody has calls for this address.
  mutating func wanted(at now: MonotonicTime) -> Action {
    guard case .idle = state else { return .none }
    state = .connecting(since: now)
    return .connect(deadline: now.advanced(byNanoseconds: connectTimeout))
  }

  /// The server has said its SETTINGS: it speaks HTTP/2 and takes calls.
  mutating func connected() -> Action {
    guard case .connecting(let since) = state else { return .close }
    state = .ready(since: since, hasAnswered: false)
    return .none
  }

  /// A call was answered, whatever the status.
  mutating func answered() {
    guard case .ready(let since, false) = state else { return }
    state = .ready(since: since, hasAnswered: true)
    unansweredMoves = 0
    backoff.succeeded()
  }

  /// The server asks for another connection (GOAWAY without an error): nothing is wrong with it, unless it never does else.
  /// - Parameter random: in 0..<1.
  mutating func movedOn(at now: MonotonicTime, random: Double) -> Action {
    guard case .ready(_, let hasAnswered) = state else { return lost(at: now, random: random) }
    unansweredMoves = hasAnswered ? 0 : unansweredMoves + 1
    if unansweredMoves > Subchannel.unansweredMovesMax { return lost(at: now, random: random) }
    state = .idle
    return .none
  }

  /// The connection could not be made, or is lost, or takes no more calls.
  /// - Parameter random: in 0..<1.
  mutating func lost(at now: MonotonicTime, random: Double) -> Action {
    switch state {
    case .connecting(let since), .ready(let since, hasAnswered: false):
      let until = max(since.advanced(byNanoseconds: backoff.failed(random: random)), now)
      state = .failed(until: until)
      return .wait(until: until)
    case .ready(_, hasAnswered: true):
      state = .idle
      return .none
    case .idle, .failed, .shutdown: return .none
    }
  }

  /// The deadline of the attempt or the end of the back-off.
  mutating func timeCame(at now: MonotonicTime) -> Action {
    switch state {
    // The loss that follows is the failure.
    case .connecting: return .close
    case .failed(let until):
      if now < until { return .wait(until: until) }
      state = .idle
      return .none
    case .idle, .ready, .shutdown: return .none
    }
  }

  /// No longer needed, for now: another address was faster.
  mutating func dropped() -> Action {
    switch state {
    case .connecting, .ready:
      state = .idle
      return .close
    case .idle, .failed, .shutdown: return .none
    }
  }

  mutating func shutDown() -> Action {
    let last = state
    state = .shutdown
    switch last {
    case .connecting, .ready: return .close
    case .idle, .failed, .shutdown: return .none
    }
  }
}
