// gRPC on HTTP/2, server side: from a request's head to a call, and the answers that need no handler.
public import HTTP

public final class RPCServer: Sendable {
  public struct Configuration: Sendable {
    public var http: HTTPServer.Configuration
    /// The largest request message; TF Serving's is gRPC's largest.
    public var messageBytesMax = Int(Int32.max)
    /// The largest request message that a compressed one may become. A thousandth of it on the wire is enough, and making it takes
    /// a tenth of a second, slice by slice, for this much.
    public var decompressedBytesMax = 64 << 20
    /// The largest response message; gRPC has no limit of its own but the prefix's 32 bits.
    public var sentBytesMax = Int(UInt32.max)
    /// How responses are compressed when the client reads that; a call can choose otherwise. Nil: not.
    public var compression: MessageCompression?

    public init(http: HTTPServer.Configuration) { self.http = http }

    /// The usual case: TCP, every IPv4 interface.
    public init(host: String = "0.0.0.0", port: Int = 0) {
      http = HTTPServer.Configuration(endpoints: [.tcp(host: host, port: port)])
    }
  }

  public let http: HTTPServer
  let paths: [String]
  let callMeters: CallMeterBoard

  /// - Parameters:
  ///   - makeContext: runs on each loop's thread before its first turn: `loop.context`.
  ///   - makeWeb: who answers, on that loop, what is no gRPC. Nil: such requests are refused.
  public init(
    methods: MethodTable, configuration: Configuration, makeContext: (@Sendable (EventLoop) -> AnyObject?)? = nil,
    makeWeb: (@Sendable (EventLoop) -> any HTTPApplication)? = nil
  ) throws(SocketError) {
    let board = CallMeterBoard()
    callMeters = board
    paths = methods.paths
    http = try HTTPServer(configuration.http, makeContext: makeContext) { loop in
      let application = RPCApplication(loop: loop, methods: methods, configuration: configuration, web: makeWeb?(loop))
      board.add(application.meters.block)
      return application
    }
  }

  public func start() throws(SocketError) { try http.start() }

  /// The TCP ports in the order of the endpoints.
  public var ports: [Int] { http.ports }

  /// See `HTTPServer.drain`.
  public func drain(deadline: Duration) async { await http.drain(deadline: deadline) }

  /// See `HTTPServer.startDraining`.
  @discardableResult
  public func startDraining(deadline: Duration, completion: @escaping @Sendable () -> Void) -> Bool {
    http.startDraining(deadline: deadline, completion: completion)
  }
}

/// Header lists that never change. Every answer says which codings we read, as gRPC C++ has it: one byte of HPACK, and no CPU
/// time that could be measured.
struct ServerFields {
  private let plainHead = answer([])
  private let gzipHead = answer([("grpc-encoding", "gzip")])
  private let deflateHead = answer([("grpc-encoding", "deflate")])
  let trailersOK = StaticFields([("grpc-status", "0")])
  let methodNotAllowed = StaticFields([(":status", "405"), ("allow", "POST")])
  let unsupportedMediaType = StaticFields([(":status", "415")])
  let versionNotSupported = StaticFields([(":status", "505")])
  let headTooLarge = StaticFields([(":status", "431"), ("content-type", "application/grpc")])

  private static func answer(_ more: [(String, String)]) -> StaticFields {
    StaticFields(
      [(":status", "200"), ("content-type", "application/grpc"), ("grpc-accept-encoding", "identity,deflate,gzip")] + more)
  }

  /// The head of an answer whose messages are compressed in this way, if at all.
  func head(_ coding: ContentCoding?) -> StaticFields {
    switch coding {
    case nil: plainHead
    case .gzip: gzipHead
    case .deflate: deflateHead
    }
  }

  /// One for the process.
  static let shared = ServerFields()
}

/// One per loop.
final class RPCApplication: HTTPApplication {
  let loop: EventLoop
  let configuration: RPCServer.Configuration
  let fields = ServerFields.shared
  let keptBufferBytesMax: Int
  private let pooledCallsMax: Int
  private let methods: MethodTable
  private let web: (any HTTPApplication)?
  let meters: CallMeters
  private var pool: [UnaryCall] = []
  private var isStopped = false

  init(loop: EventLoop, methods: MethodTable, configuration: RPCServer.Configuration, web: (any HTTPApplication)?) {
    self.loop = loop
    self.methods = methods
    self.web = web
    self.configuration = configuration
    meters = CallMeters(methods: methods.paths.count)
    keptBufferBytesMax = configuration.http.limits.pooledBufferBytesMax
    pooledCallsMax = configuration.http.limits.pooledStreamsMax
  }

  func opened(_ stream: HTTPStream) {
    if let web, !isGRPC(stream.head[.contentType]) { return web.opened(stream) }
    guard stream.head[.method].equals("POST") else { return stream.respond(fields.methodNotAllowed, FieldList()) }
    guard isGRPC(stream.head[.contentType]) else { return stream.respond(fields.unsupportedMediaType, FieldList()) }
    // gRPC needs trailers and both directions at once: HTTP/1 is refused as such (RFC 9110 §15.6.6).
    guard stream.isHTTP2 else { return stream.respond(fields.versionNotSupported, FieldList()) }
    guard let method = unsafe methods.find(stream.head[.path]) else { return refuse(Status(.unimplemented), methods.count, on: stream) }
    let index = unsafe method._withUnsafeGuaranteedRef { $0.index }
    var deadline: MonotonicTime?
    if stream.head.has(.grpcTimeout) {
      guard let timeout = Timeout.parse(stream.head[.grpcTimeout]) else {
        return refuse(Status(.internal, "malformed grpc-timeout"), index, on: stream)
      }
      deadline = loop.now.advanced(byNanoseconds: timeout)
    }
    // The table keeps its methods, and the application the table.
    let streaming = unsafe method._withUnsafeGuaranteedRef { $0.streaming }
    meters.began(index)
    if let streaming {
      let call = StreamingCall(self, stream, method: index, deadline: deadline)
      stream.handler = call
      return call.start(streaming)
    }
    let call = pool.popLast() ?? UnaryCall(application: self)
    unsafe call.start(stream, method, index, deadline: deadline)
    stream.handler = call
  }

  /// gRPC C++ answers RESOURCE_EXHAUSTED where HTTP says 431; a client that is told both goes by gRPC's.
  func refusedHead(_ stream: HTTPStream) {
    var more = FieldList()
    meters.began(methods.count)
    meters.ended(methods.count, .resourceExhausted)
    more.append("grpc-status", String(Status.Code.resourceExhausted.rawValue))
    more.append("grpc-message", "received metadata size exceeds limit")
    stream.respond(fields.headTooLarge, more)
  }

  func stopped() {
    isStopped = true
    pool.removeAll()
    web?.stopped()
  }

  func giveBack(_ call: UnaryCall) {
    if !isStopped, pool.count < pooledCallsMax { pool.append(call) }
  }

  /// `application/grpc`, alone or with `+proto` or parameters behind it.
  private func isGRPC(_ contentType: RawSpan) -> Bool {
    let plain = "application/grpc" as StaticString
    guard contentType.starts(with: plain) else { return false }
    if contentType.byteCount == plain.utf8CodeUnitCount { return true }
    let next = contentType[plain.utf8CodeUnitCount]
    return next == UInt8(ascii: "+") || next == UInt8(ascii: ";")
  }

  /// Answers a call before it has begun.
  private func refuse(_ status: Status, _ method: Int, on stream: HTTPStream) {
    meters.began(method)
    meters.ended(method, status.code)
    send(status, on: stream)
  }

  /// Trailers-Only: one HEADERS frame that ends the stream.
  func send(_ status: Status, _ trailers: Metadata = Metadata(), on stream: HTTPStream) {
    var more = FieldList()
    append(status, trailers, to: &more)
    stream.respond(fields.head(nil), more)
  }

  /// The status behind a body in pieces.
  func end(_ status: Status, _ trailers: Metadata, on stream: HTTPStream) {
    var more = FieldList()
    if status.code == .ok, status.message.isEmpty, status.details.isEmpty {
      trailers.append(to: &more)
      return stream.end(fields.trailersOK, more)
    }
    append(status, trailers, to: &more)
    stream.end(nil, more)
  }

  private func append(_ status: Status, _ trailers: Metadata, to list: inout FieldList) {
    list.append("grpc-status", String(status.code.rawValue))
    if !status.message.isEmpty { list.append("grpc-message", PercentEncoding.encode(status.message)) }
    if !status.details.isEmpty { list.append("grpc-status-details-bin", Base64.encode(status.details)) }
    trailers.append(to: &list)
  }

  /// How an answer is compressed: as wanted, if the client has said that it reads that.
  func agreedCoding(_ wanted: MessageCompression?, on stream: HTTPStream) -> ContentCoding? {
    guard let wanted, stream.head.lists(wanted.coding) else { return nil }
    return wanted.coding
  }

  func makeAssembler(coding: ContentCoding? = nil) -> MessageAssembler {
    MessageAssembler(limit: configuration.messageBytesMax, plainLimit: configuration.decompressedBytesMax, coding: coding)
  }

  func tooLargeToSend(_ byteCount: Int) -> Status {
    Status(.resourceExhausted, "SERVER: Sent message larger than max (\(byteCount) vs. \(configuration.sentBytesMax))")
  }

  /// What the peer did wrong with its message, in gRPC's words.
  func status(for failure: MessageAssembler.Failure, on stream: HTTPStream) -> Status {
    switch failure {
    case .tooLarge(let length, let limit):
      return Status(.resourceExhausted, "SERVER: Received message larger than max (\(length) vs. \(limit))")
    case .compressed(let flag):
      let encoding = stream.head.text(.grpcEncoding) ?? "identity"
      if flag != 1 || encoding == "identity" { return Status(.internal, "compressed flag \(flag) without grpc-encoding") }
      return Status(.unimplemented, "Compression algorithm '\(encoding)' not supported.")
    case .corrupt(let coding, let reason):
      return Status(.internal, "Unexpected error decompressing data for algorithm \(coding.rawValue): \(reason)")
    // gRPC's status table: "Request cardinality violation".
    case .secondMessage: return Status(.unimplemented, "more than one message in a unary request")
    case .truncated(let received, let expected):
      return Status(.internal, "request ended after \(received) of \(expected) bytes")
    case .missing: return Status(.internal, "request ended without a message")
    case .outOfMemory(let length): return Status(.resourceExhausted, "no memory for a message of \(length) bytes")
    }
  }
}

extension HeaderBlock {
  /// How messages with the compressed flag are compressed; nil as well for codings that we do not know.
  var messageCoding: ContentCoding? {
    if !has(.grpcEncoding) { return nil }
    let name = self[.grpcEncoding]
    return ContentCoding(name)
  }

  /// The sender of this head reads `coding`.
  func lists(_ coding: ContentCoding) -> Bool {
    if !has(.grpcAcceptEncoding) { return false }
    let list = self[.grpcAcceptEncoding]
    return coding.isNamed(in: list)
  }
}
