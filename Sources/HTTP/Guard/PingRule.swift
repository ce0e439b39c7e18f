/// How often a client may ping without anything being sent to it, as gRPC counts it: pings that come too soon are strikes, one
/// strike too many ends the connection. Anything we send, HEADERS or DATA, wipes the slate: a client that measures its
/// bandwidth pings while it receives. A value.
struct PingRule {
  private var last: MonotonicTime?
  private var strikes = 0

  /// HEADERS or DATA went out.
  mutating func sent() {
    last = nil
    strikes = 0
  }

  /// False: too many.
  /// - Parameter strikesMax: how many are forgiven; 0: all.
  mutating func received(now: MonotonicTime, intervalMilliseconds: Int, strikesMax: Int) -> Bool {
    defer { last = now }
    guard let last, now < last.advanced(byMilliseconds: UInt64(max(intervalMilliseconds, 0))) else { return true }
    strikes += 1
    return strikesMax == 0 || strikes <= strikesMax
  }
}
