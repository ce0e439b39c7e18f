// A slot is a loaded version at run time, and a lease is the right to use one outside the loop that found it.
//
// A loop may use every slot its snapshot shows, without counting, until it refreshes its reader. Work that leaves the loop
// (a worker thread's batch) outlives that, so it takes a lease. A slot is freed when no reader can see it any more *and* no
// lease is out; see `Catalog` for the first half.
public import Engine
internal import Synchronization

/// A loaded version of a model.
public final class Slot: Sendable {
  public let modelName: String
  public let version: Int64
  public let model: Model
  /// How its requests are gathered into batches, if they are.
  public let batching: BatchingParameters?
  /// Process-wide and never used twice: a key for what a loop or a queue keeps per slot.
  public let id: Int

  /// The number of leases out, above one bit that says the slot was retired.
  private let leases = Atomic<Int>(0)
  private let drained: @Sendable () -> Void

  private static let retiredBit = 1
  private static let oneLease = 2
  private static let lastID = Atomic<Int>(0)

  /// - Parameter drained: called, on the thread that gives it back, when the last lease of a retired slot comes back.
  public init(
    modelName: String, version: Int64, model: Model, batching: BatchingParameters? = nil,
    drained: @escaping @Sendable () -> Void = {}
  ) {
    self.modelName = modelName
    self.version = version
    self.model = model
    self.batching = batching
    self.drained = drained
    id = Slot.lastID.add(1, ordering: .relaxed).newValue
  }

  /// The leases out now.
  public var leaseCount: Int { leases.load(ordering: .acquiring) / Slot.oneLease }

  /// From now on the last lease to come back says so. Called by the writer once the slot is in no snapshot it publishes.
  public func retire() {
    leases.bitwiseOr(Slot.retiredBit, ordering: .acquiringAndReleasing)
  }

  // Relaxed: whoever takes a lease sees the slot in a snapshot it has not yet given up (or holds a lease already), and
  // giving the snapshot up is a release.
  fileprivate func take() { leases.add(Slot.oneLease, ordering: .relaxed) }

  fileprivate func giveBack() {
    if leases.subtract(Slot.oneLease, ordering: .acquiringAndReleasing).newValue == Slot.retiredBit { drained() }
  }
}

/// Keeps a slot loaded while work on it is away from the loop that found it.
public struct Lease: ~Copyable, Sendable {
  public let slot: Slot

  /// The caller sees `slot` in its reader's snapshot, or holds a lease on it.
  public init(_ slot: Slot) {
    self.slot = slot
    slot.take()
  }

  deinit { slot.giveBack() }
}
