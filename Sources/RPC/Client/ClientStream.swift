// A streaming call for tasks: `send` waits while the server is behind, the server waits while nobody takes its messages.
//
//     let call = channel.stream("/package.Service/Chat")
//     try await call.send(bytes)
//     call.finishSending()
//     for try await message in call.messages { message.bytes … }     // throws the status unless it is OK
//     let (status, trailers) = await call.end()
//
// A task that is cancelled while it waits here cancels the call. So does letting go of the object before the call is over.
internal import HTTP
internal import Synchronization

/// A message of a stream.
public struct StreamMessage: Sendable {
  public let bytes: [UInt8]
  /// It came compressed.
  public let wasCompressed: Bool
}

public final class ClientStream: Sendable {
  private let channel: Channel
  private let call: StreamingClientCall
  private let box: Box

  init(_ channel: Channel, _ path: String, _ options: CallOptions) {
    self.channel = channel
    let box = Box()
    self.box = box
    call = StreamingClientCall(path, options, channel.core, box)
    channel.loop.enqueue { [call] in call.start() }
  }

  deinit { call.cancel() }

  /// Sends a message; returns when the next may follow.
  /// - Parameter compressed: as the call's options say; false: as it is.
  /// - Throws: the call's status when it is over, CANCELLED when that is OK.
  public func send(_ message: [UInt8], compressed: Bool = true) async throws(Status) {
    let result: Result<Void, Status> = await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        channel.loop.enqueue { [call, box] in box.send(message, compressed, on: call, continuation) }
      }
    } onCancel: {
      call.cancel()
    }
    try result.get()
  }

  /// No more messages from us.
  public func finishSending() { channel.loop.enqueue { [call] in call.finishSending() } }

  /// Gives up: the server is told, `messages` ends with CANCELLED.
  public func cancel() { call.cancel() }

  /// What the server says before its first message.
  /// - Throws: the call's status when it ended without.
  public func metadata() async throws(Status) -> Metadata {
    let result = await wait { box, continuation in box.head(continuation) }
    return try result.get()
  }

  /// How the call ended, and what the server said behind its last message. Waits for the end: take the messages first, or
  /// at the same time.
  public func end() async -> (status: Status, trailers: Metadata) {
    await wait { box, continuation in box.end(continuation) }
  }

  /// The server's messages, for one reader.
  public var messages: Messages { Messages(stream: self) }

  public struct Messages: AsyncSequence, Sendable {
    public typealias Element = StreamMessage
    public typealias Failure = Status
    fileprivate let stream: ClientStream

    public func makeAsyncIterator() -> Iterator { Iterator(stream: stream) }

    public struct Iterator: AsyncIteratorProtocol {
      fileprivate let stream: ClientStream

      public mutating func next() async throws(Status) -> StreamMessage? { try await stream.next() }

      public mutating func next(isolation actor: isolated (any Actor)?) async throws(Status) -> StreamMessage? {
        try await stream.next()
      }
    }
  }

  /// The next message, nil behind the last.
  /// - Throws: the call's status unless it is OK.
  public func next() async throws(Status) -> StreamMessage? {
    let result = await wait { [call] box, continuation in box.next(on: call, continuation) }
    return try result.get()
  }

  private func wait<T: Sendable>(_ body: @escaping @Sendable (Box, CheckedContinuation<T, Never>) -> Void) async -> T {
    await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in body(box, continuation) }
    } onCancel: {
      call.cancel()
    }
  }

  /// Between the loop and the tasks.
  private final class Box: StreamingClientCallObserver, Sendable {
    /// Received and not taken yet; beyond either the server is held back, until half is taken.
    private static let messagesMax = 64
    private static let bytesMax = 1 << 20

    private typealias Next = Result<StreamMessage?, Status>
    private struct State {
      var messages: [StreamMessage] = []
      var first = 0
      var bytes = 0
      var isPaused = false
      var reader: CheckedContinuation<Next, Never>?
      var head: Metadata?
      var headWaiters: [CheckedContinuation<Result<Metadata, Status>, Never>] = []
      var writers: [CheckedContinuation<Result<Void, Status>, Never>] = []
      var end: (status: Status, trailers: Metadata)?
      var endWaiters: [CheckedContinuation<(status: Status, trailers: Metadata), Never>] = []

      /// The answer to who asks for a message, if there is one.
      mutating func take() -> Next? {
        if first < messages.count {
          let message = messages[first]
          first += 1
          bytes -= message.bytes.count
          if first == messages.count {
            messages.removeAll(keepingCapacity: true)
            first = 0
          }
          return .success(message)
        }
        guard let end else { return nil }
        return end.status.code == .ok ? .success(nil) : .failure(end.status)
      }
    }
    private let state = Mutex(State())

    // MARK: tasks ask

    func send(
      _ message: [UInt8], _ compressed: Bool, on call: StreamingClientCall,
      _ continuation: CheckedContinuation<Result<Void, Status>, Never>
    ) {
      if call.send(message, compressed: compressed) { return continuation.resume(returning: .success(())) }
      let over: Status? = state.withLock { state in
        if let end = state.end { return end.status.code == .ok ? Status(.cancelled, "the call is over") : end.status }
        if call.hasFinishedSending { return Status(.cancelled, "a message after the last") }
        state.writers.append(continuation)
        return nil
      }
      if let over { continuation.resume(returning: .failure(over)) }
    }

    func next(on call: StreamingClientCall, _ continuation: CheckedContinuation<Result<StreamMessage?, Status>, Never>) {
      let (answer, resumes): (Next?, Bool) = state.withLock { state in
        guard let answer = state.take() else {
          precondition(state.reader == nil, "the messages of a stream have one reader")
          state.reader = continuation
          return (nil, false)
        }
        let left = state.messages.count - state.first
        let resumes = state.isPaused && left <= Box.messagesMax / 2 && state.bytes <= Box.bytesMax / 2
        if resumes { state.isPaused = false }
        return (answer, resumes)
      }
      if resumes { call.loop.enqueue { call.resume() } }
      if let answer { continuation.resume(returning: answer) }
    }

    func head(_ continuation: CheckedContinuation<Result<Metadata, Status>, Never>) {
      let answer: Result<Metadata, Status>? = state.withLock { state in
        if let head = state.head { return .success(head) }
        // Trailers-Only: the head was the end.
        if let end = state.end { return end.status.code == .ok ? .success(Metadata()) : .failure(end.status) }
        state.headWaiters.append(continuation)
        return nil
      }
      if let answer { continuation.resume(returning: answer) }
    }

    func end(_ continuation: CheckedContinuation<(status: Status, trailers: Metadata), Never>) {
      let answer = state.withLock { state in
        if state.end == nil { state.endWaiters.append(continuation) }
        return state.end
      }
      if let answer { continuation.resume(returning: answer) }
    }

    // MARK: the loop tells

    func responded(_ call: StreamingClientCall, _ metadata: Metadata) {
      let waiters = state.withLock { state in
        state.head = metadata
        defer { state.headWaiters = [] }
        return state.headWaiters
      }
      for waiter in waiters { waiter.resume(returning: .success(metadata)) }
    }

    func received(_ message: RawSpan, wasCompressed: Bool, on call: StreamingClientCall) {
      let message = StreamMessage(bytes: unsafe message.withUnsafeBytes { unsafe Array($0) }, wasCompressed: wasCompressed)
      let (reader, pauses) = state.withLock { state in
        if let reader = state.reader {
          state.reader = nil
          return (Optional(reader), false)
        }
        state.messages.append(message)
        state.bytes += message.bytes.count
        let isFull = state.messages.count - state.first >= Box.messagesMax || state.bytes >= Box.bytesMax
        let pauses = isFull && !state.isPaused
        if pauses { state.isPaused = true }
        return (nil, pauses)
      }
      if pauses { call.pause() }
      reader?.resume(returning: .success(message))
    }

    func writable(_ call: StreamingClientCall) {
      let writers = state.withLock { state in
        defer { state.writers = [] }
        return state.writers
      }
      for writer in writers { writer.resume(returning: .success(())) }
    }

    func finished(_ call: StreamingClientCall, _ status: Status, _ trailers: Metadata) {
      var last = state.withLock { state in
        state.end = (status, trailers)
        let last = state
        state.reader = nil
        state.headWaiters = []
        state.writers = []
        state.endWaiters = []
        return last
      }
      let over = status.code == .ok ? Status(.cancelled, "the call is over") : status
      for writer in last.writers { writer.resume(returning: .failure(over)) }
      for waiter in last.headWaiters {
        waiter.resume(returning: status.code == .ok ? .success(Metadata()) : .failure(status))
      }
      for waiter in last.endWaiters { waiter.resume(returning: (status, trailers)) }
      // A reader that waits has taken everything.
      if let reader = last.reader, let answer = last.take() { reader.resume(returning: answer) }
    }
  }
}

extension Channel {
  /// Begins a streaming call, client-, server- or bidirectional: the three differ only in how many messages each side sends.
  public func stream(_ path: String, options: CallOptions = CallOptions()) -> ClientStream { ClientStream(self, path, options) }
}
