// The command line. TensorFlow Serving's flags in TensorFlow Serving's syntax: `--name=value`, bools also bare, nothing else.
// An argument it does not know never stops it: it says so and goes on. A value that is malformed does.
internal import HTTP

/// What the command line asks for.
struct Options {
  // TensorFlow Serving's, with its defaults.
  var port = 8500
  var restPort = 0
  var grpcSocketPath = ""
  var sslConfigFile = ""
  var modelName = "default"
  var modelBasePath = ""
  var modelConfigFile = ""
  var fileSystemPollWaitSeconds = 1
  var numLoadThreads = 0
  var numUnloadThreads = 0
  var maxNumLoadRetries = 5
  var loadRetryIntervalMicros = 60_000_000
  var savedModelTags = "serve"
  var enableModelWarmup = true
  var tensorContentResponses = false
  var methodNameCheck = false
  var version = false

  // Martlet's own.
  var host = "0.0.0.0"
  var restTLS = false
  var openPortsAfterModels = false
  var loadWaitSeconds = 60
  var loadWaitQueueSize = 1024
  var drainTimeoutSeconds = 30
  var eventLoops = 0
  var workerThreads = 0
  var channelArguments = ""
  var transportLimits = ""
  /// What the two before come to.
  var limits = Limits()

  /// Flags that were given and have no effect here, for a line in the log.
  var withoutEffect: [String] = []
  /// The first argument that is no flag; TensorFlow Serving names only that one.
  var unknown: String?
}

/// Why the command line cannot be taken.
enum OptionsError: Error, Equatable {
  case malformed(flag: String, value: String, expected: String)
  case helpAsked
}

/// A flag: its name, where its value goes, what it means.
struct Flag: Sendable {
  enum Value: Sendable {
    case int(@Sendable (inout Options, Int) -> Void, range: ClosedRange<Int>, fallback: String)
    case bool(@Sendable (inout Options, Bool) -> Void, fallback: String)
    case string(@Sendable (inout Options, String) -> Void, fallback: String)
    /// Taken for the sake of command lines that have it.
    case withoutEffect(String)
  }
  var name: String
  var value: Value
  var help: String
}

private let int32 = Int(Int32.min)...Int(Int32.max)
private let uint32 = 0...Int(UInt32.max)

extension Flag {
  static func int(
    _ name: String, in range: ClosedRange<Int> = int32, _ path: any WritableKeyPath<Options, Int> & Sendable, _ help: String
  ) -> Flag {
    Flag(name: name, value: .int({ $0[keyPath: path] = $1 }, range: range, fallback: String(Options()[keyPath: path])), help: help)
  }
  static func bool(_ name: String, _ path: any WritableKeyPath<Options, Bool> & Sendable, _ help: String) -> Flag {
    Flag(name: name, value: .bool({ $0[keyPath: path] = $1 }, fallback: String(Options()[keyPath: path])), help: help)
  }
  static func string(_ name: String, _ path: any WritableKeyPath<Options, String> & Sendable, _ help: String) -> Flag {
    Flag(name: name, value: .string({ $0[keyPath: path] = $1 }, fallback: Options()[keyPath: path]), help: help)
  }
  static func ignored(_ name: String, _ type: String) -> Flag {
    Flag(name: name, value: .withoutEffect(type), help: "accepted, without effect")
  }
}

/// Every flag of TensorFlow Serving, then Martlet's own.
let flags: [Flag] = [
  .int("port", in: 0...65535, \.port, "TCP port to listen on for gRPC; 0 turns TCP off, then grpc_socket_path is needed"),
  .int("rest_api_port", in: 0...65535, \.restPort, "a second TCP port; 0: none. Both ports speak HTTP/2 and HTTP/1.1"),
  .string("grpc_socket_path", \.grpcSocketPath, "path of a Unix socket to listen on for gRPC as well"),
  .string("model_name", \.modelName, "name of the model, when model_base_path is given"),
  .string("model_base_path", \.modelBasePath, "directory whose numbered subdirectories are the model's versions"),
  .string("model_config_file", \.modelConfigFile, "ModelServerConfig in protobuf text format; wins over model_name and model_base_path"),
  .int(
    "file_system_poll_wait_seconds", \.fileSystemPollWaitSeconds,
    "seconds between looks for new versions; 0 looks once, negative never"),
  .int("num_load_threads", in: uint32, \.numLoadThreads, "threads that load versions, apart from those that serve; 0 lets the server choose"),
  .int("num_unload_threads", in: uint32, \.numUnloadThreads, "accepted; unloading never holds a serving thread"),
  .int("max_num_load_retries", in: uint32, \.maxNumLoadRetries, "how often a failed load is tried again"),
  .int(
    "load_retry_interval_micros", in: Int.min...Int.max, \.loadRetryIntervalMicros,
    "microseconds between tries; negative does not wait"),
  .string("saved_model_tags", \.savedModelTags, "comma separated tags that select the MetaGraph"),
  .bool("enable_model_warmup", \.enableModelWarmup, "run a version's signatures once before it becomes available"),
  .bool(
    "enable_serialization_as_tensor_content", \.tensorContentResponses,
    "Predict's outputs in tensor_content instead of typed fields"),
  .bool("enable_signature_method_name_check", \.methodNameCheck, "refuse Predict on a signature with another method_name"),
  .string(
    "grpc_channel_arguments", \.channelArguments,
    "comma separated name=value: grpc.max_connection_age_ms, grpc.keepalive_time_ms and what else of gRPC's server means something here"),
  .bool("version", \.version, "print the version and exit"),
  .ignored("rest_api_num_threads", "int32"),
  .ignored("rest_api_timeout_in_ms", "int32"), .ignored("rest_api_enable_cors_support", "bool"),
  .ignored("enable_batching", "bool"), .ignored("allow_version_labels_for_unavailable_models", "bool"),
  .ignored("batching_parameters_file", "string"), .ignored("enable_per_model_batching_parameters", "bool"),
  .ignored("model_config_file_poll_wait_seconds", "int32"), .ignored("flush_filesystem_caches", "bool"),
  .ignored("tensorflow_session_parallelism", "int64"), .ignored("tensorflow_intra_op_parallelism", "int64"),
  .ignored("tensorflow_inter_op_parallelism", "int64"), .ignored("tensorflow_session_config_file", "string"),
  .ignored("use_alts_credentials", "bool"),
  .string(
    "ssl_config_file", \.sslConfigFile,
    "SSLConfig in protobuf text format; port and grpc_socket_path then speak TLS only. Read again when it changes"),
  .ignored("platform_config_file", "string"), .ignored("per_process_gpu_memory_fraction", "float"),
  .ignored("grpc_max_threads", "int32"),
  .ignored("num_request_iterations_for_warmup", "int32"), .ignored("monitoring_config_file", "string"),
  .ignored("remove_unused_fields_from_bundle_metagraph", "bool"), .ignored("prefer_tflite_model", "bool"),
  .ignored("num_tflite_pools", "int32"), .ignored("num_tflite_interpreters_per_pool", "int32"),
  .ignored("xla_cpu_compilation_enabled", "bool"), .ignored("xla_gpu_compilation_enabled", "bool"),
  .ignored("enable_profiler", "bool"), .ignored("thread_pool_factory_config_file", "string"),
  .ignored("mixed_precision", "string"), .ignored("skip_initialize_tpu", "bool"),
  .ignored("enable_grpc_healthcheck_service", "bool"),

  .bool(
    "open_ports_after_models", \.openPortsAfterModels,
    "listen only once every configured model has a version available, as TensorFlow Serving does"),
  .bool("rest_api_tls", \.restTLS, "rest_api_port speaks TLS too; without it that port is plain beside ssl_config_file, as TensorFlow Serving's"),
  .string("host", \.host, "address the TCP ports listen on; :: takes IPv6 and IPv4, 127.0.0.1 keeps to this machine"),
  .int(
    "load_wait_seconds", in: 0...86400, \.loadWaitSeconds,
    "longest time a request without a nearer deadline waits for a model that is still loading; 0 answers UNAVAILABLE at once"),
  .int("load_wait_queue_size", in: 0...1_000_000, \.loadWaitQueueSize, "most requests that wait for loading models, per event loop"),
  .int("drain_timeout_seconds", in: 0...86400, \.drainTimeoutSeconds, "longest time SIGTERM waits for requests in flight"),
  .int("event_loops", in: 0...1024, \.eventLoops, "threads that read and write sockets; 0 takes the usable CPUs"),
  .string(
    "transport_limits", \.transportLimits,
    "comma separated name=value for the limits listed below; wins over grpc_channel_arguments. Names that end in _milliseconds "
      + "and connections_per_peer_max take 0 for no limit"),
  .int("worker_threads", in: 0...1024, \.workerThreads, "threads for runs too long for an event loop; 0 takes the usable CPUs"),
]

extension Options {
  /// Reads `arguments` (without the program's name).
  init(_ arguments: [String]) throws(OptionsError) {
    for argument in arguments {
      guard argument.hasPrefix("--") else {
        unknown = unknown ?? argument
        continue
      }
      let parts = argument.dropFirst(2).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      let name = String(parts[0])
      let text = parts.count == 2 ? String(parts[1]) : nil
      if name == "help" { throw .helpAsked }
      guard let flag = flags.first(where: { $0.name == name }) else {
        unknown = unknown ?? argument
        continue
      }
      try set(flag, text, argument)
    }
    setChannelArguments(channelArguments)
    try setTransportLimits(transportLimits)
  }

  private mutating func set(_ flag: Flag, _ text: String?, _ argument: String) throws(OptionsError) {
    switch flag.value {
    case .int(let set, let range, _):
      // Without `=` TensorFlow's parser does not take it for the flag at all.
      guard let text else { return unknown = unknown ?? argument }
      guard let value = Int(text), range.contains(value) else {
        throw .malformed(flag: flag.name, value: text, expected: "a whole number from \(range.lowerBound) to \(range.upperBound)")
      }
      set(&self, value)
    case .bool(let set, _):
      guard let value = Options.bool(text) else {
        throw .malformed(flag: flag.name, value: text ?? "", expected: "true or false")
      }
      set(&self, value)
    case .string(let set, _):
      guard let text else { return unknown = unknown ?? argument }
      set(&self, text)
    case .withoutEffect(let type):
      let wellFormed =
        switch type {
        case "bool": Options.bool(text) != nil
        case "int32", "int64": text.flatMap { Int($0) } != nil
        case "float": text.flatMap { Float($0) } != nil
        default: text != nil
        }
      guard wellFormed else { throw .malformed(flag: flag.name, value: text ?? "", expected: type) }
      withoutEffect.append(flag.name)
    }
  }

  /// A bare flag is true.
  private static func bool(_ text: String?) -> Bool? {
    switch text {
    case nil, "true", "1": true
    case "false", "0": false
    default: nil
    }
  }

  static let usage: String = {
    var text = "usage: martlet-server\nFlags:\n"
    for flag in flags {
      let (type, fallback) =
        switch flag.value {
        case .int(_, _, let fallback): ("int", fallback)
        case .bool(_, let fallback): ("bool", fallback)
        case .string(_, let fallback): ("string", "\"\(fallback)\"")
        case .withoutEffect(let type): (type, "")
        }
      let shown = fallback.isEmpty ? "--\(flag.name)" : "--\(flag.name)=\(fallback)"
      let padding = String(repeating: " ", count: max(1, 52 - shown.count))
      text += "\t\(shown)\(padding)\(type)\t\(flag.help)\n"
    }
    text += "Limits of the transport (--transport_limits=name=value,...):\n"
    for limit in Limits.named { text += "\t\(limit.name)=\(Limits()[keyPath: limit.path])\n" }
    return text
  }()
}
