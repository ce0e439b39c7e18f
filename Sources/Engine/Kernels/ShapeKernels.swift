// Ops about shapes: those that tell them, those that change them without moving a byte, and those that make a tensor from one.
internal import CKernels
internal import Tensors

let shapeKernels: [KernelDefinition] = [
  KernelDefinition("Shape") { node throws(GraphError) in
    let type = try node.dtype("out_type", default: .int32)
    return { frame throws(RunError) in try frame.shape(frame.input(0).shape, type) }
  },
  KernelDefinition("ShapeN") { node throws(GraphError) in
    let type = try node.dtype("out_type", default: .int32)
    return { frame throws(RunError) in
      for i in 0..<frame.inputCount { try frame.shape(frame.input(i).shape, type, to: i) }
    }
  },
  KernelDefinition("Size") { node throws(GraphError) in
    let type = try node.dtype("out_type", default: .int32)
    return { frame throws(RunError) in try frame.output(integer: frame.input(0).count, type) }
  },
  kernel("Rank") { frame throws(RunError) in try frame.output(integer: frame.input(0).shape.rank, .int32) },
  kernel("Reshape") { frame throws(RunError) in try frame.reshape() },
  KernelDefinition("Squeeze") { node throws(GraphError) in
    let axes = try node.ints("squeeze_dims", default: [])
    return { frame throws(RunError) in try frame.squeeze(axes) }
  },
  kernel("ExpandDims") { frame throws(RunError) in try frame.expandDims() },
  kernel("BroadcastArgs") { frame throws(RunError) in
    let a = try Shape(checking: try frame.dims(0))
    let b = try Shape(checking: try frame.dims(1))
    guard let result = Broadcast(a, b) else {
      throw .invalidArgument("Incompatible shapes: \(a) vs. \(b)")
    }
    try frame.shape(result.shape, frame.input(0).dtype)
  },
  kernel("ConcatOffset") { frame throws(RunError) in try frame.concatOffset() },
  kernel("InvertPermutation") { frame throws(RunError) in try frame.invertPermutation() },
  kernel("Fill") { frame throws(RunError) in try frame.fill() },
  KernelDefinition("Empty") { node throws(GraphError) in
    let type = try node.dtype("dtype")
    return { frame throws(RunError) in
      let out = try frame.output(0, type, try Shape(checking: try frame.dims(0)))
      unsafe frame.zero(out)
    }
  },
  kernel("ZerosLike") { frame throws(RunError) in unsafe frame.zero(try frame.output(0, frame.input(0).dtype, frame.input(0).shape)) },
  kernel("OnesLike") { frame throws(RunError) in try frame.ones() },
  typed("Range") { _ throws(GraphError) in RangeKernel() },
  typed("LinSpace") { _ throws(GraphError) in LinSpace() },
]

extension Frame {
  /// The extents of a shape as an output.
  mutating func shape(_ shape: Shape, _ type: DType, to index: Int = 0) throws(RunError) {
    let out = try output(index, type, [shape.rank])
    for d in 0..<shape.rank { out.set(d, shape[d]) }
  }

  /// An output that is one integer.
  mutating func output(_ index: Int = 0, integer value: Int, _ type: DType) throws(RunError) {
    try output(index, type, []).set(0, value)
  }

  /// Clears a value: zeros, empty strings.
  @unsafe func zero(_ value: Value) {
    unsafe value.base.initializeMemory(as: UInt8.self, repeating: 0, count: value.byteCount)
  }

  fileprivate mutating func reshape() throws(RunError) {
    let x = input(0)
    let sizes = input(1)
    guard sizes.shape.rank <= 1 else { throw .invalidArgument("sizes input must be 1-D, not \(sizes.shape)") }
    guard sizes.shape.rank == 1 else { throw .invalidArgument("sizes input must be 1-D, not []") }
    var dims = try sizes.dims()
    var product = 1
    var missing = -1
    var overflow = false
    var hasZero = false
    for d in 0..<dims.count {
      if dims[d] == -1 {
        guard missing < 0 else { throw .invalidArgument("Only one input size may be -1, not both \(missing) and \(d)") }
        missing = d
        dims[d] = 1
      } else if dims[d] < 0 {
        throw .invalidArgument("Size \(d) must be non-negative, not \(dims[d])")
      } else {
        if dims[d] == 0 {
          hasZero = true
        } else {
          let (next, over) = product.multipliedReportingOverflow(by: dims[d])
          overflow = overflow || over
          product = next
        }
      }
    }
    guard !overflow else { throw .invalidArgument("Shape overflow") }
    if missing >= 0 {
      // Beside an extent of zero, the extents of zero of the input do not count either: [0, 3] as [0, -1] is [0, 3].
      var elements = 1
      for d in 0..<x.shape.rank where x.shape[d] > 0 || !hasZero { elements &*= x.shape[d] }
      guard elements % product == 0 else {
        throw .invalidArgument(
          "Input to reshape is a tensor with \(elements) values, but the requested shape requires a multiple of \(product)")
      }
      dims[missing] = elements / product
    }
    let shape = try Shape(checking: dims)
    guard shape.count == x.count else {
      throw .invalidArgument("Input to reshape is a tensor with \(x.count) values, but the requested shape has \(shape.count)")
    }
    forward(0, to: 0, shape: shape)
  }

  fileprivate mutating func squeeze(_ axes: [Int]) throws(RunError) {
    let shape = input(0).shape
    var chosen: UInt = 0
    for index in axes {
      guard let axis = axis(index, rank: shape.rank) else {
        throw .invalidArgument("Tried to squeeze dim index \(index) for tensor with \(shape.rank) dimensions.")
      }
      chosen |= 1 << UInt(axis)
    }
    var result = Shape()
    for d in 0..<shape.rank {
      let isChosen = chosen & (1 << UInt(d)) != 0
      guard !isChosen || shape[d] == 1 else {
        throw .invalidArgument("Can not squeeze dim[\(d)], expected a dimension of 1, got \(shape[d])")
      }
      if shape[d] != 1 || !(isChosen || axes.isEmpty) { result.append(shape[d]) }
    }
    forward(0, to: 0, shape: result)
  }

  fileprivate mutating func expandDims() throws(RunError) {
    let shape = input(0).shape
    let index = input(1)
    guard index.count == 1 else { throw .invalidArgument("'dim' must be a tensor with a single value") }
    let wanted = try index.integer(at: 0)
    guard let at = axis(wanted, rank: shape.rank + 1) else {
      throw .invalidArgument("Tried to expand dim index \(wanted) for tensor with \(shape.rank) dimensions.")
    }
    var dims = Dims()
    for d in 0...shape.rank {
      if d == at { try dims.append(1) }
      if d < shape.rank { try dims.append(shape[d]) }
    }
    forward(0, to: 0, shape: try Shape(checking: dims))
  }

  fileprivate mutating func concatOffset() throws(RunError) {
    let wanted = try scalar(0, "Concat dim tensor")
    guard inputCount > 1 else { return }
    let rank = input(1).count
    guard let axis = axis(wanted, rank: rank) else {
      throw .invalidArgument("Concat dim is out of range: \(wanted) vs. \(rank)")
    }
    var offset = 0
    for i in 1..<inputCount {
      let shape = input(i)
      guard shape.shape.rank == 1, shape.count == rank else {
        throw .invalidArgument("input \(i - 1) should contain \(rank) elements, but got \(shape.count)")
      }
      let out = try output(i - 1, shape.dtype, shape.shape)
      for d in 0..<rank {
        let (mine, first) = (try shape.integer(at: d), try input(1).integer(at: d))
        guard d == axis || mine == first else {
          throw .invalidArgument(
            "All dimensions except \(axis) must match. Input \(i - 1) has shape [\(shape.integers(" "))] and doesn't match input 0 with shape [\(input(1).integers(" "))].")
        }
        out.set(d, d == axis ? offset : 0)
      }
      offset &+= try shape.integer(at: axis)
    }
  }

  fileprivate mutating func invertPermutation() throws(RunError) {
    let x = input(0)
    guard x.shape.rank == 1 else { throw .invalidArgument("invert_permutation expects a 1D vector.") }
    let out = try output(0, x.dtype, x.shape)
    for i in 0..<x.count { out.set(i, -1) }
    for i in 0..<x.count {
      let at = try x.integer(at: i)
      guard at >= 0, at < x.count else { throw .invalidArgument("\(at) is not between 0 and \(x.count)") }
      guard out.int(at: at) == -1 else { throw .invalidArgument("\(at) is duplicated in the input.") }
      out.set(at, i)
    }
  }

  fileprivate mutating func fill() throws(RunError) {
    let dims = input(0)
    let value = input(1)
    guard dims.shape.rank == 1 || dims.shape.rank == 0 else {
      throw .invalidArgument("dims must represent a vector, got shape \(dims.shape)")
    }
    guard value.count == 1 else { throw .invalidArgument("value must represent a scalar, got shape \(value.shape)") }
    let out = try output(0, value.dtype, try Shape(checking: try dims.dims()))
    // The value holds one element of the output's type.
    unsafe ck_fill(out.count, value.dtype.size, value.base, out.base)
  }

  fileprivate mutating func ones() throws(RunError) {
    let x = input(0)
    guard let fromByte = unsafe ck_cast_loop(UInt32(DType.uint8.rawValue), x.kernelType) else {
      throw unsupported("OnesLike", x.dtype)
    }
    let out = try output(0, x.dtype, x.shape)
    guard x.count > 0 else { return }
    var one: UInt8 = 1
    // One element is converted, then repeated.
    unsafe fromByte(1, &one, out.base)
    let first = try unsafe scratch(byteCount: 16)
    unsafe first.base.copyMemory(from: out.base, byteCount: x.dtype.size)
    unsafe ck_fill(x.count, x.dtype.size, first.base, out.base)
    release(first)
  }
}

extension Value {
  /// Writes an integer element, cut to the value's type. Only for a value the step has just allocated.
  func set(_ index: Int, _ value: Int) {
    precondition(index >= 0 && index < count)
    // The index is within the value.
    switch dtype {
    case .int64: unsafe pointer(Int64.self)[index] = Int64(value)
    case .int32: unsafe pointer(Int32.self)[index] = Int32(truncatingIfNeeded: value)
    case .int16: unsafe pointer(Int16.self)[index] = Int16(truncatingIfNeeded: value)
    case .int8: unsafe pointer(Int8.self)[index] = Int8(truncatingIfNeeded: value)
    case .uint8: unsafe pointer(UInt8.self)[index] = UInt8(truncatingIfNeeded: value)
    case .uint16: unsafe pointer(UInt16.self)[index] = UInt16(truncatingIfNeeded: value)
    case .uint32: unsafe pointer(UInt32.self)[index] = UInt32(truncatingIfNeeded: value)
    case .uint64: unsafe pointer(UInt64.self)[index] = UInt64(truncatingIfNeeded: value)
    default: break
    }
  }

  /// A few integers as text, for errors: `1,2,3`.
  func integers(_ separator: String = ",") -> String {
    (0..<min(count, 16)).map { int(at: $0).map(String.init) ?? "?" }.joined(separator: separator)
  }
}

private struct RangeKernel: TypedKernel {
  func run<T: Scalar>(_ type: T.Type, _ frame: inout Frame) throws(RunError) {
    for (i, name) in ["start", "limit", "delta"].enumerated() {
      guard frame.input(i).count == 1, frame.input(i).dtype == frame.input(0).dtype else {
        throw .invalidArgument("\(name) must be a scalar, not shape \(frame.input(i).shape)")
      }
    }
    let start = frame.input(0).span(of: T.self)[0]
    let limit = frame.input(1).span(of: T.self)[0]
    let delta = frame.input(2).span(of: T.self)[0]
    guard delta.double != 0 else { throw .invalidArgument("Requires delta != 0: 0") }
    guard delta.double < 0 || !(start > limit) else {
      throw .invalidArgument("Requires start <= limit when delta > 0: \(start.text)/\(limit.text)")
    }
    guard delta.double > 0 || !(start < limit) else {
      throw .invalidArgument("Requires start >= limit when delta < 0: \(start.text)/\(limit.text)")
    }
    if let first = start as? any FixedWidthInteger, let last = limit as? any FixedWidthInteger,
      let step = delta as? any FixedWidthInteger
    {
      // Exact for 64 bits, whose differences may not fit.
      let (a, b, c) = (Int128(first), Int128(last), Int128(step))
      let count = a == b ? 0 : ((b - a).magnitude + c.magnitude - 1) / c.magnitude
      guard let count = Int(exactly: count) else { throw .invalidArgument("Requires ((limit - start) / delta) <= 9223372036854775807") }
      let out = try frame.output(0, frame.input(0).dtype, [count])
      for i in 0..<count { out.set(i, Int(truncatingIfNeeded: a + Int128(i) * c)) }
      return
    }
    let size = ((limit.double - start.double) / delta.double).magnitude.rounded(.up)
    guard size < 9.2e18 else {
      throw .invalidArgument("Requires ((limit - start) / delta) <= 9223372036854775807")
    }
    var out = try frame.output(0, frame.input(0).dtype, [Int(size)])
    var values = out.mutableSpan(of: T.self)
    for i in 0..<values.count { values[i] = T(nearest: start.double + Double(i) * delta.double) }
  }
}

private struct LinSpace: TypedKernel {
  func run<T: Scalar>(_ type: T.Type, _ frame: inout Frame) throws(RunError) {
    guard frame.input(0).count == 1, frame.input(1).count == 1, frame.input(1).dtype == frame.input(0).dtype else {
      throw .invalidArgument("start and stop must be scalars of one type")
    }
    let start = frame.input(0).span(of: T.self)[0].double
    let stop = frame.input(1).span(of: T.self)[0].double
    let count = try frame.scalar(2, "num")
    guard count > 0 else { throw .invalidArgument("Requires num > 0: \(count)") }
    var out = try frame.output(0, frame.input(0).dtype, [count])
    var values = out.mutableSpan(of: T.self)
    let step = count > 1 ? (stop - start) / Double(count - 1) : 0
    for i in 0..<count { values[i] = T(nearest: i == count - 1 && count > 1 ? stop : start + step * Double(i)) }
  }
}
