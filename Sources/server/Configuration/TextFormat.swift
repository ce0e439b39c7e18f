// Messages from protobuf text format: swift-protobuf reads them, and what it refuses is looked for until it has a place and a
// word. It says what kind of thing is wrong and never where; so it is shown the text in smaller and smaller pieces, each
// within the messages it stands in, until only the mistake is left. Files are small, and only wrong ones are searched.
internal import SwiftProtobuf

extension SwiftProtobuf.Message {
  init(textFormat text: [UInt8]) throws(TextFormatError) {
    (self, _) = try Self.read(textFormat: text, toleratingUnknownFields: false)
  }

  /// - Returns: the message, and the fields that were left out because it does not have them.
  static func read(textFormat text: [UInt8], toleratingUnknownFields: Bool) throws(TextFormatError) -> (Self, unknown: [String]) {
    var fields = try TextFormatTree(text).fields
    var unknown: [String] = []
    while true {
      let reader = TextFormatReader<Self>(fields)
      do {
        let message = try reader.read()
        if let mistake = reader.repeated() { throw mistake }
        return (message, unknown)
      } catch let mistake as TextMistake {
        if toleratingUnknownFields, mistake.isUnknownField {
          unknown.append(mistake.name)
          fields.remove(at: mistake.path[...])
        } else {
          throw TextFormatError(position: TextPosition(of: mistake.offset, in: text), reason: mistake.reason)
        }
      } catch {
        preconditionFailure("\(error)")
      }
    }
  }
}

/// One mistake and the way to it.
private struct TextMistake: Error {
  /// The field's index in its message, from the outermost inwards.
  var path: [Int]
  /// With its parents': `model_config_list.config.name`.
  var name: String
  var offset: Int
  var reason: String
  var isUnknownField = false
}

/// The messages around a piece of text.
private struct Surroundings {
  var before: [UInt8] = []
  var after: [UInt8] = []
  var path: [Int] = []
  var name = ""

  func with(_ piece: [UInt8]) -> [UInt8] { before + piece + after }

  func inside(_ field: TextField, at index: Int) -> Surroundings {
    Surroundings(
      before: before + Array("\(field.name) { ".utf8), after: Array("} ".utf8) + after, path: path + [index], name: full(field))
  }

  func full(_ field: TextField) -> String { name.isEmpty ? field.name : "\(name).\(field.name)" }
}

private struct TextFormatReader<Message: SwiftProtobuf.Message> {
  let fields: [TextField]

  init(_ fields: [TextField]) { self.fields = fields }

  func read() throws(TextMistake) -> Message {
    do {
      return try parse(textFormat(fields))
    } catch {
      throw mistake(in: fields, Surroundings())
        ?? TextMistake(path: [], name: "", offset: 0, reason: "no \(Message.protoMessageName): \(error)")
    }
  }

  private func parse(_ text: [UInt8]) throws(TextFormatDecodingError) -> Message {
    do { return try Message(textFormatString: String(decoding: text, as: UTF8.self)) } catch let error as TextFormatDecodingError {
      throw error
    } catch {
      throw .malformedText
    }
  }

  private func refusal(_ piece: [UInt8], _ around: Surroundings) -> TextFormatDecodingError? {
    do throws(TextFormatDecodingError) {
      _ = try parse(around.with(piece))
      return nil
    } catch { return error }
  }

  // MARK: What swift-protobuf refuses

  private func mistake(in fields: [TextField], _ around: Surroundings) -> TextMistake? {
    for (index, field) in fields.enumerated() {
      guard let error = refusal(field.text, around) else { continue }
      return mistake(in: field, index, error, around)
    }
    // Each is right by itself: then one does not go with those before it.
    for (index, field) in fields.enumerated() where index > 0 {
      guard let error = refusal(textFormat(fields[...index]), around) else { continue }
      if fields[..<index].contains(where: { $0.name == field.name }) { return twice(field, index, around) }
      return TextMistake(
        path: around.path + [index], name: around.full(field), offset: field.offset, reason: reason(error, field, field.value, around))
    }
    return nil
  }

  private func mistake(
    in field: TextField, _ index: Int, _ error: TextFormatDecodingError, _ around: Surroundings
  ) -> TextMistake {
    var mistake = TextMistake(
      path: around.path + [index], name: around.full(field), offset: field.value.offset, reason: reason(error, field, field.value, around))
    switch (field.value.content, error) {
    case (_, .unknownField) where refusesName(of: field, around):
      mistake.isUnknownField = true
      mistake.offset = field.offset
      mistake.reason =
        around.name.isEmpty
        ? "Message type \"\(Message.protoMessageName)\" has no field named \"\(field.name)\"."
        : "\"\(around.name)\" has no field named \"\(field.name)\"."
    case (.message(let children), _):
      if let emptied = field.emptied, refusal(emptied, around) != nil {
        return self.mistake(inEntry: children, around.inside(field, at: index)) ?? mistake
      }
      return self.mistake(in: children, around.inside(field, at: index)) ?? mistake
    case (.list(let values), _):
      for value in values {
        let element = TextField(name: field.name, offset: field.offset, value: value)
        guard let error = refusal(element.text, around) else { continue }
        return self.mistake(in: element, index, error, around)
      }
    case (.scalar, _): break
    }
    return mistake
  }

  /// An entry of a map, the one message that is refused for being empty. protobuf's C++ takes an entry without its key or its
  /// value for one with a zero there; swift-protobuf does not, and an operator rarely means it.
  private func mistake(inEntry children: [TextField], _ entry: Surroundings) -> TextMistake? {
    for (index, child) in children.enumerated() where child.name != "key" && child.name != "value" {
      return TextMistake(
        path: entry.path + [index], name: entry.full(child), offset: child.offset,
        reason: "\"\(entry.name)\" has no field named \"\(child.name)\".", isUnknownField: true)
    }
    guard let key = children.first(where: { $0.name == "key" }), let at = children.firstIndex(where: { $0.name == "value" }) else {
      return children.first.map { child in
        TextMistake(path: entry.path, name: entry.name, offset: child.offset, reason: "An entry of \(entry.name) needs both a key and a value.")
      }
    }
    var beside = entry
    beside.before += key.text + [UInt8(ascii: " ")]
    if let emptied = children[at].emptied, refusal(emptied, beside) != nil { return nil }
    return refusal(children[at].text, beside).map { mistake(in: children[at], at, $0, beside) }
  }

  /// Whether the name itself is refused, whatever its value; inside a message of it, another name may be.
  private func refusesName(of field: TextField, _ around: Surroundings) -> Bool {
    guard let emptied = field.emptied else { return true }
    return refusal(emptied, around).map { if case .unknownField = $0 { true } else { false } } ?? false
  }

  private func reason(
    _ error: TextFormatDecodingError, _ field: TextField, _ value: TextValue, _ around: Surroundings
  ) -> String {
    let shown =
      switch value.content {
      case .scalar(let text): String(decoding: text.prefix(60), as: UTF8.self)
      case .message: "{"
      case .list: "["
      }
    let name = around.full(field)
    return switch error {
    case .malformedNumber: "Expected a number that \(name) can hold, got: \(shown)"
    case .unrecognizedEnumValue: "Unknown enumeration value of \"\(shown)\" for field \"\(name)\"."
    case .conflictingOneOf: "Field \"\(name)\" is specified along with another of which only one may be."
    case .invalidUTF8: "\(name) is no UTF-8"
    case .messageDepthLimit: "Message is too deep"
    default: "Invalid value for \(name), got: \(shown)"
    }
  }

  // MARK: What swift-protobuf takes and C++ does not

  /// A field that may be there once and is there again.
  func repeated() -> TextMistake? { repeated(in: fields, Surroundings()) }

  private func repeated(in fields: [TextField], _ around: Surroundings) -> TextMistake? {
    var seen: Set<String> = []
    for (index, field) in fields.enumerated() {
      if !seen.insert(field.name).inserted, isSingular(field, around) { return twice(field, index, around) }
      if case .message(let children) = field.value.content,
        let mistake = repeated(in: children, around.inside(field, at: index))
      {
        return mistake
      }
    }
    return nil
  }

  private func twice(_ field: TextField, _ index: Int, _ around: Surroundings) -> TextMistake {
    TextMistake(
      path: around.path + [index], name: around.full(field), offset: field.offset,
      reason: "Non-repeated field \"\(around.full(field))\" is specified multiple times.")
  }

  /// What is said twice and leaves what saying it once does, is singular. So is an entry of a map, by that measure.
  private func isSingular(_ field: TextField, _ around: Surroundings) -> Bool {
    var once = field.text + [UInt8(ascii: " ")]
    switch field.value.content {
    case .list: return false
    case .message(let children):
      if Set(children.map(\.name)).isSubset(of: ["key", "value"]) { return false }
      once = (field.emptied ?? []) + [UInt8(ascii: " ")]
    case .scalar: break
    }
    guard let single = try? parse(around.with(once)), let double = try? parse(around.with(once + once)) else { return false }
    return single.isEqualTo(message: double)
  }
}

extension [TextField] {
  fileprivate mutating func remove(at path: ArraySlice<Int>) {
    guard let index = path.first, indices.contains(index) else { return }
    if path.count == 1 {
      remove(at: index)
    } else if case .message(var children) = self[index].value.content {
      children.remove(at: path.dropFirst())
      self[index].value.content = .message(children)
    } else {
      // Within a list: the whole of it goes.
      remove(at: index)
    }
  }
}
