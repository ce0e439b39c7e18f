/// Whether something that is owed comes fast enough: at least so many bytes in each full window of time. A value: totals and
/// times come in from outside, at moments of the caller's choosing; between two looks nothing is counted.
struct Pace {
  private var began: MonotonicTime?
  private var mark = 0

  /// - Parameters:
  ///   - total: bytes so far; only differences count.
  ///   - milliseconds: the window. The first look begins one.
  mutating func isTooSlow(total: Int, now: MonotonicTime, bytesMin: Int, milliseconds: Int) -> Bool {
    guard let began else {
      restart(total, now)
      return false
    }
    if now.nanoseconds(since: began) / 1_000_000 < UInt64(max(milliseconds, 0)) { return false }
    if total - mark < bytesMin { return true }
    restart(total, now)
    return false
  }

  private mutating func restart(_ total: Int, _ now: MonotonicTime) {
    began = now
    mark = total
  }

  /// Nothing is owed for now.
  mutating func rest() { began = nil }
}
