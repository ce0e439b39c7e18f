// All metrics at one moment, as a value. Whoever counts pours numbers in, several times for one series if it has them in
// several places: they are added up. A renderer, or somebody who asks for one number, reads it.

/// What a family of series is called and how it is labelled.
public struct MetricDescription: Sendable, Equatable {
  public enum Kind: String, Sendable { case counter, gauge, histogram }

  /// TensorFlow's names have slashes, `/tensorflow/serving/request_count`; the exposition writes them as colons.
  public let name: String
  public let kind: Kind
  /// The names of the labels, in the order they are written.
  public let labels: [String]

  public init(_ name: String, _ kind: Kind, labels: [String] = []) {
    self.name = name
    self.kind = kind
    self.labels = labels
  }
}

/// What a histogram has counted.
public struct HistogramValue: Sendable, Equatable {
  public let bounds: [Double]
  /// For each bucket, then for `+Inf`; not cumulative.
  public private(set) var counts: [UInt64]
  /// Of the values, in the bounds' unit.
  public private(set) var sum: Double

  public init(bounds: [Double], counts: [UInt64], sum: Double) {
    precondition(counts.count == bounds.count + 1)
    self.bounds = bounds
    self.counts = counts
    self.sum = sum
  }

  init(_ layout: HistogramLayout, counts: [UInt64], ticks: UInt64) {
    self.init(bounds: layout.buckets.bounds, counts: counts, sum: Double(ticks) / layout.ticksPerUnit)
  }

  public var count: UInt64 { counts.reduce(0, &+) }

  fileprivate mutating func add(_ other: HistogramValue) {
    precondition(bounds == other.bounds, "histograms of one series have the same buckets")
    for i in counts.indices { counts[i] &+= other.counts[i] }
    sum += other.sum
  }
}

public enum MetricValue: Sendable, Equatable {
  case integer(Int64)
  case real(Double)
  case histogram(HistogramValue)

  fileprivate mutating func add(_ other: MetricValue) {
    switch (self, other) {
    case (.integer(let a), .integer(let b)): self = .integer(a &+ b)
    case (.real(let a), .real(let b)): self = .real(a + b)
    case (.histogram(var a), .histogram(let b)):
      a.add(b)
      self = .histogram(a)
    default: preconditionFailure("the values of one series are of one kind")
    }
  }
}

/// One family at one moment.
public struct MetricFamily: Sendable, Equatable {
  public struct Point: Sendable, Equatable {
    /// The labels' values, in the description's order.
    public var labels: [String]
    public var value: MetricValue
  }

  public let description: MetricDescription
  /// By the labels' values, ascending.
  public let points: [Point]
}

public struct MetricsSnapshot: Sendable {
  private var values: [String: (description: MetricDescription, points: [[String]: MetricValue])] = [:]

  public init() {}

  /// Shows the family even if nothing was counted so far, as TensorFlow does.
  public mutating func declare(_ description: MetricDescription) {
    if values[description.name] == nil { values[description.name] = (description, [:]) }
  }

  public mutating func add(_ value: MetricValue, to description: MetricDescription, _ labels: [String] = []) {
    precondition(labels.count == description.labels.count, "\(description.name) has labels \(description.labels)")
    declare(description)
    if values[description.name]!.points[labels]?.add(value) == nil { values[description.name]!.points[labels] = value }
  }

  public mutating func add(_ value: Int, to description: MetricDescription, _ labels: [String] = []) {
    add(.integer(Int64(value)), to: description, labels)
  }

  public mutating func add(_ value: UInt64, to description: MetricDescription, _ labels: [String] = []) {
    add(.integer(Int64(clamping: value)), to: description, labels)
  }

  public mutating func add(_ value: Double, to description: MetricDescription, _ labels: [String] = []) {
    add(.real(value), to: description, labels)
  }

  public mutating func add(_ value: HistogramValue, to description: MetricDescription, _ labels: [String] = []) {
    add(.histogram(value), to: description, labels)
  }

  /// By name, ascending.
  public var families: [MetricFamily] { values.keys.sorted().compactMap { family($0) } }

  public var names: [String] { values.keys.sorted() }

  public func family(_ name: String) -> MetricFamily? {
    values[name].map { entry in
      let points = entry.points.sorted { $0.key.lexicographicallyPrecedes($1.key) }
      return MetricFamily(
        description: entry.description, points: points.map { MetricFamily.Point(labels: $0.key, value: $0.value) })
    }
  }

  public func value(_ name: String, _ labels: [String] = []) -> MetricValue? { values[name]?.points[labels] }

  /// The first point's value of a metric whose values are whole numbers: what `ReloadConfigRequest.metric_names` asks for.
  public func firstInteger(_ name: String) -> Int64? {
    guard case .integer(let value)? = family(name)?.points.first?.value else { return nil }
    return value
  }
}
