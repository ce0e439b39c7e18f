// HTTP/1.1 connections against a scripted peer: exchanges, what holds them back, and how they end. After each test a
// well-behaved neighbour is still served, and every stream that was opened has been closed once.
import Synchronization
import TestThreads
import Testing
import TransportSupport

@testable import HTTP

@Suite(.blocking, .serialized, .timeLimit(.minutes(1))) struct HTTP1ConnectionTests {
  private func withServer(
    _ limits: Limits = Limits(), isServingAfter: Bool = true, _ body: (HTTPServer, Int, TestLog) async throws -> Void
  ) async throws {
    let log = TestLog()
    let server = try HTTPServer(.init(endpoints: [.tcp(host: "127.0.0.1", port: 0)], loops: 1, limits: limits)) {
      TestApplication(log, $0)
    }
    try server.start()
    do {
      try await body(server, server.ports[0], log)
      if isServingAfter { try expectServed(server.ports[0]) }
    } catch {
      await server.drain(deadline: .zero)
      throw error
    }
    await server.drain(deadline: .zero)
    #expect(log.opened.load(ordering: .relaxed) == log.closed.load(ordering: .relaxed))
  }

  /// A neighbour.
  private func expectServed(_ port: Int) throws {
    let peer = try ScriptedPeer(port: port)
    peer.send(post("/", "ping"))
    #expect(try peer.textAnswer().text == "ping")
  }

  private func get(_ path: String, _ fields: String = "") -> String { "GET \(path) HTTP/1.1\r\nHost: a\r\n\(fields)\r\n" }

  private func post(_ path: String, _ body: String, _ fields: String = "") -> String {
    "POST \(path) HTTP/1.1\r\nHost: a\r\nContent-Length: \(body.utf8.count)\r\n\(fields)\r\n\(body)"
  }

  private func expectClosed(_ peer: ScriptedPeer) {
    do {
      let rest = try peer.receiveRest()
      #expect(rest.isEmpty, "\(String(decoding: rest, as: UTF8.self))")
    } catch { Issue.record("still open: \(error)") }
  }

  // MARK: exchanges

  @Test func `one connection carries many exchanges`() async throws {
    try await withServer { _, port, log in
      let peer = try ScriptedPeer(port: port)
      for i in 0..<50 {
        peer.send(i % 2 == 0 ? post("/", "body \(i)") : get("/"))
        let answer = try peer.textAnswer()
        #expect(answer.status == 200)
        #expect(answer.text == (i % 2 == 0 ? "body \(i)" : ""))
        #expect(answer.fields["date"]?.count == 29 && answer.fields["connection"] == nil)
      }
      #expect(log.closedWell.load(ordering: .relaxed) >= 49)
    }
  }

  @Test func `requests in one breath are answered in their order, and so are single bytes`() async throws {
    try await withServer { _, port, _ in
      let peer = try ScriptedPeer(port: port)
      let requests = (0..<3000).map { post("/", "\($0)") }.joined()
      peer.send(requests)
      for i in 0..<3000 { #expect(try peer.textAnswer().text == "\(i)") }
      for byte in Array(post("/", "slow").utf8) { peer.send([byte]) }
      #expect(try peer.textAnswer().text == "slow")
    }
  }

  @Test func `a chunked body comes back, and trailers of the request are seen`() async throws {
    try await withServer { _, port, _ in
      let peer = try ScriptedPeer(port: port)
      let head = "HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
      peer.send("POST / \(head)3\r\nabc\r\n5;x=y\r\ndefgh\r\n0\r\n\r\n")
      #expect(try peer.textAnswer().text == "abcdefgh")
      peer.send("POST /stream \(head)3\r\nabc\r\n5\r\ndefgh\r\n0\r\nX-Sent: 1\r\n\r\n")
      let answer = try peer.textAnswer()
      #expect(answer.text == "abcdefgh")
      #expect(answer.trailers == ["x-trailer": "1"])
    }
  }

  @Test func `a body in pieces flows both ways at once`() async throws {
    try await withServer { _, port, _ in
      let peer = try ScriptedPeer(port: port)
      peer.send("POST /stream HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
      #expect(try peer.receive(through: Array("\r\n\r\n".utf8)).count > 20)
      for i in 0..<10 {
        peer.send("2\r\n\(i)x\r\n")
        #expect(try peer.receive(count: 7) == Array("2\r\n\(i)x\r\n".utf8))
      }
      peer.send("0\r\n\r\n" + get("/"))
      #expect(try peer.receive(through: Array("\r\n\r\n".utf8)).count > 5)
      #expect(try peer.textAnswer().status == 200)
    }
  }

  @Test func `a body with trailers is chunked, small and large`() async throws {
    try await withServer { _, port, _ in
      let peer = try ScriptedPeer(port: port)
      for size in [0, 1, 100_000] {
        peer.send(post("/trailers", String(repeating: "x", count: size)))
        let answer = try peer.textAnswer()
        #expect(answer.body.count == size)
        #expect(answer.trailers == ["x-end": "yes"])
      }
    }
  }

  @Test func `HEAD and 204 are heads alone`() async throws {
    try await withServer { _, port, _ in
      let peer = try ScriptedPeer(port: port)
      peer.send("HEAD /large HTTP/1.1\r\nHost: a\r\n\r\nHEAD /pieces HTTP/1.1\r\nHost: a\r\n\r\n" + get("/none") + get("/"))
      #expect(try peer.textAnswer(isBare: true).fields["content-length"] == "\(largeBytes)")
      #expect(try peer.textAnswer(isBare: true).fields["transfer-encoding"] == nil)
      #expect(try peer.textAnswer().status == 204)
      #expect(try peer.textAnswer().status == 200)
    }
  }

  @Test func `a handler that is in no hurry to end an answer to HEAD does not hold the next request up`() async throws {
    try await withServer { _, port, log in
      let peer = try ScriptedPeer(port: port)
      peer.send("HEAD /forever HTTP/1.1\r\nHost: a\r\n\r\nHEAD /trailers HTTP/1.1\r\nHost: a\r\n\r\n" + get("/"))
      #expect(try peer.textAnswer(isBare: true).status == 200)
      #expect(try peer.textAnswer(isBare: true).trailers == [:])
      #expect(try peer.textAnswer().status == 200)
      #expect(log.closedWell.load(ordering: .relaxed) >= 2)
    }
  }

  @Test func `over HTTP/2 an answer to HEAD, a 204 and a 304 are over with their head`() async throws {
    try await withServer { server, port, log in
      let peer = try ScriptedPeer(port: port)
      peer.open()
      let asked = [
        ("HEAD", "/large", "200", "\(largeBytes)"), ("HEAD", "/pieces", "200", nil), ("HEAD", "/stream", "200", nil),
        ("HEAD", "/forever", "200", nil), ("HEAD", "/trailers", "200", nil), ("HEAD", "/forbidden", "403", nil),
        ("GET", "/none", "204", nil), ("HEAD", "/unchanged", "304", nil), ("GET", "/unchanged", "304", nil),
        ("GET", "/unchanged-pieces", "304", nil),
      ]
      for (i, (method, path, _, _)) in asked.enumerated() {
        let block = ScriptedPeer.block(ScriptedPeer.request(path, method: method))
        peer.send(Frame(Frame.headers, flags: Frame.endHeaders | Frame.endStream, stream: 2 * i + 1, block))
      }
      var fields: [Int: [String: String]] = [:]
      while fields.count < asked.count {
        let frame = try peer.receive()
        #expect(frame.type != Frame.data && frame.type != Frame.resetStream)
        guard frame.type == Frame.headers else { continue }
        #expect(frame.flags & Frame.endStream != 0)
        fields[frame.stream] = peer.decode(frame.payload)
      }
      for (i, (method, path, status, length)) in asked.enumerated() {
        #expect(fields[2 * i + 1]?[":status"] == status, "\(method) \(path)")
        #expect(fields[2 * i + 1]?["content-length"] == length, "\(method) \(path)")
      }
      try log.until("the end of every stream") { log.closedWell.load(ordering: .relaxed) == asked.count }
      #expect(server.answers.bytesTaken == 0)
      // A body that is whole says its length, with HEAD or without.
      peer.send(
        Frame(Frame.headers, flags: Frame.endHeaders, stream: 101, ScriptedPeer.block(ScriptedPeer.request("/"))),
        Frame(Frame.data, flags: Frame.endStream, stream: 101, [1, 2, 3]))
      #expect(try peer.answer(on: 101).fields == [":status": "200", "content-length": "3"])
    }
  }

  @Test func `an answer to HEAD that does not wait for the request's body stops it`() async throws {
    try await withServer { _, port, log in
      let peer = try ScriptedPeer(port: port)
      peer.open()
      let block = ScriptedPeer.block(ScriptedPeer.request("/forever", method: "HEAD"))
      peer.send(Frame(Frame.headers, flags: Frame.endHeaders, stream: 1, block))
      #expect(try peer.receive(Frame.headers).flags & Frame.endStream != 0)
      #expect(try peer.receive(Frame.resetStream).errorCode == 0)
      try log.until("the end of the stream") { log.closed.load(ordering: .relaxed) == 1 }
    }
  }

  @Test func `HEAD that is upgraded to HTTP/2 is still HEAD`() async throws {
    try await withServer { _, port, _ in
      let peer = try ScriptedPeer(port: port)
      peer.send("HEAD /large HTTP/1.1\r\nHost: a\r\n\(Self.offer)\r\n")
      try expectSwitched(peer)
      peer.open()
      let head = try peer.receive(Frame.headers)
      #expect(head.flags & Frame.endStream != 0 && head.stream == 1)
    }
  }

  @Test func `HTTP/1.0 ends with its answer unless it asks to stay`() async throws {
    try await withServer { _, port, _ in
      let peer = try ScriptedPeer(port: port)
      peer.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
      #expect(try peer.textAnswer().fields["connection"] == "keep-alive")
      peer.send("POST /stream HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nabc")
      let answer = try peer.textAnswer()
      #expect(answer.text == "abc")
      #expect(answer.fields["connection"] == "close" && answer.fields["transfer-encoding"] == nil)
      let other = try ScriptedPeer(port: port)
      other.send("GET / HTTP/1.0\r\n\r\n")
      #expect(try other.textAnswer().fields["connection"] == "close")
      expectClosed(other)
    }
  }

  // MARK: holding back

  @Test func `a request behind one that is not answered waits for it`() async throws {
    try await withServer { _, port, log in
      let peer = try ScriptedPeer(port: port)
      peer.send(get("/later") + get("/later") + post("/", "third"))
      try log.until("the first request") { log.opened.load(ordering: .relaxed) > 0 }
      try expectServed(port)
      #expect(log.opened.load(ordering: .relaxed) == 2)
      try log.release()
      #expect(try peer.textAnswer().status == 200)
      try log.release()
      #expect(try peer.textAnswer().status == 200)
      #expect(try peer.textAnswer().text == "third")
    }
  }

  @Test func `a peer that pipelines and reads nothing is served no further than its buffers, and cut`() async throws {
    var limits = Limits()
    limits.writeStallMilliseconds = 100
    try await withServer(limits) { server, port, log in
      let peer = try ScriptedPeer(port: port, receiveBufferBytes: 4096)
      peer.send(String(repeating: get("/large"), count: 1000))
      try log.until("a request") { log.opened.load(ordering: .relaxed) > 0 }
      try log.until("the end of the connection") { server.connectionCount == 0 }
      #expect(log.opened.load(ordering: .relaxed) < 10)
      #expect(log.closedWell.load(ordering: .relaxed) < log.opened.load(ordering: .relaxed))
    }
  }

  @Test func `large bodies arrive whole at a slow reader, in one piece and in many`() async throws {
    try await withServer { _, port, _ in
      let peer = try ScriptedPeer(port: port, receiveBufferBytes: 4096)
      peer.send(get("/large") + get("/pieces") + post("/", "after"))
      let large = try peer.textAnswer().body
      #expect(large == (0..<largeBytes).map { UInt8(truncatingIfNeeded: $0) })
      let pieces = try peer.textAnswer().body
      #expect(pieces == (1...400).reversed().flatMap { [UInt8](repeating: UInt8(truncatingIfNeeded: $0), count: 20_000) })
      #expect(try peer.textAnswer().text == "after")
    }
  }

  @Test func `a paused handler is given no more, and everything when it goes on`() async throws {
    try await withServer { _, port, log in
      let peer = try ScriptedPeer(port: port)
      peer.send("POST /pausing HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
      peer.send("1\r\na\r\n1\r\nb\r\n1\r\nc\r\n0\r\n\r\n" + post("/", "next"))
      for _ in 0..<3 { try log.release() }
      #expect(try peer.textAnswer().text == "abc")
      #expect(try peer.textAnswer().text == "next")
    }
  }

  // MARK: 100-continue

  @Test func `who waits for 100 gets it when the handler reads`() async throws {
    try await withServer { _, port, log in
      let peer = try ScriptedPeer(port: port)
      let head = "HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"
      peer.send("POST / \(head)")
      #expect(try peer.textAnswer().status == 100)
      peer.send("abc")
      #expect(try peer.textAnswer().text == "abc")
      // A handler that has paused reads later.
      peer.send("POST /paused \(head)")
      try log.release()
      #expect(try peer.textAnswer().status == 100)
      peer.send("def")
      #expect(try peer.textAnswer().text == "def")
      // The body is here already: nobody waits.
      peer.send("POST / \(head)ghi")
      #expect(try peer.textAnswer().text == "ghi")
    }
  }

  @Test func `who waits for 100 may get an answer instead, and the connection ends`() async throws {
    try await withServer { _, port, _ in
      let peer = try ScriptedPeer(port: port)
      peer.send("POST /forbidden HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
      let answer = try peer.textAnswer()
      #expect(answer.status == 403 && answer.fields["connection"] == "close")
      expectClosed(peer)
    }
  }

  // MARK: early answers

  @Test func `an answer before the body leaves a connection that goes on when the body is short`() async throws {
    try await withServer { _, port, _ in
      let peer = try ScriptedPeer(port: port)
      peer.send(post("/forbidden", String(repeating: "x", count: 100_000)) + post("/", "after"))
      #expect(try peer.textAnswer().status == 403)
      #expect(try peer.textAnswer().text == "after")
    }
  }

  @Test func `an answer before a long body is heard although the peer goes on sending`() async throws {
    var limits = Limits()
    limits.discardedBytesMax = 4 << 20
    limits.lingerMilliseconds = 10_000
    try await withServer(limits) { _, port, _ in
      let peer = try ScriptedPeer(port: port)
      peer.send("POST /forbidden HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n")
      // Beyond what is thrown away for the connection's sake, and within what is at its end.
      peer.send([UInt8](repeating: 1, count: 6 << 20))
      #expect(try peer.textAnswer().status == 403)
      expectClosed(peer)
    }
  }

  // MARK: what is refused

  @Test(arguments: [
    ("GET / HTTP/1.1\r\n\r\n", 400), ("GET / HTTP/1.1\r\nHost: a\nb: c\r\n\r\n", 400), ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n", 413),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n+3\r\nabc\r\n", 400),
    ("CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", 501), ("GET / HTTP/1.1\r\nHost: a\r\nExpect: more\r\n\r\n", 417),
    ("\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}", 400), ("PRINT\r\n\r\n", 400),
  ])
  func `what cannot be taken is answered and the connection closed, whatever stands behind`(_ text: String, _ status: Int) async throws {
    try await withServer { _, port, _ in
      let peer = try ScriptedPeer(port: port)
      peer.send(get("/") + text + get("/"))
      #expect(try peer.textAnswer().status == 200)
      let answer = try peer.textAnswer()
      #expect(answer.status == status)
      #expect(answer.fields["connection"] == "close")
      expectClosed(peer)
      // And as the first thing on a connection.
      let other = try ScriptedPeer(port: port)
      other.send(text)
      #expect(try other.textAnswer().status == status)
      expectClosed(other)
    }
  }

  @Test func `long targets and heads are told from other faults`() async throws {
    try await withServer { _, port, _ in
      for (text, status) in [
        ("GET /" + String(repeating: "x", count: 10_000), 414),
        ("GET / HTTP/1.1\r\nHost: a\r\nb: " + String(repeating: "x", count: 20_000), 431),
      ] {
        let peer = try ScriptedPeer(port: port)
        peer.send(text)
        #expect(try peer.textAnswer().status == status)
        expectClosed(peer)
      }
    }
  }

  @Test func `a body that goes wrong under a half answer cuts the connection`() async throws {
    try await withServer { _, port, _ in
      let peer = try ScriptedPeer(port: port)
      peer.send("POST /stream HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\nx\r\n")
      let rest = String(decoding: try peer.receiveRest(), as: UTF8.self)
      #expect(rest.hasPrefix("HTTP/1.1 200 OK\r\n") && rest.hasSuffix("\r\n\r\n1\r\na\r\n"))
    }
  }

  @Test func `a handler that resets its stream ends the connection without an answer`() async throws {
    try await withServer { _, port, _ in
      for text in [get("/reset"), post("/fails", "x")] {
        let peer = try ScriptedPeer(port: port)
        peer.send(text)
        expectClosed(peer)
      }
    }
  }

  // MARK: time

  @Test func `a head that does not end is answered 408`() async throws {
    var limits = Limits()
    limits.headerMilliseconds = 50
    try await withServer(limits) { _, port, _ in
      let peer = try ScriptedPeer(port: port)
      peer.send("GET / HTTP/1.1\r\nHo")
      #expect(try peer.textAnswer().status == 408)
      expectClosed(peer)
      // The time is each request's own.
      let other = try ScriptedPeer(port: port)
      other.send(get("/") + "GET")
      #expect(try other.textAnswer().status == 200)
      #expect(try other.textAnswer().status == 408)
    }
  }

  @Test func `a body that brings too little is answered 408, and one that is not wanted has time`() async throws {
    var limits = Limits()
    limits.bodyMilliseconds = 50
    limits.bodyBytesPerSecondMin = 40
    try await withServer(limits) { _, port, log in
      let peer = try ScriptedPeer(port: port)
      peer.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\na")
      #expect(try peer.textAnswer().status == 408)
      expectClosed(peer)
      let paused = try ScriptedPeer(port: port)
      paused.send("POST /paused HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n")
      let other = try ScriptedPeer(port: port)
      other.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\na")
      #expect(try other.textAnswer().status == 408)
      // Later than the other's time.
      paused.send("abc")
      try log.release()
      #expect(try paused.textAnswer().text == "abc")
    }
  }

  @Test func `an idle connection is closed, before its first request and between two`() async throws {
    var limits = Limits()
    limits.handshakeMilliseconds = 50
    limits.requestIdleMilliseconds = 50
    try await withServer(limits) { _, port, _ in
      expectClosed(try ScriptedPeer(port: port))
      let peer = try ScriptedPeer(port: port)
      peer.send(get("/"))
      #expect(try peer.textAnswer().status == 200)
      expectClosed(peer)
    }
  }

  @Test func `a peer that keeps its side open behind the last answer is not waited for`() async throws {
    var limits = Limits()
    limits.lingerMilliseconds = 50
    try await withServer(limits) { server, port, _ in
      let peer = try ScriptedPeer(port: port)
      peer.send("GET / HTTP/1.1\r\n\r\n")
      #expect(try peer.textAnswer().status == 400)
      expectClosed(peer)
      try TestLog().until("the end of the connection") { server.connectionCount == 0 }
    }
  }

  // MARK: the end

  @Test func `a client that has shut its side gets all its answers`() async throws {
    try await withServer { _, port, log in
      let peer = try ScriptedPeer(port: port)
      peer.send(post("/", "1") + get("/later") + post("/", "3"))
      peer.shutdownWrites()
      #expect(try peer.textAnswer().text == "1")
      try log.release()
      #expect(try peer.textAnswer().status == 200)
      #expect(try peer.textAnswer().text == "3")
      expectClosed(peer)
    }
  }

  @Test func `a client that goes in the middle of a request takes it along`() async throws {
    try await withServer { _, port, log in
      for text in ["GET / HT", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc"] {
        let peer = try ScriptedPeer(port: port)
        peer.send(text)
        peer.shutdownWrites()
        expectClosed(peer)
      }
      #expect(log.closedWell.load(ordering: .relaxed) == 0)
    }
  }

  @Test func `a drain closes what is idle and lets the others finish`() async throws {
    try await withServer(isServingAfter: false) { server, port, log in
      let idle = try ScriptedPeer(port: port)
      idle.send(get("/"))
      #expect(try idle.textAnswer().status == 200)
      let busy = try ScriptedPeer(port: port)
      busy.send(get("/later"))
      let streaming = try ScriptedPeer(port: port)
      streaming.send("POST /stream HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\na")
      try log.until("the requests") { log.opened.load(ordering: .relaxed) == 3 }
      let done = Atomic<Bool>(false)
      server.startDraining(deadline: .seconds(20)) { done.store(true, ordering: .releasing) }
      expectClosed(idle)
      try log.release()
      #expect(try busy.textAnswer().fields["connection"] == "close")
      expectClosed(busy)
      streaming.send("b")
      #expect(try streaming.textAnswer().text == "ab")
      expectClosed(streaming)
      try log.until("the end of the drain") { done.load(ordering: .acquiring) }
    }
  }

  // MARK: h2c

  private static let offer = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAA\r\n"

  private func expectSwitched(_ peer: ScriptedPeer) throws {
    let answer = try peer.textAnswer()
    #expect(answer.status == 101)
    #expect(answer.fields == ["connection": "Upgrade", "upgrade": "h2c"])
  }

  @Test func `an offer of h2c is taken: the request becomes stream 1`() async throws {
    try await withServer { _, port, _ in
      let peer = try ScriptedPeer(port: port)
      peer.send(get("/trailers", Self.offer))
      try expectSwitched(peer)
      peer.open()
      #expect(try peer.answer(on: 1).fields == [":status": "200", "x-end": "yes"])
      peer.send(
        Frame(Frame.headers, flags: Frame.endHeaders, stream: 3, ScriptedPeer.block(ScriptedPeer.request("/"))),
        Frame(Frame.data, flags: Frame.endStream, stream: 3, [7]))
      #expect(try peer.answer(on: 3).body == [7])
    }
  }

  @Test func `a preface right behind the offer is not lost`() async throws {
    try await withServer { _, port, _ in
      let peer = try ScriptedPeer(port: port)
      let more = Frame(Frame.settings).bytes + Frame(
        Frame.headers, flags: Frame.endHeaders | Frame.endStream, stream: 3, ScriptedPeer.block(ScriptedPeer.request("/none"))
      ).bytes
      peer.send(Array(("HEAD /forbidden HTTP/1.1\r\nHost: a\r\n" + Self.offer + "\r\n").utf8) + ScriptedPeer.preface + more)
      try expectSwitched(peer)
      #expect(try peer.answer(on: 1).fields[":status"] == "403")
      #expect(try peer.answer(on: 3).fields[":status"] == "204")
    }
  }

  @Test func `an offer with a body, or later than first, is not taken`() async throws {
    try await withServer { _, port, _ in
      let peer = try ScriptedPeer(port: port)
      peer.send(post("/", "body", Self.offer) + get("/", Self.offer))
      #expect(try peer.textAnswer().text == "body")
      #expect(try peer.textAnswer().status == 200)
    }
  }

  @Test func `settings that are none end the connection`() async throws {
    try await withServer { _, port, _ in
      let peer = try ScriptedPeer(port: port)
      // SETTINGS_INITIAL_WINDOW_SIZE of 2^32 - 1.
      peer.send(get("/", Self.offer.replacing("AAMAAABkAAQAoAAA", with: "AAT_____")))
      try expectSwitched(peer)
      #expect(try peer.receiveUntilClosed().contains { $0.type == Frame.goAway })
    }
  }
}
