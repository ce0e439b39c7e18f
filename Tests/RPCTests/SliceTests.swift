// Large messages that are inflated and deflated slice by slice: who else is served meanwhile, and what ends them. One slice a
// turn, so that turns can be counted.
import Synchronization
import TestThreads
import Testing
import TransportSupport

@testable import HTTP
@testable import RPC

/// What the handlers have seen.
private final class Seen: Sendable {
  let large = Atomic<Int>(0)
  let small = Atomic<Int>(0)
  let cancelled = Atomic<Int>(0)
  /// Small calls answered when the large message was handed out.
  let smallBeforeLarge = Atomic<Int>(-1)
  let compressed = Atomic<Int>(0)
}

/// Answers with the length of what it was sent; `x-answer` in the metadata asks for so many bytes instead.
private final class Measure: UnaryHandler {
  let seen: Seen
  init(_ seen: Seen) { self.seen = seen }

  func handle(_ call: UnaryCall) {
    let count = call.message.byteCount
    if count > 1 << 20 {
      seen.smallBeforeLarge.store(seen.small.load(ordering: .relaxed), ordering: .relaxed)
      seen.large.add(1, ordering: .relaxed)
      call.onCancel = { [seen] in seen.cancelled.add(1, ordering: .relaxed) }
    } else {
      seen.small.add(1, ordering: .relaxed)
    }
    let wanted = call.metadata("x-answer").flatMap { Int($0) }
    call.reply(byteCount: wanted ?? 4) { output in
      if let wanted { for i in 0..<wanted { output.append(UInt8(truncatingIfNeeded: i >> 10)) } } else {
        output.append(contentsOf: Frame.word(count))
      }
    }
  }
}

/// Answers each message with its length and whether it was compressed; then, at the end, with what `x-answer` says.
private final class Lengths: StreamingHandler, CallHandler, Sendable {
  let seen: Seen
  init(_ seen: Seen) { self.seen = seen }

  func open(_ call: StreamingCall) -> any CallHandler { self }

  func received(_ message: consuming ByteBuffer, on call: StreamingCall) {
    if call.isMessageCompressed { seen.compressed.add(1, ordering: .relaxed) }
    call.write(Frame.word(message.count), isCompressible: false)
    if call.metadata("x-pause") != nil {
      call.pause()
      call.loop.enqueue { call.resume() }
    }
  }

  func ended(_ call: StreamingCall) {
    if let wanted = call.metadata("x-answer").flatMap({ Int($0) }) {
      call.write([1], isCompressible: false)
      let hasRoom = call.write(byteCount: wanted) { output in
        for i in 0..<wanted { output.append(UInt8(truncatingIfNeeded: i >> 10)) }
      }
      #expect(!hasRoom)
      #expect(call.bytesWaiting >= wanted)
      call.write([2], isCompressible: false)
      call.write([3])
      if call.metadata("x-again") != nil { return }
    }
    call.finish()
  }

  func writable(_ call: StreamingCall) {
    call.write([4])
    call.finish()
  }

  func cancelled(_ call: StreamingCall) { seen.cancelled.add(1, ordering: .relaxed) }
}

@Suite(.blocking, .serialized, .timeLimit(.minutes(1))) struct SliceTests {
  private let seen = Seen()

  private func withServer(
    _ change: (inout RPCServer.Configuration) -> Void = { _ in }, _ body: (RPCServer, ScriptedPeer) async throws -> Void
  ) async throws {
    var methods = MethodTable()
    methods.register(path: "/test/Measure", Measure(seen))
    methods.register(path: "/test/Lengths", streaming: Lengths(seen))
    var configuration = RPCServer.Configuration(host: "127.0.0.1")
    configuration.http.loops = 1
    configuration.http.limits.choreMicrosecondsPerTurn = 0
    configuration.compression = MessageCompression(.gzip)
    change(&configuration)
    let server = try RPCServer(methods: methods, configuration: configuration)
    try server.start()
    do {
      let peer = try ScriptedPeer(port: server.ports[0])
      peer.open([(id: 1, value: 0), (id: 4, value: 1 << 30)])
      peer.send(Frame(Frame.settings, flags: Frame.acknowledge), Frame(Frame.windowUpdate, Frame.word(1 << 30)))
      try await body(server, peer)
      peer.close()
    } catch {
      await server.drain(deadline: .zero)
      throw error
    }
    await server.drain(deadline: .zero)
    // Nothing is held for anybody any more.
    #expect(server.http.loops[0].bodies.held == 0 && server.http.loops[0].answers.held == 0)
  }

  private func ask(
    _ stream: Int, _ body: [UInt8], path: String = "/test/Measure", _ more: [(String, String)] = [], end: Bool = true
  ) -> [UInt8] {
    let fields = ScriptedPeer.request(
      path, [("te", "trailers"), ("content-type", "application/grpc"), ("grpc-encoding", "gzip")] + more)
    var frames = Frame(Frame.headers, flags: Frame.endHeaders, stream: stream, ScriptedPeer.block(fields)).bytes
    let size = 16_384
    for at in stride(from: 0, to: body.count, by: size) {
      frames += Frame(Frame.data, stream: stream, Array(body[at..<min(at + size, body.count)])).bytes
    }
    if end { frames += Frame(Frame.data, flags: Frame.endStream, stream: stream).bytes }
    return frames
  }

  private func framed(_ bytes: [UInt8], flag: UInt8 = 0) -> [UInt8] { [flag] + Frame.word(bytes.count) + bytes }

  private func packed(_ bytes: [UInt8]) -> [UInt8] {
    var codecs = Codecs(), output = ByteBuffer()
    _ = unsafe bytes.withUnsafeBytes { unsafe codecs.compress($0.bytes, .gzip, into: &output, limit: 1 << 24) }
    return framed(unsafe output.bytes.withUnsafeBytes { unsafe Array($0) }, flag: 1)
  }

  private static let largeBytes = 20 << 20
  /// Twenty megabytes in twenty kilobytes.
  private func large() -> [UInt8] { packed([UInt8](repeating: 0, count: Self.largeBytes)) }
  private var parts: Int { Self.largeBytes / CodecSlice.inflated.outputBytes }

  private func length(_ answer: Answer) -> Int { answer.body.dropFirst(5).reduce(0) { $0 << 8 | Int($1) } }

  @Test func `a small compressed message needs no turn of its own`() async throws {
    try await withServer { server, peer in
      for stream in stride(from: 1, to: 40, by: 2) {
        peer.send(ask(stream, packed([UInt8](repeating: 7, count: 60_000))))
        let answer = try peer.answer(on: stream)
        #expect(length(answer) == 60_000)
      }
      #expect(server.http.loops[0].chores.partCount == 20)
    }
  }

  @Test func `who asks behind a large message is answered before it`() async throws {
    try await withServer { server, peer in
      let small = (1...100).flatMap { ask(2 * $0 + 1, framed([1])) }
      peer.send(ask(1, large()) + small)
      var order: [Int] = []
      while order.count < 101 {
        let frame = try peer.receive()
        if frame.type == Frame.headers, frame.flags & Frame.endStream != 0 { order.append(frame.stream) }
      }
      #expect(order.last == 1)
      #expect(seen.smallBeforeLarge.load(ordering: .relaxed) == 100)
    }
  }

  /// Calls one after the other on the server's own loop, so that each takes a few turns and no thread has to wake up for it.
  private final class Neighbour: Sendable {
    let channel: Channel
    let isOver = Atomic<Bool>(false)
    init(_ channel: Channel) { self.channel = channel }
    func ask() {
      channel.unary("/test/Measure", [1], options: CallOptions()) { [self] result in
        // The last call may end with the test's channel.
        if isOver.load(ordering: .relaxed) { return }
        if case .failure(let status) = result { Issue.record("\(status)") }
        ask()
      }
    }
  }

  @Test func `a neighbour's calls go on while a message is inflated, and while an answer is deflated`() async throws {
    try await withServer { server, peer in
      let loop = server.http.loops[0]
      let neighbour = Neighbour(Channel(to: .tcp(host: "127.0.0.1", port: server.ports[0]), on: loop))
      neighbour.ask()
      while seen.small.load(ordering: .relaxed) < 3 { try await Task.sleep(for: .milliseconds(1)) }
      let before = seen.small.load(ordering: .relaxed)
      peer.send(ask(1, large()))
      #expect(try length(peer.answer(on: 1)) == Self.largeBytes)
      // A call takes four turns of the loop that both its ends are on, and a turn has one slice.
      let between = seen.smallBeforeLarge.load(ordering: .relaxed) - before
      #expect(between >= parts / 16, "\(between) calls in \(parts) slices")

      let then = seen.small.load(ordering: .relaxed)
      let wanted = 4 << 20
      peer.send(ask(3, framed([1]), [("x-answer", "\(wanted)"), ("grpc-accept-encoding", "gzip")]))
      let answer = try peer.answer(on: 3)
      #expect(answer.body.first == 1 && answer.body.count < wanted / 10)
      let more = seen.small.load(ordering: .relaxed) - then
      #expect(more >= wanted / CodecSlice.deflated.inputBytes / 16, "\(more)")
      neighbour.isOver.store(true, ordering: .relaxed)
      neighbour.channel.close()
    }
  }

  @Test func `a message that is called off while it is inflated is nobody's any more`() async throws {
    try await withServer { server, peer in
      peer.send(ask(1, large()) + Frame(Frame.resetStream, stream: 1, Frame.word(8)).bytes + ask(3, framed([1])))
      #expect(try peer.answer(on: 3).fields["grpc-status"] == "0")
      // A streaming one as well, in the middle of its stream.
      peer.send(ask(5, large(), path: "/test/Lengths", end: false) + ask(7, framed([1])))
      #expect(try peer.answer(on: 7).fields["grpc-status"] == "0")
      peer.send(Frame(Frame.resetStream, stream: 5, Frame.word(8)), Frame(Frame.ping, [UInt8](repeating: 1, count: 8)))
      _ = try peer.receive(Frame.ping)
      #expect(server.http.loops[0].bodies.held == 0)
      #expect(seen.large.load(ordering: .relaxed) == 0 && seen.cancelled.load(ordering: .relaxed) == 1)
      // The next use of the same objects finds nothing of it.
      peer.send(ask(9, packed([UInt8](repeating: 7, count: 300_000))))
      #expect(try length(peer.answer(on: 9)) == 300_000)
    }
  }

  @Test func `a deadline passes while a message is inflated`() async throws {
    try await withServer { server, peer in
      let bomb = packed([UInt8](repeating: 0, count: 64 << 20))
      peer.send(ask(1, bomb, [("grpc-timeout", "10m")]))
      let answer = try peer.answer(on: 1)
      #expect(answer.fields["grpc-status"] == "4" && seen.large.load(ordering: .relaxed) == 0)
      peer.send(ask(3, bomb, path: "/test/Lengths", [("grpc-timeout", "10m")]))
      #expect(try peer.answer(on: 3).fields["grpc-status"] == "4")
      // And while an answer is deflated.
      let wanted = ("x-answer", "\(64 << 20)")
      peer.send(ask(5, framed([1]), [wanted, ("grpc-accept-encoding", "gzip"), ("grpc-timeout", "500m")]))
      #expect(try peer.answer(on: 5).fields["grpc-status"] == "4")
    }
  }

  @Test func `the limit, the connection's share and damage are found in whichever slice they are`() async throws {
    func low(_ configuration: inout RPCServer.Configuration) {
      configuration.decompressedBytesMax = 10 << 20
      configuration.http.limits.bodyBytesPerConnectionMax = 8 << 20
    }
    try await withServer(low) { server, peer in
      let share = packed([UInt8](repeating: 0, count: 9 << 20))
      var damaged = packed([UInt8](repeating: 0, count: 5 << 20))
      damaged[damaged.count - 3] ^= 1
      for (i, path) in ["/test/Measure", "/test/Lengths"].enumerated() {
        for (j, (body, status)) in [(share, "8"), (damaged, "13"), (packed([UInt8](repeating: 0, count: 5 << 20)), "0")].enumerated() {
          let stream = 6 * i + 2 * j + 1
          peer.send(ask(stream, body, path: path))
          let answer = try peer.answer(on: stream)
          #expect(answer.fields["grpc-status"] == status, "\(path) \(status)")
        }
      }
    }
    try await withServer({ $0.decompressedBytesMax = 10 << 20 }) { server, peer in
      peer.send(ask(1, packed([UInt8](repeating: 0, count: 10 << 20 + 1))))
      let answer = try peer.answer(on: 1)
      #expect(answer.fields["grpc-message"] == "SERVER: Received message larger than max (10485761 vs. 10485760)")
    }
  }

  @Test(arguments: [false, true]) func `a stream's messages keep their order, large and small`(_ pauses: Bool) async throws {
    try await withServer { server, peer in
      let sizes = [1, 3 << 20, 2, 70_000, 1 << 20, 0, 3]
      let bodies = sizes.enumerated().map { i, size in
        size > 100 ? packed([UInt8](repeating: UInt8(i), count: size)) : framed([UInt8](repeating: UInt8(i), count: size))
      }
      peer.send(ask(1, bodies.flatMap { $0 }, path: "/test/Lengths", pauses ? [("x-pause", "1")] : []))
      let answer = try peer.answer(on: 1)
      #expect(answer.fields["grpc-status"] == "0")
      #expect(answer.body == sizes.flatMap { framed(Frame.word($0)) })
      #expect(seen.compressed.load(ordering: .relaxed) == 3)
    }
  }

  @Test(arguments: [false, true]) func `what is written behind a large answer follows it, and the writer hears when it is out`(_ again: Bool)
    async throws
  {
    try await withServer { server, peer in
      let wanted = 2 << 20
      let more = [("x-answer", "\(wanted)"), ("grpc-accept-encoding", "gzip")] + (again ? [("x-again", "1")] : [])
      peer.send(ask(1, [], path: "/test/Lengths", more))
      let answer = try peer.answer(on: 1)
      #expect(answer.fields["grpc-status"] == "0" && answer.fields["grpc-encoding"] == "gzip")
      var rest = answer.body[...], found: [(flag: UInt8, count: Int, first: UInt8)] = []
      while rest.count >= 5 {
        let count = rest.dropFirst().prefix(4).reduce(0) { $0 << 8 | Int($1) }
        found.append((rest.first!, count, rest.dropFirst(5).first!))
        rest = rest.dropFirst(5 + count)
      }
      #expect(found.map(\.flag) == [0, 1, 0, 0] + (again ? [0] : []))
      #expect(found.map(\.first) == [1, 0x1f, 2, 3] + (again ? [4] : []))
      // The same again, and the client leaves in the middle.
      peer.send(ask(3, [], path: "/test/Lengths", [("x-answer", "\(64 << 20)"), ("grpc-accept-encoding", "gzip")]))
      _ = try peer.receive(Frame.data)
      peer.send(Frame(Frame.resetStream, stream: 3, Frame.word(8)), Frame(Frame.ping, [UInt8](repeating: 1, count: 8)))
      _ = try peer.receive(Frame.ping)
      #expect(server.http.loops[0].answers.held == 0)
    }
  }
}
