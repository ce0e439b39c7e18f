// Ops that move elements about without looking at them: whatever the type, an element is so many bytes. Nearly all of them are a
// `StridedCopy` with the right strides.
internal import CKernels
internal import Tensors

let arrayKernels: [KernelDefinition] = [
  move("Transpose") { frame throws(RunError) in try frame.transpose() },
  move("ConjugateTranspose") { frame throws(RunError) in
    try frame.transpose()
    try frame.conjugateOutput()
  },
  move("Concat") { frame throws(RunError) in try frame.concatenate(axisInput: 0, first: 1, count: frame.inputCount - 1) },
  move("ConcatV2") { frame throws(RunError) in
    try frame.concatenate(axisInput: frame.inputCount - 1, first: 0, count: frame.inputCount - 1)
  },
  KernelDefinition("Split") { node throws(GraphError) in
    let count = try node.int("num_split")
    return { frame throws(RunError) in try frame.split(count) }
  },
  KernelDefinition("SplitV") { node throws(GraphError) in
    let count = try node.int("num_split")
    return { frame throws(RunError) in try frame.splitSizes(count) }
  },
  KernelDefinition("Pack") { node throws(GraphError) in
    let axis = try node.int("axis", default: 0)
    return { frame throws(RunError) in try frame.pack(axis) }
  },
  KernelDefinition("Unpack") { node throws(GraphError) in
    let axis = try node.int("axis", default: 0)
    let count = try node.int("num")
    return { frame throws(RunError) in try frame.unpack(axis, count) }
  },
  move("Slice") { frame throws(RunError) in try frame.slice() },
  KernelDefinition("StridedSlice") { node throws(GraphError) in
    let masks = SliceMasks(
      begin: try node.int("begin_mask", default: 0), end: try node.int("end_mask", default: 0),
      ellipsis: try node.int("ellipsis_mask", default: 0), newAxis: try node.int("new_axis_mask", default: 0),
      shrink: try node.int("shrink_axis_mask", default: 0))
    return { frame throws(RunError) in try frame.stridedSlice(masks) }
  },
  move("Tile") { frame throws(RunError) in try frame.tile() },
  move("BroadcastTo") { frame throws(RunError) in try frame.broadcastTo() },
  move("ReverseV2") { frame throws(RunError) in try frame.reverse() },
  move("Roll") { frame throws(RunError) in try frame.roll() },
  KernelDefinition("ReverseSequence") { node throws(GraphError) in
    let sequence = try node.int("seq_dim")
    let batch = try node.int("batch_dim", default: 0)
    return { frame throws(RunError) in try frame.reverseSequence(sequence, batch) }
  },
  move("Pad") { frame throws(RunError) in try frame.pad(hasValue: false) },
  move("PadV2") { frame throws(RunError) in try frame.pad(hasValue: true) },
  KernelDefinition("MirrorPad") { node throws(GraphError) in
    let mode = try node.string("mode")
    guard mode == "REFLECT" || mode == "SYMMETRIC" else { throw node.invalid("mode must be either REFLECT or SYMMETRIC.") }
    return { frame throws(RunError) in try frame.mirrorPad(offset: mode == "REFLECT" ? 1 : 0) }
  },
  blocks("SpaceToDepth", toDepth: true), blocks("DepthToSpace", toDepth: false),
  move("SpaceToBatchND") { frame throws(RunError) in try frame.spaceToBatch() },
  move("BatchToSpaceND") { frame throws(RunError) in try frame.batchToSpace() },
  move("MatrixBandPart") { frame throws(RunError) in try frame.bandPart() },
  move("DiagPart") { frame throws(RunError) in try frame.diagonalOfTensor() },
  move("Diag") { frame throws(RunError) in try frame.tensorOfDiagonal() },
  move("MatrixDiagPart") { frame throws(RunError) in try frame.matrixDiagonal() },
  move("MatrixDiag") { frame throws(RunError) in try frame.matrixOfDiagonal() },
  move("MatrixSetDiag") { frame throws(RunError) in try frame.setMatrixDiagonal() },
]

private func move(_ op: String, _ body: @escaping Kernel.Body) -> KernelDefinition {
  KernelDefinition(op) { _ throws(GraphError) in body }
}

extension Frame {
  fileprivate mutating func transpose() throws(RunError) {
    let x = input(0)
    let order = input(1)
    guard order.shape.rank == 1 else { throw .invalidArgument("perm must be rank 1, got shape \(order.shape)") }
    guard order.count == x.shape.rank else {
      throw .invalidArgument(
        "transpose expects a vector of size \(x.shape.rank). But input(1) is a vector of size \(order.count)")
    }
    var seen: UInt = 0
    var dims = Dims()
    var copy = StridedCopy()
    let strides = x.shape.strides
    var isIdentity = true
    for d in 0..<order.count {
      let wanted = try order.integer(at: d)
      guard let source = axis(wanted, rank: x.shape.rank) else {
        throw .invalidArgument("\(wanted) is out of range [0 .. \(x.shape.rank))")
      }
      seen |= 1 << UInt(source)
      isIdentity = isIdentity && source == d
      try dims.append(x.shape[source])
      copy.append(x.shape[source], from: strides[source], to: 0)
    }
    for d in 0..<x.shape.rank where seen & (1 << UInt(d)) == 0 {
      throw .invalidArgument("\(d) is missing from {\(order.integers())}.")
    }
    if isIdentity { return forward(0, to: 0) }
    let out = try output(0, x.dtype, try Shape(checking: dims))
    copy.packDestination()
    copy.run(from: x, to: out)
  }

  fileprivate func conjugateOutput() throws(RunError) {
    // Complex matrices do not occur in models that serve; the plain transpose is all there is for the rest.
    guard input(0).dtype != .complex64, input(0).dtype != .complex128 else {
      throw unsupported("ConjugateTranspose", input(0).dtype)
    }
  }

  // MARK: Joining and parting

  fileprivate mutating func concatenate(axisInput: Int, first: Int, count: Int) throws(RunError) {
    let axisValue = input(axisInput)
    guard axisValue.count == 1 else {
      throw .invalidArgument("axis tensor should be a scalar integer, but got shape \(axisValue.shape)")
    }
    let wanted = try axisValue.integer(at: 0)
    guard count > 0 else { throw .invalidArgument("ConcatOp : there is nothing to concatenate") }
    let shape = input(first).shape
    guard shape.rank > 0 else { throw .invalidArgument("ConcatOp : Can't concatenate scalars (use tf.stack instead)") }
    guard let axis = axis(wanted, rank: shape.rank) else {
      throw .invalidArgument(
        "ConcatOp : Expected concatenating dimensions in the range [\(-shape.rank), \(shape.rank)), but got \(wanted)")
    }
    var total = 0
    for i in 0..<count {
      let other = input(first + i)
      guard other.shape.rank == shape.rank else {
        throw .invalidArgument(
          "ConcatOp : Ranks of all input tensors should match: shape[0] = \(shape) vs. shape[\(i)] = \(other.shape)")
      }
      guard other.dtype == input(first).dtype else { throw .invalidArgument("ConcatOp : the inputs are \(input(first).dtype) and \(other.dtype)") }
      for d in 0..<shape.rank where d != axis && other.shape[d] != shape[d] {
        throw .invalidArgument(
          "ConcatOp : Dimension \(d) in both shapes must be equal: shape[0] = \(shape) vs. shape[\(i)] = \(other.shape)")
      }
      let (sum, overflow) = total.addingReportingOverflow(other.shape[axis])
      guard !overflow else { throw .invalidArgument("ConcatOp : Shape overflow") }
      total = sum
    }
    if count == 1 { return forward(first, to: 0) }
    let out = try output(0, input(first).dtype, try shape.replacing(axis, by: total))
    let outer = shape.count(upTo: axis)
    let inner = shape.count(from: axis + 1)
    var at = 0
    for i in 0..<count {
      let part = input(first + i)
      let row = part.shape[axis] * inner
      var copy = StridedCopy()
      copy.append(outer, from: row, to: total * inner)
      copy.append(row, from: 1, to: 1)
      copy.toStart = at
      copy.run(from: part, to: out)
      at += row
    }
  }

  /// Copies `extent` of a dimension, from `start` on, to an output.
  private mutating func part(_ x: Value, _ axis: Int, _ start: Int, _ extent: Int, to index: Int, removing: Bool = false) throws(RunError) {
    let shape = removing ? x.shape.removing(axis) : try x.shape.replacing(axis, by: extent)
    let out = try output(index, x.dtype, shape)
    let inner = x.shape.count(from: axis + 1)
    var copy = StridedCopy()
    copy.append(x.shape.count(upTo: axis), from: x.shape[axis] * inner, to: extent * inner)
    copy.append(extent * inner, from: 1, to: 1)
    copy.fromStart = start * inner
    copy.run(from: x, to: out)
  }

  private func splitAxis(_ input: Int, _ rank: Int) throws(RunError) -> Int {
    let wanted = try scalar(input, "split_dim")
    guard let axis = axis(wanted, rank: rank) else {
      throw .invalidArgument("-input rank(-\(rank)) <= split_dim < input rank (\(rank)), but got \(wanted)")
    }
    return axis
  }

  fileprivate mutating func split(_ count: Int) throws(RunError) {
    let x = input(1)
    let axis = try splitAxis(0, x.shape.rank)
    guard count > 0 else { throw .invalidArgument("Number of ways to split should be > 0, but got \(count)") }
    guard x.shape[axis] % count == 0 else {
      throw .invalidArgument(
        "Number of ways to split should evenly divide the split dimension, but got split_dim \(axis) (size = \(x.shape[axis])) and num_split \(count)")
    }
    let extent = x.shape[axis] / count
    for i in 0..<min(count, outputCount) { try part(x, axis, i * extent, extent, to: i) }
  }

  fileprivate mutating func splitSizes(_ count: Int) throws(RunError) {
    let x = input(0)
    let sizes = input(1)
    let axis = try splitAxis(2, x.shape.rank)
    guard sizes.shape.rank == 1, sizes.count == count else {
      throw .invalidArgument("size of the split_tensor must be 1-D and have the same elements as outputs got \(sizes.shape.rank) -D and \(sizes.count) elements")
    }
    var total = 0
    var missing = -1
    for i in 0..<count {
      let size = try sizes.integer(at: i)
      if size == -1 {
        guard missing < 0 else { throw .invalidArgument("There can only be one -1 in the input.") }
        missing = i
      } else {
        guard size >= 0 else { throw .invalidArgument("Split size at index \(i) must be >= 0. Got: \(size)") }
        let (sum, overflow) = total.addingReportingOverflow(size)
        guard !overflow else { throw .invalidArgument("Split sizes overflow") }
        total = sum
      }
    }
    let extent = x.shape[axis]
    guard missing < 0 ? total == extent : total <= extent else {
      throw .invalidArgument(
        "Determined shape must either match input shape along split_dim exactly if fully specified, or be less than the size of the input along split_dim if not fully specified.  Got: \(total)")
    }
    var at = 0
    for i in 0..<count {
      let size = i == missing ? extent - total : try sizes.integer(at: i)
      if i < outputCount { try part(x, axis, at, size, to: i) }
      at += size
    }
  }

  fileprivate mutating func pack(_ wanted: Int) throws(RunError) {
    let first = input(0)
    let rank = first.shape.rank + 1
    guard let axis = axis(wanted, rank: rank) else {
      throw .invalidArgument("axis = \(wanted) not in [\(-rank), \(rank))")
    }
    for i in 1..<max(inputCount, 1) {
      guard input(i).shape == first.shape, input(i).dtype == first.dtype else {
        throw .invalidArgument(
          "Shapes of all inputs must match: values[0].shape = \(first.shape) != values[\(i)].shape = \(input(i).shape)")
      }
    }
    var dims = Dims()
    for d in 0..<rank {
      if d == axis { try dims.append(inputCount) }
      if d < first.shape.rank { try dims.append(first.shape[d]) }
    }
    let out = try output(0, first.dtype, try Shape(checking: dims))
    let inner = first.shape.count(from: axis)
    for i in 0..<inputCount {
      var copy = StridedCopy()
      copy.append(first.shape.count(upTo: axis), from: inner, to: inner * inputCount)
      copy.append(inner, from: 1, to: 1)
      copy.toStart = i * inner
      copy.run(from: input(i), to: out)
    }
  }

  fileprivate mutating func unpack(_ wanted: Int, _ count: Int) throws(RunError) {
    let x = input(0)
    guard let axis = axis(wanted, rank: x.shape.rank) else {
      throw .invalidArgument("axis = \(wanted) not in [\(-x.shape.rank), \(x.shape.rank))")
    }
    guard x.shape[axis] == count else {
      throw .invalidArgument("Input shape axis \(axis) must equal \(count), got shape \(x.shape)")
    }
    for i in 0..<min(count, outputCount) { try part(x, axis, i, 1, to: i, removing: true) }
  }

  // MARK: Cutting

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

  // MARK: Repeating

  fileprivate mutating func tile() throws(RunError) {
    let x = input(0)
    let multiples = input(1)
    guard multiples.shape.rank == 1 else {
      throw .invalidArgument("Expected multiples to be 1-D, but got shape \(multiples.shape)")
    }
    guard multiples.count == x.shape.rank else {
      throw .invalidArgument(
        "Expected multiples argument to be a vector of length \(x.shape.rank) but got length \(multiples.count)")
    }
    var dims = Dims()
    var copy = StridedCopy()
    let strides = x.shape.strides
    for d in 0..<x.shape.rank {
      let times = try multiples.integer(at: d)
      guard times >= 0 else { throw .invalidArgument("Expected multiples[\(d)] >= 0, but got \(times)") }
      let (extent, overflow) = x.shape[d].multipliedReportingOverflow(by: times)
      guard !overflow else { throw .invalidArgument("Encountered overflow when multiplying \(x.shape[d]) with \(times), result: -1") }
      try dims.append(extent)
      copy.append(times, from: 0, to: 0)
      copy.append(x.shape[d], from: strides[d], to: 0)
    }
    let out = try output(0, x.dtype, try Shape(checking: dims))
    copy.packDestination()
    copy.run(from: x, to: out)
  }

  fileprivate mutating func broadcastTo() throws(RunError) {
    let x = input(0)
    let shape = try Shape(checking: try dims(1))
    guard x.shape.rank <= shape.rank else {
      throw .invalidArgument(
        "Rank of input (\(x.shape.rank)) must be no greater than rank of output shape (\(shape.rank)).")
    }
    let strides = x.shape.strides
    var copy = StridedCopy()
    for d in 0..<shape.rank {
      let source = d - (shape.rank - x.shape.rank)
      let extent = source < 0 ? 1 : x.shape[source]
      guard extent == shape[d] || extent == 1 else {
        throw .invalidArgument("Incompatible shapes: \(x.shape) vs. \(shape)")
      }
      copy.append(shape[d], from: extent == 1 ? 0 : strides[source], to: 0)
    }
    if shape == x.shape { return forward(0, to: 0) }
    let out = try output(0, x.dtype, shape)
    copy.packDestination()
    copy.run(from: x, to: out)
  }

  // MARK: Reordering

  fileprivate mutating func reverse() throws(RunError) {
    let x = input(0)
    let axes = input(1)
    guard axes.shape.rank == 1 || axes.shape.rank == 0 else {
      throw .invalidArgument("'dims' must be 1-dimension, not \(axes.shape.rank)")
    }
    var reversed: UInt = 0
    for i in 0..<axes.count {
      let wanted = try axes.integer(at: i)
      guard let axis = axis(wanted, rank: x.shape.rank) else {
        throw .invalidArgument("'axis'[\(i)] = \(wanted) is out of valid range [0, \(x.shape.rank - 1)")
      }
      guard reversed & (1 << UInt(axis)) == 0 else { throw .invalidArgument("axis \(axis) specified more than once.") }
      reversed |= 1 << UInt(axis)
    }
    let strides = x.shape.strides
    var copy = StridedCopy()
    for d in 0..<x.shape.rank {
      let isReversed = reversed & (1 << UInt(d)) != 0
      if isReversed { copy.fromStart += max(x.shape[d] - 1, 0) * strides[d] }
      copy.append(x.shape[d], from: isReversed ? -strides[d] : strides[d], to: 0)
    }
    let out = try output(0, x.dtype, x.shape)
    copy.packDestination()
    copy.run(from: x, to: out)
  }

  fileprivate mutating func roll() throws(RunError) {
    let x = input(0)
    let shifts = input(1)
    let axes = input(2)
    guard x.shape.rank >= 1 else { throw .invalidArgument("input must be 1-D or higher") }
    guard shifts.shape.rank <= 1 else { throw .invalidArgument("shift must be a scalar or a 1-D vector. Found: \(shifts.shape)") }
    guard axes.shape.rank <= 1 else { throw .invalidArgument("axis must be a scalar or a 1-D vector. Found: \(axes.shape)") }
    guard shifts.count == axes.count else { throw .invalidArgument("shift and axis must have the same size") }
    var shift: [8 of Int] = .init(repeating: 0)
    for i in 0..<axes.count {
      let wanted = try axes.integer(at: i)
      guard let axis = axis(wanted, rank: x.shape.rank) else { throw .invalidArgument("axis \(wanted) is out of range") }
      let n = x.shape[axis]
      if n > 0 { shift[axis] = ((shift[axis] + (try shifts.integer(at: i)) % n) % n + n) % n }
    }
    let out = try output(0, x.dtype, x.shape)
    // Each rolled dimension is two pieces that change places: all combinations of pieces are copied.
    let strides = x.shape.strides
    for pieces in 0..<(1 << x.shape.rank) {
      var copy = StridedCopy()
      var isUsed = true
      for d in 0..<x.shape.rank {
        let n = x.shape[d]
        let isTail = pieces & (1 << d) != 0
        // The tail of `shift` elements goes to the front.
        if isTail && shift[d] == 0 { isUsed = false }
        copy.fromStart += (isTail ? n - shift[d] : 0) * strides[d]
        copy.toStart += (isTail ? 0 : shift[d]) * strides[d]
        copy.append(isTail ? shift[d] : n - shift[d], from: strides[d], to: strides[d])
      }
      if isUsed { copy.run(from: x, to: out) }
    }
  }

  fileprivate mutating func reverseSequence(_ sequence: Int, _ batch: Int) throws(RunError) {
    let x = input(0)
    let lengths = input(1)
    let rank = x.shape.rank
    guard lengths.shape.rank == 1 else { throw .invalidArgument("seq_lens input must be 1-dim, not \(lengths.shape.rank)") }
    guard sequence != batch else { throw .invalidArgument("batch_dim == seq_dim == \(sequence)") }
    guard sequence >= 0, sequence < rank else { throw .invalidArgument("seq_dim must be < input rank ( \(sequence) vs. \(rank))") }
    guard batch >= 0, batch < rank else { throw .invalidArgument("batch_dim must be < input rank ( \(batch) vs. \(rank))") }
    guard lengths.count == x.shape[batch] else {
      throw .invalidArgument("Length of seq_lengths != input.dims(\(batch)), (\(lengths.count) vs. \(x.shape[batch]))")
    }
    for i in 0..<lengths.count {
      let length = try lengths.integer(at: i)
      guard length >= 0 else { throw .invalidArgument("seq_lens(\(i)) < 0") }
      guard length <= x.shape[sequence] else { throw .invalidArgument("seq_lens(\(i)) > input.dims(\(sequence))") }
    }
    let out = try output(0, x.dtype, x.shape)
    let strides = x.shape.strides
    for b in 0..<lengths.count {
      let length = try lengths.integer(at: b)
      for isTail in [false, true] {
        var copy = StridedCopy()
        for d in 0..<rank {
          switch d {
          case batch:
            copy.fromStart += b * strides[d]
            copy.toStart += b * strides[d]
          case sequence where isTail:
            copy.fromStart += length * strides[d]
            copy.toStart += length * strides[d]
            copy.append(x.shape[d] - length, from: strides[d], to: strides[d])
          case sequence:
            copy.fromStart += max(length - 1, 0) * strides[d]
            copy.append(length, from: -strides[d], to: strides[d])
          default:
            copy.append(x.shape[d], from: strides[d], to: strides[d])
          }
        }
        copy.run(from: x, to: out)
      }
    }
  }

  // MARK: Padding

  /// The paddings of each dimension, checked.
  private func paddings(_ x: Value, mirror: Bool = false) throws(RunError) -> (before: Dims, shape: Shape) {
    let paddings = input(1)
    guard paddings.shape.rank == 2, paddings.shape[1] == 2 else {
      throw .invalidArgument("paddings must be a matrix with 2 columns: \(paddings.shape)")
    }
    guard paddings.shape[0] == x.shape.rank else {
      throw .invalidArgument("The first dimension of paddings must be the rank of inputs\(paddings.shape)\(mirror ? "," : "") \(x.shape)")
    }
    var before = Dims()
    var dims = Dims()
    for d in 0..<x.shape.rank {
      let (low, high) = (try paddings.integer(at: 2 * d), try paddings.integer(at: 2 * d + 1))
      guard low >= 0, high >= 0 else { throw .invalidArgument("\(mirror ? "p" : "P")addings must be non-negative: \(low) \(high)") }
      let (sum, over) = x.shape[d].addingReportingOverflow(low)
      let (total, overflow) = sum.addingReportingOverflow(high)
      guard !over, !overflow else { throw .invalidArgument("Paddings are too large: \(low) \(high)") }
      try before.append(low)
      try dims.append(total)
    }
    return (before, try Shape(checking: dims))
  }

  fileprivate mutating func pad(hasValue: Bool) throws(RunError) {
    let x = input(0)
    let (before, shape) = try paddings(x)
    if shape == x.shape { return forward(0, to: 0) }
    let out = try output(0, x.dtype, shape)
    if hasValue {
      let value = input(2)
      guard value.count == 1, value.dtype == x.dtype else {
        throw .invalidArgument("constant_values must be a scalar. Found: \(value.shape)")
      }
      // The value holds one element of the output's type.
      unsafe ck_fill(out.count, x.dtype.size, value.base, out.base)
    } else {
      unsafe zero(out)
    }
    copyInside(x, out, before)
  }

  /// Copies a tensor into the middle of a larger one.
  private func copyInside(_ x: Value, _ out: Value, _ before: Dims) {
    let from = x.shape.strides
    let to = out.shape.strides
    var copy = StridedCopy()
    for d in 0..<x.shape.rank {
      copy.toStart += before[d] * to[d]
      copy.append(x.shape[d], from: from[d], to: to[d])
    }
    copy.run(from: x, to: out)
  }

  fileprivate mutating func mirrorPad(offset: Int) throws(RunError) {
    let x = input(0)
    let (before, shape) = try paddings(x, mirror: true)
    for d in 0..<x.shape.rank {
      let after = shape[d] - x.shape[d] - before[d]
      guard before[d] <= x.shape[d] - offset, after <= x.shape[d] - offset else {
        throw .invalidArgument(
          offset == 0
            ? "paddings must be no greater than the dimension size: \(before[d]), \(after) greater than \(x.shape[d])"
            : "paddings must be less than the dimension size: \(before[d]), \(after) not less than \(x.shape[d])")
      }
    }
    let out = try output(0, x.dtype, shape)
    copyInside(x, out, before)
    // Dimension by dimension from the last: what lies inside is whole, so a slab can be copied from its mirror image.
    for d in (0..<x.shape.rank).reversed() {
      let inner = shape.count(from: d + 1)
      let first = before[d]
      let last = first + x.shape[d]
      for row in 0..<shape.count(upTo: d) {
        func copy(_ from: Int, _ to: Int) {
          // Both slabs lie within row `row` of the output.
          unsafe out.at((row * shape[d] + to) * inner).copyMemory(
            from: out.at((row * shape[d] + from) * inner), byteCount: inner * x.dtype.size)
        }
        for i in 0..<first { copy(first + first - 1 - i + offset, i) }
        for i in last..<shape[d] { copy(2 * last - 1 - i - offset, i) }
      }
    }
  }

  // MARK: Blocks

  fileprivate mutating func spaceToBatch() throws(RunError) {
    let x = input(0)
    let block = try dims(1)
    let paddings = input(2)
    let m = block.count
    guard x.shape.rank >= 1 + m else { throw .invalidArgument("input rank should be >= \(1 + m) instead of \(x.shape.rank)") }
    guard paddings.count == 2 * m else { throw .invalidArgument("paddings should have shape [\(m), 2] instead of \(paddings.shape)") }
    var padded = Dims(x.shape)
    var before = Dims(repeating: 0, count: x.shape.rank)
    var result = Dims(x.shape)
    for d in 0..<m {
      guard block[d] >= 1 else { throw .invalidArgument("All values in block_shape must be positive, got value, \(block[d]) at index \(d).") }
      let (low, high) = (try paddings.integer(at: 2 * d), try paddings.integer(at: 2 * d + 1))
      guard low >= 0, high >= 0, low < Int(Int32.max), high < Int(Int32.max) else { throw .invalidArgument("paddings must be non-negative, got \(low) and \(high).") }
      padded[d + 1] = padded[d + 1] &+ low &+ high
      before[d + 1] = low
      guard padded[d + 1] % block[d] == 0 else {
        throw .invalidArgument("padded_shape[\(d)]=\(padded[d + 1]) is not divisible by block_shape[\(d)]=\(block[d])")
      }
      result[d + 1] = padded[d + 1] / block[d]
      let (batch, overflow) = result[0].multipliedReportingOverflow(by: block[d])
      guard !overflow else { throw .invalidArgument("The block shape is too large") }
      result[0] = batch
    }
    let space = try temporary(x.dtype, try Shape(checking: padded))
    unsafe zero(space.value)
    copyInside(x, space.value, before)
    // [batch, n0/b0, b0, n1/b1, b1, ..., rest] becomes [b0, b1, ..., batch, n0/b0, n1/b1, ..., rest].
    let strides = space.value.shape.strides
    var copy = StridedCopy()
    for d in 0..<m { copy.append(block[d], from: strides[d + 1], to: 0) }
    copy.append(x.shape[0], from: strides[0], to: 0)
    for d in 0..<m { copy.append(padded[d + 1] / block[d], from: strides[d + 1] * block[d], to: 0) }
    for d in (m + 1)..<max(x.shape.rank, m + 1) { copy.append(x.shape[d], from: strides[d], to: 0) }
    let out = try output(0, x.dtype, try Shape(checking: result))
    copy.packDestination()
    copy.run(from: space.value, to: out)
    release(space.scratch)
  }

  fileprivate mutating func batchToSpace() throws(RunError) {
    let x = input(0)
    let block = try dims(1)
    let crops = input(2)
    let m = block.count
    guard x.shape.rank >= 1 + m else { throw .invalidArgument("input rank should be >= \(1 + m) instead of \(x.shape.rank)") }
    guard crops.count == 2 * m else { throw .invalidArgument("crops should have shape [\(m), 2] instead of \(crops.shape)") }
    var product = 1
    for d in 0..<m {
      guard block[d] >= 1 else { throw .invalidArgument("All values in block_shape must be positive, got value, \(block[d]) at index \(d).") }
      let (next, overflow) = product.multipliedReportingOverflow(by: block[d])
      guard !overflow else { throw .invalidArgument("The product of the block dimensions must be positive") }
      product = next
    }
    guard x.shape[0] % product == 0 else {
      throw .invalidArgument("Input batch dimension (\(x.shape[0])) is not divisible by product of block sizes (\(product))")
    }
    var whole = Dims(x.shape)
    whole[0] = x.shape[0] / product
    for d in 0..<m {
      let (extent, overflow) = x.shape[d + 1].multipliedReportingOverflow(by: block[d])
      guard !overflow else { throw .invalidArgument("The block shape is too large") }
      whole[d + 1] = extent
    }
    let space = try temporary(x.dtype, try Shape(checking: whole))
    let from = x.shape.strides
    // [b0, b1, ..., batch, n0, n1, ..., rest] becomes [batch, n0, b0, n1, b1, ..., rest].
    var copy = StridedCopy()
    copy.append(whole[0], from: from[0], to: 0)
    for d in 0..<m {
      copy.append(x.shape[d + 1], from: from[d + 1], to: 0)
      var blockStride = whole[0] * from[0]
      for later in (d + 1)..<max(m, d + 1) { blockStride *= block[later] }
      copy.append(block[d], from: blockStride, to: 0)
    }
    for d in (m + 1)..<max(x.shape.rank, m + 1) { copy.append(x.shape[d], from: from[d], to: 0) }
    copy.packDestination()
    copy.run(from: x, to: space.value)
    // What is left after cropping.
    var result = whole
    var cut = StridedCopy()
    let strides = space.value.shape.strides
    for d in 0..<x.shape.rank {
      if d >= 1, d <= m {
        let (low, high) = (try crops.integer(at: 2 * (d - 1)), try crops.integer(at: 2 * (d - 1) + 1))
        guard low >= 0, high >= 0, low <= whole[d], high <= whole[d] - low else {
          throw .invalidArgument("cropped_shape[\(d - 1)]=\(whole[d] &- low &- high) must be non-negative")
        }
        result[d] = whole[d] - low - high
        cut.fromStart += low * strides[d]
      }
      cut.append(result[d], from: strides[d], to: 0)
    }
    let out = try output(0, x.dtype, try Shape(checking: result))
    cut.packDestination()
    cut.run(from: space.value, to: out)
    release(space.scratch)
  }

  // MARK: Diagonals

  /// Rows and columns of the matrices in a tensor.
  private func matrices(_ x: Value) throws(RunError) -> (count: Int, rows: Int, columns: Int) {
    let rank = x.shape.rank
    guard rank >= 2 else { throw .invalidArgument("input must be at least 2-dim, received shape: \(x.shape)") }
    return (x.shape.count(upTo: rank - 2), x.shape[rank - 2], x.shape[rank - 1])
  }

  fileprivate mutating func bandPart() throws(RunError) {
    let x = input(0)
    let (count, rows, columns) = try matrices(x)
    let lower = try scalar(1, "num_lower")
    let upper = try scalar(2, "num_upper")
    guard lower <= rows else { throw .invalidArgument("num_lower must be negative or less or equal to number of rows (\(rows)) got: \(lower)") }
    guard upper <= columns else { throw .invalidArgument("num_upper must be negative or less or equal to number of columns (\(columns)) got: \(upper)") }
    let out = try output(0, x.dtype, x.shape)
    unsafe zero(out)
    for m in 0..<count {
      for r in 0..<rows {
        let first = lower < 0 ? 0 : max(0, r - lower)
        let end = upper < 0 ? columns : min(columns, r + upper + 1)
        guard first < end else { continue }
        let at = (m * rows + r) * columns + first
        // Columns `first..<end` of one row.
        unsafe out.at(at).copyMemory(from: x.at(at), byteCount: (end - first) * x.dtype.size)
      }
    }
  }

  fileprivate mutating func matrixDiagonal() throws(RunError) {
    let x = input(0)
    let (count, rows, columns) = try matrices(x)
    let n = min(rows, columns)
    let shape = try x.shape.removing(x.shape.rank - 1).replacing(x.shape.rank - 2, by: n)
    var copy = StridedCopy()
    copy.append(count, from: rows * columns, to: n)
    copy.append(n, from: columns + 1, to: 1)
    copy.run(from: x, to: try output(0, x.dtype, shape))
  }

  fileprivate mutating func matrixOfDiagonal() throws(RunError) {
    let x = input(0)
    guard x.shape.rank >= 1 else { throw .invalidArgument("diagonal must be at least 1-dim, received shape: \(x.shape)") }
    let n = x.shape[x.shape.rank - 1]
    let out = try output(0, x.dtype, try x.shape.joined(0..<x.shape.rank, [n], 0..<1))
    unsafe zero(out)
    scatterDiagonal(x, out, count: x.shape.count(upTo: x.shape.rank - 1), n, out.shape.rank)
  }

  fileprivate mutating func setMatrixDiagonal() throws(RunError) {
    let x = input(0)
    let diagonal = input(1)
    let (count, rows, columns) = try matrices(x)
    let n = min(rows, columns)
    guard diagonal.dtype == x.dtype, diagonal.shape == (try x.shape.removing(x.shape.rank - 1).replacing(x.shape.rank - 2, by: n)) else {
      let expected = try x.shape.removing(x.shape.rank - 1).replacing(x.shape.rank - 2, by: n)
      throw .invalidArgument(
        "Either first dimensions of diagonal don't match input.shape[:-2], or diagonal.shape[:-1] is not equal to the longests diagonal in range [lower_diag_index:upper_diag_index].\nInput shape: \(x.shape)\nDiagonal shape: \(diagonal.shape)\nExpected diagonal shape: \(expected)")
    }
    let out = try output(0, x.dtype, x.shape, reusing: 0)
    // Already in place when the memory was taken over.
    if unsafe out.base != x.base { unsafe out.base.copyMemory(from: x.base, byteCount: x.byteCount) }
    scatterDiagonal(diagonal, out, count: count, n, x.shape.rank)
  }

  private func scatterDiagonal(_ diagonal: Value, _ out: Value, count: Int, _ n: Int, _ rank: Int) {
    let columns = out.shape[rank - 1]
    var copy = StridedCopy()
    copy.append(count, from: n, to: out.shape[rank - 2] * columns)
    copy.append(n, from: 1, to: columns + 1)
    copy.run(from: diagonal, to: out)
  }

  fileprivate mutating func diagonalOfTensor() throws(RunError) {
    let x = input(0)
    let half = x.shape.rank / 2
    guard x.shape.rank % 2 == 0, x.shape.rank > 0 else {
      throw .invalidArgument("The rank of the tensor should be                                          even and positive, got shape \(x.shape)")
    }
    var shape = Shape()
    for d in 0..<half {
      guard x.shape[d] == x.shape[half + d] else {
        throw .invalidArgument("Invalid shape \(x.shape): dimensions \(d) and \(half + d) do not match.")
      }
      shape.append(x.shape[d])
    }
    var copy = StridedCopy()
    copy.append(shape.count, from: shape.count + 1, to: 1)
    copy.run(from: x, to: try output(0, x.dtype, shape))
  }

  fileprivate mutating func tensorOfDiagonal() throws(RunError) {
    let x = input(0)
    guard x.shape.rank >= 1 else { throw .invalidArgument("Input must be at least rank 1, got 0") }
    let out = try output(0, x.dtype, try x.shape.joined(0..<x.shape.rank, x.shape, 0..<x.shape.rank))
    unsafe zero(out)
    var copy = StridedCopy()
    copy.append(x.count, from: 1, to: x.count + 1)
    copy.run(from: x, to: out)
  }
}

/// Moves blocks of an image between its area and its channels, NHWC.
private func blocks(_ op: String, toDepth: Bool) -> KernelDefinition {
  KernelDefinition(op) { node throws(GraphError) in
    let block = try node.int("block_size")
    guard block > 1 || (block == 1) else { throw node.invalid("Block size should be > 1, but was: \(block)") }
    guard try node.string("data_format", default: "NHWC") == "NHWC" else { throw node.unsupported("data_format must be NHWC") }
    return { frame throws(RunError) in
      let x = frame.input(0)
      guard x.shape.rank == 4 else { throw .invalidArgument("Input rank should be 4 instead of \(x.shape.rank)") }
      let (batch, height, width, depth) = (x.shape[0], x.shape[1], x.shape[2], x.shape[3])
      let strides = x.shape.strides
      var copy = StridedCopy()
      let dims: (Int, Int, Int)
      if toDepth {
        guard height % block == 0, width % block == 0 else {
          throw .invalidArgument("Image width \(width) and height \(height) should be divisible by block_size: \(block)")
        }
        dims = (height / block, width / block, depth * block * block)
        copy.append(batch, from: strides[0], to: 0)
        copy.append(height / block, from: strides[1] * block, to: 0)
        copy.append(width / block, from: strides[2] * block, to: 0)
        copy.append(block, from: strides[1], to: 0)
        copy.append(block, from: strides[2], to: 0)
        copy.append(depth, from: 1, to: 0)
      } else {
        let (square, overflow) = block.multipliedReportingOverflow(by: block)
        guard !overflow, depth % square == 0 else {
          throw .invalidArgument("Input depth dimension \(depth) should be divisible by: \(square)")
        }
        let rest = depth / square
        dims = (height * block, width * block, rest)
        copy.append(batch, from: strides[0], to: 0)
        copy.append(height, from: strides[1], to: 0)
        copy.append(block, from: block * rest, to: 0)
        copy.append(width, from: strides[2], to: 0)
        copy.append(block, from: rest, to: 0)
        copy.append(rest, from: 1, to: 0)
      }
      var result = Dims()
      for extent in [batch, dims.0, dims.1, dims.2] { try result.append(extent) }
      let out = try frame.output(0, x.dtype, try Shape(checking: result))
      copy.packDestination()
      copy.run(from: x, to: out)
    }
  }
}

// MARK: StridedSlice

/// What of a tensor `StridedSlice` takes: the masks of its attributes, a bit for each entry of begin, end and strides.
struct SliceMasks: Sendable {
  var begin: Int
  var end: Int
  var ellipsis: Int
  var newAxis: Int
  var shrink: Int

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
