public import Tensors
public import Wire

/// Predict's response (tensorflow_serving/apis/predict.proto).
///
///     outputs 1 (map<string, TensorProto>), model_spec 2
///
/// A server writes it in two passes over its outputs: sizes, then bytes.
///
///     var size = PredictResponse.size(spec)
///     for … { sizes[i] = TensorProtoSize(view); size += PredictResponse.size(output: name, sizes[i]) }
///     for … { PredictResponse.append(output: name, view, sizes[i], to: &output) }
///     PredictResponse.append(spec, to: &output)
public struct PredictResponse: ~Escapable {
  let message: WireMessage
  public let modelSpec: ModelSpec

  @_lifetime(copy message)
  public init(_ message: WireMessage) throws(WireError) {
    var spec = WireExtent.absent
    var reader = WireReader(message)
    while let tag = try reader.nextTag() {
      switch tag {
      case .length(2): try spec.append(try reader.lengthDelimited())
      default: try reader.skip(tag)
      }
    }
    self.message = message
    modelSpec = try ModelSpec(WireMessage(message.bytes, at: spec))
  }

  /// The response that fills `bytes`.
  @_lifetime(copy bytes)
  public init(_ bytes: RawSpan) throws(WireError) {
    try self.init(WireMessage(bytes))
  }

  /// The outputs: name → TensorProto. Of entries with one name the last counts.
  public var outputs: WireMap {
    @_lifetime(copy self)
    get { WireMap(message, number: 1) }
  }

  // MARK: Writing, in any order of fields

  /// The bytes of an entry of `outputs`.
  public static func size(output name: RawSpan, _ tensor: TensorProtoSize) -> Int {
    TensorProtoSize.entrySize(1, name: name, tensor)
  }

  public static func append(
    output name: RawSpan, _ tensor: borrowing TensorView, _ size: TensorProtoSize, to output: inout OutputRawSpan
  ) {
    size.appendEntry(1, name: name, tensor, to: &output)
  }

  /// The bytes of `model_spec`.
  public static func size(_ spec: borrowing ModelSpec) -> Int { WireSize.length(2, spec.byteSize) }

  public static func append(_ spec: borrowing ModelSpec, to output: inout OutputRawSpan) {
    output.appendLength(2, spec.byteSize)
    spec.append(to: &output)
  }
}
