import Engine
import Messages
import Tensors
import Wire

extension Model {
  /// Answers a serialized PredictRequest: the outputs by alias.
  func predict(_ request: [UInt8]) throws -> [String: Tensor] {
    let request = try PredictRequest(request.rawSpan)
    let name = String(showing: request.modelSpec.signatureName)
    guard let signature = signature(name.isEmpty ? Model.defaultSignatureName : name) else { throw NoSignature(name: name) }
    var inputs: [String: Tensor] = [:]
    var entries = request.inputs
    while let entry = try entries.next() {
      inputs[String(showing: entry.key)] = try Tensor.decoding(TensorProto(entry.value))
    }
    var frame = Frame()
    frame.begin(signature.plan)
    for (i, input) in signature.inputs.enumerated() {
      guard let tensor = inputs[input.alias] ?? input.defaultValue else { throw NoInput(alias: input.alias) }
      frame.feed(i, tensor)
    }
    try frame.run(signature.plan)
    var outputs: [String: Tensor] = [:]
    for (i, output) in signature.outputs.enumerated() {
      outputs[output.alias] = Tensor(copying: frame.output(i, of: signature.plan).view)
    }
    return outputs
  }

  struct NoSignature: Error { var name: String }
  struct NoInput: Error { var alias: String }
}

extension Tensor {
  static func decoding(_ proto: borrowing TensorProto) throws -> Tensor {
    let elements = try proto.elements(bytesMax: 1 << 30)
    if elements.dtype == .string {
      var strings: [[UInt8]] = []
      var spans = elements.strings
      while let span = spans.next() { strings.append(Array(span)) }
      return Tensor(shape: elements.shape, strings: strings)
    }
    var buffer = TensorBuffer(byteCount: elements.byteCount)
    do {
      var destination = buffer.mutableBytes
      elements.copyElements(into: &destination)
    }
    return Tensor(dtype: elements.dtype, shape: elements.shape, adopting: buffer)
  }

  /// How far from `expected` this is: a sentence, or `nil` when it is near enough. Floats hold to `tolerance` of the larger
  /// of their size and one, half and bfloat16 to their own precision, all else exactly.
  func difference(from expected: Tensor, tolerance: Double) -> String? {
    guard dtype == expected.dtype, shape == expected.shape else {
      return "is \(dtype) \(shape), expected \(expected.dtype) \(expected.shape)"
    }
    if dtype == .string {
      for (i, (a, b)) in zip(strings, expected.strings).enumerated() where a != b {
        return "[\(i)] is \(String(decoding: a, as: UTF8.self)), expected \(String(decoding: b, as: UTF8.self))"
      }
      return nil
    }
    func near(_ a: [Double], _ b: [Double], _ tolerance: Double) -> String? {
      for (i, (a, b)) in zip(a, b).enumerated() where !(a == b || a.isNaN && b.isNaN) {
        if !(abs(a - b) <= tolerance * max(1, abs(b))) { return "[\(i)] is \(a), expected \(b)" }
      }
      return nil
    }
    switch dtype {
    case .float, .complex64:
      // A complex number is two floats.
      return near(floats(self), floats(expected), tolerance)
    case .double, .complex128: return near(doubles(self), doubles(expected), tolerance)
    case .half:
      return near(
        array(of: UInt16.self).map { Double(Float16(bitPattern: $0)) },
        expected.array(of: UInt16.self).map { Double(Float16(bitPattern: $0)) }, 2e-3)
    case .bfloat16:
      return near(array(of: UInt16.self).map(bfloat16), expected.array(of: UInt16.self).map(bfloat16), 1.6e-2)
    default:
      let found = bytes(of: self)
      let wanted = bytes(of: expected)
      return found == wanted ? nil : "is \(found.prefix(32)), expected \(wanted.prefix(32))"
    }
  }
}

private func bytes(of tensor: Tensor) -> [UInt8] { Array(tensor.view.bytes) }

private func floats(_ tensor: Tensor) -> [Double] {
  let bytes = bytes(of: tensor)
  return stride(from: 0, to: bytes.count, by: 4).map { at in
    Double(Float(bitPattern: (0..<4).reduce(UInt32(0)) { $0 | UInt32(bytes[at + $1]) << UInt32(8 * $1) }))
  }
}

private func doubles(_ tensor: Tensor) -> [Double] {
  let bytes = bytes(of: tensor)
  return stride(from: 0, to: bytes.count, by: 8).map { at in
    Double(bitPattern: (0..<8).reduce(UInt64(0)) { $0 | UInt64(bytes[at + $1]) << UInt64(8 * $1) })
  }
}

private func bfloat16(_ bits: UInt16) -> Double { Double(Float(bitPattern: UInt32(bits) << 16)) }
