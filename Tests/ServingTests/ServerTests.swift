// The whole, in one process: a server, a catalog that the test fills, a client, and a socket between.
import Client
import Foundation
import HTTP
import RPC
import Schemas
import SwiftProtobuf
import Synchronization
import Tensors
import TestThreads
import Testing

@testable import Catalog
@testable import Engine
@testable import Serving

private let predictPath = "/tensorflow.serving.PredictionService/Predict"

private struct Pair {
  let catalog = Catalog()
  let server: ModelServer
  let client: PredictionClient
  let channel: Channel

  init(loops: Int = 1, _ change: (inout ServingOptions) -> Void = { _ in }) throws {
    var options = ServingOptions()
    options.workers = 1
    change(&options)
    server = try ModelServer(
      catalog, options,
      http: HTTPServer.Configuration(endpoints: [.tcp(host: "127.0.0.1", port: 0)], loops: loops))
    try server.start()
    let endpoint = Endpoint.tcp(host: "127.0.0.1", port: server.ports[0])
    client = PredictionClient(endpoint)
    channel = Channel(to: endpoint)
  }

  func end() async {
    client.close()
    channel.close()
    await server.drain(deadline: .seconds(20))
  }

  @discardableResult
  func publish(_ slots: Slot...) -> UInt64 {
    catalog.publish(
      Dictionary(grouping: slots, by: \.modelName).map { name, slots in
        ModelEntry(name: name, statuses: slots.map { .init(version: $0.version, state: .available) }, slots: slots)
      })
  }

  /// y of x, which is one number.
  func ask(_ model: String, _ x: Float = 1, timeout: Duration = .seconds(30)) async throws(Status) -> Float? {
    try await client.predict(query(model, x), timeout: timeout).outputs["y"]?.array(of: Float.self).first
  }

  /// Starts a call; calls started one after the other on the same channel arrive in that order.
  @discardableResult
  func start(_ model: String, _ answers: Answers) -> ClientCall? {
    let number = answers.expect()
    return channel.unary(predictPath, query(model, Float(number)).bytes) { result in
      answers.came(number, result.flatMap { response in
        do { return .success(try Prediction(bytes: response.bytes)) } catch {
          return .failure(Status(.internal, "\(error)"))
        }
      })
    }
  }

  private func query(_ model: String, _ x: Float) -> PredictQuery {
    PredictQuery(model: model, inputs: ["x": Tensor(.float, shape: [1], [x])])
  }
}

/// What came back for calls by number.
private final class Answers: Sendable {
  private let state = Mutex<(expected: Int, list: [Int: Result<Prediction, Status>])>((0, [:]))

  func expect() -> Int {
    state.withLock {
      $0.expected += 1
      return $0.expected - 1
    }
  }
  func came(_ number: Int, _ answer: Result<Prediction, Status>) { state.withLock { $0.list[number] = answer } }
  var count: Int { state.withLock { $0.list.count } }

  subscript(number: Int) -> Status.Code? {
    switch state.withLock({ $0.list[number] }) {
    case .success?: .ok
    case .failure(let status)?: status.code
    case nil: nil
    }
  }
}

private final class Flag: Sendable {
  private let value = Atomic(false)
  var isSet: Bool { value.load(ordering: .relaxed) }
  func set() { value.store(true, ordering: .relaxed) }
}

private func slot(_ name: String, _ model: Model, version: Int64 = 1) -> Slot {
  Slot(modelName: name, version: version, model: model)
}

extension Model {
  /// As after its warm-up: a run of one row takes so long.
  fileprivate func costing(_ nanoseconds: Int) -> Model {
    for signature in signatures { signature.cost.record(rows: 1, nanoseconds: nanoseconds) }
    return self
  }

  /// y is x, when the gate is open.
  fileprivate static func gated(_ gate: String) throws -> Model {
    let graph = Graph(nodes: [
      node("x", "Placeholder"), node("y", "TestGate", 0, attributes: ["gate": .string(Array(gate.utf8))]),
    ])
    return try Model(graph, [Parameter("x")], [Parameter("y")])
  }

  /// y is one where an event loop computed it.
  fileprivate static func onLoop() throws -> Model {
    let graph = Graph(nodes: [node("x", "Placeholder"), node("y", "TestOnLoop", 0)])
    return try Model(graph, [Parameter("x")], [Parameter("y")])
  }

  /// A loop without end; `body` is what a round does, if anything.
  fileprivate static func endless(gate: String?) throws -> Model {
    let condition = Function(
      name: "go", argumentCount: 1, body: [node("x", "_Arg"), constant("true", true)],
      results: [Endpoint(node: 1)])
    let body = Function(
      name: "round", argumentCount: 1,
      body: gate.map { [node("x", "_Arg"), node("next", "TestGate", 0, attributes: ["gate": .string(Array($0.utf8))])] }
        ?? [node("x", "_Arg")],
      results: [Endpoint(node: gate == nil ? 0 : 1)])
    let graph = Graph(
      nodes: [
        node("x", "Placeholder"),
        node(
          "y", "StatelessWhile", 0,
          attributes: ["cond": .function(.init(name: "go")), "body": .function(.init(name: "round"))]),
      ], functions: ["go": condition, "round": body])
    return try Model(graph, [Parameter("x")], [Parameter("y")])
  }
}

@Suite(.blocking) struct ModelServerTests {
  @Test func `many calls at once are answered each with its own`() async throws {
    let pair = try Pair(loops: 2) { $0.workers = 2 }
    pair.publish(slot("cheap", try .halfPlusTwo().costing(1000)), slot("dear", try .halfPlusTwo().costing(.max)))
    try await withThrowingTaskGroup(of: Void.self) { group in
      for task in 0..<16 {
        group.addTask {
          for i in 0..<50 {
            let x = Float(task * 100 + i)
            let answer = try await pair.ask(i % 2 == 0 ? "cheap" : "dear", x)
            #expect(answer == x / 2 + 2)
          }
        }
      }
      try await group.waitForAll()
    }
    await pair.end()
  }

  @Test func `a cheap run stays on its loop, a dear one and one nobody knows go to a worker`() async throws {
    let pair = try Pair()
    pair.publish(
      slot("cheap", try .onLoop().costing(1000)), slot("dear", try .onLoop().costing(1_000_000_000)),
      slot("unknown", try .onLoop()))
    #expect(try await pair.ask("cheap") == 1)
    #expect(try await pair.ask("dear") == 0)
    #expect(try await pair.ask("unknown") == 0)
    await pair.end()
  }

  @Test func `a run that takes more memory than a loop gives is a worker's`() async throws {
    let pair = try Pair { $0.inlineBytesMax = 1 << 16 }
    pair.publish(slot("m", try .onLoop().costing(1)))
    #expect(try await pair.ask("m") == 1)
    var large = Request(["x": TensorMessage(.dtFloat, [1, 1 << 15]) { $0.floatVal = [1] }])
    large.modelSpec.name = "m"
    let response = try await pair.channel.unary(predictPath, large.bytes)
    let y = try Prediction(bytes: response.bytes).outputs["y"]
    #expect(y?.shape == [1, 1 << 15] && y?.array(of: Float.self).allSatisfy { $0 == 0 } == true)
    await pair.end()
  }

  @Test func `while a worker runs, its loop answers others`() async throws {
    // The second worker: on a busy machine a cheap run may be measured as a dear one.
    let pair = try Pair { $0.workers = 2 }
    let gate = Gate["others"]
    pair.publish(slot("slow", try .gated("others").costing(1_000_000_000)), slot("fast", try .adding(1).costing(1000)))
    let answers = Answers()
    pair.start("slow", answers)
    #expect(await eventually { gate.count == 1 })
    for i in 0..<100 { #expect(try await pair.ask("fast", Float(i)) == Float(i) + 1) }
    #expect(answers[0] == nil)
    gate.open()
    #expect(await eventually { answers[0] == .ok })
    await pair.end()
  }

  @Test func `who finds the workers' queue full is told so`() async throws {
    let pair = try Pair { $0.workerQueueMax = 2 }
    let gate = Gate["full"]
    pair.publish(slot("slow", try .gated("full")))
    let answers = Answers()
    pair.start("slow", answers)
    #expect(await eventually { gate.count == 1 })
    for _ in 0..<3 { pair.start("slow", answers) }
    #expect(await eventually { answers[3] == .resourceExhausted })
    gate.open()
    #expect(await eventually { answers.count == 4 })
    for i in 0..<3 { #expect(answers[i] == .ok) }
    await pair.end()
  }

  @Test(arguments: ["steps", nil]) func `a run whose call is cancelled ends between steps`(_ name: String?) async throws {
    let pair = try Pair()
    let gate = name.map { Gate["cancelled \($0)"] }
    gate?.open()
    pair.publish(
      slot("endless", try .endless(gate: name.map { "cancelled \($0)" })), slot("m", try .onLoop()))
    let answers = Answers()
    let call = pair.start("endless", answers)
    if let gate { #expect(await eventually { gate.count > 10 }) }
    call?.cancel()
    // The only worker is free again.
    #expect(try await pair.ask("m") == 0)
    await pair.end()
  }

  @Test func `a run whose deadline passed ends, and so does one that the drain cuts`() async throws {
    let pair = try Pair()
    pair.publish(slot("endless", try .endless(gate: nil).costing(1)), slot("m", try .onLoop()))
    do {
      _ = try await pair.ask("endless", timeout: .milliseconds(50))
      Issue.record("it ended")
    } catch { #expect(error.code == .deadlineExceeded) }
    #expect(try await pair.ask("m") == 0)
    let answers = Answers()
    pair.start("endless", answers)
    pair.start("endless", answers)
    await pair.server.drain(deadline: .milliseconds(100))
    #expect(await eventually { answers.count == 2 })
    pair.client.close()
    pair.channel.close()
  }

  @Test func `errors reach the client with their code and their words`() async throws {
    let pair = try Pair()
    pair.publish(slot("m", try .halfPlusTwo()))
    await #expect(throws: Status(.notFound, "Servable not found for request: Latest(n)")) { try await pair.ask("n") }
    await #expect(throws: Status(.failedPrecondition, "Serving signature key \"s\" not found.")) {
      try await pair.client.predict(PredictQuery(model: "m", signature: "s", inputs: [:]))
    }
    await #expect(throws: Status.self) { try await pair.channel.unary(predictPath, [0xFF]) }
    await pair.end()
  }
}

@Suite(.blocking) struct WaitingForModelsTests {
  private let coming = ModelEntry(name: "m", isDiscovering: true)

  @Test func `a call waits for a model that is on its way, and is answered when it comes`() async throws {
    let pair = try Pair(loops: 2)
    pair.catalog.publish([coming])
    async let first = pair.ask("m", 1)
    async let second = pair.ask("m", 2)
    // Another change that does not help.
    pair.catalog.publish([ModelEntry(name: "m", statuses: [.init(version: 1, state: .loading)])])
    try await Task.sleep(for: .milliseconds(20))
    pair.publish(slot("m", try .halfPlusTwo()))
    #expect(try await first == 2.5)
    #expect(try await second == 3)
    await pair.end()
  }

  @Test func `those who wait hear of it when the model will not come`() async throws {
    let pair = try Pair()
    pair.catalog.publish([coming])
    let answers = Answers()
    pair.start("m", answers)
    pair.start("other", answers)
    // Calls are taken in order: the first waits when the second has been refused.
    #expect(await eventually { answers[1] == .notFound })
    #expect(answers[0] == nil)
    pair.catalog.publish([ModelEntry(name: "m", statuses: [.init(version: 1, state: .end, errorCode: 3)])])
    #expect(await eventually { answers[0] == .notFound })
    await pair.end()
  }

  @Test func `a full room turns calls away, and a call that gave up makes room`() async throws {
    let pair = try Pair { $0.waitingMax = 1 }
    pair.catalog.publish([coming])
    let answers = Answers()
    let first = pair.start("m", answers)
    pair.start("m", answers)
    #expect(await eventually { answers[1] == .unavailable })
    first?.cancel()
    #expect(await eventually { answers[0] == .cancelled })
    let third = answers.count
    pair.start("m", answers)
    pair.start("other", answers)
    #expect(await eventually { answers[third + 1] == .notFound })
    #expect(answers[third] == nil)
    pair.publish(slot("m", try .halfPlusTwo()))
    #expect(await eventually { answers[third] == .ok })
    await pair.end()
  }

  @Test func `a deadline passes while a call waits`() async throws {
    let pair = try Pair { $0.waitingMax = 1 }
    pair.catalog.publish([coming])
    for _ in 0..<3 {
      do {
        _ = try await pair.ask("m", timeout: .milliseconds(30))
        Issue.record("there was an answer")
      } catch { #expect(error.code == .deadlineExceeded) }
    }
    await pair.end()
  }

  @Test func `the server's patience ends, each call's in its turn`() async throws {
    let pair = try Pair { $0.waitingNanosecondsMax = 30_000_000 }
    pair.catalog.publish([coming])
    for _ in 0..<3 {
      await #expect(throws: Status(.unavailable, "the model is still loading")) { try await pair.ask("m") }
    }
    await pair.end()
    let impatient = try Pair { $0.waitingNanosecondsMax = 0 }
    impatient.catalog.publish([coming])
    do {
      _ = try await impatient.ask("m")
      Issue.record("there was an answer")
    } catch { #expect(error.code == .unavailable) }
    await impatient.end()
  }

  @Test func `rooms that empty and fill at once lose nobody`() async throws {
    let pair = try Pair(loops: 2) { $0.waitingMax = 8 }
    let model = try Model.adding(1).costing(1000)
    let stop = Flag()
    pair.catalog.publish([coming])
    // The model comes and goes for as long as calls are made.
    let writer = Thread {
      var isThere = false
      while !stop.isSet {
        isThere.toggle()
        if isThere { pair.publish(slot("m", model)) } else { pair.catalog.publish([ModelEntry(name: "m", isDiscovering: true)]) }
        usleep(300)
      }
      pair.publish(slot("m", model))
    }
    writer.start()
    let answers = Answers()
    for _ in 0..<2000 { pair.start("m", answers) }
    // Those that wait at the end are answered by the last change.
    try await Task.sleep(for: .milliseconds(200))
    stop.set()
    #expect(await eventually { answers.count == 2000 })
    for i in 0..<2000 { #expect([.ok, .unavailable].contains(answers[i])) }
    await pair.end()
  }
}

@Suite struct VersionSwapTests {
  @Test func `versions change under load: no call fails, and the old version is freed`() async throws {
    let pair = try Pair(loops: 2) { $0.workers = 2 }
    var current: Slot? = slot("m", try .adding(1).costing(1000))
    pair.publish(current!)
    let stop = Flag()
    try await withThrowingTaskGroup(of: Int.self) { group in
      for _ in 0..<8 {
        group.addTask {
          var calls = 0
          var last: Int64 = 0
          // At least once: on a busy machine the swaps may be over before a task begins.
          repeat {
            let x = Float(calls % 1000)
            let query = PredictQuery(model: "m", inputs: ["x": Tensor(.float, shape: [1], [x])])
            let prediction = try await pair.client.predict(query)
            #expect(prediction.outputs["y"]?.array(of: Float.self) == [x + Float(prediction.version)])
            // A client never sees a version older than one it has seen: both loops may be asked, one call at a time.
            #expect(prediction.version >= last)
            last = prediction.version
            calls += 1
          } while !stop.isSet
          return calls
        }
      }
      for version in 2...60 {
        // Every third is dear, so that some runs are with workers when their version goes.
        let model = try Model.adding(Float(version)).costing(version % 3 == 0 ? 1_000_000_000 : 1000)
        let next = slot("m", model, version: Int64(version))
        let epoch = pair.publish(next)
        let old = current!
        old.retire()
        #expect(await eventually { pair.catalog.acknowledged() >= epoch && old.leaseCount == 0 })
        weak let trace = old
        current = next
        _ = consume old
        #expect(await eventually { trace == nil })
      }
      stop.set()
      var calls = 0
      for try await count in group { calls += count }
      #expect(calls >= 8)
    }
    await pair.end()
  }
}
