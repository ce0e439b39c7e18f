// From a method and a target to what is asked for, as TensorFlow Serving's expressions have it (http_rest_api_util.cc):
//
//     POST /v1/models/NAME[/versions/N or /labels/L]:predict, :classify, :regress
//     GET  /v1/models/NAME[/versions/N or /labels/L][/metadata]
//
// and ours beside them: a list at `/v1/models`, readiness at `…/ready`, `/readyz` and `/livez`. A query means nothing.

/// A model as a target names it.
struct RESTModel: Equatable, Sendable {
  enum Choice: Equatable, Sendable {
    case latest
    case version(Int64)
    case label(String)
  }

  var name: String
  var choice = Choice.latest
}

enum RESTRoute: Equatable, Sendable {
  enum Verb: String, Sendable {
    case predict, classify, regress
  }

  case inference(Verb, RESTModel)
  case status(RESTModel)
  case metadata(RESTModel)
  case ready(RESTModel)
  case list
  /// Of the server: whether traffic is welcome.
  case serverReady
  case serverAlive
  /// What a browser asks before a page of another origin may ask.
  case preflight
  /// A target of ours that says nothing we know: 400.
  case refused(String)
  /// No target of ours: 404.
  case unknown

  init(method: String, target: String) {
    let path = target.prefix { $0 != "?" && $0 != "#" }
    let isGET = method == "GET" || method == "HEAD"
    switch path {
    case "/readyz" where isGET: self = .serverReady
    case "/livez" where isGET: self = .serverAlive
    default:
      guard path.count > 3, path.prefix(4).lowercased() == "/v1/" else {
        self = .unknown
        return
      }
      if method == "OPTIONS" {
        self = .preflight
        return
      }
      let found: RESTRoute? = method == "POST" ? RESTRoute(posted: path) : isGET ? RESTRoute(gotten: path) : nil
      self = found ?? .refused("Malformed request: \(method) \(target)")
    }
  }

  /// `/v1/models/NAME[/versions/N or /labels/L]:VERB`. Verbs are told apart by their case, though the route is found in any.
  private init?(posted path: Substring) {
    guard let colon = path.firstIndex(of: ":"), let verb = Verb(rawValue: String(path[path.index(after: colon)...])) else {
      return nil
    }
    let parts = path[..<colon].split(separator: "/", omittingEmptySubsequences: false).dropFirst()
    guard let (model, rest) = RESTRoute.model(parts), rest.isEmpty else { return nil }
    switch model {
    case .success(let model): self = .inference(verb, model)
    case .failure(let refusal): self = .refused(refusal.text)
    }
  }

  /// `/v1/models[/NAME[/versions/N or /labels/L][/metadata or /ready]]`
  private init?(gotten path: Substring) {
    guard !path.contains(":") else { return nil }
    let parts = path.split(separator: "/", omittingEmptySubsequences: false).dropFirst()
    if parts.count == 2, parts.last?.lowercased() == "models" {
      self = .list
      return
    }
    guard let (model, rest) = RESTRoute.model(parts) else { return nil }
    let found: RESTModel
    switch model {
    case .success(let model): found = model
    case .failure(let refusal):
      self = .refused(refusal.text)
      return
    }
    switch (rest.count, rest.first?.lowercased()) {
    case (0, _): self = .status(found)
    case (1, "metadata"): self = .metadata(found)
    case (1, "ready"): self = .ready(found)
    default: return nil
    }
  }

  private struct Refusal: Error { let text: String }

  /// The model of `v1/models/NAME[/versions/N or /labels/L]`, and what stands behind it; `nil` when that is something else.
  private static func model(_ parts: ArraySlice<Substring>) -> (Result<RESTModel, Refusal>, ArraySlice<Substring>)? {
    var parts = parts
    guard parts.popFirst()?.lowercased() == "v1", parts.popFirst()?.lowercased() == "models", let name = parts.popFirst(),
      !name.isEmpty
    else { return nil }
    var model = RESTModel(name: decoded(name))
    switch parts.first?.lowercased() {
    case "versions":
      guard parts.count >= 2 else { return nil }
      let digits = parts[parts.startIndex + 1]
      guard !digits.isEmpty, digits.allSatisfy({ ("0"..."9").contains($0) }) else { return nil }
      parts = parts.dropFirst(2)
      guard let version = Int64(digits) else {
        return (.failure(Refusal(text: "Failed to convert version: \(digits) to numeric.")), parts)
      }
      model.choice = .version(version)
    case "labels":
      guard parts.count >= 2 else { return nil }
      let label = parts[parts.startIndex + 1]
      guard !label.isEmpty else { return nil }
      parts = parts.dropFirst(2)
      model.choice = .label(decoded(label))
    default: break
    }
    return (.success(model), parts)
  }

  /// Percent-decoding (RFC 3986 §2.1); what is no such encoding stays as it is.
  private static func decoded(_ text: Substring) -> String {
    guard text.utf8.contains(UInt8(ascii: "%")) else { return String(text) }
    var bytes: [UInt8] = []
    var rest = text.utf8[...]
    while let byte = rest.popFirst() {
      if byte == UInt8(ascii: "%"), let value = UInt8(String(Substring(rest.prefix(2))), radix: 16), rest.count >= 2,
        rest.prefix(2).allSatisfy({ $0 != UInt8(ascii: "+") && $0 != UInt8(ascii: "-") })
      {
        bytes.append(value)
        rest = rest.dropFirst(2)
      } else {
        bytes.append(byte)
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}
