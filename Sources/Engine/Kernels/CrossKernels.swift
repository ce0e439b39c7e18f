// Feature crosses: for each row of a batch every combination of one feature from each column, as text or as a hash of hashes. Models are
// trained with these hashes: they must agree bit for bit (tensorflow/core/kernels/sparse_cross_op.cc).
internal import Tensors

let crossKernels: [KernelDefinition] = [
  KernelDefinition("SparseCross") { node throws(GraphError) in
    let sparse = try node.int("N")
    let isHashed = try node.bool("hashed_output")
    let buckets = try node.int("num_buckets")
    let key = UInt64(bitPattern: Int64(try node.int("hash_key")))
    guard sparse >= 0, buckets >= 0 else { throw node.invalid("N and num_buckets must be at least 0") }
    return { frame throws(RunError) in
      let columns = try CrossColumns(&frame, sparse: sparse, dense: frame.inputCount - 3 * sparse)
      guard isHashed else { return try frame.cross(columns, separator: Array("_X_".utf8)) }
      try frame.cross(columns) { row, choice in
        var hash = key
        for c in 0..<columns.count { hash = concatenated(hash, columns.number(c, row, choice[c])) }
        return bucket(hash, buckets)
      }
    }
  },
  KernelDefinition("SparseCrossV2") { node throws(GraphError) in
    let sparse = try node.int("N")
    guard sparse >= 0 else { throw node.invalid("N must be at least 0") }
    return { frame throws(RunError) in
      let last = frame.inputCount - 1
      let columns = try CrossColumns(&frame, sparse: sparse, dense: last - 3 * sparse)
      let separator = try frame.strings(last)
      guard separator.shape.rank == 0 else {
        throw .invalidArgument("Input separator should be a scalar. Received: \(separator.debugText)")
      }
      try frame.cross(columns, separator: unsafe separator.string(at: 0).withUnsafeBytes { unsafe Array($0) })
    }
  },
  KernelDefinition("SparseCrossHashed") { node throws(GraphError) in
    let sparse = try node.int("N")
    guard sparse >= 0 else { throw node.invalid("N must be at least 0") }
    return { frame throws(RunError) in
      let rest = frame.inputCount - 3
      let columns = try CrossColumns(&frame, sparse: sparse, dense: rest - 3 * sparse)
      let buckets = try frame.scalar(rest, "num_buckets")
      let isStrong = frame.input(rest + 1).isTrue
      let salt = frame.input(rest + 2)
      guard buckets >= 0 else { throw .invalidArgument("num_buckets must be at least 0, got \(buckets)") }
      let key = (UInt64(bitPattern: Int64(try salt.integer(at: 0))), UInt64(bitPattern: Int64(try salt.integer(at: 1))))
      try frame.cross(columns) { row, choice in
        var hash = columns.keyed(0, row, choice[0], isStrong ? key : nil)
        for c in 1..<max(columns.count, 1) { hash = concatenated(hash, columns.keyed(c, row, choice[c], isStrong ? key : nil)) }
        return bucket(hash, buckets)
      }
    }
  },
  KernelDefinition("RaggedCross") { node throws(GraphError) in
    let sparse = try node.int("Nsparse", default: 0)
    let ragged = try node.dtypes("ragged_values_types", default: []).count
    let dense = try node.dtypes("dense_types", default: []).count
    let order = try node.bytes("input_order")
    let isHashed = try node.bool("hashed_output")
    let buckets = try node.int("num_buckets")
    let key = UInt64(bitPattern: Int64(try node.int("hash_key")))
    let splits = try node.dtype("out_row_splits_type")
    guard sparse >= 0, buckets >= 0 else { throw node.invalid("Nsparse and num_buckets must be at least 0") }
    guard splits == .int32 || splits == .int64 else { throw node.invalid("out_row_splits_type is \(splits)") }
    return { frame throws(RunError) in
      let columns = try CrossColumns(&frame, ragged: ragged, sparse: sparse, dense: dense, order)
      let total = try frame.split(columns, splits)
      guard isHashed else { return try frame.join(columns, total, separator: Array("_X_".utf8), as: 0) }
      try frame.hash(columns, total, as: 0) { row, choice in
        var hash = key
        for c in 0..<columns.count { hash = concatenated(hash, columns.number(c, row, choice[c])) }
        return bucket(hash, buckets)
      }
    }
  },
]

private func bucket(_ hash: UInt64, _ buckets: Int) -> Int { Int(hash % UInt64(buckets > 0 ? buckets : .max)) }

/// Two fingerprints made one (`FingerprintCat64`).
private func concatenated(_ a: UInt64, _ b: UInt64) -> UInt64 {
  let k: UInt64 = 0xc6a4_a793_5bd1_e995
  func mix(_ x: UInt64) -> UInt64 { x ^ x >> 47 }
  var result = a ^ k
  result ^= mix(b &* k) &* k
  result = result &* k
  result = mix(result) &* k
  return mix(result)
}

/// The columns of a cross: first the sparse ones (indices, values, shapes, each a list of inputs), then the dense.
private struct CrossColumns {
  private struct Column {
    var values: Value
    /// Where each row's features begin in the values, one more than there are rows; `nil` for a dense column. It stands in the
    /// run's arena: how many rows there are is a number of the request's.
    var starts: Value?
    var width: Int
  }

  private var columns: [Column] = []
  private(set) var rows = 0
  var count: Int { columns.count }

  init(_ frame: inout Frame, sparse: Int, dense: Int) throws(RunError) {
    guard sparse >= 0, dense >= 0, sparse + dense > 0 else { throw .invalidArgument("there is no column to cross") }
    for i in 0..<sparse {
      let (indices, values, shape) = (frame.input(i), frame.input(sparse + i), frame.input(2 * sparse + i))
      guard indices.shape.rank == 2 else {
        throw .invalidArgument("Input indices should be a matrix but received shape \(indices.shape) at position \(i)")
      }
      guard indices.dtype == .int64, indices.shape[1] == 2 else {
        throw .invalidArgument("Expected D2 of index to be 2 got \(indices.shape[1]) at position \(i)")
      }
      guard values.shape.rank == 1 else {
        throw .invalidArgument("Input values should be a vector but received shape \(values.shape) at position \(i)")
      }
      guard indices.shape[0] == values.count else {
        throw .invalidArgument("Expected size of values to be \(indices.shape[0]) got \(values.count) at position \(i)")
      }
      guard shape.shape.rank == 1 else {
        throw .invalidArgument("Input shapes should be a vector but received shape \(shape.shape) at position \(i)")
      }
      guard shape.count == 2 else {
        throw .invalidArgument("shape should imply a 2D tensor, but got \(shape.shape) at position \(i)")
      }
      try CrossColumns.check(values)
    }
    for i in 0..<dense {
      let values = frame.input(3 * sparse + i)
      guard values.shape.rank == 2 else {
        throw .invalidArgument("Dense inputs should be a matrix but received shape \(values.shape) at position \(i)")
      }
      try CrossColumns.check(values)
    }
    rows = sparse > 0 ? try frame.input(2 * sparse).integer(at: 0) : frame.input(3 * sparse).shape[0]
    guard rows >= 0, rows <= Int(Int32.max) else { throw .invalidArgument("the batch size \(rows) is out of range") }
    for i in 0..<sparse {
      let (indices, values) = (frame.input(i), frame.input(sparse + i))
      let own = try frame.input(2 * sparse + i).integer(at: 0)
      guard own == rows else { throw .invalidArgument("Expected batch size \(rows) got \(own) at position \(i)") }
      try append(&frame, indices, values)
    }
    for i in 0..<dense {
      let values = frame.input(3 * sparse + i)
      guard values.shape[0] == rows else {
        throw .invalidArgument("Expected batch size \(rows) got \(values.shape[0]) at dense tensor \(i)")
      }
      columns.append(Column(values: values, starts: nil, width: values.shape[1]))
    }
  }

  /// A sparse column.
  private mutating func append(_ frame: inout Frame, _ indices: Value, _ values: Value) throws(RunError) {
    // The features of a row stand together; what is out of order is not reached.
    let starts = try frame.temporary(.int64, [rows + 1]).value
    starts.set(0, 0)
    var at = 0
    for row in 0..<rows {
      while at < values.count, try indices.integer(at: 2 * at) == row { at += 1 }
      starts.set(row + 1, at)
    }
    columns.append(Column(values: values, starts: starts, width: 0))
  }

  /// The columns of `RaggedCross`, in the order its letters give: ragged, dense, sparse.
  init(_ frame: inout Frame, ragged: Int, sparse: Int, dense: Int, _ order: [UInt8]) throws(RunError) {
    let firstSparse = 2 * ragged
    let firstDense = firstSparse + 3 * sparse
    var (nextRagged, nextSparse, nextDense) = (0, 0, 0)
    for i in 0..<ragged {
      guard frame.input(i).shape.rank == 1 else { throw .invalidArgument("tf.ragged.cross only supports inputs with rank=2.") }
      let splits = frame.input(ragged + i)
      guard splits.shape.rank == 1, splits.count > 0, try splits.integer(at: 0) == 0, try splits.integer(at: splits.count - 1) == frame.input(i).count else {
        throw .invalidArgument("Invalid RaggedTensor")
      }
    }
    for i in 0..<sparse {
      let (indices, values, shape) = (frame.input(firstSparse + i), frame.input(firstSparse + sparse + i), frame.input(firstSparse + 2 * sparse + i))
      guard indices.shape.rank == 2, values.shape.rank == 1, shape.shape.rank == 1, indices.dtype == .int64, values.count == indices.shape[0], shape.count == indices.shape[1]
      else { throw .invalidArgument("Invalid SparseTensor ") }
      guard shape.count == 2 else { throw .invalidArgument("tf.ragged.cross only supports inputs with rank=2.") }
    }
    for i in 0..<dense where frame.input(firstDense + i).shape.rank != 2 {
      throw .invalidArgument("tf.ragged.cross only supports inputs with rank=2.")
    }
    guard order.count == ragged + sparse + dense, !order.isEmpty else { throw .invalidArgument("Invalid values for input_order") }
    if ragged > 0 {
      rows = frame.input(ragged).count - 1
    } else if sparse > 0 {
      rows = try frame.input(firstSparse + 2 * sparse).integer(at: 0)
    } else {
      rows = frame.input(firstDense).shape[0]
    }
    guard rows >= 0, rows <= Int(Int32.max) else { throw .invalidArgument("the batch size \(rows) is out of range") }
    for letter in order {
      switch letter {
      case UInt8(ascii: "R") where nextRagged < ragged:
        let (values, splits) = (frame.input(nextRagged), frame.input(ragged + nextRagged))
        guard splits.count == rows + 1 else { throw .invalidArgument("inputs must all have the same batch dimension size.") }
        let starts = try frame.temporary(.int64, [rows + 1]).value
        var before = 0
        for row in 0...rows {
          let at = try splits.integer(at: row)
          guard at >= before, at <= values.count else { throw .invalidArgument("Invalid RaggedTensor") }
          starts.set(row, at)
          before = at
        }
        columns.append(Column(values: values, starts: starts, width: 0))
        nextRagged += 1
      case UInt8(ascii: "S") where nextSparse < sparse:
        guard try frame.input(firstSparse + 2 * sparse + nextSparse).integer(at: 0) == rows else {
          throw .invalidArgument("inputs must all have the same batch dimension size.")
        }
        try append(&frame, frame.input(firstSparse + nextSparse), frame.input(firstSparse + sparse + nextSparse))
        nextSparse += 1
      case UInt8(ascii: "D") where nextDense < dense:
        let values = frame.input(firstDense + nextDense)
        guard values.shape[0] == rows else { throw .invalidArgument("inputs must all have the same batch dimension size.") }
        columns.append(Column(values: values, starts: nil, width: values.shape[1]))
        nextDense += 1
      default: throw .invalidArgument("Invalid values for input_order")
      }
    }
    for column in columns { try CrossColumns.check(column.values) }
  }

  private static func check(_ values: Value) throws(RunError) {
    guard values.dtype == .string || values.dtype == .int64 else { throw unsupported("a cross", values.dtype) }
  }

  /// The features of a row in a column.
  func features(_ c: Int, _ row: Int) -> Int {
    guard let starts = columns[c].starts else { return columns[c].width }
    return Int(starts.span(of: Int64.self)[row + 1] - starts.span(of: Int64.self)[row])
  }

  private func place(_ c: Int, _ row: Int, _ feature: Int) -> Int {
    guard let starts = columns[c].starts else { return row * columns[c].width + feature }
    return Int(starts.span(of: Int64.self)[row]) + feature
  }

  /// Combinations in a row; `nil` when there are more than anybody could hold.
  func combinations(_ row: Int) -> Int? {
    var product = 1
    for c in columns.indices {
      let features = features(c, row)
      if features == 0 { return 0 }
      let (next, overflow) = product.multipliedReportingOverflow(by: features)
      if overflow { return nil }
      product = next
    }
    return product
  }

  /// Combinations of all rows, and of the row that has most.
  func total() throws(RunError) -> (total: Int, widest: Int) {
    var (total, widest) = (0, 0)
    for row in 0..<rows {
      guard let count = combinations(row), count <= Int(Int32.max), total <= Int(Int32.max) else {
        throw RunError(.resourceExhausted, "row \(row) has too many combinations of features")
      }
      total += count
      widest = max(widest, count)
    }
    return (total, widest)
  }

  func append(_ c: Int, _ row: Int, _ feature: Int, to bytes: inout [UInt8]) {
    let (values, at) = (columns[c].values, place(c, row, feature))
    if values.dtype == .string { bytes.append(values.string(at: at)) } else { bytes += values.element(at).utf8 }
  }

  func number(_ c: Int, _ row: Int, _ feature: Int) -> UInt64 {
    let (values, at) = (columns[c].values, place(c, row, feature))
    return values.dtype == .string ? fingerprint64(values.string(at: at)) : UInt64(bitPattern: values.span(of: Int64.self)[at])
  }

  /// As `SparseCrossHashed` takes it: of an integer TensorFlow hashes the lower four bytes only, and of a dense one none unless by key.
  func keyed(_ c: Int, _ row: Int, _ feature: Int, _ key: (UInt64, UInt64)?) -> UInt64 {
    let (values, at) = (columns[c].values, place(c, row, feature))
    if values.dtype != .string, key == nil, columns[c].starts == nil { return number(c, row, feature) }
    func hash(_ bytes: RawSpan) -> UInt64 {
      if let key { sipHash(bytes, key.0, key.1) } else { fingerprint64(bytes) }
    }
    if values.dtype == .string { return hash(values.string(at: at)) }
    // The first four bytes of the element at `at`.
    return unsafe hash(RawSpan(_unsafeStart: values.at(at), byteCount: 4))
  }
}

extension Frame {
  /// Writes indices and shape, then calls `body` for every combination in order: the last column varies fastest.
  private mutating func combine(_ columns: CrossColumns) throws(RunError) -> Int {
    let (total, widest) = try columns.total()
    let indices = try output(0, .int64, [total, 2])
    let shape = try output(2, .int64, [2])
    shape.set(0, columns.rows)
    shape.set(1, widest)
    var at = 0
    for row in 0..<columns.rows {
      for k in 0..<(columns.combinations(row) ?? 0) {
        indices.set(2 * at, row)
        indices.set(2 * at + 1, k)
        at += 1
      }
    }
    return total
  }

  fileprivate mutating func cross(
    _ columns: CrossColumns, _ hash: (_ row: Int, _ choice: [Int]) -> Int
  ) throws(RunError) {
    try self.hash(columns, try combine(columns), as: 1, hash)
  }

  /// Output 1: where the combinations of each row begin.
  fileprivate mutating func split(_ columns: CrossColumns, _ type: DType) throws(RunError) -> Int {
    let (total, _) = try columns.total()
    let splits = try output(1, type, [columns.rows + 1])
    splits.set(0, 0)
    var end = 0
    for row in 0..<columns.rows {
      end += columns.combinations(row) ?? 0
      splits.set(row + 1, end)
    }
    return total
  }

  /// An output: a hash of each combination.
  fileprivate mutating func hash(
    _ columns: CrossColumns, _ total: Int, as output: Int, _ hash: (_ row: Int, _ choice: [Int]) -> Int
  ) throws(RunError) {
    let values = try self.output(output, .int64, [total])
    var cursor = CrossCursor(columns)
    for i in 0..<values.count {
      cursor.settle()
      values.set(i, hash(cursor.row, cursor.choice))
      cursor.advance()
    }
  }

  fileprivate mutating func cross(_ columns: CrossColumns, separator: [UInt8]) throws(RunError) {
    try join(columns, try combine(columns), separator: separator, as: 1)
  }

  /// An output: the text of each combination.
  fileprivate mutating func join(_ columns: CrossColumns, _ total: Int, separator: [UInt8], as output: Int) throws(RunError) {
    var cursor = CrossCursor(columns)
    try outputStrings(output, [total]) { _, bytes throws(RunError) in
      cursor.settle()
      for c in 0..<columns.count {
        if c > 0 { bytes += separator }
        columns.append(c, cursor.row, cursor.choice[c], to: &bytes)
      }
      cursor.advance()
    }
  }
}

/// A walk over the combinations of all rows.
private struct CrossCursor {
  let columns: CrossColumns
  private(set) var row = 0
  private(set) var choice: [Int]

  init(_ columns: CrossColumns) {
    self.columns = columns
    choice = [Int](repeating: 0, count: columns.count)
  }

  /// Goes on to a row that has combinations. There is one as long as the caller asks for no more than there are.
  mutating func settle() {
    while columns.combinations(row) == 0 { row += 1 }
  }

  mutating func advance() {
    for c in choice.indices.reversed() {
      choice[c] += 1
      if choice[c] < columns.features(c, row) { return }
      choice[c] = 0
    }
    row += 1
  }
}
