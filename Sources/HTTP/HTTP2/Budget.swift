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

  /// Spends one token. `now` is only asked when the purse is empty, so the usual charge reads no clock.
  mutating func charge(now: @autoclosure () -> MonotonicTime) -> Bool {
    if tokens == 0 {
      let time = now()
      let elapsed = min(time.nanoseconds(since: refilled), 3_600_000_000_000)
      let earned = elapsed / 1000 * perSecond / 1_000_000
      if earned == 0 { return false }
      tokens = min(burst, earned)
      refilled = time
    }
    tokens -= 1
    return true
  }
}
