// One REST request: its body is gathered, and then it is a carrier of whatever was asked for. It lives on its loop; through
// other threads it goes as a reference of which only what does not change, and one atomic, are touched.
internal import HTTP
internal import JSON
internal import RPC
internal import Synchronization
internal import Wire

/// What all REST requests of a server have in common.
final class RESTService: Sendable {
  let hub: InferenceHub
  let fields: RESTFields
  let options: RESTOptions
  /// Bytes of a body, inflated or not.
  let bodyBytesMax: Int

  init(_ hub: InferenceHub, _ options: RESTOptions, bodyBytesMax: Int) {
    self.hub = hub
    self.options = options
    self.bodyBytesMax = bodyBytesMax
    fields = RESTFields(cors: options.allowsOtherOrigins)
  }
}

/// How the REST interface behaves, from the command line.
public struct RESTOptions: Sendable {
  /// `rest_api_enable_cors_support`.
  public var allowsOtherOrigins = false
  /// `rest_api_timeout_in_ms`; zero or less: none.
  public var timeoutMilliseconds = 30_000
  /// NaN and the infinities are written as strings, not as bare tokens.
  public var isStrictJSON = false
  /// Larger bodies are read by workers: an event loop has no time for them.
  public var inlineBodyBytesMax = 64 << 10
  /// Answers of fewer bytes are not compressed.
  public var compressedBytesMin = 4 << 10

  public init() {}
}

/// - Note: `@unchecked Sendable`: off its loop only `isGone`, the loop itself, and what does not change once the body is whole
///   are touched.
final class RESTExchange: StreamHandler, TimerTarget, @unchecked Sendable {
  let service: RESTService
  let loop: EventLoop
  let verb: RESTRoute.Verb
  /// The model's name and label as bytes: what `ModelSpec` reads.
  let name: [UInt8]
  let label: [UInt8]
  let choice: RESTModel.Choice
  /// The body came compressed.
  let isCompressed: Bool
  /// The client reads gzip.
  let readsGzip: Bool
  let began: MonotonicTime
  private(set) var deadline: MonotonicTime?

  private var stream: HTTPStream?
  private var buffer = ByteBuffer()
  private var isWhole = false
  private var isTooLarge = false
  private var timer = TimerID.none
  private let isGone = Atomic<Bool>(false)
  private var onCancel: (() -> Void)?

  init(_ service: RESTService, _ stream: HTTPStream, _ verb: RESTRoute.Verb, _ model: RESTModel) {
    self.service = service
    loop = stream.loop
    began = loop.now
    self.stream = stream
    self.verb = verb
    name = Array(model.name.utf8)
    choice = model.choice
    if case .label(let text) = model.choice { label = Array(text.utf8) } else { label = [] }
    isCompressed = stream.head.value(of: "content-encoding")?.lowercased().contains("gzip") ?? false
    readsGzip = stream.head.value(of: "accept-encoding").map { MetricsPage.accepts($0) } ?? false
    if service.options.timeoutMilliseconds > 0 {
      let end = loop.now.advanced(byNanoseconds: UInt64(service.options.timeoutMilliseconds) * 1_000_000)
      deadline = end
      timer = loop.schedule(at: end, self)
    }
    if let length = stream.head.value(of: "content-length").flatMap({ Int($0) }), length <= service.bodyBytesMax {
      stream.bytesExpected = length
      // What a peer promises and does not send costs address space, not memory; and little of that.
      _ = buffer.reserve(exactly: min(length, 4 << 20))
    }
    stream.expectsBytes = true
  }

  /// The body, as it came.
  var body: RawSpan {
    @_lifetime(borrow self)
    get { unsafe _overrideLifetime(buffer.bytes, borrowing: self) }
  }

  var byteCount: Int { buffer.count }

  /// Nobody waits any more. From any thread.
  var isCancelled: Bool { isGone.load(ordering: .acquiring) }

  var isWaiting: Bool { stream != nil }

  func setOnCancel(_ notify: (() -> Void)?) { onCancel = notify }

  // MARK: What comes

  func received(_ bytes: RawSpan, on stream: HTTPStream) {
    guard self.stream != nil, !isWhole else { return }
    if buffer.count + bytes.byteCount > service.bodyBytesMax {
      isTooLarge = true
      return refuse(Status(.resourceExhausted, "The request has more than \(service.bodyBytesMax) bytes"))
    }
    guard stream.holdBody(bytes.byteCount), buffer.append(bytes) else {
      return refuse(Status(.resourceExhausted, "too many request bytes on this connection"))
    }
    stream.bytesExpected = max(0, stream.bytesExpected - bytes.byteCount)
  }

  func ended(_ stream: HTTPStream) {
    guard self.stream != nil, !isWhole else { return }
    isWhole = true
    LoopState.of(loop).take(RESTInference(exchange: self))
  }

  func starved(_ stream: HTTPStream) {
    if !isWhole { refuse(Status(.deadlineExceeded, "the request came too slowly")) }
  }

  func timerFired(_ timer: TimerID) {
    self.timer = .none
    guard stream != nil else { return }
    guard isWhole else { return refuse(Status(.deadlineExceeded, "Deadline Exceeded")) }
    let onCancel = onCancel
    fail(Status(.deadlineExceeded, "Deadline Exceeded"))
    isGone.store(true, ordering: .releasing)
    onCancel?()
  }

  func closed(_ stream: HTTPStream, _ error: StreamError) {
    isGone.store(true, ordering: .releasing)
    stopTimer()
    let notify = onCancel
    let isAnswered = self.stream == nil
    self.stream = nil
    onCancel = nil
    if !isAnswered { notify?() }
  }

  private func stopTimer() {
    if timer != .none {
      loop.cancel(timer)
      timer = .none
    }
  }

  /// Nothing comes of the request, before it is whole.
  private func refuse(_ status: Status) {
    LoopState.of(loop).refuse(RESTInference(exchange: self), of: String(decoding: name, as: UTF8.self), status)
  }

  // MARK: Answers, on the loop

  func fail(_ status: Status) { answer(isTooLarge ? 413 : status.code.httpStatus, JSONText.error(status.message)) }

  func answer(_ status: Int, _ body: [UInt8]) {
    var buffer = ByteBuffer()
    guard buffer.append(body.rawSpan) else { return abandon() }
    answer(status, buffer, isGzipped: false)
  }

  func answer(_ status: Int, _ body: consuming ByteBuffer, isGzipped: Bool) {
    guard let stream else { return }
    self.stream = nil
    stopTimer()
    onCancel = nil
    stream.body = body
    stream.respond(service.fields.head(status, gzipped: isGzipped), trailers: nil)
  }

  private func abandon() {
    let stream = stream
    self.stream = nil
    stopTimer()
    stream?.reset(.internalError)
  }

  /// An answer's body, written by `fill`, compressed if that is wanted and worth it.
  func filled(
    byteCount: Int, compressing: Bool, _ codecs: inout Codecs, _ fill: (inout OutputRawSpan) -> Void
  ) -> FilledBody? {
    var plain = ByteBuffer()
    guard plain.append(byteCount: byteCount, fill) else { return nil }
    guard compressing, readsGzip, byteCount >= service.options.compressedBytesMin else {
      return FilledBody(plain, isGzipped: false)
    }
    var compressed = ByteBuffer()
    guard codecs.compress(plain.bytes, .gzip, into: &compressed, limit: byteCount - 1) else {
      return FilledBody(plain, isGzipped: false)
    }
    return FilledBody(compressed, isGzipped: true)
  }
}

/// The body of an answer. Carried from a worker to the loop, it is taken once.
///
/// - Note: `@unchecked Sendable`: made by one, then handed to another.
final class FilledBody: @unchecked Sendable {
  private var bytes: ByteBuffer
  let isGzipped: Bool

  init(_ bytes: consuming ByteBuffer, isGzipped: Bool) {
    self.bytes = bytes
    self.isGzipped = isGzipped
  }

  func take() -> ByteBuffer {
    var taken = ByteBuffer()
    swap(&taken, &bytes)
    return taken
  }
}
