// The page Prometheus reads, over a socket.
import Engine
import HTTP
import RPC
import Telemetry
import TestThreads
import Testing
import TransportSupport
import Wire

@testable import Catalog
@testable import Serving

@Suite(.blocking, .serialized, .timeLimit(.minutes(1))) struct MetricsPageTests {
  private func withServer(
    _ metrics: Metrics = Metrics(), _ change: (inout ServingOptions) -> Void = { _ in },
    _ body: (ScriptedPeer) async throws -> Void
  ) async throws {
    var options = ServingOptions()
    options.workers = 1
    change(&options)
    let server = try ModelServer(
      Catalog(), options, http: HTTPServer.Configuration(endpoints: [.tcp(host: "127.0.0.1", port: 0)], loops: 1),
      metrics: metrics)
    try server.start()
    do { try await body(ScriptedPeer(port: server.ports[0])) } catch {
      await server.drain(deadline: .zero)
      throw error
    }
    await server.drain(deadline: .zero)
  }

  private static let path = "/monitoring/prometheus/metrics"

  @Test func `the page shows what is counted, and is asked for again on the same connection`() async throws {
    let metrics = Metrics()
    let counter = metrics.counters("/test/count", labels: ["l"]).cell("x")
    try await withServer(metrics) { peer in
      for round in 1...3 {
        counter.add()
        peer.send("GET \(Self.path)?x=y HTTP/1.1\r\nhost: a\r\n\r\n")
        let answer = try peer.textAnswer()
        #expect(answer.status == 200)
        #expect(answer.fields["content-type"] == "text/plain")
        #expect(answer.text.contains("# TYPE :test:count counter\n:test:count{l=\"x\"} \(round)\n"))
        #expect(answer.text.contains("martlet_streams_open{protocol=\"http1\"} 1\n"))
      }
    }
  }

  @Test func `a page of megabytes goes out in pieces, and packed for who reads that`() async throws {
    let metrics = Metrics()
    let family = metrics.histograms("/test/h", labels: ["l"], HistogramLayout(.exponential(scale: 1, growth: 2, count: 30)))
    for i in 0..<2000 { family.cell("\(i)").record(UInt64(i)) }
    try await withServer(metrics) { peer in
      peer.send("GET \(Self.path) HTTP/1.1\r\nhost: a\r\n\r\n")
      let plain = try peer.textAnswer()
      #expect(plain.fields["content-encoding"] == nil)
      #expect(plain.body.count > 2_000_000)
      peer.send("GET \(Self.path) HTTP/1.1\r\nhost: a\r\naccept-encoding: deflate, gzip;q=0.5\r\n\r\n")
      let packed = try peer.textAnswer()
      #expect(packed.fields["content-encoding"] == "gzip")
      #expect(packed.body.count < plain.body.count / 5)
      guard var gunzip = Decompressor(.gzip) else {
        Issue.record("no memory for zlib")
        return
      }
      var text = ByteBuffer()
      let failure = gunzip.decompress(packed.body.rawSpan, into: &text, limit: 1 << 30)
      #expect(failure == nil)
      let lines = String(decoding: [UInt8](text.bytes), as: UTF8.self)
      #expect(lines.contains(":test:h_count{l=\"1999\"} 1\n"))
    }
  }

  @Test func `another path, another method, and a server without the page`() async throws {
    let asked = [("GET", "/monitoring", 404), ("DELETE", Self.path, 405), ("HEAD", Self.path, 200), ("GET", Self.path, 200), ("GET", Self.path + "/x", 404)]
    try await withServer { peer in
      for (method, path, status) in asked {
        let seen = try ask(of: method, path, peer)
        #expect(seen == status, "\(method) \(path)")
      }
    }
    try await withServer { $0.metricsPath = nil } _: { peer in
      let seen = try ask(of: "GET", Self.path, peer)
      #expect(seen == 404)
    }
  }

  private func ask(of method: String, _ path: String, _ peer: ScriptedPeer) throws -> Int {
    peer.send("\(method) \(path) HTTP/1.1\r\nhost: a\r\n\r\n")
    return try peer.textAnswer(isBare: method == "HEAD").status
  }

  @Test func `a coding is taken when it is named and has a weight`() {
    for list in ["gzip", "deflate,gzip", "GZIP; q=1", "br;q=1.0, gzip;q=0.8, *;q=0.1", "x-gzip"] { #expect(MetricsPage.accepts(list), "\(list)") }
    for list in ["", "deflate", "gzip;q=0", "gzip; q=0.0", "gzipped", "identity"] { #expect(!MetricsPage.accepts(list), "\(list)") }
  }
}
