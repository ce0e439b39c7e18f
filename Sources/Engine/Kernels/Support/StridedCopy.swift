// The one loop behind Transpose, StridedSlice, Tile, BroadcastTo, Reverse, Pad, SpaceToDepth and their kin: each is a walk over
// some dimensions in which the source and the destination advance by strides of their own. Dimensions that can be walked as one
// are joined, and the innermost is a memory move, a fill or a vector loop.
internal import CKernels
internal import Tensors

struct StridedCopy {
  /// Tile and the block ops split dimensions in two.
  static let rankMax = 2 * Shape.rankMax

  private(set) var rank = 0
  // Outermost first; strides in elements.
  private var extents: [16 of Int] = .init(repeating: 1)
  private var from: [16 of Int] = .init(repeating: 0)
  private var to: [16 of Int] = .init(repeating: 0)
  /// Where the walk begins in the source and in the destination, in elements.
  var fromStart = 0
  var toStart = 0
  private var isEmpty = false

  /// Adds a dimension inside those there are.
  mutating func append(_ extent: Int, from fromStride: Int, to toStride: Int) {
    if extent <= 0 { isEmpty = true }
    if extent == 1 { return }
    if rank > 0, from[rank - 1] == fromStride &* extent, to[rank - 1] == toStride &* extent {
      extents[rank - 1] &*= extent
      from[rank - 1] = fromStride
      to[rank - 1] = toStride
      return
    }
    precondition(rank < StridedCopy.rankMax)
    extents[rank] = extent
    from[rank] = fromStride
    to[rank] = toStride
    rank += 1
  }

  /// Makes the destination row-major over the dimensions appended so far, whatever was given for it.
  mutating func packDestination() {
    var stride = 1
    for d in (0..<rank).reversed() {
      to[d] = stride
      stride &*= extents[d]
    }
  }

  /// The way back: what was read is written.
  var reversed: StridedCopy {
    var result = self
    (result.from, result.to) = (to, from)
    (result.fromStart, result.toStart) = (toStart, fromStart)
    return result
  }

  /// Makes the source one element, read for all.
  mutating func repeatSource() {
    for d in 0..<rank { from[d] = 0 }
  }

  /// Copies elements of `size` bytes.
  /// - Precondition: every element the walk touches lies within the two values: the caller derived it from their shapes.
  func run(from source: Value, to destination: Value) {
    if isEmpty { return }
    let size = source.dtype.size
    // The caller's promise above.
    let x = unsafe UnsafeRawPointer(source.base) + fromStart * size
    let out = unsafe destination.base + toStart * size
    guard rank > 0 else {
      unsafe out.copyMemory(from: x, byteCount: size)
      return
    }
    let last = rank - 1
    // Two dimensions of which each is dense on one side: a matrix transposed by tiles.
    if rank >= 2, to[last] == 1, from[last] > 1, from[last - 1] == 1 {
      unsafe walk(0, last - 1, x, out, size) { x, out in
        unsafe ck_transpose(extents[last], extents[last - 1], size, x, from[last], out, to[last - 1])
      }
      return
    }
    unsafe walk(0, last, x, out, size) { x, out in
      let n = extents[last]
      if to[last] == 1 {
        switch from[last] {
        case 1: unsafe out.copyMemory(from: x, byteCount: n * size)
        case 0: unsafe ck_fill(n, size, x, out)
        default: unsafe ck_gather_strided(n, size, x, from[last], out)
        }
      } else {
        for i in 0..<n {
          unsafe (out + i * to[last] * size).copyMemory(from: x + i * from[last] * size, byteCount: size)
        }
      }
    }
  }

  @unsafe private func walk(
    _ d: Int, _ end: Int, _ x: UnsafeRawPointer, _ out: UnsafeMutableRawPointer, _ size: Int,
    _ body: (UnsafeRawPointer, UnsafeMutableRawPointer) -> Void
  ) {
    if d == end { return unsafe body(x, out) }
    for i in 0..<extents[d] {
      unsafe walk(d + 1, end, x + i * from[d] * size, out + i * to[d] * size, size, body)
    }
  }
}
