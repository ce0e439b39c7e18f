// A loop's own view of the catalog.
internal import Synchronization

/// Holds a snapshot for one loop. Confined to that loop; make it there, and let it go there.
///
/// Everything a snapshot shows (entries, slots, models) may be used until the next `refresh`, and not after, unless a
/// `Lease` was taken. References that a loop keeps in tables of its own belong in `refresh`'s closure: replaced there, they
/// are gone before the writer may free anything.
public final class CatalogReader {
  /// What the loop sees. Use it in place: a reference that is kept is a count on a line all loops share.
  public private(set) var snapshot: CatalogSnapshot
  private let cell: ReaderCell
  private let catalog: Catalog

  public init(_ catalog: Catalog) {
    self.catalog = catalog
    (cell, snapshot) = catalog.register()
  }

  deinit {
    // First the snapshot, then the leave: the writer must not believe it alone while this loop holds the last reference.
    snapshot = CatalogSnapshot.empty
    catalog.deregister(cell)
  }

  /// Takes the newest snapshot, if there is a newer one, and tells the writer that this loop sees nothing older. Costs one
  /// load when nothing changed, and never waits.
  ///
  /// - Parameter changed: called with the new snapshot before the old one's slots may be freed.
  /// - Returns: whether the snapshot changed.
  @discardableResult
  public func refresh(_ changed: (CatalogSnapshot) -> Void = { _ in }) -> Bool {
    guard cell.hasOffer, let next = cell.take() else { return false }
    snapshot = next
    changed(next)
    cell.acknowledged.store(next.epoch, ordering: .releasing)
    catalog.readerMoved()
    return true
  }
}

extension CatalogSnapshot {
  static let empty = CatalogSnapshot(epoch: 0, models: [])
}
