// Where runs go that would hold an event loop too long. A bounded queue, first come first served, and threads that each own
// a frame. A job that nobody waits for any more is dropped before it starts and, between steps, while it runs.
internal import Engine
internal import Synchronization
internal import Telemetry
internal import Threads

/// Work for a worker.
protocol WorkerJob: AnyObject, Sendable {
  /// The memory the job holds while it waits.
  var byteCount: Int { get }
  /// Runs on a worker's thread, with its frame.
  func run(_ frame: inout Frame)
}

/// Threads, each with a frame, and the queue before them.
final class WorkerPool: Sendable {
  private struct Queue {
    /// From `head` on those that wait; before it, places that are free.
    var jobs: [(any WorkerJob)?] = []
    var head = 0
    var byteCount = 0
    var stopped = false

    var count: Int { jobs.count - head }

    mutating func next() -> (any WorkerJob)? {
      guard head < jobs.count, let job = jobs[head] else { return nil }
      // The queue keeps nothing of a job that was taken: neither its request nor its lease.
      jobs[head] = nil
      head += 1
      byteCount -= job.byteCount
      if head == jobs.count || head > 1024 {
        jobs.removeFirst(head)
        head = 0
      }
      return job
    }
  }

  private let queue = Mutex(Queue())
  private let available = Semaphore()
  private let capacity: Int
  private let bytesMax: Int
  private let threads: Mutex<[SystemThread]>
  private let busy = Atomic<Int>(0)
  /// The memory of each worker's runs.
  private let arenas: MeterBlock
  private let refused = Atomic<Int>(0)

  /// - Parameters:
  ///   - capacity: the most jobs that wait.
  ///   - bytesMax: the most memory waiting jobs hold; a single one may hold more.
  ///   - runBytesMax: the most memory a run may hold.
  init(threads count: Int, capacity: Int, bytesMax: Int = .max, runBytesMax: Int) {
    self.capacity = capacity
    self.bytesMax = bytesMax
    threads = Mutex([])
    arenas = MeterBlock(wordCount: count)
    for index in 0..<count {
      let thread = SystemThread(named: "worker-\(index)") { [self] in
        var frame = Frame(bytesMax: runBytesMax)
        work(&frame, index)
      }
      threads.withLock { $0.append(thread) }
    }
  }

  /// Puts a job at the end of the queue; `false` when the queue is full.
  func submit(_ job: some WorkerJob) -> Bool {
    let taken = queue.withLock { queue -> Bool in
      guard queue.count < capacity, !queue.stopped else { return false }
      guard queue.count == 0 || job.byteCount <= bytesMax - queue.byteCount else { return false }
      queue.jobs.append(job)
      queue.byteCount += job.byteCount
      return true
    }
    if taken { available.signal() } else { refused.add(1, ordering: .relaxed) }
    return taken
  }

  private static let queueLength = MetricDescription("martlet_worker_queue_length", .gauge)
  private static let queueBytes = MetricDescription("martlet_worker_queue_bytes", .gauge)
  private static let workersBusy = MetricDescription("martlet_workers_busy", .gauge)
  private static let workerCount = MetricDescription("martlet_workers", .gauge)
  private static let refusedTotal = MetricDescription("martlet_worker_queue_rejected_total", .counter)

  /// How busy the workers are, from any thread.
  func pour(into snapshot: inout MetricsSnapshot) {
    let (length, bytes) = queue.withLock { ($0.count, $0.byteCount) }
    snapshot.add((0..<arenas.count).reduce(0) { $0 &+ arenas[$1] }, to: RequestBoard.arenaBytes, ["worker"])
    snapshot.add(length, to: WorkerPool.queueLength)
    snapshot.add(bytes, to: WorkerPool.queueBytes)
    snapshot.add(busy.load(ordering: .relaxed), to: WorkerPool.workersBusy)
    snapshot.add(threads.withLock { $0.count }, to: WorkerPool.workerCount)
    snapshot.add(refused.load(ordering: .relaxed), to: WorkerPool.refusedTotal)
  }

  private func work(_ frame: inout Frame, _ index: Int) {
    while true {
      available.wait()
      let (job, stopped) = queue.withLock { ($0.next(), $0.stopped) }
      if let job {
        busy.add(1, ordering: .relaxed)
        job.run(&frame)
        arenas.set(UInt64(frame.bytesHeld), at: index)
        busy.subtract(1, ordering: .relaxed)
      } else if stopped {
        return
      }
    }
  }

  /// Finishes what is queued and ends the threads.
  func stop() {
    queue.withLock { $0.stopped = true }
    let running = threads.withLock { threads in
      defer { threads = [] }
      return threads
    }
    for _ in running { available.signal() }
    for thread in running { thread.join() }
  }
}
