public import Wire

/// A node of a graph (tensorflow/core/framework/node_def.proto).
///
///     name 1, op 2, input 3, device 4, attr 5 (map<string, AttrValue>)
public struct NodeDef: ~Escapable {
  let message: WireMessage
  public let name: RawSpan
  public let op: RawSpan
  public let device: RawSpan

  @_lifetime(copy message)
  public init(_ message: WireMessage) throws(WireError) {
    var name: Range<UInt32> = 0..<0
    var op: Range<UInt32> = 0..<0
    var device: Range<UInt32> = 0..<0
    var reader = WireReader(message)
    while let tag = try reader.nextTag() {
      switch tag {
      case .length(1): name = try reader.lengthDelimited()
      case .length(2): op = try reader.lengthDelimited()
      case .length(4): device = try reader.lengthDelimited()
      default: try reader.skip(tag)
      }
    }
    self.message = message
    self.name = message.bytes.extracting(name)
    self.op = message.bytes.extracting(op)
    self.device = message.bytes.extracting(device)
  }

  /// The inputs: `node`, `node:port`, or `^node` for control. In a function body `node:output:index`.
  public var inputs: WireFields {
    @_lifetime(copy self)
    get { WireFields(message, number: 3) }
  }

  /// Name → `AttrValue`.
  public var attributes: WireMap {
    @_lifetime(copy self)
    get { WireMap(message, number: 5) }
  }
}
