public import Tensors
public import Wire

/// A tensor with a name (tensorflow/core/protobuf/named_tensor.proto).
///
///     name 1, tensor 2
public struct NamedTensorProto: ~Escapable {
  public let name: RawSpan
  /// A `TensorProto`.
  public let tensor: WireMessage

  @_lifetime(copy message)
  public init(_ message: WireMessage) throws(WireError) {
    var name: Range<UInt32> = 0..<0
    var tensor = WireExtent.absent
    var reader = WireReader(message)
    while let tag = try reader.nextTag() {
      switch tag {
      case .length(1): name = try reader.lengthDelimited()
      case .length(2): try tensor.append(try reader.lengthDelimited())
      default: try reader.skip(tag)
      }
    }
    self.name = message.bytes.extracting(name)
    self.tensor = WireMessage(message.bytes, at: tensor)
  }

  /// The bytes of the message.
  public static func size(_ name: RawSpan, _ tensor: TensorProtoSize) -> Int {
    WireSize.string(1, name) + WireSize.length(2, tensor.byteSize)
  }

  public static func append(
    _ name: RawSpan, _ tensor: borrowing TensorView, _ size: TensorProtoSize, to output: inout OutputRawSpan
  ) {
    output.appendString(1, name)
    output.appendLength(2, size.byteSize)
    size.append(tensor, to: &output)
  }
}
