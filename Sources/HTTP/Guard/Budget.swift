/// Tokens that refill with time: how many frames of a kind a peer may send before it is told to calm down.
/// A value: the clock comes in from outside.
struct Budget {
  let perSecond: UInt64
  let burst: UInt64
  private var tokens: UInt64
  private var refilled: MonotonicTime

  init(perSecond: Int, burst: Int, now: MonotonicTime) {
    self.perSecond = UInt64(max(perSecond, 1))
    self.burst = UInt64(max(burst, 1))
    tokens = self.burst
    refilled = now
  }

  /// Spends tokens. `now` is only asked when the purse does not hold as many, so the usual charge reads no clock.
  mutating func charge(_ count: Int = 1, now: @autoclosure () -> MonotonicTime) -> Bool {
    let wanted = UInt64(count)
    if tokens < wanted {
      let time = now()
      let elapsed = min(time.nanoseconds(since: refilled), 3_600_000_000_000)
      let earned = elapsed / 1000 * perSecond / 1_000_000
      if earned > 0 {
        tokens = min(burst, tokens + earned)
        refilled = time
      }
      if tokens < wanted { return false }
    }
    tokens -= wanted
    return true
  }
}
