// Inferences over REST: the carrier is an exchange, the request is its body.
internal import Catalog
internal import Engine
internal import HTTP
internal import JSON
internal import Messages
internal import RPC
internal import Wire

/// An exchange whose body is whole.
struct RESTInference: InferenceCarrier {
  let exchange: RESTExchange

  var origin: RequestOrigin { RequestOrigin(api: exchange.verb.api, entrypoint: .rest) }
  var began: MonotonicTime { exchange.began }
  var deadline: MonotonicTime? { exchange.deadline }

  /// Answers of this many bytes are compressed on the loop; larger ones would hold it up.
  private static let compressedInlineBytesMax = 16 << 10

  func attempt(_ state: LoopState) throws(Status) -> Outcome {
    let hub = exchange.service.hub
    do throws(Status) {
      switch exchange.verb {
      case .predict: return try hub.attempt(RESTPredict(exchange, exchange.body), self, state)
      case .classify, .regress: return try hub.attempt(RESTExamples(exchange, exchange.body), self, state)
      }
    } catch where error.code == .notFound || error.code == .invalidArgument {
      // TensorFlow Serving reads the JSON before it looks for the model; of examples, all that they say.
      if exchange.fitsLoop {
        do throws(BodyError) {
          switch exchange.verb {
          case .predict: try RequestBody.check(exchange.body)
          case .classify, .regress: _ = try ExamplesBody(exchange.body)
          }
        } catch { throw Status(error) }
      }
      throw error
    }
  }

  func reply(byteCount: Int, _ fill: (inout OutputRawSpan) -> Void) {
    let compressing = byteCount <= RESTInference.compressedInlineBytesMax
    guard let body = exchange.filled(byteCount: byteCount, compressing: compressing, &exchange.loop.codecs, fill) else {
      return fail(Status(.resourceExhausted, "no room for a response of \(byteCount) bytes"))
    }
    exchange.answer(200, body.take(), isGzipped: body.isGzipped)
  }

  func fail(_ status: Status) { exchange.fail(status) }
  func detach() -> DetachedREST { DetachedREST(exchange: exchange) }
  func onCancel(_ notify: (() -> Void)?) { exchange.setOnCancel(notify) }
}

/// The same away from its loop.
struct DetachedREST: DetachedInference {
  let exchange: RESTExchange
  /// The body, when it came compressed and a run refers to it.
  var inflated: InflatedBody?

  var isCancelled: Bool { exchange.isCancelled }
  var deadline: MonotonicTime? { exchange.deadline }
  var byteCount: Int { exchange.byteCount }
  var loop: EventLoop { exchange.loop }

  func attached(_ body: (RESTInference) -> Void) {
    if exchange.isWaiting { body(RESTInference(exchange: exchange)) }
  }

  func serve(
    _ slot: Slot, _ options: ServingOptions, _ batcher: Batcher?, _ frame: inout Frame, _ trail: inout RequestTrail
  ) throws(Status) -> Served {
    guard exchange.isCompressed else { return try serve(exchange.body, slot, options, batcher, &frame, &trail) }
    var plain = ByteBuffer()
    var codecs = Codecs()
    if let failure = codecs.decompress(exchange.body, .gzip, into: &plain, limit: exchange.service.bodyBytesMax) {
      throw Status(failure)
    }
    let inflated = InflatedBody(plain)
    return try DetachedREST(exchange: exchange, inflated: inflated).serve(inflated.bytes, slot, options, batcher, &frame, &trail)
  }

  private func serve(
    _ body: RawSpan, _ slot: Slot, _ options: ServingOptions, _ batcher: Batcher?, _ frame: inout Frame, _ trail: inout RequestTrail
  ) throws(Status) -> Served {
    switch exchange.verb {
    case .predict: return try RESTPredict(exchange, body).serve(slot, options, batcher, &frame, &trail, for: self)
    case .classify, .regress: return try RESTExamples(exchange, body).serve(slot, options, batcher, &frame, &trail, for: self)
    }
  }

  func answer(
    _ run: some InferenceRun, version: Int64, _ options: ServingOptions, _ frame: borrowing Frame, _ trail: RequestTrail,
    to reply: some Reply
  ) throws(Status) {
    if let inflated { return try answer(inflated.bytes, run, version: version, options, frame, trail, to: reply) }
    try answer(exchange.body, run, version: version, options, frame, trail, to: reply)
  }

  private func answer(
    _ body: RawSpan, _ run: some InferenceRun, version: Int64, _ options: ServingOptions, _ frame: borrowing Frame,
    _ trail: RequestTrail, to reply: some Reply
  ) throws(Status) {
    switch exchange.verb {
    case .predict: try RESTPredict(exchange, body).answer(shared: run, version: version, options, frame, trail, to: reply)
    case .classify, .regress: try RESTExamples(exchange, body).answer(shared: run, version: version, options, frame, trail, to: reply)
    }
  }

  func written(byteCount: Int, _ fill: (inout OutputRawSpan) -> Void) -> @Sendable () -> Void {
    var codecs = Codecs()
    let exchange = exchange
    guard let body = exchange.filled(byteCount: byteCount, compressing: true, &codecs, fill) else {
      return { exchange.fail(Status(.resourceExhausted, "no room for a response of \(byteCount) bytes")) }
    }
    return { exchange.answer(200, body.take(), isGzipped: body.isGzipped) }
  }

  func fail(_ status: Status) { exchange.loop.enqueue { exchange.fail(status) } }
}

/// A body that came compressed, as it was before.
///
/// - Note: `@unchecked Sendable`: nobody changes it.
final class InflatedBody: @unchecked Sendable {
  private var buffer: ByteBuffer
  init(_ buffer: consuming ByteBuffer) { self.buffer = buffer }

  var bytes: RawSpan {
    @_lifetime(borrow self)
    get { unsafe _overrideLifetime(buffer.bytes, borrowing: self) }
  }
}

extension RESTRoute.Verb {
  fileprivate var api: API {
    switch self {
    case .predict: .predict
    case .classify: .classify
    case .regress: .regress
    }
  }
}

extension RESTExchange {
  /// Whether an event loop should read the body.
  var fitsLoop: Bool { !isCompressed && byteCount <= service.options.inlineBodyBytesMax }

  /// What the target says of the model. A body may name a signature; that is looked for when it has been read.
  var modelSpec: ModelSpec {
    @_lifetime(borrow self)
    get { modelSpec(signatureName: RawSpan()) }
  }

  /// The spec of the message that the request stands for.
  @_lifetime(borrow self, copy signatureName)
  func modelSpec(signatureName: RawSpan) -> ModelSpec {
    // Neither array ever changes, and the exchange keeps both.
    let (name, label) = (self.name, self.label)
    let spec =
      switch choice {
      case .latest: ModelSpec(name: name.rawSpan, signatureName: signatureName)
      case .version(let version): ModelSpec(name: name.rawSpan, signatureName: signatureName, version: version)
      case .label: ModelSpec(name: name.rawSpan, signatureName: signatureName, versionLabel: label.rawSpan)
      }
    return unsafe _overrideLifetime(spec, borrowing: self)
  }
}

extension Reply {
  /// Answers with a text.
  func reply(_ text: [UInt8]) {
    reply(byteCount: text.count) { output in
      let text = text
      output.appendBytes(text.rawSpan)
    }
  }
}

extension Status {
  /// A body that is refused.
  init(_ error: BodyError) {
    let code: Status.Code =
      switch error.code {
      case .invalidArgument: .invalidArgument
      case .unimplemented: .unimplemented
      case .resourceExhausted: .resourceExhausted
      }
    self.init(serving: code, error.message)
  }

  fileprivate init(_ failure: Decompressor.Failure) {
    switch failure {
    case .tooLarge(let limit):
      self.init(.invalidArgument, "The request has more than \(limit) bytes when it is inflated")
    case .outOfMemory: self.init(.resourceExhausted, "no memory for the request")
    default: self.init(.invalidArgument, "The request is no gzip: \(failure)")
    }
  }
}
