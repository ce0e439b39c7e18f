// A request that was chosen for its model's log, from the choice to the record.
internal import Catalog
internal import Glibc
internal import Messages
internal import Wire

/// A loop's part of logging: which models are, and the dice. Confined to the loop.
struct LoopLogs {
  private let logs: RequestLogs
  private var models: [String: RequestLog] = [:]
  private var random: UInt64

  init(_ logs: RequestLogs, _ snapshot: CatalogSnapshot, seed: UInt64) {
    self.logs = logs
    random = seed | 1
    refresh(snapshot)
  }

  /// The catalog changed, and with it perhaps what is logged.
  mutating func refresh(_ snapshot: CatalogSnapshot) {
    models.removeAll()
    for model in snapshot.models { model.logging.map { models[model.name] = RequestLog(model.name, $0) } }
  }

  /// The log that this request goes to; `nil` for nearly all of them.
  mutating func sample(_ slot: Slot, _ api: API) -> PendingLog? {
    if models.isEmpty { return nil }
    guard let log = models[slot.modelName] else { return nil }
    // xorshift64: nobody gains anything by guessing it.
    random ^= random << 13
    random ^= random >> 7
    random ^= random << 17
    return log.takes(random) ? PendingLog(logs, log, api, version: slot.version) : nil
  }
}

/// A request that is logged once it is answered.
final class PendingLog: Sendable {
  private let logs: RequestLogs
  private let log: RequestLog
  private let api: API
  private let version: Int64

  init(_ logs: RequestLogs, _ log: RequestLog, _ api: API, version: Int64) {
    self.logs = logs
    self.log = log
    self.api = api
    self.version = version
  }

  func submit(_ request: [UInt8], _ response: [UInt8], signature: String) {
    var now = timespec()
    unsafe clock_gettime(CLOCK_REALTIME, &now)
    logs.submit(
      RequestLogs.Record(
        log: log, api: api, version: version, signature: signature, request: request, response: response, time: now.tv_sec))
  }
}

/// Passes an answer on and keeps a copy for the log.
struct LoggedReply<Inner: Reply>: Reply {
  let inner: Inner
  let pending: PendingLog
  let signature: String

  var isCancelled: Bool { inner.isCancelled }

  func reply(byteCount: Int, _ fill: (inout OutputRawSpan) -> Void) {
    // Before the answer: the request's bytes are gone behind it.
    guard let request = inner.recordableRequest() else { return inner.reply(byteCount: byteCount, fill) }
    let response = [UInt8](wireSize: byteCount, fill)
    inner.reply(byteCount: byteCount) { $0.appendBytes(response.rawSpan) }
    pending.submit(request, response, signature: signature)
  }
}
