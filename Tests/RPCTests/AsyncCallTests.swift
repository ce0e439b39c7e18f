// Handlers that await: the same calls, seen from a task. The peer blocks, so it has a thread of its own: tasks must be able
// to run while it waits for what they say.
import Dispatch
import HTTP
import Synchronization
import TestThreads
import Testing
import TransportSupport

@testable import RPC

/// A scripted peer that is waited for without holding a thread of the tasks.
private final class Peer: @unchecked Sendable {
  private let peer: ScriptedPeer
  private let queue = DispatchQueue(label: "peer")
  init(_ peer: ScriptedPeer) { self.peer = peer }

  private func run<R: Sendable>(_ body: @escaping @Sendable (ScriptedPeer) throws -> R) async throws -> R {
    try await withCheckedThrowingContinuation { continuation in
      queue.async { [self] in continuation.resume(with: Result { try body(peer) }) }
    }
  }

  func open(_ settings: [(id: Int, value: Int)]) { queue.sync { peer.open(settings) } }
  func send(_ frames: Frame...) { queue.sync { _ = peer.send(frames.flatMap(\.bytes)) } }
  func close() { queue.sync { peer.close() } }
  func receive() async throws -> Frame { try await run { try $0.receive() } }
  func receive(_ type: UInt8) async throws -> Frame { try await run { try $0.receive(type) } }
  func answer(on stream: Int) async throws -> Answer { try await run { try $0.answer(on: stream) } }
}

@Suite(.blocking, .timeLimit(.minutes(1))) struct AsyncCallTests {
  private final class Seen: Sendable {
    let received = Atomic<Int>(0)
    let written = Atomic<Int>(0)
    let cancelled = Atomic<Int>(0)
  }

  private let seen = Seen()

  private func withServer(
    _ limits: AsyncHandler.Limits = .init(), _ handler: @escaping @Sendable (AsyncCall) async throws -> Void,
    _ body: (Peer) async throws -> Void
  ) async throws {
    var methods = MethodTable()
    methods.register(path: "/test/Call", streaming: AsyncHandler(limits: limits, handler))
    var configuration = RPCServer.Configuration(host: "127.0.0.1")
    configuration.http.loops = 1
    let server = try RPCServer(methods: methods, configuration: configuration)
    try server.start()
    do {
      let peer = Peer(try ScriptedPeer(port: server.ports[0]))
      try await body(peer)
      peer.close()
    } catch {
      await server.drain(deadline: .zero)
      throw error
    }
    await server.drain(deadline: .zero)
  }

  private func head(_ stream: Int, _ more: [(String, String)] = []) -> Frame {
    let fields = ScriptedPeer.request("/test/Call", [("te", "trailers"), ("content-type", "application/grpc")] + more)
    return Frame(Frame.headers, flags: Frame.endHeaders, stream: stream, ScriptedPeer.block(fields))
  }

  private func message(_ bytes: [UInt8]) -> [UInt8] { [0] + Frame.word(bytes.count) + bytes }

  private func data(_ stream: Int, _ bytes: [UInt8], end: Bool = false) -> Frame {
    Frame(Frame.data, flags: end ? Frame.endStream : 0, stream: stream, bytes)
  }

  private func openWide(_ peer: Peer) {
    peer.open([(id: 1, value: 0), (id: 4, value: 1 << 30)])
    peer.send(Frame(Frame.settings, flags: Frame.acknowledge), Frame(Frame.windowUpdate, Frame.word(1 << 30)))
  }

  private func until(_ condition: () -> Bool) async throws {
    for _ in 0..<5000 {
      if condition() { return }
      try await Task.sleep(for: .milliseconds(2))
    }
    Issue.record("it never came true")
  }

  @Test func `an echo is a loop`() async throws {
    try await withServer { call in
      var initial = Metadata()
      try initial.add("x-first", call.metadata["x-say"] ?? "")
      call.sendHead(initial)
      for try await message in call.messages { try await call.write(message) }
      var trailers = Metadata()
      try trailers.add("x-last", "done")
      call.setTrailers(trailers)
    } _: { peer in
      openWide(peer)
      peer.send(head(1, [("x-say", "hello")]))
      let all = (0..<200).flatMap { message([UInt8](repeating: UInt8($0), count: $0)) }
      peer.send(data(1, all, end: true))
      let answer = try await peer.answer(on: 1)
      #expect(answer.body == all && answer.fields["grpc-status"] == "0")
      #expect(answer.fields["x-first"] == "hello" && answer.fields["x-last"] == "done")
    }
  }

  @Test func `what is thrown is the status`() async throws {
    struct Oops: Error {}
    try await withServer { call in
      if call.metadata["x-throw"] == "status" { throw Status(.outOfRange, "too far") }
      throw Oops()
    } _: { peer in
      openWide(peer)
      peer.send(head(1, [("x-throw", "status")]), head(3))
      let first = try await peer.answer(on: 1)
      #expect(first.fields["grpc-status"] == "11" && first.fields["grpc-message"] == "too far")
      let second = try await peer.answer(on: 3)
      #expect(second.fields["grpc-status"] == "2")
    }
  }

  @Test func `a task that does not read leaves the client at its window`() async throws {
    let gate = AsyncStream<Void>.makeStream()
    var limits = AsyncHandler.Limits()
    limits.messagesWaitingMax = 4
    try await withServer(limits) { [seen] call in
      for await _ in gate.stream { break }
      for try await message in call.messages { seen.received.add(message.count, ordering: .relaxed) }
    } _: { peer in
      openWide(peer)
      peer.send(head(1))
      let window = HTTP.Limits().streamWindowBytes, one = message([UInt8](repeating: 7, count: 16_379)), count = window / one.count
      for _ in 0..<count { peer.send(data(1, one)) }
      peer.send(Frame(Frame.ping, [1, 2, 3, 4, 5, 6, 7, 8]))
      var frames: [Frame] = []
      while frames.last?.type != Frame.ping { frames.append(try await peer.receive()) }
      // What the four messages came in is not given back either.
      #expect(!frames.contains { $0.type == Frame.windowUpdate && $0.stream == 1 })
      gate.continuation.finish()
      peer.send(data(1, [], end: true))
      let answer = try await peer.answer(on: 1)
      #expect(answer.fields["grpc-status"] == "0")
      #expect(seen.received.load(ordering: .relaxed) == count * 16_379)
    }
  }

  @Test func `a writer waits for a client that does not read`() async throws {
    try await withServer { [seen] call in
      for _ in 0..<10_000 {
        try await call.write([UInt8](repeating: 1, count: 10_000))
        seen.written.add(1, ordering: .relaxed)
      }
    } _: { peer in
      peer.open([(id: 1, value: 0)])
      peer.send(head(1))
      var got = 0
      while got < 65_535 { got += try await peer.receive(Frame.data).payload.count }
      peer.send(Frame(Frame.ping, [1, 2, 3, 4, 5, 6, 7, 8]))
      _ = try await peer.receive(Frame.ping)
      #expect(seen.written.load(ordering: .relaxed) * 10_005 <= 65_535 + (64 << 10) + 10_005)
      peer.send(Frame(Frame.windowUpdate, Frame.word(1 << 20)), Frame(Frame.windowUpdate, stream: 1, Frame.word(1 << 20)))
      while got < 1_000_000 { got += try await peer.receive(Frame.data).payload.count }
    }
  }

  @Test func `a reset ends a reader, a writer and a sleeper`() async throws {
    try await withServer { [seen] call in
      do {
        switch call.metadata["x-wait"] {
        case "read": for try await _ in call.messages {}
        case "write": while true { try await call.write([UInt8](repeating: 1, count: 50_000)) }
        default: try await Task.sleep(for: .seconds(60))
        }
      } catch is CancellationError {
        seen.cancelled.add(1, ordering: .relaxed)
        throw CancellationError()
      }
    } _: { peer in
      peer.open([(id: 1, value: 0)])
      peer.send(head(1, [("x-wait", "read")]), head(3, [("x-wait", "write")]), head(5, [("x-wait", "sleep")]))
      _ = try await peer.receive(Frame.data)
      for id in [1, 3, 5] { peer.send(Frame(Frame.resetStream, stream: id, Frame.word(8))) }
      try await until { seen.cancelled.load(ordering: .relaxed) == 3 }
    }
  }

  @Test func `a deadline cancels the task`() async throws {
    try await withServer { [seen] call in
      do { for try await _ in call.messages {} } catch {
        seen.cancelled.add(Task.isCancelled ? 1 : 100, ordering: .relaxed)
        throw error
      }
    } _: { peer in
      openWide(peer)
      peer.send(head(1, [("grpc-timeout", "30m")]))
      let answer = try await peer.answer(on: 1)
      #expect(answer.fields["grpc-status"] == "4")
      // The task may need a moment to hear that it is cancelled.
      try await until { seen.cancelled.load(ordering: .relaxed) > 0 }
    }
  }

  @Test func `a task that does not listen to its cancellation ends with its server all the same`() async throws {
    try await withServer { [seen] call in
      var failures = 0
      while failures < 1000 {
        do { try await call.write([1]) } catch { failures += 1 }
      }
      seen.cancelled.add(1, ordering: .relaxed)
    } _: { peer in
      openWide(peer)
      peer.send(head(1))
      _ = try await peer.receive(Frame.data)
    }
    try await until { seen.cancelled.load(ordering: .relaxed) == 1 }
  }

  @Test func `a task of the handler's that is cancelled leaves the call to the others`() async throws {
    try await withServer { [seen] call in
      await withTaskGroup(of: Void.self) { group in
        group.addTask {
          do { for try await _ in call.messages {} } catch { seen.cancelled.add(1, ordering: .relaxed) }
        }
        group.cancelAll()
      }
      try await call.write([5])
      for try await message in call.messages { try await call.write(message) }
    } _: { peer in
      openWide(peer)
      peer.send(head(1))
      let first = try await peer.receive(Frame.data)
      #expect(first.payload == message([5]) && seen.cancelled.load(ordering: .relaxed) == 1)
      peer.send(data(1, message([6]), end: true))
      let answer = try await peer.answer(on: 1)
      #expect(answer.body == message([6]) && answer.fields["grpc-status"] == "0")
    }
  }
}
