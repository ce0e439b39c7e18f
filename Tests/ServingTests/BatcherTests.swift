// Batching in a whole server: calls over a socket, batch threads, and a catalog that the test fills.
import Client
import Foundation
import HTTP
import RPC
import Schemas
import SwiftProtobuf
import Synchronization
import Telemetry
import Tensors
import Testing

@testable import Catalog
@testable import Engine
@testable import Serving

private let predictPath = "/tensorflow.serving.PredictionService/Predict"

private struct Batched {
  let catalog = Catalog()
  let metrics = Metrics()
  let server: ModelServer
  let channel: Channel

  init(threads: Int = 2, loops: Int = 2, _ change: (inout ServingOptions) -> Void = { _ in }) throws {
    var options = ServingOptions()
    options.workers = 1
    var parameters = BatchingParameters()
    parameters.threads = threads
    options.batching = .global(parameters)
    change(&options)
    server = try ModelServer(
      catalog, options, http: HTTPServer.Configuration(endpoints: [.tcp(host: "127.0.0.1", port: 0)], loops: loops),
      metrics: metrics)
    try server.start()
    channel = Channel(to: Endpoint.tcp(host: "127.0.0.1", port: server.ports[0]))
  }

  func publish(_ slots: Slot...) {
    catalog.publish(
      slots.map { slot in
        ModelEntry(name: slot.modelName, statuses: [.init(version: slot.version, state: .available)], slots: [slot])
      })
  }

  func ask(_ model: String, _ x: TensorMessage, outputs: [String] = []) async throws(Status) -> [Float] {
    let request = Request(["x": x], outputs: outputs, model: model)
    do {
      let response = try await channel.unary(predictPath, request.bytes, options: CallOptions(timeout: .seconds(30)))
      return try Tensorflow_Serving_PredictResponse(serializedBytes: response.bytes).outputs["y"]?.floatVal ?? []
    } catch let status as Status {
      throw status
    } catch {
      throw Status(.unknown, "\(error)")
    }
  }

  func count(_ name: String) -> Int {
    guard case .integer(let value) = metrics.snapshot().family(name)?.points.first?.value else { return 0 }
    return Int(value)
  }
  var runs: Int { count("/tensorflow/serving/batching_session/wrapped_run_count") }
  var rowsWaiting: Int { count("martlet_batch_queue_rows") }

  func end() async {
    channel.close()
    await server.drain(deadline: .seconds(20))
  }
}

extension Slot {
  fileprivate static func batched(
    _ name: String, _ model: Model, _ change: (inout BatchingParameters) -> Void = { _ in }
  ) -> Slot {
    var parameters = BatchingParameters()
    change(&parameters)
    return Slot(modelName: name, version: 1, model: model, batching: parameters)
  }
}

extension Model {
  fileprivate static func doubling() throws -> Model {
    try Model(Graph(nodes: [node("x", "Placeholder"), node("y", "TestDouble", 0)]), [Parameter("x")], [Parameter("y")])
  }

  fileprivate static func gated(_ gate: String) throws -> Model {
    let graph = Graph(nodes: [
      node("x", "Placeholder"), node("y", "TestGate", 0, attributes: ["gate": .string(Array(gate.utf8))]),
    ])
    return try Model(graph, [Parameter("x")], [Parameter("y")])
  }
}

@Suite struct BatcherTests {
  /// No time decides: the batch is full when all are there.
  @Test func `calls that come together share a run`() async throws {
    let server = try Batched()
    server.publish(
      .batched("m", try .doubling()) {
        $0.batchSizeMax = 24
        $0.timeoutMicroseconds = .max
      })
    try await withThrowingTaskGroup(of: Void.self) { group in
      for i in 0..<12 {
        group.addTask {
          let answer = try await server.ask("m", .floats(Float(i), 100))
          #expect(answer == [2 * Float(i), 200])
        }
      }
      try await group.waitForAll()
    }
    #expect(server.runs == 1)
    await server.end()
  }

  @Test func `a batch that does not fill runs when it is old enough`() async throws {
    let server = try Batched(threads: 1)
    server.publish(
      .batched("quick", try .doubling()) { $0.timeoutMicroseconds = 2000 },
      .batched("slow", try .doubling()) { $0.timeoutMicroseconds = 40_000 })
    async let slow = server.ask("slow", .floats(1))
    async let quick = server.ask("quick", .floats(2))
    #expect(try await quick == [4])
    #expect(try await slow == [2])
    #expect(server.runs == 2)
    await server.end()
  }

  @Test func `many models, calls and threads: everybody gets their own`() async throws {
    let server = try Batched(threads: 3)
    let patience = [0, 100, 1000]
    server.publish(
      .batched("m0", try .doubling()) { $0.timeoutMicroseconds = patience[0] },
      .batched("m1", try .doubling()) {
        $0.timeoutMicroseconds = patience[1]
        $0.batchSizeMax = 4
        $0.enqueuedBatchesMax = 1000
      },
      .batched("m2", try .doubling()) {
        $0.timeoutMicroseconds = patience[2]
        $0.splitsLargeBatches = true
        $0.executionBatchSizeMax = 3
        $0.enqueuedBatchesMax = 1000
      })
    try await withThrowingTaskGroup(of: Void.self) { group in
      for task in 0..<16 {
        group.addTask {
          for i in 0..<40 {
            let rows = 1 + (task + i) % 4
            let values = (0..<rows).map { Float(1000 * task + 10 * i + $0) }
            let x = TensorMessage(.dtFloat, [Int64(rows)]) { $0.floatVal = values }
            let answer = try await server.ask("m\((task + i) % 3)", x)
            #expect(answer == values.map { 2 * $0 })
          }
        }
      }
      try await group.waitForAll()
    }
    #expect(server.rowsWaiting == 0)
    #expect(server.count("martlet_batch_queue_bytes") == 0)
    await server.end()
  }

  @Test func `a bad request beside good ones fails alone`() async throws {
    let server = try Batched()
    server.publish(
      .batched("m", try .doubling()) {
        $0.batchSizeMax = 8
        $0.timeoutMicroseconds = .max
      })
    try await withThrowingTaskGroup(of: Void.self) { group in
      for i in 0..<8 {
        group.addTask {
          if i == 5 {
            let status = Status(.invalidArgument, "-3.0 is negative\n\t [[{{node y}}]]")
            await #expect(throws: status) { try await server.ask("m", .floats(-3)) }
          } else {
            let answer = try await server.ask("m", .floats(Float(i)))
            #expect(answer == [2 * Float(i)])
          }
        }
      }
      // Refused before they get that far.
      for bad in [TensorMessage(.dtInt32, [1]) { $0.intVal = [1] }, TensorMessage(.dtFloat, []) { $0.floatVal = [1] }] {
        await #expect(throws: Status.self) { try await server.ask("m", bad) }
      }
      try await group.waitForAll()
    }
    await server.end()
  }

  @Test func `what cannot be batched is told in TensorFlow Serving's words`() async throws {
    let server = try Batched()
    let two = try Model(
      Graph(nodes: [node("x", "Placeholder"), node("z", "Placeholder"), node("y", "AddV2", 0, 1)]),
      [Parameter("x"), Parameter("z", default: Tensor(.float, shape: [2], [1, 2] as [Float]))], [Parameter("y")])
    server.publish(.batched("m", try .doubling()) { $0.batchSizeMax = 4 }, .batched("two", two))
    await #expect(throws: Status(.invalidArgument, "Batching Run() input tensors must have at least one dimension")) {
      try await server.ask("m", TensorMessage(.dtFloat, []) { $0.floatVal = [1] })
    }
    await #expect(throws: Status(.invalidArgument, "Batching Run() input tensors must have equal 0th-dimension size")) {
      try await server.ask("two", .floats(1))
    }
    #expect(try await server.ask("two", .floats(1, 1)) == [2, 3])
    await #expect(throws: Status(.invalidArgument, "Task size 5 is larger than maximum input batch size 4")) {
      try await server.ask("m", .floats(1, 2, 3, 4, 5))
    }
    await server.end()
  }

  @Test func `a full queue refuses at once, and what runs does not count`() async throws {
    let server = try Batched(threads: 1)
    let gate = Gate["full batches"]
    server.publish(
      .batched("m", try .gated("full batches")) {
        $0.batchSizeMax = 2
        $0.enqueuedBatchesMax = 1
      })
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask {
        let answer = try await server.ask("m", .floats(1))
        #expect(answer == [1])
      }
      #expect(await eventually { gate.count == 1 })
      group.addTask {
        let answer = try await server.ask("m", .floats(2, 3))
        #expect(answer == [2, 3])
      }
      #expect(await eventually { server.rowsWaiting == 2 })
      let text =
        "The batch scheduling queue to which this task was submitted is full; currently 1 batches enqueued and max_enqueued_batches is 1"
      await #expect(throws: Status(.unavailable, text)) { try await server.ask("m", .floats(4)) }
      gate.open()
      try await group.waitForAll()
    }
    #expect(server.count("martlet_batch_refused_total") == 1)
    await server.end()
  }

  @Test func `who gave up while waiting is left out`() async throws {
    let server = try Batched(threads: 1)
    server.publish(
      .batched("m", try .doubling()) {
        $0.batchSizeMax = 3
        $0.timeoutMicroseconds = .max
      })
    let call = server.channel.unary(predictPath, Request(["x": .floats(1, 2)], model: "m").bytes) { _ in }
    #expect(await eventually { server.rowsWaiting == 2 })
    call?.cancel()
    #expect(try await server.ask("m", .floats(3)) == [6])
    #expect(server.count("martlet_batch_dropped_total") == 1)
    await server.end()
  }

  @Test func `when its version goes, or the server, nobody waits for company any longer`() async throws {
    let server = try Batched()
    func slot() throws -> Slot { .batched("m", try .doubling()) { $0.timeoutMicroseconds = .max } }
    server.publish(try slot())
    async let first = server.ask("m", .floats(1))
    #expect(await eventually { server.rowsWaiting == 1 })
    server.publish(try slot())
    #expect(try await first == [2])
    async let second = server.ask("m", .floats(2))
    #expect(await eventually { server.rowsWaiting == 1 })
    await server.server.drain(deadline: .seconds(20))
    #expect(try await second == [4])
    server.channel.close()
  }

  @Test func `what a loop does not prepare is batched by a worker`() async throws {
    let server = try Batched(threads: 1) { $0.inlineBytesMax = 1 << 16 }
    server.publish(
      .batched("m", try .doubling()) {
        $0.batchSizeMax = 2
        $0.timeoutMicroseconds = .max
      })
    let width = 1 << 15
    async let large = server.ask("m", TensorMessage(.dtFloat, [1, Int64(width)]) { $0.floatVal = [1] })
    async let other = server.ask("m", TensorMessage(.dtFloat, [1, Int64(width)]) { $0.floatVal = [2] })
    #expect(try await large == [Float](repeating: 2, count: width))
    #expect(try await other == [Float](repeating: 4, count: width))
    #expect(server.runs == 1)
    await server.end()
  }

  @Test func `a model without parameters is not batched`() async throws {
    let server = try Batched()
    server.publish(Slot(modelName: "m", version: 1, model: try .doubling()))
    #expect(try await server.ask("m", TensorMessage(.dtFloat, []) { $0.floatVal = [4] }) == [8])
    #expect(server.runs == 0)
    await server.end()
  }

  @Test func `requests for different outputs do not share a run`() async throws {
    let server = try Batched()
    let model = try Model(
      Graph(nodes: [node("x", "Placeholder"), node("y", "TestDouble", 0), node("z", "Neg", 0)]), [Parameter("x")],
      [Parameter("y"), Parameter("z")])
    server.publish(
      .batched("m", model) {
        $0.batchSizeMax = 2
        $0.timeoutMicroseconds = .max
      })
    async let all = server.ask("m", .floats(1))
    async let named = server.ask("m", .floats(2), outputs: ["z", "y"])
    #expect(try await all == [2])
    #expect(try await named == [4])
    #expect(server.runs == 1)
    async let y = server.ask("m", .floats(1), outputs: ["y"])
    #expect(await eventually { server.rowsWaiting == 1 })
    #expect(try await server.ask("m", .floats(1, 2), outputs: ["z"]) == [])
    #expect(server.rowsWaiting == 1)
    #expect(try await server.ask("m", .floats(3), outputs: ["y"]) == [6])
    #expect(try await y == [2])
    await server.end()
  }
}
