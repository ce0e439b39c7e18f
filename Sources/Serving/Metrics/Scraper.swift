// The thread that writes metrics down. Thousands of series take milliseconds, which an event loop does not have; the thread gets
// the CPU that serving leaves. It is started by the first scrape.
internal import HTTP
internal import Synchronization
internal import Telemetry
internal import Threads
internal import Wire

final class Scraper: Sendable {
  private struct Job: Sendable {
    let isCompressed: Bool
    let finish: @Sendable (Scrape) -> Void
  }

  private struct State {
    var jobs: [Job] = []
    var thread: SystemThread?
    var isStopping = false
  }

  /// Scrapers come every few seconds, from a few places; more than so many at once are nobody's plan.
  static let waitingMax = 32

  private let metrics: Metrics
  private let state = Mutex(State())
  private let available = Semaphore()

  init(_ metrics: Metrics) { self.metrics = metrics }

  /// Writes everything down and hands it to `finish`, on the scraper's thread; `false` when too many wait already.
  func scrape(compressed isCompressed: Bool, _ finish: @escaping @Sendable (Scrape) -> Void) -> Bool {
    let isTaken = state.withLock { state in
      guard state.jobs.count < Scraper.waitingMax, !state.isStopping else { return false }
      state.jobs.append(Job(isCompressed: isCompressed, finish: finish))
      if state.thread == nil { state.thread = SystemThread(named: "metrics", priority: .background) { [self] in work() } }
      return true
    }
    if isTaken { available.signal() }
    return isTaken
  }

  private func work() {
    while true {
      available.wait()
      // All that wait get the same page.
      let jobs = state.withLock { state in
        defer { state.jobs = [] }
        return state.jobs
      }
      if jobs.isEmpty {
        if state.withLock({ $0.isStopping }) { return }
        continue
      }
      let plain = Scrape(text: PrometheusText.bytes(of: metrics.snapshot()))
      let compressed = jobs.contains(where: \.isCompressed) ? plain.compressed() : nil
      for job in jobs { job.finish(job.isCompressed ? compressed ?? plain : plain) }
    }
  }

  /// Answers those who wait, and ends the thread.
  func stop() {
    let thread = state.withLock { state in
      state.isStopping = true
      defer { state.thread = nil }
      return state.thread
    }
    available.signal()
    thread?.join()
  }
}

/// A page of metrics, on its way to who asked for it.
struct Scrape: Sendable {
  let bytes: [UInt8]
  let coding: ContentCoding?

  init(text: [UInt8]) {
    bytes = text
    coding = nil
  }

  private init(gzip: [UInt8]) {
    bytes = gzip
    coding = .gzip
  }

  /// `nil` when it would not be smaller.
  fileprivate func compressed() -> Scrape? {
    // Half a megabyte of text a millisecond at the fastest level, a third of that at the usual one, for a tenth of the bytes less.
    guard var compressor = Compressor(.gzip, level: 1) else { return nil }
    var output = ByteBuffer()
    guard compressor.compress(bytes.rawSpan, into: &output, limit: bytes.count - 1) else { return nil }
    return Scrape(gzip: [UInt8](output.bytes))
  }
}
