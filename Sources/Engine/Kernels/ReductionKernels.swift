// Ops that fold dimensions. Neighbouring dimensions that are folded alike are one loop. When the innermost is folded, each row
// of it becomes a number; when it is kept, rows are added onto rows. Half and bfloat16 are folded as float, the
// roots of integers as double.
internal import CKernels
internal import Tensors

let reductionKernels: [KernelDefinition] = [
  reduction("Sum", .sum), reduction("Prod", .product), reduction("Max", .maximum), reduction("Min", .minimum),
  reduction("Mean", .mean), reduction("EuclideanNorm", .norm), reduction("All", .all), reduction("Any", .any),
  argument("ArgMax") { $0 > $1 }, argument("ArgMin") { $0 < $1 },
  scan("Cumsum", CK_ADD), scan("Cumprod", CK_MUL),
  segments("SegmentSum", .sum), segments("SegmentMean", .mean), segments("SegmentProd", .product),
  segments("SegmentMax", .maximum), segments("SegmentMin", .minimum),
  unsortedSegments("UnsortedSegmentSum", .sum), unsortedSegments("UnsortedSegmentProd", .product),
  unsortedSegments("UnsortedSegmentMax", .maximum), unsortedSegments("UnsortedSegmentMin", .minimum),
]

/// How elements are folded into one.
enum Fold: Sendable {
  case sum, product, maximum, minimum, mean, norm, all, any

  /// Folds an element onto another.
  var step: ck_binary_op {
    switch self {
    case .sum, .mean, .norm: CK_ADD
    case .product: CK_MUL
    case .maximum: CK_MAXIMUM
    case .minimum: CK_MINIMUM
    case .all: CK_LOGICAL_AND
    case .any: CK_LOGICAL_OR
    }
  }

  /// Folds a row; `nil` when rows are folded element by element.
  var row: ck_reduce_op? {
    switch self {
    case .sum, .mean, .norm: CK_REDUCE_SUM
    case .product: CK_REDUCE_PROD
    case .maximum: CK_REDUCE_MAX
    case .minimum: CK_REDUCE_MIN
    case .all, .any: nil
    }
  }

  /// What nothing at all folds to.
  func start(_ type: DType) -> Double {
    switch self {
    case .sum, .norm, .any: 0
    case .mean: type.isFloating ? .nan : 0
    case .product, .all: 1
    case .maximum: type.isFloating ? -.infinity : type.least
    case .minimum: type.isFloating ? .infinity : type.greatest
    }
  }
}

extension DType {
  var isFloating: Bool {
    switch self {
    case .float, .double, .half, .bfloat16, .complex64, .complex128: true
    default: false
    }
  }

  /// The least value of an integer type.
  var least: Double {
    switch self {
    case .int8, .int16, .int32, .int64: -Double(sign: .plus, exponent: size * 8 - 1, significand: 1)
    default: 0
    }
  }
  /// The greatest value of an integer type, or a number just above it.
  var greatest: Double {
    switch self {
    case .int8, .int16, .int32, .int64: Double(sign: .plus, exponent: size * 8 - 1, significand: 1) - (size < 8 ? 1 : 0)
    default: Double(sign: .plus, exponent: size * 8, significand: 1) - (size < 8 ? 1 : 0)
    }
  }
}

private func reduction(_ op: String, _ fold: Fold) -> KernelDefinition {
  KernelDefinition(op) { node throws(GraphError) in
    let keeps = try node.bool("keep_dims", default: false)
    return { frame throws(RunError) in try frame.reduce(fold, keepDims: keeps, op) }
  }
}

extension Frame {
  fileprivate mutating func reduce(_ fold: Fold, keepDims: Bool, _ op: String) throws(RunError) {
    let x = input(0)
    let axes = input(1)
    guard axes.shape.rank <= 1 else { throw .invalidArgument("Expected scalar or vector as index argument, got \(axes.shape)") }
    var folded: UInt = 0
    for i in 0..<axes.count {
      let index = try axes.integer(at: i)
      guard let axis = axis(index, rank: x.shape.rank) else {
        throw .invalidArgument("Invalid reduction dimension (\(index) for input with \(x.shape.rank) dimension(s)")
      }
      guard folded & (1 << UInt(axis)) == 0 else {
        throw .invalidArgument("Invalid reduction arguments: Axes contains duplicate dimension: \(axis)")
      }
      folded |= 1 << UInt(axis)
    }
    var shape = Shape()
    for d in 0..<x.shape.rank {
      if folded & (1 << UInt(d)) == 0 { shape.append(x.shape[d]) } else if keepDims { shape.append(1) }
    }
    // One element in each row: the fold changes nothing.
    if shape.count == x.count, x.count > 0, fold != .norm {
      return forward(0, to: 0, shape: shape)
    }
    let out = try output(0, x.dtype, shape)
    let wider: DType
    switch x.dtype {
    case .half, .bfloat16: wider = .float
    case _ where fold == .norm && !x.dtype.isFloating: wider = .double
    default: return try reduce(x, folded, into: out, fold, op)
    }
    let wide = try temporary(wider, x.shape)
    let result = try temporary(wider, shape)
    try convert(x, to: wide.value)
    try reduce(wide.value, folded, into: result.value, fold, op)
    try convert(result.value, to: out)
    release(wide.scratch)
    release(result.scratch)
  }

  /// Converts every element.
  func convert(_ x: Value, to out: Value) throws(RunError) {
    guard let loop = unsafe ck_cast_loop(x.kernelType, out.kernelType), x.count == out.count else {
      throw .unimplemented("cannot convert \(x.dtype) to \(out.dtype)")
    }
    // Both hold `x.count` elements of the types the loop was chosen for.
    unsafe loop(x.count, x.base, out.base)
  }

  /// Memory for the step alone, as a value.
  mutating func temporary(_ dtype: DType, _ shape: Shape) throws(RunError) -> (value: Value, scratch: Scratch) {
    let (byteCount, overflow) = shape.count.multipliedReportingOverflow(by: dtype.size)
    let scratch = try unsafe scratch(byteCount: overflow ? .max : byteCount)
    return unsafe (Value(dtype: dtype, shape: shape, base: scratch.base), scratch)
  }

  private mutating func reduce(
    _ x: Value, _ folded: UInt, into out: Value, _ fold: Fold, _ op: String
  ) throws(RunError) {
    guard let step = unsafe ck_binary_loop(fold.step, x.kernelType) else { throw unsupported(op, x.dtype) }
    let row = unsafe fold.row.flatMap { unsafe ck_reduce_loop($0, x.kernelType) }
    fill(out, fold.start(x.dtype))
    let perOutput = out.count == 0 ? 0 : x.count / out.count
    guard x.count > 0, out.count > 0 else { return }
    var source = x
    var squares: Scratch? = nil
    if fold == .norm {
      let square = try temporary(x.dtype, x.shape)
      guard let loop = unsafe ck_unary_loop(CK_SQUARE, x.kernelType) else { throw unsupported(op, x.dtype) }
      // A buffer of the same shape and type.
      unsafe loop(x.count, x.base, square.value.base)
      source = square.value
      squares = square.scratch
    }
    if fold == .mean { fill(out, 0) }

    // Loops, outermost first, folded and kept ones in turn.
    var rank = 0
    var extents: [8 of Int] = .init(repeating: 1)
    var strides: [8 of Int] = .init(repeating: 0)
    var wasFolded = false
    for d in 0..<x.shape.rank where x.shape[d] != 1 {
      let isFolded = folded & (1 << UInt(d)) != 0
      if rank > 0, isFolded == wasFolded {
        extents[rank - 1] *= x.shape[d]
      } else {
        extents[rank] = x.shape[d]
        strides[rank] = isFolded ? 0 : 1
        rank += 1
        wasFolded = isFolded
      }
    }
    var next = 1
    for d in (0..<rank).reversed() where strides[d] != 0 {
      strides[d] = next
      next *= extents[d]
    }
    let size = x.dtype.size
    let inner = rank == 0 ? 1 : extents[rank - 1]
    let innerFolded = rank > 0 && strides[rank - 1] == 0
    let cell = try unsafe scratch(byteCount: 16)
    // A first fold replaces the start, so that a maximum needs no least value and a sum keeps its zero's sign.
    var index: [8 of Int] = .init(repeating: 0)
    var at = 0
    var target = 0
    while at < source.count {
      // `at + inner` stays within the source, `target` (with its row when that is kept) within the output.
      let from = unsafe source.base + at * size
      let to = unsafe out.base + target * size
      if !innerFolded {
        _ = unsafe step(inner, to, 1, from, 1, to)
      } else if let row = unsafe row {
        unsafe row(inner, from, cell.base)
        _ = unsafe step(1, to, 1, cell.base, 1, to)
      } else {
        for i in 0..<inner { _ = unsafe step(1, to, 1, from + i * size, 1, to) }
      }
      at += inner
      var d = rank - 2
      while d >= 0 {
        index[d] += 1
        target += strides[d]
        if index[d] < extents[d] { break }
        target -= strides[d] * extents[d]
        index[d] = 0
        d -= 1
      }
    }
    release(cell)
    if let squares { release(squares) }
    if fold == .mean { try divide(out, by: perOutput, op) }
    if fold == .norm {
      guard let root = unsafe ck_unary_loop(CK_SQRT, x.kernelType) else { throw unsupported(op, x.dtype) }
      unsafe root(out.count, out.base, out.base)
    }
  }

  /// Divides every element by a number.
  fileprivate mutating func divide(_ value: Value, by divisor: Int, _ op: String) throws(RunError) {
    guard divisor != 1, value.count > 0 else { return }
    guard let loop = unsafe ck_binary_loop(CK_DIV, value.kernelType) else { throw unsupported(op, value.dtype) }
    let one = try temporary(value.dtype, [])
    fill(one.value, Double(divisor))
    // One divisor for `value.count` elements of its type.
    _ = unsafe loop(value.count, value.base, 1, one.value.base, 0, value.base)
    release(one.scratch)
  }

  /// Writes a number to every element, held within the type's range.
  func fill(_ value: Value, _ number: Double) {
    guard value.count > 0 else { return }
    var element: (UInt64, UInt64) = (0, 0)
    // An element takes at most sixteen bytes.
    unsafe withUnsafeMutableBytes(of: &element) { bytes in
      func store<T: Scalar>(_ type: T.Type) { unsafe bytes.storeBytes(of: T(nearest: number), as: T.self) }
      switch value.dtype {
      case .float, .complex64: store(Float.self)
      case .double, .complex128: store(Double.self)
      case .int8: store(Int8.self)
      case .int16: store(Int16.self)
      case .int32: store(Int32.self)
      case .int64: store(Int64.self)
      case .uint8, .bool: store(UInt8.self)
      case .uint16: store(UInt16.self)
      case .uint32: store(UInt32.self)
      case .uint64: store(UInt64.self)
      case .half: store(Half.self)
      case .bfloat16: store(BFloat16.self)
      default: break
      }
      unsafe ck_fill(value.count, value.dtype.size, bytes.baseAddress!, value.base)
    }
  }
}

// MARK: The place of the greatest

private struct Argument: TypedKernel {
  let outputType: DType
  let isMax: Bool

  func run<T: Scalar>(_ type: T.Type, _ frame: inout Frame) throws(RunError) {
    let x = frame.input(0)
    let dimension = try frame.scalar(1, "dim")
    guard let axis = axis(dimension, rank: x.shape.rank) else {
      throw .invalidArgument(
        "Expected dimension in the range [-\(x.shape.rank), \(x.shape.rank)), but got \(dimension)")
    }
    let n = x.shape[axis]
    guard n > 0 else {
      throw .invalidArgument("Reduction axis \(dimension) is empty in shape \(x.shape)")
    }
    let out = try frame.output(0, outputType, x.shape.removing(axis))
    let inner = x.shape.count(from: axis + 1)
    let values = x.span(of: T.self)
    for o in 0..<x.shape.count(upTo: axis) {
      for i in 0..<inner {
        let start = o * n * inner + i
        var best = 0
        var bestValue = values[start]
        for k in 1..<max(n, 1) {
          let value = values[start + k * inner]
          if isMax ? value > bestValue : value < bestValue {
            best = k
            bestValue = value
          }
        }
        out.set(o * inner + i, best)
      }
    }
  }
}

private func argument(_ op: String, _ better: (Int, Int) -> Bool) -> KernelDefinition {
  let isMax = better(1, 0)
  return typed(op) { node throws(GraphError) in
    Argument(outputType: try node.dtype("output_type", default: .int64), isMax: isMax)
  }
}

// MARK: Running folds

private func scan(_ op: String, _ code: ck_binary_op) -> KernelDefinition {
  KernelDefinition(op) { node throws(GraphError) in
    let exclusive = try node.bool("exclusive", default: false)
    let reverse = try node.bool("reverse", default: false)
    return { frame throws(RunError) in
      let x = frame.input(0)
      guard let step = unsafe ck_binary_loop(code, x.kernelType) else { throw unsupported(op, x.dtype) }
      let wanted = try frame.scalar(1, "ScanOp: axis")
      guard let axis = axis(wanted, rank: x.shape.rank) else {
        throw .invalidArgument(
          "ScanOp: Expected scan axis in the range [\(-x.shape.rank), \(x.shape.rank)), but got \(wanted)")
      }
      let out = try frame.output(0, x.dtype, x.shape)
      let n = x.shape[axis]
      let inner = x.shape.count(from: axis + 1)
      guard x.count > 0 else { return }
      let start = try frame.temporary(x.dtype, [])
      frame.fill(start.value, code == CK_MUL ? 1 : 0)
      for o in 0..<x.shape.count(upTo: axis) {
        for k in 0..<n {
          // Rows of `inner` elements, all within the shape.
          let row = o * n + (reverse ? n - 1 - k : k)
          let before = reverse ? row + 1 : row - 1
          let to = unsafe out.at(row * inner)
          if k == 0, exclusive {
            unsafe ck_fill(inner, x.dtype.size, start.value.base, to)
          } else if k == 0 {
            unsafe to.copyMemory(from: x.at(row * inner), byteCount: inner * x.dtype.size)
          } else {
            _ = unsafe step(inner, out.at(before * inner), 1, x.at((exclusive ? before : row) * inner), 1, to)
          }
        }
      }
      frame.release(start.scratch)
    }
  }
}

// MARK: Segments

/// Rows of the input folded into the rows their ids name. Sorted ids count up from zero; a row no id names is zero (one in a product).
private func segments(_ op: String, _ fold: Fold) -> KernelDefinition {
  kernel(op) { frame throws(RunError) in
    let x = frame.input(0)
    let ids = frame.input(1)
    guard ids.shape.rank == 1 else { throw .invalidArgument("segment_ids should be a vector.") }
    guard x.shape.rank >= 1, ids.count == x.shape[0] else {
      throw .invalidArgument(
        "segment_ids should be the same size as dimension 0 of input.")
    }
    var before = 0
    for i in 0..<ids.count {
      let id = try ids.integer(at: i)
      guard id >= 0 else { throw .invalidArgument("segment ids must be >= 0") }
      guard i == 0 || id >= before else { throw .invalidArgument("segment ids are not increasing") }
      before = id
    }
    guard before < Int(Int32.max) else { throw .invalidArgument("segment ids are too large: \(before)") }
    try frame.foldSegments(x, ids, count: ids.count == 0 ? 0 : before + 1, idRank: 1, fold, empty: fold == .product ? 1 : 0, op)
  }
}

private func unsortedSegments(_ op: String, _ fold: Fold) -> KernelDefinition {
  kernel(op) { frame throws(RunError) in
    let x = frame.input(0)
    let ids = frame.input(1)
    let count = try frame.scalar(2, "num_segments")
    guard count >= 0 else { throw .invalidArgument("Input num_segments == \(count) must not be negative.") }
    var isPrefix = ids.shape.rank <= x.shape.rank
    if isPrefix { for d in 0..<ids.shape.rank where ids.shape[d] != x.shape[d] { isPrefix = false } }
    guard isPrefix else {
      throw .invalidArgument("data.shape = \(x.shape) does not start with segment_ids.shape = \(ids.shape)")
    }
    for i in 0..<ids.count {
      let id = try ids.integer(at: i)
      guard id < count else {
        throw .invalidArgument("segment_ids\(ids.position(i)) = \(id) is out of range [0, \(count))")
      }
    }
    // A segment nothing falls into holds what nothing folds to; for floats TensorFlow takes the least finite number.
    let empty: Double =
      switch (fold, x.dtype) {
      case (.maximum, .float): -Double(Float.greatestFiniteMagnitude)
      case (.minimum, .float): Double(Float.greatestFiniteMagnitude)
      case (.maximum, .double): -Double.greatestFiniteMagnitude
      case (.minimum, .double): Double.greatestFiniteMagnitude
      case (.maximum, .half): -65504
      case (.minimum, .half): 65504
      case (.maximum, .bfloat16): -3.3895313892515355e38
      case (.minimum, .bfloat16): 3.3895313892515355e38
      default: fold.start(x.dtype)
      }
    try frame.foldSegments(x, ids, count: count, idRank: ids.shape.rank, fold, empty: empty, op)
  }
}

extension Frame {
  /// Ids are checked to be below `count`; negative ones are passed over.
  fileprivate mutating func foldSegments(
    _ x: Value, _ ids: Value, count: Int, idRank: Int, _ fold: Fold, empty: Double, _ op: String
  ) throws(RunError) {
    guard let step = unsafe ck_binary_loop(fold.step, x.kernelType) else { throw unsupported(op, x.dtype) }
    var dims = Dims()
    try dims.append(count)
    for d in idRank..<x.shape.rank { try dims.append(x.shape[d]) }
    let out = try output(0, x.dtype, try Shape(checking: dims))
    fill(out, empty)
    let inner = x.shape.count(from: idRank)
    let counts = try temporary(.int64, [count])
    unsafe zero(counts.value)
    for i in 0..<ids.count {
      let id = try ids.integer(at: i)
      if id < 0 { continue }
      // A row of the input onto a row of the output; the first one of a segment replaces what stands there.
      let seen = unsafe counts.value.pointer(Int64.self) + id
      if unsafe seen.pointee == 0 {
        unsafe out.at(id * inner).copyMemory(from: x.at(i * inner), byteCount: inner * x.dtype.size)
      } else {
        _ = unsafe step(inner, out.at(id * inner), 1, x.at(i * inner), 1, out.at(id * inner))
      }
      unsafe seen.pointee += 1
    }
    if fold == .mean, inner > 0 {
      for id in 0..<count {
        let n = unsafe counts.value.pointer(Int64.self)[id]
        let row = unsafe Value(dtype: x.dtype, shape: [inner], base: out.at(id * inner))
        if n > 1 { try divide(row, by: Int(n), op) }
      }
    }
    release(counts.scratch)
  }
}
