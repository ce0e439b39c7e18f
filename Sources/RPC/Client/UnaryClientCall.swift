// One message there, one back. The request stays with the stream that sends it and comes back for the next attempt.
internal import HTTP

/// The answer to a call: its message and what came around it.
@safe public final class Response: @unchecked Sendable {
  // Filled on the loop before the answer is handed out, read-only afterwards.
  private var assembler: MessageAssembler
  public let metadata: Metadata
  public let trailers: Metadata
  /// The message came compressed.
  public let wasCompressed: Bool

  init(_ assembler: consuming MessageAssembler, wasCompressed: Bool, metadata: Metadata, trailers: Metadata) {
    self.assembler = assembler
    self.wasCompressed = wasCompressed
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

final class UnaryClientCall: ClientCall, @unchecked Sendable {
  typealias Completion = @Sendable (Result<Response, Status>) -> Void

  private let completion: Completion
  private var body: ByteBuffer
  private var assembler: MessageAssembler
  private var wasCompressed = false
  private var metadata = Metadata()

  init(
    _ path: String, _ body: consuming ByteBuffer, _ options: CallOptions, _ core: ChannelCore,
    _ completion: @escaping Completion
  ) {
    self.completion = completion
    self.body = body
    assembler = MessageAssembler(limit: core.configuration.responseBytesMax)
    super.init(path, options, core)
  }

  override func open(on connection: HTTP2Connection, _ first: StaticFields, _ fields: borrowing FieldList) -> HTTPStream? {
    connection.request(first, fields, body: &body, handler: self)
  }

  override func rewind(_ stream: HTTPStream?) {
    // The connection may be about to write these bytes: they change hands, not places, and are sent again later only.
    if let stream { swap(&stream.body, &body) }
    assembler.reset(keeping: 0, into: &loop.buffers)
  }

  override func began(_ head: borrowing HeaderBlock) {
    assembler.coding = coding
    metadata = Metadata(head)
  }

  override var bytesExpected: Int { assembler.missingBytes }

  override func received(_ bytes: RawSpan) {
    if let wrong = assembler.received(bytes, from: &loop.buffers) { giveUp(status(for: wrong)) }
  }

  override func completed() -> Status? {
    wasCompressed = assembler.isCompressed
    let wrong = assembler.ended() ?? assembler.decompress(with: &loop.codecs, &loop.buffers)
    return wrong.map { status(for: $0) }
  }

  override func finished(_ status: Status, _ stream: HTTPStream?) {
    guard status.code == .ok, let stream else { return completion(.failure(status)) }
    var taken = MessageAssembler(limit: 0)
    swap(&taken, &assembler)
    completion(
      .success(
        Response(taken, wasCompressed: wasCompressed, metadata: metadata, trailers: Metadata(stream.trailers))))
  }
}
