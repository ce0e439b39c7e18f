import Engine
import Foundation
import Formats
import Messages
import Tensors
import Testing
import Wire

/// Models that TensorFlow made, requests, and what TensorFlow answered.
struct GoldenTests {
  @Test(arguments: Fixture.golden)
  func `a model answers as TensorFlow does`(_ fixture: Fixture) throws {
    let model = try SavedModelLoader().load(fixture.directory)
    #expect(model.warnings == [])
    for (name, request, response) in fixture.cases() { try check(model, name, request, response) }
    // What requests change is asked about in a model of its own.
    for (name, request, response) in fixture.cases(in: "golden/fresh") {
      try check(try SavedModelLoader().load(fixture.directory), name, request, response)
    }
  }

  /// MARTLET_ZOO names a directory with `NAME/1/saved_model.pb` and `ref/NAME*.request.pb`: larger models than a repository
  /// wants to carry.
  @Test(.enabled(if: ProcessInfo.processInfo.environment["MARTLET_ZOO"] != nil))
  func `larger models answer as TensorFlow does`() throws {
    let zoo = ProcessInfo.processInfo.environment["MARTLET_ZOO"]!
    let only = ProcessInfo.processInfo.environment["MARTLET_ZOO_ONLY"]
    for name in try FileManager.default.contentsOfDirectory(atPath: zoo).sorted()
    where FileManager.default.fileExists(atPath: "\(zoo)/\(name)/1/saved_model.pb") && (only == nil || only == name) {
      do {
        let start = ContinuousClock.now
        let model = try SavedModelLoader().load("\(zoo)/\(name)/1")
        print("\(name): loaded in \(ContinuousClock.now - start), \(model.byteCount) bytes")
        for batch in ["", ".b8"] {
          for kind in ["", ".vals"] {
            guard let request = read("\(zoo)/ref/\(name)\(batch)\(kind).request.pb"),
              let response = read("\(zoo)/ref/\(name)\(batch).response.pb")
            else { continue }
            try check(model, name + batch + kind, request, response, tolerance: 1e-4)
          }
        }
      } catch {
        Issue.record("\(name): \(error)")
      }
    }
  }

  private func check(
    _ model: Model, _ name: String, _ request: [UInt8], _ response: [UInt8]?, tolerance: Double = 2e-5
  ) throws {
    guard let response else {
      // TensorFlow refused it too.
      #expect(throws: (any Error).self, "\(name)") { try model.predict(request) }
      return
    }
    let outputs: [String: Tensor]
    do { outputs = try model.predict(request) } catch {
      Issue.record("\(name): \(error)")
      return
    }
    let expected = try PredictResponse(response.rawSpan)
    var entries = expected.outputs
    while let entry = try entries.next() {
      let alias = String(showing: entry.key)
      let tensor = try Tensor.decoding(TensorProto(entry.value))
      guard let found = outputs[alias] else {
        Issue.record("\(name): no output '\(alias)'")
        continue
      }
      if let difference = found.difference(from: tensor, tolerance: tolerance) { Issue.record("\(name): '\(alias)' \(difference)") }
    }
  }
}
