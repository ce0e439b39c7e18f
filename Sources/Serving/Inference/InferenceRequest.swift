// What the hub asks of a request and of the run it leads to. A kind of inference (Predict, Classify, ...) in an encoding
// (protobuf, JSON) is one type that conforms:
//
//     bytes ─► request ─ modelSpec ─► a slot ─ prepare ─► a run, its inputs in the frame ─► execute ─ answer ─► bytes
//
// Between `prepare` and `execute` everything the run needs is in the frame and in the run: who would rather run it elsewhere,
// with others, takes it from there.
internal import Catalog
internal import Engine
internal import HTTP
internal import Messages
internal import RPC
internal import Wire

/// A request for a run, laid over bytes that stay where they are until it has been answered.
protocol InferenceRequest: ~Escapable {
  associatedtype Run: InferenceRun

  /// Which model, version and signature.
  var modelSpec: ModelSpec { @_lifetime(copy self) get }

  /// Whether an event loop should prepare it at all. What takes long before it is known how long the run takes does not.
  func fitsLoop(_ model: Model, _ options: ServingOptions) -> Bool

  /// Holds the request against the model, in TensorFlow Serving's order, and feeds the frame with its tensors. They may stand
  /// in the request's bytes.
  func prepare(_ model: Model, _ options: ServingOptions, feeding frame: inout Frame) throws(Status) -> Run

  /// Answers with the outputs of a run that succeeded.
  /// - Parameter version: the version that ran.
  func answer(
    _ run: Run, version: Int64, _ options: ServingOptions, _ frame: borrowing Frame, to reply: some Reply
  ) throws(Status)

  /// The same for a request that was chosen for its model's log, which takes both as the messages that `PredictionLog` holds.
  func answer(
    _ run: Run, version: Int64, _ options: ServingOptions, _ frame: borrowing Frame, to reply: some Reply, keeping log: PendingLog
  ) throws(Status)
}

extension InferenceRequest where Self: ~Escapable {
  func fitsLoop(_ model: Model, _ options: ServingOptions) -> Bool { true }

  /// Of a request that came as its message, and is answered by one.
  func answer(
    _ run: Run, version: Int64, _ options: ServingOptions, _ frame: borrowing Frame, to reply: some Reply, keeping log: PendingLog
  ) throws(Status) {
    let signature = modelSpec.signatureName.byteCount > 0 ? String(showing: modelSpec.signatureName) : Model.defaultSignatureName
    try answer(run, version: version, options, frame, to: LoggedReply(inner: reply, pending: log, signature: signature))
  }
}

/// A request that is a protobuf message.
protocol InferenceMessage: InferenceRequest, ~Escapable {
  /// The message's name, for who sends something else.
  static var messageName: String { get }
  /// What it asks for, for who counts.
  static var api: API { get }

  @_lifetime(copy bytes)
  init(_ bytes: RawSpan) throws(WireError)
}

/// Where an answer goes.
protocol Reply {
  /// Nobody waits any more: an answer would go nowhere. From any thread.
  var isCancelled: Bool { get }

  /// The request as the message it came as, copied; `nil` when it came as something else.
  func recordableRequest() -> [UInt8]?

  /// Answers with `byteCount` bytes, written by `fill` before this returns.
  func reply(byteCount: Int, _ fill: (inout OutputRawSpan) -> Void)
}

extension Reply {
  var isCancelled: Bool { false }
  func recordableRequest() -> [UInt8]? { nil }
}

/// A prepared run: its inputs are in the frame.
protocol InferenceRun {
  var plan: Plan { get }
  /// What runs of the plan have taken.
  var cost: CostEstimate { get }
  /// Extent of dimension 0 of the first input, zero when that is empty: what the run's cost is estimated by.
  var rows: Int { get }
  /// A bit for each wanted output; past the 63rd they share the last.
  var wanted: UInt64 { get }
  /// The signature it is counted for; `nil` when it is of none, or of several.
  var metered: Signature? { get }
  /// The run's own limit, beside what the request waits for.
  var deadline: MonotonicTime? { get }
  /// Nodes are to run for what they do, not for what they give.
  var hasTargets: Bool { get }
  /// Whether what this run takes tells what the next of its plan will.
  var isTypical: Bool { get }
}

extension InferenceRun {
  /// A run of some outputs only says little about the others.
  var isTypical: Bool { wanted == .max }

  /// Whether the loop itself can run it: it is known to take little, and nothing in the request can make it take long.
  func isCheap(_ options: ServingOptions) -> Bool {
    guard plan.isPlain, let estimate = cost.estimate(rows: rows) else { return false }
    return estimate <= options.inlineNanosecondsMax
  }

  var metered: Signature? { nil }
  var deadline: MonotonicTime? { nil }
  var hasTargets: Bool { false }

  /// Runs the plan, and remembers what it took: from when to when.
  @discardableResult
  func execute(_ frame: inout Frame) throws(Status) -> (start: MonotonicTime, end: MonotonicTime) {
    let start = MonotonicTime.now
    do { try frame.run(plan, wanted: wanted) } catch { throw Status(error) }
    let end = MonotonicTime.now
    if rows > 0, isTypical { cost.record(rows: rows, nanoseconds: Int(clamping: end.nanoseconds(since: start))) }
    return (start, end)
  }
}

/// What an inference takes and gives without a loop: on a worker, or where nobody waits for the answer (warm-up).
extension InferenceRequest where Self: ~Escapable {
  /// From the request to the answer, on this thread.
  func serve(
    _ model: Model, version: Int64, _ options: ServingOptions, _ frame: inout Frame, _ trail: inout RequestTrail,
    to reply: some Reply
  ) throws(Status) {
    let run = try prepare(model, options, feeding: &frame)
    trail.runs(run)
    let time = try run.execute(&frame)
    trail.ran(from: time.start, to: time.end)
    // Work that nobody waits for is not done.
    if reply.isCancelled { throw Status(.cancelled) }
    try answer(run, version: version, options, frame, trail, to: reply)
  }

  /// The same for a request with a slot, which may want it to run with others.
  func serve(
    _ slot: Slot, _ options: ServingOptions, _ batcher: Batcher?, _ frame: inout Frame, _ trail: inout RequestTrail,
    for request: some DetachedInference
  ) throws(Status) -> Served {
    guard let batcher, let batching = slot.batching else {
      try serve(slot.model, version: slot.version, options, &frame, &trail, to: request)
      return .answered
    }
    let run = try prepare(slot.model, options, feeding: &frame)
    trail.runs(run)
    trail.ended(.parse, at: .now)
    if let thread = try batcher.submit(request, run, Lease(slot), batching, frame, trail) { batcher.wake(thread) }
    return .batched
  }

  /// Answers with a run that a request over the same bytes has prepared.
  func answer(
    shared run: some InferenceRun, version: Int64, _ options: ServingOptions, _ frame: borrowing Frame, _ trail: RequestTrail,
    to reply: some Reply
  ) throws(Status) {
    guard let run = run as? Run else { preconditionFailure("the run is another request's") }
    try answer(run, version: version, options, frame, trail, to: reply)
  }

  /// Answers, and keeps the answer for the model's log if the request was chosen for it.
  func answer(
    _ run: Run, version: Int64, _ options: ServingOptions, _ frame: borrowing Frame, _ trail: RequestTrail, to reply: some Reply
  ) throws(Status) {
    guard let log = trail.log else { return try answer(run, version: version, options, frame, to: reply) }
    try answer(run, version: version, options, frame, to: reply, keeping: log)
  }
}
