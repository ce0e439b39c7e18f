// Loads, under the names TensorFlow counts them by (cc/saved_model/loader.cc).
internal import Formats
internal import Telemetry

/// Counts what becomes of loads, from any loader thread.
struct LoadMeters: Sendable {
  private let attempts: Family<Counter>
  private let latency: Family<Counter>
  private let stages: Family<Histogram>
  private let warmUps: Family<Histogram>
  private let warmUpRecords: Family<Counter>

  init(_ metrics: Metrics) {
    attempts = metrics.counters("/tensorflow/cc/saved_model/load_attempt_count", labels: ["model_path", "status"])
    latency = metrics.counters("/tensorflow/cc/saved_model/load_latency", labels: ["model_path"])
    stages = metrics.histograms(
      "/tensorflow/cc/saved_model/load_latency_by_stage", labels: ["model_path", "stage"],
      HistogramLayout(.exponential(scale: 10, growth: 1.8, count: 33)))
    warmUps = metrics.histograms(
      "/tensorflow/serving/model_warmup_latency", labels: ["model_path", "status"],
      HistogramLayout(.exponential(scale: 10, growth: 1.8, count: 33)))
    warmUpRecords = metrics.counters("/tensorflow/serving/model_warmup_records_read", labels: ["model_path", "status"])
  }

  /// A version was loaded, in so long.
  func succeeded(_ directory: String, in time: Duration) {
    attempts.cell(directory, "success").add()
    latency.cell(directory).add(Int(clamping: time.microseconds))
  }

  func failed(_ directory: String, in time: Duration) {
    attempts.cell(directory, "fail").add()
    latency.cell(directory).add(Int(clamping: time.microseconds))
  }

  /// The requests that came with a version were asked, all of them or up to one that failed.
  /// - Parameter status: the name of a code.
  func warmedUp(_ directory: String, by records: Int, _ status: String, in time: Duration) {
    warmUps.cell(directory, status).record(time.microseconds)
    warmUpRecords.cell(directory, status).add(records)
  }

  func took(_ stage: SavedModelLoader.Stage, _ time: Duration, _ directory: String) {
    stages.cell(directory, stage.rawValue).record(time.microseconds)
  }
}

extension Duration {
  /// Whole microseconds; zero when it is negative.
  fileprivate var microseconds: UInt64 {
    let (seconds, attoseconds) = components
    return seconds < 0 || attoseconds < 0 ? 0 : UInt64(seconds) &* 1_000_000 &+ UInt64(attoseconds / 1_000_000_000_000)
  }
}
