// Diagonals and bands of matrices; a tensor of more dimensions is many matrices.
internal import Tensors

let diagonalKernels: [KernelDefinition] = [
  kernel("MatrixBandPart") { frame throws(RunError) in try frame.bandPart() },
  kernel("DiagPart") { frame throws(RunError) in try frame.diagonalOfTensor() },
  kernel("Diag") { frame throws(RunError) in try frame.tensorOfDiagonal() },
  kernel("MatrixDiagPart") { frame throws(RunError) in try frame.matrixDiagonal() },
  kernel("MatrixDiag") { frame throws(RunError) in try frame.matrixOfDiagonal() },
  kernel("MatrixSetDiag") { frame throws(RunError) in try frame.setMatrixDiagonal() },
  kernel("MatrixDiagPartV2") { frame throws(RunError) in try frame.matrixDiagonal(offset: frame.diagonalOffset(1)) },
  kernel("MatrixDiagPartV3") { frame throws(RunError) in try frame.matrixDiagonal(offset: frame.diagonalOffset(1)) },
  kernel("MatrixDiagV2") { frame throws(RunError) in try frame.matrixOfDiagonal(offset: frame.diagonalOffset(1)) },
  kernel("MatrixDiagV3") { frame throws(RunError) in try frame.matrixOfDiagonal(offset: frame.diagonalOffset(1)) },
]

extension Frame {
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

/// One diagonal of each matrix, not only the main one. `k` is how far it stands above the main diagonal (below, if negative).
extension Frame {
  /// The offset in the input `k`: a number, or two that agree. A band of several diagonals is not supported.
  fileprivate func diagonalOffset(_ index: Int) throws(RunError) -> Int {
    let k = input(index)
    guard k.count == 1 || k.count == 2 else {
      throw .invalidArgument("diag_index must have one or two elements, received \(k.count) elements.")
    }
    let offset = try k.integer(at: 0)
    guard try k.integer(at: k.count - 1) == offset else { throw .unimplemented("bands of several diagonals") }
    return offset
  }

  fileprivate mutating func matrixDiagonal(offset k: Int) throws(RunError) {
    let x = input(0)
    let (count, rows, columns) = try matrices(x)
    guard k == 0 || (k > -rows && k < columns) else {
      throw .invalidArgument("lower_diag_index is out of bound: \(k). It must be between \(-rows) and \(columns)")
    }
    let n = k < 0 ? min(rows + k, columns) : min(rows, columns - k)
    let first = k < 0 ? -k * columns : k
    let shape = try x.shape.removing(x.shape.rank - 1).replacing(x.shape.rank - 2, by: n)
    let out = try output(0, x.dtype, shape)
    for m in 0..<count {
      for i in 0..<n {
        // Element `i` of the diagonal: inside matrix `m` by the bound on `k`.
        unsafe out.at(m * n + i).copyMemory(from: x.at(m * rows * columns + first + i * (columns + 1)), byteCount: x.dtype.size)
      }
    }
  }

  fileprivate mutating func matrixOfDiagonal(offset k: Int) throws(RunError) {
    let x = input(0)
    let padding = input(4)
    guard x.shape.rank >= 1 else { throw .invalidArgument("diagonal must be at least 1-dim, received shape: \(x.shape)") }
    guard padding.dtype == x.dtype, padding.count == 1 else { throw .invalidArgument("padding_value must be a scalar") }
    let n = x.shape[x.shape.rank - 1]
    guard abs(k) < Int(Int32.max) else { throw .invalidArgument("diag_index is out of bound: \(k)") }
    let (least, leastColumns) = (n + max(0, -k), n + max(0, k))
    var (rows, columns) = (try scalar(2, "num_rows"), try scalar(3, "num_cols"))
    switch (rows, columns) {
    case (-1, -1): (rows, columns) = (max(least, leastColumns), max(least, leastColumns))
    case (-1, _): rows = least
    case (_, -1): columns = leastColumns
    default: break
    }
    guard rows >= least else { throw .invalidArgument("The number of rows is too small.") }
    guard columns >= leastColumns else { throw .invalidArgument("The number of columns is too small.") }
    guard rows == least || columns == leastColumns else {
      throw .invalidArgument("The number of rows or columns is not consistent with the specified d_lower, d_upper, and diagonal.")
    }
    let out = try output(0, x.dtype, try x.shape.replacing(x.shape.rank - 1, by: rows).joined(0..<x.shape.rank, [columns], 0..<1))
    let size = x.dtype.size
    for i in 0..<out.count { unsafe out.at(i).copyMemory(from: padding.base, byteCount: size) }
    let first = k < 0 ? -k * columns : k
    for m in 0..<x.shape.count(upTo: x.shape.rank - 1) {
      for i in 0..<n {
        // Row and column of element `i` are below `rows` and `columns`, which were checked against `n` and `k`.
        unsafe out.at(m * rows * columns + first + i * (columns + 1)).copyMemory(from: x.at(m * n + i), byteCount: size)
      }
    }
  }
}
