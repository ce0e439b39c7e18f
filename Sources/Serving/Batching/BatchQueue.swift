// The batches of one queue, as a value: tasks with rows go in, and batches come out when they are full or old enough. By the
// rules of TensorFlow's `SharedBatchScheduler`:
//
//   add ─► [ open batch ] ─ full, or the next task does not fit ─► [ closed ][ closed ] ─► next ─► somebody runs it
//                │                                                                          ▲
//                └──────────── old enough, full, or the queue is closed ────────────────────┘
//
// Batches that somebody has taken count no longer. The clock is the caller's.
internal import Catalog
internal import HTTP

struct BatchQueue<Task> {
  /// A task's part of a batch: all its rows, unless large ones are split.
  struct Piece {
    let task: Task
    let rows: Range<Int>
  }

  struct Batch {
    private(set) var pieces: [Piece] = []
    private(set) var rows = 0
    /// When its first task came.
    fileprivate(set) var opened = MonotonicTime(nanoseconds: 0)

    fileprivate mutating func add(_ piece: Piece) {
      pieces.append(piece)
      rows += piece.rows.count
    }
  }

  let parameters: BatchingParameters
  private let patience: UInt64
  /// Oldest first.
  private var closed: [Batch] = []
  private var open = Batch()
  private(set) var isClosed = false

  init(_ parameters: BatchingParameters) {
    self.parameters = parameters
    let (nanoseconds, overflow) = UInt64(max(0, parameters.timeoutMicroseconds)).multipliedReportingOverflow(by: 1000)
    patience = overflow ? .max : nanoseconds
  }

  /// Batches, the open one among them even when it is empty: what `max_enqueued_batches` limits.
  var batchCount: Int { closed.count + 1 }
  var isEmpty: Bool { closed.isEmpty && open.pieces.isEmpty }
  var rows: Int { closed.reduce(open.rows) { $0 + $1.rows } }

  /// When the open batch is old enough; `nil` when nothing is in it.
  var due: MonotonicTime? { open.pieces.isEmpty ? nil : open.opened.advanced(byNanoseconds: patience) }

  /// The most rows of a batch.
  private var batchRowsMax: Int { parameters.splitsLargeBatches ? parameters.executionBatchSizeMax : parameters.batchSizeMax }

  /// The rows there is room for when tasks are split.
  private var capacity: Int {
    let (rows, overflow) = (parameters.enqueuedBatchesMax - batchCount).multipliedReportingOverflow(by: batchRowsMax)
    return overflow ? .max / 2 : rows + batchRowsMax - open.rows
  }

  /// Takes a task of so many rows in.
  mutating func add(_ task: Task, rows: Int, at now: MonotonicTime) throws(BatchRefusal) {
    guard rows <= parameters.batchSizeMax else { throw .tooLarge(rows: rows, rowsMax: parameters.batchSizeMax) }
    guard parameters.splitsLargeBatches else {
      if open.rows + rows > batchRowsMax {
        guard batchCount < parameters.enqueuedBatchesMax else {
          throw .full(batches: batchCount, batchesMax: parameters.enqueuedBatchesMax)
        }
        closeOpen()
      }
      return put(Piece(task: task, rows: 0..<rows), at: now)
    }
    guard rows <= capacity else {
      throw .noCapacity(
        rows: rows, capacity: capacity, batches: batchCount, batchesMax: parameters.enqueuedBatchesMax, openRows: open.rows,
        rowsMax: batchRowsMax)
    }
    // What fits goes into the open batch, the rest into batches of its own, as large as they may be.
    var first = 0
    repeat {
      if open.rows == batchRowsMax, rows > first { closeOpen() }
      let count = min(rows - first, batchRowsMax - open.rows)
      put(Piece(task: task, rows: first..<first + count), at: now)
      first += count
    } while first < rows
  }

  private mutating func put(_ piece: Piece, at now: MonotonicTime) {
    if open.pieces.isEmpty { open.opened = now }
    open.add(piece)
  }

  private mutating func closeOpen() {
    closed.append(open)
    open = Batch()
  }

  /// Whether there is a batch to run.
  func isReady(at now: MonotonicTime) -> Bool {
    if !closed.isEmpty { return true }
    guard let due else { return false }
    return isClosed || open.rows >= batchRowsMax || due <= now
  }

  /// Takes the oldest batch out, if it is ready.
  mutating func next(at now: MonotonicTime) -> Batch? {
    guard isReady(at: now) else { return nil }
    if closed.isEmpty { closeOpen() }
    return closed.removeFirst()
  }

  /// Nothing waits for company any more: what is here is ready, and so is whatever still comes.
  mutating func close() { isClosed = true }
}

/// Why a task was not taken in.
enum BatchRefusal: Error, Equatable {
  case tooLarge(rows: Int, rowsMax: Int)
  case full(batches: Int, batchesMax: Int)
  case noCapacity(rows: Int, capacity: Int, batches: Int, batchesMax: Int, openRows: Int, rowsMax: Int)
}
