import Testing

import RPC
@testable import Serving

private func model(_ name: String, _ choice: RESTModel.Choice = .latest) -> RESTModel { RESTModel(name: name, choice: choice) }

@Suite struct RESTRouteTests {
  @Test func `targets lead where TensorFlow Serving's expressions lead`() {
    let cases: [(String, String, RESTRoute)] = [
      ("POST", "/v1/models/m:predict", .inference(.predict, model("m"))),
      ("POST", "/v1/models/m:classify", .inference(.classify, model("m"))),
      ("POST", "/v1/models/m/versions/7:regress", .inference(.regress, model("m", .version(7)))),
      ("POST", "/V1/Models/m/LABELS/canary:predict", .inference(.predict, model("m", .label("canary")))),
      ("POST", "/v1/models/a%20b%2Fc:predict?x=1", .inference(.predict, model("a b/c"))),
      ("POST", "/v1/models/a%zz%4:predict", .inference(.predict, model("a%zz%4"))),
      ("GET", "/v1/models/m", .status(model("m"))),
      ("GET", "/v1/models/m?x=1", .status(model("m"))),
      ("HEAD", "/v1/models/m/versions/12", .status(model("m", .version(12)))),
      ("GET", "/v1/models/m/labels/stable/metadata", .metadata(model("m", .label("stable")))),
      ("GET", "/v1/models/m/METADATA", .metadata(model("m"))),
      ("GET", "/v1/models/metadata", .status(model("metadata"))),
      ("GET", "/v1/models/m/ready", .ready(model("m"))),
      ("GET", "/v1/models/m/versions/3/ready", .ready(model("m", .version(3)))),
      ("GET", "/v1/models", .list), ("GET", "/readyz", .serverReady), ("GET", "/livez?verbose", .serverAlive),
      ("OPTIONS", "/v1/models/m:predict", .preflight),
      ("GET", "/", .unknown), ("POST", "/readyz", .unknown), ("GET", "/v2/models/m", .unknown),
    ]
    for (method, target, route) in cases { #expect(RESTRoute(method: method, target: target) == route, "\(method) \(target)") }
  }

  @Test func `what they do not know is malformed, with the target as it came`() {
    let targets = [
      ("POST", "/v1/models/m"), ("POST", "/v1/models/m:PREDICT"), ("POST", "/v1/models/m:predict:x"), ("POST", "/v1/models/:predict"),
      ("POST", "/v1/models/m/versions/x:predict"), ("POST", "/v1/models/m/versions/1/labels/l:predict"), ("GET", "/v1/models/"),
      ("GET", "/v1/models/m/"), ("GET", "/v1/models/m:predict?x=1"), ("GET", "/v1/models/m/versions/"), ("PUT", "/v1/models/m"),
      ("DELETE", "/v1/models/m:predict"), ("GET", "/v1/other"), ("GET", "/v1/models/m/labels"),
    ]
    for (method, target) in targets {
      #expect(RESTRoute(method: method, target: target) == .refused("Malformed request: \(method) \(target)"))
    }
    #expect(
      RESTRoute(method: "GET", target: "/v1/models/m/versions/9223372036854775808")
        == .refused("Failed to convert version: 9223372036854775808 to numeric."))
  }

  @Test func `each gRPC code has its HTTP status`() {
    let statuses = [200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401]
    #expect(Status.Code.allCases.map(\.httpStatus) == statuses)
  }
}
