public import Wire

/// GetModelMetadata's request (tensorflow_serving/apis/get_model_metadata.proto).
///
///     model_spec 1, metadata_field 2 (repeated)
public struct GetModelMetadataRequest: ~Escapable {
  let message: WireMessage
  public let modelSpec: ModelSpec

  @_lifetime(copy message)
  public init(_ message: WireMessage) throws(WireError) {
    self.message = message
    modelSpec = try ModelSpec(WireMessage(message.bytes, at: try ModelSpec.extent(in: message, number: 1)))
  }

  /// The request that fills `bytes`.
  @_lifetime(copy bytes)
  public init(_ bytes: RawSpan) throws(WireError) {
    try self.init(WireMessage(bytes))
  }

  /// The names of what is asked for; TensorFlow Serving knows one, "signature_def".
  public var metadataFields: WireFields {
    @_lifetime(copy self)
    get { WireFields(message, number: 2) }
  }

  // MARK: Writing

  public static func size(_ spec: borrowing ModelSpec) -> Int { WireSize.length(1, spec.byteSize) }

  public static func append(_ spec: borrowing ModelSpec, to output: inout OutputRawSpan) {
    output.appendLength(1, spec.byteSize)
    spec.append(to: &output)
  }

  public static func size(metadataField name: RawSpan) -> Int { WireSize.length(2, name.byteCount) }

  public static func append(metadataField name: RawSpan, to output: inout OutputRawSpan) {
    output.appendBytes(2, name)
  }
}

/// GetModelMetadata's response.
///
///     model_spec 1, metadata 2 (map<string, google.protobuf.Any>)
///
/// A server has one entry to give, "signature_def", whose Any holds a SignatureDefMap. That map's bytes are those of the
/// model's own `MetaGraphDef.signature_def` entries under another field number: see `SignatureDefMap`.
public struct GetModelMetadataResponse: ~Escapable {
  public static let signatureDefTypeURL: StaticString = "type.googleapis.com/tensorflow.serving.SignatureDefMap"

  let message: WireMessage
  public let modelSpec: ModelSpec

  @_lifetime(copy message)
  public init(_ message: WireMessage) throws(WireError) {
    self.message = message
    modelSpec = try ModelSpec(WireMessage(message.bytes, at: try ModelSpec.extent(in: message, number: 1)))
  }

  /// The response that fills `bytes`.
  @_lifetime(copy bytes)
  public init(_ bytes: RawSpan) throws(WireError) {
    try self.init(WireMessage(bytes))
  }

  /// Name → `AnyMessage`.
  public var metadata: WireMap {
    @_lifetime(copy self)
    get { WireMap(message, number: 2) }
  }

  // MARK: Writing

  public static func size(_ spec: borrowing ModelSpec) -> Int { WireSize.length(1, spec.byteSize) }

  public static func append(_ spec: borrowing ModelSpec, to output: inout OutputRawSpan) {
    output.appendLength(1, spec.byteSize)
    spec.append(to: &output)
  }

  /// The bytes of an entry of `metadata`.
  public static func size(metadata name: RawSpan, _ any: borrowing AnyMessage) -> Int {
    WireSize.length(2, WireSize.length(1, name.byteCount) + WireSize.length(2, any.byteSize))
  }

  public static func append(metadata name: RawSpan, _ any: borrowing AnyMessage, to output: inout OutputRawSpan) {
    output.appendLength(2, WireSize.length(1, name.byteCount) + WireSize.length(2, any.byteSize))
    output.appendBytes(1, name)
    output.appendLength(2, any.byteSize)
    any.append(to: &output)
  }
}

/// The signatures of a model by name.
///
///     signature_def 1 (map<string, SignatureDef>)
public struct SignatureDefMap: ~Escapable {
  let message: WireMessage

  @_lifetime(copy message)
  public init(_ message: WireMessage) { self.message = message }

  /// Signature name → `SignatureDef`.
  public var signatures: WireMap {
    @_lifetime(copy self)
    get { WireMap(message, number: 1) }
  }

  // MARK: Writing

  /// The bytes of an entry that sends a signature on as the model's file has it.
  public static func size(signature name: RawSpan, _ signature: borrowing SignatureDef) -> Int {
    let byteCount = signature.message.extent.byteCount
    return WireSize.length(1, WireSize.length(1, name.byteCount) + WireSize.length(2, byteCount))
  }

  public static func append(
    signature name: RawSpan, _ signature: borrowing SignatureDef, to output: inout OutputRawSpan
  ) {
    let byteCount = signature.message.extent.byteCount
    output.appendLength(1, WireSize.length(1, name.byteCount) + WireSize.length(2, byteCount))
    output.appendBytes(1, name)
    output.appendLength(2, byteCount)
    output.appendMessage(signature.message)
  }
}
