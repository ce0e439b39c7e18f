import JSON
import Tensors
import Testing
import Wire

private let integers = [JSONInput("default", .int32)]
private let floats = [JSONInput("x", .float)]
private let doubles = [JSONInput("x", .double)]
private let strings = [JSONInput("s", .string)]

@Suite struct PredictBodyTests {
  @Test func `rows of plain lists are one tensor`() throws {
    let parsed = try parse(#"{"instances": [[1,2],[3,4],[5,6]]}"#, integers)
    #expect(parsed.format == .row && parsed.signature == "")
    #expect(parsed.shapes == [[3, 2]] && parsed.numbers == [[1, 2, 3, 4, 5, 6]])
  }

  @Test func `a signature is named before or after the tensors`() throws {
    #expect(try parse(#"{"signature_name": "a", "instances": [1]}"#, integers).signature == "a")
    #expect(try parse(#"{"instances": [1], "signature_name": "a\u00e9"}"#, integers).signature == "aé")
    #expect(RequestBody.leadingSignatureName(Array(#" {"signature_name" : "a", "x": 1}"#.utf8).rawSpan) == "a")
    #expect(RequestBody.leadingSignatureName(Array(#"{"x": 1, "signature_name": "a"}"#.utf8).rawSpan) == nil)
    #expect(try RequestBody.signatureName(Array(#"{"x": [{}], "signature_name": "a"}"#.utf8).rawSpan) == "a")
  }

  @Test func `floats take integers, numbers of all kinds and what is no number`() throws {
    let parsed = try parse(#"{"instances": [1, 2.0, -3e-1, 0.007, Infinity, -Infinity, Inf, -0]}"#, floats)
    #expect(parsed.numbers == [[1, 2, Double(Float(-0.3)), Double(Float(0.007)), .infinity, -.infinity, .infinity, 0]])
    #expect(parsed.numbers[0][7].sign == .minus)
    #expect(try parse(#"{"instances": [NaN]}"#, floats).numbers[0][0].isNaN)
    #expect(try parse(#"{"inputs": -NaN}"#, doubles).numbers[0][0].isNaN)
  }

  @Test func `every numeric type holds its extremes and refuses what is beyond`() throws {
    let extremes: [(DType, String, String, [String])] = [
      (.int8, "-128", "127", ["-129", "128", "1.0", "1e1", "NaN"]), (.uint8, "0", "255", ["-1", "256", "0.0"]),
      (.int16, "-32768", "32767", ["-32769", "32768"]), (.uint16, "0", "65535", ["-1", "65536"]),
      (.int32, "-2147483648", "2147483647", ["-2147483649", "2147483648", "true", "\"1\""]),
      (.uint32, "0", "4294967295", ["-1", "4294967296"]),
      (.int64, "-9223372036854775808", "9223372036854775807", ["-9223372036854775809", "9223372036854775808"]),
      (.uint64, "0", "18446744073709551615", ["-1", "18446744073709551616", "1e3"]),
    ]
    for (dtype, low, high, beyond) in extremes {
      let inputs = [JSONInput("x", dtype)]
      let parsed = try parse("{\"instances\": [\(low), \(high), 0]}", inputs)
      #expect(parsed.numbers == [[Double(low)!, Double(high)!, 0]])
      for value in beyond {
        let message = refusal("{\"instances\": [0, \(value)]}", inputs)
        #expect(message.hasPrefix("Failed to process element: 1 of 'instances' list. Error: INVALID_ARGUMENT: JSON Value: "))
        #expect(message.hasSuffix("is not of expected type: \(dtype)"), "\(dtype) \(value): \(message)")
      }
    }
  }

  @Test func `halves and bfloat16s are rounded once, ties to even`() throws {
    let halves = try parse(#"{"instances": [1.0, -2, 65504, 0.1, 6e-8, 2.9e-8, NaN, Infinity, 1.0009765625]}"#, [JSONInput("h", .half)])
    #expect(halves.numbers == [[0x3c00, 0xc000, 0x7bff, 0x2e66, 0x0001, 0x0000, 0x7e00, 0x7c00, 0x3c01]])
    let brains = try parse(#"{"instances": [1.0, -2.5, 3e38, 1e-40]}"#, [JSONInput("b", .bfloat16)])
    #expect(brains.numbers == [[0x3f80, 0xc020, 0x7f62, 0x0001]])
    #expect(refusal(#"{"instances": [65520.0]}"#, [JSONInput("h", .half)]).contains("to half without loss of precision"))
  }

  @Test func `booleans are true and false alone`() throws {
    #expect(try parse(#"{"instances": [true, false]}"#, [JSONInput("b", .bool)]).numbers == [[1, 0]])
    #expect(refusal(#"{"instances": [1]}"#, [JSONInput("b", .bool)]).hasSuffix("JSON Value: 1 Type: Number is not of expected type: bool"))
  }

  @Test func `strings mean what their escapes say`() throws {
    let parsed = try parse(#"{"instances": ["", "plain", "\"\\\/\b\f\n\r\t", "\u00e9\ud83d\ude00", "žluť"]}"#, strings)
    #expect(parsed.strings == [["", "plain", "\"\\/\u{8}\u{c}\n\r\t", "é😀", "žluť"].map { Array($0.utf8) }])
  }

  @Test func `base64 objects are bytes, at any depth`() throws {
    #expect(try parse(#"{"instances": [{"b64": "aGVsbG8="}, {"b64":"d29ybGQ"}]}"#, strings).strings == [[Array("hello".utf8), Array("world".utf8)]])
    let nested = try parse(#"{"instances": [{"s": [[{"b64": "aGVsbG8="}], [{ "b64" : "/+8=" }]]}]}"#, strings)
    #expect(nested.shapes == [[1, 2, 1]] && nested.strings == [[Array("hello".utf8), [0xff, 0xef]]])
    #expect(try parse(#"{"inputs": {"b64": "\u0061GVsbG8="}}"#, strings).strings == [[Array("hello".utf8)]])
    #expect(refusal(#"{"instances": [{"b64": "a"}]}"#, strings).hasSuffix("INVALID_ARGUMENT: Unable to base64 decode"))
    #expect(refusal(#"{"instances": [[{"b64": 1}]]}"#, strings).hasSuffix("not formatted correctly for base64 data"))
  }

  @Test func `named inputs of several types become a tensor each`() throws {
    let inputs = [JSONInput("i", .int32), JSONInput("s", .string), JSONInput("f", .float), JSONInput("d", .double)]
    let text = #"""
      {"instances": [
        {"i": [[1,2],[3,4],[5,6]], "s": ["foo", "bar"], "f": [1.0, 0.5], "d": [7]},
        {"d": [2.0], "i": [[7,8],[9,0],[1,2]], "s": ["baz", "bat"], "f": [2.0, Infinity]}
      ]}
      """#
    let parsed = try parse(text, inputs)
    #expect(parsed.shapes == [[2, 3, 2], [2, 2], [2, 2], [2, 1]])
    #expect(parsed.numbers == [[1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2], [], [1, 0.5, 2, .infinity], [7, 2]])
    #expect(parsed.strings[1] == ["foo", "bar", "baz", "bat"].map { Array($0.utf8) })
    let scalars = try parse(#"{"instances": [{"i": 1, "s": "a", "f": 1, "d": 2}, {"i": 3, "s": {"b64": "Yg=="}, "f": 4, "d": 5}]}"#, inputs)
    #expect(scalars.shapes == [[2], [2], [2], [2]] && scalars.numbers[0] == [1, 3])
  }

  @Test func `columns are tensors as they are`() throws {
    #expect(try parse(#"{"inputs": [[[1,2],[3,4],[5,6]]]}"#, integers).shapes == [[1, 3, 2]])
    #expect(try parse(#"{"inputs": {"default": [[1,2]]}}"#, integers).shapes == [[1, 2]])
    #expect(try parse(#"{"inputs": 5}"#, integers) == Parsed(format: .columnar, signature: "", shapes: [[]], numbers: [[5]], strings: [[]]))
    let inputs = [JSONInput("a", .int32), JSONInput("b", .string)]
    let parsed = try parse(#"{"inputs": {"b": {"b64": "aGVsbG8="}, "unknown": [[[{}]]], "a": [1,2,3], "a": "again"}}"#, inputs)
    #expect(parsed.shapes == [[3], []] && parsed.strings[1] == [Array("hello".utf8)])
  }

  @Test func `unknown members, repeated members and what follows the object do not matter`() throws {
    let text = #"{"z": {"instances": "no"}, "instances": [1, 2], "instances": "again", "y": [[], {}, null, -1.5e3]} trailing ]["#
    #expect(try parse(text, integers).numbers == [[1, 2]])
    #expect(try parse("\u{feff}{\"instances\": [1]}", integers).numbers == [[1]])
  }

  @Test func `empty lists have extents of zero`() throws {
    #expect(try parse(#"{"instances": [[], []]}"#, floats).shapes == [[2, 0]])
    #expect(try parse(#"{"inputs": []}"#, floats).shapes == [[0]])
    #expect(try parse(#"{"inputs": [[[], []], [[], []]]}"#, floats).shapes == [[2, 2, 0]])
    #expect(try parse(#"{"instances": [{"x": []}, {"x": []}]}"#, floats).shapes == [[2, 0]])
  }

  @Test func `TensorFlow Serving's refusals, word by word`() {
    let two = [JSONInput("i", .int32), JSONInput("s", .string)]
    let cases: [(String, [JSONInput], String)] = [
      ("", integers, "JSON Parse error: The document is empty"),
      ("  ", integers, "JSON Parse error: The document is empty. at offset: 2"),
      ("[1, 2.5]", integers, "JSON Value: [\n    1,\n    2.5\n] Is not object"),
      (#""text""#, integers, #"JSON Value: "text" Is not object"#),
      (#"{"instances": [1, 2}"#, integers, "JSON Parse error: Missing a comma or ']' after an array element. at offset: 19"),
      (#"{"instances": [1, x]}"#, integers, "JSON Parse error: Invalid value. at offset: 18"),
      (#"{"signature_name": 5, "instances": [1]}"#, integers,
        "JSON Value: {\n    \"signature_name\": 5,\n    \"instances\": [\n        1\n    ]\n} not formatted correctly. 'signature_name' key must be a string value."),
      (#"{"x": 1}"#, integers, "Missing 'inputs' or 'instances' key"),
      ("{}", integers, "Missing 'inputs' or 'instances' key"),
      (#"{"instances": [1], "inputs": [1]}"#, integers,
        "JSON Value: {\n    \"instances\": [\n        1\n    ],\n    \"inputs\": [\n        1\n    ]\n} Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist "),
      (#"{"instances": 1}"#, integers, "JSON Value: {\n    \"instances\": 1\n} Excepting 'instances' to be an list/array"),
      (#"{"instances": []}"#, integers, "JSON Value: {\n    \"instances\": []\n} No values in 'instances' array"),
      (#"{"instances": [[1,2],[3,4],[5,6,7]]}"#, integers,
        "Failed to process element: 2 of 'instances' list. Error: INVALID_ARGUMENT: Expecting tensor size: 2 but got: 3"),
      (#"{"instances": [[1,2],[3,4],[[5,6]]]}"#, integers,
        "Failed to process element: 2 of 'instances' list. Error: INVALID_ARGUMENT: Expecting shape [2] but got: [1,2]"),
      (#"{"instances": [1, [1]]}"#, integers,
        "Failed to process element: 1 of 'instances' list. Error: INVALID_ARGUMENT: Expecting shape [] but got: [1]"),
      (#"{"instances": ["x"]}"#, floats,
        "Failed to process element: 0 of 'instances' list. Error: INVALID_ARGUMENT: JSON Value: \"x\" Type: String is not of expected type: float"),
      (#"{"instances": [null]}"#, floats,
        "Failed to process element: 0 of 'instances' list. Error: INVALID_ARGUMENT: JSON Value: null Type: Null is not of expected type: float"),
      (#"{"instances": [1.5]}"#, integers,
        "Failed to process element: 0 of 'instances' list. Error: INVALID_ARGUMENT: JSON Value: 1.5 Type: Number is not of expected type: int32"),
      (#"{"instances": [[[1], 2]]}"#, integers,
        "Failed to process element: 0 of 'instances' list. Error: INVALID_ARGUMENT: JSON Value: 2 found at incorrect level: 2 in the JSON DOM. Expected at level: 2"),
      (#"{"instances": [[1, [2]]]}"#, integers,
        "Failed to process element: 0 of 'instances' list. Error: INVALID_ARGUMENT: Encountered list at unexpected level: 1 expected < 1"),
      (#"{"instances": [[[1, 2], [3]]]}"#, integers,
        "Failed to process element: 0 of 'instances' list. Error: INVALID_ARGUMENT: Encountered list at unexpected size: 1 at level: 1 expected size: 2"),
      (#"{"instances": [1.7976931348623157e308]}"#, floats,
        "Failed to process element: 0 of 'instances' list. Error: INVALID_ARGUMENT: Cannot convert JSON value: 1.7976931348623157e+308 to float without loss of precision."),
      (#"{"instances": [16777217]}"#, floats,
        "Failed to process element: 0 of 'instances' list. Error: INVALID_ARGUMENT: Cannot convert JSON value: 16777217 to float without loss of precision."),
      (#"{"instances": [9007199254740993]}"#, doubles,
        "Failed to process element: 0 of 'instances' list. Error: INVALID_ARGUMENT: Cannot convert JSON value: 9007199254740993 to double without loss of precision."),
      (#"{"instances": [0]}"#, [JSONInput("c", .complex64)],
        "Failed to process element: 0 of 'instances' list. Error: UNIMPLEMENTED: Conversion of JSON Value: 0 to type: complex64"),
      (#"{"inputs": [0]}"#, [JSONInput("c", .complex64)], "Conversion of JSON Value: 0 to type: complex64"),
      (#"{"instances": [1]}"#, two,
        "instances is a plain list, but expecting list of objects as multiple input tensors required as per tensorinfo_map"),
      (#"{"inputs": [1]}"#, two,
        "inputs is a plain value/list, but expecting an object as multiple input tensors required as per tensorinfo_map"),
      (#"{"inputs": {"i": 1}}"#, two, "Missing named input: s in 'inputs' object."),
      (#"{"instances": [{"i": 1}]}"#, two,
        "Failed to process element: 0 of 'instances' list. JSON object: {\n    \"i\": 1\n} keys must be equal to: i,s"),
      (#"{"instances": [{"i": 1, "s": "a", "k": 2}]}"#, two,
        "Failed to process element: 0 key: k of 'instances' list. Error: INVALID_ARGUMENT: JSON object: does not have named input: k"),
      (#"{"instances": [{"i": 1, "s": "a"}, {"i": [1], "s": "a"}]}"#, two,
        "Failed to process element: 1 key: i of 'instances' list. Error: INVALID_ARGUMENT: Expecting shape [] but got: [1]"),
      (#"{"instances": [{"i": "x", "s": "a"}]}"#, two,
        "Failed to process element: 0 key: i of 'instances' list. Error: INVALID_ARGUMENT: JSON Value: \"x\" Type: String is not of expected type: int32"),
      (#"{"instances": [{"i": 1, "s": "a"}, [1, 20, 30]]}"#, two, "Expecting object but got list at item 1 of input list"),
      (#"{"instances": [["baz", "bar"], {"s": ["baz", "bat"]}]}"#, strings,
        "Expecting value/list but got object at item 1 of input list"),
    ]
    for (text, inputs, expected) in cases { #expect(refusal(text, inputs) == expected, "\(text)") }
  }

  @Test func `a syntax error anywhere comes before any other`() {
    #expect(refusal(#"{"instances": ["x", 1}"#, floats) == "JSON Parse error: Missing a comma or ']' after an array element. at offset: 21")
    #expect(refusal(#"{"signature_name": 5, "z": tru}"#, floats) == "JSON Parse error: Invalid value. at offset: 30")
  }

  @Test func `long values are quoted in part`() {
    let message = refusal("[\"" + String(repeating: "é", count: 500) + "\"]", floats)
    #expect(message.hasPrefix("JSON Value: [\n    \"ééé") && message.hasSuffix("é... Is not object") && message.utf8.count < 300)
  }

  @Test func `nesting has a limit, in tensors and out of them`() {
    let deep = String(repeating: "[", count: 100_000)
    #expect(refusal("{\"instances\": \(deep)", floats).contains("Nested deeper than"))
    #expect(refusal("{\"other\": \(deep)", floats).contains("Nested deeper than"))
    let nine = String(repeating: "[", count: 9) + "1" + String(repeating: "]", count: 9)
    #expect(refusal("{\"inputs\": \(nine)}", floats).contains("at most 8 dimensions"))
  }
}
