// Predict, from a call to an answer. Three ways lead there:
//
//   at once     the run is cheap: it happens here, on the loop that read the request. No queue, no wake-up, no lock.
//   by worker   the run is dear, or nobody knows: a worker takes the call with a lease on the slot, and the answer comes back to the loop.
//   later       the model is on its way: the call waits in the loop's waiting room and is tried again when the catalog changes.
internal import Catalog
internal import Engine
internal import HTTP
internal import Messages
internal import RPC
internal import Tensors
internal import Wire

/// `tensorflow.serving.PredictionService/Predict`.
final class PredictHandler: UnaryHandler {
  private let options: ServingOptions
  private let workers: WorkerPool

  init(_ options: ServingOptions, _ workers: WorkerPool) {
    self.options = options
    self.workers = workers
  }

  /// What became of a call.
  enum Outcome {
    /// Answered, or with a worker that will answer.
    case settled
    /// Its model is on its way.
    case pending
  }

  func handle(_ call: UnaryCall) {
    let state = LoopState.of(call.loop)
    if attempt(call, state) == .pending { state.admit(call, self) }
  }

  /// Answers the call or hands it on, unless its model is on its way.
  func attempt(_ call: UnaryCall, _ state: LoopState) -> Outcome {
    do {
      let request = try PredictRequest(call.message)
      switch state.reader.snapshot.select(request.modelSpec) {
      case .refused(let status): call.fail(status)
      case .pending: return .pending
      case .slot(let slot): try serve(call, request, slot, state)
      }
    } catch let status as Status {
      call.fail(status)
    } catch {
      call.fail(Status(unparsable: "PredictRequest", error))
    }
    return .settled
  }

  private func serve(
    _ call: UnaryCall, _ request: borrowing PredictRequest, _ slot: Slot, _ state: LoopState
  ) throws(Status) {
    do throws(Status) {
      let run = try PredictRun(request, slot.model, options, feeding: &state.frame)
      if run.isCheap(options) {
        try run.execute(&state.frame)
        let spec = run.responseSpec(request.modelSpec, slot)
        let layout = PredictResponseLayout(run, spec, options, state.frame)
        return call.reply(byteCount: layout.byteCount) { output in layout.append(spec, state.frame, to: &output) }
      }
    } catch where error.code == .resourceExhausted {
      // It needs more memory than a loop gives. What a cheap run has done so far may be done again.
    }
    guard workers.submit(PredictJob(call.detach(), Lease(slot), options)) else {
      throw Status(.resourceExhausted, "too many requests wait for a worker already")
    }
  }
}

extension PredictRun {
  /// Whether the loop itself can run it: it is known to take little, and nothing in the request can make it take long.
  func isCheap(_ options: ServingOptions) -> Bool {
    guard signature.plan.isPlain, let estimate = signature.cost.estimate(rows: rows) else { return false }
    return estimate <= options.inlineNanosecondsMax
  }

  /// Runs the plan, and remembers what it took.
  func execute(_ frame: inout Frame) throws(Status) {
    let start = MonotonicTime.now
    do { try frame.run(signature.plan, wanted: wanted) } catch { throw Status(error) }
    // A run on nothing, or of some outputs only, says little about the others.
    guard rows > 0, filter == nil else { return }
    signature.cost.record(rows: rows, nanoseconds: Int(clamping: MonotonicTime.now.nanoseconds(since: start)))
  }

  /// The model spec of the response: the name as asked, the signature and the version as chosen.
  @_lifetime(copy spec)
  func responseSpec(_ spec: borrowing ModelSpec, _ slot: Slot) -> ModelSpec {
    ModelSpec(
      name: spec.name,
      signatureName: spec.signatureName.byteCount > 0 ? spec.signatureName : RawSpan(literal: "serving_default"),
      version: slot.version)
  }
}

/// A Predict on its way through a worker.
final class PredictJob: WorkerJob {
  private let call: DetachedCall
  private let lease: Lease
  private let options: ServingOptions
  let byteCount: Int

  init(_ call: DetachedCall, _ lease: consuming Lease, _ options: ServingOptions) {
    self.call = call
    self.lease = lease
    self.options = options
    byteCount = call.message.byteCount
  }

  func run(_ frame: inout Frame) {
    // Nobody waits any more.
    if call.isCancelled { return }
    frame.interruption = self
    defer { frame.interruption = nil }
    do { try answer(&frame) } catch { call.fail(error) }
  }

  private func answer(_ frame: inout Frame) throws(Status) {
    do {
      let call = self.call
      let request = try PredictRequest(call.message)
      let run = try PredictRun(request, lease.slot.model, options, feeding: &frame)
      try run.execute(&frame)
      let spec = run.responseSpec(request.modelSpec, lease.slot)
      let layout = PredictResponseLayout(run, spec, options, frame)
      call.reply(byteCount: layout.byteCount) { output in layout.append(spec, frame, to: &output) }
    } catch let status as Status {
      throw status
    } catch {
      throw Status(unparsable: "PredictRequest", error)
    }
  }
}

extension PredictJob: Interruption {
  var reason: RunError.Code? {
    if call.isCancelled { return .cancelled }
    if let deadline = call.deadline, deadline <= .now { return .deadlineExceeded }
    return nil
  }
}
