// Inferences over gRPC: the carrier is a unary call, the request is its message.
internal import Catalog
internal import Engine
internal import HTTP
internal import RPC
internal import Wire

/// Serves a method whose message is a `Request`.
final class InferenceHandler<Request: InferenceMessage & ~Escapable>: UnaryHandler {
  private let hub: InferenceHub

  init(_ hub: InferenceHub) { self.hub = hub }

  func handle(_ call: UnaryCall) {
    LoopState.of(call.loop).take(UnaryInference<Request>(call: call, hub: hub))
  }
}

/// A unary call with a `Request`.
struct UnaryInference<Request: InferenceMessage & ~Escapable>: InferenceCarrier {
  let call: UnaryCall
  let hub: InferenceHub

  var origin: RequestOrigin { RequestOrigin(api: Request.api, entrypoint: .grpc) }
  var began: MonotonicTime { call.began }
  var deadline: MonotonicTime? { call.deadline }

  func attempt(_ state: LoopState) throws(Status) -> Outcome {
    try hub.attempt(try Request(message: call.message), self, state)
  }

  func reply(byteCount: Int, _ fill: (inout OutputRawSpan) -> Void) { call.reply(byteCount: byteCount, fill) }
  func fail(_ status: Status) { call.fail(status) }
  func recordableRequest() -> [UInt8]? { [UInt8](call.message) }
  func detach() -> DetachedUnaryInference<Request> { DetachedUnaryInference(call: call.detach(), hub: hub) }
  func onCancel(_ notify: (() -> Void)?) { call.onCancel = notify }
}

/// The same away from its loop.
struct DetachedUnaryInference<Request: InferenceMessage & ~Escapable>: DetachedInference {
  let call: DetachedCall
  let hub: InferenceHub

  var isCancelled: Bool { call.isCancelled }
  var deadline: MonotonicTime? { call.deadline }
  var byteCount: Int { call.message.byteCount }
  var loop: EventLoop { call.loop }

  func attached(_ body: (UnaryInference<Request>) -> Void) {
    call.completeOnLoop { body(UnaryInference(call: $0, hub: hub)) }
  }

  func serve(
    _ slot: Slot, _ options: ServingOptions, _ batcher: Batcher?, _ frame: inout Frame, _ trail: inout RequestTrail
  ) throws(Status) -> Served {
    try Request(message: call.message).serve(slot, options, batcher, &frame, &trail, for: self)
  }

  func answer(
    _ run: some InferenceRun, version: Int64, _ options: ServingOptions, _ frame: borrowing Frame, _ trail: RequestTrail,
    to reply: some Reply
  ) throws(Status) {
    try Request(message: call.message).answer(shared: run, version: version, options, frame, trail, to: reply)
  }

  func written(byteCount: Int, _ fill: (inout OutputRawSpan) -> Void) -> @Sendable () -> Void {
    call.written(byteCount: byteCount, fill)
  }

  func fail(_ status: Status) { call.fail(status) }
  func recordableRequest() -> [UInt8]? { [UInt8](call.message) }
}

extension InferenceMessage where Self: ~Escapable {
  /// The message in `bytes`, or the status of who sent something else.
  @_lifetime(copy bytes)
  init(message bytes: RawSpan) throws(Status) {
    do { try self.init(bytes) } catch { throw Status(unparsable: Self.messageName, error) }
  }
}
