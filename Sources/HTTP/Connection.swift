// A socket and what every protocol on it shares: reading, gathering what goes out into one write, waiting for a peer that
// reads slowly, and ending.
//
//   readable ─► one read ─► received ─► streams ─► handlers answer ─► flush { collect ─► one write }
//
// A read event runs from bytes to bytes: what the handlers answered at once leaves in the same breath. What comes later
// marks the connection dirty, and the loop flushes it at the end of its turn.
//
//   Greeting          which protocol? The first bytes say; it hands its transport on and is gone.
//   HTTP2Connection   either side, on nghttp2
//   HTTP1Connection   server side, on our own parser
//
// With TLS a session stands between the socket and the protocol, which sees plain text only (`TLS/TLSSession.swift`).
//
// Life:  connecting ─► handshaking (TLS) ─► open ─► closed. Inside a protocol's own code (`isBusy`) nothing closes: it notes
// `mustClose`.
internal import CLinux
internal import Glibc
internal import Telemetry

/// The system's end of a connection.
struct Transport: ~Copyable {
  var socket: Socket
  /// Nil: plain.
  var tls: TLSSession?

  init(_ socket: consuming Socket, tls: TLSSession? = nil) {
    self.socket = socket
    self.tls = tls
  }
}

/// What a server keeps for each loop, and its connections ask for.
protocol ConnectionHost: AnyObject {
  var application: (any HTTPApplication)? { get }
  /// `old` has handed its transport to `new`.
  func replaced(_ old: Connection, by new: Connection)
  func closed(_ connection: Connection)
}

@safe public class Connection: EventSource, TimerTarget {
  enum State { case connecting, handshaking, open, closed }

  public let loop: EventLoop
  public let peer: String
  /// The server's side; nil on a client.
  private(set) weak var host: (any ConnectionHost)?
  var state: State
  var transport: Transport

  /// Bytes collected that the socket did not take.
  var pending = ByteBuffer()
  private(set) var isWaitingToWrite = false
  private var isMarked = false
  private var isReading = true
  /// The socket is full and its peer gets no more answers for now.
  private var isHeldBack = false
  private var bytesWrittenSinceStallCheck = 0
  /// Inside the protocol: closing must wait.
  var isBusy = false
  /// A handshake that has something to read, and waits for its turn.
  var isWaitingForTurn = false
  /// Why the connection is about to be closed.
  private(set) var mustClose: String?
  private var stallTimer = TimerID.none
  private var ageTimer = TimerID.none
  private var isOld = false
  var patience = Patience()
  private var patienceTimer = TimerID.none
  private var bodyBytesHeld = 0
  /// Who has our transport now.
  var successor: Connection?
  /// Bytes of answers that wait for the peer, besides `pending`.
  private(set) var answerBytesWaiting = 0

  init(_ transport: consuming Transport, state: State, loop: EventLoop, peer: String, host: (any ConnectionHost)?) {
    self.transport = transport
    self.state = state
    self.loop = loop
    self.peer = peer
    self.host = host
  }

  final var limits: Limits { loop.limits }
  public final var isClosed: Bool { state == .closed }
  /// The peer is spoken to over TLS.
  public final var isSecure: Bool { transport.tls != nil }
  /// Whose certificate the peer has shown, verified; nil: none, or no TLS.
  public final var peerCertificate: CertificateSummary? { transport.tls?.peerCertificate }

  // MARK: what a protocol says

  /// A client's TLS; nil: plain.
  func makeTLS() throws(TLSError) -> TLSSession? { nil }

  /// The handshake of TLS is done, `protocol` is what ALPN agreed on, `bytes` came right behind it.
  func secured(_ protocol: TLSConfiguration.ApplicationProtocol?, _ bytes: UnsafeRawBufferPointer) {
    if unsafe !bytes.isEmpty { unsafe received(bytes) }
  }

  /// The handshake failed on `bytes`. What is put into the loop's `sealed` still goes out.
  func handshakeFailed(_ error: TLSError, _ bytes: UnsafeRawBufferPointer) {}

  /// Bytes from the peer, valid for this call.
  func received(_ bytes: UnsafeRawBufferPointer) {}

  /// Lays `loop.landing` out for bytes whose place is known. False: none is.
  func planRead() -> Bool { false }

  /// The most that is worth reading when no place is known.
  var plainReadBytes: Int { Quantum.readBytes }

  /// A plain read could have brought more, and nothing long is expected.
  func filledPlainRead() {}

  /// A planned read has brought `count` bytes.
  func settleRead(_ count: Int) {}

  /// How many more bytes must come before the protocol can do anything with them; zero: any byte may matter.
  var bytesExpected: Int { 0 }

  /// The peer sends no more.
  func inputEnded() { close("the peer closed the connection") }

  /// Moves bytes into the loop's outbox. True: it is full and there may be more.
  func collect() -> Bool { false }

  /// The outbox has been written or set aside: what it named may go.
  func collected() {}

  /// Streams of HTTP/2, with frames and trailers.
  var isHTTP2: Bool { false }

  /// Nothing is left to do, in either direction.
  var isFinished: Bool { false }

  /// Graceful end: streams that are open finish, no new ones are taken.
  func startDrain() { close("drained") }

  /// Every stream gets its end; called once, when the socket is closed.
  func cleanUp(_ reason: String) {}

  // MARK: what streams ask

  func submitResponse(_ stream: HTTPStream, _ fields: StaticFields) {}
  func submitHeadOnly(_ stream: HTTPStream, _ first: StaticFields?, _ more: borrowing FieldList) {}
  func submitHead(_ stream: HTTPStream, _ first: StaticFields, _ more: borrowing FieldList) {}
  func write(_ stream: HTTPStream, _ bytes: consuming ByteBuffer) -> Bool { false }
  func wrote(_ stream: HTTPStream) {}
  func resumeInput(_ stream: HTTPStream) {}
  func submitReset(_ stream: HTTPStream, _ error: StreamError) {}

  final func holdBody(_ stream: HTTPStream, _ count: Int) -> Bool {
    let (sum, overflow) = bodyBytesHeld.addingReportingOverflow(count)
    if overflow || sum > limits.bodyBytesPerConnectionMax { return false }
    let isSmall = stream.bodyBytesHeld + count <= Limits.smallBodyBytes
    if !loop.bodies.hold(count, leaving: isSmall ? 0 : limits.smallBodiesBytes) { return false }
    bodyBytesHeld = sum
    stream.bodyBytesHeld += count
    return true
  }

  final var bodyRoom: Int { max(0, limits.bodyBytesPerConnectionMax - bodyBytesHeld) }

  final func releaseBody(of stream: HTTPStream) { releaseBody(of: stream, stream.bodyBytesHeld) }

  final func releaseBody(of stream: HTTPStream, _ count: Int) {
    precondition(count <= stream.bodyBytesHeld)
    stream.bodyBytesHeld -= count
    bodyBytesHeld -= count
    loop.bodies.release(count)
  }

  /// Counts bytes of an answer that now wait for the peer.
  final func holdAnswer(_ count: Int) {
    answerBytesWaiting += count
    if !loop.answers.holdAnyway(count) { loop.answersOverflowed?() }
    if answerBytesWaiting > limits.writeBacklogBytesMax {
      closeSoon("\(answerBytesWaiting) bytes wait for a peer that does not read")
    }
  }

  final func releaseAnswer(_ count: Int) {
    answerBytesWaiting -= count
    loop.answers.release(count)
  }

  // MARK: events

  /// Starts listening to the socket. False: the kernel refuses.
  /// - Parameter ages: whether `connectionAgeMilliseconds` counts from here.
  final func begin(ages: Bool = true) -> Bool {
    let age = limits.connectionAgeMilliseconds
    if age > 0, ages, host != nil {
      ageTimer = loop.schedule(afterMilliseconds: Int.random(in: age - age / 10...age + age / 10), self)
    }
    return watch()
  }

  @discardableResult private func watch() -> Bool {
    var flags: ReadyFlags = isReading && !isHeldBack ? .readable : []
    if isWaitingToWrite || state == .connecting { flags.insert(.writable) }
    if isUnanswered { flags.insert(.peerEnded) }
    return loop.watch(self, transport.socket.fd, flags)
  }

  override final func ready(_ flags: ReadyFlags) {
    switch state {
    case .closed: return
    case .connecting: finishConnecting()
    case .handshaking, .open:
      if flags.contains(.writable) { flushPending() }
      if state == .closed || flags.isDisjoint(with: [.readable, .error, .hangUp, .peerEnded]) { return }
      if state == .handshaking, host != nil { handshakeInTurn(flags) } else { read() }
    }
  }

  private func finishConnecting() {
    let error = transport.socket.pendingError
    if error != 0 { return close(SocketError(operation: "connect", address: peer, code: error).description) }
    do throws(TLSError) {
      transport.tls = try makeTLS()
    } catch {
      return close(error.description)
    }
    if let tls = transport.tls {
      state = .handshaking
      watch()
      return unsafe handshake(tls, UnsafeRawBufferPointer(start: nil, count: 0))
    }
    state = .open
    watch()
    flush()
  }

  final func read() {
    var left = Quantum.turnBytes
    while left > 0 {
      let isPlanned = transport.tls == nil && planRead()
      // The loop's buffer, and what handlers have lent for this read, is ours until we return to the loop.
      let result = unsafe isPlanned
        ? transport.socket.read(into: loop.landing.vectorsToRead())
        : transport.socket.read(into: UnsafeMutableRawBufferPointer(rebasing: loop.readBuffer[..<plainReadBytes]))
      let most = isPlanned ? loop.landing.byteCount : plainReadBytes
      switch result {
      case .bytes(let n):
        left -= n
        loop.count(.bytesReceived, n)
        if isPlanned { settleRead(n) }
        let bytes = unsafe UnsafeRawBufferPointer(rebasing: loop.readBuffer[..<n])
        if let tls = transport.tls {
          if state == .handshaking { return unsafe handshake(tls, bytes) }
          unsafe takeSealed(tls, bytes)
        } else {
          unsafe take(bytes)
        }
        if n < Quantum.patientFromBytes, !patience.isWaiting { return }
        if state != .open || !isReading { return }
        let expected = bytesExpected
        if n == most {
          if expected > 0 { continue }
          if !isPlanned { filledPlainRead() }
        }
        return wait(patience.read(n, expecting: expected))
      case .wouldBlock: return
      case .end: return inputStopped()
      case .failed(let code): return close(SocketError(operation: "read", address: peer, code: code).description)
      }
    }
  }

  /// Sets the socket's low-water mark, and the timer that looks after it.
  private func wait(_ mark: Int?) {
    guard let mark else { return }
    transport.socket.setLowWaterMark(mark)
    if mark == 1 {
      loop.cancel(patienceTimer)
      patienceTimer = .none
    } else if patienceTimer == .none {
      patienceTimer = loop.schedule(afterMilliseconds: Quantum.patientMilliseconds, self)
    }
  }

  /// Reads on, or lets the peer wait in the kernel's buffers.
  final func setReading(_ wanted: Bool) {
    if wanted == isReading || state == .closed { return }
    isReading = wanted
    watch()
  }

  public func timerFired(_ timer: TimerID) {
    if timer == ageTimer { return grewOld() }
    if timer == patienceTimer { return checkPatience() }
    guard timer == stallTimer else { return }
    if bytesWrittenSinceStallCheck < limits.answerBytesPerStallMin {
      return close("the peer read \(bytesWrittenSinceStallCheck) bytes in \(limits.writeStallMilliseconds) ms")
    }
    bytesWrittenSinceStallCheck = 0
    stallTimer = loop.schedule(afterMilliseconds: limits.writeStallMilliseconds, self)
  }

  private func grewOld() {
    ageTimer = .none
    if isOld { return close("\(limits.connectionAgeGraceMilliseconds) ms after its time") }
    isOld = true
    startDrain()
    if state == .open, limits.connectionAgeGraceMilliseconds > 0 {
      ageTimer = loop.schedule(afterMilliseconds: limits.connectionAgeGraceMilliseconds, self)
    }
  }

  private func checkPatience() {
    patienceTimer = .none
    if patience.checked() {
      patienceTimer = loop.schedule(afterMilliseconds: Quantum.patientMilliseconds, self)
    } else {
      // The kernel reports what has gathered as soon as the mark is down.
      wait(patience.end())
    }
  }
}

// MARK: bytes in and out

extension Connection {
  final func take(_ bytes: UnsafeRawBufferPointer) {
    unsafe received(bytes)
    if state == .open { flush() }
  }

  final func markDirty() {
    if isBusy || isMarked || state == .closed { return }
    isMarked = true
    loop.markDirty(self)
  }

  final func flushMarked() {
    isMarked = false
    if state == .open { flush() }
  }

  final func flush() {
    if isWaitingToWrite {
      holdBack()
      return finishIfDone()
    }
    for _ in 0..<Quantum.writesPerTurn {
      let more = gather()
      if loop.outbox.isEmpty { return finishIfDone() }
      if let tls = transport.tls { seal(tls) } else { sendOutbox() }
      if !more || isWaitingToWrite || mustClose != nil { return finishIfDone() }
    }
    if !isMarked {
      isMarked = true
      loop.markDirty(self)
    }
    collected()
  }

  private func sendOutbox() {
    let total = loop.outbox.byteCount
    switch loop.outbox.write(to: transport.socket) {
    case .bytes(let n):
      loop.count(.bytesSent, n)
      if n == total { loop.outbox.removeAll() } else { keepRest(after: n) }
    case .wouldBlock, .end: keepRest(after: 0)
    case .failed(let code):
      loop.outbox.removeAll()
      closeSoon(SocketError(operation: "write", address: peer, code: code).description)
    }
  }

  private func gather() -> Bool {
    isBusy = true
    defer { isBusy = false }
    return collect()
  }

  private func keepRest(after written: Int) {
    if !loop.outbox.copyRest(after: written, into: &pending) { closeSoon("out of memory") }
    loop.outbox.removeAll()
    waitToWrite()
  }

  final func waitToWrite() {
    if isWaitingToWrite { return }
    bytesWrittenSinceStallCheck = 0
    isWaitingToWrite = true
    watch()
    holdBack()
    stallTimer = loop.schedule(afterMilliseconds: limits.writeStallMilliseconds, self)
  }

  /// Who does not read is not read from. A peer must take what it was sent before it may hope for more, so this cannot lock the
  /// two of us up; a client of ours reads on, because a server may do the same to it.
  private func holdBack() {
    if isHeldBack || host == nil || pending.count + answerBytesWaiting <= limits.readAheadBytesMax { return }
    isHeldBack = true
    watch()
  }

  private func flushPending() {
    guard isWaitingToWrite else { return }
    // `pending` stays put during the call.
    var piece = unsafe iovec(iov_base: pending.unsafeBase, iov_len: pending.count)
    let result = unsafe withUnsafeMutablePointer(to: &piece) {
      unsafe transport.socket.write(UnsafeMutableBufferPointer(start: $0, count: 1))
    }
    switch result {
    case .bytes(let n):
      bytesWrittenSinceStallCheck += n
      loop.count(.bytesSent, n)
      pending.removeFirst(n)
      if pending.count > 0 { return }
      pending.clear(keeping: 0)
      isWaitingToWrite = false
      isHeldBack = false
      loop.cancel(stallTimer)
      stallTimer = .none
      watch()
      if state == .open { flush() } else { finishIfDone() }
    case .wouldBlock, .end: return
    case .failed(let code): close(SocketError(operation: "write", address: peer, code: code).description)
    }
  }

  /// After a flush: lets go of what was written, and closes when the protocol or we are done.
  final func finishIfDone() {
    collected()
    if state == .closed { return }
    if let reason = mustClose { return close(reason) }
    if state == .open, !isWaitingToWrite, isFinished { close("finished") }
  }
}

// MARK: the end

extension Connection {
  /// Tells the peer that nothing more comes from us; what it still sends is read.
  /// - Precondition: nothing waits to be written.
  final func endOutput() {
    if let tls = transport.tls {
      tls.closeNotify(into: &loop.tls.sealed)
      sendSealed()
    }
    if !isWaitingToWrite { transport.socket.shutdownWrites() }
  }

  /// Closes behind what is under way: the first reason counts.
  final func closeSoon(_ reason: String) { mustClose = mustClose ?? reason }

  /// Cuts the connection now.
  public final func abort() { close("aborted") }

  final func close(_ reason: String) {
    guard state != .closed else { return }
    if isBusy { return closeSoon(reason) }
    // What the protocol still has to say (why it closes) is worth one try.
    if state == .open, mustClose != nil, !isWaitingToWrite {
      _ = gather()
      if !loop.outbox.isEmpty {
        if let tls = transport.tls { seal(tls) } else { _ = loop.outbox.write(to: transport.socket) }
      }
      loop.outbox.removeAll()
    }
    if let tls = transport.tls, state == .open, !isWaitingToWrite {
      tls.closeNotify(into: &loop.tls.sealed)
      sendSealed()
    }
    leave()
    transport.socket.close()
    cleanUp(reason)
    collected()
    let host = host
    self.host = nil
    host?.closed(self)
  }

  private func leave() {
    state = .closed
    loop.cancel(stallTimer)
    loop.cancel(ageTimer)
    loop.cancel(patienceTimer)
    loop.unwatch(self, transport.socket.fd)
    pending.clear(keeping: 0)
  }

  /// Ends this object and gives the transport to the one that `make` returns, which starts with the bytes that were read:
  /// some `earlier`, the others just now.
  /// - Precondition: the protocol has nothing that waits to be written; TLS may.
  final func handOver(
    _ earlier: UnsafeRawBufferPointer, _ bytes: UnsafeRawBufferPointer,
    to make: (consuming Transport, (any ConnectionHost)?) -> Connection?
  ) {
    precondition((!isWaitingToWrite || isSecure) && state == .open)
    var waiting = ByteBuffer()
    swap(&waiting, &pending)
    leave()
    cleanUp("handed over")
    var taken = Transport(Socket(owning: -1))
    swap(&taken, &transport)
    let wasSecure = taken.tls != nil
    let host = host
    self.host = nil
    guard let next = make(taken, host) else {
      host?.closed(self)
      return
    }
    // What cannot be watched may have streams already.
    if !next.begin() { return next.close("the kernel refuses to watch the socket") }
    host?.replaced(self, by: next)
    if wasSecure { successor = next }
    if waiting.count > 0 {
      swap(&waiting, &next.pending)
      next.waitToWrite()
    }
    if unsafe !earlier.isEmpty { unsafe next.take(earlier) }
    if next.isClosed { return }
    // Over TLS the protocol may be known before its first byte.
    if unsafe bytes.isEmpty { next.flush() } else { unsafe next.take(bytes) }
  }
}
