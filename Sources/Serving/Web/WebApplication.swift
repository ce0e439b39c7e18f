// What comes over HTTP and is no gRPC, on one loop: found by its path, answered by whoever that path belongs to.
internal import HTTP
internal import Telemetry

final class WebApplication: HTTPApplication {
  private let metrics: MetricsPage?
  private let rest: RESTApplication

  init(metrics: MetricsPage?, rest: RESTService) {
    self.metrics = metrics
    self.rest = RESTApplication(rest)
  }

  private static let methodNotAllowed = StaticFields([(":status", "405"), ("allow", "GET, HEAD")])

  func opened(_ stream: HTTPStream) {
    guard isMetrics(stream.head[.path]), let metrics else { return rest.opened(stream) }
    let isHEAD = stream.head[.method].equals("HEAD")
    guard stream.head[.method].equals("GET") || isHEAD else { return stream.respond(WebApplication.methodNotAllowed, FieldList()) }
    metrics.answer(stream)
  }

  /// A query behind the path means nothing.
  private func isMetrics(_ target: RawSpan) -> Bool {
    guard let metrics else { return false }
    let count = metrics.path.utf8.count
    guard target.byteCount >= count, target.extracting(first: count).equals(text: metrics.path) else { return false }
    // In bounds: when it is looked at, there is a byte behind the path.
    return unsafe target.byteCount == count || target.unsafeLoad(fromByteOffset: count, as: UInt8.self) == UInt8(ascii: "?")
  }
}
