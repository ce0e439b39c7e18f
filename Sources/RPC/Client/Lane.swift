// One pooled connection of a channel, and its successors. The lane outlives them: it knows when the next may be tried
// (`Subchannel`), while each connection with its calls is a link.
//
//   lane ──► link (in use)          GOAWAY: the link leaves its lane and finishes its calls, the lane starts anew
//   link (leaving) ──► its calls
internal import HTTP

/// An address with its pool.
final class Place {
  let address: SocketAddress
  /// The first is always there; others come when every stream of those is in use, and go with their connections.
  private(set) var lanes: [Lane] = []
  private unowned let core: ChannelCore

  init(_ address: SocketAddress, _ core: ChannelCore) {
    self.address = address
    self.core = core
    lanes = [Lane(self, core)]
  }

  var standing: Picker.Standing {
    var best = Picker.Standing.failed
    for lane in lanes {
      switch lane.subchannel.state {
      case .ready:
        if lane.hasRoom { return .ready }
        best = .full
      case .connecting where best != .full: best = .connecting
      case .idle where best == .failed: best = .idle
      default: break
      }
    }
    return best
  }

  /// The link with room that has the fewest calls.
  var link: Link? {
    if lanes.count == 1 { return lanes[0].hasRoom ? lanes[0].link : nil }
    return lanes.filter(\.hasRoom).compactMap(\.link).min { $0.callCount < $1.callCount }
  }

  func connect() {
    for lane in lanes { lane.connect() }
  }

  /// Every stream is in use: one more connection, if the pool allows and none is coming or failing already.
  func grow() {
    guard lanes.count < core.configuration.connectionsPerAddressMax, standing == .full,
      lanes.allSatisfy({ $0.subchannel.connectivity == .ready })
    else { return }
    lanes.append(Lane(self, core))
    lanes[lanes.count - 1].connect()
  }

  /// A lane has become idle: only the first is kept for better times.
  func becameIdle(_ lane: Lane) {
    if lane !== lanes[0] { lanes.removeAll { $0 === lane } }
  }

  /// Another address is in use.
  func drop() {
    for lane in lanes { lane.drop() }
    lanes.removeLast(lanes.count - 1)
  }

  /// - Parameter gracefully: let the calls finish.
  func shutDown(gracefully: Bool) { for lane in lanes { lane.shutDown(gracefully: gracefully) } }
}

final class Lane: TimerTarget {
  private(set) var subchannel: Subchannel
  private(set) var link: Link?
  private unowned let place: Place
  private unowned let core: ChannelCore
  private var timer = TimerID.none

  init(_ place: Place, _ core: ChannelCore) {
    self.place = place
    self.core = core
    subchannel = Subchannel(backoff: core.configuration.backoff, connectTimeout: core.configuration.connectTimeout)
  }

  var hasRoom: Bool { link?.hasRoom ?? false }

  func connect() {
    guard case .connect(let deadline) = subchannel.wanted(at: core.loop.now) else { return }
    arm(deadline)
    do throws(SocketError) {
      link = try Link(to: place.address, self, core)
    } catch {
      lost(error.description)
    }
  }

  private func arm(_ time: MonotonicTime) {
    core.loop.cancel(timer)
    timer = core.loop.schedule(at: time, self)
  }

  private func disarm() {
    core.loop.cancel(timer)
    timer = .none
  }

  func timerFired(_ timer: TimerID) {
    self.timer = .none
    switch subchannel.timeCame(at: core.loop.now) {
    case .close:
      let last = link
      last?.retire("no HTTP/2 within \(core.configuration.connectTimeout)")
      last?.abort()
    case .wait(let until): arm(until)
    case .connect, .none:
      place.becameIdle(self)
      core.changed()
    }
  }

  // MARK: what the link says

  func connected() {
    disarm()
    if subchannel.connected() == .close { return drop() }
    core.connected(place)
  }

  /// A call got an answer.
  func answered() { subchannel.answered() }

  /// The link takes no more calls, and no harm is done.
  func movedOn() {
    link = nil
    switch subchannel.movedOn(at: core.loop.now, random: core.random()) {
    case .wait(let until):
      arm(until)
      core.lost(place.address, "the server asks for another connection each time")
    default:
      place.becameIdle(self)
      core.changed()
    }
  }

  /// The link is gone or takes no more calls.
  func lost(_ reason: String) {
    link = nil
    disarm()
    switch subchannel.lost(at: core.loop.now, random: core.random()) {
    case .wait(let until): arm(until)
    default: place.becameIdle(self)
    }
    core.lost(place.address, reason)
  }

  // MARK: the end

  func drop() {
    guard subchannel.dropped() == .close else { return }
    disarm()
    let last = link
    link = nil
    last?.leave()
  }

  func shutDown(gracefully: Bool) {
    disarm()
    let action = subchannel.shutDown(), last = link
    link = nil
    guard action == .close else { return }
    if gracefully { last?.leave() } else { last?.abort() }
  }
}

/// One connection, from its first packet to its last.
final class Link: ConnectionObserver, TimerTarget {
  private(set) var connection: HTTP2Connection?
  /// Nil once the link has left it, or another took its place.
  private weak var lane: Lane?
  private weak var core: ChannelCore?
  private let loop: EventLoop
  private var isReady = false
  private var hasAnswered = false
  private(set) var callCount = 0
  private var keepalive: KeepaliveState?
  private var keepaliveTimer = TimerID.none

  init(to address: SocketAddress, _ lane: Lane, _ core: ChannelCore) throws(SocketError) {
    self.lane = lane
    self.core = core
    loop = core.loop
    connection = try HTTP2Connection.connect(to: address, tls: core.tls, on: core.loop, observer: self)
    core.opened(self)
  }

  /// SETTINGS may change while the connection lives, so it is asked each time.
  var hasRoom: Bool {
    guard isReady, let connection else { return false }
    return callCount < connection.streamsMax
  }

  func callBegan() {
    callCount += 1
    if keepalive != nil, keepaliveTimer == .none { checkKeepalive() }
  }

  func callEnded() { callCount -= 1 }

  func answered() {
    if hasAnswered { return }
    hasAnswered = true
    lane?.answered()
  }

  // MARK: events

  func connected(_ connection: HTTP2Connection) {
    isReady = true
    if let core, core.keepaliveInterval < .max {
      let configuration = core.configuration.keepalive
      keepalive = KeepaliveState(
        interval: core.keepaliveInterval, timeout: configuration.timeout.clampedNanoseconds,
        withoutCalls: configuration.withoutCalls, now: loop.now)
      checkKeepalive()
    }
    if let lane { lane.connected() } else { leave() }
  }

  func goingAway(_ connection: HTTP2Connection, _ error: StreamError, _ text: String) {
    // gRFC A8: the server says this to clients that ping too often for it.
    if error == .enhanceYourCalm, text.contains("too_many_pings") { core?.tooManyPings() }
    if error != .none { return retire("the server is going away") }
    isReady = false
    let lane = lane
    self.lane = nil
    lane?.movedOn()
  }

  func settingsChanged(_ connection: HTTP2Connection) { core?.pump() }

  func ponged(_ connection: HTTP2Connection) { keepalive?.acknowledged() }

  func closed(_ connection: HTTP2Connection, _ reason: String) {
    loop.cancel(keepaliveTimer)
    keepaliveTimer = .none
    self.connection = nil
    retire(reason)
    core?.closed(self)
  }

  /// No new calls; those that there are finish.
  func retire(_ reason: String) {
    isReady = false
    let lane = lane
    self.lane = nil
    lane?.lost(reason)
  }

  func timerFired(_ timer: TimerID) {
    keepaliveTimer = .none
    checkKeepalive()
  }

  private func checkKeepalive() {
    guard let connection,
      let action = keepalive?.check(at: loop.now, heard: connection.readCount, hasCalls: callCount > 0)
    else { return }
    switch action {
    case .wait(let until): keepaliveTimer = loop.schedule(at: until, self)
    case .ping(let until):
      connection.ping()
      keepaliveTimer = loop.schedule(at: until, self)
    case .close: connection.abort()
    case .rest: break
    }
  }

  // MARK: the end

  /// Ends the connection behind its calls.
  func leave() {
    lane = nil
    let wasReady = isReady
    isReady = false
    if wasReady { connection?.startDrain() } else { connection?.abort() }
  }

  func abort() { connection?.abort() }
}
