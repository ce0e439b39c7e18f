import JSON
import Testing
import Wire

@Suite struct SyntaxTests {
  @Test func `RapidJSON finds the same errors at the same places`() throws {
    let cases = try lines(of: "syntax_cases.jsonl")
    #expect(cases.count > 1000)
    for line in cases {
      let digits = Array(line[0]!.utf8)
      let text = stride(from: 0, to: digits.count, by: 2).map { UInt8(String(decoding: digits[$0..<$0 + 2], as: UTF8.self), radix: 16)! }
      var found: String?
      do throws(JSONSyntaxError) {
        var reader = JSONReader(text.rawSpan)
        reader.skipSpace()
        if reader.next == 0 { found = "The document is empty. at offset: \(reader.at)" } else { try reader.skipValue() }
      } catch {
        found = error.description
      }
      #expect(found == line[1], "\(String(decoding: text, as: UTF8.self))")
    }
  }

  @Test func `the first half of a surrogate pair is no character`() {
    for text in [#""\ud800""#, #""\ud800x""#, #""\ud800\ud800""#] {
      #expect(throws: JSONSyntaxError.self) {
        var reader = JSONReader(Array(text.utf8).rawSpan)
        try reader.skipValue()
      }
    }
  }
}
