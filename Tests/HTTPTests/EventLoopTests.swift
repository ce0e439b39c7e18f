// A loop that has nothing else to do: its timers wake it.
import Testing

@testable import HTTP

@Suite(.timeLimit(.minutes(1))) struct EventLoopTests {
  /// Writes down which timers fired, each not before its time, and tells when all that should have.
  private final class Watch: TimerTarget {
    private let wanted: Int
    private let done: ([Int], Int) -> Void
    var due: [(id: TimerID, time: MonotonicTime, delay: Int)] = []
    private(set) var fired: [Int] = []
    private(set) var early = 0

    init(_ wanted: Int, _ done: @escaping ([Int], Int) -> Void) {
      self.wanted = wanted
      self.done = done
    }

    func timerFired(_ timer: TimerID) {
      guard let i = due.firstIndex(where: { $0.id == timer }) else { return }
      if MonotonicTime.now < due[i].time { early += 1 }
      fired.append(due[i].delay)
      if fired.count == wanted { done(fired, early) }
    }
  }

  /// - Parameter delays: milliseconds, in the order in which the timers are set.
  private func fire(_ delays: [Int], cancelling cancelled: Set<Int> = []) async throws -> (fired: [Int], early: Int) {
    let loop = try EventLoop()
    loop.start()
    let result: (fired: [Int], early: Int) = await withCheckedContinuation { continuation in
      loop.enqueue {
        let watch = Watch(delays.count - cancelled.count) { continuation.resume(returning: ($0, $1)) }
        loop.setContext(watch)
        for delay in delays {
          let time = MonotonicTime.now.advanced(byMilliseconds: UInt64(delay))
          watch.due.append((loop.schedule(at: time, watch), time, delay))
        }
        for timer in watch.due where cancelled.contains(timer.delay) { loop.cancel(timer.id) }
      }
    }
    loop.stop()
    loop.join()
    return result
  }

  @Test func `a timer that is set later and due earlier wakes the loop`() async throws {
    let (fired, early) = try await fire([300, 40, 10, 120])
    #expect(fired == [10, 40, 120, 300] && early == 0)
  }

  @Test func `the timer behind one that was cancelled wakes the loop`() async throws {
    let (fired, early) = try await fire([5, 60, 20], cancelling: [5, 20])
    #expect(fired == [60] && early == 0)
  }

  @Test func `a timer a second and more away wakes the loop`() async throws {
    let (fired, early) = try await fire([1300])
    #expect(fired == [1300] && early == 0)
  }

  @Test func `a timer whose time has passed fires at once`() async throws {
    let (fired, _) = try await fire([0])
    #expect(fired == [0])
  }
}
