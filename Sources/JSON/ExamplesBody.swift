// The body of a Classify or Regress: `{"examples": [{...}], "context": {...}}`, made into serialized tf.Examples, which the
// example ops of a graph read. A feature's JSON says its kind: integers and booleans are int64s, numbers with a fraction or an
// exponent are floats, strings are bytes.
internal import Wire

public struct ExamplesBody {
  public let signatureName: String
  /// Serialized tf.Examples. A context stands in front of each, which is how protobuf merges messages: what the example
  /// says itself counts.
  public let examples: [[UInt8]]

  public init(_ bytes: RawSpan) throws(BodyError) {
    let index = try BodyIndex(bytes, ["signature_name", "context", "examples"])
    signatureName = try RequestBody.signatureName(bytes, at: index[0]) ?? ""
    let reader = JSONReader(bytes)
    let context = if let place = index[1] { try ExamplesBody.example(reader, place) } else { [UInt8]() }
    guard let place = index[2] else {
      throw ExamplesBody.error(reader, "When method is classify, key 'examples' is expected and was not found")
    }
    guard reader.kind(at: place) == .array else {
      throw ExamplesBody.error(reader, "Expecting 'examples' value to be an list/array")
    }
    let elements = reader.elements(at: place)
    guard !elements.isEmpty else { throw ExamplesBody.error(reader, "'examples' value is an empty array") }
    var examples: [[UInt8]] = []
    examples.reserveCapacity(elements.count)
    for element in elements { examples.append(context + (try ExamplesBody.example(reader, element))) }
    self.examples = examples
  }

  private static func error(_ reader: borrowing JSONReader, _ text: String) -> BodyError {
    BodyError("JSON Value: \(reader.described(at: reader.bodyStart)) \(text)")
  }

  /// What a feature holds so far.
  fileprivate enum Feature {
    case empty
    case bytes([[UInt8]])
    case floats([Float])
    case integers([Int64])

    var kindName: String {
      switch self {
      case .empty: "UNKNOWN"
      case .bytes: "bytes"
      case .floats: "float"
      case .integers: "int64"
      }
    }
  }

  private static func example(_ text: borrowing JSONReader, _ place: Int) throws(BodyError) -> [UInt8] {
    var reader = JSONReader(text.bytes)
    reader.at = place
    guard reader.kind == .object else {
      throw BodyError("Example must be JSON object but got JSON \(reader.kind.rawValue)")
    }
    var features: [UInt8] = []
    do {
      if reader.enterObject() {
        repeat {
          let name = try reader.name()
          var feature = Feature.empty
          if reader.kind == .array {
            if reader.enterArray() {
              repeat { try append(&reader, name, to: &feature) } while try reader.nextElement()
            }
          } else {
            try append(&reader, name, to: &feature)
          }
          append(reader.decoded(name), feature, to: &features)
        } while try reader.nextMember()
      }
    } catch let error as BodyError {
      throw error
    } catch let error as JSONSyntaxError {
      throw BodyError(error)
    } catch {
      throw BodyError("\(error)")
    }
    var example: [UInt8] = []
    example.append(field: 1, features)
    return example
  }

  private static func append(_ reader: inout JSONReader, _ name: JSONString, to feature: inout Feature) throws(BodyError) {
    let kind = reader.kind
    let place = reader.at
    func unexpected(_ reader: borrowing JSONReader) -> BodyError {
      BodyError("Feature: \(reader.text(name)) has element with unexpected JSON type: \(kind.rawValue)")
    }
    func incompatible(_ reader: borrowing JSONReader, _ feature: Feature) -> BodyError {
      BodyError("Unexpected element type in feature: \(reader.text(name)) expecting type: \(feature.kindName)")
    }
    do {
      switch kind {
      case .null, .array: throw unexpected(reader)
      case .true, .false:
        try reader.word()
        guard feature.append(kind == .true ? 1 : 0 as Int64) else { throw incompatible(reader, feature) }
      case .string:
        let string = try reader.string()
        guard feature.append(reader.decoded(string)) else { throw incompatible(reader, feature) }
      case .object:
        guard let string = try reader.base64Object() else { throw unexpected(reader) }
        guard feature.append([UInt8]()) else { throw incompatible(reader, feature) }
        guard let decoded = Base64.decode(reader.decoded(string)) else { throw BodyError("Unable to base64 decode") }
        feature.replaceLast(decoded)
      case .number:
        let number = try reader.number()
        if number.magnitude != nil {
          guard feature.takesIntegers else { throw incompatible(reader, feature) }
          guard let value = number.integer(Int64.self) else {
            // RapidJSON has no negative integer beyond 64 bits: those are doubles there, and then floats.
            if number.isNegative { throw incompatible(reader, feature) }
            throw BodyError("Feature: \(reader.text(name)) has uint64 element. Only int64 is supported.")
          }
          _ = feature.append(value)
        } else {
          let value = reader.float(number)
          guard feature.takesFloats else { throw incompatible(reader, feature) }
          guard value.isFinite || number.special != nil else {
            throw BodyError("Cannot convert JSON value: \(reader.described(at: place)) to float without loss of precision.")
          }
          _ = feature.append(value)
        }
      }
    } catch let error as BodyError {
      throw error
    } catch let error as JSONSyntaxError {
      throw BodyError(error)
    } catch {
      throw BodyError("\(error)")
    }
  }

  /// A member of the map of features.
  private static func append(_ name: [UInt8], _ feature: Feature, to features: inout [UInt8]) {
    var list: [UInt8] = []
    var kind: UInt32 = 0
    switch feature {
    case .empty: break
    case .bytes(let values):
      kind = 1
      for value in values { list.append(field: 1, value) }
    case .floats(let values):
      kind = 2
      var packed: [UInt8] = []
      packed.reserveCapacity(values.count * 4)
      for value in values {
        let bits = value.bitPattern
        for shift in [0, 8, 16, 24] as [UInt32] { packed.append(UInt8(truncatingIfNeeded: bits >> shift)) }
      }
      list.append(field: 1, packed)
    case .integers(let values):
      kind = 3
      var packed: [UInt8] = []
      for value in values { packed.append(varint: UInt64(bitPattern: value)) }
      list.append(field: 1, packed)
    }
    var value: [UInt8] = []
    if kind != 0 { value.append(field: kind, list) }
    var entry: [UInt8] = []
    entry.append(field: 1, name)
    entry.append(field: 2, value)
    features.append(field: 1, entry)
  }
}

extension ExamplesBody.Feature {
  fileprivate var takesIntegers: Bool {
    switch self {
    case .empty, .integers: true
    default: false
    }
  }

  fileprivate var takesFloats: Bool {
    switch self {
    case .empty, .floats: true
    default: false
    }
  }

  /// False: the feature holds something else.
  fileprivate mutating func append(_ value: Int64) -> Bool {
    switch self {
    case .empty: self = .integers([value])
    case .integers(var values):
      self = .empty
      values.append(value)
      self = .integers(values)
    default: return false
    }
    return true
  }

  fileprivate mutating func append(_ value: Float) -> Bool {
    switch self {
    case .empty: self = .floats([value])
    case .floats(var values):
      self = .empty
      values.append(value)
      self = .floats(values)
    default: return false
    }
    return true
  }

  fileprivate mutating func append(_ value: [UInt8]) -> Bool {
    switch self {
    case .empty: self = .bytes([value])
    case .bytes(var values):
      self = .empty
      values.append(value)
      self = .bytes(values)
    default: return false
    }
    return true
  }

  fileprivate mutating func replaceLast(_ value: [UInt8]) {
    guard case .bytes(var values) = self else { return }
    self = .empty
    values[values.count - 1] = value
    self = .bytes(values)
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

  /// A field of bytes, strings or a message.
  fileprivate mutating func append(field number: UInt32, _ bytes: [UInt8]) {
    append(varint: UInt64(WireTag(number, .length).rawValue))
    append(varint: UInt64(bytes.count))
    append(contentsOf: bytes)
  }
}
