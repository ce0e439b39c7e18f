// A call with any number of messages in either direction, on the channel's loop. `ClientStream` is the same for tasks.
//
//   stream ─► opened ─► send* ─► finishSending       back-pressure: `send` says false, `writable` follows
//                └────► responded ─► received* ─► finished      `pause` and `resume` hold the server back
//
// What is sent is kept until the answer begins, up to a limit, so that the call can be made again like a unary one.
internal import HTTP

/// Told about a streaming call, on the channel's loop.
public protocol StreamingClientCallObserver: AnyObject {
  /// The head of the answer.
  func responded(_ call: StreamingClientCall, _ metadata: Metadata)
  /// A message, valid for this call.
  func received(_ message: RawSpan, wasCompressed: Bool, on call: StreamingClientCall)
  /// `send` has said false, and there is room again.
  func writable(_ call: StreamingClientCall)
  /// The end, once; OK or not.
  func finished(_ call: StreamingClientCall, _ status: Status, _ trailers: Metadata)
}

public final class StreamingClientCall: ClientCall, @unchecked Sendable {
  /// Sent bytes kept for another attempt, as gRPC's default has it; more commit the call to its attempt.
  private static let replayBytesMax = 256 << 10

  private var observer: (any StreamingClientCallObserver)?
  private var assembler: MessageAssembler
  /// What has been sent, framed, while another attempt is possible; before the stream is open, what will be.
  private var replay = ByteBuffer()
  private var hasEnded = false
  private var owesWritable = false
  private var isPaused = false

  init(_ path: String, _ options: CallOptions, _ core: ChannelCore, _ observer: any StreamingClientCallObserver) {
    self.observer = observer
    assembler = MessageAssembler(limit: core.configuration.responseBytesMax)
    super.init(path, options, core)
  }

  /// Sends a message of `byteCount` bytes written by `fill`. On the loop.
  /// - Parameter compressed: as the call's options say; false: as it is.
  /// - Returns: false when the server is behind: the message is taken all the same, but more had better wait for
  ///   `writable`. False as well when the call is over or `finishSending` was called.
  @discardableResult
  public func send(byteCount: Int, compressed: Bool = true, _ fill: (inout OutputRawSpan) -> Void) -> Bool {
    if isFinished || hasEnded { return false }
    var bytes = ByteBuffer()
    guard bytes.append(
      messageOf: byteCount, compressed: compressed ? options.compression : nil, with: &loop.codecs, fill)
    else {
      giveUp(Status(.resourceExhausted, "no room for a message of \(byteCount) bytes"))
      return false
    }
    if !isCommitted || stream == nil { keep(bytes.bytes) }
    if isFinished { return false }
    guard let stream else {
      owesWritable = replay.count >= StreamingClientCall.replayBytesMax
      return !owesWritable
    }
    owesWritable = !stream.write(bytes)
    return !owesWritable
  }

  @discardableResult
  public func send(_ message: [UInt8], compressed: Bool = true) -> Bool {
    send(byteCount: message.count, compressed: compressed) { $0.append(contentsOf: message) }
  }

  var hasFinishedSending: Bool { hasEnded }

  /// No more messages from us. On the loop.
  public func finishSending() {
    if isFinished || hasEnded { return }
    hasEnded = true
    stream?.end()
  }

  /// No more messages from the server for now; what is on its way still arrives. On the loop.
  public func pause() {
    isPaused = true
    stream?.pause()
  }

  public func resume() {
    isPaused = false
    stream?.resume()
  }

  private func keep(_ bytes: RawSpan) {
    if !replay.append(bytes) { return giveUp(Status(.resourceExhausted, "no memory for \(bytes.byteCount) bytes")) }
    if stream != nil, replay.count > StreamingClientCall.replayBytesMax { commit() }
  }

  private func commit() {
    isCommitted = true
    replay.clear(keeping: 0)
  }

  override func open(on connection: HTTP2Connection, _ first: StaticFields, _ fields: borrowing FieldList) -> HTTPStream? {
    guard let stream = connection.open(first, fields, handler: self) else { return nil }
    if isPaused { stream.pause() }
    var again = ByteBuffer()
    if replay.count > StreamingClientCall.replayBytesMax {
      isCommitted = true
      swap(&again, &replay)
    } else if !again.append(replay.bytes) {
      stream.reset(.internalError)
      return stream
    }
    if again.count > 0, stream.write(again), owesWritable { loop.enqueue { [self] in if !isFinished { caughtUp() } } }
    if hasEnded { stream.end() }
    return stream
  }

  override func rewind(_ stream: HTTPStream?) { assembler.reset(keeping: 0, into: &loop.buffers) }

  override func began(_ head: borrowing HeaderBlock) {
    commit()
    assembler.coding = coding
    observer?.responded(self, Metadata(head))
  }

  override func received(_ bytes: RawSpan) {
    var at = 0
    while at < bytes.byteCount, !isFinished {
      if let wrong = assembler.take(bytes, &at, from: &loop.buffers) { return giveUp(status(for: wrong)) }
      if !assembler.isComplete { return }
      let wasCompressed = assembler.isCompressed
      if let wrong = assembler.decompress(with: &loop.codecs, &loop.buffers) { return giveUp(status(for: wrong)) }
      let message = assembler.takeMessage()
      deliver(message, wasCompressed)
      loop.buffers.give(message)
    }
  }

  private func deliver(_ message: borrowing ByteBuffer, _ wasCompressed: Bool) {
    observer?.received(message.bytes, wasCompressed: wasCompressed, on: self)
  }

  override func completed() -> Status? { assembler.endedBetweenMessages().map { status(for: $0) } }

  override func caughtUp() {
    guard owesWritable else { return }
    owesWritable = false
    observer?.writable(self)
  }

  override func finished(_ status: Status, _ stream: HTTPStream?) {
    replay.clear(keeping: 0)
    let observer = observer
    self.observer = nil
    var trailers = Metadata()
    if let stream { trailers = Metadata(stream.trailers) }
    observer?.finished(self, status, trailers)
  }
}

extension Channel {
  /// Begins a streaming call. The observer is kept until the call is finished.
  ///
  /// From the channel's loop the call is on its way when this returns; from any other thread, soon after.
  public func stream(
    _ path: String, options: CallOptions = CallOptions(), observer: any StreamingClientCallObserver & Sendable
  ) -> StreamingClientCall {
    let call = StreamingClientCall(path, options, core, observer)
    if loop.isCurrent { call.start() } else { loop.enqueue { call.start() } }
    return call
  }
}
