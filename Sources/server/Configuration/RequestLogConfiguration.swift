// `ModelConfig.logging_config`. TensorFlow Serving refuses every model that has one: no log collector is linked in.
internal import Catalog
internal import Schemas

extension RequestLogConfiguration {
  /// Collectors that mean TFRecord files; ours is the only kind there is.
  private static let types: Set = ["", "file", "tfrecord"]

  init(_ config: Tensorflow_Serving_LoggingConfig, of model: String) throws(ConfigurationError) {
    let (collector, sampling) = (config.logCollectorConfig, config.samplingConfig)
    guard RequestLogConfiguration.types.contains(collector.type) else {
      throw ConfigurationError(
        .invalidArgument, "logging_config of model \(model): log_collector_config.type '\(collector.type)' is not known; use tfrecord")
    }
    guard collector.filenamePrefix.hasPrefix("/"), !collector.filenamePrefix.hasSuffix("/") else {
      throw ConfigurationError(
        .invalidArgument,
        "logging_config of model \(model): log_collector_config.filename_prefix has to be an absolute path that files' names begin with; got '\(collector.filenamePrefix)'")
    }
    guard (0...1).contains(sampling.samplingRate) else {
      throw ConfigurationError(
        .invalidArgument, "logging_config of model \(model): sampling_rate has to be from 0 to 1; got \(sampling.samplingRate)")
    }
    self.init(
      samplingRate: sampling.samplingRate, attributes: sampling.attributes, filenamePrefix: collector.filenamePrefix)
  }
}
