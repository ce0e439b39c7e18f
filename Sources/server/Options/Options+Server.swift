// What the flags mean to the parts of the server.
internal import CLinux
internal import Glibc
internal import HTTP
internal import Lifecycle
internal import RPC
internal import Serving
internal import Telemetry

enum Martlet {
  static let version = "0.1.0"
}

extension Options {
  func serving(_ runtime: RuntimeConfiguration, _ monitoring: MonitoringConfiguration = MonitoringConfiguration()) -> ServingOptions {
    var serving = ServingOptions()
    serving.tensorContentResponses = tensorContentResponses
    serving.methodNameCheck = methodNameCheck
    serving.waitingMax = loadWaitQueueSize
    serving.waitingNanosecondsMax = Int64(loadWaitSeconds) * 1_000_000_000
    serving.workers = workerThreads > 0 ? workerThreads : runtime.parallelism
    serving.batching = runtime.batching
    serving.profiler = enableProfiler
    serving.rest.allowsOtherOrigins = restCORS
    serving.rest.timeoutMilliseconds = restTimeoutMilliseconds
    serving.rest.isStrictJSON = restStrictJSON
    serving.metricsPath = monitoring.isEnabled ? monitoring.path : nil
    return serving
  }

  func requestLogs(_ metrics: Metrics, _ runtime: RuntimeConfiguration) -> RequestLogs {
    var limits = RequestLogLimits()
    limits.fileBytesMax = requestLogFileBytes
    limits.fileSecondsMax = requestLogFileSeconds
    limits.totalBytesMax = requestLogTotalBytes
    return RequestLogs(metrics, limits: limits, tags: runtime.tags.sorted())
  }

  var lifecycle: Lifecycle.Options {
    var lifecycle = Lifecycle.Options()
    lifecycle.pollWaitSeconds = fileSystemPollWaitSeconds
    lifecycle.loadThreads = numLoadThreads
    lifecycle.loadRetriesMax = maxNumLoadRetries
    lifecycle.loadRetryInterval = .microseconds(loadRetryIntervalMicros)
    lifecycle.emptyPatience = .seconds(emptyBasePathWaitSeconds)
    lifecycle.allowsLabelsForUnavailable = allowsLabelsForUnavailableVersions
    return lifecycle
  }

  /// The model config file, to be looked at again and again.
  func watched(_ configFile: TextFile?) -> WatchedFile? {
    guard let configFile, modelConfigFilePollWaitSeconds > 0 else { return nil }
    return WatchedFile(file: configFile, pause: .seconds(modelConfigFilePollWaitSeconds))
  }

  /// The same services on each: the second is there for who is used to two.
  private var tcpPorts: [Int] { ([port] + (restPort == port ? [] : [restPort])).filter { $0 > 0 } }

  func http(_ certificates: CertificateStore?) -> HTTPServer.Configuration {
    var endpoints = tcpPorts.map { Endpoint.tcp(host: host, port: $0) }
    if !grpcSocketPath.isEmpty { endpoints.append(.unix(path: grpcSocketPath)) }
    var http = HTTPServer.Configuration(endpoints: endpoints, loops: eventLoops > 0 ? eventLoops : nil, limits: limits)
    http.tls = certificates
    // As in TensorFlow Serving, neither a Unix socket nor a REST port that cannot be had stops the others. REST is on the first
    // port, too.
    if !tcpPorts.isEmpty, !grpcSocketPath.isEmpty { http.dispensableEndpoints.insert(.unix(path: grpcSocketPath)) }
    if endpoints.count > 1, restPort > 0, restPort != port { http.dispensableEndpoints.insert(.tcp(host: host, port: restPort)) }
    if hasPlainRest { http.plainEndpoints = [.tcp(host: host, port: restPort)] }
    return http
  }

  /// The second port stays without TLS beside a first that has it.
  var hasPlainRest: Bool { !sslConfigFile.isEmpty && !restTLS && restPort > 0 && restPort != port }

  /// Where the server listens, as people write it.
  func addresses(ports: [Int]) -> [String] {
    var addresses = zip(tcpPorts, ports).filter { $1 > 0 }.map { Endpoint.tcp(host: host, port: $1).description }
    if !grpcSocketPath.isEmpty { addresses.append("unix:\(grpcSocketPath)") }
    return addresses
  }
}

extension LogLine {
  func log() {
    switch level {
    case .info: Log.info(message, model: model, version: version)
    case .warning: Log.warn(message, model: model, version: version)
    case .error: Log.error(message, model: model, version: version)
    }
  }
}

extension ModelFailure {
  /// As TensorFlow Serving lists models that did not come up, in braces of its own.
  var text: String {
    let name = version.map { "{name: \(model) version: \($0)}" } ?? "{name: \(model)}"
    let code = code == 0 ? "" : (Status.Code(rawValue: code)?.name ?? "UNKNOWN") + ": "
    return "{\(name) due to error: \(code)\(message)}, "
  }
}

/// Signals, blocked in every thread and waited for in one.
struct SignalWait {
  private var set = sigset_t()

  /// Called before any other thread is started: threads inherit what is blocked.
  init(_ signals: [Int32]) {
    unsafe sigemptyset(&set)
    for signal in signals { unsafe sigaddset(&set, signal) }
    unsafe pthread_sigmask(SIG_BLOCK, &set, nil)
    // A peer that went away is an error of that write, not of the process.
    Glibc.signal(SIGPIPE, SIG_IGN)
  }

  /// The name of the signal that came.
  mutating func wait() -> String {
    var number: Int32 = 0
    unsafe sigwait(&set, &number)
    return number == SIGTERM ? "SIGTERM" : number == SIGINT ? "SIGINT" : "signal \(number)"
  }
}
