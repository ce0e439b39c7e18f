// Why a configuration cannot be taken: at the start, where it ends the process, or at a reload, where nothing changes. The
// texts TensorFlow Serving has for a mistake are kept.

/// A status, as TensorFlow Serving prints it.
struct ConfigurationError: Error, Equatable, CustomStringConvertible {
  /// `tensorflow.error.Code`, as far as a configuration can fail.
  enum Code: Int {
    case unknown = 2
    case invalidArgument = 3
    case deadlineExceeded = 4
    case notFound = 5
    case failedPrecondition = 9
    case unimplemented = 12
    case unavailable = 14
  }
  var code: Code
  var message: String

  init(_ code: Code, _ message: String) {
    self.code = code
    self.message = message
  }

  var description: String { "\(code.name): \(message)" }
}

extension ConfigurationError.Code {
  var name: String {
    switch self {
    case .unknown: "UNKNOWN"
    case .invalidArgument: "INVALID_ARGUMENT"
    case .deadlineExceeded: "DEADLINE_EXCEEDED"
    case .notFound: "NOT_FOUND"
    case .failedPrecondition: "FAILED_PRECONDITION"
    case .unimplemented: "UNIMPLEMENTED"
    case .unavailable: "UNAVAILABLE"
    }
  }
}
