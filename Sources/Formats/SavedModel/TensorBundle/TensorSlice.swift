import Messages
import Tensors

/// A hyper-rectangle of a tensor: for each dimension a start and a length.
struct TensorSlice: Equatable {
  var starts: Shape
  var shape: Shape

  /// The whole of a tensor.
  init(whole shape: Shape) {
    starts = shape
    for dimension in 0..<shape.rank { starts[dimension] = 0 }
    self.shape = shape
  }

  /// The part of `whole` that a `TensorSliceProto` names; `nil` when it does not lie within.
  init?(_ proto: TensorSliceProto, of whole: Shape) {
    guard proto.extents.count == whole.rank else { return nil }
    self.init(whole: whole)
    for (dimension, extent) in proto.extents.enumerated() {
      guard let length = extent.length else { continue }
      guard narrow(dimension, extent.start, length) else { return nil }
    }
  }

  /// TensorFlow's text for a part of a variable: the extents of the whole, then for each dimension `-` or `start,length`, as
  /// in `10 4 0,5:-`. `nil` when it is not of that form, or not within `whole`.
  init?(spec: String, of whole: Shape) {
    var fields = spec.split(separator: " ", omittingEmptySubsequences: false)
    let parts = (fields.popLast() ?? "").split(separator: ":", omittingEmptySubsequences: false)
    guard fields.map({ Int($0) }) == whole.array, parts.count == whole.rank || (whole.rank == 0 && parts == [""]) else {
      return nil
    }
    self.init(whole: whole)
    for dimension in 0..<whole.rank where parts[dimension] != "-" {
      let numbers = parts[dimension].split(separator: ",", omittingEmptySubsequences: false)
      guard numbers.count == 2, let start = Int64(numbers[0]), let length = Int64(numbers[1]),
        narrow(dimension, start, length)
      else { return nil }
    }
  }

  private mutating func narrow(_ dimension: Int, _ start: Int64, _ length: Int64) -> Bool {
    let extent = Int64(shape[dimension])
    guard start >= 0, length >= 0, start <= extent, length <= extent - start else { return false }
    starts[dimension] = Int(start)
    shape[dimension] = Int(length)
    return true
  }

  /// What both have; `nil` when they do not meet.
  func intersection(_ other: TensorSlice) -> TensorSlice? {
    var result = self
    for dimension in 0..<shape.rank {
      let lower = max(starts[dimension], other.starts[dimension])
      let upper = min(starts[dimension] + shape[dimension], other.starts[dimension] + other.shape[dimension])
      guard lower < upper else { return nil }
      result.starts[dimension] = lower
      result.shape[dimension] = upper - lower
    }
    return result
  }

  /// The key a part is stored under (`EncodeTensorNameSlice` in tensorflow/core/util/saved_tensor_slice_util).
  /// A dimension that was saved whole is written as start 0 and length -1.
  static func key(_ name: [UInt8], _ proto: TensorSliceProto) -> [UInt8] {
    var code = OrderedCode()
    code.append(UInt64(0))
    code.append(name)
    code.append(UInt64(proto.extents.count))
    for extent in proto.extents {
      code.appendSigned(extent.length == nil ? 0 : extent.start)
      code.appendSigned(extent.length ?? -1)
    }
    return code.bytes
  }
}
