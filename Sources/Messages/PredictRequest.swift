public import Tensors
public import Wire

/// Predict's request (tensorflow_serving/apis/predict.proto).
///
///     model_spec 1, inputs 2 (map<string, TensorProto>), output_filter 3
///
/// Fields 5 to 7 (predict_streamed_options, client_id, request_options) have no effect in TensorFlow Serving and are
/// skipped here without looking into them.
public struct PredictRequest: ~Escapable {
  let message: WireMessage
  public let modelSpec: ModelSpec
  /// Entries of `inputs` on the wire; those with the same key count each.
  public let inputCount: Int
  /// Names in `outputFilter`.
  public let outputFilterCount: Int

  @_lifetime(copy message)
  public init(_ message: WireMessage) throws(WireError) {
    var spec = WireExtent.absent
    var inputs = 0
    var filters = 0
    var reader = WireReader(message)
    while let tag = try reader.nextTag() {
      switch tag {
      case .length(1): try spec.append(try reader.lengthDelimited())
      case .length(2):
        _ = try reader.lengthDelimited()
        inputs &+= 1
      case .length(3):
        _ = try reader.lengthDelimited()
        filters &+= 1
      default: try reader.skip(tag)
      }
    }
    self.message = message
    modelSpec = try ModelSpec(WireMessage(message.bytes, at: spec))
    inputCount = inputs
    outputFilterCount = filters
  }

  /// The request that fills `bytes`.
  @_lifetime(copy bytes)
  public init(_ bytes: RawSpan) throws(WireError) {
    try self.init(WireMessage(bytes))
  }

  /// The inputs: name → TensorProto. Of entries with one name the last counts.
  public var inputs: WireMap {
    @_lifetime(copy self)
    get { WireMap(message, number: 2) }
  }

  /// The names of the wanted outputs; none means all.
  public var outputFilter: WireFields {
    @_lifetime(copy self)
    get { WireFields(message, number: 3) }
  }

  // MARK: Writing, in any order of fields

  /// The bytes of `model_spec`.
  public static func size(_ spec: borrowing ModelSpec) -> Int { WireSize.length(1, spec.byteSize) }

  public static func append(_ spec: borrowing ModelSpec, to output: inout OutputRawSpan) {
    output.appendLength(1, spec.byteSize)
    spec.append(to: &output)
  }

  /// The bytes of an entry of `inputs`.
  public static func size(input name: RawSpan, _ tensor: TensorProtoSize) -> Int {
    TensorProtoSize.entrySize(2, name: name, tensor)
  }

  public static func append(
    input name: RawSpan, _ tensor: borrowing TensorView, _ size: TensorProtoSize, to output: inout OutputRawSpan
  ) {
    size.appendEntry(2, name: name, tensor, to: &output)
  }

  /// The bytes of a name in `output_filter`.
  public static func size(outputFilter name: RawSpan) -> Int { WireSize.length(3, name.byteCount) }

  public static func append(outputFilter name: RawSpan, to output: inout OutputRawSpan) {
    output.appendBytes(3, name)
  }
}
