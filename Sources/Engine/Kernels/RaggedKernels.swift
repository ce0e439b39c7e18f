// Ops on ragged tensors: rows of any length, as values and the places where rows begin (`row_splits`).
internal import Tensors

let raggedKernels: [KernelDefinition] = [
  KernelDefinition("RaggedRange") { node throws(GraphError) in
    let splits = try node.dtype("Tsplits", default: .int64)
    return { frame throws(RunError) in
      let kernel = RaggedRange(splits: splits)
      switch frame.input(0).dtype {
      case .int32: try kernel.integers(Int32.self, &frame)
      case .int64: try kernel.integers(Int64.self, &frame)
      case .float: try kernel.floats(Float.self, &frame)
      case .double: try kernel.floats(Double.self, &frame)
      case let other: throw unsupported("RaggedRange", other)
      }
    }
  },
  KernelDefinition("RaggedGather") { node throws(GraphError) in
    let raggedRank = try node.int("PARAMS_RAGGED_RANK")
    let outputRank = try node.int("OUTPUT_RAGGED_RANK")
    guard raggedRank > 0, outputRank >= 0 else { throw node.invalid("ragged ranks must be positive") }
    return { frame throws(RunError) in try frame.raggedGather(raggedRank, outputRank) }
  },
]

private struct RaggedRange {
  let splits: DType

  /// Finds the length of each row, then has `write` fill it.
  private func run<T: Scalar & Numeric>(
    _ type: T.Type, _ frame: inout Frame, _ length: (_ start: T, _ limit: T, _ delta: T) throws(RunError) -> Int,
    _ next: (T, T) -> T
  ) throws(RunError) {
    let inputs = [frame.input(0), frame.input(1), frame.input(2)]
    var rows: Int? = nil
    for (value, name) in zip(inputs, ["starts", "limits", "deltas"]) {
      guard value.shape.rank <= 1 else { throw .invalidArgument("\(name) must be a scalar or vector") }
      guard value.dtype == T.dtype else { throw unsupported("RaggedRange", value.dtype) }
    }
    for value in inputs where value.shape.rank == 1 {
      guard rows == nil || rows == value.count else { throw .invalidArgument("starts, limits, and deltas must have the same shape") }
      rows = value.count
    }
    let count = rows ?? 1
    func element(_ i: Int, _ row: Int) -> T { inputs[i].span(of: T.self)[inputs[i].shape.rank == 0 ? 0 : row] }
    let places = try frame.output(0, splits, [count + 1])
    places.set(0, 0)
    var total = 0
    for row in 0..<count {
      guard element(2, row) != 0 else { throw .invalidArgument("Requires delta != 0") }
      let size = try length(element(0, row), element(1, row), element(2, row))
      let (sum, overflow) = total.addingReportingOverflow(size)
      guard !overflow, sum <= 1 << 40, splits == .int64 || sum <= Int(Int32.max) else {
        throw .invalidArgument("Requires ((limit - start) / delta) to fit the type of the row splits")
      }
      total = sum
      places.set(row + 1, total)
    }
    var values = try frame.output(1, T.dtype, [total])
    var out = values.mutableSpan(of: T.self)
    var at = 0
    for row in 0..<count {
      var value = element(0, row)
      for _ in 0..<(try places.integer(at: row + 1) - places.integer(at: row)) {
        out[at] = value
        value = next(value, element(2, row))
        at += 1
      }
    }
  }

  func integers<T: Scalar & FixedWidthInteger>(_ type: T.Type, _ frame: inout Frame) throws(RunError) {
    try run(type, &frame) { start, limit, delta throws(RunError) in
      if delta > 0 ? limit < start : limit > start { return 0 }
      let distance = start < limit ? UInt64(Int64(limit) &- Int64(start)) : UInt64(truncatingIfNeeded: Int64(start) &- Int64(limit))
      let step = UInt64(delta.magnitude)
      return Int(clamping: distance / step + (distance % step == 0 ? 0 : 1))
    } _: { $0 &+ $1 }
  }

  func floats<T: Scalar & BinaryFloatingPoint>(_ type: T.Type, _ frame: inout Frame) throws(RunError) {
    try run(type, &frame) { start, limit, delta throws(RunError) in
      if delta > 0 ? limit < start : limit > start { return 0 }
      let size = abs((limit - start) / delta).rounded(.up)
      guard let count = Int(exactly: size) else {
        throw .invalidArgument("Requires ((limit - start) / delta) <= \(Int.max)")
      }
      return count
    } _: { $0 + $1 }
  }
}

extension Frame {
  fileprivate mutating func raggedGather(_ raggedRank: Int, _ outputRank: Int) throws(RunError) {
    let (values, indices) = (input(raggedRank), input(raggedRank + 1))
    let rows = input(0).count - 1
    for i in 0..<indices.count {
      let index = try indices.integer(at: i)
      guard index >= 0, index < rows else {
        throw .invalidArgument("indices\(indices.position(i)) = \(index) is not in [0, \(rows))")
      }
    }
    guard values.shape.rank > 0 else { throw .invalidArgument("params.rank must be nonzero") }
    for level in 0..<raggedRank {
      let splits = input(level)
      let last = level == raggedRank - 1 ? values.shape[0] : input(level + 1).count - 1
      guard splits.count > 0 else { throw .invalidArgument("Ragged splits may not be empty") }
      guard try splits.integer(at: 0) >= 0 else { throw .invalidArgument("Ragged splits must be non-negative") }
      guard try splits.integer(at: splits.count - 1) <= last else { throw .invalidArgument("Ragged splits must not point past values") }
      for i in 1..<splits.count {
        guard try splits.integer(at: i - 1) <= splits.integer(at: i) else { throw .invalidArgument("Ragged splits must be sorted") }
      }
    }
    // Splits of the indices' own dimensions but the last, then those of the rows taken.
    let outer = indices.shape.rank - 1
    guard outer + raggedRank == outputRank else {
      throw .invalidArgument("the output has \(outer + raggedRank) ragged dimensions, expected \(outputRank)")
    }
    let type = input(0).dtype
    var dense = 1
    for d in 0..<max(outer, 0) {
      dense *= indices.shape[d]
      let splits = try output(d, type, [dense + 1])
      for i in 0...dense { splits.set(i, i * indices.shape[d + 1]) }
    }
    var taken = 0
    var lengths = [Int](repeating: 0, count: raggedRank)
    for i in 0..<indices.count {
      var (start, limit) = (try indices.integer(at: i), try indices.integer(at: i) + 1)
      for level in 0..<raggedRank {
        lengths[level] += limit - start
        (start, limit) = (try input(level).integer(at: start), try input(level).integer(at: limit))
      }
      taken += limit - start
    }
    var splits: [Value?] = []
    for level in 0..<raggedRank {
      let out = level + outer >= 0 ? try output(level + outer, type, [lengths[level] + 1]) : nil
      out?.set(0, 0)
      splits.append(out)
    }
    let out = try output(outputRank, values.dtype, try values.shape.replacing(0, by: taken))
    let row = values.shape.count(from: 1)
    var at = [Int](repeating: 0, count: raggedRank)
    var last = [Int](repeating: 0, count: raggedRank)
    var to = 0
    for i in 0..<indices.count {
      var (start, limit) = (try indices.integer(at: i), try indices.integer(at: i) + 1)
      for level in 0..<raggedRank {
        let source = input(level)
        let delta = last[level] - (try source.integer(at: start))
        for j in start..<limit {
          last[level] = try source.integer(at: j + 1) + delta
          at[level] += 1
          splits[level]?.set(at[level], last[level])
        }
        (start, limit) = (try source.integer(at: start), try source.integer(at: limit))
      }
      // Rows within the values, to the next ones of the output.
      unsafe out.at(to * row).copyMemory(from: values.at(start * row), byteCount: (limit - start) * row * values.dtype.size)
      to += limit - start
    }
  }
}
