// A streaming call on the server: client, server or bidirectional, they differ only in what the handler makes of it.
//
//   handler.open(call) ─► received(message)* ─► ended ─► …          on the stream's loop, never two at once
//   call.write(…)* ─► call.finish(status, trailers)                 any time until `cancelled`, from the loop
//
// Back-pressure: `write` answers false when the peer is behind, and `writable` follows; after `pause` no message and no end
// comes until `resume`, and the client runs into its window. What arrived before it noticed waits here: at most one window
// per stream (`Limits.streamWindowBytes`), and all of a connection's streams at most `Limits.bodyBytesPerConnectionMax`.
public import HTTP

/// Answers streaming calls. One object serves every loop: what it changes must be per loop or atomic.
public protocol StreamingHandler: AnyObject, Sendable {
  /// A call begins: its metadata are there, its messages are not. Returns who takes them; `call` keeps that object.
  func open(_ call: StreamingCall) -> any CallHandler
}

/// What happens on a streaming call, told on its loop.
public protocol CallHandler: AnyObject {
  /// A message, whole and plain. Large buffers can go back to `call.loop.buffers` for the next message.
  func received(_ message: consuming ByteBuffer, on call: StreamingCall)
  /// The client has sent its last message.
  func ended(_ call: StreamingCall)
  /// `write` was told to wait, and there is room again.
  func writable(_ call: StreamingCall)
  /// Nobody waits for the answer any more: the client cancelled or went away, the deadline passed, or what it sent was no
  /// message. Comes at most once, and not after `finish`.
  func cancelled(_ call: StreamingCall)
}

extension CallHandler {
  public func writable(_ call: StreamingCall) {}
}

/// - Note: `@unchecked Sendable`: `loop` may be read from anywhere, to get back to it; everything else belongs to the loop.
@safe public final class StreamingCall: @unchecked Sendable {
  private let application: RPCApplication
  private let methodIndex: Int
  private var stream: HTTPStream?
  private var handler: (any CallHandler)?
  private var state = StreamingCallState()
  private var assembler: MessageAssembler
  private var timer = TimerID.none

  /// What came while the handler was behind: bytes from `waitingAt` on.
  private var waiting = ByteBuffer()
  private var waitingAt = 0
  private var isPaused = false
  private var isDelivering = false
  private var owesEnd = false
  /// What this call has claimed of its connection's share.
  private var held = 0

  /// The client sent the message delivered last compressed.
  public private(set) var isMessageCompressed = false

  /// The coding that the head announced.
  private var coding: ContentCoding?

  public let deadline: MonotonicTime?
  /// How messages are compressed, if the client reads that; what the head announces is fixed when it is sent.
  public var compression: MessageCompression?
  /// What goes into the head. Fixed when it is sent: with the first message or by `sendHead`.
  public var initialMetadata = Metadata()

  init(_ application: RPCApplication, _ stream: HTTPStream, method: Int, deadline: MonotonicTime?) {
    self.application = application
    methodIndex = method
    self.stream = stream
    self.deadline = deadline
    compression = application.configuration.compression
    assembler = application.makeAssembler(coding: stream.head.messageCoding)
  }

  func start(_ streaming: any StreamingHandler) {
    if let deadline {
      if deadline <= loop.now { return expire() }
      timer = loop.schedule(at: deadline, self)
    }
    handler = streaming.open(self)
  }

  public var loop: EventLoop { application.loop }

  /// Everything that the client said beside its messages.
  public var metadata: Metadata { stream.map { Metadata($0.head) } ?? Metadata() }

  /// The value of one request header, whoever's it is, by its lower-case name.
  public func metadata(_ name: String) -> String? { stream?.head.value(of: name) }

  /// `/package.Service/Method`.
  public var path: String { stream?.head.text(.path) ?? "" }
  public var peer: String { stream?.peer ?? "" }

  /// Nothing more can be said: the call is finished, or nobody waits.
  public var isOver: Bool { !state.takesOutput }

  /// Bytes written that the peer has left no room for yet.
  public var bytesWaiting: Int { stream?.bytesWaiting ?? 0 }
}

// MARK: out

extension StreamingCall {
  /// Sends the head now, with `initialMetadata`; otherwise it goes with the first message.
  public func sendHead() {
    if state.sendHead() { begin() }
  }

  /// Sends a message of `byteCount` bytes written by `fill`. It is taken, whatever the answer is.
  /// - Parameter isCompressible: false for a message that must not be compressed.
  /// - Returns: false when the peer is behind: more had better wait for `writable`. Also when the call is over.
  @discardableResult public func write(
    byteCount: Int, isCompressible: Bool = true, _ fill: (inout OutputRawSpan) -> Void
  ) -> Bool {
    guard state.takesOutput, let stream else { return false }
    if byteCount > application.configuration.sentBytesMax { return refuse(application.tooLargeToSend(byteCount)) }
    if state.send() == .headFirst { begin() }
    var body = ByteBuffer()
    let used = isCompressible && coding != nil ? compression : nil
    guard body.append(messageOf: byteCount, compressed: used, with: &loop.codecs, fill) else {
      return refuse(Status(.resourceExhausted, "no room for a response of \(byteCount) bytes"))
    }
    return stream.write(body)
  }

  @discardableResult public func write(_ message: RawSpan, isCompressible: Bool = true) -> Bool {
    write(byteCount: message.byteCount, isCompressible: isCompressible) { $0.append(message) }
  }

  @discardableResult public func write(_ message: [UInt8], isCompressible: Bool = true) -> Bool {
    // The array outlives the call.
    unsafe message.withUnsafeBytes { unsafe write($0.bytes, isCompressible: isCompressible) }
  }

  private func refuse(_ status: Status) -> Bool {
    breakOff(status)
    return false
  }

  /// Ends the call. What was written before goes first. The handler hears nothing more.
  public func finish(_ status: Status = .ok, trailers: Metadata = Metadata()) {
    guard let stream else { return }
    let finishing = state.finish(isOK: status.code == .ok, hasInitialMetadata: !initialMetadata.isEmpty)
    if finishing != .nothing { application.meters.ended(methodIndex, status.code) }
    switch finishing {
    case .nothing: return
    case .trailersOnly: application.send(status, trailers, on: stream)
    case .headAndTrailers:
      begin()
      application.end(status, trailers, on: stream)
    case .trailers: application.end(status, trailers, on: stream)
    }
    forgetInput()
  }

  private func begin() {
    guard let stream else { return }
    coding = application.agreedCoding(compression, on: stream)
    var more = FieldList()
    initialMetadata.append(to: &more)
    stream.begin(application.fields.head(coding), more)
  }

  /// Ends the call for a reason that is not the handler's.
  private func breakOff(_ status: Status) {
    let handler = state.takesOutput ? handler : nil
    finish(status)
    handler?.cancelled(self)
  }
}

// MARK: in

extension StreamingCall: StreamHandler {
  /// No more messages for now.
  public func pause() {
    guard state.takesInput else { return }
    isPaused = true
    stream?.pause()
  }

  /// Goes on: what waits is delivered before this returns, unless it is called from within a delivery.
  public func resume() {
    guard isPaused else { return }
    isPaused = false
    if !isDelivering { deliverWaiting() }
  }

  public func received(_ bytes: RawSpan, on stream: HTTPStream) {
    guard state.takesInput else { return }
    if !stream.holdBody(bytes.byteCount) {
      return breakOff(Status(.resourceExhausted, "too many request bytes on this connection"))
    }
    held += bytes.byteCount
    var at = 0
    if !isPaused { deliver(bytes, &at) }
    if at < bytes.byteCount, state.takesInput, !keep(bytes.extracting(at..<bytes.byteCount)) {
      return breakOff(Status(.resourceExhausted, "no memory for \(bytes.byteCount - at) bytes that wait"))
    }
    hold()
    stream.bytesExpected = isPaused || !state.takesInput ? 0 : assembler.missingBytes
  }

  /// Takes messages out of `bytes`, from `at` on, as long as the handler wants them.
  private func deliver(_ bytes: RawSpan, _ at: inout Int) {
    isDelivering = true
    defer { isDelivering = false }
    while at < bytes.byteCount, !isPaused, state.takesInput {
      if let failure = assembler.take(bytes, &at, from: &loop.buffers) { return fail(failure) }
      guard assembler.isComplete else { continue }
      isMessageCompressed = assembler.isCompressed
      if isMessageCompressed,
        let failure = assembler.decompress(with: &loop.codecs, &loop.buffers, room: stream?.bodyRoom ?? 0)
      {
        return fail(failure)
      }
      handler?.received(assembler.takeMessage(), on: self)
    }
  }

  private func fail(_ failure: MessageAssembler.Failure) {
    if let stream { breakOff(application.status(for: failure, on: stream)) }
  }

  private func keep(_ bytes: RawSpan) -> Bool {
    if waitingAt > 0, waitingAt >= waiting.count / 2 {
      var rest = ByteBuffer()
      guard rest.append(waiting.bytes.extracting(waitingAt..<waiting.count)) else { return false }
      swap(&rest, &waiting)
      waitingAt = 0
    }
    return waiting.append(bytes)
  }

  private func deliverWaiting() {
    if waiting.count > 0 {
      // Nothing arrives while a handler runs, so nobody else looks at `waiting` meanwhile.
      var taken = ByteBuffer()
      swap(&taken, &waiting)
      var at = waitingAt
      waitingAt = 0
      deliver(taken.bytes, &at)
      if at < taken.count, state.takesInput {
        swap(&taken, &waiting)
        waitingAt = at
      }
      hold()
    }
    guard waiting.count == 0, !isPaused else { return }
    stream?.resume()
    if owesEnd { endInput() }
  }

  /// Claims what this call holds, and gives back what it has handed on.
  private func hold() {
    let now = waiting.count - waitingAt + assembler.receivedBytes
    if held > now { stream?.releaseBody(held - now) }
    held = min(held, now)
    // A client may take its time between two messages, not within one.
    stream?.expectsBytes = !assembler.isEmpty
    stream?.bytesExpected = assembler.missingBytes
  }

  public func ended(_ stream: HTTPStream) {
    guard state.takesInput else { return }
    if waiting.count > 0 || isPaused { owesEnd = true } else { endInput() }
  }

  private func endInput() {
    owesEnd = false
    if let failure = assembler.endedBetweenMessages() { return fail(failure) }
    if state.inputEnded() { handler?.ended(self) }
  }

  public func starved(_ stream: HTTPStream) { breakOff(Status(.deadlineExceeded, "a message came too slowly")) }

  private func forgetInput() {
    waiting.clear(keeping: 0)
    waitingAt = 0
    owesEnd = false
    assembler.reset(keeping: 0, into: &loop.buffers)
    hold()
    // The peer's window opens again: it may be in the middle of a message and learn of the end only behind it.
    isPaused = false
    stream?.resume()
  }

  public func writable(_ stream: HTTPStream) {
    if state.takesOutput { handler?.writable(self) }
  }

  public func closed(_ stream: HTTPStream, _ error: StreamError) {
    loop.cancel(timer)
    timer = .none
    let isUnfinished = state.close()
    if isUnfinished { application.meters.ended(methodIndex, .cancelled) }
    let last = isUnfinished ? handler : nil
    handler = nil
    self.stream = nil
    last?.cancelled(self)
  }
}

extension StreamingCall: TimerTarget {
  public func timerFired(_ timer: TimerID) {
    self.timer = .none
    expire()
  }

  private func expire() {
    guard let stream else { return }
    switch state.expired(isPeerBehind: stream.bytesWaiting > 0) {
    case .nothing: break
    case .finish: breakOff(Status(.deadlineExceeded, "Deadline Exceeded"))
    // `closed` follows, and tells the handler.
    case .reset: stream.reset(.cancelled)
    }
  }
}
