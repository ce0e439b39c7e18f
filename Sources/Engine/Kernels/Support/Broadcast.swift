// Tensors of different shapes read side by side, as NumPy and TensorFlow define it: shapes are aligned at the end, and an
// extent of one is repeated. Neighbouring dimensions that repeat alike are one loop; the innermost loop is handed out as a
// row, over which each operand either advances by one or stands still.
internal import Tensors

struct Broadcast {
  /// The shape of the result.
  let shape: Shape
  private var rank = 0
  // Loops, innermost first.
  private var extents: [8 of Int] = .init(repeating: 1)
  private var strides: [3 of [8 of Int]] = .init(repeating: .init(repeating: 0))

  /// A run of `count` elements: where each operand's begin, in elements, and whether it advances.
  struct Row {
    var count: Int
    var output: Int
    var start: [3 of Int]
    var step: [3 of Int32]
  }

  /// `nil` when the shapes do not agree.
  init?(_ a: Shape, _ b: Shape) { self.init(a, b, Shape(), operands: 2) }
  init?(_ a: Shape, _ b: Shape, _ c: Shape) { self.init(a, b, c, operands: 3) }

  private init?(_ a: Shape, _ b: Shape, _ c: Shape, operands: Int) {
    if a == b, operands == 2 {
      shape = a
      rank = 1
      extents[0] = a.count
      for i in 0..<2 { strides[i][0] = 1 }
      return
    }
    let resultRank = max(a.rank, b.rank, c.rank)
    func extent(_ shape: Shape, _ fromEnd: Int) -> Int {
      fromEnd < shape.rank ? shape[shape.rank - 1 - fromEnd] : 1
    }
    var dims = Dims(repeating: 1, count: resultRank)
    var next: [3 of Int] = .init(repeating: 1)
    var before: UInt8? = nil
    for d in 0..<resultRank {
      let sizes: [3 of Int] = [extent(a, d), extent(b, d), extent(c, d)]
      var size = 1
      for i in 0..<operands where sizes[i] != 1 {
        guard size == 1 || size == sizes[i] else { return nil }
        size = sizes[i]
      }
      dims[resultRank - 1 - d] = size
      if size == 1 { continue }
      var repeats: UInt8 = 0
      for i in 0..<operands where sizes[i] == 1 { repeats |= 1 << UInt8(i) }
      if repeats == before {
        extents[rank - 1] &*= size
      } else {
        extents[rank] = size
        for i in 0..<operands { strides[i][rank] = sizes[i] == 1 ? 0 : next[i] }
        rank += 1
        before = repeats
      }
      for i in 0..<operands { next[i] &*= sizes[i] }
    }
    if rank == 0 {
      rank = 1
      for i in 0..<operands { strides[i][0] = 1 }
    }
    guard let shape = try? Shape(checking: dims) else { return nil }
    self.shape = shape
  }

  /// Calls `body` for every row of the result, in order.
  func forEachRow(_ body: (borrowing Row) -> Void) {
    if shape.count == 0 { return }
    var row = Row(count: extents[0], output: 0, start: .init(repeating: 0), step: .init(repeating: 0))
    for i in 0..<3 { row.step[i] = strides[i][0] == 0 ? 0 : 1 }
    var index: [8 of Int] = .init(repeating: 0)
    while true {
      body(row)
      row.output &+= row.count
      var d = 1
      while d < rank {
        index[d] &+= 1
        for i in 0..<3 { row.start[i] &+= strides[i][d] }
        if index[d] < extents[d] { break }
        for i in 0..<3 { row.start[i] &-= strides[i][d] &* extents[d] }
        index[d] = 0
        d += 1
      }
      if d >= rank { return }
    }
  }
}
