// One exchange on a connection: a head and perhaps a body in, the same out. Pooled per loop, confined to it.
//
//   server:  application.opened(stream) ─► handler.received* ─► handler.ended ─► … answer … ─► handler.closed
//   client:  connection.request(…)      ─► handler.responded ─► handler.received* ─► handler.ended ─► handler.closed
//
// An answer is whole, `respond`, or comes in pieces: `begin` ─► `write`* ─► `end`. A client's request likewise: `request`
// with its body, or `open` ─► `write`* ─► `end`. Both directions can be held back: `write` says when the peer is behind
// (`handler.writable` when it has caught up), `pause` lets the peer run into its window.
//
// An answer to HEAD, a 204 and a 304 are over with their head (RFC 9110 §6.4.1), in HTTP/2 as in HTTP/1.1: a body, trailers and
// what `write` and `end` are given go nowhere, and `closed` need not wait for `end`. `content-length` may be there all the same.
//
// `closed` comes exactly once and last, whatever happened; after it the object belongs to the pool again.

/// Why a stream or a connection ended: HTTP/2's error codes (RFC 9113 §7).
public struct StreamError: RawRepresentable, Hashable, Sendable {
  public let rawValue: UInt32
  public init(rawValue: UInt32) { self.rawValue = rawValue }

  public static let none = StreamError(rawValue: 0x0)
  public static let protocolError = StreamError(rawValue: 0x1)
  public static let internalError = StreamError(rawValue: 0x2)
  public static let refused = StreamError(rawValue: 0x7)
  public static let cancelled = StreamError(rawValue: 0x8)
  /// RFC 9113 has no code for a connection that went away: the transport's own.
  public static let connectionLost = StreamError(rawValue: 0xffff_ffff)
  /// A request that never left, the transport's own as well: the server cannot have seen it.
  public static let unsent = StreamError(rawValue: 0xffff_fffe)
  public static let enhanceYourCalm = StreamError(rawValue: 0xb)
}

/// What happens on a stream, told on its loop.
public protocol StreamHandler: AnyObject {
  /// Client only: the head of the response is in `stream.head`.
  func responded(_ stream: HTTPStream)
  /// Bytes of the body, valid for this call.
  func received(_ bytes: RawSpan, on stream: HTTPStream)
  /// Lends the memory where the next bytes of the body belong, behind `lent` bytes that are lent already; empty: there is none,
  /// and bytes come by `received`. It is written to before anything else is asked of the handler, and `landed` tells how much.
  @unsafe func landing(behind lent: Int, on stream: HTTPStream) -> UnsafeMutableRawBufferPointer
  /// The next `count` bytes of the body are where `landing` has said, behind those that landed before.
  func landed(_ count: Int, on stream: HTTPStream)
  /// The peer has sent everything; on a client `stream.trailers` are in.
  func ended(_ stream: HTTPStream)
  /// The peer has caught up: `write` was told to wait and there is room again.
  func writable(_ stream: HTTPStream)
  /// Bytes that the handler waits for (`stream.expectsBytes`) come more slowly than the limits allow.
  func starved(_ stream: HTTPStream)
  /// The stream is gone. `.none`: both sides finished.
  func closed(_ stream: HTTPStream, _ error: StreamError)
}

extension StreamHandler {
  public func responded(_ stream: HTTPStream) {}
  @unsafe public func landing(behind lent: Int, on stream: HTTPStream) -> UnsafeMutableRawBufferPointer {
    unsafe UnsafeMutableRawBufferPointer(start: nil, count: 0)
  }
  public func landed(_ count: Int, on stream: HTTPStream) {}
  public func writable(_ stream: HTTPStream) {}
  public func starved(_ stream: HTTPStream) { stream.reset(.enhanceYourCalm) }
}

/// The layer above a server's connections, one object per loop.
public protocol HTTPApplication: AnyObject {
  /// A request's head is in `stream.head`. Set `stream.handler`, or answer at once.
  func opened(_ stream: HTTPStream)
  /// A request's header list was larger than `Limits.headerListBytesMax`; `stream.head` holds what came before it was.
  /// Answers at once.
  func refusedHead(_ stream: HTTPStream)
  /// The loop ends; no stream is open any more. The place to break cycles.
  func stopped()
}

extension HTTPApplication {
  /// RFC 6585 §5.
  public func refusedHead(_ stream: HTTPStream) {
    stream.respond(StaticFields.headTooLarge, FieldList())
  }

  public func stopped() {}
}

@safe public final class HTTPStream {
  public let loop: EventLoop
  public internal(set) var id: Int32 = 0
  /// The request's fields on a server, the response's on a client.
  public internal(set) var head = HeaderBlock()
  /// Fields after the body.
  public internal(set) var trailers = HeaderBlock()
  public var handler: (any StreamHandler)?
  /// The body to be sent, whole. Filled before `respond` or `request`.
  public var body = ByteBuffer()

  /// The connection while the stream is open. It outlives its streams: it closes each before it goes.
  var connection: Unmanaged<Connection>?
  var position = 0
  var bodySent = 0
  var responseTrailers: StaticFields?
  /// The peer's header list or trailers went beyond `Limits.headerListBytesMax`: what follows the limit is not there.
  public internal(set) var headOverflowed = false
  /// Client: a response that is not interim is in `head`; what follows are trailers.
  var headIsFinal = false
  var isRemoteEnded = false
  var isSubmitted = false
  /// Nothing stands behind the head of this answer.
  var isBodiless = false
  /// Client: the request's head could not be sent.
  var isUnsent = false

  /// A body in pieces: what waits, and what stands behind it.
  var isStreaming = false
  var queue = SendQueue()
  var hasEnded = false
  var endFirst: StaticFields?
  var endMore = FieldList()
  var hasSubmittedTrailers = false
  var hasTrailers: Bool { endFirst != nil || !endMore.isEmpty }
  /// nghttp2 found the queue empty and waits to be told of more.
  var isDeferred = false
  /// `write` has answered false and `writable` is owed.
  var owesWritable = false

  /// How many more bytes of the body the handler must have before it can do anything with them, for all it knows now; the
  /// connection may let them gather. Zero: any byte may matter.
  public var bytesExpected = 0
  /// The peer owes the handler bytes and must be quick about it (`Limits.bodyBytesPerSecondMin`): a whole request, or the rest
  /// of a message that has begun. False: it may take its time.
  public var expectsBytes = false
  /// Bytes of a read being planned that this stream has lent memory for.
  var bytesLent = 0
  /// The stream whose DATA came behind ours the last time; 0: not known.
  var follower: Int32 = 0
  /// Bytes of the body so far, and whether they come fast enough.
  var bodyReceived = 0
  var bodyPace = Pace()
  /// The same for the answer, from its end.
  var answerPace = Pace()
  var windowHasGrown = false

  /// The handler wants no more for now.
  public internal(set) var isPaused = false
  /// Bytes received while paused, not given back to the peer's window yet: to the stream's, and to the connection's.
  var unconsumed = 0
  var unconsumedByConnection = 0
  /// Bytes received while paused that the connection's window was given back for.
  var pausedBytes = 0
  /// Request bytes the layer above holds for this stream; part of the connection's `bodyBytesHeld`.
  var bodyBytesHeld = 0

  /// Bytes of an answer that is in the making; part of the connection's `answerBytesWaiting`.
  var answerBytesHeld = 0

  init(loop: EventLoop) { self.loop = loop }

  /// The exchange is one of HTTP/2, not of HTTP/1.
  public var isHTTP2: Bool {
    guard let connection = unsafe connection else { return false }
    return unsafe connection._withUnsafeGuaranteedRef { $0.isHTTP2 }
  }

  public var isOpen: Bool { unsafe connection != nil }

  /// Sends `fields`, the `body` and `trailers`, all in one pass if the windows allow.
  public func respond(_ fields: StaticFields, trailers: StaticFields?) {
    guard let connection = unsafe connection, !isSubmitted else { return }
    isSubmitted = true
    responseTrailers = trailers
    // Our connection outlives us (see above).
    unsafe connection._withUnsafeGuaranteedRef { $0.submitResponse(self, fields) }
  }

  /// Sends `first` and `more` as a head that is also the end: gRPC's Trailers-Only, or an HTTP error without a body.
  public func respond(_ first: StaticFields, _ more: borrowing FieldList) {
    guard let connection = unsafe connection, !isSubmitted else { return }
    isSubmitted = true
    unsafe connection._withUnsafeGuaranteedRef { $0.submitHeadOnly(self, first, more) }
  }

  /// Sends a head; its body follows by `write` and is closed by `end`. Server only.
  public func begin(_ first: StaticFields, _ more: borrowing FieldList) {
    guard let connection = unsafe connection, !isSubmitted else { return }
    isSubmitted = true
    isStreaming = true
    unsafe connection._withUnsafeGuaranteedRef { $0.submitHead(self, first, more) }
  }

  /// Sends bytes of the body after `begin` (or a client's `open`).
  /// - Returns: false when more waits than `Limits.streamBacklogBytesMax`: the bytes are taken all the same, but more had
  ///   better wait for `handler.writable`.
  @discardableResult public func write(_ bytes: consuming ByteBuffer) -> Bool {
    guard let connection = unsafe connection, isStreaming, !hasEnded else { return false }
    return unsafe connection.takeUnretainedValue().write(self, bytes)
  }

  /// The body is complete.
  public func end() { end(nil, FieldList()) }

  /// The body is complete, and these are the fields behind it (trailers).
  public func end(_ first: StaticFields?, _ more: consuming FieldList) {
    guard let connection = unsafe connection, isStreaming, !hasEnded else { return }
    hasEnded = true
    endFirst = first
    endMore = more
    unsafe connection._withUnsafeGuaranteedRef { $0.wrote(self) }
  }

  /// The body's end has not been handed to the connection yet.
  public var hasMoreToSend: Bool { isStreaming ? !hasEnded || !queue.isEmpty : bodySent < body.count }

  /// Bytes written that the connection has not taken yet.
  public var bytesWaiting: Int { queue.count }

  /// The handler wants no more bytes for now. What is on its way still arrives, at most one window; then the peer waits.
  public func pause() { isPaused = true }

  public func resume() {
    guard isPaused else { return }
    isPaused = false
    guard let connection = unsafe connection else { return }
    unsafe connection._withUnsafeGuaranteedRef { $0.resumeInput(self) }
  }

  /// Ends the stream at once. `closed` follows.
  public func reset(_ error: StreamError) {
    guard let connection = unsafe connection else { return }
    unsafe connection._withUnsafeGuaranteedRef { $0.submitReset(self, error) }
  }

  /// Claims room for `count` more bytes of this request against the connection's limit.
  public func holdBody(_ count: Int) -> Bool {
    guard let connection = unsafe connection else { return false }
    return unsafe connection._withUnsafeGuaranteedRef { $0.holdBody(self, count) }
  }

  /// What `holdBody` would grant.
  public var bodyRoom: Int {
    guard let connection = unsafe connection else { return 0 }
    return unsafe connection._withUnsafeGuaranteedRef { $0.bodyRoom }
  }

  /// Gives `count` of the claimed bytes back: they have been dealt with.
  public func releaseBody(_ count: Int) {
    guard let connection = unsafe connection else { return }
    unsafe connection._withUnsafeGuaranteedRef { $0.releaseBody(of: self, count) }
  }

  /// Counts `count` bytes of an answer that is still in the making as waiting for the peer.
  public func holdAnswer(_ count: Int) {
    guard let connection = unsafe connection else { return }
    unsafe connection._withUnsafeGuaranteedRef { $0.holdAnswer(count) }
    answerBytesHeld += count
  }

  /// These bytes are to be sent, or will not be.
  public func releaseAnswer(_ count: Int) {
    guard let connection = unsafe connection else { return }
    precondition(count <= answerBytesHeld)
    answerBytesHeld -= count
    unsafe connection._withUnsafeGuaranteedRef { $0.releaseAnswer(count) }
  }

  public var peer: String {
    guard let connection = unsafe connection else { return "" }
    return unsafe connection._withUnsafeGuaranteedRef { $0.peer }
  }

  /// Forgets the exchange, keeps small buffers.
  func recycle(keeping capacityMax: Int) {
    id = 0
    head.clear(keeping: capacityMax)
    trailers.clear(keeping: capacityMax)
    body.clear(keeping: capacityMax)
    bodySent = 0
    responseTrailers = nil
    headOverflowed = false
    headIsFinal = false
    isRemoteEnded = false
    isSubmitted = false
    isBodiless = false
    isUnsent = false
    if isStreaming {
      isStreaming = false
      queue.removeAll()
      hasEnded = false
      hasSubmittedTrailers = false
      endFirst = nil
      endMore.removeAll()
      isDeferred = false
      owesWritable = false
    }
    bytesExpected = 0
    expectsBytes = false
    follower = 0
    bodyReceived = 0
    bodyPace.rest()
    answerPace.rest()
    windowHasGrown = false
    isPaused = false
    unconsumed = 0
    unconsumedByConnection = 0
    pausedBytes = 0
    bodyBytesHeld = 0
    answerBytesHeld = 0
  }
}
