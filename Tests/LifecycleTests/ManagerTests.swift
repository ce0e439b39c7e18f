import Catalog
import Engine
import TestThreads
import Testing

@testable import Lifecycle

@Suite(.blocking) struct ManagerTests {
  private func world(
    _ policy: VersionPolicy = .latest(1), _ scan: Scan? = nil, _ change: (inout Manager.Limits) -> Void = { _ in }
  ) -> World {
    var limits = Manager.Limits()
    change(&limits)
    let world = World(limits)
    if let scan { world.disk["/m"] = scan }
    world.receive(.apply([ModelConfiguration(name: "m", basePath: "/m", policy: policy)]))
    if scan != nil { world.look() }
    return world
  }

  @Test func `a configured model is pending before its base path was read`() {
    let world = world()
    #expect(world.catalog.current.model("m")?.isPending == true)
    #expect(world.targets == [WatchTarget(model: "m", basePath: "/m")])
    #expect(world.manager.failures() == nil)
  }

  @Test func `a version goes from START over LOADING to AVAILABLE`() {
    let world = world(.latest(1), directories("1"))
    #expect(world.shown() == "1 start")
    #expect(world.jobs.map(\.directory) == ["/m/1"])
    let job = world.take(1)!
    world.receive(.inspected(job))
    #expect(world.shown() == "1 loading")
    world.finish(job, .loaded(Slot(modelName: "m", version: 1, model: emptyModel)))
    #expect(world.shown() == "1 available")
    #expect(world.manager.failures() == [])
  }

  @Test func `a newer version takes over before the older one goes`() {
    let world = world(.latest(1), directories("1"))
    world.load(1)
    world.refresh()
    world.disk["/m"] = directories("1", "2")
    world.look()
    #expect(world.catalog.current.model("m")?.latest?.version == 1)
    world.load(2)
    #expect(world.shown() == "2 available, 1 unloading")
    #expect(world.catalog.current.model("m")?.slots.map(\.version) == [2])
    #expect(world.trimmed == 0)
    world.refresh()
    #expect(world.shown() == "2 available, 1 end")
    #expect(world.trimmed == 1)
  }

  @Test func `a slot is freed only when its readers and its leases let go`() {
    let world = world(.latest(1), directories("1"))
    world.load(1)
    world.refresh()
    weak let slot = world.catalog.current.model("m")?.latest
    do {
      let lease = Lease(slot!)
      world.disk["/m"] = directories("2")
      world.look()
      world.load(2)
      world.acknowledge()
      #expect(world.shown() == "2 available, 1 unloading")
      world.refresh()
      #expect(world.shown() == "2 available, 1 unloading")
      #expect(lease.slot.version == 1)
    }
    #expect(slot != nil)
    world.turn()
    #expect(world.shown() == "2 available, 1 end")
    #expect(slot == nil)
  }

  @Test func `a reference that lingers is waited for by the clock`() {
    let world = world(.latest(1), directories("1"))
    world.load(1)
    world.refresh()
    var slot = world.catalog.current.model("m")?.latest
    world.disk["/m"] = directories("2")
    world.look()
    world.load(2)
    world.refresh()
    #expect(world.shown() == "2 available, 1 unloading")
    #expect(world.manager.deadline == world.now + .milliseconds(1))
    world.advance(.milliseconds(1))
    #expect(world.manager.deadline == world.now + .milliseconds(2))
    #expect(slot?.version == 1)
    slot = nil
    world.advance(.milliseconds(2))
    #expect(world.shown() == "2 available, 1 end")
    #expect(world.manager.deadline == nil)
  }

  @Test func `deleting a served version's directory unloads it`() {
    let world = world(.latest(1), directories("1"))
    world.load(1)
    world.disk["/m"] = directories()
    world.look()
    #expect(world.catalog.current.model("m")?.slots.isEmpty == true)
    world.refresh()
    #expect(world.shown() == "1 end")
    #expect(world.catalog.current.model("m")?.isPending == false)
    #expect(
      world.lines.contains {
        $0.message == "No versions of servable m found under base path /m. "
          + "Did you forget to name your leaf directory as a number (eg. '/1/')?"
      })
  }

  @Test func `a base path that goes away or cannot be read changes nothing`() {
    let world = world(.latest(1), directories("1"))
    world.load(1)
    for scan in [Scan.missing, .failed(13)] {
      world.disk["/m"] = scan
      world.look()
      world.refresh()
      #expect(world.shown() == "1 available")
    }
  }

  @Test func `a version wanted again while it unloads is loaded again afterwards`() {
    let world = world(.latest(1), directories("1"))
    world.load(1)
    world.refresh()
    world.disk["/m"] = directories()
    world.look()
    world.disk["/m"] = directories("1")
    world.look()
    #expect(world.shown() == "1 unloading")
    #expect(world.jobs.isEmpty)
    world.refresh()
    #expect(world.shown() == "1 start")
    world.load(1)
    #expect(world.shown() == "1 available")
  }

  @Test func `a failed load is tried again, at intervals, a counted number of times`() {
    let world = world(.latest(1), directories("1")) {
      $0.harness.retriesMax = 2
      $0.harness.retryInterval = .seconds(60)
    }
    for _ in 1...2 {
      world.fail(1)
      #expect(world.shown() == "1 loading(3)")
      #expect(world.catalog.current.model("m")?.isPending == true)
      #expect(world.manager.deadline == world.now + .seconds(60))
      world.advance(.seconds(59))
      #expect(world.jobs.isEmpty)
      world.advance(.seconds(1))
    }
    world.fail(1)
    #expect(world.shown() == "1 end(3)")
    #expect(world.manager.failures()?.map(\.message) == ["bad"])
    world.look()
    world.advance(.seconds(3600))
    #expect(world.jobs.isEmpty)
  }

  @Test func `an error that time does not heal is not tried again`() {
    let world = world(.latest(1), directories("1"))
    world.fail(1, LoadError(code: 12, message: "no such op", isTransient: false))
    #expect(world.shown() == "1 end(12)")
  }

  @Test func `retries end when the version disappears, and begin anew when it returns`() {
    let world = world(.latest(1), directories("1"))
    world.fail(1)
    world.disk["/m"] = directories()
    world.look()
    #expect(world.shown() == "1 end")
    world.advance(.seconds(3600))
    #expect(world.jobs.isEmpty)
    world.disk["/m"] = directories("1")
    world.look()
    world.load(1)
    #expect(world.shown() == "1 available")
  }

  @Test func `the old version serves on when the new one fails`() {
    let world = world(.latest(1), directories("1"))
    world.load(1)
    world.disk["/m"] = directories("1", "2")
    world.look()
    world.fail(2, LoadError(code: 5, message: "no file", isTransient: false))
    #expect(world.shown() == "2 end(5), 1 available")
    #expect(world.manager.failures() == [])
  }

  @Test func `an incomplete directory is waited for, and its state says what is missing`() {
    let world = world(.latest(1), directories("1"))
    world.finish(world.take(1)!, .incomplete(reason: "saved_model.pb", .some))
    let entry = world.catalog.current.model("m")!
    #expect(entry.statuses.map(\.state) == [.start])
    #expect(entry.statuses[0].errorMessage == "/m/1 is incomplete and waited for: saved_model.pb")
    #expect(entry.isPending(version: 1))
    #expect(world.watchedVersions["m/1"] == ["/nowhere"])
    world.advance(.milliseconds(100))
    // Looking again is not loading.
    #expect(world.shown() == "1 start")
    let job = world.take(1)!
    world.receive(.inspected(job))
    #expect(world.watchedVersions.isEmpty)
    #expect(world.shown() == "1 loading")
    world.finish(job, .loaded(Slot(modelName: "m", version: 1, model: emptyModel)))
    #expect(world.shown() == "1 available")
    #expect(world.lines.filter { $0.message.contains("waited for") }.count == 1)
  }

  @Test func `files that were written just now are looked at when they are quiet`() {
    let world = world(.latest(1), directories("1"))
    world.finish(world.take(1)!, .settling(.some, rest: .milliseconds(70)))
    #expect(world.catalog.current.model("m")?.statuses.first?.errorMessage.hasSuffix("it is being written") == true)
    #expect(world.manager.deadline == world.now + .milliseconds(70))
    world.advance(.milliseconds(70))
    world.load(1)
    #expect(world.shown() == "1 available")
  }

  @Test func `what is odd is said once`() {
    let world = world(.latest(1), listing(["1", "01"], files: ["2"]))
    let lines = world.lines.filter { $0.level != .info }
    #expect(lines.map(\.version) == [2, 1])
    world.disk["/m"] = listing(["1", "01", "3"], files: ["2"])
    world.look()
    #expect(world.lines.filter { $0.level != .info } == lines)
  }

  @Test func `a directory that does not move is looked at less and less often, until it moves`() {
    let world = world(.latest(1), directories("1"))
    var pauses: [Duration] = []
    for _ in 0..<8 {
      world.finish(world.take(1)!, .incomplete(reason: "saved_model.pb", .some))
      let pause = world.manager.deadline! - world.now
      pauses.append(pause)
      world.advance(pause)
    }
    #expect(pauses == [100, 200, 400, 800, 1600, 2000, 2000, 2000].map { .milliseconds($0) })
    world.finish(world.take(1)!, .incomplete(reason: "saved_model.pb", .some))
    world.receive(.touched(model: "m", version: 1))
    #expect(world.manager.deadline == world.now + .milliseconds(100))
  }

  @Test func `waiting ends when the directory is removed`() {
    let world = world(.latest(1), directories("1"))
    world.finish(world.take(1)!, .incomplete(reason: "saved_model.pb", .some))
    world.disk["/m"] = directories()
    world.look()
    #expect(world.shown() == "1 end")
    #expect(world.watchedVersions.isEmpty)
    #expect(world.manager.deadline == nil)
  }

  @Test func `a load that nobody waits for any more is not taken into service`() {
    let world = world(.latest(1), directories("1")) { $0.loaderThreads = 3 }
    world.load(1)
    world.disk["/m"] = directories("1", "2")
    world.look()
    world.disk["/m"] = directories("1", "2", "3")
    world.look()
    world.load(3)
    world.load(2)
    #expect(world.shown() == "3 available, 2 end, 1 unloading")
  }

  @Test func `a numbered file is reported and never loaded`() {
    let world = world(.latest(1), listing(["1"], files: ["2"]))
    #expect(world.jobs.map(\.version) == [1])
    world.load(1)
    #expect(world.shown() == "2 end(9), 1 available")
    #expect(world.lines.contains { $0.level == .error && $0.version == 2 })
  }

  @Test func `policy all serves every version`() {
    let world = world(.all, directories("1", "2", "3")) { $0.loaderThreads = 4 }
    #expect(world.jobs.map(\.version) == [3, 2, 1])
    for version: Int64 in [2, 1, 3] { world.load(version) }
    #expect(world.catalog.current.model("m")?.slots.map(\.version) == [3, 2, 1])
  }

  @Test func `a changed policy takes effect without another look`() {
    let world = world(.all, directories("1", "2")) { $0.loaderThreads = 4 }
    world.load(1)
    world.load(2)
    world.receive(.apply([ModelConfiguration(name: "m", basePath: "/m", policy: .specific([1]))]))
    #expect(world.catalog.current.model("m")?.slots.map(\.version) == [1])
    world.refresh()
    world.receive(.apply([ModelConfiguration(name: "m", basePath: "/m", policy: .latest(1), labels: ["stable": 1])]))
    #expect(world.catalog.current.model("m")?.labels == ["stable": 1])
    world.load(2)
    #expect(world.catalog.current.model("m")?.slots.map(\.version) == [2])
  }

  @Test func `a model that is no longer configured leaves at once and is unloaded`() {
    let world = world(.latest(1), directories("1"))
    world.load(1)
    world.refresh()
    weak let slot = world.catalog.current.model("m")?.latest
    world.receive(.apply([ModelConfiguration(name: "n", basePath: "/n")]))
    #expect(world.catalog.current.models.map(\.name) == ["n"])
    #expect(slot != nil)
    world.refresh()
    #expect(slot == nil)
    world.receive(.apply([ModelConfiguration(name: "m", basePath: "/m")]))
    world.look()
    world.load(1)
    #expect(world.shown() == "1 available")
  }

  @Test func `a base path that is changed is looked at, and what it lacks is unloaded`() {
    let world = world(.latest(1), directories("1"))
    world.load(1)
    world.receive(.apply([ModelConfiguration(name: "m", basePath: "/other")]))
    #expect(world.shown() == "1 available")
    // A look at the old path that was under way.
    world.receive(.scanned(WatchTarget(model: "m", basePath: "/m"), directories()))
    #expect(world.shown() == "1 available")
    world.disk["/other"] = directories("2")
    world.look()
    #expect(world.jobs.map(\.directory) == ["/other/2"])
    world.load(2)
    #expect(world.catalog.current.model("m")?.slots.map(\.version) == [2])
  }

  @Test func `a slow model does not take the last loader thread`() {
    let world = World()
    world.disk = ["/slow": directories("1", "2", "3"), "/quick": directories("1")]
    world.receive(
      .apply([
        ModelConfiguration(name: "slow", basePath: "/slow", policy: .all),
        ModelConfiguration(name: "quick", basePath: "/quick"),
      ]))
    world.look()
    #expect(Set(world.jobs.map(\.model)) == ["slow", "quick"])
    world.load(1, "quick")
    #expect(world.catalog.current.model("quick")?.latest?.version == 1)
    #expect(world.jobs.map(\.model) == ["slow"])
  }

  @Test func `only the last versions that ended are remembered`() {
    let world = world(.latest(1), directories("1")) { $0.endedMax = 3 }
    for version: Int64 in 1...8 {
      world.disk["/m"] = listing([String(version)])
      world.look()
      world.load(version)
      world.refresh()
    }
    #expect(world.shown() == "8 available, 7 end, 6 end, 5 end")
  }

  @Test func `a thousand models start without waiting for a clock`() {
    let world = World()
    let names = (0..<1000).map { "m\($0)" }
    for name in names { world.disk["/" + name] = directories("1") }
    world.receive(.apply(names.map { ModelConfiguration(name: $0, basePath: "/" + $0) }))
    world.look()
    while let job = world.jobs.first { world.load(job.version, job.model) }
    #expect(world.manager.failures() == [])
    #expect(world.now == .zero)
  }

  @Test func `stopping unloads everything and takes nothing more`() {
    let world = world(.latest(1), directories("1"))
    world.load(1)
    world.refresh()
    world.receive(.stop)
    world.receive(.apply([ModelConfiguration(name: "m", basePath: "/m")]))
    #expect(!world.manager.isStopped)
    world.refresh()
    #expect(world.manager.isStopped)
    #expect(world.catalog.current.models.isEmpty)
  }

  @Test func `with a single look a missing path is a failure`() {
    let world = world(.latest(1), .missing) { $0.polls = false }
    #expect(world.catalog.current.model("m")?.isPending == false)
    #expect(world.manager.failures()?.map(\.model) == ["m"])
  }

  @Test func `an empty base path may be filled, a missing one made`() {
    for scan in [Scan.missing, directories()] {
      let world = world(.latest(1), scan)
      #expect(world.catalog.current.model("m")?.isPending == true)
      world.disk["/m"] = directories("1")
      world.look()
      world.load(1)
      #expect(world.shown() == "1 available")
    }
  }

  @Test func `a base path that is briefly empty unloads nothing`() {
    let world = world(.latest(1), directories("1")) { $0.emptyPatience = .seconds(5) }
    world.load(1)
    world.disk["/m"] = directories()
    world.look()
    world.advance(.milliseconds(4999))
    #expect(world.shown() == "1 available")
    world.disk["/m"] = directories("1")
    world.look()
    world.advance(.seconds(60))
    #expect(world.shown() == "1 available")
    #expect(world.jobs.isEmpty)
  }

  @Test func `a base path that stays empty is believed`() {
    let world = world(.latest(1), directories("1")) { $0.emptyPatience = .seconds(5) }
    world.load(1)
    world.refresh()
    world.disk["/m"] = directories()
    world.look()
    #expect(world.manager.deadline == world.now + .seconds(5))
    world.advance(.seconds(5))
    #expect(world.shown() == "1 unloading")
    world.refresh()
    #expect(world.shown() == "1 end")
    #expect(world.lines.contains { $0.message.hasPrefix("No versions of servable m found") })
    #expect(world.manager.deadline == nil)
  }

  @Test func `who empties a base path and fills it again means the new contents`() {
    let world = world(.latest(1), .listed([Child(name: "1", version: 1, isDirectory: true, inode: 7)])) {
      $0.emptyPatience = .seconds(5)
    }
    world.load(1)
    world.refresh()
    world.disk["/m"] = directories()
    world.look()
    world.disk["/m"] = .listed([Child(name: "1", version: 1, isDirectory: true, inode: 8)])
    world.look()
    #expect(world.shown() == "1 unloading")
    #expect(world.catalog.current.model("m")?.isPending(version: 1) == true)
    #expect(world.catalog.current.model("m")?.isPending == true)
    world.refresh()
    #expect(world.shown() == "1 start")
    world.load(1)
    #expect(world.shown() == "1 available")
  }

  @Test func `another version in the place of all others takes over while they serve`() {
    let world = world(.latest(1), directories("1")) { $0.emptyPatience = .seconds(5) }
    world.load(1)
    world.refresh()
    world.disk["/m"] = directories()
    world.look()
    world.disk["/m"] = directories("2")
    world.look()
    #expect(world.shown() == "2 start, 1 available")
    world.load(2)
    #expect(world.shown() == "2 available, 1 unloading")
  }

  @Test func `who waits for a model that is taken out again is told so`() {
    let world = world()
    #expect(world.manager.failures(of: ["m"]) == nil)
    #expect(world.manager.failures(of: ["m"], givesUpSearch: true)?.map(\.model) == ["m"])
    world.receive(.apply([]))
    #expect(world.manager.failures(of: ["m"])?.map(\.message) == ["a later configuration does without it"])
    #expect(world.manager.failures() == [])
  }

  @Test func `a model that is taken out while its base path is empty goes at once`() {
    let world = world(.latest(1), directories("1")) { $0.emptyPatience = .seconds(5) }
    world.load(1)
    world.refresh()
    world.disk["/m"] = directories()
    world.look()
    world.receive(.apply([]))
    world.refresh()
    #expect(world.shown() == "no model")
    world.advance(.seconds(10))
    #expect(world.manager.deadline == nil)
  }
}
