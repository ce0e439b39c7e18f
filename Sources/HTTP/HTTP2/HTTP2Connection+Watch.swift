// Time: who is idle, who is deaf, who is slow, and the goodbye in two steps. One timer of each kind, and none of them is
// touched by a request.
internal import CNGHTTP2

extension HTTP2Connection {
  func submitPing() {
    if unsafe nghttp2_submit_ping(handle, 0, nil) == 0 { pingsUnanswered += 1 }
  }

  func armIdle() {
    if limits.idleMilliseconds == 0 { return }
    idleSince = loop.now
    idleTimer = loop.schedule(afterMilliseconds: limits.idleMilliseconds, self)
  }

  /// One timer for the life of the connection: it looks how long there has been no stream, and comes again when that is due.
  func idled() {
    idleTimer = .none
    guard state == .open, drain == .no else { return }
    let due = streams.isEmpty ? idleSince.advanced(byMilliseconds: UInt64(limits.idleMilliseconds)) : .distantFuture
    if due <= loop.now { return startDrain() }
    idleTimer =
      due == .distantFuture
      ? loop.schedule(afterMilliseconds: limits.idleMilliseconds, self) : loop.schedule(at: due, self)
  }

  /// A client's channel asks by itself (`ping`).
  func armKeepalive() {
    if role == .server, limits.keepaliveMilliseconds > 0 {
      keepaliveTimer = loop.schedule(afterMilliseconds: limits.keepaliveMilliseconds, self)
    }
  }

  func askWhetherAlive() {
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
  func look() {
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

  func look(at stream: HTTPStream, _ now: MonotonicTime) {
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

  func nameLastStream() {
    drain = .named
    loop.cancel(drainTimer)
    drainTimer = .none
    let last = unsafe nghttp2_session_get_last_proc_stream_id(handle)
    _ = unsafe nghttp2_submit_goaway(handle, 0, last, StreamError.none.rawValue, nil, 0)
    markDirty()
  }
}
