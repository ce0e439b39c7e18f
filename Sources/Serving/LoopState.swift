// What one event loop keeps for serving: its view of the catalog, its frame, and who waits for a model. Confined to the loop.
internal import Catalog
internal import Engine
internal import HTTP
internal import RPC

final class LoopState {
  let loop: EventLoop
  let reader: CatalogReader
  var frame: Frame
  private var waiting: WaitingRoom<Waiting>
  private let longestWait: Int64

  /// A request that waits for its model, and who answers it when the catalog has changed.
  struct Waiting {
    let call: DetachedCall
    let handler: PredictHandler
    /// When the server's patience ends.
    let until: MonotonicTime
  }

  init(_ loop: EventLoop, _ catalog: Catalog, _ options: ServingOptions) {
    self.loop = loop
    reader = CatalogReader(catalog)
    frame = Frame(bytesMax: options.runBytesMax)
    waiting = WaitingRoom(capacity: options.waitingMax)
    longestWait = options.waitingNanosecondsMax
  }

  /// Takes a call in until the catalog changes; `false` when too many wait already or nobody may wait.
  func admit(_ call: UnaryCall, _ handler: PredictHandler) -> Bool {
    guard !waiting.isFull, longestWait > 0 else { return false }
    let until = MonotonicTime.now.advanced(byNanoseconds: longestWait)
    waiting.admit(Waiting(call: call.detach(), handler: handler, until: until))
    if waiting.count == 1 { watchPatience() }
    return true
  }

  /// The catalog changed: takes the new snapshot and tries everybody who waits once more.
  func catalogChanged() {
    reader.refresh()
    retry()
  }

  private func retry() {
    let now = MonotonicTime.now
    for entry in waiting.empty() {
      entry.call.withCall { call in
        if entry.until <= now {
          call.fail(Status(.unavailable, "the model is still loading"))
        } else if let status = entry.handler.attempt(call, self) {
          call.fail(status)
        } else if !call.isAnswered, !call.isDetachedToWorker {
          waiting.admit(entry)
        }
      }
    }
  }

  private func watchPatience() {
    loop.schedule(afterNanoseconds: 1_000_000_000) { [weak self] in
      guard let self, self.waiting.count > 0 else { return }
      self.retry()
      if self.waiting.count > 0 { self.watchPatience() }
    }
  }
}
