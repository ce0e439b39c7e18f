// Where everything that is counted can be asked for. What a request passes through counts in blocks of its own
// (`MeterBlock`) and is a source here; what happens now and then (a load, a failed handshake) counts in a family's cells.
internal import Synchronization

/// The metrics of a process, or of a test.
public final class Metrics: Sendable {
  public typealias Source = @Sendable (inout MetricsSnapshot) -> Void
  private let sources = Mutex<[Source]>([])

  public init() {}

  /// Asks `source` at every snapshot, from now on, on the thread that takes it.
  public func add(_ source: @escaping Source) { sources.withLock { $0.append(source) } }

  /// Everything, now.
  public func snapshot() -> MetricsSnapshot {
    var snapshot = MetricsSnapshot()
    for source in sources.withLock({ $0 }) { source(&snapshot) }
    return snapshot
  }

  public func counters(_ name: String, labels: [String] = []) -> Family<Counter> {
    family(MetricDescription(name, .counter, labels: labels)) { Counter() }
  }

  public func gauges(_ name: String, labels: [String] = []) -> Family<Gauge> {
    family(MetricDescription(name, .gauge, labels: labels)) { Gauge() }
  }

  public func histograms(_ name: String, labels: [String] = [], _ layout: HistogramLayout) -> Family<Histogram> {
    family(MetricDescription(name, .histogram, labels: labels)) { Histogram(layout) }
  }

  private func family<Cell>(_ description: MetricDescription, _ make: @escaping @Sendable () -> Cell) -> Family<Cell> {
    let family = Family(description, make)
    add { family.pour(into: &$0) }
    return family
  }
}

/// What a series is made of.
public protocol MetricCell: AnyObject, Sendable {
  var value: MetricValue { get }
}

/// Counts up, from any thread.
public final class Counter: MetricCell {
  private let count = Atomic<Int64>(0)
  public func add(_ amount: Int = 1) { count.wrappingAdd(Int64(amount), ordering: .relaxed) }
  public var value: MetricValue { .integer(count.load(ordering: .relaxed)) }
}

/// Goes up and down, from any thread.
public final class Gauge: MetricCell {
  private let level = Atomic<Int64>(0)
  public func set(_ level: Int) { self.level.store(Int64(level), ordering: .relaxed) }
  public func add(_ amount: Int) { level.wrappingAdd(Int64(amount), ordering: .relaxed) }
  public var value: MetricValue { .integer(level.load(ordering: .relaxed)) }
}

/// Counts values in buckets, from any thread.
public final class Histogram: MetricCell {
  private let layout: HistogramLayout
  private let block: MeterBlock

  public init(_ layout: HistogramLayout) {
    self.layout = layout
    block = MeterBlock(wordCount: layout.wordCount)
  }

  public func record(_ ticks: UInt64) { block.recordShared(ticks, in: layout, at: 0) }
  public var value: MetricValue { .histogram(block.histogram(layout, at: 0)) }
}

/// Series of one name, by the values of their labels. A lock and a look-up: whoever counts often keeps the cell.
public final class Family<Cell: MetricCell>: Sendable {
  public let description: MetricDescription
  private let make: @Sendable () -> Cell
  private let cells = Mutex<[[String]: Cell]>([:])

  /// Label values come from configurations and directories, never from a peer; a script that renames its model every minute
  /// is not to fill the memory either. What comes later is counted together, under this name.
  public static var overflowLabel: String { "other" }
  public static var seriesMax: Int { 10_000 }

  init(_ description: MetricDescription, _ make: @escaping @Sendable () -> Cell) {
    self.description = description
    self.make = make
  }

  public func cell(_ labels: String...) -> Cell { cell(labels) }

  public func cell(_ labels: [String]) -> Cell {
    precondition(labels.count == description.labels.count, "\(description.name) has labels \(description.labels)")
    return cells.withLock { cells in
      if let known = cells[labels] { return known }
      let labels = cells.count < Family.seriesMax ? labels : labels.map { _ in Family.overflowLabel }
      if let known = cells[labels] { return known }
      let new = make()
      cells[labels] = new
      return new
    }
  }

  /// Forgets a series: what it counted is no more.
  public func remove(_ labels: [String]) { cells.withLock { $0[labels] = nil } }

  fileprivate func pour(into snapshot: inout MetricsSnapshot) {
    snapshot.declare(description)
    for (labels, cell) in cells.withLock({ $0 }) { snapshot.add(cell.value, to: description, labels) }
  }
}
