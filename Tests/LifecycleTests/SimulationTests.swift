// Years of trouble in a second: versions come and go, loads fail, directories fill slowly, readers and leases dawdle. A seed
// decides everything; what must hold is checked after every publication.
import Catalog
import Engine
import TestThreads
import Testing

@testable import Lifecycle

private struct SplitMix: RandomNumberGenerator {
  var state: UInt64
  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }
}

private struct Weak { weak var slot: Slot? }

private final class LeaseBox {
  let lease: Lease
  init(_ slot: Slot) { lease = Lease(slot) }
}

@Suite(.blocking) struct SimulationTests {
  @Test(arguments: 0..<60 as Range<UInt64>) func `nothing is lost, leaked or unserved`(_ seed: UInt64) {
    var random = SplitMix(state: seed)
    let names = ["a", "b", "c"]
    let world = World()
    let second = CatalogReader(world.catalog)
    var made: [Weak] = []
    var leases: [LeaseBox] = []
    /// Versions on disk, and whether each model serves.
    var disk: [String: Set<Int64>] = [:]
    var isServing: [String: Bool] = [:]
    var wanted: [String: VersionPolicy] = [:]

    world.published = { snapshot in
      for name in names {
        let entry = snapshot.model(name)
        let serves = entry?.slots.isEmpty == false
        if isServing[name] == true && !serves {
          // The only reason to stop serving is that nothing is wanted.
          let aspired = wanted[name]?.aspired(disk[name] ?? []) ?? []
          #expect(aspired.isEmpty, "seed \(seed): \(name) serves nothing, though \(aspired) are wanted")
        }
        isServing[name] = serves
        for slot in entry?.slots ?? [] {
          #expect(entry?.statuses.first { $0.version == slot.version }?.state == .available)
        }
      }
    }
    func apply() {
      world.receive(
        .apply(
          names.filter { wanted[$0] != nil }.map {
            ModelConfiguration(name: $0, basePath: "/" + $0, policy: wanted[$0]!)
          }))
    }
    func look() {
      for name in names { world.disk["/" + name] = listing((disk[name] ?? []).sorted().map(String.init)) }
      world.look()
    }
    func finish(_ job: LoadJob) {
      switch Int.random(in: 0..<10, using: &random) {
      case 0..<6:
        world.receive(.inspected(job))
        let slot = Slot(modelName: job.model, version: job.version, model: Model(signatures: [], signatureDefs: []))
        made.append(Weak(slot: slot))
        world.finish(job, .loaded(slot))
      case 6:
        world.receive(.inspected(job))
        world.finish(
          job, .failed(LoadError(code: 3, message: "bad", isTransient: Bool.random(using: &random))))
      case 7:
        world.receive(.inspected(job))
        world.finish(job, .incomplete(reason: "it changed", .some))
      case 8: world.finish(job, .settling(.some, rest: .milliseconds(300)))
      default: world.finish(job, .incomplete(reason: "variables", .some))
      }
    }

    for name in names { wanted[name] = .latest(1) }
    apply()
    for _ in 0..<400 {
      switch Int.random(in: 0..<12, using: &random) {
      case 0, 1:
        disk[names.randomElement(using: &random)!, default: []].insert(.random(in: 1...9, using: &random))
        look()
      case 2:
        let name = names.randomElement(using: &random)!
        if let gone = disk[name]?.randomElement(using: &random) { disk[name]?.remove(gone) }
        look()
      case 3:
        let name = names.randomElement(using: &random)!
        wanted[name] = [.latest(1), .latest(2), .all, .specific([2, 5]), nil].randomElement(using: &random)!
        apply()
        look()
      case 4, 5, 6:
        if let at = world.jobs.indices.randomElement(using: &random) { finish(world.jobs.remove(at: at)) }
      case 7: world.refresh()
      case 8:
        second.refresh()
        world.acknowledge()
      case 9:
        let slots = names.compactMap { world.reader.snapshot.model($0)?.slots.randomElement(using: &random) }
        if let slot = slots.randomElement(using: &random) { leases.append(LeaseBox(slot)) }
      case 10:
        if !leases.isEmpty { leases.removeFirst() }
        world.turn()
      default: world.advance(.seconds(Int.random(in: 0...90, using: &random)))
      }
      for box in leases { #expect(box.lease.slot.leaseCount > 0) }
    }

    wanted = [:]
    world.receive(.stop)
    while let job = world.jobs.popLast() { finish(job) }
    leases = []
    world.refresh()
    second.refresh()
    world.acknowledge()
    #expect(world.manager.isStopped, "seed \(seed)")
    #expect(made.allSatisfy { $0.slot == nil }, "seed \(seed): a slot outlives the manager")
  }
}
