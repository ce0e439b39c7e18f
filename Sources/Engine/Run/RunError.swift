/// Why a run failed. The codes are those of `tensorflow::error::Code` that a kernel can give.
public struct RunError: Error, Equatable, CustomStringConvertible {
  public enum Code: UInt8, Sendable {
    case cancelled = 1
    case invalidArgument = 3
    case deadlineExceeded = 4
    case notFound = 5
    case resourceExhausted = 8
    case failedPrecondition = 9
    case outOfRange = 11
    case unimplemented = 12
    case `internal` = 13
    case dataLoss = 15
  }
  public var code: Code
  public var message: String

  public init(_ code: Code, _ message: String) {
    self.code = code
    self.message = message
  }

  public static func invalidArgument(_ message: String) -> RunError { RunError(.invalidArgument, message) }
  public static func unimplemented(_ message: String) -> RunError { RunError(.unimplemented, message) }
  public static func `internal`(_ message: String) -> RunError { RunError(.internal, message) }

  /// The error as it leaves the run: with the node it happened at, in TensorFlow's form.
  func at(node: String) -> RunError {
    RunError(code, message.contains("{{node ") ? message : "\(message)\n\t [[{{node \(node)}}]]")
  }

  public var description: String { message }
}
