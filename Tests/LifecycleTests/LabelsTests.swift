import Catalog
import Testing

@testable import Lifecycle

@Suite struct LabelRuleTests {
  /// Version 1 is available, 2 is not; `stable` is in use for `now`.
  private func refused(_ label: String, _ version: Int64, now: Int64? = nil, isNew: Bool = false, allows: Bool = false) -> Bool {
    let current = ModelConfiguration(name: "m", basePath: "/m", labels: now.map { ["stable": $0] } ?? [:])
    let next = ModelConfiguration(name: "m", basePath: "/m", labels: [label: version])
    return next.refusedLabel(replacing: isNew ? nil : current, allowsUnavailable: allows) { $0 == 1 } != nil
  }

  @Test func `a model's first labels may lead to what is not there yet`() {
    #expect(!refused("stable", 2, isNew: true))
  }

  @Test func `later ones lead to available versions only`() {
    #expect(!refused("stable", 1))
    #expect(refused("stable", 2))
    #expect(!refused("stable", 1, now: 2))
    #expect(refused("stable", 2, now: 1))
    #expect(refused("canary", 2, now: 1))
  }

  @Test func `a label that stays where it is, is none that is assigned`() { #expect(!refused("stable", 2, now: 2)) }

  @Test func `where that is allowed, labels that are not in use may lead anywhere`() {
    #expect(!refused("stable", 2, allows: true))
    #expect(!refused("canary", 2, now: 1, allows: true))
    #expect(refused("stable", 2, now: 1, allows: true))
    #expect(!refused("stable", 1, now: 2, allows: true))
  }

  @Test func `the refusal is in TensorFlow Serving's words`() {
    let next = ModelConfiguration(name: "m", basePath: "/m", labels: ["b": 2, "a": 3])
    let refused = next.refusedLabel(replacing: ModelConfiguration(name: "m", basePath: "/m"), allowsUnavailable: false) { _ in false }
    #expect(
      refused?.description == "Request to assign label to version 3 of model m, which is not currently available for inference")
  }
}

@Suite struct ManagerLabelTests {
  private func models(_ labels: [String: Int64], _ policy: VersionPolicy = .all) -> [ModelConfiguration] {
    [ModelConfiguration(name: "m", basePath: "/m", policy: policy, labels: labels)]
  }

  @Test func `labels move with the configuration, in one publication`() {
    let world = World()
    world.disk["/m"] = directories("1", "2")
    world.receive(.apply(models(["stable": 1])))
    world.look()
    #expect(world.manager.refusal(of: models(["stable": 2])) != nil)
    world.load(2)
    world.load(1)
    #expect(world.manager.refusal(of: models(["stable": 2, "canary": 1])) == nil)
    var seen: [[String: Int64]] = []
    world.published = { seen.append($0.model("m")?.labels ?? [:]) }
    world.receive(.apply(models(["stable": 2, "canary": 1])))
    #expect(seen == [["stable": 2, "canary": 1]])
  }

  @Test func `a refused configuration changes nothing, and a model that comes back is new`() {
    let world = World()
    world.disk["/m"] = directories("1")
    world.receive(.apply(models(["stable": 1])))
    world.look()
    world.load(1)
    #expect(world.manager.refusal(of: models(["stable": 9])) == RefusedLabel(model: "m", label: "stable", version: 9))
    #expect(world.catalog.current.model("m")?.labels == ["stable": 1])
    world.receive(.apply([]))
    #expect(world.manager.refusal(of: models(["stable": 9])) == nil)
  }

  @Test func `a version that is loaded, and not wanted any more, can still be given a label`() {
    let world = World()
    world.disk["/m"] = directories("1", "2")
    world.receive(.apply(models([:], .specific([1]))))
    world.look()
    world.load(1)
    world.receive(.apply(models([:], .specific([2]))))
    world.look()
    #expect(world.shown() == "2 start, 1 available")
    #expect(world.manager.refusal(of: models(["stable": 1])) == nil)
  }
}
