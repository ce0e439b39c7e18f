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
  kernel("TensorListGather") { frame throws(RunError) in
    try frame.gather(try frame.list(input: 0), at: frame.input(1), unset: try frame.elementShape(2))
  },
  kernel("TensorListScatterIntoExistingList") { frame throws(RunError) in
    let list = try frame.list(input: 0)
    try frame.scatter(frame.input(1), into: list, input: 0, at: frame.input(2), count: list.header.count)
  },
  kernel("TensorListConcatV2") { frame throws(RunError) in
    try frame.concatenate(try frame.list(input: 0), unset: try frame.elementShape(1))
  },
  kernel("TensorListSplit") { frame throws(RunError) in try frame.split(frame.input(0), frame.input(2)) },
  kernel("TensorListLength") { frame throws(RunError) in try frame.output(integer: try frame.list(input: 0).header.count, .int32) },
]

/// A list during a step.
struct TensorList {
  struct Header: BitwiseCopyable {
    /// Tells a list from a variant that no kernel of this file made.
    var mark: UInt64
    var dtype: DType
    var isShapeKnown: Bool
    var elementShape: Shape
    var count: Int
    /// Whether setting an element past the end makes the list longer.
    var grows = false

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
  func elementShape(_ input: Int) throws(RunError) -> Shape? {
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

  /// An output: a list of elements that read zero.
  mutating func list(_ dtype: DType, _ shape: Shape?, count: Int, grows: Bool = false, as output: Int = 0) throws(RunError) -> TensorList {
    guard dtype != .resource else { throw .unimplemented("lists of \(dtype) are not supported") }
    var header = TensorList.Header(
      mark: TensorList.Header.mark, dtype: dtype, isShapeKnown: shape != nil, elementShape: shape ?? Shape(), count: count,
      grows: grows)
    var byteCount = 0
    if shape != nil {
      let (element, over) = header.elementShape.count.multipliedReportingOverflow(by: dtype.size)
      let (total, overflow) = element.multipliedReportingOverflow(by: count)
      byteCount = over || overflow ? .max - TensorList.Header.byteCount : total
    }
    let list = TensorList(value: try outputVariant(output, byteCount: TensorList.Header.byteCount + byteCount))
    // The block was made for both.
    unsafe list.elements.initializeMemory(as: UInt8.self, repeating: 0, count: byteCount)
    unsafe list.value.base.copyMemory(from: &header, byteCount: MemoryLayout<TensorList.Header>.size)
    return list
  }

  /// A list that came in, its header held against the block it stands in.
  func list(input: Int) throws(RunError) -> TensorList {
    let value = self.input(input)
    let room = byteCount(of: value) - TensorList.Header.byteCount
    guard value.dtype == .variant, room >= 0 else { throw .invalidArgument("Input handle is not a list") }
    // There is room for a header.
    let header = unsafe value.base.load(as: TensorList.Header.self)
    guard header.mark == TensorList.Header.mark else { throw .invalidArgument("Input handle is not a list") }
    return TensorList(value: value)
  }

  /// Output 0: the list with one element another; in place when nobody else holds it.
  mutating func set(_ index: Int, of list: TensorList, input: Int = 0, to item: Value, count: Int) throws(RunError) {
    let target = try copy(list, input: input, of: item.dtype, item.shape, count: count)
    if item.dtype == .variant {
      var slot = try self.slot(of: item)
      return unsafe (target.elements + index * item.byteCount).copyMemory(from: &slot, byteCount: item.byteCount)
    }
    // `index` is below `count`.
    unsafe (target.elements + index * item.byteCount).copyMemory(from: item.base, byteCount: item.byteCount)
  }

  /// Output 0: the list an input is, of `count` elements, to set elements of this type and shape in; the input's own memory when nobody
  /// else holds it.
  mutating func copy(_ list: TensorList, input: Int, of type: DType, _ shape: Shape, count: Int) throws(RunError) -> TensorList {
    let header = list.header
    guard type == header.dtype else {
      throw .invalidArgument("Invalid data types; list elements \(header.dtype) but tried to append \(type)")
    }
    if let known = header.shape, known != shape {
      throw .invalidArgument("Tried to set a tensor with incompatible shape at a list index. Item element shape: \(shape) list shape: \(known)")
    }
    if header.isShapeKnown, count == header.count, let same = take(input) { return TensorList(value: same) }
    let target = try self.list(header.dtype, shape, count: count, grows: header.grows)
    // As many elements as the old list has, of the same size.
    if header.isShapeKnown {
      unsafe target.elements.copyMemory(from: list.elements, byteCount: header.elementSize * min(header.count, count))
    }
    return target
  }

  /// Output 0: the elements of these numbers, stacked.
  mutating func gather(_ list: TensorList, at indices: Value, unset shape: Shape?) throws(RunError) {
    let header = list.header
    guard indices.dtype == .int32, indices.shape.rank == 1 else { throw .invalidArgument("Expected indices to be a vector, but received shape: \(indices.shape)") }
    guard header.dtype != .variant else { throw .unimplemented("lists of variants are not gathered") }
    guard let element = header.shape ?? shape else {
      throw .invalidArgument("Tried to gather uninitialized tensors from a list with non-fully-defined element shape")
    }
    let rows: Shape = [indices.count]
    let out = try output(0, header.dtype, try rows.joined(0..<1, element, 0..<element.rank))
    let size = element.count * header.dtype.size
    let numbers = indices.span(of: Int32.self)
    for i in 0..<indices.count {
      let index = try list.index(Int(numbers[i]))
      // Row `i` of the output, and an element of the list if it has any.
      if header.isShapeKnown {
        unsafe (out.base + i * size).copyMemory(from: list.elements + index * size, byteCount: size)
      } else {
        unsafe (out.base + i * size).initializeMemory(as: UInt8.self, repeating: 0, count: size)
      }
    }
  }

  /// Output 0: the list an input is, its elements of these numbers the rows of a tensor.
  mutating func scatter(_ rows: Value, into list: TensorList, input: Int, at indices: Value, count: Int) throws(RunError) {
    guard indices.dtype == .int32, indices.shape.rank == 1 else { throw .invalidArgument("Expected indices to be a vector, but received shape: \(indices.shape)") }
    guard rows.shape.rank > 0, rows.shape[0] == indices.count else {
      throw .invalidArgument("Expected len(indices) == values.shape[0], but saw: \(indices.count) vs. \(rows.shape.rank > 0 ? rows.shape[0] : 1)")
    }
    guard rows.dtype != .variant else { throw .unimplemented("lists of variants are not scattered to") }
    let element = rows.shape.removing(0)
    let numbers = indices.span(of: Int32.self)
    for i in 0..<indices.count {
      guard numbers[i] >= 0, numbers[i] < count else {
        throw .invalidArgument("Trying to access element \(numbers[i]) in a list with \(count) elements.")
      }
    }
    let target = try copy(list, input: input, of: rows.dtype, element, count: count)
    let size = element.count * rows.dtype.size
    for i in 0..<indices.count {
      // Row `i`, and an element whose number is below `count`.
      unsafe (target.elements + Int(numbers[i]) * size).copyMemory(from: rows.base + i * size, byteCount: size)
    }
  }

  /// Outputs 0 and 1: the elements one behind the other along their first dimension, and how long each is there.
  mutating func concatenate(_ list: TensorList, unset shape: Shape?) throws(RunError) {
    let header = list.header
    guard header.dtype != .variant else { throw .unimplemented("lists of variants are not concatenated") }
    guard let element = header.shape ?? shape else {
      throw .invalidArgument("Tried to concat list which only contains uninitialized tensors and has a non-fully-defined element shape")
    }
    guard element.rank > 0 else { throw .invalidArgument("Concat requires elements to be at least vectors, found scalars instead.") }
    let (total, overflow) = header.count.multipliedReportingOverflow(by: element[0])
    guard !overflow else { throw .invalidArgument("\(header.count) elements of shape \(element) are too many") }
    let rows: Shape = [total]
    let out = try output(0, header.dtype, try rows.joined(0..<1, element, 1..<element.rank))
    var lengths = try output(1, .int64, [header.count])
    if header.isShapeKnown {
      // The list holds the bytes of as many elements.
      unsafe out.base.copyMemory(from: list.elements, byteCount: out.byteCount)
    } else {
      unsafe zero(out)
    }
    var numbers = lengths.mutableSpan(of: Int.self)
    for i in 0..<header.count { numbers[i] = element[0] }
  }

  /// Output 0: a list of the parts of a tensor along its first dimension, which are to be of one length.
  mutating func split(_ value: Value, _ lengths: Value, grows: Bool = false) throws(RunError) {
    guard lengths.dtype == .int64, lengths.shape.rank == 1 else { throw .invalidArgument("Expected lengths to be a vector, received shape: \(lengths.shape)") }
    guard value.shape.rank > 0 else { throw .invalidArgument("Expected value to be at least a vector, but received shape: \(value.shape)") }
    guard value.dtype != .variant else { throw .unimplemented("variants are not split") }
    let numbers = lengths.span(of: Int.self)
    let length = lengths.count > 0 ? numbers[0] : 0
    for i in 0..<lengths.count where numbers[i] != length { throw .unimplemented("a list of unlike tensors is not supported: lengths of \(length) and \(numbers[i])") }
    let (total, overflow) = length.multipliedReportingOverflow(by: lengths.count)
    guard !overflow, length >= 0, total == value.shape[0] else {
      throw .invalidArgument("Expected sum of lengths to be equal to values.shape[0], but sum of lengths is \(total) and value's shape is: \(value.shape)")
    }
    var element = value.shape
    element[0] = length
    let list = try self.list(value.dtype, element, count: lengths.count, grows: grows)
    // The list was made for the tensor's bytes.
    unsafe list.elements.copyMemory(from: value.base, byteCount: value.byteCount)
  }
}
