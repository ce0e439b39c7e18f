// One unary call on the client: made on the caller's thread, then handed to the channel's loop and touched there only
// (but for `cancel`). The completion runs exactly once, on the loop.
public import HTTP
internal import Synchronization

/// The answer to a call: its message and what came around it.
@safe public final class Response: @unchecked Sendable {
  // Filled on the loop before the answer is handed out, read-only afterwards.
  private var assembler: MessageAssembler
  public let metadata: [(name: String, value: String)]
  public let trailers: [(name: String, value: String)]

  init(_ assembler: consuming MessageAssembler, metadata: [(String, String)], trailers: [(String, String)]) {
    self.assembler = assembler
    self.metadata = metadata
    self.trailers = trailers
  }

  /// The message's bytes, without the prefix.
  public var message: RawSpan {
    @_lifetime(borrow self)
    get { unsafe _overrideLifetime(assembler.message, borrowing: self) }
  }

  public var bytes: [UInt8] { unsafe message.withUnsafeBytes { unsafe Array($0) } }
}

/// What a caller says about a call.
public struct CallOptions: Sendable {
  /// From now; the server is told (`grpc-timeout`), and we give up by ourselves. Nil: no deadline.
  public var timeout: Duration?
  /// Lower-case names, printable values.
  public var metadata: [(name: String, value: String)]
  /// Wait for a connection instead of failing with UNAVAILABLE while there is none.
  public var waitForReady: Bool

  public init(timeout: Duration? = nil, metadata: [(name: String, value: String)] = [], waitForReady: Bool = false) {
    self.timeout = timeout
    self.metadata = metadata
    self.waitForReady = waitForReady
  }
}

public final class ClientCall: @unchecked Sendable {
  typealias Completion = @Sendable (Result<Response, Status>) -> Void

  let path: String
  let options: CallOptions
  let deadline: MonotonicTime?
  private let loop: EventLoop
  private let completion: Completion
  private let wasCancelled = Atomic<Bool>(false)

  // Confined to the loop, once `begin` has run there.
  private var body: ByteBuffer
  private var assembler: MessageAssembler
  private var stream: HTTPStream?
  private var timer = TimerID.none
  private(set) var isFinished = false
  private var failure: Status?
  private var metadata: [(String, String)] = []

  init(
    path: String, body: consuming ByteBuffer, options: CallOptions, responseBytesMax: Int, on loop: EventLoop,
    completion: @escaping Completion
  ) {
    self.path = path
    self.body = body
    self.options = options
    self.loop = loop
    self.completion = completion
    deadline = options.timeout.map { MonotonicTime.now.advanced(byNanoseconds: $0.clampedNanoseconds) }
    assembler = MessageAssembler(limit: responseBytesMax)
  }

  /// Gives up: the server is told by RST_STREAM, the completion gets CANCELLED. From any thread; harmless when it is over.
  public func cancel() {
    wasCancelled.store(true, ordering: .relaxed)
    loop.enqueue { [self] in giveUp(Status(.cancelled, "Cancelled on the client")) }
  }

  /// Starts the clock. False: the call was over before it began.
  func begin() -> Bool {
    if wasCancelled.load(ordering: .relaxed) { giveUp(Status(.cancelled, "Cancelled on the client")) }
    if let deadline, !isFinished {
      if deadline <= loop.now { giveUp(.deadline) } else { timer = loop.schedule(at: deadline, self) }
    }
    return !isFinished
  }

  /// Sends the request; false when the connection takes no more. The request is kept then.
  func send(on connection: HTTP2Connection, authority: String) -> Bool {
    var fields = FieldList()
    fields.append(":path", path)
    fields.append(":authority", authority)
    fields.append("te", "trailers")
    fields.append("content-type", "application/grpc")
    fields.append("user-agent", "grpc-swift-martlet/1")
    if let deadline { fields.append("grpc-timeout", Timeout.format(nanoseconds: deadline.nanoseconds(since: loop.now))) }
    for (name, value) in options.metadata { fields.append(name, value) }
    var taken = ByteBuffer()
    swap(&taken, &body)
    stream = connection.request(ClientFields.shared.head, fields, body: taken, handler: self)
    return stream != nil
  }

  /// Ends the call from our side.
  func giveUp(_ status: Status) {
    if isFinished { return }
    let stream = stream
    finish(.failure(status))
    stream?.reset(.cancelled)
  }

  private func finish(_ result: Result<Response, Status>) {
    isFinished = true
    loop.cancel(timer)
    stream = nil
    completion(result)
  }
}

extension Status {
  static let deadline = Status(.deadlineExceeded, "Deadline Exceeded")

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
    case .connectionLost: self.init(.unavailable, "the connection was lost")
    default: self.init(.internal, "stream reset with error code \(error.rawValue)")
    }
  }
}

/// Fields that every request shares and that come first.
private struct ClientFields {
  let head = StaticFields([(":method", "POST"), (":scheme", "http")])
  static let shared = ClientFields()
}

extension ClientCall: TimerTarget {
  public func timerFired(_ timer: TimerID) {
    self.timer = .none
    giveUp(.deadline)
  }
}

extension ClientCall: StreamHandler {
  public func responded(_ stream: HTTPStream) {
    if isFinished { return }
    let status = stream.head.text(.status) ?? ""
    if status != "200" { failure = Status(http: status) }
    metadata = stream.head.fields
  }

  public func received(_ bytes: RawSpan, on stream: HTTPStream) {
    if isFinished || failure != nil { return }
    guard let wrong = assembler.received(bytes, from: &loop.buffers) else {
      stream.bytesExpected = assembler.missingBytes
      return
    }
    switch wrong {
    case .tooLarge(let length, let limit):
      giveUp(Status(.resourceExhausted, "CLIENT: Received message larger than max (\(length) vs. \(limit))"))
    case .outOfMemory(let length): giveUp(Status(.resourceExhausted, "no memory for a message of \(length) bytes"))
    case .compressed: giveUp(Status(.internal, "compressed response without an encoding we asked for"))
    default: giveUp(Status(.internal, "malformed response: \(wrong)"))
    }
  }

  public func ended(_ stream: HTTPStream) {
    if isFinished { return }
    if let failure { return finish(.failure(failure)) }
    // Trailers-Only answers carry the status in their head.
    let inTrailers = stream.trailers.has(.grpcStatus)
    let code = inTrailers ? stream.trailers.text(.grpcStatus) : stream.head.text(.grpcStatus)
    guard let code, let number = Int(code) else {
      return finish(.failure(Status(.unknown, "the server ended the call without a grpc-status")))
    }
    if number != 0 {
      let message = inTrailers ? stream.trailers.decoded(.grpcMessage) : stream.head.decoded(.grpcMessage)
      return finish(.failure(Status(Status.Code(rawValue: number) ?? .unknown, message)))
    }
    if let wrong = assembler.ended() { return finish(.failure(Status(.internal, "incomplete response: \(wrong)"))) }
    var taken = MessageAssembler(limit: 0)
    swap(&taken, &assembler)
    finish(.success(Response(taken, metadata: metadata, trailers: stream.trailers.fields)))
  }

  public func closed(_ stream: HTTPStream, _ error: StreamError) {
    if !isFinished { finish(.failure(failure ?? Status(error))) }
  }
}

extension HeaderBlock {
  fileprivate var fields: [(String, String)] {
    var list: [(String, String)] = []
    forEach { name, value in
      if name.byteCount > 0, name[0] != UInt8(ascii: ":") { list.append((name.text, value.text)) }
    }
    return list
  }

  fileprivate func decoded(_ field: KnownField) -> String {
    let value = self[field]
    return PercentEncoding.decode(value)
  }
}
