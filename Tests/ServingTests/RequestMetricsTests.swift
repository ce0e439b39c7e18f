// What is counted of requests, asked of a whole server in this process.
import Client
import HTTP
import RPC
import Schemas
import SwiftProtobuf
import Telemetry
import Tensors
import TestThreads
import Testing

@testable import Catalog
@testable import Engine
@testable import Serving

private struct Pair {
  let catalog = Catalog()
  let metrics = Metrics()
  let server: ModelServer
  let client: PredictionClient

  init(_ change: (inout ServingOptions) -> Void = { _ in }) throws {
    var options = ServingOptions()
    options.workers = 1
    change(&options)
    server = try ModelServer(
      catalog, options, http: HTTPServer.Configuration(endpoints: [.tcp(host: "127.0.0.1", port: 0)], loops: 2),
      metrics: metrics)
    try server.start()
    client = PredictionClient(.tcp(host: "127.0.0.1", port: server.ports[0]))
  }

  func end() async {
    client.close()
    await server.drain(deadline: .seconds(20))
  }

  func publish(_ slots: Slot...) {
    catalog.publish(
      Dictionary(grouping: slots, by: \.modelName).map { name, slots in
        ModelEntry(name: name, statuses: slots.map { .init(version: $0.version, state: .available) }, slots: slots)
      })
  }

  @discardableResult
  func ask(_ model: String, _ input: String = "x", timeout: Duration = .seconds(30)) async -> Status.Code {
    do throws(Status) {
      _ = try await client.predict(PredictQuery(model: model, inputs: [input: Tensor(.float, shape: [1], [1 as Float])]), timeout: timeout)
      return .ok
    } catch {
      return error.code
    }
  }

  func value(_ name: String, _ labels: [String] = []) -> MetricValue? { metrics.snapshot().value(name, labels) }

  func count(_ name: String, _ labels: [String]) -> UInt64? {
    guard case .histogram(let value)? = value(name, labels) else { return nil }
    return value.count
  }
}

private func slot(_ name: String, version: Int64 = 1, costing nanoseconds: Int = 1000, _ model: Model) -> Slot {
  for signature in model.signatures { signature.cost.record(rows: 1, nanoseconds: nanoseconds) }
  return Slot(modelName: name, version: version, model: model)
}

private let requestCount = "/tensorflow/serving/request_count"
private let requests = "martlet_requests_total"

@Suite(.blocking) struct RequestMetricsTests {
  @Test func `requests count for their model, version and signature, wherever they ran`() async throws {
    let pair = try Pair()
    pair.publish(slot("cheap", version: 3, try .halfPlusTwo()), slot("dear", costing: .max, try .halfPlusTwo()))
    for _ in 0..<5 { await pair.ask("cheap") }
    for _ in 0..<3 { await pair.ask("dear") }
    await pair.ask("cheap", "z")
    let ours = ["cheap", "3", "serving_default", "Predict", "GRPC"]
    #expect(pair.value(requestCount, ["cheap", "OK"]) == .integer(5))
    #expect(pair.value(requests, ours + ["OK"]) == .integer(5))
    // Mistakes are found before there is a run of a signature.
    #expect(pair.value(requestCount, ["cheap", "INVALID_ARGUMENT"]) == .integer(1))
    #expect(pair.value(requests, ["cheap", "3", "", "Predict", "GRPC", "INVALID_ARGUMENT"]) == .integer(1))
    // A worker's are counted back on the loop, behind the answer.
    #expect(await eventually { pair.value(requestCount, ["dear", "OK"]) == .integer(3) })
    #expect(pair.count("/tensorflow/serving/request_latency", ["cheap", "Predict", "GRPC"]) == 5)
    #expect(pair.count("/tensorflow/serving/request_latency", ["dear", "Predict", "GRPC"]) == 3)
    #expect(pair.count("/tensorflow/serving/runtime_latency", ["cheap", "Predict", "TF1"]) == 5)
    #expect(pair.value("/tensorflow/core/graph_runs") == .integer(8))
    #expect(pair.count("/tensorflow/core/graph_run_time_usecs_histogram", []) == 8)
    for stage in ["parse", "compute", "write"] {
      #expect(pair.count("martlet_request_stage_seconds", ["cheap", "3", "serving_default", stage]) == 5, "\(stage)")
    }
    #expect(pair.count("martlet_request_stage_seconds", ["dear", "1", "serving_default", "queue"]) == 3)
    #expect(pair.value("martlet_requests_in_flight", ["dear", "1"]) == .integer(0))
    await pair.end()
  }

  @Test func `names that nobody configured make no series`() async throws {
    let pair = try Pair()
    pair.publish(slot("m", try .halfPlusTwo()))
    for i in 0..<20 { #expect(await pair.ask("made up \(i)") == .notFound) }
    #expect(pair.value(requestCount, ["", "NOT_FOUND"]) == .integer(20))
    let text = String(decoding: PrometheusText.bytes(of: pair.metrics.snapshot()), as: UTF8.self)
    #expect(!text.contains("made up"))
    #expect(pair.metrics.snapshot().family(requests)?.points.count == 1)
    await pair.end()
  }

  @Test func `a version that goes leaves its counts to its model`() async throws {
    let pair = try Pair()
    pair.publish(slot("m", version: 1, try .halfPlusTwo()))
    for _ in 0..<4 { await pair.ask("m") }
    pair.publish(slot("m", version: 2, try .halfPlusTwo()))
    #expect(await eventually { pair.value(requests, ["m", "1", "serving_default", "Predict", "GRPC", "OK"]) == nil })
    #expect(pair.value(requestCount, ["m", "OK"]) == .integer(4))
    for _ in 0..<2 { await pair.ask("m") }
    #expect(pair.value(requests, ["m", "2", "serving_default", "Predict", "GRPC", "OK"]) == .integer(2))
    #expect(pair.value(requestCount, ["m", "OK"]) == .integer(6))
    #expect(pair.count("/tensorflow/serving/request_latency", ["m", "Predict", "GRPC"]) == 6)
    await pair.end()
  }

  @Test func `what waits in vain for its model counts for the model`() async throws {
    let pair = try Pair { $0.waitingNanosecondsMax = 1_000_000 }
    pair.catalog.publish([ModelEntry(name: "slow", statuses: [.init(version: 1, state: .loading)])])
    #expect(await pair.ask("slow") == .unavailable)
    // The client tries again what is unavailable.
    guard case .integer(let count)? = pair.value(requestCount, ["slow", "UNAVAILABLE"]) else {
      Issue.record("nothing is counted")
      return
    }
    #expect(count >= 1)
    #expect(await pair.ask("slow", timeout: .microseconds(100)) != .ok)
    await pair.end()
  }

  @Test func `the catalog, the workers and the loads are shown`() async throws {
    let pair = try Pair()
    pair.publish(slot("m", version: 7, try .halfPlusTwo()))
    #expect(pair.value("martlet_model_version_state", ["m", "7", "AVAILABLE"]) == .integer(1))
    #expect(pair.value("martlet_model_versions_loaded", ["m"]) == .integer(1))
    #expect(pair.value("martlet_model_bytes", ["m", "7"]) == .integer(8))
    #expect(pair.value("martlet_workers") == .integer(1))
    #expect(pair.value("martlet_worker_queue_length") == .integer(0))
    await pair.end()
  }
}
