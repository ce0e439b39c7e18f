public import Wire

/// Who wrote a graph or bundle, and who may read it (tensorflow/core/framework/versions.proto).
///
///     producer 1, min_consumer 2, bad_consumers 3
public struct VersionDef: Sendable, Equatable {
  public private(set) var producer: Int32 = 0
  public private(set) var minConsumer: Int32 = 0

  /// Zero versions.
  public init() {}

  public init(_ message: WireMessage) throws(WireError) {
    var reader = WireReader(message)
    while let tag = try reader.nextTag() {
      switch tag {
      case .varint(1): producer = try reader.int32()
      case .varint(2): minConsumer = try reader.int32()
      default: try reader.skip(tag)
      }
    }
  }
}
