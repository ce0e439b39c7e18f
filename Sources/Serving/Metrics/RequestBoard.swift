// All that the loops have counted of requests, by name, and how it is shown: under TensorFlow Serving's names, by model, and
// under ours, by version and signature as well.
internal import Catalog
internal import Engine
internal import RPC
internal import Synchronization
internal import Telemetry

final class RequestBoard: Sendable {
  private struct State {
    /// What loops write. A block leaves when its loop gives it up.
    var blocks: [ObjectIdentifier: (labels: RequestLabels, block: MeterBlock)] = [:]
    /// By labels without version and signature: TensorFlow Serving's counters belong to the model and only go up.
    var totals: [RequestLabels: MeterBlock] = [:]
    /// The memory of each loop's runs, and the requests that wait for a model on it.
    var arenas: [MeterBlock] = []
  }

  private let state = Mutex(State())

  func makeBlock(_ labels: RequestLabels) -> MeterBlock {
    let block = MeterBlock(wordCount: RequestWords.count)
    state.withLock { $0.blocks[ObjectIdentifier(block)] = (labels, block) }
    return block
  }

  /// Where a loop says what memory its runs have and how many requests wait on it.
  func makeArena() -> MeterBlock {
    let block = MeterBlock(wordCount: 2)
    state.withLock { $0.arenas.append(block) }
    return block
  }

  /// Its loop will not write it any more.
  func retire(_ block: MeterBlock) {
    state.withLock { state in
      guard let (labels, block) = state.blocks.removeValue(forKey: ObjectIdentifier(block)) else { return }
      RequestBoard.total(RequestLabels(model: labels.model, origin: labels.origin), &state).absorb(block)
    }
  }

  /// What is kept of a model's requests when their slot is gone. Written by `absorb`.
  func total(_ labels: RequestLabels) -> MeterBlock { state.withLock { RequestBoard.total(labels, &$0) } }

  /// Models that came and went: past so many they are counted together.
  private static let totalsMax = 10_000

  private static func total(_ labels: RequestLabels, _ state: inout State) -> MeterBlock {
    if let known = state.totals[labels] { return known }
    var labels = labels
    if state.totals.count >= totalsMax { labels.model = Family<Counter>.overflowLabel }
    if let known = state.totals[labels] { return known }
    let new = MeterBlock(wordCount: RequestWords.count)
    state.totals[labels] = new
    return new
  }

  // MARK: TensorFlow Serving's names

  private static let requestCount = MetricDescription("/tensorflow/serving/request_count", .counter, labels: ["model_name", "status"])
  private static let requestLatency = MetricDescription(
    "/tensorflow/serving/request_latency", .histogram, labels: ["model_name", "API", "entrypoint"])
  private static let runtimeLatency = MetricDescription(
    "/tensorflow/serving/runtime_latency", .histogram, labels: ["model_name", "API", "runtime"])
  private static let exampleCounts = MetricDescription("/tensorflow/serving/request_example_counts", .histogram, labels: ["model"])
  private static let exampleTotal = MetricDescription("/tensorflow/serving/request_example_count_total", .counter, labels: ["model"])
  private static let graphRuns = MetricDescription("/tensorflow/core/graph_runs", .counter)
  private static let graphTime = MetricDescription("/tensorflow/core/graph_run_time_usecs", .counter)
  private static let graphHistogram = MetricDescription("/tensorflow/core/graph_run_time_usecs_histogram", .histogram)
  private static let sessionRuns = MetricDescription("/tensorflow/core/direct_session_runs", .counter)

  // MARK: Ours

  private static let requests = MetricDescription(
    "martlet_requests_total", .counter, labels: ["model_name", "version", "signature_name", "api", "entrypoint", "status"])
  private static let inFlight = MetricDescription("martlet_requests_in_flight", .gauge, labels: ["model_name", "version"])
  private static let stage = MetricDescription(
    "martlet_request_stage_seconds", .histogram, labels: ["model_name", "version", "signature_name", "stage"])
  private static let wasted = MetricDescription("martlet_wasted_runs_total", .counter, labels: ["model_name"])
  private static let wastedSeconds = MetricDescription("martlet_wasted_run_seconds_total", .counter, labels: ["model_name"])

  private static let waiting = MetricDescription("martlet_requests_waiting_for_model", .gauge)
  static let arenaBytes = MetricDescription("martlet_arena_bytes", .gauge, labels: ["threads"])

  func pour(into snapshot: inout MetricsSnapshot) {
    for description in [
      RequestBoard.requestCount, RequestBoard.requestLatency, RequestBoard.runtimeLatency, RequestBoard.exampleCounts,
      RequestBoard.exampleTotal, RequestBoard.requests, RequestBoard.inFlight, RequestBoard.stage, RequestBoard.wasted,
      RequestBoard.wastedSeconds,
    ] { snapshot.declare(description) }
    for description in [RequestBoard.graphRuns, RequestBoard.graphTime, RequestBoard.sessionRuns] { snapshot.add(0, to: description) }
    let (blocks, totals, arenas) = state.withLock { ($0.blocks.values.map { $0 }, $0.totals, $0.arenas) }
    for arena in arenas {
      snapshot.add(arena[0], to: RequestBoard.arenaBytes, ["loop"])
      snapshot.add(arena[1], to: RequestBoard.waiting)
    }
    for (labels, block) in blocks {
      pour(labels, block, into: &snapshot)
      pourVersion(labels, block, into: &snapshot)
    }
    for (labels, block) in totals { pour(labels, block, into: &snapshot) }
  }

  private func pour(_ labels: RequestLabels, _ block: MeterBlock, into snapshot: inout MetricsSnapshot) {
    // TensorFlow Serving counts neither GetModelMetadata nor the ModelService when they come by gRPC, and knows only verbs by REST.
    let isAbout = [.modelMetadata, .modelStatus].contains(labels.origin.api)
    let api = isAbout ? "" : labels.origin.api.label(labels.origin.entrypoint)
    if labels.origin.entrypoint == .rest || !isAbout {
      for code in Status.Code.allCases {
        let count = block[RequestWords.codes + code.rawValue]
        if count > 0 { snapshot.add(count, to: RequestBoard.requestCount, [labels.model, code.name]) }
      }
      let latency = block.histogram(RequestWords.latencyLayout, at: RequestWords.latency)
      if latency.count > 0 { snapshot.add(latency, to: RequestBoard.requestLatency, [labels.model, api, labels.origin.entrypoint.label]) }
    }
    let runtime = block.histogram(RequestWords.latencyLayout, at: RequestWords.runtime)
    if runtime.count > 0 {
      // The run does not know who asked for it.
      snapshot.add(runtime, to: RequestBoard.runtimeLatency, [labels.model, labels.origin.api.label(.grpc), "TF1"])
      let graph = block.histogram(RequestWords.graphLayout, at: RequestWords.graph)
      snapshot.add(graph, to: RequestBoard.graphHistogram)
      snapshot.add(graph.count, to: RequestBoard.graphRuns)
      snapshot.add(graph.count, to: RequestBoard.sessionRuns)
      snapshot.add(UInt64(graph.sum), to: RequestBoard.graphTime)
    }
    let examples = block.histogram(RequestWords.exampleLayout, at: RequestWords.examples)
    if examples.count > 0 {
      snapshot.add(examples, to: RequestBoard.exampleCounts, [labels.model])
      snapshot.add(UInt64(examples.sum), to: RequestBoard.exampleTotal, [labels.model])
    }
    let wasted = block[RequestWords.wasted]
    if wasted > 0 {
      snapshot.add(wasted, to: RequestBoard.wasted, [labels.model])
      snapshot.add(Double(block[RequestWords.wastedTime]) / 1e9, to: RequestBoard.wastedSeconds, [labels.model])
    }
  }

  private func pourVersion(_ labels: RequestLabels, _ block: MeterBlock, into snapshot: inout MetricsSnapshot) {
    let version = labels.version.map(String.init) ?? ""
    let api = labels.origin.api.label(labels.origin.entrypoint)
    for code in Status.Code.allCases {
      let count = block[RequestWords.codes + code.rawValue]
      if count > 0 {
        snapshot.add(
          count, to: RequestBoard.requests,
          [labels.model, version, labels.signature, api, labels.origin.entrypoint.label, code.name])
      }
    }
    // Settled first: read the other way round, a request that ends in between would make the gauge negative.
    let settled = block[RequestWords.settled], detached = block[RequestWords.detached]
    if detached > 0 { snapshot.add(Int(detached) - Int(settled), to: RequestBoard.inFlight, [labels.model, version]) }
    for stage in RequestStage.allCases {
      let value = block.histogram(RequestWords.stageLayout, at: RequestWords.stage(stage))
      if value.count > 0 {
        snapshot.add(value, to: RequestBoard.stage, [labels.model, version, labels.signature, "\(stage)"])
      }
    }
  }
}
