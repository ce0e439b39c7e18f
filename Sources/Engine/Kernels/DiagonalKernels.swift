// Diagonals and bands of matrices; a tensor of more dimensions is many matrices.
internal import Tensors

let diagonalKernels: [KernelDefinition] = [
  kernel("MatrixBandPart") { frame throws(RunError) in try frame.bandPart() },
  kernel("DiagPart") { frame throws(RunError) in try frame.diagonalOfTensor() },
  kernel("Diag") { frame throws(RunError) in try frame.tensorOfDiagonal() },
  kernel("MatrixDiagPart") { frame throws(RunError) in try frame.matrixDiagonal() },
  kernel("MatrixDiag") { frame throws(RunError) in try frame.matrixOfDiagonal() },
  kernel("MatrixSetDiag") { frame throws(RunError) in try frame.setMatrixDiagonal() },
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
