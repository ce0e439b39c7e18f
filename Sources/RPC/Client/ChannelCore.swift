// The channel on its loop: carries out what the values decide. See Channel.swift.
internal import HTTP

final class ChannelCore: TimerTarget, @unchecked Sendable {
  let target: Target
  let configuration: Channel.Configuration
  let loop: EventLoop
  let authority: String
  let userAgent: String
  /// Nil: plain.
  let tls: ClientTLS?
  /// Whether another look-up could give other addresses.
  private let hasNames: Bool

  // Confined to the loop.
  private var places: [Place] = []
  private var picker: Picker
  private var line = WaitingLine<ClientCall>()
  var retryBudget: RetryBudget
  /// Nanoseconds; `.max`: no pings. Doubles when a server complains.
  private(set) var keepaliveInterval: UInt64
  /// Every connection that is not closed yet, in use or leaving.
  private var links: [Link] = []
  private var openCalls = 0
  private(set) var isClosed = false
  /// An address is not connected to because nobody called when it could have been.
  private var hasIdle = false
  /// Somebody has asked for connections before there were addresses.
  private var isWanted = false
  /// Why calls cannot be made.
  private var failure = Status(.unavailable, "no address")

  private var pacer: ResolutionPacer
  private var answers: [Resolver.Answer?] = []
  private var hasResolved = false
  private var resolveTimer = TimerID.none
  private var staggerTimer = TimerID.none

  /// Fields of the request that is being sent: one list, used again and again.
  var fields = FieldList()

  init(_ target: Target, _ configuration: Channel.Configuration, _ loop: EventLoop) {
    self.target = target
    self.configuration = configuration
    self.loop = loop
    authority = configuration.authority ?? target.authority
    tls = configuration.tls.map { ClientTLS($0, serverName: configuration.tlsServerName ?? target.serverName) }
    userAgent = (configuration.userAgentPrefix.map { $0 + " " } ?? "") + "grpc-swift-martlet/1"
    hasNames = target.endpoints.contains { endpoint in
      if case .tcp(let host, let port) = endpoint { SocketAddress(numeric: host, port: port) == nil } else { false }
    }
    picker = Picker(configuration.loadBalancing)
    retryBudget = configuration.retryBudget
    keepaliveInterval =
      configuration.keepalive.interval.map { max($0, configuration.keepalive.intervalMin).clampedNanoseconds } ?? .max
    pacer = ResolutionPacer(interval: configuration.resolveInterval, backoff: configuration.backoff)
  }

  var readyAddressCount: Int { places.count { $0.standing == .ready } }

  func random() -> Double { Double.random(in: 0..<1) }

  var connectivity: Connectivity {
    if isClosed { return .shutdown }
    let standings = places.map(\.standing)
    if standings.contains(.ready) || standings.contains(.full) { return .ready }
    if standings.contains(.connecting) { return .connecting }
    if standings.isEmpty ? !hasResolved : standings.contains(.idle) { return .idle }
    return .transientFailure
  }
}

// MARK: calls

extension ChannelCore {
  func began() { openCalls += 1 }
  func ended() { openCalls -= 1 }

  /// Sends a call on its way, now or when there is room; or ends its attempt.
  func dispatch(_ call: ClientCall) {
    if isClosed { return call.giveUp(.channelClosed) }
    if places.isEmpty { resolve() }
    if hasIdle { connectIdle() }
    while true {
      switch picker.pick(among: places.count, { places[$0].standing }) {
      case .use(let index):
        guard let link = places[index].link else { return wait(call) }
        if call.send(on: link) { return }
        // nghttp2 takes no request any more: the link is no link.
        link.retire("the connection takes no more calls")
      case .wait:
        wait(call)
        return grow()
      case .fail:
        if call.options.waitForReady || (places.isEmpty && !hasResolved) { return wait(call) }
        return call.attemptFailed(failure)
      }
    }
  }

  private func wait(_ call: ClientCall) {
    if line.count >= configuration.waitingCallsMax {
      return call.giveUp(Status(.resourceExhausted, "\(line.count) calls wait for a connection"))
    }
    line.append(call)
  }

  func leaveLine(_ call: ClientCall) { line.leave(call) }

  private func grow() { for place in places where place.standing == .full { place.grow() } }

  /// There may be room for calls that wait.
  func pump() {
    while !line.isEmpty {
      switch picker.pick(among: places.count, { places[$0].standing }) {
      case .use(let index):
        guard let link = places[index].link, let call = line.popFirst() else { return }
        if !call.send(on: link) {
          link.retire("the connection takes no more calls")
          dispatch(call)
        }
      case .wait: return grow()
      case .fail:
        if places.isEmpty, !hasResolved { return }
        for call in line.removeAll() {
          if call.options.waitForReady { line.append(call) } else { call.attemptFailed(failure) }
        }
        return
      }
    }
  }
}

// MARK: connections

extension ChannelCore {
  func opened(_ link: Link) { links.append(link) }
  func closed(_ link: Link) { links.removeAll { $0 === link } }

  func connected(_ place: Place) {
    if picker.policy == .pickFirst { for other in places where other !== place { other.drop() } }
    changed()
  }

  func lost(_ address: SocketAddress, _ reason: String) {
    // The system's errors name the address.
    let place = reason.contains(address.description) ? "" : "\(address): "
    failure = Status(.unavailable, "failed to connect to \(target): \(place)\(reason)")
    if isClosed { return }
    if hasNames { resolve() }
    changed()
  }

  /// Something about the addresses is new.
  func changed() {
    if isClosed { return }
    // Nobody knocks at a server's door for a channel that nobody calls.
    if openCalls > 0 || isWanted { connectIdle() } else { hasIdle = true }
    pump()
  }

  private func connectIdle(staggered: Bool = false) {
    hasIdle = false
    if !places.isEmpty { isWanted = false }
    var staggered = staggered
    while let index = picker.connect(among: places.count, staggered: staggered, { places[$0].standing }) {
      staggered = false
      places[index].connect()
      if picker.policy == .pickFirst, places.count > 1 {
        loop.cancel(staggerTimer)
        staggerTimer = loop.schedule(at: later(configuration.attemptStagger), self)
      }
    }
  }

  func connect() {
    if isClosed { return }
    isWanted = true
    if places.isEmpty { resolve() }
    connectIdle()
  }

  func tooManyPings() {
    if keepaliveInterval < .max { keepaliveInterval = keepaliveInterval.multipliedReportingOverflow(by: 2).partialValue }
  }

  private func later(_ duration: Duration) -> MonotonicTime { loop.now.advanced(byNanoseconds: duration.clampedNanoseconds) }

  func timerFired(_ timer: TimerID) {
    switch timer {
    case staggerTimer:
      staggerTimer = .none
      connectIdle(staggered: true)
    case resolveTimer:
      resolveTimer = .none
      pacer.waited()
      if openCalls > 0 { resolve() }
    default: break
    }
  }
}

// MARK: names

extension ChannelCore {
  private func resolve() {
    switch pacer.wanted(at: loop.now) {
    case .none: break
    case .wait(let until): resolveTimer = loop.schedule(at: until, self)
    case .start:
      answers = target.endpoints.map { _ in nil }
      for (index, endpoint) in target.endpoints.enumerated() {
        Resolver.shared.resolve(endpoint) { [weak self, loop] answer in
          if loop.isCurrent { return self?.resolved(index, answer) ?? () }
          loop.enqueue { [weak self] in self?.resolved(index, answer) }
        }
      }
    }
  }

  private func resolved(_ index: Int, _ answer: Resolver.Answer) {
    if isClosed { return }
    answers[index] = answer
    if answers.contains(where: { $0 == nil }) { return }
    var addresses: [SocketAddress] = [], wrong: SocketError?
    for answer in answers {
      switch answer {
      case .success(let list)?: for address in list where !addresses.contains(address) { addresses.append(address) }
      case .failure(let error)?: wrong = error
      case nil: break
      }
    }
    hasResolved = true
    pacer.ended(succeeded: !addresses.isEmpty, at: loop.now, random: random())
    if addresses.isEmpty {
      // What was known before may still be right.
      if places.isEmpty {
        failure = Status(.unavailable, wrong?.description ?? "\(target) has no addresses")
        // Calls that wait for ready keep us looking.
        resolve()
      }
    } else {
      use(addresses)
    }
    changed()
  }

  private func use(_ addresses: [SocketAddress]) {
    let last = places
    places = addresses.map { address in last.first { $0.address == address } ?? Place(address, self) }
    for place in last where !places.contains(where: { $0 === place }) { place.shutDown(gracefully: true) }
  }
}

// MARK: the end

extension ChannelCore {
  func close() {
    if isClosed { return }
    isClosed = true
    loop.cancel(resolveTimer)
    loop.cancel(staggerTimer)
    for call in line.removeAll() { call.giveUp(.channelClosed) }
    let last = places
    places = []
    for place in last { place.shutDown(gracefully: false) }
    for link in links { link.abort() }
  }
}
