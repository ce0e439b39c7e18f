// What a batch thread does with a batch: drops who waits no more, joins the rows of the others into one input, runs the plan
// once and gives everybody the rows that are theirs.
//
// One mistake harms nobody else. Requests whose rows differ in shape and may not be padded run apart; TensorFlow Serving fails
// them all. A batch whose run fails is run again in halves, down to the request that fails alone: two runs' worth of rows for
// one culprit. Not where a run changes state: there it fails as a whole, as it does in TensorFlow Serving.
internal import Catalog
internal import Engine
internal import HTTP
internal import RPC
internal import Telemetry
internal import Tensors

/// Confined to its thread.
struct BatchRunner {
  typealias Queue = BatchQueue<any BatchTask>

  let options: ServingOptions
  let meters: BatchMeters
  let tracer: Tracer
  private var cells: [Int: Histogram] = [:]
  private var answers: [BatchedAnswer] = []

  init(_ options: ServingOptions, _ meters: BatchMeters, _ tracer: Tracer) {
    self.options = options
    self.meters = meters
    self.tracer = tracer
  }

  mutating func run(_ batch: Queue.Batch, _ parameters: BatchingParameters, _ frame: inout Frame) {
    let line = tracer.line
    if line != nil { frame.observer = line }
    defer {
      frame.interruption = nil
      if line != nil { frame.observer = nil }
      // Nothing is kept of the requests.
      answers = []
    }
    let pieces = waiting(batch, at: .now)
    deliver()
    for group in BatchRunner.groups(pieces, padding: parameters.padsVariableLengthInputs) {
      run(group[...], parameters, &frame, line)
    }
  }

  private mutating func deliver() {
    BatchedAnswer.deliver(answers)
    answers.removeAll(keepingCapacity: true)
  }

  /// Those who still wait for an answer.
  private mutating func waiting(_ batch: Queue.Batch, at now: MonotonicTime) -> [Queue.Piece] {
    var waiting: [Queue.Piece] = []
    waiting.reserveCapacity(batch.pieces.count)
    for piece in batch.pieces {
      let task = piece.task
      meters.waited(nanoseconds: now.nanoseconds(since: task.queued))
      if task.isExpired(at: now) {
        fail(piece, Status(.resourceExhausted, "Run() timeout exceeded while waiting in batching queue"), nil)
      } else if task.isWanted, task.deadline.map({ $0 > now }) ?? true {
        waiting.append(piece)
      } else {
        meters.dropped()
        drop(piece)
      }
    }
    return waiting
  }

  /// Requests that can be joined to one input.
  static func groups(_ pieces: [Queue.Piece], padding: Bool) -> [[Queue.Piece]] {
    guard let first = pieces.first else { return [] }
    if pieces.allSatisfy({ $0.task.inputs.joins(first.task.inputs, padding: padding) }) { return [pieces] }
    var groups: [[Queue.Piece]] = []
    for piece in pieces {
      if let at = groups.firstIndex(where: { $0[0].task.inputs.joins(piece.task.inputs, padding: padding) }) {
        groups[at].append(piece)
      } else {
        groups.append([piece])
      }
    }
    return groups
  }

  private mutating func run(
    _ pieces: ArraySlice<Queue.Piece>, _ parameters: BatchingParameters, _ frame: inout Frame, _ line: TraceLine?
  ) {
    let task = pieces[pieces.startIndex].task
    let rows = pieces.reduce(0) { $0 + $1.rows.count }
    let executed = rows == 0 ? 0 : parameters.executedRows(for: rows)
    var time = BatchTime(start: .now, end: .now, isShared: false)
    do throws(Status) {
      meters.merged(rows: rows, executed: executed, &cells)
      do throws(RunError) {
        try frame.feed(task.plan, pieces, padding: executed - rows)
        frame.interruption = BatchInterruption(pieces.map(\.task))
        time.start = .now
        defer {
          time.end = .now
          meters.ran()
        }
        try frame.run(task.plan, wanted: task.wanted)
      } catch {
        throw Status(error)
      }
    } catch {
      time.end = max(time.start, time.end)
      trace(line, task, rows, time, error.code.name)
      return failed(pieces, error, time, parameters, &frame, line)
    }
    trace(line, task, rows, time, "OK")
    if executed > 0, task.isTypical {
      task.cost.record(rows: executed, nanoseconds: Int(clamping: time.end.nanoseconds(since: time.start)))
    }
    if let mistake = frame.mistake(inOutputsOf: task.plan, wanted: task.wanted, rows: executed) {
      for piece in pieces { fail(piece, mistake, time) }
      return deliver()
    }
    var first = 0
    for piece in pieces {
      frame.show(rows: first..<first + piece.rows.count)
      first += piece.rows.count
      answer(piece, &frame, time)
      time.isShared = true
    }
    deliver()
  }

  private func trace(_ line: TraceLine?, _ task: any BatchTask, _ rows: Int, _ time: BatchTime, _ status: String) {
    guard let line else { return }
    let details = TraceEvent.Details(
      model: task.slot.modelName, version: task.slot.version, signature: "", status: status, rows: rows,
      waited: time.start.nanoseconds(since: task.queued))
    line.add(
      TraceEvent(name: .request("batch \(task.slot.modelName)"), start: time.start.nanoseconds, end: time.end.nanoseconds, details: details))
  }

  /// A run failed: whose fault was it?
  private mutating func failed(
    _ pieces: ArraySlice<Queue.Piece>, _ status: Status, _ time: BatchTime, _ parameters: BatchingParameters, _ frame: inout Frame,
    _ line: TraceLine?
  ) {
    var time = time
    if status.code == .cancelled {
      // Everybody has left, or has a limit of their own that has passed.
      for piece in pieces {
        if piece.task.isWanted {
          fail(piece, Status(.deadlineExceeded, status.message), time)
        } else {
          drop(piece)
        }
      }
    } else if pieces.count > 1, !pieces[pieces.startIndex].task.plan.changesState {
      meters.reran()
      let middle = pieces.startIndex + pieces.count / 2
      run(pieces[..<middle], parameters, &frame, line)
      return run(pieces[middle...], parameters, &frame, line)
    } else {
      for piece in pieces {
        fail(piece, status, time)
        time.isShared = true
      }
    }
    deliver()
  }

  // MARK: One request

  private mutating func answer(_ piece: Queue.Piece, _ frame: inout Frame, _ time: BatchTime) {
    let task = piece.task
    if piece.isWhole { return answers.append(task.answer(options, frame, time)) }
    // A part: its rows are kept until the others are there.
    let outputs = (0..<task.plan.outputCount).map { index in
      task.wants(output: index) ? frame.output(index, of: task.plan).tensor : nil
    }
    switch task.part(piece.rows, .success(outputs)) {
    case .pending: return
    case .failed(let status): answers.append(task.fail(status, time))
    case .joined(let tensors):
      frame.show(tensors)
      answers.append(task.answer(options, frame, time))
      frame.show([])
    }
  }

  private mutating func fail(_ piece: Queue.Piece, _ status: Status, _ time: BatchTime?) {
    if piece.isWhole { return answers.append(piece.task.fail(status, time)) }
    if case .failed(let status) = piece.task.part(piece.rows, .failure(status)) { answers.append(piece.task.fail(status, time)) }
  }

  private mutating func drop(_ piece: Queue.Piece) {
    if piece.isWhole { return answers.append(piece.task.abandon()) }
    let nobody = Status(.cancelled)
    guard case .failed(let status) = piece.task.part(piece.rows, .failure(nobody)) else { return }
    answers.append(status == nobody ? piece.task.abandon() : piece.task.fail(status, nil))
  }
}

extension BatchQueue.Piece where Task == any BatchTask {
  var isWhole: Bool { rows.count == task.rows }
}

extension BatchTask {
  func wants(output index: Int) -> Bool { wanted & (1 << UInt64(min(index, 63))) != 0 }

  /// A run of some outputs only says little about the others.
  var isTypical: Bool { wanted == .max }
}

extension FedInputs {
  /// Whether the rows of both can stand in one tensor, for each input.
  func joins(_ other: FedInputs, padding: Bool) -> Bool {
    guard values.count == other.values.count else { return false }
    for (a, b) in zip(values, other.values) {
      guard a.dtype == b.dtype, a.shape.rank == b.shape.rank else { return false }
      // What has no element has nothing to be padded with.
      if padding, a.count > 0, b.count > 0 { continue }
      for d in 1..<max(1, a.shape.rank) where a.shape[d] != b.shape[d] { return false }
    }
    return true
  }
}

extension Frame {
  /// Feeds a plan with the rows of several requests.
  fileprivate mutating func feed(_ plan: Plan, _ pieces: ArraySlice<BatchRunner.Queue.Piece>, padding: Int) throws(RunError) {
    begin(plan)
    let first = pieces[pieces.startIndex]
    for input in 0..<plan.inputCount {
      if pieces.count == 1, padding == 0 {
        let value = first.task.inputs.values[input].rows(first.rows)
        // The batch has its requests until they are answered, and they their inputs; aligned for the type since they were fed.
        unsafe feed(input, dtype: value.dtype, shape: value.shape, borrowing: value.base)
      } else {
        try feed(input, joining: pieces.map { $0.task.inputs.values[input].rows($0.rows) }, padding: padding)
      }
    }
  }

  /// What TensorFlow Serving says of outputs that cannot be given back row by row.
  fileprivate func mistake(inOutputsOf plan: Plan, wanted: UInt64, rows: Int) -> Status? {
    for index in 0..<plan.outputCount where wanted & (1 << UInt64(min(index, 63))) != 0 {
      let shape = output(index, of: plan).shape
      if shape.rank == 0 { return Status(.failedPrecondition, "Batched output tensor has 0 dimensions") }
      if shape[0] != rows {
        return Status(
          .failedPrecondition,
          "Batched output tensor's 0th dimension does not equal the sum of the 0th dimension sizes of the input tensors")
      }
    }
    return nil
  }
}

/// Ends a run that nobody waits for any more.
private final class BatchInterruption: Interruption {
  private let tasks: [any BatchTask]
  init(_ tasks: [any BatchTask]) { self.tasks = tasks }

  var reason: RunError.Code? {
    for task in tasks where task.isWanted {
      guard let deadline = task.deadline else { return nil }
      if deadline > .now { return nil }
    }
    return .cancelled
  }
}

extension Value {
  /// A copy, the bytes of strings included.
  fileprivate var tensor: Tensor { Tensor(copying: view) }
}
