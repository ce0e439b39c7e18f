// What one event loop keeps for serving: its view of the catalog, its frame, and who waits for a model. Confined to the loop.
internal import Catalog
internal import Engine
internal import HTTP
internal import RPC

final class LoopState {
  private let loop: EventLoop
  private let options: ServingOptions
  let reader: CatalogReader
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

  init(_ loop: EventLoop, _ catalog: Catalog, _ options: ServingOptions) {
    self.loop = loop
    self.options = options
    reader = CatalogReader(catalog)
    frame = Frame(bytesMax: options.runBytesMax)
    waiting = WaitingRoom(capacity: options.waitingMax)
  }

  /// The state of a loop that `Server` has started.
  static func of(_ loop: EventLoop) -> LoopState {
    guard let state = loop.context as? LoopState else { preconditionFailure("the loop was not started by Serving") }
    return state
  }

  /// Lets a call wait until the catalog changes, or refuses it when too many wait already.
  func admit(_ call: UnaryCall, _ handler: PredictHandler) {
    guard !waiting.isFull, options.waitingNanosecondsMax > 0 else {
      return call.fail(
        Status(.unavailable, "the model is still loading, and \(waiting.count) requests wait for it already"))
    }
    let until = loop.now.advanced(byNanoseconds: UInt64(options.waitingNanosecondsMax))
    waiting.admit(Waiting(call: call.detach(), handler: handler, until: until))
    if waiting.count == 1 { setTimer(until) }
  }

  /// The catalog changed: takes the new snapshot and tries those who wait once more.
  func catalogChanged() {
    reader.refresh()
    retry()
  }

  private func retry() {
    for entry in waiting.empty() {
      entry.call.complete { call in LoopState.of(call.loop).retry(entry, call) }
    }
  }

  private func retry(_ entry: Waiting, _ call: UnaryCall) {
    if entry.until <= loop.now {
      call.fail(Status(.unavailable, "the model is still loading"))
    } else if entry.handler.attempt(call, self) == .pending {
      waiting.admit(entry)
      if waiting.count == 1 { setTimer(entry.until) }
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
