// The REST interface on one loop: a route is found by method and target. Inferences are exchanges of their own; all else is a page
// that is made when the request is whole.
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
    switch RESTRoute(method: method, target: target) {
    case .inference(let verb, let model): stream.handler = RESTExchange(service, stream, verb, model)
    case let route: stream.handler = PageExchange(service, stream, route, "\(method) \(target)")
    }
  }
}

/// A request for a page. What comes with it is not read, but waited for, to a point: not every HTTP/2 client takes an answer that
/// comes before it has sent all (curl 7.88 does not), and TensorFlow Serving has the whole request before it looks at it.
///
/// - Note: `@unchecked Sendable`: it may wait in its loop's waiting room and is touched on that loop alone.
final class PageExchange: StreamHandler, @unchecked Sendable {
  /// Bytes waited for.
  private static let discardedBytesMax = 1 << 20

  fileprivate let service: RESTService
  fileprivate let route: RESTRoute
  /// Method and target, as they came.
  private let asked: String
  fileprivate let origin: String
  fileprivate let began: MonotonicTime
  private let loop: EventLoop
  private var stream: HTTPStream?
  private var isWhole = false
  private var discarded = 0
  fileprivate var onCancel: (() -> Void)?

  init(_ service: RESTService, _ stream: HTTPStream, _ route: RESTRoute, _ asked: String) {
    self.stream = stream
    self.service = service
    self.route = route
    self.asked = asked
    origin = route == .preflight ? stream.head.value(of: "origin") ?? "" : ""
    loop = stream.loop
    began = loop.now
    stream.expectsBytes = true
  }

  fileprivate var isWaiting: Bool { stream != nil }

  func received(_ bytes: RawSpan, on stream: HTTPStream) {
    discarded += bytes.byteCount
    if discarded > PageExchange.discardedBytesMax { answer() }
  }

  func ended(_ stream: HTTPStream) { answer() }
  func starved(_ stream: HTTPStream) { answer() }

  func closed(_ stream: HTTPStream, _ error: StreamError) {
    let notify = onCancel
    onCancel = nil
    if self.stream != nil {
      self.stream = nil
      notify?()
    }
  }

  private func answer() {
    if isWhole { return }
    isWhole = true
    let state = LoopState.of(loop)
    switch route {
    // Probes come every few seconds and are no requests: nobody counts them.
    case .ready(let model): tell(state.readiness(of: model))
    case .serverReady: tell(state.health.report.statuses[""] ?? .notServing)
    case .serverAlive: tell(.serving)
    case .unknown: answer(404, JSONText.error("Not found: \(asked)"))
    default: state.take(PageQuestion(exchange: self))
    }
  }

  /// The code says it; the body is for people.
  private func tell(_ status: HealthStatus) {
    switch status {
    case .serving: answer(200, Array("{\"status\": \"SERVING\"}\n".utf8))
    case .notServing: answer(503, Array("{\"status\": \"NOT_SERVING\"}\n".utf8))
    case .unknownService: answer(404, Array("{\"status\": \"SERVICE_UNKNOWN\"}\n".utf8))
    }
  }

  fileprivate func answer(_ status: Int, _ body: [UInt8]) {
    guard let stream else { return }
    self.stream = nil
    onCancel = nil
    guard stream.body.append(body.rawSpan) else { return stream.reset(.internalError) }
    stream.respond(service.fields.head(status, gzipped: false), trailers: nil)
  }

  /// Answers what a browser asks first.
  fileprivate func answerPreflight(_ isWeb: Bool) {
    guard let stream else { return }
    self.stream = nil
    stream.respond(isWeb ? service.fields.preflight : service.fields.badPreflight, FieldList())
  }
}

/// What a page tells, and who counts it. TensorFlow Serving counts all requests below its path, those that mean nothing too.
struct PageQuestion: Carrier, DetachedCarrier {
  fileprivate let exchange: PageExchange

  var origin: RequestOrigin {
    let api: API =
      switch exchange.route {
      case .status, .list: .modelStatus
      case .metadata: .modelMetadata
      default: .none
      }
    return RequestOrigin(api: api, entrypoint: .rest)
  }

  var began: MonotonicTime { exchange.began }
  var deadline: MonotonicTime? { nil }

  func attempt(_ state: LoopState) throws(Status) -> Outcome {
    let snapshot = state.reader.snapshot
    var labels = RequestLabels(origin: origin)
    do throws(Status) {
      switch exchange.route {
      case .status(let model):
        labels.model = snapshot.model(model.name)?.name ?? ""
        exchange.answer(200, ModelPages.status(try snapshot.statuses(model)))
      case .metadata(let model):
        labels.model = snapshot.model(model.name)?.name ?? ""
        switch snapshot.select(model) {
        case .refused(let status): throw status
        case .pending(let model): return .pending(model)
        case .slot(let slot):
          state.trail.reaches(slot)
          labels.version = slot.version
          exchange.answer(200, try ModelPages.metadata(model.name, slot))
        }
      case .list: exchange.answer(200, ModelPages.list(snapshot.models))
      case .preflight:
        let isWeb = exchange.origin.contains("http://") || exchange.origin.contains("https://")
        exchange.answerPreflight(isWeb)
        guard isWeb else { throw Status(.invalidArgument, "") }
      case .refused(let text): throw Status(serving: .invalidArgument, text)
      case .inference, .ready, .serverReady, .serverAlive, .unknown: preconditionFailure("no page to ask for")
      }
      state.told(labels)
    } catch {
      state.failed(error.code, labels)
      throw error
    }
    return .settled
  }

  func fail(_ status: Status) { exchange.answer(status.code.httpStatus, JSONText.error(status.message)) }
  func detach() -> PageQuestion { self }
  func onCancel(_ notify: (() -> Void)?) { exchange.onCancel = notify }
  func attached(_ body: (PageQuestion) -> Void) { if exchange.isWaiting { body(self) } }
}

extension LoopState {
  /// As `grpc.health.v1.Health` has it of the model, or of its version.
  fileprivate func readiness(of model: RESTModel) -> HealthStatus {
    let statuses = health.report.statuses
    guard let entry = reader.snapshot.model(model.name) else { return .unknownService }
    switch model.choice {
    case .latest: return statuses[entry.name] ?? .unknownService
    case .version(let version): return statuses["\(entry.name)/\(version)"] ?? .unknownService
    case .label(let label):
      guard let version = entry.labels[label] else { return .unknownService }
      return statuses["\(entry.name)/\(version)"] ?? .notServing
    }
  }
}

extension CatalogSnapshot {
  fileprivate func select(_ model: RESTModel) -> Selection {
    let name = Array(model.name.utf8)
    switch model.choice {
    case .latest: return select(ModelSpec(name: name.rawSpan))
    case .version(let version): return select(ModelSpec(name: name.rawSpan, version: version))
    case .label(let label):
      let label = Array(label.utf8)
      return select(ModelSpec(name: name.rawSpan, versionLabel: label.rawSpan))
    }
  }
}
