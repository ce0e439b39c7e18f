// The values behind the limits: no sockets, no clock.
import Testing

@testable import HTTP

/// A mutating call, for `#expect`.
private func call<Value, Result>(_ value: inout Value, _ body: (inout Value) -> Result) -> Result { body(&value) }

private func at(_ milliseconds: Int) -> MonotonicTime { MonotonicTime(nanoseconds: UInt64(milliseconds) * 1_000_000) }

@Suite struct PaceTests {
  @Test func `bytes that come fast enough in every window are never too slow`() {
    var pace = Pace()
    for look in 0...40 {
      #expect((!call(&pace) { $0.isTooSlow(total: look * 100, now: at(look * 250), bytesMin: 400, milliseconds: 1000) }))
    }
  }

  @Test func `a window with too few bytes is too slow, at its end and not before`() {
    var pace = Pace()
    #expect((!call(&pace) { $0.isTooSlow(total: 1000, now: at(0), bytesMin: 400, milliseconds: 1000) }))
    #expect((!call(&pace) { $0.isTooSlow(total: 1000, now: at(999), bytesMin: 400, milliseconds: 1000) }))
    #expect((call(&pace) { $0.isTooSlow(total: 1399, now: at(1000), bytesMin: 400, milliseconds: 1000) }))
  }

  @Test func `what came in an earlier window does not count for a later one`() {
    var pace = Pace()
    _ = pace.isTooSlow(total: 0, now: at(0), bytesMin: 400, milliseconds: 1000)
    #expect((!call(&pace) { $0.isTooSlow(total: 1_000_000, now: at(1000), bytesMin: 400, milliseconds: 1000) }))
    #expect((call(&pace) { $0.isTooSlow(total: 1_000_100, now: at(2000), bytesMin: 400, milliseconds: 1000) }))
  }

  @Test func `time in which nothing is owed does not count`() {
    var pace = Pace()
    _ = pace.isTooSlow(total: 0, now: at(0), bytesMin: 400, milliseconds: 1000)
    pace.rest()
    #expect((!call(&pace) { $0.isTooSlow(total: 0, now: at(5000), bytesMin: 400, milliseconds: 1000) }))
  }

  @Test func `no least number of bytes takes any pace`() {
    var pace = Pace()
    for look in 0...10 { #expect((!call(&pace) { $0.isTooSlow(total: 0, now: at(look * 1000), bytesMin: 0, milliseconds: 1000) })) }
  }
}

@Suite struct PingRuleTests {
  private func ping(_ rule: inout PingRule, at milliseconds: Int) -> Bool {
    rule.received(now: at(milliseconds), intervalMilliseconds: 1000, strikesMax: 2)
  }

  @Test func `pings at their interval are welcome for ever`() {
    var rule = PingRule()
    for i in 0..<100 { #expect(ping(&rule, at: i * 1000)) }
  }

  @Test func `the third ping that comes too soon is one too many`() {
    var rule = PingRule()
    let answers = [0, 10, 20, 30].map { ping(&rule, at: $0) }
    #expect(answers == [true, true, true, false])
  }

  @Test func `what we send wipes the slate`() {
    var rule = PingRule()
    for round in 0..<10 {
      for i in 0..<3 { #expect(ping(&rule, at: round * 10 + i)) }
      rule.sent()
    }
  }

  @Test func `zero strikes are any number`() {
    var rule = PingRule()
    for _ in 0..<100 { #expect((call(&rule) { $0.received(now: at(0), intervalMilliseconds: 1000, strikesMax: 0) })) }
  }
}

@Suite struct WatchfulnessTests {
  @Test func `a peer that is heard of is left alone`() {
    var watch = Watchfulness()
    for reads in UInt64(1)...5 { #expect((call(&watch) { $0.timerFired(readCount: reads) }) == .wait) }
  }

  @Test func `silence is asked, silence after that is the end`() {
    var watch = Watchfulness()
    #expect((call(&watch) { $0.timerFired(readCount: 7) }) == .wait)
    #expect((call(&watch) { $0.timerFired(readCount: 7) }) == .ping)
    #expect((call(&watch) { $0.timerFired(readCount: 7) }) == .close)
  }

  @Test func `an answer, or any other byte, is a sign of life`() {
    var watch = Watchfulness()
    #expect((call(&watch) { $0.timerFired(readCount: 0) }) == .ping)
    #expect((call(&watch) { $0.timerFired(readCount: 1) }) == .wait)
    #expect((call(&watch) { $0.timerFired(readCount: 1) }) == .ping)
  }
}

@Suite struct ByteAccountTests {
  @Test func `loops share one sum, and what one gives back another may have`() {
    let shared = SharedBytes(bytesMax: 1000)
    var a = ByteAccount(shared, loops: 2), b = ByteAccount(shared, loops: 2)
    #expect((call(&a) { $0.hold(900) }))
    #expect((!call(&b) { $0.hold(200) }))
    a.release(900)
    #expect((call(&b) { $0.hold(800) }))
    #expect((!call(&a) { $0.hold(900) }))
  }

  @Test func `the sum is reached to the byte, and never passed`() {
    let shared = SharedBytes(bytesMax: 10_000)
    var account = ByteAccount(shared)
    for _ in 0..<10 { #expect((call(&account) { $0.hold(1000) })) }
    #expect((!call(&account) { $0.hold(1) }))
    #expect(shared.bytesTaken == 10_000)
  }

  @Test func `what must be left is left, and is there for who may take it`() {
    let shared = SharedBytes(bytesMax: 1000)
    var account = ByteAccount(shared)
    for _ in 0..<8 { #expect((call(&account) { $0.hold(100, leaving: 200) })) }
    #expect((!call(&account) { $0.hold(100, leaving: 200) }))
    #expect((call(&account) { $0.hold(200) }))
    #expect((!call(&account) { $0.hold(1) }))
  }

  @Test func `a refusal changes nothing`() {
    let shared = SharedBytes(bytesMax: 100)
    var account = ByteAccount(shared)
    #expect((call(&account) { $0.hold(60) }))
    #expect((!call(&account) { $0.hold(60) }))
    #expect((call(&account) { $0.hold(40) }))
    #expect(account.held == 100)
  }

  @Test func `a load that swings within a step leaves the shared sum alone`() {
    let shared = SharedBytes(bytesMax: 1 << 30)
    var account = ByteAccount(shared)
    #expect((call(&account) { $0.hold(1000) }))
    let taken = shared.bytesTaken
    for _ in 0..<1000 {
      #expect((call(&account) { $0.hold(500_000) }))
      account.release(500_000)
    }
    #expect(shared.bytesTaken == taken)
  }

  @Test func `little stays reserved when everything is released`() {
    let shared = SharedBytes(bytesMax: 1 << 30)
    var account = ByteAccount(shared, loops: 4)
    for _ in 0..<100 { #expect((call(&account) { $0.hold(10 << 20) })) }
    for _ in 0..<100 { account.release(10 << 20) }
    #expect(account.held == 0 && shared.bytesTaken <= 2 << 20)
  }

  @Test func `bytes that exist are counted beyond the sum, and said to be`() {
    let shared = SharedBytes(bytesMax: 100)
    var account = ByteAccount(shared)
    #expect((!call(&account) { $0.holdAnyway(150) }))
    #expect(shared.bytesTaken == 150)
    account.release(150)
    #expect((call(&account) { $0.holdAnyway(50) }))
  }

  @Test func `random holds and releases keep the books`() {
    var generator = SeededGenerator(seed: 77)
    let shared = SharedBytes(bytesMax: 50_000_000)
    var accounts = (0..<3).map { _ in ByteAccount(shared, loops: 3) }
    var held: [[Int]] = [[], [], []]
    for _ in 0..<10_000 {
      let i = Int.random(in: 0..<3, using: &generator)
      if Bool.random(using: &generator), let n = held[i].popLast() {
        accounts[i].release(n)
      } else {
        let n = Int.random(in: 1...4_000_000, using: &generator)
        if accounts[i].hold(n) { held[i].append(n) }
      }
      for (account, list) in zip(accounts, held) { #expect(account.held == list.reduce(0, +)) }
      #expect(shared.bytesTaken <= 50_000_000 && shared.bytesTaken >= accounts.reduce(0) { $0 + $1.held })
    }
  }
}

@Suite struct PeerNameTests {
  @Test(arguments: [
    ("1.2.3.4:5", "1.2.3.4"), ("[::ffff:1.2.3.4]:5", "1.2.3.4"), ("[::1]:5", "0:0:0:0"),
    ("[2001:db8:a:b:c:d:e:f]:5", "2001:db8:a:b"), ("[2001:db8::1]:5", "2001:db8:0:0"), ("[2001:db8:1:2::]:5", "2001:db8:1:2"),
    ("unix", nil),
  ])
  func `IPv4 by address, IPv6 by network`(_ peer: String, _ name: String?) { #expect(PeerName.counted(peer) == name) }
}

@Suite struct MemoryTests {
  @Test func `the least of the machine and its groups counts`() {
    #expect(Memory.limit(physical: 1000, [nil, nil]) == 1000)
    #expect(Memory.limit(physical: 1000, ["max\n", nil]) == 1000)
    #expect(Memory.limit(physical: 1000, ["400\n", nil]) == 400)
    #expect(Memory.limit(physical: 1000, [nil, "9223372036854771712\n"]) == 1000)
    #expect(Memory.limit(physical: 1000, ["0", "nonsense"]) == 1000)
  }
}

@Suite struct LimitsTests {
  @Test func `every limit that can be set has a name, made of the property's`() {
    let stored = Mirror(reflecting: Limits()).children.compactMap(\.label)
    let spelled = stored.map { name in
      name.reduce(into: "") { text, c in text += c.isUppercase ? "_" + c.lowercased() : String(c) }
    }
    #expect(spelled.sorted() == Limits.named.map(\.name).sorted())
  }

  @Test func `a name leads to its own property`() {
    for (i, limit) in Limits.named.enumerated() {
      var limits = Limits()
      limits[keyPath: limit.path] = 1_000_000_007 + i
      let changed = Mirror(reflecting: limits).children.filter { $0.value as? Int == 1_000_000_007 + i }.compactMap(\.label)
      let spelled = changed.map { $0.reduce(into: "") { text, c in text += c.isUppercase ? "_" + c.lowercased() : String(c) } }
      #expect(spelled == [limit.name])
    }
  }
}

@Suite struct TimerWheelsTests {
  final class Bell: TimerTarget {
    var rung: [UInt64] = []
    var now: UInt64 = 0
    func timerFired(_ timer: TimerID) { rung.append(now) }
  }

  @Test func `far timers wake nobody before their second`() {
    var wheel = TimerWheel(now: at(500))
    let bell = Bell()
    for i in 0..<1000 { _ = wheel.schedule(at: at(7_200_000 + i), bell) }
    var now = 500
    var wakes = 0
    while now < 7_100_000 {
      guard let wake = wheel.nextWake() else {
        Issue.record("nothing to wait for")
        return
      }
      now = max(now + 1, Int(wake.nanoseconds / 1_000_000))
      wakes += 1
      while let (id, target) = wheel.popDue(at: at(now)) { target.timerFired(id) }
    }
    // Two hours are seven turns of the far wheel, each of which looks at the timers' slots once.
    #expect(bell.rung.isEmpty && wakes < 50)
  }

  @Test func `timers at any distance fire in their millisecond, whatever happens between`() {
    var generator = SeededGenerator(seed: 5)
    var wheel = TimerWheel(now: at(123_456))
    var now = 123_456
    final class Mark: TimerTarget {
      let when: Int
      var fired = 0
      init(_ when: Int) { self.when = when }
      func timerFired(_ timer: TimerID) { fired += 1 }
    }
    var marks: [(id: TimerID, mark: Mark, isCancelled: Bool)] = []
    for _ in 0..<3000 {
      let distances = [1...10, 900...1100, 1024...3000, 60_000...70_000, 1_040_000...1_060_000, 3_000_000...5_000_000]
      let mark = Mark(now + Int.random(in: distances.randomElement(using: &generator)!, using: &generator))
      marks.append((wheel.schedule(at: at(mark.when), mark), mark, false))
      if Int.random(in: 0..<4, using: &generator) == 0 {
        let i = Int.random(in: marks.indices, using: &generator)
        if marks[i].mark.fired == 0 { marks[i].isCancelled = true }
        wheel.cancel(marks[i].id)
      }
      now += [0, 1, 7, 1000, 30_000].randomElement(using: &generator)!
      while let (id, target) = wheel.popDue(at: at(now)) { target.timerFired(id) }
    }
    for (_, mark, isCancelled) in marks where mark.when <= now { #expect(mark.fired == (isCancelled ? 0 : 1)) }
    while let wake = wheel.nextWake() {
      now = max(now, Int(wake.nanoseconds / 1_000_000))
      while let (id, target) = wheel.popDue(at: at(now)) {
        #expect((target as? Mark)?.when == now)
        target.timerFired(id)
      }
      now += 1
    }
    for (_, mark, isCancelled) in marks { #expect(mark.fired == (isCancelled ? 0 : 1)) }
  }
}

@Suite struct BudgetCostTests {
  @Test func `a dear frame costs more than one, and is refused whole`() {
    var budget = Budget(perSecond: 100, burst: 10, now: at(0))
    #expect((call(&budget) { $0.charge(8, now: at(0)) }))
    #expect((!call(&budget) { $0.charge(8, now: at(0)) }))
    #expect((call(&budget) { $0.charge(2, now: at(0)) }))
    #expect((call(&budget) { $0.charge(8, now: at(80)) }))
  }
}
