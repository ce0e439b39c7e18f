// Sparse tensors put together, cut and folded. A sparse tensor is three values: a row of indices for each number, the numbers, and
// the shape they lie in. Ops that need an order take the canonical one, indices rising from the first dimension to the last.
internal import CKernels
internal import Glibc
internal import Tensors

let sparseTensorKernels: [KernelDefinition] = [
  kernel("SparseSlice") { frame throws(RunError) in try frame.sparseSlice() },
  KernelDefinition("SparseConcat") { node throws(GraphError) in
    let count = try node.int("N")
    let axis = try node.int("concat_dim")
    guard count > 0 else { throw node.invalid("N must be at least 1") }
    return { frame throws(RunError) in try frame.sparseConcat(count, axis) }
  },
  KernelDefinition("SparseSplit") { node throws(GraphError) in
    let count = try node.int("num_split")
    guard count > 0 else { throw node.invalid("num_split must be at least 1") }
    return { frame throws(RunError) in try frame.sparseSplit(count) }
  },
  kernel("SparseAdd") { frame throws(RunError) in try frame.sparseAdd() },
  kernel("SparseTensorDenseAdd") { frame throws(RunError) in try frame.sparseTensorDenseAdd() },
  sparseDense("SparseDenseCwiseAdd", CK_ADD), sparseDense("SparseDenseCwiseMul", CK_MUL),
  sparseDense("SparseDenseCwiseDiv", CK_DIV),
  sparseSparse("SparseSparseMaximum", CK_MAXIMUM), sparseSparse("SparseSparseMinimum", CK_MINIMUM),
  sparseReduce("SparseReduceSum", CK_ADD, isSparse: false), sparseReduce("SparseReduceMax", CK_MAXIMUM, isSparse: false),
  sparseReduce("SparseReduceSumSparse", CK_ADD, isSparse: true),
  sparseReduce("SparseReduceMaxSparse", CK_MAXIMUM, isSparse: true),
  kernel("SparseSoftmax") { frame throws(RunError) in try frame.sparseSoftmax() },
  KernelDefinition("RaggedFillEmptyRows") { _ throws(GraphError) in
    { frame throws(RunError) in try frame.raggedFillEmptyRows() }
  },
]

/// A sparse tensor among the inputs, its parts held against each other.
private struct Sparse {
  let indices: Value
  let values: Value
  let shape: Dims
  var count: Int { values.count }
  var rank: Int { shape.count }

  init(_ indices: Value, _ values: Value, _ shape: Value, _ where: String = "") throws(RunError) {
    guard indices.dtype == .int64, indices.shape.rank == 2 else {
      throw .invalidArgument("Input indices should be a matrix but received shape \(indices.shape)\(`where`)")
    }
    guard values.shape.rank == 1 else {
      throw .invalidArgument("Input values should be a vector but received shape \(values.shape)\(`where`)")
    }
    guard shape.shape.rank == 1 else {
      throw .invalidArgument("Input shapes should be a vector but received shape \(shape.shape)\(`where`)")
    }
    guard indices.shape[0] == values.count else {
      throw .invalidArgument("Number of elements in indices (\(indices.shape[0])) and values (\(values.count)) do not match")
    }
    guard indices.shape[1] == shape.count else {
      throw .invalidArgument(
        "Number of dimensions must match second dimension of indices. Got \(shape.count) dimensions, indices shape: \(indices.shape)")
    }
    self.indices = indices
    self.values = values
    self.shape = try shape.dims()
    _ = try Shape(checking: self.shape)
  }

  /// An index of entry `i`.
  func index(_ i: Int, _ d: Int) -> Int { Int(indices.span(of: Int64.self)[i * rank + d]) }

  /// Throws for an entry that lies outside.
  func checkBounds() throws(RunError) {
    for i in 0..<count {
      for d in 0..<rank where index(i, d) < 0 || index(i, d) >= shape[d] {
        let place = (0..<rank).map { String(index(i, $0)) }.joined(separator: ",")
        throw .invalidArgument("indices[\(i)] = [\(place)] is out of bounds: need 0 <= index < \(try Shape(checking: shape))")
      }
    }
  }

  /// The order of two entries by their indices: below, at or above zero.
  static func compare(_ a: Sparse, _ i: Int, _ b: Sparse, _ j: Int) -> Int {
    for d in 0..<a.rank where a.index(i, d) != b.index(j, d) { return a.index(i, d) < b.index(j, d) ? -1 : 1 }
    return 0
  }
}

extension Frame {
  /// Output `index`: a shape as a sparse tensor has it.
  private mutating func output(_ index: Int, shape: Dims) throws(RunError) {
    let out = try output(index, .int64, [shape.count])
    for d in 0..<shape.count { out.set(d, shape[d]) }
  }

  /// The entries that `keep` gives indices for, as three outputs.
  private mutating func sparse(
    _ source: Sparse, _ entries: [Int], less offset: Dims, shape: Dims, to outputs: (Int, Int, Int)
  ) throws(RunError) {
    let indices = try output(outputs.0, .int64, [entries.count, source.rank])
    let values = try output(outputs.1, source.values.dtype, [entries.count])
    for (to, from) in entries.enumerated() {
      for d in 0..<source.rank { indices.set(to * source.rank + d, source.index(from, d) &- offset[d]) }
      // One value, within both.
      unsafe values.at(to).copyMemory(from: source.values.at(from), byteCount: values.dtype.size)
    }
    try output(outputs.2, shape: shape)
  }

  fileprivate mutating func sparseSlice() throws(RunError) {
    let x = try Sparse(input(0), input(1), input(2))
    let (start, size) = (input(3), input(4))
    guard start.shape.rank == 1 else { throw .invalidArgument("Input start should be a vector but received shape \(start.shape)") }
    guard size.shape.rank == 1 else { throw .invalidArgument("Input size should be a vector but received shape \(size.shape)") }
    guard start.count == x.rank else {
      throw .invalidArgument("Expected start to be a vector of length \(x.rank) but got length \(start.count)")
    }
    guard size.count == x.rank else {
      throw .invalidArgument("Expected size to be a vector of length \(x.rank) but got length \(size.count)")
    }
    let (low, length) = (try start.dims(), try size.dims())
    for d in 0..<x.rank where length[d] < 0 { throw .invalidArgument("Expected a non-negative size, got \(length[d])") }
    var shape = x.shape
    for d in 0..<x.rank {
      let extent = x.shape[d]
      // What the slice and the tensor have in common.
      shape[d] = low[d] < extent &- length[d] ? length[d] : low[d] < extent ? extent &- low[d] : 0
    }
    _ = try Shape(checking: shape)
    let kept = (0..<x.count).filter { i in
      (0..<x.rank).allSatisfy { d in
        let index = x.index(i, d)
        return index >= low[d] && index < low[d].addingReportingOverflow(length[d]).partialValue
      }
    }
    try sparse(x, kept, less: low, shape: shape, to: (0, 1, 2))
  }

  fileprivate mutating func sparseConcat(_ count: Int, _ wanted: Int) throws(RunError) {
    var parts: [Sparse] = []
    for i in 0..<count { parts.append(try Sparse(input(i), input(count + i), input(2 * count + i), " at position \(i)")) }
    let rank = parts[0].rank
    guard let along = axis(wanted, rank: rank) else {
      throw .invalidArgument("Concat dimension must be in range [\(-rank), \(rank)), got \(wanted)")
    }
    var shape = parts[0].shape
    var offsets = [0]
    for (i, part) in parts.enumerated() {
      guard part.rank == rank else {
        throw .invalidArgument("Ranks of all input tensors must match: expected \(rank) but got \(part.rank) at position \(i)")
      }
      guard part.values.dtype == parts[0].values.dtype else { throw unsupported("SparseConcat", part.values.dtype) }
      for d in 0..<rank where d != along && part.shape[d] != shape[d] {
        throw .invalidArgument("Input shapes must match: expected \(shape[d]) for dimension \(d) but got \(part.shape[d]) at position \(i)")
      }
      let (sum, overflow) = offsets[i].addingReportingOverflow(part.shape[along])
      guard !overflow else { throw .invalidArgument("the dimension along which is concatenated is too large") }
      offsets.append(sum)
    }
    shape[along] = offsets[count]
    _ = try Shape(checking: shape)
    var entries: [(part: Int, i: Int)] = []
    for (p, part) in parts.enumerated() { for i in 0..<part.count { entries.append((p, i)) } }
    func index(_ entry: (part: Int, i: Int), _ d: Int) -> Int {
      parts[entry.part].index(entry.i, d) &+ (d == along ? offsets[entry.part] : 0)
    }
    entries.sort { a, b in
      for d in 0..<rank where index(a, d) != index(b, d) { return index(a, d) < index(b, d) }
      return a.part != b.part ? a.part < b.part : a.i < b.i
    }
    let indices = try output(0, .int64, [entries.count, rank])
    let values = try output(1, parts[0].values.dtype, [entries.count])
    for (to, entry) in entries.enumerated() {
      for d in 0..<rank { indices.set(to * rank + d, index(entry, d)) }
      // One value, within both.
      unsafe values.at(to).copyMemory(from: parts[entry.part].values.at(entry.i), byteCount: values.dtype.size)
    }
    try output(2, shape: shape)
  }

  fileprivate mutating func sparseSplit(_ count: Int) throws(RunError) {
    let x = try Sparse(input(1), input(2), input(3))
    let wanted = try scalar(0, "split_dim")
    guard let along = axis(wanted, rank: x.rank), wanted >= -x.rank else {
      throw .invalidArgument("Input axis should be in range [\(-x.rank), \(x.rank)), got \(wanted)")
    }
    guard count >= 1, count <= x.shape[along] else {
      throw .invalidArgument(
        "Input num_split should be between 1 and the splitting dimension size (\(x.shape[along])), got \(count)")
    }
    try x.checkBounds()
    // The first parts are longer by one where the whole does not divide.
    let (length, longer) = (x.shape[along] / count, x.shape[along] % count)
    var start = 0
    for part in 0..<min(count, max(outputCount, 0)) {
      let end = start + length + (part < longer ? 1 : 0)
      var (shape, offset) = (x.shape, Dims(repeating: 0, count: x.rank))
      shape[along] = end - start
      offset[along] = start
      let kept = (0..<x.count).filter { x.index($0, along) >= start && x.index($0, along) < end }
      try sparse(x, kept, less: offset, shape: shape, to: (part, count + part, 2 * count + part))
      start = end
    }
  }

  // MARK: Arithmetic

  /// Walks two sparse tensors of one shape in their common order. `body` gets the entry of each, `nil` where one has none.
  private func merge(_ a: Sparse, _ b: Sparse, _ body: (Int?, Int?) -> Void) {
    var (i, j) = (0, 0)
    while i < a.count || j < b.count {
      let order = i == a.count ? 1 : j == b.count ? -1 : Sparse.compare(a, i, b, j)
      body(order <= 0 ? i : nil, order >= 0 ? j : nil)
      if order <= 0 { i += 1 }
      if order >= 0 { j += 1 }
    }
  }

  private func same(_ a: Sparse, _ b: Sparse) throws(RunError) {
    guard a.values.dtype == b.values.dtype else { throw .invalidArgument("expected \(a.values.dtype), got \(b.values.dtype)") }
    guard a.rank == b.rank else {
      throw .invalidArgument(
        "Operands do not have the same ranks; got shapes: \(try Shape(checking: a.shape)) and \(try Shape(checking: b.shape))")
    }
    for d in 0..<a.rank where a.shape[d] != b.shape[d] {
      throw .invalidArgument("Operands' shapes do not match: got \(a.shape[d]) and \(b.shape[d]) for dimension \(d)")
    }
  }

  fileprivate mutating func sparseAdd() throws(RunError) {
    let (a, b) = (try Sparse(input(0), input(1), input(2)), try Sparse(input(3), input(4), input(5)))
    try same(a, b)
    let threshold = input(6)
    guard threshold.shape.rank == 0 else {
      throw .invalidArgument("The magnitude threshold must be a scalar: got shape \(threshold.shape)")
    }
    let type = a.values.dtype
    guard let add = unsafe ck_binary_loop(CK_ADD, a.values.kernelType) else { throw unsupported("SparseAdd", type) }
    let least = try magnitudes(threshold)[0]
    // All sums first; those below the threshold are left out.
    let sums = try temporary(type, [a.count + b.count])
    var pairs: [(Int?, Int?)] = []
    merge(a, b) { i, j in
      // A sum for each place, of values of the type the loop was chosen for.
      let to = unsafe sums.value.at(pairs.count)
      if let i, let j {
        _ = unsafe add(1, a.values.at(i), 1, b.values.at(j), 1, to)
      } else if let i {
        unsafe to.copyMemory(from: a.values.at(i), byteCount: type.size)
      } else if let j {
        unsafe to.copyMemory(from: b.values.at(j), byteCount: type.size)
      }
      pairs.append((i, j))
    }
    let sizes = try magnitudes(sums.value)
    let kept = pairs.indices.filter { pairs[$0].0 == nil || pairs[$0].1 == nil || least <= sizes[$0] }
    let indices = try output(0, .int64, [kept.count, a.rank])
    let values = try output(1, type, [kept.count])
    for (to, k) in kept.enumerated() {
      for d in 0..<a.rank { indices.set(to * a.rank + d, pairs[k].0.map { a.index($0, d) } ?? b.index(pairs[k].1 ?? 0, d)) }
      unsafe values.at(to).copyMemory(from: sums.value.at(k), byteCount: type.size)
    }
    try output(2, shape: a.shape)
    release(sums.scratch)
  }

  /// The absolute value of every element.
  private mutating func magnitudes(_ x: Value) throws(RunError) -> [Double] {
    if x.dtype == .complex64 || x.dtype == .complex128 {
      let parts = try temporary(.double, [x.count * 2])
      if x.dtype == .complex64 {
        for i in 0..<(2 * x.count) {
          // Two floats for each number.
          unsafe parts.value.pointer(Double.self)[i] = Double(x.pointer(Float.self)[i])
        }
      } else {
        unsafe parts.value.base.copyMemory(from: x.base, byteCount: x.byteCount)
      }
      let numbers = parts.value.span(of: Double.self)
      let result = (0..<x.count).map { (numbers[2 * $0] * numbers[2 * $0] + numbers[2 * $0 + 1] * numbers[2 * $0 + 1]).squareRoot() }
      release(parts.scratch)
      return result
    }
    let wide = try temporary(.double, x.shape)
    try convert(x, to: wide.value)
    let result = (0..<x.count).map { abs(wide.value.span(of: Double.self)[$0]) }
    release(wide.scratch)
    return result
  }

  fileprivate mutating func sparseTensorDenseAdd() throws(RunError) {
    let (a, b) = (try Sparse(input(0), input(1), input(2)), input(3))
    guard b.dtype == a.values.dtype else { throw .invalidArgument("expected \(a.values.dtype), got \(b.dtype)") }
    guard a.rank == b.shape.rank else {
      throw .invalidArgument("Two operands have different ranks; received: \(a.rank) and \(b.shape.rank)")
    }
    for d in 0..<a.rank where a.shape[d] != b.shape[d] {
      throw .invalidArgument("Dimension \(d) does not equal (no broadcasting is supported): sparse side \(a.shape[d]) vs dense side \(b.shape[d])")
    }
    guard let add = unsafe ck_binary_loop(CK_ADD, b.kernelType) else { throw unsupported("SparseTensorDenseAdd", b.dtype) }
    for i in 0..<a.count {
      for d in 0..<a.rank where a.index(i, d) < 0 || a.index(i, d) >= b.shape[d] {
        throw .invalidArgument(
          "Sparse tensor has an invalid index on dimension \(d): a_indices(\(i),\(d)) = \(a.index(i, d)), dense tensor shape: \(b.shape.array.map(String.init).joined(separator: " "))")
      }
    }
    let out = try output(0, b.dtype, b.shape, reusing: 3)
    // Already in place when the memory was taken over.
    if unsafe out.base != b.base { unsafe out.base.copyMemory(from: b.base, byteCount: b.byteCount) }
    let strides = out.shape.strides
    for i in 0..<a.count {
      var at = 0
      for d in 0..<a.rank { at += a.index(i, d) * strides[d] }
      // The entry lies within the shape of both.
      _ = unsafe add(1, out.at(at), 1, a.values.at(i), 1, out.at(at))
    }
  }

  fileprivate mutating func sparseDense(_ code: ck_binary_op, _ op: String) throws(RunError) {
    let (indices, values, shape, dense) = (input(0), input(1), input(2), input(3))
    guard indices.shape.rank == 2 else {
      throw .invalidArgument("Input sp_indices should be a matrix but received shape: \(indices.shape)")
    }
    guard values.shape.rank == 1, shape.shape.rank == 1 else {
      throw .invalidArgument("Inputs sp_values and sp_shape should be vectors but received shapes: \(values.shape) and \(shape.shape)")
    }
    let x = try Sparse(indices, values, shape)
    guard dense.dtype == values.dtype, let loop = unsafe ck_binary_loop(code, values.kernelType) else {
      throw unsupported(op, values.dtype)
    }
    // The dense side is repeated along the sparse one's dimensions, never the other way round.
    var fits = x.rank >= dense.shape.rank
    if fits {
      for k in 0..<dense.shape.rank {
        let (own, other) = (x.shape[x.rank - 1 - k], dense.shape[dense.shape.rank - 1 - k])
        if other != 1 && other != own { fits = false }
      }
    }
    guard fits else {
      throw .invalidArgument(
        "SparseDenseBinaryOpShared broadcasts dense to sparse only; got incompatible shapes: \(try Shape(checking: x.shape)) vs. \(dense.shape)")
    }
    let out = try output(0, values.dtype, [x.count])
    let strides = dense.shape.strides
    for i in 0..<x.count {
      var at = 0
      for d in 0..<x.rank {
        let index = x.index(i, d)
        guard index >= 0, index < x.shape[d] else {
          throw .invalidArgument("Provided indices are out-of-bounds w.r.t. dense side with broadcasted shape")
        }
        let k = d - (x.rank - dense.shape.rank)
        if k >= 0, dense.shape[k] != 1 { at += index * strides[k] }
      }
      // `at` lies within the dense side.
      _ = unsafe loop(1, values.at(i), 1, dense.at(at), 1, out.at(i))
    }
  }

  fileprivate mutating func sparseSparse(_ code: ck_binary_op, _ op: String) throws(RunError) {
    let (a, b) = (try Sparse(input(0), input(1), input(2)), try Sparse(input(3), input(4), input(5)))
    try same(a, b)
    let type = a.values.dtype
    guard let loop = unsafe ck_binary_loop(code, a.values.kernelType) else { throw unsupported(op, type) }
    var count = 0
    merge(a, b) { _, _ in count += 1 }
    let indices = try output(0, .int64, [count, a.rank])
    let values = try output(1, type, [count])
    // What is not there is zero.
    let nothing = try temporary(type, [])
    unsafe zero(nothing.value)
    var at = 0
    merge(a, b) { i, j in
      for d in 0..<a.rank { indices.set(at * a.rank + d, i.map { a.index($0, d) } ?? b.index(j ?? 0, d)) }
      // One value of the type the loop was chosen for.
      let x = if let i { unsafe a.values.at(i) } else { unsafe nothing.value.base }
      let y = if let j { unsafe b.values.at(j) } else { unsafe nothing.value.base }
      _ = unsafe loop(1, x, 1, y, 1, values.at(at))
      at += 1
    }
    release(nothing.scratch)
  }

  fileprivate mutating func sparseReduce(_ code: ck_binary_op, _ op: String, keeps: Bool, isSparse: Bool) throws(RunError) {
    let (shapeInput, axes) = (input(2), input(3))
    guard shapeInput.shape.rank == 1 else {
      throw .invalidArgument("Expected input_shape to be a vector; got shape: \(shapeInput.shape)")
    }
    guard axes.shape.rank <= 1 else {
      throw .invalidArgument("Expected reduction_axes to be a scalar or a vector; got shape: \(axes.shape)")
    }
    var folded: UInt = 0
    for i in 0..<axes.count {
      let wanted = try axes.integer(at: i)
      guard let d = axis(wanted, rank: min(shapeInput.count, Shape.rankMax)) else {
        throw .invalidArgument("Invalid reduction dimension \(wanted), for input with \(shapeInput.count) dimensions.")
      }
      folded |= 1 << UInt(d)
    }
    let x = try Sparse(input(0), input(1), shapeInput)
    try x.checkBounds()
    let type = x.values.dtype
    guard let loop = unsafe ck_binary_loop(code, x.values.kernelType) else { throw unsupported(op, type) }
    var (shape, kept) = (Dims(), Dims())
    for d in 0..<x.rank {
      if folded & (1 << UInt(d)) == 0 {
        try kept.append(d)
        try shape.append(x.shape[d])
      } else if keeps {
        try shape.append(1)
      }
    }
    func compare(_ i: Int, _ j: Int) -> Int {
      for k in 0..<kept.count where x.index(i, kept[k]) != x.index(j, kept[k]) {
        return x.index(i, kept[k]) < x.index(j, kept[k]) ? -1 : 1
      }
      return 0
    }
    // Entries that fold together stand together, in the order they came in.
    let order = (0..<x.count).sorted { a, b in
      let order = compare(a, b)
      return order != 0 ? order < 0 : a < b
    }
    var groups: [Range<Int>] = []
    for at in order.indices {
      if at > 0, compare(order[at - 1], order[at]) == 0 {
        groups[groups.count - 1] = groups[groups.count - 1].lowerBound..<at + 1
      } else {
        groups.append(at..<at + 1)
      }
    }
    let size = type.size
    func fold(_ group: Range<Int>, to: UnsafeMutableRawPointer) {
      // Values of the type the loop was chosen for.
      unsafe to.copyMemory(from: x.values.at(order[group.lowerBound]), byteCount: size)
      for k in group.dropFirst() { _ = unsafe loop(1, to, 1, x.values.at(order[k]), 1, to) }
    }
    guard isSparse else {
      let out = try output(0, type, try Shape(checking: shape))
      unsafe zero(out)
      for group in groups {
        var at = 0
        for k in 0..<kept.count { at = at * x.shape[kept[k]] + x.index(order[group.lowerBound], kept[k]) }
        unsafe fold(group, to: out.at(at))
      }
      return
    }
    let indices = try output(0, .int64, [groups.count, shape.count])
    let values = try output(1, type, [groups.count])
    unsafe zero(indices)
    for (g, group) in groups.enumerated() {
      for k in 0..<kept.count { indices.set(g * shape.count + (keeps ? kept[k] : k), x.index(order[group.lowerBound], kept[k])) }
      unsafe fold(group, to: values.at(g))
    }
    try output(2, shape: shape)
  }

  fileprivate mutating func sparseSoftmax() throws(RunError) {
    let x = try Sparse(input(0), input(1), input(2))
    guard x.rank >= 2 else { throw .invalidArgument("Input should have rank >= 2, but received shape: \(input(2).integers(" "))") }
    guard x.values.dtype.isFloating else { throw unsupported("SparseSoftmax", x.values.dtype) }
    let out = try output(0, x.values.dtype, [x.count])
    let wide = try temporary(.double, [x.count])
    try convert(x.values, to: wide.value)
    var start = 0
    // Rows are runs of entries that agree but for the last index.
    for i in 0..<max(x.count, 0) {
      let isLast = i + 1 == x.count || (0..<(x.rank - 1)).contains { x.index(i, $0) != x.index(i + 1, $0) }
      guard isLast else { continue }
      // Elements `start...i` of the temporary.
      let row = unsafe UnsafeMutableBufferPointer(start: wide.value.pointer(Double.self), count: x.count)
      var greatest = -Double.infinity
      for k in start...i { greatest = max(greatest, unsafe row[k]) }
      var sum = 0.0
      for k in start...i {
        let power = exp(unsafe row[k] - greatest)
        unsafe row[k] = power
        sum += power
      }
      for k in start...i { unsafe row[k] /= sum }
      start = i + 1
    }
    try convert(wide.value, to: out)
    release(wide.scratch)
  }

  // MARK: Ragged

  fileprivate mutating func raggedFillEmptyRows() throws(RunError) {
    let (ids, values, fallback) = (input(0), input(1), input(3))
    guard input(2).shape.rank == 0 else { throw .invalidArgument("nrows must be a scalar, saw: \(input(2).shape)") }
    guard ids.shape.rank == 1 else { throw .invalidArgument("value_rowids must be a vector, saw: \(ids.shape)") }
    guard values.shape.rank == 1 else { throw .invalidArgument("values must be a vector, saw: \(values.shape)") }
    guard ids.count == values.count else {
      throw .invalidArgument(
        "The length of `values` (\(values.count)) must match the first dimension of `value_rowids` (\(ids.count)).")
    }
    guard fallback.shape.rank == 0, fallback.dtype == values.dtype else {
      throw .invalidArgument("default_value must be a scalar, saw: \(fallback.shape)")
    }
    let rows = try scalar(2, "nrows")
    guard rows >= 0, rows <= Int(Int32.max) else { throw .invalidArgument("nrows (\(rows)) is out of range") }
    guard rows > 0 || ids.count == 0 else {
      throw .invalidArgument("Received SparseTensor with dense_shape[0] = 0 but indices.shape[0] = \(ids.count)")
    }
    let empty = try output(2, .bool, [rows])
    for row in 0..<rows { unsafe empty.pointer(Bool.self)[row] = true }
    for i in 0..<ids.count {
      let row = try ids.integer(at: i)
      guard row >= 0, row < rows else { throw .invalidArgument("indices(\(i), 0) is invalid: \(row) >= \(rows)") }
      // `row` is below `rows`.
      unsafe empty.pointer(Bool.self)[row] = false
    }
    var total = ids.count
    for row in 0..<rows where unsafe empty.pointer(Bool.self)[row] { total += 1 }
    let newIds = try output(0, .int64, [total])
    let newValues = try output(1, values.dtype, [total])
    let map = try output(3, .int64, [ids.count])
    let starts = try temporary(.int64, [rows + 1])
    unsafe zero(starts.value)
    let places = unsafe starts.value.pointer(Int64.self)
    for i in 0..<ids.count { unsafe places[try ids.integer(at: i) + 1] += 1 }
    // An empty row takes one place.
    for row in 0..<rows { unsafe places[row + 1] = places[row] + max(places[row + 1], 1) }
    let size = values.dtype.size
    for row in 0..<rows where unsafe empty.pointer(Bool.self)[row] {
      let at = unsafe Int(places[row])
      newIds.set(at, row)
      unsafe newValues.at(at).copyMemory(from: fallback.base, byteCount: size)
    }
    for i in 0..<ids.count {
      let row = try ids.integer(at: i)
      let at = unsafe Int(places[row])
      unsafe places[row] += 1
      newIds.set(at, row)
      unsafe newValues.at(at).copyMemory(from: values.at(i), byteCount: size)
      map.set(i, at)
    }
    release(starts.scratch)
  }
}

private func sparseDense(_ op: String, _ code: ck_binary_op) -> KernelDefinition {
  kernel(op) { frame throws(RunError) in try frame.sparseDense(code, op) }
}

private func sparseSparse(_ op: String, _ code: ck_binary_op) -> KernelDefinition {
  kernel(op) { frame throws(RunError) in try frame.sparseSparse(code, op) }
}

private func sparseReduce(_ op: String, _ code: ck_binary_op, isSparse: Bool) -> KernelDefinition {
  KernelDefinition(op) { node throws(GraphError) in
    let keeps = try node.bool("keep_dims", default: false)
    return { frame throws(RunError) in try frame.sparseReduce(code, op, keeps: keeps, isSparse: isSparse) }
  }
}
