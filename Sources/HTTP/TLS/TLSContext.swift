// What every TLS connection of one configuration shares: OpenSSL's SSL_CTX, made once, never changed after that.
//
//   TLSConfiguration ─► TLSContext ─► TLSSession, one per connection
//
// A context may be used from any thread. It lives as long as its last session.
internal import COpenSSL
internal import Glibc
internal import Synchronization

@safe public final class TLSContext: @unchecked Sendable {
  public enum Role: Sendable { case server, client }

  public let role: Role
  public let configuration: TLSConfiguration
  /// Whose certificate it is and until when, for a line in the log; nil without one.
  public let certificate: CertificateSummary?
  /// Kept alive for the callbacks, which find it through the SSL_CTX.
  let ticketKeys: TicketKeys
  /// The SSL_CTX; `@unchecked Sendable` because OpenSSL counts and locks inside it.
  private let handle: Handle
  private let sessions = Mutex(SessionCache())

  /// Checks everything that can be checked before a connection comes.
  public convenience init(_ role: Role, _ configuration: TLSConfiguration) throws(TLSError) {
    try self.init(role, configuration, TicketKeys())
  }

  convenience init(_ role: Role, _ configuration: TLSConfiguration, _ ticketKeys: TicketKeys) throws(TLSError) {
    OpenSSLErrors.clear()
    let handle = try Handle.make(role, configuration)
    let certificate = unsafe CertificateSummary(SSL_CTX_get0_certificate(handle.pointer))
    self.init(role, configuration, ticketKeys, handle, certificate)
    try configure()
  }

  private init(
    _ role: Role, _ configuration: TLSConfiguration, _ ticketKeys: TicketKeys, _ handle: consuming Handle,
    _ certificate: CertificateSummary?
  ) {
    self.role = role
    self.configuration = configuration
    self.ticketKeys = ticketKeys
    self.handle = handle
    self.certificate = certificate
  }

  /// An SSL of this context; the caller frees it.
  func makeSSL() -> OpaquePointer? { unsafe SSL_new(handle.pointer) }

  @safe fileprivate struct Handle: ~Copyable {
    let pointer: OpaquePointer

    private init(adopting pointer: OpaquePointer) { unsafe self.pointer = pointer }

    static func make(_ role: Role, _ configuration: TLSConfiguration) throws(TLSError) -> Handle {
      guard let made = unsafe SSL_CTX_new(role == .server ? TLS_server_method() : TLS_client_method()) else {
        throw TLSError(.system, "make a context", reason: OpenSSLErrors.take() ?? "no memory")
      }
      let handle = unsafe Handle(adopting: made)
      if let chain = configuration.certificateChain {
        try handle.install(chain, configuration.privateKey)
      } else if role == .server {
        throw TLSError(.credentials, "read", "certificate chain", reason: "a server needs a certificate, and there is none")
      } else if let key = configuration.privateKey {
        throw TLSError(.credentials, "use", key.source, reason: "a private key without a certificate")
      }
      try handle.trust(role, configuration)
      return handle
    }

    deinit { unsafe SSL_CTX_free(pointer) }
  }
}

// MARK: credentials

extension TLSContext.Handle {
  private func install(_ chain: PEM, _ key: PEM?) throws(TLSError) {
    guard let key else {
      throw TLSError(.credentials, "use", chain.source, reason: "a certificate without its private key")
    }
    var isFirst = true
    try unsafe chain.forEachCertificate { certificate throws(TLSError) in
      let code: Bool
      if isFirst {
        // Takes a reference of its own.
        code = unsafe SSL_CTX_use_certificate(pointer, certificate) == 1
      } else {
        // add0 takes ours over: one more for the caller's.
        _ = unsafe X509_up_ref(certificate)
        code = unsafe copenssl_add_chain(pointer, certificate) == 1
        if !code { unsafe X509_free(certificate) }
      }
      isFirst = false
      if !code { throw TLSError(.credentials, "use certificate of", chain.source, reason: OpenSSLErrors.take() ?? "refused") }
    }
    let privateKey = try unsafe key.privateKey()
    defer { unsafe EVP_PKEY_free(privateKey) }
    // Both calls compare the key with the certificate.
    guard unsafe SSL_CTX_use_PrivateKey(pointer, privateKey) == 1, unsafe SSL_CTX_check_private_key(pointer) == 1 else {
      let reason = OpenSSLErrors.take() ?? "refused"
      throw TLSError(.credentials, "use private key of", key.source, reason: "\(reason) (certificate: \(chain.source))")
    }
  }

  private func trust(_ role: TLSContext.Role, _ configuration: TLSConfiguration) throws(TLSError) {
    if let roots = configuration.trustedRoots {
      // The context owns the store.
      let store = unsafe SSL_CTX_get_cert_store(pointer)
      try unsafe roots.forEachCertificate { certificate throws(TLSError) in
        guard unsafe X509_STORE_add_cert(store, certificate) == 1,
          // A server names the authorities it accepts, so that a client can choose its certificate.
          unsafe role == .client || SSL_CTX_add_client_CA(pointer, certificate) == 1
        else { throw TLSError(.credentials, "trust certificate of", roots.source, reason: OpenSSLErrors.take() ?? "refused") }
      }
    } else if role == .client {
      guard unsafe SSL_CTX_set_default_verify_paths(pointer) == 1 else {
        throw TLSError(.credentials, "load", "the system's roots", reason: OpenSSLErrors.take() ?? "none found")
      }
    } else if configuration.clientVerification != .none {
      throw TLSError(
        .credentials, "verify clients", reason: "no authority to trust is given, so no client's certificate could be good")
    }
  }
}

extension PEM {
  /// Each certificate in turn, valid for the call; at least one.
  fileprivate func forEachCertificate(_ body: (OpaquePointer) throws(TLSError) -> Void) throws(TLSError) {
    let reader = try PEMReader.make(self)
    var count = 0
    while let certificate = unsafe PEM_read_bio_X509(reader.bio, nil, nil, nil) {
      defer { unsafe X509_free(certificate) }
      try unsafe body(certificate)
      count += 1
    }
    // Running out of PEM blocks is how the loop ends; anything else is a block that cannot be read.
    let last = ERR_peek_last_error()
    let isEnd = copenssl_error_reason(last) == PEM_R_NO_START_LINE
    let reason = OpenSSLErrors.take()
    if !isEnd, let reason {
      throw TLSError(.credentials, "read certificate \(count + 1) of", source, reason: reason)
    }
    if count == 0 { throw TLSError(.credentials, "read certificates of", source, reason: "no PEM certificate in it") }
  }

  /// The caller frees it.
  fileprivate func privateKey() throws(TLSError) -> OpaquePointer {
    let reader = try PEMReader.make(self)
    // Without a callback OpenSSL would ask the terminal for a passphrase.
    guard let key = unsafe PEM_read_bio_PrivateKey(reader.bio, nil, { _, _, _, _ in -1 }, nil) else {
      let isEncrypted = String(decoding: bytes, as: UTF8.self).contains("ENCRYPTED")
      let reason = OpenSSLErrors.take() ?? "no PEM private key in it"
      throw TLSError(
        .credentials, "read private key of", source,
        reason: isEncrypted ? "it is protected by a passphrase; a key without one is needed" : reason)
    }
    return unsafe key
  }
}

/// OpenSSL's reader over bytes that it does not copy.
@safe private struct PEMReader: ~Copyable {
  let bio: OpaquePointer
  private let copy: UnsafeMutableRawBufferPointer

  private init(_ bio: OpaquePointer, _ copy: UnsafeMutableRawBufferPointer) {
    unsafe self.bio = bio
    unsafe self.copy = copy
  }

  static func make(_ pem: PEM) throws(TLSError) -> PEMReader {
    let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: max(pem.bytes.count, 1), alignment: 1)
    unsafe copy.copyBytes(from: pem.bytes)
    // `copy` stays until after the BIO is freed.
    guard let made = unsafe BIO_new_mem_buf(copy.baseAddress, Int32(clamping: pem.bytes.count)) else {
      unsafe copy.deallocate()
      throw TLSError(.system, "read", pem.source, reason: OpenSSLErrors.take() ?? "no memory")
    }
    return unsafe PEMReader(made, copy)
  }

  deinit {
    unsafe BIO_free(bio)
    // Private keys pass through here.
    unsafe OPENSSL_cleanse(copy.baseAddress, copy.count)
    unsafe copy.deallocate()
  }
}

/// Whose certificate, and how long it is good.
public struct CertificateSummary: Sendable, Equatable, CustomStringConvertible {
  public let subject: String
  /// Seconds from when it was read; negative: it has expired.
  public let secondsLeft: Int
  public let notAfter: String

  /// - Precondition: `certificate` is an X509 or nil.
  init?(_ certificate: OpaquePointer?) {
    guard let certificate = unsafe certificate else { return nil }
    subject =
      unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) {
        // Writes at most 256 bytes with the terminator.
        unsafe X509_NAME_oneline(X509_get_subject_name(certificate), $0.baseAddress, 256)
        return unsafe String(cString: $0.baseAddress!)
      }
    var days: Int32 = 0, seconds: Int32 = 0
    let end = unsafe X509_get0_notAfter(certificate)
    _ = unsafe ASN1_TIME_diff(&days, &seconds, nil, end)
    secondsLeft = Int(days) * 86_400 + Int(seconds)
    var time = unsafe tm()
    if unsafe ASN1_TIME_to_tm(end, &time) == 1 {
      func two(_ value: Int32) -> String { value < 10 ? "0\(value)" : "\(value)" }
      // Only the numbers of the struct are read.
      let date = unsafe "\(time.tm_year + 1900)-\(two(time.tm_mon + 1))-\(two(time.tm_mday))"
      notAfter = unsafe "\(date) \(two(time.tm_hour)):\(two(time.tm_min)) UTC"
    } else {
      notAfter = "?"
    }
  }

  public var description: String { "\(subject), \(secondsLeft < 0 ? "expired since" : "valid until") \(notAfter)" }
}

// MARK: rules

extension TLSContext {
  /// Forward secrecy and authenticated encryption, which is also what RFC 9113 §9.2.2 leaves of TLS 1.2.
  private static let ciphers12 = "ECDHE+AESGCM:ECDHE+CHACHA20"
  private static let groups = "X25519:P-256:P-384"

  private func configure() throws(TLSError) {
    let context = unsafe handle.pointer
    guard unsafe copenssl_set_versions(context, configuration.versionMin.rawValue, configuration.versionMax.rawValue) == 1,
      unsafe SSL_CTX_set_cipher_list(context, TLSContext.ciphers12) == 1,
      unsafe copenssl_set_groups(context, TLSContext.groups) == 1
    else { throw TLSError(.system, "set versions and ciphers", reason: OpenSSLErrors.take() ?? "refused") }
    unsafe copenssl_set_defaults(context, configuration.sessionTickets ? 1 : 0)
    // The callbacks find us by this; every session keeps us alive.
    _ = unsafe SSL_CTX_set_ex_data(context, 0, Unmanaged.passUnretained(self).toOpaque())
    unsafe SSL_CTX_set_info_callback(context) { ssl, what, _ in
      if let session = unsafe TLSSession.of(ssl) { session.noted(what) }
    }
    switch role {
    case .server: try unsafe configureServer(context)
    case .client: try unsafe configureClient(context)
    }
  }

  private func configureServer(_ context: OpaquePointer) throws(TLSError) {
    let verify: Int32 =
      switch configuration.clientVerification {
      case .none: SSL_VERIFY_NONE
      case .request: SSL_VERIFY_PEER
      case .require: SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT
      }
    unsafe SSL_CTX_set_verify(context, verify, nil)
    // Sessions travel in tickets; nothing is kept here.
    unsafe copenssl_set_cache_mode(context, Int(SSL_SESS_CACHE_OFF))
    if !configuration.sessionTickets { _ = unsafe SSL_CTX_set_num_tickets(context, 0) }
    _ = unsafe SSL_CTX_set_timeout(context, TicketKeys.periodSeconds)
    // A session opened under other rules for clients is not taken up again.
    let id = try resumptionContext()
    _ = unsafe SSL_CTX_set_session_id_context(context, id, UInt32(id.count))
    _ = unsafe SSL_CTX_set_tlsext_ticket_key_evp_cb(context) { ssl, name, vector, cipher, mac, seals in
      guard let ssl = unsafe ssl, let context = unsafe TLSContext.of(ssl) else { return -1 }
      // OpenSSL passes all four in every call.
      return seals == 1
        ? unsafe context.ticketKeys.seal(name: name!, vector: vector!, cipher: cipher!, mac: mac!)
        : unsafe context.ticketKeys.open(
          name: name!, vector: vector!, cipher: cipher!, mac: mac!, renewsAlways: SSL_version(ssl) >= Version.tls13)
    }
    guard !configuration.protocols.isEmpty else { return }
    unsafe SSL_CTX_set_alpn_select_cb(
      context,
      { ssl, out, outCount, offered, offeredCount, _ in
        guard let ssl = unsafe ssl, let context = unsafe TLSContext.of(ssl) else { return SSL_TLSEXT_ERR_ALERT_FATAL }
        // The client's list, `offeredCount` bytes; what is chosen is named inside it.
        let list = unsafe UnsafeRawBufferPointer(start: offered, count: Int(offeredCount))
        guard let name = unsafe TLSConfiguration.choose(context.configuration.protocols, from: list.bytes) else {
          // RFC 7301 §3.2: no_application_protocol.
          return SSL_TLSEXT_ERR_ALERT_FATAL
        }
        unsafe out!.pointee = unsafe offered! + name.lowerBound
        unsafe outCount!.pointee = UInt8(name.count)
        return SSL_TLSEXT_ERR_OK
      }, nil)
  }

  private func configureClient(_ context: OpaquePointer) throws(TLSError) {
    unsafe SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nil)
    let list = configuration.protocolList
    // Zero is success in this one.
    if !list.isEmpty, unsafe SSL_CTX_set_alpn_protos(context, list, UInt32(list.count)) != 0 {
      throw TLSError(.system, "set ALPN", reason: OpenSSLErrors.take() ?? "no memory")
    }
    guard configuration.sessionTickets else { return }
    unsafe copenssl_set_cache_mode(context, Int(SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL))
    unsafe SSL_CTX_sess_set_new_cb(context) { ssl, ticket in
      guard let session = unsafe TLSSession.of(ssl), let ticket = unsafe ticket else { return 0 }
      unsafe session.keep(ticket)
      // 1: the reference is ours now.
      return 1
    }
  }

  private enum Version { static let tls13 = TLSConfiguration.Version.tls13.rawValue }

  /// SHA-256 over what is asked of clients and whom we trust to say who they are.
  private func resumptionContext() throws(TLSError) -> [UInt8] {
    var text = Array("martlet \(configuration.clientVerification) ".utf8)
    text += configuration.trustedRoots?.bytes ?? []
    var digest = [UInt8](repeating: 0, count: Int(SSL_MAX_SID_CTX_LENGTH))
    var count: UInt32 = 0
    // 32 bytes, as long as the array.
    guard unsafe EVP_Digest(text, text.count, &digest, &count, EVP_sha256(), nil) == 1, count == digest.count else {
      throw TLSError(.system, "hash", reason: OpenSSLErrors.take() ?? "refused")
    }
    return digest
  }

  private static func of(_ ssl: OpaquePointer) -> TLSContext? {
    guard let pointer = unsafe SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), 0) else { return nil }
    // Set in configure(); the session that is calling keeps the context alive.
    return unsafe Unmanaged<TLSContext>.fromOpaque(pointer).takeUnretainedValue()
  }
}

// MARK: a client's sessions

extension TLSContext {
  /// RFC 8446 §C.4: a ticket is used once. One of TLS 1.2 is good for more, and not every server sends another.
  func takeSession(for server: String) -> SavedSession? {
    sessions.withLock { cache in
      guard let saved = cache.entries[server] else { return nil }
      if unsafe SSL_SESSION_get_protocol_version(saved.pointer) >= Version.tls13 { cache.entries[server] = nil }
      return saved
    }
  }

  func keepSession(_ session: SavedSession, for server: String) {
    sessions.withLock { cache in
      if cache.entries.count >= SessionCache.entriesMax, cache.entries[server] == nil { cache.entries.removeAll() }
      cache.entries[server] = session
    }
  }

  private struct SessionCache {
    /// Servers that one client talks to; a fleet's replicas. A session is some 3 KB.
    static let entriesMax = 256
    var entries: [String: SavedSession] = [:]
  }
}

/// An SSL_SESSION and the duty to free it. Immutable once the handshake it came from is over.
@safe final class SavedSession: @unchecked Sendable {
  let pointer: OpaquePointer
  init(adopting pointer: OpaquePointer) { unsafe self.pointer = pointer }
  deinit { unsafe SSL_SESSION_free(pointer) }
}
