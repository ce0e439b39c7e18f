public import Tensors
public import Wire

/// The value of an attribute (tensorflow/core/framework/attr_value.proto): one of
///
///     list 1, s 2, i 3, f 4, b 5, type 6, shape 7, tensor 8, placeholder 9, func 10
public struct AttrValue: ~Escapable {
  public enum Kind: UInt32, Sendable {
    case none = 0
    case list = 1
    case string = 2
    case int = 3
    case float = 4
    case bool = 5
    case type = 6
    case shape = 7
    case tensor = 8
    case placeholder = 9
    case function = 10
  }

  public let kind: Kind
  /// The number of an int, bool or type, the bits of a float.
  let number: UInt64
  /// The bytes of whatever else.
  let body: WireMessage

  @_lifetime(copy message)
  public init(_ message: WireMessage) throws(WireError) {
    var kind = Kind.none
    var number: UInt64 = 0
    var body = WireExtent.absent
    var reader = WireReader(message)
    while let tag = try reader.nextTag() {
      switch tag {
      case .varint(3), .varint(5), .varint(6):
        number = try reader.varint()
        body = .absent
      case .fixed32(4):
        number = UInt64(try reader.fixed32())
        body = .absent
      case .length(2), .length(9):
        body = WireExtent(try reader.lengthDelimited())
      case .length(1), .length(7), .length(8), .length(10):
        // A message after one of the same kind merges into it; after another kind it replaces.
        if kind.rawValue != tag.number { body = .absent }
        try body.append(try reader.lengthDelimited())
      default:
        try reader.skip(tag)
        continue
      }
      kind = Kind(rawValue: tag.number) ?? .none
    }
    self.kind = kind
    self.number = number
    self.body = WireMessage(message.bytes, at: body)
  }

  /// Of `.string` the bytes, of `.placeholder` the name.
  public var string: RawSpan? {
    @_lifetime(copy self)
    get { kind == .string || kind == .placeholder ? body.contiguous : nil }
  }

  public var int: Int64? { kind == .int ? Int64(bitPattern: number) : nil }

  public var float: Float? { kind == .float ? Float(bitPattern: UInt32(truncatingIfNeeded: number)) : nil }

  public var bool: Bool? { kind == .bool ? number != 0 : nil }

  /// `tensorflow.DataType` as written.
  public var typeNumber: Int32? { kind == .type ? Int32(truncatingIfNeeded: number) : nil }

  public var type: DType? {
    guard let typeNumber else { return nil }
    return DType(wire: Int(typeNumber))
  }

  public func shape() throws(WireError) -> TensorShapeProto? {
    kind == .shape ? try TensorShapeProto(body) : nil
  }

  @_lifetime(copy self)
  public func tensor() throws(WireError) -> TensorProto? {
    guard kind == .tensor else { return nil }
    return try TensorProto(body)
  }

  @_lifetime(copy self)
  public func function() throws(WireError) -> NameAttrList? {
    guard kind == .function else { return nil }
    return try NameAttrList(body)
  }

  @_lifetime(copy self)
  public func list() -> AttrList? {
    guard kind == .list else { return nil }
    return AttrList(message: body)
  }
}

/// AttrValue.ListValue: values of one kind, usually.
///
///     s 2, i 3, f 4, b 5, type 6, shape 7, tensor 8, func 9
public struct AttrList: ~Escapable {
  let message: WireMessage

  @_lifetime(copy message)
  init(message: WireMessage) { self.message = message }

  public var strings: WireFields {
    @_lifetime(copy self)
    get { WireFields(message, number: 2) }
  }

  public func ints() throws(WireError) -> [Int64] {
    try WireNumbers.varints(message, 3).map(Int64.init(bitPattern:))
  }

  public func floats() throws(WireError) -> [Float] {
    try WireNumbers.fixed32s(message, 4).map(Float.init(bitPattern:))
  }

  public func bools() throws(WireError) -> [Bool] { try WireNumbers.varints(message, 5).map { $0 != 0 } }

  /// `tensorflow.DataType`s as written.
  public func typeNumbers() throws(WireError) -> [Int32] {
    try WireNumbers.varints(message, 6).map { Int32(truncatingIfNeeded: $0) }
  }

  /// Each a `TensorShapeProto`.
  public var shapes: WireFields {
    @_lifetime(copy self)
    get { WireFields(message, number: 7) }
  }

  /// Each a `TensorProto`.
  public var tensors: WireFields {
    @_lifetime(copy self)
    get { WireFields(message, number: 8) }
  }

  /// Each a `NameAttrList`.
  public var functions: WireFields {
    @_lifetime(copy self)
    get { WireFields(message, number: 9) }
  }
}

/// A function's name and the attributes it is instantiated with.
///
///     name 1, attr 2 (map<string, AttrValue>)
public struct NameAttrList: ~Escapable {
  let message: WireMessage
  public let name: RawSpan

  @_lifetime(copy message)
  public init(_ message: WireMessage) throws(WireError) {
    var name: Range<UInt32> = 0..<0
    var reader = WireReader(message)
    while let tag = try reader.nextTag() {
      switch tag {
      case .length(1): name = try reader.lengthDelimited()
      default: try reader.skip(tag)
      }
    }
    self.message = message
    self.name = message.bytes.extracting(name)
  }

  /// Name → `AttrValue`.
  public var attributes: WireMap {
    @_lifetime(copy self)
    get { WireMap(message, number: 2) }
  }
}
