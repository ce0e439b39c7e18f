// Classify (tensorflow_serving/apis/classification.proto).
//
//     ClassificationRequest  { model_spec 1, input 2 }
//     ClassificationResponse { result 1 { classifications 1 { classes 1 { label 1, score 2 } … } … }, model_spec 2 }

public import Tensors
public import Wire

/// Classify's request.
public struct ClassificationRequest: ~Escapable {
  public let modelSpec: ModelSpec
  public let input: ExampleInput

  @_lifetime(copy message)
  public init(_ message: WireMessage) throws(WireError) {
    let (spec, examples) = try ExampleInput.extents(message)
    modelSpec = try ModelSpec(WireMessage(message.bytes, at: spec))
    input = try ExampleInput(WireMessage(message.bytes, at: examples))
  }

  /// The request that fills `bytes`.
  @_lifetime(copy bytes)
  public init(_ bytes: RawSpan) throws(WireError) { try self.init(WireMessage(bytes)) }
}

extension ExampleInput {
  /// Where `model_spec` and `input` stand in the requests of Classify and Regress.
  static func extents(_ message: WireMessage) throws(WireError) -> (spec: WireExtent, input: WireExtent) {
    var spec = WireExtent.absent
    var input = WireExtent.absent
    var reader = WireReader(message)
    while let tag = try reader.nextTag() {
      switch tag {
      case .length(1): try spec.append(try reader.lengthDelimited())
      case .length(2): try input.append(try reader.lengthDelimited())
      default: try reader.skip(tag)
      }
    }
    return (spec, input)
  }
}

/// Classify's response, to be written.
public enum ClassificationResponse {
  public static func size(_ result: borrowing ClassificationResult, _ spec: borrowing ModelSpec) -> Int {
    WireSize.length(1, result.byteSize) + WireSize.length(2, spec.byteSize)
  }

  public static func append(
    _ result: borrowing ClassificationResult, _ spec: borrowing ModelSpec, to output: inout OutputRawSpan
  ) {
    output.appendLength(1, result.byteSize)
    result.append(to: &output)
    output.appendLength(2, spec.byteSize)
    spec.append(to: &output)
  }
}

/// A ClassificationResult to be written: labels, scores or both, `[rows, classes]`.
public struct ClassificationResult: ~Escapable {
  /// DT_STRING.
  let labels: TensorView?
  /// DT_FLOAT.
  let scores: TensorView?
  let rows: Int
  let classes: Int
  /// The bytes of the message.
  public let byteSize: Int

  /// Measures.
  /// - Precondition: the tensors have `rows * classes` elements.
  @_lifetime(copy labels, copy scores)
  public init(labels: TensorView?, scores: TensorView?, rows: Int, classes: Int) {
    if let labels { precondition(labels.dtype == .string && labels.bytes.byteCount == rows * classes * DType.string.size) }
    if let scores { precondition(scores.dtype == .float && scores.bytes.byteCount == rows * classes * 4) }
    self.labels = labels
    self.scores = scores
    self.rows = rows
    self.classes = classes
    var size = 0
    for row in 0..<rows { size += WireSize.length(1, ClassificationResult.size(labels, scores, row, classes)) }
    byteSize = size
  }

  /// The bytes of a row: of its Classifications.
  private static func size(_ labels: TensorView?, _ scores: TensorView?, _ row: Int, _ classes: Int) -> Int {
    var size = 0
    for i in row * classes..<(row + 1) * classes { size += WireSize.length(1, ClassificationResult.size(labels, scores, i)) }
    return size
  }

  /// The bytes of a Class. As proto3 writes them: neither an empty label nor a score whose bits are zero.
  private static func size(_ labels: TensorView?, _ scores: TensorView?, _ element: Int) -> Int {
    var size = 0
    if let labels { size += labels.withString(at: element) { WireSize.string(1, $0) } }
    if let scores, scores.bits(at: element) != 0 { size += 5 }
    return size
  }

  /// Writes the message: `byteSize` bytes.
  public func append(to output: inout OutputRawSpan) {
    for row in 0..<rows {
      output.appendLength(1, ClassificationResult.size(labels, scores, row, classes))
      for i in row * classes..<(row + 1) * classes {
        output.appendLength(1, ClassificationResult.size(labels, scores, i))
        if let labels { labels.withString(at: i) { output.appendString(1, $0) } }
        if let scores, scores.bits(at: i) != 0 { output.appendFixed32(2, scores.bits(at: i)) }
      }
    }
  }
}

extension TensorView {
  /// An element of four bytes.
  @inline(__always)
  func bits(at index: Int) -> UInt32 {
    // Checked to lie within; every bit pattern is a number.
    UInt32(littleEndian: unsafe bytes.unsafeLoadUnaligned(fromByteOffset: index * 4, as: UInt32.self))
  }
}
