// PINGs on a quiet connection: is the server still there (gRFC A8)? Nothing is sent while bytes come in.
//
// Servers hang up on clients that ping too much (GOAWAY ENHANCE_YOUR_CALM, "too_many_pings"): gRPC's own after more than
// two pings less than five minutes apart in which they had nothing to send. So two pings may follow each other at the
// interval; until something else has come in, further ones wait five minutes. A server that still complains doubles the
// channel's interval.
internal import HTTP

extension Channel {
  /// Pings that find a dead connection. Off unless `interval` is set.
  public struct Keepalive: Sendable, Hashable {
    /// gRPC's least.
    var intervalMin = Duration.seconds(10)
    /// How long nothing must have come in before a ping goes out, ten seconds at least; nil: no pings.
    public var interval: Duration?
    /// How long the answer may take; then the connection is cut and its calls end with UNAVAILABLE.
    public var timeout = Duration.seconds(20)
    /// Also while no call is open. Few servers allow it.
    public var withoutCalls = false

    public init(interval: Duration? = nil, timeout: Duration = .seconds(20), withoutCalls: Bool = false) {
      self.interval = interval
      self.timeout = timeout
      self.withoutCalls = withoutCalls
    }
  }
}

/// One connection's keepalive.
struct KeepaliveState {
  static let quietPingsMax = 2
  static let quietInterval: UInt64 = 300_000_000_000

  enum Action: Hashable {
    /// Ask again at this moment.
    case wait(until: MonotonicTime)
    /// Send a ping and ask again at this moment.
    case ping(until: MonotonicTime)
    /// The server is gone.
    case close
    /// Nothing to watch until a call begins.
    case rest
  }

  private let interval: UInt64
  private let timeout: UInt64
  private let withoutCalls: Bool
  private var lastHeard: MonotonicTime
  private var heardCount: UInt64 = 0
  /// When the ping went out that has no answer yet.
  private var pinged: MonotonicTime?
  private var lastPing: MonotonicTime?
  private var quietPings = 0
  private var acknowledgements: UInt64 = 0

  /// - Parameter interval: in nanoseconds, as the channel has it now.
  init(interval: UInt64, timeout: UInt64, withoutCalls: Bool, now: MonotonicTime) {
    self.interval = interval
    self.timeout = timeout
    self.withoutCalls = withoutCalls
    lastHeard = now
  }

  /// A PING was acknowledged.
  mutating func acknowledged() { acknowledgements += 1 }

  /// - Parameter heard: how many reads the connection has had. Time is taken here and not at each read, so silence is
  ///   noticed up to one interval late.
  mutating func check(at now: MonotonicTime, heard: UInt64, hasCalls: Bool) -> Action {
    if heard != heardCount {
      // Answers to our own pings do not show that the server had something to say.
      if heard - heardCount > acknowledgements { quietPings = 0 }
      heardCount = heard
      acknowledgements = 0
      lastHeard = now
      pinged = nil
    }
    if let pinged {
      let until = pinged.advanced(byNanoseconds: timeout)
      return now >= until ? .close : .wait(until: until)
    }
    if !hasCalls, !withoutCalls { return .rest }
    var due = lastHeard.advanced(byNanoseconds: interval)
    if quietPings >= KeepaliveState.quietPingsMax, let lastPing {
      due = max(due, lastPing.advanced(byNanoseconds: max(interval, KeepaliveState.quietInterval)))
    }
    if now < due { return .wait(until: due) }
    pinged = now
    lastPing = now
    quietPings += 1
    return .ping(until: now.advanced(byNanoseconds: timeout))
  }
}
