public import Tensors
public import Wire

/// A named way to call a graph (tensorflow/core/protobuf/meta_graph.proto).
///
///     inputs 1 (map<string, TensorInfo>), outputs 2 (same), method_name 3, defaults 4 (map<string, TensorProto>)
public struct SignatureDef: ~Escapable {
  /// The message's bytes, to be sent on as they are.
  public let message: WireMessage
  public let methodName: RawSpan

  @_lifetime(copy message)
  public init(_ message: WireMessage) throws(WireError) {
    var methodName: Range<UInt32> = 0..<0
    var reader = WireReader(message)
    while let tag = try reader.nextTag() {
      switch tag {
      case .length(3): methodName = try reader.lengthDelimited()
      default: try reader.skip(tag)
      }
    }
    self.message = message
    self.methodName = message.bytes.extracting(methodName)
  }

  /// Alias → `TensorInfo`.
  public var inputs: WireMap {
    @_lifetime(copy self)
    get { WireMap(message, number: 1) }
  }

  /// Alias → `TensorInfo`.
  public var outputs: WireMap {
    @_lifetime(copy self)
    get { WireMap(message, number: 2) }
  }

  /// Alias → `TensorProto`, for inputs a request may leave out.
  public var defaults: WireMap {
    @_lifetime(copy self)
    get { WireMap(message, number: 4) }
  }
}

/// A tensor of a graph, as a signature names it.
///
///     dtype 2, tensor_shape 3, and one of: name 1, coo_sparse 4, composite_tensor 5
public struct TensorInfo: ~Escapable {
  public enum Encoding: Sendable {
    case none
    /// One tensor: `name`.
    case dense
    /// Three tensors: `sparse`.
    case sparse
    /// Several: `components`.
    case composite
  }

  public let encoding: Encoding
  /// `node:port` of a dense tensor.
  public let name: RawSpan
  public let dtypeNumber: Int32
  public let shape: TensorShapeProto
  /// A CooSparse or CompositeTensor, by `encoding`.
  let parts: WireMessage

  @_lifetime(copy message)
  public init(_ message: WireMessage) throws(WireError) {
    var encoding = Encoding.none
    var name: Range<UInt32> = 0..<0
    var dtype: Int32 = 0
    var shape = WireExtent.absent
    var parts = WireExtent.absent
    var reader = WireReader(message)
    while let tag = try reader.nextTag() {
      switch tag {
      case .length(1):
        name = try reader.lengthDelimited()
        encoding = .dense
      case .varint(2): dtype = try reader.int32()
      case .length(3): try shape.append(try reader.lengthDelimited())
      case .length(4):
        if encoding != .sparse { parts = .absent }
        encoding = .sparse
        try parts.append(try reader.lengthDelimited())
      case .length(5):
        if encoding != .composite { parts = .absent }
        encoding = .composite
        try parts.append(try reader.lengthDelimited())
      default: try reader.skip(tag)
      }
    }
    self.encoding = encoding
    self.name = message.bytes.extracting(encoding == .dense ? name : 0..<0)
    dtypeNumber = dtype
    self.shape = try TensorShapeProto(WireMessage(message.bytes, at: shape))
    self.parts = WireMessage(message.bytes, at: parts)
  }

  /// The element type; `nil` for DT_INVALID. A reference type counts as its base type.
  public var dtype: DType? { DType(wire: Int(dtypeNumber)) }

  /// The tensors of a sparse tensor: values_tensor_name 1, indices_tensor_name 2, dense_shape_tensor_name 3.
  public func sparse() throws(WireError) -> (values: [UInt8], indices: [UInt8], denseShape: [UInt8])? {
    guard encoding == .sparse else { return nil }
    var ranges: (Range<UInt32>, Range<UInt32>, Range<UInt32>) = (0..<0, 0..<0, 0..<0)
    var reader = WireReader(parts)
    while let tag = try reader.nextTag() {
      switch tag {
      case .length(1): ranges.0 = try reader.lengthDelimited()
      case .length(2): ranges.1 = try reader.lengthDelimited()
      case .length(3): ranges.2 = try reader.lengthDelimited()
      default: try reader.skip(tag)
      }
    }
    let bytes = parts.bytes
    return (
      Array(bytes.extracting(ranges.0)), Array(bytes.extracting(ranges.1)), Array(bytes.extracting(ranges.2))
    )
  }

  /// The tensors of a composite tensor, each a `TensorInfo`.
  /// - Precondition: `encoding == .composite`.
  public var components: WireFields {
    @_lifetime(copy self)
    get {
      precondition(encoding == .composite)
      return WireFields(parts, number: 2)
    }
  }
}
