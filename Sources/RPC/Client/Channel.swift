// A channel: calls to the servers behind a name, over connections that are made when calls want them, shared by all calls
// and made again when they are lost.
//
//   target ─► Resolver ─► addresses ─► Place (an address, its pool) ─► Lane (`Subchannel`) ─► Link ─► HTTP2Connection
//                                          ▲
//   call ─► `Picker` ──────────────────────┘      no room, or not connected yet: `WaitingLine`
//             ▲                                   ended badly: `RetryState`, `RetryBudget`
//             └──────── again ◄─ call
//
// Each decision is a value in a file of its own, tested without a socket; `ChannelCore` carries them out on one loop.
public import HTTP
internal import Synchronization

public final class Channel: Sendable {
  public struct Configuration: Sendable {
    /// Which of several addresses takes a call.
    public var loadBalancing = LoadBalancing.roundRobin
    /// Connections to one address. A second is made when every stream that the server allows on the first is in use.
    public var connectionsPerAddressMax = 4
    /// Until the server has said its SETTINGS.
    public var connectTimeout = Duration.seconds(20)
    /// After a failed attempt, before the next to the same address.
    public var backoff = Backoff()
    /// Between two look-ups of the name.
    public var resolveInterval = Duration.seconds(30)
    /// `.pickFirst`: the head start that an address gets over the next (RFC 8305 §5).
    public var attemptStagger = Duration.milliseconds(250)
    public var keepalive = Keepalive()
    /// Which failed calls are made again; nil: only those that no server has seen.
    public var retry: RetryPolicy?
    public var retryBudget = RetryBudget()
    /// The largest response message.
    public var responseBytesMax = Int(Int32.max)
    /// Calls that wait for a connection, or for room on one; further ones fail with RESOURCE_EXHAUSTED.
    public var waitingCallsMax = 65_536
    /// Certificates to speak TLS with, whom to trust among them; nil: plain.
    public var tls: CertificateStore?
    /// What the server's certificate must say; nil: the target's name or address.
    public var tlsServerName: String?
    /// `:authority`; nil: from the target.
    public var authority: String?
    /// Stands before our own name in `user-agent`.
    public var userAgentPrefix: String?
    public init() {}
  }

  public let target: Target
  let loop: EventLoop
  let core: ChannelCore

  /// - Parameter loop: where the channel lives; nil: the process's client loop.
  public init(to target: Target, on loop: EventLoop? = nil, configuration: Configuration = Configuration()) {
    self.target = target
    self.loop = loop ?? ClientLoop.shared
    core = ChannelCore(target, configuration, self.loop)
  }

  public convenience init(to endpoint: Endpoint, on loop: EventLoop? = nil, configuration: Configuration = Configuration()) {
    self.init(to: Target(endpoint), on: loop, configuration: configuration)
  }

  deinit { loop.enqueue { [core] in core.close() } }

  /// Connects without waiting for the first call.
  public func connect() { loop.enqueue { [core] in core.connect() } }

  /// Ends every call with CANCELLED and closes the connections.
  public func close() { loop.enqueue { [core] in core.close() } }

  /// Whether calls can be made now. The best of what the addresses are.
  public func connectivity() async -> Connectivity {
    await withCheckedContinuation { continuation in
      loop.enqueue { [core] in continuation.resume(returning: core.connectivity) }
    }
  }
}

// MARK: unary calls

extension Channel {
  /// Calls `path` with a message of `byteCount` bytes written by `fill`.
  /// - Throws: the status that the server gave, or ours: UNAVAILABLE, DEADLINE_EXCEEDED, CANCELLED, RESOURCE_EXHAUSTED,
  ///   INTERNAL.
  public func unary(
    _ path: String, byteCount: Int, options: CallOptions = CallOptions(), _ fill: (inout OutputRawSpan) -> Void
  ) async throws(Status) -> Response {
    let result = await run(path, try framed(byteCount, options, fill), options)
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
      let body = try framed(request.count, options) { $0.append(contentsOf: request) }
      let call = UnaryClientCall(path, body, options, core, completion)
      if loop.isCurrent { call.start() } else { loop.enqueue { call.start() } }
      return call
    } catch {
      completion(.failure(error))
      return nil
    }
  }

  private func run(_ path: String, _ body: consuming ByteBuffer, _ options: CallOptions) async -> Result<Response, Status> {
    let box = ContinuationBox<Result<Response, Status>>()
    let call = UnaryClientCall(path, body, options, core) { box.resume($0) }
    return await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        box.set(continuation)
        loop.enqueue { call.start() }
      }
    } onCancel: {
      call.cancel()
    }
  }

  private func framed(
    _ byteCount: Int, _ options: CallOptions, _ fill: (inout OutputRawSpan) -> Void
  ) throws(Status) -> ByteBuffer {
    var body = ByteBuffer()
    // A compressor for this call alone: its work is done on the caller's thread, not on the loop.
    var codecs = Codecs()
    guard body.append(messageOf: byteCount, compressed: options.compression?.offLoop, with: &codecs, fill) else {
      throw Status(.resourceExhausted, "no room for a request of \(byteCount) bytes")
    }
    return body
  }
}

/// Hands one value to one continuation, once.
final class ContinuationBox<Value: Sendable>: Sendable {
  private let slot = Mutex<CheckedContinuation<Value, Never>?>(nil)

  func set(_ continuation: CheckedContinuation<Value, Never>) { slot.withLock { $0 = continuation } }

  func resume(_ value: Value) {
    let continuation = slot.withLock { slot in
      defer { slot = nil }
      return slot
    }
    continuation?.resume(returning: value)
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
