// The seam between the lifecycle and the formats: a directory goes in, a model comes out.
public import Catalog
public import Engine

/// Reads models from version directories. Called from several threads, one call per version at a time.
public protocol ModelLoader: Sendable {
  /// Whether every file that belongs to the version is there, as long as it should be. Reads little; called again and again
  /// while a directory is being filled.
  func inspect(_ directory: String) -> Completeness
  /// Makes the model.
  func load(_ directory: String) throws(LoadError) -> Model
  /// How requests to the model in `directory` are gathered into batches, if they are. Asked before `load`.
  func batching(_ directory: String) throws(LoadError) -> BatchingParameters?
}

extension ModelLoader {
  public func batching(_ directory: String) throws(LoadError) -> BatchingParameters? { nil }
}

/// What `inspect` says of a version directory.
public enum Completeness: Sendable, Equatable {
  case complete
  /// A file is not there, in the reader's words: `variables/variables.index`. Waited for without an end.
  case missing(String)
  /// A file is there and ends too early. Waited for as long as the directory changes, and a little longer; then it is loaded
  /// all the same, to fail with its reason.
  case cutOff(String)
}

/// Why a version cannot be loaded.
public struct LoadError: Error, Sendable, Equatable {
  /// `tensorflow.error.Code`, as model status reports it.
  public var code: Int
  /// What, where, and what to do; the model, the version and the directory are added by the lifecycle.
  public var message: String
  /// Whether the same files may load another time. An operation the engine does not have will not appear by waiting.
  public var isTransient: Bool

  public init(code: Int, message: String, isTransient: Bool = true) {
    self.code = code
    self.message = message
    self.isTransient = isTransient
  }
}
