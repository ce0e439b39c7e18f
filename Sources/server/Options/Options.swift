// The command line. TensorFlow Serving's flags in TensorFlow Serving's syntax: `--name=value`, bools also bare, nothing else.
// An argument it does not know never stops it: it says so and goes on. A value that is malformed does.
//
//   Flags.swift            every flag: name, type, default, meaning
//   Flag.swift             how arguments become options, and the usage text
//   Options+Checks.swift   which combinations are refused, in TensorFlow Serving's words
//   Options+Server.swift   what the options mean to the parts of the server
internal import HTTP
internal import Serving

/// What the command line asks for.
struct Options {
  // Ports.
  var port = 8500
  var grpcSocketPath = ""
  var restPort = 0
  var restTimeoutMilliseconds = 30_000
  var restCORS = false
  var restStrictJSON = false
  var sslConfigFile = ""
  var usesALTS = false
  var channelArguments = ""

  // Models and their versions.
  var modelName = "default"
  var modelBasePath = ""
  var modelConfigFile = ""
  var modelConfigFilePollWaitSeconds = 0
  var allowsLabelsForUnavailableVersions = false
  var fileSystemPollWaitSeconds = 1
  var numLoadThreads = 0
  var maxNumLoadRetries = 5
  var loadRetryIntervalMicros = 60_000_000
  var savedModelTags = "serve"
  var enableModelWarmup = true
  var numRequestIterationsForWarmup = 0

  // Running requests.
  var platformConfigFile = ""
  var sessionParallelism = 0
  var intraOpParallelism = 0
  var interOpParallelism = 0
  var sessionConfigFile = ""
  var enableBatching = false
  var batchingParametersFile = ""
  var perModelBatching = false
  var tensorContentResponses = false
  var methodNameCheck = false

  // Observing.
  var monitoringConfigFile = ""
  var enableProfiler = true
  var version = false

  // Martlet's own.
  var host = "0.0.0.0"
  var restTLS = false
  var openPortsAfterModels = false
  var emptyBasePathWaitSeconds = 5
  var loadWaitSeconds = 60
  var loadWaitQueueSize = 1024
  var requestLogFileBytes = RequestLogLimits().fileBytesMax
  var requestLogFileSeconds = RequestLogLimits().fileSecondsMax
  var requestLogTotalBytes = RequestLogLimits().totalBytesMax
  var drainTimeoutSeconds = 30
  var eventLoops = 0
  var workerThreads = 0
  var transportLimits = ""
  /// What `channelArguments` and `transportLimits` come to.
  var limits = Limits()

  /// What was given and has no effect here, each a line for the log.
  var withoutEffect: [String] = []
  /// The first argument that is no flag; TensorFlow Serving names only that one.
  var unknown: String?
}
