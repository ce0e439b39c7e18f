// What is known of a request while it is on its way, for who counts it when it is over: where it came from, where it went and
// when. It goes with the request from the loop to a worker and back, and keeps nothing of a model alive.
internal import Catalog
internal import Engine
internal import HTTP

/// What is asked.
enum API: Int, CaseIterable, Sendable {
  case predict, classify, regress, multiInference, sessionRun, modelMetadata, modelStatus
  /// Nothing that there is: a URL of no meaning.
  case none

  /// As TensorFlow Serving's metrics label it: gRPC's methods by their names, REST's by their verbs.
  func label(_ entrypoint: Entrypoint) -> String {
    switch (self, entrypoint) {
    case (.none, _): ""
    case (.predict, .grpc): "Predict"
    case (.predict, .rest): "predict"
    case (.classify, .grpc): "Classify"
    case (.classify, .rest): "classify"
    case (.regress, .grpc): "Regress"
    case (.regress, .rest): "regress"
    case (.multiInference, _): "MultiInference"
    case (.sessionRun, _): "SessionRun"
    case (.modelMetadata, .grpc): "GetModelMetadata"
    case (.modelMetadata, .rest): "metadata"
    case (.modelStatus, .grpc): "GetModelStatus"
    case (.modelStatus, .rest): "status"
    }
  }
}

enum Entrypoint: Int, CaseIterable, Sendable {
  case grpc, rest
  var label: String { self == .grpc ? "GRPC" : "REST" }
}

/// A way of asking.
struct RequestOrigin: Hashable, Sendable {
  var api: API
  var entrypoint: Entrypoint

  /// Small, and another for each.
  var index: Int { api.rawValue * Entrypoint.allCases.count + entrypoint.rawValue }
}

/// The parts of a request's time; each ends before the next begins.
enum RequestStage: Int, CaseIterable, Sendable {
  /// From the head to the last byte.
  case network
  /// Until the loop comes to it, its model is loaded, a worker takes it.
  case queue
  /// Until the run can begin: finding the model, checking, feeding.
  case parse
  /// Until its batch is full or old enough, a thread has it, and its rows stand with the others'.
  case batch
  /// The run.
  case compute
  /// From the run's end until the answer's bytes are there.
  case write
}

struct RequestTrail: Sendable {
  static let stageCount = 6
  let origin: RequestOrigin
  /// When it was whole.
  let arrived: MonotonicTime
  /// The slot's id and the signature's address, as names; zero: none was found.
  private(set) var slot = 0
  private(set) var signature: UInt = 0
  /// Nanoseconds spent in each stage so far, by its number.
  private(set) var stages: InlineArray<6, UInt64> = .init(repeating: 0)
  /// Until when time has been accounted for.
  private(set) var accounted: MonotonicTime
  /// Rows of the run; zero before there was one.
  private(set) var rows = 0
  /// It left its loop, and counts as in flight.
  var isDetached = false
  /// It has been counted.
  var isOver = false
  /// Its run was one for several, and another of them counts it.
  private(set) var sharesRun = false
  /// It was chosen for its model's log.
  var log: PendingLog?

  init(_ origin: RequestOrigin, arrived: MonotonicTime, network: UInt64 = 0) {
    self.origin = origin
    self.arrived = arrived
    accounted = arrived
    stages[RequestStage.network.rawValue] = network
  }

  /// It goes to this slot.
  mutating func reaches(_ slot: Slot) { self.slot = slot.id }

  /// It is checked, and this is what will run.
  mutating func runs(_ run: some InferenceRun) {
    rows = run.rows
    if let metered = run.metered { signature = RequestTrail.name(of: metered) }
  }

  /// The time since the last stage's end was spent in this one.
  mutating func ended(_ stage: RequestStage, at time: MonotonicTime) {
    stages[stage.rawValue] &+= time.nanoseconds(since: accounted)
    accounted = time
  }

  /// The run is done.
  mutating func ran(from start: MonotonicTime, to end: MonotonicTime) {
    ended(.parse, at: start)
    ended(.compute, at: end)
  }

  /// A run is done that others shared; `isShared`: one of them counts it.
  mutating func ranInBatch(from start: MonotonicTime, to end: MonotonicTime, isShared: Bool) {
    ended(.batch, at: start)
    ended(.compute, at: end)
    sharesRun = isShared
  }

  /// A name for a signature, good as long as its slot is.
  private static func name(of signature: Signature) -> UInt { UInt(bitPattern: ObjectIdentifier(signature)) }

  /// The name of the signature that ran; empty when there was none, or several.
  func signatureName(in model: Model) -> String {
    model.signatures.first { RequestTrail.name(of: $0) == signature }?.name ?? ""
  }
}
