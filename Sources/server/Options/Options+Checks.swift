// Which combinations of flags are refused: TensorFlow Serving's checks, in its words and its order.

extension Options {
  func check() throws(ConfigurationError) {
    guard port != 0 || !grpcSocketPath.isEmpty else {
      throw ConfigurationError(.invalidArgument, "server_options.grpc_socket_path is required when --port=0 turns TCP off")
    }
    if usesALTS {
      throw ConfigurationError(
        .invalidArgument,
        sslConfigFile.isEmpty
          ? "--use_alts_credentials: ALTS works between Google's own machines only; --ssl_config_file encrypts and authenticates"
          : "--use_alts_credentials and --ssl_config_file are both set: one kind of credentials is all a port has")
    }
    guard !modelBasePath.isEmpty || !modelConfigFile.isEmpty else {
      throw ConfigurationError(
        .invalidArgument,
        "Both server_options.model_base_path and server_options.model_config_file are empty! Give --model_base_path=DIRECTORY, whose numbered subdirectories are versions, or --model_config_file=FILE.")
    }
    // What a platform config replaces is not looked at.
    guard platformConfigFile.isEmpty else { return }
    if !enableBatching, !batchingParametersFile.isEmpty {
      throw ConfigurationError(
        .invalidArgument,
        "server_options.batching_parameters_file is set without setting server_options.enable_batching to true.")
    }
    if intraOpParallelism > 0, interOpParallelism > 0, sessionParallelism > 0 {
      throw ConfigurationError(
        .invalidArgument,
        "Either configure server_options.tensorflow_session_parallelism or (server_options.tensorflow_intra_op_parallelism, server_options.tensorflow_inter_op_parallelism) separately. You cannot configure all."
      )
    }
  }

  /// What was given and changes nothing, because of something else that was or was not given.
  var contradictions: [String] {
    var lines: [String] = []
    if !modelConfigFile.isEmpty, !modelBasePath.isEmpty {
      lines.append("--model_config_file wins: --model_name and --model_base_path are not looked at")
    }
    if modelConfigFile.isEmpty, modelConfigFilePollWaitSeconds > 0 {
      lines.append("--model_config_file_poll_wait_seconds without --model_config_file: there is nothing to look at")
    }
    if !enableBatching, perModelBatching, platformConfigFile.isEmpty {
      lines.append("--enable_per_model_batching_parameters without --enable_batching: nothing is batched")
    }
    if perModelBatching, !batchingParametersFile.isEmpty {
      lines.append("--enable_per_model_batching_parameters: of --batching_parameters_file only the threads count")
    }
    if !platformConfigFile.isEmpty {
      let replaced = [
        (enableBatching || !batchingParametersFile.isEmpty || perModelBatching, "batching"),
        (sessionParallelism != 0 || intraOpParallelism != 0 || interOpParallelism != 0 || !sessionConfigFile.isEmpty, "sessions"),
        (savedModelTags != Options().savedModelTags, "saved_model_tags"), (numRequestIterationsForWarmup != 0, "warm-up"),
      ].filter(\.0).map(\.1)
      if !replaced.isEmpty { lines.append("--platform_config_file replaces the flags for \(replaced.joined(separator: ", "))") }
    }
    if restPort > 0, restPort == port {
      lines.append("--rest_api_port is --port: REST is on that port anyway, beside gRPC; TensorFlow Serving would have none")
    }
    return lines
  }
}
