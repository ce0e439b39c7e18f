// Health as a value: who is SERVING after which events.
import Testing

@testable import Catalog
@testable import Engine
@testable import Serving

private let predicts = "tensorflow.serving.PredictionService"
private let tells = "tensorflow.serving.ModelService"

private func model(_ name: String, _ versions: [Int64: Bool] = [:], isPending: Bool = false) -> ModelHealth {
  ModelHealth(name: name, versions: versions, isPending: isPending)
}

extension HealthState {
  fileprivate init(_ events: Event...) {
    self.init(services: [predicts, tells], modelServices: [predicts])
    for event in events { _ = receive(event) }
  }

  fileprivate var server: HealthStatus? { statuses[""] }
}

@Suite struct HealthStateTests {
  @Test func `nothing serves before the ports are open`() {
    let state = HealthState(.models([model("m", [1: true])]))
    #expect(Set(state.statuses.keys) == ["", predicts, tells, "m", "m/1"])
    #expect(state.statuses.values.allSatisfy { $0 == .notServing })
  }

  @Test func `everything serves once the ports are open and every model is there`() {
    let state = HealthState(.models([model("m", [1: true])]), .opened)
    #expect(state.statuses.values.allSatisfy { $0 == .serving })
  }

  @Test func `before the models are known the server is not ready`() {
    let state = HealthState(.opened)
    #expect(state.statuses == ["": .notServing, predicts: .notServing, tells: .serving])
  }

  @Test func `a server without models has nothing to wait for`() {
    #expect(HealthState(.opened, .models([])).server == .serving)
  }

  @Test func `a model that loads keeps a starting server from being ready, and no other model from serving`() {
    var state = HealthState(.opened, .models([model("m", [1: true]), model("n", [1: false], isPending: true)]))
    #expect(state.server == .notServing && state.statuses[predicts] == .notServing)
    #expect(state.statuses["m"] == .serving && state.statuses["n"] == .notServing && state.statuses["n/1"] == .notServing)
    let isNews = state.receive(.models([model("m", [1: true]), model("n", [1: true])]))
    #expect(isNews && state.server == .serving && state.statuses[predicts] == .serving && state.statuses["n/1"] == .serving)
  }

  @Test func `a model that failed for good does not keep the others from being ready`() {
    let state = HealthState(.opened, .models([model("m", [1: true]), model("bad", [1: false])]))
    #expect(state.server == .serving && state.statuses["bad"] == .notServing)
  }

  @Test func `a server whose models all failed is not ready`() {
    #expect(HealthState(.opened, .models([model("bad", [1: false])])).server == .notServing)
  }

  @Test func `a version that loads beside one that serves changes nothing`() {
    let state = HealthState(.opened, .models([model("m", [1: true, 2: false], isPending: true)]))
    #expect(state.server == .serving && state.statuses["m"] == .serving)
    #expect(state.statuses["m/1"] == .serving && state.statuses["m/2"] == .notServing)
  }

  @Test func `a server that has been ready stays so while a new model loads, and as long as one can answer`() {
    var state = HealthState(.opened, .models([model("m", [1: true])]))
    _ = state.receive(.models([model("m", [1: true]), model("new", isPending: true)]))
    #expect(state.server == .serving && state.statuses["new"] == .notServing)
    _ = state.receive(.models([model("m", [1: false]), model("new", [3: true])]))
    #expect(state.server == .serving && state.statuses["m"] == .notServing)
    _ = state.receive(.models([model("m", [1: false]), model("new", [3: false])]))
    #expect(state.server == .notServing)
    _ = state.receive(.models([model("m", [2: true]), model("new", isPending: true)]))
    #expect(state.server == .serving)
  }

  @Test func `a model that is no longer configured is no longer known`() {
    var state = HealthState(.opened, .models([model("m", [1: true]), model("n", [1: true])]))
    _ = state.receive(.models([model("n", [1: true])]))
    #expect(state.statuses["m"] == nil && state.statuses["m/1"] == nil && state.statuses["n"] == .serving)
  }

  @Test func `after the drain began nothing serves, whatever comes`() {
    var state = HealthState(.opened, .models([model("m", [1: true])]), .draining)
    #expect(state.statuses.values.allSatisfy { $0 == .notServing })
    let news = [state.receive(.opened), state.receive(.models([model("m", [1: true])]))]
    #expect(news == [false, false])
  }

  @Test func `an event that changes no status says so`() {
    var state = HealthState(.opened, .models([model("m", [1: true])]))
    let news = [state.receive(.models([model("m", [1: true])])), state.receive(.models([model("m", [1: true, 2: false])]))]
    #expect(news == [false, true])
  }

  @Test func `a service counts before a model of the same name`() {
    #expect(HealthState(.opened, .models([model(tells, [1: false])])).statuses[tells] == .serving)
  }

  @Test func `what a catalog's entry says of a model`() throws {
    let slot = Slot(modelName: "m", version: 3, model: try .halfPlusTwo())
    let entry = ModelEntry(
      name: "m", statuses: [.init(version: 3, state: .available), .init(version: 4, state: .loading), .init(version: 1, state: .end)],
      slots: [slot])
    #expect(ModelHealth(entry) == model("m", [1: false, 3: true, 4: false], isPending: true))
    #expect(ModelHealth(ModelEntry(name: "n", isDiscovering: true)) == model("n", isPending: true))
  }
}

@Suite struct HealthWatchTests {
  private func told(_ name: String, _ statuses: [String: HealthStatus]...) -> [HealthStatus?] {
    var watch = HealthWatch(name)
    return statuses.map { watch.news($0) }
  }

  @Test func `a watcher hears the status first, then each change once`() {
    let told = told("m", ["m": .notServing], ["m": .notServing], ["m": .serving], [:], ["m": .serving])
    #expect(told == [.notServing, nil, .serving, .unknownService, .serving])
  }

  @Test func `a watcher of an unknown name is told so, once`() {
    #expect(told("nobody", ["": .serving], ["": .notServing]) == [.unknownService, nil])
  }
}
