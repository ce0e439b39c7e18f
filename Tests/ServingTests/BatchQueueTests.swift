// Queues of batches under a clock that the test turns.
import Catalog
import HTTP
import RPC
import Testing

@testable import Serving

private func parameters(_ change: (inout BatchingParameters) -> Void) -> BatchingParameters {
  var parameters = BatchingParameters()
  change(&parameters)
  return parameters
}

private func time(_ microseconds: UInt64) -> MonotonicTime { MonotonicTime(nanoseconds: microseconds * 1000) }

extension BatchQueue.Batch where Task == Int {
  fileprivate var tasks: [Int] { pieces.map(\.task) }
}

@Suite struct BatchQueueTests {
  private typealias Queue = BatchQueue<Int>

  @Test func `without a timeout whatever is there is ready at once, and gathers while nobody comes for it`() throws {
    var queue = Queue(parameters { $0.batchSizeMax = 4 })
    #expect(!queue.isReady(at: time(0)))
    #expect(queue.next(at: time(0)) == nil)
    for task in 0..<3 {
      try queue.add(task, rows: 1, at: time(0))
      #expect(queue.isReady(at: time(0)))
    }
    #expect(queue.next(at: time(0))?.tasks == [0, 1, 2])
    #expect(queue.isEmpty)
  }

  @Test func `a batch waits until its first task is old enough, or until it is full`() throws {
    var queue = Queue(
      parameters {
        $0.batchSizeMax = 4
        $0.timeoutMicroseconds = 100
      })
    try queue.add(0, rows: 1, at: time(10))
    try queue.add(1, rows: 1, at: time(109))
    #expect(queue.due == time(110))
    #expect(queue.next(at: time(109)) == nil)
    #expect(queue.next(at: time(110))?.tasks == [0, 1])

    try queue.add(2, rows: 3, at: time(200))
    #expect(!queue.isReady(at: time(200)))
    try queue.add(3, rows: 1, at: time(201))
    #expect(queue.isReady(at: time(201)))
    let full = queue.next(at: time(201))
    let batch = try #require(full)
    #expect(batch.tasks == [2, 3])
    #expect(batch.rows == 4)
    #expect(batch.pieces.map(\.rows) == [0..<3, 0..<1])
  }

  @Test func `a task that does not fit closes the batch, which is ready then`() throws {
    var queue = Queue(
      parameters {
        $0.batchSizeMax = 4
        $0.timeoutMicroseconds = 100
      })
    try queue.add(0, rows: 3, at: time(0))
    try queue.add(1, rows: 2, at: time(50))
    #expect(queue.next(at: time(50))?.tasks == [0])
    // The other is as young as it is.
    #expect(queue.due == time(150))
    #expect(queue.next(at: time(149)) == nil)
    #expect(queue.next(at: time(150))?.tasks == [1])
  }

  @Test func `a task is as large as a batch at most`() throws {
    var queue = Queue(parameters { $0.batchSizeMax = 4 })
    try queue.add(0, rows: 4, at: time(0))
    #expect(throws: BatchRefusal.tooLarge(rows: 5, rowsMax: 4)) { try queue.add(1, rows: 5, at: time(0)) }
    #expect(
      BatchRefusal.tooLarge(rows: 5, rowsMax: 4).status.message == "Task size 5 is larger than maximum input batch size 4")
    #expect(BatchRefusal.tooLarge(rows: 5, rowsMax: 4).status.code == .invalidArgument)
  }

  @Test func `a full queue refuses what would open another batch, and takes what still fits`() throws {
    var queue = Queue(
      parameters {
        $0.batchSizeMax = 4
        $0.enqueuedBatchesMax = 2
      })
    for task in 0..<2 { try queue.add(task, rows: 3, at: time(0)) }
    #expect(throws: BatchRefusal.full(batches: 2, batchesMax: 2)) { try queue.add(9, rows: 2, at: time(0)) }
    try queue.add(2, rows: 1, at: time(0))
    #expect(queue.next(at: time(0))?.tasks == [0])
    // A batch that runs waits no longer.
    try queue.add(3, rows: 2, at: time(0))
    #expect(queue.next(at: time(0))?.tasks == [1, 2])
    #expect(
      BatchRefusal.full(batches: 2, batchesMax: 2).status.message
        == "The batch scheduling queue to which this task was submitted is full; currently 2 batches enqueued and max_enqueued_batches is 2"
    )
    #expect(BatchRefusal.full(batches: 2, batchesMax: 2).status.code == .unavailable)
  }

  @Test func `without room for any batch beside the open one, that one is still filled`() throws {
    for batches in [0, 1] {
      var queue = Queue(
        parameters {
          $0.batchSizeMax = 2
          $0.enqueuedBatchesMax = batches
        })
      try queue.add(0, rows: 2, at: time(0))
      #expect(throws: BatchRefusal.full(batches: 1, batchesMax: batches)) { try queue.add(1, rows: 1, at: time(0)) }
    }
  }

  @Test func `a large task fills the open batch and more after it`() throws {
    var queue = Queue(
      parameters {
        $0.batchSizeMax = 100
        $0.splitsLargeBatches = true
        $0.executionBatchSizeMax = 4
        $0.timeoutMicroseconds = 100
        $0.enqueuedBatchesMax = 4
      })
    try queue.add(0, rows: 1, at: time(0))
    try queue.add(1, rows: 9, at: time(10))
    try queue.add(2, rows: 1, at: time(20))
    var batches: [[Range<Int>]] = []
    while let batch = queue.next(at: time(20)) {
      batches.append(batch.pieces.map(\.rows))
      #expect(batch.rows == 4)
    }
    #expect(batches == [[0..<1, 0..<3], [3..<7]])
    #expect(queue.due == time(110))
    let rest = queue.next(at: time(110))
    let last = try #require(rest)
    #expect(last.tasks == [1, 2])
    #expect(last.pieces.map(\.rows) == [7..<9, 0..<1])
  }

  @Test func `a split task finds room for all of itself or none`() throws {
    var queue = Queue(
      parameters {
        $0.batchSizeMax = 100
        $0.splitsLargeBatches = true
        $0.executionBatchSizeMax = 4
        $0.enqueuedBatchesMax = 3
      })
    try queue.add(0, rows: 1, at: time(0))
    let refusal = BatchRefusal.noCapacity(rows: 12, capacity: 11, batches: 1, batchesMax: 3, openRows: 1, rowsMax: 4)
    #expect(throws: refusal) { try queue.add(1, rows: 12, at: time(0)) }
    #expect(throws: BatchRefusal.tooLarge(rows: 101, rowsMax: 100)) { try queue.add(1, rows: 101, at: time(0)) }
    try queue.add(2, rows: 11, at: time(0))
    #expect(queue.batchCount == 3)
    #expect(
      refusal.status.message
        == "The batch scheduling queue to which this task was submitted is full; task size is 12 but scheduling capacity is only 11 (num_enqueued_batches=1, max_enqueued_batches=3, open_batch_size=1, max_execution_batch_size=4)"
    )
    // Nothing, however, fits everywhere.
    try queue.add(3, rows: 0, at: time(0))
    #expect(queue.batchCount == 3)
  }

  @Test func `a closed queue waits for nobody`() throws {
    var queue = Queue(parameters { $0.timeoutMicroseconds = .max })
    try queue.add(0, rows: 1, at: time(0))
    #expect(!queue.isReady(at: time(1 << 40)))
    queue.close()
    #expect(queue.next(at: time(0))?.tasks == [0])
    try queue.add(1, rows: 1, at: time(0))
    #expect(queue.next(at: time(0))?.tasks == [1])
  }

  @Test func `a batch is padded to the next size that is allowed`() {
    let parameters = parameters {
      $0.batchSizeMax = 8
      $0.allowedBatchSizes = [2, 5, 8]
    }
    #expect((1...8).map { parameters.executedRows(for: $0) } == [2, 2, 5, 5, 5, 8, 8, 8])
    #expect(BatchingParameters().executedRows(for: 7) == 7)
  }
}

@Suite struct BatchScheduleTests {
  private typealias Schedule = BatchSchedule<String, Int>

  @Test func `queues take turns`() throws {
    var schedule = Schedule()
    let two = parameters { $0.batchSizeMax = 2 }
    for task in 0..<6 { try schedule.add(task, rows: 2, to: "a", two, at: time(0)) }
    for task in 6..<8 { try schedule.add(task, rows: 2, to: "b", two, at: time(0)) }
    var order: [String] = []
    while let (key, _) = schedule.next(at: time(0)) { order.append(key) }
    #expect(order == ["a", "b", "a", "b", "a", "a", "a", "a"])
    #expect(schedule.queueCount == 0)
  }

  @Test func `who sleeps is told when to look again`() throws {
    var schedule = Schedule()
    #expect(schedule.due == nil)
    try schedule.add(0, rows: 1, to: "slow", parameters { $0.timeoutMicroseconds = 500 }, at: time(0))
    try schedule.add(1, rows: 1, to: "quick", parameters { $0.timeoutMicroseconds = 100 }, at: time(10))
    #expect(schedule.due == time(110))
    #expect(schedule.readyCount == 0)
    #expect(schedule.next(at: time(109)) == nil)
    #expect(schedule.next(at: time(110))?.key == "quick")
    #expect(schedule.due == time(500))
    #expect(schedule.next(at: time(499)) == nil)
    #expect(schedule.next(at: time(500))?.key == "slow")
    #expect(schedule.due == nil)
    #expect(schedule.queueCount == 0)
  }

  @Test func `a batch that fills before its time is ready at once, and the one after it has a time of its own`() throws {
    var schedule = Schedule()
    let two = parameters {
      $0.batchSizeMax = 2
      $0.timeoutMicroseconds = 100
    }
    for (task, at) in [(0, 0), (1, 5), (2, 60)] { try schedule.add(task, rows: 1, to: "a", two, at: time(UInt64(at))) }
    #expect(schedule.readyCount == 1)
    #expect(schedule.next(at: time(60))?.batch.tasks == [0, 1])
    #expect(schedule.next(at: time(100)) == nil)
    #expect(schedule.due == time(160))
    #expect(schedule.next(at: time(160))?.batch.tasks == [2])
    #expect(schedule.queueCount == 0)
  }

  @Test func `queues whose version goes are closed, the others wait on`() throws {
    var schedule = Schedule()
    let patient = parameters { $0.timeoutMicroseconds = 1000 }
    for key in ["old", "new"] { try schedule.add(0, rows: 1, to: key, patient, at: time(0)) }
    schedule.close(at: time(0)) { $0 == "old" }
    #expect(schedule.next(at: time(0))?.key == "old")
    #expect(schedule.next(at: time(0)) == nil)
    // Who comes late does not wait either.
    try schedule.add(1, rows: 1, to: "old", patient, isClosed: true, at: time(1))
    #expect(schedule.next(at: time(1))?.key == "old")
    schedule.closeAll(at: time(2))
    #expect(schedule.next(at: time(2))?.key == "new")
    try schedule.add(2, rows: 1, to: "new", patient, at: time(3))
    #expect(schedule.next(at: time(3))?.key == "new")
    #expect(schedule.queueCount == 0)
  }

  @Test func `a refused task leaves nothing behind`() throws {
    var schedule = Schedule()
    let four = parameters { $0.batchSizeMax = 4 }
    #expect(throws: BatchRefusal.self) { try schedule.add(0, rows: 5, to: "a", four, at: time(0)) }
    #expect(schedule.queueCount == 0)
    #expect(schedule.next(at: time(0)) == nil)
  }

  /// Anything that can happen, by seed: no row is lost or comes twice, no batch is too large, none waits longer than it may.
  @Test(arguments: 0..<200) func `every row comes out once, in time`(seed: UInt64) throws {
    var random = SplitMix(state: seed)
    let all = (0..<3).map { _ in
      parameters {
        $0.batchSizeMax = Int.random(in: 1...12, using: &random)
        $0.timeoutMicroseconds = [0, 3, 50].randomElement(using: &random)!
        $0.enqueuedBatchesMax = Int.random(in: 0...4, using: &random)
        $0.executionBatchSizeMax = $0.batchSizeMax
        if Bool.random(using: &random) {
          $0.splitsLargeBatches = true
          $0.executionBatchSizeMax = Int.random(in: 1...$0.batchSizeMax, using: &random)
        }
      }
    }
    var schedule = Schedule()
    var now: UInt64 = 0
    var waiting: [Int: (key: Int, rows: Int, came: UInt64)] = [:]
    var pieces: [Int: [Range<Int>]] = [:]
    func take() {
      while let (key, batch) = schedule.next(at: time(now)) {
        let parameters = all[Int(key)!]
        #expect(batch.rows == batch.pieces.reduce(0) { $0 + $1.rows.count })
        #expect(batch.rows <= parameters.executionBatchSizeMax)
        for piece in batch.pieces {
          #expect(waiting[piece.task]?.key == Int(key))
          pieces[piece.task, default: []].append(piece.rows)
        }
      }
    }
    for task in 0..<300 {
      now += UInt64.random(in: 0...4, using: &random)
      let key = Int.random(in: 0..<3, using: &random)
      let rows = Int.random(in: 0...14, using: &random)
      do throws(BatchRefusal) {
        try schedule.add(task, rows: rows, to: "\(key)", all[key], at: time(now))
        waiting[task] = (key, rows, now)
      } catch {
        // It is too large, or there was no room.
        if case .tooLarge = error { #expect(rows > all[key].batchSizeMax) } else { #expect(rows > 0) }
      }
      guard Int.random(in: 0..<4, using: &random) == 0 else { continue }
      take()
      for (task, entry) in waiting where pieces[task] == nil {
        #expect(entry.came + UInt64(all[entry.key].timeoutMicroseconds) > now)
        #expect(schedule.due.map { $0 <= time(entry.came + UInt64(all[entry.key].timeoutMicroseconds)) } == true)
      }
    }
    schedule.closeAll(at: time(now))
    take()
    #expect(schedule.queueCount == 0)
    #expect(schedule.rows == 0)
    for (task, entry) in waiting {
      let rows = try #require(pieces[task])
      #expect(rows.flatMap { Array($0) } == Array(0..<entry.rows))
    }
  }
}
