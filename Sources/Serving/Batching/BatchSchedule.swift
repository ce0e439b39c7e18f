// Many queues and whose turn it is, as a value. Queues that have a batch to run take turns; those whose batch is still open
// are looked at when it is old enough. A queue is made when its first task comes, and is gone when it is empty.
internal import Catalog
internal import HTTP

struct BatchSchedule<Key: Hashable, Task> {
  typealias Queue = BatchQueue<Task>

  private struct Entry {
    var queue: Queue
    /// It stands in `ready`.
    var isListed = false
    /// It stands in `timed`.
    var isTimed = false
  }

  private var entries: [Key: Entry] = [:]
  /// The next to be asked first. Those before `head` have had their turn.
  private var ready: [Key] = []
  private var head = 0
  /// Queues with an open batch, each at most once. Its time may be an earlier batch's.
  private var timed: [(key: Key, due: MonotonicTime)] = []
  /// Queues that are made from now on are closed.
  private var isClosed = false

  /// Queues that have a batch to run, as far as is known.
  var readyCount: Int { ready.count - head }
  /// When a queue should be looked at that has none yet.
  var due: MonotonicTime? { timed.lazy.map(\.due).min() }
  var queueCount: Int { entries.count }
  var rows: Int { entries.values.reduce(0) { $0 + $1.queue.rows } }
  var batchCount: Int { entries.values.reduce(0) { $0 + ($1.queue.isEmpty ? 0 : $1.queue.batchCount) } }

  /// Takes a task in.
  /// - Parameter isClosed: nobody will come to keep it company.
  mutating func add(
    _ task: Task, rows: Int, to key: Key, _ parameters: BatchingParameters, isClosed: Bool = false, at now: MonotonicTime
  ) throws(BatchRefusal) {
    var entry = entries.removeValue(forKey: key) ?? Entry(queue: Queue(parameters))
    if isClosed || self.isClosed { entry.queue.close() }
    defer { keep(entry, key, at: now) }
    try entry.queue.add(task, rows: rows, at: now)
  }

  /// The next batch to run, and of which queue.
  mutating func next(at now: MonotonicTime) -> (key: Key, batch: Queue.Batch)? {
    var i = 0
    while i < timed.count {
      guard timed[i].due <= now else {
        i += 1
        continue
      }
      let key = timed[i].key
      timed.swapAt(i, timed.count - 1)
      timed.removeLast()
      guard var entry = entries.removeValue(forKey: key) else { continue }
      entry.isTimed = false
      keep(entry, key, at: now)
    }
    while head < ready.count {
      let key = ready[head]
      head += 1
      if head == ready.count || head > 1024 {
        ready.removeFirst(head)
        head = 0
      }
      guard var entry = entries.removeValue(forKey: key) else { continue }
      entry.isListed = false
      let batch = entry.queue.next(at: now)
      keep(entry, key, at: now)
      if let batch { return (key, batch) }
    }
    return nil
  }

  /// Puts a queue back where it will be found; an empty one that nothing points at is forgotten.
  private mutating func keep(_ entry: Entry, _ key: Key, at now: MonotonicTime) {
    var entry = entry
    if !entry.isListed, entry.queue.isReady(at: now) {
      entry.isListed = true
      ready.append(key)
    }
    if !entry.isListed, !entry.isTimed, let due = entry.queue.due {
      entry.isTimed = true
      timed.append((key, due))
    }
    if entry.isListed || entry.isTimed { entries[key] = entry }
  }

  /// These queues wait for nothing any more.
  mutating func close(at now: MonotonicTime, _ isChosen: (Key) -> Bool) {
    timed.removeAll { isChosen($0.key) }
    for (key, var entry) in entries where isChosen(key) {
      entries[key] = nil
      entry.queue.close()
      entry.isTimed = false
      keep(entry, key, at: now)
    }
  }

  /// None does, nor any to come.
  mutating func closeAll(at now: MonotonicTime) {
    isClosed = true
    close(at: now) { _ in true }
  }
}
