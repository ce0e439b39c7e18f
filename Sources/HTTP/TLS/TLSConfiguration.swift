// What a TLS endpoint is told: certificate, key, whom to trust, which versions. A value; `TLSContext` makes it work.

/// PEM text: where it came from, for messages, and its bytes.
public struct PEM: Sendable, Equatable {
  /// A path, or the name of a field.
  public var source: String
  public var bytes: [UInt8]

  public init(_ bytes: [UInt8], source: String) {
    self.bytes = bytes
    self.source = source
  }

  public init(_ text: String, source: String) { self.init(Array(text.utf8), source: source) }

  public init(file path: String) throws(TLSError) {
    self.init(try FileBytes.read(path, bytesMax: PEM.bytesMax), source: path)
  }

  /// The system's bundle of roots is a fifth of that.
  static let bytesMax = 1 << 20
}

public struct TLSConfiguration: Sendable, Equatable {
  /// What is asked of a client's certificate. A client always verifies its server.
  public enum ClientVerification: Sendable, Equatable {
    case none
    /// A client may come without a certificate; one that it shows must be good.
    case request
    /// TensorFlow Serving's `client_verify`.
    case require
  }

  public enum Version: Int32, Sendable, Comparable {
    case tls12 = 0x0303
    case tls13 = 0x0304
    public static func < (a: Version, b: Version) -> Bool { a.rawValue < b.rawValue }
  }

  /// An application protocol's name in ALPN.
  public enum ApplicationProtocol: String, Sendable, CaseIterable {
    case http2 = "h2"
    case http1 = "http/1.1"
  }

  /// Our certificate first, then those that lead to a root. Needed by a server.
  public var certificateChain: PEM?
  public var privateKey: PEM?
  /// Whom to trust; nil: on a client the system's roots, on a server nobody.
  public var trustedRoots: PEM?
  public var clientVerification = ClientVerification.none
  public var versionMin = Version.tls12
  public var versionMax = Version.tls13
  /// In the order of preference, which on a server is ours. Empty: no ALPN, the first bytes decide.
  public var protocols = [ApplicationProtocol.http2, .http1]
  /// Resumption by tickets: a peer that comes back needs no certificates and no signature.
  public var sessionTickets = true

  public init() {}

  /// A server's, from PEM files.
  /// - Parameter trustedRoots: certificates of the authorities that sign clients' certificates.
  public static func server(
    certificateFile: String, keyFile: String, trustedRootsFile: String? = nil, clientVerification: ClientVerification = .none
  ) throws(TLSError) -> TLSConfiguration {
    var configuration = try TLSConfiguration(certificateFile, keyFile, trustedRootsFile)
    configuration.clientVerification = clientVerification
    return configuration
  }

  /// A gRPC client's, from PEM files: HTTP/2 only.
  public static func client(
    trustedRootsFile: String? = nil, certificateFile: String? = nil, keyFile: String? = nil
  ) throws(TLSError) -> TLSConfiguration {
    var configuration = try TLSConfiguration(certificateFile, keyFile, trustedRootsFile)
    configuration.protocols = [.http2]
    return configuration
  }

  private init(_ certificateFile: String?, _ keyFile: String?, _ trustedRootsFile: String?) throws(TLSError) {
    if let certificateFile { certificateChain = try PEM(file: certificateFile) }
    if let keyFile { privateKey = try PEM(file: keyFile) }
    if let trustedRootsFile { trustedRoots = try PEM(file: trustedRootsFile) }
  }
}

extension TLSConfiguration {
  /// RFC 7301 §3.1: names with a length before each.
  var protocolList: [UInt8] { protocols.flatMap { [UInt8($0.rawValue.utf8.count)] + Array($0.rawValue.utf8) } }

  /// A server's choice among what a client offers: the first of ours that is in it.
  /// - Parameter offered: the client's list as it stands on the wire.
  /// - Returns: the range of the name in `offered`; nil: no overlap, or a list that is none.
  static func choose(_ preferred: [ApplicationProtocol], from offered: RawSpan) -> Range<Int>? {
    for wanted in preferred {
      var at = 0
      while at < offered.byteCount {
        let start = at + 1
        let end = start + Int(unsafe offered.unsafeLoad(fromUncheckedByteOffset: at, as: UInt8.self))
        if end > offered.byteCount { return nil }
        if offered.extracting(start..<end).elementsEqual(wanted.rawValue) { return start..<end }
        at = end
      }
    }
    return nil
  }
}

extension RawSpan {
  fileprivate func elementsEqual(_ text: String) -> Bool {
    let utf8 = text.utf8
    guard byteCount == utf8.count else { return false }
    var at = 0
    for byte in utf8 {
      // `at` counts to `byteCount`.
      if unsafe unsafeLoad(fromUncheckedByteOffset: at, as: UInt8.self) != byte { return false }
      at += 1
    }
    return true
  }
}
