// The page that Prometheus reads: `MonitoringConfig.prometheus_config.path`.
internal import HTTP
internal import Telemetry
internal import Wire

/// Answers with all metrics. One for all loops.
final class MetricsPage: Sendable {
  let path: String
  private let scraper: Scraper

  init(path: String, _ scraper: Scraper) {
    self.path = path
    self.scraper = scraper
  }

  private static let head = StaticFields([(":status", "200"), ("content-type", PrometheusText.contentType)])
  private static let tooMany = StaticFields([(":status", "503")])

  func answer(_ stream: HTTPStream) {
    let wanted = stream.head.value(of: "accept-encoding").map { Self.accepts($0) } ?? false
    let reader = Reader(stream)
    stream.handler = reader
    let loop = stream.loop
    let isTaken = scraper.scrape(compressed: wanted) { scrape in loop.enqueue { reader.begin(scrape) } }
    if !isTaken { stream.respond(MetricsPage.tooMany, FieldList()) }
  }

  /// RFC 9110 §12.5.3, for the one coding we have: named, and not with a weight of zero.
  static func accepts(_ list: String) -> Bool {
    for item in list.split(separator: ",") {
      let parts = item.split(separator: ";").map { $0.filter { $0 != " " && $0 != "\t" }.lowercased() }
      guard let name = parts.first, name == "gzip" || name == "x-gzip" else { continue }
      let weight = parts.dropFirst().first { $0.hasPrefix("q=") }.flatMap { Double($0.dropFirst(2)) }
      return weight != 0
    }
    return false
  }

  /// Who waits for the page, and reads it in pieces.
  ///
  /// - Note: `@unchecked Sendable`: everything belongs to the stream's loop.
  private final class Reader: StreamHandler, @unchecked Sendable {
    private var stream: HTTPStream?
    private var bytes: [UInt8] = []
    private var at = 0

    /// A piece goes out in one turn of the loop, as long as its peer reads.
    private static let pieceBytes = 64 << 10

    init(_ stream: HTTPStream) { self.stream = stream }

    func begin(_ scrape: Scrape) {
      guard let stream else { return }
      bytes = scrape.bytes
      var more = FieldList()
      more.append("content-length", String(bytes.count))
      more.append("vary", "accept-encoding")
      if let coding = scrape.coding { more.append("content-encoding", coding.rawValue) }
      stream.begin(MetricsPage.head, more)
      writable(stream)
    }

    func writable(_ stream: HTTPStream) {
      let bytes = bytes
      while at < bytes.count {
        let count = min(Reader.pieceBytes, bytes.count - at)
        var piece = ByteBuffer()
        guard piece.append(bytes.rawSpan.extracting(at..<at + count)) else { return stream.reset(.internalError) }
        at += count
        if !stream.write(piece) { break }
      }
      if at == bytes.count { stream.end() }
    }

    func received(_ bytes: RawSpan, on stream: HTTPStream) {}
    func ended(_ stream: HTTPStream) {}

    func closed(_ stream: HTTPStream, _ error: StreamError) {
      self.stream = nil
      bytes = []
    }
  }
}
