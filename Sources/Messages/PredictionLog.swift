public import Wire

/// A request and its answer as they were recorded (tensorflow_serving/apis/prediction_log.proto).
///
///     log_metadata 1; one of: classify_log 2, regress_log 3, multi_inference_log 4, session_run_log 5, predict_log 6,
///     predict_streamed_log 7; in each: request 1, response 2
public struct PredictionLog: ~Escapable {
  /// What was asked, with the numbers of the fields.
  public enum Kind: UInt32, Sendable, CaseIterable {
    case classify = 2, regress, multiInference, sessionRun, predict, predictStreamed
  }

  /// `nil` when the record says nothing.
  public let kind: Kind?
  /// The request's message; of streamed ones, the last.
  public let request: RawSpan

  @_lifetime(copy message)
  public init(_ message: WireMessage) throws(WireError) {
    var kind: Kind?
    var log: Range<UInt32> = 0..<0
    var reader = WireReader(message)
    while let tag = try reader.nextTag() {
      switch tag {
      case .length(2), .length(3), .length(4), .length(5), .length(6), .length(7):
        // Of a oneof the last one counts.
        kind = Kind(rawValue: tag.number)
        log = try reader.lengthDelimited()
      default: try reader.skip(tag)
      }
    }
    var request: Range<UInt32> = 0..<0
    var inner = WireReader(WireMessage(message.bytes, at: log))
    while let tag = try inner.nextTag() {
      switch tag {
      case .length(1): request = try inner.lengthDelimited()
      default: try inner.skip(tag)
      }
    }
    self.kind = kind
    self.request = message.bytes.extracting(request)
  }
}
