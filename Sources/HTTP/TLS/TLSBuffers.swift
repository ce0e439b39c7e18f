// What the TLS connections of one loop share: each uses it within one event and leaves it empty.
internal import CLinux

@safe final class TLSBuffers {
  /// Text of the records of one read.
  var plain = ByteBuffer()
  /// Records on their way to the socket.
  var sealed = ByteBuffer()
  /// Where pieces that do not fill a record come together.
  let staging: UnsafeMutableRawBufferPointer

  init() {
    unsafe staging = .allocate(byteCount: TLSSession.recordBytesMax, alignment: ByteBuffer.alignment)
  }

  deinit { unsafe staging.deallocate() }
}

/// How a client speaks TLS to a server.
public struct ClientTLS: Sendable {
  public let certificates: CertificateStore
  /// The name (or address) in the server's certificate, if it is not that of the endpoint.
  public var serverName: String?

  public init(_ certificates: CertificateStore, serverName: String? = nil) {
    self.certificates = certificates
    self.serverName = serverName
  }

  func session(to endpoint: Endpoint, limits: Limits) throws(TLSError) -> TLSSession {
    let name: String
    switch endpoint {
    case .tcp(let host, _): name = serverName ?? host
    // As gRPC names the other end of a Unix socket.
    case .unix: name = serverName ?? "localhost"
    }
    return try TLSSession.make(certificates.current, server: name, limits: limits)
  }
}
