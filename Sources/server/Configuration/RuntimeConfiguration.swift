// How models are loaded and run: by flags, or by a `PlatformConfigMap`, which replaces those flags as a whole.
internal import Catalog
internal import Schemas
internal import SwiftProtobuf

/// What a SavedModel's platform is told, `SessionBundleConfig`, as far as it means something here.
struct RuntimeConfiguration: Equatable {
  /// Select the MetaGraph.
  var tags: Set<String> = ["serve"]
  var batching = Batching.off
  var warmUp = WarmUpConfiguration()
  /// Runs at the same time; zero leaves it to the server.
  var parallelism = 0
  /// Lines for the log: what was asked for and is not done.
  var remarks: [String] = []
}

struct WarmUpConfiguration: Equatable {
  var isEnabled = true
  /// How often each record is run.
  var iterations = 1
  /// Records that are run at the same time.
  var threads = 1
}

extension Options {
  func runtime() throws(ConfigurationError) -> RuntimeConfiguration {
    if !platformConfigFile.isEmpty { return try RuntimeConfiguration(platformConfig: TextFile(platformConfigFile)) }
    var runtime = RuntimeConfiguration()
    runtime.tags = Set(savedModelTags.split(separator: ",").map(String.init))
    runtime.warmUp.isEnabled = enableModelWarmup
    runtime.warmUp.iterations = max(1, numRequestIterationsForWarmup)
    if enableBatching {
      var parameters = BatchingParameters()
      if batchingParametersFile.isEmpty {
        parameters.threadPoolName = "model_server_batch_threads"
      } else {
        parameters = try BatchingParameters(file: TextFile(batchingParametersFile))
      }
      runtime.batching = perModelBatching ? .perVersion(parameters) : .global(parameters)
    }
    if !sessionConfigFile.isEmpty {
      let (session, unknown) = try TextFile(sessionConfigFile).message(Tensorflow_ConfigProto.self, toleratingUnknownFields: true)
      runtime.take(session)
      runtime.remarks += unknown.map { "--tensorflow_session_config_file: \($0) is not known here" }
    }
    let asked = interOpParallelism > 0 || intraOpParallelism > 0 ? interOpParallelism : sessionParallelism
    if asked > 0 { runtime.parallelism = min(asked, RuntimeConfiguration.parallelismMax) }
    return runtime
  }
}

extension RuntimeConfiguration {
  fileprivate static let parallelismMax = 1024

  /// The thread counts; what else a session is told is TensorFlow's own affair.
  fileprivate mutating func take(_ session: Tensorflow_ConfigProto) {
    if session.interOpParallelismThreads > 0 { parallelism = min(Int(session.interOpParallelismThreads), RuntimeConfiguration.parallelismMax) }
  }

  init(platformConfig file: TextFile) throws(ConfigurationError) {
    // The `Any` in the map is written out by its type's name, which swift-protobuf has to have heard of.
    Google_Protobuf_Any.register(messageType: Tensorflow_Serving_SavedModelBundleSourceAdapterConfig.self)
    let (map, unknown) = try file.message(Tensorflow_Serving_PlatformConfigMap.self, toleratingUnknownFields: true)
    guard let platform = map.platformConfigs["tensorflow"] else {
      throw ConfigurationError(.invalidArgument, "'\(file.path)': PlatformConfigMap has no entry for platform tensorflow")
    }
    let adapter: Tensorflow_Serving_SavedModelBundleSourceAdapterConfig
    do {
      adapter = try Tensorflow_Serving_SavedModelBundleSourceAdapterConfig(unpackingAny: platform.sourceAdapterConfig)
    } catch {
      throw ConfigurationError(
        .invalidArgument,
        "'\(file.path)': source_adapter_config of platform tensorflow is a '\(platform.sourceAdapterConfig.typeURL)', expected a tensorflow.serving.SavedModelBundleSourceAdapterConfig")
    }
    do {
      try self.init(adapter.legacyConfig)
    } catch {
      throw ConfigurationError(error.code, "\(error.message) (in '\(file.path)')")
    }
    remarks += unknown.map { "--platform_config_file: \($0) is not known here" }
  }

  private init(_ bundle: Tensorflow_Serving_SessionBundleConfig) throws(ConfigurationError) {
    self.init()
    if !bundle.savedModelTags.isEmpty { tags = Set(bundle.savedModelTags) }
    warmUp.isEnabled = bundle.enableModelWarmup
    let options = bundle.modelWarmupOptions
    if options.hasNumRequestIterations { warmUp.iterations = max(0, Int(options.numRequestIterations.value)) }
    if options.hasNumModelWarmupThreads { warmUp.threads = max(1, min(Int(options.numModelWarmupThreads.value), 64)) }
    if bundle.hasBatchingParameters {
      let parameters = try BatchingParameters(bundle.batchingParameters)
      batching = bundle.enablePerModelBatchingParams ? .perVersion(parameters) : .global(parameters)
    }
    take(bundle.sessionConfig)
    let asked = [
      (bundle.preferTfliteModel, "prefer_tflite_model"), (!bundle.experimentalFixedInputTensors.isEmpty, "experimental_fixed_input_tensors"),
      (!bundle.mixedPrecision.isEmpty, "mixed_precision"), (!bundle.sessionTarget.isEmpty, "session_target"),
      (options.enableAllBatchSizesWarmup, "enable_all_batch_sizes_warmup"),
    ]
    for (isAsked, name) in asked where isAsked { remarks.append("--platform_config_file: \(name) has no effect here") }
  }
}
