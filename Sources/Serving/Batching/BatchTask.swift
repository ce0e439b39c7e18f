// A request that waits to be run with others: prepared on its loop or by a worker, its inputs taken out of that frame, and
// answered from rows of a run that it shares.
internal import Catalog
internal import Engine
internal import HTTP
internal import RPC
internal import Synchronization
internal import Tensors
internal import Wire

/// What runs of batches ask of a request. Whoever has it, has it alone, but for the parts of a request that was split.
protocol BatchTask: AnyObject, Sendable {
  var slot: Slot { get }
  var loop: EventLoop { get }
  var plan: Plan { get }
  var cost: CostEstimate { get }
  var wanted: UInt64 { get }
  var inputs: FedInputs { get }
  var rows: Int { get }
  /// The memory it holds while it waits.
  var byteCount: Int { get }
  var queued: MonotonicTime { get }
  /// Somebody still waits for it, and none of its parts has failed.
  var isWanted: Bool { get }
  /// Its own limit on the run has passed.
  func isExpired(at now: MonotonicTime) -> Bool
  /// When nobody waits for it any more, at the latest.
  var deadline: MonotonicTime? { get }

  /// Writes the answer from what `frame` shows. What is returned is delivered on the loop.
  func answer(_ options: ServingOptions, _ frame: borrowing Frame, _ time: BatchTime) -> BatchedAnswer
  func fail(_ status: Status, _ time: BatchTime?) -> BatchedAnswer
  /// Nobody waits any more: it is only counted.
  func abandon() -> BatchedAnswer
  /// A part of it has an outcome; once all have, what became of the whole. For requests that were split.
  func part(_ rows: Range<Int>, _ outcome: Result<[Tensor?], Status>) -> SplitOutcome
}

/// When the run was that a request shared.
struct BatchTime {
  var start: MonotonicTime
  var end: MonotonicTime
  /// Another request of the batch counts the run.
  var isShared: Bool
}

/// What becomes of a request whose parts ran apart.
enum SplitOutcome {
  case pending
  case joined([Tensor?])
  case failed(Status)
}

/// An answer that is written and not sent: strings in the outputs may stand in the request of another member of the batch,
/// which goes once that is answered. So all are written before the first is sent.
struct BatchedAnswer: Sendable {
  let loop: EventLoop
  /// On the loop.
  let send: (@Sendable () -> Void)?
  let trail: RequestTrail
  let code: Status.Code
  let labels: RequestLabels

  /// Sends answers and counts their requests, with one message to each loop.
  static func deliver(_ answers: [BatchedAnswer]) {
    var rest = answers
    while let loop = rest.first?.loop {
      let own = rest.filter { $0.loop === loop }
      rest.removeAll { $0.loop === loop }
      loop.enqueue {
        let meters = LoopState.of(loop).meters
        for answer in own {
          answer.send?()
          var trail = answer.trail
          meters.ended(&trail, answer.code, answer.labels)
        }
      }
    }
  }
}

/// - Note: `@unchecked Sendable`: it goes from thread to thread through the batcher's lock, and nothing of it changes but what
///   stands in `parts`.
final class BatchedInference<Request: DetachedInference, Run: InferenceRun>: BatchTask, @unchecked Sendable {
  private let request: Request
  private let run: Run
  private let lease: Lease
  private let trail: RequestTrail
  let inputs: FedInputs
  let rows: Int

  /// `nil` where requests are not split.
  private let parts: SplitParts?

  /// - Parameter trail: up to now.
  init(
    _ request: Request, _ run: Run, _ lease: consuming Lease, _ inputs: FedInputs, rows: Int, mayBeSplit: Bool, _ trail: RequestTrail
  ) {
    parts = mayBeSplit ? SplitParts() : nil
    self.request = request
    self.run = run
    self.lease = lease
    self.inputs = inputs
    self.rows = rows
    self.trail = trail
  }

  var slot: Slot { lease.slot }
  var loop: EventLoop { request.loop }
  var plan: Plan { run.plan }
  var cost: CostEstimate { run.cost }
  var wanted: UInt64 { run.wanted }
  var byteCount: Int { request.byteCount }
  var queued: MonotonicTime { trail.accounted }
  var isWanted: Bool { !request.isCancelled && parts?.hasFailed != true }
  var deadline: MonotonicTime? { request.deadline.map { min($0, run.deadline ?? $0) } ?? run.deadline }
  func isExpired(at now: MonotonicTime) -> Bool { run.deadline.map { $0 <= now } ?? false }

  func answer(_ options: ServingOptions, _ frame: borrowing Frame, _ time: BatchTime) -> BatchedAnswer {
    var trail = trail
    trail.ranInBatch(from: time.start, to: time.end, isShared: time.isShared)
    let reply = HeldReply(request)
    do throws(Status) {
      try request.answer(run, version: slot.version, options, frame, trail, to: reply)
    } catch {
      return ended(trail, error)
    }
    trail.ended(.write, at: .now)
    return BatchedAnswer(loop: loop, send: reply.send, trail: trail, code: .ok, labels: RequestLabels(slot, trail))
  }

  func fail(_ status: Status, _ time: BatchTime?) -> BatchedAnswer {
    var trail = trail
    if let time { trail.ranInBatch(from: time.start, to: time.end, isShared: time.isShared) } else { trail.ended(.batch, at: .now) }
    return ended(trail, status)
  }

  private func ended(_ trail: RequestTrail, _ status: Status) -> BatchedAnswer {
    let request = request
    return BatchedAnswer(
      loop: loop, send: { request.attached { $0.fail(status) } }, trail: trail, code: status.code, labels: RequestLabels(slot, trail))
  }

  func abandon() -> BatchedAnswer {
    var trail = trail
    let now = MonotonicTime.now
    trail.ended(.batch, at: now)
    // gRPC has told the client when its deadline had passed.
    let isLate = request.deadline.map { $0 <= now } ?? false
    return BatchedAnswer(
      loop: loop, send: nil, trail: trail, code: isLate ? .deadlineExceeded : .cancelled, labels: RequestLabels(slot, trail))
  }

  func part(_ rows: Range<Int>, _ outcome: Result<[Tensor?], Status>) -> SplitOutcome {
    guard let parts else { preconditionFailure("a part of a request that is not split") }
    return parts.add(rows, of: self.rows, outcome)
  }
}

/// What came of the parts of a request that was split. Added to from several threads.
final class SplitParts: Sendable {
  private struct State {
    var done: [(first: Int, outputs: [Tensor?])] = []
    var rowsDone = 0
    var failure: Status?
  }

  private let state = Mutex(State())
  private let failed = Atomic<Bool>(false)

  /// What is left of the request need not run.
  var hasFailed: Bool { failed.load(ordering: .relaxed) }

  func add(_ rows: Range<Int>, of total: Int, _ outcome: Result<[Tensor?], Status>) -> SplitOutcome {
    state.withLock { state in
      state.rowsDone += rows.count
      switch outcome {
      case .success(let outputs): state.done.append((rows.lowerBound, outputs))
      case .failure(let status):
        state.failure = state.failure ?? status
        failed.store(true, ordering: .relaxed)
      }
      guard state.rowsDone == total else { return .pending }
      if let failure = state.failure { return .failed(failure) }
      return SplitParts.join(state.done.sorted { $0.first < $1.first }.map(\.outputs))
    }
  }

  private static func join(_ parts: [[Tensor?]]) -> SplitOutcome {
    var joined: [Tensor?] = []
    for index in parts[0].indices {
      let tensors = parts.compactMap { $0[index] }
      guard !tensors.isEmpty else {
        joined.append(nil)
        continue
      }
      guard let tensor = Tensor(joining: tensors) else {
        return .failed(Status(.internal, "the outputs of the parts of a split request have different shapes"))
      }
      joined.append(tensor)
    }
    return .joined(joined)
  }
}

/// Keeps an answer until it is to be sent.
private final class HeldReply<Request: DetachedInference>: Reply {
  private let request: Request
  private(set) var send: (@Sendable () -> Void)?

  init(_ request: Request) { self.request = request }

  var isCancelled: Bool { request.isCancelled }
  func recordableRequest() -> [UInt8]? { request.recordableRequest() }
  func reply(byteCount: Int, _ fill: (inout OutputRawSpan) -> Void) { send = request.written(byteCount: byteCount, fill) }
}
