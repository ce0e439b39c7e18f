internal import CKernels
internal import Tensors

/// Products of matrices and of batches of them. A constant right-hand side is packed at load.
let matMulKernels: [KernelDefinition] = [
  KernelDefinition("MatMul", packs: [1], make: matMul), KernelDefinition("_FusedMatMul", packs: [1], make: matMul),
  batchMatMul("BatchMatMul", broadcasts: false), batchMatMul("BatchMatMulV2", broadcasts: true),
  batchMatMul("BatchMatMulV3", broadcasts: true),
]

private func matMul(_ node: NodeContext) throws(GraphError) -> Kernel.Body {
  let transposeA = try node.bool("transpose_a", default: false)
  let transposeB = try node.bool("transpose_b", default: false)
  switch try node.elementType() {
  case .float: return try MatMul<Float>(node, transposeA, transposeB).body
  case .double: return try MatMul<Double>(node, transposeA, transposeB).body
  default:
    return try integerProduct(node, adjointA: transposeA, adjointB: transposeB, "MatMul") { a, b throws(RunError) in
      try checkMatrices(a, b)
    }
  }
}

private func batchMatMul(_ op: String, broadcasts: Bool) -> KernelDefinition {
  KernelDefinition(op, packs: [1]) { node throws(GraphError) in
    let adjointX = try node.bool("adj_x", default: false)
    let adjointY = try node.bool("adj_y", default: false)
    switch try node.elementType("T", "Ta") {
    case .float: return try BatchMatMul<Float>(node, adjointX, adjointY, broadcasts: broadcasts).body
    case .double: return try BatchMatMul<Double>(node, adjointX, adjointY, broadcasts: broadcasts).body
    default:
      return try integerProduct(node, adjointA: adjointX, adjointB: adjointY, op) { a, b throws(RunError) in
        try checkBatches(a, b, broadcasts: broadcasts)
      }
    }
  }
}

extension NodeContext {
  /// The type the op works on: its attribute, or else that of a constant input.
  func elementType(_ names: String...) throws(GraphError) -> DType {
    for name in names.isEmpty ? ["T"] : names {
      if node.attributes[name] != nil { return try dtype(name) }
    }
    return constants.lazy.compactMap { $0?.dtype }.first ?? .float
  }
}

// MARK: Shapes

private func checkMatrices(_ a: Shape, _ b: Shape) throws(RunError) {
  guard a.rank == b.rank else { throw .invalidArgument("In[0] and In[1] has different ndims: \(a) vs. \(b)") }
  guard a.rank >= 2 else { throw .invalidArgument("In[0] ndims must be >= 2: \(a.rank)") }
  guard a.rank == 2 else { throw .invalidArgument("In[0] is not a matrix. Instead it has shape \(a)") }
}

private func checkBatches(_ a: Shape, _ b: Shape, broadcasts: Bool) throws(RunError) {
  if broadcasts {
    guard a.rank >= 2 else { throw .invalidArgument("In[0] ndims must be >= 2: \(a.rank)") }
    guard b.rank >= 2 else { throw .invalidArgument("In[1] ndims must be >= 2: \(b.rank)") }
  } else {
    guard a.rank == b.rank else { throw .invalidArgument("In[0] and In[1] has different ndims: \(a) vs. \(b)") }
    guard a.rank >= 2 else { throw .invalidArgument("In[0] ndims must be >= 2: \(a.rank)") }
    for d in 0..<a.rank - 2 where a[d] != b[d] {
      throw .invalidArgument("In[0].dim(\(d)) and In[1].dim(\(d)) must be the same: \(a) vs \(b)")
    }
  }
}

/// The geometry of two (batches of) matrices side by side, and the shape of what they give.
private struct Pairing {
  var m: Int
  var n: Int
  var k: Int
  /// Extents of the batch dimensions, and each operand's stride over them in matrices.
  var batches = Shape()
  var steps: [8 of (a: Int, b: Int)] = .init(repeating: (0, 0))
  var output = Shape()

  init(_ a: Shape, _ b: Shape, adjointA: Bool, adjointB: Bool) throws(RunError) {
    let rows = (a: a[a.rank - 2], b: b[b.rank - 2])
    let columns = (a: a[a.rank - 1], b: b[b.rank - 1])
    (m, k) = adjointA ? (columns.a, rows.a) : (rows.a, columns.a)
    let inner: Int
    (inner, n) = adjointB ? (columns.b, rows.b) : (rows.b, columns.b)
    // Batch dimensions are aligned at the end; an extent of one is repeated.
    let rank = max(a.rank, b.rank) - 2
    var dims = Dims()
    for d in 0..<rank {
      let (da, db) = (d - (rank - a.rank + 2), d - (rank - b.rank + 2))
      let (ea, eb) = (da >= 0 ? a[da] : 1, db >= 0 ? b[db] : 1)
      guard ea == eb || ea == 1 || eb == 1 else {
        throw .invalidArgument("In[0] and In[1] must have compatible batch dimensions: \(a) vs. \(b)")
      }
      let extent = ea == 1 ? eb : ea
      // `count(from:)` of a dimension, matrices as units.
      steps[d] = (
        a: ea == 1 ? 0 : (da + 1..<a.rank - 2).reduce(1) { $0 &* a[$1] },
        b: eb == 1 ? 0 : (db + 1..<b.rank - 2).reduce(1) { $0 &* b[$1] }
      )
      batches.append(extent)
      try dims.append(extent)
    }
    guard k == inner else { throw .invalidArgument("Matrix size-incompatible: In[0]: \(a), In[1]: \(b)") }
    try dims.append(m)
    try dims.append(n)
    output = try Shape(checking: dims)
  }
}

private func checkType(_ a: Value, _ b: DType, _ op: String) throws(RunError) {
  guard a.dtype == b else { throw .invalidArgument("\(op): the inputs are \(a.dtype) and \(b)") }
}

// MARK: MatMul

private struct MatMul<T: Real> {
  let transposeA: Bool
  let transposeB: Bool
  let epilogue: Epilogue
  let constant: ConstantOperand<T>?

  init(_ node: NodeContext, _ transposeA: Bool, _ transposeB: Bool) throws(GraphError) {
    self.transposeA = transposeA
    self.transposeB = transposeB
    epilogue = try Epilogue(node, own: 2)
    constant = try node.packed(1, rank: 2, transposeB ? "transposed" : "") { PackedMatrix(matrices: $0, transposed: transposeB) }
  }

  var body: Kernel.Body { { frame throws(RunError) in try run(&frame) } }

  func run(_ frame: inout Frame) throws(RunError) {
    let a = frame.input(0)
    let shapeA = a.shape
    guard a.dtype == T.dtype else { throw .invalidArgument("MatMul: the input is \(a.dtype), expected \(T.dtype)") }
    let b = constant == nil ? frame.input(1) : a
    try checkType(b, T.dtype, "MatMul")
    let shapeB = constant?.shape ?? b.shape
    try checkMatrices(shapeA, shapeB)
    let (m, k) = transposeA ? (shapeA[1], shapeA[0]) : (shapeA[0], shapeA[1])
    let (inner, n) = transposeB ? (shapeB[1], shapeB[0]) : (shapeB[0], shapeB[1])
    guard k == inner else { throw .invalidArgument("Matrix size-incompatible: In[0]: \(shapeA), In[1]: \(shapeB)") }
    let shape = try Shape(checking: [m, n])
    let bias = try epilogue.bias(T.self, frame, columns: n, of: shape)
    let out = try frame.output(0, T.dtype, shape)
    if m == 0 || n == 0 { return }
    // The shapes were checked against each other: the product reads `a`, B and the bias where they have elements, and fills `out`.
    if let constant, !transposeA {
      let activation = epilogue.activation
      unsafe T.multiply(
        Product<T>(
          m: m, n: n, k: k, a: a.pointer(T.self), aStride: k, packedB: constant.packed.base, c: out.pointer(T.self),
          cStride: n, bias: bias?.pointer(T.self), low: T(activation.low), high: T(activation.high)))
      unsafe activation.finish(out.pointer(T.self), rows: m, columns: n, stride: n)
    } else {
      let product = MatrixProduct<T>(
        m: m, n: n, k: k, a: .init(row: transposeA ? 1 : k, column: transposeA ? m : 1),
        b: .init(row: transposeB ? 1 : n, column: transposeB ? k : 1), c: .init(row: n, column: 1))
      try unsafe product.run(
        &frame, a.pointer(T.self), constant == nil ? b.pointer(T.self) : nil, packed: constant?.packed, out.pointer(T.self),
        bias: bias?.pointer(T.self), epilogue.activation)
    }
  }
}

// MARK: BatchMatMul

private struct BatchMatMul<T: Real> {
  let adjointX: Bool
  let adjointY: Bool
  let broadcasts: Bool
  let constant: ConstantOperand<T>?

  init(_ node: NodeContext, _ adjointX: Bool, _ adjointY: Bool, broadcasts: Bool) throws(GraphError) {
    self.adjointX = adjointX
    self.adjointY = adjointY
    self.broadcasts = broadcasts
    constant = try node.packed(1, adjointY ? "transposed" : "") { PackedMatrix(matrices: $0, transposed: adjointY) }
  }

  var body: Kernel.Body { { frame throws(RunError) in try run(&frame) } }

  func run(_ frame: inout Frame) throws(RunError) {
    let x = frame.input(0)
    let y = constant == nil ? frame.input(1) : x
    try checkType(x, T.dtype, "BatchMatMul")
    try checkType(y, T.dtype, "BatchMatMul")
    let shapeY = constant?.shape ?? y.shape
    try checkBatches(x.shape, shapeY, broadcasts: broadcasts)
    let pair = try Pairing(x.shape, shapeY, adjointA: adjointX, adjointB: adjointY)
    let out = try frame.output(0, T.dtype, pair.output)
    let (m, n, k) = (pair.m, pair.n, pair.k)
    var product = MatrixProduct<T>(
      m: m, n: n, k: k, a: .init(row: adjointX ? 1 : k, column: adjointX ? m : 1),
      b: .init(row: adjointY ? 1 : n, column: adjointY ? k : 1), c: .init(row: n, column: 1))
    if shapeY.rank == 2, !adjointX {
      // One right-hand side for all batches: their rows are the rows of one tall matrix.
      product.m = pair.batches.count * m
    } else {
      var stride = pair.batches.count
      for d in 0..<pair.batches.rank {
        if pair.batches[d] == 0 { return }
        stride /= pair.batches[d]
        product.appendBatch(pair.batches[d], a: pair.steps[d].a &* m &* k, b: pair.steps[d].b &* k &* n, c: stride &* m &* n)
      }
    }
    // The pairing checked the shapes against each other; `out` has theirs.
    try unsafe product.run(
      &frame, x.pointer(T.self), constant == nil ? y.pointer(T.self) : nil, packed: constant?.packed, out.pointer(T.self))
  }
}

// MARK: Integers

/// Plain loops: models multiply integers rarely. Sums wrap, as TensorFlow's do.
private func integerProduct(
  _ node: NodeContext, adjointA: Bool, adjointB: Bool, _ op: String,
  _ check: @escaping @Sendable (Shape, Shape) throws(RunError) -> Void
) throws(GraphError) -> Kernel.Body {
  let constant = try node.plainConstant(1)
  func body<T: FixedWidthInteger & BitwiseCopyable & SendableMetatype>(_ type: T.Type) -> Kernel.Body {
    { frame throws(RunError) in
      // The kernel keeps the constant.
      let (a, b) = (frame.input(0), constant.map { unsafe Value($0) } ?? frame.input(1))
      try checkType(a, b.dtype, op)
      guard a.dtype.size == MemoryLayout<T>.size else { throw .invalidArgument("\(op): the inputs are \(a.dtype)") }
      try check(a.shape, b.shape)
      let pair = try Pairing(a.shape, b.shape, adjointA: adjointA, adjointB: adjointB)
      let (m, n, k) = (pair.m, pair.n, pair.k)
      var out = try frame.output(0, a.dtype, pair.output)
      let (x, y) = (a.span(of: T.self), b.span(of: T.self))
      var z = out.mutableSpan(of: T.self)
      var at = [Int](repeating: 0, count: pair.batches.rank)
      for batch in 0..<pair.batches.count {
        let (matrixA, matrixB) = at.indices.reduce((0, 0)) { ($0.0 + at[$1] * pair.steps[$1].a, $0.1 + at[$1] * pair.steps[$1].b) }
        for i in 0..<m {
          for j in 0..<n {
            var sum: T = 0
            for l in 0..<k {
              sum &+= x[matrixA * m * k + (adjointA ? l * m + i : i * k + l)]
                &* y[matrixB * k * n + (adjointB ? j * k + l : l * n + j)]
            }
            z[(batch * m + i) * n + j] = sum
          }
        }
        for d in at.indices.reversed() {
          at[d] += 1
          if at[d] < pair.batches[d] { break }
          at[d] = 0
        }
      }
    }
  }
  switch try node.elementType("T", "Ta") {
  case .int32: return body(Int32.self)
  case .int64: return body(Int64.self)
  case .int16: return body(Int16.self)
  case .int8: return body(Int8.self)
  case .uint8: return body(UInt8.self)
  case .uint16: return body(UInt16.self)
  case .uint32: return body(UInt32.self)
  case .uint64: return body(UInt64.self)
  case let type: throw node.unsupported("there is no product of \(type)")
  }
}
