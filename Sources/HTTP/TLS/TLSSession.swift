// TLS on one connection, without a socket: bytes from the peer go in, bytes for the peer and plain text come out.
//
//                    ┌───────────── TLSSession ─────────────┐
//   one recv ─► bytes ──► read BIO ─► SSL_read ──► plain ─────► protocol
//   one send ◄─ sealed ◄── write BIO ◄─ SSL_write ◄─ pieces ◄── protocol
//                    └──────────────────────────────────────┘
//
// The BIO is ours: reading points at the loop's buffer for as long as a call lasts, writing appends to the loop's sealed
// buffer. So TLS adds no system call, and no buffer that stays with a connection between its events.
//
// Life:  handshake(bytes)* ─► .done ─► decrypt / encrypt ─► closeNotify.  A session that failed stays failed; what it has
// still to say (an alert) is in `sealed`.
internal import CLinux
internal import COpenSSL
internal import Glibc

@safe final class TLSSession {
  enum Progress: Equatable {
    case needMore
    /// `consumed` bytes of those given belong to the handshake; the others are for `decrypt`.
    case done(TLSConfiguration.ApplicationProtocol?, consumed: Int)
    case failed(TLSError)
  }

  enum Decrypted: Equatable {
    case open
    /// The peer's close_notify: everything it sent has arrived.
    case ended
    case failed(TLSError)
  }

  private enum State: Equatable {
    case handshaking, open
    case failed(TLSError)
  }

  /// A record's plain text (RFC 8446 §5.1).
  static let recordBytesMax = 16 << 10
  /// RFC 8446 §5.5: AES-GCM is safe for 2^24.5 full records of one key.
  private static let recordsPerKeyMax = 1 << 24
  /// Head, content type and tag of a record, the longest of both versions, rounded up.
  private static let recordOverhead = 64

  private let ssl: OpaquePointer
  private let context: TLSContext
  /// A client's server, by which its sessions are kept.
  private let server: String
  private let handshakeBytesMax: Int
  private var state = State.handshaking
  /// The peer has said that it sends no more.
  private(set) var hasEnded = false
  /// And so have we; each direction ends by itself.
  private var hasClosed = false
  private var handshakeBytes = 0
  /// Something of ours has been said in the handshake.
  private(set) var hasAnswered = false
  /// Records sealed with the present key.
  private var records = 0
  /// What the peer may still make us do beside its data: key updates, tickets, warnings.
  private var eventsLeft: Int

  // Set for the length of a call.
  private var input: UnsafePointer<UInt8>?
  private var inputCount = 0
  private var output: UnsafeMutablePointer<ByteBuffer>?

  /// - Parameter server: a client's name or address for the other side, verified and, if a name, sent as SNI.
  static func make(_ context: TLSContext, server: String = "", limits: Limits = Limits()) throws(TLSError) -> TLSSession {
    OpenSSLErrors.clear()
    guard let ssl = unsafe context.makeSSL() else { throw noMemory() }
    guard let bio = unsafe BIO_new(Wire.method.pointer) else {
      unsafe SSL_free(ssl)
      throw noMemory()
    }
    // The session frees `ssl`, and with it the BIO, which stands for both directions.
    unsafe SSL_set_bio(ssl, bio, bio)
    let session = unsafe TLSSession(ssl, context, server, limits)
    // The SSL goes with the session, so the pointer is good whenever OpenSSL calls back.
    unsafe BIO_set_data(bio, Unmanaged.passUnretained(session).toOpaque())
    unsafe BIO_set_init(bio, 1)
    switch context.role {
    case .server: unsafe SSL_set_accept_state(ssl)
    case .client: try session.prepareClient()
    }
    return session
  }

  private init(_ ssl: OpaquePointer, _ context: TLSContext, _ server: String, _ limits: Limits) {
    unsafe self.ssl = unsafe ssl
    self.context = context
    self.server = server
    handshakeBytesMax = limits.tlsHandshakeBytesMax
    eventsLeft = limits.tlsEventsMax
  }

  deinit {
    // OpenSSL takes a connection that was just lost for an attack and forbids its session to be resumed. RFC 8446 §6.1 does
    // not; a session that failed is left to OpenSSL.
    if state == .open { unsafe SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN) }
    unsafe SSL_free(ssl)
  }

  private static func noMemory() -> TLSError {
    TLSError(.system, "make a session", reason: OpenSSLErrors.take() ?? "no memory")
  }

  private func prepareClient() throws(TLSError) {
    unsafe SSL_set_connect_state(ssl)
    guard !server.isEmpty, !server.utf8.contains(0) else {
      throw TLSError(.verification, "connect", reason: "no server name to verify")
    }
    // An address is verified as one, and RFC 6066 §3 sends none as SNI.
    if unsafe X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), server) != 1 {
      OpenSSLErrors.clear()
      unsafe copenssl_set_no_partial_wildcards(ssl)
      guard unsafe SSL_set1_host(ssl, server) == 1, unsafe copenssl_set_server_name(ssl, server) == 1 else {
        throw TLSError(.verification, "connect to", server, reason: OpenSSLErrors.take() ?? "no memory")
      }
    }
    if let saved = context.takeSession(for: server) {
      // Takes a reference of its own. One that does not fit any more gives a full handshake.
      if unsafe SSL_set_session(ssl, saved.pointer) != 1 { OpenSSLErrors.clear() }
    }
  }
}

// MARK: bytes in

extension TLSSession {
  /// Takes what has come and appends what is to be sent. A client begins with no bytes.
  func handshake(_ bytes: UnsafeRawBufferPointer, into sealed: inout ByteBuffer) -> Progress {
    switch state {
    case .failed(let error): return .failed(error)
    case .open: preconditionFailure("handshake after the handshake")
    case .handshaking: break
    }
    if handshakeBytes == 0, let first = unsafe bytes.first, !isTLS(first) {
      return .failed(fail(TLSError(.notTLS, "handshake", reason: "the peer does not speak TLS")))
    }
    // What stands behind the handshake in the same read is not charged: the client's first request, say.
    let code = unsafe within(bytes, &sealed) { unsafe SSL_do_handshake(ssl) }
    let consumed = bytes.count - inputCount
    handshakeBytes += consumed
    if sealed.count > 0 { hasAnswered = true }
    if code == 1 {
      state = .open
      return .done(applicationProtocol, consumed: consumed)
    }
    guard unsafe SSL_get_error(ssl, code) == SSL_ERROR_WANT_READ else { return .failed(fail(handshakeError())) }
    if handshakeBytes > handshakeBytesMax {
      return .failed(fail(TLSError(.limit, "handshake", reason: "more than \(handshakeBytesMax) bytes")))
    }
    return .needMore
  }

  /// Takes records and appends their text to `plain`; what TLS itself has to answer goes to `sealed`.
  func decrypt(_ bytes: UnsafeRawBufferPointer, into plain: inout ByteBuffer, sealed: inout ByteBuffer) -> Decrypted {
    switch state {
    case .failed(let error): return .failed(error)
    case .handshaking: preconditionFailure("data before the handshake")
    case .open: if hasEnded { return .ended }
    }
    return unsafe within(bytes, &sealed) {
      while unsafe inputCount > 0 || SSL_pending(ssl) > 0 {
        let room = TLSSession.recordBytesMax
        guard plain.reserve(plain.count + room) else { return .failed(fail(TLSSession.noMemory())) }
        // reserve() made that much room behind `count`.
        let n = unsafe SSL_read(ssl, plain.unsafeBase! + plain.count, Int32(room))
        if n > 0 {
          plain.grew(by: Int(n))
          if eventsLeft < 0 { return .failed(fail(flood())) }
          continue
        }
        switch unsafe SSL_get_error(ssl, n) {
        case SSL_ERROR_WANT_READ: return eventsLeft < 0 ? .failed(fail(flood())) : .open
        case SSL_ERROR_ZERO_RETURN:
          hasEnded = true
          return .ended
        default:
          return .failed(fail(TLSError(.handshake, "read", reason: reason() ?? "a record that cannot be read")))
        }
      }
      return eventsLeft < 0 ? .failed(fail(flood())) : .open
    }
  }

  private func flood() -> TLSError {
    TLSError(.limit, "read", reason: "the peer sends key updates, tickets or warnings instead of data, or wants to renegotiate")
  }

  /// A record of a handshake; a server may begin with an alert.
  private func isTLS(_ first: UInt8) -> Bool { first == 0x16 || (first == 0x15 && context.role == .client) }

  /// A client's ticket for the next time; its reference is ours.
  func keep(_ session: OpaquePointer) { unsafe context.keepSession(SavedSession(adopting: session), for: server) }

  /// OpenSSL tells what it is doing. After the handshake every step for a message of TLS itself is charged to the peer.
  func noted(_ what: Int32) {
    guard state == .open else { return }
    if what & (SSL_CB_LOOP | SSL_CB_HANDSHAKE_START | SSL_CB_ALERT) != 0 { eventsLeft -= 1 }
  }
}

// MARK: bytes out

extension TLSSession {
  /// Seals the pieces, in order, as one stream: records are full wherever there is enough to fill them.
  /// - Parameter staging: `recordBytesMax` bytes where pieces that do not fill a record come together.
  /// - Precondition: the pieces do not stand in `sealed`.
  func encrypt(
    _ pieces: UnsafeMutableBufferPointer<iovec>, staging: UnsafeMutableRawBufferPointer, into sealed: inout ByteBuffer
  ) -> TLSError? {
    guard state == .open, !hasClosed else { return TLSError(.system, "write", reason: "the session is closed") }
    var total = 0
    for unsafe piece in unsafe pieces { total += unsafe piece.iov_len }
    let most = total / TLSSession.recordBytesMax + 1
    guard sealed.reserve(sealed.count + total + (most + 1) * TLSSession.recordOverhead) else {
      return fail(TLSSession.noMemory())
    }
    records += most
    if records > TLSSession.recordsPerKeyMax { updateKey(into: &sealed) }
    return unsafe within(UnsafeRawBufferPointer(start: nil, count: 0), &sealed) {
      var staged = 0
      for unsafe piece in unsafe pieces {
        var at = 0
        let count = unsafe piece.iov_len
        while at < count {
          let left = count - at
          if staged == 0, left >= TLSSession.recordBytesMax {
            let whole = left - left % TLSSession.recordBytesMax
            if let error = unsafe write(piece.iov_base + at, whole) { return error }
            at += whole
            continue
          }
          let n = min(left, TLSSession.recordBytesMax - staged)
          // Both ranges lie within their buffers; `staging` is nobody's piece.
          unsafe memcpy(staging.baseAddress! + staged, piece.iov_base + at, n)
          staged += n
          at += n
          if staged == TLSSession.recordBytesMax {
            if let error = unsafe write(staging.baseAddress!, staged) { return error }
            staged = 0
          }
        }
      }
      return unsafe staged > 0 ? write(staging.baseAddress!, staged) : nil
    }
  }

  private func write(_ start: UnsafeRawPointer, _ count: Int) -> TLSError? {
    // A chunk that fits Int32: a flush is a few hundred kilobytes.
    let n = unsafe SSL_write(ssl, start, Int32(count))
    if n == Int32(count) { return nil }
    return fail(TLSError(.system, "write", reason: reason() ?? "refused"))
  }

  /// TLS 1.3: what follows is sealed with a new key.
  func updateKey(into sealed: inout ByteBuffer) {
    records = 0
    guard state == .open, !hasClosed, version == .tls13 else { return }
    unsafe within(UnsafeRawBufferPointer(start: nil, count: 0), &sealed) {
      _ = unsafe SSL_key_update(ssl, SSL_KEY_UPDATE_NOT_REQUESTED)
      _ = unsafe SSL_do_handshake(ssl)
    }
    OpenSSLErrors.clear()
  }

  /// Says that we send no more. Once, and only if the session is good; what the peer sends can still be read.
  func closeNotify(into sealed: inout ByteBuffer) {
    guard state == .open, !hasClosed else { return }
    _ = unsafe within(UnsafeRawBufferPointer(start: nil, count: 0), &sealed) { unsafe SSL_shutdown(ssl) }
    OpenSSLErrors.clear()
    hasClosed = true
  }
}

// MARK: errors

extension TLSSession {
  private func fail(_ error: TLSError) -> TLSError {
    OpenSSLErrors.clear()
    state = .failed(error)
    return error
  }

  private func reason() -> String? { OpenSSLErrors.take() }

  private func handshakeError() -> TLSError {
    let code = copenssl_error_reason(ERR_peek_error())
    let text = reason() ?? "the peer broke off"
    // Asked of the certificate, not of the queue: a signature that does not fit leaves its own errors there first.
    let verdict = unsafe SSL_get_verify_result(ssl)
    if verdict != X509_V_OK {
      // A static text for every code.
      let why = unsafe String(cString: X509_verify_cert_error_string(verdict))
      return TLSError(.verification, "verify", peerName, reason: why)
    }
    switch code {
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE: return TLSError(.verification, "verify", peerName, reason: text)
    default: return TLSError(.handshake, "handshake", server, reason: text)
    }
  }

  private var peerName: String { context.role == .client ? server : "the client" }
}

// MARK: what was agreed

extension TLSSession {
  var applicationProtocol: TLSConfiguration.ApplicationProtocol? {
    var name: UnsafePointer<UInt8>?
    var count: UInt32 = 0
    unsafe SSL_get0_alpn_selected(ssl, &name, &count)
    // The name is the session's.
    let bytes = unsafe UnsafeBufferPointer(start: name, count: Int(count))
    return unsafe TLSConfiguration.ApplicationProtocol(rawValue: String(decoding: bytes, as: UTF8.self))
  }

  /// The handshake took up an earlier session.
  var isResumed: Bool { unsafe SSL_session_reused(ssl) == 1 }

  var version: TLSConfiguration.Version? { unsafe TLSConfiguration.Version(rawValue: SSL_version(ssl)) }

  /// Whose certificate the peer has shown.
  var peerCertificate: CertificateSummary? { unsafe CertificateSummary(SSL_get0_peer_certificate(ssl)) }
}

// MARK: the BIO

extension TLSSession {
  /// Runs `body` with the BIO reading `bytes` and writing to `sealed`. What is left unread counts in `inputCount`.
  private func within<Result>(
    _ bytes: UnsafeRawBufferPointer, _ sealed: inout ByteBuffer, _ body: () -> Result
  ) -> Result {
    unsafe input = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
    inputCount = bytes.count
    // Both pointers are taken back before the call returns to their owners.
    defer {
      unsafe input = nil
      unsafe output = nil
    }
    return unsafe withUnsafeMutablePointer(to: &sealed) {
      unsafe output = $0
      return body()
    }
  }

  static func of(_ ssl: OpaquePointer?) -> TLSSession? {
    guard let ssl = unsafe ssl, let bio = unsafe SSL_get_rbio(ssl), let pointer = unsafe BIO_get_data(bio) else { return nil }
    // Set in make(); the session owns the SSL that owns the BIO.
    return unsafe Unmanaged<TLSSession>.fromOpaque(pointer).takeUnretainedValue()
  }

  private func supply(_ buffer: UnsafeMutablePointer<CChar>, _ room: Int) -> Int {
    guard let source = unsafe input, inputCount > 0 else { return 0 }
    let n = min(room, inputCount)
    // `input` has `inputCount` bytes, OpenSSL's buffer `room`.
    unsafe memcpy(buffer, source, n)
    unsafe input = source + n
    inputCount -= n
    return n
  }

  private func accept(_ bytes: UnsafePointer<CChar>, _ count: Int) -> Bool {
    guard let output = unsafe output else { return false }
    return unsafe output.pointee.append(bytes, count)
  }

  /// The table of the BIO's functions, the same for every session.
  @safe private struct Wire: @unchecked Sendable {
    static let method = Wire()
    /// Never freed, never changed after `init`.
    let pointer: OpaquePointer

    private init() {
      guard let table = unsafe BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "martlet") else {
        fatalError("out of memory")
      }
      unsafe pointer = table
      unsafe BIO_meth_set_read(table) { bio, buffer, room in
        guard let bio = unsafe bio, let buffer = unsafe buffer, let pointer = unsafe BIO_get_data(bio) else { return -1 }
        unsafe copenssl_clear_retry(bio)
        // As in of().
        let n = unsafe Unmanaged<TLSSession>.fromOpaque(pointer)._withUnsafeGuaranteedRef { unsafe $0.supply(buffer, Int(room)) }
        if n > 0 { return Int32(n) }
        unsafe copenssl_retry_read(bio)
        return -1
      }
      unsafe BIO_meth_set_write(table) { bio, bytes, count in
        guard let bio = unsafe bio, let bytes = unsafe bytes, let pointer = unsafe BIO_get_data(bio) else { return -1 }
        unsafe copenssl_clear_retry(bio)
        let taken = unsafe Unmanaged<TLSSession>.fromOpaque(pointer)._withUnsafeGuaranteedRef {
          unsafe $0.accept(bytes, Int(count))
        }
        return taken ? count : -1
      }
      unsafe BIO_meth_set_ctrl(table) { _, command, _, _ in command == BIO_CTRL_FLUSH ? 1 : 0 }
    }
  }
}

/// Whether a connection's first bytes begin a TLS handshake: a record that holds a ClientHello (RFC 8446 §5.1, §4).
/// Fewer than six are judged by what is there; no request of HTTP begins like it.
func isTLSClientHello(_ bytes: RawSpan) -> Bool {
  let wanted: [(Int, ClosedRange<UInt8>)] = [(0, 0x16...0x16), (1, 0x03...0x03), (2, 0x00...0x04), (5, 0x01...0x01)]
  for (at, range) in wanted where at < bytes.byteCount {
    // Checked in the line above.
    if !range.contains(unsafe bytes.unsafeLoad(fromUncheckedByteOffset: at, as: UInt8.self)) { return false }
  }
  return bytes.byteCount > 0
}
