public import Wire

/// A graph with its tags, signatures, collections and assets (tensorflow/core/protobuf/meta_graph.proto).
///
///     meta_info_def 1, graph_def 2, saver_def 3, collection_def 4 (map), signature_def 5 (map), asset_file_def 6
public struct MetaGraphDef: ~Escapable {
  let message: WireMessage
  /// A `MetaInfoDef`.
  public let metaInfo: WireMessage
  /// A `GraphDef`.
  public let graph: WireMessage
  /// A `SaverDef`; absent in what TF2 saves without variables.
  public let saver: WireMessage

  @_lifetime(copy message)
  public init(_ message: WireMessage) throws(WireError) {
    var metaInfo = WireExtent.absent
    var graph = WireExtent.absent
    var saver = WireExtent.absent
    var reader = WireReader(message)
    while let tag = try reader.nextTag() {
      switch tag {
      case .length(1): try metaInfo.append(try reader.lengthDelimited())
      case .length(2): try graph.append(try reader.lengthDelimited())
      case .length(3): try saver.append(try reader.lengthDelimited())
      default: try reader.skip(tag)
      }
    }
    self.message = message
    self.metaInfo = WireMessage(message.bytes, at: metaInfo)
    self.graph = WireMessage(message.bytes, at: graph)
    self.saver = WireMessage(message.bytes, at: saver)
  }

  /// Collection name → `CollectionDef`.
  public var collections: WireMap {
    @_lifetime(copy self)
    get { WireMap(message, number: 4) }
  }

  /// Signature name → `SignatureDef`.
  public var signatures: WireMap {
    @_lifetime(copy self)
    get { WireMap(message, number: 5) }
  }

  /// Each an `AssetFileDef`.
  public var assets: WireFields {
    @_lifetime(copy self)
    get { WireFields(message, number: 6) }
  }
}

/// MetaGraphDef.MetaInfoDef.
///
///     meta_graph_version 1, tags 4, tensorflow_version 5, stripped_default_attrs 7, function_aliases 8 (map)
public struct MetaInfoDef: ~Escapable {
  let message: WireMessage
  public let metaGraphVersion: RawSpan
  public let tensorflowVersion: RawSpan
  /// Whether attributes that have their default value were left out of the nodes.
  public let isStrippedOfDefaults: Bool

  @_lifetime(copy message)
  public init(_ message: WireMessage) throws(WireError) {
    var metaGraphVersion: Range<UInt32> = 0..<0
    var tensorflowVersion: Range<UInt32> = 0..<0
    var isStripped = false
    var reader = WireReader(message)
    while let tag = try reader.nextTag() {
      switch tag {
      case .length(1): metaGraphVersion = try reader.lengthDelimited()
      case .length(5): tensorflowVersion = try reader.lengthDelimited()
      case .varint(7): isStripped = try reader.bool()
      default: try reader.skip(tag)
      }
    }
    self.message = message
    self.metaGraphVersion = message.bytes.extracting(metaGraphVersion)
    self.tensorflowVersion = message.bytes.extracting(tensorflowVersion)
    isStrippedOfDefaults = isStripped
  }

  /// The tags, each a string.
  public var tags: WireFields {
    @_lifetime(copy self)
    get { WireFields(message, number: 4) }
  }

  /// The MLIR or function names other functions stand for: map<string, string>.
  public var functionAliases: WireMap {
    @_lifetime(copy self)
    get { WireMap(message, number: 8) }
  }
}

/// A file in the model's assets directory, and the tensor its path is fed to.
///
///     tensor_info 1, filename 2
public struct AssetFileDef: ~Escapable {
  public let tensor: TensorInfo
  public let filename: RawSpan

  @_lifetime(copy message)
  public init(_ message: WireMessage) throws(WireError) {
    var tensor = WireExtent.absent
    var filename: Range<UInt32> = 0..<0
    var reader = WireReader(message)
    while let tag = try reader.nextTag() {
      switch tag {
      case .length(1): try tensor.append(try reader.lengthDelimited())
      case .length(2): filename = try reader.lengthDelimited()
      default: try reader.skip(tag)
      }
    }
    self.tensor = try TensorInfo(WireMessage(message.bytes, at: tensor))
    self.filename = message.bytes.extracting(filename)
  }
}
