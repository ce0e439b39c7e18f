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

  /// A call whose model is on its way.
  struct Waiting: Sendable {
    let call: DetachedCall
    let handler: PredictHandler
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

  /// Lets a call wait until the catalog changes, or refuses it when too many wait already.
  func admit(_ call: UnaryCall, _ handler: PredictHandler) {
    let patience = UInt64(max(0, options.waitingNanosecondsMax))
    let entry = Waiting(call: call.detach(), handler: handler, until: loop.now.advanced(byNanoseconds: patience))
    if patience > 0, wait(entry, call) { return }
    call.fail(Status(.unavailable, "the model is still loading, and \(waiting.count) requests wait already"))
  }

  /// Takes a call into the waiting room, until it is tried again or nobody waits for its answer; `false` when that is full.
  private func wait(_ entry: Waiting, _ call: UnaryCall) -> Bool {
    guard let ticket = waiting.admit(entry) else { return false }
    call.onCancel = { [weak self] in self?.waiting.leave(ticket) }
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
    for entry in waiting.takeAll() {
      entry.call.completeOnLoop { call in
        call.onCancel = nil
        if entry.until <= loop.now {
          call.fail(Status(.unavailable, "the model is still loading"))
        } else if entry.handler.attempt(call, self) == .pending, !wait(entry, call) {
          call.fail(Status(.unavailable, "the model is still loading"))
        }
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
