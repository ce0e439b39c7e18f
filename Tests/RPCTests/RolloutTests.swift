// What operators do to servers while clients call them.
import HTTP
import Synchronization
import TestThreads
import Testing
import TransportSupport

@testable import RPC

private final class Echo: UnaryHandler {
  func handle(_ call: UnaryCall) {
    let message = call.message
    call.reply(byteCount: message.byteCount) { output in
      for i in 0..<message.byteCount { output.append(message[i]) }
    }
  }
}

private final class Calls: Sendable {
  let answered = Atomic<Int>(0)
  let failed = Atomic<Int>(0)
  let isDone = Atomic<Bool>(false)
}

@Suite(.blocking, .timeLimit(.minutes(1))) struct RolloutTests {
  private func server(port: Int = 0, _ change: (inout Limits) -> Void = { _ in }) throws -> RPCServer {
    var methods = MethodTable()
    methods.register(path: "/test/Echo", Echo())
    var configuration = RPCServer.Configuration(host: "127.0.0.1", port: port)
    configuration.http.loops = 1
    change(&configuration.http.limits)
    let server = try RPCServer(methods: methods, configuration: configuration)
    try server.start()
    return server
  }

  /// Calls without pause on eight tasks while `body` runs; throws when one fails.
  private func keepCalling(_ channel: Channel, _ calls: Calls, _ body: () async throws -> Void) async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
      for i in 0..<8 {
        group.addTask {
          while !calls.isDone.load(ordering: .relaxed) {
            let request = [UInt8(i), UInt8.random(in: 0...255)]
            do {
              let answer = try await channel.unary("/test/Echo", request, options: CallOptions(timeout: .seconds(20)))
              #expect(answer.bytes == request)
            } catch {
              calls.failed.add(1, ordering: .relaxed)
              throw error
            }
            calls.answered.add(1, ordering: .relaxed)
          }
        }
      }
      defer { calls.isDone.store(true, ordering: .relaxed) }
      try await body()
      calls.isDone.store(true, ordering: .relaxed)
      try await group.waitForAll()
    }
  }

  /// Waits for `count` more calls, or until one has failed.
  private func more(_ calls: Calls, _ count: Int) async throws {
    let goal = calls.answered.load(ordering: .relaxed) + count
    while calls.answered.load(ordering: .relaxed) < goal, calls.failed.load(ordering: .relaxed) == 0 {
      try await Task.sleep(for: .milliseconds(5))
    }
  }

  @Test func `two replicas are restarted one after the other and no call fails`() async throws {
    var one = try server(), two = try server()
    let ports = (one.ports[0], two.ports[0])
    var configuration = Channel.Configuration()
    configuration.backoff = Backoff(base: .milliseconds(20), most: .milliseconds(50))
    let channel = Channel(to: try Target(parsing: "ipv4:127.0.0.1:\(ports.0),127.0.0.1:\(ports.1)"), configuration: configuration)
    channel.connect()
    while await channel.readyAddresses < 2 { try await Task.sleep(for: .milliseconds(5)) }
    let calls = Calls()
    try await keepCalling(channel, calls) {
      try await more(calls, 50)
      await one.drain(deadline: .seconds(20))
      try await more(calls, 50)
      one = try server(port: ports.0)
      while await channel.readyAddresses < 2 { try await Task.sleep(for: .milliseconds(5)) }
      try await more(calls, 50)
      await two.drain(deadline: .seconds(20))
      two = try server(port: ports.1)
      try await more(calls, 50)
    }
    channel.close()
    await one.drain(deadline: .zero)
    await two.drain(deadline: .zero)
  }

  @Test func `a name with an address where nobody listens is as good as one without`() async throws {
    // `localhost` is ::1 too, where this server is not.
    let server = try server()
    for policy in [LoadBalancing.roundRobin, .pickFirst] {
      var configuration = Channel.Configuration()
      configuration.loadBalancing = policy
      let channel = Channel(to: try Target(parsing: "dns:///localhost:\(server.ports[0])"), configuration: configuration)
      for i in 0..<3 { #expect(try await channel.unary("/test/Echo", [UInt8(i)]).bytes == [UInt8(i)]) }
      channel.close()
    }
    await server.drain(deadline: .zero)
  }

  @Test func `a channel that nobody holds closes its connections and is freed`() async throws {
    let server = try server()
    weak var core: ChannelCore?
    do {
      var configuration = Channel.Configuration()
      configuration.keepalive.interval = .seconds(10)
      let channel = Channel(to: .tcp(host: "127.0.0.1", port: server.ports[0]), configuration: configuration)
      core = channel.core
      _ = try await channel.unary("/test/Echo", [1], options: CallOptions(timeout: .seconds(20)))
      let call = channel.stream("/test/Nothing")
      _ = await call.end()
    }
    for _ in 0..<1000 where core != nil || server.http.connectionCount > 0 { try await Task.sleep(for: .milliseconds(5)) }
    #expect(core == nil && server.http.connectionCount == 0)
    await server.drain(deadline: .zero)
  }

  @Test func `connections that the server ends for their age cost no call`() async throws {
    let server = try server { $0.connectionAgeMilliseconds = 50 }
    let channel = Channel(to: .tcp(host: "127.0.0.1", port: server.ports[0]))
    let calls = Calls()
    try await keepCalling(channel, calls) {
      for _ in 0..<10 {
        try await Task.sleep(for: .milliseconds(30))
        try await more(calls, 10)
      }
    }
    channel.close()
    await server.drain(deadline: .zero)
  }
}
