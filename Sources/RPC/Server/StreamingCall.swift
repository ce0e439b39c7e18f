// A streaming call on the server: client, server or bidirectional, they differ only in what the handler makes of it.
//
//   handler.open(call) ─► received(message)* ─► ended ─► …          on the stream's loop, never two at once
//   call.write(…)* ─► call.finish(status, trailers)                 any time until `cancelled`, from the loop
//
// Back-pressure: `write` answers false when the peer is behind, and `writable` follows; after `pause` no message and no end
// comes until `resume`, and the client runs into its window. What arrived before it noticed waits here: at most one window
// per stream (`Limits.streamWindowBytes`), and all of a connection's streams at most `Limits.bodyBytesPerConnectionMax`.
//
// Compressed messages are unpacked, and answers packed, slice by slice where they are large: each slice is a chore of the loop's
// (`HTTP/Loop/Chores.swift`). Meanwhile the client waits as if the handler had paused, and the handler as if the client were behind.
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
  /// The message at hand is being made plain; then, it is plain and the handler has paused.
  private var isUnpacking = false
  private var hasUnpacked = false
  /// Messages that are being compressed, and those behind them; what the handler has ended the call with.
  private var outgoing: [Outgoing] = []
  private var ending: (status: Status, trailers: Metadata)?
  private var owesWritable = false
  /// The loop has us among its chores.
  private var isQueued = false
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
  public var bytesWaiting: Int { (stream?.bytesWaiting ?? 0) + outgoing.reduce(0) { $0 + $1.heldBytes } }
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
    let used = isCompressible && coding != nil ? compression : nil
    if let used, byteCount >= used.bytesMin {
      guard let packer = MessagePacker(byteCount, used, with: &loop.codecs, fill) else { return refuseOutOfMemory(byteCount) }
      return pack(packer, on: stream)
    }
    var body = ByteBuffer()
    guard body.append(messageOf: byteCount, fill) else { return refuseOutOfMemory(byteCount) }
    return outgoing.isEmpty ? stream.write(body) : wait(Outgoing(body), on: stream)
  }

  private func refuseOutOfMemory(_ byteCount: Int) -> Bool {
    refuse(Status(.resourceExhausted, "no room for a response of \(byteCount) bytes"))
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
    case .trailers:
      if outgoing.isEmpty { application.end(status, trailers, on: stream) } else { ending = (status, trailers) }
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

// MARK: slices

/// A message on its way out: being compressed, or behind one that is.
private final class Outgoing {
  private let packer: MessagePacker?
  private var body = ByteBuffer()
  private(set) var isReady: Bool

  init(_ packer: MessagePacker) {
    self.packer = packer
    isReady = false
  }

  init(_ body: consuming ByteBuffer) {
    packer = nil
    self.body = body
    isReady = true
  }

  var heldBytes: Int { packer?.heldBytes ?? body.count }

  func advance() { if let packer, !packer.advance(.deflated) { isReady = true } }

  func take(_ codecs: inout Codecs) -> ByteBuffer {
    if let packer { return packer.finish(&codecs) }
    var taken = ByteBuffer()
    swap(&taken, &body)
    return taken
  }
}

extension StreamingCall: Chore {
  package func doPart() -> Bool {
    if isUnpacking { unpackPart() }
    if !outgoing.isEmpty { packPart() }
    isQueued = isUnpacking || !outgoing.isEmpty
    return isQueued
  }

  private func queue() {
    if isQueued { return }
    isQueued = true
    loop.enqueue(self, for: peer)
  }

  /// Compresses as far as this turn has time for it.
  private func pack(_ packer: MessagePacker, on stream: HTTPStream) -> Bool {
    while outgoing.isEmpty, loop.hasRoomForChores {
      if !loop.charged({ packer.advance(.deflated) }) { return stream.write(packer.finish(&loop.codecs)) }
    }
    return wait(Outgoing(packer), on: stream)
  }

  private func wait(_ message: Outgoing, on stream: HTTPStream) -> Bool {
    outgoing.append(message)
    stream.holdAnswer(message.heldBytes)
    owesWritable = true
    queue()
    return false
  }

  private func packPart() {
    guard let stream, let first = outgoing.first else { return }
    let before = first.heldBytes
    first.advance()
    stream.holdAnswer(first.heldBytes - before)
    var hasRoom = true
    while let next = outgoing.first, next.isReady {
      outgoing.removeFirst()
      stream.releaseAnswer(next.heldBytes)
      hasRoom = stream.write(next.take(&loop.codecs))
    }
    if !outgoing.isEmpty { return }
    if let (status, trailers) = ending {
      ending = nil
      return application.end(status, trailers, on: stream)
    }
    // Otherwise the stream will say so.
    if owesWritable, hasRoom { caughtUp() }
  }

  private func caughtUp() {
    owesWritable = false
    if state.takesOutput { handler?.writable(self) }
  }

  private func dropOutgoing() {
    for message in outgoing { stream?.releaseAnswer(message.heldBytes) }
    outgoing = []
  }

  /// Makes the message at hand plain, as far as this turn has time for it. True: it is.
  private func unpack() -> Bool {
    while loop.hasRoomForChores {
      switch loop.charged({ unpackSlice() }) {
      case .more: continue
      case .done: return true
      case .failed(let failure):
        fail(failure)
        return false
      }
    }
    isUnpacking = true
    stream?.pause()
    queue()
    return false
  }

  private func unpackPart() {
    switch unpackSlice() {
    case .more: return
    case .done:
      isUnpacking = false
      hasUnpacked = true
      if !isPaused { deliverWaiting() }
    case .failed(let failure):
      isUnpacking = false
      fail(failure)
    }
  }

  /// What comes out counts against the connection's share like what came in.
  private func unpackSlice() -> MessageAssembler.Unpacked {
    let before = assembler.heldBytes, room = assembler.unpackedBytes + (stream?.bodyRoom ?? 0)
    let outcome = assembler.decompress(with: &loop.codecs, &loop.buffers, room: room, .inflated)
    let more = assembler.heldBytes - before
    if more > 0 {
      guard let stream, stream.holdBody(more) else { return .failed(.outOfMemory(length: assembler.heldBytes)) }
      held += more
    }
    return outcome
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
    if !isPaused, !isUnpacking { deliver(bytes, &at) }
    if at < bytes.byteCount, state.takesInput, !keep(bytes.extracting(at..<bytes.byteCount)) {
      return breakOff(Status(.resourceExhausted, "no memory for \(bytes.byteCount - at) bytes that wait"))
    }
    hold()
    stream.bytesExpected = isPaused || isUnpacking || !state.takesInput ? 0 : assembler.missingBytes
  }

  /// Takes messages out of `bytes`, from `at` on, as long as the handler wants them.
  private func deliver(_ bytes: RawSpan, _ at: inout Int) {
    isDelivering = true
    defer { isDelivering = false }
    while at < bytes.byteCount, !isPaused, state.takesInput {
      if let failure = assembler.take(bytes, &at, from: &loop.buffers) { return fail(failure) }
      guard assembler.isComplete else { continue }
      let isCompressed = assembler.isCompressed
      if isCompressed, !unpack() { return }
      isMessageCompressed = isCompressed
      handler?.received(assembler.takeMessage(), on: self)
    }
  }

  private func deliverUnpacked() {
    hasUnpacked = false
    isMessageCompressed = true
    isDelivering = true
    handler?.received(assembler.takeMessage(), on: self)
    isDelivering = false
    hold()
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
    if isUnpacking { return }
    if hasUnpacked { deliverUnpacked() }
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
    guard waiting.count == 0, !isPaused, !isUnpacking else { return }
    stream?.resume()
    if owesEnd { endInput() }
  }

  /// Claims what this call holds, and gives back what it has handed on.
  private func hold() {
    let now = waiting.count - waitingAt + assembler.heldBytes
    if held > now { stream?.releaseBody(held - now) }
    held = min(held, now)
    // A client may take its time between two messages, not within one.
    stream?.expectsBytes = !assembler.isEmpty
    stream?.bytesExpected = assembler.missingBytes
  }

  public func ended(_ stream: HTTPStream) {
    guard state.takesInput else { return }
    if waiting.count > 0 || isPaused || isUnpacking { owesEnd = true } else { endInput() }
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
    isUnpacking = false
    hasUnpacked = false
    assembler.reset(keeping: 0, into: &loop.buffers)
    hold()
    // The peer's window opens again: it may be in the middle of a message and learn of the end only behind it.
    isPaused = false
    stream?.resume()
  }

  public func writable(_ stream: HTTPStream) {
    if outgoing.isEmpty { caughtUp() }
  }

  public func closed(_ stream: HTTPStream, _ error: StreamError) {
    loop.cancel(timer)
    timer = .none
    let isUnfinished = state.close()
    if isUnfinished { application.meters.ended(methodIndex, .cancelled) }
    let last = isUnfinished ? handler : nil
    handler = nil
    self.stream = nil
    outgoing = []
    ending = nil
    isUnpacking = false
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
    dropOutgoing()
    if ending != nil, stream.bytesWaiting == 0 {
      ending = nil
      return application.end(Status(.deadlineExceeded, "Deadline Exceeded"), Metadata(), on: stream)
    }
    switch state.expired(isPeerBehind: stream.bytesWaiting > 0) {
    case .nothing: break
    case .finish: breakOff(Status(.deadlineExceeded, "Deadline Exceeded"))
    // `closed` follows, and tells the handler.
    case .reset: stream.reset(.cancelled)
    }
  }
}
