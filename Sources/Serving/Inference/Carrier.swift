// Who brings requests and takes answers: a gRPC call, an exchange over HTTP. A carrier lives on its loop; detached, it goes
// through other threads and comes back to answer.
internal import Catalog
internal import Engine
internal import HTTP
internal import RPC

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
  /// The memory the request holds.
  var byteCount: Int { get }

  /// Lays the request over its bytes once more and serves it with `slot`.
  func serve(_ slot: Slot, _ options: ServingOptions, _ frame: inout Frame, _ trail: inout RequestTrail) throws(Status)

  func fail(_ status: Status)
}

/// What became of an attempt.
enum Outcome {
  /// Answered, or with somebody who will answer.
  case settled
  /// The model is on its way.
  case pending(ModelEntry)
}
