// The channel against servers that do what a script says.
import Glibc
import HTTP
import Synchronization
import TestThreads
import Testing
import TransportSupport

@testable import RPC

private final class Count: Sendable { let value = Atomic<Int>(0) }

@Suite(.blocking, .timeLimit(.minutes(1))) struct ChannelTests {
  private func channel(
    _ server: ScriptedServer, _ change: (inout Channel.Configuration) -> Void = { _ in }
  ) -> Channel {
    var configuration = Channel.Configuration()
    configuration.backoff = Backoff(base: .milliseconds(20))
    change(&configuration)
    return Channel(to: .tcp(host: "127.0.0.1", port: server.port), configuration: configuration)
  }

  private let retries = RetryPolicy(attemptsMax: 3, initialBackoff: .milliseconds(5))

  /// A call that is on its way when this returns, before any that is begun later.
  private func begin(_ channel: Channel, _ path: String, _ request: [UInt8]) -> AsyncStream<Result<Response, Status>> {
    let (stream, continuation) = AsyncStream<Result<Response, Status>>.makeStream()
    channel.unary(path, request) { continuation.yield($0) }
    return stream
  }

  private func result(_ call: AsyncStream<Result<Response, Status>>) async -> Result<Response, Status> {
    for await result in call { return result }
    return .failure(Status(.unknown, "the test was cancelled"))
  }

  private func status(_ call: AsyncStream<Result<Response, Status>>) async -> Status {
    switch await result(call) {
    case .success: .ok
    case .failure(let status): status
    }
  }

  private func status(_ call: () async throws(Status) -> Response) async -> Status {
    do {
      _ = try await call()
      return .ok
    } catch { return error }
  }

  // MARK: again

  @Test func `a refused stream goes again without a policy`() async throws {
    let server = try ScriptedServer()
    async let played = script {
      let peer = try server.accept()
      peer.reset(try peer.request().stream, 7)
      let again = try peer.request()
      peer.answer(again.stream, [2])
      return again.body
    }
    let answer = try await channel(server).unary("/a", [1, 2, 3])
    #expect(answer.bytes == [2])
    #expect(try await played == [0, 0, 0, 0, 3, 1, 2, 3])
  }

  @Test func `a stream that is refused twice is UNAVAILABLE`() async throws {
    let server = try ScriptedServer()
    async let played: Void = script {
      let peer = try server.accept()
      for _ in 0..<2 { peer.reset(try peer.request().stream, 7) }
      _ = try peer.receiveUntilClosed()
    }
    let channel = channel(server)
    let status = await status { () async throws(Status) in try await channel.unary("/a", [1]) }
    #expect(status.code == .unavailable)
    channel.close()
    try await played
  }

  @Test func `a call above GOAWAY's last stream goes again on a new connection; one below it finishes`() async throws {
    let server = try ScriptedServer()
    async let played = script {
      let old = try server.accept()
      let first = try old.request(), second = try old.request()
      old.goAway(last: first.stream)
      let new = try server.accept()
      let again = try new.request()
      new.answer(again.stream, [2])
      old.answer(first.stream, [1])
      return second.body == again.body && again.fields["grpc-previous-rpc-attempts"] == nil
    }
    let channel = channel(server)
    let one = begin(channel, "/a", [1]), two = begin(channel, "/b", [2, 2])
    let answers = (try await result(one).get().bytes, try await result(two).get().bytes)
    #expect(answers == ([1], [2]))
    #expect(try await played)
  }

  @Test func `by policy a call goes again, and says how often it has been made`() async throws {
    let server = try ScriptedServer()
    async let played = script {
      let peer = try server.accept()
      var attempts: [String?] = []
      for code in [14, 14, 0] {
        let request = try peer.request()
        attempts.append(request.fields["grpc-previous-rpc-attempts"])
        if code == 0 { peer.answer(request.stream, request.body) } else { peer.fail(request.stream, code) }
      }
      return attempts
    }
    let channel = channel(server) { $0.retry = self.retries }
    _ = try await channel.unary("/a", [1])
    #expect(try await played == [nil, "1", "2"])
  }

  @Test func `the last attempt's status is the call's`() async throws {
    let server = try ScriptedServer()
    async let played: Void = script {
      let peer = try server.accept()
      for i in 1...3 { peer.fail(try peer.request().stream, 14, [("grpc-message", "no \(i)")]) }
    }
    let channel = channel(server) { $0.retry = self.retries }
    let status = await status { () async throws(Status) in try await channel.unary("/a", [1]) }
    #expect(status == Status(.unavailable, "no 3"))
    try await played
  }

  @Test func `a server that says never is not asked again`() async throws {
    let server = try ScriptedServer()
    async let played: Void = script {
      let peer = try server.accept()
      peer.fail(try peer.request().stream, 14, [("grpc-retry-pushback-ms", "-1")])
      peer.answer(try peer.request().stream, [9])
    }
    let channel = channel(server) { $0.retry = self.retries }
    let first = await status { () async throws(Status) in try await channel.unary("/a", [1]) }
    #expect(first.code == .unavailable)
    let second = try await channel.unary("/b", [1]).bytes
    #expect(second == [9])
    try await played
  }

  @Test func `an answer that has begun is never asked for again`() async throws {
    let server = try ScriptedServer()
    async let played: Void = script {
      let peer = try server.accept()
      let request = try peer.request()
      peer.head(request.stream)
      peer.trailers(request.stream, [("grpc-status", "14")])
      peer.answer(try peer.request().stream, [9])
    }
    let channel = channel(server) { $0.retry = self.retries }
    let first = await status { () async throws(Status) in try await channel.unary("/a", [1]) }
    #expect(first.code == .unavailable)
    _ = try await channel.unary("/b", [1])
    try await played
  }

  @Test func `a large request goes again whole`() async throws {
    let server = try ScriptedServer()
    let large = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
    async let played = script {
      let peer = try server.accept([(4, 1 << 20)])
      peer.send(Frame(Frame.windowUpdate, Frame.word(1 << 24)))
      // Refused in the middle of the upload.
      peer.reset(try peer.requestHead().stream, 7)
      let again = try peer.request()
      peer.answer(again.stream, [1])
      return again.body.count
    }
    _ = try await channel(server).unary("/a", large)
    #expect(try await played == 300_005)
  }

  @Test func `metadata beyond the limit are RESOURCE_EXHAUSTED, in head or trailers`() async throws {
    let server = try ScriptedServer()
    async let played: Void = script {
      let peer = try server.accept()
      let large = [("x-large", String(repeating: "a", count: 15_000)), ("x-more", String(repeating: "b", count: 2_000))]
      let first = try peer.request()
      peer.head(first.stream, [(":status", "200"), ("content-type", "application/grpc")] + large)
      let second = try peer.request()
      peer.head(second.stream)
      peer.message(second.stream, [1])
      peer.trailers(second.stream, large + [("grpc-status", "0")])
      peer.answer(try peer.request().stream, [3])
      _ = try peer.receiveUntilClosed()
    }
    let channel = channel(server)
    for path in ["/head", "/trailers"] {
      let status = await status { () async throws(Status) in try await channel.unary(path, [1]) }
      #expect(status.code == .resourceExhausted, "\(status)")
    }
    #expect(try await channel.unary("/good", [1]).bytes == [3])
    channel.close()
    try await played
  }

  // MARK: deadlines and cancellation

  @Test func `silence ends at the deadline, and the server is told by RST_STREAM`() async throws {
    let server = try ScriptedServer()
    async let played = script {
      let peer = try server.accept()
      let request = try peer.request()
      return (request.fields["grpc-timeout"], try peer.receive(Frame.resetStream).errorCode)
    }
    let channel = channel(server) { $0.retry = self.retries }
    // Connected first, so that the deadline cannot pass before the request is out.
    channel.connect()
    while await channel.readyAddresses < 1 { try await Task.sleep(for: .milliseconds(5)) }
    let options = CallOptions(timeout: .milliseconds(200))
    let status = await status { () async throws(Status) in try await channel.unary("/a", [1], options: options) }
    #expect(status.code == .deadlineExceeded)
    let (timeout, code) = try await played
    #expect(timeout != nil && code == 8)
  }

  @Test func `a deadline is kept in the line too`() async throws {
    let server = try ScriptedServer()
    let arrived = Count()
    async let played: Void = script {
      // One stream, never answered.
      let peer = try server.accept([(3, 1)])
      _ = try peer.request()
      arrived.value.add(1, ordering: .releasing)
      _ = try peer.receiveUntilClosed()
    }
    let channel = channel(server) { $0.connectionsPerAddressMax = 1 }
    let first = begin(channel, "/a", [1])
    let options = CallOptions(timeout: .milliseconds(200))
    let second = await status { () async throws(Status) in try await channel.unary("/b", [1], options: options) }
    #expect(second.code == .deadlineExceeded)
    while arrived.value.load(ordering: .acquiring) == 0 { try await Task.sleep(for: .milliseconds(5)) }
    channel.close()
    #expect(await status(first).code == .cancelled)
    try await played
  }

  @Test func `closing the channel cancels its calls, running and waiting`() async throws {
    let server = try ScriptedServer()
    let channel = channel(server) { $0.connectionsPerAddressMax = 1 }
    async let played: Void = script {
      let peer = try server.accept([(3, 1)])
      _ = try peer.request()
      channel.close()
      _ = try peer.receiveUntilClosed()
    }
    let calls = (0..<3).map { _ in begin(channel, "/a", [1]) }
    for call in calls { #expect(await status(call).code == .cancelled) }
    try await played
  }

  // MARK: room

  @Test func `calls beyond the server's streams open a second connection, then wait their turn`() async throws {
    let server = try ScriptedServer()
    let arrived = Count()
    // A connection with room for two calls: both come before either is answered, and the others only after that.
    let play: @Sendable () throws -> Int = {
      let peer = try server.accept([(3, 2)])
      var waiting = [try peer.request(), try peer.request()]
      var served = 0
      arrived.value.add(2, ordering: .sequentiallyConsistent)
      while arrived.value.load(ordering: .sequentiallyConsistent) < 4 { usleep(1000) }
      while true {
        for request in waiting { peer.answer(request.stream, Array(request.body.dropFirst(5))) }
        served += waiting.count
        do { waiting = [try peer.request()] } catch PeerError.closed { return served }
      }
    }
    async let one = script(play)
    async let two = script(play)
    let channel = channel(server) { $0.connectionsPerAddressMax = 2 }
    try await withThrowingTaskGroup(of: Bool.self) { group in
      for i in 0..<6 { group.addTask { try await channel.unary("/a", [UInt8(i)]).bytes == [UInt8(i)] } }
      for try await isRight in group { #expect(isRight) }
    }
    channel.close()
    let served = (try await one, try await two)
    #expect(served.0 + served.1 == 6)
  }

  @Test func `calls that wait go on when the server allows more streams`() async throws {
    let server = try ScriptedServer()
    async let played: Void = script {
      let peer = try server.accept([(3, 0)])
      // Its answer to a ping shows that the client has connected, and waits.
      peer.send(Frame(Frame.ping, [UInt8](repeating: 0, count: 8)))
      _ = try peer.receive(Frame.ping)
      peer.send(Frame(Frame.settings, [0, 3, 0, 0, 0, 1]))
      for _ in 0..<2 { peer.answer(try peer.request().stream, [1]) }
      _ = try peer.receiveUntilClosed()
    }
    let channel = channel(server) { $0.connectionsPerAddressMax = 1 }
    let calls = (0..<2).map { _ in begin(channel, "/a", [1]) }
    for call in calls { #expect(try await result(call).get().bytes == [1]) }
    channel.close()
    try await played
  }

  @Test func `a full line is RESOURCE_EXHAUSTED`() async throws {
    let server = try ScriptedServer()
    let channel = channel(server) {
      $0.waitingCallsMax = 1
      $0.connectTimeout = .seconds(5)
    }
    // Nobody accepts: the first call waits.
    let first = begin(channel, "/a", [1])
    let second = await status { () async throws(Status) in try await channel.unary("/b", [1]) }
    #expect(second.code == .resourceExhausted)
    channel.close()
    _ = await result(first)
  }

  // MARK: connections

  @Test func `a server that accepts and says nothing is given up after the connect timeout`() async throws {
    let server = try ScriptedServer()
    let channel = channel(server) { $0.connectTimeout = .milliseconds(50) }
    let status = await status { () async throws(Status) in try await channel.unary("/a", [1]) }
    #expect(status.code == .unavailable && status.message.contains("no HTTP/2 within"), "\(status)")
  }

  @Test func `calls go to both addresses in turn, and to one when the other is gone`() async throws {
    let one = try ScriptedServer(), two = try ScriptedServer()
    async let playedOne = script {
      let peer = try one.accept()
      for _ in 0..<2 { peer.answer(try peer.request().stream, [1]) }
      peer.goAway(last: 0x7fff_ffff)
    }
    async let playedTwo: Void = script {
      let peer = try two.accept()
      for _ in 0..<3 { peer.answer(try peer.request().stream, [2]) }
    }
    var configuration = Channel.Configuration()
    // Once gone, the first stays away for the rest of the test.
    configuration.backoff = Backoff(base: .seconds(60))
    let channel = Channel(
      to: try Target(parsing: "ipv4:127.0.0.1:\(one.port),127.0.0.1:\(two.port)"), configuration: configuration)
    var answers: [UInt8] = []
    // A call could find only one connected.
    channel.connect()
    while await channel.readyAddresses < 2 { try await Task.sleep(for: .milliseconds(5)) }
    for _ in 0..<4 { answers += try await channel.unary("/a", [0]).bytes }
    #expect(answers.sorted() == [1, 1, 2, 2] && answers[0] != answers[1] && answers[1] != answers[2])
    try await playedOne
    #expect(try await channel.unary("/a", [0], options: CallOptions(waitForReady: true)).bytes == [2])
    try await playedTwo
  }

  @Test func `pick first passes over an address that refuses`() async throws {
    let server = try ScriptedServer()
    // Bound and closed again: nobody listens there.
    let gone = try ScriptedServer().port
    async let played: Void = script {
      let peer = try server.accept()
      for _ in 0..<2 { peer.answer(try peer.request().stream, [1]) }
    }
    var configuration = Channel.Configuration()
    configuration.loadBalancing = .pickFirst
    let target = try Target(parsing: "ipv4:127.0.0.1:\(gone),127.0.0.1:\(server.port)")
    let channel = Channel(to: target, configuration: configuration)
    for _ in 0..<2 { #expect(try await channel.unary("/a", [0]).bytes == [1]) }
    try await played
  }

  @Test func `a name is resolved off the loop, and one that does not exist is UNAVAILABLE`() async throws {
    let channel = Channel(to: .tcp(host: "no-such-host.invalid", port: 1))
    let status = await status { () async throws(Status) in try await channel.unary("/a", [1]) }
    #expect(status.code == .unavailable && status.message.contains("no-such-host.invalid:1"), "\(status)")
    #expect(await channel.connectivity() == .transientFailure)
  }

  @Test func `a ping that nobody answers cuts the connection`() async throws {
    let server = try ScriptedServer()
    async let played: Void = script {
      let peer = try server.accept()
      _ = try peer.request()
      _ = try peer.receiveUntilClosed()
    }
    let channel = channel(server) {
      $0.keepalive = Channel.Keepalive(interval: .milliseconds(50), timeout: .milliseconds(50))
      $0.keepalive.intervalMin = .zero
    }
    let status = await status { () async throws(Status) in try await channel.unary("/a", [1]) }
    #expect(status.code == .unavailable)
    try await played
  }

  @Test func `a server that is asked for calm by pings doubles the interval`() async throws {
    let server = try ScriptedServer()
    async let played: Void = script {
      let peer = try server.accept()
      peer.answer(try peer.request().stream, [1])
      peer.goAway(last: 1, 11, "too_many_pings")
      _ = try peer.receiveUntilClosed()
    }
    let channel = channel(server) { $0.keepalive.interval = .seconds(15) }
    _ = try await channel.unary("/a", [1])
    try await played
    #expect(await channel.keepaliveSeconds == 30)
  }
}

extension Channel {
  var readyAddresses: Int {
    get async { await onLoop { $0.readyAddressCount } }
  }
  fileprivate var keepaliveSeconds: UInt64 {
    get async { await onLoop { $0.keepaliveInterval / 1_000_000_000 } }
  }

  private func onLoop<T: Sendable>(_ body: @escaping @Sendable (ChannelCore) -> T) async -> T {
    await withCheckedContinuation { continuation in
      loop.enqueue { [core] in continuation.resume(returning: body(core)) }
    }
  }
}
