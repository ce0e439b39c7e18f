// Every flag of TensorFlow Serving with the meaning it has there, then Martlet's own. Where the meaning makes no sense without
// TensorFlow, the flag is taken all the same, and a value that asks for something gets a line in the log.

let flags: [Flag] = tensorFlowServingFlags + martletFlags

/// In the order of TensorFlow Serving's `main.cc`.
let tensorFlowServingFlags: [Flag] = [
  .int("port", in: 0...65535, \.port, "TCP port to listen on for gRPC; 0 turns TCP off, then grpc_socket_path is needed"),
  .string("grpc_socket_path", \.grpcSocketPath, "path of a Unix socket to listen on for gRPC as well"),
  .int("rest_api_port", in: 0...65535, \.restPort, "a second TCP port; 0: none. Both ports speak HTTP/2 and HTTP/1.1"),
  .ignored("rest_api_num_threads", .int, "0", "event loops answer HTTP; see event_loops and worker_threads"),
  .int("rest_api_timeout_in_ms", \.restTimeoutMilliseconds, "longest time a REST request may run"),
  .bool("rest_api_enable_cors_support", \.restCORS, "answer REST requests with CORS headers, and preflights"),
  .bool("enable_batching", \.enableBatching, "run requests that come together as one batch"),
  .bool(
    "allow_version_labels_for_unavailable_models", \.allowsLabelsForUnavailableVersions,
    "a label that is not in use may be given to a version that is not available yet"),
  .string(
    "batching_parameters_file", \.batchingParametersFile,
    "BatchingParameters in protobuf text format, instead of the defaults; needs enable_batching"),
  .bool(
    "enable_per_model_batching_parameters", \.perModelBatching,
    "read batching_params.pbtxt in each version directory; a version without it is not batched. Needs enable_batching"),
  .string(
    "model_config_file", \.modelConfigFile,
    "ModelServerConfig in protobuf text format; wins over model_name and model_base_path"),
  .int(
    "model_config_file_poll_wait_seconds", \.modelConfigFilePollWaitSeconds,
    "seconds between looks at model_config_file; a change is taken up as a whole or not at all. 0 and less: it is read once"),
  .string("model_name", \.modelName, "name of the model, when model_base_path is given"),
  .string("model_base_path", \.modelBasePath, "directory whose numbered subdirectories are the model's versions"),
  .int(
    "num_load_threads", in: Flag.uint32, \.numLoadThreads,
    "threads that load versions, apart from those that serve; 0 lets the server choose"),
  .ignored("num_unload_threads", .int, "0", "unloading never holds a thread that serves or loads"),
  .int("max_num_load_retries", in: Flag.uint32, \.maxNumLoadRetries, "how often a failed load is tried again"),
  .int(
    "load_retry_interval_micros", in: Int.min...Int.max, \.loadRetryIntervalMicros,
    "microseconds between tries; negative does not wait"),
  .int(
    "file_system_poll_wait_seconds", \.fileSystemPollWaitSeconds,
    "seconds between looks for new versions; 0 looks once, negative never"),
  .ignored("flush_filesystem_caches", .bool, "true", "files are read without TensorFlow's caches"),
  .int(
    "tensorflow_session_parallelism", in: Int.min...Int.max, \.sessionParallelism,
    "runs at the same time, where worker_threads is not given; 0 lets the server choose"),
  .int(
    "tensorflow_intra_op_parallelism", in: Int.min...Int.max, \.intraOpParallelism,
    "accepted: an operation runs on one thread, and requests on many"),
  .int(
    "tensorflow_inter_op_parallelism", in: Int.min...Int.max, \.interOpParallelism,
    "runs at the same time, where worker_threads is not given; 0 lets the server choose"),
  .string(
    "tensorflow_session_config_file", \.sessionConfigFile,
    "ConfigProto in protobuf text format; its thread counts are taken, the flags above win"),
  .bool("use_alts_credentials", \.usesALTS, "refused: ALTS is Google's own; see ssl_config_file"),
  .string(
    "ssl_config_file", \.sslConfigFile,
    "SSLConfig in protobuf text format; port and grpc_socket_path then speak TLS only. Read again when it changes"),
  .string(
    "platform_config_file", \.platformConfigFile,
    "PlatformConfigMap in protobuf text format; replaces the flags for batching, sessions, tags and warm-up"),
  .ignored("per_process_gpu_memory_fraction", .float, "0", "models run on the CPU"),
  .string("saved_model_tags", \.savedModelTags, "comma separated tags that select the MetaGraph"),
  .string(
    "grpc_channel_arguments", \.channelArguments,
    "comma separated name=value: grpc.max_connection_age_ms, grpc.keepalive_time_ms and what else of gRPC's server means something here"),
  .ignored("grpc_max_threads", .int, "0", "a call takes no thread while it waits; see worker_threads and transport_limits"),
  .bool(
    "enable_model_warmup", \.enableModelWarmup,
    "before a version becomes available, run the requests in its assets.extra/tf_serving_warmup_requests, or each signature once"),
  .int(
    "num_request_iterations_for_warmup", \.numRequestIterationsForWarmup,
    "how often each of those requests is run; 0 and less: once"),
  .bool("version", \.version, "print the version and exit"),
  .string("monitoring_config_file", \.monitoringConfigFile, "MonitoringConfig in protobuf text format"),
  .ignored("remove_unused_fields_from_bundle_metagraph", .bool, "true", "nothing of the MetaGraph is kept that no request needs"),
  .ignored("prefer_tflite_model", .bool, "false", "a version's SavedModel is served, its model.tflite is not read"),
  .ignored("num_tflite_pools", .int, "0", "there are no TFLite interpreters"),
  .ignored("num_tflite_interpreters_per_pool", .int, "0", "there are no TFLite interpreters"),
  .bool("enable_signature_method_name_check", \.methodNameCheck, "refuse a call on a signature with another method_name"),
  .ignored("xla_cpu_compilation_enabled", .bool, "false", "the engine is Martlet's own"),
  .ignored("xla_gpu_compilation_enabled", .bool, "false", "the engine is Martlet's own"),
  .bool("enable_profiler", \.enableProfiler, "answer tensorflow.ProfilerService on the gRPC ports"),
  .ignored("thread_pool_factory_config_file", .string, "", "the thread pools are Martlet's own"),
  .ignored("mixed_precision", .string, "", "a model runs in the types it was saved with"),
  .ignored("skip_initialize_tpu", .bool, "false", "models run on the CPU"),
  .ignored("enable_grpc_healthcheck_service", .bool, "true", "the health service always answers"),
  .bool(
    "enable_serialization_as_tensor_content", \.tensorContentResponses,
    "Predict's outputs in tensor_content instead of typed fields"),
]

let martletFlags: [Flag] = [
  .bool(
    "open_ports_after_models", \.openPortsAfterModels,
    "listen only once every configured model has a version available, as TensorFlow Serving does"),
  .bool("rest_strict_json", \.restStrictJSON, "write NaN and the infinities as strings, not as bare tokens that are no JSON"),
  .int(
    "empty_base_path_wait_seconds", in: 0...86400, \.emptyBasePathWaitSeconds,
    "how long a base path that had versions must have none before they are unloaded; 0 unloads at once, as TensorFlow Serving"),
  .bool("rest_api_tls", \.restTLS, "rest_api_port speaks TLS too; without it that port is plain beside ssl_config_file, as TensorFlow Serving's"),
  .string("host", \.host, "address the TCP ports listen on; :: takes IPv6 and IPv4, 127.0.0.1 keeps to this machine"),
  .int(
    "load_wait_seconds", in: 0...86400, \.loadWaitSeconds,
    "longest time a request without a nearer deadline waits for a model that is still loading; 0 answers UNAVAILABLE at once"),
  .int(
    "request_log_file_bytes", in: 1...Int.max, \.requestLogFileBytes,
    "size at which a file of logged requests (logging_config) is followed by the next"),
  .int("request_log_file_seconds", in: 1...Int.max, \.requestLogFileSeconds, "age at which it is"),
  .int(
    "request_log_total_bytes", in: 1...Int.max, \.requestLogTotalBytes,
    "size of all files of one filename_prefix together; the oldest go first"),
  .int("load_wait_queue_size", in: 0...1_000_000, \.loadWaitQueueSize, "most requests that wait for loading models, per event loop"),
  .int("drain_timeout_seconds", in: 0...86400, \.drainTimeoutSeconds, "longest time SIGTERM waits for requests in flight"),
  .int("event_loops", in: 0...1024, \.eventLoops, "threads that read and write sockets; 0 takes the usable CPUs"),
  .string(
    "transport_limits", \.transportLimits,
    "comma separated name=value for the limits listed below; wins over grpc_channel_arguments. Names that end in _milliseconds "
      + "and connections_per_peer_max take 0 for no limit"),
  .int("worker_threads", in: 0...1024, \.workerThreads, "threads for runs too long for an event loop; 0 takes the usable CPUs"),
]
