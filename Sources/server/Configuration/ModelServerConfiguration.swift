// Which models the server was asked to serve: one by flags, or a `ModelServerConfig`, in a file or in a request. Checks in
// TensorFlow Serving's order (`server_core.cc`), and in its words.
internal import Catalog
internal import Glibc
internal import Lifecycle
internal import Schemas

enum ModelServerConfiguration {
  /// The models a config asks for.
  /// - Parameter current: those that are served, as far as any config was taken up so far.
  /// - Returns: `nil` for a config that sets nothing: then nothing is asked for, and nothing done.
  static func models(
    _ config: Tensorflow_Serving_ModelServerConfig, replacing current: [ModelConfiguration]? = nil
  ) throws(ConfigurationError) -> [ModelConfiguration]? {
    guard case .modelConfigList(let list)? = config.config else {
      if current != nil {
        throw ConfigurationError(
          .failedPrecondition,
          "Cannot transition to requested config. It is only legal to transition from one ModelConfigList to another.")
      }
      if config.config == nil { return nil }
      throw ConfigurationError(.invalidArgument, "ModelServer does not yet support custom model config; use model_config_list")
    }
    var names: Set<String> = []
    for model in list.config where !names.insert(model.name).inserted {
      throw ConfigurationError(.invalidArgument, "Illegal to list model \(model.name) multiple times in config list")
    }
    var basePaths: [String] = []
    for model in list.config { basePaths.append(try localPath(model.basePath, of: model.name)) }
    var models: [ModelConfiguration] = []
    for (model, basePath) in zip(list.config, basePaths) {
      try checkPlatform(model, isServed: current?.contains { $0.name == model.name } ?? false)
      models.append(
        ModelConfiguration(
          name: model.name, basePath: basePath, policy: VersionPolicy(model.modelVersionPolicy), labels: model.versionLabels,
          logging: try model.hasLoggingConfig ? RequestLogConfiguration(model.loggingConfig, of: model.name) : nil))
    }
    return models
  }
}

extension Options {
  func configFile() throws(ConfigurationError) -> TextFile? { modelConfigFile.isEmpty ? nil : try TextFile(modelConfigFile) }

  /// The models to begin with; `nil` as above.
  func models(_ configFile: TextFile?) throws(ConfigurationError) -> [ModelConfiguration]? {
    if let configFile { return try ModelServerConfiguration.models(configFile.message()) }
    // A path on the command line means what it means in the shell; in a config file it has to be absolute.
    let isRelative = !modelBasePath.hasPrefix("/") && !modelBasePath.contains("://")
    let basePath = try localPath(isRelative ? workingDirectory() + "/" + modelBasePath : modelBasePath, of: modelName)
    return [ModelConfiguration(name: modelName, basePath: basePath)]
  }
}

/// A base path that can be read: an absolute one, `file://` before it or not.
private func localPath(_ basePath: String, of model: String) throws(ConfigurationError) -> String {
  if basePath.hasPrefix("/") { return basePath }
  guard let scheme = basePath.firstRange(of: "://") else {
    throw ConfigurationError(
      .invalidArgument, "Expected model \(model) to have an absolute path or URI; got base_path()=\(basePath)")
  }
  let (name, path) = (basePath[..<scheme.lowerBound], basePath[scheme.upperBound...])
  guard name == "file", path.hasPrefix("/") else {
    throw ConfigurationError(
      .unimplemented,
      "File system scheme '\(name)' not implemented (base path of model \(model): '\(basePath)'); mount it and give the path")
  }
  return String(path)
}

private func checkPlatform(_ model: Tensorflow_Serving_ModelConfig, isServed: Bool) throws(ConfigurationError) {
  switch (model.modelType, model.modelPlatform) {
  case (.unspecified, ""):
    throw ConfigurationError(
      .invalidArgument,
      "Illegal setting neither ModelServerConfig::model_type (deprecated) nor ModelServerConfig::model_platform. (model \(model.name): model_platform: \"tensorflow\")")
  case (.unspecified, "tensorflow"), (.tensorflow, ""): return
  case (.unspecified, let platform) where isServed:
    throw ConfigurationError(
      .invalidArgument,
      "Illegal to change a model's platform. For model \(model.name) platform was tensorflow and new platform requested is \(platform)")
  case (.unspecified, let platform):
    throw ConfigurationError(.invalidArgument, "Model \(model.name) requests unsupported platform \(platform)")
  case (let type, ""):
    throw ConfigurationError(.invalidArgument, "ModelServerConfig::model_type choice \(type.rawValue) not supported.")
  default:
    throw ConfigurationError(
      .invalidArgument,
      "Illegal setting both ModelServerConfig::model_type (deprecated) and ModelServerConfig::model_platform. (model \(model.name))")
  }
}

extension VersionPolicy {
  fileprivate init(_ policy: Tensorflow_Serving_FileSystemStoragePathSourceConfig.ServableVersionPolicy) {
    self =
      switch policy.policyChoice {
      case nil: .latest(1)
      case .latest(let latest): .latest(max(1, Int(latest.numVersions)))
      case .all: .all
      case .specific(let specific): .specific(specific.versions)
      }
  }
}

private func workingDirectory() -> String {
  guard let path = unsafe getcwd(nil, 0) else { return "" }
  defer { unsafe free(path) }
  return unsafe String(cString: path)
}
