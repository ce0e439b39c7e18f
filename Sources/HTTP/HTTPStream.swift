// One exchange on a connection: a head and perhaps a body in, the same out. Pooled per loop, confined to it.
//
//   server:  application.opened(stream) ─► handler.received* ─► handler.ended ─► … respond … ─► handler.closed
//   client:  connection.request(…)      ─► handler.responded ─► handler.received* ─► handler.ended ─► handler.closed
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
  public static let enhanceYourCalm = StreamError(rawValue: 0xb)
}

/// What happens on a stream, told on its loop.
public protocol StreamHandler: AnyObject {
  /// Client only: the head of the response is in `stream.head`.
  func responded(_ stream: HTTPStream)
  /// Bytes of the body, valid for this call.
  func received(_ bytes: RawSpan, on stream: HTTPStream)
  /// The peer has sent everything; on a client `stream.trailers` are in.
  func ended(_ stream: HTTPStream)
  /// The stream is gone. `.none`: both sides finished.
  func closed(_ stream: HTTPStream, _ error: StreamError)
}

extension StreamHandler {
  public func responded(_ stream: HTTPStream) {}
}

/// The layer above a server's connections, one object per loop.
public protocol HTTPApplication: AnyObject {
  /// A request's head is in `stream.head`. Set `stream.handler`, or answer at once.
  func opened(_ stream: HTTPStream)
  /// The loop ends; no stream is open any more. The place to break cycles.
  func stopped()
}

extension HTTPApplication {
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
  var connection: Unmanaged<HTTP2Connection>?
  var position = 0
  var bodySent = 0
  var responseTrailers: StaticFields?
  var headOverflowed = false
  /// Client: a response that is not interim is in `head`; what follows are trailers.
  var headIsFinal = false
  var isRemoteEnded = false
  var isSubmitted = false
  /// Request bytes the layer above holds for this stream; part of the connection's `bodyBytesHeld`.
  var bodyBytesHeld = 0

  init(loop: EventLoop) { self.loop = loop }

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
    bodyBytesHeld = 0
  }
}
