import Engine
import Synchronization
import Testing

@testable import Catalog

private let model = Model(signatures: [], signatureDefs: [])

private func slot(_ version: Int64, _ name: String = "m") -> Slot { Slot(modelName: name, version: version, model: model) }

private func entry(_ name: String = "m", _ slots: [Slot] = [], statuses: [VersionStatus] = []) -> ModelEntry {
  ModelEntry(name: name, statuses: statuses, slots: slots)
}

@Suite struct CatalogTests {
  @Test func `a new reader sees what was published before it came`() {
    let catalog = Catalog()
    catalog.publish([entry("a"), entry("b")])
    let reader = CatalogReader(catalog)
    #expect(reader.snapshot.epoch == 1)
    #expect(reader.snapshot.models.map(\.name) == ["a", "b"])
    #expect(catalog.epoch == 1)
  }

  @Test func `a reader sees a publication when it refreshes, not before`() {
    let catalog = Catalog()
    let reader = CatalogReader(catalog)
    catalog.publish([entry("a")])
    #expect(reader.snapshot.model("a") == nil)
    #expect(reader.refresh())
    #expect(reader.snapshot.model("a") != nil)
    #expect(!reader.refresh())
  }

  @Test func `a reader that slept through publications takes the newest`() {
    let catalog = Catalog()
    let reader = CatalogReader(catalog)
    for name in ["a", "b", "c"] { catalog.publish([entry(name)]) }
    #expect(reader.refresh())
    #expect(reader.snapshot.models.map(\.name) == ["c"])
    #expect(!reader.refresh())
    #expect(catalog.acknowledged() == 3)
  }

  @Test func `the slowest reader decides what is acknowledged`() {
    let catalog = Catalog()
    let (a, b) = (CatalogReader(catalog), CatalogReader(catalog))
    let epoch = catalog.publish([entry("a")])
    a.refresh()
    #expect(catalog.acknowledged() < epoch)
    b.refresh()
    #expect(catalog.acknowledged() == epoch)
  }

  @Test func `a reader that goes away holds nobody up`() {
    let catalog = Catalog()
    var reader: CatalogReader? = CatalogReader(catalog)
    let epoch = catalog.publish([entry("a")])
    #expect(catalog.acknowledged() < epoch)
    #expect(reader?.snapshot.epoch == 0)
    reader = nil
    #expect(catalog.acknowledged() == epoch)
  }

  @Test func `without readers an epoch is acknowledged at once`() {
    let catalog = Catalog()
    #expect(catalog.publish([]) == catalog.acknowledged())
  }

  @Test func `observers hear of a publication, the writer of an acknowledgement`() {
    let catalog = Catalog()
    let published = Atomic(0)
    let acknowledged = Atomic(0)
    catalog.observe { published.add(1, ordering: .relaxed) }
    catalog.onAcknowledge { acknowledged.add(1, ordering: .relaxed) }
    let reader = CatalogReader(catalog)
    catalog.publish([])
    #expect(published.load(ordering: .relaxed) == 1)
    reader.refresh()
    reader.refresh()
    #expect(acknowledged.load(ordering: .relaxed) == 1)
  }

  @Test func `a slot is freed by the writer, once the reader looked away`() {
    let catalog = Catalog()
    let reader = CatalogReader(catalog)
    weak var seen: Slot?
    do {
      let first = slot(1)
      seen = first
      catalog.publish([entry("m", [first])])
    }
    reader.refresh()
    catalog.publish([entry("m")])
    _ = catalog.acknowledged()
    #expect(reader.snapshot.model("m")?.latest?.version == 1)
    reader.refresh()
    // The reader's reference is gone; the catalog's is what keeps the slot until the writer asks.
    #expect(seen != nil)
    _ = catalog.acknowledged()
    #expect(seen == nil)
  }

  @Test func `what a loop rebuilds in refresh is rebuilt before the acknowledgement`() {
    let catalog = Catalog()
    let reader = CatalogReader(catalog)
    let epoch = catalog.publish([entry("m", [slot(1)])])
    var during: UInt64 = 99
    reader.refresh { _ in during = catalog.acknowledged() }
    #expect(during < epoch)
    #expect(catalog.acknowledged() == epoch)
  }

  @Test func `models are found by the bytes of their name`() {
    let names = (0..<500).map { "model_\($0)" } + ["", "größe", "a/b"]
    let snapshot = CatalogSnapshot(epoch: 1, models: names.map { entry($0) })
    for name in names { #expect(snapshot.model(name)?.name == name) }
    for name in ["model_", "model_500", "MODEL_1", "gr"] { #expect(snapshot.model(name) == nil) }
    let bytes = Array("model_499".utf8)
    #expect(unsafe snapshot.model(bytes.span.bytes)?.name == "model_499")
    #expect(CatalogSnapshot.empty.model("m") == nil)
  }
}

@Suite struct LeaseTests {
  @Test func `the last lease of a retired slot says that it came back`() {
    let drained = Atomic(0)
    let slot = Slot(modelName: "m", version: 1, model: model) { drained.add(1, ordering: .relaxed) }
    do {
      let first = Lease(slot)
      #expect(slot.leaseCount == 1)
      do {
        let second = Lease(first.slot)
        #expect(slot.leaseCount == 2)
        #expect(second.slot === slot)
      }
      #expect(drained.load(ordering: .relaxed) == 0)
      slot.retire()
      #expect(slot.leaseCount == 1)
    }
    #expect(slot.leaseCount == 0)
    #expect(drained.load(ordering: .relaxed) == 1)
  }

  @Test func `leases of a slot that serves come and go silently`() {
    let drained = Atomic(0)
    let slot = Slot(modelName: "m", version: 1, model: model) { drained.add(1, ordering: .relaxed) }
    for _ in 0..<10 { _ = Lease(slot) }
    slot.retire()
    #expect(drained.load(ordering: .relaxed) == 0)
  }

  @Test func `slots have ids of their own`() {
    #expect(Set((0..<100).map { slot($0).id }).count == 100)
  }
}

@Suite struct ModelEntryTests {
  @Test func `versions and slots stand newest first`() {
    let entry = ModelEntry(
      name: "m", statuses: [.init(version: 1, state: .available), .init(version: 10, state: .available)],
      slots: [slot(1), slot(10)])
    #expect(entry.statuses.map(\.version) == [10, 1])
    #expect(entry.latest?.version == 10)
    #expect(entry.slot(version: 1)?.version == 1)
    #expect(entry.slot(version: 2) == nil)
  }

  @Test func `a model is pending while a version may still come`() {
    #expect(ModelEntry(name: "m", isDiscovering: true).isPending)
    #expect(!ModelEntry(name: "m").isPending)
    for state in [VersionState.start, .loading] {
      let entry = ModelEntry(name: "m", statuses: [.init(version: 3, state: state)])
      #expect(entry.isPending && entry.isPending(version: 3) && !entry.isPending(version: 4))
    }
    for state in [VersionState.available, .unloading, .end] {
      let entry = ModelEntry(name: "m", statuses: [.init(version: 3, state: state)], isDiscovering: true)
      #expect(!entry.isPending(version: 3) && entry.isPending(version: 4))
    }
  }
}
