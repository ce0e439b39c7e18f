// A connection with an HTTP/2 session on it, server or client side; confined to its loop.
//
// nghttp2 calls back while it reads and while it writes; its callbacks never close, because a session may not be deleted
// from inside itself (`Connection.isBusy`).
internal import CNGHTTP2
internal import Glibc
internal import Telemetry

/// Told about a client's connection.
public protocol ConnectionObserver: AnyObject {
  /// The server has said its SETTINGS: it speaks HTTP/2, and `streamsMax` is its own.
  func connected(_ connection: HTTP2Connection)
  /// The peer takes no new streams; those that it has will finish, unless they end with `.refused` right after this.
  /// - Parameter text: GOAWAY's debug data.
  func goingAway(_ connection: HTTP2Connection, _ error: StreamError, _ text: String)
  /// The server has said other SETTINGS: `streamsMax` may be another.
  func settingsChanged(_ connection: HTTP2Connection)
  /// A `ping` was answered.
  func ponged(_ connection: HTTP2Connection)
  /// Every stream has been closed before this.
  func closed(_ connection: HTTP2Connection, _ reason: String)
}

extension ConnectionObserver {
  public func settingsChanged(_ connection: HTTP2Connection) {}
}

@safe public final class HTTP2Connection: Connection {
  var session: HTTP2Session?
  /// The session's pointer, nil once it is deleted.
  var sessionHandle: OpaquePointer?
  let role: HTTP2Session.Role
  let application: (any HTTPApplication)?
  var observer: (any ConnectionObserver)?
  var clientTLS: ClientTLS?

  var streams: [HTTPStream] = []
  /// The stream of the latest callback: the next one is usually for the same.
  var recent: Unmanaged<HTTPStream>?
  var recentID: Int32 = 0
  var finished: [HTTPStream] = []
  /// Streams whose writers waited and may go on.
  var caughtUp: [HTTPStream] = []
  /// Streams whose answer ended before their request did.
  var answeredEarly: [Int32] = []

  /// Said before the session says anything.
  var opening: StaticString?
  /// The request that came in HTTP/1.1, and whether its settings are being read.
  var upgraded: HTTPStream?
  var isUpgrading = false

  var resets: Budget
  var control: Budget
  var windowUpdates: Budget

  var hasHandshaken = false
  var drain = Drain.no
  var handshakeTimer = TimerID.none
  var idleTimer = TimerID.none
  var drainTimer = TimerID.none
  var keepaliveTimer = TimerID.none
  var watchfulness = Watchfulness()
  var pings = PingRule()
  /// PINGs of ours that wait for their answer.
  var pingsUnanswered = 0
  /// Since when there has been no stream; kept only when there is a limit on it.
  var idleSince = MonotonicTime(nanoseconds: 0)

  /// Runs while streams are open.
  var lookTimer = TimerID.none
  /// The stream whose header block has begun and not ended, 0: none; how many have begun, and which one was seen last.
  var openHeader: Int32 = 0
  var headersBegun: UInt64 = 0
  var headerSeen: UInt64 = 0
  var headerSeenAt = MonotonicTime(nanoseconds: 0)
  /// Bytes of paused streams that the connection's window was given back for.
  var pausedBytes = 0

  /// Where the input stands among its frames, and what is expected of those to come.
  var cursor: FrameCursor
  var forecast = Forecast()

  /// Why the connection was closed, for the streams that end with it.
  public internal(set) var closeReason: String?
  /// Reads that brought bytes, counted for who wants to know whether the peer lives.
  public internal(set) var readCount: UInt64 = 0

  /// RFC 9113 §6.8: first announce, then, a round trip later, name the last stream.
  enum Drain { case no, announced, named }

  private init(
    _ transport: consuming Transport, role: HTTP2Session.Role, state: State, loop: EventLoop, peer: String,
    host: (any ConnectionHost)?, observer: (any ConnectionObserver)?
  ) {
    self.role = role
    cursor = FrameCursor(preface: role == .server ? Int(NGHTTP2_CLIENT_MAGIC_LEN) : 0)
    self.application = host?.application
    self.observer = observer
    let now = loop.now, limits = loop.limits
    resets = Budget(perSecond: limits.resetsPerSecond, burst: limits.resetsBurst, now: now)
    control = Budget(perSecond: limits.controlFramesPerSecond, burst: limits.controlFramesBurst, now: now)
    windowUpdates = Budget(perSecond: limits.windowUpdatesPerSecond, burst: limits.windowUpdatesBurst, now: now)
    super.init(transport, state: state, loop: loop, peer: peer, host: host)
  }

  /// False: no memory.
  private func makeSession() -> Bool {
    guard let made = HTTP2Session(role, limits: limits, memory: loop.sessionMemory, owner: self) else { return false }
    unsafe sessionHandle = made.handle
    session = consume made
    return true
  }

  /// Takes over what a client has begun. Nil when there is no memory for it.
  static func accept(
    _ transport: consuming Transport, on loop: EventLoop, peer: String, host: (any ConnectionHost)?
  ) -> HTTP2Connection? {
    let connection = HTTP2Connection(
      transport, role: .server, state: .open, loop: loop, peer: peer, host: host, observer: nil)
    guard connection.makeSession() else { return nil }
    connection.handshakeTimer = loop.schedule(afterMilliseconds: loop.limits.handshakeMilliseconds, connection)
    return connection
  }

  /// Takes over from HTTP/1.1 (RFC 7540 §3.2): `stream` has the request, all of it, and becomes stream 1; `settings` came with
  /// it. Nil when there is no memory, or the settings are none.
  static func upgrade(
    _ transport: consuming Transport, on loop: EventLoop, peer: String, host: (any ConnectionHost)?, stream: HTTPStream,
    settings: RawSpan, isHEAD: Bool
  ) -> HTTP2Connection? {
    guard let connection = accept(transport, on: loop, peer: peer, host: host) else { return nil }
    let pointer = unsafe Unmanaged.passUnretained(stream).toOpaque()
    connection.isUpgrading = true
    defer { connection.isUpgrading = false }
    // nghttp2 reads the payload during the call; `streams` holds the stream until it closes.
    let code = unsafe settings.withUnsafeBytes { settings in
      unsafe nghttp2_session_upgrade2(
        connection.handle, settings.baseAddress?.assumingMemoryBound(to: UInt8.self), settings.count, isHEAD ? 1 : 0, pointer)
    }
    guard code == 0 else {
      loop.cancel(connection.handshakeTimer)
      return nil
    }
    connection.opening = ResponseWriter.switching
    connection.add(stream, 1)
    stream.isRemoteEnded = true
    connection.upgraded = stream
    return connection
  }

  /// The client's preface is here. An answer before that may be more than a client takes behind 101 (curl has room for 32 KB).
  func openUpgraded() {
    guard let stream = upgraded else { return }
    upgraded = nil
    application?.opened(stream)
    stream.handler?.ended(stream)
  }

  /// Starts connecting. `observer.connected` follows, or `closed`.
  /// - Parameter tls: nil: plain, with prior knowledge.
  public static func connect(
    to address: SocketAddress, tls: ClientTLS? = nil, on loop: EventLoop, observer: any ConnectionObserver
  ) throws(SocketError) -> HTTP2Connection {
    let connection = HTTP2Connection(
      Transport(try Socket.connect(address)), role: .client, state: .connecting, loop: loop, peer: address.description,
      host: nil, observer: observer)
    connection.clientTLS = tls
    guard connection.makeSession(), connection.begin() else {
      throw SocketError(operation: "connect", address: address.description, code: ENOMEM)
    }
    return connection
  }

  /// A client on a socket that is connected already.
  static func client(
    _ socket: consuming Socket, on loop: EventLoop, observer: any ConnectionObserver
  ) -> HTTP2Connection? {
    let connection = HTTP2Connection(
      Transport(socket), role: .client, state: .open, loop: loop, peer: "socket", host: nil, observer: observer)
    guard connection.makeSession(), connection.begin() else { return nil }
    connection.markDirty()
    return connection
  }

  public var openStreamCount: Int { streams.count }

  /// nghttp2's session. Callers are past a check that the connection is not closed.
  var handle: OpaquePointer { unsafe sessionHandle! }

  override func makeTLS() throws(TLSError) -> TLSSession? { try clientTLS?.session(limits) }

  override func secured(_ name: TLSConfiguration.ApplicationProtocol?, _ bytes: UnsafeRawBufferPointer) {
    // RFC 9113 §3.2.
    if role == .client, name != .http2 { return close("the server does not speak HTTP/2: ALPN gave \(name?.rawValue ?? "nothing")") }
    unsafe super.secured(name, bytes)
  }

  override func planRead() -> Bool { forecast.isBulk && planLandings() }
  override var plainReadBytes: Int { forecast.isBulk ? Quantum.firstReadBytes : Quantum.readBytes }
  override func filledPlainRead() { forecast.isBulk = false }
  override func settleRead(_ count: Int) { forecast.settled(isRight: loop.landing.settle(count, after: cursor)) }

  override func received(_ bytes: UnsafeRawBufferPointer) {
    readCount &+= 1
    if transport.tls == nil { unsafe cursor.advance(over: bytes) }
    isBusy = true
    let n = unsafe nghttp2_session_mem_recv(handle, bytes.baseAddress!.assumingMemoryBound(to: UInt8.self), bytes.count)
    isBusy = false
    if n < 0 {
      // A bad preface, a flood, or a protocol error nghttp2 could not answer with GOAWAY.
      let code = Int32(truncatingIfNeeded: n)
      if code == NGHTTP2_ERR_FLOODED.rawValue || code == NGHTTP2_ERR_TOO_MANY_CONTINUATIONS.rawValue {
        return floodEnds(unsafe String(cString: nghttp2_strerror(code)))
      }
      closeSoon("HTTP/2: \(unsafe String(cString: nghttp2_strerror(code)))")
    } else if role == .server, lookTimer == .none, !streams.isEmpty || openHeader != 0 {
      lookTimer = loop.schedule(afterMilliseconds: limits.lookMilliseconds, self)
    }
  }

  /// Of the stream that bytes came for last, or of all that long bodies come for in turns, until the first is complete. The peer
  /// may have to wait for a window of ours meanwhile: it is told of new room when half is used, so what it can always send is
  /// half a window.
  override var bytesExpected: Int {
    guard let recent = unsafe recent else { return 0 }
    let expected = unsafe recent._withUnsafeGuaranteedRef { $0.bytesExpected }
    if expected == 0 { return 0 }
    let inTurns = forecast.isBulk ? bodiesUnderWay(upTo: expected) : (least: expected, count: 1)
    let window = unsafe nghttp2_session_get_effective_local_window_size(handle)
    let each = min(inTurns.least, Int(unsafe nghttp2_session_get_stream_effective_local_window_size(handle, recentID)) / 2)
    return min(each * inTurns.count, Int(window) / 2)
  }

  // MARK: streams

  override func resumeInput(_ stream: HTTPStream) {
    let count = stream.unconsumed
    stream.unconsumed = 0
    consumeOfConnection(stream)
    if count > 0, unsafe nghttp2_session_consume_stream(handle, stream.id, count) != 0 { closeSoon("out of memory") }
    markDirty()
  }

  // MARK: bytes out

  override func submitResponse(_ stream: HTTPStream, _ fields: StaticFields) {
    // An answer that is whole and has no trailers says its length, as it does in HTTP/1.1. gRPC's have trailers.
    if stream.responseTrailers == nil, !fields.hasLength, unsafe !haveBodilessStatus(fields.base, fields.count) {
      var more = FieldList()
      more.append("content-length", String(stream.body.count))
      return unsafe more.withNV(after: fields) { fields, count in unsafe submitResponse(stream, fields, count) }
    }
    unsafe submitResponse(stream, fields.base, fields.count)
  }

  private func submitResponse(_ stream: HTTPStream, _ fields: UnsafePointer<nghttp2_nv>, _ count: Int) {
    if unsafe leavesBodyOut(stream, fields, count) { return unsafe submitBodiless(stream, fields, count) }
    holdAnswer(stream.body.count)
    var provider = unsafe bodyProvider(stream)
    // nghttp2 copies the provider, and the names and values that are not static.
    let code = unsafe nghttp2_submit_response(handle, stream.id, fields, count, &provider)
    submitted(stream, code)
  }

  override func submitHeadOnly(_ stream: HTTPStream, _ first: StaticFields?, _ more: borrowing FieldList) {
    unsafe more.withNV(after: first) { fields, count in unsafe submitBodiless(stream, fields, count) }
  }

  override func submitHead(_ stream: HTTPStream, _ first: StaticFields, _ more: borrowing FieldList) {
    unsafe more.withNV(after: first) { fields, count in
      if unsafe leavesBodyOut(stream, fields, count) { return unsafe submitBodiless(stream, fields, count) }
      var provider = unsafe queueProvider(stream)
      unsafe submitted(stream, nghttp2_submit_response(handle, stream.id, fields, count, &provider))
    }
  }

  override func write(_ stream: HTTPStream, _ bytes: consuming ByteBuffer) -> Bool {
    if stream.isBodiless { return true }
    holdAnswer(bytes.count)
    stream.queue.append(bytes)
    wrote(stream)
    if stream.queue.count < limits.streamBacklogBytesMax { return true }
    stream.owesWritable = true
    return false
  }

  /// There is more to send on `stream`, if only its end.
  override func wrote(_ stream: HTTPStream) {
    if stream.isBodiless { return }
    // Trailers are not flow-controlled (RFC 9113 §5.2.1), but nghttp2 asks for the end of a body only while the connection's
    // window is open: behind a body that has left already they go without being asked for.
    if stream.hasEnded, stream.queue.isEmpty, stream.hasTrailers {
      stream.hasSubmittedTrailers = true
      let code = unsafe stream.endMore.withNV(after: stream.endFirst) { fields, count in
        unsafe nghttp2_submit_trailer(handle, stream.id, fields, count)
      }
      answered(stream)
      return submitted(stream, code)
    }
    if stream.isDeferred {
      stream.isDeferred = false
      _ = unsafe nghttp2_session_resume_data(handle, stream.id)
    }
    submitted(stream, 0)
  }

  override func submitReset(_ stream: HTTPStream, _ error: StreamError) {
    _ = unsafe nghttp2_submit_rst_stream(handle, 0, stream.id, error.rawValue)
    markDirty()
  }

  override var isHTTP2: Bool { true }

  override func collect() -> Bool {
    if let opening {
      // A literal's bytes live for the whole process.
      unsafe loop.outbox.copy(opening.utf8Start, opening.utf8CodeUnitCount)
      self.opening = nil
    }
    while !loop.outbox.isFull {
      var chunk: UnsafePointer<UInt8>?
      let n = unsafe nghttp2_session_mem_send(handle, &chunk)
      if n < 0 {
        let reason = unsafe String(cString: nghttp2_strerror(Int32(truncatingIfNeeded: n)))
        closeSoon("HTTP/2: \(reason)")
        return false
      }
      guard n > 0, let chunk = unsafe chunk else { return loop.outbox.isFull }
      // nghttp2 hands out frame by frame, their heads first: the fourth byte is the type.
      if unsafe n > 3 && chunk[3] <= FrameType.headers { pings.sent() }
      // The chunk is valid until the next call into the session; copy() takes it now.
      unsafe loop.outbox.copy(chunk, n)
    }
    return true
  }

  /// nghttp2 wants nothing more after GOAWAY with no stream left, or after a fatal error it has reported to the peer.
  override var isFinished: Bool {
    unsafe nghttp2_session_want_read(handle) == 0 && nghttp2_session_want_write(handle) == 0
  }

  override func collected() {
    // Handlers may write on other streams in here, which marks us dirty again.
    while let stream = caughtUp.popLast() {
      if let handler = stream.handler, stream.isOpen { handler.writable(stream) }
    }
    while let stream = finished.popLast() { loop.giveBack(stream) }
    // Only behind a session that has said everything.
    if !answeredEarly.isEmpty, !isWaitingToWrite, unsafe nghttp2_session_want_write(handle) == 0 { stopEarlyUploads() }
  }

  // MARK: requests

  /// Opens a stream with `body` behind its head, and takes the body for as long as the stream is open. Nil when this
  /// connection takes no more: the body stays. `first` are the fields that every request shares.
  public func request(_ first: StaticFields, _ more: borrowing FieldList, body: inout ByteBuffer, handler: any StreamHandler)
    -> HTTPStream?
  {
    request(first, more, body: &body, isWhole: true, handler)
  }

  /// Opens a stream whose body follows by `write` and is closed by `end`.
  public func open(_ first: StaticFields, _ more: borrowing FieldList, handler: any StreamHandler) -> HTTPStream? {
    var none = ByteBuffer()
    return request(first, more, body: &none, isWhole: false, handler)
  }

  private func request(
    _ first: StaticFields, _ more: borrowing FieldList, body: inout ByteBuffer, isWhole: Bool, _ handler: any StreamHandler
  ) -> HTTPStream? {
    guard state != .closed, mustClose == nil else { return nil }
    let stream = loop.takeStream()
    swap(&stream.body, &body)
    stream.handler = handler
    stream.isSubmitted = true
    stream.isStreaming = !isWhole
    var provider = unsafe isWhole ? bodyProvider(stream) : queueProvider(stream)
    let pointer = unsafe Unmanaged.passUnretained(stream).toOpaque()
    let id = unsafe more.withNV(after: first) { fields, count in
      unsafe nghttp2_submit_request(handle, nil, fields, count, &provider, pointer)
    }
    guard id > 0 else {
      swap(&stream.body, &body)
      stream.handler = nil
      loop.giveBack(stream)
      return nil
    }
    add(stream, id)
    holdAnswer(stream.body.count)
    markDirty()
    return stream
  }

  /// Streams that the server allows at a time; nghttp2 holds further requests back.
  public var streamsMax: Int {
    guard !isClosed else { return 0 }
    return Int(unsafe nghttp2_session_get_remote_settings(handle, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS))
  }

  /// Asks whether the peer is there; `observer.ponged` when it is.
  public func ping() {
    guard state == .open else { return }
    submitPing()
    markDirty()
  }

  // MARK: the end

  public override func timerFired(_ timer: TimerID) {
    switch timer {
    case handshakeTimer: close("no HTTP/2 preface within \(limits.handshakeMilliseconds) ms")
    case idleTimer: idled()
    case lookTimer: look()
    case keepaliveTimer: askWhetherAlive()
    case drainTimer:
      if drain == .announced { nameLastStream() }
    default: super.timerFired(timer)
    }
  }

  /// Graceful end: GOAWAY naming no stream, a PING to learn that it arrived, GOAWAY naming the last stream; closes when
  /// the streams are finished.
  public override func startDrain() {
    guard state == .open, drain == .no else { return }
    drain = .announced
    if role == .client || !hasHandshaken { return nameLastStream() }
    _ = unsafe nghttp2_submit_shutdown_notice(handle)
    submitPing()
    // A peer that does not answer pings gets a second.
    drainTimer = loop.schedule(afterMilliseconds: 1000, self)
    markDirty()
  }

  override func cleanUp(_ reason: String) {
    closeReason = reason
    for timer in [handshakeTimer, idleTimer, drainTimer, lookTimer, keepaliveTimer] { loop.cancel(timer) }
    while let stream = streams.last {
      // nghttp2 knows a request from the moment its HEADERS are made.
      let isUnsent = unsafe role == .client && nghttp2_session_get_stream_user_data(handle, stream.id) == nil
      remove(stream, isUnsent ? .unsent : .connectionLost)
    }
    answeredEarly = []
    unsafe recent = nil
    recentID = 0
    unsafe sessionHandle = nil
    session = nil
    let observer = observer
    self.observer = nil
    observer?.closed(self, reason)
  }
}

extension EventLoop {
  func takeStream() -> HTTPStream { streamPool.popLast() ?? HTTPStream(loop: self) }

  func giveBack(_ stream: HTTPStream) {
    if stream.body.capacity > limits.pooledBufferBytesMax {
      var large = ByteBuffer()
      swap(&large, &stream.body)
      buffers.give(large)
    }
    guard streamPool.count < limits.pooledStreamsMax else { return }
    stream.recycle(keeping: limits.pooledBufferBytesMax)
    streamPool.append(stream)
  }
}
