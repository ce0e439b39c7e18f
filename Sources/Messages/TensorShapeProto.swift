public import Tensors
public import Wire

/// A shape on the wire (tensorflow/core/framework/tensor_shape.proto).
///
///     dim 2 (repeated: size 1, name 2), unknown_rank 3
///
/// The first `Shape.rankMax` extents are kept inline, so reading one allocates nothing.
public struct TensorShapeProto: Sendable {
  var extents: [8 of Int64]
  /// The number of `dim`s, however many there are.
  public private(set) var rank: Int
  public private(set) var isRankUnknown: Bool

  /// A scalar.
  public init() {
    extents = .init(repeating: 0)
    rank = 0
    isRankUnknown = false
  }

  public init(_ message: WireMessage) throws(WireError) {
    self.init()
    var reader = WireReader(message)
    while let tag = try reader.nextTag() {
      switch tag {
      case .length(2):
        let size = try TensorShapeProto.extent(message.bytes, at: try reader.lengthDelimited())
        if rank < Shape.rankMax { extents[rank] = size }
        rank &+= 1
      case .varint(3): isRankUnknown = try reader.bool()
      default: try reader.skip(tag)
      }
    }
  }

  @inline(__always)
  static func extent(_ bytes: RawSpan, at range: Range<UInt32>) throws(WireError) -> Int64 {
    var size: Int64 = 0
    var reader = WireReader(bytes, at: range)
    while let tag = try reader.nextTag() {
      switch tag {
      case .varint(1): size = try reader.int64()
      default: try reader.skip(tag)
      }
    }
    return size
  }

  /// An extent: -1 where a declared shape leaves it open.
  /// - Precondition: `dimension` is below `rank` and `Shape.rankMax`.
  public subscript(_ dimension: Int) -> Int64 {
    precondition(dimension < rank)
    return extents[dimension]
  }

  /// The shape of a tensor, whose extents are all known.
  public func shape() throws(TensorProtoError) -> Shape {
    if isRankUnknown { throw .unknownRank }
    if rank > Shape.rankMax { throw .rankTooHigh(rank) }
    var shape = Shape()
    var count = 1
    for dimension in 0..<rank {
      let extent = extents[dimension]
      if extent < 0 { throw .negativeExtent(dimension: dimension, extent: extent) }
      let (next, overflow) = count.multipliedReportingOverflow(by: max(Int(extent), 1))
      if overflow { throw .tooManyElements }
      count = next
      shape.append(Int(extent))
    }
    return shape
  }

  /// The shape a graph or signature declares; `nil` when it has more dimensions than a tensor here may have.
  public var partialShape: PartialShape? {
    if isRankUnknown { return PartialShape(nil) }
    if rank > Shape.rankMax { return nil }
    return PartialShape((0..<rank).map { Int(max(extents[$0], -1)) })
  }

  // MARK: Writing

  /// The bytes of `shape` as a message.
  public static func size(_ shape: Shape) -> Int {
    var size = 0
    for dimension in 0..<shape.rank { size += WireSize.length(2, dimSize(shape[dimension])) }
    return size
  }

  static func dimSize(_ extent: Int) -> Int { extent == 0 ? 0 : WireSize.varint(1, Int64(extent)) }

  /// Writes `shape`: `size(shape)` bytes.
  public static func append(_ shape: Shape, to output: inout OutputRawSpan) {
    for dimension in 0..<shape.rank {
      let extent = shape[dimension]
      output.appendLength(2, dimSize(extent))
      if extent != 0 { output.appendVarint(1, Int64(extent)) }
    }
  }
}
