// Where the errors of the layers below become gRPC statuses: nowhere else.
internal import Engine
internal import RPC

extension Status {
  /// TensorFlow Serving cuts its error messages here.
  private static let messageBytesMax = 1024

  /// A run's error. TensorFlow's codes for errors are gRPC's.
  init(_ error: RunError) {
    self.init(serving: Status.Code(error.code), error.message)
  }

  /// A message that is no protobuf of its type.
  init(unparsable type: String, _ error: any Error) {
    self.init(serving: .invalidArgument, "the request is no \(type): \(error)")
  }

  /// A status with TensorFlow Serving's limit on the message.
  init(serving code: Status.Code, _ message: String) {
    guard message.utf8.count > Status.messageBytesMax else {
      self.init(code, message)
      return
    }
    var cut = String(decoding: message.utf8.prefix(Status.messageBytesMax), as: UTF8.self)
    // A character cut in two is left out.
    while cut.last == "\u{FFFD}" { cut.removeLast() }
    self.init(code, cut + "...TRUNCATED")
  }
}

extension Status.Code {
  fileprivate init(_ code: RunError.Code) {
    self =
      switch code {
      case .cancelled: .cancelled
      case .invalidArgument: .invalidArgument
      case .deadlineExceeded: .deadlineExceeded
      case .notFound: .notFound
      case .resourceExhausted: .resourceExhausted
      case .failedPrecondition: .failedPrecondition
      case .outOfRange: .outOfRange
      case .unimplemented: .unimplemented
      case .internal: .internal
      case .dataLoss: .dataLoss
      }
  }
}
