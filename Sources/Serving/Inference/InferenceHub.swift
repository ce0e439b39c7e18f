// Where requests for runs come together, whatever they ask for and whoever brings them. Three ways lead to an answer:
//
//   at once     the run is cheap: it happens here, on the loop that read the request. No queue, no wake-up, no lock.
//   by worker   the run is dear, or nobody knows: a worker takes the request with a lease on the slot, and the answer comes
//               back to the loop.
//   later       the model is on its way: the request waits in the loop's waiting room and is tried again when the catalog changes.
internal import Catalog
internal import Engine
internal import HTTP
internal import RPC
internal import Wire

final class InferenceHub: Sendable {
  let options: ServingOptions
  private let workers: WorkerPool

  init(_ options: ServingOptions, _ workers: WorkerPool) {
    self.options = options
    self.workers = workers
  }

  /// Answers the request of `carrier` or hands it on, unless its model is on its way.
  func attempt(
    _ request: borrowing some InferenceRequest & ~Escapable, _ carrier: some InferenceCarrier, _ state: LoopState
  ) throws(Status) -> Outcome {
    switch state.reader.snapshot.select(request.modelSpec) {
    case .refused(let status): throw status
    case .pending: return .pending
    case .slot(let slot): try serve(request, carrier, slot, state)
    }
    return .settled
  }

  private func serve(
    _ request: borrowing some InferenceRequest & ~Escapable, _ carrier: some InferenceCarrier, _ slot: Slot,
    _ state: LoopState
  ) throws(Status) {
    do throws(Status) {
      if request.fitsLoop(slot.model, options) {
        let run = try request.prepare(slot.model, options, feeding: &state.frame)
        if run.isCheap(options) {
          try run.execute(&state.frame)
          return try request.answer(run, version: slot.version, options, state.frame, to: carrier)
        }
      }
    } catch where error.code == .resourceExhausted {
      // It needs more memory than a loop gives. What a cheap run has done so far may be done again.
    }
    guard workers.submit(InferenceJob(carrier.detach(), Lease(slot), options)) else {
      throw Status(.resourceExhausted, "too many requests wait for a worker already")
    }
  }
}

/// An inference on its way through a worker.
final class InferenceJob<Request: DetachedInference>: WorkerJob {
  private let request: Request
  private let lease: Lease
  private let options: ServingOptions
  let byteCount: Int

  init(_ request: Request, _ lease: consuming Lease, _ options: ServingOptions) {
    self.request = request
    self.lease = lease
    self.options = options
    byteCount = request.byteCount
  }

  func run(_ frame: inout Frame) {
    // Nobody waits any more.
    if request.isCancelled { return }
    frame.interruption = self
    defer { frame.interruption = nil }
    do { try request.serve(lease.slot, options, &frame) } catch { request.fail(error) }
  }
}

extension InferenceJob: Interruption {
  var reason: RunError.Code? {
    if request.isCancelled { return .cancelled }
    if let deadline = request.deadline, deadline <= .now { return .deadlineExceeded }
    return nil
  }
}
