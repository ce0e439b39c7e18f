/// Latencies in buckets that grow with the value: 64 to each power of two, so a quantile is right to 1.6 per cent.
struct Histogram {
  private static let bits = 6
  private var counts = [UInt64](repeating: 0, count: (64 - bits + 1) << bits)
  private(set) var count: UInt64 = 0
  private(set) var largest: UInt64 = 0

  mutating func record(_ nanoseconds: UInt64) {
    counts[Histogram.bucket(nanoseconds)] += 1
    count += 1
    largest = max(largest, nanoseconds)
  }

  mutating func add(_ other: Histogram) {
    for i in counts.indices { counts[i] += other.counts[i] }
    count += other.count
    largest = max(largest, other.largest)
  }

  /// The value that `fraction` of all are not above: the upper end of its bucket.
  func quantile(_ fraction: Double) -> UInt64 {
    if count == 0 { return 0 }
    let wanted = UInt64((Double(count) * fraction).rounded(.up))
    var seen: UInt64 = 0
    for (i, n) in counts.enumerated() {
      seen += n
      if seen >= max(wanted, 1) { return min(Histogram.upperEnd(i), largest) }
    }
    return largest
  }

  /// Small values have a bucket each; a larger one is cut to its highest seven bits.
  private static func bucket(_ value: UInt64) -> Int {
    let magnitude = max(0, 63 - value.leadingZeroBitCount - bits)
    if magnitude == 0 { return Int(value) }
    return (magnitude << bits) + Int(value >> UInt64(magnitude))
  }

  private static func upperEnd(_ bucket: Int) -> UInt64 {
    let magnitude = max(0, (bucket >> bits) - 1)
    return (UInt64(bucket - magnitude << bits) + 1) << UInt64(magnitude) - 1
  }
}
