// Loads, under the names TensorFlow counts them by (cc/saved_model/loader.cc).
internal import Formats
internal import Telemetry

/// Counts what becomes of loads, from any loader thread.
struct LoadMeters: Sendable {
  private let attempts: Family<Counter>
  private let latency: Family<Counter>
  private let stages: Family<Histogram>

  init(_ metrics: Metrics) {
    attempts = metrics.counters("/tensorflow/cc/saved_model/load_attempt_count", labels: ["model_path", "status"])
    latency = metrics.counters("/tensorflow/cc/saved_model/load_latency", labels: ["model_path"])
    stages = metrics.histograms(
      "/tensorflow/cc/saved_model/load_latency_by_stage", labels: ["model_path", "stage"],
      HistogramLayout(.exponential(scale: 10, growth: 1.8, count: 33)))
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
