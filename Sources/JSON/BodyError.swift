/// Why a request's body is refused, in TensorFlow Serving's words.
public struct BodyError: Error, Equatable, Sendable, CustomStringConvertible {
  public enum Code: Sendable { case invalidArgument, unimplemented, resourceExhausted }

  public let code: Code
  public let message: String

  init(_ code: Code, _ message: String) {
    self.code = code
    self.message = message
  }

  /// INVALID_ARGUMENT, as nearly all are.
  public init(_ message: String) { self.init(.invalidArgument, message) }

  init(_ error: JSONSyntaxError) { self.init("JSON Parse error: \(error)") }

  static let outOfMemory = BodyError(.resourceExhausted, "a tensor of the request takes too much memory")

  /// With the name of the code in front, as where TensorFlow Serving quotes one status in another.
  var quoted: String {
    switch code {
    case .invalidArgument: "INVALID_ARGUMENT: \(message)"
    case .unimplemented: "UNIMPLEMENTED: \(message)"
    case .resourceExhausted: "RESOURCE_EXHAUSTED: \(message)"
    }
  }

  public var description: String { message }
}
