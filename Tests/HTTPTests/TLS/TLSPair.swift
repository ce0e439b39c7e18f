// Two TLS sessions and the bytes between them, without sockets.
import CLinux
import Testing
import TransportSupport

@testable import HTTP

/// What a test's two sides believe in.
struct TLSWorld {
  let authority = TestAuthority()

  func server(
    names: String = "DNS:localhost,IP:127.0.0.1", secondsLeft: Int = 86_400, _ change: (inout TLSConfiguration) -> Void = { _ in }
  ) -> TLSConfiguration {
    let made = authority.issue("server", names: names, secondsLeft: secondsLeft)
    var configuration = TLSConfiguration()
    configuration.certificateChain = PEM(made.certificate, source: "server.pem")
    configuration.privateKey = PEM(made.key, source: "server.key")
    change(&configuration)
    return configuration
  }

  func client(_ change: (inout TLSConfiguration) -> Void = { _ in }) -> TLSConfiguration {
    var configuration = TLSConfiguration()
    configuration.trustedRoots = PEM(authority.pem, source: "root.pem")
    configuration.protocols = [.http2]
    change(&configuration)
    return configuration
  }

  /// A client that shows a certificate of `signer`.
  func client(_ signer: TestAuthority, secondsLeft: Int = 86_400) -> TLSConfiguration {
    let made = signer.issue("client", isClient: true, secondsLeft: secondsLeft)
    return client {
      $0.certificateChain = PEM(made.certificate, source: "client.pem")
      $0.privateKey = PEM(made.key, source: "client.key")
    }
  }

  func verifyingServer(_ verification: TLSConfiguration.ClientVerification = .require) -> TLSConfiguration {
    server {
      $0.trustedRoots = PEM(authority.pem, source: "root.pem")
      $0.clientVerification = verification
    }
  }
}

final class TLSPair {
  let server: TLSSession
  let client: TLSSession
  /// Bytes on the way.
  var toServer: [UInt8] = []
  var toClient: [UInt8] = []
  /// How each handshake ended; nil: not yet.
  var serverEnd: TLSSession.Progress?
  var clientEnd: TLSSession.Progress?
  /// What arrived at each side.
  var serverText: [UInt8] = []
  var clientText: [UInt8] = []
  var serverOutcome = TLSSession.Decrypted.open
  var clientOutcome = TLSSession.Decrypted.open

  init(_ server: TLSContext, _ client: TLSContext, name: String = "localhost", limits: Limits = Limits()) throws {
    self.server = try TLSSession.make(server, limits: limits)
    self.client = try TLSSession.make(client, server: name, limits: limits)
  }

  convenience init(
    _ server: TLSConfiguration, _ client: TLSConfiguration, name: String = "localhost", limits: Limits = Limits()
  ) throws {
    try self.init(TLSContext(.server, server), TLSContext(.client, client), name: name, limits: limits)
  }

  /// Carries bytes to and fro, `step` at a time, until nothing moves.
  @discardableResult func run(step: Int = .max) -> TLSPair {
    if clientEnd == nil { feedClient([]) }
    while !toServer.isEmpty || !toClient.isEmpty {
      var n = min(step, toServer.count)
      var piece = Array(toServer[..<n])
      toServer.removeFirst(n)
      if n > 0 { feedServer(piece) }
      n = min(step, toClient.count)
      piece = Array(toClient[..<n])
      toClient.removeFirst(n)
      if n > 0 { feedClient(piece) }
    }
    return self
  }

  func feedServer(_ bytes: [UInt8]) {
    feed(server, bytes, end: &serverEnd, text: &serverText, outcome: &serverOutcome, out: &toClient)
  }

  func feedClient(_ bytes: [UInt8]) {
    feed(client, bytes, end: &clientEnd, text: &clientText, outcome: &clientOutcome, out: &toServer)
  }

  private func feed(
    _ session: TLSSession, _ bytes: [UInt8], end: inout TLSSession.Progress?, text: inout [UInt8],
    outcome: inout TLSSession.Decrypted, out: inout [UInt8]
  ) {
    var sealed = ByteBuffer(), plain = ByteBuffer()
    var rest = bytes[...]
    if end == nil {
      let progress = unsafe bytes.withUnsafeBytes { unsafe session.handshake($0, into: &sealed) }
      if progress != .needMore { end = progress }
      rest = []
      if case .done(_, let consumed) = progress { rest = bytes[consumed...] }
    }
    if case .done = end {
      outcome = unsafe Array(rest).withUnsafeBytes { unsafe session.decrypt($0, into: &plain, sealed: &sealed) }
    }
    text += bytesOf(plain)
    out += bytesOf(sealed)
  }

  /// What `session` makes of `pieces` written at once.
  func seal(_ session: TLSSession, _ pieces: [[UInt8]]) -> [UInt8] {
    var sealed = ByteBuffer()
    let staging = UnsafeMutableRawBufferPointer.allocate(byteCount: TLSSession.recordBytesMax, alignment: 64)
    let copies = unsafe pieces.map { piece in
      let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: piece.count, alignment: 1)
      unsafe copy.copyBytes(from: piece)
      return unsafe copy
    }
    var list = unsafe copies.map { unsafe iovec(iov_base: $0.baseAddress, iov_len: $0.count) }
    let error = unsafe list.withUnsafeMutableBufferPointer { unsafe session.encrypt($0, staging: staging, into: &sealed) }
    for unsafe copy in unsafe copies { unsafe copy.deallocate() }
    unsafe staging.deallocate()
    #expect(error == nil)
    return bytesOf(sealed)
  }

  func clientSends(_ pieces: [UInt8]...) { toServer += seal(client, pieces) }
  func serverSends(_ pieces: [UInt8]...) { toClient += seal(server, pieces) }
}

func bytesOf(_ buffer: borrowing ByteBuffer) -> [UInt8] {
  unsafe buffer.bytes.withUnsafeBytes { unsafe Array($0) }
}

/// The lengths in the records' heads.
func recordLengths(_ bytes: [UInt8]) -> [Int] {
  var lengths: [Int] = [], at = 0
  while at + 5 <= bytes.count {
    let n = Int(bytes[at + 3]) << 8 | Int(bytes[at + 4])
    lengths.append(n)
    at += 5 + n
  }
  #expect(at == bytes.count)
  return lengths
}

extension TLSSession.Progress {
  var error: TLSError? { if case .failed(let error) = self { error } else { nil } }
  var agreed: TLSConfiguration.ApplicationProtocol? { if case .done(let name, _) = self { name } else { nil } }
  var isDone: Bool { if case .done = self { true } else { false } }
}

extension TLSSession.Decrypted {
  var error: TLSError? { if case .failed(let error) = self { error } else { nil } }
}
