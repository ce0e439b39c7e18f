import Foundation
import Messages
import RPC
import Schemas
import SwiftProtobuf
import Tensors
import Testing
import Wire

@testable import Catalog
@testable import Engine
@testable import Serving

/// What the value of Predict makes of a request: no socket, no loop.
private func predict(
  _ model: Model, _ request: [UInt8], _ options: ServingOptions = ServingOptions(), version: Int64 = 3
) throws(Status) -> Tensorflow_Serving_PredictResponse {
  var frame = Frame()
  do {
    let parsed = try PredictRequest(request.rawSpan)
    let run = try PredictRun(parsed, model, options, feeding: &frame)
    try run.execute(&frame)
    let spec = parsed.modelSpec.answered(by: version)
    let layout = PredictResponseLayout(run, spec, options, frame)
    let bytes = [UInt8](wireSize: layout.byteCount) { output in layout.append(spec, frame, to: &output) }
    #expect(bytes.count == layout.byteCount)
    return try Tensorflow_Serving_PredictResponse(serializedBytes: bytes)
  } catch let status as Status {
    throw status
  } catch {
    throw Status(.unknown, "\(error)")
  }
}

private func predict(
  _ model: Model, _ request: Request, _ options: ServingOptions = ServingOptions()
) throws(Status) -> Tensorflow_Serving_PredictResponse {
  try predict(model, request.bytes, options)
}

private func status(
  _ model: Model, _ request: Request, _ options: ServingOptions = ServingOptions()
) -> Status {
  do {
    _ = try predict(model, request, options)
    return .ok
  } catch { return error }
}

@Suite struct PredictRunTests {
  @Test func `a request is answered with the outputs and the spec of who answered`() throws {
    let response = try predict(try .halfPlusTwo(), Request(["x": .floats(1, 2, 5)]))
    #expect(response.outputs["y"]?.floatVal == [2.5, 3, 4.5])
    #expect(response.outputs["y"]?.dtype == .dtFloat)
    #expect(response.outputs["y"]?.extents == [3])
    #expect(response.outputs["y"]?.tensorContent.isEmpty == true)
    #expect(response.modelSpec.name == "m")
    #expect(response.modelSpec.version.value == 3)
    #expect(response.modelSpec.signatureName == "serving_default")
  }

  @Test func `outputs stand in tensor_content when the operator wants them there`() throws {
    var options = ServingOptions()
    options.tensorContentResponses = true
    let tensor = try #require(try predict(try .halfPlusTwo(), Request(["x": .floats(1, 2)]), options).outputs["y"])
    #expect(tensor.floatVal.isEmpty)
    #expect([UInt8](tensor.tensorContent) == [0, 0, 0x20, 0x40, 0, 0, 0x40, 0x40])
  }

  @Test func `of inputs with one name the last counts`() throws {
    let bytes = Request(["x": .floats(1)]).bytes + Request(["x": .floats(7, 9)]).bytes
    #expect(try predict(try .halfPlusTwo(), bytes).outputs["y"]?.floatVal == [5.5, 6.5])
  }

  @Test func `an input left out takes its default, an input given does not`() throws {
    let graph = Graph(nodes: [node("x", "Placeholder"), node("d", "Placeholder"), node("y", "AddV2", 0, 1)])
    let ten = Tensor(.float, shape: [], [10 as Float])
    let model = try Model(graph, [Parameter("x"), Parameter("d", default: ten)], [Parameter("y")])
    #expect(try predict(model, Request(["x": .floats(1)])).outputs["y"]?.floatVal == [11])
    #expect(try predict(model, Request(["x": .floats(1), "d": .floats(5)])).outputs["y"]?.floatVal == [6])
    #expect(
      status(model, Request(["x": .floats(1), "k": .floats(5)]))
        == Status(.invalidArgument, "Inputs contains invalid name. Used request inputs: x, request input: k,x"))
    #expect(
      status(model, Request(["d": .floats(5)]))
        == Status(
          .invalidArgument,
          "Signature input alias: x(feed name: x:0) not found in request and no default value provided. Inputs expected to be in the request {d}, or default input alias set: d"
        ))
  }

  @Test func `values fewer than elements are filled up with the last`() throws {
    let response = try predict(try .echo(.float), Request(["x": TensorMessage(.dtFloat, [5]) { $0.floatVal = [1, 2] }]))
    #expect(response.outputs["y"]?.floatVal == [1, 2, 2, 2, 2])
  }

  @Test func `no rows in, no rows out`() throws {
    for extents: [Int64] in [[0], [0, 3], [3, 0]] {
      let tensor = try #require(
        try predict(try .halfPlusTwo(), Request(["x": TensorMessage(.dtFloat, extents)])).outputs["y"])
      #expect(tensor.extents == extents)
      #expect(tensor.floatVal.isEmpty)
    }
  }

  @Test func `an extent beyond all memory beside a zero is no rows`() throws {
    let request = Request(["x": TensorMessage(.dtFloat, [1 << 40, 0])])
    let model = try Model.halfPlusTwo()
    #expect(try predict(model, request).outputs["y"]?.extents == [1 << 40, 0])
    // Nothing was computed, so nothing was learnt about large requests.
    #expect(model.signatures[0].cost.estimate(rows: 1 << 40) == nil)
  }

  @Test func `more inputs and outputs than a word has bits`() throws {
    let model = try Model.echoes(70)
    var inputs: [String: TensorMessage] = [:]
    for i in 0..<70 { inputs["x\(i)"] = .floats(Float(i)) }
    let response = try predict(model, Request(inputs))
    for i in 0..<70 { #expect(response.outputs["y\(i)"]?.floatVal == [-Float(i)]) }
    let some = try predict(model, Request(inputs, outputs: ["y69", "y2", "y64"]))
    #expect(some.outputs.count == 3)
    for i in [69, 2, 64] { #expect(some.outputs["y\(i)"]?.floatVal == [-Float(i)]) }
    let doubled = Request(inputs).bytes + Request(["x68": .floats(5)]).bytes
    #expect(try predict(model, doubled).outputs["y68"]?.floatVal == [-5])
    inputs["x69"] = nil
    #expect(status(model, Request(inputs)).message.hasPrefix("input size does not match signature: 69!=70 len({x0,x1,x10,"))
  }
}

@Suite struct OutputFilterTests {
  private func model() throws -> Model {
    let graph = Graph(nodes: [
      node("x", "Placeholder"), constant("two", 1, 1), node("a", "Neg", 0), node("b", "AddV2", 0, 1),
    ])
    return try Model(graph, [Parameter("x")], [Parameter("a"), Parameter("b")])
  }

  /// Keys in the order they stand on the wire.
  private func keys(_ model: Model, _ request: Request) throws -> [String] {
    var frame = Frame()
    let bytes = request.bytes
    let parsed = try PredictRequest(bytes.rawSpan)
    let run = try PredictRun(parsed, model, ServingOptions(), feeding: &frame)
    try run.execute(&frame)
    let layout = PredictResponseLayout(run, parsed.modelSpec, ServingOptions(), frame)
    let response = [UInt8](wireSize: layout.byteCount) { output in layout.append(parsed.modelSpec, frame, to: &output) }
    var keys: [String] = []
    var outputs = try PredictResponse(response.rawSpan).outputs
    while let entry = try outputs.next() { keys.append(String(showing: entry.key)) }
    return keys
  }

  @Test func `the outputs asked for come in the order asked for`() throws {
    let model = try model()
    #expect(try keys(model, Request(["x": .floats(1, 2)])) == ["a", "b"])
    #expect(try keys(model, Request(["x": .floats(1, 2)], outputs: ["b", "a"])) == ["b", "a"])
    #expect(try keys(model, Request(["x": .floats(1, 2)], outputs: ["b"])) == ["b"])
  }

  @Test func `what no wanted output needs does not run`() throws {
    let model = try model()
    let request = Request(["x": .floats(1, 2, 3)], outputs: ["a"])
    #expect(try predict(model, request).outputs["a"]?.floatVal == [-1, -2, -3])
    #expect(status(model, Request(["x": .floats(1, 2, 3)])).code == .invalidArgument)
  }

  @Test func `a name that is no output, and a name said twice`() throws {
    let model = try model()
    #expect(
      status(model, Request(["x": .floats(1)], outputs: ["a", "c"]))
        == Status(
          .invalidArgument, "output tensor alias not found in signature: c Outputs expected to be in the set {a,b}."))
    #expect(
      status(model, Request(["x": .floats(1)], outputs: ["b", "a", "b"]))
        == Status(.invalidArgument, "duplicate output tensor alias: b"))
  }

  @Test func `a run of some outputs teaches nothing about the whole`() throws {
    let model = try model()
    _ = try predict(model, Request(["x": .floats(1, 2)], outputs: ["a"]))
    #expect(model.signatures[0].cost.estimate(rows: 2) == nil)
    _ = try predict(model, Request(["x": .floats(1, 2)]))
    #expect(model.signatures[0].cost.estimate(rows: 2) != nil)
  }
}

@Suite struct PredictStatusTests {
  @Test func `a signature that is not there`() throws {
    let model = try Model.halfPlusTwo()
    #expect(
      status(model, Request(["x": .floats(1)], signature: "s"))
        == Status(.failedPrecondition, "Serving signature key \"s\" not found."))
    let other = try Model(
      Graph(nodes: [node("x", "Placeholder"), node("y", "Neg", 0)]), [Parameter("x")], [Parameter("y")], name: "other")
    #expect(
      status(other, Request(["x": .floats(1)]))
        == Status(.failedPrecondition, "Serving signature key \"serving_default\" not found."))
    #expect(try predict(other, Request(["x": .floats(1)], signature: "other")).modelSpec.signatureName == "other")
  }

  @Test func `a method that Predict may not call, when that is checked`() throws {
    let graph = Graph(nodes: [node("x", "Placeholder"), node("y", "Neg", 0)])
    let model = try Model(graph, [Parameter("x")], [Parameter("y")], method: "m")
    #expect(status(model, Request(["x": .floats(1)])) == .ok)
    var options = ServingOptions()
    options.methodNameCheck = true
    let refused = status(model, Request(["x": .floats(1)]), options)
    #expect(refused.code == .internal)
    #expect(refused.message.hasPrefix("Expected prediction signature method_name to be one of {"))
    #expect(refused.message.hasSuffix("}. Was: m"))
    #expect(status(try .halfPlusTwo(), Request(["x": .floats(1)]), options) == .ok)
  }

  @Test func `the number of inputs`() throws {
    let model = try Model.halfPlusTwo()
    #expect(
      status(model, Request([:]))
        == Status(
          .invalidArgument,
          "input size does not match signature: 0!=1 len({}) != len({x}). Sent extra: {}. Missing but required: {x}."))
    #expect(
      status(model, Request(["x": .floats(1), "k": .floats(1)]))
        == Status(
          .invalidArgument,
          "input size does not match signature: 2!=1 len({k,x}) != len({x}). Sent extra: {k}. Missing but required: {}."))
  }

  @Test func `an input of another name`() throws {
    #expect(
      status(try .halfPlusTwo(), Request(["k": .floats(1)]))
        == Status(
          .invalidArgument,
          "Signature input alias: x(feed name: x:0) not found in request and no default value provided. Inputs expected to be in the request {k}, or default input alias set: "
        ))
  }

  @Test(arguments: [
    TensorMessage(.dtInvalid, [1]), TensorMessage(.UNRECOGNIZED(77), [1]), TensorMessage(.dtResource, []),
    TensorMessage(.dtVariant, []), TensorMessage(.dtFloat, [-1]), TensorMessage(.dtFloat, [2, -3]),
    TensorMessage(.dtFloat, [1]) { $0.tensorShape.unknownRank = true },
    TensorMessage(.dtFloat, [2]) { $0.tensorContent = Data([0, 0, 0, 0]) },
    TensorMessage(.dtFloat, [1 << 40]), TensorMessage(.dtFloat, [1 << 40]) { $0.floatVal = [1] },
    TensorMessage(.dtFloat, [1 << 40, 1 << 40]), TensorMessage(.dtFloat, [.max, .max, .max]),
    TensorMessage(.dtString, [1 << 40]), TensorMessage(.dtFloat, [Int64](repeating: 1, count: 9)),
    TensorMessage(.dtFloat, [.min]),
  ])
  func `what is no tensor`(_ tensor: TensorMessage) throws {
    #expect(status(try .halfPlusTwo(), Request(["x": tensor])) == Status(.invalidArgument, "tensor parsing error: x"))
  }

  @Test func `bytes of an input that are no message`() throws {
    // inputs { key: "x" value: <a varint that does not end> }
    let bytes: [UInt8] = [0x12, 6, 0x0A, 1, 0x78, 0x12, 1, 0xFF]
    #expect(throws: Status(.invalidArgument, "tensor parsing error: x")) { try predict(try .halfPlusTwo(), bytes) }
  }

  @Test func `the wrong type`() throws {
    #expect(
      status(try .halfPlusTwo(), Request(["x": TensorMessage(.dtInt32, [1]) { $0.intVal = [1] }]))
        == Status(.invalidArgument, "Expects arg[0] to be float but int32 is provided"))
    #expect(
      status(try .halfPlusTwo(), Request(["x": TensorMessage(.dtString, [1]) { $0.stringVal = [Data("a".utf8)] }]))
        == Status(.invalidArgument, "Expects arg[0] to be float but string is provided"))
    #expect(
      status(try .echo(.string), Request(["x": .floats(1)]))
        == Status(.invalidArgument, "Expects arg[0] to be string but float is provided"))
  }

  @Test func `the wrong shape is the kernel's to say, and it names the node`() throws {
    let graph = Graph(nodes: [node("x", "Placeholder"), constant("c", 1, 2), node("sum", "AddV2", 0, 1)])
    let model = try Model(graph, [Parameter("x")], [Parameter("y", "sum")])
    let refused = status(model, Request(["x": .floats(1, 2, 3)]))
    #expect(refused.code == .invalidArgument)
    #expect(refused.message.hasSuffix("[[{{node sum}}]]"))
  }

  @Test func `signature before inputs before filter before types`() throws {
    let model = try Model.halfPlusTwo()
    let int = TensorMessage(.dtInt32, [1]) { $0.intVal = [1] }
    #expect(status(model, Request(["k": int], signature: "s", outputs: ["z"])).code == .failedPrecondition)
    #expect(status(model, Request(["k": int], outputs: ["z"])).message.hasPrefix("Signature input alias: x"))
    #expect(status(model, Request(["x": int], outputs: ["z"])).message.hasPrefix("output tensor alias not found"))
    #expect(status(model, Request(["x": int], outputs: ["y"])).message.hasPrefix("Expects arg[0]"))
  }

  @Test func `a message is cut where TensorFlow Serving cuts it`() throws {
    let name = String(repeating: "é", count: 4000)
    let refused = status(try .halfPlusTwo(), Request([name: .floats(1)]))
    #expect(refused.message.hasSuffix("...TRUNCATED"))
    #expect(refused.message.utf8.count <= 1024 + "...TRUNCATED".utf8.count)
    #expect(!refused.message.contains("\u{FFFD}"))
    for filter in [[name], []] {
      let other = status(try .halfPlusTwo(), Request(["x": .floats(1)], signature: filter.isEmpty ? name : "", outputs: filter))
      #expect(other.message.hasSuffix("...TRUNCATED"))
    }
  }

  @Test func `a request with a great many inputs is refused without a look at their names`() throws {
    var inputs: [String: TensorMessage] = [:]
    for i in 0..<5000 { inputs["k\(i)"] = TensorMessage() }
    #expect(
      status(try .halfPlusTwo(), Request(inputs)) == Status(.invalidArgument, "input size does not match signature: 5000!=1"))
  }

  @Test func `every prefix of a request is answered or refused, never believed`() throws {
    let model = try Model.halfPlusTwo()
    let bytes = Request(["x": .floats(1, 2, 3)], signature: "serving_default", outputs: ["y"]).bytes
    for end in 0..<bytes.count { _ = try? predict(model, Array(bytes[..<end])) }
  }
}

@Suite struct ReplayTests {
  @Test func `a recorded request is asked without a slot, and its mistakes are told as a client's`() throws {
    let model = try Model.halfPlusTwo()
    var frame = Frame()
    let request = Request(["x": .floats(1, 2)], model: "another").bytes
    try RecordedRequest.predict.replay(request.rawSpan, on: model, ServingOptions(), &frame)
    #expect(model.signatures[0].cost.estimate(rows: 2) != nil)
    let wrong = Request(["k": .floats(1)], signature: "s").bytes
    #expect(throws: Status(.failedPrecondition, "Serving signature key \"s\" not found.")) {
      try RecordedRequest.predict.replay(wrong.rawSpan, on: model, ServingOptions(), &frame)
    }
  }
}
