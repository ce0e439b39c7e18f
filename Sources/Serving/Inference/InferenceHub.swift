// Where requests for runs come together, whatever they ask for and whoever brings them. Four ways lead to an answer:
//
//   at once     the run is cheap: it happens here, on the loop that read the request. No queue, no wake-up, no lock.
//   by worker   the run is dear, or nobody knows: a worker takes the request with a lease on the slot, and the answer comes
//               back to the loop.
//   in a batch  the version's requests run together (`Batching/`): what was prepared here, or by a worker, waits for others.
//   later       the model is on its way: the request waits in the loop's waiting room and is tried again when the catalog changes.
internal import Catalog
internal import Engine
internal import HTTP
internal import Messages
internal import RPC
internal import Wire

final class InferenceHub: Sendable {
  let options: ServingOptions
  private let workers: WorkerPool
  private let batcher: Batcher?
  let tracer: Tracer

  init(_ options: ServingOptions, _ workers: WorkerPool, _ batcher: Batcher? = nil, _ tracer: Tracer = Tracer()) {
    self.options = options
    self.batcher = batcher
    self.tracer = tracer
    self.workers = workers
  }

  /// Answers the request of `carrier` or hands it on, unless its model is on its way.
  func attempt(
    _ request: borrowing some InferenceRequest & ~Escapable, _ carrier: some InferenceCarrier, _ state: LoopState
  ) throws(Status) -> Outcome {
    switch state.reader.snapshot.select(request.modelSpec) {
    case .refused(let status):
      // A name that nobody configured makes no series.
      let model = state.reader.snapshot.model(request.modelSpec.name)?.name ?? ""
      state.failed(status.code, RequestLabels(model: model, origin: carrier.origin))
      throw status
    case .pending(let model): return .pending(model)
    case .slot(let slot):
      state.trail.reaches(slot)
      state.trail.log = state.logs.sample(slot, carrier.origin.api)
      do throws(Status) {
        if let line = tracer.line {
          let start = MonotonicTime.now
          state.frame.observer = line
          defer { state.frame.observer = nil }
          try serve(request, carrier, slot, state)
          if !state.trail.isDetached { line.request(state.trail, RequestLabels(slot, state.trail), "OK", from: start) }
        } else {
          try serve(request, carrier, slot, state)
        }
      } catch {
        state.failed(error.code, RequestLabels(slot, state.trail))
        throw error
      }
    }
    return .settled
  }

  private func serve(
    _ request: borrowing some InferenceRequest & ~Escapable, _ carrier: some InferenceCarrier, _ slot: Slot,
    _ state: LoopState
  ) throws(Status) {
    if let batcher, let batching = slot.batching {
      if try submit(request, carrier, slot, batcher, batching, state) { return }
      return try handOver(carrier, slot, state)
    }
    do throws(Status) {
      if request.fitsLoop(slot.model, options) {
        let run = try request.prepare(slot.model, options, feeding: &state.frame)
        state.trail.runs(run)
        if run.isCheap(options) {
          wakeSleeper(state)
          let time = try run.execute(&state.frame)
          state.trail.ran(from: time.start, to: time.end)
          try request.answer(run, version: slot.version, options, state.frame, state.trail, to: carrier)
          return state.answered(slot, run.metered)
        }
      }
    } catch where error.code == .resourceExhausted {
      // It needs more memory than a loop gives. What a cheap run has done so far may be done again.
    }
    try handOver(carrier, slot, state)
  }

  /// Prepares the request and lets it wait for others to run with; false when that is for a worker to do.
  private func submit(
    _ request: borrowing some InferenceRequest & ~Escapable, _ carrier: some InferenceCarrier, _ slot: Slot, _ batcher: Batcher,
    _ batching: BatchingParameters, _ state: LoopState
  ) throws(Status) -> Bool {
    guard request.fitsLoop(slot.model, options), let run = try prepared(request, slot, state) else { return false }
    state.trail.runs(run)
    state.trail.ended(.parse, at: .now)
    state.meters.detached(&state.trail, slot)
    if let thread = try batcher.submit(carrier.detach(), run, Lease(slot), batching, state.frame, state.trail) {
      // Not before the others that have come in this turn are in the batch too, unless the turn takes longer than to read them.
      if state.sleeper == nil {
        state.loop.enqueue { [self, loop = state.loop] in wakeSleeper(LoopState.of(loop)) }
      } else {
        wakeSleeper(state)
      }
      state.sleeper = thread
    }
    return true
  }

  private func wakeSleeper(_ state: LoopState) {
    if let batcher, let thread = state.sleeper.take() { batcher.wake(thread) }
  }

  /// `nil` when it needs more memory than a loop gives.
  private func prepared<Request: InferenceRequest & ~Escapable>(
    _ request: borrowing Request, _ slot: Slot, _ state: LoopState
  ) throws(Status) -> Request.Run? {
    do throws(Status) { return try request.prepare(slot.model, options, feeding: &state.frame) } catch {
      if error.code == .resourceExhausted { return nil }
      throw error
    }
  }

  private func handOver(_ carrier: some InferenceCarrier, _ slot: Slot, _ state: LoopState) throws(Status) {
    state.meters.detached(&state.trail, slot)
    guard workers.submit(InferenceJob(carrier.detach(), Lease(slot), options, batcher, state.trail, state.loop, tracer)) else {
      throw Status(.resourceExhausted, "too many requests wait for a worker already")
    }
  }
}

/// An inference on its way through a worker.
final class InferenceJob<Request: DetachedInference>: WorkerJob {
  private let request: Request
  private let lease: Lease
  private let options: ServingOptions
  private let batcher: Batcher?
  private let trail: RequestTrail
  private let loop: EventLoop
  private let tracer: Tracer
  let byteCount: Int

  /// - Parameter loop: the request's; what became of it is counted there.
  init(
    _ request: Request, _ lease: consuming Lease, _ options: ServingOptions, _ batcher: Batcher?, _ trail: RequestTrail,
    _ loop: EventLoop, _ tracer: Tracer
  ) {
    self.batcher = batcher
    self.tracer = tracer
    self.request = request
    self.trail = trail
    self.loop = loop
    self.lease = lease
    self.options = options
    byteCount = request.byteCount
  }

  func run(_ frame: inout Frame) {
    var trail = trail
    trail.ended(.queue, at: .now)
    // Nobody waits any more.
    if request.isCancelled { return ended(trail, abandoned) }
    frame.interruption = self
    let line = tracer.line
    if let line { frame.observer = line }
    defer {
      frame.interruption = nil
      if line != nil { frame.observer = nil }
    }
    let start = trail.accounted
    do throws(Status) {
      if case .batched = try request.serve(lease.slot, options, batcher, &frame, &trail) { return }
      trail.ended(.write, at: .now)
      line?.request(trail, RequestLabels(lease.slot, trail), "OK", from: start)
      ended(trail, .ok)
    } catch {
      request.fail(error)
      line?.request(trail, RequestLabels(lease.slot, trail), error.code.name, from: start)
      ended(trail, error.code == .cancelled ? abandoned : error.code)
    }
  }

  /// Why nobody waits: gRPC has told the client when its deadline had passed.
  private var abandoned: Status.Code {
    if let deadline = request.deadline, deadline <= .now { return .deadlineExceeded }
    return .cancelled
  }

  private func ended(_ trail: RequestTrail, _ code: Status.Code) {
    let labels = RequestLabels(lease.slot, trail)
    loop.enqueue { [loop] in
      var trail = trail
      LoopState.of(loop).meters.ended(&trail, code, labels)
    }
  }
}

extension InferenceJob: Interruption {
  var reason: RunError.Code? {
    if request.isCancelled { return .cancelled }
    if let deadline = request.deadline, deadline <= .now { return .deadlineExceeded }
    return nil
  }
}
