internal import CKernels
internal import Tensors

let normalizationKernels: [KernelDefinition] = [
  batchNormalization("FusedBatchNorm"), batchNormalization("FusedBatchNormV2"), batchNormalization("FusedBatchNormV3"),
  KernelDefinition("LRN") { node throws(GraphError) in
    let radius = try node.int("depth_radius", default: 5)
    let bias = try node.float("bias", default: 1)
    let alpha = try node.float("alpha", default: 1)
    let beta = try node.float("beta", default: 0.5)
    guard radius >= 0, try node.elementType() == .float else { throw node.unsupported("there is no such kernel") }
    return { frame throws(RunError) in
      try frame.localResponse(radius: radius, bias: bias, alpha: alpha, beta: beta)
    }
  },
]

private func batchNormalization(_ op: String) -> KernelDefinition {
  KernelDefinition(op) { node throws(GraphError) in
    guard try !node.bool("is_training", default: true) else {
      throw node.unsupported("training: the statistics of a batch are not computed while serving")
    }
    let epsilon = try node.float("epsilon", default: 0.0001)
    let channelsFirst = try node.string("data_format", default: "NHWC").hasPrefix("NC")
    switch try node.elementType() {
    case .float:
      return { frame throws(RunError) in
        try frame.batchNormalize(Float.self, epsilon: epsilon, channelsFirst: channelsFirst)
      }
    case let type: throw node.unsupported("there is no kernel for \(type)")
    }
  }
}

extension Frame {
  /// `(x - mean) / sqrt(variance + epsilon) * scale + offset` for each channel.
  fileprivate mutating func batchNormalize<T: Real>(_ type: T.Type, epsilon: Float, channelsFirst: Bool) throws(RunError) {
    let x = input(0)
    guard x.shape.rank == 4 || x.shape.rank == 5 else { throw .invalidArgument("input must be 4 or 5-dimensional\(x.shape)") }
    let axis = channelsFirst ? 1 : x.shape.rank - 1
    let channels = x.shape[axis]
    let names = ["scale", "offset", "mean", "variance"]
    for i in 1...4 {
      let value = input(i)
      let name = names[i - 1]
      guard value.dtype == T.dtype, x.dtype == T.dtype else {
        throw .invalidArgument("\(name) is \(value.dtype), x is \(x.dtype), expected \(T.dtype)")
      }
      guard value.shape.rank == 1 else { throw .invalidArgument("\(name) must be 1-dimensional\(value.shape)") }
      guard value.count == channels else {
        throw .invalidArgument(
          (i > 2 ? "When is_training=false, " : "")
            + "\(name) must have the same number of elements as the channels of x, got \(value.count) and \(channels)")
      }
    }
    let (scale, offset, mean, variance) = (input(1), input(2), input(3), input(4))
    let out = try output(0, T.dtype, x.shape, reusing: 0)
    for i in 1..<max(1, min(outputCount, 5)) { forward(i % 2 == 1 ? 3 : 4, to: i) }
    if outputCount > 5 { _ = try output(5, T.dtype, []) }
    if x.count == 0 { return }
    var pieces = ScratchPieces()
    let factors = unsafe try pieces.take(T.self, &self, 2, channels)
    let offsets = unsafe factors + channels
    for c in 0..<channels {
      // All four hold `channels` elements: checked above.
      let factor = scale.span(of: T.self)[c] / (variance.span(of: T.self)[c] + T(epsilon)).squareRoot()
      unsafe factors[c] = factor
      unsafe offsets[c] = offset.span(of: T.self)[c] - mean.span(of: T.self)[c] * factor
    }
    if !channelsFirst {
      // Rows times channels is the count of both.
      unsafe T.scale(
        x.count / channels, channels, x.pointer(T.self), factors, offsets, -.infinity, .infinity, out.pointer(T.self))
    } else {
      let plane = x.shape.count(from: 2)
      for i in 0..<x.shape[0] * channels {
        let (from, to) = unsafe (x.pointer(T.self) + i * plane, out.pointer(T.self) + i * plane)
        let (factor, offset) = unsafe (factors[i % channels], offsets[i % channels])
        for j in 0..<plane { unsafe to[j] = from[j] * factor + offset }
      }
    }
    pieces.release(&self)
  }

  /// `x / (bias + alpha * sum of squares of the channels around)^beta`.
  fileprivate mutating func localResponse(radius: Int, bias: Float, alpha: Float, beta: Float) throws(RunError) {
    let x = input(0)
    guard x.dtype == .float else { throw .invalidArgument("LRN: the input is \(x.dtype), expected float") }
    guard x.shape.rank == 4 else { throw .invalidArgument("in must be 4-dimensional") }
    var out = try output(0, .float, x.shape)
    let channels = x.shape[3]
    if x.count == 0 { return }
    let reach = min(radius, channels)
    let from = x.span(of: Float.self)
    var to = out.mutableSpan(of: Float.self)
    for row in stride(from: 0, to: x.count, by: channels) {
      for c in 0..<channels {
        var sum: Float = 0
        for d in max(0, c - reach)..<min(channels, c + reach + 1) { sum += from[row + d] * from[row + d] }
        to[row + c] = bias + alpha * sum
      }
    }
    guard let power = unsafe ck_binary_loop(CK_POW, x.kernelType), let times = unsafe ck_binary_loop(CK_MUL, x.kernelType)
    else { throw unsupported("LRN", x.dtype) }
    var exponent = -beta
    // The exponent is one number, repeated; everything else has `x.count` elements.
    _ = unsafe power(x.count, out.base, 1, &exponent, 0, out.base)
    _ = unsafe times(x.count, x.base, 1, out.base, 1, out.base)
  }
}
