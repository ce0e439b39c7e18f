import Engine
import Formats
import Foundation
import Messages
import Schemas
import SwiftProtobuf
import TestThreads
import Testing
import Wire

/// Models nobody would export: an error each, never a crash, never more memory or time than the file deserves.
@Suite(.blocking) struct HostileModelTests {
  private let scratch = Scratch()

  /// Loads a SavedModel with this graph and a signature that asks for `output`.
  private func load(output: String = "y:0", _ build: (inout Tensorflow_GraphDef) -> Void) throws -> Model {
    var graph = Tensorflow_GraphDef()
    build(&graph)
    var meta = Tensorflow_MetaGraphDef()
    meta.metaInfoDef.tags = ["serve"]
    meta.graphDef = graph
    var info = Tensorflow_TensorInfo()
    info.name = output
    info.dtype = .dtFloat
    meta.signatureDef["serving_default"] = .with { $0.outputs = ["y": info] }
    var model = Tensorflow_SavedModel()
    model.metaGraphs = [meta]
    write(Array(try model.serializedData()), to: scratch.path + "/saved_model.pb")
    return try SavedModelLoader().load(scratch.path)
  }

  private func message(output: String = "y:0", _ build: (inout Tensorflow_GraphDef) -> Void) -> String? {
    do {
      _ = try load(output: output, build)
      return nil
    } catch { return "\(error)" }
  }

  private func node(
    _ name: String, _ op: String, _ inputs: [String] = [], _ attributes: [String: Tensorflow_AttrValue] = [:]
  ) -> Tensorflow_NodeDef {
    .with {
      $0.name = name
      $0.op = op
      $0.input = inputs
      $0.attr = attributes
    }
  }

  private func float() -> Tensorflow_AttrValue { .with { $0.type = .dtFloat } }

  private func constant(_ name: String, extents: [Int64] = [], _ values: [Float] = [1]) -> Tensorflow_NodeDef {
    let tensor = Tensorflow_TensorProto.with {
      $0.dtype = .dtFloat
      $0.tensorShape.dim = extents.map { extent in .with { $0.size = extent } }
      $0.floatVal = values
    }
    return node(name, "Const", [], ["dtype": float(), "value": .with { $0.tensor = tensor }])
  }

  @Test func `an ordinary graph loads`() throws {
    let model = try load { graph in
      graph.node = [constant("x", extents: [2], [3]), node("y", "Identity", ["x"], ["T": float()])]
    }
    #expect(model.signatures.count == 1)
  }

  @Test func `edges to nowhere are refused by name`() {
    #expect(message { $0.node = [node("y", "Identity", ["nobody"], ["T": float()])] }?.contains(
      "node 'y' (Identity): input 'nobody': there is no such node") == true)
    #expect(message { $0.node = [node("y", "NoOp", ["^nobody"])] }?.contains("there is no such node") == true)
    #expect(message { $0.node = [node("y", "Identity", ["x:4"], ["T": float()]), constant("x")] }?.contains(
      "op Const has 1 outputs") == true)
    for port in ["x:-1", "x:99999999999999999999", "x:a", "x:", "x:1:2"] {
      #expect(message { $0.node = [node("y", "Identity", [port], ["T": float()]), constant("x")] } != nil, "\(port)")
    }
    #expect(message(output: "y:7") { $0.node = [constant("y")] } != nil)
  }

  @Test func `too few inputs and wrong types are refused`() {
    #expect(message { $0.node = [node("y", "AddV2", ["x"], ["T": float()]), constant("x")] }?.contains(
      "node 'y' (AddV2): it has 1 inputs, expected 2") == true)
    #expect(message { $0.node = [node("y", "AddV2", ["x", "x"], ["T": .with { $0.type = .dtInt32 }]), constant("x")] }?
      .contains("input 0 is float, expected int32") == true)
    #expect(message { $0.node = [node("y", "AddV2", ["x", "x"]), constant("x")] }?.contains("attribute 'T' is missing") == true)
  }

  @Test func `two nodes of one name are refused`() {
    #expect(message { $0.node = [constant("y"), constant("y")] }?.contains("node 'y': two nodes have this name") == true)
  }

  @Test func `cycles are refused`() {
    #expect(message { $0.node = [node("y", "Identity", ["x"], ["T": float()]), node("x", "Identity", ["y"], ["T": float()])] }?
      .contains("cycle") == true)
    #expect(message { $0.node = [node("y", "Identity", ["y"], ["T": float()])] }?.contains("cycle") == true)
  }

  @Test func `constants that claim all memory are refused`() {
    #expect(message { $0.node = [constant("y", extents: [1 << 40])] }?.contains("attribute 'value': 1099511627776 elements") == true)
    #expect(message { $0.node = [constant("y", extents: [1 << 40, 1 << 40])] } != nil)
    #expect(message { $0.node = [constant("y", extents: [-5])] }?.contains("dimension 0 of the shape is negative") == true)
    // Each is within the limit, all together are not.
    #expect(message { graph in
      graph.node = (0..<100).map { constant("c\($0)", extents: [1 << 22]) }
      graph.node.append(node("y", "AddN", (0..<100).map { "c\($0)" }, ["T": float(), "N": .with { $0.i = 100 }]))
    }?.contains("elements take more than") == true)
  }

  @Test func `an op that claims a million inputs or outputs is refused`() {
    #expect(message { graph in
      graph.node = [constant("x"), node("y", "AddN", ["x"], ["T": float(), "N": .with { $0.i = 1 << 40 }])]
    }?.contains("attribute 'N' is 1099511627776") == true)
    #expect(message { graph in
      graph.node = [
        constant("x"), node("s", "Unpack", ["x"], ["T": float(), "num": .with { $0.i = .max }]),
        node("y", "Identity", ["s:1"], ["T": float()]),
      ]
    } != nil)
  }

  @Test func `functions in functions in functions are refused`() {
    var nested = Tensorflow_NameAttrList.with { $0.name = "f" }
    for _ in 0..<60 { nested = .with { [nested] in $0.name = "f"; $0.attr = ["g": .with { $0.func = nested }] } }
    #expect(message { $0.node = [node("y", "Identity", ["x"], ["T": float(), "f": .with { [nested] in $0.func = nested }]), constant("x")] }?
      .contains("more than 32 deep") == true)
  }

  @Test func `a function that calls itself is refused`() {
    #expect(message { graph in
      graph.library.function = [
        .with {
          $0.signature.name = "f"
          $0.signature.inputArg = [.with { $0.name = "x"; $0.type = .dtFloat }]
          $0.signature.outputArg = [.with { $0.name = "y"; $0.type = .dtFloat }]
          $0.nodeDef = [node("again", "f", ["x"])]
          $0.ret = ["y": "again:y:0"]
        }
      ]
      graph.node = [constant("x"), node("y", "f", ["x"])]
    }?.contains("deep") == true)
  }

  @Test func `calls that do not fit their function are refused`() {
    func build(_ graph: inout Tensorflow_GraphDef, inputs: [String], result: String = "x") {
      graph.library.function = [
        .with {
          $0.signature.name = "f"
          $0.signature.inputArg = [.with { $0.name = "x"; $0.type = .dtFloat }]
          $0.signature.outputArg = [.with { $0.name = "y"; $0.type = .dtFloat }]
          $0.ret = ["y": result]
        }
      ]
      graph.node = [constant("x"), node("y", "f", inputs)]
    }
    #expect(message { build(&$0, inputs: ["x"]) } == nil)
    #expect(message { build(&$0, inputs: ["x", "x"]) }?.contains("it has 2 inputs, expected 1") == true)
    #expect(message { build(&$0, inputs: ["x"], result: "nobody:y:0") }?.contains("no such node") == true)
    #expect(message { build(&$0, inputs: ["x"], result: "x:5") } != nil)
  }

  @Test func `a graph of ten thousand nodes in a row loads`() throws {
    _ = try load { graph in
      graph.node = [constant("n0")] + (1..<10_000).map { node("n\($0)", "Neg", ["n\($0 - 1)"], ["T": float()]) }
      graph.node.append(node("y", "Identity", ["n9999"], ["T": float()]))
    }
  }

  // MARK: Accidents

  @Test(arguments: ["half_plus_two", "half_plus_two_tf1", "functions", "control_flow", "no_variables"])
  func `a model cut anywhere is refused, or is a smaller one`(_ name: String) {
    let directory = scratch.copy(Fixture(name))
    let bytes = read(directory + "/saved_model.pb")!
    for count in stride(from: 0, to: bytes.count, by: max(1, bytes.count / 400)) {
      write(Array(bytes.prefix(count)), to: directory + "/saved_model.pb")
      #expect(throws: FormatError.self, "\(name) cut to \(count)") { try SavedModelLoader().load(directory) }
    }
  }

  @Test(arguments: [
    "half_plus_two", "half_plus_two_tf1", "functions", "control_flow", "tf1_control_flow/branches", "tf1_control_flow/loops",
    "tf1_control_flow/rnn", "signatures", "dtypes", "ops/gathers", "ops/slices",
    "ops/shapes", "ops/joins", "ops/reductions", "ops/matmuls", "examples_v2",
  ])
  func `a model with bytes changed loads, runs or fails, and nothing else`(_ name: String) {
    let fixture = Fixture(name)
    let directory = scratch.copy(fixture)
    let bytes = read(directory + "/saved_model.pb")!
    let rounds = ProcessInfo.processInfo.environment["MARTLET_FUZZ_ROUNDS"].flatMap { Int($0) } ?? 60
    for round in 0..<rounds {
      let seed = UInt64(round)
      var generator = SeededGenerator(seed)
      let mutated = bytes.mutated(using: &generator)
      if ProcessInfo.processInfo.environment["MARTLET_FUZZ_TRACE"] != nil {
        write(mutated, to: "/tmp/martlet-last-" + name.replacingOccurrences(of: "/", with: "-") + ".pb")
      }
      write(mutated, to: directory + "/saved_model.pb")
      guard let model = try? SavedModelLoader().load(directory) else { continue }
      for (_, request, _) in fixture.cases() { _ = try? model.predict(request) }
    }
  }
}
