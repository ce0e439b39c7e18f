import Foundation
import JSON
import Tensors
import Wire

/// The lines of a file beside the tests, each a JSON array of strings.
func lines(of name: String) throws -> [[String?]] {
  let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent(name)
  return try String(contentsOf: file, encoding: .utf8).split(separator: "\n").map {
    try JSONDecoder().decode([String?].self, from: Data($0.utf8))
  }
}

/// A seeded generator: SplitMix64.
struct Random: RandomNumberGenerator {
  var state: UInt64
  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ z >> 30) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ z >> 27) &* 0x94d0_49bb_1331_11eb
    return z ^ z >> 31
  }
}

/// A body's tensors as arrays, to compare.
struct Parsed: Equatable {
  var format: PredictBody.Format
  var signature: String
  var shapes: [[Int]]
  /// Elements by input: numbers as doubles, strings as bytes.
  var numbers: [[Double]]
  var strings: [[[UInt8]]]
}

func parse(_ text: String, _ inputs: [JSONInput]) throws(BodyError) -> Parsed { try parse(Array(text.utf8), inputs) }

func parse(_ text: [UInt8], _ inputs: [JSONInput]) throws(BodyError) -> Parsed {
  let body = try PredictBody(text.rawSpan, inputs, tensorBytesMax: 1 << 30)
  var parsed = Parsed(
    format: body.format, signature: body.signatureName, shapes: body.shapes.map(\.array), numbers: [], strings: [])
  for (tensor, shape) in zip(body.tensors, body.shapes) {
    // The text and the body are alive.
    let bytes = unsafe UnsafeRawBufferPointer(start: tensor.elements, count: shape.count * tensor.dtype.size)
    func all<T>(_ type: T.Type) -> [T] { (0..<shape.count).map { unsafe bytes.loadUnaligned(fromByteOffset: $0 * MemoryLayout<T>.size, as: T.self) } }
    parsed.strings.append(tensor.dtype == .string ? unsafe all(StringRef.self).map { unsafe Array($0.buffer) } : [])
    let numbers: [Double] =
      switch tensor.dtype {
      case .float: all(Float.self).map { Double($0) }
      case .double: all(Double.self)
      case .int8: all(Int8.self).map { Double($0) }
      case .uint8: all(UInt8.self).map { Double($0) }
      case .int16: all(Int16.self).map { Double($0) }
      case .uint16, .half, .bfloat16: all(UInt16.self).map { Double($0) }
      case .int32: all(Int32.self).map { Double($0) }
      case .uint32: all(UInt32.self).map { Double($0) }
      case .int64: all(Int64.self).map { Double($0) }
      case .uint64: all(UInt64.self).map { Double($0) }
      case .bool: all(UInt8.self).map { Double($0) }
      default: []
      }
    parsed.numbers.append(numbers)
  }
  return parsed
}

/// What is said of a body that is refused.
func refusal(_ text: String, _ inputs: [JSONInput]) -> String {
  do throws(BodyError) {
    let parsed = try parse(text, inputs)
    return "accepted: \(parsed)"
  } catch {
    return error.message
  }
}
