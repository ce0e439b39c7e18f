// Calls over TLS: our channel against our server.
import HTTP
import TestThreads
import Testing
import TransportSupport

@testable import RPC

private final class Echo: UnaryHandler {
  func handle(_ call: UnaryCall) {
    let message = call.message
    call.reply(byteCount: message.byteCount) { $0.append(message) }
  }
}

@Suite(.blocking, .timeLimit(.minutes(1))) struct TLSChannelTests {
  private let authority = TestAuthority()

  private func server(clientVerification: TLSConfiguration.ClientVerification = .none) throws -> RPCServer {
    let made = authority.issue("server", names: "DNS:localhost")
    var tls = TLSConfiguration()
    tls.certificateChain = PEM(made.certificate, source: "certificate")
    tls.privateKey = PEM(made.key, source: "key")
    tls.trustedRoots = PEM(authority.pem, source: "roots")
    tls.clientVerification = clientVerification
    var methods = MethodTable()
    methods.register(path: "/test/Echo", Echo())
    var configuration = RPCServer.Configuration(host: "127.0.0.1")
    configuration.http.loops = 1
    configuration.http.tls = try CertificateStore(.server, tls)
    let server = try RPCServer(methods: methods, configuration: configuration)
    try server.start()
    return server
  }

  private func client(_ change: (inout TLSConfiguration) -> Void = { _ in }) throws -> CertificateStore {
    var tls = TLSConfiguration()
    tls.trustedRoots = PEM(authority.pem, source: "roots")
    tls.protocols = [.http2]
    change(&tls)
    return try CertificateStore(.client, tls)
  }

  private func channel(_ server: RPCServer, _ tls: CertificateStore, name: String? = "localhost") -> Channel {
    var configuration = Channel.Configuration()
    configuration.tls = tls
    configuration.tlsServerName = name
    return Channel(to: .tcp(host: "127.0.0.1", port: server.ports[0]), configuration: configuration)
  }

  private func outcome(_ channel: Channel, _ request: [UInt8] = [1, 2, 3]) async -> Status {
    do throws(Status) {
      let response = try await channel.unary("/test/Echo", request)
      return response.message.byteCount == request.count ? .ok : Status(.dataLoss, "another answer")
    } catch {
      return error
    }
  }

  @Test func `calls, and calls again on a connection that resumes`() async throws {
    let server = try server(), certificates = try client()
    for _ in 0..<3 {
      let channel = channel(server, certificates)
      #expect(await outcome(channel) == .ok)
      #expect(await outcome(channel, [UInt8](repeating: 7, count: 2_000_000)) == .ok)
      channel.close()
    }
    await server.drain(deadline: .seconds(5))
  }

  @Test func `the name in the certificate is the target's unless another is given`() async throws {
    let server = try server()
    let status = await outcome(channel(server, try client(), name: nil))
    #expect(status.code == .unavailable)
    #expect(status.message.contains("IP address mismatch"), "\(status.message)")
    await server.drain(deadline: .zero)
  }

  @Test func `without the certificate that the server wants there are no calls`() async throws {
    let server = try server(clientVerification: .require)
    let status = await outcome(channel(server, try client()))
    #expect(status.code == .unavailable, "\(status)")
    let made = authority.issue("client", isClient: true)
    let certificates = try client {
      $0.certificateChain = PEM(made.certificate, source: "certificate")
      $0.privateKey = PEM(made.key, source: "key")
    }
    #expect(await outcome(channel(server, certificates)) == .ok)
    await server.drain(deadline: .zero)
  }
}
