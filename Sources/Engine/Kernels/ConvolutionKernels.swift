// Convolution as a matrix product: a strip of the output's pixels at a time, what the window sees at each of them is written out
// as a row, small enough to stay in the cache until the product has read it. A window of one pixel needs no rows: the image is them.
internal import CKernels
internal import Tensors

let convolutionKernels: [KernelDefinition] = [
  convolution("Conv2D", spatial: 2), convolution("_FusedConv2D", spatial: 2), convolution("Conv3D", spatial: 3),
  depthwise("DepthwiseConv2dNative"), depthwise("_FusedDepthwiseConv2dNative"),
  transposedConvolution("Conv2DBackpropInput", spatial: 2),
  transposedConvolution("Conv3DBackpropInputV2", spatial: 3),
]

private func convolution(_ op: String, spatial: Int) -> KernelDefinition {
  KernelDefinition(op, packs: [1]) { node throws(GraphError) in
    switch try node.elementType() {
    case .float: return try Convolution<Float>(node, spatial).body
    case .double: return try Convolution<Double>(node, spatial).body
    case let type: throw node.unsupported("there is no kernel for \(type)")
    }
  }
}

private func depthwise(_ op: String) -> KernelDefinition {
  KernelDefinition(op) { node throws(GraphError) in
    switch try node.elementType() {
    case .float: return try DepthwiseConvolution<Float>(node).body
    case .double: return try DepthwiseConvolution<Double>(node).body
    case let type: throw node.unsupported("there is no kernel for \(type)")
    }
  }
}

private func transposedConvolution(_ op: String, spatial: Int) -> KernelDefinition {
  KernelDefinition(op, packs: [1]) { node throws(GraphError) in
    switch try node.elementType() {
    case .float: return try TransposedConvolution<Float>(node, spatial).body
    case .double: return try TransposedConvolution<Double>(node, spatial).body
    case let type: throw node.unsupported("there is no kernel for \(type)")
    }
  }
}

/// A filter `[..., in, out]`: its extents as a window and what it takes and gives.
private struct FilterShape {
  var extent: [3 of Int] = [1, 1, 1]
  var taken: Int
  var given: Int

  /// - Precondition: the shape has two dimensions more than `spatial`.
  init(_ shape: Shape, spatial: Int) {
    for d in 0..<spatial { extent[3 - spatial + d] = shape[d] }
    taken = shape[spatial]
    given = shape[spatial + 1]
  }

  /// The number of elements under the window, for one channel.
  var taps: Int { extent[0] * extent[1] * extent[2] }
}

private func rows<T: Real>(_ type: T.Type, of columns: Int, upTo most: Int) -> Int {
  // A strip of about this size stays in the second-level cache; more rows than a few tiles make up for reading the filter again.
  min(most, max(112, (256 << 10) / max(1, columns * MemoryLayout<T>.stride)))
}

/// The distance of a strip's rows: not a multiple of a page, so that they do not share their lines of the cache.
private func rowStride<T: Real>(_ type: T.Type, of columns: Int) -> Int {
  columns * MemoryLayout<T>.stride % 4096 == 0 ? columns + 16 : columns
}

// MARK: Convolution

private struct Convolution<T: Real> {
  let attributes: WindowAttributes
  let epilogue: Epilogue
  let filter: ConstantOperand<T>?

  init(_ node: NodeContext, _ spatial: Int) throws(GraphError) {
    attributes = try WindowAttributes(node, spatial: spatial)
    epilogue = try Epilogue(node, own: 2, adds: true)
    filter = try node.packed(1, rank: spatial + 2) { tensor in
      let columns = tensor.shape[spatial + 1]
      return PackedMatrix(
        tensor, rows: tensor.shape.count(upTo: spatial + 1), columns: columns, rowStride: columns, columnStride: 1)
    }
  }

  var body: Kernel.Body { { frame throws(RunError) in try run(&frame) } }

  func run(_ frame: inout Frame) throws(RunError) {
    let x = frame.input(0)
    let filterValue = filter == nil ? frame.input(1) : x
    let filterShape = filter?.shape ?? filterValue.shape
    let rank = attributes.spatial + 2
    guard x.dtype == T.dtype, filterValue.dtype == T.dtype else {
      throw .invalidArgument("\(attributes.op): the inputs are \(x.dtype) and \(filterValue.dtype), expected \(T.dtype)")
    }
    guard x.shape.rank == rank else { throw .invalidArgument("convolution input must be \(rank)-dimensional: \(x.shape)") }
    guard filterShape.rank == rank else {
      throw .invalidArgument("convolution filter must be \(rank)-dimensional: \(filterShape)")
    }
    let image = ImageShape(x.shape, attributes)
    let kernel = FilterShape(filterShape, spatial: attributes.spatial)
    guard kernel.taken > 0 else { throw .invalidArgument("filter depth must be stricly positive, got \(kernel.taken)") }
    guard filterShape.count > 0 else {
      throw .invalidArgument("filter must not have zero elements (i.e. all dimensions must be non-zero)")
    }
    guard image.channels > 0, image.channels % kernel.taken == 0 else {
      throw .invalidArgument("input depth must be evenly divisible by filter depth: \(image.channels) vs \(kernel.taken)")
    }
    let groups = image.channels / kernel.taken
    guard kernel.given % groups == 0 else {
      throw .invalidArgument("output depth must be evenly divisible by number of groups: \(kernel.given) vs \(groups)")
    }
    var window = try attributes.window(over: image, kernel.extent)
    window.channels = kernel.taken
    let output = ImageShape(batch: image.batch, positions: window.positions, channels: kernel.given)
    let shape = try output.shape(attributes, channelsFirst: attributes.channelsFirst)
    let bias = try epilogue.bias(T.self, frame, columns: kernel.given, of: shape)
    var pieces = ScratchPieces()
    // What is added lies as the output does, or it is added afterwards.
    let addend = attributes.channelsFirst ? nil : epilogue.addend(frame, T.dtype, shape)
    let activation = epilogue.add == nil || addend != nil ? epilogue.activation : .none
    var target: Value?
    if let add = epilogue.add {
      if addend != nil {
        target = try frame.output(0, T.dtype, shape, reusing: add)
      } else {
        let memory = unsafe try pieces.take(T.self, &frame, count: shape.count)
        unsafe target = Value(dtype: T.dtype, shape: shape, base: UnsafeMutableRawPointer(memory))
      }
    }
    try frame.outputImage(output, T.dtype, attributes, &pieces, into: target) { frame, pieces, out throws(RunError) in
      let straight = try frame.channelsLast(x, image, attributes, &pieces)
      let columns = kernel.given / groups
      let depth = kernel.taps * kernel.taken
      for group in 0..<groups {
        // The shapes were checked against each other: every pointer below stays within its tensor.
        let packed: UnsafePointer<T>
        if let matrix = filter?.packed, groups == 1 {
          unsafe packed = matrix.base
        } else {
          let memory = unsafe try pieces.take(T.self, &frame, count: T.packedCount(depth, columns))
          let plain: UnsafePointer<T>
          if let matrix = filter?.packed {
            let copy = unsafe try pieces.take(T.self, &frame, depth, kernel.given)
            unsafe matrix.unpack(into: copy)
            unsafe plain = UnsafePointer(copy)
          } else {
            unsafe plain = UnsafePointer(filterValue.pointer(T.self))
          }
          unsafe T.pack(
            plain + group * columns, rowStride: kernel.given, columnStride: 1, k: depth, n: columns, into: memory)
          unsafe packed = UnsafePointer(memory)
        }
        let product = unsafe Product<T>(
          m: 0, n: columns, k: depth, a: straight.pointer(T.self) + group * kernel.taken, aStride: image.channels,
          packedB: packed, c: out.pointer(T.self) + group * columns, cStride: kernel.given,
          bias: bias.map { unsafe UnsafePointer($0.pointer(T.self) + group * columns) },
          add: addend.map { unsafe UnsafePointer($0.pointer(T.self) + group * columns) }, addStride: kernel.given,
          low: T(activation.low), high: T(activation.high))
        try unsafe run(&frame, &pieces, product, activation, window, output, image)
      }
    }
    if let add = epilogue.add, addend == nil, let target { try epilogue.sum(T.self, &frame, target, add) }
    pieces.release(&frame)
  }

  /// Multiplies the patches of all images with a filter, a strip at a time.
  /// - Precondition: `pattern` points to the first element of the images and of the output, and the geometry is theirs.
  @unsafe private func run(
    _ frame: inout Frame, _ pieces: inout ScratchPieces, _ pattern: Product<T>, _ activation: Activation,
    _ window: ck_window, _ output: ImageShape, _ image: ImageShape
  ) throws(RunError) {
    var product = unsafe pattern
    let (positions, total) = (output.pixels, output.pixels * output.batch)
    if window.isIdentity {
      unsafe product.m = total
      unsafe T.multiply(product)
      unsafe activation.finish(product.c, rows: total, columns: product.n, stride: product.cStride)
      return
    }
    let strip = unsafe rows(T.self, of: product.k, upTo: total)
    let stride = unsafe rowStride(T.self, of: product.k)
    let patches = unsafe try pieces.take(T.self, &frame, strip, stride)
    let imageStride = image.pixels * image.channels
    var first = 0
    while first < total {
      let count = min(strip, total - first)
      // A strip may begin in one image and end in another.
      var done = 0
      while done < count {
        let (at, position) = (first + done).quotientAndRemainder(dividingBy: positions)
        let some = min(count - done, positions - position)
        var window = window
        unsafe ck_patches(
          &window, pattern.a + at * imageStride, MemoryLayout<T>.stride, position, some, patches + done * stride, stride)
        done += some
      }
      unsafe product.m = count
      unsafe product.a = UnsafePointer(patches)
      unsafe product.aStride = stride
      unsafe product.c = pattern.c + first * pattern.cStride
      unsafe product.add = pattern.add.map { unsafe $0 + first * pattern.addStride }
      unsafe T.multiply(product)
      unsafe activation.finish(product.c, rows: count, columns: product.n, stride: product.cStride)
      first += count
    }
  }
}

extension ck_window {
  /// Whether the window sees just the pixel it stands at.
  fileprivate var isIdentity: Bool {
    extent == (1, 1, 1) && stride == (1, 1, 1) && padding == (0, 0, 0) && positions == image
  }
}

// MARK: Depthwise

private struct DepthwiseConvolution<T: Real> {
  let attributes: WindowAttributes
  let epilogue: Epilogue

  init(_ node: NodeContext) throws(GraphError) {
    attributes = try WindowAttributes(node, spatial: 2)
    epilogue = try Epilogue(node, own: 2)
  }

  var body: Kernel.Body { { frame throws(RunError) in try run(&frame) } }

  func run(_ frame: inout Frame) throws(RunError) {
    let (x, filter) = (frame.input(0), frame.input(1))
    guard x.dtype == T.dtype, filter.dtype == T.dtype else {
      throw .invalidArgument("\(attributes.op): the inputs are \(x.dtype) and \(filter.dtype), expected \(T.dtype)")
    }
    guard x.shape.rank == 4 else { throw .invalidArgument("input must be 4-dimensional: \(x.shape)") }
    guard filter.shape.rank == 4 else { throw .invalidArgument("filter must be 4-dimensional: \(filter.shape)") }
    let image = ImageShape(x.shape, attributes)
    let kernel = FilterShape(filter.shape, spatial: 2)
    guard image.channels == kernel.taken else {
      throw .invalidArgument("input and filter must have the same depth: \(image.channels) vs \(kernel.taken)")
    }
    guard filter.count > 0 else {
      throw .invalidArgument("filter must not have zero elements (i.e. all dimensions must be non-zero)")
    }
    let window = try attributes.window(over: image, kernel.extent)
    let channels = kernel.taken * kernel.given
    let output = ImageShape(batch: image.batch, positions: window.positions, channels: channels)
    let bias = try epilogue.bias(
      T.self, frame, columns: channels, of: output.shape(attributes, channelsFirst: attributes.channelsFirst))
    var pieces = ScratchPieces()
    try frame.outputImage(output, T.dtype, attributes, &pieces) { frame, pieces, out throws(RunError) in
      let straight = try frame.channelsLast(x, image, attributes, &pieces)
      let row = window.positions.2 * channels
      for y in 0..<image.batch * window.positions.1 {
        let (at, line) = y.quotientAndRemainder(dividingBy: window.positions.1)
        // The window's geometry is the image's; each row of the output is written once.
        unsafe T.depthwise(
          window, straight.pointer(T.self) + at * image.pixels * image.channels, filter.pointer(T.self), kernel.given,
          bias?.pointer(T.self), T(epilogue.activation.low), T(epilogue.activation.high), line,
          out.pointer(T.self) + y * row)
        unsafe epilogue.activation.finish(
          out.pointer(T.self) + y * row, rows: window.positions.2, columns: channels, stride: channels)
      }
    }
    pieces.release(&frame)
  }
}

// MARK: Transposed

/// The gradient of a convolution towards its input, which models use to enlarge images: each pixel times the filter is a patch
/// that is added to what is there.
private struct TransposedConvolution<T: Real> {
  let attributes: WindowAttributes
  let filter: ConstantOperand<T>?

  init(_ node: NodeContext, _ spatial: Int) throws(GraphError) {
    attributes = try WindowAttributes(node, spatial: spatial)
    filter = try node.packed(1, rank: spatial + 2) { tensor in
      let given = tensor.shape[spatial + 1]
      return PackedMatrix(
        tensor, rows: given, columns: tensor.shape.count(upTo: spatial + 1), rowStride: 1, columnStride: given)
    }
  }

  var body: Kernel.Body { { frame throws(RunError) in try run(&frame) } }

  func run(_ frame: inout Frame) throws(RunError) {
    let (sizes, y) = (frame.input(0), frame.input(2))
    let filterValue = filter == nil ? frame.input(1) : y
    let filterShape = filter?.shape ?? filterValue.shape
    let spatial = attributes.spatial
    guard y.dtype == T.dtype, filterValue.dtype == T.dtype else {
      throw .invalidArgument("\(attributes.op): the inputs are \(filterValue.dtype) and \(y.dtype), expected \(T.dtype)")
    }
    guard y.shape.rank == spatial + 2 else {
      throw .invalidArgument("out_backprop must be \(spatial + 2)-dimensional: \(y.shape)")
    }
    guard filterShape.rank == spatial + 2, filterShape.count > 0 else {
      throw .invalidArgument("filter must be \(spatial + 2)-dimensional: \(filterShape)")
    }
    let kernel = FilterShape(filterShape, spatial: spatial)
    let small = ImageShape(y.shape, attributes)
    guard small.channels == kernel.given else {
      throw .invalidArgument("Conv2DCustomBackpropInput: filter and out_backprop must have the same out_depth")
    }
    let large = try imageShape(sizes, small, kernel)
    guard large.channels == kernel.taken else {
      throw .invalidArgument(
        "Conv2DCustomBackpropInput: input depth must be that of the filter: \(large.channels) vs \(kernel.taken)")
    }
    guard large.batch == small.batch else {
      throw .invalidArgument(
        "Conv2DCustomBackpropInput: input and out_backprop must have the same batch size. "
          + "Input batch: \(large.batch), outbackprop batch: \(small.batch), batch_dim: 0")
    }
    let window = try attributes.window(over: large, kernel.extent)
    let computed = [window.positions.0, window.positions.1, window.positions.2]
    for d in 3 - spatial..<3 where computed[d] != small.extent[d] {
      throw .invalidArgument(
        "Conv2DCustomBackpropInput: Size of out_backprop doesn't match computed: actual = \(small.extent[d]), "
          + "computed = \(computed[d]) spatial_dim: \(d - 2 + spatial) input: \(large.extent[d]) filter: \(kernel.extent[d]) "
          + "output: \(small.extent[d]) stride: \(attributes.strides[d]) dilation: \(attributes.dilations[d])")
    }
    var pieces = ScratchPieces()
    try frame.outputImage(large, T.dtype, attributes, &pieces) { frame, pieces, out throws(RunError) in
      let columns = kernel.taps * kernel.taken
      // The shapes were checked against each other: the patches are those the window has on the large image.
      unsafe out.base.initializeMemory(as: UInt8.self, repeating: 0, count: out.byteCount)
      if small.pixels == 0 { return }
      let straight = try frame.channelsLast(y, small, attributes, &pieces)
      let packed: UnsafePointer<T>
      if let matrix = filter?.packed {
        unsafe packed = matrix.base
      } else {
        let memory = unsafe try pieces.take(T.self, &frame, count: T.packedCount(kernel.given, columns))
        unsafe T.pack(
          filterValue.pointer(T.self), rowStride: 1, columnStride: kernel.given, k: kernel.given, n: columns, into: memory)
        unsafe packed = UnsafePointer(memory)
      }
      let strip = rows(T.self, of: columns, upTo: small.pixels)
      let patches = unsafe try pieces.take(T.self, &frame, strip, columns)
      for image in 0..<small.batch {
        var first = 0
        while first < small.pixels {
          let count = min(strip, small.pixels - first)
          unsafe T.multiply(
            Product<T>(
              m: count, n: columns, k: kernel.given,
              a: straight.pointer(T.self) + (image * small.pixels + first) * kernel.given, aStride: kernel.given,
              packedB: packed, c: patches, cStride: columns, bias: nil, low: -.infinity, high: .infinity))
          unsafe T.scatter(
            window, patches, columns, first, count, out.pointer(T.self) + image * large.pixels * large.channels)
          first += count
        }
      }
    }
    pieces.release(&frame)
  }

  /// The shape asked for: all dimensions, or only the spatial ones.
  private func imageShape(_ sizes: Value, _ small: ImageShape, _ kernel: FilterShape) throws(RunError) -> ImageShape {
    let dims = try sizes.dims()
    if dims.count == attributes.spatial {
      var image = small
      image.channels = kernel.taken
      for d in 0..<dims.count {
        guard dims[d] >= 0 else { throw .invalidArgument("Dimension \(dims[d]) must be >= 0") }
        image.extent[3 - attributes.spatial + d] = dims[d]
      }
      return image
    }
    guard dims.count == attributes.spatial + 2 else {
      throw .invalidArgument("input_sizes must have \(attributes.spatial + 2) elements, got \(dims.count)")
    }
    return ImageShape(try Shape(checking: dims), attributes)
  }
}
