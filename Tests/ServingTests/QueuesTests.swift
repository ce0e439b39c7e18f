// The two places where requests wait: for a model, and for a worker. And what decides who goes there.
import Foundation
import Synchronization
import Testing

@testable import Engine
@testable import Serving

@Suite struct WaitingRoomTests {
  @Test func `those who wait come out in the order they came`() {
    var room = WaitingRoom<Int>(capacity: 10)
    for i in 0..<5 { #expect(room.admit(i) != nil) }
    #expect(room.takeAll() == [0, 1, 2, 3, 4])
    #expect(room.count == 0)
    #expect(room.takeAll() == [])
  }

  @Test func `who finds it full is turned away until somebody leaves`() {
    var room = WaitingRoom<Int>(capacity: 2)
    let first = room.admit(1)!
    #expect(room.admit(2) != nil)
    #expect(room.admit(3) == nil)
    room.leave(first)
    #expect(room.count == 1)
    #expect(room.admit(4) != nil)
    #expect(room.takeAll() == [2, 4])
  }

  @Test func `leaving twice, or after coming out, is leaving once`() {
    var room = WaitingRoom<Int>(capacity: 3)
    let ticket = room.admit(1)!
    #expect(room.admit(2) != nil)
    room.leave(ticket)
    room.leave(ticket)
    #expect(room.count == 1)
    _ = room.takeAll()
    #expect(room.admit(3) != nil)
    room.leave(ticket)
    #expect(room.count == 1)
  }

  @Test func `nothing is kept of who left`() {
    final class Request {}
    var room = WaitingRoom<Request>(capacity: 8)
    for _ in 0..<6 { #expect(room.admit(Request()) != nil) }
    var request: Request? = Request()
    weak let trace = request
    let ticket = room.admit(request!)!
    request = nil
    #expect(trace != nil)
    room.leave(ticket)
    #expect(trace == nil)
    #expect(room.count == 6)
  }

  @Test func `any coming and going is that of a list`() {
    var seed = SplitMix(state: 0x5EED)
    var room = WaitingRoom<Int>(capacity: 20)
    var list: [(ticket: UInt64, call: Int)] = []
    for i in 0..<20_000 {
      switch Int.random(in: 0..<10, using: &seed) {
      case 0..<5:
        let ticket = room.admit(i)
        #expect((ticket == nil) == (list.count == 20))
        if let ticket { list.append((ticket, i)) }
      case 5..<9:
        guard let at = list.indices.randomElement(using: &seed) else { continue }
        room.leave(list.remove(at: at).ticket)
      default:
        #expect(room.takeAll() == list.map(\.call))
        list = []
      }
      #expect(room.count == list.count)
    }
  }
}

struct SplitMix: RandomNumberGenerator {
  var state: UInt64
  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}

private final class Job: WorkerJob {
  let byteCount: Int
  private let body: @Sendable () -> Void
  init(byteCount: Int = 1, _ body: @escaping @Sendable () -> Void = {}) {
    self.byteCount = byteCount
    self.body = body
  }
  func run(_ frame: inout Frame) { body() }
}

@Suite struct WorkerPoolTests {
  private let started = DispatchSemaphore(value: 0)
  private let open = DispatchSemaphore(value: 0)

  /// Keeps the only worker busy until `open` is signalled.
  private func occupy(_ pool: WorkerPool) {
    let (started, open) = (started, open)
    #expect(
      pool.submit(
        Job {
          started.signal()
          open.wait()
        }))
    started.wait()
  }

  @Test func `jobs run in the order they came, and those queued run before the end`() {
    let pool = WorkerPool(threads: 1, capacity: 3000, runBytesMax: 1 << 20)
    let ran = Ran()
    occupy(pool)
    for i in 0..<3000 { #expect(pool.submit(Job { ran.append(i) })) }
    #expect(!pool.submit(Job()))
    open.signal()
    pool.stop()
    #expect(ran.list == Array(0..<3000))
    #expect(!pool.submit(Job()))
  }

  @Test func `the queue is bounded in bytes, but one job always has a place`() {
    let pool = WorkerPool(threads: 1, capacity: 10, bytesMax: 100, runBytesMax: 1 << 20)
    occupy(pool)
    #expect(pool.submit(Job(byteCount: 1000)))
    #expect(!pool.submit(Job(byteCount: 1)))
    open.signal()
    pool.stop()

    let other = WorkerPool(threads: 1, capacity: 10, bytesMax: 100, runBytesMax: 1 << 20)
    occupy(other)
    #expect(other.submit(Job(byteCount: 60)))
    #expect(other.submit(Job(byteCount: 40)))
    #expect(!other.submit(Job(byteCount: 1)))
    open.signal()
    other.stop()
  }

  @Test func `nothing is kept of a job that ran, while others wait`() {
    let pool = WorkerPool(threads: 1, capacity: 10, runBytesMax: 1 << 20)
    let (again, go) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
    occupy(pool)
    var job: Job? = Job()
    weak let trace = job
    #expect(pool.submit(job!))
    job = nil
    #expect(
      pool.submit(
        Job {
          again.signal()
          go.wait()
        }))
    #expect(pool.submit(Job()))
    open.signal()
    again.wait()
    // The second runs now and a third waits.
    #expect(trace == nil)
    go.signal()
    pool.stop()
  }

  @Test func `as many jobs run at once as there are threads`() {
    let pool = WorkerPool(threads: 3, capacity: 10, runBytesMax: 1 << 20)
    for _ in 0..<3 { occupy(pool) }
    for _ in 0..<3 { open.signal() }
    pool.stop()
  }

  private final class Ran: Sendable {
    private let values = Mutex<[Int]>([])
    func append(_ value: Int) { values.withLock { $0.append(value) } }
    var list: [Int] { values.withLock { $0 } }
  }
}

@Suite struct CostEstimateTests {
  @Test func `nothing is known before the first run`() {
    let cost = CostEstimate()
    for rows in [0, 1, 100, .max] { #expect(cost.estimate(rows: rows) == nil) }
  }

  @Test func `rows not seen so far cost in proportion to the next fewer`() {
    let cost = CostEstimate()
    cost.record(rows: 1, nanoseconds: 1000)
    #expect(cost.estimate(rows: 0) == 1000)
    #expect(cost.estimate(rows: 2) == 2000)
    #expect(cost.estimate(rows: 3) == 4000)
    #expect(cost.estimate(rows: 1024) == 1_024_000)
    cost.record(rows: 1024, nanoseconds: 5000)
    #expect(cost.estimate(rows: 1024) == 5000)
    #expect(cost.estimate(rows: 513) == 5000)
    #expect(cost.estimate(rows: 512) == 512_000)
  }

  @Test func `a longer run moves the estimate by a quarter, a shorter one by an eighth`() {
    let cost = CostEstimate()
    cost.record(rows: 1, nanoseconds: 800)
    cost.record(rows: 1, nanoseconds: 1200)
    #expect(cost.estimate(rows: 1) == 900)
    cost.record(rows: 1, nanoseconds: 100)
    #expect(cost.estimate(rows: 1) == 800)
  }

  @Test func `no number of rows or nanoseconds is too large`() {
    let cost = CostEstimate()
    cost.record(rows: 1, nanoseconds: .max)
    #expect(cost.estimate(rows: .max) == .max)
    cost.record(rows: .max, nanoseconds: 5)
    cost.record(rows: .max, nanoseconds: .max)
    cost.record(rows: -1, nanoseconds: -1)
    #expect(cost.estimate(rows: .max)! > 5)
  }

  @Test func `estimates come nearer to what is`() {
    let cost = CostEstimate()
    cost.record(rows: 4, nanoseconds: 1_000_000)
    for _ in 0..<200 { cost.record(rows: 4, nanoseconds: 1000) }
    #expect((900...1100).contains(cost.estimate(rows: 4)!))
  }
}
