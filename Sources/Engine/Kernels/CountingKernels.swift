// How often numbers occur: as a row of bins for each row of numbers (the multi-hot, count and tf-idf layers), or as a sparse tensor.
internal import Tensors

let countingKernels: [KernelDefinition] = [
  typed("Bincount", by: 2) { _ throws(GraphError) in Bincount(form: .flat, binary: false) },
  typed("DenseBincount", by: 2) { node throws(GraphError) in
    Bincount(form: .dense, binary: try node.bool("binary_output", default: false))
  },
  typed("SparseBincount", by: 4) { node throws(GraphError) in
    Bincount(form: .sparse, binary: try node.bool("binary_output", default: false))
  },
  typed("RaggedBincount", by: 3) { node throws(GraphError) in
    Bincount(form: .ragged, binary: try node.bool("binary_output", default: false))
  },
  counting("DenseCountSparseOutput", .dense), counting("SparseCountSparseOutput", .sparse),
  counting("RaggedCountSparseOutput", .ragged),
]

private enum Form { case flat, dense, sparse, ragged }

/// Adds one, or the weight that stands beside it, to a bin for each number below `size`.
private struct Bincount: TypedKernel {
  let form: Form
  let binary: Bool

  func run<T: Scalar>(_ type: T.Type, _ frame: inout Frame) throws(RunError) {
    let x = frame.input(form == .sparse || form == .ragged ? 1 : 0)
    let sizeInput = form == .sparse ? 3 : form == .ragged ? 2 : 1
    let weights = frame.input(sizeInput + 1)
    if form == .flat, frame.input(1).shape.rank != 0 {
      throw .invalidArgument("Shape must be rank 0 but is rank \(frame.input(1).shape.rank)")
    }
    let size = try frame.scalar(sizeInput, "size")
    guard size >= 0 else { throw .invalidArgument("size (\(size)) must be non-negative") }
    guard weights.dtype == T.dtype || weights.dtype == .bool else { throw unsupported("weights", weights.dtype) }
    switch form {
    case .flat:
      guard weights.count == 0 || weights.count == x.count else {
        throw .invalidArgument("Input indices and weights must have the same size.")
      }
    case .dense:
      guard x.shape.rank <= 2 else { throw .invalidArgument("Shape must be at most rank 2 but is rank \(x.shape.rank)") }
      guard weights.count == 0 || weights.shape == x.shape else {
        throw .invalidArgument("`weights` must be the same shape as `arr` or a length-0 `Tensor`, in which case it acts as all weights equal to 1. Received \(weights.shape)")
      }
    case .sparse, .ragged:
      guard weights.count == 0 || weights.count == x.count else {
        throw .invalidArgument("Input indices and weights must have the same size.")
      }
    }

    let rows: Int?
    switch form {
    case .flat: rows = nil
    case .dense: rows = x.shape.rank == 2 ? x.shape[0] : nil
    case .sparse:
      let (indices, shape) = (frame.input(0), frame.input(2))
      rows = shape.count == 1 ? nil : try shape.integer(at: 0)
      guard indices.shape.rank == 2, indices.shape[0] == x.count, indices.shape[1] == shape.count else {
        throw .invalidArgument("Number of values must match first dimension of indices. Got \(x.count) values, indices shape: \(indices.shape)")
      }
    case .ragged:
      let splits = frame.input(0)
      guard splits.count > 0 else { throw .invalidArgument("Must provide at least 1 element for the splits argument") }
      guard try splits.integer(at: 0) == 0 else {
        throw .invalidArgument("Splits must start with 0, not with \(try splits.integer(at: 0))")
      }
      let last = try splits.integer(at: splits.count - 1)
      guard last == x.count else { throw .invalidArgument("Splits must end with the number of values, got \(last) instead of \(x.count)") }
      rows = splits.count - 1
    }
    var dims = Dims()
    if let rows { try dims.append(rows) }
    try dims.append(size)
    var out = try frame.output(0, weights.dtype, try Shape(checking: dims))
    unsafe frame.zero(out)
    let weight = weights.span(of: T.self)
    var bins = out.mutableSpan(of: T.self)
    let width = form == .dense && x.shape.rank == 2 ? x.shape[1] : 1
    var row = 0
    for i in 0..<x.count {
      let value = try x.integer(at: i)
      guard value >= 0 else {
        throw .invalidArgument(rows == nil || form == .dense ? "Input arr must be non-negative!" : "Input must be non-negative")
      }
      switch form {
      case .flat: break
      case .dense: row = i / width
      case .sparse:
        if let rows {
          row = try frame.input(0).integer(at: i * frame.input(2).count)
          guard row >= 0, row < rows else {
            throw .invalidArgument("Index out of bound. `batch` (\(row)) must be less than the dimension size (\(rows)).")
          }
          guard value < size else {
            throw .invalidArgument("Index out ouf bound. `bin` (\(value)) must be less then the dimension size (\(size)).")
          }
        }
      case .ragged:
        // Rows only ever advance; the last split is past every value.
        while row + 1 < frame.input(0).count, try frame.input(0).integer(at: row + 1) <= i { row += 1 }
        guard row < rows ?? 0 else { throw .invalidArgument("Splits must be non-decreasing") }
      }
      guard value < size else { continue }
      let bin = (rows == nil ? 0 : row * size) + value
      let step = weights.count == 0 ? 1 : weight[i].double
      bins[bin] = T(nearest: binary ? 1 : bins[bin].double + step)
    }
  }
}

/// Counts as a sparse tensor: what stands in a row, sorted, and how often.
private func counting(_ op: String, _ form: Form) -> KernelDefinition {
  KernelDefinition(op) { node throws(GraphError) in
    let least = try node.int("minlength", default: -1)
    let most = try node.int("maxlength", default: -1)
    let binary = try node.bool("binary_output")
    let type = try node.dtype("output_type")
    return { frame throws(RunError) in
      let x = frame.input(form == .dense ? 0 : 1)
      let weights = frame.input(form == .dense ? 1 : form == .ragged ? 2 : 3)
      guard weights.count == 0 || weights.shape == x.shape else {
        throw .invalidArgument(
          "Weights and \(form == .dense ? "data" : "values") must have the same shape. Weight shape: \(weights.shape); \(form == .dense ? "data" : "values") shape: \(x.shape)")
      }
      let (rows, rowOf) = try frame.countedRows(form, x)
      var entries: [(row: Int, value: Int, count: Double)] = []
      var greatest = 0
      for i in 0..<x.count {
        let value = try x.integer(at: i)
        guard value >= 0, most <= 0 || value < most else { continue }
        entries.append((rowOf[i], value, weights.count == 0 ? 1 : try frame.number(weights, i)))
        greatest = max(greatest, value)
      }
      // Those of one row and value stand together, in the order they came in.
      let order = entries.indices.sorted { a, b in
        (entries[a].row, entries[a].value, a) < (entries[b].row, entries[b].value, b)
      }
      var counts: [(row: Int, value: Int, count: Double)] = []
      for i in order {
        if let last = counts.last, last.row == entries[i].row, last.value == entries[i].value {
          if !binary { counts[counts.count - 1].count += entries[i].count }
        } else {
          counts.append(entries[i])
          if binary { counts[counts.count - 1].count = 1 }
        }
      }
      let depth = rows == nil ? 1 : 2
      let indices = try frame.output(0, .int64, [counts.count, depth])
      let values = try frame.output(1, type, [counts.count])
      let shape = try frame.output(2, .int64, [depth])
      for (at, entry) in counts.enumerated() {
        if depth == 2 { indices.set(2 * at, entry.row) }
        indices.set(at * depth + depth - 1, entry.value)
        // Element `at` of the values.
        frame.fill(unsafe Value(dtype: type, shape: [], base: values.at(at)), entry.count)
      }
      if let rows { shape.set(0, rows) }
      shape.set(depth - 1, most > 0 ? most : max(greatest &+ 1, least))
    }
  }
}

extension Frame {
  /// The number of rows, `nil` for a vector, and the row of each value.
  fileprivate func countedRows(_ form: Form, _ x: Value) throws(RunError) -> (Int?, [Int]) {
    switch form {
    case .flat, .dense:
      guard x.shape.rank == 1 || x.shape.rank == 2 else {
        throw .invalidArgument("Input must be a 1 or 2-dimensional tensor. Got: \(x.shape)")
      }
      guard x.shape.rank == 2 else { return (nil, [Int](repeating: 0, count: x.count)) }
      guard x.shape[0] != 0 else { throw .invalidArgument("Invalid input: Shapes dimension cannot be 0.") }
      return (x.shape[0], (0..<x.count).map { $0 / x.shape[1] })
    case .sparse:
      let (indices, shape) = (input(0), input(2))
      guard indices.shape.rank == 2 else { throw .invalidArgument("Input indices must be a 2-dimensional tensor. Got: \(indices.shape)") }
      guard x.shape.rank == 1 else { throw .invalidArgument("Input values must be a vector. Got: \(x.shape)") }
      guard shape.shape.rank == 1 else { throw .invalidArgument("Input shape must be a vector. Got: \(shape.shape)") }
      guard x.count == indices.shape[0] else {
        throw .invalidArgument("Number of values must match first dimension of indices.Got \(x.count) values, indices shape: \(indices.shape)")
      }
      guard shape.count == indices.shape[1] else {
        throw .invalidArgument("Number of dimensions must match second dimension of indices.Got \(shape.count) dimensions, indices shape: \(indices.shape)")
      }
      guard shape.count > 0 else { throw .invalidArgument("The shape argument requires at least one element.") }
      var rowOf: [Int] = []
      for i in 0..<x.count {
        for d in 0..<shape.count {
          let (index, extent) = (try indices.integer(at: i * shape.count + d), try shape.integer(at: d))
          guard index >= 0, index < extent else {
            throw .invalidArgument("Invalid index value at \(i): dimension \(d) has value \(index) which is not in [0, \(extent)) (as given by dense shape \(shape.debugText)")
          }
        }
        rowOf.append(shape.count == 1 ? 0 : try indices.integer(at: i * shape.count))
      }
      if shape.count == 1 { return (nil, rowOf) }
      let rows = try shape.integer(at: 0)
      guard rows > 0, rows < Int(Int32.max) else { throw .invalidArgument("Cannot allocate \(rows) batches, is the dense shape too wide?") }
      return (rows, rowOf)
    case .ragged:
      let splits = input(0)
      guard splits.count > 1 else { throw .invalidArgument("Must provide at least 2 elements for the splits argument") }
      guard try splits.integer(at: 0) == 0 else {
        throw .invalidArgument("Splits must start with 0, not with \(try splits.integer(at: 0))")
      }
      let last = try splits.integer(at: splits.count - 1)
      guard last == x.count else { throw .invalidArgument("Splits must end with the number of values, got \(last) instead of \(x.count)") }
      var rowOf: [Int] = []
      for row in 0..<(splits.count - 1) {
        let (low, high) = (try splits.integer(at: row), try splits.integer(at: row + 1))
        guard low <= high, high <= x.count else { throw .invalidArgument("Splits must be non-decreasing") }
        rowOf += [Int](repeating: row, count: high - low)
      }
      return (splits.count - 1, rowOf)
    }
  }

  /// An element as a number, whatever type holds it.
  fileprivate func number(_ value: Value, _ i: Int) throws(RunError) -> Double {
    switch value.dtype {
    case .float: Double(value.span(of: Float.self)[i])
    case .double: value.span(of: Double.self)[i]
    default: Double(try value.integer(at: i))
    }
  }
}
