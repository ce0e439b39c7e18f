// What one event loop keeps for serving: its view of the catalog, its frame, and who waits for a model. Confined to the loop.
internal import Catalog
internal import Engine
internal import HTTP
internal import RPC

final class LoopState {
  private let loop: EventLoop
  private let options: ServingOptions
  let reader: CatalogReader
  let health: HealthDesk
  var frame: Frame
  private var waiting: WaitingRoom<Waiting>
  private var timer = TimerID.none

  /// A request whose model is on its way.
  struct Waiting: Sendable {
    let carrier: any DetachedCarrier
    /// When the server's patience ends.
    let until: MonotonicTime
  }

  init(_ loop: EventLoop, _ catalog: Catalog, _ options: ServingOptions, _ health: HealthReport) {
    self.loop = loop
    self.options = options
    reader = CatalogReader(catalog)
    self.health = HealthDesk(health)
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
    guard attempt(carrier) == .pending else { return }
    let patience = UInt64(max(0, options.waitingNanosecondsMax))
    let entry = Waiting(carrier: carrier.detach(), until: loop.now.advanced(byNanoseconds: patience))
    if patience > 0, wait(entry, carrier) { return }
    carrier.fail(Status(.unavailable, "the model is still loading, and \(waiting.count) requests wait already"))
  }

  private func attempt(_ carrier: some Carrier) -> Outcome {
    do { return try carrier.attempt(self) } catch {
      carrier.fail(error)
      return .settled
    }
  }

  /// Takes a request into the waiting room, until it is tried again or nobody waits for its answer; `false` when that is full.
  private func wait(_ entry: Waiting, _ carrier: some Carrier) -> Bool {
    guard let ticket = waiting.admit(entry) else { return false }
    carrier.onCancel { [weak self] in self?.waiting.leave(ticket) }
    if waiting.count == 1 { setTimer(entry.until) }
    return true
  }

  /// The catalog changed: takes the new snapshot and tries those who wait once more.
  func catalogChanged() {
    reader.refresh()
    retry()
  }

  private func retry() {
    // All leave before the first is answered: an answer can end a connection, and with it the calls of others in the room.
    for entry in waiting.takeAll() { retry(entry.carrier, entry) }
  }

  private func retry(_ carrier: some DetachedCarrier, _ entry: Waiting) {
    carrier.attached { carrier in
      carrier.onCancel(nil)
      if entry.until <= loop.now {
        carrier.fail(Status(.unavailable, "the model is still loading"))
      } else if attempt(carrier) == .pending, !wait(entry, carrier) {
        carrier.fail(Status(.unavailable, "the model is still loading"))
      }
    }
  }

  private func setTimer(_ time: MonotonicTime) {
    loop.cancel(timer)
    timer = loop.schedule(at: time, self)
  }
}

extension LoopState: TimerTarget {
  func timerFired(_ timer: TimerID) { retry() }
}
