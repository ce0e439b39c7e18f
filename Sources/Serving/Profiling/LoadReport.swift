// What Monitor says: what the server has done between two looks at its metrics, for people.
internal import Telemetry

struct LoadReport {
  let from: MetricsSnapshot
  let to: MetricsSnapshot
  /// Between the two.
  let seconds: Double

  init(from: MetricsSnapshot, to: MetricsSnapshot, seconds: Double) {
    self.from = from
    self.to = to
    self.seconds = max(seconds, 1e-3)
  }

  /// - Parameters:
  ///   - level: 1: the server; 2 and above: each model as well.
  ///   - isTimed: says how long was looked.
  func text(level: Int, isTimed: Bool) -> String {
    var lines: [String] = []
    if isTimed { lines.append("Over \(tenths(seconds)) s:") }
    let requests = increase(of: "/tensorflow/serving/request_count") { _ in true }
    let failed = increase(of: "/tensorflow/serving/request_count") { $0.last != "OK" }
    lines.append("Requests: \(tenths(requests / seconds))/s, \(tenths(failed / seconds))/s failed")
    lines.append("Runs: \(tenths(increase(of: "/tensorflow/core/graph_runs") { _ in true } / seconds))/s, \(mean(of: "/tensorflow/core/graph_run_time_usecs_histogram") { _ in true })")
    lines.append("CPU: \(tenths(100 * increase(of: "process_cpu_seconds_total") { _ in true } / seconds)) % of one processor")
    lines.append("Memory: \(whole(now("process_resident_memory_bytes") / 1e6)) MB resident, models \(whole(now("martlet_model_bytes") / 1e6)) MB")
    lines.append("Workers: \(whole(now("martlet_workers_busy"))) of \(whole(now("martlet_workers"))) busy, \(whole(now("martlet_worker_queue_length"))) requests wait")
    lines.append("Connections: \(whole(now("martlet_connections_open"))), streams: \(whole(now("martlet_streams_open")))")
    if level >= 2 {
      for model in models {
        let count = increase(of: "/tensorflow/serving/request_count") { $0.first == model }
        let latency = mean(of: "/tensorflow/serving/request_latency") { $0.first == model }
        lines.append("Model \(model): \(tenths(count / seconds))/s, \(latency)")
      }
    }
    return lines.joined(separator: "\n") + "\n"
  }

  /// The configured models that were asked anything.
  private var models: [String] {
    Set((to.family("/tensorflow/serving/request_count")?.points ?? []).compactMap(\.labels.first)).filter { !$0.isEmpty }.sorted()
  }

  private func sum(_ snapshot: MetricsSnapshot, _ name: String, _ isCounted: ([String]) -> Bool) -> (sum: Double, count: Double) {
    (snapshot.family(name)?.points ?? []).filter { isCounted($0.labels) }.reduce((0, 0)) { total, point in
      switch point.value {
      case .integer(let value): (total.0 + Double(value), total.1)
      case .real(let value): (total.0 + value, total.1)
      case .histogram(let value): (total.0 + value.sum, total.1 + Double(value.count))
      }
    }
  }

  private func increase(of name: String, _ isCounted: ([String]) -> Bool) -> Double {
    max(0, sum(to, name, isCounted).sum - sum(from, name, isCounted).sum)
  }

  private func now(_ name: String) -> Double { sum(to, name) { _ in true }.sum }

  private func mean(of name: String, _ isCounted: ([String]) -> Bool) -> String {
    let (before, after) = (sum(from, name, isCounted), sum(to, name, isCounted))
    guard after.count > before.count else { return "none" }
    return "\(tenths((after.sum - before.sum) / (after.count - before.count))) us each"
  }

  private func tenths(_ value: Double) -> String { "\((value * 10).rounded() / 10)" }
  private func whole(_ value: Double) -> String { "\(Int(value.rounded()))" }
}
