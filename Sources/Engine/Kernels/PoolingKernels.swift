internal import CKernels
internal import Tensors

let poolingKernels: [KernelDefinition] = [
  pooling("MaxPool", spatial: 2), pooling("AvgPool", spatial: 2), pooling("MaxPool3D", spatial: 3), pooling("AvgPool3D", spatial: 3),
  KernelDefinition("MaxPoolV2") { node throws(GraphError) in
    let extent = try node.constant(1, "ksize")
    let strides = try node.constant(2, "strides")
    guard extent.dtype == .int32, strides.dtype == .int32 else { throw node.invalid("ksize and strides must be int32") }
    return try pool(
      node, spatial: 2, extent: extent.array(of: Int32.self).map(Int.init), strides: strides.array(of: Int32.self).map(Int.init))
  },
]

private func pooling(_ op: String, spatial: Int) -> KernelDefinition {
  KernelDefinition(op) { node throws(GraphError) in
    try pool(node, spatial: spatial, extent: try node.ints("ksize"), strides: try node.ints("strides"))
  }
}

private func pool(_ node: NodeContext, spatial: Int, extent: [Int], strides: [Int]) throws(GraphError) -> Kernel.Body {
  switch try node.elementType() {
  case .float: return try Pooling<Float>(node, spatial, extent, strides).body
  case .double: return try Pooling<Double>(node, spatial, extent, strides).body
  case let type: throw node.unsupported("there is no kernel for \(type)")
  }
}

private struct Pooling<T: Real> {
  let attributes: WindowAttributes
  let extent: [3 of Int]
  let largest: Bool

  init(_ node: NodeContext, _ spatial: Int, _ sizes: [Int], _ strides: [Int]) throws(GraphError) {
    attributes = try WindowAttributes(node, spatial: spatial, strides: strides, dilates: false)
    largest = node.node.op.hasPrefix("Max")
    guard sizes.count == spatial + 2 else {
      throw node.invalid("Sliding window ksize field must specify \(spatial + 2) dimensions")
    }
    guard sizes.allSatisfy({ $0 >= 1 && $0 < 1 << 31 }) else { throw node.invalid("ksize \(sizes) out of range") }
    guard sizes[0] == 1, sizes[attributes.channelAxis] == 1 else {
      throw node.unsupported("Pooling is not supported on the batch dimension and across depth.")
    }
    var extent: [3 of Int] = [1, 1, 1]
    for d in 0..<spatial { extent[3 - spatial + d] = sizes[attributes.firstAxis + d] }
    self.extent = extent
  }

  var body: Kernel.Body { { frame throws(RunError) in try run(&frame) } }

  func run(_ frame: inout Frame) throws(RunError) {
    let x = frame.input(0)
    guard x.dtype == T.dtype else { throw .invalidArgument("\(attributes.op): the input is \(x.dtype), expected \(T.dtype)") }
    guard x.shape.rank == attributes.spatial + 2 else {
      throw .invalidArgument("tensor_in must be \(attributes.spatial + 2)-dimensional: \(x.shape)")
    }
    let image = ImageShape(x.shape, attributes)
    let window = try attributes.window(over: image, extent)
    let output = ImageShape(batch: image.batch, positions: window.positions, channels: image.channels)
    var pieces = ScratchPieces()
    try frame.outputImage(output, T.dtype, attributes, &pieces) { frame, pieces, out throws(RunError) in
      let straight = try frame.channelsLast(x, image, attributes, &pieces)
      for i in 0..<image.batch {
        // The window's geometry is the image's, and the output has a pixel for each of its positions.
        let from = unsafe UnsafePointer(straight.pointer(T.self) + i * image.pixels * image.channels)
        let to = unsafe out.pointer(T.self) + i * output.pixels * output.channels
        if largest { unsafe T.maxPool(window, from, to) } else { unsafe T.averagePool(window, from, to) }
      }
    }
    pieces.release(&frame)
  }
}
