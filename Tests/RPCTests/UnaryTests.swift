// Our client against our server, and a scripted peer where a well-behaved client would not do.
import Glibc
import HTTP
import Synchronization
import Telemetry
import TestThreads
import Testing
import TransportSupport

@testable import RPC

/// The methods of the test service.
private final class Echo: UnaryHandler {
  func handle(_ call: UnaryCall) {
    let message = call.message
    call.reply(byteCount: message.byteCount) { output in
      for i in 0..<message.byteCount { output.append(message[i]) }
    }
  }
}

private final class Fail: UnaryHandler {
  func handle(_ call: UnaryCall) {
    call.fail(Status(.failedPrecondition, "no “ü”, \(call.metadata("x-tag") ?? "") here: 100%\n"))
  }
}

private final class Silent: UnaryHandler { func handle(_ call: UnaryCall) {} }

/// Answers `byteCount` bytes, as many as the message says.
private final class Big: UnaryHandler {
  func handle(_ call: UnaryCall) {
    let message = call.message
    let n = (0..<4).reduce(0) { $0 << 8 | Int(message[$1]) }
    call.reply(byteCount: n) { output in unsafe output.append(repeating: 0xab, count: n, as: UInt8.self) }
  }
}

/// What it was sent, with everything around it.
private final class Adorned: UnaryHandler {
  static let failure = Status(.aborted, "no", details: [.init(typeURL: "t/x.Y", value: [])])

  func handle(_ call: UnaryCall) {
    var trailing = Metadata()
    for bytes in call.metadata.bytes("x-say-bin") { try! trailing.add("x-echo-bin", bytes: bytes) }
    if let text = call.metadata["x-say"] {
      var initial = Metadata()
      try! initial.add("x-echo", text)
      call.initialMetadata = initial
    }
    call.trailingMetadata = trailing
    if let coding = call.metadata("x-coding") { call.compression = ContentCoding(rawValue: coding).map { MessageCompression($0) } }
    if call.metadata("x-fail") != nil { return call.fail(Adorned.failure) }
    let message = call.message
    if call.metadata("x-detach") == nil { return call.reply(byteCount: message.byteCount) { $0.append(message) } }
    let detached = call.detach()
    let thread = Task {
      let message = detached.message
      detached.reply(byteCount: message.byteCount) { $0.append(message) }
    }
    _ = thread
  }
}

/// Leaves each call to the test.
private final class Held: UnaryHandler {
  let calls = Mutex<[DetachedCall]>([])
  let cancelled = Atomic<Int>(0)

  func handle(_ call: UnaryCall) {
    call.onCancel = { self.cancelled.add(1, ordering: .relaxed) }
    let detached = call.detach()
    calls.withLock { $0.append(detached) }
  }

  func next() async throws -> DetachedCall {
    for _ in 0..<1000 {
      if let call = calls.withLock({ $0.isEmpty ? nil : $0.removeFirst() }) { return call }
      try await Task.sleep(for: .milliseconds(10))
    }
    throw Status(.unknown, "no call came")
  }
}

@Suite(.blocking, .serialized, .timeLimit(.minutes(1))) struct UnaryTests {
  private let held = Held()

  private func withServer(
    limits: Limits = Limits(), loops: Int = 2, messageBytesMax: Int = 1 << 26,
    configure: (inout RPCServer.Configuration) -> Void = { _ in }, _ body: (RPCServer, Channel) async throws -> Void
  ) async throws {
    var methods = MethodTable()
    methods.register(path: "/test/Echo", Echo())
    methods.register(path: "/test/Fail", Fail())
    methods.register(path: "/test/Silent", Silent())
    methods.register(path: "/test/Big", Big())
    methods.register(path: "/test/Held", held)
    methods.register(path: "/test/Adorned", Adorned())
    var configuration = RPCServer.Configuration(host: "127.0.0.1")
    configuration.http.loops = loops
    configuration.http.limits = limits
    configuration.messageBytesMax = messageBytesMax
    configure(&configuration)
    let server = try RPCServer(methods: methods, configuration: configuration)
    try server.start()
    let channel = Channel(to: .tcp(host: "127.0.0.1", port: server.ports[0]))
    do { try await body(server, channel) } catch {
      channel.close()
      await server.drain(deadline: .zero)
      throw error
    }
    channel.close()
    await server.drain(deadline: .zero)
  }

  private func expect(_ code: Status.Code, _ message: String? = nil, _ call: () async throws -> Response) async {
    do {
      _ = try await call()
      Issue.record("succeeded")
    } catch let status as Status {
      #expect(status.code == code, "\(status)")
      if let message { #expect(status.message == message) }
    } catch { Issue.record(error) }
  }

  @Test func `a message goes there and comes back`() async throws {
    try await withServer { _, channel in
      let got1 = try await channel.unary("/test/Echo", [1, 2, 3]).bytes
      #expect(got1 == [1, 2, 3])
      let got2 = try await channel.unary("/test/Echo", []).bytes
      #expect(got2 == [])
    }
  }

  @Test func `calls are counted by method and status, and those before any handler too`() async throws {
    try await withServer { server, channel in
      for _ in 0..<3 { _ = try await channel.unary("/test/Echo", [1]) }
      await expect(.failedPrecondition) { try await channel.unary("/test/Fail", []) }
      await expect(.internal) { try await channel.unary("/test/Silent", []) }
      for name in ["/test/Nothing", "/made/Up"] { await expect(.unimplemented) { try await channel.unary(name, []) } }
      var snapshot: MetricsSnapshot
      repeat {
        // On a busy machine the deadline may pass before the request is out.
        await expect(.deadlineExceeded) { try await channel.unary("/test/Held", [], options: CallOptions(timeout: .milliseconds(50))) }
        snapshot = MetricsSnapshot()
        server.pour(into: &snapshot)
      } while snapshot.value("martlet_grpc_started_total", ["test", "Held"]) == nil
      let handled = snapshot.family("martlet_grpc_handled_total")?.points.filter { $0.labels[1] != "Held" }
      #expect(handled?.map(\.labels) == [["", "", "UNIMPLEMENTED"], ["test", "Echo", "OK"], ["test", "Fail", "FAILED_PRECONDITION"], ["test", "Silent", "INTERNAL"]])
      #expect(handled?.map(\.value) == [.integer(2), .integer(3), .integer(1), .integer(1)])
      #expect(snapshot.value("martlet_grpc_started_total", ["test", "Held"]) == .integer(1))
      #expect(snapshot.value("martlet_streams_total", ["http2"]) == .integer(8))
      let received = try #require(snapshot.value("martlet_transport_received_bytes_total"))
      if case .integer(let bytes) = received { #expect(bytes > 8 * 5) } else { Issue.record("\(received)") }
    }
  }

  @Test func `large messages on many streams of one connection keep their bytes`() async throws {
    try await withServer(loops: 1) { _, channel in
      try await withThrowingTaskGroup(of: Void.self) { group in
        for i in 0..<24 {
          group.addTask {
            let message = (0..<200_000 + 7 * i).map { UInt8(truncatingIfNeeded: ($0 &+ i) &* 31 ^ $0 >> 8) }
            let got = try await channel.unary("/test/Echo", message).bytes
            #expect(got == message)
          }
        }
        try await group.waitForAll()
      }
    }
  }

  @Test func `eight megabytes go both ways`() async throws {
    try await withServer { _, channel in
      let large = (0..<8_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
      let got3 = try await channel.unary("/test/Echo", large).bytes
      #expect(got3 == large)
    }
  }

  @Test func `64 calls on each of four connections are answered`() async throws {
    try await withServer { server, _ in
      let channels = (0..<4).map { _ in Channel(to: .tcp(host: "127.0.0.1", port: server.ports[0])) }
      try await withThrowingTaskGroup(of: Bool.self) { group in
        for (c, channel) in channels.enumerated() {
          for i in 0..<64 {
            group.addTask {
              for round in 0..<5 {
                let request = [UInt8(c), UInt8(i), UInt8(round)]
                if try await channel.unary("/test/Echo", request).bytes != request { return false }
              }
              return true
            }
          }
        }
        for try await isRight in group { #expect(isRight) }
      }
    }
  }

  @Test func `a status arrives with its text, whatever is in it`() async throws {
    try await withServer { _, channel in
      var metadata = Metadata()
      try metadata.add("x-tag", "u e")
      await expect(.failedPrecondition, "no “ü”, u e here: 100%\n") {
        try await channel.unary("/test/Fail", [], options: CallOptions(metadata: metadata))
      }
    }
  }

  @Test func `an unknown method is UNIMPLEMENTED without a text`() async throws {
    try await withServer { _, channel in
      await expect(.unimplemented, "") { try await channel.unary("/test/Nothing", [1]) }
      let got4 = try await channel.unary("/test/Echo", [1]).bytes
      #expect(got4 == [1])
    }
  }

  @Test func `a handler that forgets to answer is INTERNAL`() async throws {
    try await withServer { _, channel in
      await expect(.internal) { try await channel.unary("/test/Silent", []) }
    }
  }

  @Test func `a message over the server's limit is RESOURCE_EXHAUSTED in gRPC's words`() async throws {
    try await withServer(messageBytesMax: 100) { _, channel in
      await expect(.resourceExhausted, "SERVER: Received message larger than max (101 vs. 100)") {
        try await channel.unary("/test/Echo", [UInt8](repeating: 0, count: 101))
      }
    }
  }

  @Test func `a message over the client's limit is RESOURCE_EXHAUSTED`() async throws {
    try await withServer { server, _ in
      var configuration = Channel.Configuration()
      configuration.responseBytesMax = 100
      let channel = Channel(to: .tcp(host: "127.0.0.1", port: server.ports[0]), configuration: configuration)
      await expect(.resourceExhausted) { try await channel.unary("/test/Big", [0, 0, 0, 101]) }
      let got5 = try await channel.unary("/test/Big", [0, 0, 0, 100]).bytes.count
      #expect(got5 == 100)
    }
  }

  @Test func `a detached call is answered from another thread`() async throws {
    try await withServer { _, channel in
      async let response = channel.unary("/test/Held", [5, 6])
      let call = try await held.next()
      let bytes = unsafe call.message.withUnsafeBytes { unsafe Array($0) }
      #expect(bytes == [5, 6] && !call.isCancelled)
      call.reply(byteCount: 1) { $0.append(7) }
      let got6 = try await response.bytes
      #expect(got6 == [7])
      #expect(call.isCancelled)
      // Too late, and harmless.
      call.fail(Status(.internal))
      let got7 = try await channel.unary("/test/Echo", [1]).bytes
      #expect(got7 == [1])
    }
  }

  @Test func `a deadline ends the call on both sides and tells the handler`() async throws {
    try await withServer { _, channel in
      await expect(.deadlineExceeded) {
        try await channel.unary("/test/Held", [1], options: CallOptions(timeout: .milliseconds(50)))
      }
      let call = try await held.next()
      try await until { call.isCancelled && held.cancelled.load(ordering: .relaxed) == 1 }
      // The worker may still read: nobody else uses that memory.
      let bytes = unsafe call.message.withUnsafeBytes { unsafe Array($0) }
      #expect(bytes == [1])
      call.reply(byteCount: 0) { _ in }
      let got8 = try await channel.unary("/test/Echo", [1]).bytes
      #expect(got8 == [1])
    }
  }

  @Test func `the server alone answers DEADLINE_EXCEEDED to a client that waits`() async throws {
    try await withServer { server, _ in
      let peer = try ScriptedPeer(port: server.ports[0])
      peer.open()
      send(peer, 1, "/test/Held", [("grpc-timeout", "20m")], [0, 0, 0, 0, 0])
      #expect(try peer.answer(on: 1).fields["grpc-status"] == "4")
    }
  }

  @Test func `a deadline that has passed on arrival never reaches the handler`() async throws {
    try await withServer { server, _ in
      let peer = try ScriptedPeer(port: server.ports[0])
      peer.open()
      send(peer, 1, "/test/Held", [("grpc-timeout", "0n")], [0, 0, 0, 0, 0])
      #expect(try peer.answer(on: 1).fields["grpc-status"] == "4")
      #expect(held.calls.withLock { $0.isEmpty })
    }
  }

  @Test func `a cancelled task reaches the running call`() async throws {
    try await withServer { _, channel in
      let task = Task { try await channel.unary("/test/Held", [1]) }
      let call = try await held.next()
      task.cancel()
      await expect(.cancelled) { try await task.value }
      try await until { call.isCancelled && held.cancelled.load(ordering: .relaxed) == 1 }
    }
  }

  @Test func `a lost connection cancels its calls`() async throws {
    try await withServer { server, _ in
      let peer = try ScriptedPeer(port: server.ports[0])
      peer.open()
      send(peer, 1, "/test/Held", [], [0, 0, 0, 0, 0])
      let call = try await held.next()
      peer.close()
      try await until { call.isCancelled }
    }
  }

  @Test func `draining waits for a call that is running`() async throws {
    try await withServer { server, channel in
      async let response = channel.unary("/test/Held", [1])
      let call = try await held.next()
      async let drained: Void = server.drain(deadline: .seconds(20))
      call.reply(byteCount: 2) { output in
        output.append(1)
        output.append(2)
      }
      let got9 = try await response.bytes
      #expect(got9 == [1, 2])
      await drained
    }
  }

  @Test func `a drained server is freed, with its loops and calls`() async throws {
    weak var server: HTTPServer?
    weak var loop: EventLoop?
    try await withServer(loops: 1) { running, channel in
      _ = try await channel.unary("/test/Echo", [1])
      server = running.http
      loop = running.http.loops[0]
    }
    try await until { server == nil && loop == nil }
  }

  @Test func `without a server calls are UNAVAILABLE; with one again they go through`() async throws {
    var port = 0
    try await withServer { server, _ in port = server.ports[0] }
    var configuration = Channel.Configuration()
    configuration.backoff = Backoff(base: .milliseconds(20))
    let channel = Channel(to: .tcp(host: "127.0.0.1", port: port), configuration: configuration)
    await expect(.unavailable) { try await channel.unary("/test/Echo", [1]) }
    var methods = MethodTable()
    methods.register(path: "/test/Echo", Echo())
    let server = try RPCServer(methods: methods, configuration: .init(host: "127.0.0.1", port: port))
    try server.start()
    let options = CallOptions(timeout: .seconds(10), waitForReady: true)
    let got10 = try await channel.unary("/test/Echo", [2], options: options).bytes
    #expect(got10 == [2])
    await server.drain(deadline: .zero)
  }

  @Test func `a Unix socket serves as well, and an old socket file is replaced`() async throws {
    let path = "/tmp/martlet-rpc-test-\(getpid()).sock"
    var methods = MethodTable()
    methods.register(path: "/test/Echo", Echo())
    for _ in 0..<2 {
      var http = HTTPServer.Configuration(endpoints: [.unix(path: path)], loops: 2)
      http.limits.connectionsMax = 10
      let server = try RPCServer(methods: methods, configuration: .init(http: http))
      try server.start()
      let channel = Channel(to: .unix(path: path))
      let got11 = try await channel.unary("/test/Echo", [4]).bytes
      #expect(got11 == [4])
      channel.close()
      await server.drain(deadline: .zero)
    }
    // The path outlives the call.
    _ = unsafe unlink(path)
  }

  // MARK: what a well-behaved client never sends

  private func send(_ peer: ScriptedPeer, _ stream: Int, _ path: String, _ more: [(String, String)], _ body: [UInt8]) {
    let fields = ScriptedPeer.request(path, [("te", "trailers"), ("content-type", "application/grpc")] + more)
    peer.send(
      Frame(Frame.headers, flags: Frame.endHeaders, stream: stream, ScriptedPeer.block(fields)),
      Frame(Frame.data, flags: Frame.endStream, stream: stream, body))
  }

  @Test(arguments: [
    ([], [], "13"),
    ([0, 0, 0, 0, 2, 1], [], "13"),
    ([0, 0, 0, 0, 1, 1, 0], [], "12"),
    ([1, 0, 0, 0, 1, 1], [("grpc-encoding", "gzip")], "13"),
    ([1, 0, 0, 0, 1, 1], [("grpc-encoding", "br")], "12"),
    ([1, 0, 0, 0, 1, 1], [("grpc-encoding", "identity")], "13"),
    ([1, 0, 0, 0, 1, 1], [], "13"),
    ([2, 0, 0, 0, 1, 1], [], "13"),
    ([0, 255, 255, 255, 255], [], "8"),
    ([0, 0, 0, 0, 0], [("grpc-timeout", "soon")], "13"),
  ] as [([UInt8], [(String, String)], String)])
  func `a malformed request has its own status`(_ body: [UInt8], _ more: [(String, String)], _ status: String) async throws {
    try await withServer { server, channel in
      let peer = try ScriptedPeer(port: server.ports[0])
      peer.open()
      send(peer, 1, "/test/Echo", more, body)
      let answer = try peer.answer(on: 1)
      #expect(answer.fields[":status"] == "200" && answer.fields["grpc-status"] == status)
      if status == "12", !more.isEmpty { #expect(answer.fields["grpc-accept-encoding"] == "identity,deflate,gzip") }
      let got12 = try await channel.unary("/test/Echo", [1]).bytes
      #expect(got12 == [1])
    }
  }

  private func framed(_ bytes: [UInt8], flag: UInt8 = 0) -> [UInt8] { [flag] + Frame.word(bytes.count) + bytes }

  private func packed(_ bytes: [UInt8], _ coding: ContentCoding) -> [UInt8] {
    var codecs = Codecs(), output = ByteBuffer()
    _ = span(bytes) { codecs.compress($0, coding, into: &output, limit: 1 << 20) }
    return unsafe output.bytes.withUnsafeBytes { unsafe Array($0) }
  }

  private func unpacked(_ bytes: some Collection<UInt8>, _ coding: ContentCoding) -> [UInt8] {
    var codecs = Codecs(), output = ByteBuffer()
    _ = span(Array(bytes)) { codecs.decompress($0, coding, into: &output, limit: 1 << 24) }
    return unsafe output.bytes.withUnsafeBytes { unsafe Array($0) }
  }

  @Test func `metadata go around an answer and around a failure`() async throws {
    try await withServer { server, _ in
      let peer = try ScriptedPeer(port: server.ports[0])
      peer.open()
      let say = [("x-say", "hello"), ("x-say-bin", "AAH/,AQ")]
      send(peer, 1, "/test/Adorned", say, framed([1, 2]))
      let fine = try peer.answer(on: 1)
      #expect(fine.body == framed([1, 2]) && fine.fields["grpc-status"] == "0")
      #expect(fine.fields["x-echo"] == "hello" && fine.fields["x-echo-bin"] == "AQ")
      send(peer, 3, "/test/Adorned", say + [("x-fail", "1")], framed([]))
      let failed = try peer.answer(on: 3)
      #expect(failed.fields["grpc-status"] == "10" && failed.fields["x-echo"] == "hello" && failed.fields["x-echo-bin"] == "AQ")
      #expect(failed.fields["grpc-status-details-bin"] == Base64.encode(Adorned.failure.details))
      // Without initial metadata a failure is one frame.
      send(peer, 5, "/test/Adorned", [("x-say-bin", "AQ=="), ("x-fail", "1")], framed([]))
      let only = try peer.receive(Frame.headers)
      #expect(only.flags & Frame.endStream != 0)
    }
  }

  @Test(arguments: ContentCoding.allCases, [true, false])
  func `requests and answers are compressed where both sides read that`(_ coding: ContentCoding, _ isDetached: Bool) async throws {
    let text = [UInt8](repeating: 65, count: 5000)
    let detach = isDetached ? [("x-detach", "1")] : []
    try await withServer { server, _ in
      let peer = try ScriptedPeer(port: server.ports[0])
      peer.open()
      let both = detach + [("grpc-encoding", coding.rawValue), ("x-coding", coding.rawValue)]
      let accepts = [("grpc-accept-encoding", "identity, \(coding.rawValue)")]
      send(peer, 1, "/test/Adorned", both + accepts, framed(packed(text, coding), flag: 1))
      let answer = try peer.answer(on: 1)
      #expect(answer.fields["grpc-encoding"] == coding.rawValue && answer.fields["grpc-accept-encoding"] == "identity,deflate,gzip")
      #expect(answer.body.first == 1 && answer.body.count < 100 && unpacked(answer.body.dropFirst(5), coding) == text)
      // The client does not read it; a short message is not worth it.
      send(peer, 3, "/test/Adorned", both, framed(packed(text, coding), flag: 1))
      let plain = try peer.answer(on: 3)
      #expect(plain.body == framed(text) && plain.fields["grpc-encoding"] == nil)
      send(peer, 5, "/test/Adorned", both + accepts, framed([1]))
      let short = try peer.answer(on: 5)
      #expect(short.body == framed([1]) && short.fields["grpc-status"] == "0")
    }
  }

  @Test func `a server that compresses by itself leaves a call that says no alone`() async throws {
    let text = [UInt8](repeating: 65, count: 5000)
    try await withServer(configure: { $0.compression = MessageCompression(.gzip) }) { server, _ in
      let peer = try ScriptedPeer(port: server.ports[0])
      peer.open()
      let accepts = ("grpc-accept-encoding", "gzip")
      send(peer, 1, "/test/Echo", [accepts], framed(text))
      let answer = try peer.answer(on: 1)
      #expect(answer.body.first == 1 && unpacked(answer.body.dropFirst(5), .gzip) == text)
      send(peer, 3, "/test/Adorned", [accepts, ("x-coding", "none")], framed(text))
      let plain = try peer.answer(on: 3)
      #expect(plain.body == framed(text))
    }
  }

  @Test(arguments: ContentCoding.allCases) func `a bomb costs its limit and its call`(_ coding: ContentCoding) async throws {
    try await withServer(messageBytesMax: 100_000) { server, _ in
      let peer = try ScriptedPeer(port: server.ports[0])
      peer.open()
      let bomb = packed([UInt8](repeating: 0, count: 10_000_000), coding)
      send(peer, 1, "/test/Echo", [("grpc-encoding", coding.rawValue)], framed(bomb, flag: 1))
      let answer = try peer.answer(on: 1)
      #expect(answer.fields["grpc-status"] == "8" && answer.fields["grpc-message"]?.contains("larger than max") == true)
      send(peer, 3, "/test/Echo", [], framed([1]))
      let next = try peer.answer(on: 3)
      #expect(next.fields["grpc-status"] == "0")
    }
  }

  @Test func `what comes out of a compressed message has a limit of its own, and counts for its connection`() async throws {
    let bomb = packed([UInt8](repeating: 0, count: 200_000), .gzip)
    try await withServer(configure: { $0.decompressedBytesMax = 150_000 }) { server, _ in
      let peer = try ScriptedPeer(port: server.ports[0])
      peer.open()
      send(peer, 1, "/test/Echo", [("grpc-encoding", "gzip")], framed(bomb, flag: 1))
      let answer = try peer.answer(on: 1)
      #expect(answer.fields["grpc-message"] == "SERVER: Received message larger than max (150001 vs. 150000)")
    }
    try await withServer(configure: { $0.http.limits.bodyBytesPerConnectionMax = 250_000 }) { server, _ in
      let peer = try ScriptedPeer(port: server.ports[0])
      peer.open()
      send(peer, 1, "/test/Held", [("grpc-encoding", "gzip")], framed(bomb, flag: 1))
      let call = try await held.next()
      #expect(call.message.byteCount == 200_000)
      send(peer, 3, "/test/Echo", [("grpc-encoding", "gzip")], framed(bomb, flag: 1))
      let second = try peer.answer(on: 3)
      #expect(second.fields["grpc-status"] == "8")
      call.reply(byteCount: 0) { _ in }
      let first = try peer.answer(on: 1)
      #expect(first.fields["grpc-status"] == "0")
      send(peer, 5, "/test/Held", [("grpc-encoding", "gzip")], framed(bomb, flag: 1))
      try await held.next().reply(byteCount: 0) { _ in }
      let third = try peer.answer(on: 5)
      #expect(third.fields["grpc-status"] == "0")
    }
  }

  @Test func `an answer larger than may be sent is refused here`() async throws {
    try await withServer(configure: { $0.sentBytesMax = 100 }) { server, channel in
      await expect(.resourceExhausted, "SERVER: Sent message larger than max (101 vs. 100)") {
        try await channel.unary("/test/Big", [0, 0, 0, 101])
      }
      let fits = try await channel.unary("/test/Big", [0, 0, 0, 100]).bytes.count
      #expect(fits == 100)
    }
  }

  @Test func `a header list over the limit is RESOURCE_EXHAUSTED in a 431`() async throws {
    try await withServer(configure: { $0.http.limits.headerListBytesMax = 1000 }) { server, channel in
      var long = Metadata()
      try long.add("x-long", String(repeating: "a", count: 1000))
      let options = CallOptions(metadata: long)
      await expect(.resourceExhausted, "received metadata size exceeds limit") {
        try await channel.unary("/test/Echo", [1], options: options)
      }
      let peer = try ScriptedPeer(port: server.ports[0])
      peer.open()
      send(peer, 1, "/test/Echo", [("x-long", String(repeating: "a", count: 1000))], framed([1]))
      let answer = try peer.answer(on: 1)
      #expect(answer.fields[":status"] == "431" && answer.fields["grpc-status"] == "8")
    }
  }

  @Test func `other methods and content types are refused in HTTP's words`() async throws {
    try await withServer { server, _ in
      let peer = try ScriptedPeer(port: server.ports[0])
      peer.open()
      let grpc = [("content-type", "application/grpc")], json = [("content-type", "application/json")]
      for (stream, fields, status) in [
        (1, ScriptedPeer.request("/test/Echo", method: "GET", grpc), "405"),
        (3, ScriptedPeer.request("/test/Echo", json), "415"),
        (5, ScriptedPeer.request("/test/Echo"), "415"),
        (7, ScriptedPeer.request("/test/Echo", [("content-type", "application/grpcx")]), "415"),
      ] {
        peer.send(Frame(Frame.headers, flags: Frame.endHeaders | Frame.endStream, stream: stream, ScriptedPeer.block(fields)))
        #expect(try peer.answer(on: stream).fields[":status"] == status)
      }
    }
  }

  @Test func `gRPC in HTTP 1 is refused, what is not gRPC in its own way`() async throws {
    try await withServer { server, _ in
      let peer = try ScriptedPeer(port: server.ports[0])
      for (type, status) in [("application/grpc", 505), ("application/grpc+proto", 505), ("application/json", 415)] {
        peer.send("POST /test/Echo HTTP/1.1\r\nhost: test\r\ncontent-type: \(type)\r\ncontent-length: 5\r\n\r\n\0\0\0\0\0")
        let answer = try peer.textAnswer()
        #expect(answer.status == status)
      }
    }
  }

  @Test func `an upload that is refused early is told so and stopped`() async throws {
    try await withServer { server, _ in
      let peer = try ScriptedPeer(port: server.ports[0])
      peer.open()
      let fields = ScriptedPeer.request("/test/Nothing", [("content-type", "application/grpc")])
      peer.send(Frame(Frame.headers, flags: Frame.endHeaders, stream: 1, ScriptedPeer.block(fields)))
      let answer = try peer.answer(on: 1)
      #expect(answer.fields["grpc-status"] == "12")
      let reset = try peer.receive(Frame.resetStream)
      #expect(reset.stream == 1 && reset.errorCode == 0)
    }
  }

  @Test func `bodies beyond the connection's share are refused, not kept`() async throws {
    var limits = Limits()
    limits.bodyBytesPerConnectionMax = 100_000
    try await withServer(limits: limits) { _, channel in
      await expect(.resourceExhausted) { try await channel.unary("/test/Echo", [UInt8](repeating: 1, count: 200_000)) }
      let got13 = try await channel.unary("/test/Echo", [UInt8](repeating: 1, count: 90_000)).bytes.count
      #expect(got13 == 90_000)
    }
  }

  private func until(_ condition: () -> Bool) async throws {
    for _ in 0..<1000 {
      if condition() { return }
      try await Task.sleep(for: .milliseconds(10))
    }
    Issue.record("it never came true")
  }
}
