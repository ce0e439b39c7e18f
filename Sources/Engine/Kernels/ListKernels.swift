// Tensor lists: what TensorFlow's loops gather their steps in. A list is one block of the run's arena, a header and behind it the
// elements side by side, so that stacking a list is one copy, and setting an element of a list that nobody else holds is one, too.
// All elements of a list have one shape here; TensorFlow's lists of unlike tensors do not come out of the loops it writes. A variant in a
// list is a slot that names its block (`RaggedVariantKernels.swift`).
//
//   block   [ header, 128 bytes ][ element 0 ][ element 1 ] ...        an element never set reads zero
internal import Tensors

let listKernels: [KernelDefinition] = [
  KernelDefinition("TensorListReserve") { node throws(GraphError) in
    let type = try node.dtype("element_dtype")
    return { frame throws(RunError) in
      let count = try frame.scalar(1, "num_elements")
      guard count >= 0 else { throw .invalidArgument("The num_elements to reserve must be a non negative number, but got \(count)") }
      _ = try frame.list(type, try frame.elementShape(0), count: count)
    }
  },
  KernelDefinition("EmptyTensorList") { node throws(GraphError) in
    let type = try node.dtype("element_dtype")
    return { frame throws(RunError) in _ = try frame.list(type, try frame.elementShape(0), count: 0) }
  },
  kernel("TensorListFromTensor") { frame throws(RunError) in
    let x = frame.input(0)
    guard x.shape.rank > 0 else { throw .invalidArgument("Tensor must be at least a vector, but saw shape: \(x.shape)") }
    let list = try frame.list(x.dtype, x.shape.removing(0), count: x.shape[0])
    // The list was made for the tensor's bytes.
    unsafe list.elements.copyMemory(from: x.base, byteCount: x.byteCount)
  },
  KernelDefinition("TensorListStack") { node throws(GraphError) in
    let expected = try node.int("num_elements", default: -1)
    return { frame throws(RunError) in
      let list = try frame.list(input: 0)
      let header = list.header
      guard expected < 0 || expected == header.count else {
        throw .invalidArgument("Operation expected a list with \(expected) elements but got a list with \(header.count) elements.")
      }
      let shape = if let known = header.shape { known } else { try frame.wholeShape(1, "Tried to stack list which only contains uninitialized tensors") }
      let steps: Shape = [header.count]
      let out = try frame.output(0, header.dtype, try steps.joined(0..<1, shape, 0..<shape.rank))
      guard header.shape != nil else { return unsafe frame.zero(out) }
      // The list holds the bytes of as many elements.
      unsafe out.base.copyMemory(from: list.elements, byteCount: out.byteCount)
    }
  },
  kernel("TensorListGetItem") { frame throws(RunError) in
    let list = try frame.list(input: 0)
    let header = list.header
    let index = try list.index(try frame.scalar(1, "index"))
    if header.dtype == .variant {
      guard header.shape == [] else { throw .invalidArgument("the list's variants are not set, or no scalars") }
      // The list holds a slot for each of its elements.
      let slots = unsafe Value(dtype: .variant, shape: [header.count], base: list.elements)
      return try frame.output(0, variant: slots, at: index)
    }
    let shape = if let known = header.shape { known } else { try frame.wholeShape(2, "Trying to read an uninitialized tensor") }
    let out = try frame.output(0, header.dtype, shape)
    guard header.shape != nil else { return unsafe frame.zero(out) }
    // `index` is within the list.
    unsafe out.base.copyMemory(from: list.elements + index * header.elementSize, byteCount: out.byteCount)
  },
  KernelDefinition("TensorListSetItem") { node throws(GraphError) in
    let resizes = try node.bool("resize_if_index_out_of_bounds", default: false)
    return { frame throws(RunError) in
      let list = try frame.list(input: 0)
      let wanted = try frame.scalar(1, "index")
      guard wanted < Int(Int32.max) else { throw .invalidArgument("Trying to access element \(wanted) of a list") }
      let count = resizes && wanted >= list.header.count ? wanted + 1 : list.header.count
      let index = count > list.header.count ? wanted : try list.index(wanted)
      try frame.set(index, of: list, to: frame.input(2), count: count)
    }
  },
  kernel("TensorListPushBack") { frame throws(RunError) in
    let list = try frame.list(input: 0)
    try frame.set(list.header.count, of: list, to: frame.input(1), count: list.header.count + 1)
  },
  kernel("TensorListLength") { frame throws(RunError) in try frame.output(integer: try frame.list(input: 0).header.count, .int32) },
]

/// A list during a step.
private struct TensorList {
  struct Header: BitwiseCopyable {
    /// Tells a list from a variant that no kernel of this file made.
    var mark: UInt64
    var dtype: DType
    var isShapeKnown: Bool
    var elementShape: Shape
    var count: Int

    /// A number nobody outside this process can write into a variant.
    static let mark = UInt64.random(in: .min ... .max)
    static let byteCount = 128

    var shape: Shape? { isShapeKnown ? elementShape : nil }
    var elementSize: Int { elementShape.count * dtype.size }
  }

  let value: Value

  /// Checked when the list was opened: the block holds the header and the elements it speaks of.
  var header: Header { unsafe value.base.load(as: Header.self) }
  @unsafe var elements: UnsafeMutableRawPointer { unsafe value.base + Header.byteCount }

  func index(_ index: Int) throws(RunError) -> Int {
    guard index >= 0, index < header.count else {
      throw .invalidArgument("Trying to access element \(index) in a list with \(header.count) elements.")
    }
    return index
  }
}

extension Frame {
  /// An element shape as ops give it: `nil` while an extent is open.
  fileprivate func elementShape(_ input: Int) throws(RunError) -> Shape? {
    let value = self.input(input)
    guard value.shape.rank == 1 else { return nil }
    let dims = try value.dims()
    for d in 0..<dims.count where dims[d] < 0 { return nil }
    return try Shape(checking: dims)
  }

  fileprivate func wholeShape(_ input: Int, _ doing: String) throws(RunError) -> Shape {
    guard let shape = try elementShape(input) else {
      throw .invalidArgument("\(doing) and has a non-fully-defined element shape")
    }
    return shape
  }

  /// Output 0: a list of elements that read zero.
  fileprivate mutating func list(_ dtype: DType, _ shape: Shape?, count: Int) throws(RunError) -> TensorList {
    guard dtype != .resource else { throw .unimplemented("lists of \(dtype) are not supported") }
    var header = TensorList.Header(
      mark: TensorList.Header.mark, dtype: dtype, isShapeKnown: shape != nil, elementShape: shape ?? Shape(), count: count)
    var byteCount = 0
    if shape != nil {
      let (element, over) = header.elementShape.count.multipliedReportingOverflow(by: dtype.size)
      let (total, overflow) = element.multipliedReportingOverflow(by: count)
      byteCount = over || overflow ? .max - TensorList.Header.byteCount : total
    }
    let list = TensorList(value: try outputVariant(0, byteCount: TensorList.Header.byteCount + byteCount))
    // The block was made for both.
    unsafe list.elements.initializeMemory(as: UInt8.self, repeating: 0, count: byteCount)
    unsafe list.value.base.copyMemory(from: &header, byteCount: MemoryLayout<TensorList.Header>.size)
    return list
  }

  /// A list that came in, its header held against the block it stands in.
  fileprivate func list(input: Int) throws(RunError) -> TensorList {
    let value = self.input(input)
    let room = byteCount(of: value) - TensorList.Header.byteCount
    guard value.dtype == .variant, room >= 0 else { throw .invalidArgument("Input handle is not a list") }
    // There is room for a header.
    let header = unsafe value.base.load(as: TensorList.Header.self)
    guard header.mark == TensorList.Header.mark else { throw .invalidArgument("Input handle is not a list") }
    return TensorList(value: value)
  }

  /// Output 0: the list with one element another; in place when nobody else holds it.
  fileprivate mutating func set(_ index: Int, of list: TensorList, to item: Value, count: Int) throws(RunError) {
    let header = list.header
    guard item.dtype == header.dtype else {
      throw .invalidArgument("Invalid data types; list elements \(header.dtype) but tried to append \(item.dtype)")
    }
    if let shape = header.shape, shape != item.shape {
      throw .invalidArgument("Tried to set a tensor with incompatible shape at a list index. Item element shape: \(item.shape) list shape: \(shape)")
    }
    let target: TensorList
    if header.isShapeKnown, count == header.count, let same = take(0) {
      target = TensorList(value: same)
    } else {
      target = try self.list(header.dtype, item.shape, count: count)
      // As many elements as the old list has, of the same size.
      if header.isShapeKnown {
        unsafe target.elements.copyMemory(from: list.elements, byteCount: header.elementSize * min(header.count, count))
      }
    }
    if item.dtype == .variant {
      var slot = try self.slot(of: item)
      return unsafe (target.elements + index * item.byteCount).copyMemory(from: &slot, byteCount: item.byteCount)
    }
    // `index` is below `count`.
    unsafe (target.elements + index * item.byteCount).copyMemory(from: item.base, byteCount: item.byteCount)
  }
}
