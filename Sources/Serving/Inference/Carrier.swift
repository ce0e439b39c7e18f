// Who brings requests and takes answers: a gRPC call, an exchange over HTTP. A carrier lives on its loop; detached, it goes
// through other threads and comes back to answer.
internal import Catalog
internal import Engine
internal import HTTP
internal import RPC
internal import Wire

/// A request on the loop that read it.
protocol Carrier {
  associatedtype Detached: DetachedCarrier where Detached.Attached == Self

  /// What is asked, and how: what it is counted as.
  var origin: RequestOrigin { get }
  /// When its first bytes came.
  var began: MonotonicTime { get }
  /// When nobody waits for the answer any more; `nil`: never.
  var deadline: MonotonicTime? { get }

  /// Answers or hands the request on, unless its model is on its way. An inference lays its request over its bytes and gives
  /// it to `InferenceHub.attempt`.
  func attempt(_ state: LoopState) throws(Status) -> Outcome

  func fail(_ status: Status)

  /// Leaves the answer to later.
  func detach() -> Detached

  /// Has `notify` called, on the loop, when nobody waits for the answer any more; not after an answer.
  func onCancel(_ notify: (() -> Void)?)
}

/// A request away from its loop, or waiting on it. Copies are cheap; the first to answer wins.
protocol DetachedCarrier: Sendable {
  associatedtype Attached: Carrier

  /// Runs `body` if somebody still waits for the answer.
  /// - Precondition: the caller is on the carrier's loop.
  func attached(_ body: (Attached) -> Void)
}

/// A carrier of inferences.
protocol InferenceCarrier: Carrier, Reply where Detached: DetachedInference {}

/// A request for a run, on its way through a worker.
protocol DetachedInference: DetachedCarrier, Reply {
  /// Nobody waits any more. From any thread.
  var isCancelled: Bool { get }
  var deadline: MonotonicTime? { get }
  var loop: EventLoop { get }
  /// The memory the request holds.
  var byteCount: Int { get }

  /// Lays the request over its bytes once more and serves it with `slot`, or has it served with others.
  func serve(
    _ slot: Slot, _ options: ServingOptions, _ batcher: Batcher?, _ frame: inout Frame, _ trail: inout RequestTrail
  ) throws(Status) -> Served

  /// Answers with what `frame` shows of a run that others shared.
  /// - Parameter run: what a request over the same bytes has prepared.
  func answer(
    _ run: some InferenceRun, version: Int64, _ options: ServingOptions, _ frame: borrowing Frame, _ trail: RequestTrail,
    to reply: some Reply
  ) throws(Status)

  /// Writes an answer, here and now. What is returned sends it, and is called on the loop.
  func written(byteCount: Int, _ fill: (inout OutputRawSpan) -> Void) -> @Sendable () -> Void

  func fail(_ status: Status)
}

extension DetachedInference {
  func reply(byteCount: Int, _ fill: (inout OutputRawSpan) -> Void) { loop.enqueue(written(byteCount: byteCount, fill)) }
}

/// What a worker has done with a request.
enum Served {
  case answered
  /// It waits for others to run with, and will be answered and counted from there.
  case batched
}

/// What became of an attempt.
enum Outcome {
  /// Answered, or with somebody who will answer.
  case settled
  /// The model is on its way.
  case pending(ModelEntry)
}
