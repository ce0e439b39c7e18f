// martlet-server, start to drain:
//
//   flags ─► models to serve ─► lifecycle fills the catalog ─► ports open ─► SIGTERM ─► drain ─► unload ─► exit
//
// Ports open at once; a request for a model that is still loading waits for it. The order of TensorFlow Serving, models first,
// is an option.
internal import Catalog
internal import CLinux
internal import Glibc
internal import HTTP
internal import Lifecycle
internal import Serving
internal import Telemetry

/// TensorFlow Serving's exit code for a start that failed.
let failed: Int32 = 255

func leave(_ code: Int32, _ text: String) -> Never {
  Console.say(text)
  exit(code)
}

func readOptions() -> Options {
  do throws(OptionsError) {
    return try Options(Array(CommandLine.arguments.dropFirst()))
  } catch {
    switch error {
    case .helpAsked: leave(failed, Options.usage)
    case .malformed(let flag, let value, let expected):
      leave(failed, "--\(flag): '\(value)' is not \(expected)\n\(Options.usage)")
    }
  }
}

let options = readOptions()
if options.version { leave(0, "TensorFlow ModelServer: Martlet \(Martlet.version)\nTensorFlow Library: none") }
if let unknown = options.unknown { Console.say("unknown argument: \(unknown)\n\(Options.usage)") }
for line in options.withoutEffect + options.contradictions { Log.warn(line) }

let configFile: TextFile?
let models: [ModelConfiguration]?
let runtime: RuntimeConfiguration
let monitoring: MonitoringConfiguration
do {
  try options.check()
  configFile = try options.configFile()
  models = try options.models(configFile)
  runtime = try options.runtime()
  monitoring = try options.monitoring()
} catch {
  Log.error(error.description)
  leave(failed, "Failed to start server. Error: \(error)")
}
for line in runtime.remarks { Log.warn(line) }

let certificates: CertificateStore?
do { certificates = try options.certificates() } catch { leave(failed, "Failed to start server. Error: INVALID_ARGUMENT: \(error)") }

// Signals are taken by this thread alone; every other one is started with them blocked.
var signals = SignalWait([SIGTERM, SIGINT])

let metrics = Metrics()
metrics.add(ProcessMetrics.pour)
let catalog = Catalog()
let lifecycle = Lifecycle(catalog, loader: SavedModels(runtime, options.serving(runtime, monitoring), LoadMeters(metrics)), options: options.lifecycle) { $0.log() }
let reloader = Reloader(lifecycle, watching: options.watched(configFile), searchPatience: .seconds(options.loadWaitSeconds))
let server: ModelServer
do {
  server = try ModelServer(
    catalog, options.serving(runtime, monitoring), http: options.http(certificates), metrics: metrics,
    logs: options.requestLogs(metrics, runtime), configurator: reloader)
} catch {
  leave(failed, "Failed to start server. Error: UNAVAILABLE: \(error)")
}
lifecycle.apply(models ?? [])
// The catalog knows their names before a port opens: who comes first waits for his model, and is not told that there is none.
_ = lifecycle.waitUntilAvailable(deadline: .now)
if options.openPortsAfterModels {
  let failures = lifecycle.waitUntilAvailable(deadline: .now + .seconds(1_000_000_000))
  guard failures.isEmpty else {
    leave(failed, "Failed to start server. Error: UNKNOWN: \(failures.count) servable(s) did not become available: {\(failures.map(\.text).joined())}")
  }
}
reloader.start(with: models)
do { try server.start() } catch { leave(failed, "Failed to start server. Error: UNAVAILABLE: \(error)") }
for address in options.addresses(ports: server.ports) { Log.info("Running gRPC ModelServer at \(address) ...") }
certificates?.logCertificate()
if options.hasPlainRest {
  Log.warn("rest_api_port \(options.restPort) is not covered by --ssl_config_file and speaks no TLS; --rest_api_tls makes it")
}

let signal = signals.wait()
Log.info("\(signal): no new requests; those in flight have \(options.drainTimeoutSeconds) seconds")
await server.drain(deadline: .seconds(options.drainTimeoutSeconds))
reloader.stop()
lifecycle.stop(deadline: .now + .seconds(10))
Log.info("drained")
exit(0)
