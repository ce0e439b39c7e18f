public import Wire

/// A function nodes may call (tensorflow/core/framework/function.proto).
///
///     signature 1 (OpDef), node_def 3, ret 4 (map<string, string>), attr 5 (map<string, AttrValue>),
///     control_ret 6 (map<string, string>), arg_attr 7 (map<uint32, ArgAttrs>), resource_arg_unique_id 8
public struct FunctionDef: ~Escapable {
  let message: WireMessage
  public let signature: OpDef

  @_lifetime(copy message)
  public init(_ message: WireMessage) throws(WireError) {
    var signature = WireExtent.absent
    var reader = WireReader(message)
    while let tag = try reader.nextTag() {
      switch tag {
      case .length(1): try signature.append(try reader.lengthDelimited())
      default: try reader.skip(tag)
      }
    }
    self.message = message
    self.signature = try OpDef(WireMessage(message.bytes, at: signature))
  }

  /// The body: each a `NodeDef`.
  public var nodes: WireFields {
    @_lifetime(copy self)
    get { WireFields(message, number: 3) }
  }

  /// Output argument → tensor of the body, as `node:output:index` or an input argument's name.
  public var returns: WireMap {
    @_lifetime(copy self)
    get { WireMap(message, number: 4) }
  }

  /// Name → `AttrValue`.
  public var attributes: WireMap {
    @_lifetime(copy self)
    get { WireMap(message, number: 5) }
  }

  /// Control output → node of the body.
  public var controlReturns: WireMap {
    @_lifetime(copy self)
    get { WireMap(message, number: 6) }
  }

  /// Argument number (`keyNumber`) → ArgAttrs, whose field 1 is a map name → `AttrValue`.
  public var argumentAttributes: WireMap {
    @_lifetime(copy self)
    get { WireMap(message, number: 7) }
  }
}
