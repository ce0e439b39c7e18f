import Messages
import Tensors
import Wire

/// What the constants of a file may take in memory. A fill (one value for a million elements) takes next to nothing in the
/// file, so without a limit a hundred bytes could ask for all memory there is.
struct ConstantBudget {
  /// What fills may add, all together.
  static let fillMax = 256 << 20
  /// A string takes at least one byte in the file, and a `StringRef` in memory.
  static let expansionMax = 16

  private(set) var bytesLeft: Int

  init(fileSize: Int) { bytesLeft = fileSize * ConstantBudget.expansionMax + ConstantBudget.fillMax }

  mutating func take(_ byteCount: Int, elements: Int) throws(TensorProtoError) {
    guard byteCount <= bytesLeft else { throw .tooLarge(elements: elements, bytesMax: bytesLeft) }
    bytesLeft -= byteCount
  }
}

extension Tensor {
  /// A copy of a tensor on the wire.
  convenience init(_ proto: borrowing TensorProto, within budget: inout ConstantBudget) throws(TensorProtoError) {
    let elements = try proto.elements(bytesMax: budget.bytesLeft)
    try budget.take(elements.byteCount, elements: elements.count)
    guard elements.dtype == .string else {
      var buffer = TensorBuffer(byteCount: elements.byteCount)
      do {
        var destination = buffer.mutableBytes
        elements.copyElements(into: &destination)
      }
      self.init(dtype: elements.dtype, shape: elements.shape, adopting: buffer)
      return
    }
    // The last string stands for all that are missing: count before copying.
    var total = 0
    var ranges = elements.strings
    while let range = ranges.nextRange() { total += range.count }
    try budget.take(total, elements: elements.count)
    var strings: [[UInt8]] = []
    strings.reserveCapacity(elements.count)
    var spans = elements.strings
    while let span = spans.next() { strings.append(Array(span)) }
    self.init(shape: elements.shape, strings: strings)
  }
}
