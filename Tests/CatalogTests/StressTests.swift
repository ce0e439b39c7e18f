// Readers, workers and the writer at once, for ThreadSanitizer:
//   swift test --sanitize=thread --filter CatalogTests
import Engine
import Foundation
import Synchronization
import TestThreads
import Testing

import Catalog

@Suite(.blocking) struct StressTests {
  /// Versions come and go while loops look them up and hand leases to workers. A slot that is freed was seen by nobody.
  @Test func `readers run free while versions are swapped and freed`() {
    let readers = 3
    let versions: Int64 = 400
    let catalog = Catalog()
    let stop = Atomic(false)
    let running = Atomic(0)
    let group = DispatchGroup()
    for _ in 0..<readers {
      let thread = Thread {
        let reader = CatalogReader(catalog)
        let worker = DispatchQueue(label: "worker")
        running.add(1, ordering: .relaxed)
        var last: Int64 = 0
        var runs = 0
        while !stop.load(ordering: .relaxed) {
          reader.refresh()
          runs += 1
          guard let slot = reader.snapshot.model("m")?.latest else { continue }
          // Versions only go up, and there is never none once there was one.
          precondition(slot.version >= last && slot.modelName == "m")
          last = slot.version
          if runs % 64 == 0 { lend(slot, to: worker) }
        }
        worker.sync {}
        group.leave()
      }
      group.enter()
      thread.start()
    }

    while running.load(ordering: .relaxed) < readers { sched_yield() }

    var freed = 0
    var previous: Slot?
    for version in 1...versions {
      let model = Model(signatures: [], signatureDefs: [])
      let next = Slot(modelName: "m", version: version, model: model)
      let epoch = catalog.publish([ModelEntry(name: "m", slots: [next])])
      if previous != nil {
        previous!.retire()
        while catalog.acknowledged() < epoch || previous!.leaseCount > 0 { sched_yield() }
        // What is left are references on their way out: a worker's lease is counted down before it is released.
        while !isKnownUniquelyReferenced(&previous!) { sched_yield() }
        previous = nil
        freed += 1
      }
      previous = next
    }
    stop.store(true, ordering: .relaxed)
    group.wait()
    #expect(freed == Int(versions) - 1)
  }
}

private func lend(_ slot: Slot, to worker: DispatchQueue) {
  let box = LeaseBox(Lease(slot))
  worker.async { precondition(box.lease.slot.modelName == "m") }
}

private final class LeaseBox: Sendable {
  let lease: Lease
  init(_ lease: consuming Lease) { self.lease = lease }
}
