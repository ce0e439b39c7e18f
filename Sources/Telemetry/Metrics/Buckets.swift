// How a histogram cuts the line of values. The bounds are TensorFlow's (`tensorflow::monitoring::Buckets`), and so is the rule
// which bucket a bound itself belongs to: the next one. Prometheus reads `le` as inclusive; nobody measures the difference.

/// The upper bounds of a histogram's buckets, ascending; what is not below the last falls into one more, `+Inf`.
public struct Buckets: Sendable, Equatable {
  public let bounds: [Double]

  /// - Precondition: `bounds` ascend, and there is at least one.
  public init(_ bounds: [Double]) {
    precondition(!bounds.isEmpty && zip(bounds, bounds.dropFirst()).allSatisfy { $0 < $1 }, "bounds ascend")
    self.bounds = bounds
  }

  /// TensorFlow's `Buckets::Exponential`: each bound is the one before times `growth`, as doubles multiply.
  public static func exponential(scale: Double, growth: Double, count: Int) -> Buckets {
    var bounds: [Double] = []
    var bound = scale
    for _ in 0..<count {
      bounds.append(bound)
      bound *= growth
    }
    return Buckets(bounds)
  }
}

/// How whole numbers (nanoseconds, bytes, rows) are counted in buckets, and where: a histogram's words are one count for each
/// bucket, one for `+Inf`, and the sum.
public struct HistogramLayout: Sendable {
  public let buckets: Buckets
  /// How many of what is recorded make one of the unit that bounds and sums are shown in: 1000 where nanoseconds are recorded
  /// and microseconds shown.
  public let ticksPerUnit: Double
  /// A value belongs to the first bucket whose threshold is above it.
  private let thresholds: [UInt64]
  /// By the bit width of a value: the first bucket it may belong to. Bounds that grow by a factor near two leave a comparison
  /// or two after that.
  private let start: [UInt8]

  public init(_ buckets: Buckets, ticksPerUnit: Double = 1) {
    precondition(buckets.bounds.count < 256, "a histogram has fewer buckets than that")
    self.buckets = buckets
    self.ticksPerUnit = ticksPerUnit
    let thresholds = buckets.bounds.map { bound -> UInt64 in
      let ticks = (bound * ticksPerUnit).rounded(.up)
      return ticks <= 0 ? 0 : ticks >= 0x1p64 ? .max : UInt64(ticks)
    }
    self.thresholds = thresholds
    start = (0...64).map { width in
      let least: UInt64 = width == 0 ? 0 : 1 << UInt64(width - 1)
      return UInt8(thresholds.firstIndex { $0 > least } ?? thresholds.count)
    }
  }

  public var bucketCount: Int { thresholds.count + 1 }
  /// The words it takes in a `MeterBlock`.
  public var wordCount: Int { bucketCount + 1 }

  /// The bucket of a value.
  public func bucket(of ticks: UInt64) -> Int {
    var at = Int(start[UInt64.bitWidth - ticks.leadingZeroBitCount])
    while at < thresholds.count, thresholds[at] <= ticks { at += 1 }
    return at
  }
}
