internal import Engine
internal import Messages
internal import Tensors
internal import Wire

extension Frame {
  /// Feeds an input from the wire: in place when the bytes stand as kernels want them, else by one copy. The message stays
  /// where it is until the request has been answered.
  mutating func feed(_ index: Int, _ elements: borrowing TensorElements) throws(RunError) {
    if let bytes = elements.contiguousBytes {
      let address = unsafe bytes.withUnsafeBytes { $0.baseAddress }
      if let address = unsafe address, UInt(bitPattern: address) & UInt(elements.dtype.size - 1) == 0 {
        // The message stays where it is: see above.
        return unsafe feed(index, dtype: elements.dtype, shape: elements.shape, borrowing: address)
      }
    }
    let dtype = elements.dtype
    let shape = elements.shape
    var memory = try feed(index, dtype: dtype, shape: shape)
    var bytes = memory.mutableBytes
    if dtype == .string {
      // The references point into the message; see above.
      unsafe elements.copyStringRefs(into: &bytes)
    } else {
      elements.copyElements(into: &bytes)
    }
  }
}

extension Shape {
  /// What a run's cost is estimated by: see `InferenceRun.rows`.
  var rows: Int { rank == 0 ? 1 : count == 0 ? 0 : self[0] }
}
