import Foundation
import JSON
import Tensors
import Testing
import Wire

private func text(
  _ format: PredictBody.Format, _ outputs: [(String, Tensor)], isStrict: Bool = false
) throws(BodyError) -> String {
  let named = outputs.map { PredictText.Output($0.0, $0.1.dtype, $0.1.shape) }
  let bytes = try PredictText.text(format, named, isStrict: isStrict) { index, body in
    let tensor = outputs[index].1
    body(tensor.view)
  }
  return String(decoding: bytes, as: UTF8.self)
}

private func refusal(_ format: PredictBody.Format, _ outputs: [(String, Tensor)]) -> String {
  do throws(BodyError) { return try text(format, outputs) } catch { return error.message }
}

@Suite struct TextTests {
  @Test func `floats are the shortest text, as Swift describes them`() {
    var random = Random(state: 2024)
    // Around where the looks change, at the ends, and where a neighbour is nearer on one side.
    var patterns: [UInt32] = [0, 1, 2, 0x7fffff, 0x800000, 0x7f7fffff, Float(1e-4).bitPattern, Float(0x1p24).bitPattern, Float(1).bitPattern]
    for exponent in 1..<255 as Range<UInt32> { patterns += [exponent << 23, exponent << 23 | 1, exponent << 23 | 0x7fffff] }
    for number in 0..<2000 { patterns += [Float(number).bitPattern, Float(Double(number) / 1000).bitPattern] }
    for pattern in patterns { patterns += [pattern &+ 1, pattern &- 1] }
    for _ in 0..<40_000 { patterns.append(UInt32(truncatingIfNeeded: random.next())) }
    for pattern in patterns { patterns.append(pattern ^ 0x8000_0000) }
    let values = patterns.map { Float(bitPattern: $0) }.filter(\.isFinite)
    // In rows of any length: what is written at once does not show.
    var at = 0
    while at < values.count {
      let row = Int.random(in: 1...9, using: &random), rows = Int.random(in: 1...100, using: &random)
      let part = Array(values[at..<min(values.count, at + row * rows)])
      at += part.count
      let shape: Shape = part.count == row * rows ? [rows, row] : [part.count]
      var text = JSONText()
      unsafe part.withUnsafeBytes {
        text.put(TensorView(dtype: .float, shape: shape, bytes: unsafe $0.bytes), from: 0, first: 0, asBytes: false, indent: 0)
      }
      let isMatrix = shape.rank == 2, width = isMatrix ? row : part.count
      let lists: [String] = stride(from: 0, to: part.count, by: width).map { start in
        let texts: [String] = part[start..<start + width].map(\.description)
        return "[" + texts.joined(separator: ", ") + "]"
      }
      let expected = isMatrix ? "[" + lists.joined(separator: ", ") + "]" : lists[0]
      #expect(String(decoding: text.bytes, as: UTF8.self) == expected)
    }
  }

  @Test func `rows of one output are bare, on a line each way TensorFlow Serving does`() throws {
    let tensor = Tensor(.int32, shape: [2, 3, 2], [1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2] as [Int32])
    #expect(try text(.row, [("x", tensor)]) == "{\n    \"predictions\": [[[1, 2], [3, 4], [5, 6]], [[7, 8], [9, 0], [1, 2]]\n    ]\n}")
    #expect(try text(.row, [("y", Tensor(.float, shape: [3], [2.5, 3, 4.5] as [Float]))]) == "{\n    \"predictions\": [2.5, 3.0, 4.5\n    ]\n}")
  }

  @Test func `several outputs are objects`() throws {
    let outputs = [
      ("d", Tensor(.double, shape: [2], [8, 9] as [Double])), ("s", Tensor(shape: [2, 1], strings: [Array("foo".utf8), Array("b\"r".utf8)])),
      ("s_bytes", Tensor(shape: [2], strings: [Array("hello".utf8), [0xff]])),
    ]
    let expected = #"""
      {
          "predictions": [
              {
                  "d": 8.0,
                  "s": ["foo"],
                  "s_bytes": {
                      "b64": "aGVsbG8="
                  }
              },
              {
                  "d": 9.0,
                  "s": ["b\"r"],
                  "s_bytes": {
                      "b64": "/w=="
                  }
              }
          ]
      }
      """#
    #expect(try text(.row, outputs) == expected)
    let columns = try #require(JSONSerialization.jsonObject(with: Data(text(.columnar, outputs).utf8)) as? [String: [String: Any]])
    #expect(columns["outputs"]?["d"] as? [Double] == [8, 9] && columns["outputs"]?["s"] as? [[String]] == [["foo"], ["b\"r"]])
  }

  @Test func `columns have their first dimension on lines of its own`() throws {
    let tensor = Tensor(.float, shape: [2, 2], [1, 2, 3, 4] as [Float])
    #expect(try text(.columnar, [("x", tensor)]) == "{\n    \"outputs\": [\n        [1.0, 2.0],\n        [3.0, 4.0]\n    ]\n}")
    #expect(try text(.columnar, [("x", Tensor(.bool, shape: [], [true]))]) == "{\n    \"outputs\": true\n}")
    #expect(try text(.columnar, [("x", Tensor(.float, shape: [0], [] as [Float]))]) == "{\n    \"outputs\": []\n}")
    #expect(try text(.columnar, [("x", Tensor(.int8, shape: [2, 0], [] as [Int8]))]) == "{\n    \"outputs\": [\n        [],\n        []\n    ]\n}")
  }

  @Test func `what is no number is a token, or a string where JSON is meant strictly`() throws {
    let tensor = Tensor(.float, shape: [4], [.nan, .infinity, 3, -.infinity] as [Float])
    #expect(try text(.columnar, [("x", tensor)]).contains("[NaN, Infinity, 3.0, -Infinity]"))
    #expect(try text(.columnar, [("x", tensor)], isStrict: true).contains(#"["NaN", "Infinity", 3.0, "-Infinity"]"#))
  }

  @Test func `strings that are no text are bytes`() throws {
    let tensor = Tensor(shape: [2], strings: [Array("a\u{1}\n".utf8), [0xc3, 0x28]])
    #expect(try text(.columnar, [("x", tensor)]) == "{\n    \"outputs\": [\"a\\u0001\\n\", {\n        \"b64\": \"wyg=\"\n    }]\n}")
  }

  @Test func `every type is written and read back the same`() throws {
    func roundTrip<T: BitwiseCopyable & Equatable>(_ dtype: DType, _ values: [T]) throws {
      let tensor = Tensor(dtype, shape: [values.count], values)
      let written = try text(.columnar, [("x", tensor)]).replacingOccurrences(of: "\"outputs\"", with: "\"inputs\"")
      let body = Array(written.utf8)
      let read = try PredictBody(body.rawSpan, [JSONInput("x", dtype)], tensorBytesMax: 1 << 20)
      // The body is alive.
      let bytes = unsafe UnsafeRawBufferPointer(start: read.tensors[0].elements, count: values.count * dtype.size)
      let found = (0..<values.count).map { unsafe bytes.loadUnaligned(fromByteOffset: $0 * dtype.size, as: T.self) }
      #expect(found == values, "\(dtype) \(written)")
      withExtendedLifetime((read, body)) {}
    }
    var random = Random(state: 3)
    try roundTrip(.float, (0..<3000).map { _ in Float(bitPattern: UInt32.random(in: 0..<0x7f80_0000, using: &random)) })
    try roundTrip(.double, (0..<3000).map { _ in Double(bitPattern: UInt64.random(in: 0..<0x7ff0_0000_0000_0000, using: &random)) })
    try roundTrip(.half, (0..<0x7c00).map { UInt16($0) })
    try roundTrip(.bfloat16, (0..<0x7f80).map { UInt16($0) })
    try roundTrip(.int8, [Int8.min, -1, 0, 127])
    try roundTrip(.uint16, [0, UInt16.max])
    try roundTrip(.int64, [Int64.min, Int64.max, 0])
    try roundTrip(.uint64, [UInt64.max, 0])
    try roundTrip(.bool, [true, false])
  }

  @Test func `TensorFlow Serving's refusals, word by word`() {
    let tensor = Tensor(.int32, shape: [2, 1], [1, 2] as [Int32])
    #expect(refusal(.row, []) == "Cannot convert empty tensor map to JSON")
    #expect(refusal(.row, [("t", Tensor(.complex64, shape: [1], [UInt64(0)]))]) == "Failed to write JSON value for tensor type: complex64")
    #expect(refusal(.row, [("t", Tensor(.int32, shape: [], [Int32(1)]))]) == "Tensor name: t has no shape information ")
    #expect(refusal(.row, [("t", tensor), ("u", Tensor(.int32, shape: [1], [Int32(1)]))]) == "Tensor name: u has inconsistent batch size: 1 expecting: 2")
    #expect(refusal(.row, [("t", Tensor(.int32, shape: [0], [] as [Int32]))]) == "Tensor name: t has invalid batch size: 0")
  }

  @Test func `classes and regressions are lists in a row`() {
    var classes = ResultsText(isStrict: false)
    for scores in [[("car", 0.2 as Float), ("bike", 0.7)], [("", 1)]] {
      classes.beginClasses()
      for (label, score) in scores { classes.putClass(label: Array(label.utf8).rawSpan, score: score) }
      classes.endClasses()
    }
    #expect(String(decoding: classes.end(), as: UTF8.self) == "{\n    \"results\": [[[\"car\", 0.2], [\"bike\", 0.7]], [[\"\", 1.0]]\n    ]\n}")
    var values = ResultsText(isStrict: false)
    for value in [0.2, .infinity, 1, -.infinity, .nan] as [Float] { values.putRegression(value) }
    #expect(String(decoding: values.end(), as: UTF8.self) == "{\n    \"results\": [0.2, Infinity, 1.0, -Infinity, NaN\n    ]\n}")
  }

  @Test func `errors are quoted as JSON wants it`() {
    #expect(String(decoding: JSONText.error("a \"b\"\n\u{7f}é\\"), as: UTF8.self) == "{\n    \"error\": \"a \\\"b\\\"\\n\u{7f}é\\\\\"\n}")
  }
}
