// The REST interface on one loop: a route is found by method and target, and answered at once unless it is an inference, or
// about a model that is on its way.
internal import Catalog
internal import HTTP
internal import JSON
internal import Messages
internal import RPC
internal import Wire

final class RESTApplication {
  private let service: RESTService

  init(_ service: RESTService) { self.service = service }

  func opened(_ stream: HTTPStream) {
    let target = stream.head.text(.path) ?? "", method = stream.head.text(.method) ?? ""
    let state = LoopState.of(stream.loop)
    switch RESTRoute(method: method, target: target) {
    case .inference(let verb, let model): stream.handler = RESTExchange(service, stream, verb, model)
    case .status(let model):
      answer(stream) { () throws(Status) in ModelPages.status(try state.reader.snapshot.statuses(model)) }
    case .metadata(let model):
      let exchange = PageExchange(stream, service, model)
      stream.handler = exchange
      state.take(MetadataQuestion(exchange: exchange))
    case .list: answer(stream) { () throws(Status) in ModelPages.list(state.reader.snapshot.models) }
    case .ready(let model): tell(stream, readiness(of: model, state))
    case .serverReady: tell(stream, state.health.report.statuses[""] ?? .notServing)
    case .serverAlive: tell(stream, .serving)
    case .preflight:
      let origin = stream.head.value(of: "origin") ?? ""
      let isWeb = origin.contains("http://") || origin.contains("https://")
      stream.respond(isWeb ? service.fields.preflight : service.fields.badPreflight, FieldList())
    case .refused(let text): answer(stream, 400, JSONText.error(text))
    case .unknown: answer(stream, 404, JSONText.error("Not found: \(method) \(target)"))
    }
  }

  /// As `grpc.health.v1.Health` has it of the model, or of its version.
  private func readiness(of model: RESTModel, _ state: LoopState) -> HealthStatus {
    let statuses = state.health.report.statuses
    guard let entry = state.reader.snapshot.model(model.name) else { return .unknownService }
    switch model.choice {
    case .latest: return statuses[entry.name] ?? .unknownService
    case .version(let version): return statuses["\(entry.name)/\(version)"] ?? .unknownService
    case .label(let label):
      guard let version = entry.labels[label] else { return .unknownService }
      return statuses["\(entry.name)/\(version)"] ?? .notServing
    }
  }

  /// The code says it; the body is for people.
  private func tell(_ stream: HTTPStream, _ status: HealthStatus) {
    switch status {
    case .serving: answer(stream, 200, Array("{\"status\": \"SERVING\"}\n".utf8))
    case .notServing: answer(stream, 503, Array("{\"status\": \"NOT_SERVING\"}\n".utf8))
    case .unknownService: answer(stream, 404, Array("{\"status\": \"SERVICE_UNKNOWN\"}\n".utf8))
    }
  }

  private func answer(_ stream: HTTPStream, _ page: () throws(Status) -> [UInt8]) {
    do { answer(stream, 200, try page()) } catch { answer(stream, error.code.httpStatus, JSONText.error(error.message)) }
  }

  private func answer(_ stream: HTTPStream, _ status: Int, _ body: [UInt8]) {
    guard stream.body.append(body.rawSpan) else { return stream.reset(.internalError) }
    stream.respond(service.fields.head(status, gzipped: false), trailers: nil)
  }
}

/// A request for a page about a model that may be on its way.
///
/// - Note: `@unchecked Sendable`: it waits in its loop's waiting room and is touched on that loop alone.
final class PageExchange: StreamHandler, @unchecked Sendable {
  let service: RESTService
  let model: RESTModel
  let began: MonotonicTime
  private(set) var stream: HTTPStream?
  var onCancel: (() -> Void)?

  init(_ stream: HTTPStream, _ service: RESTService, _ model: RESTModel) {
    self.stream = stream
    self.service = service
    self.model = model
    began = stream.loop.now
  }

  func answer(_ status: Int, _ body: [UInt8]) {
    guard let stream else { return }
    self.stream = nil
    onCancel = nil
    guard stream.body.append(body.rawSpan) else { return stream.reset(.internalError) }
    stream.respond(service.fields.head(status, gzipped: false), trailers: nil)
  }

  func received(_ bytes: RawSpan, on stream: HTTPStream) {}
  func ended(_ stream: HTTPStream) {}

  func closed(_ stream: HTTPStream, _ error: StreamError) {
    let notify = onCancel
    onCancel = nil
    if self.stream != nil {
      self.stream = nil
      notify?()
    }
  }
}

/// GetModelMetadata over REST.
struct MetadataQuestion: Carrier, DetachedCarrier {
  let exchange: PageExchange

  var origin: RequestOrigin { RequestOrigin(api: .modelMetadata, entrypoint: .rest) }
  var began: MonotonicTime { exchange.began }

  func attempt(_ state: LoopState) throws(Status) -> Outcome {
    let model = exchange.model
    let name = Array(model.name.utf8)
    let selection: Selection
    switch model.choice {
    case .latest: selection = state.reader.snapshot.select(ModelSpec(name: name.rawSpan))
    case .version(let version): selection = state.reader.snapshot.select(ModelSpec(name: name.rawSpan, version: version))
    case .label(let label):
      let label = Array(label.utf8)
      selection = state.reader.snapshot.select(ModelSpec(name: name.rawSpan, versionLabel: label.rawSpan))
    }
    switch selection {
    case .refused(let status): throw status
    case .pending(let model): return .pending(model)
    case .slot(let slot): exchange.answer(200, try ModelPages.metadata(model.name, slot))
    }
    return .settled
  }

  func fail(_ status: Status) { exchange.answer(status.code.httpStatus, JSONText.error(status.message)) }
  func detach() -> MetadataQuestion { self }
  func onCancel(_ notify: (() -> Void)?) { exchange.onCancel = notify }
  func attached(_ body: (MetadataQuestion) -> Void) { if exchange.stream != nil { body(self) } }
}
