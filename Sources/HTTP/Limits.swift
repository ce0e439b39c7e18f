// Every limit of the transport, by name, with its sum. What happens at a limit is said beside it.

public struct Limits: Sendable {
  // Connections.

  /// Accepted connections per server. Further ones are closed at once.
  public var connectionsMax = 65_536
  /// From accept to a complete HTTP/2 preface; then the connection is closed.
  public var handshakeMilliseconds = 10_000
  /// A connection without streams for this long is sent GOAWAY. Zero: never (as gRPC's default).
  public var idleMilliseconds = 0
  /// Bytes waiting for a peer that does not read, with no progress for this long: the connection is closed.
  public var writeStallMilliseconds = 60_000

  // TLS. The handshake as a whole has `handshakeMilliseconds`.

  /// Bytes of a peer's handshake; then it is broken off. OpenSSL takes 100 KB of certificates, and 28 KB is room for the rest.
  public var tlsHandshakeBytesMax = 128 << 10
  /// Key updates, tickets and warnings that a peer may send on one connection; then it is closed. RFC 8446 §5.5 wants a new key
  /// every 2^24 full records, so a thousand updates last for a quarter of a petabyte.
  public var tlsEventsMax = 1024

  // Streams.

  /// SETTINGS_MAX_CONCURRENT_STREAMS. Further ones are refused (REFUSED_STREAM) by nghttp2.
  public var streamsPerConnectionMax = 1024
  /// Bytes of a header list as RFC 9113 §6.5.2 counts them (name + value + 32 each). Beyond: 431, and the rest is not kept.
  public var headerListBytesMax = 16_384
  /// What a header block may hold of our memory: a list at the limit, plus one entry's head per possible field.
  var headerBlockBytesMax: Int { headerListBytesMax + 8 }
  /// CONTINUATION frames after one HEADERS; then the connection is closed.
  public var continuationsMax = 8

  // Flow control. Bodies are taken out of the window as they are assembled, so the windows bound what is in flight on
  // the wire, not what a call may hold; `bodyBytesPerConnectionMax` bounds that.

  /// SETTINGS_INITIAL_WINDOW_SIZE: a 4 MB tensor in one flight.
  public var streamWindowBytes = 4 << 20
  /// The connection's window: four streams at full window.
  public var connectionWindowBytes = 16 << 20
  /// SETTINGS_MAX_FRAME_SIZE. nghttp2 does not gather DATA, so large frames cost us no memory and save headers.
  public var frameBytesMax = 256 << 10
  /// Request bodies held for one connection, all its streams together. Beyond: that stream's body is refused.
  /// One message of gRPC's largest size, and a second one of ordinary size beside it.
  public var bodyBytesPerConnectionMax = Int(Int32.max) + (64 << 20)
  /// Bytes of a body in pieces that wait before its writer is asked to wait: four frames of the default size. It hears
  /// `writable` at half of that.
  public var streamBacklogBytesMax = 64 << 10
  /// Response bytes that one connection may have waiting. Beyond: the connection is closed, its peer is not reading.
  public var writeBacklogBytesMax = 1 << 30

  // HTTP/1.1. `headerListBytesMax` holds there too: for the list, and for the lines it came in.

  /// A request's target. Beyond: 414. RFC 9112 §3 asks for 8000 bytes of request line at least.
  public var targetBytesMax = 8_192
  /// One request's body. Beyond: 413. On HTTP/1.1 a connection has one request at a time, so it is the same sum.
  public var requestBodyBytesMax = Int(Int32.max) + (64 << 20)
  /// Extensions of the chunks of one body, all together; nobody reads them. Beyond: 400.
  public var chunkExtensionBytesMax = 4_096
  /// Bytes kept that belong behind a request which is not answered, or to a body whose handler has paused: one read. Meanwhile
  /// nothing more is read.
  public var pipelinedBytesMax = Quantum.readBytes
  /// Bytes of a body that nobody wants, read and thrown away so that the connection can go on. Beyond: it ends.
  public var discardedBytesMax = 1 << 20
  /// From a request's first byte to the end of its head. Then: 408.
  public var requestHeadMilliseconds = 10_000
  /// A body must bring so many bytes in each such time, while they are wanted: 34 bytes a second. Otherwise: 408.
  public var bodyProgressMilliseconds = 30_000
  public var bodyProgressBytes = 1024
  /// Between requests; then the connection is closed. Longer than the load balancers in front keep theirs (600 s is the longest),
  /// so that none of them asks just when we close. Zero: never.
  public var keepAliveMilliseconds = 620_000
  /// How long a peer may still send behind the last answer before the socket is closed upon it.
  public var lingerMilliseconds = 2_000

  // Floods: frames that cost us work and the peer nothing. Budgets refill by the second; at zero: GOAWAY
  // ENHANCE_YOUR_CALM. A client may cancel every call it makes, so resets are counted generously.

  /// Streams that end by RST_STREAM, ours or theirs (CVE-2023-44487, CVE-2025-8671).
  public var resetsPerSecond = 2_000
  public var resetsBurst = 4_000
  /// PING, SETTINGS, PRIORITY, unknown and empty DATA frames together.
  public var controlFramesPerSecond = 1_000
  public var controlFramesBurst = 4_000
  /// WINDOW_UPDATE frames: a peer that reads well sends many.
  public var windowUpdatesPerSecond = 100_000
  public var windowUpdatesBurst = 200_000
  /// SETTINGS entries in one frame, and answers (SETTINGS and PING acknowledgements) waiting to be sent.
  public var settingsEntriesMax = 32
  public var outboundAcknowledgementsMax = 1000

  // Memory kept for the next request.

  /// Finished streams kept per loop for reuse: what two busy connections use at once.
  public var pooledStreamsMax = 2 * 1024
  /// A finished stream keeps buffers up to this size; larger ones go back to the allocator.
  public var pooledBufferBytesMax = 16 << 10
  /// Larger buffers kept per loop: sixteen 600 KB image tensors and their growth, one large batch.
  public var pooledLargeBytesMax = 32 << 20

  public init() {}
}

/// How a loop reads and writes.
enum Quantum {
  /// One read per readable event, into one buffer per loop: a 224x224x3 float tensor in three reads.
  static let readBytes = 256 << 10
  /// Bytes pulled from nghttp2 before they are written: bounds the copy when a socket is full.
  static let writeBytes = 256 << 10
  /// Writes per connection and turn, so that one large answer does not keep the others waiting.
  static let writesPerTurn = 8
  /// Bodies at least this long are written from where they stand; shorter ones are copied beside their headers.
  static let gatherBytes = 4096
  /// Accepts per readable event.
  static let acceptsPerTurn = 64
  /// How long accepting pauses when the process has no descriptor left.
  static let acceptPauseMilliseconds: UInt64 = 100
}
