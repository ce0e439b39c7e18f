/// A line for the operator. The lifecycle says what happened; who built it decides where lines go.
public struct LogLine: Sendable, Equatable {
  public enum Level: Sendable { case info, warning, error }
  public var level: Level
  public var message: String
  public var model: String?
  public var version: Int64?

  public init(_ level: Level, _ message: String, model: String? = nil, version: Int64? = nil) {
    self.level = level
    self.message = message
    self.model = model
    self.version = version
  }
}
