// TLS on real sockets: our server, our client, and a peer that speaks TLS by hand.
import CLinux
import Dispatch
import Glibc
import Synchronization
import TestThreads
import Testing
import TransportSupport

@testable import HTTP

/// Answers with what was sent, and notes how it came.
private final class Echo: HTTPApplication {
  let head = StaticFields([(":status", "200")])
  func opened(_ stream: HTTPStream) { stream.handler = Exchange(head) }

  final class Exchange: StreamHandler {
    let head: StaticFields
    init(_ head: StaticFields) { self.head = head }
    func received(_ bytes: RawSpan, on stream: HTTPStream) { _ = stream.body.append(bytes) }
    func ended(_ stream: HTTPStream) { stream.respond(head, trailers: nil) }
    func closed(_ stream: HTTPStream, _ error: StreamError) {}
  }
}

/// A client's connection and the end of one exchange, told to a test's thread.
private final class Exchange: ConnectionObserver, StreamHandler, @unchecked Sendable {
  let body: [UInt8]
  private let done = Mutex<[String]>([])
  /// On the loop.
  private var answer: [UInt8] = []
  private var connection: HTTP2Connection?
  private let fields = StaticFields([(":method", "POST"), (":scheme", "https")])

  init(_ body: [UInt8]) { self.body = body }

  func start(_ port: Int, _ tls: ClientTLS?, on loop: EventLoop) {
    loop.enqueue { [self] in
      let address = SocketAddress(numeric: "127.0.0.1", port: port)!
      connection = try? HTTP2Connection.connect(to: address, tls: tls, on: loop, observer: self)
    }
  }

  private func say(_ word: String) { done.withLock { $0.append(word) } }

  func connected(_ connection: HTTP2Connection) {
    var more = FieldList()
    more.append(":path", "/")
    more.append(":authority", "localhost")
    var bytes = ByteBuffer()
    _ = unsafe body.withUnsafeBytes { unsafe bytes.append($0.bytes) }
    _ = connection.request(fields, more, body: &bytes, handler: self)
  }
  func goingAway(_ connection: HTTP2Connection, _ error: StreamError, _ text: String) {}
  func ponged(_ connection: HTTP2Connection) {}
  func closed(_ connection: HTTP2Connection, _ reason: String) {
    self.connection = nil
    say(reason)
  }

  func received(_ bytes: RawSpan, on stream: HTTPStream) { unsafe bytes.withUnsafeBytes { unsafe answer += $0 } }
  func ended(_ stream: HTTPStream) {}
  func closed(_ stream: HTTPStream, _ error: StreamError) {
    guard error == .none else { return }
    say(answer == body ? "echoed by \(connection?.peerCertificate?.subject ?? "nobody")" : "\(answer.count) other bytes")
    connection?.startDrain()
  }

  /// The first thing that was said.
  func outcome() async throws -> String {
    while true {
      if let word = done.withLock({ $0.first }) { return word }
      try await Task.sleep(for: .milliseconds(2))
    }
  }
}

@Suite(.blocking, .serialized, .timeLimit(.minutes(1))) struct TLSServerTests {
  private let world = TLSWorld()

  private func withServer(
    _ store: CertificateStore, limits: Limits = Limits(), loops: Int = 1, _ body: (Int, EventLoop) async throws -> Void
  ) async throws {
    var configuration = HTTPServer.Configuration(endpoints: [.tcp(host: "127.0.0.1", port: 0)], loops: loops, limits: limits)
    configuration.tls = store
    let server = try HTTPServer(configuration) { _ in Echo() }
    let client = try EventLoop()
    try server.start()
    client.start()
    var failure: (any Error)?
    do { try await body(server.ports[0], client) } catch { failure = error }
    client.stop()
    client.join()
    await server.drain(deadline: .zero)
    if let failure { throw failure }
  }

  private func ask(_ port: Int, _ loop: EventLoop, _ client: CertificateStore, _ body: [UInt8] = [1, 2, 3]) async throws -> String {
    let exchange = Exchange(body)
    exchange.start(port, ClientTLS(client, serverName: "localhost"), on: loop)
    return try await exchange.outcome()
  }

  @Test func `an exchange over TLS, small and large`() async throws {
    try await withServer(CertificateStore(.server, world.server()), loops: 2) { port, loop in
      let client = try CertificateStore(.client, world.client())
      #expect(try await ask(port, loop, client) == "echoed by /CN=server")
      let large = (0..<5_000_000).map { UInt8(truncatingIfNeeded: $0 &* 2_654_435_761 >> 7) }
      for _ in 0..<3 { #expect(try await ask(port, loop, client, large) == "echoed by /CN=server") }
    }
  }

  @Test func `many at once`() async throws {
    try await withServer(CertificateStore(.server, world.server()), loops: 2) { port, loop in
      let client = try CertificateStore(.client, world.client())
      let exchanges = (0..<40).map { Exchange([UInt8](repeating: UInt8($0), count: 200_000)) }
      for exchange in exchanges { exchange.start(port, ClientTLS(client, serverName: "localhost"), on: loop) }
      for exchange in exchanges { #expect(try await exchange.outcome() == "echoed by /CN=server") }
    }
  }

  @Test func `a client without a certificate is told so`() async throws {
    try await withServer(CertificateStore(.server, world.verifyingServer())) { port, loop in
      let reason = try await ask(port, loop, CertificateStore(.client, world.client()))
      #expect(reason.contains("certificate required"), "\(reason)")
      #expect(try await ask(port, loop, CertificateStore(.client, world.client(world.authority))) == "echoed by /CN=server")
    }
  }

  @Test func `a server that is not who it should be gets no request`() async throws {
    try await withServer(CertificateStore(.server, world.server(names: "DNS:elsewhere"))) { port, loop in
      let reason = try await ask(port, loop, CertificateStore(.client, world.client()))
      #expect(reason.contains("localhost") && reason.contains("mismatch"), "\(reason)")
    }
  }

  @Test func `a server without h2 is no server for a gRPC client`() async throws {
    let plain = world.server { $0.protocols = [] }
    try await withServer(CertificateStore(.server, plain)) { port, loop in
      let reason = try await ask(port, loop, CertificateStore(.client, world.client()))
      #expect(reason.contains("does not speak HTTP/2"), "\(reason)")
    }
  }

  @Test func `a plain server is found out by a TLS client`() async throws {
    let server = try HTTPServer(.init(endpoints: [.tcp(host: "127.0.0.1", port: 0)], loops: 1)) { _ in Echo() }
    try server.start()
    let loop = try EventLoop()
    loop.start()
    let reason = try await ask(server.ports[0], loop, CertificateStore(.client, world.client()))
    #expect(reason.contains("closed") || reason.contains("does not speak TLS"), "\(reason)")
    loop.stop()
    loop.join()
    await server.drain(deadline: .zero)
  }

  @Test func `clear text on a TLS port is told so, or closed`() async throws {
    try await withServer(CertificateStore(.server, world.server())) { port, _ in
      for (text, answer) in [
        ("GET / HTTP/1.1\r\nhost: a\r\n\r\n", "HTTP/1.1 400 Bad Request"), ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", ""),
        ("\u{1}\u{2}\u{3}", ""),
      ] {
        let peer = try ScriptedPeer(port: port)
        peer.send(Array(text.utf8))
        let heard = peer.readToEnd()
        #expect(String(decoding: heard, as: UTF8.self).hasPrefix(answer), "\(text)")
        if answer.isEmpty { #expect(heard.isEmpty, "\(text)") }
      }
    }
  }

  @Test func `garbage behind a hello's head is answered with an alert`() async throws {
    try await withServer(CertificateStore(.server, world.server())) { port, _ in
      let peer = try ScriptedPeer(port: port)
      peer.send([0x16, 3, 1, 0, 4, 9, 9, 9, 9])
      #expect(peer.readToEnd().first == 0x15)
    }
  }

  @Test func `a handshake that stops is cut at its time`() async throws {
    var limits = Limits()
    limits.handshakeMilliseconds = 50
    try await withServer(CertificateStore(.server, world.server()), limits: limits) { port, _ in
      let peer = try ScriptedPeer(port: port)
      peer.send([0x16, 3, 1, 1, 0, 1])
      #expect(peer.readToEnd().isEmpty)
    }
  }

  @Test func `one flush is one record, and close_notify comes last`() async throws {
    try await withServer(CertificateStore(.server, world.server())) { port, _ in
      let peer = try TLSPeer(port: port, TLSContext(.client, world.client()))
      peer.write(ScriptedPeer.preface + Frame(Frame.settings).bytes)
      let hello = try peer.read()
      // The server's SETTINGS stand at the very front.
      #expect(hello[3] == Frame.settings)
      let requests = [1, 3, 5].flatMap { id in
        Frame(Frame.headers, flags: Frame.endHeaders | Frame.endStream, stream: id, ScriptedPeer.block(ScriptedPeer.request("/"))).bytes
      }
      peer.write(requests)
      var records = 0
      var heads = 0
      while heads < 3 {
        let frames = try peer.read()
        records += 1
        var at = 0
        while at + 9 <= frames.count {
          if frames[at + 3] == Frame.headers { heads += 1 }
          at += 9 + (Int(frames[at]) << 16 | Int(frames[at + 1]) << 8 | Int(frames[at + 2]))
        }
      }
      // SETTINGS' acknowledgement may have come by itself.
      #expect(records <= 2)
    }
  }

  /// A client's first flight.
  private func hello(_ context: TLSContext) throws -> [UInt8] {
    let session = try TLSSession.make(context, server: "localhost")
    var sealed = ByteBuffer()
    let progress = unsafe session.handshake(UnsafeRawBufferPointer(start: nil, count: 0), into: &sealed)
    #expect(progress == .needMore)
    return bytesOf(sealed)
  }

  /// Answers with the number of costly parts that the loop has done.
  private final class PartCounter: HTTPApplication {
    let loop: EventLoop
    let head = StaticFields([(":status", "200")])
    init(_ loop: EventLoop) { self.loop = loop }
    func opened(_ stream: HTTPStream) {
      var more = FieldList()
      more.append("parts", String(loop.chores.partCount))
      stream.respond(head, more)
    }
  }

  /// Fifty clients' first flights, and a neighbour's request, come while the loop is busy: the next turn has all of them.
  /// - Parameter leaving: so many of them hang up before the loop looks.
  private func flood(leaving: Int = 0, _ change: (inout Limits) -> Void) async throws
    -> (answer: Answer, heard: [[UInt8]], neighbour: Answer)
  {
    var limits = Limits()
    limits.choreMicrosecondsPerTurn = 0
    change(&limits)
    var configuration = HTTPServer.Configuration(
      endpoints: [.tcp(host: "127.0.0.1", port: 0), .tcp(host: "0.0.0.0", port: 0)], loops: 1, limits: limits)
    configuration.tls = try CertificateStore(.server, world.server())
    configuration.plainEndpoints = [configuration.endpoints[1]]
    let server = try HTTPServer(configuration) { PartCounter($0) }
    try server.start()
    let loop = server.loops[0]
    let client = try TLSContext(.client, world.client())
    let neighbour = try ScriptedPeer(port: server.ports[1])
    neighbour.open()
    _ = try neighbour.receive(Frame.settings)
    let peers = try (0..<50).map { _ in try ScriptedPeer(port: server.ports[0]) }
    while server.connectionCount < 51 { try await Task.sleep(for: .milliseconds(1)) }
    let isHere = DispatchSemaphore(value: 0)
    loop.enqueue { isHere.wait() }
    for peer in peers { peer.send(try hello(client)) }
    let ask = Frame(Frame.headers, flags: Frame.endHeaders | Frame.endStream, stream: 1, ScriptedPeer.block(ScriptedPeer.request("/")))
    neighbour.send(ask)
    for peer in peers.prefix(leaving) { peer.close() }
    isHere.signal()
    let answer = try neighbour.answer(on: 1)
    let heard = peers.map { (try? $0.readSome()) ?? [] }
    neighbour.send(Frame(Frame.headers, flags: ask.flags, stream: 3, ask.payload))
    let last = try neighbour.answer(on: 3)
    await server.drain(deadline: .zero)
    return (answer, heard, last)
  }

  @Test func `fifty handshakes at once take turns, and a neighbour is answered before the second of them`() async throws {
    let (answer, heard, last) = try await flood { _ in }
    #expect(Int(answer.fields["parts"] ?? "99")! <= 1)
    #expect(heard.allSatisfy { $0.first == 0x16 })
    #expect(last.fields["parts"] == "50")
  }

  @Test func `handshakes beyond the limit are turned away, the others are made`() async throws {
    let (_, heard, last) = try await flood { $0.handshakesWaitingMax = 10 }
    #expect(heard.count { $0.first == 0x16 } == 11)
    #expect(heard.count { $0.isEmpty } == 39)
    #expect(last.fields["parts"] == "11")
  }

  @Test func `who says hello and leaves takes no place and costs nothing`() async throws {
    let (_, heard, last) = try await flood(leaving: 40) { _ in }
    #expect(heard.count { $0.first == 0x16 } == 10)
    // One whose turn comes before its leave is heard of is begun; the forty are not.
    #expect((10...14).contains(Int(last.fields["parts"] ?? "") ?? 0))
  }

  @Test func `who leaves while its handshake waits leaves nothing`() async throws {
    var limits = Limits()
    limits.choreMicrosecondsPerTurn = 0
    try await withServer(CertificateStore(.server, world.server()), limits: limits) { port, loop in
      let client = try TLSContext(.client, world.client())
      for _ in 0..<200 {
        let peer = try ScriptedPeer(port: port)
        peer.send(try hello(client))
        peer.close()
      }
      #expect(try await ask(port, loop, CertificateStore(.client, world.client())) == "echoed by /CN=server")
    }
  }

  @Test func `tickets that a peer does not read yet go with its connection to the protocol`() async throws {
    // Two tickets with this certificate in them are more than the socket takes.
    let names = (0..<900).map { "DNS:n\($0).example.org" }.joined(separator: ",")
    let made = world.authority.issue("client", names: names, isClient: true)
    let client = world.client {
      $0.certificateChain = PEM(made.certificate, source: "client.pem")
      $0.privateKey = PEM(made.key, source: "client.key")
    }
    let host = Host()
    let loop = try EventLoop()
    let server = try TLSContext(.server, world.verifyingServer())
    loop.start()
    var ends: [Int32] = [0, 0]
    #expect(unsafe socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends) == 0)
    var small: Int32 = 4096
    _ = unsafe setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &small, 4)
    _ = fcntl(ends[0], F_SETFL, O_NONBLOCK)
    let ours = ends[0]
    loop.enqueue {
      guard let session = try? TLSSession.make(server) else { return }
      _ = Greeting.accept(Transport(Socket(owning: ours), tls: session), on: loop, peer: "pair", host: host)
    }
    let peer = try TLSPeer(ScriptedPeer(owning: ends[1]), TLSContext(.client, client))
    while !host.hasHandedOver.load(ordering: .acquiring) { try await Task.sleep(for: .milliseconds(1)) }
    let hadBytesWaiting = host.hadBytesWaiting.load(ordering: .relaxed)
    #expect(hadBytesWaiting)
    peer.write(ScriptedPeer.preface + Frame(Frame.settings).bytes)
    peer.write(
      Frame(Frame.headers, flags: Frame.endHeaders | Frame.endStream, stream: 1, ScriptedPeer.block(ScriptedPeer.request("/"))).bytes)
    var heard: [UInt8] = []
    while !heard.indices.dropLast(9).contains(where: { heard[$0 + 3] == Frame.headers && heard[$0 + 8] == 1 }) { heard += try peer.read() }
    #expect(heard[3] == Frame.settings)
    loop.stop()
    loop.join()
  }

  /// `application` is the loop's.
  private final class Host: ConnectionHost, @unchecked Sendable {
    let application: (any HTTPApplication)? = Echo()
    let hasHandedOver = Atomic<Bool>(false)
    let hadBytesWaiting = Atomic<Bool>(false)
    func replaced(_ old: Connection, by new: Connection) {
      hadBytesWaiting.store(old.isWaitingToWrite, ordering: .relaxed)
      hasHandedOver.store(true, ordering: .releasing)
    }
    func closed(_ connection: Connection) {}
  }
}

/// A blocking client with a TLS session in its hands.
private final class TLSPeer {
  private let socket: ScriptedPeer
  private let session: TLSSession
  private var waiting: [UInt8] = []
  private var isOpen = false

  convenience init(port: Int, _ context: TLSContext) throws { try self.init(ScriptedPeer(port: port), context) }

  init(_ socket: ScriptedPeer, _ context: TLSContext) throws {
    self.socket = socket
    session = try TLSSession.make(context, server: "localhost")
    var bytes: [UInt8] = []
    while !isOpen {
      var sealed = ByteBuffer()
      switch unsafe bytes.withUnsafeBytes({ unsafe session.handshake($0, into: &sealed) }) {
      case .needMore: socket.send(bytesOf(sealed))
      case .done(_, let consumed):
        socket.send(bytesOf(sealed))
        waiting = Array(bytes[consumed...])
        isOpen = true
        continue
      case .failed(let error): throw error
      }
      bytes = try socket.readSome()
    }
  }

  func write(_ bytes: [UInt8]) {
    var sealed = ByteBuffer()
    let staging = UnsafeMutableRawBufferPointer.allocate(byteCount: TLSSession.recordBytesMax, alignment: 64)
    var copy = bytes
    unsafe copy.withUnsafeMutableBytes {
      var piece = unsafe iovec(iov_base: $0.baseAddress, iov_len: $0.count)
      let error = unsafe withUnsafeMutablePointer(to: &piece) {
        unsafe session.encrypt(UnsafeMutableBufferPointer(start: $0, count: 1), staging: staging, into: &sealed)
      }
      #expect(error == nil)
    }
    unsafe staging.deallocate()
    socket.send(bytesOf(sealed))
  }

  /// The text of one record; messages of TLS itself give none and are passed over.
  func read() throws -> [UInt8] {
    while true {
      while waiting.count >= 5, waiting.count >= 5 + length {
        let record = Array(waiting[..<(5 + length)])
        waiting.removeFirst(record.count)
        var plain = ByteBuffer(), sealed = ByteBuffer()
        let outcome = unsafe record.withUnsafeBytes { unsafe session.decrypt($0, into: &plain, sealed: &sealed) }
        if let error = outcome.error { throw error }
        if plain.count > 0 { return bytesOf(plain) }
      }
      waiting += try socket.readSome()
    }
  }

  private var length: Int { Int(waiting[3]) << 8 | Int(waiting[4]) }
}
