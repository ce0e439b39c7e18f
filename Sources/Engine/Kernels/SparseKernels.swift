// Sparse tensors (indices, values, shape) and ragged ones (values, row splits): what feature columns and preprocessing layers use
// between the parsed example and the first dense tensor.
internal import CKernels
internal import Tensors

let sparseKernels: [KernelDefinition] = [
  kernel("SparseReshape") { frame throws(RunError) in try frame.sparseReshape() },
  kernel("SparseFillEmptyRows") { frame throws(RunError) in try frame.fillEmptyRows() },
  kernel("SparseReorder") { frame throws(RunError) in try frame.sparseReorder() },
  sparseSegment("SparseSegmentSum", .sum), sparseSegment("SparseSegmentSumWithNumSegments", .sum, counted: true),
  sparseSegment("SparseSegmentMean", .mean), sparseSegment("SparseSegmentMeanWithNumSegments", .mean, counted: true),
  sparseSegment("SparseSegmentSqrtN", .norm), sparseSegment("SparseSegmentSqrtNWithNumSegments", .norm, counted: true),
  KernelDefinition("SparseTensorDenseMatMul") { node throws(GraphError) in
    let a = try node.bool("adjoint_a", default: false)
    let b = try node.bool("adjoint_b", default: false)
    return { frame throws(RunError) in
      let kernel = SparseMatMul(adjointA: a, adjointB: b)
      switch frame.input(1).dtype {
      case .float: try kernel.run(Float.self, &frame)
      case .double: try kernel.run(Double.self, &frame)
      case let other: throw unsupported("SparseTensorDenseMatMul", other)
      }
    }
  },
  KernelDefinition("RaggedTensorToSparse") { node throws(GraphError) in
    let rank = try node.int("RAGGED_RANK")
    guard rank > 0 else { throw node.invalid("RAGGED_RANK must be positive") }
    return { frame throws(RunError) in try frame.raggedToSparse(rank) }
  },
  KernelDefinition("RaggedTensorToTensor") { node throws(GraphError) in
    let types = try node.strings("row_partition_types")
    for type in types where !["FIRST_DIM_SIZE", "VALUE_ROWIDS", "ROW_SPLITS"].contains(type) {
      throw node.invalid("Unknown string for partition info type: \(type)")
    }
    return { frame throws(RunError) in try frame.raggedToTensor(types) }
  },
  KernelDefinition("DecodeRaw") { node throws(GraphError) in
    let type = try node.dtype("out_type")
    guard type != .string, type != .resource, type != .variant else { throw node.invalid("cannot decode to \(type)") }
    let isLittle = try node.bool("little_endian", default: true)
    return { frame throws(RunError) in try frame.decodeRaw(type, isLittle) }
  },
]

extension Frame {
  /// A sparse tensor's indices: a matrix of integers with a row for each value.
  private func sparseIndices(_ input: Int, _ name: String) throws(RunError) -> Value {
    let indices = self.input(input)
    guard indices.dtype == .int64, indices.shape.rank == 2 else {
      throw .invalidArgument("\(name) must be a matrix, saw: \(indices.shape)")
    }
    return indices
  }

  fileprivate mutating func sparseReshape() throws(RunError) {
    let indices = try sparseIndices(0, "Input indices")
    let (before, wanted) = (input(1), input(2))
    guard before.shape.rank == 1 else { throw .invalidArgument("Input shape should be a vector but received shape \(before.shape)") }
    guard wanted.shape.rank == 1 else { throw .invalidArgument("Target shape should be a vector but received shape \(wanted.shape)") }
    let from = try Shape(checking: try before.dims())
    guard indices.shape[1] == from.rank else {
      throw .invalidArgument("Input tensor rank must match input shape length, got \(indices.shape[1]) and \(from.rank)")
    }
    var dims = try wanted.dims()
    var product = 1
    var missing = -1
    for d in 0..<dims.count {
      if dims[d] == -1 {
        guard missing < 0 else { throw .invalidArgument("only one output dimension may be -1, not both \(missing) and \(d)") }
        missing = d
      } else {
        guard dims[d] >= 0 else { throw .invalidArgument("size \(d) must be non-negative, not \(dims[d])") }
        let (next, overflow) = product.multipliedReportingOverflow(by: dims[d])
        guard !overflow else { throw .invalidArgument("Target shape is too large") }
        product = next
      }
    }
    if missing >= 0 {
      // TensorFlow's message shows the open extent as one.
      dims[missing] = 1
      let open = try Shape(checking: dims)
      guard product > 0 else {
        throw .invalidArgument(
          "reshape cannot infer the missing input size for an empty tensor unless all specified input sizes are non-zero")
      }
      guard from.count % product == 0 else {
        throw .invalidArgument(
          "Input to reshape is a SparseTensor with \(from.count) dense values, but the requested shape requires a multiple of \(product). input_shape=\(from) output_shape=\(open)")
      }
      dims[missing] = from.count / product
      product = from.count
    }
    guard product == from.count else {
      throw .invalidArgument(
        "Input to reshape is a tensor with \(from.count) dense values, but the requested shape has \(product). input_shape=\(from) output_shape=[\(wanted.integers())]")
    }
    let to = try Shape(checking: dims)
    let count = indices.shape[0]
    var out = try output(0, .int64, [count, to.rank])
    let shape = try output(1, .int64, [to.rank])
    for d in 0..<to.rank { shape.set(d, to[d]) }
    let (a, b) = (from.strides, to.strides)
    let old = indices.span(of: Int64.self)
    var new = out.mutableSpan(of: Int64.self)
    for i in 0..<count {
      var flat = 0
      for d in 0..<from.rank { flat &+= Int(old[i * from.rank + d]) &* a[d] }
      for d in 0..<to.rank {
        new[i * to.rank + d] = b[d] == 0 ? 0 : Int64(flat / b[d])
        if b[d] != 0 { flat %= b[d] }
      }
    }
  }

  fileprivate mutating func fillEmptyRows() throws(RunError) {
    let indices = try sparseIndices(0, "indices")
    let (values, shape, fallback) = (input(1), input(2), input(3))
    guard shape.shape.rank == 1, shape.count > 0 else { throw .invalidArgument("dense_shape must be a vector, saw: \(shape.shape)") }
    guard values.shape.rank == 1 else { throw .invalidArgument("values must be a vector, saw: \(values.shape)") }
    guard indices.shape[0] == values.count else {
      throw .invalidArgument(
        "The length of `values` (\(values.count)) must match the first dimension of `indices` (\(indices.shape[0])).")
    }
    guard indices.shape[1] == shape.count else {
      throw .invalidArgument(
        "The length of `dense_shape` (\(shape.count)) must match the second dimension of `indices` (\(indices.shape[1])).")
    }
    guard fallback.count == 1, fallback.shape.rank == 0, fallback.dtype == values.dtype else {
      throw .invalidArgument("default_value must be a scalar, saw: \(fallback.shape)")
    }
    let rows = try shape.integer(at: 0)
    let rank = indices.shape[1]
    guard rows >= 0, rows <= Int(Int32.max) else { throw .invalidArgument("dense_shape[0] = \(rows) is out of range") }
    guard rows > 0 || values.count == 0 else {
      throw .invalidArgument("Received SparseTensor with dense_shape[0] = 0 but indices.shape[0] = \(values.count)")
    }
    // Where each row's values begin in the output; an empty row takes one place.
    let starts = try temporary(.int64, [rows + 1])
    unsafe zero(starts.value)
    let places = unsafe starts.value.pointer(Int64.self)
    let old = indices.span(of: Int64.self)
    for i in 0..<values.count {
      let row = Int(old[i * rank])
      guard row >= 0, row < rows else {
        throw .invalidArgument("indices(\(i), 0) is invalid: \(row) >= \(rows)")
      }
      // `row` is below `rows`.
      unsafe places[row + 1] += 1
    }
    let empty = try output(2, .bool, [rows])
    for row in 0..<rows {
      unsafe empty.pointer(Bool.self)[row] = places[row + 1] == 0
      unsafe places[row + 1] = places[row] + max(places[row + 1], 1)
    }
    let total = unsafe Int(places[rows])
    var newIndices = try output(0, .int64, [total, rank])
    let newValues = try output(1, values.dtype, [total])
    let map = try output(3, .int64, [values.count])
    var new = newIndices.mutableSpan(of: Int64.self)
    let size = values.dtype.size
    for row in 0..<rows where unsafe empty.pointer(Bool.self)[row] {
      // Below `total`, of which every row has its share.
      let at = unsafe Int(places[row])
      for d in 0..<rank { new[at * rank + d] = d == 0 ? Int64(row) : 0 }
      unsafe newValues.at(at).copyMemory(from: fallback.base, byteCount: size)
    }
    for i in 0..<values.count {
      let row = Int(old[i * rank])
      let at = unsafe Int(places[row])
      unsafe places[row] += 1
      for d in 0..<rank { new[at * rank + d] = old[i * rank + d] }
      unsafe newValues.at(at).copyMemory(from: values.at(i), byteCount: size)
      map.set(i, at)
    }
    release(starts.scratch)
  }

  fileprivate mutating func sparseReorder() throws(RunError) {
    let indices = try sparseIndices(0, "Input indices")
    let (values, shape) = (input(1), input(2))
    let rank = indices.shape[1]
    guard values.shape.rank == 1, values.count == indices.shape[0], shape.count == rank else {
      throw .invalidArgument("Number of elements of values (\(values.shape)) or shape (\(shape.shape)) does not match indices \(indices.shape)")
    }
    let old = indices.span(of: Int64.self)
    let order = (0..<values.count).sorted { a, b in
      for d in 0..<rank where old[a * rank + d] != old[b * rank + d] { return old[a * rank + d] < old[b * rank + d] }
      return a < b
    }
    var newIndices = try output(0, .int64, indices.shape)
    let newValues = try output(1, values.dtype, values.shape)
    var new = newIndices.mutableSpan(of: Int64.self)
    for (to, from) in order.enumerated() {
      for d in 0..<rank { new[to * rank + d] = old[from * rank + d] }
      // Both are below the number of values.
      unsafe newValues.at(to).copyMemory(from: values.at(from), byteCount: values.dtype.size)
    }
  }

  // MARK: Ragged

  fileprivate mutating func raggedToSparse(_ rank: Int) throws(RunError) {
    let values = input(rank)
    let columns = rank + values.shape.rank
    guard values.shape.rank >= 1 else { throw .invalidArgument("rt_dense_values must have rank at least 1") }
    guard columns <= Shape.rankMax else { throw Dims.tooMany(columns) }
    for level in 0..<rank {
      let length = level + 1 < rank ? input(level + 1).count - 1 : values.shape[0]
      try checkSplits(input(level), values: length, level + 1 < rank ? "array" : "values")
    }
    let inner = values.shape.count(from: 1)
    let total = values.count
    let indices = try output(0, .int64, [total, columns])
    let shape = try output(2, .int64, [columns])
    // A value's place: at each level the row it falls into, and where in it.
    var longest = Dims(repeating: 0, count: columns)
    longest[0] = input(0).count - 1
    for level in 0..<rank {
      let splits = input(level)
      for row in 0..<(splits.count - 1) {
        longest[level + 1] = max(longest[level + 1], try splits.integer(at: row + 1) - splits.integer(at: row))
      }
    }
    for d in 1..<values.shape.rank { longest[rank + d] = values.shape[d] }
    var row = Dims(repeating: 0, count: rank)
    for i in 0..<values.shape[0] {
      var position = i
      var place = Dims(repeating: 0, count: columns)
      for level in (0..<rank).reversed() {
        let splits = input(level)
        // Rows only ever advance.
        while try splits.integer(at: row[level] + 1) <= position { row[level] += 1 }
        place[level + 1] = position - (try splits.integer(at: row[level]))
        position = row[level]
      }
      place[0] = position
      for k in 0..<inner {
        var rest = k
        for d in (1..<values.shape.rank).reversed() {
          place[rank + d] = rest % values.shape[d]
          rest /= values.shape[d]
        }
        for d in 0..<columns { indices.set((i * inner + k) * columns + d, place[d]) }
      }
    }
    for d in 0..<columns { shape.set(d, longest[d]) }
    forward(rank, to: 1, shape: [total])
  }

  /// Row splits begin at zero, never fall, and end at the number of values.
  private func checkSplits(_ splits: Value, values: Int, _ what: String) throws(RunError) {
    guard splits.shape.rank == 1, splits.count > 0 else { throw .invalidArgument("Invalid row splits: they must have at least one element") }
    guard try splits.integer(at: 0) == 0 else { throw .invalidArgument("First value of ragged splits must be 0.") }
    for i in 1..<splits.count {
      guard try splits.integer(at: i) >= splits.integer(at: i - 1) else { throw .invalidArgument("Invalid row splits: they fall at \(i)") }
    }
    guard try splits.integer(at: splits.count - 1) == values else {
      throw .invalidArgument("Final value of ragged splits must match the length the corresponding ragged \(what).")
    }
  }

  fileprivate mutating func raggedToTensor(_ types: [String]) throws(RunError) {
    let (wanted, values, fallback) = (input(0), input(1), input(2))
    let hasFirst = types.first == "FIRST_DIM_SIZE"
    let raggedRank = types.count - (hasFirst ? 1 : 0)
    guard values.shape.rank >= 1, raggedRank >= 1, fallback.dtype == values.dtype else { throw .invalidArgument("ragged values of shape \(values.shape) with default \(fallback.dtype)") }
    let rank = raggedRank + values.shape.rank
    guard rank <= Shape.rankMax else { throw Dims.tooMany(rank) }
    let rows = hasFirst ? try scalar(3, "the first dimension") : input(3).count - 1
    guard rows >= 0 else { throw .invalidArgument("the first dimension is negative: \(rows)") }

    /// The row an entry of a level falls into and its place there, called in order.
    func walk(_ level: Int, _ body: (_ row: Int, _ place: Int, _ entry: Int) -> Void) throws(RunError) {
      let partition = input(3 + (hasFirst ? 1 : 0) + level)
      if types[(hasFirst ? 1 : 0) + level] == "ROW_SPLITS" {
        for row in 0..<max(partition.count - 1, 0) {
          let (low, high) = (try partition.integer(at: row), try partition.integer(at: row + 1))
          guard low <= high, low >= 0, high <= Int(Int32.max) else { throw .invalidArgument("Invalid row splits: they fall at \(row + 1)") }
          for entry in low..<high { body(row, entry - low, entry) }
        }
      } else {
        var (row, place) = (-1, 0)
        for entry in 0..<partition.count {
          let next = try partition.integer(at: entry)
          guard next >= row, next >= 0 else { throw .invalidArgument("Invalid row ids: they fall at \(entry)") }
          place = next == row ? place + 1 : 0
          row = next
          body(row, place, entry)
        }
      }
    }

    // The shape: what is asked for, and where that is open, what the values need.
    var dims = Dims()
    try dims.append(rows)
    for level in 0..<raggedRank {
      var longest = 0
      try walk(level) { _, place, _ in longest = max(longest, place + 1) }
      try dims.append(longest)
    }
    for d in 1..<values.shape.rank { try dims.append(values.shape[d]) }
    if wanted.shape.rank == 1 {
      guard wanted.count == rank else {
        throw .invalidArgument("Rank of shape \(wanted.count) does not match the rank \(rank) of the ragged tensor")
      }
      for d in 0..<rank {
        let extent = try wanted.integer(at: d)
        if extent >= 0 { dims[d] = extent }
      }
    }
    let shape = try Shape(checking: dims)
    let out = try output(0, values.dtype, shape)
    let inner = values.shape.count(from: 1)
    for d in 1..<values.shape.rank where shape[raggedRank + d] != values.shape[d] {
      throw .invalidArgument("the values' shape \(values.shape) does not fit the output \(shape)")
    }
    let size = values.dtype.size
    if fallback.count == 1 {
      // One element of the output's type.
      unsafe ck_fill(out.count, size, fallback.base, out.base)
    } else {
      guard fallback.count == inner, inner > 0 else {
        throw .invalidArgument("default_value of shape \(fallback.shape) does not fit rows of \(inner)")
      }
      for i in 0..<(out.count / inner) { unsafe out.at(i * inner).copyMemory(from: fallback.base, byteCount: inner * size) }
    }

    // Where each entry of a level stands in the output, in rows of `inner`; -1 where it is cut off.
    let strides = shape.strides
    var parents = try temporary(.int64, [rows])
    for row in 0..<rows { parents.value.set(row, row < shape[0] ? row * strides[0] : -1) }
    for level in 0..<raggedRank {
      var entries = 0
      try walk(level) { _, _, entry in entries = max(entries, entry + 1) }
      let places = try temporary(.int64, [entries])
      var isValid = true
      let (from, to) = (parents.value, places.value)
      let (extent, stride) = (shape[level + 1], strides[level + 1])
      try walk(level) { row, place, entry in
        guard row < from.count else { return isValid = false }
        let parent = from.int(at: row) ?? -1
        to.set(entry, parent >= 0 && place < extent ? parent + place * stride : -1)
      }
      guard isValid else { throw .invalidArgument("a row partition names a row past the last") }
      release(parents.scratch)
      parents = places
    }
    guard parents.value.count <= values.shape[0] else { throw .invalidArgument("the row partitions name more values than there are") }
    for i in 0..<parents.value.count {
      let at = parents.value.int(at: i) ?? -1
      // A row of `inner` elements within the output.
      if at >= 0 { unsafe out.at(at).copyMemory(from: values.at(i * inner), byteCount: inner * size) }
    }
    release(parents.scratch)
  }

  // MARK: Bytes

  fileprivate mutating func decodeRaw(_ type: DType, _ isLittle: Bool) throws(RunError) {
    let x = try strings(0)
    let length = x.count > 0 ? x.string(at: 0).byteCount : 0
    for i in 0..<x.count where x.string(at: i).byteCount != length {
      throw .invalidArgument(
        "DecodeRaw requires input strings to all be the same size, but element \(i) has size \(length) != \(x.string(at: i).byteCount)")
    }
    let size = type.size
    guard length % size == 0 else {
      throw .invalidArgument("Input to DecodeRaw has length \(length) that is not a multiple of \(size), the size of \(type)")
    }
    var dims = Dims(x.shape)
    try dims.append(x.count == 0 ? 0 : length / size)
    let out = try output(0, type, try Shape(checking: dims))
    for i in 0..<x.count {
      // A row of the output takes a string's bytes.
      let to = unsafe out.base + i * length
      if let from = unsafe x.ref(i).base { unsafe to.copyMemory(from: from, byteCount: length) }
    }
    if !isLittle { unsafe out.swapBytes() }
  }
}

extension Value {
  /// Turns the bytes of every element round. Only for a value that was just allocated.
  @unsafe func swapBytes() {
    let size = dtype.size
    for k in stride(from: 0, to: byteCount, by: size) {
      for j in 0..<(size / 2) {
        // Both are bytes of the element at `k`.
        let (a, b) = unsafe (base.load(fromByteOffset: k + j, as: UInt8.self), base.load(fromByteOffset: k + size - 1 - j, as: UInt8.self))
        unsafe base.storeBytes(of: b, toByteOffset: k + j, as: UInt8.self)
        unsafe base.storeBytes(of: a, toByteOffset: k + size - 1 - j, as: UInt8.self)
      }
    }
  }
}

// MARK: Embeddings

/// Rows of a table, gathered and folded by segment: the embedding of a bag of ids.
private func sparseSegment(_ op: String, _ fold: Fold, counted: Bool = false) -> KernelDefinition {
  kernel(op) { frame throws(RunError) in
    let (data, indices, ids) = (frame.input(0), frame.input(1), frame.input(2))
    guard data.shape.rank >= 1 else { throw .invalidArgument("input must be at least rank 1") }
    guard indices.shape.rank == 1 else { throw .invalidArgument("indices should be a vector.") }
    guard ids.shape.rank == 1 else { throw .invalidArgument("segment_ids should be a vector.") }
    guard ids.count == indices.count else { throw .invalidArgument("segment_ids and indices should have same size.") }
    guard let add = unsafe ck_binary_loop(CK_ADD, data.kernelType) else { throw unsupported(op, data.dtype) }
    var rows = 0
    var before = 0
    for i in 0..<ids.count {
      let id = try ids.integer(at: i)
      guard id >= 0, i > 0 || !counted || id >= 0 else { throw .invalidArgument("segment ids must be >= 0") }
      guard i == 0 || id >= before else { throw .invalidArgument("segment ids are not increasing") }
      before = id
    }
    if ids.count > 0 { rows = before + 1 }
    if counted {
      let given = try frame.scalar(3, "num_segments")
      guard given >= rows else { throw .invalidArgument("segment ids must be < num_segments") }
      rows = given
    }
    guard rows <= Int(Int32.max) else { throw .invalidArgument("there are too many segments: \(rows)") }
    let out = try frame.output(0, data.dtype, try data.shape.replacing(0, by: rows))
    unsafe frame.zero(out)
    let row = data.shape.count(from: 1)
    var i = 0
    while i < ids.count {
      let id = try ids.integer(at: i)
      let to = unsafe out.at(id * row)
      var count = 0
      while i < ids.count, try ids.integer(at: i) == id {
        let index = try indices.integer(at: i)
        guard index >= 0, index < data.shape[0] else {
          throw .invalidArgument("Segment id \(id) out of range [0, \(rows)), possibly because 'segment_ids' input is not sorted. Bad: indices[\(i)] == \(index) out of range [0, \(data.shape[0]))")
        }
        // Row `index` of the data onto row `id` of the output.
        if row > 0 { _ = unsafe add(row, to, 1, data.at(index * row), 1, to) }
        count += 1
        i += 1
      }
      let divisor: Double = fold == .mean ? Double(count) : fold == .norm ? Double(count).squareRoot() : 1
      if divisor != 1, row > 0 {
        let scale = try frame.temporary(data.dtype, [])
        frame.fill(scale.value, divisor)
        guard let divide = unsafe ck_binary_loop(CK_DIV, data.kernelType) else { throw unsupported(op, data.dtype) }
        // One divisor for a row.
        _ = unsafe divide(row, to, 1, scale.value.base, 0, to)
        frame.release(scale.scratch)
      }
    }
  }
}

private struct SparseMatMul {
  let adjointA: Bool
  let adjointB: Bool

  func run<T: Scalar & BinaryFloatingPoint>(_ type: T.Type, _ frame: inout Frame) throws(RunError) {
    let (indices, values, shape, b) = (frame.input(0), frame.input(1), frame.input(2), frame.input(3))
    guard b.shape.rank == 2, b.dtype == values.dtype else { throw .invalidArgument("Tensor 'b' is not a matrix") }
    guard shape.shape.rank == 1, shape.count == 2 else { throw .invalidArgument("Tensor 'a_shape' must have 2 elements") }
    guard values.shape.rank == 1 else { throw .invalidArgument("Tensor 'a_values' is not a vector") }
    guard indices.shape.rank == 2, indices.shape[0] == values.count, indices.shape[1] == 2 else {
      throw .invalidArgument("Tensor 'a_indices' must have shape [\(values.count), 2]")
    }
    let (rows, columns) = (try shape.integer(at: adjointA ? 1 : 0), try shape.integer(at: adjointA ? 0 : 1))
    let (inner, width) = adjointB ? (b.shape[1], b.shape[0]) : (b.shape[0], b.shape[1])
    guard columns == inner else {
      throw .invalidArgument(
        "Cannot multiply A and B because inner dimension does not match: \(columns) vs. \(inner).  Did you forget a transpose?  Dimensions of A: [\(shape.integers(", "))).  Dimensions of B: \(b.shape)")
    }
    var dims = Dims()
    try dims.append(rows)
    try dims.append(width)
    var out = try frame.output(0, values.dtype, try Shape(checking: dims))
    unsafe frame.zero(out)
    var result = out.mutableSpan(of: T.self)
    let (x, y) = (values.span(of: T.self), b.span(of: T.self))
    for i in 0..<x.count {
      let row = try indices.integer(at: 2 * i + (adjointA ? 1 : 0))
      let column = try indices.integer(at: 2 * i + (adjointA ? 0 : 1))
      guard column >= 0, column < inner else { throw .invalidArgument("k (\(column)) from index[\(i),1] out of bounds (>=\(inner))") }
      guard row >= 0, row < rows else { throw .invalidArgument("m (\(row)) from index[\(i),0] out of bounds (>=\(rows))") }
      for j in 0..<width { result[row * width + j] += x[i] * y[adjointB ? j * inner + column : column * width + j] }
    }
  }
}
