import Messages
import RPC
import Schemas
import SwiftProtobuf
import Testing
import Wire

@testable import Catalog
@testable import Engine
@testable import Serving

private typealias Spec = Tensorflow_Serving_ModelSpec

private enum Found: Equatable {
  case version(Int64)
  case pending
  case refused(Status)
}

private func select(_ models: [ModelEntry], _ fill: (inout Spec) -> Void) throws -> Found {
  var spec = Spec()
  fill(&spec)
  let catalog = Catalog()
  catalog.publish(models)
  let bytes: [UInt8] = try spec.serializedBytes()
  switch catalog.current.select(try ModelSpec(WireMessage(bytes.rawSpan))) {
  case .slot(let slot): return .version(slot.version)
  case .pending: return .pending
  case .refused(let status): return .refused(status)
  }
}

private func slot(_ version: Int64) -> Slot {
  Slot(modelName: "m", version: version, model: Model(signatures: [], signatureDefs: []))
}

private func models(
  _ versions: [Int64] = [], pending: [Int64] = [], ended: [Int64] = [], labels: [String: Int64] = [:],
  isDiscovering: Bool = false
) -> [ModelEntry] {
  let statuses =
    versions.map { VersionStatus(version: $0, state: .available) } + pending.map { VersionStatus(version: $0, state: .loading) }
    + ended.map { VersionStatus(version: $0, state: .end) }
  return [
    ModelEntry(name: "other", slots: [slot(99)]),
    ModelEntry(name: "m", statuses: statuses, slots: versions.map(slot), labels: labels, isDiscovering: isDiscovering),
  ]
}

@Suite struct SelectionTests {
  private let latest = Found.refused(Status(.notFound, "Servable not found for request: Latest(m)"))
  private func specific(_ version: Int64) -> Found {
    .refused(Status(.notFound, "Servable not found for request: Specific(m, \(version))"))
  }

  @Test func `no spec, and a spec without a name`() throws {
    #expect(try select(models([1])) { _ in } == .refused(Status(.invalidArgument, "ModelSpec has no name specified.")))
    #expect(try select(models([1])) { $0.version.value = 1 } == .refused(Status(.invalidArgument, "ModelSpec has no name specified.")))
    let catalog = Catalog()
    let request = try PredictRequest([UInt8]().rawSpan)
    guard case .refused(let status) = catalog.current.select(request.modelSpec) else {
      Issue.record("selected")
      return
    }
    #expect(status == Status(.invalidArgument, "Missing ModelSpec"))
  }

  @Test func `the latest version that serves`() throws {
    #expect(try select(models([3, 12, 7])) { $0.name = "m" } == .version(12))
    #expect(try select(models([3], pending: [4])) { $0.name = "m" } == .version(3))
    #expect(try select(models(pending: [4])) { $0.name = "m" } == .pending)
    #expect(try select(models(isDiscovering: true)) { $0.name = "m" } == .pending)
    #expect(try select(models(ended: [4])) { $0.name = "m" } == latest)
    #expect(try select(models()) { $0.name = "m" } == latest)
    #expect(try select([]) { $0.name = "m" } == latest)
  }

  @Test func `a version by its number`() throws {
    func find(_ version: Int64, _ models: [ModelEntry]) throws -> Found {
      try select(models) {
        $0.name = "m"
        $0.version.value = version
      }
    }
    #expect(try find(3, models([3, 12])) == .version(3))
    #expect(try find(4, models([3], pending: [4])) == .pending)
    #expect(try find(5, models([3], pending: [4])) == specific(5))
    #expect(try find(5, models([3], isDiscovering: true)) == .pending)
    #expect(try find(5, models([3], ended: [5], isDiscovering: true)) == specific(5))
    #expect(try find(0, models([3])) == specific(0))
    #expect(try find(-1, models([3])) == specific(-1))
    #expect(try find(7, []) == specific(7))
  }

  @Test func `a version by a label`() throws {
    func find(_ label: String, _ models: [ModelEntry]) throws -> Found {
      try select(models) {
        $0.name = "m"
        $0.versionLabel = label
      }
    }
    let labels: [String: Int64] = ["stable": 3, "canary": 4, "gone": 9]
    #expect(try find("stable", models([3, 12], labels: labels)) == .version(3))
    #expect(try find("canary", models([3], pending: [4], labels: labels)) == .pending)
    #expect(try find("gone", models([3], labels: labels)) == specific(9))
    for label in ["L", ""] {
      #expect(
        try find(label, models([3], labels: labels))
          == .refused(Status(.invalidArgument, "Unrecognized servable version label: \(label)")))
    }
    #expect(try find("stable", []) == latest)
  }

  @Test func `a name as long as a message does not come back whole`() throws {
    let name = String(repeating: "n", count: 100_000)
    guard case .refused(let status) = try select([], { $0.name = name }) else {
      Issue.record("selected")
      return
    }
    #expect(status.code == .notFound)
    #expect(status.message.utf8.count < 1100)
  }
}
