// Predict's messages from and to owned tensors: what a client pays that a server does not.
internal import Messages
public import Tensors
internal import Wire

/// What to ask: which model and which signature of it, with which tensors.
public struct PredictQuery: Sendable {
  public var model: String
  /// A version by number; `nil` for the latest.
  public var version: Int64?
  /// A version by label; used when `version` is `nil`.
  public var versionLabel: String?
  /// Empty for `serving_default`.
  public var signature: String
  public var inputs: [String: Tensor]
  /// The outputs wanted; empty for all.
  public var outputs: [String]

  public init(
    model: String, version: Int64? = nil, versionLabel: String? = nil, signature: String = "",
    inputs: [String: Tensor], outputs: [String] = []
  ) {
    self.model = model
    self.version = version
    self.versionLabel = versionLabel
    self.signature = signature
    self.inputs = inputs
    self.outputs = outputs
  }

  /// The query as a serialized `tensorflow.serving.PredictRequest`, tensors in `tensor_content`.
  public var bytes: [UInt8] {
    let model = Array(model.utf8)
    let signature = Array(signature.utf8)
    let label = versionLabel.map { Array($0.utf8) } ?? []
    let spec =
      version == nil && versionLabel != nil
      ? ModelSpec(name: model.rawSpan, signatureName: signature.rawSpan, versionLabel: label.rawSpan)
      : ModelSpec(name: model.rawSpan, signatureName: signature.rawSpan, version: version)
    let entries = inputs.sorted { $0.key < $1.key }.map {
      (name: Array($0.key.utf8), tensor: $0.value, size: TensorProtoSize($0.value.view, as: .content))
    }
    let names = outputs.map { Array($0.utf8) }
    var size = PredictRequest.size(spec)
    for entry in entries { size += PredictRequest.size(input: entry.name.rawSpan, entry.size) }
    for name in names { size += PredictRequest.size(outputFilter: name.rawSpan) }
    return [UInt8](wireSize: size) { output in
      PredictRequest.append(spec, to: &output)
      for entry in entries {
        PredictRequest.append(input: entry.name.rawSpan, entry.tensor.view, entry.size, to: &output)
      }
      for name in names { PredictRequest.append(outputFilter: name.rawSpan, to: &output) }
    }
  }
}

/// What came back.
public struct Prediction: Sendable {
  /// The model that answered, with the version and signature the server chose.
  public var model: String
  public var version: Int64
  public var signature: String
  public var outputs: [String: Tensor]

  /// - Throws: `PredictionError` when the bytes are no `PredictResponse`.
  public init(bytes: [UInt8]) throws(PredictionError) { try self.init(message: bytes.rawSpan) }

  /// The same from bytes that stand elsewhere; what is kept of them is copied.
  public init(message: RawSpan) throws(PredictionError) {
    do {
      let response = try PredictResponse(message)
      model = String(showing: response.modelSpec.name)
      if case .number(let number) = response.modelSpec.versionChoice { version = number } else { version = 0 }
      signature = String(showing: response.modelSpec.signatureName)
      outputs = [:]
      var entries = response.outputs
      while let entry = try entries.next() {
        let elements = try TensorProto(entry.value).elements(bytesMax: Prediction.tensorBytesMax)
        outputs[String(showing: entry.key)] = Tensor(copying: elements)
      }
    } catch {
      throw PredictionError(description: "the server's answer cannot be read: \(error)")
    }
  }

  /// A server that claims more for one tensor is not believed.
  private static let tensorBytesMax = 4 << 30
}

/// Why an answer cannot be read.
public struct PredictionError: Error, CustomStringConvertible {
  public let description: String
}

extension Tensor {
  fileprivate convenience init(copying elements: borrowing TensorElements) {
    if elements.dtype == .string {
      var strings: [[UInt8]] = []
      var next = elements.strings
      while let string = next.next() { strings.append([UInt8](string)) }
      self.init(shape: elements.shape, strings: strings)
    } else {
      var buffer = TensorBuffer(byteCount: elements.byteCount)
      var bytes = buffer.mutableBytes
      elements.copyElements(into: &bytes)
      self.init(dtype: elements.dtype, shape: elements.shape, adopting: buffer)
    }
  }
}
