// Ops that compute each element of the output from the elements that stand at the same place, after broadcasting. The loops are
// CKernels'; here are the shapes, the types and the errors.
internal import CKernels
internal import Glibc
internal import Tensors

let elementwiseKernels: [KernelDefinition] = [
  binary("Add", CK_ADD), binary("AddV2", CK_ADD), binary("Sub", CK_SUB), binary("Mul", CK_MUL),
  binary("Div", CK_DIV, dividing), binary("RealDiv", CK_DIV, dividing),
  binary("TruncateDiv", CK_TRUNCATE_DIV, dividing), binary("FloorDiv", CK_FLOOR_DIV, dividing),
  binary("Mod", CK_TRUNCATE_MOD, dividing), binary("TruncateMod", CK_TRUNCATE_MOD, dividing),
  binary("FloorMod", CK_FLOOR_MOD, dividing),
  binary("Pow", CK_POW, "Integers to negative integer powers are not allowed"),
  binary("Maximum", CK_MAXIMUM), binary("Minimum", CK_MINIMUM), binary("SquaredDifference", CK_SQUARED_DIFFERENCE),
  binary("MulNoNan", CK_MUL_NO_NAN), binary("DivNoNan", CK_DIV_NO_NAN), binary("Xdivy", CK_XDIVY),
  binary("Xlogy", CK_XLOGY), binary("Xlog1py", CK_XLOG1PY), binary("Atan2", CK_ATAN2), binary("NextAfter", CK_NEXT_AFTER),
  binary("BitwiseAnd", CK_BITWISE_AND), binary("BitwiseOr", CK_BITWISE_OR), binary("BitwiseXor", CK_BITWISE_XOR),
  binary("LeftShift", CK_LEFT_SHIFT), binary("RightShift", CK_RIGHT_SHIFT),
  binary("LogicalAnd", CK_LOGICAL_AND), binary("LogicalOr", CK_LOGICAL_OR),
  equality("Equal", CK_EQUAL, equal: true), equality("NotEqual", CK_NOT_EQUAL, equal: false),
  binary("Less", CK_LESS), binary("LessEqual", CK_LESS_EQUAL),
  binary("Greater", CK_GREATER), binary("GreaterEqual", CK_GREATER_EQUAL),
  typed("ApproximateEqual") { node throws(GraphError) in
    ApproximateEqual(tolerance: Double(try node.float("tolerance", default: 1e-5)))
  },

  unary("Neg", CK_NEG), unary("Abs", CK_ABS), unary("Sign", CK_SIGN), unary("Square", CK_SQUARE),
  unary("Sqrt", CK_SQRT), unary("Rsqrt", CK_RSQRT), unary("Reciprocal", CK_RECIPROCAL), unary("Inv", CK_RECIPROCAL),
  unary("Exp", CK_EXP), unary("Expm1", CK_EXPM1), unary("Log", CK_LOG), unary("Log1p", CK_LOG1P),
  unary("Sin", CK_SIN), unary("Cos", CK_COS), unary("Tan", CK_TAN),
  unary("Asin", CK_ASIN), unary("Acos", CK_ACOS), unary("Atan", CK_ATAN),
  unary("Sinh", CK_SINH), unary("Cosh", CK_COSH), unary("Tanh", CK_TANH),
  unary("Asinh", CK_ASINH), unary("Acosh", CK_ACOSH), unary("Atanh", CK_ATANH),
  unary("Sigmoid", CK_SIGMOID), unary("Erf", CK_ERF), unary("Erfc", CK_ERFC), unary("Erfinv", CK_ERFINV),
  unary("Ndtri", CK_NDTRI), unary("Lgamma", CK_LGAMMA), unary("Digamma", CK_DIGAMMA),
  unary("Floor", CK_FLOOR, integers: true), unary("Ceil", CK_CEIL, integers: true),
  unary("Round", CK_RINT, integers: true), unary("Rint", CK_RINT),
  unary("Invert", CK_INVERT), unary("LogicalNot", CK_LOGICAL_NOT), unary("Conj", CK_CONJ, integers: true),
  unary("IsNan", CK_IS_NAN), unary("IsInf", CK_IS_INF), unary("IsFinite", CK_IS_FINITE),

  kernel("AddN") { frame throws(RunError) in try frame.addN() },
  kernel("AccumulateNV2") { frame throws(RunError) in try frame.addN() },
  kernel("ClipByValue") { frame throws(RunError) in try frame.clip() },
  kernel("Select") { frame throws(RunError) in try frame.select() },
  kernel("SelectV2") { frame throws(RunError) in try frame.selectBroadcasting() },
  KernelDefinition("Cast") { node throws(GraphError) in
    let type = try node.dtype("DstT")
    return { frame throws(RunError) in try frame.cast(to: type) }
  },
  KernelDefinition("Bitcast") { node throws(GraphError) in
    let type = try node.dtype("type")
    guard type != .string, type != .resource, type != .variant else { throw node.invalid("cannot bitcast to \(type)") }
    return { frame throws(RunError) in try frame.bitcast(to: type) }
  },
  checkNumerics("CheckNumerics"), checkNumerics("CheckNumericsV2"),
  complexPart("Real", 0), complexPart("Imag", 1),
]

private let dividing = "Integer division by zero"

private func binary(_ op: String, _ code: ck_binary_op, _ failure: String = "") -> KernelDefinition {
  kernel(op) { frame throws(RunError) in try frame.binary(code, op, failure) }
}

/// - Parameter integers: whether the op gives integers (and all it has no loop for) back as they are.
private func unary(_ op: String, _ code: ck_unary_op, integers: Bool = false) -> KernelDefinition {
  kernel(op) { frame throws(RunError) in
    let x = frame.input(0)
    guard let loop = unsafe ck_unary_loop(code, x.kernelType) else {
      if integers { return frame.forward(0, to: 0) }
      throw unsupported(op, x.dtype)
    }
    let tests = code.rawValue >= CK_IS_NAN.rawValue
    let out = try tests ? frame.output(0, .bool, x.shape) : frame.output(0, x.dtype, x.shape, reusing: 0)
    // Both hold `x.count` elements of the types the loop was chosen for.
    unsafe loop(x.count, x.base, out.base)
  }
}

extension Frame {
  mutating func binary(_ code: ck_binary_op, _ op: String, _ failure: String = "") throws(RunError) {
    let a = input(0)
    let b = input(1)
    guard a.dtype == b.dtype else { throw .invalidArgument("\(op): the inputs are \(a.dtype) and \(b.dtype)") }
    guard let loop = unsafe ck_binary_loop(code, a.kernelType) else { throw unsupported(op, a.dtype) }
    let compares = code.rawValue >= CK_EQUAL.rawValue
    var failed: Int32 = 0
    let isScalarB = b.shape.rank == 0
    if isScalarB || a.shape.rank == 0 || a.shape == b.shape {
      // One row: what most steps of most models are.
      let whole = isScalarB ? 0 : 1
      let shape = isScalarB ? a.shape : b.shape
      let out = try compares ? output(0, .bool, shape) : output(0, a.dtype, shape, reusing: whole)
      let stepA: Int32 = isScalarB || a.shape.rank > 0 ? 1 : 0
      // Each operand has as many elements as the output or is repeated; the loop was chosen for the type.
      failed = unsafe loop(shape.count, a.base, stepA, b.base, isScalarB ? 0 : 1, out.base)
    } else {
      guard let broadcast = Broadcast(a.shape, b.shape) else {
        throw .invalidArgument("Incompatible shapes: \(a.shape) vs. \(b.shape)")
      }
      // An operand that is not repeated may lend its memory.
      let shape = broadcast.shape
      let out = try compares ? output(0, .bool, shape) : output(0, a.dtype, shape, reusing: a.count == shape.count ? 0 : 1)
      let size = a.dtype.size
      let outSize = out.dtype.size
      broadcast.forEachRow { row in
        // Rows lie within the shapes they were made from; the loop was chosen for the type.
        failed |= unsafe loop(
          row.count, a.base + row.start[0] * size, row.step[0], b.base + row.start[1] * size, row.step[1],
          out.base + row.output * outSize)
      }
    }
    if failed != 0 { throw .invalidArgument(failure) }
  }

  fileprivate mutating func addN() throws(RunError) {
    let first = input(0)
    guard inputCount > 1 else { return forward(0, to: 0) }
    guard let loop = unsafe ck_binary_loop(CK_ADD, first.kernelType) else { throw unsupported("AddN", first.dtype) }
    for i in 1..<inputCount where input(i).shape != first.shape || input(i).dtype != first.dtype {
      throw .invalidArgument(
        "Inputs to operation AddN of type AddN must have the same size and shape.  "
          + "Input 0: \(first.shape) != input \(i): \(input(i).shape)")
    }
    let out = try output(0, first.dtype, first.shape, reusing: 0)
    for i in 1..<inputCount {
      // All have the shape and the type of the first.
      _ = unsafe loop(first.count, i == 1 ? first.base : out.base, 1, input(i).base, 1, out.base)
    }
  }

  fileprivate mutating func clip() throws(RunError) {
    let x = input(0)
    let low = input(1)
    let high = input(2)
    guard low.dtype == x.dtype, high.dtype == x.dtype else { throw .invalidArgument("clip_value_min, clip_value_max and t differ in type") }
    guard let atMost = unsafe ck_binary_loop(CK_MINIMUM, x.kernelType), let atLeast = unsafe ck_binary_loop(CK_MAXIMUM, x.kernelType)
    else { throw unsupported("ClipByValue", x.dtype) }
    for bound in [low, high] where bound.shape.rank != 0 && bound.shape != x.shape {
      throw .invalidArgument(
        "clip_value_min and clip_value_max must be either of the same shape as input, or a scalar. "
          + "input shape: \(x.shape)clip_value_min shape: \(low.shape)clip_value_max shape: \(high.shape)")
    }
    let out = try output(0, x.dtype, x.shape, reusing: 0)
    guard x.count > 0 else { return }
    // Bounds are scalars or have the shape of `x`.
    _ = unsafe atMost(x.count, x.base, 1, high.base, high.shape.rank == 0 ? 0 : 1, out.base)
    _ = unsafe atLeast(x.count, out.base, 1, low.base, low.shape.rank == 0 ? 0 : 1, out.base)
  }

  fileprivate mutating func select() throws(RunError) {
    let condition = input(0)
    let then = input(1)
    let otherwise = input(2)
    guard condition.dtype == .bool, then.dtype == otherwise.dtype else { throw .invalidArgument("Select: the inputs' types do not agree") }
    guard then.shape == otherwise.shape else {
      throw .invalidArgument("'then' and 'else' must have the same size.  but received: \(then.shape) vs. \(otherwise.shape)")
    }
    let size = then.dtype.size
    let isRows = condition.shape.rank == 1 && then.shape.rank > 1
    guard condition.shape == then.shape || condition.shape.rank == 0 || isRows else {
      throw .invalidArgument(
        "'cond' must be a scalar or have the same shape as 'then'; cond \(condition.shape), then \(then.shape)")
    }
    guard !isRows || condition.count == then.shape[0] else {
      throw .invalidArgument(
        "Number of batches of 'then' must match size of 'cond', but saw: \(then.shape[0]) vs. \(condition.count)")
    }
    if condition.shape.rank == 0 { return forward(unsafe condition.pointer(UInt8.self).pointee != 0 ? 1 : 2, to: 0) }
    let out = try output(0, then.dtype, then.shape, reusing: 1)
    let rows = isRows ? condition.count : 1
    let columns = rows == 0 ? 0 : then.count / rows
    for row in 0..<(columns == 0 ? 0 : rows) {
      // A row of `columns` elements, one condition for all of it or one for each.
      unsafe ck_select(
        columns, size, condition.pointer(UInt8.self) + (isRows ? row : 0), isRows ? 0 : 1, then.at(row * columns), 1,
        otherwise.at(row * columns), 1, out.at(row * columns))
    }
  }

  fileprivate mutating func selectBroadcasting() throws(RunError) {
    let condition = input(0)
    let then = input(1)
    let otherwise = input(2)
    guard condition.dtype == .bool, then.dtype == otherwise.dtype else { throw .invalidArgument("SelectV2: the inputs' types do not agree") }
    guard let broadcast = Broadcast(condition.shape, then.shape, otherwise.shape) else {
      throw .invalidArgument(
        "condition \(condition.shape), then \(then.shape), and else \(otherwise.shape) must be broadcastable")
    }
    let size = then.dtype.size
    let out = try output(0, then.dtype, broadcast.shape, reusing: then.count == broadcast.shape.count ? 1 : 2)
    broadcast.forEachRow { row in
      // Rows lie within the shapes they were made from.
      unsafe ck_select(
        row.count, size, condition.pointer(UInt8.self) + row.start[0], row.step[0], then.base + row.start[1] * size,
        row.step[1], otherwise.base + row.start[2] * size, row.step[2], out.base + row.output * size)
    }
  }

  fileprivate mutating func cast(to type: DType) throws(RunError) {
    let x = input(0)
    if x.dtype == type { return forward(0, to: 0) }
    guard let loop = unsafe ck_cast_loop(x.kernelType, UInt32(type.rawValue)) else {
      throw .unimplemented("Cast \(x.dtype) to \(type) is not supported")
    }
    let out = try x.dtype.size == type.size ? output(0, type, x.shape, reusing: 0) : output(0, type, x.shape)
    // Both hold `x.count` elements of the types the loop was chosen for.
    unsafe loop(x.count, x.base, out.base)
  }

  fileprivate mutating func bitcast(to type: DType) throws(RunError) {
    let x = input(0)
    guard x.dtype != .string, x.dtype != .resource, x.dtype != .variant else {
      throw .invalidArgument("Cannot bitcast from \(x.dtype)")
    }
    let from = x.dtype.size
    let to = type.size
    var dims = Dims(x.shape)
    if from > to {
      try dims.append(from / to)
    } else if from < to {
      guard x.shape.rank > 0, x.shape[x.shape.rank - 1] == to / from else {
        throw .invalidArgument(
          "Cannot bitcast from \(x.dtype.rawValue) to \(type.rawValue)")
      }
      dims = Dims(x.shape.removing(x.shape.rank - 1))
    }
    forward(0, to: 0, shape: try Shape(checking: dims), dtype: type)
  }

  fileprivate mutating func checkNumerics(_ message: String) throws(RunError) {
    let x = input(0)
    guard let isFinite = unsafe ck_unary_loop(CK_IS_FINITE, x.kernelType), let isNaN = unsafe ck_unary_loop(CK_IS_NAN, x.kernelType)
    else { throw unsupported("CheckNumerics", x.dtype) }
    let flags = try unsafe scratch(byteCount: x.count)
    defer { release(flags) }
    // The flags hold a byte for each element.
    let bytes = unsafe flags.base.assumingMemoryBound(to: UInt8.self)
    func any(_ value: UInt8) -> Bool {
      for i in 0..<x.count { if unsafe bytes[i] == value { return true } }
      return false
    }
    unsafe isFinite(x.count, x.base, bytes)
    if any(0) {
      unsafe isNaN(x.count, x.base, bytes)
      let hasNaN = any(1)
      // Everything that is neither finite nor NaN is infinite.
      let nans = (0..<x.count).reduce(0) { unsafe $0 + Int(bytes[$1]) }
      unsafe isFinite(x.count, x.base, bytes)
      let finite = (0..<x.count).reduce(0) { unsafe $0 + Int(bytes[$1]) }
      let hasInf = nans + finite < x.count
      throw .invalidArgument("\(message) : Tensor had \(hasInf ? hasNaN ? "Inf and NaN" : "Inf" : "NaN") values")
    }
    forward(0, to: 0)
  }
}

private func checkNumerics(_ op: String) -> KernelDefinition {
  KernelDefinition(op, .writes) { node throws(GraphError) in
    let message = try node.string("message")
    return { frame throws(RunError) in try frame.checkNumerics(message) }
  }
}

/// Equality is for strings too, and with `incompatible_shape_error` off shapes that do not agree are merely not equal.
private func equality(_ op: String, _ code: ck_binary_op, equal: Bool) -> KernelDefinition {
  KernelDefinition(op) { node throws(GraphError) in
    let refuses = try node.bool("incompatible_shape_error", default: true)
    return { frame throws(RunError) in
      let a = frame.input(0)
      let b = frame.input(1)
      guard a.dtype == b.dtype else { throw .invalidArgument("\(op): the inputs are \(a.dtype) and \(b.dtype)") }
      guard let broadcast = Broadcast(a.shape, b.shape) else {
        guard refuses else { return try frame.output(scalar: !equal) }
        throw .invalidArgument("Incompatible shapes: \(a.shape) vs. \(b.shape)")
      }
      guard a.dtype == .string else { return try frame.binary(code, op) }
      let out = try frame.output(0, .bool, broadcast.shape)
      broadcast.forEachRow { row in
        for i in 0..<row.count {
          let x = a.string(at: row.start[0] + (row.step[0] == 0 ? 0 : i))
          let y = b.string(at: row.start[1] + (row.step[1] == 0 ? 0 : i))
          // A row lies within the result.
          unsafe out.pointer(Bool.self)[row.output + i] = (x == y) == equal
        }
      }
    }
  }
}

extension Frame {
  /// Output 0: a bool.
  mutating func output(scalar value: Bool) throws(RunError) {
    let out = try output(0, .bool, [])
    // A scalar of one byte.
    unsafe out.pointer(Bool.self).pointee = value
  }
}

/// Whether two runs of bytes are the same.
func == (a: RawSpan, b: RawSpan) -> Bool {
  guard a.byteCount == b.byteCount else { return false }
  return unsafe a.withUnsafeBytes { x in
    unsafe b.withUnsafeBytes { y in unsafe x.count == 0 || memcmp(x.baseAddress!, y.baseAddress!, x.count) == 0 }
  }
}

private struct ApproximateEqual: TypedKernel {
  let tolerance: Double
  func run<T: Scalar>(_ type: T.Type, _ frame: inout Frame) throws(RunError) {
    let a = frame.input(0)
    let b = frame.input(1)
    guard a.shape == b.shape, a.dtype == b.dtype else {
      throw .invalidArgument("x and y must be of the same shape. x shape: \(a.shape). y shape: \(b.shape)")
    }
    var out = try frame.output(0, .bool, a.shape)
    let x = a.span(of: T.self)
    let y = b.span(of: T.self)
    var equal = out.mutableSpan(of: Bool.self)
    for i in 0..<x.count { equal[i] = abs(x[i].double - y[i].double) < tolerance }
  }
}

private func complexPart(_ op: String, _ part: Int) -> KernelDefinition {
  kernel(op) { frame throws(RunError) in
    let x = frame.input(0)
    guard x.dtype == .complex64 || x.dtype == .complex128 else { throw unsupported(op, x.dtype) }
    let type: DType = x.dtype == .complex64 ? .float : .double
    let out = try frame.output(0, type, x.shape)
    // Real and imaginary parts alternate.
    unsafe ck_gather_strided(x.count, type.size, x.base + part * type.size, 2, out.base)
  }
}
