// C = A × B over any number of batches, each operand standing in memory as it likes. What the packed kernels need is made here:
// B is packed unless it was at load, A is copied when its rows do not lie straight, C when its columns do not.
internal import CKernels
internal import Tensors

/// The geometry of a product. Strides count elements.
struct MatrixProduct<T: Real> {
  struct Strides {
    var row: Int
    var column: Int
  }
  var m: Int
  var n: Int
  var k: Int
  var a: Strides
  var b: Strides
  var c: Strides
  /// The extents of the batch dimensions and the operands' strides over them.
  private(set) var batches = Shape()
  private var steps: [8 of (a: Int, b: Int, c: Int)] = .init(repeating: (0, 0, 0))

  init(m: Int, n: Int, k: Int, a: Strides, b: Strides, c: Strides) {
    (self.m, self.n, self.k) = (m, n, k)
    (self.a, self.b, self.c) = (a, b, c)
  }

  /// Adds a batch dimension inside those there are. There may be `Shape.rankMax` of them.
  mutating func appendBatch(_ extent: Int, a: Int, b: Int, c: Int) {
    steps[batches.rank] = (a, b, c)
    batches.append(extent)
  }

  /// Runs the products.
  /// - Precondition: every element the geometry names lies within its operand; `bias`, when there is one, holds `n`. `packed`,
  ///   when there is one, is B, whose matrices stand one behind the other.
  @unsafe func run(
    _ frame: inout Frame, _ a: UnsafePointer<T>, _ b: UnsafePointer<T>?, packed: PackedMatrix<T>? = nil,
    _ c: UnsafeMutablePointer<T>, bias: UnsafePointer<T>? = nil, _ activation: Activation = .none
  ) throws(RunError) {
    let count = batches.count
    if count == 0 || m == 0 || n == 0 { return }
    var scratch = ScratchPieces()
    // Rows of A that do not lie straight are laid out in scratch memory.
    let copiesA = self.a.column != 1 && k > 1
    let straightA = unsafe copiesA ? try scratch.take(T.self, &frame, m, k) : nil
    let packedB = unsafe packed == nil ? try scratch.take(T.self, &frame, count: T.packedCount(k, n)) : nil
    let straightC = unsafe hasStraightColumns ? nil : try scratch.take(T.self, &frame, m, n)
    var product = unsafe Product<T>(
      m: m, n: n, k: k, a: UnsafePointer(straightA) ?? a, aStride: copiesA ? k : self.a.row, packedB: packed?.base ?? UnsafePointer(packedB!),
      c: straightC ?? c, cStride: straightC == nil ? self.c.row : n, bias: bias, low: T(activation.low),
      high: T(activation.high))
    var at = [8 of Int](repeating: 0)
    var (offsetA, offsetB, offsetC) = (0, 0, 0)
    var packedOffset = -1
    for _ in 0..<count {
      if let straightA = unsafe straightA {
        unsafe MatrixProduct.copy(a + offsetA, self.a, m, k, to: straightA, Strides(row: k, column: 1))
      } else {
        unsafe product.a = a + offsetA
      }
      if let packedB = unsafe packedB, packedOffset != offsetB {
        unsafe T.pack(b! + offsetB, rowStride: self.b.row, columnStride: self.b.column, k: k, n: n, into: packedB)
        packedOffset = offsetB
      }
      if let packed { unsafe product.packedB = packed.base(of: k == 0 ? 0 : offsetB / (k * n)) }
      if unsafe straightC == nil { unsafe product.c = c + offsetC }
      unsafe T.multiply(product)
      unsafe activation.finish(product.c, rows: m, columns: n, stride: product.cStride)
      if let straightC = unsafe straightC {
        unsafe MatrixProduct.copy(UnsafePointer(straightC), Strides(row: n, column: 1), m, n, to: c + offsetC, self.c)
      }
      // On to the next batch, the last dimension first.
      var d = batches.rank - 1
      while d >= 0 {
        at[d] += 1
        let step = steps[d]
        (offsetA, offsetB, offsetC) = (offsetA + step.a, offsetB + step.b, offsetC + step.c)
        if at[d] < batches[d] { break }
        (offsetA, offsetB, offsetC) = (
          offsetA - step.a * at[d], offsetB - step.b * at[d], offsetC - step.c * at[d]
        )
        at[d] = 0
        d -= 1
      }
    }
    scratch.release(&frame)
  }

  /// Whether the columns of C lie side by side.
  private var hasStraightColumns: Bool { c.column == 1 || n == 1 }

  @unsafe private static func copy(
    _ x: UnsafePointer<T>, _ from: Strides, _ rows: Int, _ columns: Int, to out: UnsafeMutablePointer<T>, _ to: Strides
  ) {
    for i in 0..<rows {
      for j in 0..<columns { unsafe out[i * to.row + j * to.column] = x[i * from.row + j * from.column] }
    }
  }
}

/// Scratch memory of a step that takes a few pieces and gives all back.
struct ScratchPieces {
  private var taken: [Scratch] = []

  /// Memory for `count` elements.
  @unsafe mutating func take<T>(_ type: T.Type, _ frame: inout Frame, count: Int) throws(RunError) -> UnsafeMutablePointer<T> {
    let (byteCount, overflow) = count.multipliedReportingOverflow(by: MemoryLayout<T>.stride)
    guard !overflow, byteCount >= 0 else { throw RunError(.resourceExhausted, "OOM: a step wants \(count) elements for itself") }
    let scratch = unsafe try frame.scratch(byteCount: byteCount)
    taken.append(scratch)
    return unsafe scratch.base.assumingMemoryBound(to: T.self)
  }

  @unsafe mutating func take<T>(
    _ type: T.Type, _ frame: inout Frame, _ rows: Int, _ columns: Int
  ) throws(RunError) -> UnsafeMutablePointer<T> {
    let (count, overflow) = rows.multipliedReportingOverflow(by: columns)
    return unsafe try take(type, &frame, count: overflow ? .max : count)
  }

  mutating func release(_ frame: inout Frame) {
    for scratch in taken { frame.release(scratch) }
    taken.removeAll()
  }
}
