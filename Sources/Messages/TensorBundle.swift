public import Tensors
public import Wire

/// The header of a tensor bundle's index, under the empty key (tensorflow/core/protobuf/tensor_bundle.proto).
///
///     num_shards 1, endianness 2, version 3
public struct BundleHeaderProto: Sendable {
  public private(set) var shardCount: Int32 = 0
  /// LITTLE 0, BIG 1.
  public private(set) var endianness: Int32 = 0
  public let version: VersionDef

  public init(_ message: WireMessage) throws(WireError) {
    var version = WireExtent.absent
    var reader = WireReader(message)
    while let tag = try reader.nextTag() {
      switch tag {
      case .varint(1): shardCount = try reader.int32()
      case .varint(2): endianness = try reader.int32()
      case .length(3): try version.append(try reader.lengthDelimited())
      default: try reader.skip(tag)
      }
    }
    self.version = try VersionDef(WireMessage(message.bytes, at: version))
  }

  public var isBigEndian: Bool { endianness == 1 }
}

/// Where a tensor's bytes stand in a bundle's shards, under the tensor's name.
///
///     dtype 1, shape 2, shard_id 3, offset 4, size 5, crc32c 6 (fixed32, masked), slices 7
public struct BundleEntryProto: ~Escapable {
  let message: WireMessage
  public let dtypeNumber: Int32
  public let shape: TensorShapeProto
  public let shard: Int32
  public let offset: Int64
  public let size: Int64
  /// CRC-32C of the bytes, masked as LevelDB masks it.
  public let maskedCRC32C: UInt32
  /// Slices a partitioned variable was saved in; the entry then has no bytes of its own.
  public let sliceCount: Int

  @_lifetime(copy message)
  public init(_ message: WireMessage) throws(WireError) {
    var dtypeNumber: Int32 = 0
    var shape = WireExtent.absent
    var shard: Int32 = 0
    var offset: Int64 = 0
    var size: Int64 = 0
    var crc: UInt32 = 0
    var slices = 0
    var reader = WireReader(message)
    while let tag = try reader.nextTag() {
      switch tag {
      case .varint(1): dtypeNumber = try reader.int32()
      case .length(2): try shape.append(try reader.lengthDelimited())
      case .varint(3): shard = try reader.int32()
      case .varint(4): offset = try reader.int64()
      case .varint(5): size = try reader.int64()
      case .fixed32(6): crc = try reader.fixed32()
      case .length(7):
        _ = try reader.lengthDelimited()
        slices += 1
      default: try reader.skip(tag)
      }
    }
    self.message = message
    self.dtypeNumber = dtypeNumber
    self.shape = try TensorShapeProto(WireMessage(message.bytes, at: shape))
    self.shard = shard
    self.offset = offset
    self.size = size
    maskedCRC32C = crc
    sliceCount = slices
  }

  /// The element type; `nil` when no type has the number.
  public var dtype: DType? { DType(wire: Int(dtypeNumber)) }

  /// Each a `TensorSliceProto`.
  public var slices: WireFields {
    @_lifetime(copy self)
    get { WireFields(message, number: 7) }
  }
}

/// A hyper-rectangle of a tensor (tensorflow/core/framework/tensor_slice.proto).
///
///     extent 1 (repeated: start 1, and length 2 unless the whole dimension is meant)
public struct TensorSliceProto: Sendable {
  public struct Extent: Sendable, Equatable {
    public var start: Int64
    /// `nil`: from 0 to the end of the dimension.
    public var length: Int64?
  }

  public private(set) var extents: [Extent] = []

  public init(_ message: WireMessage) throws(WireError) {
    var fields = WireFields(message, number: 1)
    while let extent = try fields.nextMessage() {
      var value = Extent(start: 0, length: nil)
      var reader = WireReader(extent)
      while let tag = try reader.nextTag() {
        switch tag {
        case .varint(1): value.start = try reader.int64()
        case .varint(2): value.length = try reader.int64()
        default: try reader.skip(tag)
        }
      }
      extents.append(value)
    }
  }
}
