// Streaming calls for handlers that would rather await, where a hop between threads per message does not matter:
//
//   methods.register(path: "/test.Service/Echo", streaming: AsyncHandler { call in
//     for try await message in call.messages { try await call.write(message) }
//   })
//
// The body runs in a task of its own, off the loop. It ends the call by returning (OK) or by throwing a Status; the task is
// cancelled when nobody waits any more. Messages that the task has not asked for wait up to a limit, then the client does.
public import HTTP
internal import Synchronization

public final class AsyncHandler: StreamingHandler {
  public struct Limits: Sendable {
    /// Messages that wait for the task; at this many the input is paused, at half of them it goes on.
    public var messagesWaitingMax = 16
    /// Their bytes, likewise. A single message may be larger.
    public var bytesWaitingMax = 1 << 20
    public init() {}
  }

  private let limits: Limits
  private let body: @Sendable (AsyncCall) async throws -> Void

  public init(limits: Limits = Limits(), _ body: @escaping @Sendable (AsyncCall) async throws -> Void) {
    self.limits = limits
    self.body = body
  }

  public func open(_ call: StreamingCall) -> any CallHandler {
    let async = AsyncCall(call, limits)
    let task = Task { [body] in
      do {
        try await body(async)
        async.finish(.ok)
      } catch let status as Status {
        async.finish(status)
      } catch is CancellationError {
        async.finish(Status(.cancelled))
      } catch {
        // What an application throws may name what is none of the client's business.
        async.finish(Status(.unknown, "the application failed"))
      }
    }
    return Bridge(async, task)
  }
}

public final class AsyncCall: Sendable {
  private struct State {
    var inbox: [[UInt8]] = []
    var bytes = 0
    var hasEnded = false
    var isCancelled = false
    var isPaused = false
    var reader: CheckedContinuation<[UInt8]?, any Error>?
    var writers: [(writer: Writer, continuation: CheckedContinuation<Void, any Error>)] = []
    var trailers = Metadata()
  }

  /// One `write` that waits; told apart from its neighbours when its task is cancelled.
  private final class Writer: Sendable {
    let isCancelled = Atomic<Bool>(false)
  }

  private let call: StreamingCall
  private let limits: AsyncHandler.Limits
  private let state = Mutex(State())
  public let metadata: Metadata
  public let path: String
  public let peer: String
  public let deadline: MonotonicTime?

  init(_ call: StreamingCall, _ limits: AsyncHandler.Limits) {
    self.call = call
    self.limits = limits
    metadata = call.metadata
    path = call.path
    peer = call.peer
    deadline = call.deadline
  }

  /// The client's messages, in order. Ends when the client has sent its last; throws `CancellationError` when it is gone.
  /// One task may read at a time.
  public var messages: Messages { Messages(call: self) }

  public struct Messages: AsyncSequence, Sendable {
    public typealias Element = [UInt8]
    fileprivate let call: AsyncCall

    public struct AsyncIterator: AsyncIteratorProtocol {
      fileprivate let call: AsyncCall
      public func next() async throws -> [UInt8]? { try await call.next() }
    }

    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(call: call) }
  }

  /// Sends a message, and returns when the peer leaves room for another.
  /// - Throws: `CancellationError` when nobody waits for it any more.
  public func write(_ message: [UInt8], isCompressible: Bool = true) async throws {
    let writer = Writer()
    try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
        // A loop that ends cancels its calls first: a job that is handed over before that, under the lock, still runs.
        let isTaken = state.withLock { state in
          if !state.isCancelled { call.loop.enqueue { [self] in write(message, isCompressible, writer, continuation) } }
          return !state.isCancelled
        }
        if !isTaken { continuation.resume(throwing: CancellationError()) }
      }
    } onCancel: {
      writer.isCancelled.store(true, ordering: .relaxed)
      call.loop.enqueue { [self] in giveUp(writer) }
    }
  }

  /// On the loop.
  private func write(
    _ message: [UInt8], _ isCompressible: Bool, _ writer: Writer, _ continuation: CheckedContinuation<Void, any Error>
  ) {
    if call.write(message, isCompressible: isCompressible) { return continuation.resume() }
    // A cancellation that has run on the loop before this did not find the writer there.
    if call.isOver || writer.isCancelled.load(ordering: .relaxed) { return continuation.resume(throwing: CancellationError()) }
    state.withLock { $0.writers.append((writer, continuation)) }
  }

  /// Sends the head before there is a message.
  public func sendHead(_ metadata: Metadata = Metadata()) {
    call.loop.enqueue { [call] in
      call.initialMetadata = metadata
      call.sendHead()
    }
  }

  /// How messages from now on are compressed, if the client reads that. Before the first, or the head announces nothing.
  public func setCompression(_ compression: MessageCompression?) {
    call.loop.enqueue { [call] in call.compression = compression }
  }

  /// What goes out behind the last message, with the status.
  public func setTrailers(_ metadata: Metadata) { state.withLock { $0.trailers = metadata } }

  // MARK: the task's side

  fileprivate func next() async throws -> [UInt8]? {
    try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<[UInt8]?, any Error>) in
        take(continuation)
      }
    } onCancel: {
      giveUpReading()
    }
  }

  private enum Answer { case message([UInt8]), end, cancelled, later }

  private func take(_ continuation: CheckedContinuation<[UInt8]?, any Error>) {
    let (answer, resumes) = state.withLock { state -> (Answer, Bool) in
      if !state.inbox.isEmpty {
        let message = state.inbox.removeFirst()
        state.bytes -= message.count
        let isLow = state.inbox.count <= limits.messagesWaitingMax / 2 && state.bytes <= limits.bytesWaitingMax / 2
        let resumes = state.isPaused && isLow
        if resumes { state.isPaused = false }
        return (.message(message), resumes)
      }
      if state.hasEnded { return (.end, false) }
      // A cancellation before this found no reader to wake.
      if state.isCancelled || Task.isCancelled { return (.cancelled, false) }
      precondition(state.reader == nil, "two tasks read the messages of one call")
      state.reader = continuation
      return (.later, false)
    }
    switch answer {
    case .message(let message): continuation.resume(returning: message)
    case .end: continuation.resume(returning: nil)
    case .cancelled: continuation.resume(throwing: CancellationError())
    case .later: break
    }
    if resumes { call.loop.enqueue { [call] in call.resume() } }
  }

  private func giveUpReading() {
    let reader = state.withLock { state in
      defer { state.reader = nil }
      return state.reader
    }
    reader?.resume(throwing: CancellationError())
  }

  /// On the loop.
  private func giveUp(_ writer: Writer) {
    let found = state.withLock { state in
      let index = state.writers.firstIndex { $0.writer === writer }
      return index.map { state.writers.remove(at: $0).continuation }
    }
    found?.resume(throwing: CancellationError())
  }

  private func takeWriters() -> [CheckedContinuation<Void, any Error>] {
    state.withLock { state in
      defer { state.writers = [] }
      return state.writers.map(\.continuation)
    }
  }

  fileprivate func finish(_ status: Status) {
    call.loop.enqueue { [self] in call.finish(status, trailers: state.withLock { $0.trailers }) }
  }

  // MARK: the loop's side

  fileprivate func received(_ message: [UInt8]) {
    let (reader, pauses) = state.withLock { state in
      let reader = state.reader
      state.reader = nil
      if reader == nil {
        state.inbox.append(message)
        state.bytes += message.count
        state.isPaused = state.inbox.count >= limits.messagesWaitingMax || state.bytes >= limits.bytesWaitingMax
      }
      return (reader, state.isPaused)
    }
    reader?.resume(returning: message)
    if pauses { call.pause() }
  }

  fileprivate func ended() {
    let reader = state.withLock { state in
      state.hasEnded = true
      defer { state.reader = nil }
      return state.reader
    }
    reader?.resume(returning: nil)
  }

  fileprivate func writable() {
    for continuation in takeWriters() { continuation.resume() }
  }

  fileprivate func cancelled() {
    state.withLock { state in
      state.isCancelled = true
      state.inbox = []
      state.bytes = 0
    }
    giveUpReading()
    for continuation in takeWriters() { continuation.resume(throwing: CancellationError()) }
  }
}

/// Carries what happens on the loop to the task.
private final class Bridge: CallHandler {
  private let call: AsyncCall
  private let task: Task<Void, Never>

  init(_ call: AsyncCall, _ task: Task<Void, Never>) {
    self.call = call
    self.task = task
  }

  func received(_ message: consuming ByteBuffer, on core: StreamingCall) {
    let bytes = unsafe message.bytes.withUnsafeBytes { unsafe Array($0) }
    call.received(bytes)
  }

  func ended(_ core: StreamingCall) { call.ended() }
  func writable(_ core: StreamingCall) { call.writable() }

  func cancelled(_ core: StreamingCall) {
    call.cancelled()
    task.cancel()
  }
}
