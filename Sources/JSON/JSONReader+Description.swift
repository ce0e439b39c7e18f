// Values quoted in errors, as TensorFlow Serving quotes them: pretty-printed, and cut when they are long.

extension JSONReader {
  /// Bytes of a quoted value.
  private static let quotedMax = 256

  /// The value that begins at a place, which has been read without an error before.
  func described(at place: Int) -> String {
    var reader = JSONReader(bytes)
    reader.at = place
    var text: [UInt8] = []
    reader.describe(into: &text, indent: 0)
    guard text.count > JSONReader.quotedMax else { return String(decoding: text, as: UTF8.self) }
    var end = JSONReader.quotedMax
    // A character cut in two is left out.
    while end > 0, text[end] & 0xc0 == 0x80 { end -= 1 }
    return String(decoding: text[..<end], as: UTF8.self) + "..."
  }

  @_lifetime(self: copy self)
  private mutating func describe(into text: inout [UInt8], indent: Int) {
    if text.count > JSONReader.quotedMax { return }
    func newLine(_ text: inout [UInt8], _ indent: Int) {
      text.append(UInt8(ascii: "\n"))
      text.append(contentsOf: repeatElement(UInt8(ascii: " "), count: indent))
    }
    switch kind {
    case .object:
      text.append(UInt8(ascii: "{"))
      if enterObject() {
        repeat {
          newLine(&text, indent + 4)
          guard let name = try? name() else { return }
          text.append(quoting: decoded(name))
          text.append(contentsOf: [UInt8(ascii: ":"), UInt8(ascii: " ")])
          describe(into: &text, indent: indent + 4)
          if text.count > JSONReader.quotedMax { return }
          guard let more = try? nextMember() else { return }
          if !more { break }
          text.append(UInt8(ascii: ","))
        } while true
        newLine(&text, indent)
      }
      text.append(UInt8(ascii: "}"))
    case .array:
      text.append(UInt8(ascii: "["))
      if enterArray() {
        repeat {
          newLine(&text, indent + 4)
          describe(into: &text, indent: indent + 4)
          if text.count > JSONReader.quotedMax { return }
          guard let more = try? nextElement() else { return }
          if !more { break }
          text.append(UInt8(ascii: ","))
        } while true
        newLine(&text, indent)
      }
      text.append(UInt8(ascii: "]"))
    case .string:
      guard let string = try? string() else { return }
      text.append(quoting: decoded(string))
    case .number:
      guard let number = try? number() else { return }
      if number.magnitude != nil {
        for i in number.range { text.append(byte(i)) }
      } else {
        text.append(number: double(number))
      }
    case .true, .false, .null:
      let start = at
      guard (try? word()) != nil else { return }
      for i in start..<at { text.append(byte(i)) }
    }
  }
}
