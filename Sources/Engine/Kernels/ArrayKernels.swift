// Ops that move elements about without looking at them: whatever the type, an element is so many bytes. Nearly all of them are a
// `StridedCopy` with the right strides.
internal import CKernels
internal import Tensors

let arrayKernels: [KernelDefinition] = [
  kernel("Transpose") { frame throws(RunError) in try frame.transpose() },
  kernel("ConjugateTranspose") { frame throws(RunError) in
    try frame.transpose()
    try frame.conjugateOutput()
  },
  kernel("Concat") { frame throws(RunError) in try frame.concatenate(axisInput: 0, first: 1, count: frame.inputCount - 1) },
  kernel("ConcatV2") { frame throws(RunError) in
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
  kernel("Tile") { frame throws(RunError) in try frame.tile() },
  kernel("BroadcastTo") { frame throws(RunError) in try frame.broadcastTo() },
  kernel("ReverseV2") { frame throws(RunError) in try frame.reverse() },
  kernel("Roll") { frame throws(RunError) in try frame.roll() },
  KernelDefinition("ReverseSequence") { node throws(GraphError) in
    let sequence = try node.int("seq_dim")
    let batch = try node.int("batch_dim", default: 0)
    return { frame throws(RunError) in try frame.reverseSequence(sequence, batch) }
  },
]

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
}
