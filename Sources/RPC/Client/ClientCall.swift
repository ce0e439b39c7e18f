// A call on the client: made on the caller's thread, then handed to the channel's loop and touched there only (but for
// `cancel`).
//
//   start ─► waiting for a link ─► attempt: a stream on it ─► finished
//                ▲                       │
//                └──── pause ◄───────────┘ ended badly, and `RetryState` says again
//
// The deadline runs from the start to the end, whatever lies between. Subclasses know what is sent and what is done with
// what comes: `UnaryClientCall`, `StreamingClientCall`.
public import HTTP
internal import Synchronization

/// What a caller says about a call.
public struct CallOptions: Sendable {
  /// From now; the server is told (`grpc-timeout`), and we give up by ourselves. Nil: no deadline.
  public var timeout: Duration?
  public var metadata: Metadata
  /// Wait for a connection instead of failing with UNAVAILABLE while there is none.
  public var waitForReady: Bool
  /// How messages are sent; nil: as they are. Compressed answers are understood in any case.
  public var compression: MessageCompression?

  public init(
    timeout: Duration? = nil, metadata: Metadata = Metadata(), waitForReady: Bool = false,
    compression: MessageCompression? = nil
  ) {
    self.timeout = timeout
    self.metadata = metadata
    self.waitForReady = waitForReady
    self.compression = compression
  }
}

/// A call that was made. What it is good for everywhere: it can be cancelled.
public class ClientCall: @unchecked Sendable, Waiting {
  let path: String
  let options: CallOptions
  let core: ChannelCore
  final let deadline: MonotonicTime?
  private let wasCancelled = Atomic<Bool>(false)

  // Confined to the loop.
  final var isWaiting = false
  private(set) final var isFinished = false
  private final var isStarted = false
  private(set) final var stream: HTTPStream?
  private final var link: Link?
  private final var retry: RetryState
  /// How the server compresses the messages that it does; nil: in no way that we know.
  private(set) final var coding: ContentCoding?
  /// The answer has begun: no further attempt.
  final var isCommitted = false
  /// A stream whose answer is in: behind this turn it sends no more.
  private final var answered: HTTPStream?
  /// How the attempt has ended; what is done about it, when its stream is closed.
  private final var ending: (status: Status, pushback: RetryPushback)?
  private final var deadlineTimer = TimerID.none
  private final var pauseTimer = TimerID.none

  init(_ path: String, _ options: CallOptions, _ core: ChannelCore) {
    self.path = path
    self.options = options
    self.core = core
    retry = RetryState(core.configuration.retry)
    deadline = options.timeout.map { MonotonicTime.now.advanced(byNanoseconds: $0.clampedNanoseconds) }
  }

  final var loop: EventLoop { core.loop }

  /// What is wrong with an answer.
  final func status(for failure: MessageAssembler.Failure) -> Status {
    switch failure {
    case .tooLarge(let length, let limit):
      return Status(.resourceExhausted, "CLIENT: Received message larger than max (\(length) vs. \(limit))")
    case .outOfMemory(let length): return Status(.resourceExhausted, "no memory for a message of \(length) bytes")
    case .compressed(let flag):
      let name = stream?.head.text(.grpcEncoding)
      return Status(.internal, "compressed flag \(flag) with grpc-encoding \(name ?? "identity")")
    case .corrupt, .secondMessage, .truncated, .missing: return Status(.internal, "malformed answer: \(failure)")
    }
  }

  /// Gives up: the server is told by RST_STREAM, the caller gets CANCELLED. From any thread; harmless when it is over.
  public final func cancel() {
    wasCancelled.store(true, ordering: .relaxed)
    loop.enqueue { [self] in giveUp(Status(.cancelled, "Cancelled on the client")) }
  }

  // MARK: what a subclass says

  /// Opens the stream of an attempt.
  func open(on connection: HTTP2Connection, _ first: StaticFields, _ fields: borrowing FieldList) -> HTTPStream? { nil }

  /// An attempt is over and another will follow: back to the beginning.
  func rewind(_ stream: HTTPStream?) {}

  /// Bytes of the answer.
  func received(_ bytes: RawSpan) {}

  /// See `HTTPStream.bytesExpected`.
  var bytesExpected: Int { 0 }

  /// The head of an answer that is one.
  func began(_ head: borrowing HeaderBlock) {}

  /// The answer is complete, with status OK. Nil when it is sound.
  func completed() -> Status? { nil }

  func caughtUp() {}

  /// The end, once: the stream's trailers are there if the server sent any.
  func finished(_ status: Status, _ stream: HTTPStream?) {}

  // MARK: life

  /// On the loop, once.
  final func start() {
    isStarted = true
    core.began()
    if wasCancelled.load(ordering: .relaxed) { return giveUp(Status(.cancelled, "Cancelled on the client")) }
    if let deadline {
      if deadline <= loop.now { return giveUp(.deadline) }
      deadlineTimer = loop.schedule(at: deadline, self)
    }
    core.dispatch(self)
  }

  /// Begins an attempt; false when the connection takes no more.
  final func send(on link: Link) -> Bool {
    guard let connection = link.connection else { return false }
    core.fields.removeAll()
    core.fields.append(":path", path)
    core.fields.append(":authority", core.authority)
    core.fields.append("te", "trailers")
    core.fields.append("content-type", "application/grpc")
    core.fields.append("user-agent", core.userAgent)
    if let deadline {
      core.fields.append("grpc-timeout", Timeout.format(nanoseconds: deadline.nanoseconds(since: loop.now)))
    }
    // gRFC A6: the server may want to know.
    if retry.attempts > 1 { core.fields.append("grpc-previous-rpc-attempts", String(retry.attempts - 1)) }
    if let compression = options.compression { core.fields.append("grpc-encoding", compression.coding.rawValue) }
    core.fields.append("grpc-accept-encoding", "identity,deflate,gzip")
    options.metadata.append(to: &core.fields)
    let first = core.tls == nil ? ClientFields.shared.http : ClientFields.shared.https
    guard let stream = open(on: connection, first, core.fields) else { return false }
    self.stream = stream
    self.link = link
    link.callBegan()
    return true
  }

  /// Ends the call from our side.
  final func giveUp(_ status: Status) {
    // A call that is cancelled before it starts hears of it when it does.
    if isFinished || !isStarted { return }
    let stream = stream
    finish(status)
    stream?.reset(.cancelled)
  }

  /// No stream could be had for an attempt.
  final func attemptFailed(_ status: Status) {
    if !isFinished { ended(.status(status.code, .none), status) }
  }

  private final func ended(_ ending: RetryState.Ending, _ status: Status) {
    if core.isClosed { return finish(.channelClosed) }
    guard !isCommitted,
      case .again(let pause) = retry.ended(ending, &core.retryBudget, random: core.random())
    else { return finish(status) }
    let time = loop.now.advanced(byNanoseconds: pause)
    // No attempt could end before the deadline: what we have is the answer.
    if let deadline, time >= deadline, pause > 0 { return finish(status) }
    rewind(stream)
    stream = nil
    // Never at once: we may be deep inside the connection that let us down.
    pauseTimer = loop.schedule(at: time, self)
  }

  private final func finish(_ status: Status) {
    isFinished = true
    core.leaveLine(self)
    loop.cancel(deadlineTimer)
    loop.cancel(pauseTimer)
    core.ended()
    let stream = stream
    self.stream = nil
    finished(status, stream)
  }

  /// The stream is gone, and with it the place on the link.
  private final func letGo() {
    guard let link else { return }
    self.link = nil
    link.callEnded()
    core.pump()
  }
}

extension ClientCall: TimerTarget {
  public final func timerFired(_ timer: TimerID) {
    if timer == deadlineTimer { return giveUp(.deadline) }
    pauseTimer = .none
    if !isFinished { core.dispatch(self) }
  }
}

extension ClientCall: StreamHandler {
  public final func responded(_ stream: HTTPStream) {
    if isFinished { return }
    link?.answered()
    if stream.headOverflowed { return giveUp(.metadataTooLarge) }
    // Trailers-Only: no answer, only how it ended. gRPC's word counts for more than HTTP's ("HTTP to gRPC Status Code Mapping").
    if stream.head.has(.grpcStatus) { return }
    let status = stream.head.text(.status) ?? ""
    if status != "200" { return ending = (Status(http: status), .none) }
    isCommitted = true
    coding = ContentCoding(stream.head[.grpcEncoding])
    began(stream.head)
  }

  public final func received(_ bytes: RawSpan, on stream: HTTPStream) {
    if isFinished || ending != nil { return }
    received(bytes)
    stream.bytesExpected = bytesExpected
  }

  public final func writable(_ stream: HTTPStream) { if !isFinished { caughtUp() } }

  public final func ended(_ stream: HTTPStream) {
    if isFinished { return }
    if stream.hasMoreToSend { stop(stream) }
    if stream.headOverflowed { return finish(.metadataTooLarge) }
    if ending == nil {
      let inTrailers = stream.trailers.has(.grpcStatus)
      let code = inTrailers ? stream.trailers.text(.grpcStatus) : stream.head.text(.grpcStatus)
      if code == "0" {
        let wrong = completed()
        if wrong == nil { core.retryBudget.succeeded() }
        return finish(wrong ?? .ok)
      }
      ending = stream.failure(code, inTrailers: inTrailers)
    }
    // Only another attempt has to wait until this one is gone.
    if let status = ending?.status, isCommitted || core.configuration.retry == nil { finish(status) }
  }

  /// The server has made up its mind: what was not sent yet is not wanted. Behind this turn, because the connection is in the
  /// middle of something.
  private final func stop(_ stream: HTTPStream) {
    answered = stream
    loop.enqueue { [self] in
      if let stream = answered, stream.handler === self { stream.reset(.cancelled) }
      answered = nil
    }
  }

  public final func closed(_ stream: HTTPStream, _ error: StreamError) {
    defer { letGo() }
    if isFinished { return }
    if let (status, pushback) = ending {
      ending = nil
      return ended(.status(status.code, pushback), status)
    }
    var status = core.isClosed ? .channelClosed : Status(error)
    if error == .connectionLost, let reason = link?.connection?.closeReason { status.message += ": \(reason)" }
    switch error {
    case .unsent: ended(.unsent, status)
    case .refused: ended(.refused, status)
    default: ended(.status(status.code, .none), status)
    }
  }
}

extension HTTPStream {
  /// How the server says that a call failed.
  fileprivate func failure(_ code: String?, inTrailers: Bool) -> (Status, RetryPushback) {
    guard let code, let number = Int(code) else {
      return (Status(.unknown, "the server ended the call without a grpc-status"), .none)
    }
    let message = inTrailers ? trailers.decoded(.grpcMessage) : head.decoded(.grpcMessage)
    let pushback = inTrailers ? trailers.value(of: "grpc-retry-pushback-ms") : head.value(of: "grpc-retry-pushback-ms")
    var status = Status(Status.Code(rawValue: number) ?? .unknown, message)
    status.details = (inTrailers ? trailers.bytes(of: "grpc-status-details-bin") : head.bytes(of: "grpc-status-details-bin")) ?? []
    return (status, RetryPushback(pushback))
  }
}

extension Status {
  static let deadline = Status(.deadlineExceeded, "Deadline Exceeded")
  static let metadataTooLarge = Status(.resourceExhausted, "CLIENT: Received metadata larger than max")
  static let channelClosed = Status(.cancelled, "the channel is closed")

  /// gRPC's mapping for servers that answer in plain HTTP ("HTTP to gRPC Status Code Mapping").
  init(http status: String) {
    let code: Code =
      switch status {
      case "400": .internal
      case "401": .unauthenticated
      case "403": .permissionDenied
      case "404": .unimplemented
      case "429", "502", "503", "504": .unavailable
      default: .unknown
      }
    self.init(code, "Received http2 header with status: \(status)")
  }

  /// gRPC over HTTP/2, "Errors": what a reset means.
  init(_ error: StreamError) {
    switch error {
    case .none: self.init(.internal, "the server closed the stream without a status")
    case .refused: self.init(.unavailable, "the server refused the stream")
    case .cancelled: self.init(.cancelled, "the server cancelled the stream")
    case .enhanceYourCalm: self.init(.resourceExhausted, "the server asked for calm")
    case .connectionLost, .unsent: self.init(.unavailable, "the connection was lost")
    default: self.init(.internal, "stream reset with error code \(error.rawValue)")
    }
  }
}

/// Fields that every request shares and that come first.
struct ClientFields {
  let http = StaticFields([(":method", "POST"), (":scheme", "http")])
  let https = StaticFields([(":method", "POST"), (":scheme", "https")])
  static let shared = ClientFields()
}

extension HeaderBlock {
  /// The first value of a `-bin` field.
  fileprivate func bytes(of name: StaticString) -> [UInt8]? {
    var found: [UInt8]?
    forEach { n, value in
      if found == nil, n.equals(name) { found = Metadata.binaryValues(value).first }
    }
    return found
  }

  fileprivate func decoded(_ field: KnownField) -> String {
    let value = self[field]
    return PercentEncoding.decode(value)
  }
}
