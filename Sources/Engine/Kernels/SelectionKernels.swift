// Ops that look at values to choose: sorting, searching, uniqueness, membership.
internal import CKernels
internal import Tensors

let selectionKernels: [KernelDefinition] = [
  KernelDefinition("TopK") { node throws(GraphError) in
    let kernel = TopK(k: try node.int("k"), indexType: .int32)
    return { frame throws(RunError) in try kernel.run(as: frame.input(0).dtype, &frame, "TopK") }
  },
  typed("TopKV2") { node throws(GraphError) in
    TopK(k: nil, indexType: try node.dtype("index_type", default: .int32))
  },
  unique("Unique"), unique("UniqueWithCounts"), unique("UniqueV2"), unique("UniqueWithCountsV2"),
  kernel("Where") { frame throws(RunError) in try frame.whereTrue() },
  typed("Bucketize") { node throws(GraphError) in Bucketize(boundaries: try node.floats("boundaries")) },
  typed("LowerBound") { node throws(GraphError) in
    Search(type: try node.dtype("out_type", default: .int32), upper: false)
  },
  typed("UpperBound") { node throws(GraphError) in
    Search(type: try node.dtype("out_type", default: .int32), upper: true)
  },
  KernelDefinition("ListDiff") { node throws(GraphError) in
    let type = try node.dtype("out_idx", default: .int32)
    return { frame throws(RunError) in try frame.listDifference(type) }
  },
  KernelDefinition("InTopK") { node throws(GraphError) in
    let k = try node.int("k")
    return { frame throws(RunError) in try frame.inTopK(k) }
  },
  kernel("InTopKV2") { frame throws(RunError) in try frame.inTopK(try frame.scalar(2, "k")) },
]

// MARK: The greatest

private struct TopK: TypedKernel {
  /// `nil` where it is an input.
  let k: Int?
  let indexType: DType

  func run<T: Scalar>(_ type: T.Type, _ frame: inout Frame) throws(RunError) {
    let x = frame.input(0)
    if k == nil, frame.input(1).shape.rank != 0 {
      throw .invalidArgument("k must be scalar, got shape \(frame.input(1).shape)")
    }
    let k = if let k { k } else { try frame.scalar(1, "k") }
    guard k >= 0 else { throw .invalidArgument("Need k >= 0, got \(k)") }
    guard x.shape.rank >= 1 else { throw .invalidArgument("input must be >= 1-D, got shape \(x.shape)") }
    let n = x.shape[x.shape.rank - 1]
    guard n >= k else { throw .invalidArgument("input must have at least k columns. Had \(n), needed \(k)") }
    let shape = try x.shape.replacing(x.shape.rank - 1, by: k)
    var values = try frame.output(0, x.dtype, shape)
    let indices = try frame.output(1, indexType, shape)
    guard shape.count > 0 else { return }
    let input = x.span(of: T.self)
    var best = values.mutableSpan(of: T.self)
    for row in 0..<(x.count / n) {
      if k <= 64 || k <= n / k {
        // The best so far stand sorted in the output; few values ever get in.
        var held = 0
        for i in 0..<n {
          let value = input[row * n + i]
          if held == k, !(value > best[row * k + k - 1]) { continue }
          var at = held < k ? held : k - 1
          while at > 0, value > best[row * k + at - 1] {
            best[row * k + at] = best[row * k + at - 1]
            indices.set(row * k + at, indices.int(at: row * k + at - 1) ?? 0)
            at -= 1
          }
          best[row * k + at] = value
          indices.set(row * k + at, i)
          if held < k { held += 1 }
        }
      } else {
        let order = (0..<n).sorted { a, b in
          let (x, y) = (input[row * n + a], input[row * n + b])
          return x > y || !(y > x) && a < b
        }
        for i in 0..<k {
          best[row * k + i] = input[row * n + order[i]]
          indices.set(row * k + i, order[i])
        }
      }
    }
  }
}

extension Frame {
  fileprivate mutating func inTopK(_ k: Int) throws(RunError) {
    let predictions = input(0)
    let targets = input(1)
    guard predictions.shape.rank == 2, predictions.dtype == .float else {
      throw .invalidArgument("predictions must be 2-dimensional")
    }
    guard targets.shape.rank == 1 else { throw .invalidArgument("targets must be 1-dimensional") }
    guard predictions.shape[0] == targets.count else {
      throw .invalidArgument(
        "First dimension of predictions \(predictions.shape[0]) must match length of targets \(targets.count)")
    }
    let classes = predictions.shape[1]
    let out = try output(0, .bool, [targets.count])
    let values = predictions.span(of: Float.self)
    for row in 0..<targets.count {
      let target = try targets.integer(at: row)
      var greater = 0
      var isAnswerable = target >= 0 && target < classes && values[row * classes + target].isFinite
      if isAnswerable {
        let own = values[row * classes + target]
        for i in 0..<classes {
          let value = values[row * classes + i]
          if !value.isFinite { isAnswerable = false }
          if value > own { greater += 1 }
        }
      }
      // `row` is within the output.
      unsafe out.pointer(Bool.self)[row] = isAnswerable && greater < k
    }
  }
}

// MARK: Uniqueness

extension Frame {
  /// For each of `count` entries the number of the first that is the same among the distinct ones, written to `numbers`; the distinct
  /// entries in order of appearance to `firsts`. Returns how many there are.
  private mutating func distinct(
    _ count: Int, _ numbers: Value, _ firsts: Value, hash: (Int) -> UInt64, same: (Int, Int) -> Bool
  ) throws(RunError) -> Int {
    guard count <= Int(Int32.max) else { throw .invalidArgument("unique does not support input tensors larger than \(Int32.max) elements") }
    let slots = HashIndex.slotCount(count)
    let memory = try unsafe scratch(byteCount: slots * 4)
    // The scratch holds the slots until the release below.
    let index = unsafe HashIndex(memory: memory.base, slotCount: slots)
    var found = 0
    for i in 0..<count {
      let h = hash(i)
      if let entry = index.find(h, { same(firsts.int(at: $0) ?? 0, i) }) {
        numbers.set(i, entry)
      } else {
        index.insert(h, found)
        firsts.set(found, i)
        numbers.set(i, found)
        found += 1
      }
    }
    release(memory)
    return found
  }

  fileprivate mutating func unique(_ type: DType, hasAxis: Bool, counts: Bool) throws(RunError) {
    let x = input(0)
    var along = 0
    if hasAxis, input(1).count > 0 {
      let axes = input(1)
      guard axes.count == 1 else {
        throw .invalidArgument("axis does not support input tensors larger than 1 elements")
      }
      let wanted = try axes.integer(at: 0)
      guard let at = axis(wanted, rank: x.shape.rank) else {
        throw .invalidArgument("axis has to be between [0, \(x.shape.rank))")
      }
      along = at
    } else if x.shape.rank != 1 {
      throw .invalidArgument(hasAxis ? "unique expects a 1D vector." : "unique expects a 1D vector.")
    }
    let n = x.shape[along]
    let outer = x.shape.count(upTo: along)
    let inner = x.shape.count(from: along + 1)
    let numbers = try output(1, type, [n])
    let firsts = try temporary(.int64, [n])
    let found: Int
    if x.dtype == .string {
      let words = { (entry: Int, k: Int) in (k / inner * n + entry) * inner + k % inner }
      found = try distinct(
        n, numbers, firsts.value,
        hash: { entry in
          var h: UInt64 = 0
          for k in 0..<(outer * inner) { h = HashIndex.hash(h ^ HashIndex.hash(x.string(at: words(entry, k)))) }
          return h
        },
        same: { a, b in (0..<(outer * inner)).allSatisfy { x.string(at: words(a, $0)) == x.string(at: words(b, $0)) } })
    } else {
      let size = x.dtype.size
      // For floats TensorFlow compares numbers: zeros are the same whatever their sign, and no NaN is.
      let floats = x.dtype == .float || x.dtype == .double
      func bits(_ entry: Int, _ k: Int) -> (UInt64, Bool) {
        // Element `k` of the slice `entry`, within the value.
        let at = unsafe x.at((k / inner * n + entry) * inner + k % inner)
        if floats {
          let value = unsafe size == 4 ? Double(at.load(as: Float.self)) : at.load(as: Double.self)
          return (value == 0 ? 0 : value.bitPattern, value.isNaN)
        }
        switch size {
        case 1: return unsafe (UInt64(at.load(as: UInt8.self)), false)
        case 2: return unsafe (UInt64(at.load(as: UInt16.self)), false)
        case 4: return unsafe (UInt64(at.load(as: UInt32.self)), false)
        case 8: return unsafe (at.load(as: UInt64.self), false)
        default:
          let words = unsafe (at.load(as: UInt64.self), at.load(fromByteOffset: 8, as: UInt64.self))
          return (words.0 ^ words.1 &* 31, false)
        }
      }
      found = try distinct(
        n, numbers, firsts.value,
        hash: { entry in
          var h: UInt64 = 0
          for k in 0..<(outer * inner) { h = HashIndex.hash(h ^ bits(entry, k).0) }
          return h
        },
        same: { a, b in
          for k in 0..<(outer * inner) {
            let (x, y) = (bits(a, k), bits(b, k))
            if x.0 != y.0 || x.1 { return false }
          }
          return true
        })
    }
    let out = try output(0, x.dtype, try x.shape.replacing(along, by: found))
    for o in 0..<outer {
      for i in 0..<found {
        // A slice's piece from its first place to its number.
        unsafe out.at((o * found + i) * inner).copyMemory(
          from: x.at((o * n + (firsts.value.int(at: i) ?? 0)) * inner), byteCount: inner * x.dtype.size)
      }
    }
    if counts {
      let times = try output(2, type, [found])
      unsafe zero(times)
      for i in 0..<n {
        let number = try numbers.integer(at: i)
        times.set(number, try times.integer(at: number) + 1)
      }
    }
    release(firsts.scratch)
  }

  fileprivate mutating func listDifference(_ type: DType) throws(RunError) {
    let (x, y) = (input(0), input(1))
    guard x.shape.rank == 1 else { throw .invalidArgument("x should be a 1D vector.") }
    guard y.shape.rank == 1, x.dtype == y.dtype else { throw .invalidArgument("y should be a 1D vector.") }
    func key(_ value: Value, _ i: Int) -> UInt64 {
      if value.dtype == .string { return HashIndex.hash(value.string(at: i)) }
      return unsafe HashIndex.hash(RawSpan(_unsafeStart: value.at(i), byteCount: value.dtype.size))
    }
    func same(_ a: Value, _ i: Int, _ b: Value, _ j: Int) -> Bool {
      if a.dtype == .string { return a.string(at: i) == b.string(at: j) }
      // Elements of one type.
      return unsafe RawSpan(_unsafeStart: a.at(i), byteCount: a.dtype.size)
        == RawSpan(_unsafeStart: b.at(j), byteCount: b.dtype.size)
    }
    let slots = HashIndex.slotCount(y.count)
    let memory = try unsafe scratch(byteCount: slots * 4)
    // The scratch holds the slots until the release below.
    let index = unsafe HashIndex(memory: memory.base, slotCount: slots)
    for j in 0..<y.count {
      let h = key(y, j)
      if index.find(h, { same(y, $0, y, j) }) == nil { index.insert(h, j) }
    }
    var kept = 0
    for i in 0..<x.count where index.find(key(x, i), { same(y, $0, x, i) }) == nil { kept += 1 }
    let out = try output(0, x.dtype, [kept])
    let places = try output(1, type, [kept])
    var at = 0
    for i in 0..<x.count where index.find(key(x, i), { same(y, $0, x, i) }) == nil {
      // One element of the type, `at` is below `kept`.
      unsafe out.at(at).copyMemory(from: x.at(i), byteCount: x.dtype.size)
      places.set(at, i)
      at += 1
    }
    release(memory)
  }

  // MARK: Searching

  fileprivate mutating func whereTrue() throws(RunError) {
    let x = input(0)
    let flags = try temporary(.bool, x.shape)
    if x.dtype == .bool {
      unsafe flags.value.base.copyMemory(from: x.base, byteCount: x.count)
    } else {
      guard let loop = unsafe ck_cast_loop(x.kernelType, UInt32(DType.bool.rawValue)) else { throw unsupported("Where", x.dtype) }
      // Both hold `x.count` elements of the types the loop was chosen for.
      unsafe loop(x.count, x.base, flags.value.base)
    }
    let set = flags.value.span(of: UInt8.self)
    var count = 0
    for i in 0..<set.count where set[i] != 0 { count += 1 }
    let rank = x.shape.rank
    var out = try output(0, .int64, [count, rank])
    var places = out.mutableSpan(of: Int64.self)
    let strides = x.shape.strides
    var at = 0
    for i in 0..<set.count where set[i] != 0 {
      var rest = i
      for d in 0..<rank {
        places[at] = Int64(rest / strides[d])
        rest %= strides[d]
        at += 1
      }
    }
    release(flags.scratch)
  }
}

private func unique(_ op: String) -> KernelDefinition {
  KernelDefinition(op) { node throws(GraphError) in
    let type = try node.dtype("out_idx", default: .int32)
    let hasAxis = op.hasSuffix("V2")
    let counts = op.contains("Counts")
    return { frame throws(RunError) in try frame.unique(type, hasAxis: hasAxis, counts: counts) }
  }
}

private struct Bucketize: TypedKernel {
  let boundaries: [Float]

  func run<T: Scalar>(_ type: T.Type, _ frame: inout Frame) throws(RunError) {
    let x = frame.input(0)
    var out = try frame.output(0, .int32, x.shape)
    let values = x.span(of: T.self)
    var buckets = out.mutableSpan(of: Int32.self)
    for i in 0..<values.count {
      let value = values[i].double
      var (low, high) = (0, boundaries.count)
      while low < high {
        let middle = (low + high) / 2
        if value < Double(boundaries[middle]) { high = middle } else { low = middle + 1 }
      }
      buckets[i] = Int32(low)
    }
  }
}

private struct Search: TypedKernel {
  let type: DType
  let upper: Bool

  func run<T: Scalar>(_ element: T.Type, _ frame: inout Frame) throws(RunError) {
    let (sorted, wanted) = (frame.input(0), frame.input(1))
    guard sorted.shape.rank == 2 else { throw .invalidArgument("sorted input argument must be a matrix") }
    guard wanted.shape.rank == 2, wanted.dtype == sorted.dtype else { throw .invalidArgument("search input argument must be a matrix") }
    guard sorted.shape[0] == wanted.shape[0] else {
      throw .invalidArgument("Leading dim_size of both tensors must match.")
    }
    let out = try frame.output(0, type, wanted.shape)
    let (n, m) = (sorted.shape[1], wanted.shape[1])
    let row = sorted.span(of: T.self)
    let values = wanted.span(of: T.self)
    for i in 0..<values.count {
      let start = i / m * n
      var (low, high) = (0, n)
      while low < high {
        let middle = (low + high) / 2
        let isBefore = upper ? !(row[start + middle] > values[i]) : row[start + middle] < values[i]
        if isBefore { low = middle + 1 } else { high = middle }
      }
      out.set(i, low)
    }
  }
}
