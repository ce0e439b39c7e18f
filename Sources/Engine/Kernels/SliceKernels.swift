// Slice and StridedSlice: a walk over the part that is wanted.
internal import Tensors

let sliceKernels: [KernelDefinition] = [
  kernel("Slice") { frame throws(RunError) in try frame.slice() },
  KernelDefinition("StridedSlice") { node throws(GraphError) in
    let masks = try SliceMasks(node)
    return { frame throws(RunError) in try frame.stridedSlice(masks) }
  },
]

extension Frame {
  fileprivate mutating func slice() throws(RunError) {
    let x = input(0)
    let begin = input(1)
    let size = input(2)
    guard begin.shape.rank == 1, size.shape.rank == 1, begin.count == x.shape.rank, size.count == x.shape.rank else {
      throw .invalidArgument(
        "Expected begin and size arguments to be 1-D tensors of size \(x.shape.rank), but got shapes \(begin.shape) and \(size.shape) instead.")
    }
    var dims = Dims()
    var copy = StridedCopy()
    let strides = x.shape.strides
    for d in 0..<x.shape.rank {
      let start = try begin.integer(at: d)
      let given = try size.integer(at: d)
      let extent = x.shape[d]
      let length = given == -1 ? extent &- start : given
      guard start >= 0, start <= extent else { throw .invalidArgument("Expected begin[\(d)] in [0, \(extent)], but got \(start)") }
      guard length >= 0, length <= extent - start else {
        throw .invalidArgument("Expected size[\(d)] in [0, \(extent - start)], but got \(given == -1 ? length : given)")
      }
      try dims.append(length)
      copy.fromStart += start * strides[d]
      copy.append(length, from: strides[d], to: 0)
    }
    let shape = try Shape(checking: dims)
    if shape == x.shape { return forward(0, to: 0) }
    copy.packDestination()
    copy.run(from: x, to: try output(0, x.dtype, shape))
  }

  fileprivate mutating func stridedSlice(_ masks: SliceMasks) throws(RunError) {
    let x = input(0)
    let slice = try masks.resolve(x.shape, input(1), input(2), input(3))
    if slice.isWhole { return forward(0, to: 0, shape: slice.shape) }
    slice.copy.run(from: x, to: try output(0, x.dtype, slice.shape))
  }
}

/// What of a tensor `StridedSlice` takes: the masks of its attributes, a bit for each entry of begin, end and strides.
struct SliceMasks: Sendable {
  var begin: Int
  var end: Int
  var ellipsis: Int
  var newAxis: Int
  var shrink: Int

  init(_ node: NodeContext) throws(GraphError) {
    begin = try node.int("begin_mask", default: 0)
    end = try node.int("end_mask", default: 0)
    ellipsis = try node.int("ellipsis_mask", default: 0)
    newAxis = try node.int("new_axis_mask", default: 0)
    shrink = try node.int("shrink_axis_mask", default: 0)
  }

  struct Result {
    var shape: Shape
    var copy: StridedCopy
    /// Everything is taken, in order.
    var isWhole: Bool
  }

  /// The slice of a tensor of `shape` (tensorflow/core/util/strided_slice_op.cc: an ellipsis stands for as many dimensions as are
  /// left, a new axis for none; a dimension that is shrunk takes one index and goes).
  func resolve(_ shape: Shape, _ begins: Value, _ ends: Value, _ steps: Value) throws(RunError) -> Result {
    let entries = begins.count
    guard begins.shape.rank == 1, ends.shape.rank == 1, steps.shape.rank == 1, ends.count == entries, steps.count == entries,
      entries < 32
    else {
      throw .invalidArgument(
        "Expected begin, end, and strides to be 1D equal size tensors, but got shapes \(begins.shape), \(ends.shape), and \(steps.shape) instead.")
    }
    guard ellipsis & (ellipsis &- 1) == 0 else {
      throw .invalidArgument("Multiple ellipses in slice spec not allowed")
    }
    func has(_ mask: Int, _ i: Int) -> Bool { mask & (1 << i) != 0 }
    let strides = shape.strides
    var dims = Dims()
    var copy = StridedCopy()
    var d = 0
    var isWhole = true
    func keep(_ d: Int) throws(RunError) {
      try dims.append(shape[d])
      copy.append(shape[d], from: strides[d], to: 0)
    }
    for i in 0..<entries {
      if has(ellipsis, i) {
        let end = max(d, shape.rank - usedAfter(i, entries))
        while d < end {
          try keep(d)
          d += 1
        }
        continue
      }
      if has(newAxis, i) {
        try dims.append(1)
        continue
      }
      guard d < shape.rank else {
        throw .invalidArgument("Index out of range using input dim \(d); input has only \(shape.rank) dims")
      }
      let extent = shape[d]
      let step = try steps.integer(at: i)
      guard step != 0 else { throw .invalidArgument("strides[\(i)] must be non-zero") }
      let (first, last) = (try begins.integer(at: i), try ends.integer(at: i))
      if has(shrink, i) {
        guard step > 0 else { throw .invalidArgument("only stride 1 allowed on non-range indexing.") }
        let at = first < 0 ? first &+ extent : first
        guard at >= 0, at < extent else { throw .invalidArgument("slice index \(at) of dimension \(d) out of bounds.") }
        copy.fromStart += at * strides[d]
        isWhole = isWhole && extent == 1
      } else {
        let range = step > 0 ? (low: 0, high: extent) : (low: -1, high: extent - 1)
        func held(_ index: Int) -> Int { min(max(index < 0 ? index &+ extent : index, range.low), range.high) }
        let from = has(begin, i) ? (step > 0 ? range.low : range.high) : held(first)
        let to = has(end, i) ? (step > 0 ? range.high : range.low) : held(last)
        let interval = to - from
        let length = interval == 0 || (interval < 0) != (step < 0)
          ? 0 : Int((interval.magnitude - 1) / step.magnitude) + 1
        try dims.append(length)
        copy.fromStart += from * strides[d]
        // A single element needs no stride, and a huge one would not fit.
        copy.append(length, from: length > 1 ? step * strides[d] : 0, to: 0)
        isWhole = isWhole && length == extent && (step == 1 || length <= 1)
      }
      d += 1
    }
    while d < shape.rank {
      try keep(d)
      d += 1
    }
    copy.packDestination()
    return Result(shape: try Shape(checking: dims), copy: copy, isWhole: isWhole)
  }

  /// How many dimensions the entries past `i` use up.
  private func usedAfter(_ i: Int, _ entries: Int) -> Int {
    var count = 0
    for j in (i + 1)..<max(entries, i + 1) where newAxis & (1 << j) == 0 { count += 1 }
    return count
  }
}
