// TensorFlow Serving's services over a catalog: the method table, the event loops with their state, and the drain.
public import Catalog
public import HTTP
internal import RPC

/// Answers TensorFlow Serving's calls from a catalog that somebody else fills.
public final class ModelServer: Sendable {
  private let server: RPCServer
  private let workers: WorkerPool

  /// - Parameters:
  ///   - catalog: what to serve; read by every event loop, never waited for.
  ///   - http: where to listen, on how many event loops.
  public init(_ catalog: Catalog, _ options: ServingOptions, http: HTTPServer.Configuration) throws(SocketError) {
    let workers = WorkerPool(
      threads: options.workers > 0 ? options.workers : CPUs.usable, capacity: options.workerQueueMax,
      bytesMax: options.workerQueueBytesMax, runBytesMax: options.runBytesMax)
    self.workers = workers
    var methods = MethodTable()
    methods.register(path: "/tensorflow.serving.PredictionService/Predict", PredictHandler(options, workers))
    methods.register(path: "/tensorflow.serving.PredictionService/GetModelMetadata", GetModelMetadataHandler())
    methods.register(path: "/tensorflow.serving.ModelService/GetModelStatus", GetModelStatusHandler())
    server = try RPCServer(methods: methods, configuration: RPCServer.Configuration(http: http)) { loop in
      LoopState(loop, catalog, options)
    }
    for loop in server.http.loops {
      catalog.observe { loop.enqueue { LoopState.of(loop).catalogChanged() } }
    }
  }

  /// Opens the ports.
  public func start() throws(SocketError) { try server.start() }

  /// The TCP ports, in the order of the configured endpoints.
  public var ports: [Int] { server.ports }

  /// Takes no new work, finishes what is in flight, at most until `deadline`, and closes everything.
  public func drain(deadline: Duration) async {
    await server.drain(deadline: deadline)
    workers.stop()
  }
}
