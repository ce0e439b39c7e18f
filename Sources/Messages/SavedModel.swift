public import Wire

/// The file saved_model.pb (tensorflow/core/protobuf/saved_model.proto).
///
///     saved_model_schema_version 1, meta_graphs 2
public struct SavedModel: ~Escapable {
  let message: WireMessage
  public let schemaVersion: Int64

  @_lifetime(copy message)
  public init(_ message: WireMessage) throws(WireError) {
    var version: Int64 = 0
    var reader = WireReader(message)
    while let tag = try reader.nextTag() {
      switch tag {
      case .varint(1): version = try reader.int64()
      default: try reader.skip(tag)
      }
    }
    self.message = message
    schemaVersion = version
  }

  /// The model that fills `bytes`.
  @_lifetime(copy bytes)
  public init(_ bytes: RawSpan) throws(WireError) {
    try self.init(WireMessage(bytes))
  }

  /// Each a `MetaGraphDef`.
  public var metaGraphs: WireFields {
    @_lifetime(copy self)
    get { WireFields(message, number: 2) }
  }
}
