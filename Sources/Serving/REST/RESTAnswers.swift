// What goes around the bodies of REST answers: codes and fields.
internal import HTTP
internal import RPC

extension Status.Code {
  /// tensorflow_serving/util/net_http/public/response_code_enum.h by way of http_server.cc.
  var httpStatus: Int {
    switch self {
    case .ok: 200
    case .cancelled: 499
    case .unknown: 500
    case .invalidArgument: 400
    case .deadlineExceeded: 504
    case .notFound: 404
    case .alreadyExists: 409
    case .permissionDenied: 403
    case .resourceExhausted: 429
    case .failedPrecondition: 400
    case .aborted: 409
    case .outOfRange: 400
    case .unimplemented: 501
    case .internal: 500
    case .unavailable: 503
    case .dataLoss: 500
    case .unauthenticated: 401
    }
  }
}

/// The heads of all REST answers, made once.
final class RESTFields: Sendable {
  private static let statuses = [200, 400, 401, 403, 404, 409, 413, 429, 499, 500, 501, 503, 504]
  private let plain: [StaticFields]
  private let gzipped: [StaticFields]
  /// Heads without a body, for what a browser asks first.
  let preflight: StaticFields
  let badPreflight: StaticFields

  init(cors: Bool) {
    let origin =
      cors
      ? [
        ("access-control-allow-origin", "*"), ("access-control-allow-methods", "POST, GET"),
        ("access-control-allow-headers", "Content-Type"),
      ] : []
    func fields(_ status: Int, _ more: [(String, String)]) -> StaticFields {
      StaticFields([(":status", String(status)), ("content-type", "application/json")] + more + origin)
    }
    plain = RESTFields.statuses.map { fields($0, []) }
    gzipped = RESTFields.statuses.map { fields($0, [("content-encoding", "gzip"), ("vary", "accept-encoding")]) }
    preflight = fields(200, [])
    badPreflight = fields(400, [])
  }

  func head(_ status: Int, gzipped isGzipped: Bool) -> StaticFields {
    let index = RESTFields.statuses.firstIndex(of: status) ?? RESTFields.statuses.firstIndex(of: 500) ?? 0
    return isGzipped ? gzipped[index] : plain[index]
  }
}
