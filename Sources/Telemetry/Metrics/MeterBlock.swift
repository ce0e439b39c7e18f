// Numbers that one thread adds to and any thread reads: what an event loop counts. A block owns whole cache lines, so two
// loops that count the same things share none; a reader adds the blocks up. Adding is a load and a store, no locked operation.
internal import Synchronization

/// - Note: `@unchecked Sendable`: the pointer never changes, and what it points at are atomics.
@safe public final class MeterBlock: @unchecked Sendable {
  /// `count` initialised words on cache lines of their own, freed in `deinit`.
  @unsafe private let words: UnsafeMutablePointer<Atomic<UInt64>>
  public let count: Int

  private static let lineBytes = 64

  /// All zero.
  public init(wordCount: Int) {
    count = wordCount
    let bytes = (max(1, wordCount) * MemoryLayout<Atomic<UInt64>>.stride + MeterBlock.lineBytes - 1) & ~(MeterBlock.lineBytes - 1)
    let memory = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: MeterBlock.lineBytes)
    unsafe words = memory.bindMemory(to: Atomic<UInt64>.self, capacity: wordCount)
    for i in 0..<wordCount { unsafe (words + i).initialize(to: Atomic(0)) }
  }

  deinit {
    // `Atomic<UInt64>` is trivial: there is nothing to deinitialise.
    unsafe UnsafeMutableRawPointer(words).deallocate()
  }

  private func word(_ index: Int) -> UnsafeMutablePointer<Atomic<UInt64>> {
    precondition(index >= 0 && index < count)
    return unsafe words + index
  }

  public subscript(index: Int) -> UInt64 {
    // In bounds: `word` has checked.
    unsafe word(index).pointee.load(ordering: .relaxed)
  }

  /// Adds, on the one thread that writes this block.
  public func add(_ amount: UInt64 = 1, at index: Int) {
    // In bounds: `word` has checked.
    let word = unsafe word(index)
    unsafe word.pointee.store(word.pointee.load(ordering: .relaxed) &+ amount, ordering: .relaxed)
  }

  /// Sets a level, on the one thread that writes this block.
  public func set(_ value: UInt64, at index: Int) {
    // In bounds: `word` has checked.
    unsafe word(index).pointee.store(value, ordering: .relaxed)
  }

  /// Counts a value in the histogram whose words begin at `offset`, on the one thread that writes this block.
  public func record(_ ticks: UInt64, in layout: HistogramLayout, at offset: Int) {
    add(at: offset + layout.bucket(of: ticks))
    add(ticks, at: offset + layout.bucketCount)
  }

  /// Adds, on any thread: every writer of the word has to.
  public func addShared(_ amount: UInt64 = 1, at index: Int) {
    // In bounds: `word` has checked.
    unsafe word(index).pointee.wrappingAdd(amount, ordering: .relaxed)
  }

  /// The same for a histogram.
  public func recordShared(_ ticks: UInt64, in layout: HistogramLayout, at offset: Int) {
    addShared(at: offset + layout.bucket(of: ticks))
    addShared(ticks, at: offset + layout.bucketCount)
  }

  /// The histogram whose words begin at `offset`. Read while somebody counts, the sum may be a value ahead of the counts.
  public func histogram(_ layout: HistogramLayout, at offset: Int) -> HistogramValue {
    HistogramValue(
      layout, counts: (0..<layout.bucketCount).map { self[offset + $0] }, ticks: self[offset + layout.bucketCount])
  }

  /// Adds everything that `other`, of the same make, has counted. For who keeps totals of blocks that go.
  public func absorb(_ other: MeterBlock) {
    precondition(other.count == count)
    for i in 0..<count where other[i] != 0 { addShared(other[i], at: i) }
  }
}
