// What a loop counts of requests: a block of words for each signature of each slot and way of asking, found by two integers.
// Names come in when a block is made, and when somebody reads.
//
//   RequestMeters   one per loop: the blocks it writes
//   RequestBoard    one per server: all blocks with their names, and what is left of those whose slot is gone
internal import Catalog
internal import Engine
internal import HTTP
internal import RPC
internal import Telemetry

/// The words of a block.
enum RequestWords {
  static let codeCount = Status.Code.allCases.count

  /// TensorFlow Serving's buckets for latencies, which it records in microseconds.
  static let latencyLayout = HistogramLayout(.exponential(scale: 10, growth: 1.8, count: 33), ticksPerUnit: 1000)
  /// TensorFlow's for a run.
  static let graphLayout = HistogramLayout(.exponential(scale: 1000, growth: 2, count: 20), ticksPerUnit: 1000)
  static let exampleLayout = HistogramLayout(.exponential(scale: 1, growth: 2, count: 15))
  static let stageLayout = HistogramLayout(
    Buckets([1e-6, 2.5e-6, 5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]),
    ticksPerUnit: 1e9)

  /// Requests that ended, by code.
  static let codes = 0
  /// Requests that left their loop, and those of them that have ended.
  static let detached = codes + codeCount
  static let settled = detached + 1
  /// Runs whose answer nobody waited for any more, and their nanoseconds.
  static let wasted = settled + 1
  static let wastedTime = wasted + 1
  static let latency = wastedTime + 1
  static let runtime = latency + latencyLayout.wordCount
  static let graph = runtime + latencyLayout.wordCount
  static let examples = graph + graphLayout.wordCount
  static let stages = examples + exampleLayout.wordCount
  static let count = stages + RequestStage.allCases.count * stageLayout.wordCount

  static func stage(_ stage: RequestStage) -> Int { stages + stage.rawValue * stageLayout.wordCount }
}

/// What a block is counted for.
struct RequestLabels: Hashable, Sendable {
  /// Empty: a model that nobody configured.
  var model = ""
  /// `nil`: no version served it.
  var version: Int64?
  var signature = ""
  var origin: RequestOrigin
}

extension RequestLabels {
  /// Those of a request that found its slot.
  init(_ slot: Slot, _ trail: RequestTrail) {
    self.init(
      model: slot.modelName, version: slot.version, signature: trail.signatureName(in: slot.model), origin: trail.origin)
  }
}

/// One loop's counts. Confined to it.
final class RequestMeters {
  private struct Entry {
    let slot: Int
    /// The signature's address; zero: none.
    let signature: UInt
    let origin: Int
    let block: MeterBlock
  }

  private let board: RequestBoard
  private let arena: MeterBlock
  private let words = Words()
  /// Blocks of slots. Open addressing, at most half full; a power of two of places.
  private var table: [Entry?] = .init(repeating: nil, count: 64)
  private var used = 0
  /// Blocks of requests that no slot was found for.
  private var others: [RequestLabels: MeterBlock] = [:]
  /// The slots that the loop's snapshot shows.
  private var slots: Set<Int> = []
  /// When the request before ended, if in the same turn of the loop.
  private var lastTurn = MonotonicTime(nanoseconds: 0)
  private var lastEnd = MonotonicTime(nanoseconds: 0)

  init(_ board: RequestBoard, _ snapshot: CatalogSnapshot) {
    self.board = board
    arena = board.makeArena()
    slots = Set(snapshot.models.flatMap(\.slots).map(\.id))
  }

  /// A request has arrived whole, in this turn of the loop.
  /// - Parameter began: when its first bytes came.
  func begin(_ origin: RequestOrigin, on loop: EventLoop, began: MonotonicTime) -> RequestTrail {
    let turn = loop.now
    var trail = RequestTrail(origin, arrived: turn, network: turn.nanoseconds(since: began))
    // It waited for those before it in this turn; the last one's end has been read already.
    if lastTurn == turn { trail.ended(.queue, at: lastEnd) }
    return trail
  }

  /// It leaves its loop for a worker.
  func detached(_ trail: inout RequestTrail, _ slot: Slot) {
    trail.isDetached = true
    block(trail, signature: 0) { RequestLabels(model: slot.modelName, version: slot.version, origin: trail.origin) }
      .add(at: RequestWords.detached)
  }

  /// It has come back.
  func settled(_ trail: RequestTrail) { find(trail, signature: 0)?.add(at: RequestWords.settled) }

  /// It was answered with a run's outputs, here.
  func answered(_ trail: inout RequestTrail, _ slot: Slot, _ signature: Signature?, on loop: EventLoop) {
    let block = block(trail, signature: trail.signature) {
      RequestLabels(model: slot.modelName, version: slot.version, signature: signature?.name ?? "", origin: trail.origin)
    }
    count(trail, .ok, in: block)
    trail.isOver = true
    lastTurn = loop.now
    lastEnd = trail.accounted
  }

  /// A run has left so much memory allocated.
  func holds(_ byteCount: Int) { arena.set(UInt64(byteCount), at: 0) }

  /// So many requests wait for their models.
  func waits(_ count: Int) { arena.set(UInt64(count), at: 1) }

  /// It ended in some other way, or elsewhere. Its slot may be gone.
  func ended(_ trail: inout RequestTrail, _ code: Status.Code, _ labels: RequestLabels) {
    trail.isOver = true
    if trail.isDetached { settled(trail) }
    if trail.slot == 0 { return count(trail, code, in: other(labels)) }
    if slots.contains(trail.slot) { return count(trail, code, in: block(trail, signature: trail.signature) { labels }) }
    // Its block has gone with the slot: what is left of that is shared by all loops.
    let own = MeterBlock(wordCount: RequestWords.count)
    count(trail, code, in: own)
    board.total(RequestLabels(model: labels.model, origin: labels.origin)).absorb(own)
  }

  private func count(_ trail: borrowing RequestTrail, _ code: Status.Code, in block: MeterBlock) {
    let words = words
    block.add(at: words.codes + code.rawValue)
    if code == .ok {
      block.record(trail.accounted.nanoseconds(since: trail.arrived), in: words.latencyLayout, at: words.latency)
    }
    for stage in 0..<RequestTrail.stageCount {
      // Stages that a request did not come to, or not through, say nothing.
      let time = trail.stages[stage]
      if time > 0 { block.record(time, in: words.stageLayout, at: words.stages + stage * words.stageWords) }
    }
    let run = trail.stages[RequestStage.compute.rawValue]
    if run > 0 {
      block.record(run, in: words.latencyLayout, at: words.runtime)
      if !trail.sharesRun { block.record(run, in: words.graphLayout, at: words.graph) }
    }
    // As in TensorFlow Serving, nothing else counts examples.
    if trail.origin.api == .multiInference, trail.rows > 0 {
      block.record(UInt64(trail.rows), in: RequestWords.exampleLayout, at: RequestWords.examples)
    }
    if code == .cancelled || code == .deadlineExceeded {
      block.add(at: RequestWords.wasted)
      block.add(run, at: RequestWords.wastedTime)
    }
  }

  /// What `count` needs of `RequestWords`, at hand: each of those is asked for behind a check that it has been made.
  private final class Words {
    let codes = RequestWords.codes
    let latency = RequestWords.latency
    let runtime = RequestWords.runtime
    let graph = RequestWords.graph
    let stages = RequestWords.stages
    let stageWords = RequestWords.stageLayout.wordCount
    let latencyLayout = RequestWords.latencyLayout
    let graphLayout = RequestWords.graphLayout
    let stageLayout = RequestWords.stageLayout
  }

  // MARK: Blocks

  private func place(_ slot: Int, _ signature: UInt, _ origin: Int) -> Int {
    // Addresses are multiples of sixteen, ids count up.
    let key = UInt(bitPattern: slot &* 64 &+ origin) ^ (signature >> 4)
    return Int(truncatingIfNeeded: (key &* 0x9E37_79B9_7F4A_7C15) >> 32) & (table.count &- 1)
  }

  private func find(_ trail: RequestTrail, signature: UInt) -> MeterBlock? {
    let origin = trail.origin.index
    var at = place(trail.slot, signature, origin)
    while let entry = table[at] {
      if entry.slot == trail.slot, entry.signature == signature, entry.origin == origin { return entry.block }
      at = (at &+ 1) & (table.count &- 1)
    }
    return nil
  }

  private func block(_ trail: RequestTrail, signature: UInt, _ labels: () -> RequestLabels) -> MeterBlock {
    if let known = find(trail, signature: signature) { return known }
    let block = board.makeBlock(labels())
    insert(Entry(slot: trail.slot, signature: signature, origin: trail.origin.index, block: block))
    return block
  }

  private func other(_ labels: RequestLabels) -> MeterBlock {
    if let known = others[labels] { return known }
    let block = board.makeBlock(labels)
    others[labels] = block
    return block
  }

  private func insert(_ entry: Entry) {
    if 2 * (used + 1) > table.count { rebuild(table.compactMap { $0 }, capacity: 2 * table.count) }
    var at = place(entry.slot, entry.signature, entry.origin)
    while table[at] != nil { at = (at + 1) & (table.count - 1) }
    table[at] = entry
    used += 1
  }

  private func rebuild(_ entries: [Entry], capacity: Int) {
    table = .init(repeating: nil, count: capacity)
    used = 0
    for entry in entries { insert(entry) }
  }

  /// Gives up the blocks of slots that the new snapshot does not show. For `CatalogReader.refresh`: an address is no name
  /// longer than what it names is there.
  func retire(keeping snapshot: CatalogSnapshot) {
    slots = Set(snapshot.models.flatMap(\.slots).map(\.id))
    let entries = table.compactMap { $0 }
    let kept = entries.filter { slots.contains($0.slot) }
    if kept.count == entries.count { return }
    for entry in entries where !slots.contains(entry.slot) { board.retire(entry.block) }
    rebuild(kept, capacity: table.count)
  }
}
