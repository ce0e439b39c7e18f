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
  private var session: HTTP2Session?
  /// The session's pointer, nil once it is deleted.
  private var sessionHandle: OpaquePointer?
  let role: HTTP2Session.Role
  private let application: (any HTTPApplication)?
  private var observer: (any ConnectionObserver)?
  private var clientTLS: ClientTLS?

  private var streams: [HTTPStream] = []
  /// The stream of the latest callback: the next one is usually for the same.
  private var recent: Unmanaged<HTTPStream>?
  private var recentID: Int32 = 0
  private var finished: [HTTPStream] = []
  /// Streams whose writers waited and may go on.
  private var caughtUp: [HTTPStream] = []
  /// Streams whose answer ended before their request did.
  private var answeredEarly: [Int32] = []

  /// Said before the session says anything.
  private var opening: StaticString?
  /// The request that came in HTTP/1.1, and whether its settings are being read.
  private var upgraded: HTTPStream?
  private var isUpgrading = false

  private var resets: Budget
  private var control: Budget
  private var windowUpdates: Budget

  private var hasHandshaken = false
  private var drain = Drain.no
  private var handshakeTimer = TimerID.none
  private var idleTimer = TimerID.none
  private var drainTimer = TimerID.none
  private var keepaliveTimer = TimerID.none
  private var watchfulness = Watchfulness()
  private var pings = PingRule()
  /// PINGs of ours that wait for their answer.
  private var pingsUnanswered = 0
  /// Since when there has been no stream; kept only when there is a limit on it.
  private var idleSince = MonotonicTime(nanoseconds: 0)

  /// Runs while streams are open.
  private var lookTimer = TimerID.none
  /// The stream whose header block has begun and not ended, 0: none; how many have begun, and which one was seen last.
  private var openHeader: Int32 = 0
  private var headersBegun: UInt64 = 0
  private var headerSeen: UInt64 = 0
  private var headerSeenAt = MonotonicTime(nanoseconds: 0)
  /// Bytes of paused streams that the connection's window was given back for.
  private var pausedBytes = 0

  /// Why the connection was closed, for the streams that end with it.
  public private(set) var closeReason: String?
  /// Reads that brought bytes, counted for who wants to know whether the peer lives.
  public private(set) var readCount: UInt64 = 0

  /// RFC 9113 §6.8: first announce, then, a round trip later, name the last stream.
  private enum Drain { case no, announced, named }

  private init(
    _ transport: consuming Transport, role: HTTP2Session.Role, state: State, loop: EventLoop, peer: String,
    host: (any ConnectionHost)?, observer: (any ConnectionObserver)?
  ) {
    self.role = role
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
  private func openUpgraded() {
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
  private var handle: OpaquePointer { unsafe sessionHandle! }

  override func makeTLS() throws(TLSError) -> TLSSession? { try clientTLS?.session(limits) }

  override func secured(_ name: TLSConfiguration.ApplicationProtocol?, _ bytes: UnsafeRawBufferPointer) {
    // RFC 9113 §3.2.
    if role == .client, name != .http2 { return close("the server does not speak HTTP/2: ALPN gave \(name?.rawValue ?? "nothing")") }
    unsafe super.secured(name, bytes)
  }

  override func received(_ bytes: UnsafeRawBufferPointer) {
    readCount &+= 1
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

  /// Of the stream that bytes came for last. The peer may have to wait for a window of ours meanwhile: it is told of new
  /// room when half is used, so what it can always send is half a window.
  override var bytesExpected: Int {
    guard let recent = unsafe recent else { return 0 }
    let expected = unsafe recent._withUnsafeGuaranteedRef { $0.bytesExpected }
    if expected == 0 { return 0 }
    let windows = unsafe min(
      nghttp2_session_get_effective_local_window_size(handle),
      nghttp2_session_get_stream_effective_local_window_size(handle, recentID))
    return min(expected, Int(windows) / 2)
  }

  // MARK: streams

  private func stream(_ id: Int32) -> Unmanaged<HTTPStream>? {
    if id == recentID, id != 0 { return unsafe recent }
    // Set by us when the stream was opened, cleared when it closes.
    guard let pointer = unsafe nghttp2_session_get_stream_user_data(handle, id) else { return nil }
    unsafe recent = Unmanaged<HTTPStream>.fromOpaque(pointer)
    recentID = id
    return unsafe recent
  }

  private func add(_ stream: HTTPStream, _ id: Int32) {
    stream.id = id
    stream.position = streams.count
    unsafe stream.connection = Unmanaged.passUnretained(self)
    streams.append(stream)
    // `streams` holds the object until streamClosed().
    unsafe recent = Unmanaged.passUnretained(stream)
    recentID = id
  }

  func beginHeaders(_ id: Int32, _ category: nghttp2_headers_category) -> Int32 {
    openHeader = id
    headersBegun &+= 1
    guard role == .server, category == NGHTTP2_HCAT_REQUEST else { return SessionCode.ok }
    let stream = loop.takeStream()
    add(stream, id)
    let pointer = unsafe Unmanaged.passUnretained(stream).toOpaque()
    return unsafe nghttp2_session_set_stream_user_data(handle, id, pointer) == 0
      ? SessionCode.ok : SessionCode.callbackFailure
  }

  func header(
    _ id: Int32, _ category: nghttp2_headers_category, _ name: UnsafePointer<UInt8>, _ nameCount: Int,
    _ value: UnsafePointer<UInt8>, _ valueCount: Int
  ) -> Int32 {
    guard let stream = unsafe stream(id) else { return SessionCode.ok }
    return unsafe stream._withUnsafeGuaranteedRef { stream in
      let limit = limits.headerListBytesMax
      let kept =
        category == NGHTTP2_HCAT_HEADERS && (role == .server || stream.headIsFinal)
        ? unsafe stream.trailers.append(name, nameCount, value, valueCount, limit: limit)
        : unsafe stream.head.append(name, nameCount, value, valueCount, limit: limit)
      if kept { return SessionCode.ok }
      stream.headOverflowed = true
      if stream.head.listBytes + stream.trailers.listBytes <= limit * limits.headerListFactorMax { return SessionCode.ok }
      if !resets.charge(Limits.resetsPerHeaderBomb, now: loop.now) { _ = flooded("header lists beyond any limit") }
      return SessionCode.resetStream
    }
  }

  func headersComplete(_ id: Int32, _ category: nghttp2_headers_category, end: Bool) -> Int32 {
    openHeader = 0
    guard let stream = unsafe stream(id) else { return SessionCode.ok }
    return unsafe stream._withUnsafeGuaranteedRef { stream in
      if end { stream.isRemoteEnded = true }
      if category == NGHTTP2_HCAT_REQUEST {
        if stream.headOverflowed { application?.refusedHead(stream) } else { application?.opened(stream) }
      } else if role == .client, !stream.headIsFinal {
        if stream.head[.status].starts(with: "1") {
          // RFC 9110 §15.2: an interim response; the real one follows.
          stream.head.clear(keeping: .max)
        } else {
          stream.headIsFinal = true
          stream.handler?.responded(stream)
        }
      }
      if end { stream.handler?.ended(stream) }
      return SessionCode.ok
    }
  }

  func data(_ id: Int32, _ bytes: UnsafeRawBufferPointer) -> Int32 {
    guard let stream = unsafe stream(id) else { return SessionCode.ok }
    let isPaused = unsafe stream._withUnsafeGuaranteedRef { stream in
      stream.bodyReceived += bytes.count
      if let handler = stream.handler { handler.received(unsafe bytes.bytes, on: stream) }
      if stream.bytesExpected > limits.streamWindowBytes, !stream.windowHasGrown { growWindow(stream) }
      return stream.isPaused
    }
    // The bytes have been taken (or nobody wants them): the peer may send as many more.
    let code =
      isPaused ? consumePaused(id, bytes.count) : unsafe nghttp2_session_consume(handle, id, bytes.count)
    return code == 0 ? SessionCode.ok : SessionCode.callbackFailure
  }

  /// A long message: the peer need not wait for us every few megabytes.
  private func growWindow(_ stream: HTTPStream) {
    stream.windowHasGrown = true
    let size = min(stream.bytesExpected, limits.streamWindowBytesMax)
    if size > limits.streamWindowBytes {
      _ = unsafe nghttp2_session_set_local_window_size(handle, 0, stream.id, Int32(clamping: size))
    }
  }

  /// A paused stream keeps its own window shut, not that of its neighbours; but only as long as paused streams hold little.
  private func consumePaused(_ id: Int32, _ count: Int) -> Int32 {
    guard let stream = unsafe stream(id) else { return 0 }
    return unsafe stream._withUnsafeGuaranteedRef { stream in
      stream.unconsumed += count
      if pausedBytes + count > limits.pausedBytesMax {
        stream.unconsumedByConnection += count
        return 0
      }
      pausedBytes += count
      stream.pausedBytes += count
      return unsafe nghttp2_session_consume_connection(handle, count)
    }
  }

  override func resumeInput(_ stream: HTTPStream) {
    let count = stream.unconsumed
    stream.unconsumed = 0
    consumeOfConnection(stream)
    if count > 0, unsafe nghttp2_session_consume_stream(handle, stream.id, count) != 0 { closeSoon("out of memory") }
    markDirty()
  }

  /// What a paused stream kept from the connection's window.
  private func consumeOfConnection(_ stream: HTTPStream) {
    pausedBytes -= stream.pausedBytes
    stream.pausedBytes = 0
    let count = stream.unconsumedByConnection
    stream.unconsumedByConnection = 0
    guard count > 0, let handle = unsafe sessionHandle else { return }
    if unsafe nghttp2_session_consume_connection(handle, count) != 0 { closeSoon("out of memory") }
  }

  func dataComplete(_ id: Int32, isEmpty: Bool, end: Bool) -> Int32 {
    if isEmpty, !end, !control.charge(now: loop.now) { return flooded("empty DATA frames") }
    guard end, let stream = unsafe stream(id) else { return SessionCode.ok }
    unsafe stream._withUnsafeGuaranteedRef { stream in
      stream.isRemoteEnded = true
      if let handler = stream.handler { handler.ended(stream) }
    }
    return SessionCode.ok
  }

  func controlFrame(_ type: UInt8, acknowledges: Bool) -> Int32 {
    switch type {
    case FrameType.windowUpdate:
      return windowUpdates.charge(now: loop.now) ? SessionCode.ok : flooded("WINDOW_UPDATE frames")
    case FrameType.resetStream: return SessionCode.ok  // charged when the stream closes
    case FrameType.settings where isUpgrading: return SessionCode.ok  // those of the offer: the preface comes yet
    case FrameType.settings where !hasHandshaken:
      hasHandshaken = true
      loop.cancel(handshakeTimer)
      handshakeTimer = .none
      armIdle()
      armKeepalive()
      observer?.connected(self)
      openUpgraded()
      return SessionCode.ok
    case FrameType.ping where acknowledges && pingsUnanswered > 0:
      pingsUnanswered -= 1
      if drain == .announced { nameLastStream() }
      observer?.ponged(self)
      return SessionCode.ok
    case FrameType.ping where !acknowledges && role == .server:
      let interval = streams.isEmpty ? limits.idlePingMillisecondsMin : limits.pingMillisecondsMin
      if !pings.received(now: loop.now, intervalMilliseconds: interval, strikesMax: limits.pingStrikesMax) { return tooManyPings() }
    case FrameType.settings where !acknowledges:
      observer?.settingsChanged(self)
      let count = 1 + streams.count / Limits.streamsPerSettingsCharge
      return control.charge(count, now: loop.now) ? SessionCode.ok : flooded("SETTINGS frames")
    default: break
    }
    return control.charge(now: loop.now) ? SessionCode.ok : flooded("control frames")
  }

  /// A frame of a type that nobody has told us of (RFC 9113 §5.5: ignored, which is work).
  func unknownFrame() {
    if !control.charge(now: loop.now) { _ = flooded("unknown frames") }
  }

  /// In the words that gRPC's clients know and slow down at.
  private func tooManyPings() -> Int32 {
    if mustClose == nil {
      closeSoon("too many pings")
      let last = unsafe nghttp2_session_get_last_proc_stream_id(handle)
      let text = "too_many_pings" as StaticString
      // nghttp2 copies the text.
      _ = unsafe nghttp2_submit_goaway(
        handle, 0, last, StreamError.enhanceYourCalm.rawValue, text.utf8Start, text.utf8CodeUnitCount)
    }
    return SessionCode.ok
  }

  func goAway(_ error: StreamError, _ text: UnsafeRawBufferPointer) -> Int32 {
    observer?.goingAway(self, error, unsafe String(decoding: text, as: UTF8.self))
    return SessionCode.ok
  }

  /// A request that nghttp2 could not send any more; `streamClosed` follows.
  func headersNotSent(_ id: Int32) -> Int32 {
    guard role == .client, let stream = unsafe stream(id) else { return SessionCode.ok }
    unsafe stream._withUnsafeGuaranteedRef { $0.isUnsent = true }
    return SessionCode.ok
  }

  /// The peer makes work for nothing: GOAWAY and the end, for this connection only.
  private func flooded(_ what: String) -> Int32 {
    floodEnds("flood of \(what)")
    return SessionCode.ok
  }

  private func floodEnds(_ what: String) {
    if mustClose != nil { return }
    closeSoon(what)
    Log.warn("closing: \(what)", peer: peer)
    _ = unsafe nghttp2_session_terminate_session(handle, StreamError.enhanceYourCalm.rawValue)
  }

  func streamClosed(_ id: Int32, _ error: StreamError) -> Int32 {
    // A client resets its own streams as it likes, and a server can reset no more than it was sent.
    if role == .server, error != .none, error != .refused, !resets.charge(now: loop.now) { _ = flooded("stream resets") }
    if id == openHeader { openHeader = 0 }
    guard let stream = unsafe stream(id) else { return SessionCode.ok }
    recentID = 0
    unsafe recent = nil
    // `streams` still holds it; remove() moves that reference to `finished`.
    unsafe stream._withUnsafeGuaranteedRef { remove($0, $0.isUnsent ? .unsent : error) }
    return SessionCode.ok
  }

  private func remove(_ stream: HTTPStream, _ error: StreamError) {
    unsafe stream.connection = nil
    releaseBody(of: stream)
    releaseAnswer(stream.body.count + stream.queue.count)
    if stream.isPaused { consumeOfConnection(stream) }
    let handler = stream.handler
    stream.handler = nil
    handler?.closed(stream, error)
    let last = streams.count - 1
    if stream.position != last {
      streams.swapAt(stream.position, last)
      streams[stream.position].position = stream.position
    }
    finished.append(streams.removeLast())
    if streams.isEmpty, limits.idleMilliseconds > 0 { idleSince = loop.now }
  }

  // MARK: bytes out

  override func submitResponse(_ stream: HTTPStream, _ fields: StaticFields) {
    holdAnswer(stream.body.count)
    var provider = unsafe bodyProvider(stream)
    // nghttp2 copies the provider; the names and values are static.
    let code = unsafe nghttp2_submit_response(handle, stream.id, fields.base, fields.count, &provider)
    submitted(stream, code)
  }

  override func submitHeadOnly(_ stream: HTTPStream, _ first: StaticFields?, _ more: borrowing FieldList) {
    let code = unsafe more.withNV(after: first) { fields, count in
      unsafe nghttp2_submit_response(handle, stream.id, fields, count, nil)
    }
    submitted(stream, code)
    if code == 0 { answered(stream) }
  }

  override func submitHead(_ stream: HTTPStream, _ first: StaticFields, _ more: borrowing FieldList) {
    var provider = unsafe queueProvider(stream)
    let code = unsafe more.withNV(after: first) { fields, count in
      unsafe nghttp2_submit_response(handle, stream.id, fields, count, &provider)
    }
    submitted(stream, code)
  }

  override func write(_ stream: HTTPStream, _ bytes: consuming ByteBuffer) -> Bool {
    holdAnswer(bytes.count)
    stream.queue.append(bytes)
    wrote(stream)
    if stream.queue.count < limits.streamBacklogBytesMax { return true }
    stream.owesWritable = true
    return false
  }

  /// There is more to send on `stream`, if only its end.
  override func wrote(_ stream: HTTPStream) {
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

  private func submitted(_ stream: HTTPStream, _ code: Int32) {
    if code != 0 { submitReset(stream, .internalError) }
    markDirty()
  }

  override func submitReset(_ stream: HTTPStream, _ error: StreamError) {
    _ = unsafe nghttp2_submit_rst_stream(handle, 0, stream.id, error.rawValue)
    markDirty()
  }

  private func bodyProvider(_ stream: HTTPStream) -> nghttp2_data_provider {
    var provider = unsafe nghttp2_data_provider()
    // `streams` holds the stream until it closes, and nghttp2 reads from it only until then.
    unsafe provider.source.ptr = Unmanaged.passUnretained(stream).toOpaque()
    unsafe provider.read_callback = { session, id, buffer, room, flags, source, user in
      unsafe Unmanaged<HTTPStream>.fromOpaque(source!.pointee.ptr!)._withUnsafeGuaranteedRef { stream in
        let left = stream.body.count - stream.bodySent
        let n = min(left, room)
        var flag = UInt32(0)
        if n >= Quantum.gatherBytes {
          flag |= NGHTTP2_DATA_FLAG_NO_COPY.rawValue
        } else if n > 0 {
          unsafe memcpy(buffer!, stream.body.unsafeBase! + stream.bodySent, n)
          stream.bodySent += n
        }
        if n == left {
          flag |= NGHTTP2_DATA_FLAG_EOF.rawValue
          if !stream.isRemoteEnded { unsafe ownerOf(user) { $0.answered(stream) } }
          if let trailers = stream.responseTrailers {
            flag |= NGHTTP2_DATA_FLAG_NO_END_STREAM.rawValue
            if unsafe nghttp2_submit_trailer(session, id, trailers.base, trailers.count) != 0 {
              return Int(NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE.rawValue)
            }
          }
        }
        unsafe flags!.pointee = flag
        return n
      }
    }
    return unsafe provider
  }

  /// The body in pieces: what the queue has, `DEFERRED` when it has nothing, trailers behind the last.
  private func queueProvider(_ stream: HTTPStream) -> nghttp2_data_provider {
    var provider = unsafe nghttp2_data_provider()
    // As in bodyProvider.
    unsafe provider.source.ptr = Unmanaged.passUnretained(stream).toOpaque()
    unsafe provider.read_callback = { session, id, buffer, room, flags, source, user in
      unsafe Unmanaged<HTTPStream>.fromOpaque(source!.pointee.ptr!)._withUnsafeGuaranteedRef { stream in
        if stream.queue.isEmpty, !stream.hasEnded || stream.hasSubmittedTrailers {
          stream.isDeferred = true
          return Int(NGHTTP2_ERR_DEFERRED.rawValue)
        }
        let front = unsafe stream.queue.front(room)
        let n = front.count
        let isLast = stream.hasEnded && n == stream.queue.count
        var flag = UInt32(0)
        if n >= Quantum.gatherBytes {
          flag |= NGHTTP2_DATA_FLAG_NO_COPY.rawValue
        } else if n > 0 {
          unsafe memcpy(buffer!, front.baseAddress!, n)
          unsafe ownerOf(user) { $0.advance(stream, n) }
        }
        if isLast {
          unsafe ownerOf(user) { $0.answered(stream) }
          flag |= NGHTTP2_DATA_FLAG_EOF.rawValue
          if stream.hasTrailers {
            flag |= NGHTTP2_DATA_FLAG_NO_END_STREAM.rawValue
            let code = unsafe stream.endMore.withNV(after: stream.endFirst) { fields, count in
              unsafe nghttp2_submit_trailer(session, id, fields, count)
            }
            if code != 0 { return Int(NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE.rawValue) }
          }
        }
        unsafe flags!.pointee = flag
        return n
      }
    }
    return unsafe provider
  }

  /// `n` bytes of the queue are on their way. A chunk that they end may be named in the outbox, which keeps it.
  private func advance(_ stream: HTTPStream, _ n: Int) {
    releaseAnswer(n)
    if stream.owesWritable, stream.queue.count - n <= limits.streamBacklogBytesMax / 2 {
      stream.owesWritable = false
      caughtUp.append(stream)
    }
    if let done = stream.queue.advance(n) { loop.outbox.keep(done) }
  }

  private func answered(_ stream: HTTPStream) {
    if role == .server, !stream.isRemoteEnded { answeredEarly.append(stream.id) }
  }

  /// A DATA frame whose body stays where it is.
  func sendData(_ source: UnsafeMutableRawPointer, _ head: UnsafePointer<UInt8>, _ length: Int) -> Int32 {
    if loop.outbox.isFull { return SessionCode.wouldBlock }
    pings.sent()
    // The stream lives until it is closed and its body until `finished` is emptied, after the write.
    unsafe Unmanaged<HTTPStream>.fromOpaque(source)._withUnsafeGuaranteedRef { stream in
      unsafe loop.outbox.copy(head, 9)
      if !stream.isStreaming {
        unsafe loop.outbox.reference(stream.body.unsafeBase! + stream.bodySent, length)
        stream.bodySent += length
      } else {
        unsafe loop.outbox.reference(stream.queue.front(length).baseAddress!, length)
        advance(stream, length)
      }
    }
    return SessionCode.ok
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

  /// RFC 9113 §8.1: an answer that is complete before its request asks the peer to stop sending, once the answer is out
  /// (nghttp2 drops what stands behind a reset, and before it).
  private func stopEarlyUploads() {
    for id in answeredEarly where unsafe nghttp2_session_get_stream_user_data(handle, id) != nil {
      if unsafe nghttp2_session_get_stream_remote_close(handle, id) == 1 { continue }
      _ = unsafe nghttp2_submit_rst_stream(handle, 0, id, StreamError.none.rawValue)
      markDirty()
    }
    answeredEarly.removeAll(keepingCapacity: true)
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

  private func submitPing() {
    if unsafe nghttp2_submit_ping(handle, 0, nil) == 0 { pingsUnanswered += 1 }
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

  private func armIdle() {
    if limits.idleMilliseconds == 0 { return }
    idleSince = loop.now
    idleTimer = loop.schedule(afterMilliseconds: limits.idleMilliseconds, self)
  }

  /// One timer for the life of the connection: it looks how long there has been no stream, and comes again when that is due.
  private func idled() {
    idleTimer = .none
    guard state == .open, drain == .no else { return }
    let due = streams.isEmpty ? idleSince.advanced(byMilliseconds: UInt64(limits.idleMilliseconds)) : .distantFuture
    if due <= loop.now { return startDrain() }
    idleTimer =
      due == .distantFuture
      ? loop.schedule(afterMilliseconds: limits.idleMilliseconds, self) : loop.schedule(at: due, self)
  }

  /// A client's channel asks by itself (`ping`).
  private func armKeepalive() {
    if role == .server, limits.keepaliveMilliseconds > 0 {
      keepaliveTimer = loop.schedule(afterMilliseconds: limits.keepaliveMilliseconds, self)
    }
  }

  private func askWhetherAlive() {
    keepaliveTimer = .none
    switch watchfulness.timerFired(readCount: readCount) {
    case .wait: armKeepalive()
    case .ping:
      submitPing()
      markDirty()
      keepaliveTimer = loop.schedule(afterMilliseconds: limits.keepaliveTimeoutMilliseconds, self)
    case .close: close("the peer has not answered a ping for \(limits.keepaliveTimeoutMilliseconds) ms")
    }
  }

  /// Looks after header blocks, bodies and answers that have begun, and comes again while there are streams.
  private func look() {
    lookTimer = .none
    let now = loop.now
    if openHeader != 0 {
      if headerSeen != headersBegun {
        headerSeen = headersBegun
        headerSeenAt = now
      } else if now.nanoseconds(since: headerSeenAt) >= UInt64(limits.headerMilliseconds) * 1_000_000 {
        return close("a header block that does not end within \(limits.headerMilliseconds) ms")
      }
    }
    // Handlers may end streams in here, which takes effect in the flush that they ask for.
    for stream in streams { look(at: stream, now) }
    if state == .open, !streams.isEmpty || openHeader != 0 {
      lookTimer = loop.schedule(afterMilliseconds: limits.lookMilliseconds, self)
    }
  }

  private func look(at stream: HTTPStream, _ now: MonotonicTime) {
    if stream.expectsBytes || stream.bytesExpected > 0, !stream.isRemoteEnded, !stream.isPaused, !stream.isSubmitted {
      let isTooSlow = stream.bodyPace.isTooSlow(
        total: stream.bodyReceived, now: now, bytesMin: limits.bodyBytesPerLookMin, milliseconds: limits.bodyMilliseconds)
      if isTooSlow { stream.handler?.starved(stream) }
    } else {
      stream.bodyPace.rest()
    }
    if stream.isSubmitted, !stream.isStreaming, stream.bodySent < stream.body.count {
      let isTooSlow = stream.answerPace.isTooSlow(
        total: stream.bodySent, now: now, bytesMin: limits.answerBytesPerStallMin, milliseconds: limits.writeStallMilliseconds)
      if isTooSlow { submitReset(stream, .cancelled) }
    } else {
      stream.answerPace.rest()
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

  private func nameLastStream() {
    drain = .named
    loop.cancel(drainTimer)
    drainTimer = .none
    let last = unsafe nghttp2_session_get_last_proc_stream_id(handle)
    _ = unsafe nghttp2_submit_goaway(handle, 0, last, StreamError.none.rawValue, nil, 0)
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
