// Bodies in pieces, both ways, and who waits for whom.
import Synchronization
import TestThreads
import Testing
import TransportSupport

@testable import HTTP

/// What a test's handler has seen, for the test's thread.
private final class Seen: Sendable {
  let writes = Atomic<Int>(0)
  let waits = Atomic<Int>(0)
  let received = Atomic<Int>(0)
  let closed = Atomic<Int>(0)
}

/// `/count`: pieces of `piece` bytes until `total`, as fast as the peer reads, then trailers.
/// `/echo`: what comes, as it comes. `/hold`: takes nothing until `/release` comes on the same connection.
/// `/early`: a whole streamed answer before the request has ended.
private final class Pieces: HTTPApplication {
  static let head = StaticFields([(":status", "200")])
  let seen: Seen
  var held: [HTTPStream] = []
  init(_ seen: Seen) { self.seen = seen }

  func opened(_ stream: HTTPStream) {
    let path = stream.head.text(.path) ?? ""
    stream.handler = Exchange(self, path)
    switch path {
    case "/hold":
      stream.pause()
      held.append(stream)
    case "/release":
      for stream in held { stream.resume() }
      held = []
      stream.begin(Pieces.head, FieldList())
      stream.end()
    default: stream.begin(Pieces.head, FieldList())
    }
  }

  final class Exchange: StreamHandler {
    let application: Pieces
    let path: String
    var left = 3_000_000
    init(_ application: Pieces, _ path: String) {
      self.application = application
      self.path = path
    }

    private func text(_ text: StaticString) -> ByteBuffer {
      var buffer = ByteBuffer()
      // A literal lives for the whole process.
      _ = unsafe buffer.append(text.utf8Start, text.utf8CodeUnitCount)
      return buffer
    }

    func received(_ bytes: RawSpan, on stream: HTTPStream) {
      application.seen.received.add(bytes.byteCount, ordering: .relaxed)
      if path == "/echo" {
        var copy = ByteBuffer()
        _ = copy.append(bytes)
        stream.write(copy)
      }
      if path == "/early" {
        stream.write(text("enough"))
        stream.end(nil, trailers())
      }
    }

    func ended(_ stream: HTTPStream) {
      switch path {
      case "/count": pour(stream)
      case "/hold":
        stream.begin(Pieces.head, FieldList())
        stream.end()
      default: stream.end(nil, trailers())
      }
    }

    func writable(_ stream: HTTPStream) { pour(stream) }

    private func trailers() -> FieldList {
      var fields = FieldList()
      fields.append("verdict", "done")
      return fields
    }

    private func pour(_ stream: HTTPStream) {
      while left > 0 {
        var piece = ByteBuffer()
        _ = piece.append(byteCount: 7000) { output in
          for _ in 0..<7000 { output.append(UInt8(truncatingIfNeeded: left)) }
        }
        left -= 7000
        application.seen.writes.add(1, ordering: .relaxed)
        if !stream.write(piece), left > 0 {
          application.seen.waits.add(1, ordering: .relaxed)
          return
        }
      }
      stream.end(nil, trailers())
    }

    func closed(_ stream: HTTPStream, _ error: StreamError) { application.seen.closed.add(1, ordering: .relaxed) }
  }
}

@Suite(.blocking, .timeLimit(.minutes(1))) struct StreamingTests {
  private func withServer(_ body: (ScriptedPeer, Seen) async throws -> Void) async throws {
    let seen = Seen()
    let server = try HTTPServer(.init(endpoints: [.tcp(host: "127.0.0.1", port: 0)], loops: 1)) { _ in Pieces(seen) }
    try server.start()
    do { try await body(try ScriptedPeer(port: server.ports[0]), seen) } catch {
      await server.drain(deadline: .zero)
      throw error
    }
    await server.drain(deadline: .zero)
  }

  private func head(_ stream: Int, _ path: String, end: Bool = false) -> Frame {
    Frame(
      Frame.headers, flags: Frame.endHeaders | (end ? Frame.endStream : 0), stream: stream,
      ScriptedPeer.block(ScriptedPeer.request(path)))
  }

  private let wide = [(id: 4, value: 1 << 30)]

  private func openWide(_ peer: ScriptedPeer) {
    peer.open(wide)
    // Our window counts once the peer has acknowledged it.
    peer.send(Frame(Frame.settings, flags: Frame.acknowledge), Frame(Frame.windowUpdate, Frame.word(1 << 30)))
  }

  @Test func `an answer in pieces arrives in order with its trailers`() async throws {
    try await withServer { peer, seen in
      openWide(peer)
      peer.send(head(1, "/count", end: true))
      let answer = try peer.answer(on: 1)
      #expect(answer.fields["verdict"] == "done")
      var expected: [UInt8] = []
      var left = 3_000_000
      while left > 0 {
        expected += [UInt8](repeating: UInt8(truncatingIfNeeded: left), count: 7000)
        left -= 7000
      }
      #expect(answer.body == expected)
      #expect(seen.waits.load(ordering: .relaxed) > 0)
    }
  }

  @Test func `a writer waits for a peer that opens no window, and goes on when it does`() async throws {
    try await withServer { peer, seen in
      peer.open()
      peer.send(head(1, "/count", end: true))
      var got = 0
      while got < 65_535 { got += try peer.receive(Frame.data).payload.count }
      // A neighbour on the same connection is served by its head: the connection's window is shut as well.
      peer.send(head(3, "/release", end: true))
      let neighbour = try peer.receive(Frame.headers)
      #expect(neighbour.stream == 3)
      let written = seen.writes.load(ordering: .relaxed)
      #expect(written * 7000 < 65_535 + (64 << 10) + 14_000)
      peer.send(Frame(Frame.windowUpdate, Frame.word(1 << 30)), Frame(Frame.windowUpdate, stream: 1, Frame.word(1 << 30)))
      var ended = false
      while !ended {
        let frame = try peer.receive()
        if frame.stream == 1, frame.type == Frame.data { got += frame.payload.count }
        ended = frame.stream == 1 && frame.flags & Frame.endStream != 0 && frame.type <= Frame.headers
      }
      #expect(got == 3_003_000)
    }
  }

  @Test func `an echo answers before the request has ended`() async throws {
    try await withServer { peer, _ in
      openWide(peer)
      peer.send(head(1, "/echo"))
      for text in ["one", "two", "three"] {
        peer.send(Frame(Frame.data, stream: 1, Array(text.utf8)))
        let echoed = try peer.receive(Frame.data).payload
        #expect(echoed == Array(text.utf8))
      }
      peer.send(Frame(Frame.data, flags: Frame.endStream, stream: 1))
      #expect(try peer.answer(on: 1).fields["verdict"] == "done")
    }
  }

  @Test func `an answer that ends before its request stops the upload`() async throws {
    try await withServer { peer, _ in
      openWide(peer)
      peer.send(head(1, "/early"), Frame(Frame.data, stream: 1, [1, 2, 3]))
      let answer = try peer.answer(on: 1)
      #expect(answer.body == Array("enough".utf8))
      #expect(answer.fields["verdict"] == "done")
      let reset = try peer.receive(Frame.resetStream)
      #expect(reset.stream == 1)
      #expect(reset.errorCode == 0)
    }
  }

  @Test func `a paused stream keeps its own window shut and not its neighbours'`() async throws {
    try await withServer { peer, seen in
      openWide(peer)
      let window = Limits().streamWindowBytes
      peer.send(head(1, "/hold"))
      var left = window
      while left > 0 {
        let n = min(left, 16_384)
        peer.send(Frame(Frame.data, stream: 1, [UInt8](repeating: 0, count: n)))
        left -= n
      }
      peer.send(head(3, "/echo"), Frame(Frame.data, flags: Frame.endStream, stream: 3, [7]))
      // Until the neighbour's answer there is no WINDOW_UPDATE for stream 1.
      var frames: [Frame] = []
      while frames.last?.type != Frame.data { frames.append(try peer.receive()) }
      #expect(!frames.contains { $0.type == Frame.resetStream })
      #expect(!frames.contains { $0.type == Frame.windowUpdate && $0.stream == 1 })
      #expect(frames.last?.payload == [7])
      peer.send(head(5, "/release", end: true))
      var opened = 0
      while opened == 0 {
        let frame = try peer.receive(Frame.windowUpdate)
        if frame.stream == 1 { opened = frame.payload.reduce(0) { $0 << 8 | Int($1) } }
      }
      #expect(opened == window)
      peer.send(Frame(Frame.data, flags: Frame.endStream, stream: 1))
      while seen.closed.load(ordering: .relaxed) < 3 { await Task.yield() }
      #expect(seen.received.load(ordering: .relaxed) == window + 1)
    }
  }
}
