// Where requests are gathered into batches, and the threads that run them. The queues are a value (`BatchSchedule`); here are
// the lock around it, and sleep.
//
//   loop, worker ─ submit ─► [ schedule ] ─ a batch is ready ─► batch thread: join, run, answer
//
// A thread that finds nothing to run sleeps until somebody wakes it. While batches wait for company, one of the sleepers, the
// timekeeper, sleeps no longer than until the first of them is old enough; nobody polls.
internal import Catalog
internal import Engine
internal import HTTP
internal import RPC
internal import Synchronization
internal import Telemetry
internal import Tensors
internal import Threads

final class Batcher: Sendable {
  /// Requests that may run together: of one version, for the same tensors.
  private struct Key: Hashable {
    let slot: Int
    let plan: ObjectIdentifier
    let wanted: UInt64
  }

  private struct State {
    var schedule = BatchSchedule<Key, any BatchTask>()
    /// Threads, the last to fall asleep at the end.
    var sleeping: [Int] = []
    /// Woken, and not yet looking.
    var waking = 0
    var timekeeper: (thread: Int, until: MonotonicTime)?
    var byteCount = 0
    var busy = 0
    /// The slots that the catalog shows, once it has been seen.
    var slots: Set<Int>?
    var isStopped = false

    /// A thread is awake, or done with a batch. Whether there is a signal for it that it has not taken.
    mutating func returns(_ thread: Int, from before: Before) -> Bool {
      switch before {
      case .nothing: return false
      case .run:
        busy -= 1
        return false
      case .sleep(let isSignalled):
        if let at = sleeping.firstIndex(of: thread) {
          sleeping.remove(at: at)
          return false
        }
        waking -= 1
        return !isSignalled
      }
    }
  }

  private let state = Mutex(State())
  private let wakeUps: [Semaphore]
  private let threads = Mutex<[SystemThread]>([])
  private let options: ServingOptions
  private let meters: BatchMeters
  private let tracer: Tracer
  /// The memory of each thread's runs.
  private let arenas: MeterBlock

  /// - Parameter parameters: how many threads run batches, and what they are called.
  init(_ parameters: BatchingParameters, _ options: ServingOptions, _ metrics: Metrics, _ tracer: Tracer) {
    self.options = options
    self.tracer = tracer
    meters = BatchMeters(metrics, threadPoolName: parameters.threadPoolName)
    let count = parameters.threads ?? CPUs.usable
    wakeUps = (0..<count).map { _ in Semaphore() }
    arenas = MeterBlock(wordCount: count)
    // The kernel keeps 15 bytes of a name.
    let name = parameters.threadPoolName.prefix(10)
    for index in 0..<count {
      let thread = SystemThread(named: "\(name)-\(index)") { [self] in work(index) }
      threads.withLock { $0.append(thread) }
    }
    metrics.add { [weak self] in self?.pour(into: &$0) }
  }

  // MARK: What comes

  /// Takes a request in whose inputs are in `frame`. It is answered and counted from here.
  /// - Parameter trail: until it was prepared.
  /// - Returns: the thread to be woken for it. Until that is done nobody may come for the batch.
  func submit<Request: DetachedInference, Run: InferenceRun>(
    _ request: Request, _ run: Run, _ lease: consuming Lease, _ parameters: BatchingParameters, _ frame: borrowing Frame,
    _ trail: RequestTrail
  ) throws(Status) -> Int? {
    if run.hasTargets { throw Status(.permissionDenied, "BatchingSession does not support target nodes") }
    let inputs = frame.fedInputs(of: run.plan)
    let rows = try inputs.batchRows()
    meters.asked(rows, inputs: inputs.values.count)
    let slot = lease.slot
    let task = BatchedInference(request, run, lease, inputs, rows: rows, mayBeSplit: parameters.splitsLargeBatches, trail)
    let key = Key(slot: slot.id, plan: ObjectIdentifier(run.plan), wanted: run.wanted.covering(run.plan.outputCount))
    do throws(Status) {
      return try state.withLock { state throws(Status) -> Int? in
        if state.isStopped { throw Status(.unavailable, "the server is shutting down") }
        guard state.byteCount == 0 || task.byteCount <= options.workerQueueBytesMax - state.byteCount else {
          throw Status(.resourceExhausted, "requests of \(state.byteCount) bytes wait for their batches already")
        }
        let now = MonotonicTime.now
        do throws(BatchRefusal) {
          let isClosed = state.slots.map { !$0.contains(slot.id) } ?? false
          try state.schedule.add(task, rows: rows, to: key, parameters, isClosed: isClosed, at: now)
        } catch {
          throw error.status
        }
        state.byteCount += task.byteCount
        return Batcher.threadToWake(&state)
      }
    } catch {
      meters.refused(slot.modelName)
      throw error
    }
  }

  func wake(_ thread: Int) { wakeUps[thread].signal() }

  /// Only these slots are left: whoever waits for another waits for no company.
  func refresh(_ snapshot: CatalogSnapshot) {
    let slots = Set(snapshot.models.flatMap(\.slots).map(\.id))
    change { state in
      state.slots = slots
      state.schedule.close(at: .now) { !slots.contains($0.slot) }
    }
  }

  /// Nobody waits for company any more.
  func close() { change { $0.schedule.closeAll(at: .now) } }

  /// Runs what waits and ends the threads.
  func stop() {
    state.withLock { state in
      state.schedule.closeAll(at: .now)
      state.isStopped = true
    }
    let running = threads.withLock { threads in
      defer { threads = [] }
      return threads
    }
    for wakeUp in wakeUps { wakeUp.signal() }
    for thread in running { thread.join() }
  }

  private func change(_ body: (inout State) -> Void) {
    let woken = state.withLock { state -> [Int] in
      body(&state)
      var woken: [Int] = []
      while let thread = Batcher.threadToWake(&state) { woken.append(thread) }
      return woken
    }
    for thread in woken { wakeUps[thread].signal() }
  }

  // MARK: Threads

  /// A sleeper that has something to do, if there is one: a batch to run, or a time to watch.
  private static func threadToWake(_ state: inout State) -> Int? {
    guard let last = state.sleeping.last else { return nil }
    let thread: Int
    if state.schedule.readyCount > state.waking {
      // The timekeeper sleeps on if somebody else can do it.
      thread = state.sleeping.last { $0 != state.timekeeper?.thread } ?? last
    } else if let due = state.schedule.due, state.timekeeper.map({ due < $0.until }) ?? (state.waking == 0) {
      thread = state.timekeeper?.thread ?? last
      guard state.sleeping.contains(thread) else { return nil }
    } else {
      return nil
    }
    state.sleeping.removeAll { $0 == thread }
    state.waking += 1
    return thread
  }

  /// What a thread comes from.
  private enum Before {
    case nothing
    case run
    /// It has taken its signal, if there was one.
    case sleep(isSignalled: Bool)
  }

  private enum Step {
    case run(BatchQueue<any BatchTask>.Batch, wake: Int?)
    case sleep(until: MonotonicTime?)
    case end
  }

  private func work(_ index: Int) {
    var frame = Frame(bytesMax: options.runBytesMax)
    var runner = BatchRunner(options, meters, tracer)
    var before = Before.nothing
    while true {
      let (step, isSignalled) = state.withLock { state -> (Step, Bool) in
        let isSignalled = state.returns(index, from: before)
        if state.timekeeper?.thread == index { state.timekeeper = nil }
        let now = MonotonicTime.now
        if let (_, batch) = state.schedule.next(at: now) {
          for piece in batch.pieces where piece.rows.lowerBound == 0 { state.byteCount -= piece.task.byteCount }
          state.busy += 1
          return (.run(batch, wake: Batcher.threadToWake(&state)), isSignalled)
        }
        if state.isStopped { return (.end, isSignalled) }
        state.sleeping.append(index)
        guard let due = state.schedule.due, state.timekeeper == nil else { return (.sleep(until: nil), isSignalled) }
        state.timekeeper = (index, due)
        return (.sleep(until: due), isSignalled)
      }
      // Whoever took us out of the sleepers signals, or has.
      if isSignalled { wakeUps[index].wait() }
      switch step {
      case .run(let batch, let woken):
        if let woken { wakeUps[woken].signal() }
        guard let parameters = batch.pieces.first?.task.slot.batching else { preconditionFailure("a slot's batches have its parameters") }
        runner.run(batch, parameters, &frame)
        arenas.set(UInt64(frame.bytesHeld), at: index)
        before = .run
      case .sleep(nil):
        wakeUps[index].wait()
        before = .sleep(isSignalled: true)
      case .sleep(.some(let until)):
        let time = until.nanoseconds(since: .now)
        before = .sleep(isSignalled: wakeUps[index].wait(atMost: .nanoseconds(Int64(clamping: time))))
      case .end:
        return
      }
    }
  }

  // MARK: For people

  private static let waitingRows = MetricDescription("martlet_batch_queue_rows", .gauge)
  private static let waitingBatches = MetricDescription("martlet_batch_queue_batches", .gauge)
  private static let waitingBytes = MetricDescription("martlet_batch_queue_bytes", .gauge)
  private static let threadsBusy = MetricDescription("martlet_batch_threads_busy", .gauge)
  private static let threadCount = MetricDescription("martlet_batch_threads", .gauge)

  private func pour(into snapshot: inout MetricsSnapshot) {
    let (rows, batches, bytes, busy) = state.withLock { ($0.schedule.rows, $0.schedule.batchCount, $0.byteCount, $0.busy) }
    snapshot.add((0..<arenas.count).reduce(0) { $0 &+ arenas[$1] }, to: RequestBoard.arenaBytes, ["batch"])
    snapshot.add(rows, to: Batcher.waitingRows)
    snapshot.add(batches, to: Batcher.waitingBatches)
    snapshot.add(bytes, to: Batcher.waitingBytes)
    snapshot.add(busy, to: Batcher.threadsBusy)
    snapshot.add(wakeUps.count, to: Batcher.threadCount)
  }
}

extension FedInputs {
  /// The rows of a request, by TensorFlow Serving's rules.
  fileprivate func batchRows() throws(Status) -> Int {
    guard let first = values.first else {
      throw Status(.invalidArgument, "Batching Run() must have at least one input tensor")
    }
    var rows: Int?
    for value in values {
      guard value.shape.rank > 0 else {
        throw Status(.invalidArgument, "Batching Run() input tensors must have at least one dimension")
      }
      guard value.shape[0] == rows ?? value.shape[0] else {
        throw Status(.invalidArgument, "Batching Run() input tensors must have equal 0th-dimension size")
      }
      rows = value.shape[0]
    }
    return first.shape[0]
  }
}

extension UInt64 {
  /// The same wish, whether it names all outputs or says nothing.
  fileprivate func covering(_ outputs: Int) -> UInt64 {
    let all: UInt64 = outputs >= 64 ? .max : (1 << UInt64(outputs)) - 1
    return self & all == all ? .max : self & all
  }
}
