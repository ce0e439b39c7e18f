public import Wire

/// The nodes that save and restore a graph's variables (tensorflow/core/protobuf/saver.proto).
///
///     filename_tensor_name 1, save_tensor_name 2, restore_op_name 3, version 7
public struct SaverDef: ~Escapable {
  public let filenameTensorName: RawSpan
  public let saveTensorName: RawSpan
  public let restoreOpName: RawSpan
  /// LEGACY 0, V1 1, V2 2: only V2 writes tensor bundles.
  public let version: Int32

  @_lifetime(copy message)
  public init(_ message: WireMessage) throws(WireError) {
    var filename: Range<UInt32> = 0..<0
    var save: Range<UInt32> = 0..<0
    var restore: Range<UInt32> = 0..<0
    var version: Int32 = 0
    var reader = WireReader(message)
    while let tag = try reader.nextTag() {
      switch tag {
      case .length(1): filename = try reader.lengthDelimited()
      case .length(2): save = try reader.lengthDelimited()
      case .length(3): restore = try reader.lengthDelimited()
      case .varint(7): version = try reader.int32()
      default: try reader.skip(tag)
      }
    }
    filenameTensorName = message.bytes.extracting(filename)
    saveTensorName = message.bytes.extracting(save)
    restoreOpName = message.bytes.extracting(restore)
    self.version = version
  }
}
