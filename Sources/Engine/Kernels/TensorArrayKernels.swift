// TF1's tensor arrays. A model passes a handle, and beside it a "flow" by which it puts what it does to the array in order: here the flow
// is the array, a list (`ListKernels.swift`), and the handle nothing. What reads after a write reads that write's flow, so a list that is
// a value behaves as the array that is changed.
internal import Tensors

let tensorArrayKernels: [KernelDefinition] = [
  KernelDefinition("TensorArrayV3") { node throws(GraphError) in
    let type = try node.dtype("dtype")
    let grows = try node.bool("dynamic_size", default: false)
    let declared = try node.shape("element_shape", default: PartialShape(nil))
    let shape = declared.shape
    return { frame throws(RunError) in
      let count = try frame.scalar(0, "size")
      guard count >= 0 else { throw .invalidArgument("Size should be >= 0.") }
      _ = try frame.list(type, shape, count: count, grows: grows, as: 1)
    }
  },
  kernel("TensorArrayWriteV3") { frame throws(RunError) in
    let list = try frame.list(input: 3)
    let index = try frame.scalar(1, "TensorArray index")
    let count = try list.room(upTo: index)
    try frame.set(index, of: list, input: 3, to: frame.input(2), count: count)
  },
  KernelDefinition("TensorArrayReadV3") { _ throws(GraphError) in
    { frame throws(RunError) in
      let list = try frame.list(input: 2)
      let header = list.header
      let index = try list.element(try frame.scalar(1, "index"))
      guard let shape = header.shape, header.dtype != .variant else {
        throw .invalidArgument("Could not read from TensorArray index \(index). Furthermore, the element shape is not fully defined: <unknown>.")
      }
      let out = try frame.output(0, header.dtype, shape)
      // `index` is within the list.
      unsafe out.base.copyMemory(from: list.elements + index * header.elementSize, byteCount: out.byteCount)
    }
  },
  KernelDefinition("TensorArrayGatherV3") { node throws(GraphError) in
    let declared = try node.shape("element_shape", default: PartialShape(nil))
    let unset = declared.shape
    return { frame throws(RunError) in
      let list = try frame.list(input: 2)
      let indices = frame.input(1)
      for i in 0..<indices.count { _ = try list.element(indices.int(at: i) ?? -1) }
      try frame.gather(list, at: indices, unset: unset)
    }
  },
  kernel("TensorArrayScatterV3") { frame throws(RunError) in
    let list = try frame.list(input: 3)
    let indices = frame.input(1)
    var count = list.header.count
    for i in 0..<indices.count { count = max(count, try list.room(upTo: indices.int(at: i) ?? -1)) }
    try frame.scatter(frame.input(2), into: list, input: 3, at: indices, count: count)
  },
  KernelDefinition("TensorArrayConcatV3") { node throws(GraphError) in
    let declared = try node.shape("element_shape_except0", default: PartialShape(nil))
    let unset = declared.extents.flatMap { Shape([0] + $0) }
    return { frame throws(RunError) in try frame.concatenate(try frame.list(input: 1), unset: unset) }
  },
  kernel("TensorArraySplitV3") { frame throws(RunError) in
    let header = try frame.list(input: 3).header
    let (value, lengths) = (frame.input(1), frame.input(2))
    guard header.grows || lengths.count == header.count else {
      throw .invalidArgument(
        "TensorArray's size is not equal to the size of lengths (\(header.count) vs. \(lengths.count)), and the TensorArray is not marked as dynamically resizeable")
    }
    try frame.split(value, lengths, grows: header.grows)
  },
  kernel("TensorArraySizeV3") { frame throws(RunError) in try frame.output(integer: try frame.list(input: 1).header.count, .int32) },
  kernel("TensorArrayCloseV3") { _ throws(RunError) in },
]

extension TensorList {
  /// The number of an element that is there.
  fileprivate func element(_ index: Int) throws(RunError) -> Int {
    guard index >= 0, index < header.count else {
      throw .invalidArgument("Tried to read from index \(index) but array size is: \(header.count)")
    }
    return index
  }

  /// How many elements the list has when the one of this number is set.
  fileprivate func room(upTo index: Int) throws(RunError) -> Int {
    if index >= 0, index < header.count { return header.count }
    guard index >= 0, index < Int(Int32.max), header.grows else {
      throw .invalidArgument("Tried to write to index \(index) but array is not resizeable and size is: \(header.count)")
    }
    return index + 1
  }
}
