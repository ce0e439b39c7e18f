// What the channel decides, without a socket.
import HTTP
import Testing

@testable import RPC

private let start = MonotonicTime(nanoseconds: 1_000_000_000_000)

private func after(_ seconds: Double) -> MonotonicTime { start.advanced(byNanoseconds: UInt64(seconds * 1e9)) }

@Suite struct BackoffTests {
  @Test func `each failure waits 1.6 times as long, up to the most, and a success starts over`() {
    var backoff = Backoff(base: .seconds(1), most: .seconds(3))
    let waits = (0..<4).map { _ in backoff.failed(random: 0.5) }
    #expect(waits == [1_000_000_000, 1_600_000_000, 2_560_000_000, 3_000_000_000])
    backoff.succeeded()
    #expect(backoff.failed(random: 0.5) == 1_000_000_000)
  }

  @Test func `the clients of one server spread over a fifth to either side`() {
    var low = Backoff(), high = Backoff()
    #expect(low.failed(random: 0) == 800_000_000)
    #expect(high.failed(random: 1) == 1_200_000_000)
  }
}

@Suite struct SubchannelTests {
  private func subchannel() -> Subchannel {
    Subchannel(backoff: Backoff(base: .seconds(1), most: .seconds(120)), connectTimeout: .seconds(20))
  }

  @Test func `wanted, connected, answered, lost: idle again at once`() {
    var it = subchannel()
    #expect(it.wanted(at: start) == .connect(deadline: after(20)))
    #expect(it.connectivity == .connecting)
    #expect(it.wanted(at: start) == .none)
    #expect(it.connected() == .none)
    it.answered()
    #expect(it.lost(at: after(5), random: 0.5) == .none)
    #expect(it.connectivity == .idle)
  }

  @Test func `a failed attempt waits, counted from its start`() {
    var it = subchannel()
    _ = it.wanted(at: start)
    #expect(it.lost(at: after(0.4), random: 0.5) == .wait(until: after(1)))
    #expect(it.connectivity == .transientFailure)
    #expect(it.wanted(at: after(0.9)) == .none)
    #expect(it.timeCame(at: after(0.9)) == .wait(until: after(1)))
    #expect(it.timeCame(at: after(1)) == .none)
    #expect(it.connectivity == .idle)
    _ = it.wanted(at: after(1))
    #expect(it.lost(at: after(21), random: 0.5) == .wait(until: after(21)))
  }

  @Test func `an attempt that takes too long is cut`() {
    var it = subchannel()
    _ = it.wanted(at: start)
    #expect(it.timeCame(at: after(20)) == .close)
    #expect(it.connectivity == .connecting)
  }

  @Test func `a server that accepts and hangs up is left alone like one that refuses`() {
    var it = subchannel()
    _ = it.wanted(at: start)
    _ = it.connected()
    #expect(it.lost(at: after(0.1), random: 0.5) == .wait(until: after(1)))
    _ = it.timeCame(at: after(1))
    _ = it.wanted(at: after(1))
    _ = it.connected()
    #expect(it.lost(at: after(1.1), random: 0.5) == .wait(until: after(2.6)))
  }

  @Test func `a server that asks for another connection gets it at once`() {
    var it = subchannel()
    _ = it.wanted(at: start)
    _ = it.connected()
    #expect(it.movedOn(at: start, random: 0.5) == .none)
    #expect(it.connectivity == .idle)
  }

  @Test func `a server that asks for another connection again and again without an answer is left alone`() {
    var it = subchannel()
    var actions: [Subchannel.Action] = []
    for _ in 0..<4 {
      _ = it.wanted(at: start)
      _ = it.connected()
      actions.append(it.movedOn(at: start, random: 0.5))
    }
    #expect(actions == [.none, .none, .none, .wait(until: after(1))])
  }

  @Test func `shut down is shut down`() {
    var it = subchannel()
    _ = it.wanted(at: start)
    #expect(it.shutDown() == .close)
    #expect(it.wanted(at: after(1)) == .none && it.connected() == .close && it.timeCame(at: after(30)) == .none)
    #expect(it.connectivity == .shutdown)
  }
}

@Suite struct PickerTests {
  private func picks(_ policy: LoadBalancing, _ standings: [Picker.Standing], _ count: Int) -> [Picker.Pick] {
    var picker = Picker(policy)
    return (0..<count).map { _ in picker.pick(among: standings.count) { standings[$0] } }
  }

  @Test func `round robin takes those that are ready in turn`() {
    #expect(picks(.roundRobin, [.ready, .failed, .ready, .full, .ready], 4) == [.use(0), .use(2), .use(4), .use(0)])
  }

  @Test func `pick first stays with the first that is ready, full or not`() {
    #expect(picks(.pickFirst, [.failed, .ready, .ready], 2) == [.use(1), .use(1)])
    #expect(picks(.pickFirst, [.full, .ready], 1) == [.wait])
  }

  @Test(arguments: [LoadBalancing.roundRobin, .pickFirst])
  func `something may come of idle, connecting and full; nothing of failures alone`(_ policy: LoadBalancing) {
    #expect(picks(policy, [.failed, .connecting], 1) == [.wait])
    #expect(picks(policy, [.failed, .idle], 1) == [.wait])
    #expect(picks(policy, [.failed, .full], 1) == [.wait])
    #expect(picks(policy, [.failed, .failed], 1) == [.fail])
    #expect(picks(policy, [], 1) == [.fail])
  }

  @Test func `addresses may become fewer between two picks`() {
    var picker = Picker(.roundRobin)
    for _ in 0..<3 { _ = picker.pick(among: 4) { _ in .ready } }
    #expect(picker.pick(among: 1) { _ in .ready } == .use(0))
  }

  @Test func `round robin connects to every address`() {
    let picker = Picker(.roundRobin)
    var standings: [Picker.Standing] = [.failed, .idle, .ready, .idle]
    var order: [Int] = []
    while let index = picker.connect(among: standings.count, staggered: false, { standings[$0] }) {
      standings[index] = .connecting
      order.append(index)
    }
    #expect(order == [1, 3])
  }

  @Test func `pick first tries the next address when one has failed or had its head start`() {
    let picker = Picker(.pickFirst)
    func next(_ staggered: Bool, _ standings: [Picker.Standing]) -> Int? {
      picker.connect(among: standings.count, staggered: staggered) { standings[$0] }
    }
    #expect(next(false, [.idle, .idle]) == 0)
    #expect(next(false, [.connecting, .idle]) == nil)
    #expect(next(true, [.connecting, .idle]) == 1)
    #expect(next(false, [.failed, .idle]) == 1)
    #expect(next(true, [.ready, .idle]) == nil)
    #expect(next(false, [.failed, .failed]) == nil)
  }
}

@Suite struct RetryTests {
  private let unavailable = RetryState.Ending.status(.unavailable, .none)

  @Test func `by policy: pauses that double, up to the most, until the attempts are used up`() {
    var budget = RetryBudget()
    var call = RetryState(
      RetryPolicy(attemptsMax: 4, initialBackoff: .milliseconds(100), backoffMax: .milliseconds(300), backoffMultiplier: 2))
    let decisions = (0..<4).map { _ in call.ended(unavailable, &budget, random: 0.5) }
    #expect(decisions == [
      .again(afterNanoseconds: 100_000_000), .again(afterNanoseconds: 200_000_000), .again(afterNanoseconds: 300_000_000),
      .giveUp,
    ])
    #expect(call.attempts == 4)
  }

  @Test func `nobody makes more than five attempts`() { #expect(RetryPolicy(attemptsMax: 100).attemptsMax == 5) }

  @Test func `other statuses, and calls without a policy, are final and cost no token`() {
    var budget = RetryBudget()
    var call = RetryState(RetryPolicy())
    #expect(call.ended(.status(.invalidArgument, .none), &budget, random: 0) == .giveUp)
    var plain = RetryState(nil)
    #expect(plain.ended(unavailable, &budget, random: 0) == .giveUp)
    #expect(budget.tokens == 100)
  }

  @Test func `what never left goes again as often as it takes; what was refused, once`() {
    var budget = RetryBudget()
    var call = RetryState(nil)
    for _ in 0..<100 { #expect(call.ended(.unsent, &budget, random: 0) == .again(afterNanoseconds: 0)) }
    #expect(call.ended(.refused, &budget, random: 0) == .again(afterNanoseconds: 0))
    #expect(call.ended(.refused, &budget, random: 0) == .giveUp)
    #expect(call.attempts == 1 && budget.tokens == 100)
  }

  @Test func `the server says when, or never`() {
    var budget = RetryBudget()
    var call = RetryState(RetryPolicy(attemptsMax: 5, initialBackoff: .milliseconds(100)))
    _ = call.ended(unavailable, &budget, random: 0.5)
    #expect(
      call.ended(.status(.unavailable, RetryPushback("1500")), &budget, random: 0) == .again(afterNanoseconds: 1_500_000_000))
    // Push-back starts the pauses over.
    #expect(call.ended(unavailable, &budget, random: 0.5) == .again(afterNanoseconds: 100_000_000))
    #expect(call.ended(.status(.unavailable, RetryPushback("-1")), &budget, random: 0) == .giveUp)
    #expect(RetryPushback("soon") == .never && RetryPushback("0") == .after(milliseconds: 0) && RetryPushback(nil) == .none)
  }

  @Test func `at half its tokens the budget allows nothing until enough calls succeed`() {
    var budget = RetryBudget(tokensMax: 10, tokenRatio: 0.5)
    for _ in 0..<4 { budget.failed() }
    var call = RetryState(RetryPolicy())
    #expect(call.ended(unavailable, &budget, random: 0) == .giveUp && budget.tokens == 5)
    budget.succeeded()
    #expect(budget.allowsRetry)
    for _ in 0..<100 { budget.succeeded() }
    #expect(budget.tokens == 10)
    for _ in 0..<100 { budget.failed() }
    #expect(budget.tokens == 0)
  }
}

@Suite struct KeepaliveTests {
  private func keepalive(_ seconds: UInt64, withoutCalls: Bool = false) -> KeepaliveState {
    KeepaliveState(interval: seconds * 1_000_000_000, timeout: 20_000_000_000, withoutCalls: withoutCalls, now: start)
  }

  @Test func `a server that says nothing is pinged, and given up when it does not answer`() {
    var it = keepalive(10)
    #expect(it.check(at: start, heard: 0, hasCalls: true) == .wait(until: after(10)))
    #expect(it.check(at: after(10), heard: 0, hasCalls: true) == .ping(until: after(30)))
    #expect(it.check(at: after(15), heard: 0, hasCalls: true) == .wait(until: after(30)))
    #expect(it.check(at: after(30), heard: 0, hasCalls: true) == .close)
  }

  @Test func `while bytes come in nothing is sent`() {
    var it = keepalive(10)
    #expect(it.check(at: after(10), heard: 5, hasCalls: true) == .wait(until: after(20)))
    #expect(it.check(at: after(20), heard: 6, hasCalls: true) == .wait(until: after(30)))
  }

  @Test func `two pings at the interval, then one in five minutes until the server has something to say`() {
    var it = keepalive(10)
    #expect(it.check(at: after(10), heard: 0, hasCalls: true) == .ping(until: after(30)))
    it.acknowledged()
    #expect(it.check(at: after(30), heard: 1, hasCalls: true) == .wait(until: after(40)))
    #expect(it.check(at: after(40), heard: 1, hasCalls: true) == .ping(until: after(60)))
    it.acknowledged()
    #expect(it.check(at: after(60), heard: 2, hasCalls: true) == .wait(until: after(340)))
    // A message: the server has something to say.
    #expect(it.check(at: after(100), heard: 3, hasCalls: true) == .wait(until: after(110)))
    #expect(it.check(at: after(110), heard: 3, hasCalls: true) == .ping(until: after(130)))
  }

  @Test func `without calls the connection rests, unless it is to be watched`() {
    var it = keepalive(10)
    #expect(it.check(at: after(10), heard: 0, hasCalls: false) == .rest)
    var watched = keepalive(10, withoutCalls: true)
    #expect(watched.check(at: after(10), heard: 0, hasCalls: false) == .ping(until: after(30)))
  }
}

@Suite struct ResolutionPacerTests {
  @Test func `one look-up at a time, and not twice within the interval`() {
    var pacer = ResolutionPacer(interval: .seconds(30), backoff: Backoff())
    #expect(pacer.wanted(at: start) == .start)
    #expect(pacer.wanted(at: start) == .none)
    pacer.ended(succeeded: true, at: after(1), random: 0.5)
    #expect(pacer.wanted(at: after(2)) == .wait(until: after(31)))
    #expect(pacer.wanted(at: after(3)) == .none)
    pacer.waited()
    #expect(pacer.wanted(at: after(31)) == .start)
  }

  @Test func `a failed look-up is followed by the back-off`() {
    var pacer = ResolutionPacer(interval: .seconds(30), backoff: Backoff())
    _ = pacer.wanted(at: start)
    pacer.ended(succeeded: false, at: start, random: 0.5)
    #expect(pacer.wanted(at: start) == .wait(until: after(1)))
  }
}

@Suite struct TargetTests {
  @Test(arguments: [
    ("localhost:8500", [.tcp(host: "localhost", port: 8500)]),
    ("dns:example.com:80", [.tcp(host: "example.com", port: 80)]),
    ("dns:///example.com:80", [.tcp(host: "example.com", port: 80)]),
    ("dns:///[::1]:80", [.tcp(host: "::1", port: 80)]),
    ("ipv4:10.0.0.1:80,10.0.0.2:81", [.tcp(host: "10.0.0.1", port: 80), .tcp(host: "10.0.0.2", port: 81)]),
    ("ipv6:[::1]:80", [.tcp(host: "::1", port: 80)]),
    ("unix:run/a.sock", [.unix(path: "run/a.sock")]),
    ("unix:/run/a.sock", [.unix(path: "/run/a.sock")]),
    ("unix:///run/a.sock", [.unix(path: "/run/a.sock")]),
  ] as [(String, [Endpoint])])
  func `gRPC's names are understood`(_ text: String, _ endpoints: [Endpoint]) throws {
    let target = try Target(parsing: text)
    #expect(target.endpoints == endpoints && target.description == text)
  }

  @Test(arguments: [
    "", "localhost", "dns:", "dns:///", "dns://8.8.8.8/example.com:80", "dns://example.com:80", "ipv4:example.com:80",
    "ipv4:[::1]:80", "ipv6:10.0.0.1:80", "ipv4:10.0.0.1:80,", "ipv4:10.0.0.1", "unix:", "unix://run/a.sock",
    "unix-abstract:a", "https://example.com:443", "example.com:65536", "unix:" + String(repeating: "a", count: 200),
  ])
  func `what is no target is refused`(_ text: String) {
    #expect(throws: TargetError.self) { try Target(parsing: text) }
  }

  @Test func `the authority is the name, and localhost for a Unix socket`() throws {
    #expect(try Target(parsing: "dns:///example.com:80").authority == "example.com:80")
    #expect(try Target(parsing: "ipv6:[::1]:80").authority == "[::1]:80")
    #expect(try Target(parsing: "unix:/run/a.sock").authority == "localhost")
  }
}

@Suite struct WaitingLineTests {
  private final class Waiter: Waiting {
    let number: Int
    var isWaiting = false
    init(_ number: Int) { self.number = number }
  }

  @Test func `first come, first served, and who leaves is passed over`() {
    var line = WaitingLine<Waiter>()
    let waiters = (0..<5).map { Waiter($0) }
    for waiter in waiters { line.append(waiter) }
    line.leave(waiters[0])
    line.leave(waiters[3])
    line.leave(waiters[3])
    #expect(line.count == 3)
    #expect(line.popFirst()?.number == 1)
    #expect(line.removeAll().map(\.number) == [2, 4])
    #expect(line.isEmpty && line.popFirst() == nil)
  }

  @Test func `a hundred thousand that came and left leave no memory behind`() {
    var line = WaitingLine<Waiter>()
    weak var first: Waiter?
    for number in 0..<100_000 {
      let waiter = Waiter(number)
      if number == 0 { first = waiter }
      line.append(waiter)
      line.leave(waiter)
    }
    #expect(line.isEmpty && first == nil)
  }
}
