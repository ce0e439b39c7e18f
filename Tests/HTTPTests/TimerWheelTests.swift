import Testing

@testable import HTTP

@Suite struct TimerWheelTests {
  final class Bell: TimerTarget {
    var rung = 0
    func timerFired(_ timer: TimerID) { rung += 1 }
  }

  func at(_ milliseconds: UInt64) -> MonotonicTime { MonotonicTime(nanoseconds: milliseconds * 1_000_000) }

  func ring(_ wheel: inout TimerWheel, _ now: MonotonicTime) {
    while let (id, target) = wheel.popDue(at: now) { target.timerFired(id) }
  }

  @Test func `a timer fires in its millisecond and not before`() {
    var wheel = TimerWheel(now: at(1000))
    let bell = Bell()
    _ = wheel.schedule(at: at(1005), bell)
    ring(&wheel, at(1004))
    #expect(bell.rung == 0)
    ring(&wheel, at(1005))
    let left = wheel.count
    #expect(bell.rung == 1 && left == 0)
  }

  @Test func `a moment between milliseconds is rounded up`() {
    var wheel = TimerWheel(now: at(0))
    let bell = Bell()
    _ = wheel.schedule(at: MonotonicTime(nanoseconds: 2_000_001), bell)
    ring(&wheel, at(2))
    #expect(bell.rung == 0)
    ring(&wheel, at(3))
    #expect(bell.rung == 1)
  }

  @Test func `a timer beyond the wheel's turn is passed over until its time`() {
    var wheel = TimerWheel(now: at(0))
    let bell = Bell()
    _ = wheel.schedule(at: at(5000), bell)
    for t in stride(from: UInt64(100), to: 5000, by: 100) { ring(&wheel, at(t)) }
    #expect(bell.rung == 0)
    ring(&wheel, at(5000))
    #expect(bell.rung == 1)
  }

  @Test func `a moment in the past fires at the next look`() {
    var wheel = TimerWheel(now: at(9000))
    let bell = Bell()
    _ = wheel.schedule(at: at(1), bell)
    ring(&wheel, at(9001))
    #expect(bell.rung == 1)
  }

  @Test func `a cancelled timer stays silent and its handle is spent`() {
    var wheel = TimerWheel(now: at(0))
    let bell = Bell()
    let first = wheel.schedule(at: at(5), bell)
    wheel.cancel(first)
    let second = wheel.schedule(at: at(6), bell)
    wheel.cancel(first)
    ring(&wheel, at(10))
    #expect(bell.rung == 1 && first != second)
  }

  @Test func `after a long sleep everything due fires, however far`() {
    var wheel = TimerWheel(now: at(0))
    let bell = Bell()
    for t in stride(from: UInt64(1), through: 4001, by: 40) { _ = wheel.schedule(at: at(t), bell) }
    ring(&wheel, at(1_000_000))
    let left = wheel.count
    #expect(bell.rung == 101 && left == 0)
  }

  @Test func `the next wake is never later than the next timer`() {
    var generator = SeededGenerator(seed: 7)
    for _ in 0..<200 {
      var wheel = TimerWheel(now: at(500))
      let bell = Bell()
      let times = (0..<Int.random(in: 1...20, using: &generator)).map { _ in UInt64.random(in: 501...4000, using: &generator) }
      for t in times { _ = wheel.schedule(at: at(t), bell) }
      let wake = wheel.nextWake() ?? .distantFuture
      #expect(wake <= at(times.min()!))
    }
  }
}

/// SplitMix64: the same numbers for the same seed, everywhere.
struct SeededGenerator: RandomNumberGenerator {
  var state: UInt64
  init(seed: UInt64) { state = seed }
  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ z >> 30) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ z >> 27) &* 0x94d0_49bb_1331_11eb
    return z ^ z >> 31
  }
}
