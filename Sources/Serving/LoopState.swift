// What one event loop keeps for serving: its view of the catalog, its frame, and who waits for a model. Confined to the loop.
internal import Catalog
internal import Engine
internal import HTTP
internal import RPC

final class LoopState {
  let loop: EventLoop
  private let options: ServingOptions
  let reader: CatalogReader
  let health: HealthDesk
  var frame: Frame
  let meters: RequestMeters
  var logs: LoopLogs
  /// Of the request the loop is at.
  var trail = RequestTrail(RequestOrigin(api: .none, entrypoint: .grpc), arrived: MonotonicTime(nanoseconds: 0))
  /// The batch thread that is woken when this turn's requests are in its batch.
  var sleeper: Int?
  private var waiting: WaitingRoom<Waiting>
  private var timer = TimerID.none

  /// A request whose model is on its way.
  struct Waiting: Sendable {
    let carrier: any DetachedCarrier
    /// When the server's patience ends.
    let until: MonotonicTime
    let trail: RequestTrail
  }

  init(_ loop: EventLoop, _ catalog: Catalog, _ options: ServingOptions, _ health: HealthReport, _ board: RequestBoard, _ logs: RequestLogs) {
    self.loop = loop
    self.options = options
    reader = CatalogReader(catalog)
    self.health = HealthDesk(health)
    meters = RequestMeters(board, reader.snapshot)
    self.logs = LoopLogs(logs, reader.snapshot, seed: .random(in: 1 ... .max))
    frame = Frame(bytesMax: options.inlineBytesMax, bytesKept: options.inlineBytesMax)
    waiting = WaitingRoom(capacity: options.waitingMax)
  }

  /// The state of a loop that `ModelServer` has started.
  static func of(_ loop: EventLoop) -> LoopState {
    guard let state = loop.context as? LoopState else { preconditionFailure("the loop was not started by Serving") }
    return state
  }

  /// A request has arrived: answers it, hands it on, or lets it wait for its model.
  func take(_ carrier: some Carrier) {
    trail = meters.begin(carrier.origin, on: loop, began: carrier.began)
    guard case .pending(let model) = attempt(carrier) else { return }
    let patience = UInt64(max(0, options.waitingNanosecondsMax))
    let entry = Waiting(carrier: carrier.detach(), until: loop.now.advanced(byNanoseconds: patience), trail: trail)
    if patience > 0, wait(entry, carrier, model) { return }
    refuse(carrier, model, "the model is still loading, and \(waiting.count) requests wait already")
  }

  private func attempt(_ carrier: some Carrier) -> Outcome {
    do { return try carrier.attempt(self) } catch {
      carrier.fail(error)
      if !trail.isOver { meters.ended(&trail, error.code, RequestLabels(origin: carrier.origin)) }
      return .settled
    }
  }

  private func refuse(_ carrier: some Carrier, _ model: ModelEntry, _ why: String) {
    carrier.fail(Status(.unavailable, why))
    meters.ended(&trail, .unavailable, RequestLabels(model: model.name, origin: carrier.origin))
  }

  /// Takes a request into the waiting room, until it is tried again or nobody waits for its answer; `false` when that is full.
  private func wait(_ entry: Waiting, _ carrier: some Carrier, _ model: ModelEntry) -> Bool {
    guard let ticket = waiting.admit(entry) else { return false }
    meters.waits(waiting.count)
    let labels = RequestLabels(model: model.name, origin: carrier.origin), deadline = carrier.deadline
    carrier.onCancel { [weak self] in
      guard let self else { return }
      waiting.leave(ticket)
      meters.waits(waiting.count)
      var trail = entry.trail
      trail.ended(.queue, at: loop.now)
      meters.ended(&trail, deadline.map { $0 <= loop.now } == true ? .deadlineExceeded : .cancelled, labels)
    }
    if waiting.count == 1 { setTimer(entry.until) }
    return true
  }

  /// The catalog changed: takes the new snapshot and tries those who wait once more.
  func catalogChanged() {
    reader.refresh { snapshot in
      meters.retire(keeping: snapshot)
      logs.refresh(snapshot)
    }
    retry()
  }

  private func retry() {
    // All leave before the first is answered: an answer can end a connection, and with it the calls of others in the room.
    for entry in waiting.takeAll() { retry(entry.carrier, entry) }
    meters.waits(waiting.count)
  }

  private func retry(_ carrier: some DetachedCarrier, _ entry: Waiting) {
    carrier.attached { carrier in
      carrier.onCancel(nil)
      trail = entry.trail
      trail.ended(.queue, at: loop.now)
      let outcome = attempt(carrier)
      guard case .pending(let model) = outcome else { return }
      if entry.until <= loop.now || !wait(entry, carrier, model) { refuse(carrier, model, "the model is still loading") }
    }
  }

  /// The request the loop is at was answered with the outputs of a run.
  func answered(_ slot: Slot, _ signature: Signature?) {
    trail.ended(.write, at: .now)
    meters.answered(&trail, slot, signature, on: loop)
    meters.holds(frame.bytesHeld)
  }

  /// It was answered without a run.
  func told(_ labels: RequestLabels) {
    trail.ended(.write, at: .now)
    meters.ended(&trail, .ok, labels)
  }

  /// A request fails before it is whole.
  func refuse(_ carrier: some Carrier, of model: String, _ status: Status) {
    trail = meters.begin(carrier.origin, on: loop, began: carrier.began)
    carrier.fail(status)
    // A name that nobody configured makes no series.
    failed(status.code, RequestLabels(model: reader.snapshot.model(model)?.name ?? "", origin: carrier.origin))
  }

  /// It failed: the loop knows for which model.
  func failed(_ code: Status.Code, _ labels: RequestLabels) {
    trail.ended(.parse, at: .now)
    meters.ended(&trail, code, labels)
  }

  private func setTimer(_ time: MonotonicTime) {
    loop.cancel(timer)
    timer = loop.schedule(at: time, self)
  }
}

extension LoopState: TimerTarget {
  func timerFired(_ timer: TimerID) { retry() }
}
