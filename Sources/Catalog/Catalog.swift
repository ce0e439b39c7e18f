// The hinge between the two flows: Lifecycle writes it, Serving reads it, and readers never wait.
//
//   writer            Catalog                     reader (one per loop)
//   ──────            ───────                     ─────────────────────
//   publish ────────► current ──offer──► cell ──► refresh: take the offer, drop the old snapshot, acknowledge its epoch
//      │                 │                              │
//      │              retired: what some                │
//      │              reader may still see ◄────────────┘
//      └─ acknowledged() ─ frees the retired snapshots that nobody sees, on the writer's thread
//
// This is read-copy-update with quiescent states. A loop holds its own reference to a snapshot and uses it between two
// refreshes without counting anything. The writer takes a version out of the next snapshot, publishes it, and waits until
// every reader acknowledged that epoch; then no loop can see the version, and once its leases are back it can be freed.
//
// Invariants:
// - A snapshot is offered through a cell of the reader's own: no line is shared by readers while nothing changes.
// - The catalog keeps each old snapshot until every reader acknowledged a newer one, so a reader never drops the last
//   reference to one: megabytes of weights are freed by the writer, not between two requests.
// - The lock orders the writer and readers that come and go. `refresh` never takes it.
internal import Synchronization

public final class Catalog: Sendable {
  private struct State {
    var current = CatalogSnapshot(epoch: 0, models: [])
    /// Oldest first.
    var retired: [CatalogSnapshot] = []
    var readers: [ReaderCell] = []
    var observers: [@Sendable () -> Void] = []
  }
  private let state = Mutex(State())
  private let lastEpoch = Atomic<UInt64>(0)
  private let writer = AtomicLazyReference<Writer>()

  /// Whom to tell what readers did.
  private final class Writer: Sendable {
    let notify: @Sendable () -> Void
    init(_ notify: @escaping @Sendable () -> Void) { self.notify = notify }
  }

  public init() {}

  /// The epoch of the snapshot published last.
  public var epoch: UInt64 { lastEpoch.load(ordering: .acquiring) }

  /// The snapshot published last, for who asks now and then (a status page). Loops have a `CatalogReader`.
  public var current: CatalogSnapshot { state.withLock { $0.current } }

  /// Has `notify` called after every publication, on the publisher's thread, for as long as the catalog lives. A loop
  /// enqueues its reader's `refresh` there, so that an idle loop acknowledges too.
  public func observe(_ notify: @escaping @Sendable () -> Void) {
    state.withLock { $0.observers.append(notify) }
  }

  // MARK: The writer's side

  /// Replaces all models at once. There is one writer: Lifecycle.
  ///
  /// - Returns: the epoch that shows `models`.
  @discardableResult
  public func publish(_ models: [ModelEntry]) -> UInt64 {
    let snapshot = CatalogSnapshot(epoch: lastEpoch.load(ordering: .relaxed) + 1, models: models)
    let observers = state.withLock { state in
      state.retired.append(state.current)
      state.current = snapshot
      for reader in state.readers { reader.offer(snapshot) }
      lastEpoch.store(snapshot.epoch, ordering: .releasing)
      return state.observers
    }
    for notify in observers { notify() }
    return snapshot.epoch
  }

  /// The newest epoch that no reader is behind. Frees, on the calling thread, the snapshots that only older readers saw.
  public func acknowledged() -> UInt64 {
    // The freed snapshots leave the lock before their last reference goes.
    let (epoch, freed) = state.withLock { state in
      var epoch = state.current.epoch
      for reader in state.readers { epoch = min(epoch, reader.acknowledged.load(ordering: .acquiring)) }
      let split = state.retired.firstIndex { $0.epoch >= epoch } ?? state.retired.count
      let freed = Array(state.retired[..<split])
      state.retired.removeSubrange(..<split)
      return (epoch, freed)
    }
    _ = consume freed
    return epoch
  }

  /// Has `notify` called when a reader acknowledged an epoch or went away, on its thread: the writer asks `acknowledged()`.
  /// For the writer, once.
  public func onAcknowledge(_ notify: @escaping @Sendable () -> Void) {
    let writer = Writer(notify)
    precondition(self.writer.storeIfNil(writer) === writer, "a catalog has one writer")
  }

  // MARK: Readers

  func register() -> (cell: ReaderCell, snapshot: CatalogSnapshot) {
    state.withLock { state in
      let cell = ReaderCell(acknowledged: state.current.epoch)
      state.readers.append(cell)
      return (cell, state.current)
    }
  }

  func deregister(_ cell: ReaderCell) {
    state.withLock { $0.readers.removeAll { $0 === cell } }
    cell.offer(nil)
    readerMoved()
  }

  /// Once per reader and publication, never per request.
  func readerMoved() { writer.load()?.notify() }
}

/// Where the catalog and one reader meet.
@safe final class ReaderCell: Sendable {
  /// The snapshot the reader has not taken yet, with a reference of its own.
  private let offered = unsafe Atomic<Unmanaged<CatalogSnapshot>?>(nil)
  /// The reader sees nothing older than this.
  let acknowledged: Atomic<UInt64>

  init(acknowledged: UInt64) { self.acknowledged = Atomic(acknowledged) }

  /// Puts a snapshot there, in place of one that was not taken.
  func offer(_ snapshot: CatalogSnapshot?) {
    // Whoever takes the pointer out of the atomic, here or in `take`, owns the reference that `passRetained` made.
    let old = unsafe offered.exchange(snapshot.map { unsafe Unmanaged.passRetained($0) }, ordering: .acquiringAndReleasing)
    unsafe old?.release()
  }

  /// Whether there is something to take. One load of a line that nobody else writes while nothing changes.
  var hasOffer: Bool { unsafe offered.load(ordering: .relaxed) != nil }

  func take() -> CatalogSnapshot? {
    // As in `offer`: out of the atomic, the reference is ours.
    unsafe offered.exchange(nil, ordering: .acquiringAndReleasing)?.takeRetainedValue()
  }
}
