// Ops that pick elements or rows by index, and put them by index.
internal import CKernels
internal import Tensors

let gatherKernels: [KernelDefinition] = [
  kernel("Gather") { frame throws(RunError) in try frame.gather(frame.input(0), frame.input(1), axis: 0, batchDims: 0) },
  KernelDefinition("GatherV2") { node throws(GraphError) in
    let batchDims = try node.int("batch_dims", default: 0)
    return { frame throws(RunError) in
      let axis = frame.input(2)
      guard axis.shape.rank == 0 else { throw .invalidArgument("axis must be scalar") }
      try frame.gather(frame.input(0), frame.input(1), axis: try axis.integer(at: 0), batchDims: batchDims)
    }
  },
  // Input 0 is the variable, or its value once that is frozen.
  KernelDefinition("ResourceGather", .reads) { node throws(GraphError) in
    let batchDims = try node.int("batch_dims", default: 0)
    let resources = node.session.resources
    return { frame throws(RunError) in
      let params = frame.input(0)
      if params.dtype != .resource { return try frame.gather(params, frame.input(1), axis: batchDims, batchDims: batchDims) }
      let tensor = try resources.value(params)
      frame.keep(tensor)
      // Kept for the run.
      try frame.gather(unsafe Value(tensor), frame.input(1), axis: batchDims, batchDims: batchDims)
    }
  },
  KernelDefinition("GatherNd") { node throws(GraphError) in
    let op = node.node.name
    return { frame throws(RunError) in try frame.gatherNd(frame.input(0), op) }
  },
  KernelDefinition("ResourceGatherNd", .reads) { node throws(GraphError) in
    let op = node.node.name
    let resources = node.session.resources
    return { frame throws(RunError) in
      let params = frame.input(0)
      if params.dtype != .resource { return try frame.gatherNd(params, op) }
      let tensor = try resources.value(params)
      frame.keep(tensor)
      // Kept for the run.
      try frame.gatherNd(unsafe Value(tensor), op)
    }
  },
  kernel("ScatterNd") { frame throws(RunError) in try frame.scatterNd() },
  tensorScatter("TensorScatterUpdate", nil), tensorScatter("TensorScatterAdd", CK_ADD),
  tensorScatter("TensorScatterSub", CK_SUB), tensorScatter("TensorScatterMax", CK_MAXIMUM),
  tensorScatter("TensorScatterMin", CK_MINIMUM),
  KernelDefinition("OneHot") { node throws(GraphError) in
    let axis = try node.int("axis", default: -1)
    return { frame throws(RunError) in try frame.oneHot(axis) }
  },
  kernel("DynamicStitch") { frame throws(RunError) in try frame.stitch() },
  kernel("ParallelDynamicStitch") { frame throws(RunError) in try frame.stitch() },
  KernelDefinition("DynamicPartition") { node throws(GraphError) in
    let count = try node.int("num_partitions")
    return { frame throws(RunError) in try frame.partition(count) }
  },
  KernelDefinition("SparseToDense") { node throws(GraphError) in
    let validates = try node.bool("validate_indices", default: true)
    return { frame throws(RunError) in try frame.sparseToDense(validates) }
  },
]

extension Value {
  /// Where element `flat` stands, as TensorFlow's errors say it: `[1,2]`, nothing for a scalar.
  func position(_ flat: Int) -> String {
    guard shape.rank > 0 else { return "" }
    let indices = (0..<shape.rank).map { String(flat / max(shape.count(from: $0 + 1), 1) % max(shape[$0], 1)) }
    return "[" + indices.joined(separator: ",") + "]"
  }
}

extension Frame {
  fileprivate mutating func gather(_ params: Value, _ indices: Value, axis wanted: Int, batchDims given: Int) throws(RunError) {
    guard indices.dtype == .int32 || indices.dtype == .int64 || indices.dtype == .int16 else {
      throw .invalidArgument("indices must be integers, got \(indices.dtype)")
    }
    guard params.shape.rank >= 1 else { throw .invalidArgument("params must be at least 1 dimensional") }
    guard let axis = axis(wanted, rank: params.shape.rank) else {
      throw .invalidArgument(
        "Shape must be at least rank \(wanted < 0 ? 0 &- wanted : wanted &+ 1) but is rank \(params.shape.rank)")
    }
    let rank = indices.shape.rank
    guard given >= -rank, given <= rank else {
      throw .invalidArgument("Expected batch_dims in the range [\(-rank), \(rank)], but got \(given)")
    }
    let batchDims = given < 0 ? given + rank : given
    guard batchDims < params.shape.rank else {
      throw .invalidArgument("batch_dims (\(batchDims)) must be less than rank(params) (\(params.shape.rank)).")
    }
    guard axis >= batchDims else { throw .invalidArgument("batch_dims (\(batchDims)) must be less than or equal to axis (\(axis)).") }
    var dims = Dims()
    for d in 0..<axis { try dims.append(params.shape[d]) }
    for d in 0..<batchDims where params.shape[d] != indices.shape[d] {
      throw .invalidArgument(
        "params.shape[\(d)]: \(params.shape[d]) should be equal to indices.shape[\(d)]: \(indices.shape[d])")
    }
    for d in batchDims..<rank { try dims.append(indices.shape[d]) }
    for d in (axis + 1)..<max(params.shape.rank, axis + 1) { try dims.append(params.shape[d]) }
    let out = try output(0, params.dtype, try Shape(checking: dims))

    let limit = params.shape[axis]
    let batches = indices.shape.count(upTo: batchDims)
    let count = indices.shape.count(from: batchDims)
    let outer = params.shape.count(upTo: axis) / max(batches, 1)
    let inner = params.shape.count(from: axis + 1)
    let byteCount = inner * params.dtype.size
    for b in 0..<batches {
      for o in 0..<outer {
        let source = unsafe params.at((b * outer + o) * limit * inner)
        var to = unsafe out.at((b * outer + o) * count * inner)
        for i in 0..<count {
          let index = try indices.integer(at: b * count + i)
          guard index >= 0, index < limit else {
            throw .invalidArgument("indices\(indices.position(b * count + i)) = \(index) is not in [0, \(limit))")
          }
          // Row `index` of `limit`, to the next row of the output.
          unsafe to.copyMemory(from: source + index * byteCount, byteCount: byteCount)
          unsafe to += byteCount
        }
      }
    }
    // An index out of range is wrong even where nothing is gathered.
    if outer == 0 || batches == 0 {
      for i in 0..<indices.count {
        let index = try indices.integer(at: i)
        guard index >= 0, index < limit else {
          throw .invalidArgument("indices\(indices.position(i)) = \(index) is not in [0, \(limit))")
        }
      }
    }
  }

  /// How rows of a tensor are named by the last dimension of `indices`.
  fileprivate struct RowIndex {
    /// Indices in a name.
    var depth: Int
    /// Names.
    var count: Int
    /// Elements of a row.
    var row: Int
    var shape: Shape

    init(_ indices: Value, into shape: Shape) {
      let rank = indices.shape.rank
      depth = rank == 0 ? 1 : indices.shape[rank - 1]
      count = indices.shape.count(upTo: max(rank - 1, 0))
      row = shape.count(from: depth)
      self.shape = shape
    }

    /// The first element of the row with name `i`; `nil` when it lies outside.
    func offset(_ i: Int, _ indices: Value) throws(RunError) -> Int? {
      var at = 0
      for k in 0..<depth {
        let index = try indices.integer(at: i * depth + k)
        guard index >= 0, index < shape[k] else { return nil }
        at = at * shape[k] + index
      }
      return at * row
    }
  }

  fileprivate mutating func gatherNd(_ params: Value, _ op: String) throws(RunError) {
    let indices = input(1)
    guard params.shape.rank >= 1 else { throw .invalidArgument("params must be at least a vector") }
    guard indices.shape.rank >= 1 else { throw .invalidArgument("indices must be at least a vector") }
    let names = RowIndex(indices, into: params.shape)
    guard names.depth <= params.shape.rank else {
      throw .invalidArgument(
        "index innermost dimension length must be <= params rank; saw: \(names.depth) vs. \(params.shape.rank)")
    }
    let shape = try indices.shape.joined(0..<(indices.shape.rank - 1), params.shape, names.depth..<params.shape.rank)
    let out = try output(0, params.dtype, shape)
    guard names.count > 0 else { return }
    guard params.count > 0 || names.row == 0 && names.depth == 0 || out.count == 0 && names.row == 0 else {
      throw .invalidArgument("Requested more than 0 entries, but params is empty.  Params shape: \(params.shape)")
    }
    for i in 0..<names.count {
      guard let from = try names.offset(i, indices) else {
        throw .invalidArgument(
          "indices\(prefix(indices, i)) = \(indices.row(i, names.depth)) does not index into param shape \(params.shape), node name: \(op)")
      }
      // `offset` has checked that the row lies within the params.
      unsafe out.at(i * names.row).copyMemory(from: params.at(from), byteCount: names.row * params.dtype.size)
    }
  }

  /// The place of a name among the names.
  private func prefix(_ indices: Value, _ i: Int) -> String {
    var names = indices
    names.shape = indices.shape.rank > 0 ? indices.shape.removing(indices.shape.rank - 1) : Shape()
    return names.position(i)
  }

  /// Puts rows of `updates` where `indices` say, by `code`'s loop or by overwriting. Throws before it writes.
  func scatter(_ indices: Value, _ updates: Value, into out: Value, _ code: ck_binary_op?, _ op: String) throws(RunError) {
    let names = RowIndex(indices, into: out.shape)
    guard names.depth <= out.shape.rank else {
      throw .invalidArgument(
        "Indices and updates specified for empty output, or index depth \(names.depth) exceeds the rank of the output \(out.shape)")
    }
    let expected = try indices.shape.joined(
      0..<max(indices.shape.rank - 1, 0), out.shape, names.depth..<out.shape.rank)
    guard updates.shape == expected, updates.dtype == out.dtype else {
      throw .invalidArgument(
        mismatch(indices, updates, out.shape, expected, names.depth))
    }
    var step: ck_binary? = nil
    if let code {
      unsafe step = ck_binary_loop(code, out.kernelType)
      guard unsafe step != nil else { throw unsupported(op, out.dtype) }
    }
    for i in 0..<names.count where try names.offset(i, indices) == nil {
      throw .invalidArgument(
        "indices\(prefix(indices, i)) = \(indices.row(i, names.depth)) does not index into shape \(out.shape)")
    }
    guard names.row > 0 else { return }
    for i in 0..<names.count {
      guard let at = try names.offset(i, indices) else { return }
      // `offset` has checked that the row lies within the output.
      if let step = unsafe step {
        _ = unsafe step(names.row, out.at(at), 1, updates.at(i * names.row), 1, out.at(at))
      } else {
        unsafe out.at(at).copyMemory(from: updates.at(i * names.row), byteCount: names.row * out.dtype.size)
      }
    }
  }

  /// Which part of the updates' shape does not fit, as TensorFlow says it.
  private func mismatch(_ indices: Value, _ updates: Value, _ shape: Shape, _ expected: Shape, _ depth: Int) -> String {
    let outer = max(indices.shape.rank - 1, 0)
    if updates.shape.rank >= outer, updates.shape.rank == expected.rank,
      (0..<outer).allSatisfy({ updates.shape[$0] == expected[$0] })
    {
      let inner = shape.rank - depth
      return "The inner \(inner) dimensions of output.shape=\(shape) must match the inner \(inner) dimensions of updates.shape=\(updates.shape)"
    }
    return "Dimensions [0,\(outer)) of indices[shape=\(indices.shape)] must match dimensions [0,\(outer)) of updates[shape=\(updates.shape)]"
  }

  fileprivate mutating func scatterNd() throws(RunError) {
    let updates = input(1)
    let shape = try Shape(checking: try dims(2))
    let indices = input(0)
    guard indices.shape.rank >= 1 else { throw .invalidArgument("Indices shape must have rank at least one. Found:\(indices.shape)") }
    guard updates.shape.rank >= 1 || indices.shape.rank == 1 else { throw .invalidArgument("Updates shape must have rank at least one. Found:\(updates.shape)") }
    guard shape.count > 0 || indices.count == 0 && updates.count == 0 else {
      throw .invalidArgument("Indices and updates specified for empty output.  indices shape: \(indices.shape)")
    }
    let out = try output(0, updates.dtype, shape)
    unsafe zero(out)
    let isNumber = unsafe ck_binary_loop(CK_ADD, updates.kernelType) != nil
    try scatter(indices, updates, into: out, isNumber ? CK_ADD : updates.dtype == .bool ? CK_LOGICAL_OR : nil, "ScatterNd")
  }

  fileprivate mutating func oneHot(_ wanted: Int) throws(RunError) {
    let indices = input(0)
    let depth = try scalar(1, "depth")
    let (on, off) = (input(2), input(3))
    let rank = indices.shape.rank + 1
    guard wanted == -1 || (wanted >= 0 && wanted < rank) else {
      throw .invalidArgument("Expected axis to be -1 or between [0, \(rank)).  But received: \(wanted)")
    }
    guard input(1).shape.rank == 0 else { throw .invalidArgument("depth must be a scalar, but got: \(input(1).shape)") }
    guard depth >= 0 else { throw .invalidArgument("depth must be non-negative, got: \(depth)") }
    guard on.shape.rank == 0 else { throw .invalidArgument("on_value must be a scalar, but got: \(on.shape)") }
    guard off.shape.rank == 0, off.dtype == on.dtype else { throw .invalidArgument("off_value must be a scalar, but got: \(off.shape)") }
    let axis = wanted == -1 ? rank - 1 : wanted
    var dims = Dims()
    for d in 0..<rank {
      if d == axis { try dims.append(depth) }
      if d < rank - 1 { try dims.append(indices.shape[d]) }
    }
    let out = try output(0, on.dtype, try Shape(checking: dims))
    let size = on.dtype.size
    // Both values hold one element of the output's type.
    unsafe ck_fill(out.count, size, off.base, out.base)
    let inner = indices.shape.count(from: axis)
    guard out.count > 0 else { return }
    for i in 0..<indices.count {
      let hot = try indices.integer(at: i)
      if hot >= 0, hot < depth {
        // Row `i / inner` of `depth` times `inner` elements.
        unsafe out.at((i / inner * depth + hot) * inner + i % inner).copyMemory(from: on.base, byteCount: size)
      }
    }
  }

  fileprivate mutating func stitch() throws(RunError) {
    let n = inputCount / 2
    guard n > 0 else { return }
    var greatest = -1
    for k in 0..<n {
      for i in 0..<input(k).count { greatest = max(greatest, try input(k).integer(at: i)) }
    }
    let (firstIndices, firstData) = (input(0), input(n))
    let rest = firstIndices.shape.rank
    guard greatest < Int(Int32.max) else { throw .invalidArgument("indices are too large: \(greatest)") }
    for k in 0..<n {
      let (indices, data) = (input(k), input(n + k))
      var agrees = data.shape.rank >= indices.shape.rank && data.dtype == firstData.dtype
      if agrees { for d in 0..<indices.shape.rank where data.shape[d] != indices.shape[d] { agrees = false } }
      guard agrees else {
        throw .invalidArgument("data[\(k)].shape = \(data.shape) does not start with indices[\(k)].shape = \(indices.shape)")
      }
      guard data.shape.count(from: indices.shape.rank) == firstData.shape.count(from: rest) else {
        throw .invalidArgument(
          "Need data[0].shape[\(rest):] = data[\(k)].shape[\(indices.shape.rank):], got data[0].shape = \(firstData.shape), data[\(k)].shape = \(data.shape), indices[0].shape = \(firstIndices.shape), indices[\(k)].shape = \(indices.shape)")
      }
    }
    var dims = Dims()
    try dims.append(greatest + 1)
    for d in rest..<firstData.shape.rank { try dims.append(firstData.shape[d]) }
    let out = try output(0, firstData.dtype, try Shape(checking: dims))
    // Rows no index names are left out by the caller's design; they read zero here.
    unsafe zero(out)
    let row = firstData.shape.count(from: rest)
    for k in 0..<n {
      let (indices, data) = (input(k), input(n + k))
      for i in 0..<indices.count {
        let at = try indices.integer(at: i)
        guard at >= 0 else { throw .invalidArgument("indices[\(k)] is out of range") }
        // `at` is at most the greatest index.
        unsafe out.at(at * row).copyMemory(from: data.at(i * row), byteCount: row * out.dtype.size)
      }
    }
  }

  fileprivate mutating func partition(_ count: Int) throws(RunError) {
    let (data, partitions) = (input(0), input(1))
    let rank = partitions.shape.rank
    var agrees = rank <= data.shape.rank
    if agrees { for d in 0..<rank where data.shape[d] != partitions.shape[d] { agrees = false } }
    guard agrees else {
      throw .invalidArgument(
        "data.shape must start with partitions.shape, got data.shape = \(data.shape), partitions.shape = \(partitions.shape)")
    }
    for i in 0..<partitions.count {
      let p = try partitions.integer(at: i)
      guard p >= 0, p < count else {
        throw .invalidArgument("partitions\(partitions.position(i)) = \(p) is not in [0, \(count))")
      }
    }
    let row = data.shape.count(from: rank)
    for p in 0..<max(0, min(count, outputCount)) {
      var size = 0
      for i in 0..<partitions.count where try partitions.integer(at: i) == p { size += 1 }
      var dims = Dims()
      try dims.append(size)
      for d in rank..<data.shape.rank { try dims.append(data.shape[d]) }
      let out = try output(p, data.dtype, try Shape(checking: dims))
      var at = 0
      for i in 0..<partitions.count where try partitions.integer(at: i) == p {
        // The row of element `i`, to the next free row.
        unsafe out.at(at * row).copyMemory(from: data.at(i * row), byteCount: row * data.dtype.size)
        at += 1
      }
    }
  }

  fileprivate mutating func sparseToDense(_ validates: Bool) throws(RunError) {
    let (indices, shapeInput, values, fallback) = (input(0), input(1), input(2), input(3))
    guard indices.shape.rank <= 2 else {
      throw .invalidArgument("sparse_indices should be a scalar, vector, or matrix, got shape \(indices.shape)")
    }
    let count = indices.shape.rank > 0 ? indices.shape[0] : 1
    let depth = indices.shape.rank > 1 ? indices.shape[1] : 1
    guard shapeInput.shape.rank == 1 else { throw .invalidArgument("output_shape must be rank 1, got shape \(shapeInput.shape)") }
    guard shapeInput.count == depth else {
      throw .invalidArgument("output_shape has incorrect number of elements: \(shapeInput.count) should be: \(depth)")
    }
    guard values.shape.rank == 0 || values.shape.rank == 1 && values.count == count else {
      throw .invalidArgument("sparse_values has incorrect shape \(values.shape), should be [] or [\(count)]")
    }
    guard fallback.count == 1, fallback.dtype == values.dtype else { throw .invalidArgument("default_value should be a scalar.") }
    let out = try output(0, values.dtype, try Shape(checking: try shapeInput.dims()))
    let size = values.dtype.size
    // One element of the output's type.
    unsafe ck_fill(out.count, size, fallback.base, out.base)
    var before = -1
    for i in 0..<count {
      var at = 0
      for k in 0..<depth {
        let index = try indices.integer(at: i * depth + k)
        guard index >= 0, index < out.shape[k] else {
          throw .invalidArgument(
            "indices[\(i)] = \(indices.row(i, depth, ",")) is out of bounds: need 0 <= index < \(out.shape)")
        }
        at = at * out.shape[k] + index
      }
      if validates, at <= before {
        throw .invalidArgument(
          "indices[\(i)] = \(indices.row(i, depth, ",")) is \(at == before ? "repeated" : "out of order. Many sparse ops require sorted indices.\n    Use `tf.sparse.reorder` to create a correctly ordered copy.\n\n")")
      }
      before = at
      // `at` lies within the output.
      unsafe out.at(at).copyMemory(from: values.at(values.shape.rank == 0 ? 0 : i), byteCount: size)
    }
  }
}

extension Value {
  /// One row of an index matrix, for errors: `[1,2]`.
  func row(_ i: Int, _ depth: Int, _ separator: String = ", ") -> String {
    "[" + (0..<depth).map { int(at: i * depth + $0).map(String.init) ?? "?" }.joined(separator: separator) + "]"
  }
}

private func tensorScatter(_ op: String, _ code: ck_binary_op?) -> KernelDefinition {
  kernel(op) { frame throws(RunError) in
    let x = frame.input(0)
    guard frame.input(1).shape.rank >= 1 else {
      throw .invalidArgument("Indices shape must have rank at least one. Found:\(frame.input(1).shape)")
    }
    let out = try frame.output(0, x.dtype, x.shape, reusing: 0)
    // Already in place when the memory was taken over.
    if unsafe out.base != x.base { unsafe out.base.copyMemory(from: x.base, byteCount: x.byteCount) }
    try frame.scatter(frame.input(1), frame.input(2), into: out, code, op)
  }
}
