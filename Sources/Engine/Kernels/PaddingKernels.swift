// Ops that put room around a tensor, and those that move blocks of it between its dimensions.
internal import CKernels
internal import Tensors

let paddingKernels: [KernelDefinition] = [
  kernel("Pad") { frame throws(RunError) in try frame.pad(hasValue: false) },
  kernel("PadV2") { frame throws(RunError) in try frame.pad(hasValue: true) },
  KernelDefinition("MirrorPad") { node throws(GraphError) in
    let mode = try node.string("mode")
    guard mode == "REFLECT" || mode == "SYMMETRIC" else { throw node.invalid("mode must be either REFLECT or SYMMETRIC.") }
    return { frame throws(RunError) in try frame.mirrorPad(offset: mode == "REFLECT" ? 1 : 0) }
  },
  blocks("SpaceToDepth", toDepth: true), blocks("DepthToSpace", toDepth: false),
  kernel("SpaceToBatchND") { frame throws(RunError) in try frame.spaceToBatch() },
  kernel("BatchToSpaceND") { frame throws(RunError) in try frame.batchToSpace() },
]

extension Frame {
  /// The paddings of each dimension, checked.
  private func paddings(_ x: Value, mirror: Bool = false) throws(RunError) -> (before: Dims, shape: Shape) {
    let paddings = input(1)
    guard paddings.shape.rank == 2, paddings.shape[1] == 2 else {
      throw .invalidArgument("paddings must be a matrix with 2 columns: \(paddings.shape)")
    }
    guard paddings.shape[0] == x.shape.rank else {
      throw .invalidArgument("The first dimension of paddings must be the rank of inputs\(paddings.shape)\(mirror ? "," : "") \(x.shape)")
    }
    var before = Dims()
    var dims = Dims()
    for d in 0..<x.shape.rank {
      let (low, high) = (try paddings.integer(at: 2 * d), try paddings.integer(at: 2 * d + 1))
      guard low >= 0, high >= 0 else { throw .invalidArgument("\(mirror ? "p" : "P")addings must be non-negative: \(low) \(high)") }
      let (sum, over) = x.shape[d].addingReportingOverflow(low)
      let (total, overflow) = sum.addingReportingOverflow(high)
      guard !over, !overflow else { throw .invalidArgument("Paddings are too large: \(low) \(high)") }
      try before.append(low)
      try dims.append(total)
    }
    return (before, try Shape(checking: dims))
  }

  fileprivate mutating func pad(hasValue: Bool) throws(RunError) {
    let x = input(0)
    let (before, shape) = try paddings(x)
    if shape == x.shape { return forward(0, to: 0) }
    let out = try output(0, x.dtype, shape)
    if hasValue {
      let value = input(2)
      guard value.count == 1, value.dtype == x.dtype else {
        throw .invalidArgument("constant_values must be a scalar. Found: \(value.shape)")
      }
      // The value holds one element of the output's type.
      unsafe ck_fill(out.count, x.dtype.size, value.base, out.base)
    } else {
      unsafe zero(out)
    }
    copyInside(x, out, before)
  }

  /// Copies a tensor into the middle of a larger one.
  private func copyInside(_ x: Value, _ out: Value, _ before: Dims) {
    let from = x.shape.strides
    let to = out.shape.strides
    var copy = StridedCopy()
    for d in 0..<x.shape.rank {
      copy.toStart += before[d] * to[d]
      copy.append(x.shape[d], from: from[d], to: to[d])
    }
    copy.run(from: x, to: out)
  }

  fileprivate mutating func mirrorPad(offset: Int) throws(RunError) {
    let x = input(0)
    let (before, shape) = try paddings(x, mirror: true)
    for d in 0..<x.shape.rank {
      let after = shape[d] - x.shape[d] - before[d]
      guard before[d] <= x.shape[d] - offset, after <= x.shape[d] - offset else {
        throw .invalidArgument(
          offset == 0
            ? "paddings must be no greater than the dimension size: \(before[d]), \(after) greater than \(x.shape[d])"
            : "paddings must be less than the dimension size: \(before[d]), \(after) not less than \(x.shape[d])")
      }
    }
    let out = try output(0, x.dtype, shape)
    copyInside(x, out, before)
    // Dimension by dimension from the last: what lies inside is whole, so a slab can be copied from its mirror image.
    for d in (0..<x.shape.rank).reversed() {
      let inner = shape.count(from: d + 1)
      let first = before[d]
      let last = first + x.shape[d]
      for row in 0..<shape.count(upTo: d) {
        func copy(_ from: Int, _ to: Int) {
          // Both slabs lie within row `row` of the output.
          unsafe out.at((row * shape[d] + to) * inner).copyMemory(
            from: out.at((row * shape[d] + from) * inner), byteCount: inner * x.dtype.size)
        }
        for i in 0..<first { copy(first + first - 1 - i + offset, i) }
        for i in last..<shape[d] { copy(2 * last - 1 - i - offset, i) }
      }
    }
  }

  // MARK: Blocks

  fileprivate mutating func spaceToBatch() throws(RunError) {
    let x = input(0)
    let block = try dims(1)
    let paddings = input(2)
    let m = block.count
    guard x.shape.rank >= 1 + m else { throw .invalidArgument("input rank should be >= \(1 + m) instead of \(x.shape.rank)") }
    guard paddings.count == 2 * m else { throw .invalidArgument("paddings should have shape [\(m), 2] instead of \(paddings.shape)") }
    var padded = Dims(x.shape)
    var before = Dims(repeating: 0, count: x.shape.rank)
    var result = Dims(x.shape)
    for d in 0..<m {
      guard block[d] >= 1 else { throw .invalidArgument("All values in block_shape must be positive, got value, \(block[d]) at index \(d).") }
      let (low, high) = (try paddings.integer(at: 2 * d), try paddings.integer(at: 2 * d + 1))
      guard low >= 0, high >= 0, low < Int(Int32.max), high < Int(Int32.max) else { throw .invalidArgument("paddings must be non-negative, got \(low) and \(high).") }
      padded[d + 1] = padded[d + 1] &+ low &+ high
      before[d + 1] = low
      guard padded[d + 1] % block[d] == 0 else {
        throw .invalidArgument("padded_shape[\(d)]=\(padded[d + 1]) is not divisible by block_shape[\(d)]=\(block[d])")
      }
      result[d + 1] = padded[d + 1] / block[d]
      let (batch, overflow) = result[0].multipliedReportingOverflow(by: block[d])
      guard !overflow else { throw .invalidArgument("The block shape is too large") }
      result[0] = batch
    }
    let space = try temporary(x.dtype, try Shape(checking: padded))
    unsafe zero(space.value)
    copyInside(x, space.value, before)
    // [batch, n0/b0, b0, n1/b1, b1, ..., rest] becomes [b0, b1, ..., batch, n0/b0, n1/b1, ..., rest].
    let strides = space.value.shape.strides
    var copy = StridedCopy()
    for d in 0..<m { copy.append(block[d], from: strides[d + 1], to: 0) }
    copy.append(x.shape[0], from: strides[0], to: 0)
    for d in 0..<m { copy.append(padded[d + 1] / block[d], from: strides[d + 1] * block[d], to: 0) }
    for d in (m + 1)..<max(x.shape.rank, m + 1) { copy.append(x.shape[d], from: strides[d], to: 0) }
    let out = try output(0, x.dtype, try Shape(checking: result))
    copy.packDestination()
    copy.run(from: space.value, to: out)
    release(space.scratch)
  }

  fileprivate mutating func batchToSpace() throws(RunError) {
    let x = input(0)
    let block = try dims(1)
    let crops = input(2)
    let m = block.count
    guard x.shape.rank >= 1 + m else { throw .invalidArgument("input rank should be >= \(1 + m) instead of \(x.shape.rank)") }
    guard crops.count == 2 * m else { throw .invalidArgument("crops should have shape [\(m), 2] instead of \(crops.shape)") }
    var product = 1
    for d in 0..<m {
      guard block[d] >= 1 else { throw .invalidArgument("All values in block_shape must be positive, got value, \(block[d]) at index \(d).") }
      let (next, overflow) = product.multipliedReportingOverflow(by: block[d])
      guard !overflow else { throw .invalidArgument("The product of the block dimensions must be positive") }
      product = next
    }
    guard x.shape[0] % product == 0 else {
      throw .invalidArgument("Input batch dimension (\(x.shape[0])) is not divisible by product of block sizes (\(product))")
    }
    var whole = Dims(x.shape)
    whole[0] = x.shape[0] / product
    for d in 0..<m {
      let (extent, overflow) = x.shape[d + 1].multipliedReportingOverflow(by: block[d])
      guard !overflow else { throw .invalidArgument("The block shape is too large") }
      whole[d + 1] = extent
    }
    let space = try temporary(x.dtype, try Shape(checking: whole))
    let from = x.shape.strides
    // [b0, b1, ..., batch, n0, n1, ..., rest] becomes [batch, n0, b0, n1, b1, ..., rest].
    var copy = StridedCopy()
    copy.append(whole[0], from: from[0], to: 0)
    for d in 0..<m {
      copy.append(x.shape[d + 1], from: from[d + 1], to: 0)
      var blockStride = whole[0] * from[0]
      for later in (d + 1)..<max(m, d + 1) { blockStride *= block[later] }
      copy.append(block[d], from: blockStride, to: 0)
    }
    for d in (m + 1)..<max(x.shape.rank, m + 1) { copy.append(x.shape[d], from: from[d], to: 0) }
    copy.packDestination()
    copy.run(from: x, to: space.value)
    // What is left after cropping.
    var result = whole
    var cut = StridedCopy()
    let strides = space.value.shape.strides
    for d in 0..<x.shape.rank {
      if d >= 1, d <= m {
        let (low, high) = (try crops.integer(at: 2 * (d - 1)), try crops.integer(at: 2 * (d - 1) + 1))
        guard low >= 0, high >= 0, low <= whole[d], high <= whole[d] - low else {
          throw .invalidArgument("cropped_shape[\(d - 1)]=\(whole[d] &- low &- high) must be non-negative")
        }
        result[d] = whole[d] - low - high
        cut.fromStart += low * strides[d]
      }
      cut.append(result[d], from: strides[d], to: 0)
    }
    let out = try output(0, x.dtype, try Shape(checking: result))
    cut.packDestination()
    cut.run(from: space.value, to: out)
    release(space.scratch)
  }
}

/// Moves blocks of an image between its area and its channels, NHWC.
private func blocks(_ op: String, toDepth: Bool) -> KernelDefinition {
  KernelDefinition(op) { node throws(GraphError) in
    let block = try node.int("block_size")
    guard block >= 1, block <= 1 << 16 else { throw node.invalid("Block size should be > 1, but was: \(block)") }
    guard try node.string("data_format", default: "NHWC") == "NHWC" else { throw node.unsupported("data_format must be NHWC") }
    return { frame throws(RunError) in
      let x = frame.input(0)
      guard x.shape.rank == 4 else { throw .invalidArgument("Input rank should be 4 instead of \(x.shape.rank)") }
      let (batch, height, width, depth) = (x.shape[0], x.shape[1], x.shape[2], x.shape[3])
      let strides = x.shape.strides
      var copy = StridedCopy()
      let dims: (Int, Int, Int)
      if toDepth {
        guard height % block == 0, width % block == 0 else {
          throw .invalidArgument("Image width \(width) and height \(height) should be divisible by block_size: \(block)")
        }
        dims = (height / block, width / block, depth.multipliedReportingOverflow(by: block * block).partialValue)
        copy.append(batch, from: strides[0], to: 0)
        copy.append(height / block, from: strides[1] * block, to: 0)
        copy.append(width / block, from: strides[2] * block, to: 0)
        copy.append(block, from: strides[1], to: 0)
        copy.append(block, from: strides[2], to: 0)
        copy.append(depth, from: 1, to: 0)
      } else {
        let square = block * block
        guard depth % square == 0 else {
          throw .invalidArgument("Input depth dimension \(depth) should be divisible by: \(square)")
        }
        let rest = depth / square
        dims = (height * block, width * block, rest)
        copy.append(batch, from: strides[0], to: 0)
        copy.append(height, from: strides[1], to: 0)
        copy.append(block, from: block * rest, to: 0)
        copy.append(width, from: strides[2], to: 0)
        copy.append(block, from: rest, to: 0)
        copy.append(rest, from: 1, to: 0)
      }
      var result = Dims()
      for extent in [batch, dims.0, dims.1, dims.2] { try result.append(extent) }
      let out = try frame.output(0, x.dtype, try Shape(checking: result))
      copy.packDestination()
      copy.run(from: x, to: out)
    }
  }
}
