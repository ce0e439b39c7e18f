// A ragged tensor as one variant, and a batch of them as a vector of variants: how loops over rows of any length (`tf.map_fn`) carry them in
// tensor lists. A variant's parts stand where they stood; a block of the arena that one points to is kept until the run ends.
//
//   block of a ragged variant    [ mark, count ][ splits, ..., values: a Value each ]
//   element of a variant vector  [ mark, number of the variant's block ]
internal import Tensors

let raggedVariantKernels: [KernelDefinition] = [
  KernelDefinition("RaggedTensorToVariant") { node throws(GraphError) in
    let rank = try node.int("RAGGED_RANK")
    let isBatched = try node.bool("batched_input")
    guard rank >= 0, !isBatched || rank > 0 else { throw node.invalid("batched_input takes a ragged rank of at least 1, got \(rank)") }
    return { frame throws(RunError) in try frame.raggedToVariant(rank, isBatched) }
  },
  KernelDefinition("RaggedTensorFromVariant") { node throws(GraphError) in
    let (input, output) = (try node.int("input_ragged_rank"), try node.int("output_ragged_rank"))
    let (values, splits) = (try node.dtype("Tvalues"), try node.dtype("Tsplits", default: .int64))
    guard input >= -1, output >= 0 else { throw node.invalid("ragged ranks must not be negative") }
    return { frame throws(RunError) in try frame.raggedFromVariant(input, output, values, splits) }
  },
]

/// An element of a vector of variants.
struct VariantSlot: BitwiseCopyable {
  var mark: UInt64
  var block: Int

  /// A number nobody outside this process can write into a variant.
  static let mark = UInt64.random(in: .min ... .max)
}

private struct RaggedHeader: BitwiseCopyable {
  var mark: UInt64
  var count: Int

  static let mark = UInt64.random(in: .min ... .max)
}

extension Frame {
  /// What stands for a scalar variant in a vector of variants.
  mutating func slot(of value: Value) throws(RunError) -> VariantSlot {
    guard value.dtype == .variant, value.shape.rank == 0, value.block >= 0, unsafe value.base == arena.base(of: value.block) else {
      throw .invalidArgument("expected a variant, got \(value.dtype) \(value.shape)")
    }
    retainForRun(value)
    return VariantSlot(mark: VariantSlot.mark, block: Int(value.block))
  }

  /// The scalar variant that an element of a vector of variants stands for.
  func variant(_ vector: Value, at i: Int) throws(RunError) -> Value {
    precondition(vector.dtype == .variant && i >= 0 && i < vector.count)
    // An element has the size of a slot; `i` is within the vector.
    let slot = unsafe vector.at(i).loadUnaligned(as: VariantSlot.self)
    guard slot.mark == VariantSlot.mark, slot.block >= 0, slot.block < arena.blockCount else {
      throw .invalidArgument("element \(i) of the vector is no variant")
    }
    return unsafe Value(dtype: .variant, shape: [], base: arena.base(of: Int32(slot.block)), block: Int32(slot.block))
  }

  /// Makes an element of a vector of variants an output of the step.
  mutating func output(_ index: Int, variant vector: Value, at i: Int) throws(RunError) {
    let value = try variant(vector, at: i)
    arena.retain(value.block)
    adopt(value, as: index)
  }

  private mutating func retainForRun(_ value: Value) { if value.block >= 0 { arena.retain(value.block) } }

  /// A scalar variant of these parts: the block it stands in, used once.
  private mutating func ragged(_ parts: [Value]) throws(RunError) -> Value {
    let stride = MemoryLayout<Value>.stride
    let memory = try unsafe scratch(byteCount: MemoryLayout<RaggedHeader>.stride + parts.count * stride)
    // The block was made for the header and the parts.
    unsafe memory.base.storeBytes(of: RaggedHeader(mark: RaggedHeader.mark, count: parts.count), as: RaggedHeader.self)
    for (i, part) in parts.enumerated() {
      retainForRun(part)
      unsafe memory.base.storeBytes(of: part, toByteOffset: MemoryLayout<RaggedHeader>.stride + i * stride, as: Value.self)
    }
    return unsafe Value(dtype: .variant, shape: [], base: memory.base, block: memory.block)
  }

  /// The parts of a scalar variant: row splits from the outermost on, then the values.
  private func parts(of value: Value) throws(RunError) -> [Value] {
    let room = byteCount(of: value) - MemoryLayout<RaggedHeader>.stride
    guard value.dtype == .variant, value.shape.rank == 0, room >= 0, unsafe value.base == arena.base(of: value.block) else {
      throw .invalidArgument("Input Variant element at index 0 doesn't hold a RaggedTensorVariant")
    }
    // There is room for a header, and for as many parts as it speaks of.
    let header = unsafe value.base.load(as: RaggedHeader.self)
    let stride = MemoryLayout<Value>.stride
    guard header.mark == RaggedHeader.mark, header.count > 0, header.count <= room / stride else {
      throw .invalidArgument("Input Variant element at index 0 doesn't hold a RaggedTensorVariant")
    }
    return (0..<header.count).map { i in
      unsafe value.base.load(fromByteOffset: MemoryLayout<RaggedHeader>.stride + i * stride, as: Value.self)
    }
  }

  fileprivate mutating func raggedToVariant(_ rank: Int, _ isBatched: Bool) throws(RunError) {
    var inputs: [Value] = []
    for i in 0...rank { inputs.append(input(i)) }
    let values = inputs[rank]
    guard isBatched else {
      let variant = try ragged(inputs)
      return adopt(variant, as: 0)
    }
    guard values.shape.rank >= 1 else { throw .invalidArgument("the values of a ragged tensor are a vector at least") }
    for level in 0..<rank {
      let splits = inputs[level]
      guard splits.shape.rank == 1, splits.count > 0 else {
        throw .invalidArgument("Invalid ragged splits: first element of splits must be 0, but splits is empty")
      }
      guard try splits.integer(at: 0) == 0 else { throw .invalidArgument("First element of ragged splits must be 0") }
      let last = level + 1 < rank ? inputs[level + 1].count - 1 : values.shape[0]
      for i in 1..<splits.count {
        let (before, split) = (try splits.integer(at: i - 1), try splits.integer(at: i))
        guard split >= before, split <= last else { throw .invalidArgument("Invalid ragged splits: they fall or point past the values") }
      }
    }
    let rows = inputs[0].count - 1
    let out = try output(0, .variant, [rows])
    let row = values.shape.count(from: 1)
    for r in 0..<rows {
      var (low, high) = (try inputs[0].integer(at: r), try inputs[0].integer(at: r + 1))
      var parts: [Value] = []
      for level in 1..<max(rank, 1) {
        let splits = inputs[level]
        // A row's own splits begin at zero.
        let own = try scratchValue(splits.dtype, [high - low + 1])
        let first = try splits.integer(at: low)
        for i in low...high { own.set(i - low, try splits.integer(at: i) - first) }
        parts.append(own)
        (low, high) = (first, try splits.integer(at: high))
      }
      var part = values
      part.shape = try values.shape.replacing(0, by: high - low)
      // Rows within the values.
      unsafe part.base = values.at(low * row)
      parts.append(part)
      let variant = try ragged(parts)
      // One slot for each row.
      unsafe out.at(r).storeBytes(of: VariantSlot(mark: VariantSlot.mark, block: Int(variant.block)), as: VariantSlot.self)
    }
  }

  /// Memory of the arena that stays until the run ends, as a value.
  private mutating func scratchValue(_ dtype: DType, _ shape: Shape) throws(RunError) -> Value {
    let memory = try unsafe scratch(byteCount: shape.count * dtype.size)
    return unsafe Value(dtype: dtype, shape: shape, base: memory.base, block: memory.block)
  }

  fileprivate mutating func raggedFromVariant(_ given: Int, _ outputRank: Int, _ type: DType, _ splitsType: DType) throws(RunError) {
    let encoded = input(0)
    guard encoded.dtype == .variant else { throw .invalidArgument("expected variants, got \(encoded.dtype)") }
    let rank = encoded.shape.rank
    let inputRank = given == -1 ? outputRank - rank : given
    guard inputRank >= 0, outputRank == inputRank + rank else {
      throw .invalidArgument(
        "output_ragged_rank must be equal to input_ragged_rank + encoded_ragged.dims(); output_ragged_rank: \(outputRank), input_ragged_rank: \(inputRank), encoded_ragged.dims(): \(rank).")
    }
    guard rank <= 2 else { throw .unimplemented("variants in \(rank) dimensions are not supported") }
    var components: [[Value]] = []
    for i in 0..<encoded.count {
      let parts = try parts(of: rank == 0 ? encoded : variant(encoded, at: i))
      guard parts.count == inputRank + 1 else {
        throw .invalidArgument("Encoded input RaggedTensorVariant has ragged_rank=\(parts.count - 1). Expected ragged_rank=\(inputRank).")
      }
      guard let values = parts.last, values.dtype == type, values.shape.rank >= 1 else {
        throw .invalidArgument("Expected values Tensor dtype: \(type.name), found: \(parts[inputRank].dtype.name)")
      }
      for splits in parts.dropLast() where splits.dtype != splitsType || splits.count == 0 {
        throw .invalidArgument("Expected row_splits Tensor dtype: \(splitsType.name), found: \(splits.dtype.name)")
      }
      components.append(parts)
    }
    if rank == 0 {
      for (i, part) in components[0].enumerated() {
        retainForRun(part)
        adopt(part, as: i)
      }
      return
    }
    if rank == 2 {
      let splits = try output(0, splitsType, [encoded.shape[0] + 1])
      for i in 0...encoded.shape[0] { splits.set(i, i * encoded.shape[1]) }
    }
    // The rows of each component, then what lies below, one behind the other.
    for level in -1..<inputRank {
      var count = 0
      for parts in components { count += level < 0 ? 1 : parts[level].count - 1 }
      let splits = try output(rank + level, splitsType, [count + 1])
      splits.set(0, 0)
      var (at, sum) = (0, 0)
      for parts in components {
        if level < 0 {
          sum += inputRank == 0 ? parts[0].shape[0] : parts[0].count - 1
          at += 1
          splits.set(at, sum)
        } else {
          let own = parts[level]
          for i in 1..<own.count { splits.set(at + i, sum &+ (try own.integer(at: i))) }
          at += own.count - 1
          sum &+= try own.integer(at: own.count - 1)
        }
      }
    }
    var shape: Shape = [0]
    for (i, parts) in components.enumerated() {
      let own = parts[inputRank].shape
      guard i > 0 else {
        shape = own
        continue
      }
      guard own.rank == shape.rank, (1..<own.rank).allSatisfy({ own[$0] == shape[$0] }) else {
        throw .invalidArgument("All flat_values must have compatible shapes.  Shape at index 0: \(components[0][inputRank].shape).  Shape at index \(i): \(own).")
      }
      shape = try shape.replacing(0, by: shape[0] + own[0])
    }
    let out = try output(outputRank, type, shape)
    var to = unsafe out.base
    for parts in components {
      // As many bytes as all components have.
      unsafe to.copyMemory(from: parts[inputRank].base, byteCount: parts[inputRank].byteCount)
      unsafe to += parts[inputRank].byteCount
    }
  }
}
