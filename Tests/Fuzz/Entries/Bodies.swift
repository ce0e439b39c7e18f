// The bodies of REST requests. What was read is written as an answer, and that answer, read as a request, is the same again.
import JSON
import Messages
import Tensors
import Wire

/// Signatures that a body is read for, by their inputs.
private let signatures: [[JSONInput]] =
  [DType.float, .double, .int8, .uint8, .int16, .uint16, .int32, .uint32, .int64, .uint64, .half, .bfloat16, .bool, .string, .complex64].map {
    [JSONInput("x", $0)]
  } + [[JSONInput("a", .int32), JSONInput("b", .string)], [JSONInput("x", .float), JSONInput("y", .float), JSONInput("z_bytes", .string)]]

func readPredictBody(_ bytes: RawSpan) -> Int {
  var sum = RequestBody.leadingSignatureName(bytes)?.utf8.count ?? 0
  for inputs in signatures {
    do throws(BodyError) {
      let body = try PredictBody(bytes, inputs, tensorBytesMax: 1 << 16)
      check(body)
      sum &+= body.tensors.reduce(0) { $0 &+ $1.byteCount }
      for format in [PredictBody.Format.row, .columnar] { checkAnswer(of: body, inputs, format) }
    } catch {
      sum &+= error.message.utf8.count
    }
  }
  return sum
}

private func check(_ body: PredictBody) {
  precondition(body.tensors.count == body.shapes.count)
  for (tensor, shape) in zip(body.tensors, body.shapes) { precondition(tensor.byteCount == shape.count * tensor.dtype.size) }
}

/// Writes the tensors as outputs of the inputs' names, and reads what comes out.
private func checkAnswer(of body: PredictBody, _ inputs: [JSONInput], _ format: PredictBody.Format) {
  let outputs = inputs.enumerated().map { PredictText.Output($1.name, $1.dtype, body.shapes[$0]) }
  guard let text = try? PredictText.text(format, outputs, isStrict: false, { withView(body, $0, $1) }) else { return }
  // Lists do not say what an empty tensor's other dimensions are.
  if body.shapes.contains(where: { $0.count == 0 }) { return }
  let answer = "{\n    \"\(format == .row ? "predictions" : "outputs")\":", request = "{\"\(format == .row ? "instances" : "inputs")\":"
  precondition(text.starts(with: answer.utf8))
  let again = Array(request.utf8) + text.dropFirst(answer.utf8.count)
  guard let second = try? PredictBody(again.rawSpan, inputs, tensorBytesMax: 1 << 17) else {
    preconditionFailure("an answer is no request: \(String(decoding: again, as: UTF8.self))")
  }
  precondition(second.shapes == body.shapes)
  for index in inputs.indices {
    withView(body, index) { first in withView(second, index) { precondition(isSame(first, $0)) } }
  }
}

private func withView(_ body: PredictBody, _ index: Int, _ use: (borrowing TensorView) -> Void) {
  let tensor = body.tensors[index], shape = body.shapes[index]
  // The tensor lives as long as the body, and has the elements of its shape.
  let bytes = unsafe UnsafeRawBufferPointer(start: tensor.elements, count: shape.count * tensor.dtype.size)
  use(TensorView(dtype: tensor.dtype, shape: shape, bytes: unsafe bytes.bytes))
  withExtendedLifetime(body) {}
}

private func isSame(_ first: borrowing TensorView, _ second: borrowing TensorView) -> Bool {
  guard first.dtype == .string else { return first.bytes.hasSameBytes(as: second.bytes) }
  for index in 0..<first.shape.count {
    let same = first.withString(at: index) { one in second.withString(at: index) { one.hasSameBytes(as: $0) } }
    if !same { return false }
  }
  return true
}

func readExamplesBody(_ bytes: RawSpan) -> Int {
  do throws(BodyError) {
    let body = try ExamplesBody(bytes)
    precondition(body.count > 0)
    let input = body.input
    guard let sum = try? readInput(input.rawSpan, count: body.count) else { preconditionFailure("what was written cannot be read") }
    return sum
  } catch {
    return error.message.utf8.count
  }
}

private func readInput(_ bytes: RawSpan, count: Int) throws(WireError) -> Int {
  let input = try ExampleInput(WireMessage(bytes))
  precondition(input.count == count)
  var sum = try readInput(input)
  var examples = input.examples
  while let example = try examples.nextSpan() { sum &+= try readExample(WireMessage(example)) }
  return sum
}
