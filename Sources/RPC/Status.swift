/// How a call ended: gRPC's code and a message for people.
public struct Status: Error, Hashable, Sendable, CustomStringConvertible {
  public enum Code: Int, Sendable, CaseIterable {
    case ok = 0, cancelled, unknown, invalidArgument, deadlineExceeded, notFound, alreadyExists, permissionDenied
    case resourceExhausted, failedPrecondition, aborted, outOfRange, unimplemented, `internal`, unavailable, dataLoss
    case unauthenticated

    /// The name as gRPC writes it: `INVALID_ARGUMENT`.
    public var name: String {
      switch self {
      case .ok: "OK"
      case .cancelled: "CANCELLED"
      case .unknown: "UNKNOWN"
      case .invalidArgument: "INVALID_ARGUMENT"
      case .deadlineExceeded: "DEADLINE_EXCEEDED"
      case .notFound: "NOT_FOUND"
      case .alreadyExists: "ALREADY_EXISTS"
      case .permissionDenied: "PERMISSION_DENIED"
      case .resourceExhausted: "RESOURCE_EXHAUSTED"
      case .failedPrecondition: "FAILED_PRECONDITION"
      case .aborted: "ABORTED"
      case .outOfRange: "OUT_OF_RANGE"
      case .unimplemented: "UNIMPLEMENTED"
      case .internal: "INTERNAL"
      case .unavailable: "UNAVAILABLE"
      case .dataLoss: "DATA_LOSS"
      case .unauthenticated: "UNAUTHENTICATED"
      }
    }
  }

  public var code: Code
  public var message: String
  /// An encoded google.rpc.Status, which travels beside code and message (`grpc-status-details-bin`); empty: none.
  public var details: [UInt8] = []

  public init(_ code: Code, _ message: String = "") {
    self.code = code
    self.message = message
  }

  public static let ok = Status(.ok)

  public var description: String { message.isEmpty ? code.name : "\(code.name): \(message)" }
}
