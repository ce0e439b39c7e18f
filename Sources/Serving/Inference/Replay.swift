// Recorded requests asked again, by nobody: what a warm-up does with a model before it serves. The same checks, the same run
// and the same answer as for a client, without a loop and without a slot; the answer goes nowhere.
public import Engine
internal import HTTP
internal import Messages
public import RPC
internal import Wire

/// A request as some method's message.
public enum RecordedRequest: Sendable {
  case predict, classify, regress, multiInference, sessionRun

  /// Asks `model` and drops the answer. Of the request's model spec only the signature counts.
  ///
  /// - Parameter bytes: the message; stays where it is until this returns.
  public func replay(
    _ bytes: RawSpan, on model: Model, _ options: ServingOptions, _ frame: inout Frame
  ) throws(Status) {
    // Counted by whoever replays.
    var trail = RequestTrail(RequestOrigin(api: .none, entrypoint: .grpc), arrived: .now)
    switch self {
    case .predict: try PredictRequest(message: bytes).serve(model, version: 0, options, &frame, &trail, to: Dropped())
    case .classify: try ClassificationRequest(message: bytes).serve(model, version: 0, options, &frame, &trail, to: Dropped())
    case .regress: try RegressionRequest(message: bytes).serve(model, version: 0, options, &frame, &trail, to: Dropped())
    case .multiInference: try MultiInferenceRequest(message: bytes).serve(model, version: 0, options, &frame, &trail, to: Dropped())
    case .sessionRun: try SessionRunRequest(message: bytes).serve(model, version: 0, options, &frame, &trail, to: Dropped())
    }
  }
}

/// Writes answers that nobody reads.
private struct Dropped: Reply {
  func reply(byteCount: Int, _ fill: (inout OutputRawSpan) -> Void) { _ = [UInt8](wireSize: byteCount, fill) }
}
