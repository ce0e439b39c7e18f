// The server side of a connection against a scripted peer: legal games, illegal ones, and attacks. After each of them a
// well-behaved neighbour is still served.
import Glibc
import Synchronization
import TestThreads
import Testing
import TransportSupport

@testable import HTTP

/// Answers every request with its own body.
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

/// Raised by one thread, seen by another.
private final class Flag: Sendable {
  private let value = Atomic<Bool>(false)
  func raise() { value.store(true, ordering: .releasing) }
  var isRaised: Bool { value.load(ordering: .acquiring) }
}

@Suite(.blocking, .serialized, .timeLimit(.minutes(1))) struct HTTP2ConnectionTests {
  private func withServer(
    _ limits: Limits = Limits(), loops: Int = 1, _ body: (HTTPServer, Int) async throws -> Void
  ) async throws {
    let server = try HTTPServer(
      .init(endpoints: [.tcp(host: "127.0.0.1", port: 0)], loops: loops, limits: limits)) { _ in Echo() }
    try server.start()
    do {
      try await body(server, server.ports[0])
      try expectServed(server.ports[0])
    } catch {
      await server.drain(deadline: .zero)
      throw error
    }
    await server.drain(deadline: .zero)
  }

  /// A neighbour.
  private func expectServed(_ port: Int) throws {
    let peer = try ScriptedPeer(port: port)
    peer.open()
    ask(peer, 1, Array("ping".utf8))
    #expect(try peer.answer(on: 1).body == Array("ping".utf8))
  }

  private func head(_ stream: Int, end: Bool = false, _ more: [(String, String)] = []) -> Frame {
    Frame(
      Frame.headers, flags: Frame.endHeaders | (end ? Frame.endStream : 0), stream: stream,
      ScriptedPeer.block(ScriptedPeer.request("/", more)))
  }

  private func ask(_ peer: ScriptedPeer, _ stream: Int, _ body: [UInt8]) {
    peer.send(head(stream), Frame(Frame.data, flags: Frame.endStream, stream: stream, body))
  }

  private func expectClosed(_ peer: ScriptedPeer, code: Int? = nil) {
    do {
      let frames = try peer.receiveUntilClosed()
      if let code { #expect(frames.last { $0.type == Frame.goAway }?.errorCode == code) }
    } catch { Issue.record("still open: \(error)") }
  }

  @Test func `many streams on one connection are each answered`() async throws {
    try await withServer { _, port in
      let peer = try ScriptedPeer(port: port)
      peer.open()
      for i in 0..<64 { peer.send(head(i * 2 + 1)) }
      for i in 0..<64 { peer.send(Frame(Frame.data, flags: Frame.endStream, stream: i * 2 + 1, [UInt8(i)])) }
      var bodies: [Int: [UInt8]] = [:]
      while bodies.count < 64 {
        let frame = try peer.receive(Frame.data)
        bodies[frame.stream, default: []] += frame.payload
      }
      for i in 0..<64 { #expect(bodies[i * 2 + 1] == [UInt8(i)]) }
    }
  }

  @Test func `a preface in single bytes is a preface`() async throws {
    try await withServer { _, port in
      let peer = try ScriptedPeer(port: port)
      for byte in ScriptedPeer.preface + Frame(Frame.settings).bytes + head(1, end: true).bytes { peer.send([byte]) }
      #expect(try peer.answer(on: 1).fields[":status"] == "200")
    }
  }

  @Test(arguments: ["GET / HTTP/1.1\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}"])
  func `a bad preface closes the connection`(_ text: String) async throws {
    try await withServer { _, port in
      let peer = try ScriptedPeer(port: port)
      peer.send(Array(text.utf8) + [UInt8](repeating: 0, count: 24))
      expectClosed(peer)
    }
  }

  @Test func `a connection that says nothing is closed after the handshake time`() async throws {
    var limits = Limits()
    limits.handshakeMilliseconds = 50
    try await withServer(limits) { _, port in
      expectClosed(try ScriptedPeer(port: port))
    }
  }

  @Test func `an oversized frame closes the connection with FRAME_SIZE_ERROR`() async throws {
    try await withServer { _, port in
      let peer = try ScriptedPeer(port: port)
      peer.open()
      peer.send([0xff, 0xff, 0xff, Frame.data, 0, 0, 0, 0, 1])
      expectClosed(peer, code: 6)
    }
  }

  @Test func `a CONTINUATION flood closes the connection`() async throws {
    try await withServer { _, port in
      let peer = try ScriptedPeer(port: port)
      peer.open()
      peer.send(Frame(Frame.headers, stream: 1, ScriptedPeer.block(ScriptedPeer.request("/"))))
      for _ in 0..<1000 where peer.send(Frame(Frame.continuation, stream: 1, ScriptedPeer.block([("a", "b")]))) {}
      expectClosed(peer)
    }
  }

  @Test(arguments: [(20, "431", nil), (100, nil, 2)] as [(Int, String?, Int?)])
  func `a header list over the limit is answered 431, one far over it is reset, and the connection lives`(
    references: Int, status: String?, reset: Int?
  ) async throws {
    try await withServer { _, port in
      let peer = try ScriptedPeer(port: port)
      peer.open()
      let value = String(repeating: "x", count: 1000)
      var block = ScriptedPeer.block(ScriptedPeer.request("/"))
      // One long entry into the dynamic table (RFC 7541 §6.2.1), then a reference to it per byte: an HPACK bomb.
      block += [0x40] + ScriptedPeer.block([("x", value)]).dropFirst() + [UInt8](repeating: 0x80 | 62, count: references)
      peer.send(Frame(Frame.headers, flags: Frame.endHeaders | Frame.endStream, stream: 1, block))
      let answer = try peer.answer(on: 1)
      #expect(answer.fields[":status"] == status)
      #expect(answer.reset == reset)
      ask(peer, 3, [1])
      #expect(try peer.answer(on: 3).body == [1])
    }
  }

  @Test func `rapid reset ends with ENHANCE_YOUR_CALM`() async throws {
    var limits = Limits()
    limits.resetsPerSecond = 10
    limits.resetsBurst = 100
    try await withServer(limits) { _, port in
      let peer = try ScriptedPeer(port: port)
      peer.open()
      for i in 0..<400 {
        guard peer.send(head(i * 2 + 1), Frame(Frame.resetStream, stream: i * 2 + 1, Frame.word(8))) else { break }
      }
      expectClosed(peer, code: 11)
    }
  }

  @Test func `making the server reset streams counts as much as resetting them`() async throws {
    var limits = Limits()
    limits.resetsPerSecond = 10
    limits.resetsBurst = 100
    try await withServer(limits) { _, port in
      let peer = try ScriptedPeer(port: port)
      peer.open()
      // A window past 2^31-1 is a stream error (RFC 9113 §6.9.1).
      for i in 0..<400 {
        guard peer.send(head(i * 2 + 1), Frame(Frame.windowUpdate, stream: i * 2 + 1, Frame.word(0x7fff_ffff))) else { break }
      }
      expectClosed(peer, code: 11)
    }
  }

  @Test(arguments: [Frame(Frame.ping, [UInt8](repeating: 0, count: 8)), Frame(Frame.settings), Frame(0x77)])
  func `a flood of control frames ends with ENHANCE_YOUR_CALM`(_ frame: Frame) async throws {
    var limits = Limits()
    limits.controlFramesPerSecond = 10
    limits.controlFramesBurst = 100
    try await withServer(limits) { _, port in
      let peer = try ScriptedPeer(port: port)
      peer.open()
      for _ in 0..<1000 where peer.send(frame) {}
      if frame.type == 0x77 { return }  // nghttp2 drops unknown frames before we hear of them
      expectClosed(peer, code: 11)
    }
  }

  @Test func `a flood of empty DATA frames ends with ENHANCE_YOUR_CALM`() async throws {
    var limits = Limits()
    limits.controlFramesPerSecond = 10
    limits.controlFramesBurst = 100
    try await withServer(limits) { _, port in
      let peer = try ScriptedPeer(port: port)
      peer.open()
      peer.send(head(1))
      for _ in 0..<1000 where peer.send(Frame(Frame.data, stream: 1)) {}
      expectClosed(peer, code: 11)
    }
  }

  @Test func `a window of zero holds the body back until it opens`() async throws {
    try await withServer { _, port in
      let peer = try ScriptedPeer(port: port)
      peer.open([(4, 0)])
      ask(peer, 1, [UInt8](repeating: 5, count: 1000))
      _ = try peer.receive(Frame.headers)
      // A byte at a time, then the rest.
      peer.send(Frame(Frame.windowUpdate, stream: 1, Frame.word(1)))
      #expect(try peer.receive(Frame.data).payload.count == 1)
      peer.send(Frame(Frame.windowUpdate, stream: 1, Frame.word(10_000)))
      #expect(try peer.answer(on: 1).body.count == 999)
    }
  }

  @Test func `a window beyond 2^31-1 is an error of its stream only`() async throws {
    try await withServer { _, port in
      let peer = try ScriptedPeer(port: port)
      peer.open()
      peer.send(head(1), Frame(Frame.windowUpdate, stream: 1, Frame.word(0x7fff_ffff)))
      #expect(try peer.answer(on: 1).reset == 3)
      ask(peer, 3, [1])
      #expect(try peer.answer(on: 3).body == [1])
    }
  }

  @Test func `a half-closed socket still gets its answer`() async throws {
    try await withServer { _, port in
      let peer = try ScriptedPeer(port: port)
      peer.open()
      ask(peer, 1, [9])
      #expect(try peer.answer(on: 1).body == [9])
      peer.shutdownWrites()
      expectClosed(peer)
    }
  }

  @Test func `a peer that goes away after GOAWAY leaves nothing behind`() async throws {
    try await withServer { server, port in
      let peer = try ScriptedPeer(port: port)
      peer.open()
      ask(peer, 1, [9])
      #expect(try peer.answer(on: 1).body == [9])
      peer.send(Frame(Frame.goAway, Frame.word(0) + Frame.word(0)))
      expectClosed(peer)
    }
  }

  @Test func `a client that never reads is cut when its backlog is full, and its memory with it`() async throws {
    var limits = Limits()
    limits.writeBacklogBytesMax = 1 << 20
    // Otherwise it would not be read from any more, and wait for the stall time.
    limits.readAheadBytesMax = .max
    try await withServer(limits) { _, port in
      let peer = try ScriptedPeer(port: port, receiveBufferBytes: 65_536)
      peer.open([(4, 0x7fff_ffff)])
      peer.send(Frame(Frame.windowUpdate, Frame.word(0x7fff_0000)))
      let body = [UInt8](repeating: 1, count: 16_384)
      var stream = 1
      var isAlive = true
      while isAlive, stream < 20_000 {
        isAlive = peer.send(head(stream), Frame(Frame.data, stream: stream, body), Frame(Frame.data, flags: Frame.endStream, stream: stream, body))
        stream += 2
      }
      #expect(!isAlive)
    }
  }

  @Test func `a client that stops reading is cut after the stall time`() async throws {
    var limits = Limits()
    limits.writeStallMilliseconds = 50
    try await withServer(limits) { server, port in
      let peer = try ScriptedPeer(port: port, receiveBufferBytes: 65_536)
      peer.open([(4, 0x7fff_ffff)])
      peer.send(Frame(Frame.windowUpdate, Frame.word(0x7fff_0000)))
      _ = try peer.receive(Frame.settings)
      peer.send(Frame(Frame.settings, flags: Frame.acknowledge))
      // Twelve megabytes to be echoed: within our windows, beyond what the kernel keeps for a peer that does not read.
      for i in 0..<6 {
        peer.send(head(i * 2 + 1))
        for _ in 0..<128 { peer.send(Frame(Frame.data, stream: i * 2 + 1, [UInt8](repeating: 1, count: 16_384))) }
        peer.send(Frame(Frame.data, flags: Frame.endStream, stream: i * 2 + 1))
      }
      try await until { server.connectionCount == 0 }
    }
  }

  @Test func `streams over the limit are refused, the others served`() async throws {
    var limits = Limits()
    limits.streamsPerConnectionMax = 2
    try await withServer(limits) { _, port in
      let peer = try ScriptedPeer(port: port)
      peer.open()
      // Not acknowledged yet, so the peer may not know the limit: the stream is refused, the connection lives.
      peer.send(head(1), head(3), head(5))
      #expect(try peer.answer(on: 5).reset == 7)
      peer.send(Frame(Frame.data, flags: Frame.endStream, stream: 1, [7]))
      #expect(try peer.answer(on: 1).body == [7])
    }
  }

  @Test func `connections over the limit are closed at once`() async throws {
    var limits = Limits()
    limits.connectionsMax = 2
    try await withServer(limits) { server, port in
      do {
        let kept = [try ScriptedPeer(port: port), try ScriptedPeer(port: port)]
        for peer in kept {
          peer.open()
          _ = try peer.receive(Frame.settings)
        }
        expectClosed(try ScriptedPeer(port: port))
        for peer in kept { peer.close() }
      }
      try await until { server.connectionCount == 0 }
    }
  }

  @Test func `connections spread over the loops`() async throws {
    try await withServer(loops: 4) { server, port in
      var peers: [ScriptedPeer] = []
      for _ in 0..<8 {
        let peer = try ScriptedPeer(port: port)
        peer.open()
        _ = try peer.receive(Frame.settings)
        peers.append(peer)
      }
      #expect(server.loops.map { $0.connectionCount.load(ordering: .relaxed) } == [2, 2, 2, 2])
      _ = peers
    }
  }

  @Test func `draining finishes what is in flight, refuses what is new, and returns`() async throws {
    let server = try HTTPServer(.init(endpoints: [.tcp(host: "127.0.0.1", port: 0)], loops: 2)) { _ in Echo() }
    try server.start()
    let peer = try ScriptedPeer(port: server.ports[0])
    peer.open()
    peer.send(head(1))
    peer.send(Frame(Frame.ping, [UInt8](repeating: 1, count: 8)))
    _ = try peer.receive(Frame.ping)
    let drained = Flag()
    server.startDraining(deadline: .seconds(20)) { drained.raise() }
    let ping = try peer.receive(Frame.ping)
    let first = try peer.receive(Frame.goAway)
    #expect(first.payload[0..<4] == [0x7f, 0xff, 0xff, 0xff])
    peer.send(Frame(Frame.ping, flags: Frame.acknowledge, ping.payload))
    let second = try peer.receive(Frame.goAway)
    #expect(second.payload[0..<4] == [0, 0, 0, 1])
    peer.send(Frame(Frame.data, flags: Frame.endStream, stream: 1, [3]))
    #expect(try peer.answer(on: 1).body == [3])
    expectClosed(peer)
    try await until { drained.isRaised }
    #expect(throws: PeerError.self) { try ScriptedPeer(port: server.ports[0]) }
  }

  @Test func `what is still open at the deadline is cut`() async throws {
    let server = try HTTPServer(.init(endpoints: [.tcp(host: "127.0.0.1", port: 0)], loops: 1)) { _ in Echo() }
    try server.start()
    let peer = try ScriptedPeer(port: server.ports[0])
    peer.open()
    peer.send(head(1))
    _ = try peer.receive(Frame.settings)
    await server.drain(deadline: .milliseconds(50))
    expectClosed(peer)
  }

  @Test func `random bytes after the preface never hurt`() async throws {
    try await withServer { _, port in
      var generator = SeededGenerator(seed: 42)
      for _ in 0..<50 {
        let peer = try ScriptedPeer(port: port)
        peer.open()
        peer.send((0..<2000).map { _ in UInt8.random(in: 0...255, using: &generator) })
        peer.close()
      }
    }
  }

  @Test func `random frames never hurt`() async throws {
    try await withServer { _, port in
      var generator = SeededGenerator(seed: 43)
      for _ in 0..<100 {
        let peer = try ScriptedPeer(port: port)
        peer.open()
        for _ in 0..<20 {
          let payload = (0..<Int.random(in: 0...64, using: &generator)).map { _ in UInt8.random(in: 0...255, using: &generator) }
          let frame = Frame(
            UInt8.random(in: 0...12, using: &generator), flags: UInt8.random(in: 0...255, using: &generator),
            stream: Int.random(in: 0...7, using: &generator), payload)
          if !peer.send(frame) { break }
          if Bool.random(using: &generator) { peer.send(head(Int.random(in: 0...4, using: &generator) * 2 + 1)) }
        }
        peer.close()
      }
    }
  }

  @Test func `accepting pauses without descriptors and recovers`() async throws {
    // In a process of its own: the limit is everybody's.
    await #expect(processExitsWith: .success) {
      let server = try HTTPServer(.init(endpoints: [.tcp(host: "127.0.0.1", port: 0)], loops: 1)) { _ in Echo() }
      try server.start()
      var limit = rlimit(rlim_cur: 256, rlim_max: 256)
      _ = unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
      var taken: [Int32] = []
      var peer: ScriptedPeer
      repeat {
        while case let fd = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0), fd >= 0 { taken.append(fd) }
        close(taken.removeLast())
        // The last descriptor is the peer's; the server has none to accept with, unless something else in the process has
        // closed one since. Then the next peer will find it taken.
        peer = try ScriptedPeer(port: server.ports[0])
        // Not Task.sleep: its timers need descriptors, too.
        while server.acceptPauseCount < 2, server.connectionCount == 0 { usleep(10_000) }
        if server.connectionCount > 0 { peer.close() }
      } while server.acceptPauseCount < 2
      peer.open()
      peer.send(Frame(Frame.headers, flags: 5, stream: 1, ScriptedPeer.block(ScriptedPeer.request("/"))))
      for fd in taken { close(fd) }
      let answer = try peer.answer(on: 1)
      // Pauses, not a spin.
      #expect(answer.fields[":status"] == "200" && server.acceptPauseCount < 50)
      await server.drain(deadline: .zero)
    }
  }

  /// Polls something that another thread is about to make true.
  private func until(_ condition: () -> Bool) async throws {
    for _ in 0..<1000 {
      if condition() { return }
      try await Task.sleep(for: .milliseconds(10))
    }
    Issue.record("it never came true")
  }
}
