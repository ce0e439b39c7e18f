public import Wire

/// A named collection of a graph (tensorflow/core/protobuf/meta_graph.proto): one of five lists, each with its values
/// as field 1.
public struct CollectionDef: ~Escapable {
  public enum Kind: UInt32, Sendable {
    case nodes = 1
    case bytes = 2
    case int64s = 3
    case floats = 4
    case any = 5
  }

  /// Which list it is; `nil` when none was set.
  public let kind: Kind?
  let list: WireMessage

  @_lifetime(copy message)
  public init(_ message: WireMessage) throws(WireError) {
    var kind: Kind? = nil
    var list = WireExtent.absent
    var reader = WireReader(message)
    while let tag = try reader.nextTag() {
      guard tag.type == .length, let next = Kind(rawValue: tag.number) else {
        try reader.skip(tag)
        continue
      }
      if next != kind { list = .absent }
      kind = next
      try list.append(try reader.lengthDelimited())
    }
    self.kind = kind
    self.list = WireMessage(message.bytes, at: list)
  }

  /// The values of `nodes` (tensor or op names), `bytes` (serialized messages: VariableDef and others) or `any`
  /// (each an `AnyMessage`).
  public var values: WireFields {
    @_lifetime(copy self)
    get { WireFields(list, number: 1) }
  }

  /// The values of `int64s`.
  public func int64s() throws(WireError) -> [Int64] {
    try WireNumbers.varints(list, 1).map(Int64.init(bitPattern:))
  }

  /// The values of `floats`.
  public func floats() throws(WireError) -> [Float] {
    try WireNumbers.fixed32s(list, 1).map(Float.init(bitPattern:))
  }
}

/// google.protobuf.Any: a message and the name of its type.
///
///     type_url 1, value 2
public struct AnyMessage: ~Escapable {
  public let typeURL: RawSpan
  public let value: RawSpan

  @_lifetime(copy message)
  public init(_ message: WireMessage) throws(WireError) {
    var typeURL: Range<UInt32> = 0..<0
    var value: Range<UInt32> = 0..<0
    var reader = WireReader(message)
    while let tag = try reader.nextTag() {
      switch tag {
      case .length(1): typeURL = try reader.lengthDelimited()
      case .length(2): value = try reader.lengthDelimited()
      default: try reader.skip(tag)
      }
    }
    self.typeURL = message.bytes.extracting(typeURL)
    self.value = message.bytes.extracting(value)
  }

  /// A message to write.
  @_lifetime(copy typeURL, copy value)
  public init(typeURL: RawSpan, value: RawSpan) {
    self.typeURL = typeURL
    self.value = value
  }

  public var byteSize: Int { WireSize.string(1, typeURL) + WireSize.string(2, value) }

  public func append(to output: inout OutputRawSpan) {
    output.appendString(1, typeURL)
    output.appendString(2, value)
  }
}
