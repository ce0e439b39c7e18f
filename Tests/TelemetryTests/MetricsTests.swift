import TestThreads
import Testing
import Threads

@testable import Telemetry

@Suite(.blocking) struct MetricsTests {
  @Test func `every value falls into the first bucket whose bound is above it`() {
    for layout in [
      HistogramLayout(.exponential(scale: 10, growth: 1.8, count: 33), ticksPerUnit: 1000),
      HistogramLayout(.exponential(scale: 1, growth: 1.5, count: 30)), HistogramLayout(Buckets([0, 5, 6, 7, 1000])),
    ] {
      let bounds = layout.buckets.bounds
      var generator = SystemRandomNumberGenerator()
      var values: [UInt64] = [0, 1, 2, 3, .max, .max - 1]
      values += bounds.flatMap { bound -> [UInt64] in
        let ticks = UInt64(bound * layout.ticksPerUnit)
        return [ticks, ticks + 1, ticks > 0 ? ticks - 1 : 0]
      }
      values += (0..<2000).map { _ in UInt64.random(in: 0 ... .max, using: &generator) >> UInt64.random(in: 0..<64) }
      for value in values {
        let expected = bounds.firstIndex { Double(value) < ($0 * layout.ticksPerUnit).rounded(.up) } ?? bounds.count
        #expect(layout.bucket(of: value) == expected, "\(value)")
      }
    }
  }

  @Test func `blocks of several threads add up in one series`() {
    let layout = HistogramLayout(Buckets([10, 100]))
    let description = MetricDescription("/h", .histogram, labels: ["model"]), count = MetricDescription("/c", .counter)
    let blocks = (0..<4).map { _ in MeterBlock(wordCount: 1 + layout.wordCount) }
    let threads = blocks.map { block in
      SystemThread(named: "writer") {
        for value in 0..<1000 as Range<UInt64> {
          block.add(at: 0)
          block.record(value, in: layout, at: 1)
        }
      }
    }
    for thread in threads { thread.join() }
    var snapshot = MetricsSnapshot()
    for block in blocks {
      snapshot.add(block[0], to: count)
      snapshot.add(block.histogram(layout, at: 1), to: description, ["m"])
    }
    #expect(snapshot.value("/c") == .integer(4000))
    #expect(snapshot.value("/h", ["m"]) == .histogram(HistogramValue(bounds: [10, 100], counts: [40, 360, 3600], sum: 1_998_000)))
  }

  @Test func `a block that goes leaves its counts to the one that keeps totals`() {
    let total = MeterBlock(wordCount: 3), block = MeterBlock(wordCount: 3)
    block.add(5, at: 2)
    total.absorb(block)
    total.absorb(block)
    #expect((0..<3).map { total[$0] } == [0, 0, 10])
  }

  @Test func `counters that several threads share lose nothing`() {
    let metrics = Metrics()
    let counter = metrics.counters("/c", labels: ["l"]).cell("x")
    let threads = (0..<4).map { _ in SystemThread(named: "writer") { for _ in 0..<10_000 { counter.add() } } }
    for thread in threads { thread.join() }
    #expect(metrics.snapshot().value("/c", ["x"]) == .integer(40_000))
  }

  @Test func `a series that is removed is not shown, and begins anew`() {
    let metrics = Metrics()
    let gauges = metrics.gauges("/g", labels: ["model", "version"])
    gauges.cell("m", "1").set(7)
    gauges.cell("m", "2").add(-3)
    #expect(metrics.snapshot().value("/g", ["m", "2"]) == .integer(-3))
    gauges.remove(["m", "1"])
    #expect(metrics.snapshot().family("/g")?.points.map(\.labels) == [["m", "2"]])
    #expect(gauges.cell("m", "1").value == .integer(0))
  }

  @Test func `past its limit a family counts together what is new`() {
    let metrics = Metrics()
    let counters = metrics.counters("/c", labels: ["a", "b"])
    for i in 0..<Family<Counter>.seriesMax { counters.cell("\(i)", "x").add() }
    for i in 0..<5 { counters.cell("late \(i)", "x").add() }
    counters.cell("0", "x").add()
    let snapshot = metrics.snapshot()
    #expect(snapshot.value("/c", ["0", "x"]) == .integer(2))
    #expect(snapshot.value("/c", ["other", "other"]) == .integer(5))
    #expect(snapshot.family("/c")?.points.count == Family<Counter>.seriesMax + 1)
  }

  @Test func `a metric asked for by name gives its first point's number`() {
    let metrics = Metrics()
    let counters = metrics.counters("/tensorflow/serving/request_count", labels: ["model_name", "status"])
    #expect(metrics.snapshot().firstInteger("/tensorflow/serving/request_count") == nil)
    counters.cell("b", "OK").add(3)
    counters.cell("a", "OK").add(2)
    metrics.histograms("/h", HistogramLayout(Buckets([1]))).cell().record(1)
    let snapshot = metrics.snapshot()
    #expect(snapshot.firstInteger("/tensorflow/serving/request_count") == 2)
    #expect(snapshot.firstInteger("/h") == nil)
    #expect(snapshot.firstInteger("/nothing") == nil)
  }

  @Test func `a process's name may hold anything`() {
    let fields = ["S"] + (4...52).map(String.init)
    let stat = ProcessMetrics.Stat("17 (a b) c) \(fields.joined(separator: " "))")
    #expect(stat?.cpuTicks == 14 + 15)
    #expect(stat?.threads == 20)
    #expect(stat?.startTicks == 22)
    #expect(stat?.virtualBytes == 23)
    #expect(stat?.residentPages == 24)
    #expect(ProcessMetrics.Stat("") == nil)
    #expect(ProcessMetrics.Stat("1 (x) S 2 3") == nil)
    #expect(ProcessMetrics.bootTime("cpu 1\nbtime 1700000000\n") == 1_700_000_000)
  }

  @Test func `this process is seen`() {
    var snapshot = MetricsSnapshot()
    ProcessMetrics.pour(into: &snapshot)
    for name in ["process_resident_memory_bytes", "process_open_fds", "process_max_fds", "process_threads"] {
      guard case .integer(let value)? = snapshot.value(name) else {
        Issue.record("\(name) is missing")
        continue
      }
      #expect(value > 0, "\(name)")
    }
    guard case .real(let start)? = snapshot.value("process_start_time_seconds") else {
      Issue.record("no start time")
      return
    }
    #expect(start > 1_600_000_000)
  }
}
