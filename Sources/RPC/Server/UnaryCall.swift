// A unary call on the server. Pooled, confined to its loop, and used again as soon as its stream is closed:
//
//   receiving ─► running ─► answered ─► (stream closed) ─► pool
//        │          │
//        │          └─ detach() ─► a worker has it ─► complete { reply } ─► answered
//        └─ peer gone, deadline passed ─► cancelled
//
// A compressed message is unpacked before `running`, and one that is to be compressed packed before `answered`: a large one slice
// by slice, each a chore of the loop's (`HTTP/Loop/Chores.swift`).
//
// A cancelled call that a worker still holds does not go back to the pool: the message stays where it is until the last
// `DetachedCall` is gone, and so does the object. Its generation tells late answers from current ones.
public import HTTP
internal import Synchronization

@safe public final class UnaryCall {
  private enum State { case idle, receiving, unpacking, running, packing, answered }

  private let application: RPCApplication
  private var stream: HTTPStream?
  private var state = State.idle
  private var isDetached = false
  private var method: Unmanaged<Method>?
  private var methodIndex = 0
  private var extras: Extras?
  private var assembler: MessageAssembler
  private var packer: MessagePacker?
  /// The loop has us among its chores; from an earlier use of this object, perhaps.
  private var isQueued = false
  private var timer = TimerID.none

  public private(set) var deadline: MonotonicTime?
  /// When the request's head came.
  public private(set) var began = MonotonicTime(nanoseconds: 0)
  /// Runs on the loop when nobody waits for the answer any more: the peer cancelled or went away, or the deadline passed
  /// (then the peer has been told DEADLINE_EXCEEDED). Not called after an answer.
  public var onCancel: (() -> Void)?

  /// What few calls have.
  private final class Extras {
    var compression: MessageCompression?
    var initialMetadata = Metadata()
    var trailingMetadata = Metadata()
    var isMessageCompressed = false
    init(_ compression: MessageCompression?) { self.compression = compression }
  }

  /// The generation, shifted left by one; the lowest bit says cancelled. Other threads read it.
  fileprivate let epoch = Atomic<UInt64>(0)

  init(application: RPCApplication) {
    self.application = application
    assembler = application.makeAssembler()
  }

  public var loop: EventLoop { application.loop }

  /// The request's bytes, without the prefix. Stable until the call is answered; starts on a cache line.
  public var message: RawSpan {
    @_lifetime(borrow self)
    get { unsafe _overrideLifetime(assembler.message, borrowing: self) }
  }

  /// The client sent the message compressed.
  public var isMessageCompressed: Bool { extras?.isMessageCompressed ?? false }

  /// Nobody waits for an answer.
  public var isCancelled: Bool { epoch.load(ordering: .relaxed) & 1 != 0 }

  /// Everything that the client said beside its message.
  public var metadata: Metadata { stream.map { Metadata($0.head) } ?? Metadata() }

  /// The value of a request header, by its lower-case name.
  public func metadata(_ name: String) -> String? { stream?.head.value(of: name) }

  public var peer: String { stream?.peer ?? "" }

  // MARK: what goes around the answer

  /// How the answer is compressed, if the client reads that.
  public var compression: MessageCompression? {
    get { extras != nil ? extras!.compression : application.configuration.compression }
    set { withExtras { $0.compression = newValue } }
  }

  /// What goes before the answer.
  public var initialMetadata: Metadata {
    get { extras?.initialMetadata ?? Metadata() }
    set { withExtras { $0.initialMetadata = newValue } }
  }

  /// What goes behind the answer, with its status.
  public var trailingMetadata: Metadata {
    get { extras?.trailingMetadata ?? Metadata() }
    set { withExtras { $0.trailingMetadata = newValue } }
  }

  private func withExtras(_ body: (Extras) -> Void) {
    let extras = extras ?? Extras(application.configuration.compression)
    self.extras = extras
    body(extras)
  }

  /// The head and the trailers are not the usual ones.
  private var isUnusual: Bool { extras != nil || application.configuration.compression != nil }

  // MARK: answers

  /// Sends `byteCount` bytes written by `fill` with status OK. An answer to a cancelled call goes nowhere.
  public func reply(byteCount: Int, _ fill: (inout OutputRawSpan) -> Void) {
    guard isUnanswered, let stream else { return }
    if byteCount > application.configuration.sentBytesMax { return fail(application.tooLargeToSend(byteCount)) }
    let used = agreedCompression(on: stream)
    if let used, byteCount >= used.bytesMin {
      guard let packer = MessagePacker(byteCount, used, with: &application.loop.codecs, fill) else {
        return failOutOfMemory(byteCount)
      }
      self.packer = packer
      state = .packing
      onCancel = nil
      stream.holdAnswer(packer.heldBytes)
      return doChore()
    }
    let total = MessageAssembler.prefixCount + byteCount
    if total > application.keptBufferBytesMax, let large = application.loop.buffers.take(capacity: total) { stream.body = large }
    if !stream.body.append(messageOf: byteCount, fill) {
      stream.body.clear()
      return failOutOfMemory(byteCount)
    }
    answered()
    send(used?.coding, on: stream)
  }

  fileprivate func failOutOfMemory(_ byteCount: Int) {
    fail(Status(.resourceExhausted, "no room for a response of \(byteCount) bytes"))
  }

  /// Sends a body that is framed already (prefix and message).
  fileprivate func reply(framed body: consuming ByteBuffer, _ coding: ContentCoding?) {
    guard let stream = begin() else { return }
    stream.body = body
    send(coding, on: stream)
  }

  fileprivate func agreedCompression(on stream: HTTPStream) -> MessageCompression? {
    guard isUnusual, let compression else { return nil }
    return application.agreedCoding(compression, on: stream) == nil ? nil : compression
  }

  /// Sends what is in the stream's body.
  private func send(_ coding: ContentCoding?, on stream: HTTPStream) {
    application.meters.ended(methodIndex, .ok)
    let head = application.fields.head(coding)
    guard let extras, !extras.initialMetadata.isEmpty || !extras.trailingMetadata.isEmpty else {
      return stream.respond(head, trailers: application.fields.trailersOK)
    }
    var first = FieldList()
    extras.initialMetadata.append(to: &first)
    var body = ByteBuffer()
    swap(&body, &stream.body)
    stream.begin(head, first)
    stream.write(body)
    application.end(.ok, extras.trailingMetadata, on: stream)
  }

  /// Sends a status other than OK, and nothing else.
  public func fail(_ status: Status) {
    guard let stream = begin() else { return }
    send(status, on: stream)
  }

  fileprivate func failTooLarge(_ byteCount: Int) { fail(application.tooLargeToSend(byteCount)) }

  private func begin() -> HTTPStream? {
    guard isUnanswered, let stream else { return nil }
    answered()
    return stream
  }

  private var isUnanswered: Bool { state != .idle && state != .packing && state != .answered }

  private func answered() {
    state = .answered
    stopTimer()
  }

  private func send(_ status: Status, on stream: HTTPStream) {
    application.meters.ended(methodIndex, status.code)
    guard let extras else { return application.send(status, on: stream) }
    if extras.initialMetadata.isEmpty { return application.send(status, extras.trailingMetadata, on: stream) }
    var first = FieldList()
    extras.initialMetadata.append(to: &first)
    stream.begin(application.fields.head(nil), first)
    application.end(status, extras.trailingMetadata, on: stream)
  }

  /// Leaves the answer to later: any thread may hold the result, and completes the call through it.
  public func detach() -> DetachedCall {
    isDetached = true
    return DetachedCall(
      call: self, epoch: epoch.load(ordering: .relaxed) & ~1, compression: stream.flatMap { agreedCompression(on: $0) },
      sentBytesMax: application.configuration.sentBytesMax)
  }

  // MARK: life

  func start(_ stream: HTTPStream, _ method: Unmanaged<Method>, _ index: Int, deadline: MonotonicTime?) {
    self.stream = stream
    methodIndex = index
    unsafe self.method = method
    if stream.head.has(.grpcEncoding) { assembler.coding = stream.head.messageCoding }
    state = .receiving
    self.deadline = deadline
    began = application.loop.now
    // Nothing can begin before the whole request is here.
    stream.expectsBytes = true
    if let deadline { timer = application.loop.schedule(at: deadline, self) }
  }

  private func stopTimer() {
    if timer != .none {
      application.loop.cancel(timer)
      timer = .none
    }
  }

  private func cancel() {
    epoch.bitwiseOr(1, ordering: .releasing)
    if let onCancel {
      self.onCancel = nil
      onCancel()
    }
  }

  private func recycle() {
    stream = nil
    unsafe method = nil
    extras = nil
    deadline = nil
    onCancel = nil
    let abandoned = isDetached && isCancelled
    state = .idle
    packer = nil
    isDetached = false
    // Late completions see another generation.
    if abandoned { return }
    epoch.store((epoch.load(ordering: .relaxed) & ~1) &+ 2, ordering: .releasing)
    assembler.reset(keeping: application.keptBufferBytesMax, into: &application.loop.buffers)
    application.giveBack(self)
  }
}

extension UnaryCall: StreamHandler {
  public func received(_ bytes: RawSpan, on stream: HTTPStream) {
    guard state == .receiving else { return }
    if !stream.holdBody(bytes.byteCount) {
      return fail(Status(.resourceExhausted, "too many request bytes on this connection"))
    }
    if let failure = assembler.received(bytes, from: &stream.loop.buffers) { fail(application.status(for: failure, on: stream)) }
    stream.bytesExpected = state == .receiving ? assembler.missingBytes : 0
  }

  @unsafe public func landing(behind lent: Int, on stream: HTTPStream) -> UnsafeMutableRawBufferPointer {
    unsafe assembler.landing(behind: lent)
  }

  public func landed(_ count: Int, on stream: HTTPStream) {
    guard state == .receiving else { return }
    if !stream.holdBody(count) { return fail(Status(.resourceExhausted, "too many request bytes on this connection")) }
    assembler.landed(count)
    stream.bytesExpected = assembler.missingBytes
  }

  public func ended(_ stream: HTTPStream) {
    guard state == .receiving else { return }
    if let failure = assembler.ended() { return fail(application.status(for: failure, on: stream)) }
    if let deadline, deadline <= application.loop.now { return expire() }
    if assembler.isCompressed {
      withExtras { $0.isMessageCompressed = true }
      state = .unpacking
      return doChore()
    }
    run()
  }

  private func run() {
    state = .running
    // The application keeps its table, and with it the method, as long as it has calls.
    unsafe method!._withUnsafeGuaranteedRef { $0.unary!.handle(self) }
    if state == .running, !isDetached { fail(Status(.internal, "the handler returned without an answer")) }
  }

  public func starved(_ stream: HTTPStream) {
    if state == .receiving { fail(Status(.deadlineExceeded, "the request came too slowly")) }
  }

  public func closed(_ stream: HTTPStream, _ error: StreamError) {
    if state != .answered {
      application.meters.ended(methodIndex, .cancelled)
      stopTimer()
      cancel()
    }
    recycle()
  }
}

// MARK: slices

extension UnaryCall: Chore {
  /// Packs or unpacks as far as this turn has time for it; the rest is left to later ones.
  private func doChore() {
    let loop = application.loop
    while loop.hasRoomForChores {
      if !loop.charged({ doSlice() }) { return sliced() }
    }
    if isQueued { return }
    isQueued = true
    loop.enqueue(self, for: peer)
  }

  package func doPart() -> Bool {
    if doSlice() { return true }
    isQueued = false
    sliced()
    return false
  }

  /// False: there is no more to do.
  private func doSlice() -> Bool {
    guard let stream else { return false }
    switch state {
    case .packing:
      guard let packer else { return false }
      let before = packer.heldBytes
      let hasMore = packer.advance(.deflated)
      stream.holdAnswer(packer.heldBytes - before)
      return hasMore
    case .unpacking:
      switch unpackSlice(stream) {
      case .more: return true
      case .done: return false
      case .failed(let failure):
        fail(application.status(for: failure, on: stream))
        return false
      }
    default: return false
    }
  }

  /// What comes out counts against the connection's share like what came in.
  private func unpackSlice(_ stream: HTTPStream) -> MessageAssembler.Unpacked {
    let before = assembler.heldBytes, room = assembler.unpackedBytes + stream.bodyRoom
    let outcome = assembler.decompress(with: &application.loop.codecs, &application.loop.buffers, room: room, .inflated)
    let after = assembler.heldBytes
    if after < before { stream.releaseBody(before - after) }
    return after <= before || stream.holdBody(after - before) ? outcome : .failed(.outOfMemory(length: after))
  }

  /// The last slice is done, unless somebody has ended the call meanwhile.
  private func sliced() {
    switch state {
    case .unpacking: run()
    case .packing: sendPacked()
    default: break
    }
  }

  private func sendPacked() {
    guard let stream, let packed = packer else { return }
    packer = nil
    answered()
    stream.releaseAnswer(packed.heldBytes)
    stream.body = packed.finish(&application.loop.codecs)
    send(application.agreedCoding(compression, on: stream), on: stream)
  }
}

extension UnaryCall: TimerTarget {
  public func timerFired(_ timer: TimerID) {
    self.timer = .none
    expire()
  }

  private func expire() {
    if state == .packing {
      stream?.releaseAnswer(packer?.heldBytes ?? 0)
      packer = nil
      state = .running
    }
    guard isUnanswered else { return }
    let stream = stream
    fail(Status(.deadlineExceeded, "Deadline Exceeded"))
    if stream != nil { cancel() }
  }
}

/// A call on its way through other threads. Copies are cheap; the first to complete it wins.
///
/// - Note: `@unchecked Sendable`: of the call only the atomic epoch, the immutable loop, and the message, which does not
///   change between `detach` and the answer, are touched off the loop.
public struct DetachedCall: @unchecked Sendable {
  private let call: UnaryCall
  private let epoch: UInt64
  public let deadline: MonotonicTime?
  private let compression: MessageCompression?
  private let sentBytesMax: Int

  fileprivate init(call: UnaryCall, epoch: UInt64, compression: MessageCompression?, sentBytesMax: Int) {
    self.call = call
    self.epoch = epoch
    self.compression = compression
    self.sentBytesMax = sentBytesMax
    deadline = call.deadline
  }

  public var loop: EventLoop { call.loop }

  /// Nobody waits any more, or the call has been answered already. From any thread.
  public var isCancelled: Bool { call.epoch.load(ordering: .acquiring) != epoch }

  /// The request's bytes.
  /// - Precondition: nobody has completed the call.
  public var message: RawSpan {
    @_lifetime(borrow self)
    get { unsafe _overrideLifetime(call.message, borrowing: self) }
  }

  /// Runs `body` on the call's loop if the call still waits for its answer.
  public func complete(_ body: @escaping @Sendable (UnaryCall) -> Void) {
    loop.enqueue { [self] in
      if !isCancelled { body(call) }
    }
  }

  /// The same at once, for who is on the call's loop.
  public func completeOnLoop(_ body: (UnaryCall) -> Void) {
    if !isCancelled { body(call) }
  }

  /// Answers with status OK; `fill` runs here, on the calling thread.
  public func reply(byteCount: Int, _ fill: (inout OutputRawSpan) -> Void) { loop.enqueue(written(byteCount: byteCount, fill)) }

  /// Writes an answer with status OK, here and now. What is returned sends it, and is called on the call's loop.
  public func written(byteCount: Int, _ fill: (inout OutputRawSpan) -> Void) -> @Sendable () -> Void {
    if byteCount > sentBytesMax { return { completeOnLoop { $0.failTooLarge(byteCount) } } }
    var body = ByteBuffer()
    // Few calls are compressed, and what it costs to set zlib up is little beside what it does then.
    var codecs = Codecs()
    guard body.append(messageOf: byteCount, compressed: compression?.offLoop, with: &codecs, fill) else {
      return { completeOnLoop { $0.failOutOfMemory(byteCount) } }
    }
    let framed = FramedBody(body), coding = compression?.coding
    return { completeOnLoop { $0.reply(framed: framed.take(), coding) } }
  }

  public func fail(_ status: Status) { complete { $0.fail(status) } }
}

/// Carries a buffer from a worker to the loop, once.
private final class FramedBody: @unchecked Sendable {
  private var body: ByteBuffer
  init(_ body: consuming ByteBuffer) { self.body = body }
  func take() -> ByteBuffer {
    var taken = ByteBuffer()
    swap(&taken, &body)
    return taken
  }
}
