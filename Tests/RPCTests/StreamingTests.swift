// Streaming calls on the server, told by a scripted peer: what is said, and who waits for whom.
import HTTP
import Synchronization
import TestThreads
import Testing
import TransportSupport

@testable import RPC

/// What the handlers of a test have seen, for the test's thread.
private final class Seen: Sendable {
  let received = Atomic<Int>(0)
  let ended = Atomic<Int>(0)
  let cancelled = Atomic<Int>(0)
  let writes = Atomic<Int>(0)
  let waits = Atomic<Int>(0)
  /// The call opened first, and the latest.
  let first = Mutex<StreamingCall?>(nil)
  let call = Mutex<StreamingCall?>(nil)
}

/// One handler for every call; `react` makes the difference.
private final class Script: StreamingHandler, CallHandler, @unchecked Sendable {
  enum Event { case opened, message([UInt8]), ended, writable }

  private let seen: Seen
  private let react: @Sendable (StreamingCall, Event) -> Void
  init(_ seen: Seen, _ react: @escaping @Sendable (StreamingCall, Event) -> Void) {
    self.seen = seen
    self.react = react
  }

  func open(_ call: StreamingCall) -> any CallHandler {
    seen.first.withLock { $0 = $0 ?? call }
    seen.call.withLock { $0 = call }
    react(call, .opened)
    return self
  }

  func received(_ message: consuming ByteBuffer, on call: StreamingCall) {
    let bytes = unsafe message.bytes.withUnsafeBytes { unsafe Array($0) }
    react(call, .message(bytes))
    // Behind the reaction: who sees the count sees what it did.
    seen.received.add(1, ordering: .releasing)
  }

  func ended(_ call: StreamingCall) {
    react(call, .ended)
    seen.ended.add(1, ordering: .releasing)
  }

  func writable(_ call: StreamingCall) { react(call, .writable) }
  func cancelled(_ call: StreamingCall) { seen.cancelled.add(1, ordering: .releasing) }
}

@Suite(.blocking, .timeLimit(.minutes(1))) struct StreamingTests {
  private let seen = Seen()

  private func withServer(
    _ methods: MethodTable, _ configure: (inout RPCServer.Configuration) -> Void = { _ in },
    _ body: (ScriptedPeer) async throws -> Void
  ) async throws {
    var configuration = RPCServer.Configuration(host: "127.0.0.1")
    configuration.http.loops = 1
    configure(&configuration)
    let server = try RPCServer(methods: methods, configuration: configuration)
    try server.start()
    do {
      let peer = try ScriptedPeer(port: server.ports[0])
      try await body(peer)
      peer.close()
    } catch {
      await server.drain(deadline: .zero)
      throw error
    }
    await server.drain(deadline: .zero)
  }

  private func table(_ react: @escaping @Sendable (StreamingCall, Script.Event) -> Void) -> MethodTable {
    var methods = MethodTable()
    methods.register(path: "/test/Call", streaming: Script(seen, react))
    methods.register(path: "/test/Echo", streaming: Script(seen) { call, event in
      switch event {
      case .message(let message): call.write(message)
      case .ended: call.finish()
      default: break
      }
    })
    return methods
  }

  private func head(_ stream: Int, _ path: String = "/test/Call", _ more: [(String, String)] = [], end: Bool = false) -> Frame {
    let fields = ScriptedPeer.request(path, [("te", "trailers"), ("content-type", "application/grpc")] + more)
    return Frame(
      Frame.headers, flags: Frame.endHeaders | (end ? Frame.endStream : 0), stream: stream, ScriptedPeer.block(fields))
  }

  private func message(_ bytes: [UInt8], flag: UInt8 = 0) -> [UInt8] { [flag] + Frame.word(bytes.count) + bytes }

  private func data(_ stream: Int, _ bytes: [UInt8], end: Bool = false) -> Frame {
    Frame(Frame.data, flags: end ? Frame.endStream : 0, stream: stream, bytes)
  }

  /// Windows as wide as they get, and no compression of headers, so that frames may be skipped.
  private func openWide(_ peer: ScriptedPeer) {
    peer.open([(id: 1, value: 0), (id: 4, value: 1 << 30)])
    // Our window counts once the peer has acknowledged it.
    peer.send(Frame(Frame.settings, flags: Frame.acknowledge), Frame(Frame.windowUpdate, Frame.word(1 << 30)))
  }

  private func until(_ condition: () -> Bool) async throws {
    for _ in 0..<5000 {
      if condition() { return }
      try await Task.sleep(for: .milliseconds(2))
    }
    Issue.record("it never came true")
  }

  private func onLoop(_ body: @escaping @Sendable (StreamingCall) -> Void) async throws {
    try await on(seen.call.withLock { $0 }, body)
  }

  private func onFirst(_ body: @escaping @Sendable (StreamingCall) -> Void) async throws {
    try await on(seen.first.withLock { $0 }, body)
  }

  private func on(_ call: StreamingCall?, _ body: @escaping @Sendable (StreamingCall) -> Void) async throws {
    let call = try #require(call)
    await withCheckedContinuation { continuation in
      call.loop.enqueue {
        body(call)
        continuation.resume()
      }
    }
  }

  /// The messages in a body, each with its flag.
  private func messages(_ body: [UInt8]) -> [(flag: UInt8, bytes: [UInt8])] {
    var found: [(UInt8, [UInt8])] = [], rest = body[...]
    while rest.count >= 5 {
      let flag = rest.first!, length = rest.dropFirst().prefix(4).reduce(0) { $0 << 8 | Int($1) }
      found.append((flag, Array(rest.dropFirst(5).prefix(length))))
      rest = rest.dropFirst(5 + length)
    }
    return found
  }

  // MARK: the conversation

  @Test func `messages come and go while both sides are open`() async throws {
    try await withServer(table { _, _ in }) { peer in
      openWide(peer)
      peer.send(head(1, "/test/Echo"))
      for i in 0..<5 {
        peer.send(data(1, message([UInt8(i)])))
        let echoed = try peer.receive(Frame.data)
        #expect(echoed.payload == message([UInt8(i)]))
      }
      peer.send(data(1, [], end: true))
      let answer = try peer.answer(on: 1)
      #expect(answer.fields["grpc-status"] == "0")
    }
  }

  @Test func `a client stream is answered once, behind its last message`() async throws {
    let sum = Atomic<Int>(0)
    let methods = table { call, event in
      switch event {
      case .message(let bytes): sum.add(bytes.count, ordering: .relaxed)
      case .ended:
        call.write([UInt8(truncatingIfNeeded: sum.load(ordering: .relaxed))])
        call.finish()
      default: break
      }
    }
    try await withServer(methods) { peer in
      openWide(peer)
      let all = (1...10).flatMap { message([UInt8](repeating: 1, count: $0)) }
      peer.send(head(1))
      for byte in all { peer.send(data(1, [byte])) }
      peer.send(data(1, [], end: true))
      let answer = try peer.answer(on: 1)
      #expect(answer.fields[":status"] == "200" && answer.fields["content-type"] == "application/grpc")
      #expect(answer.fields["grpc-accept-encoding"] == "identity,deflate,gzip" && answer.fields["grpc-encoding"] == nil)
      #expect(messages(answer.body).map(\.bytes) == [[55]] && answer.fields["grpc-status"] == "0")
    }
  }

  @Test func `an empty stream has a head and a status`() async throws {
    try await withServer(table { _, _ in }) { peer in
      openWide(peer)
      peer.send(head(1, "/test/Echo", end: true))
      let first = try peer.receive(Frame.headers)
      #expect(first.flags & Frame.endStream == 0)
      let answer = try peer.answer(on: 1)
      #expect(answer.fields["grpc-status"] == "0" && answer.body.isEmpty)
    }
  }

  @Test func `a failure before the first message is one frame`() async throws {
    let methods = table { call, event in
      if case .opened = event { call.finish(Status(.permissionDenied, "no"), trailers: trailers("x-why", "because")) }
    }
    try await withServer(methods) { peer in
      openWide(peer)
      peer.send(head(1))
      let answer = try peer.answer(on: 1)
      #expect(answer.fields["grpc-status"] == "7" && answer.fields["grpc-message"] == "no" && answer.fields["x-why"] == "because")
      #expect(answer.fields[":status"] == "200")
      // The upload is not wanted any more.
      let reset = try peer.receive(Frame.resetStream)
      #expect(reset.stream == 1 && reset.errorCode == 0)
    }
  }

  @Test func `metadata go both ways, as text and as bytes, before and behind the messages`() async throws {
    let methods = table { call, event in
      guard case .opened = event else { return }
      var initial = Metadata(), trailing = Metadata()
      // Both names are well-formed, and so is what the peer sends.
      try! initial.add("x-echo", call.metadata["x-say"] ?? "")
      for bytes in call.metadata.bytes("x-say-bin") { try! trailing.add("x-echo-bin", bytes: bytes) }
      call.initialMetadata = initial
      call.write([1])
      call.finish(Status(.dataLoss, "ü", details: [.init(typeURL: "t/x.Y", value: [1])]), trailers: trailing)
    }
    try await withServer(methods) { peer in
      openWide(peer)
      peer.send(head(1, "/test/Call", [("x-say", "hello"), ("x-say-bin", "AAH/")]))
      let answer = try peer.answer(on: 1)
      #expect(answer.fields["x-echo"] == "hello" && answer.fields["x-echo-bin"] == "AAH/")
      #expect(answer.fields["grpc-status"] == "15" && answer.fields["grpc-message"] == "%C3%BC")
      let details = try #require(answer.fields["grpc-status-details-bin"].flatMap { Base64.decode($0.utf8) })
      #expect(details == Status(.dataLoss, "ü", details: [.init(typeURL: "t/x.Y", value: [1])]).details)
    }
  }

  // MARK: what is wrong with what comes

  @Test(arguments: [
    ([0, 0, 0], "13"), ([0, 0, 0, 0, 2, 1], "13"), ([2, 0, 0, 0, 0], "13"), ([1, 0, 0, 0, 1, 1], "13"),
    ([0, 0, 0, 0, 0, 0, 0, 1, 0, 1], "8"),
  ] as [([UInt8], String)])
  func `bytes that are no messages end the call and tell the handler`(_ bytes: [UInt8], _ status: String) async throws {
    try await withServer(table { _, _ in }, { $0.messageBytesMax = 65_536 }) { peer in
      openWide(peer)
      peer.send(head(1), data(1, bytes, end: true))
      #expect(try peer.answer(on: 1).fields["grpc-status"] == status)
      try await until { seen.cancelled.load(ordering: .acquiring) == 1 }
      #expect(seen.ended.load(ordering: .acquiring) == 0)
    }
  }

  @Test func `a message larger than may be sent ends the call`() async throws {
    let methods = table { call, event in
      if case .opened = event { call.write([UInt8](repeating: 0, count: 101)) }
    }
    try await withServer(methods, { $0.sentBytesMax = 100 }) { peer in
      openWide(peer)
      peer.send(head(1))
      let answer = try peer.answer(on: 1)
      #expect(answer.fields["grpc-status"] == "8")
      #expect(answer.fields["grpc-message"] == "SERVER: Sent message larger than max (101 vs. 100)")
    }
  }

  // MARK: the end

  @Test func `a reset and a lost connection cancel, a status does not`() async throws {
    try await withServer(table { _, _ in }) { peer in
      openWide(peer)
      peer.send(head(1), data(1, message([1])))
      try await until { seen.received.load(ordering: .acquiring) == 1 }
      peer.send(Frame(Frame.resetStream, stream: 1, Frame.word(8)))
      try await until { seen.cancelled.load(ordering: .acquiring) == 1 }
      peer.send(head(3, "/test/Echo", end: true))
      #expect(try peer.answer(on: 3).fields["grpc-status"] == "0")
      peer.send(head(5), data(5, message([1])))
      try await until { seen.received.load(ordering: .acquiring) == 2 }
      peer.close()
      try await until { seen.cancelled.load(ordering: .acquiring) == 2 }
    }
  }

  @Test func `a deadline is a status for a client that listens`() async throws {
    let methods = table { call, event in if case .opened = event { call.write([1]) } }
    try await withServer(methods) { peer in
      openWide(peer)
      peer.send(head(1, "/test/Call", [("grpc-timeout", "30m")]))
      let answer = try peer.answer(on: 1)
      #expect(answer.fields["grpc-status"] == "4" && messages(answer.body).count == 1)
      try await until { seen.cancelled.load(ordering: .acquiring) == 1 }
    }
  }

  @Test func `a deadline cuts a stream that nobody reads, finished or not`() async throws {
    let methods = table { call, event in
      guard case .opened = event else { return }
      call.write([UInt8](repeating: 1, count: 100_000))
      if call.metadata["x-finish"] != nil { call.finish() }
    }
    try await withServer(methods) { peer in
      peer.open()
      peer.send(head(1, "/test/Call", [("grpc-timeout", "50m")]), head(3, "/test/Call", [("grpc-timeout", "50m"), ("x-finish", "1")]))
      var resets: [Int] = []
      while resets.count < 2 {
        let frame = try peer.receive(Frame.resetStream)
        #expect(frame.errorCode == 8)
        resets.append(frame.stream)
      }
      #expect(resets.sorted() == [1, 3])
      // The finished one has said its status.
      try await until { seen.cancelled.load(ordering: .acquiring) == 1 }
    }
  }

  @Test func `a timeout of zero never reaches the handler, one of ten thousand years does`() async throws {
    try await withServer(table { call, _ in call.finish() }) { peer in
      openWide(peer)
      peer.send(head(1, "/test/Call", [("grpc-timeout", "0n")]))
      let late = try peer.answer(on: 1)
      #expect(late.fields["grpc-status"] == "4")
      let none = seen.call.withLock { $0 == nil }
      #expect(none)
      peer.send(head(3, "/test/Call", [("grpc-timeout", "99999999H")]))
      #expect(try peer.answer(on: 3).fields["grpc-status"] == "0")
    }
  }

  // MARK: who waits for whom

  @Test func `a client that never reads leaves the server little to hold, and the handler waiting`() async throws {
    let seen = seen
    @Sendable func pour(_ call: StreamingCall) {
      // Without back-pressure this would be ten gigabytes.
      while seen.writes.load(ordering: .relaxed) < 1_000_000 {
        seen.writes.add(1, ordering: .relaxed)
        if !call.write([UInt8](repeating: 1, count: 10_000)) { break }
      }
      seen.waits.add(1, ordering: .releasing)
    }
    let methods = table { call, event in
      switch event {
      case .opened, .writable: pour(call)
      default: break
      }
    }
    try await withServer(methods) { peer in
      peer.open()
      peer.send(head(1))
      var got = 0
      while got < 65_535 { got += try peer.receive(Frame.data).payload.count }
      // The connection's window is shut: its neighbour is still taken in and answered in heads.
      peer.send(head(3, "/test/Echo", end: true))
      let neighbour = try peer.answer(on: 3)
      #expect(neighbour.fields["grpc-status"] == "0")
      let held = Atomic<Int>(0)
      try await onFirst { call in held.store(call.bytesWaiting, ordering: .relaxed) }
      #expect(held.load(ordering: .relaxed) < (64 << 10) + 10_005)
      #expect(seen.writes.load(ordering: .relaxed) * 10_005 <= 65_535 + (64 << 10) + 2 * 10_005)
      let waits = seen.waits.load(ordering: .acquiring)
      // It reads, and the handler goes on.
      peer.send(Frame(Frame.windowUpdate, Frame.word(1 << 20)), Frame(Frame.windowUpdate, stream: 1, Frame.word(1 << 20)))
      while got < 1_000_000 { got += try peer.receive(Frame.data).payload.count }
      #expect(seen.waits.load(ordering: .acquiring) > waits)
      peer.send(Frame(Frame.resetStream, stream: 1, Frame.word(8)))
      try await until { seen.cancelled.load(ordering: .acquiring) == 1 }
    }
  }

  @Test func `a handler that never reads leaves the client at its window, and its neighbours alone`() async throws {
    let methods = table { call, event in
      if case .opened = event { call.pause() }
      if case .ended = event { call.finish() }
    }
    try await withServer(methods) { peer in
      openWide(peer)
      peer.send(head(1))
      let window = HTTP.Limits().streamWindowBytes
      // A window full of messages of 1019 bytes.
      let one = message([UInt8](repeating: 7, count: 1019)), count = window / one.count
      for _ in 0..<count / 16 { peer.send(data(1, (0..<16).flatMap { _ in one })) }
      peer.send(head(3, "/test/Echo"), data(3, message([9]), end: true))
      var frames: [Frame] = []
      while frames.last?.type != Frame.data { frames.append(try peer.receive()) }
      #expect(frames.last?.payload == message([9]) && frames.last?.stream == 3)
      #expect(!frames.contains { $0.type == Frame.windowUpdate && $0.stream == 1 })
      #expect(seen.received.load(ordering: .acquiring) == 1)
      // It resumes: everything is there, and the window opens.
      try await onFirst { $0.resume() }
      var opened = 0
      while opened < window - 16 * one.count {
        let frame = try peer.receive(Frame.windowUpdate)
        if frame.stream == 1 { opened += frame.payload.reduce(0) { $0 << 8 | Int($1) } }
      }
      #expect(seen.received.load(ordering: .acquiring) == 1 + count / 16 * 16)
      peer.send(data(1, [], end: true))
      #expect(try peer.answer(on: 1).fields["grpc-status"] == "0")
    }
  }

  @Test func `a handler may pause in the middle of a frame, message after message`() async throws {
    let order = Mutex<[UInt8]>([])
    let methods = table { call, event in
      switch event {
      case .message(let bytes):
        order.withLock { $0.append(bytes[0]) }
        call.pause()
      case .ended: call.finish()
      default: break
      }
    }
    try await withServer(methods) { peer in
      openWide(peer)
      let all = (0..<50).flatMap { message([UInt8($0)]) }
      peer.send(head(1), data(1, Array(all[..<103])), data(1, Array(all[103...]), end: true))
      for n in 1...50 {
        try await until { seen.received.load(ordering: .acquiring) == n }
        try await onLoop { _ in }
        #expect(seen.received.load(ordering: .acquiring) == n && seen.ended.load(ordering: .acquiring) == 0)
        try await onLoop { $0.resume() }
      }
      #expect(try peer.answer(on: 1).fields["grpc-status"] == "0")
      #expect(order.withLock { $0 } == (0..<50).map { UInt8($0) })
    }
  }

  @Test func `what waits counts against the connection's share, and is given back`() async throws {
    let methods = table { call, event in
      if case .opened = event, call.metadata["x-pause"] != nil { call.pause() }
      if case .ended = event { call.finish() }
    }
    try await withServer(methods, { $0.http.limits.bodyBytesPerConnectionMax = 50_000 }) { peer in
      openWide(peer)
      // Twenty times the share goes through a handler that keeps nothing.
      peer.send(head(1))
      for _ in 0..<100 { peer.send(data(1, message([UInt8](repeating: 1, count: 10_000)))) }
      peer.send(data(1, [], end: true))
      #expect(try peer.answer(on: 1).fields["grpc-status"] == "0")
      #expect(seen.received.load(ordering: .acquiring) == 100)
      peer.send(head(3, "/test/Call", [("x-pause", "1")]))
      for _ in 0..<6 { peer.send(data(3, message([UInt8](repeating: 1, count: 10_000)))) }
      let answer = try peer.answer(on: 3)
      #expect(answer.fields["grpc-status"] == "8" && answer.fields["grpc-message"]?.contains("too many request bytes") == true)
    }
  }

  @Test func `a client may take its time between messages, not within one`() async throws {
    let methods = table { _, _ in }
    func slow(_ configuration: inout RPCServer.Configuration) {
      configuration.http.limits.bodyMilliseconds = 100
    }
    try await withServer(methods, slow) { peer in
      openWide(peer)
      peer.send(head(1), data(1, message([1])))
      peer.send(head(3), data(3, message([1]) + [0, 0]))
      let answer = try peer.answer(on: 3)
      #expect(answer.fields["grpc-status"] == "4" && answer.fields["grpc-message"] == "a message came too slowly")
      // The first has waited as long.
      try await onFirst { call in
        call.write([2])
        call.finish()
      }
      let other = try peer.answer(on: 1)
      #expect(other.fields["grpc-status"] == "0" && messages(other.body).map(\.bytes) == [[2]])
    }
  }

  // MARK: compression

  private func packed(_ bytes: [UInt8], _ coding: ContentCoding) -> [UInt8] {
    var codecs = Codecs(), output = ByteBuffer()
    _ = span(bytes) { codecs.compress($0, coding, into: &output, limit: 1 << 20) }
    return unsafe output.bytes.withUnsafeBytes { unsafe Array($0) }
  }

  private func unpacked(_ bytes: [UInt8], _ coding: ContentCoding) -> [UInt8] {
    var codecs = Codecs(), output = ByteBuffer()
    _ = span(bytes) { codecs.decompress($0, coding, into: &output, limit: 1 << 20) }
    return unsafe output.bytes.withUnsafeBytes { unsafe Array($0) }
  }

  @Test(arguments: ContentCoding.allCases)
  func `a stream is compressed message by message where the client reads that`(_ coding: ContentCoding) async throws {
    let text = [UInt8](repeating: 65, count: 5000)
    let methods = table { call, event in
      guard case .message(let bytes) = event else { return }
      call.compression = MessageCompression(coding)
      call.write(bytes)
      call.write(bytes, isCompressible: false)
      call.write([1])
      call.finish()
    }
    try await withServer(methods) { peer in
      openWide(peer)
      peer.send(
        head(1, "/test/Call", [("grpc-encoding", coding.rawValue), ("grpc-accept-encoding", "identity,deflate,gzip")]),
        data(1, message(packed(text, coding), flag: 1), end: true))
      let answer = try peer.answer(on: 1)
      #expect(answer.fields["grpc-encoding"] == coding.rawValue && answer.fields["grpc-status"] == "0")
      let got = messages(answer.body)
      #expect(got.map(\.flag) == [1, 0, 0] && got[0].bytes.count < 100)
      #expect(unpacked(got[0].bytes, coding) == text && got[1].bytes == text && got[2].bytes == [1])
      peer.send(head(3, "/test/Call", [("grpc-accept-encoding", "identity")]), data(3, message(text), end: true))
      let plain = try peer.answer(on: 3)
      #expect(messages(plain.body).map(\.flag) == [0, 0, 0] && plain.body.count > 10_000)
    }
  }

  @Test func `a bomb in a stream costs its limit and its call`() async throws {
    try await withServer(table { _, _ in }, { $0.messageBytesMax = 100_000 }) { peer in
      openWide(peer)
      let bomb = message(packed([UInt8](repeating: 0, count: 10_000_000), .gzip), flag: 1)
      #expect(bomb.count < 16_384)
      peer.send(head(1, "/test/Call", [("grpc-encoding", "gzip")]), data(1, bomb))
      let answer = try peer.answer(on: 1)
      #expect(answer.fields["grpc-status"] == "8")
      peer.send(head(3, "/test/Echo"), data(3, message([1]), end: true))
      #expect(try peer.answer(on: 3).fields["grpc-status"] == "0")
    }
  }
}

private func trailers(_ name: String, _ value: String) -> Metadata {
  var metadata = Metadata()
  // Literals of this file.
  try! metadata.add(name, value)
  return metadata
}
