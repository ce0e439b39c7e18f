public import Wire

/// The interface of an op or function (tensorflow/core/framework/op_def.proto).
///
///     name 1, input_arg 2, output_arg 3, attr 4, is_stateful 17, control_output 20
public struct OpDef: ~Escapable {
  let message: WireMessage
  public let name: RawSpan
  public let isStateful: Bool

  @_lifetime(copy message)
  public init(_ message: WireMessage) throws(WireError) {
    var name: Range<UInt32> = 0..<0
    var isStateful = false
    var reader = WireReader(message)
    while let tag = try reader.nextTag() {
      switch tag {
      case .length(1): name = try reader.lengthDelimited()
      case .varint(17): isStateful = try reader.bool()
      default: try reader.skip(tag)
      }
    }
    self.message = message
    self.name = message.bytes.extracting(name)
    self.isStateful = isStateful
  }

  /// Each an `OpArgDef`.
  public var inputArguments: WireFields {
    @_lifetime(copy self)
    get { WireFields(message, number: 2) }
  }

  /// Each an `OpArgDef`.
  public var outputArguments: WireFields {
    @_lifetime(copy self)
    get { WireFields(message, number: 3) }
  }

  /// Each an `OpAttrDef`.
  public var attributes: WireFields {
    @_lifetime(copy self)
    get { WireFields(message, number: 4) }
  }

  /// Names of control outputs.
  public var controlOutputs: WireFields {
    @_lifetime(copy self)
    get { WireFields(message, number: 20) }
  }
}

/// OpDef.ArgDef: an argument. Its type is `typeNumber`, or the attribute `typeAttribute`; it is a list of as many as the
/// attribute `numberAttribute` says, or of the types `typeListAttribute` lists.
///
///     name 1, type 3, type_attr 4, number_attr 5, type_list_attr 6, is_ref 16
public struct OpArgDef: ~Escapable {
  public let name: RawSpan
  public let typeNumber: Int32
  public let typeAttribute: RawSpan
  public let numberAttribute: RawSpan
  public let typeListAttribute: RawSpan
  public let isReference: Bool

  @_lifetime(copy message)
  public init(_ message: WireMessage) throws(WireError) {
    var name: Range<UInt32> = 0..<0
    var typeNumber: Int32 = 0
    var typeAttribute: Range<UInt32> = 0..<0
    var numberAttribute: Range<UInt32> = 0..<0
    var typeListAttribute: Range<UInt32> = 0..<0
    var isReference = false
    var reader = WireReader(message)
    while let tag = try reader.nextTag() {
      switch tag {
      case .length(1): name = try reader.lengthDelimited()
      case .varint(3): typeNumber = try reader.int32()
      case .length(4): typeAttribute = try reader.lengthDelimited()
      case .length(5): numberAttribute = try reader.lengthDelimited()
      case .length(6): typeListAttribute = try reader.lengthDelimited()
      case .varint(16): isReference = try reader.bool()
      default: try reader.skip(tag)
      }
    }
    self.name = message.bytes.extracting(name)
    self.typeNumber = typeNumber
    self.typeAttribute = message.bytes.extracting(typeAttribute)
    self.numberAttribute = message.bytes.extracting(numberAttribute)
    self.typeListAttribute = message.bytes.extracting(typeListAttribute)
    self.isReference = isReference
  }
}

/// OpDef.AttrDef: an attribute and its default.
///
///     name 1, type 2, default_value 3 (AttrValue)
public struct OpAttrDef: ~Escapable {
  public let name: RawSpan
  public let type: RawSpan
  /// An `AttrValue`; absent when the attribute has no default.
  public let defaultValue: WireMessage

  @_lifetime(copy message)
  public init(_ message: WireMessage) throws(WireError) {
    var name: Range<UInt32> = 0..<0
    var type: Range<UInt32> = 0..<0
    var defaultValue = WireExtent.absent
    var reader = WireReader(message)
    while let tag = try reader.nextTag() {
      switch tag {
      case .length(1): name = try reader.lengthDelimited()
      case .length(2): type = try reader.lengthDelimited()
      case .length(3): try defaultValue.append(try reader.lengthDelimited())
      default: try reader.skip(tag)
      }
    }
    self.name = message.bytes.extracting(name)
    self.type = message.bytes.extracting(type)
    self.defaultValue = WireMessage(message.bytes, at: defaultValue)
  }
}
