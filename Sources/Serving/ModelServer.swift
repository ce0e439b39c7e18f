// TensorFlow Serving's services over a catalog, and those every gRPC server has: the method table, the event loops with
// their state, and the drain.
public import Catalog
public import HTTP
internal import Messages
internal import RPC
public import Telemetry

/// Answers TensorFlow Serving's calls from a catalog that somebody else fills.
public final class ModelServer: Sendable {
  private let server: RPCServer
  private let workers: WorkerPool
  private let batcher: Batcher?
  private let health: HealthBoard
  private let scraper: Scraper
  private let logs: RequestLogs
  private let profiler: ProfilerService

  /// - Parameters:
  ///   - catalog: what to serve; read by every event loop, never waited for.
  ///   - http: where to listen, on how many event loops.
  ///   - metrics: shows what is counted here.
  ///   - logs: writes the requests of models that the catalog shows as logged.
  ///   - configurator: takes what HandleReloadConfigRequest brings; without one nobody answers that call.
  public init(
    _ catalog: Catalog, _ options: ServingOptions, http: HTTPServer.Configuration, metrics: Metrics = Metrics(),
    logs: RequestLogs? = nil, configurator: (any ModelConfigurator)? = nil
  ) throws(SocketError) {
    let workers = WorkerPool(
      threads: options.workers > 0 ? options.workers : CPUs.usable, capacity: options.workerQueueMax,
      bytesMax: options.workerQueueBytesMax, runBytesMax: options.runBytesMax)
    self.workers = workers
    let tracer = Tracer()
    let batcher = options.batching.threadParameters.map { Batcher($0, options, metrics, tracer) }
    self.batcher = batcher
    let hub = InferenceHub(options, workers, batcher, tracer)
    var methods = MethodTable()
    methods.register(path: "/tensorflow.serving.PredictionService/Predict", InferenceHandler<PredictRequest>(hub))
    methods.register(path: "/tensorflow.serving.PredictionService/Classify", InferenceHandler<ClassificationRequest>(hub))
    methods.register(path: "/tensorflow.serving.PredictionService/Regress", InferenceHandler<RegressionRequest>(hub))
    methods.register(
      path: "/tensorflow.serving.PredictionService/MultiInference", InferenceHandler<MultiInferenceRequest>(hub))
    methods.register(path: "/tensorflow.serving.SessionService/SessionRun", InferenceHandler<SessionRunRequest>(hub))
    methods.register(path: "/tensorflow.serving.PredictionService/GetModelMetadata", GetModelMetadataHandler())
    methods.register(path: "/tensorflow.serving.ModelService/GetModelStatus", GetModelStatusHandler())
    if let configurator {
      methods.register(path: "/tensorflow.serving.ModelService/HandleReloadConfigRequest", ReloadConfigHandler(configurator, metrics))
    }
    methods.register(path: "/grpc.health.v1.Health/Check", HealthCheckHandler())
    methods.register(path: "/grpc.health.v1.Health/List", HealthListHandler())
    methods.register(path: "/grpc.health.v1.Health/Watch", streaming: HealthWatchHandler())
    let profiler = ProfilerService(tracer, metrics)
    self.profiler = profiler
    if options.profiler { profiler.register(in: &methods) }
    let services = methods.services + ReflectionHandler.services
    let reflection = ReflectionHandler(Reflection(services: services, Reflection.descriptors))
    for service in ReflectionHandler.services {
      methods.register(path: "/\(service)/ServerReflectionInfo", streaming: reflection)
    }
    let health = HealthBoard(HealthState(services: services, modelServices: ["tensorflow.serving.PredictionService"]))
    self.health = health
    let scraper = Scraper(metrics)
    self.scraper = scraper
    let page = options.metricsPath.map { MetricsPage(path: $0, scraper) }
    let rest = RESTService(hub, options.rest, bodyBytesMax: http.limits.requestBodyBytesMax)
    let board = RequestBoard()
    let logs = logs ?? RequestLogs(metrics)
    self.logs = logs
    server = try RPCServer(methods: methods, configuration: RPCServer.Configuration(http: http)) { loop in
      LoopState(loop, catalog, options, health.first, board, logs)
    } makeWeb: { _ in
      WebApplication(metrics: page, rest: rest)
    }
    metrics.add { [catalog, weak server] snapshot in
      catalog.current.pour(into: &snapshot)
      board.pour(into: &snapshot)
      workers.pour(into: &snapshot)
      server?.pour(into: &snapshot)
    }
    if let batcher { catalog.observe { [unowned catalog] in batcher.refresh(catalog.current) } }
    health.show(on: server.http.loops)
    for loop in server.http.loops {
      catalog.observe { loop.enqueue { LoopState.of(loop).catalogChanged() } }
    }
    // After the loops have heard: they answer from what health tells. The catalog outlives what observes it.
    catalog.observe { [unowned catalog] in health.post { .models(of: catalog) } }
    if catalog.epoch > 0 { health.post { .models(of: catalog) } }
  }

  /// Opens the ports. From now on `grpc.health.v1.Health` says who is there.
  public func start() throws(SocketError) {
    try server.start()
    health.post { .opened }
  }

  /// The TCP ports, in the order of the configured endpoints.
  public var ports: [Int] { server.ports }

  /// Tells that nothing is served any more, takes no new work, finishes what is in flight, at most until `deadline`, and
  /// closes everything.
  public func drain(deadline: Duration) async {
    // Each loop hears this first, and then begins to say goodbye to its connections.
    health.post { .draining }
    profiler.stop()
    batcher?.close()
    await server.drain(deadline: deadline)
    workers.stop()
    batcher?.stop()
    scraper.stop()
    logs.stop()
  }
}

extension HealthState.Event {
  /// What the catalog shows now.
  fileprivate static func models(of catalog: Catalog) -> Self { .models(catalog.current.models.map { ModelHealth($0) }) }
}

extension MethodTable {
  /// Each service once, in the order of registration.
  var services: [String] {
    var services: [String] = []
    for path in paths {
      let name = String(path.dropFirst().prefix { $0 != "/" })
      if !services.contains(name) { services.append(name) }
    }
    return services
  }
}
