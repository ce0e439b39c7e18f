// `MonitoringConfig`: whether Prometheus may ask, and where.
internal import Schemas

struct MonitoringConfiguration: Equatable {
  /// `prometheus_config.enable`. On where no file says otherwise: in TensorFlow Serving it is off then, and no port has it but REST's.
  var isEnabled = true
  /// `prometheus_config.path`.
  var path = MonitoringConfiguration.defaultPath

  /// TensorFlow Serving's.
  static let defaultPath = "/monitoring/prometheus/metrics"
}

extension MonitoringConfiguration {
  init(_ message: Tensorflow_Serving_MonitoringConfig) throws(ConfigurationError) {
    self.init()
    isEnabled = message.prometheusConfig.enable
    if !message.prometheusConfig.path.isEmpty { path = message.prometheusConfig.path }
    guard path.hasPrefix("/") else {
      throw ConfigurationError(.invalidArgument, "prometheus_config.path has to begin with a slash; got '\(path)'")
    }
  }
}

extension Options {
  func monitoring() throws(ConfigurationError) -> MonitoringConfiguration {
    if monitoringConfigFile.isEmpty { return MonitoringConfiguration() }
    let file = try TextFile(monitoringConfigFile)
    let message = try file.message(Tensorflow_Serving_MonitoringConfig.self)
    do {
      return try MonitoringConfiguration(message)
    } catch {
      throw ConfigurationError(error.code, "\(error.message) (in '\(file.path)')")
    }
  }
}
