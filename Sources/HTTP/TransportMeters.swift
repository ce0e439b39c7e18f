// What the transport counts: on each loop in a block of its own, added up when somebody asks.
internal import Synchronization
public import Telemetry

/// The words of a loop's block.
enum TransportMeter: Int, CaseIterable {
  case bytesReceived, bytesSent
  case streamsOpened1, streamsOpened2, streamsClosed1, streamsClosed2
  /// Streams that ended before their time, by the peer or by us.
  case streamsReset
  case handshakes, handshakesFailed
  /// A peer was told to calm down.
  case floods
}

extension EventLoop {
  func count(_ meter: TransportMeter, _ amount: Int = 1) { meters.add(UInt64(truncatingIfNeeded: amount), at: meter.rawValue) }
}

/// What the server counts when a connection comes or goes.
struct ConnectionMeters: ~Copyable {
  let accepted = Atomic<Int>(0)
  let refused = Atomic<Int>(0)
}

extension HTTPServer {
  private static let connectionsOpen = MetricDescription("martlet_connections_open", .gauge)
  private static let connectionsAccepted = MetricDescription("martlet_connections_accepted_total", .counter)
  private static let connectionsRefused = MetricDescription("martlet_connections_refused_total", .counter)
  private static let acceptPausesTotal = MetricDescription("martlet_accept_pauses_total", .counter)
  private static let bytesReceived = MetricDescription("martlet_transport_received_bytes_total", .counter)
  private static let bytesSent = MetricDescription("martlet_transport_sent_bytes_total", .counter)
  private static let streams = MetricDescription("martlet_streams_total", .counter, labels: ["protocol"])
  private static let streamsOpen = MetricDescription("martlet_streams_open", .gauge, labels: ["protocol"])
  private static let streamsReset = MetricDescription("martlet_streams_reset_total", .counter)
  private static let handshakes = MetricDescription("martlet_tls_handshakes_total", .counter, labels: ["result"])
  private static let floods = MetricDescription("martlet_floods_total", .counter)
  private static let bodyBytes = MetricDescription("martlet_request_buffer_bytes", .gauge)
  private static let answerBytes = MetricDescription("martlet_answer_buffer_bytes", .gauge)

  /// Everything the transport has counted so far, from any thread.
  public func pour(into snapshot: inout MetricsSnapshot) {
    func total(_ meter: TransportMeter) -> UInt64 { loops.reduce(0) { $0 &+ $1.meters[meter.rawValue] } }
    snapshot.add(connectionCount, to: HTTPServer.connectionsOpen)
    snapshot.add(connectionMeters.accepted.load(ordering: .relaxed), to: HTTPServer.connectionsAccepted)
    snapshot.add(connectionMeters.refused.load(ordering: .relaxed), to: HTTPServer.connectionsRefused)
    snapshot.add(acceptPauseCount, to: HTTPServer.acceptPausesTotal)
    snapshot.add(total(.bytesReceived), to: HTTPServer.bytesReceived)
    snapshot.add(total(.bytesSent), to: HTTPServer.bytesSent)
    for (name, opened, closed) in [("http1", TransportMeter.streamsOpened1, TransportMeter.streamsClosed1), ("http2", .streamsOpened2, .streamsClosed2)] {
      // Closed first: read the other way round, a stream that opens and closes in between would make the gauge negative.
      let closed = total(closed), opened = total(opened)
      snapshot.add(opened, to: HTTPServer.streams, [name])
      snapshot.add(Int(clamping: opened) - Int(clamping: closed), to: HTTPServer.streamsOpen, [name])
    }
    snapshot.add(total(.streamsReset), to: HTTPServer.streamsReset)
    snapshot.add(total(.handshakes), to: HTTPServer.handshakes, ["ok"])
    snapshot.add(total(.handshakesFailed), to: HTTPServer.handshakes, ["failed"])
    snapshot.add(total(.floods), to: HTTPServer.floods)
    snapshot.add(bodies.bytesTaken, to: HTTPServer.bodyBytes)
    snapshot.add(answers.bytesTaken, to: HTTPServer.answerBytes)
  }
}
