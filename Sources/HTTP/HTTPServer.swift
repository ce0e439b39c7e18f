// Loops, listeners, and their end.
internal import Glibc
internal import Synchronization
internal import Telemetry

public final class HTTPServer: Sendable {
  public struct Configuration: Sendable {
    /// Where to listen. TF Serving's default is `0.0.0.0`, IPv4 only.
    public var endpoints: [Endpoint] = []
    /// Event loops; nil: as many as there are usable CPUs.
    public var loops: Int?
    public var limits = Limits()
    /// Speak TLS, on every endpoint but those of `plainEndpoints`. Nil: nowhere.
    public var tls: CertificateStore?
    /// Endpoints that stay without TLS though there is some.
    public var plainEndpoints: Set<Endpoint> = []
    /// Endpoints that are done without when they cannot be had, as long as another can.
    public var dispensableEndpoints: Set<Endpoint> = []
    /// How often the certificates' files are looked at.
    public var certificatePollMilliseconds = 1000

    public init(endpoints: [Endpoint] = [], loops: Int? = nil, limits: Limits = Limits()) {
      self.endpoints = endpoints
      self.loops = loops
      self.limits = limits
    }
  }

  public let configuration: Configuration
  public let loops: [EventLoop]
  private let shares: [LoopShare]
  private let makeApplication: @Sendable (EventLoop) -> any HTTPApplication
  private let makeContext: (@Sendable (EventLoop) -> AnyObject?)?

  private struct State {
    var ports: [Int] = []
    var isDraining = false
  }
  private let state = Mutex(State())
  /// Open connections by who they are counted for; empty while there is no limit on them.
  private let peers = Mutex<[String: Int]>([:])
  private let openConnections = Atomic<Int>(0)
  let acceptPauses = Atomic<Int>(0)
  let connectionMeters = ConnectionMeters()
  private let isShedding = Atomic<Bool>(false)
  /// What the loops have reserved, in steps: request bodies, and answers that wait for their peers.
  let bodies: SharedBytes
  let answers: SharedBytes

  /// - Parameters:
  ///   - makeContext: what the layers above keep per loop, made on the loop's thread: `loop.context`.
  ///   - makeApplication: runs on the loop's thread after `makeContext`; one object per loop.
  public convenience init(
    _ configuration: Configuration, makeContext: (@Sendable (EventLoop) -> AnyObject?)? = nil,
    makeApplication: @escaping @Sendable (EventLoop) -> any HTTPApplication
  ) throws(SocketError) {
    var loops: [EventLoop] = []
    let count = max(1, configuration.loops ?? CPUs.usable)
    let bodies = SharedBytes(bytesMax: configuration.limits.bodyBytesMax)
    let answers = SharedBytes(bytesMax: configuration.limits.answerBytesMax)
    for index in 0..<count {
      loops.append(
        try EventLoop(
          index: index, limits: configuration.limits, bodies: ByteAccount(bodies, loops: count),
          answers: ByteAccount(answers, loops: count)))
    }
    self.init(configuration, loops, bodies, answers, makeContext, makeApplication)
  }

  private init(
    _ configuration: Configuration, _ loops: [EventLoop], _ bodies: SharedBytes, _ answers: SharedBytes,
    _ makeContext: (@Sendable (EventLoop) -> AnyObject?)?,
    _ makeApplication: @escaping @Sendable (EventLoop) -> any HTTPApplication
  ) {
    self.configuration = configuration
    self.makeApplication = makeApplication
    self.makeContext = makeContext
    self.loops = loops
    self.bodies = bodies
    self.answers = answers
    shares = loops.map { _ in LoopShare() }
  }

  /// The TCP ports in the order of the endpoints; -1 for a Unix socket, and for an endpoint that could not be had.
  public var ports: [Int] { state.withLock { $0.ports } }

  public var connectionCount: Int { openConnections.load(ordering: .relaxed) }

  /// How often accepting has paused for want of descriptors.
  public var acceptPauseCount: Int { acceptPauses.load(ordering: .relaxed) }

  /// Binds every endpoint, then starts the loops. When it throws, nothing listens.
  public func start() throws(SocketError) {
    var listeners: [[Listener]] = loops.map { _ in [] }
    var ports: [Int] = []
    var missing: [SocketError] = []
    for endpoint in configuration.endpoints {
      do throws(SocketError) {
        let (port, made) = try listen(endpoint)
        ports.append(port)
        for (index, listener) in made { listeners[index].append(listener) }
      } catch {
        guard configuration.dispensableEndpoints.contains(endpoint) else { throw error }
        ports.append(-1)
        missing.append(error)
      }
    }
    if let error = missing.last, missing.count == configuration.endpoints.count { throw error }
    for error in missing { Log.error("\(error); serving without it") }
    state.withLock { $0.ports = ports }
    configuration.tls?.startWatching(everyMilliseconds: configuration.certificatePollMilliseconds)
    for loop in loops {
      let share = shares[loop.index]
      share.listeners = listeners[loop.index]
      loop.start { [self] loop in
        loop.setContext(makeContext?(loop))
        share.uncounted = { [unowned self, unowned loop] peer in closed(on: loop, peer) }
        loop.answersOverflowed = { [unowned self] in shedAnswers() }
        share.application = makeApplication(loop)
        for listener in share.listeners { listener.open() }
      }
    }
  }

  /// The port of an endpoint, -1 for a Unix socket, and its listeners with the loops they are of.
  private func listen(_ endpoint: Endpoint) throws(SocketError) -> (port: Int, [(loop: Int, Listener)]) {
    let isSecure = configuration.isSecure(endpoint)
    guard case .tcp(let host, let port) = endpoint else {
      let socket = try Socket.listen(endpoint, shared: false)
      return (-1, [(0, Listener(socket, isSecure: isSecure, on: loops[0], server: self))])
    }
    // SO_REUSEPORT would let two servers share a port without a word: ask first whether it is free.
    if port != 0 { _ = try Socket.listen(endpoint, shared: false) }
    var bound = port
    var listeners: [(loop: Int, Listener)] = []
    for loop in loops {
      let socket = try Socket.listen(.tcp(host: host, port: bound), shared: true)
      if bound == 0 { bound = socket.boundPort }
      listeners.append((loop.index, Listener(socket, isSecure: isSecure, on: loop, server: self)))
    }
    return (bound, listeners)
  }

  /// Puts a connection where the fewest are.
  func place(_ socket: consuming Socket, isSecure: Bool, from loop: EventLoop, peer: String) {
    let total = openConnections.add(1, ordering: .relaxed).newValue
    if total > configuration.limits.connectionsMax || !admit(peer) {
      openConnections.subtract(1, ordering: .relaxed)
      connectionMeters.refused.add(1, ordering: .relaxed)
      return
    }
    connectionMeters.accepted.add(1, ordering: .relaxed)
    socket.disableNagle()
    var best = loop
    for other in loops
    where other.connectionCount.load(ordering: .relaxed) < best.connectionCount.load(ordering: .relaxed) { best = other }
    best.connectionCount.add(1, ordering: .relaxed)
    if best === loop { return adopt(socket, isSecure: isSecure, on: best, peer: peer) }
    let fd = socket.release()
    best.enqueue { [self, best] in adopt(Socket(owning: fd), isSecure: isSecure, on: best, peer: peer) }
  }

  private func adopt(_ socket: consuming Socket, isSecure: Bool, on loop: EventLoop, peer: String) {
    let share = shares[loop.index]
    share.connectionCount += 1
    var tls: TLSSession?
    if isSecure, let store = configuration.tls {
      do throws(TLSError) {
        tls = try TLSSession.make(store.current, limits: loop.limits)
      } catch {
        Log.error("\(error)", peer: peer)
        return share.uncount(peer)
      }
    }
    guard share.application != nil, !share.isDraining,
      Greeting.accept(Transport(socket, tls: tls), on: loop, peer: peer, host: share) != nil
    else { return share.uncount(peer) }
  }

  fileprivate func closed(on loop: EventLoop, _ peer: String) {
    loop.connectionCount.subtract(1, ordering: .relaxed)
    openConnections.subtract(1, ordering: .relaxed)
    if configuration.limits.connectionsPerPeerMax > 0, let name = PeerName.counted(peer) {
      peers.withLock { peers in
        let left = (peers[name] ?? 1) - 1
        peers[name] = left > 0 ? left : nil
      }
    }
  }

  /// Counts a connection for its peer. False: the peer has enough.
  private func admit(_ peer: String) -> Bool {
    let countMax = configuration.limits.connectionsPerPeerMax
    guard countMax > 0, let name = PeerName.counted(peer) else { return true }
    return peers.withLock { peers in
      if peers[name, default: 0] >= countMax { return false }
      peers[name, default: 0] += 1
      return true
    }
  }

  /// Asks every loop to let go of the answers that wait longest in it; one round at a time.
  private func shedAnswers() {
    if isShedding.exchange(true, ordering: .relaxed) { return }
    for loop in loops {
      loop.enqueue { [self, loop] in
        isShedding.store(false, ordering: .relaxed)
        loop.shedAnswers()
      }
    }
  }

  /// What the server keeps for each loop; used on that loop's thread, and by `start` before it runs.
  private final class LoopShare: ConnectionHost, @unchecked Sendable {
    var application: (any HTTPApplication)?
    var listeners: [Listener] = []
    var connectionCount = 0
    var isDraining = false
    var drained: (() -> Void)?
    /// Told of every connection that goes.
    var uncounted: ((_ peer: String) -> Void)?

    func replaced(_ old: Connection, by new: Connection) {}
    func closed(_ connection: Connection) { uncount(connection.peer) }

    func uncount(_ peer: String) {
      connectionCount -= 1
      uncounted?(peer)
      finishDrainIfEmpty()
    }

    func finishDrainIfEmpty() {
      guard isDraining, connectionCount == 0 else { return }
      let last = drained
      drained = nil
      last?()
    }
  }
}

extension HTTPServer.Configuration {
  func isSecure(_ endpoint: Endpoint) -> Bool { tls != nil && !plainEndpoints.contains(endpoint) }
}

// MARK: the end

extension HTTPServer {
  /// Stops accepting, tells every client (two-step GOAWAY), lets streams finish, closes. What is still open at `deadline`
  /// is cut. Returns when every connection is closed and the loops' threads have ended; at once when another call drains.
  public func drain(deadline: Duration) async {
    let isFirst = await withCheckedContinuation { continuation in
      let isFirst = startDraining(deadline: deadline) { continuation.resume(returning: true) }
      if !isFirst { continuation.resume(returning: false) }
    }
    guard isFirst else { return }
    for loop in loops { loop.join() }
    configuration.tls?.stopWatching()
  }

  /// The same without waiting: `completion` runs on the loop that finished last, just before it stops.
  /// False: the server is draining already, and `completion` will not be called.
  @discardableResult
  public func startDraining(deadline: Duration, completion: @escaping @Sendable () -> Void) -> Bool {
    let isFirst = state.withLock { state in
      defer { state.isDraining = true }
      return !state.isDraining
    }
    guard isFirst else { return false }
    let milliseconds = Int(clamping: deadline.clampedNanoseconds / 1_000_000)
    let countdown = Countdown(loops.count)
    for loop in loops {
      loop.enqueue { [self, loop] in
        drain(loop, milliseconds) { [self] in
          shares[loop.index].application?.stopped()
          shares[loop.index].application = nil
          if countdown.hit() { completion() }
          loop.stop()
        }
      }
    }
    return true
  }

  private func drain(_ loop: EventLoop, _ milliseconds: Int, _ drained: @escaping () -> Void) {
    let share = shares[loop.index]
    share.isDraining = true
    for listener in share.listeners { listener.close() }
    share.listeners = []
    let timer = loop.schedule(
      afterMilliseconds: milliseconds,
      Cut { for connection in loop.connections { connection.abort() } })
    share.drained = { [unowned loop] in
      loop.cancel(timer)
      drained()
    }
    for connection in loop.connections { connection.startDrain() }
    share.finishDrainIfEmpty()
  }

  private final class Countdown: Sendable {
    private let left: Atomic<Int>
    init(_ count: Int) { left = Atomic(count) }
    func hit() -> Bool { left.subtract(1, ordering: .acquiringAndReleasing).newValue == 0 }
  }

  private final class Cut: TimerTarget {
    let cut: () -> Void
    init(_ cut: @escaping () -> Void) { self.cut = cut }
    func timerFired(_ timer: TimerID) { cut() }
  }
}
