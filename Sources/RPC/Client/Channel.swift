// A channel: calls to one server over one HTTP/2 connection, made when the first call wants it and made again when it
// is lost.
//
//   idle ─► connecting ─► ready ─► (GOAWAY, loss) ─► idle
//               │                                     ▲
//               └─► failed: back-off, calls fail ─────┘
//
// Names, and nothing about balancing: one endpoint. Names are resolved on the loop, so prefer numeric addresses.
public import HTTP
internal import Synchronization

public final class Channel: Sendable {
  public struct Configuration: Sendable {
    /// The largest response message.
    public var responseBytesMax = Int(Int32.max)
    public var connectTimeout = Duration.seconds(20)
    /// gRPC's connection back-off: 1 s, times 1.6, up to 120 s, give or take a fifth.
    public var backoffBase = Duration.seconds(1)
    public var backoffMax = Duration.seconds(120)
    /// Calls that wait for a connection; further ones fail with RESOURCE_EXHAUSTED.
    public var waitingCallsMax = 65_536
    public init() {}
  }

  public let endpoint: Endpoint
  private let loop: EventLoop
  private let core: ChannelCore
  private let configuration: Configuration

  /// - Parameter loop: where the channel lives; nil: the process's client loop.
  public init(to endpoint: Endpoint, on loop: EventLoop? = nil, configuration: Configuration = Configuration()) {
    self.endpoint = endpoint
    self.configuration = configuration
    self.loop = loop ?? ClientLoop.shared
    core = ChannelCore(endpoint, configuration, self.loop)
  }

  deinit { loop.enqueue { [core] in core.close() } }

  /// Calls `path` with a message of `byteCount` bytes written by `fill`.
  /// - Throws: the status that the server gave, or ours: UNAVAILABLE, DEADLINE_EXCEEDED, CANCELLED, INTERNAL.
  public func unary(
    _ path: String, byteCount: Int, options: CallOptions = CallOptions(), _ fill: (inout OutputRawSpan) -> Void
  ) async throws(Status) -> Response {
    let body = try framed(byteCount, fill)
    let result = await run(path, body, options)
    return try result.get()
  }

  public func unary(_ path: String, _ request: [UInt8], options: CallOptions = CallOptions()) async throws(Status) -> Response {
    try await unary(path, byteCount: request.count, options: options) { $0.append(contentsOf: request) }
  }

  /// The same with a callback, which runs on the channel's loop and must not block it.
  @discardableResult
  public func unary(
    _ path: String, _ request: [UInt8], options: CallOptions = CallOptions(),
    completion: @escaping @Sendable (Result<Response, Status>) -> Void
  ) -> ClientCall? {
    do throws(Status) {
      let body = try framed(request.count) { $0.append(contentsOf: request) }
      let call = makeCall(path, body, options, completion)
      start(call)
      return call
    } catch {
      completion(.failure(error))
      return nil
    }
  }

  /// Ends every call with CANCELLED and closes the connection.
  public func close() { loop.enqueue { [core] in core.close() } }

  private func run(_ path: String, _ body: consuming ByteBuffer, _ options: CallOptions) async -> Result<Response, Status> {
    let slot = Mutex<CheckedContinuation<Result<Response, Status>, Never>?>(nil)
    let box = ContinuationBox(slot)
    let call = makeCall(path, body, options) { box.resume($0) }
    return await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        box.set(continuation)
        start(call)
      }
    } onCancel: {
      call.cancel()
    }
  }

  private func start(_ call: ClientCall) { loop.enqueue { [core] in core.start(call) } }

  private func makeCall(
    _ path: String, _ body: consuming ByteBuffer, _ options: CallOptions, _ completion: @escaping ClientCall.Completion
  ) -> ClientCall {
    ClientCall(
      path: path, body: body, options: options, responseBytesMax: configuration.responseBytesMax, on: loop,
      completion: completion)
  }

  private func framed(_ byteCount: Int, _ fill: (inout OutputRawSpan) -> Void) throws(Status) -> ByteBuffer {
    var body = ByteBuffer()
    let fits = byteCount >= 0 && byteCount <= Int(UInt32.max)
    guard fits, body.append(byteCount: MessageAssembler.prefixCount + byteCount, { output in
      output.appendPrefix(messageLength: byteCount)
      fill(&output)
    }) else { throw Status(.resourceExhausted, "no room for a request of \(byteCount) bytes") }
    return body
  }
}

extension OutputRawSpan {
  @_lifetime(self: copy self)
  fileprivate mutating func append(contentsOf bytes: [UInt8]) {
    for byte in bytes { append(byte) }
  }
}

/// A continuation that may be asked for twice (an answer, a cancellation) and resumes once.
private final class ContinuationBox: Sendable {
  private let slot: Mutex<CheckedContinuation<Result<Response, Status>, Never>?>
  init(_ slot: consuming Mutex<CheckedContinuation<Result<Response, Status>, Never>?>) { self.slot = slot }

  func set(_ continuation: CheckedContinuation<Result<Response, Status>, Never>) { slot.withLock { $0 = continuation } }

  func resume(_ result: Result<Response, Status>) {
    let continuation = slot.withLock { slot in
      defer { slot = nil }
      return slot
    }
    continuation?.resume(returning: result)
  }
}

/// The loop of channels that were given none.
enum ClientLoop {
  static let shared: EventLoop = {
    do {
      let loop = try EventLoop()
      loop.start()
      return loop
    } catch {
      // Without two descriptors for a loop there is no client: the process is out of them at its very start.
      fatalError("client loop: \(error)")
    }
  }()
}

/// The channel's state; confined to its loop.
private final class ChannelCore: ConnectionObserver, TimerTarget, @unchecked Sendable {
  private enum State {
    case idle
    case connecting(HTTP2Connection)
    case ready(HTTP2Connection)
    /// The last attempt failed; the next is made when the timer fires or, after it, when a call comes.
    case failed(Status)
    case closed
  }

  private let endpoint: Endpoint
  private let configuration: Channel.Configuration
  private let loop: EventLoop
  private var state = State.idle
  private var waiting: [ClientCall] = []
  private var leaving: [HTTP2Connection] = []
  private var failures = 0
  private var timer = TimerID.none

  init(_ endpoint: Endpoint, _ configuration: Channel.Configuration, _ loop: EventLoop) {
    self.endpoint = endpoint
    self.configuration = configuration
    self.loop = loop
  }

  private var authority: String {
    switch endpoint {
    case .tcp: endpoint.description
    case .unix: "localhost"
    }
  }

  func start(_ call: ClientCall) {
    guard call.begin() else { return }
    switch state {
    case .ready(let connection):
      if !call.send(on: connection, authority: authority) {
        call.giveUp(Status(.unavailable, "the connection takes no more calls"))
        lose(connection)
      }
    case .connecting: wait(call)
    case .idle:
      wait(call)
      connect()
    case .failed(let status):
      if call.options.waitForReady { wait(call) } else { call.giveUp(status) }
    case .closed: call.giveUp(Status(.cancelled, "the channel is closed"))
    }
  }

  private func wait(_ call: ClientCall) {
    if waiting.count >= configuration.waitingCallsMax {
      return call.giveUp(Status(.resourceExhausted, "\(waiting.count) calls wait for a connection"))
    }
    waiting.append(call)
  }

  private func connect() {
    do throws(SocketError) {
      let connection = try HTTP2Connection.connect(to: endpoint, on: loop, observer: self)
      state = .connecting(connection)
      arm(configuration.connectTimeout)
    } catch {
      fail(error.description)
    }
  }

  private func arm(_ duration: Duration) {
    loop.cancel(timer)
    timer = loop.schedule(at: loop.now.advanced(byNanoseconds: duration.clampedNanoseconds), self)
  }

  func timerFired(_ timer: TimerID) {
    self.timer = .none
    switch state {
    case .connecting(let connection): connection.abort()
    case .failed:
      state = .idle
      waiting.removeAll { $0.isFinished }
      if !waiting.isEmpty { connect() }
    default: break
    }
  }

  private func fail(_ reason: String) {
    let status = Status(.unavailable, "failed to connect to \(endpoint): \(reason)")
    state = .failed(status)
    failures += 1
    let base = configuration.backoffBase.clampedNanoseconds, most = configuration.backoffMax.clampedNanoseconds
    var delay = Double(base)
    for _ in 1..<min(failures, 32) { delay *= 1.6 }
    arm(.nanoseconds(Int64(min(delay, Double(most)) * Double.random(in: 0.8...1.2))))
    let calls = waiting
    waiting = calls.filter { $0.options.waitForReady && !$0.isFinished }
    for call in calls where !call.options.waitForReady { call.giveUp(status) }
  }

  func connected(_ connection: HTTP2Connection) {
    state = .ready(connection)
    failures = 0
    loop.cancel(timer)
    timer = .none
    let calls = waiting
    waiting = []
    for call in calls where !call.isFinished { resume(call) }
  }

  private func resume(_ call: ClientCall) {
    guard case .ready(let connection) = state else { return wait(call) }
    if !call.send(on: connection, authority: authority) {
      call.giveUp(Status(.unavailable, "the connection takes no more calls"))
    }
  }

  func goingAway(_ connection: HTTP2Connection) { lose(connection) }

  /// No new calls on `connection`; those that it has finish.
  private func lose(_ connection: HTTP2Connection) {
    if case .ready(let current) = state, current === connection {
      state = .idle
      leaving.append(connection)
    }
  }

  func closed(_ connection: HTTP2Connection, _ reason: String) {
    leaving.removeAll { $0 === connection }
    switch state {
    case .connecting(let current) where current === connection: fail(reason)
    case .ready(let current) where current === connection: state = .idle
    default: break
    }
  }

  func close() {
    let last = state
    state = .closed
    loop.cancel(timer)
    for call in waiting { call.giveUp(Status(.cancelled, "the channel is closed")) }
    waiting = []
    switch last {
    case .connecting(let connection), .ready(let connection): connection.abort()
    default: break
    }
    for connection in leaving { connection.abort() }
  }
}
