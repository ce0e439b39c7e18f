// Letting the bytes of a large message gather, and noticing all the same what else the peer says.
import Synchronization
import TestThreads
import Testing
import TransportSupport

@testable import HTTP

@Suite(.blocking, .timeLimit(.minutes(1))) struct PatienceTests {
  @Test func `a fast sender is waited for, to the end of the message`() {
    var patience = Patience()
    #expect(patience.read(65_536, expecting: 100_000) == 100_000)
    #expect(patience.isWaiting)
    #expect(patience.read(60_000, expecting: 40_000) == 40_000)
    #expect(patience.read(40_000, expecting: 0) == 1)
    #expect(!patience.isWaiting)
  }

  @Test func `no more is waited for than one turn reads`() {
    var patience = Patience()
    #expect(patience.read(65_536, expecting: 1 << 30) == Quantum.patientBytesMax)
    #expect(patience.read(65_536, expecting: 1 << 29) == nil, "the mark is set already")
  }

  @Test func `a slow sender and a small rest are not waited for`() {
    var patience = Patience()
    #expect(patience.read(Quantum.patientFromBytes - 1, expecting: 1 << 20) == nil)
    #expect(patience.read(1 << 20, expecting: Quantum.patientFromBytes - 1) == nil)
  }

  @Test func `the wait goes on while bytes come and ends when none came`() {
    var patience = Patience()
    _ = patience.read(65_536, expecting: 1 << 20)
    let checks = [patience.checked(), patience.checked()]
    #expect(checks == [true, false])
    let marks = [patience.end(), patience.end()]
    #expect(marks == [1, nil])
  }

  /// A handler that expects a million bytes on `/large`, and answers anything else at once.
  private final class Large: HTTPApplication {
    static let head = StaticFields([(":status", "200")])
    let counters: Counters
    init(_ counters: Counters) { self.counters = counters }

    func opened(_ stream: HTTPStream) {
      stream.handler = Exchange(counters)
      if stream.head[.path].equals("/small") { stream.respond(Large.head, FieldList()) }
    }

    final class Exchange: StreamHandler {
      let counters: Counters
      init(_ counters: Counters) { self.counters = counters }
      func received(_ bytes: RawSpan, on stream: HTTPStream) {
        stream.bytesExpected = 1_000_000 - counters.received.add(bytes.byteCount, ordering: .relaxed).newValue
      }
      func ended(_ stream: HTTPStream) { stream.respond(Large.head, FieldList()) }
      func closed(_ stream: HTTPStream, _ error: StreamError) { counters.closed.add(1, ordering: .relaxed) }
    }
  }

  private final class Counters: Sendable {
    let received = Atomic<Int>(0)
    let closed = Atomic<Int>(0)
  }

  /// A tenth of `/large` has arrived, and the server is waiting for more of it.
  private func withTenth(_ body: (ScriptedPeer, Counters) async throws -> Void) async throws {
    let counters = Counters()
    let server = try HTTPServer(.init(endpoints: [.tcp(host: "127.0.0.1", port: 0)], loops: 1)) { _ in Large(counters) }
    try server.start()
    let result: Result<Void, any Error>
    do {
      let peer = try ScriptedPeer(port: server.ports[0])
      peer.open()
      // The windows we announce count once they are acknowledged.
      _ = try peer.receive(Frame.settings)
      peer.send(Frame(Frame.settings, flags: Frame.acknowledge))
      peer.send(head(1, "/large"))
      send(100_000, on: peer)
      try await until { counters.received.load(ordering: .relaxed) == 100_000 }
      try await body(peer, counters)
      result = .success(())
    } catch { result = .failure(error) }
    await server.drain(deadline: .zero)
    try result.get()
  }

  /// Part of `/large`, in frames of the usual size.
  private func send(_ count: Int, on peer: ScriptedPeer, end: Bool = false) {
    var bytes: [UInt8] = []
    for start in stride(from: 0, to: count, by: 16_384) {
      let size = min(16_384, count - start), isLast = start + size == count
      let payload = [UInt8](repeating: 7, count: size)
      bytes += Frame(Frame.data, flags: end && isLast ? Frame.endStream : 0, stream: 1, payload).bytes
    }
    peer.send(bytes)
  }

  private func until(_ condition: () -> Bool) async throws {
    let deadline = ContinuousClock.now + .seconds(10)
    while !condition() {
      if ContinuousClock.now > deadline { throw PeerError.timedOut }
      await Task.yield()
    }
  }

  private func head(_ stream: Int, _ path: String, end: Bool = false) -> Frame {
    Frame(
      Frame.headers, flags: Frame.endHeaders | (end ? Frame.endStream : 0), stream: stream,
      ScriptedPeer.block(ScriptedPeer.request(path)))
  }

  @Test func `a small request behind half a large one is answered`() async throws {
    try await withTenth { peer, _ in
      peer.send(head(3, "/small", end: true))
      let answer = try peer.answer(on: 3)
      #expect(answer.fields[":status"] == "200")
    }
  }

  @Test func `a large message that is called off ends its stream`() async throws {
    try await withTenth { peer, counters in
      peer.send(Frame(Frame.resetStream, stream: 1, Frame.word(8)))
      try await until { counters.closed.load(ordering: .relaxed) == 1 }
    }
  }

  @Test func `a peer that leaves in the middle of a large message is noticed`() async throws {
    try await withTenth { peer, counters in
      peer.close()
      try await until { counters.closed.load(ordering: .relaxed) == 1 }
    }
  }

  @Test func `the rest of a large message arrives, in whatever pieces`() async throws {
    try await withTenth { peer, _ in
      let sizes = [1, 16_384, 100_000, 3, 250_000, 40_000]
      for size in sizes { send(size, on: peer) }
      send(900_000 - sizes.reduce(0, +), on: peer, end: true)
      let answer = try peer.answer(on: 1)
      #expect(answer.fields[":status"] == "200")
    }
  }
}
