// Every limit of the transport, by name, with its sum. What happens at a limit is said beside it.

public struct Limits: Sendable {
  // Connections.

  /// Accepted connections per server. Further ones are closed at once.
  public var connectionsMax = 65_536
  /// Accepted connections from one IPv4 address or IPv6 /64 network. Further ones are closed at once. Zero: no limit, because
  /// behind a proxy every client has the same address.
  public var connectionsPerPeerMax = 0
  /// From accept to a complete HTTP/2 preface; then the connection is closed.
  public var handshakeMilliseconds = 10_000
  /// A connection without streams for this long is sent GOAWAY. Zero: never (as gRPC's default).
  public var idleMilliseconds = 0
  /// A connection this old, give or take a tenth so that a fleet's do not end together, is sent GOAWAY. Zero: never.
  public var connectionAgeMilliseconds = 0
  /// What its streams have left after that; then it is cut. Zero: for ever.
  public var connectionAgeGraceMilliseconds = 0
  /// A peer that has said nothing for this long is asked by a PING, with or without streams. gRPC's default. Zero: never.
  public var keepaliveMilliseconds = 7_200_000
  /// From there to its answer, or any other byte; then the connection is closed.
  public var keepaliveTimeoutMilliseconds = 20_000
  /// Between two PINGs of a client that is sent nothing meanwhile. gRPC's default is five minutes; but a ping costs about 10 µs,
  /// and ten thousand clients that ping every ten seconds a hundredth of a processor.
  public var pingMillisecondsMin = 10_000
  /// The same on a connection without streams. gRPC's default: two hours, unless pings without calls are permitted.
  public var idlePingMillisecondsMin = 10_000
  /// PINGs that come sooner, before the connection is closed with "too_many_pings". gRPC's default. Zero: any number.
  public var pingStrikesMax = 2

  // Who is slow on purpose. Looked at by one timer per connection that runs while streams are open, not per request.

  /// From the beginning of a header block to its end; then the connection is closed.
  public var headerMilliseconds = 10_000
  /// A request's body that the handler waits for: at least `bodyBytesPerSecondMin` in each `bodyMilliseconds`, averaged over
  /// them; else the handler is told, and by default resets the stream. Kestrel's numbers: a modem brings twenty times as much.
  /// Zero: as slow as it likes.
  public var bodyBytesPerSecondMin = 240
  public var bodyMilliseconds = 5_000
  /// Bytes of an answer that wait for the peer, in the socket or for its window: at least `answerBytesPerSecondMin` must go in
  /// each `writeStallMilliseconds`; else the connection is closed (the socket) or the stream reset (the window). An answer in
  /// pieces may wait for its window as long as its reader likes: it holds no more than `streamBacklogBytesMax`.
  public var answerBytesPerSecondMin = 240
  public var writeStallMilliseconds = 60_000
  var answerBytesPerStallMin: Int { max(1, answerBytesPerSecondMin.multipliedClamped(by: writeStallMilliseconds) / 1000) }
  var bodyBytesPerLookMin: Int { bodyBytesPerSecondMin.multipliedClamped(by: bodyMilliseconds) / 1000 }
  /// How often a connection with open streams is looked at: often enough that a time limit is overstepped by a quarter at most.
  var lookMilliseconds: Int {
    max(1, min(headerMilliseconds, bodyMilliseconds, writeStallMilliseconds) / 4)
  }

  // TLS. The handshake as a whole has `handshakeMilliseconds`.

  /// Bytes of a peer's handshake; then it is broken off. OpenSSL takes 100 KB of certificates, and 28 KB is room for the rest.
  public var tlsHandshakeBytesMax = 128 << 10
  /// Key updates, tickets and warnings that a peer may send on one connection; then it is closed. RFC 8446 §5.5 wants a new key
  /// every 2^24 full records, so a thousand updates last for a quarter of a petabyte.
  public var tlsEventsMax = 1024

  // What takes a loop long: handshakes, large messages to inflate or deflate.

  /// Microseconds of each of a loop's turns for all of that together; what has not been done by then waits for the next turn. A
  /// handshake that began before takes its half millisecond, so that is what others may have to wait.
  public var choreMicrosecondsPerTurn = 250
  /// Handshakes that wait for their turn on a loop: half a second's worth, when there is nothing else to do. Beyond: a connection
  /// of the peer that has most waiting is closed.
  public var handshakesWaitingMax = 1024

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
  // the wire and in the kernel's buffers, not what a call may hold: that is for the sums of bytes below.

  /// SETTINGS_INITIAL_WINDOW_SIZE: a 4 MB tensor in one flight.
  public var streamWindowBytes = 4 << 20
  /// What a stream's window grows to when a longer message is announced on it: 64 MB in five round trips, or 320 MB/s at 50 ms.
  public var streamWindowBytesMax = 16 << 20
  /// The connection's window: four streams at their first window, or one at its largest.
  public var connectionWindowBytes = 16 << 20
  /// Bytes of paused streams that the handlers hold and the peer's connection window is given back for. Beyond: neighbours of
  /// the paused streams wait with them. Half the window, so that they can move at all.
  var pausedBytesMax: Int { connectionWindowBytes / 2 }
  /// SETTINGS_MAX_FRAME_SIZE. nghttp2 does not gather DATA, so large frames cost us no memory and save headers.
  public var frameBytesMax = 256 << 10

  // Sums of bytes. A request lives in the memory three times at most (its body, its tensors, its answer) and models need room
  // beside them: a quarter of what the process may use for bodies, a quarter for answers.

  /// Request bodies held by the server, all connections together. Beyond: the body that would grow is refused.
  public var bodyBytesMax = Memory.usable / 4
  /// Of these, an eighth is for bodies no longer than `smallBodyBytes`: whoever fills the rest with long ones, short requests go on.
  var smallBodiesBytes: Int { bodyBytesMax / 8 }
  static let smallBodyBytes = 64 << 10
  /// Request bodies held for one connection, all its streams together. Beyond: that stream's body is refused.
  /// One message of gRPC's largest size, and a second one of ordinary size beside it, but never more than half of the server's.
  public var bodyBytesPerConnectionMax = min(Int(Int32.max) + (64 << 20), Memory.usable / 8)
  /// Response bytes that wait for their peers, all connections together. Beyond: the connection that has most waiting is closed.
  public var answerBytesMax = Memory.usable / 4
  /// Bytes of a body in pieces that wait before its writer is asked to wait: four frames of the default size. It hears
  /// `writable` at half of that.
  public var streamBacklogBytesMax = 64 << 10
  /// Response bytes that one connection may have waiting. Beyond: the connection is closed, its peer is not reading. As much as
  /// `bodyBytesPerConnectionMax`, for the same reasons.
  public var writeBacklogBytesMax = min(Int(Int32.max) + (64 << 20), Memory.usable / 8)
  /// With more than this waiting behind a full socket, no more requests are read from the connection until the socket is empty.
  public var readAheadBytesMax = 1 << 20

  // HTTP/1.1. `headerListBytesMax` holds there too, for the list and for the lines it came in; `headerMilliseconds` counts from a
  // request's first byte and is answered 408, as is a body slower than `bodyBytesPerSecondMin`.

  /// A request's target. Beyond: 414. RFC 9112 §3 asks for 8000 bytes of request line at least.
  public var targetBytesMax = 8_192
  /// One request's body. Beyond: 413. A connection has one request at a time, so it is what the connection may hold.
  public var requestBodyBytesMax = min(Int(Int32.max) + (64 << 20), Memory.usable / 8)
  /// Extensions of the chunks of one body, all together; nobody reads them. Beyond: 400.
  public var chunkExtensionBytesMax = 4_096
  /// Bytes kept that belong behind a request which is not answered, or to a body whose handler has paused: one read. Meanwhile
  /// nothing more is read.
  public var pipelinedBytesMax = Quantum.readBytes
  /// Bytes of a body that nobody wants, read and thrown away so that the connection can go on. Beyond: it ends.
  public var discardedBytesMax = 1 << 20
  /// Between requests; then the connection is closed. Longer than the load balancers in front keep theirs (600 s is the longest),
  /// so that none of them asks just when we close. Zero: never.
  public var requestIdleMilliseconds = 620_000
  /// How long a peer may still send behind the last answer before the socket is closed upon it.
  public var lingerMilliseconds = 2_000

  // Floods: frames that cost us work and the peer nothing. Budgets refill by the second; at zero: GOAWAY
  // ENHANCE_YOUR_CALM. A client may cancel every call it makes, so resets are counted generously.

  /// Streams that end by RST_STREAM, ours or theirs (CVE-2023-44487, CVE-2025-8671).
  public var resetsPerSecond = 2_000
  public var resetsBurst = 4_000
  /// Header lists beyond this multiple of `headerListBytesMax` are not even answered 431: the stream is reset, and the rest of
  /// the block decoded without a look. A block of 16 KB can name a million bytes of the dynamic table and keeps us busy for
  /// 400 µs, so it counts for as many resets as that.
  public var headerListFactorMax = 4
  static let resetsPerHeaderBomb = 64
  /// PING, SETTINGS, PRIORITY, unknown and empty DATA frames together. A SETTINGS frame that moves the windows of open streams
  /// counts for one more per `streamsPerSettingsCharge` of them: that is the work it makes.
  public var controlFramesPerSecond = 1_000
  public var controlFramesBurst = 2_000
  static let streamsPerSettingsCharge = 16
  /// WINDOW_UPDATE frames: a peer that reads well sends many.
  public var windowUpdatesPerSecond = 100_000
  public var windowUpdatesBurst = 200_000
  /// SETTINGS entries in one frame, and answers (SETTINGS and PING acknowledgements) waiting to be sent.
  public var settingsEntriesMax = 32
  /// Beyond the second: GOAWAY ENHANCE_YOUR_CALM, the peer does not read. More than a burst, which is charged first.
  public var outboundAcknowledgementsMax = 4_000

  // Memory kept for the next request.

  /// Finished streams kept per loop for reuse: what two busy connections use at once.
  public var pooledStreamsMax = 2 * 1024
  /// A finished stream keeps buffers up to this size; larger ones go back to the allocator.
  public var pooledBufferBytesMax = 16 << 10
  /// Larger buffers kept per loop: sixteen 600 KB image tensors and their growth, one large batch.
  public var pooledLargeBytesMax = 32 << 20

  public init() {}
}

// MARK: names

extension Limits {
  /// A limit as operators write it: the property's name in lower case with underscores.
  public struct Named: Sendable {
    public let name: String
    public let path: any WritableKeyPath<Limits, Int> & Sendable

    init(_ name: String, _ path: any WritableKeyPath<Limits, Int> & Sendable) {
      self.name = name
      self.path = path
    }
  }

  /// Every limit that can be set.
  public static let named: [Named] = [
    Named("connections_max", \.connectionsMax),
    Named("connections_per_peer_max", \.connectionsPerPeerMax),
    Named("handshake_milliseconds", \.handshakeMilliseconds),
    Named("idle_milliseconds", \.idleMilliseconds),
    Named("connection_age_milliseconds", \.connectionAgeMilliseconds),
    Named("connection_age_grace_milliseconds", \.connectionAgeGraceMilliseconds),
    Named("keepalive_milliseconds", \.keepaliveMilliseconds),
    Named("keepalive_timeout_milliseconds", \.keepaliveTimeoutMilliseconds),
    Named("ping_milliseconds_min", \.pingMillisecondsMin),
    Named("idle_ping_milliseconds_min", \.idlePingMillisecondsMin),
    Named("ping_strikes_max", \.pingStrikesMax),
    Named("header_milliseconds", \.headerMilliseconds),
    Named("body_bytes_per_second_min", \.bodyBytesPerSecondMin),
    Named("body_milliseconds", \.bodyMilliseconds),
    Named("answer_bytes_per_second_min", \.answerBytesPerSecondMin),
    Named("write_stall_milliseconds", \.writeStallMilliseconds),
    Named("tls_handshake_bytes_max", \.tlsHandshakeBytesMax),
    Named("tls_events_max", \.tlsEventsMax),
    Named("chore_microseconds_per_turn", \.choreMicrosecondsPerTurn),
    Named("handshakes_waiting_max", \.handshakesWaitingMax),
    Named("streams_per_connection_max", \.streamsPerConnectionMax),
    Named("header_list_bytes_max", \.headerListBytesMax),
    Named("continuations_max", \.continuationsMax),
    Named("stream_window_bytes", \.streamWindowBytes),
    Named("stream_window_bytes_max", \.streamWindowBytesMax),
    Named("connection_window_bytes", \.connectionWindowBytes),
    Named("frame_bytes_max", \.frameBytesMax),
    Named("body_bytes_max", \.bodyBytesMax),
    Named("body_bytes_per_connection_max", \.bodyBytesPerConnectionMax),
    Named("answer_bytes_max", \.answerBytesMax),
    Named("stream_backlog_bytes_max", \.streamBacklogBytesMax),
    Named("write_backlog_bytes_max", \.writeBacklogBytesMax),
    Named("read_ahead_bytes_max", \.readAheadBytesMax),
    Named("target_bytes_max", \.targetBytesMax),
    Named("request_body_bytes_max", \.requestBodyBytesMax),
    Named("chunk_extension_bytes_max", \.chunkExtensionBytesMax),
    Named("pipelined_bytes_max", \.pipelinedBytesMax),
    Named("discarded_bytes_max", \.discardedBytesMax),
    Named("request_idle_milliseconds", \.requestIdleMilliseconds),
    Named("linger_milliseconds", \.lingerMilliseconds),
    Named("resets_per_second", \.resetsPerSecond),
    Named("resets_burst", \.resetsBurst),
    Named("header_list_factor_max", \.headerListFactorMax),
    Named("control_frames_per_second", \.controlFramesPerSecond),
    Named("control_frames_burst", \.controlFramesBurst),
    Named("window_updates_per_second", \.windowUpdatesPerSecond),
    Named("window_updates_burst", \.windowUpdatesBurst),
    Named("settings_entries_max", \.settingsEntriesMax),
    Named("outbound_acknowledgements_max", \.outboundAcknowledgementsMax),
    Named("pooled_streams_max", \.pooledStreamsMax),
    Named("pooled_buffer_bytes_max", \.pooledBufferBytesMax),
    Named("pooled_large_bytes_max", \.pooledLargeBytesMax),
  ]
}

extension Limits {
  var request: RequestLimits {
    RequestLimits(
      targetBytesMax: targetBytesMax, headerListBytesMax: headerListBytesMax, bodyBytesMax: requestBodyBytesMax,
      chunkExtensionBytesMax: chunkExtensionBytesMax, settingsEntriesMax: settingsEntriesMax)
  }
}

extension Int {
  fileprivate func multipliedClamped(by other: Int) -> Int {
    let (product, overflow) = multipliedReportingOverflow(by: other)
    return overflow ? .max : product
  }
}

/// How a loop reads and writes.
enum Quantum {
  /// One read per readable event, into one buffer per loop: a 224x224x3 float tensor in three reads.
  static let readBytes = 256 << 10
  /// The same when most of it goes where it belongs: the buffer is then hardly touched.
  static let landingBytes = 1 << 20
  /// Read per connection and turn, so that one large message does not keep the others waiting; the last read may go beyond.
  static let turnBytes = 1 << 20
  /// A peer that sends at least this much at once is worth waiting for, when at least as much is still to come.
  static let patientFromBytes = 16 << 10
  /// The most that is waited for: what one turn reads.
  static let patientBytesMax = turnBytes
  /// DATA frames shorter than this are not worth a place of their own in a read.
  static let landingFrameBytesMin = 4096
  /// Room in the kernel for a near peer that sends long bodies.
  static let bulkReceiveBytes = 4 << 20
  /// Where the bodies of messages are read to their places, the first read of the next one fetches little more than its head.
  static let firstReadBytes = 64 << 10
  /// A wait ends when nothing was read for this long.
  static let patientMilliseconds = 1
  /// Bytes pulled from nghttp2 before they are written: bounds the copy when a socket is full.
  static let writeBytes = 256 << 10
  /// Writes per connection and turn, so that one large answer does not keep the others waiting.
  static let writesPerTurn = 8
  /// Bodies at least this long are written from where they stand; shorter ones are copied beside their headers.
  static let gatherBytes = 4096
  /// What a loop keeps of the buffer for sealed records: a full outbox, its last frame and the records' heads.
  static let sealedBytesKept = 512 << 10
  /// Accepts per readable event.
  static let acceptsPerTurn = 64
  /// How long accepting pauses when the process has no descriptor left.
  static let acceptPauseMilliseconds: UInt64 = 100
}
