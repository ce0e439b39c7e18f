// Regress (tensorflow_serving/apis/regression.proto).
//
//     RegressionRequest  { model_spec 1, input 2 }
//     RegressionResponse { result 1 { regressions 1 { value 1 } … }, model_spec 2 }

public import Tensors
public import Wire

/// Regress's request.
public struct RegressionRequest: ~Escapable {
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

/// Regress's response, to be written.
public enum RegressionResponse {
  public static func size(_ result: borrowing RegressionResult, _ spec: borrowing ModelSpec) -> Int {
    WireSize.length(1, result.byteSize) + WireSize.length(2, spec.byteSize)
  }

  public static func append(
    _ result: borrowing RegressionResult, _ spec: borrowing ModelSpec, to output: inout OutputRawSpan
  ) {
    output.appendLength(1, result.byteSize)
    result.append(to: &output)
    output.appendLength(2, spec.byteSize)
    spec.append(to: &output)
  }
}

/// A RegressionResult to be written: a float for each row.
public struct RegressionResult: ~Escapable {
  let values: TensorView
  let rows: Int
  /// The bytes of the message.
  public let byteSize: Int

  /// Measures.
  @_lifetime(copy values)
  public init(_ values: TensorView) {
    precondition(values.dtype == .float)
    self.values = values
    rows = values.bytes.byteCount / 4
    var size = 0
    for row in 0..<rows { size += values.bits(at: row) != 0 ? 7 : 2 }
    byteSize = size
  }

  /// Writes the message: `byteSize` bytes. As proto3 writes it, a value whose bits are zero is left out.
  public func append(to output: inout OutputRawSpan) {
    for row in 0..<rows {
      let bits = values.bits(at: row)
      output.appendLength(1, bits != 0 ? 5 : 0)
      if bits != 0 { output.appendFixed32(1, bits) }
    }
  }
}
