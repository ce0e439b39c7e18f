// A connection's bytes sealed and opened: what was read is decrypted into a buffer of the loop's before anybody is told of
// it, and what a flush collected is sealed in full records and leaves in one write.
internal import CLinux
internal import Glibc
internal import Telemetry

// A server's handshakes take turns (`Chores`): one costs as much as a hundred small requests. What a peer has said waits in the
// kernel's buffers meanwhile; who hangs up, or says that it sends no more, has no use for an answer and gives its place up.
extension Connection: Chore {
  /// A server's handshake of which we have said nothing yet.
  final var isUnanswered: Bool { state == .handshaking && host != nil && transport.tls?.hasAnswered == false }

  final func handshakeInTurn(_ flags: ReadyFlags) {
    // Of one that waits nothing else is listened for. A client that has sent its last may still want what comes behind its
    // handshake, but not before that.
    if isWaitingForTurn || (flags.contains(.peerEnded) && isUnanswered) { return close("the peer went away in its handshake") }
    if loop.hasRoomForChores { return loop.charged { read() } }
    isWaitingForTurn = true
    setReading(false)
    loop.enqueue(self, transport.tls?.hasAnswered == true ? .handshakeAnswered : .handshake, for: peer)
  }

  package final var isWanted: Bool { isWaitingForTurn && state == .handshaking }

  package final func doPart() -> Bool {
    isWaitingForTurn = false
    setReading(true)
    read()
    return false
  }

  package final func turnedAway() {
    if loop.tlsFailures.charge(now: loop.now) { Log.warn("closing: too many handshakes wait", peer: peer) }
    close("too many handshakes wait")
  }
}

extension Connection {
  final func handshake(_ tls: TLSSession, _ bytes: UnsafeRawBufferPointer) {
    switch unsafe tls.handshake(bytes, into: &loop.tls.sealed) {
    case .needMore:
      sendSealed()
      finishIfDone()
    case .done(let name, let consumed):
      loop.count(.handshakes)
      sendSealed()
      if let reason = mustClose { return close(reason) }
      state = .open
      let rest = unsafe UnsafeRawBufferPointer(rebasing: bytes[consumed...])
      unsafe decrypt(tls, rest) { unsafe secured(name, $0) }
    case .failed(let error):
      loop.count(.handshakesFailed)
      unsafe handshakeFailed(error, bytes)
      sendSealed()
      close(error.description)
    }
  }

  final func takeSealed(_ tls: TLSSession, _ bytes: UnsafeRawBufferPointer) {
    unsafe decrypt(tls, bytes) { if unsafe !$0.isEmpty { unsafe received($0) } }
  }

  /// Everything that can be read of `bytes` is read before anybody is told of it: `body` may hand the transport over.
  final func decrypt(_ tls: TLSSession, _ bytes: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer) -> Void) {
    let outcome = unsafe tls.decrypt(bytes, into: &loop.tls.plain, sealed: &loop.tls.sealed)
    // What TLS itself answers (a new key, an alert) goes at once: `body` may end other connections, which have words to seal.
    sendSealed()
    // Nothing else is read before we return, so the text stays.
    unsafe body(UnsafeRawBufferPointer(start: loop.tls.plain.unsafeBase, count: loop.tls.plain.count))
    loop.tls.plain.clear()
    var current: Connection = self
    while let next = current.successor {
      current.successor = nil
      current = next
    }
    switch outcome {
    case .open: break
    case .ended: if current.state == .open { current.inputEnded() }
    case .failed(let error): current.closeSoon(error.description)
    }
    if current.state == .open { current.flush() }
  }

  /// No more bytes come from the socket.
  final func inputStopped() {
    guard let tls = transport.tls else { return inputEnded() }
    // RFC 8446 §6.1: an end that TLS did not announce may be somebody else's.
    if !tls.hasEnded { return close("the peer closed the connection without close_notify") }
    if state == .open { inputEnded() } else { close("the peer closed the connection") }
  }

  /// Seals what the outbox has, and sends it.
  final func seal(_ tls: TLSSession) {
    let error = unsafe loop.outbox.seal(tls, staging: loop.tls.staging, into: &loop.tls.sealed)
    loop.outbox.removeAll()
    if let error { closeSoon(error.description) }
    sendSealed()
  }

  /// Sends what is in the loop's `sealed`, behind what waits already.
  final func sendSealed() {
    let buffers = loop.tls
    let count = buffers.sealed.count
    if count == 0 { return }
    defer { buffers.sealed.clear(keeping: Quantum.sealedBytesKept) }
    if state == .closed { return }
    var written = 0
    if !isWaitingToWrite {
      // `sealed` stays put during the call.
      var piece = unsafe iovec(iov_base: buffers.sealed.unsafeBase, iov_len: count)
      let result = unsafe withUnsafeMutablePointer(to: &piece) {
        unsafe transport.socket.write(UnsafeMutableBufferPointer(start: $0, count: 1))
      }
      switch result {
      case .bytes(let n):
        loop.count(.bytesSent, n)
        written = n
      case .wouldBlock, .end: break
      case .failed(let code): return closeSoon(SocketError(operation: "write", address: peer, code: code).description)
      }
      if written == count { return }
    }
    // The bytes behind `written`, into another buffer.
    if unsafe !pending.append(buffers.sealed.unsafeBase! + written, count - written) { closeSoon("out of memory") }
    waitToWrite()
  }
}
