public import Tensors

/// Why a TensorProto, well-formed on the wire, is no tensor.
public enum TensorProtoError: Error, Equatable, Sendable, CustomStringConvertible {
  /// DT_INVALID, or a number no type has.
  case invalidType(Int32)
  /// A type whose elements cannot be sent: resource, variant.
  case unsupportedType(DType)
  case unknownRank
  case rankTooHigh(Int)
  case negativeExtent(dimension: Int, extent: Int64)
  /// The product of the extents does not fit 63 bits.
  case tooManyElements
  /// More memory than the caller allows.
  case tooLarge(elements: Int, bytesMax: Int)
  /// `tensor_content` has not the size the shape and type ask for.
  case contentSize(expected: Int, actual: Int)
  /// `tensor_content` of strings whose lengths and bytes do not add up.
  case contentStrings

  public var description: String {
    switch self {
    case .invalidType(let number): "dtype \(number) is no type of tensor elements"
    case .unsupportedType(let type): "tensors of type \(type) cannot be sent"
    case .unknownRank: "the shape's rank is unknown"
    case .rankTooHigh(let rank): "the shape has \(rank) dimensions; at most \(Shape.rankMax) are supported"
    case .negativeExtent(let dimension, let extent): "dimension \(dimension) of the shape is negative: \(extent)"
    case .tooManyElements: "the shape has more elements than fit 63 bits"
    case .tooLarge(let elements, let bytesMax):
      "\(elements) elements take more than the \(bytesMax) bytes a tensor may have"
    case .contentSize(let expected, let actual): "tensor_content has \(actual) bytes, expected \(expected)"
    case .contentStrings: "tensor_content holds no valid encoding of the strings"
    }
  }
}
