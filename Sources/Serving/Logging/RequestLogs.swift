// Request logging, which TensorFlow Serving's configuration describes and its open-source server does not have: a sample of each
// model's requests, with their answers, as `PredictionLog` records in TFRecord files. Such a file is a warm-up file as it is.
//
//   loop, worker ─ sample? ─► LoggedReply keeps the answer's bytes ─► a bounded queue ─► one thread ─► files
//
// Serving never waits: a full queue drops the record and counts it, and what the disk refuses is reported and counted.
internal import Catalog
internal import HTTP
internal import Messages
internal import RPC
internal import Schemas
internal import SwiftProtobuf
internal import Synchronization
public import Telemetry
internal import Threads
internal import Wire

/// All models' logs.
public final class RequestLogs: Sendable {
  struct Record: Sendable {
    let log: RequestLog
    let api: API
    let version: Int64
    let signature: String
    let request: [UInt8]
    let response: [UInt8]
    /// Seconds since 1970.
    let time: Int

    var byteCount: Int { request.count + response.count }
  }

  private struct State {
    var records: [Record] = []
    var byteCount = 0
    var thread: SystemThread?
    var isStopping = false
  }

  private let state = Mutex(State())
  private let available = Semaphore()
  private let limits: RequestLogLimits
  private let tags: [String]
  private let counts: Family<Counter>

  /// The most records that wait for the disk, and the most memory they hold; a single one may hold more.
  private let recordsMax: Int
  private let bytesMax: Int

  /// - Parameters:
  ///   - tags: `saved_model_tags` of every record.
  ///   - recordsMax: the most records that wait for the disk.
  ///   - bytesMax: the most memory they hold.
  public init(
    _ metrics: Metrics, limits: RequestLogLimits = RequestLogLimits(), tags: [String] = ["serve"], recordsMax: Int = 4096,
    bytesMax: Int = 64 << 20
  ) {
    self.limits = limits
    self.tags = tags
    self.recordsMax = recordsMax
    self.bytesMax = bytesMax
    counts = metrics.counters("/tensorflow/serving/request_log_count", labels: ["model_name", "status_code"])
  }

  /// Takes a record for the disk, or drops it when too many wait. From any thread; does not wait for the disk.
  func submit(_ record: Record) {
    let isTaken = state.withLock { state in
      guard !state.isStopping, state.records.count < recordsMax,
        state.records.isEmpty || record.byteCount <= bytesMax - state.byteCount
      else { return false }
      state.records.append(record)
      state.byteCount += record.byteCount
      if state.thread == nil { state.thread = SystemThread(named: "request-log", priority: .background) { [self] in work() } }
      return true
    }
    if isTaken { available.signal() } else { counts.cell(record.log.model, Status.Code.resourceExhausted.name).add() }
  }

  private func work() {
    // By prefix: two models may share a file, as they may share a collector in TensorFlow Serving.
    var files: [String: Files] = [:]
    while true {
      available.wait()
      let (records, isStopping) = state.withLock { state in
        defer {
          state.records = []
          state.byteCount = 0
        }
        return (state.records, state.isStopping)
      }
      for record in records { write(record, &files) }
      // A log that nothing goes to any more keeps no file open.
      if let now = records.last?.time { files = files.filter { now - $0.value.lastTime < limits.fileSecondsMax } }
      if records.isEmpty, isStopping { return }
    }
  }

  /// A writer where a dictionary can hold it.
  private final class Files {
    var writer: RecordFileWriter
    var lastTime = 0
    init(_ prefix: String, _ limits: RequestLogLimits) { writer = RecordFileWriter(prefix: prefix, limits) }
  }

  private func write(_ record: Record, _ files: inout [String: Files]) {
    let prefix = record.log.configuration.filenamePrefix
    let target = files[prefix] ?? Files(prefix, limits)
    files[prefix] = target
    target.lastTime = record.time
    let isWritten = target.writer.write(record.predictionLog(tags: tags), at: record.time, record.log.model)
    counts.cell(record.log.model, (isWritten ? Status.Code.ok : .unavailable).name).add()
  }

  /// Writes what waits, and ends the thread.
  func stop() {
    let thread = state.withLock { state in
      state.isStopping = true
      defer { state.thread = nil }
      return state.thread
    }
    available.signal()
    thread?.join()
  }
}

/// One model's log.
struct RequestLog: Sendable {
  let model: String
  let configuration: RequestLogConfiguration
  /// A random number below it is in the sample.
  private let threshold: UInt64

  init(_ model: String, _ configuration: RequestLogConfiguration) {
    self.model = model
    self.configuration = configuration
    let rate = configuration.samplingRate
    threshold = rate >= 1 ? .max : rate > 0 ? UInt64(rate * 0x1p64) : 0
  }

  func takes(_ random: UInt64) -> Bool { threshold == .max || random < threshold }
}

extension RequestLogs.Record {
  /// `tensorflow.serving.PredictionLog`.
  func predictionLog(tags: [String]) -> [UInt8] {
    var metadata = Tensorflow_Serving_LogMetadata()
    metadata.modelSpec.name = log.model
    metadata.modelSpec.version.value = version
    metadata.modelSpec.signatureName = signature
    metadata.samplingConfig.samplingRate = log.configuration.samplingRate
    metadata.samplingConfig.attributes = log.configuration.attributes
    metadata.savedModelTags = tags
    metadata.timestampSecs = Int64(time)
    // A message of numbers and strings always serializes.
    let head: [UInt8] = (try? metadata.serializedBytes()) ?? []
    let inner = WireSize.length(1, request.count) + WireSize.length(2, response.count)
    let field = api.logField
    return [UInt8](wireSize: WireSize.length(1, head.count) + WireSize.length(field, inner)) { output in
      output.appendLength(1, head.count)
      output.appendBytes(head.rawSpan)
      output.appendLength(field, inner)
      output.appendLength(1, request.count)
      output.appendBytes(request.rawSpan)
      output.appendLength(2, response.count)
      output.appendBytes(response.rawSpan)
    }
  }
}

extension API {
  /// The number of the field of `PredictionLog` that its log is.
  fileprivate var logField: UInt32 {
    switch self {
    case .predict: 6
    case .classify: 2
    case .regress: 3
    case .multiInference: 4
    case .sessionRun: 5
    case .modelMetadata, .modelStatus, .none: preconditionFailure("no \(self) is logged")
    }
  }
}
