// What comes in: nghttp2's callbacks while it reads, from frames to streams and handlers, and the budgets of who floods.
internal import CNGHTTP2
internal import Glibc
internal import Telemetry

extension HTTP2Connection {
  func stream(_ id: Int32) -> Unmanaged<HTTPStream>? {
    if id == recentID, id != 0 { return unsafe recent }
    // Set by us when the stream was opened, cleared when it closes.
    guard let pointer = unsafe nghttp2_session_get_stream_user_data(handle, id) else { return nil }
    unsafe recent = Unmanaged<HTTPStream>.fromOpaque(pointer)
    recentID = id
    return unsafe recent
  }

  func add(_ stream: HTTPStream, _ id: Int32) {
    stream.id = id
    stream.position = streams.count
    unsafe stream.connection = Unmanaged.passUnretained(self)
    streams.append(stream)
    loop.count(.streamsOpened2)
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
      if let handler = stream.handler {
        let landed = unsafe loop.landing.landed(at: bytes)
        if landed > 0 { handler.landed(landed, on: stream) }
        if landed < bytes.count { handler.received(unsafe bytes.bytes.extracting(landed...), on: stream) }
        if bytes.count >= Quantum.landingFrameBytesMin { follows(stream, handler) }
      }
      if stream.bytesExpected > limits.streamWindowBytes, !stream.windowHasGrown { growWindow(stream) }
      return stream.isPaused
    }
    // The bytes have been taken (or nobody wants them): the peer may send as many more.
    let code =
      isPaused ? consumePaused(id, bytes.count) : unsafe nghttp2_session_consume(handle, id, bytes.count)
    return code == 0 ? SessionCode.ok : SessionCode.callbackFailure
  }

  /// A long message: the peer need not wait for us every few megabytes.
  func growWindow(_ stream: HTTPStream) {
    stream.windowHasGrown = true
    let size = min(stream.bytesExpected, limits.streamWindowBytesMax)
    if size > limits.streamWindowBytes {
      _ = unsafe nghttp2_session_set_local_window_size(handle, 0, stream.id, Int32(clamping: size))
    }
  }

  /// A paused stream keeps its own window shut, not that of its neighbours; but only as long as paused streams hold little.
  func consumePaused(_ id: Int32, _ count: Int) -> Int32 {
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

  /// What a paused stream kept from the connection's window.
  func consumeOfConnection(_ stream: HTTPStream) {
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
  func tooManyPings() -> Int32 {
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
  func flooded(_ what: String) -> Int32 {
    floodEnds("flood of \(what)")
    return SessionCode.ok
  }

  func floodEnds(_ what: String) {
    loop.count(.floods)
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

  func remove(_ stream: HTTPStream, _ error: StreamError) {
    loop.count(.streamsClosed2)
    if error != .none { loop.count(.streamsReset) }
    unsafe stream.connection = nil
    if stream.follower != 0 { leaves(stream) }
    releaseBody(of: stream)
    releaseAnswer(stream.body.count + stream.queue.count + stream.answerBytesHeld)
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
}
