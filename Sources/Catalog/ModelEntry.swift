// What one snapshot says about one configured model.

/// `tensorflow.serving.ModelVersionStatus.State`, with its numbers.
public enum VersionState: Int, Sendable, Comparable {
  case unknown = 0
  case start = 10
  case loading = 20
  case available = 30
  case unloading = 40
  case end = 50

  public static func < (a: VersionState, b: VersionState) -> Bool { a.rawValue < b.rawValue }
}

/// A version as `GetModelStatus` reports it.
public struct VersionStatus: Sendable, Equatable {
  public var version: Int64
  public var state: VersionState
  /// `tensorflow.error.Code`; zero is OK.
  public var errorCode: Int
  public var errorMessage: String
  /// It is on its way out, to be loaded anew.
  public var willReturn: Bool

  public init(
    version: Int64, state: VersionState, errorCode: Int = 0, errorMessage: String = "", willReturn: Bool = false
  ) {
    self.version = version
    self.state = state
    self.errorCode = errorCode
    self.errorMessage = errorMessage
    self.willReturn = willReturn
  }
}

/// A configured model, in one snapshot.
public final class ModelEntry: Sendable {
  public let name: String
  /// Every version that is known, newest first; of those that ended, the last few.
  public let statuses: [VersionStatus]
  /// The versions that serve, newest first.
  public let slots: [Slot]
  /// `version_labels`: a label may name a version that does not serve.
  public let labels: [String: Int64]
  /// Whether versions may yet be found that nothing here mentions: the base path was not read so far, or does not exist.
  public let isDiscovering: Bool
  /// How its requests are logged, if they are.
  public let logging: RequestLogConfiguration?

  public init(
    name: String, statuses: [VersionStatus] = [], slots: [Slot] = [], labels: [String: Int64] = [:],
    isDiscovering: Bool = false, logging: RequestLogConfiguration? = nil
  ) {
    self.name = name
    self.statuses = statuses.sorted { $0.version > $1.version }
    self.slots = slots.sorted { $0.version > $1.version }
    self.labels = labels
    self.isDiscovering = isDiscovering
    self.logging = logging
  }

  /// What a request that names no version gets.
  public var latest: Slot? { slots.first }

  public func slot(version: Int64) -> Slot? {
    for slot in slots where slot.version == version { return slot }
    return nil
  }

  /// Whether a version may become available without anybody doing anything: it pays to wait.
  public var isPending: Bool { isDiscovering || isLoading }

  /// Whether a version that was found may become available without anybody doing anything.
  public var isLoading: Bool { statuses.contains { $0.isPending } }

  /// Whether this version may become available without anybody doing anything.
  public func isPending(version: Int64) -> Bool {
    guard let status = statuses.first(where: { $0.version == version }) else { return isDiscovering }
    return status.isPending
  }
}

extension VersionStatus {
  /// Waited for, being loaded, failed with attempts left, or to be loaded anew.
  var isPending: Bool { state == .start || state == .loading || willReturn }
}
