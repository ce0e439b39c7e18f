// What is counted of batches, under TensorFlow Serving's names (`batching_session.cc`, `batch_scheduler_utils.h`) and ours.
internal import Catalog
internal import RPC
internal import Telemetry

/// Counted from any thread.
struct BatchMeters: Sendable {
  /// TensorFlow Serving's label for it is empty; here it says which threads.
  private let queuing: Histogram
  private let runs: Counter
  private let padding: Family<Histogram>
  private let inputRows: Histogram
  private let processedRows: Histogram
  private let refused: Family<Counter>
  private let reruns: Counter
  private let dropCount: Counter

  private static let sizes = HistogramLayout(.exponential(scale: 1, growth: 2, count: 14))

  init(_ metrics: Metrics, threadPoolName: String) {
    let name = "/tensorflow/serving/batching_session/"
    queuing = metrics.histograms(
      name + "queuing_latency", labels: ["thread_pool_name"],
      HistogramLayout(.exponential(scale: 100, growth: 1.2, count: 52), ticksPerUnit: 1000)
    ).cell(threadPoolName)
    runs = metrics.counters(name + "wrapped_run_count").cell()
    padding = metrics.histograms(name + "padding_size", labels: ["execution_batch_size"], BatchMeters.sizes)
    inputRows = metrics.histograms(name + "input_batch_size", BatchMeters.sizes).cell()
    processedRows = metrics.histograms(name + "processed_batch_size", BatchMeters.sizes).cell()
    refused = metrics.counters("martlet_batch_refused_total", labels: ["model_name"])
    reruns = metrics.counters("martlet_batch_reruns_total").cell()
    dropCount = metrics.counters("martlet_batch_dropped_total").cell()
  }

  /// A request of so many rows in each of its inputs is up to be batched.
  func asked(_ rows: Int, inputs: Int) {
    for _ in 0..<inputs { inputRows.record(UInt64(rows)) }
  }

  /// And was not taken in.
  func refused(_ model: String) { refused.cell(model).add() }

  /// It waited so long until its batch was taken up.
  func waited(nanoseconds: UInt64) { queuing.record(nanoseconds) }

  /// Nobody waited for it any more then.
  func dropped() { dropCount.add() }

  /// A batch of so many rows is about to run.
  func merged(rows: Int, executed: Int, _ cells: inout [Int: Histogram]) {
    let cell = cells[executed] ?? padding.cell(String(executed))
    cells[executed] = cell
    cell.record(UInt64(executed - rows))
    processedRows.record(UInt64(executed))
  }

  func ran() { runs.add() }

  /// A batch failed and is run again in parts.
  func reran() { reruns.add() }
}

extension BatchRefusal {
  /// In TensorFlow's words.
  var status: Status {
    let full = "The batch scheduling queue to which this task was submitted is full; "
    switch self {
    case .tooLarge(let rows, let rowsMax):
      return Status(.invalidArgument, "Task size \(rows) is larger than maximum input batch size \(rowsMax)")
    case .full(let batches, let batchesMax):
      return Status(.unavailable, full + "currently \(batches) batches enqueued and max_enqueued_batches is \(batchesMax)")
    case .noCapacity(let rows, let capacity, let batches, let batchesMax, let openRows, let rowsMax):
      return Status(
        .unavailable,
        full
          + "task size is \(rows) but scheduling capacity is only \(capacity) (num_enqueued_batches=\(batches), max_enqueued_batches=\(batchesMax), open_batch_size=\(openRows), max_execution_batch_size=\(rowsMax))"
      )
    }
  }
}
