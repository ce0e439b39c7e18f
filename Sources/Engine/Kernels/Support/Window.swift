// A window over an image, from attributes to geometry. TensorFlow's rules for how far it goes and what it sees at the borders
// (tensorflow/core/framework/kernel_shape_util.cc).
internal import CKernels
internal import Tensors

/// What convolution and pooling ops say about their windows, for two or three spatial dimensions. A plane has a depth of one.
struct WindowAttributes: Sendable {
  enum Padding: Sendable {
    case valid
    case same
    /// Pixels before and after, for depth, height and width.
    case explicit([(before: Int, after: Int)])
  }
  let op: String
  /// Two or three.
  let spatial: Int
  let channelsFirst: Bool
  let padding: Padding
  // For depth, height and width.
  let strides: [Int]
  let dilations: [Int]

  /// Larger numbers are no strides, and could not be multiplied without care.
  private static let most = 1 << 31

  init(_ node: NodeContext, spatial: Int, strides given: [Int]? = nil, dilates: Bool = true) throws(GraphError) {
    op = node.node.op
    self.spatial = spatial
    let format = try node.string("data_format", default: spatial == 3 ? "NDHWC" : "NHWC")
    guard ["NHWC", "NDHWC", "NCHW", "NCDHW"].contains(format) else { throw node.unsupported("data format '\(format)'") }
    let channelAxis = format.hasPrefix("NC") ? 1 : spatial + 1
    let first = format.hasPrefix("NC") ? 2 : 1
    channelsFirst = format.hasPrefix("NC")
    /// The spatial part of a list with a number for every dimension.
    func spatialPart(_ list: [Int], _ what: String) throws(GraphError) -> [Int] {
      guard list.count == spatial + 2 else {
        throw node.invalid("Sliding window \(what) field must specify \(spatial + 2) dimensions")
      }
      guard list.allSatisfy({ $0 >= 1 && $0 < WindowAttributes.most }) else { throw node.invalid("\(what) \(list) out of range") }
      guard list[0] == 1, list[channelAxis] == 1 else {
        throw node.unsupported(
          "Current implementation does not yet support \(what) in the batch and depth dimensions.")
      }
      return [Int](repeating: 1, count: 3 - spatial) + list[first..<first + spatial]
    }
    let ones = [Int](repeating: 1, count: spatial + 2)
    let steps = if let given { given } else { try node.ints("strides") }
    strides = try spatialPart(steps, "strides")
    let listed = dilates ? try node.ints("dilations", default: ones) : ones
    dilations = try spatialPart(listed.isEmpty ? ones : listed, "dilations")
    switch try node.string("padding") {
    case "VALID": padding = .valid
    case "SAME": padding = .same
    case "EXPLICIT":
      let list = try node.ints("explicit_paddings")
      guard list.count == 2 * (spatial + 2), list.allSatisfy({ $0 >= 0 && $0 < WindowAttributes.most }) else {
        throw node.invalid("explicit_paddings \(list) do not fit")
      }
      var pairs = [(before: Int, after: Int)](repeating: (0, 0), count: 3 - spatial)
      for d in first..<first + spatial { pairs.append((list[2 * d], list[2 * d + 1])) }
      padding = .explicit(pairs)
    case let other: throw node.unsupported("padding '\(other)'")
    }
  }

  /// The dimension of the tensor that holds the channels, or the first spatial one.
  var channelAxis: Int { channelsFirst ? 1 : spatial + 1 }
  var firstAxis: Int { channelsFirst ? 2 : 1 }

  /// The geometry of a window of these extents over an image.
  func window(over image: ImageShape, _ extent: [3 of Int]) throws(RunError) -> ck_window {
    var window = ck_window()
    window.channels = image.channels
    window.pixel_stride = image.channels
    window.image = (image.extent[0], image.extent[1], image.extent[2])
    window.extent = (extent[0], extent[1], extent[2])
    window.stride = (strides[0], strides[1], strides[2])
    window.dilation = (dilations[0], dilations[1], dilations[2])
    let (p0, b0) = try positions(0, image.extent[0], extent[0])
    let (p1, b1) = try positions(1, image.extent[1], extent[1])
    let (p2, b2) = try positions(2, image.extent[2], extent[2])
    window.positions = (p0, p1, p2)
    window.padding = (b0, b1, b2)
    return window
  }

  /// How many positions a window has along an axis, and how many pixels are imagined before the first.
  private func positions(_ axis: Int, _ image: Int, _ extent: Int) throws(RunError) -> (count: Int, before: Int) {
    // Beyond this nothing fits into memory; below, nothing here overflows.
    guard image < 1 << 40, extent < 1 << 31 else {
      throw .invalidArgument("\(op): an image of \(image) under a window of \(extent) is too large")
    }
    let stride = strides[axis]
    let reach = (extent - 1) * dilations[axis] + 1
    switch padding {
    case .same:
      let count = (image + stride - 1) / stride
      return (count, max(0, (count - 1) * stride + reach - image) / 2)
    case .valid:
      return (try nonnegative((image - reach + stride) / stride, image, reach, stride), 0)
    case .explicit(let pairs):
      let (before, after) = pairs[axis]
      return (try nonnegative((image + before + after - reach + stride) / stride, image, reach, stride), before)
    }
  }

  private func nonnegative(_ count: Int, _ image: Int, _ reach: Int, _ stride: Int) throws(RunError) -> Int {
    guard count >= 0 else {
      throw .invalidArgument(
        "Computed output size would be negative: \(count) [input_size: \(image), effective_filter_size: \(reach), stride: \(stride)]")
    }
    return count
  }
}

/// A batch of images: what its dimensions mean, whichever order they stand in.
struct ImageShape {
  var batch: Int
  var extent: [3 of Int]
  var channels: Int

  /// - Precondition: the shape has the rank the attributes ask for.
  init(_ shape: Shape, _ attributes: WindowAttributes) {
    batch = shape[0]
    channels = shape[attributes.channelAxis]
    extent = [1, 1, 1]
    for d in 0..<attributes.spatial { extent[3 - attributes.spatial + d] = shape[attributes.firstAxis + d] }
  }

  init(batch: Int, positions: (Int, Int, Int), channels: Int) {
    self.batch = batch
    extent = [positions.0, positions.1, positions.2]
    self.channels = channels
  }

  /// The shape of a tensor of such images.
  func shape(_ attributes: WindowAttributes, channelsFirst: Bool) throws(RunError) -> Shape {
    var dims = Dims()
    try dims.append(batch)
    if channelsFirst { try dims.append(channels) }
    for d in 3 - attributes.spatial..<3 { try dims.append(extent[d]) }
    if !channelsFirst { try dims.append(channels) }
    return try Shape(checking: dims)
  }

  var pixels: Int { extent[0] * extent[1] * extent[2] }
}

extension Frame {
  /// The image with its channels last, in scratch memory when they are not.
  /// - Precondition: the shape has the rank the attributes ask for.
  mutating func channelsLast(
    _ value: Value, _ image: ImageShape, _ attributes: WindowAttributes, _ pieces: inout ScratchPieces
  ) throws(RunError) -> Value {
    guard attributes.channelsFirst else { return value }
    let shape = try image.shape(attributes, channelsFirst: false)
    // As many bytes as `value` has.
    let memory = unsafe try pieces.take(UInt8.self, &self, count: value.byteCount)
    let result = unsafe Value(dtype: value.dtype, shape: shape, base: UnsafeMutableRawPointer(memory))
    var copy = StridedCopy()
    copy.append(image.batch, from: image.pixels &* image.channels, to: image.pixels &* image.channels)
    copy.append(image.pixels, from: 1, to: image.channels)
    copy.append(image.channels, from: image.pixels, to: 1)
    copy.run(from: value, to: result)
    return result
  }

  /// Runs `body` on an output image with its channels last and brings it into the order the op has.
  /// - Parameter out: where the image goes when it is not output 0.
  mutating func outputImage(
    _ image: ImageShape, _ dtype: DType, _ attributes: WindowAttributes, _ pieces: inout ScratchPieces, into out: Value? = nil,
    _ body: (inout Frame, inout ScratchPieces, Value) throws(RunError) -> Void
  ) throws(RunError) {
    let shape = try image.shape(attributes, channelsFirst: attributes.channelsFirst)
    let out = if let out { out } else { try output(0, dtype, shape) }
    if out.count == 0 { return }
    guard attributes.channelsFirst else { return try body(&self, &pieces, out) }
    let memory = unsafe try pieces.take(UInt8.self, &self, count: out.byteCount)
    let straight = unsafe Value(
      dtype: dtype, shape: try image.shape(attributes, channelsFirst: false), base: UnsafeMutableRawPointer(memory))
    try body(&self, &pieces, straight)
    var copy = StridedCopy()
    copy.append(image.batch, from: image.pixels &* image.channels, to: image.pixels &* image.channels)
    copy.append(image.channels, from: 1, to: image.pixels)
    copy.append(image.pixels, from: image.channels, to: 1)
    copy.run(from: straight, to: out)
  }
}
