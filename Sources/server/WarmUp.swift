// The warm-up of a version, before anybody can ask it anything: the requests that came with it are asked, as clients would ask
// them (`saved_model_warmup_util.cc`); a version without any has each signature run once. A request that fails, fails the load.
internal import Engine
internal import Lifecycle
internal import Messages
internal import RPC
internal import Records
internal import Serving
internal import Synchronization
internal import Telemetry
internal import Threads
internal import Wire

struct WarmUp: Sendable {
  let configuration: WarmUpConfiguration
  let options: ServingOptions

  static let file = "assets.extra/tf_serving_warmup_requests"
  /// TensorFlow Serving's limit.
  static let recordsMax = 1000
  /// More than any such file has; it is read as a whole.
  private static let bytesMax = 1 << 30

  /// What was done.
  struct Report: Equatable {
    /// `nil` when there were none to read.
    var records: Int?
  }

  /// Warms up, counts and logs.
  func callAsFunction(_ model: Model, in directory: String, _ meters: LoadMeters) throws(LoadError) {
    let start = ContinuousClock.now
    do throws(LoadError) {
      guard let records = try self(model, in: directory).records else { return }
      meters.warmedUp(directory, by: records, "OK", in: start.duration(to: .now))
      let times = configuration.iterations == 1 ? "" : ", \(configuration.iterations) times"
      Log.info("\(directory): warmed up by \(records) records\(times)")
    } catch {
      let status = Status.Code(rawValue: error.code)?.name ?? "UNKNOWN"
      meters.warmedUp(directory, by: 0, status, in: start.duration(to: .now))
      throw error
    }
  }

  func callAsFunction(_ model: Model, in directory: String) throws(LoadError) -> Report {
    guard configuration.isEnabled else { return Report() }
    let path = directory + "/" + WarmUp.file
    let bytes: [UInt8]
    do throws(ConfigurationError) {
      bytes = try TextFile(path, bytesMax: WarmUp.bytesMax).bytes
    } catch where error.code == .notFound {
      model.warmUp()
      return Report()
    } catch {
      throw LoadError(code: error.code.rawValue, message: error.message)
    }
    let records = try WarmUp.records(bytes, path)
    let replay = Replay(records, bytes, path, self, model)
    if configuration.threads > 1, records.count > 1 {
      let threads = (1..<min(configuration.threads, records.count)).map { number in
        SystemThread(named: "warm-up-\(number)", priority: .background) { replay.work() }
      }
      replay.work()
      for thread in threads { thread.join() }
    } else {
      replay.work()
    }
    if let failure = replay.failure { throw failure }
    return Report(records: records.count)
  }

  /// Where the records stand, each whole.
  static func records(_ bytes: [UInt8], _ path: String) throws(LoadError) -> [Range<Int>] {
    var records: [Range<Int>] = []
    // Bytes have no padding: all of the span is initialised. So below.
    var reader = TFRecordReader(unsafe bytes.span.bytes)
    while true {
      let head = reader.offset + 12
      do throws(TFRecordError) {
        guard let record = try reader.next() else { break }
        records.append(head..<head + record.byteCount)
      } catch {
        throw LoadError(
          code: 15, message: "\(error.inTensorFlowsWords). Please verify your warmup data is in TFRecord format. (\(path))")
      }
      guard records.count <= recordsMax else {
        throw LoadError(
          code: 3, message: "Number of warmup records exceeds the maximum (\(recordsMax)) at \(path)", isTransient: false)
      }
    }
    return records
  }
}

/// Asks the records, from as many threads as call `work`, until one fails.
private final class Replay: Sendable {
  private struct State {
    var next = 0
    var failure: LoadError?
  }

  private let state = Mutex(State())
  private let records: [Range<Int>]
  private let bytes: [UInt8]
  private let path: String
  private let warmUp: WarmUp
  private let model: Model

  init(_ records: [Range<Int>], _ bytes: [UInt8], _ path: String, _ warmUp: WarmUp, _ model: Model) {
    (self.records, self.bytes, self.path, self.warmUp, self.model) = (records, bytes, path, warmUp, model)
  }

  var failure: LoadError? { state.withLock { $0.failure } }

  func work() {
    var frame = Frame(bytesMax: warmUp.options.runBytesMax)
    while let number = next() {
      do throws(LoadError) {
        try ask(number, &frame)
      } catch {
        state.withLock { $0.failure = $0.failure ?? error }
      }
    }
  }

  private func next() -> Int? {
    state.withLock { state in
      guard state.failure == nil, state.next < records.count else { return nil }
      defer { state.next += 1 }
      return state.next
    }
  }

  private func ask(_ number: Int, _ frame: inout Frame) throws(LoadError) {
    let bytes = bytes
    let record = unsafe bytes.span.bytes.extracting(records[number])
    let place = "warm-up record \(number + 1) of \(path)"
    do {
      let log = try PredictionLog(WireMessage(record))
      guard let kind = log.kind else { return }
      guard let recorded = RecordedRequest(kind) else {
        throw LoadError(code: 12, message: "Unsupported log_type for warmup: \(kind.rawValue) (\(place))", isTransient: false)
      }
      for _ in 0..<warmUp.configuration.iterations { try recorded.replay(log.request, on: model, warmUp.options, &frame) }
    } catch let error as LoadError {
      throw error
    } catch let status as Status {
      let isTransient = status.code == .resourceExhausted || status.code == .unavailable
      throw LoadError(code: status.code.rawValue, message: "\(status.message) (\(place))", isTransient: isTransient)
    } catch {
      throw LoadError(code: 3, message: "Failed to parse warmup record: \(error) (\(place))", isTransient: false)
    }
  }
}

extension RecordedRequest {
  /// What a record of this kind asks; `nil` for what is not asked again.
  fileprivate init?(_ kind: PredictionLog.Kind) {
    switch kind {
    case .predict: self = .predict
    case .classify: self = .classify
    case .regress: self = .regress
    case .multiInference: self = .multiInference
    case .sessionRun: self = .sessionRun
    // As TensorFlow Serving: there is no streaming call to ask.
    case .predictStreamed: return nil
    }
  }
}

extension TFRecordError {
  fileprivate var inTensorFlowsWords: String {
    let (text, offset) =
      switch self {
      case .truncated(let offset): ("truncated record at \(offset)", offset)
      case .corrupted(let offset, _, _): ("corrupted record at \(offset)", offset)
      }
    return offset == 0 ? text + " (Is this even a TFRecord file?)" : text
  }
}
