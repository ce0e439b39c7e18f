import JSON
import Testing
import Wire

private func refusal(_ text: String) -> String {
  do throws(BodyError) {
    let body = try ExamplesBody(Array(text.utf8).rawSpan)
    return "accepted \(body.count)"
  } catch {
    return error.message
  }
}

/// A field that holds bytes.
private func field(_ number: UInt8, _ bytes: [UInt8]) -> [UInt8] { [number << 3 | 2, UInt8(bytes.count)] + bytes }

private func feature(_ name: String, kind: UInt8, _ list: [UInt8]) -> [UInt8] {
  field(1, field(1, Array(name.utf8)) + field(2, field(kind, list)))
}

@Suite struct ExamplesBodyTests {
  @Test func `features are of the kind their values look like`() throws {
    let text = #"{"signature_name": "sig", "examples": [{"names": ["foo", {"b64": "aGk="}], "ratings": [8.0, -Infinity], "age": 20, "flags": [1, true, false]}, {}]}"#
    let body = try ExamplesBody(Array(text.utf8).rawSpan)
    #expect(body.signatureName == "sig" && body.count == 2)
    let names = feature("names", kind: 1, field(1, Array("foo".utf8)) + field(1, Array("hi".utf8)))
    let ratings = feature("ratings", kind: 2, field(1, [0, 0, 0, 0x41, 0, 0, 0x80, 0xff]))
    let age = feature("age", kind: 3, field(1, [20]))
    let flags = feature("flags", kind: 3, field(1, [1, 1, 0]))
    #expect(body.input == field(1, field(1, field(1, names + ratings + age + flags)) + field(1, field(1, []))))
  }

  @Test func `a feature without values is of no kind, and integers past 64 bits are floats`() throws {
    let text = #"{"examples": [{"none": [], "large": [-9223372036854775809, 18446744073709551616], "least": -9223372036854775808}]}"#
    let body = try ExamplesBody(Array(text.utf8).rawSpan)
    let none = field(1, field(1, Array("none".utf8)) + field(2, []))
    let large = feature("large", kind: 2, field(1, [0, 0, 0, 0xdf, 0, 0, 0x80, 0x5f]))
    let least = feature("least", kind: 3, field(1, [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1]))
    #expect(body.input == field(1, field(1, field(1, none + large + least))))
  }

  @Test func `examples with a context are the other list`() throws {
    let body = try ExamplesBody(Array(#"{"examples": [{"a": 1}, {"a": 2}], "context": {"q": "x"}}"#.utf8).rawSpan)
    let context = field(1, feature("q", kind: 1, field(1, Array("x".utf8))))
    let examples = [1, 2].map { field(1, field(1, feature("a", kind: 3, field(1, [$0])))) }
    #expect(body.input == field(2, examples[0] + examples[1] + field(2, context)) && body.count == 2)
  }

  @Test func `TensorFlow Serving's refusals, word by word`() {
    #expect(refusal(#"{"examples": [{"n": [10, null]}]}"#) == "Feature: n has element with unexpected JSON type: Null")
    #expect(refusal(#"{"examples": [{"n": [10, 10.0]}]}"#) == "Unexpected element type in feature: n expecting type: int64")
    #expect(refusal(#"{"examples": [{"n": [1.5, "a"]}]}"#) == "Unexpected element type in feature: n expecting type: float")
    #expect(refusal(#"{"examples": [{"n": ["a", true]}]}"#) == "Unexpected element type in feature: n expecting type: bytes")
    #expect(refusal(#"{"examples": [{"n": [10, {"test": 10}]}]}"#) == "Feature: n has element with unexpected JSON type: Object")
    #expect(refusal(#"{"examples": [{"n": [[10], 20]}]}"#) == "Feature: n has element with unexpected JSON type: Array")
    #expect(refusal(#"{"examples": [{"n": [20, 18446744073709551603]}]}"#) == "Feature: n has uint64 element. Only int64 is supported.")
    #expect(refusal(#"{"examples": [{"n": 1.7976931348623157e308}]}"#) == "Cannot convert JSON value: 1.7976931348623157e+308 to float without loss of precision.")
    #expect(refusal(#"{"examples": [{"n": {"b64": "*"}}]}"#) == "Unable to base64 decode")
    #expect(refusal(#"{"examples": [[{}]]}"#) == "Example must be JSON object but got JSON Array")
    #expect(refusal(#"{"context": [{}], "examples": [{}]}"#) == "Example must be JSON object but got JSON Array")
    #expect(refusal(#"{"examples": {}}"#) == "JSON Value: {\n    \"examples\": {}\n} Expecting 'examples' value to be an list/array")
    #expect(refusal(#"{"examples": []}"#) == "JSON Value: {\n    \"examples\": []\n} 'examples' value is an empty array")
    #expect(refusal("{}") == "JSON Value: {} When method is classify, key 'examples' is expected and was not found")
    #expect(refusal(#"{"examples": [{"n": 1}]"#) == "JSON Parse error: Missing a comma or '}' after an object member. at offset: 23")
  }
}
