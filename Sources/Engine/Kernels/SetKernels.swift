// Sets: the last dimension of a tensor, dense or sparse, holds the elements of a set, in any order and any number of times; the
// dimensions before it say which set. Results are sparse tensors, each set's elements rising.
internal import Tensors

let setKernels: [KernelDefinition] = [
  operation("DenseToDenseSetOperation", isSparse: [false, false]), operation("DenseToSparseSetOperation", isSparse: [false, true]),
  operation("SparseToSparseSetOperation", isSparse: [true, true]),
  KernelDefinition("SetSize") { node throws(GraphError) in
    let validates = try node.bool("validate_indices", default: true)
    return { frame throws(RunError) in
      let sets = try Sets(sparse: frame, 0, validates)
      let sizes = try frame.output(0, .int32, sets.groups)
      unsafe frame.zero(sizes)
      for (group, elements) in sets.elements { sizes.set(group, elements.count) }
    }
  },
]

private enum SetOperation: String {
  case intersection, union
  case first = "a-b"
  case second = "b-a"
}

private func operation(_ op: String, isSparse: [Bool]) -> KernelDefinition {
  KernelDefinition(op) { node throws(GraphError) in
    let name = try node.string("set_operation")
    guard let operation = SetOperation(rawValue: name) else { throw node.invalid("Invalid set_operation \(name).") }
    let validates = try node.bool("validate_indices", default: true)
    return { frame throws(RunError) in
      let first = try isSparse[0] ? Sets(sparse: frame, 0, validates) : Sets(dense: frame.input(0))
      let next = isSparse[0] ? 3 : 1
      let second = try isSparse[1] ? Sets(sparse: frame, next, validates) : Sets(dense: frame.input(next))
      try frame.combine(first, second, operation)
    }
  }
}

/// The sets of a tensor.
private struct Sets {
  let values: Value
  /// The dimensions before the last.
  let groups: Shape
  /// The sets that are not empty, by their number: places of elements among the values, rising by value, each value once.
  let elements: [Int: [Int]]

  init(dense value: Value) throws(RunError) {
    let rank = value.shape.rank
    guard rank >= 2 else { throw .invalidArgument("Shape \(value.shape) has rank \(rank) < 2") }
    let size = value.shape[rank - 1]
    groups = value.shape.removing(rank - 1)
    values = value
    var elements: [Int: [Int]] = [:]
    for group in 0..<groups.count where size > 0 { elements[group] = try Sets.sorted(value, Array(group * size..<(group + 1) * size)) }
    self.elements = elements
  }

  /// Three inputs: indices, values and shape.
  init(sparse frame: borrowing Frame, _ input: Int, _ validates: Bool) throws(RunError) {
    let (indices, values) = (frame.input(input), frame.input(input + 1))
    let dims = try frame.input(input + 2).dims()
    let whole = try Shape(checking: dims)
    let rank = whole.rank
    guard rank >= 2 else { throw .invalidArgument("Shape \(whole) has rank \(rank) < 2") }
    guard indices.dtype == .int64, indices.shape.rank == 2, indices.shape[1] == rank, values.shape.rank == 1, values.count == indices.shape[0] else {
      throw .invalidArgument("Expected indices of shape [n,\(rank)] and n values, got \(indices.shape) and \(values.shape)")
    }
    groups = whole.removing(rank - 1)
    self.values = values
    var places: [Int: [Int]] = [:]
    let numbers = indices.span(of: Int.self)
    var before = -1
    for i in 0..<values.count {
      var group = 0
      var at = 0
      for d in 0..<rank {
        let index = numbers[i * rank + d]
        guard index >= 0, index < whole[d] else {
          throw .invalidArgument("indices[\(i)] = \(indices.row(i, rank, ",")) is out of bounds: need 0 <= index < \(whole)")
        }
        at = at * whole[d] + index
        if d < rank - 1 { group = at }
      }
      if validates, at <= before {
        throw .invalidArgument(
          "indices[\(i)] = \(indices.row(i, rank, ",")) is \(at == before ? "repeated" : "out of order. Many sparse ops require sorted indices.\n    Use `tf.sparse.reorder` to create a correctly ordered copy.\n\n")")
      }
      before = at
      places[group, default: []].append(i)
    }
    var elements: [Int: [Int]] = [:]
    for (group, places) in places { elements[group] = try Sets.sorted(values, places) }
    self.elements = elements
  }

  private static func sorted(_ values: Value, _ places: [Int]) throws(RunError) -> [Int] {
    guard values.dtype == .string || places.isEmpty || values.int(at: places[0]) != nil else {
      throw .unimplemented("sets of \(values.dtype) are not supported")
    }
    let sorted = places.sorted { Sets.order(values, $0, values, $1) < 0 }
    return sorted.indices.filter { $0 == 0 || Sets.order(values, sorted[$0 - 1], values, sorted[$0]) != 0 }.map { sorted[$0] }
  }

  /// Below zero when one element comes before another, zero when they are the same.
  static func order(_ a: Value, _ i: Int, _ b: Value, _ j: Int) -> Int {
    if a.dtype == .string, b.dtype == .string {
      let (x, y) = (a.string(at: i), b.string(at: j))
      for k in 0..<min(x.byteCount, y.byteCount) {
        let (p, q) = unsafe (x.unsafeLoad(fromByteOffset: k, as: UInt8.self), y.unsafeLoad(fromByteOffset: k, as: UInt8.self))
        if p != q { return p < q ? -1 : 1 }
      }
      return x.byteCount - y.byteCount
    }
    let (x, y) = (a.int(at: i) ?? 0, b.int(at: j) ?? 0)
    return x < y ? -1 : x == y ? 0 : 1
  }
}

extension Frame {
  /// Outputs 0 to 2: the sets made of two of one number each.
  fileprivate mutating func combine(_ a: Sets, _ b: Sets, _ operation: SetOperation) throws(RunError) {
    guard a.values.dtype == b.values.dtype else { throw .invalidArgument("sets of \(a.values.dtype) and of \(b.values.dtype)") }
    guard a.groups == b.groups else { throw .invalidArgument("Mismatched shapes \(a.groups) vs \(b.groups)") }
    var result: [(group: Int, elements: [(value: Value, place: Int)])] = []
    var longest = 0
    for group in Set(a.elements.keys).union(b.elements.keys).sorted() {
      let (x, y) = (a.elements[group] ?? [], b.elements[group] ?? [])
      var elements: [(value: Value, place: Int)] = []
      var (i, j) = (0, 0)
      while i < x.count || j < y.count {
        let order = i == x.count ? 1 : j == y.count ? -1 : Sets.order(a.values, x[i], b.values, y[j])
        let isWanted =
          switch operation {
          case .intersection: order == 0
          case .union: true
          case .first: order < 0
          case .second: order > 0
          }
        if isWanted { elements.append(order <= 0 ? (a.values, x[i]) : (b.values, y[j])) }
        if order <= 0 { i += 1 }
        if order >= 0 { j += 1 }
      }
      longest = max(longest, elements.count)
      result.append((group, elements))
    }
    let total = result.reduce(0) { $0 + $1.elements.count }
    let rank = a.groups.rank + 1
    var indices = try output(0, .int64, [total, rank])
    let values = try output(1, a.values.dtype, [total])
    let shape = try output(2, .int64, [rank])
    var numbers = indices.mutableSpan(of: Int.self)
    let size = a.values.dtype.size
    var at = 0
    for (group, elements) in result {
      for (i, element) in elements.enumerated() {
        var rest = group
        for d in (0..<rank - 1).reversed() {
          numbers[at * rank + d] = rest % a.groups[d]
          rest /= a.groups[d]
        }
        numbers[at * rank + rank - 1] = i
        // An element of the output's type; a string's bytes outlive the run.
        unsafe values.at(at).copyMemory(from: element.value.at(element.place), byteCount: size)
        at += 1
      }
    }
    for d in 0..<rank - 1 { shape.set(d, a.groups[d]) }
    shape.set(rank - 1, longest)
  }
}
