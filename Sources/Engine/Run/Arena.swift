// The memory of a run. Blocks are cut from a chunk from the front; a block whose last reader has run is used again
// by the next step that fits. When a run needed more than the chunk held, the next run starts with a chunk that holds all:
// after the first run of a plan nothing is allocated any more.

internal import Glibc

/// The memory of one run at a time. Blocks are counted: a reshape shares its input's block.
@safe struct Arena: ~Copyable {
  @safe struct Block: BitwiseCopyable {
    @unsafe var base: UnsafeMutableRawPointer
    var byteCount: Int
    var uses: Int32
  }

  /// The most bytes a run may hold; past it, `RESOURCE_EXHAUSTED`.
  let bytesMax: Int
  /// What stays allocated between runs; one huge request does not keep its memory for ever.
  let bytesKept: Int

  private var chunks: [Chunk] = []
  private var cursor = 0
  private var bytesThisRun = 0
  private var blocks: [Block] = []
  private var free: [Int32] = []

  @safe private struct Chunk {
    @unsafe var base: UnsafeMutableRawPointer
    var byteCount: Int

    /// `nil` when the machine has no such memory: how much a run asks for is its request's to say.
    init?(byteCount: Int) {
      var fresh: UnsafeMutableRawPointer?
      // The alignment is a power of two, and `fresh` is written on success only.
      guard unsafe posix_memalign(&fresh, Arena.alignment, byteCount) == 0, let base = unsafe fresh else { return nil }
      unsafe self.base = base
      self.byteCount = byteCount
    }

    func free() { unsafe Glibc.free(base) }
  }

  static let alignment = 64
  private static let firstChunk = 1 << 16

  init(bytesMax: Int, bytesKept: Int) {
    self.bytesMax = bytesMax
    self.bytesKept = bytesKept
  }

  deinit { for chunk in chunks { chunk.free() } }

  /// What is allocated now.
  var bytesHeld: Int {
    var sum = 0
    for chunk in chunks { sum += chunk.byteCount }
    return sum
  }

  /// Forgets every block of the run before.
  mutating func reset() {
    blocks.removeAll(keepingCapacity: true)
    free.removeAll(keepingCapacity: true)
    if chunks.count > 1 || bytesThisRun > bytesKept {
      for chunk in chunks { chunk.free() }
      chunks.removeAll(keepingCapacity: true)
      if bytesThisRun <= bytesKept, let chunk = Chunk(byteCount: (bytesThisRun * 5 / 4 + 4095) & ~4095) { chunks.append(chunk) }
    }
    cursor = 0
    bytesThisRun = 0
  }

  /// A block of at least `byteCount` bytes, aligned to a cache line, contents unspecified, used once.
  mutating func allocate(byteCount: Int) throws(RunError) -> Int32 {
    guard byteCount <= bytesMax else { throw exhausted(byteCount) }
    let size = (max(byteCount, 1) + Arena.alignment - 1) & ~(Arena.alignment - 1)
    // Smallest free block that fits and is not absurdly large. The list is short: it holds what one run let go.
    var best = -1
    var bestSize = Int.max
    for i in 0..<free.count {
      let candidate = blocks[Int(free[i])].byteCount
      if candidate >= size, candidate < bestSize {
        best = i
        bestSize = candidate
      }
    }
    if best >= 0, bestSize <= 4 * size {
      let id = free[best]
      free.swapAt(best, free.count - 1)
      free.removeLast()
      blocks[Int(id)].uses = 1
      return id
    }
    guard size <= bytesMax - bytesThisRun else { throw exhausted(byteCount) }
    if chunks.isEmpty || cursor + size > chunks[chunks.count - 1].byteCount {
      guard let chunk = Chunk(byteCount: max(size, Arena.firstChunk)) else { throw exhausted(byteCount) }
      chunks.append(chunk)
      cursor = 0
    }
    let base = unsafe chunks[chunks.count - 1].base + cursor
    cursor += size
    bytesThisRun += size
    unsafe blocks.append(Block(base: base, byteCount: size, uses: 1))
    return Int32(blocks.count - 1)
  }

  private func exhausted(_ byteCount: Int) -> RunError {
    RunError(
      .resourceExhausted,
      "OOM when allocating a tensor of \(byteCount) bytes: the run holds \(bytesThisRun) of at most \(bytesMax) bytes")
  }

  /// Where a block starts. Valid until the arena is reset.
  @unsafe func base(of block: Int32) -> UnsafeMutableRawPointer { unsafe blocks[Int(block)].base }

  /// Whether bytes stand in this arena's memory.
  func holds(_ pointer: UnsafeRawPointer) -> Bool {
    for chunk in chunks {
      // Compared, not read.
      let start = unsafe UnsafeRawPointer(chunk.base)
      if unsafe pointer >= start && pointer < start + chunk.byteCount { return true }
    }
    return false
  }

  /// Blocks there are, in use or not.
  var blockCount: Int { blocks.count }
  func byteCount(of block: Int32) -> Int { blocks[Int(block)].byteCount }
  func uses(of block: Int32) -> Int32 { blocks[Int(block)].uses }
  mutating func retain(_ block: Int32) { blocks[Int(block)].uses += 1 }

  mutating func release(_ block: Int32) {
    blocks[Int(block)].uses -= 1
    if blocks[Int(block)].uses == 0 { free.append(block) }
  }
}
