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
  /// The name (or address) that the server's certificate must have.
  public let serverName: String

  public init(_ certificates: CertificateStore, serverName: String) {
    self.certificates = certificates
    self.serverName = serverName
  }

  func session(_ limits: Limits) throws(TLSError) -> TLSSession {
    try TLSSession.make(certificates.current, server: serverName, limits: limits)
  }
}
