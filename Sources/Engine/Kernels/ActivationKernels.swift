internal import CKernels
internal import Tensors

/// Activations, biases, and what turns scores into probabilities.
let activationKernels: [KernelDefinition] = [
  activation("Relu"), activation("Relu6"), activation("LeakyRelu"), activation("Elu"), activation("Selu"),
  activation("Softplus"), activation("Softsign"), activation("_Swish"), activation("_Gelu"),
  softmax("Softmax", logarithm: false), softmax("LogSoftmax", logarithm: true),
  KernelDefinition("BiasAdd") { node throws(GraphError) in
    let channelsFirst = try node.string("data_format", default: "NHWC") == "NCHW"
    return { frame throws(RunError) in try frame.biasAdd(channelsFirst: channelsFirst) }
  },
  KernelDefinition("BiasAddV1") { _ throws(GraphError) in
    { frame throws(RunError) in try frame.biasAdd(channelsFirst: false) }
  },
  KernelDefinition("_ScaleShift") { node throws(GraphError) in
    let scale = try node.constant(1, "the scale").array(of: Float.self)[0]
    let shift = try node.constant(2, "the shift").array(of: Float.self)[0]
    return { frame throws(RunError) in
      let x = frame.input(0)
      guard x.dtype == .float else { throw .invalidArgument("Mul: the inputs are \(x.dtype) and float") }
      var out = try frame.output(0, .float, x.shape, reusing: 0)
      let from = x.span(of: Float.self)
      var to = out.mutableSpan(of: Float.self)
      for i in 0..<from.count { to[i] = from[i] * scale + shift }
    }
  },
  KernelDefinition("L2Loss") { node throws(GraphError) in
    switch try node.elementType() {
    case .float: return { frame throws(RunError) in try frame.halfSumOfSquares(Float.self) }
    case .double: return { frame throws(RunError) in try frame.halfSumOfSquares(Double.self) }
    case let type: throw node.unsupported("there is no kernel for \(type)")
    }
  },
]

private func activation(_ op: String) -> KernelDefinition {
  KernelDefinition(op) { node throws(GraphError) in
    let alpha = try node.float("alpha", default: 0.2)
    let curve: ck_activation
    switch op {
    case "Relu": curve = ck_activation_relu
    case "Relu6": curve = ck_activation_relu6
    default: curve = Activation(op: op)?.curve ?? ck_activation_none
    }
    switch try node.elementType() {
    case .float: return { frame throws(RunError) in try frame.activate(Float.self, curve, alpha, op) }
    case .double: return { frame throws(RunError) in try frame.activate(Double.self, curve, alpha, op) }
    case let type:
      guard op.hasPrefix("Relu") else { throw node.unsupported("there is no kernel for \(type)") }
      let kernel = IntegerRelu(high: op == "Relu6" ? 6 : .infinity)
      return { frame throws(RunError) in try kernel.run(as: frame.input(0).dtype, &frame, op) }
    }
  }
}

private func softmax(_ op: String, logarithm: Bool) -> KernelDefinition {
  KernelDefinition(op) { node throws(GraphError) in
    switch try node.elementType() {
    case .float: return { frame throws(RunError) in try frame.softmax(Float.self, logarithm: logarithm) }
    case .double: return { frame throws(RunError) in try frame.softmax(Double.self, logarithm: logarithm) }
    case let type: throw node.unsupported("there is no kernel for \(type)")
    }
  }
}

/// Relu of the types that are not widened to float.
private struct IntegerRelu: TypedKernel {
  let high: Double

  func run<T: Scalar>(_ type: T.Type, _ frame: inout Frame) throws(RunError) {
    let x = frame.input(0)
    var out = try frame.output(0, x.dtype, x.shape, reusing: 0)
    let (from, zero, most) = (x.span(of: T.self), T(nearest: 0), T(nearest: high))
    var to = out.mutableSpan(of: T.self)
    for i in 0..<from.count { to[i] = min(max(from[i], zero), most) }
  }
}

extension Frame {
  fileprivate mutating func activate<T: Real>(
    _ type: T.Type, _ curve: ck_activation, _ alpha: Float, _ op: String
  ) throws(RunError) {
    let x = input(0)
    guard x.dtype == T.dtype else { throw .invalidArgument("\(op): the input is \(x.dtype), expected \(T.dtype)") }
    let out = try output(0, T.dtype, x.shape, reusing: 0)
    // Both hold `x.count` elements; they are the same memory or apart.
    unsafe T.activate(curve, T(alpha), x.count, x.pointer(T.self), out.pointer(T.self))
  }

  fileprivate mutating func softmax<T: Real>(_ type: T.Type, logarithm: Bool) throws(RunError) {
    let x = input(0)
    guard x.dtype == T.dtype else { throw .invalidArgument("Softmax: the input is \(x.dtype), expected \(T.dtype)") }
    guard x.shape.rank >= 1 else { throw .invalidArgument("logits must have >= 1 dimension, got \(x.shape)") }
    let out = try output(0, T.dtype, x.shape, reusing: 0)
    if x.count == 0 { return }
    let columns = x.shape[x.shape.rank - 1]
    // Rows times columns is the count of both.
    unsafe T.softmax(logarithm: logarithm, x.count / columns, columns, x.pointer(T.self), out.pointer(T.self))
  }

  fileprivate mutating func biasAdd(channelsFirst: Bool) throws(RunError) {
    let (x, bias) = (input(0), input(1))
    guard x.shape.rank >= 2 else { throw .invalidArgument("Input tensor must be at least 2D: \(x.shape)") }
    guard bias.shape.rank == 1 else { throw .invalidArgument("Biases must be 1D: \(bias.shape)") }
    let axis = channelsFirst ? 1 : x.shape.rank - 1
    guard bias.count == x.shape[axis] else {
      throw .invalidArgument(
        "Must provide as many biases as the last dimension of the input tensor: \(bias.shape) vs. \(x.shape)")
    }
    guard x.dtype == bias.dtype else { throw .invalidArgument("BiasAdd: the inputs are \(x.dtype) and \(bias.dtype)") }
    guard let loop = unsafe ck_binary_loop(CK_ADD, x.kernelType) else { throw unsupported("BiasAdd", x.dtype) }
    let out = try output(0, x.dtype, x.shape, reusing: 0)
    if x.count == 0 { return }
    let size = x.dtype.size
    let inner = x.shape.count(from: axis + 1)
    let outer = x.count / (inner * bias.count)
    // `outer` rows of `bias.count` channels of `inner` elements are all there are; the loop was chosen for the type.
    if inner == 1 {
      let row = bias.count
      for i in 0..<outer {
        _ = unsafe loop(row, x.base + i * row * size, 1, bias.base, 1, out.base + i * row * size)
      }
    } else {
      for i in 0..<outer * bias.count {
        let at = i * inner * size
        _ = unsafe loop(inner, x.base + at, 1, bias.base + i % bias.count * size, 0, out.base + at)
      }
    }
  }

  fileprivate mutating func halfSumOfSquares<T: Real>(_ type: T.Type) throws(RunError) {
    let x = input(0)
    guard x.dtype == T.dtype else { throw .invalidArgument("L2Loss: the input is \(x.dtype)") }
    var out = try output(0, x.dtype, [])
    let span = x.span(of: T.self)
    var sum: T = 0
    for i in 0..<span.count { sum += span[i] * span[i] }
    var result = out.mutableSpan(of: T.self)
    result[0] = sum / 2
  }
}
