// Which models the server was asked to serve: one by flags, or a list in protobuf text format.
internal import Catalog
internal import Glibc
internal import Lifecycle
internal import Schemas
internal import SwiftProtobuf

/// Why the configuration cannot be taken. The texts TensorFlow Serving has for a mistake are kept.
struct ConfigurationError: Error, CustomStringConvertible {
  let description: String
}

extension Options {
  /// The models to serve, once there is somewhere to serve them.
  func models() throws(ConfigurationError) -> [ModelConfiguration] {
    guard port != 0 || !grpcSocketPath.isEmpty else {
      throw ConfigurationError(
        description: "INVALID_ARGUMENT: server_options.grpc_socket_path is required when --port=0 turns TCP off")
    }
    if !modelConfigFile.isEmpty { return try ModelServerConfiguration(file: modelConfigFile).models }
    guard !modelBasePath.isEmpty else {
      throw ConfigurationError(
        description: "INVALID_ARGUMENT: Both server_options.model_base_path and server_options.model_config_file are empty! Give --model_base_path=DIRECTORY, whose numbered subdirectories are versions, or --model_config_file=FILE.")
    }
    // A path on the command line means what it means in the shell; in a config file it has to be absolute.
    let basePath = modelBasePath.hasPrefix("/") ? modelBasePath : workingDirectory() + "/" + modelBasePath
    return [try ModelServerConfiguration.model(name: modelName, basePath: basePath, policy: .latest(1), labels: [:])]
  }
}

/// A `ModelServerConfig`, checked.
struct ModelServerConfiguration {
  let models: [ModelConfiguration]

  init(file path: String) throws(ConfigurationError) {
    guard let text = readFile(path) else {
      throw ConfigurationError(description: "Can't read the model config file '\(path)': \(unsafe String(cString: strerror(errno)))")
    }
    do {
      try self.init(text: text)
    } catch {
      throw ConfigurationError(description: "Invalid protobuf file: '\(path)'. \(error.description)")
    }
  }

  init(text: String) throws(ConfigurationError) {
    let config: Tensorflow_Serving_ModelServerConfig
    do {
      config = try Tensorflow_Serving_ModelServerConfig(textFormatString: text)
    } catch {
      throw ConfigurationError(
        description: "Error parsing text-format tensorflow.serving.ModelServerConfig: \(error)")
    }
    switch config.config {
    case nil: models = []
    case .customModelConfig:
      throw ConfigurationError(description: "INVALID_ARGUMENT: custom_model_config is not supported; use model_config_list")
    case .modelConfigList(let list):
      var models: [ModelConfiguration] = []
      var names: Set<String> = []
      for model in list.config {
        guard names.insert(model.name).inserted else {
          throw ConfigurationError(
            description: "INVALID_ARGUMENT: Illegal to list model \(model.name) multiple times in config list")
        }
        models.append(try ModelServerConfiguration.model(model))
      }
      self.models = models
    }
  }

  private static func model(_ config: Tensorflow_Serving_ModelConfig) throws(ConfigurationError) -> ModelConfiguration {
    guard config.modelPlatform.isEmpty || config.modelPlatform == "tensorflow" else {
      throw ConfigurationError(
        description: "INVALID_ARGUMENT: Model \(config.name) requests unsupported platform \(config.modelPlatform)")
    }
    let policy: VersionPolicy =
      switch config.modelVersionPolicy.policyChoice {
      case nil: .latest(1)
      case .latest(let latest): .latest(max(1, Int(latest.numVersions)))
      case .all: .all
      case .specific(let specific): .specific(specific.versions)
      }
    return try model(name: config.name, basePath: config.basePath, policy: policy, labels: config.versionLabels)
  }

  fileprivate static func model(
    name: String, basePath: String, policy: VersionPolicy, labels: [String: Int64]
  ) throws(ConfigurationError) -> ModelConfiguration {
    guard basePath.hasPrefix("/") else {
      throw ConfigurationError(
        description: "INVALID_ARGUMENT: Expected model \(name) to have an absolute path or URI; got base_path()=\(basePath)")
    }
    return ModelConfiguration(name: name, basePath: basePath, policy: policy, labels: labels)
  }
}

private func workingDirectory() -> String {
  guard let path = unsafe getcwd(nil, 0) else { return "" }
  defer { unsafe free(path) }
  return unsafe String(cString: path)
}

/// A whole text file; `nil` with `errno` set when it cannot be read.
private func readFile(_ path: String) -> String? {
  guard let file = unsafe fopen(path, "re") else { return nil }
  defer { unsafe fclose(file) }
  var bytes: [UInt8] = []
  var chunk = [UInt8](repeating: 0, count: 1 << 16)
  while true {
    let count = unsafe fread(&chunk, 1, chunk.count, file)
    guard count > 0 else { break }
    bytes += chunk[..<count]
  }
  // A directory opens and does not read: that is no empty file.
  guard unsafe ferror(file) == 0 else { return nil }
  return String(decoding: bytes, as: UTF8.self)
}
