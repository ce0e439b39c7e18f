// Where names are defined: the files of a FileDescriptorSet by their names, by the symbols in them, by what they extend.
//
// The files are kept as the bytes protoc wrote, and handed out as such: no descriptor is decoded into objects. Only names
// are read, once, with the field numbers of google/protobuf/descriptor.proto.
internal import Wire

struct DescriptorIndex: Sendable {
  private struct File {
    var imports: [String] = []
    var bytes: [UInt8] = []
  }

  private var files: [String: File] = [:]
  /// Full names of messages, fields, oneofs, enums, their values, extensions, services and methods → the file's name.
  private var symbols: [String: String] = [:]
  private var messages: Set<String> = []
  /// By the extended message and the field's number → the file's name.
  private var extensions: [String: [Int32: String]] = [:]

  /// - Parameter set: a serialized `google.protobuf.FileDescriptorSet`.
  init(_ set: [UInt8]) throws(WireError) {
    var files = WireFields(try WireMessage(set.rawSpan), number: 1)
    while let file = try files.nextMessage() { try add(file) }
  }

  // MARK: Questions

  /// The file and everything it imports, each once, the file first; `nil` when it is not here.
  func file(named name: String) -> [[UInt8]]? {
    guard files[name] != nil else { return nil }
    var seen: Set<String> = []
    var found: [[UInt8]] = []
    collect(name, &seen, &found)
    return found
  }

  func file(defining symbol: String) -> [[UInt8]]? { symbols[symbol].flatMap { file(named: $0) } }

  func file(extending message: String, number: Int32) -> [[UInt8]]? {
    extensions[message]?[number].flatMap { file(named: $0) }
  }

  /// Ascending; `nil` when there is no such message.
  func extensionNumbers(of message: String) -> [Int32]? {
    messages.contains(message) ? extensions[message, default: [:]].keys.sorted() : nil
  }

  func has(symbol: String) -> Bool { symbols[symbol] != nil }

  /// Depth first: imports do not go in circles, and a file is visited once.
  private func collect(_ name: String, _ seen: inout Set<String>, _ found: inout [[UInt8]]) {
    guard seen.insert(name).inserted, let file = files[name] else { return }
    found.append(file.bytes)
    for name in file.imports { collect(name, &seen, &found) }
  }

  // MARK: Reading. The recursion is as deep as the messages of our own files are nested.

  private mutating func add(_ message: WireMessage) throws(WireError) {
    var file = File(bytes: message.copy())
    let name = try DescriptorIndex.text(message, 1)
    let package = try DescriptorIndex.text(message, 2)
    var reader = WireReader(message)
    while let tag = try reader.nextTag() {
      switch tag {
      case .length(3): file.imports.append(String(showing: try reader.span()))
      case .length(4): try addMessage(WireMessage(message.bytes, at: try reader.lengthDelimited()), package, name)
      case .length(5): try addEnum(WireMessage(message.bytes, at: try reader.lengthDelimited()), package, name)
      case .length(6): try addNamed(WireMessage(message.bytes, at: try reader.lengthDelimited()), package, name, parts: 2)
      case .length(7): try addExtension(WireMessage(message.bytes, at: try reader.lengthDelimited()), package, name)
      default: try reader.skip(tag)
      }
    }
    files[name] = file
  }

  private mutating func addMessage(_ message: WireMessage, _ scope: String, _ file: String) throws(WireError) {
    // Fields and oneofs are the parts 2 and 8.
    let name = try addNamed(message, scope, file, parts: 2, 8)
    messages.insert(name)
    var reader = WireReader(message)
    while let tag = try reader.nextTag() {
      switch tag {
      case .length(3): try addMessage(WireMessage(message.bytes, at: try reader.lengthDelimited()), name, file)
      case .length(4): try addEnum(WireMessage(message.bytes, at: try reader.lengthDelimited()), name, file)
      case .length(6): try addExtension(WireMessage(message.bytes, at: try reader.lengthDelimited()), name, file)
      default: try reader.skip(tag)
      }
    }
  }

  /// An enum's values belong to the scope the enum is in, as in C++.
  private mutating func addEnum(_ message: WireMessage, _ scope: String, _ file: String) throws(WireError) {
    try addNamed(message, scope, file)
    var values = WireFields(message, number: 2)
    while let value = try values.nextMessage() { try addNamed(value, scope, file) }
  }

  /// A field with an extendee.
  private mutating func addExtension(_ message: WireMessage, _ scope: String, _ file: String) throws(WireError) {
    try addNamed(message, scope, file)
    var number: Int32 = 0
    var reader = WireReader(message)
    while let tag = try reader.nextTag() {
      if tag == .varint(3) { number = try reader.int32() } else { try reader.skip(tag) }
    }
    // protoc writes the extendee's full name, with a dot in front.
    extensions[String(try DescriptorIndex.text(message, 2).dropFirst()), default: [:]][number] = file
  }

  /// Files the symbol and those of its parts: the messages in the given fields. All have their name in field 1.
  @discardableResult
  private mutating func addNamed(
    _ message: WireMessage, _ scope: String, _ file: String, parts: UInt32...
  ) throws(WireError) -> String {
    let own = try DescriptorIndex.text(message, 1)
    let name = scope.isEmpty ? own : "\(scope).\(own)"
    symbols[name] = file
    for number in parts {
      var fields = WireFields(message, number: number)
      while let part = try fields.nextMessage() { symbols["\(name).\(try DescriptorIndex.text(part, 1))"] = file }
    }
    return name
  }

  private static func text(_ message: WireMessage, _ number: UInt32) throws(WireError) -> String {
    var text = ""
    var fields = WireFields(message, number: number)
    while let span = try fields.nextSpan() { text = String(showing: span) }
    return text
  }
}
