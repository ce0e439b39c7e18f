// MultiInference (tensorflow_serving/apis/inference.proto).
//
//     MultiInferenceRequest  { tasks 1 { model_spec 1, method_name 2 } …, input 2 }
//     MultiInferenceResponse { results 1 { model_spec 1, classification_result 2 | regression_result 3 } … }

public import Wire

/// MultiInference's request.
public struct MultiInferenceRequest: ~Escapable {
  let message: WireMessage
  public let taskCount: Int
  /// The model spec of the first task: the one that chooses model and version. As if it were there and empty when it is not.
  public let modelSpec: ModelSpec
  public let input: ExampleInput

  /// The request that fills `bytes`.
  @_lifetime(copy bytes)
  public init(_ bytes: RawSpan) throws(WireError) { try self.init(WireMessage(bytes)) }

  @_lifetime(copy message)
  public init(_ message: WireMessage) throws(WireError) {
    let bytes = message.bytes
    self.message = message
    var first: Range<UInt32>? = nil
    var count = 0
    var input = WireExtent.absent
    var reader = WireReader(message)
    while let tag = try reader.nextTag() {
      switch tag {
      case .length(1):
        let range = try reader.lengthDelimited()
        if first == nil { first = range }
        count &+= 1
      case .length(2): try input.append(try reader.lengthDelimited())
      default: try reader.skip(tag)
      }
    }
    taskCount = count
    let spec = first == nil ? .absent : try InferenceTask.modelSpec(WireMessage(bytes, at: first ?? 0..<0))
    modelSpec = try ModelSpec(WireMessage(bytes, at: spec.isPresent ? spec : WireExtent(0..<0)))
    self.input = try ExampleInput(WireMessage(bytes, at: input))
  }

  /// The tasks: messages for `InferenceTask`.
  public var tasks: WireFields {
    @_lifetime(copy self)
    get { WireFields(message, number: 1) }
  }
}

/// What a MultiInference asks of one signature.
public struct InferenceTask: ~Escapable {
  public let modelSpec: ModelSpec
  public let methodName: RawSpan

  @_lifetime(copy message)
  public init(_ message: WireMessage) throws(WireError) {
    var spec = WireExtent.absent
    var method: Range<UInt32> = 0..<0
    var reader = WireReader(message)
    while let tag = try reader.nextTag() {
      switch tag {
      case .length(1): try spec.append(try reader.lengthDelimited())
      case .length(2): method = try reader.lengthDelimited()
      default: try reader.skip(tag)
      }
    }
    modelSpec = try ModelSpec(WireMessage(message.bytes, at: spec))
    methodName = message.bytes.extracting(method)
  }

  static func modelSpec(_ message: WireMessage) throws(WireError) -> WireExtent {
    try ModelSpec.extent(in: message, number: 1)
  }
}

/// A result of MultiInference's response, to be written.
public enum InferenceResult {
  /// The bytes of an entry of `results`.
  public static func size(_ result: borrowing ClassificationResult, _ spec: borrowing ModelSpec) -> Int {
    WireSize.length(1, body(result.byteSize, spec))
  }

  public static func size(_ result: borrowing RegressionResult, _ spec: borrowing ModelSpec) -> Int {
    WireSize.length(1, body(result.byteSize, spec))
  }

  public static func append(
    _ result: borrowing ClassificationResult, _ spec: borrowing ModelSpec, to output: inout OutputRawSpan
  ) {
    head(2, result.byteSize, spec, &output)
    result.append(to: &output)
  }

  public static func append(
    _ result: borrowing RegressionResult, _ spec: borrowing ModelSpec, to output: inout OutputRawSpan
  ) {
    head(3, result.byteSize, spec, &output)
    result.append(to: &output)
  }

  private static func body(_ result: Int, _ spec: borrowing ModelSpec) -> Int {
    WireSize.length(1, spec.byteSize) + WireSize.length(2, result)
  }

  /// What stands before the bytes of the result.
  private static func head(_ number: UInt32, _ result: Int, _ spec: borrowing ModelSpec, _ output: inout OutputRawSpan) {
    output.appendLength(1, body(result, spec))
    output.appendLength(1, spec.byteSize)
    spec.append(to: &output)
    output.appendLength(number, result)
  }
}
