// Protobuf text format as protobuf's C++ reads it, without a schema: fields, where they stand, and their values as written.
// swift-protobuf then reads the fields as a message; this tree is how it gets to see the same language, and how its errors get
// a place. It takes from C++ what swift-protobuf does not have: a byte order mark, strings that go on over a line's end (a
// PEM text pasted into an SSLConfig), a blank after a minus.
//
//     message = { field [","|";"] }            value = string {string} | ["-"] word | message in {} or <> | list
//     field   = name [":"] value               list  = "[" [ value {"," value} ] "]"
//     name    = identifier | "[" type or URL "]"

/// Where, from one, as protobuf's C++ counts: a tab reaches to the next multiple of eight.
struct TextPosition: Equatable {
  var line: Int
  var column: Int
}

/// What is wrong with a text, and where.
struct TextFormatError: Error, Equatable {
  var position: TextPosition
  var reason: String
}

/// A field as it was written.
struct TextField {
  var name: String
  /// Where the name begins.
  var offset: Int
  var value: TextValue
}

struct TextValue {
  enum Content {
    /// Strings and numbers, ready for swift-protobuf.
    case scalar([UInt8])
    case message([TextField])
    case list([TextValue])
  }
  var content: Content
  /// Where it begins.
  var offset: Int
}

struct TextFormatTree {
  let fields: [TextField]

  init(_ text: [UInt8]) throws(TextFormatError) {
    var reader = TextReader(text)
    fields = try reader.message(until: nil, depth: 0)
  }
}

/// The fields as swift-protobuf reads them.
func textFormat(_ fields: some Sequence<TextField>) -> [UInt8] { fields.flatMap { $0.text + [TextReader.space] } }

extension TextField {
  var text: [UInt8] { textFormat(name, value) }

  /// The field with nothing in its message; `nil` when its value is none.
  var emptied: [UInt8]? {
    guard case .message = value.content else { return nil }
    return textFormat(name, TextValue(content: .message([]), offset: value.offset))
  }
}

private func textFormat(_ name: String, _ value: TextValue) -> [UInt8] {
  // Before the message in an `Any`, swift-protobuf takes no colon.
  if case .message = value.content { return Array(name.utf8) + [TextReader.space] + value.text }
  return Array(name.utf8) + [TextReader.colon] + value.text
}

extension TextValue {
  var text: [UInt8] {
    switch content {
    case .scalar(let text): text
    case .message(let fields): Array("{ ".utf8) + textFormat(fields) + Array("}".utf8)
    case .list(let values): Array("[".utf8) + Array(values.map(\.text).joined(separator: [TextReader.comma])) + Array("]".utf8)
    }
  }
}

private struct TextReader {
  static let space = UInt8(ascii: " "), colon = UInt8(ascii: ":"), comma = UInt8(ascii: ",")
  /// As deep as protobuf goes.
  private static let depthMax = 100

  private let text: [UInt8]
  private var at = 0

  init(_ text: [UInt8]) {
    self.text = text
    if text.starts(with: [0xEF, 0xBB, 0xBF]) { at = 3 }
  }

  // MARK: Grammar

  mutating func message(until end: UInt8?, depth: Int) throws(TextFormatError) -> [TextField] {
    guard depth < TextReader.depthMax else { throw error("Message is too deep, the parser exceeded the configured recursion limit of 100") }
    var fields: [TextField] = []
    while true {
      skipBlanks()
      guard let next = peek else {
        guard let end else { return fields }
        throw error("Reached end of input, expected \"\(Character(Unicode.Scalar(end)))\"")
      }
      if next == end {
        at += 1
        return fields
      }
      let offset = at
      let name = try fieldName()
      skipBlanks()
      let hasColon = take(TextReader.colon)
      skipBlanks()
      let value = try value(of: name, afterColon: hasColon, depth: depth)
      fields.append(TextField(name: name, offset: offset, value: value))
      skipBlanks()
      if !take(TextReader.comma) { _ = take(UInt8(ascii: ";")) }
    }
  }

  private mutating func fieldName() throws(TextFormatError) -> String {
    if peek == UInt8(ascii: "[") {
      let start = at
      while let next = peek, next != UInt8(ascii: "]"), next != UInt8(ascii: "\n") { at += 1 }
      guard take(UInt8(ascii: "]")) else { throw error("Expected \"]\"") }
      return String(decoding: text[start..<at], as: UTF8.self)
    }
    let start = at
    guard let first = peek, first.isIdentifierStart else { throw error("Expected identifier, got: \(token)") }
    while let next = peek, next.isWord { at += 1 }
    return String(decoding: text[start..<at], as: UTF8.self)
  }

  private mutating func value(of name: String, afterColon: Bool, depth: Int) throws(TextFormatError) -> TextValue {
    let offset = at
    switch peek {
    case UInt8(ascii: "{")?, UInt8(ascii: "<")?:
      let end = peek == UInt8(ascii: "{") ? UInt8(ascii: "}") : UInt8(ascii: ">")
      at += 1
      return TextValue(content: .message(try message(until: end, depth: depth + 1)), offset: offset)
    case UInt8(ascii: "[")?:
      at += 1
      return TextValue(content: .list(try list(of: name, afterColon: afterColon, depth: depth)), offset: offset)
    default:
      guard afterColon else { throw error("Expected \":\", found \"\(token)\"") }
      return TextValue(content: .scalar(try scalar()), offset: offset)
    }
  }

  private mutating func list(of name: String, afterColon: Bool, depth: Int) throws(TextFormatError) -> [TextValue] {
    var values: [TextValue] = []
    skipBlanks()
    if take(UInt8(ascii: "]")) { return values }
    while true {
      skipBlanks()
      if peek == UInt8(ascii: "[") { throw error("Expected a value, got: [") }
      values.append(try value(of: name, afterColon: afterColon, depth: depth))
      skipBlanks()
      if take(UInt8(ascii: "]")) { return values }
      guard take(TextReader.comma) else { throw error("Expected \",\", found \"\(token)\"") }
    }
  }

  private mutating func scalar() throws(TextFormatError) -> [UInt8] {
    guard let first = peek else { throw error("Reached end of input, expected a value") }
    if first.isQuote { return try strings() }
    var word: [UInt8] = []
    if take(UInt8(ascii: "-")) {
      word.append(first)
      skipBlanks()
    }
    guard let start = peek, start.isWord || start == UInt8(ascii: ".") else { throw error("Expected a value, got: \(token)") }
    while let next = peek, next.isWord || next == UInt8(ascii: ".") || isExponentSign(next, after: word) {
      word.append(next)
      at += 1
    }
    return word
  }

  /// The sign in `1e+9`; hexadecimal digits have none.
  private func isExponentSign(_ byte: UInt8, after word: [UInt8]) -> Bool {
    guard byte == UInt8(ascii: "+") || byte == UInt8(ascii: "-"), let last = word.last, last | 0x20 == UInt8(ascii: "e") else { return false }
    let digits = word.drop { $0 == UInt8(ascii: "-") }
    return digits.first?.isDigit == true && !digits.starts(with: Array("0x".utf8))
  }

  /// One string or several, which count as one; each on one line.
  private mutating func strings() throws(TextFormatError) -> [UInt8] {
    var strings: [UInt8] = []
    while let quote = peek, quote.isQuote {
      let start = at
      strings.append(quote)
      at += 1
      while true {
        guard let byte = peek else {
          at = start
          throw error("String literals that begin here never end")
        }
        at += 1
        switch byte {
        case UInt8(ascii: "\n"): strings += Array("\\n".utf8)
        case UInt8(ascii: "\r"): strings += Array("\\r".utf8)
        case UInt8(ascii: "\\"):
          strings.append(byte)
          if let escaped = peek {
            strings.append(escaped)
            at += 1
          }
        default: strings.append(byte)
        }
        if byte == quote { break }
      }
      skipBlanks()
    }
    return strings
  }

  // MARK: Bytes

  private var peek: UInt8? { at < text.count ? text[at] : nil }

  private mutating func take(_ byte: UInt8) -> Bool {
    guard peek == byte else { return false }
    at += 1
    return true
  }

  private mutating func skipBlanks() {
    while let next = peek {
      if next == UInt8(ascii: "#") {
        while let skipped = peek, skipped != UInt8(ascii: "\n") {
          _ = skipped
          at += 1
        }
      } else if next.isBlank {
        at += 1
      } else {
        return
      }
    }
  }

  /// What stands here, for an error.
  private var token: String {
    guard let first = peek else { return "end of input" }
    let word = text[at...].prefix { $0.isWord }
    return String(decoding: word.isEmpty ? [first] : Array(word.prefix(60)), as: UTF8.self)
  }

  private func error(_ reason: String) -> TextFormatError {
    TextFormatError(position: TextPosition(of: at, in: text), reason: reason)
  }
}

extension TextPosition {
  init(of offset: Int, in text: [UInt8]) {
    self.init(line: 1, column: 1)
    for byte in text[..<min(offset, text.count)] {
      switch byte {
      case UInt8(ascii: "\n"): (line, column) = (line + 1, 1)
      case UInt8(ascii: "\t"): column += 8 - (column - 1) % 8
      default: column += 1
      }
    }
  }
}

extension UInt8 {
  fileprivate var isDigit: Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(self) }
  fileprivate var isIdentifierStart: Bool {
    (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(self | 0x20) || self == UInt8(ascii: "_")
  }
  fileprivate var isWord: Bool { isDigit || isIdentifierStart }
  fileprivate var isQuote: Bool { self == UInt8(ascii: "\"") || self == UInt8(ascii: "'") }
  fileprivate var isBlank: Bool { self == UInt8(ascii: " ") || (9...13).contains(self) }
}
