// The body of a Classify or Regress, `{"examples": [{...}], "context": {...}}`, made into the `Input` that it stands for: what
// a client of gRPC would have sent. A feature's JSON says its kind: integers and booleans are int64s, numbers with a fraction or
// an exponent are floats, strings are bytes.
internal import Wire

public struct ExamplesBody {
  public let signatureName: String
  /// `tensorflow.serving.Input`, serialized.
  public let input: [UInt8]
  /// The examples in it; at least one.
  public let count: Int

  public init(_ bytes: RawSpan) throws(BodyError) {
    let index = try BodyIndex(bytes, ["signature_name", "context", "examples"])
    signatureName = try RequestBody.signatureName(bytes, at: index[0]) ?? ""
    var reader = JSONReader(bytes)
    var writer = ExampleWriter()
    var context: [UInt8]?
    do {
      if let place = index[1] {
        reader.at = place
        context = try writer.example(&reader)
      }
      guard let place = index[2] else {
        throw ExamplesBody.error(reader, "When method is classify, key 'examples' is expected and was not found")
      }
      reader.at = place
      guard reader.kind == .array else {
        throw ExamplesBody.error(reader, "Expecting 'examples' value to be an list/array")
      }
      guard reader.enterArray() else { throw ExamplesBody.error(reader, "'examples' value is an empty array") }
      var list: [UInt8] = []
      var count = 0
      repeat {
        list.append(field: 1, try writer.example(&reader))
        count += 1
      } while try reader.nextElement()
      if let context { list.append(field: 2, context) }
      var input: [UInt8] = []
      input.reserveCapacity(WireSize.length(1, list.count))
      // Of Input's oneof the second is the list with a context.
      input.append(field: context == nil ? 1 : 2, list)
      self.input = input
      self.count = count
    } catch let error as BodyError {
      throw error
    } catch let error as JSONSyntaxError {
      throw BodyError(error)
    } catch {
      throw BodyError("\(error)")
    }
  }

  private static func error(_ reader: borrowing JSONReader, _ text: String) -> BodyError {
    BodyError("JSON Value: \(reader.described(at: reader.bodyStart)) \(text)")
  }
}

/// Reads objects as tf.Examples. A value, so that the memory of one feature serves the next.
private struct ExampleWriter {
  /// The kinds of a feature, by the field that holds its list.
  private enum Kind: UInt32 {
    case bytes = 1
    case float = 2
    case int64 = 3
  }

  /// The feature at hand: of no kind while it has no values.
  private var kind: Kind?
  /// Its values as its list holds them: numbers one behind the other, or a field for each string.
  private var values: [UInt8] = []

  /// Reads the object that begins here. Returns the serialized tf.Example.
  mutating func example(_ reader: inout JSONReader) throws -> [UInt8] {
    guard reader.kind == .object else {
      throw BodyError("Example must be JSON object but got JSON \(reader.kind.rawValue)")
    }
    var features: [UInt8] = []
    if reader.enterObject() {
      repeat {
        let name = try reader.name()
        kind = nil
        values.removeAll(keepingCapacity: true)
        if reader.kind == .array {
          if reader.enterArray() {
            repeat { try append(&reader, name) } while try reader.nextElement()
          }
        } else {
          try append(&reader, name)
        }
        append(reader.decoded(name), to: &features)
      } while try reader.nextMember()
    }
    var example: [UInt8] = []
    example.append(field: 1, features)
    return example
  }

  /// Reads a value of the feature.
  private mutating func append(_ reader: inout JSONReader, _ name: JSONString) throws {
    let type = reader.kind
    let place = reader.at
    switch type {
    case .null, .array: throw ExampleWriter.unexpected(reader, name, type)
    case .true, .false:
      try reader.word()
      try expect(.int64, reader, name)
      values.append(varint: type == .true ? 1 : 0)
    case .string:
      let string = try reader.string()
      try expect(.bytes, reader, name)
      values.append(field: 1, reader.decoded(string))
    case .object:
      guard let string = try reader.base64Object() else { throw ExampleWriter.unexpected(reader, name, type) }
      try expect(.bytes, reader, name)
      guard let decoded = Base64.decode(reader.decoded(string)) else { throw BodyError("Unable to base64 decode") }
      values.append(field: 1, decoded)
    case .number:
      let number = try reader.number()
      if let value = number.integer(Int64.self) {
        try expect(.int64, reader, name)
        values.append(varint: UInt64(bitPattern: value))
      } else if number.magnitude != nil, !number.isNegative {
        try expect(.int64, reader, name)
        throw BodyError("Feature: \(reader.text(name)) has uint64 element. Only int64 is supported.")
      } else {
        // Integers that 64 bits do not hold are doubles to RapidJSON, and so floats here.
        try expect(.float, reader, name)
        let value = reader.float(number)
        guard value.isFinite || number.special != nil else {
          throw BodyError("Cannot convert JSON value: \(reader.described(at: place)) to float without loss of precision.")
        }
        unsafe withUnsafeBytes(of: value.bitPattern.littleEndian) { unsafe values.append(contentsOf: $0) }
      }
    }
  }

  /// The feature is of that kind from its first value on.
  private mutating func expect(_ kind: Kind, _ reader: borrowing JSONReader, _ name: JSONString) throws(BodyError) {
    guard let known = self.kind else {
      self.kind = kind
      return
    }
    if known != kind {
      throw BodyError("Unexpected element type in feature: \(reader.text(name)) expecting type: \(known)")
    }
  }

  private static func unexpected(_ reader: borrowing JSONReader, _ name: JSONString, _ type: JSONKind) -> BodyError {
    BodyError("Feature: \(reader.text(name)) has element with unexpected JSON type: \(type.rawValue)")
  }

  /// Appends the feature: an entry of `Features`.
  private func append(_ name: [UInt8], to features: inout [UInt8]) {
    // Numbers are packed: one field. Strings are fields already.
    let list = kind == .bytes ? values.count : WireSize.length(1, values.count)
    let feature = kind.map { WireSize.length($0.rawValue, list) } ?? 0
    features.append(head: 1, WireSize.length(1, name.count) + WireSize.length(2, feature))
    features.append(field: 1, name)
    features.append(head: 2, feature)
    guard let kind else { return }
    features.append(head: kind.rawValue, list)
    if kind != .bytes { features.append(head: 1, values.count) }
    features.append(contentsOf: values)
  }
}

extension Array where Element == UInt8 {
  fileprivate mutating func append(varint value: UInt64) {
    var rest = value
    while rest >= 0x80 {
      append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    append(UInt8(truncatingIfNeeded: rest))
  }

  /// What stands before `count` bytes of a field.
  fileprivate mutating func append(head number: UInt32, _ count: Int) {
    append(varint: UInt64(WireTag(number, .length).rawValue))
    append(varint: UInt64(count))
  }

  /// A field of bytes, strings or a message.
  fileprivate mutating func append(field number: UInt32, _ bytes: [UInt8]) {
    append(head: number, bytes.count)
    append(contentsOf: bytes)
  }
}
