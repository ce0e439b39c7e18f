// What the operator asks for: which models, where their versions are found, and which of them should serve.
public import Catalog

/// A model to serve: `tensorflow.serving.ModelConfig`.
public struct ModelConfiguration: Sendable, Equatable {
  public var name: String
  /// The directory whose numbered children are the versions.
  public var basePath: String
  public var policy: VersionPolicy
  /// `version_labels`.
  public var labels: [String: Int64]
  /// `logging_config`: not the lifecycle's business, which shows it in the catalog.
  public var logging: RequestLogConfiguration?

  public init(
    name: String, basePath: String, policy: VersionPolicy = .latest(1), labels: [String: Int64] = [:],
    logging: RequestLogConfiguration? = nil
  ) {
    self.logging = logging
    self.name = name
    self.basePath = basePath
    self.policy = policy
    self.labels = labels
  }
}

/// Which of the versions found should serve: `FileSystemStoragePathSourceConfig.ServableVersionPolicy`.
public enum VersionPolicy: Sendable, Equatable {
  /// The highest numbers, that many of them; one where the configuration says zero, as TensorFlow Serving has it.
  case latest(Int)
  case all
  /// These, as far as they are there.
  case specific([Int64])

  /// The versions that should serve, of those found.
  func aspired(_ found: some Collection<Int64>) -> Set<Int64> {
    switch self {
    case .latest(let count): Set(found.sorted(by: >).prefix(max(1, count)))
    case .all: Set(found)
    case .specific(let versions): Set(versions).intersection(found)
    }
  }
}
