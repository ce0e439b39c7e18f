public import Catalog

/// How requests are answered, from the command line.
public struct ServingOptions: Sendable {
  /// Outputs in `tensor_content`. TensorFlow Serving's default, and what many clients read, are the typed fields.
  public var tensorContentResponses = false
  /// Refuse Predict on a signature whose method_name is none that Predict may call.
  public var methodNameCheck = false
  /// The most memory a tensor of a request may take. A short message can claim a large tensor: missing values are filled.
  public var tensorBytesMax = 1 << 30
  /// The most memory a run may hold.
  public var runBytesMax = 4 << 30
  /// Runs estimated to take longer leave the event loop for a worker.
  public var inlineNanosecondsMax = 200_000
  /// Runs that turn out to need more memory leave the event loop too: what fills more takes longer than a loop has.
  public var inlineBytesMax = 16 << 20
  /// The most runs that wait for a worker, and the most memory their requests hold.
  public var workerQueueMax = 4096
  public var workerQueueBytesMax = 2 << 30
  /// Workers; zero for as many as there are usable CPUs.
  public var workers = 0
  /// Whether there are threads that run batches, and how many; how requests to a version are batched, its slot says.
  public var batching = Batching.off
  /// The most requests that wait for a loading model, on one event loop.
  public var waitingMax = 1024
  /// The longest a request waits for a loading model, unless its own deadline is nearer.
  public var waitingNanosecondsMax: Int64 = 60_000_000_000

  /// Where Prometheus reads the metrics; `nil`: nowhere.
  public var metricsPath: String? = "/monitoring/prometheus/metrics"

  /// Answer `tensorflow.ProfilerService`.
  public var profiler = true

  /// The REST interface.
  public var rest = RESTOptions()

  public init() {}
}
