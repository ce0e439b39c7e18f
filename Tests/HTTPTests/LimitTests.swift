// What happens at each limit of a server, against a scripted peer. The limits are set low; their values are in Limits.swift.
import Synchronization
import TestThreads
import Testing
import TransportSupport

@testable import HTTP

/// By path:
/// `/echo` answers with the body when it has ended; `/owed` the same, and waits for the body's end; `/held` counts the body as
/// held, 413 when it may not; `/big` answers a megabyte at once; `/paused` takes nothing; `/long` announces ten megabytes.
private final class Rules: HTTPApplication {
  static let head = StaticFields([(":status", "200")])
  static let tooLarge = StaticFields([(":status", "413")])
  static let tooSlow = StaticFields([(":status", "408")])

  func opened(_ stream: HTTPStream) {
    let path = stream.head.text(.path) ?? ""
    stream.handler = Exchange(path)
    switch path {
    case "/owed": stream.expectsBytes = true
    case "/big":
      stream.body = ByteBuffer(capacity: 1 << 20)
      _ = stream.body.append(byteCount: 1 << 20) { _ in }
      stream.respond(Rules.head, trailers: nil)
    case "/paused": stream.pause()
    default: break
    }
  }

  final class Exchange: StreamHandler {
    let path: String
    init(_ path: String) { self.path = path }

    func received(_ bytes: RawSpan, on stream: HTTPStream) {
      if path == "/long" { stream.bytesExpected = 10 << 20 }
      if path == "/held", !stream.holdBody(bytes.byteCount) { return stream.respond(Rules.tooLarge, FieldList()) }
      _ = stream.body.append(bytes)
    }
    func ended(_ stream: HTTPStream) { stream.respond(Rules.head, trailers: nil) }
    func starved(_ stream: HTTPStream) { stream.respond(Rules.tooSlow, FieldList()) }
    func closed(_ stream: HTTPStream, _ error: StreamError) {}
  }
}

@Suite(.blocking, .serialized, .timeLimit(.minutes(1))) struct LimitTests {
  private func withServer(
    _ change: (inout Limits) -> Void, loops: Int = 1, _ body: (HTTPServer, Int) async throws -> Void
  ) async throws {
    var limits = Limits()
    change(&limits)
    let server = try HTTPServer(
      .init(endpoints: [.tcp(host: "127.0.0.1", port: 0)], loops: loops, limits: limits)) { _ in Rules() }
    try server.start()
    do {
      try await body(server, server.ports[0])
      if limits.connectionsPerPeerMax == 0 { try expectServed(try ScriptedPeer(port: server.ports[0])) }
    } catch {
      await server.drain(deadline: .zero)
      throw error
    }
    await server.drain(deadline: .zero)
  }

  private func expectServed(_ peer: ScriptedPeer) throws {
    peer.open()
    ask(peer, 1, [7])
    #expect(try peer.answer(on: 1).body == [7])
  }

  private func head(_ stream: Int, _ path: String = "/echo", end: Bool = false) -> Frame {
    Frame(
      Frame.headers, flags: Frame.endHeaders | (end ? Frame.endStream : 0), stream: stream,
      ScriptedPeer.block(ScriptedPeer.request(path)))
  }

  private func ask(_ peer: ScriptedPeer, _ stream: Int, _ body: [UInt8], _ path: String = "/echo") {
    peer.send(head(stream, path), Frame(Frame.data, flags: Frame.endStream, stream: stream, body))
  }

  private let ping = Frame(Frame.ping, [UInt8](repeating: 9, count: 8))

  /// The frames up to the end of the connection.
  private func untilClosed(_ peer: ScriptedPeer) throws -> [Frame] {
    do { return try peer.receiveUntilClosed() } catch {
      Issue.record("still open: \(error)")
      return []
    }
  }

  private func goAways(_ frames: [Frame]) -> [Frame] { frames.filter { $0.type == Frame.goAway } }

  // MARK: connections

  @Test func `one peer has no more connections than its share, and may come again when one has gone`() async throws {
    try await withServer({ $0.connectionsPerPeerMax = 2 }) { server, port in
      let first = try ScriptedPeer(port: port), second = try ScriptedPeer(port: port)
      for peer in [first, second] { try expectServed(peer) }
      _ = try untilClosed(try ScriptedPeer(port: port))
      first.close()
      try await until { server.connectionCount == 1 }
      try expectServed(try ScriptedPeer(port: port))
      _ = second
    }
  }

  @Test func `a connection without streams is told to go after the idle time, not before`() async throws {
    try await withServer({ $0.idleMilliseconds = 150 }) { _, port in
      let peer = try ScriptedPeer(port: port)
      let began = MonotonicTime.now
      try expectServed(peer)
      let frames = try untilClosed(peer, answering: true)
      #expect(goAways(frames).last?.errorCode == 0)
      #expect(MonotonicTime.now.nanoseconds(since: began) >= 150_000_000)
    }
  }

  @Test func `an open stream keeps a connection from being idle`() async throws {
    try await withServer({ $0.idleMilliseconds = 50 }) { _, port in
      let peer = try ScriptedPeer(port: port)
      peer.open()
      peer.send(head(1))
      let began = MonotonicTime.now
      while MonotonicTime.now.nanoseconds(since: began) < 200_000_000 { try await Task.sleep(for: .milliseconds(20)) }
      peer.send(Frame(Frame.data, flags: Frame.endStream, stream: 1, [3]))
      #expect(try peer.answer(on: 1).body == [3])
    }
  }

  @Test func `an old connection is told to go in two steps, and cut when its grace is over`() async throws {
    try await withServer({
      $0.connectionAgeMilliseconds = 50
      $0.connectionAgeGraceMilliseconds = 100
    }) { _, port in
      let peer = try ScriptedPeer(port: port)
      peer.open()
      peer.send(head(1))
      let frames = try untilClosed(peer, answering: true)
      #expect(goAways(frames).map { Array($0.payload[0..<4]) } == [[0x7f, 0xff, 0xff, 0xff], [0, 0, 0, 1]])
    }
  }

  @Test func `an age counts from the first words`() async throws {
    try await withServer({ $0.connectionAgeMilliseconds = 40 }) { server, port in
      let peer = try ScriptedPeer(port: port)
      try await Task.sleep(for: .milliseconds(100))
      #expect(server.connectionCount == 1)
      peer.open()
      _ = try peer.receive(Frame.settings)
      #expect(goAways(try untilClosed(peer, answering: true)).last?.errorCode == 0)
    }
  }

  @Test func `ages are spread by a tenth either way`() async throws {
    try await withServer({ $0.connectionAgeMilliseconds = 300 }) { _, port in
      var peers: [ScriptedPeer] = []
      let began = MonotonicTime.now
      for _ in 0..<10 {
        peers.append(try ScriptedPeer(port: port))
        try expectServed(peers[peers.count - 1])
      }
      for peer in peers { _ = try peer.receive(Frame.goAway) }
      #expect(MonotonicTime.now.nanoseconds(since: began) >= 270_000_000)
    }
  }

  @Test func `a silent peer is pinged, and closed when it does not answer`() async throws {
    try await withServer({
      $0.keepaliveMilliseconds = 50
      $0.keepaliveTimeoutMilliseconds = 50
    }) { _, port in
      let peer = try ScriptedPeer(port: port)
      peer.open()
      #expect(try untilClosed(peer).contains { $0.type == Frame.ping })
    }
  }

  @Test func `a silent peer that answers pings lives on`() async throws {
    try await withServer({
      $0.keepaliveMilliseconds = 20
      $0.keepaliveTimeoutMilliseconds = 2_000
    }) { _, port in
      let peer = try ScriptedPeer(port: port)
      peer.open()
      for _ in 0..<5 {
        let asked = try peer.receive(Frame.ping)
        peer.send(Frame(Frame.ping, flags: Frame.acknowledge, asked.payload))
      }
      ask(peer, 1, [1])
      while true {
        let frame = try peer.receive()
        if frame.type == Frame.ping { peer.send(Frame(Frame.ping, flags: Frame.acknowledge, frame.payload)) }
        if frame.type == Frame.data { break }
      }
    }
  }

  @Test func `pings that come too soon end with too_many_pings`() async throws {
    try await withServer({ $0.idlePingMillisecondsMin = 60_000 }) { _, port in
      let peer = try ScriptedPeer(port: port)
      peer.open()
      for _ in 0..<4 { peer.send(ping) }
      let last = goAways(try untilClosed(peer)).last
      #expect(last?.errorCode == 11)
      #expect(last.map { String(decoding: $0.payload[8...], as: UTF8.self) } == "too_many_pings")
    }
  }

  @Test func `a client that receives may ping as often as it likes`() async throws {
    try await withServer({
      $0.pingMillisecondsMin = 60_000
      $0.idlePingMillisecondsMin = 60_000
    }) { _, port in
      let peer = try ScriptedPeer(port: port)
      peer.open()
      for i in 0..<20 {
        ask(peer, 2 * i + 1, [UInt8(i)])
        #expect(try peer.answer(on: 2 * i + 1).body == [UInt8(i)])
        peer.send(ping)
      }
    }
  }

  // MARK: slow peers

  @Test func `a header block that does not end closes the connection`() async throws {
    try await withServer({ $0.headerMilliseconds = 100 }) { _, port in
      let peer = try ScriptedPeer(port: port)
      peer.open()
      peer.send(Frame(Frame.headers, stream: 1, ScriptedPeer.block(ScriptedPeer.request("/"))))
      _ = try untilClosed(peer)
    }
  }

  @Test func `a frame of a header block that comes in drops closes the connection`() async throws {
    try await withServer({ $0.headerMilliseconds = 100 }) { server, port in
      let peer = try ScriptedPeer(port: port)
      peer.open()
      for byte in head(1).bytes.dropLast() where peer.send([byte]) {}
      try await until { server.connectionCount == 0 }
    }
  }

  @Test func `a body that is waited for must keep its pace`() async throws {
    try await withServer({ $0.bodyMilliseconds = 100 }) { _, port in
      let peer = try ScriptedPeer(port: port)
      peer.open()
      peer.send(head(1, "/owed"), Frame(Frame.data, stream: 1, [1]))
      #expect(try peer.answer(on: 1).fields[":status"] == "408")
      ask(peer, 3, [1])
      #expect(try peer.answer(on: 3).body == [1])
    }
  }

  @Test func `a body that nobody waits for may take its time`() async throws {
    try await withServer({ $0.bodyMilliseconds = 40 }) { _, port in
      let peer = try ScriptedPeer(port: port)
      peer.open()
      peer.send(head(1), Frame(Frame.data, stream: 1, [1]))
      let began = MonotonicTime.now
      while MonotonicTime.now.nanoseconds(since: began) < 200_000_000 { try await Task.sleep(for: .milliseconds(20)) }
      peer.send(Frame(Frame.data, flags: Frame.endStream, stream: 1, [2]))
      #expect(try peer.answer(on: 1).body == [1, 2])
    }
  }

  @Test(arguments: [0, 1])
  func `an answer that its window lets through in drops is given up`(_ drop: Int) async throws {
    try await withServer({ $0.writeStallMilliseconds = 100 }) { _, port in
      let peer = try ScriptedPeer(port: port)
      peer.open([(4, 0)])
      ask(peer, 1, [UInt8](repeating: 1, count: 1000))
      while true {
        let frame = try peer.receive()
        if frame.type == Frame.resetStream { break }
        if drop > 0, frame.type == Frame.data || frame.type == Frame.headers {
          peer.send(Frame(Frame.windowUpdate, stream: 1, Frame.word(drop)))
        }
        if drop > 0 { try await Task.sleep(for: .milliseconds(5)) }
      }
      peer.send(Frame(Frame.windowUpdate, Frame.word(1000)), Frame(Frame.settings, [0, 4, 0, 0, 255, 255]))
      ask(peer, 3, [1])
      #expect(try peer.answer(on: 3).body == [1])
    }
  }

  // MARK: sums of bytes

  @Test func `bodies beyond the server's sum are refused, and its room comes back`() async throws {
    try await withServer({ $0.bodyBytesMax = 100_000 }) { _, port in
      let first = try ScriptedPeer(port: port), second = try ScriptedPeer(port: port)
      for peer in [first, second] { peer.open() }
      let part = [UInt8](repeating: 1, count: 16_000)
      first.send(head(1, "/held"))
      for _ in 0..<4 { first.send(Frame(Frame.data, stream: 1, part)) }
      // All of it has been received when the ping is answered.
      first.send(ping)
      _ = try first.receive(Frame.ping)
      second.send(head(1, "/held"))
      for _ in 0..<3 { second.send(Frame(Frame.data, stream: 1, part)) }
      #expect(try second.answer(on: 1).fields[":status"] == "413")
      first.close()
      let third = try ScriptedPeer(port: port)
      third.open()
      // The first connection's bytes are given back when the server has seen its end.
      var status: String?
      for i in 0..<200 where status != "200" {
        third.send(head(2 * i + 1, "/held"))
        for _ in 0..<3 { third.send(Frame(Frame.data, stream: 2 * i + 1, part)) }
        third.send(Frame(Frame.data, flags: Frame.endStream, stream: 2 * i + 1, []))
        third.send(Frame(Frame.windowUpdate, Frame.word(60_000)))
        status = try third.answer(on: 2 * i + 1).fields[":status"]
      }
      #expect(status == "200")
    }
  }

  @Test func `when long bodies have filled their part of the sum, short ones go on`() async throws {
    try await withServer({ $0.bodyBytesMax = 1_000_000 }) { _, port in
      let first = try ScriptedPeer(port: port), second = try ScriptedPeer(port: port)
      for peer in [first, second] { try openAndAgree(peer) }
      let part = [UInt8](repeating: 1, count: 16_000)
      first.send(head(1, "/held"))
      for _ in 0..<53 { first.send(Frame(Frame.data, stream: 1, part)) }
      first.send(ping)
      _ = try first.receive(Frame.ping)
      second.send(head(1, "/held"))
      for _ in 0..<5 { second.send(Frame(Frame.data, stream: 1, part)) }
      #expect(try second.answer(on: 1).fields[":status"] == "413")
      ask(second, 3, part, "/held")
      #expect(try second.answer(on: 3).body.count == part.count)
    }
  }

  @Test func `bodies beyond the connection's sum are refused, its neighbours' are not`() async throws {
    try await withServer({ $0.bodyBytesPerConnectionMax = 20_000 }) { _, port in
      let peer = try ScriptedPeer(port: port), neighbour = try ScriptedPeer(port: port)
      for peer in [peer, neighbour] { peer.open() }
      let part = [UInt8](repeating: 1, count: 16_000)
      peer.send(head(1, "/held"), Frame(Frame.data, stream: 1, part), head(3, "/held"), Frame(Frame.data, stream: 3, part))
      #expect(try peer.answer(on: 3).fields[":status"] == "413")
      ask(neighbour, 1, part, "/held")
      #expect(try neighbour.answer(on: 1).body.count == 16_000)
    }
  }

  @Test func `answers beyond the server's sum close whoever has most waiting`() async throws {
    try await withServer({ $0.answerBytesMax = 5 << 20 }, loops: 2) { _, port in
      let greedy = try ScriptedPeer(port: port), modest = try ScriptedPeer(port: port)
      // No window at all: the answers stay with the server.
      for peer in [greedy, modest] { peer.open([(4, 0)]) }
      ask(modest, 1, [1])
      _ = try modest.receive(Frame.headers)
      for i in 0..<8 { greedy.send(head(2 * i + 1, "/big", end: true)) }
      _ = try untilClosed(greedy)
      modest.send(Frame(Frame.windowUpdate, stream: 1, Frame.word(1)))
      #expect(try modest.answer(on: 1).body == [1])
    }
  }

  @Test func `a peer that does not read is not read from`() async throws {
    try await withServer({ $0.readAheadBytesMax = 64 << 10 }) { server, port in
      let peer = try ScriptedPeer(port: port, receiveBufferBytes: 16_384)
      peer.open([(4, 0x7fff_ffff)])
      peer.send(Frame(Frame.windowUpdate, Frame.word(0x7fff_0000)))
      for i in 0..<20 { peer.send(head(2 * i + 1, "/big", end: true)) }
      // Twenty megabytes are more than the kernel keeps, so the server waits for us and does not hear this.
      try await until { server.answers.bytesTaken > 64 << 10 }
      for i in 20..<40 { peer.send(head(2 * i + 1, "/big", end: true)) }
      #expect(server.answers.bytesTaken <= 20 << 20)
      // Read on, and everything comes.
      var ended: Set<Int> = []
      while ended.count < 40 {
        let frame = try peer.receive()
        if frame.type == Frame.data, frame.flags & Frame.endStream != 0 { ended.insert(frame.stream) }
      }
    }
  }

  // MARK: flow control

  @Test func `the window of a stream grows when a long message is announced`() async throws {
    try await withServer({ $0.streamWindowBytesMax = 8 << 20 }) { _, port in
      let peer = try ScriptedPeer(port: port)
      try openAndAgree(peer)
      peer.send(head(1, "/long"), Frame(Frame.data, stream: 1, [1]))
      while true {
        let frame = try peer.receive(Frame.windowUpdate)
        if frame.stream == 0 { continue }
        let more = frame.payload.reduce(0) { $0 << 8 | Int($1) }
        // To eight megabytes; whether the byte that came counts is nghttp2's to say.
        #expect(frame.stream == 1 && (more - (4 << 20)).magnitude <= 1)
        break
      }
    }
  }

  @Test func `paused streams hold no more than half of the connection's window`() async throws {
    try await withServer({
      $0.streamWindowBytes = 1 << 20
      $0.connectionWindowBytes = 1 << 20
    }) { _, port in
      let peer = try ScriptedPeer(port: port)
      var window = try openAndAgree(peer)
      let part = [UInt8](repeating: 1, count: 16_384)
      for i in 0..<8 { peer.send(head(2 * i + 1, "/paused")) }
      var sent = 0, opened = 0
      // As much as the window allows, over eight streams: the server gives back what half of its window can hold.
      peer.send(ping)
      while true {
        let frame = try peer.receive()
        if frame.type == Frame.windowUpdate, frame.stream == 0 {
          window += frame.payload.reduce(0) { $0 << 8 | Int($1) }
          opened += 1
        }
        guard frame.type == Frame.ping else { continue }
        if window < part.count { break }
        while window >= part.count {
          peer.send(Frame(Frame.data, stream: sent / part.count % 8 * 2 + 1, part))
          sent += part.count
          window -= part.count
        }
        peer.send(ping)
      }
      #expect(sent > 1 << 20 && sent <= (1 << 20) + (1 << 19) + part.count)
    }
  }

  // MARK: floods

  @Test(arguments: [
    Frame(0x77), Frame(0x0a, stream: 1), Frame(Frame.ping, flags: Frame.acknowledge, [UInt8](repeating: 0, count: 8)),
    Frame(Frame.priority, stream: 3, [0, 0, 0, 1, 1]), Frame(Frame.settings, [0, 4, 0, 0, 0, 0]),
  ])
  func `a flood of frames that mean nothing ends with ENHANCE_YOUR_CALM`(_ frame: Frame) async throws {
    try await withServer({
      $0.controlFramesPerSecond = 10
      $0.controlFramesBurst = 100
    }) { _, port in
      let peer = try ScriptedPeer(port: port)
      peer.open()
      for _ in 0..<200 where peer.send(frame) {}
      #expect(goAways(try untilClosed(peer)).last?.errorCode == 11)
    }
  }

  @Test func `DATA of nothing but padding counts as empty`() async throws {
    try await withServer({
      $0.controlFramesPerSecond = 10
      $0.controlFramesBurst = 100
    }) { _, port in
      let peer = try ScriptedPeer(port: port)
      peer.open()
      peer.send(head(1))
      for _ in 0..<200 where peer.send(Frame(Frame.data, flags: 8, stream: 1, [0])) {}
      #expect(goAways(try untilClosed(peer)).last?.errorCode == 11)
    }
  }

  @Test func `a flood of WINDOW_UPDATE frames ends with ENHANCE_YOUR_CALM`() async throws {
    try await withServer({
      $0.windowUpdatesPerSecond = 10
      $0.windowUpdatesBurst = 100
    }) { _, port in
      let peer = try ScriptedPeer(port: port)
      peer.open()
      for _ in 0..<200 where peer.send(Frame(Frame.windowUpdate, Frame.word(1))) {}
      #expect(goAways(try untilClosed(peer)).last?.errorCode == 11)
    }
  }

  @Test func `SETTINGS that move the windows of many streams count for the work they make`() async throws {
    try await withServer({
      $0.controlFramesPerSecond = 1
      $0.controlFramesBurst = 100
    }) { _, port in
      let peer = try ScriptedPeer(port: port)
      peer.open()
      for i in 0..<320 { peer.send(head(2 * i + 1)) }
      // Twenty for the streams and one for the frame: five are too many.
      for _ in 0..<5 { peer.send(Frame(Frame.settings, [0, 4, 0, 0, 0, 0])) }
      #expect(goAways(try untilClosed(peer)).last?.errorCode == 11)
    }
  }

  @Test func `SETTINGS of more entries than are taken end the connection`() async throws {
    try await withServer({ $0.settingsEntriesMax = 4 }) { _, port in
      let peer = try ScriptedPeer(port: port)
      peer.open()
      peer.send(Frame(Frame.settings, [UInt8](repeating: 0, count: 6 * 5)))
      #expect(goAways(try untilClosed(peer)).last?.errorCode == 11)
    }
  }

  @Test func `acknowledgements that nobody reads end the connection`() async throws {
    try await withServer({ $0.outboundAcknowledgementsMax = 10 }) { _, port in
      let peer = try ScriptedPeer(port: port)
      peer.open()
      // In one piece, so that none is written before the last is read.
      peer.send(Array((0..<50).map { _ in Frame(Frame.settings).bytes }.joined()))
      #expect(goAways(try untilClosed(peer)).last?.errorCode == 11)
    }
  }

  @Test func `header lists beyond any limit are reset without an answer, and a few of them are a flood`() async throws {
    try await withServer({
      $0.resetsPerSecond = 1
      $0.resetsBurst = 2 * Limits.resetsPerHeaderBomb
    }) { _, port in
      let peer = try ScriptedPeer(port: port)
      peer.open()
      let value = String(repeating: "x", count: 3000)
      let bomb = [UInt8](repeating: 0x80 | 62, count: 1000)
      let entry = [0x40] + ScriptedPeer.block([("x", value)]).dropFirst()
      let block = ScriptedPeer.block(ScriptedPeer.request("/"))
      peer.send(Frame(Frame.headers, flags: Frame.endHeaders, stream: 1, block + entry + bomb))
      #expect(try peer.answer(on: 1).reset == 2)
      for i in 1..<4 { peer.send(Frame(Frame.headers, flags: Frame.endHeaders, stream: 2 * i + 1, block + bomb)) }
      #expect(goAways(try untilClosed(peer)).last?.errorCode == 11)
    }
  }

  // MARK: help

  /// Opens and acknowledges the server's SETTINGS, from when on its windows count. Returns the connection's window.
  @discardableResult private func openAndAgree(_ peer: ScriptedPeer) throws -> Int {
    peer.open()
    _ = try peer.receive(Frame.settings)
    peer.send(Frame(Frame.settings, flags: Frame.acknowledge), ping)
    var window = 65_535
    while true {
      let frame = try peer.receive()
      if frame.type == Frame.windowUpdate { window += frame.payload.reduce(0) { $0 << 8 | Int($1) } }
      if frame.type == Frame.ping { return window }
    }
  }

  /// The same with an answer to every PING.
  private func untilClosed(_ peer: ScriptedPeer, answering: Bool) throws -> [Frame] {
    var frames: [Frame] = []
    while true {
      do throws(any Error) {
        let frame = try peer.receive()
        if frame.type == Frame.ping, frame.flags & Frame.acknowledge == 0 {
          peer.send(Frame(Frame.ping, flags: Frame.acknowledge, frame.payload))
        }
        frames.append(frame)
      } catch PeerError.closed {
        return frames
      }
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
