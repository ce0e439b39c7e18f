// The certificate in use, and the next one. New connections take what is current; those that are open go on with theirs.
//
//   files ─► load ─► TLSConfiguration ─► TLSContext ─► current
//     ▲                    │
//     └── poll, every N ms ┘ bad: the old one stays, and the log says why
//
// Files are looked at, not watched by inotify: a Kubernetes volume swaps a link above them, and a network file system
// tells nobody.
internal import CLinux
internal import Glibc
internal import Synchronization
internal import Telemetry
internal import Threads

public final class CertificateStore: Sendable {
  public enum Outcome: Sendable, Equatable {
    /// The same bytes as before.
    case unchanged
    case replaced
    /// The new ones cannot be used; the old ones go on.
    case kept(TLSError)
  }

  public typealias Load = @Sendable () throws(TLSError) -> TLSConfiguration

  private let role: TLSContext.Role
  private let paths: [String]
  private let load: Load
  private let ticketKeys: TicketKeys

  private struct State {
    var context: TLSContext
    var seen: [FileFingerprint]
    /// Why the last attempt failed. Files are replaced one after the other, so a failed attempt is made again.
    var failure: TLSError?
  }
  private let state: Mutex<State>
  /// One attempt at a time.
  private let loading = Mutex<Void>(())
  private let watch = Mutex<Watch?>(nil)

  /// - Parameters:
  ///   - paths: the files that `load` reads; when one changes, `poll` loads again.
  ///   - load: reads them. Runs here once, and then on the thread of whoever polls or reloads.
  public convenience init(_ role: TLSContext.Role, watching paths: [String] = [], load: @escaping Load) throws(TLSError) {
    // Before reading: what changes while we read is seen as a change by the next poll.
    let seen = paths.map { FileFingerprint($0) }
    let keys = TicketKeys()
    let context = try TLSContext(role, try load(), keys)
    self.init(role, paths, load, keys, State(context: context, seen: seen))
  }

  /// One that does not change.
  public convenience init(_ role: TLSContext.Role, _ configuration: TLSConfiguration) throws(TLSError) {
    try self.init(role) { () throws(TLSError) in configuration }
  }

  private init(
    _ role: TLSContext.Role, _ paths: [String], _ load: @escaping Load, _ ticketKeys: TicketKeys, _ state: consuming State
  ) {
    self.role = role
    self.paths = paths
    self.load = load
    self.ticketKeys = ticketKeys
    self.state = Mutex(state)
  }

  /// A server's, from PEM files. Call `startWatching` to have them looked at again.
  public static func server(
    certificateFile: String, keyFile: String, trustedRootsFile: String? = nil,
    clientVerification: TLSConfiguration.ClientVerification = .none
  ) throws(TLSError) -> CertificateStore {
    try CertificateStore(.server, watching: [certificateFile, keyFile] + (trustedRootsFile.map { [$0] } ?? [])) {
      () throws(TLSError) in
      try .server(
        certificateFile: certificateFile, keyFile: keyFile, trustedRootsFile: trustedRootsFile,
        clientVerification: clientVerification)
    }
  }

  /// A gRPC client's, from PEM files.
  public static func client(
    trustedRootsFile: String? = nil, certificateFile: String? = nil, keyFile: String? = nil
  ) throws(TLSError) -> CertificateStore {
    try CertificateStore(.client, watching: [trustedRootsFile, certificateFile, keyFile].compactMap { $0 }) {
      () throws(TLSError) in
      try .client(trustedRootsFile: trustedRootsFile, certificateFile: certificateFile, keyFile: keyFile)
    }
  }

  /// For the next connection.
  public var current: TLSContext { state.withLock { $0.context } }

  /// Loads again, whether or not something changed.
  @discardableResult public func reload() -> Outcome {
    loading.withLock { _ in
      let seen = paths.map { FileFingerprint($0) }
      let old = current
      do throws(TLSError) {
        let configuration = try load()
        let isSame = configuration == old.configuration
        let context = isSame ? old : try TLSContext(role, configuration, ticketKeys)
        state.withLock { $0 = State(context: context, seen: seen) }
        return isSame ? .unchanged : .replaced
      } catch {
        state.withLock {
          $0.seen = seen
          $0.failure = error
        }
        return .kept(error)
      }
    }
  }

  /// Loads again if a file changed since it was last read, or if that attempt failed.
  @discardableResult public func poll() -> Outcome {
    let (seen, failure) = state.withLock { ($0.seen, $0.failure) }
    if failure == nil, seen == paths.map({ FileFingerprint($0) }) { return .unchanged }
    return reload()
  }
}

// MARK: looking

extension CertificateStore {
  /// Polls on a thread of its own and logs what comes of it, until `stopWatching`. A second call does nothing.
  public func startWatching(everyMilliseconds interval: Int) {
    guard !paths.isEmpty else { return }
    watch.withLock { watch in
      if watch == nil { watch = Watch(self, max(interval, 1)) }
    }
  }

  /// Returns when the thread has ended.
  public func stopWatching() {
    let last = watch.withLock { watch in
      defer { watch = nil }
      return watch
    }
    last?.stop()
  }

  /// Polls once and logs it; one line for each different failure.
  func look() {
    let earlier = state.withLock { $0.failure }
    switch poll() {
    case .unchanged:
      if let earlier { Log.info("\(earlier.source) can be read again, and holds what is in use") }
    case .replaced: logCertificate()
    case .kept(let error):
      if error != earlier { Log.error("\(error); the old certificate stays in use, and the file is tried again") }
    }
  }

  /// Says which certificate is in use, and warns when it will not be good for long.
  public func logCertificate() {
    guard let certificate = current.certificate else { return }
    let days = certificate.secondsLeft / 86_400
    if days < 7 { Log.warn("TLS certificate in use: \(certificate)") } else { Log.info("TLS certificate in use: \(certificate)") }
  }

  private final class Watch: Sendable {
    private let wakeUp: Socket
    private let thread: SystemThread

    init(_ store: CertificateStore, _ interval: Int) {
      let fd = eventfd(0, Int32(EFD_CLOEXEC))
      wakeUp = Socket(owning: fd)
      thread = SystemThread(named: "certificates", priority: .background) { [weak store] in
        var entry = pollfd(fd: fd, events: Int16(POLLIN), revents: 0)
        // The descriptor is closed after the join. Without one, poll only waits.
        while unsafe Glibc.poll(&entry, 1, Int32(clamping: interval)) <= 0 {
          guard let store else { return }
          store.look()
        }
      }
    }

    func stop() {
      var one: UInt64 = 1
      // Eight bytes of our own.
      _ = unsafe write(wakeUp.fd, &one, 8)
      thread.join()
    }
  }
}
