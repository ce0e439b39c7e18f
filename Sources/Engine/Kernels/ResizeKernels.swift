internal import CKernels
internal import Tensors

/// Resizing images (`[batch, height, width, channels]`).
let resizeKernels: [KernelDefinition] = [
  resize("ResizeBilinear", bilinear: true), resize("ResizeNearestNeighbor", bilinear: false),
]

private func resize(_ op: String, bilinear: Bool) -> KernelDefinition {
  KernelDefinition(op) { node throws(GraphError) in
    let sampling = Sampling(
      alignCorners: try node.bool("align_corners", default: false), halfPixels: try node.bool("half_pixel_centers", default: false))
    guard !(sampling.alignCorners && sampling.halfPixels) else {
      throw node.invalid("If half_pixel_centers is True, align_corners must be False.")
    }
    return { frame throws(RunError) in
      bilinear ? try frame.resizeBilinear(sampling) : try frame.resizeNearest(sampling)
    }
  }
}

/// Where a pixel of the output lies in the input (tensorflow/core/util/image_resizer_state.h).
private struct Sampling: Sendable {
  let alignCorners: Bool
  let halfPixels: Bool

  func scale(_ input: Int, _ output: Int) -> Float {
    alignCorners && output > 1 ? Float(input - 1) / Float(output - 1) : Float(input) / Float(output)
  }

  /// The two pixels around an output pixel and how far it is from the first to the second.
  func between(_ position: Int, _ scale: Float, _ input: Int) -> (lower: Int, upper: Int, weight: Float) {
    let at = halfPixels ? (Float(position) + 0.5) * scale - 0.5 : Float(position) * scale
    let floor = at.rounded(.down)
    let lower = min(max(0, Int(floor)), input - 1)
    return (lower, min(max(0, Int(at.rounded(.up))), input - 1), at - floor)
  }

  func nearest(_ position: Int, _ scale: Float, _ input: Int) -> Int {
    let at = halfPixels ? (Float(position) + 0.5) * scale : Float(position) * scale
    // TensorFlow rounds only where corners are aligned.
    let pixel = alignCorners ? at.rounded(.toNearestOrAwayFromZero) : at.rounded(.down)
    return max(0, min(Int(pixel), input - 1))
  }
}

extension Frame {
  /// Checks the inputs; the output's height and width.
  private func resizing() throws(RunError) -> (images: Value, height: Int, width: Int) {
    let images = input(0)
    guard images.shape.rank == 4 else { throw .invalidArgument("input must be 4-dimensional\(images.shape)") }
    let size = try dims(1)
    guard input(1).shape.rank == 1 else { throw .invalidArgument("shape_t must be 1-dimensional\(input(1).shape)") }
    guard size.count == 2 else { throw .invalidArgument("shape_t must have two elements\(input(1).shape)") }
    guard size[0] > 0, size[1] > 0 else { throw .invalidArgument("output dimensions must be positive") }
    guard images.shape[1] > 0, images.shape[2] > 0 else { throw .invalidArgument("input image must be of non-zero size") }
    guard max(images.shape[1], images.shape[2]) < 1 << 31 else { throw .invalidArgument("input sizes must be between 0 and max int32") }
    return (images, size[0], size[1])
  }

  fileprivate mutating func resizeBilinear(_ sampling: Sampling) throws(RunError) {
    let (given, height, width) = try resizing()
    let shape = try Shape(checking: [given.shape[0], height, width, given.shape[3]])
    let out = try output(0, .float, shape)
    if out.count == 0 { return }
    var pieces = ScratchPieces()
    // Whatever the images' type, the answer is in floats.
    var images = given
    if given.dtype != .float {
      guard let cast = unsafe ck_cast_loop(given.kernelType, UInt32(DType.float.rawValue)) else {
        throw unsupported("ResizeBilinear", given.dtype)
      }
      let memory = unsafe try pieces.take(Float.self, &self, count: given.count)
      // As many floats as there are elements.
      unsafe cast(given.count, given.base, memory)
      unsafe images = Value(dtype: .float, shape: given.shape, base: UnsafeMutableRawPointer(memory))
    }
    let (rows, columns, channels) = (images.shape[1], images.shape[2], images.shape[3])
    let left = unsafe try pieces.take(Int.self, &self, count: width)
    let right = unsafe try pieces.take(Int.self, &self, count: width)
    let across = unsafe try pieces.take(Float.self, &self, count: width)
    let scale = sampling.scale(columns, width)
    for x in 0..<width {
      let between = sampling.between(x, scale, columns)
      // Each list has an entry for every column.
      unsafe left[x] = between.lower * channels
      unsafe right[x] = between.upper * channels
      unsafe across[x] = between.weight
    }
    let down = sampling.scale(rows, height)
    let row = columns * channels
    for i in 0..<images.shape[0] {
      let image = unsafe images.pointer(Float.self) + i * rows * row
      for y in 0..<height {
        let between = sampling.between(y, down, rows)
        // Rows and columns are within the image; the output has `height` rows of `width` pixels.
        unsafe ck_resize_bilinear_row_f32(
          image + between.lower * row, image + between.upper * row, left, right, across, between.weight, width, channels,
          out.pointer(Float.self) + (i * height + y) * width * channels)
      }
    }
    pieces.release(&self)
  }

  fileprivate mutating func resizeNearest(_ sampling: Sampling) throws(RunError) {
    let (images, height, width) = try resizing()
    let shape = try Shape(checking: [images.shape[0], height, width, images.shape[3]])
    let out = try output(0, images.dtype, shape)
    if out.count == 0 { return }
    let (rows, columns) = (images.shape[1], images.shape[2])
    let pixel = images.shape[3] * images.dtype.size
    let (down, across) = (sampling.scale(rows, height), sampling.scale(columns, width))
    for i in 0..<images.shape[0] {
      for y in 0..<height {
        let from = i * rows + sampling.nearest(y, down, rows)
        for x in 0..<width {
          // Both pixels are within their images.
          unsafe (out.base + ((i * height + y) * width + x) * pixel).copyMemory(
            from: images.base + (from * columns + sampling.nearest(x, across, columns)) * pixel, byteCount: pixel)
        }
      }
    }
  }
}
