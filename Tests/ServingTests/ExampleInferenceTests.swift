// Classify, Regress, MultiInference and SessionRun as values: a request's bytes in, a response's out. No socket, no loop.
import Foundation
import HTTP
import Messages
import RPC
import Schemas
import SwiftProtobuf
import Tensors
import Testing
import Wire

@testable import Engine
@testable import Serving

/// A request and its answer, by swift-protobuf.
private func ask<Asked: InferenceMessage & ~Escapable, Answer: SwiftProtobuf.Message>(
  _ type: Asked.Type, _ request: [UInt8], _ model: Model, _ options: ServingOptions = ServingOptions(),
  _ answer: Answer.Type = Answer.self
) throws -> Answer {
  var frame = Frame()
  let written = Written()
  var trail = RequestTrail(RequestOrigin(api: .none, entrypoint: .grpc), arrived: .now)
  try Asked(message: request.rawSpan).serve(model, version: 7, options, &frame, &trail, to: written)
  return try Answer(serializedBytes: written.bytes)
}

private func classify(
  _ model: Model, _ request: Tensorflow_Serving_ClassificationRequest, _ options: ServingOptions = ServingOptions()
) throws -> Tensorflow_Serving_ClassificationResponse {
  try ask(ClassificationRequest.self, try request.serializedBytes(), model, options)
}

private func regress(
  _ model: Model, _ request: Tensorflow_Serving_RegressionRequest
) throws -> Tensorflow_Serving_RegressionResponse {
  try ask(RegressionRequest.self, try request.serializedBytes(), model)
}

private final class Written: Reply {
  var bytes: [UInt8] = []
  func reply(byteCount: Int, _ fill: (inout OutputRawSpan) -> Void) {
    bytes = [UInt8](wireSize: byteCount, fill)
    #expect(bytes.count == byteCount)
  }
}

/// A tf.Example with float features.
private func example(_ features: KeyValuePairs<String, [Float]>) -> Tensorflow_Example {
  var example = Tensorflow_Example()
  for (name, values) in features { example.features.feature[name, default: Tensorflow_Feature()].floatList.value = values }
  return example
}

extension Model {
  /// Of examples with a float `x` (2 when it is missing): scores [x, -x], labels ("a", "b"), value x.
  fileprivate static func ofExamples() throws -> Model {
    let graph = Graph(nodes: [
      node("examples", "Placeholder"), strings("none", []), strings("keys", ["x"]),
      Node(name: "default", op: "Const", attributes: ["value": .tensor(Tensor(.float, shape: [1], [2 as Float]))]),
      node(
        "parse", "ParseExampleV2", 0, 1, 1, 2, 1, 3,
        attributes: [
          "sparse_types": .list([]), "Tdense": .list([.type(.float)]), "dense_shapes": .list([.shape(PartialShape([1]))]),
          "ragged_value_types": .list([]), "ragged_split_types": .list([]), "num_sparse": .int(0),
        ]),
      node("negative", "Neg", 4),
      Node(name: "axis", op: "Const", attributes: ["value": .tensor(Tensor(.int32, shape: [], [1 as Int32]))]),
      node("scores", "ConcatV2", 4, 5, 6), strings("labels", ["a", "b"], [1, 2]),
      Node(name: "zero", op: "Const", attributes: ["value": .tensor(Tensor(.float, shape: [], [0 as Float]))]),
      // Strings as many as there are rows, for one row: enough for these tests.
      node("row", "Identity", 8),
    ])
    let session = Session(graph, registry: .tests)
    func signature(_ name: String, _ method: String, _ outputs: [(String, String, DType)], _ joint: Signature.Joint?) throws -> Signature {
      let plan = try session.plans([
        .init(feeds: [session.endpoint("examples")!], fetches: outputs.map { session.endpoint($0.1)! })
      ])[0]
      return Signature(
        name: name, methodName: method,
        inputs: [.init(alias: "inputs", tensorName: "examples:0", dtype: .string, shape: PartialShape(nil))],
        outputs: outputs.map { .init(alias: $0.0, tensorName: "\($0.1):0", dtype: $0.2, shape: PartialShape(nil)) },
        plan: plan, joint: joint)
    }
    let joint = JointPlan(
      try session.plans([
        .init(
          feeds: [session.endpoint("examples")!],
          fetches: ["row", "scores", "parse"].map { session.endpoint($0)! })
      ])[0])
    let classify = "tensorflow/serving/classify"
    let signatures = [
      try signature(
        "serving_default", classify, [("classes", "row", .string), ("scores", "scores", .float)],
        .init(plan: joint, firstOutput: 0)),
      try signature("scores", classify, [("scores", "scores", .float)], nil),
      try signature(
        "regress", "tensorflow/serving/regress", [("outputs", "parse", .float)], .init(plan: joint, firstOutput: 2)),
    ]
    return Model(
      signatures: signatures, signatureDefs: [],
      sessionPlans: SessionPlans { () throws(GraphError) in .init(session: session) { _ in nil } })
  }
}

private func strings(_ name: String, _ values: [String], _ shape: Shape? = nil) -> Node {
  Node(
    name: name, op: "Const",
    attributes: ["value": .tensor(Tensor(shape: shape ?? [values.count], strings: values.map { Array($0.utf8) }))])
}

@Suite struct ClassifyTests {
  private func request(_ signature: String, _ examples: [Tensorflow_Example]) -> Tensorflow_Serving_ClassificationRequest {
    var request = Tensorflow_Serving_ClassificationRequest()
    request.modelSpec.name = "m"
    request.modelSpec.signatureName = signature
    request.input.exampleList.examples = examples
    return request
  }

  @Test func `each example has its classes: a label and a score each`() throws {
    let response = try classify(try .ofExamples(), request("", [example(["x": [5]])]))
    #expect(response.result.classifications.map { $0.classes.map(\.label) } == [["a", "b"]])
    #expect(response.result.classifications.map { $0.classes.map(\.score) } == [[5, -5]])
    #expect(response.modelSpec.name == "m")
    #expect(response.modelSpec.signatureName == "serving_default")
    #expect(response.modelSpec.version.value == 7)
  }

  @Test func `scores alone have no labels, and a score of zero is no field`() throws {
    let response = try classify(try .ofExamples(), request("scores", [example(["x": [0]]), example([:])]))
    #expect(response.result.classifications.map { $0.classes.map(\.score) } == [[0, -0.0], [2, -2]])
    #expect(response.result.classifications.allSatisfy { $0.classes.allSatisfy(\.label.isEmpty) })
    // The bits of minus zero are not zero: it is written.
    #expect(response.result.classifications[0].classes[1].score.sign == .minus)
  }

  @Test func `what examples have in common comes from the context, unless they say otherwise`() throws {
    var asked = request("scores", [])
    asked.input.exampleListWithContext.examples = [example([:]), example(["x": [9]]), example(["y": [1]])]
    asked.input.exampleListWithContext.context = example(["x": [3]])
    let response = try classify(try .ofExamples(), asked)
    #expect(response.result.classifications.map { $0.classes[0].score } == [3, 9, 3])
  }

  @Test func `of two kinds of input the last counts, and a kind that comes twice is one list`() throws {
    var first = request("scores", [example(["x": [1]])])
    var second = request("", [example(["x": [2]])])
    second.clearModelSpec()
    let model = try Model.ofExamples()
    func scores(_ bytes: [UInt8]) throws -> [Float] {
      let response: Tensorflow_Serving_ClassificationResponse = try ask(ClassificationRequest.self, bytes, model)
      return response.result.classifications.map { $0.classes[0].score }
    }
    #expect(try scores(try first.serializedBytes() + second.serializedBytes()) == [1, 2])
    second.input.exampleListWithContext.examples = [example([:])]
    second.input.exampleListWithContext.context = example(["x": [4]])
    #expect(try scores(try first.serializedBytes() + second.serializedBytes()) == [4])
    first.input.exampleListWithContext = second.input.exampleListWithContext
    #expect(try scores(try first.serializedBytes() + second.serializedBytes()) == [4, 4])
  }

  @Test func `mistakes are told in the order of TensorFlow Serving's checks`() throws {
    let model = try Model.ofExamples()
    #expect(throws: Status(.invalidArgument, "No signature was found with the name: s")) {
      try classify(model, request("s", []))
    }
    #expect(throws: Status(.invalidArgument, "Input is empty.")) { try classify(model, request("", [])) }
    var options = ServingOptions()
    options.methodNameCheck = true
    let message = "Expected classification signature method_name to be tensorflow/serving/classify. Was: tensorflow/serving/regress"
    #expect(throws: Status(.invalidArgument, message)) { try classify(model, request("regress", []), options) }
    #expect(throws: Status.self) {
      try classify(model, request("regress", [example([:])]))
    }
    // Labels for one row, and two examples.
    #expect(throws: Status(.invalidArgument, "Expected classes output batch size of 2. Got: 1")) {
      try classify(model, request("", [example([:]), example([:])]))
    }
  }

  @Test func `a context for more examples than memory holds is refused, not copied`() throws {
    var asked = request("scores", [])
    asked.input.exampleListWithContext.examples = [Tensorflow_Example](repeating: example([:]), count: 1000)
    asked.input.exampleListWithContext.context = example(["x": [Float](repeating: 1, count: 10_000)])
    var frame = Frame(bytesMax: 1 << 20)
    let bytes: [UInt8] = try asked.serializedBytes()
    let model = try Model.ofExamples()
    var trail = RequestTrail(RequestOrigin(api: .none, entrypoint: .grpc), arrived: .now)
    do {
      try ClassificationRequest(message: bytes.rawSpan).serve(model, version: 1, ServingOptions(), &frame, &trail, to: Written())
      Issue.record("it was answered")
    } catch { #expect(error.code == .resourceExhausted) }
  }
}

@Suite struct RegressTests {
  @Test func `each example has its value`() throws {
    var request = Tensorflow_Serving_RegressionRequest()
    request.modelSpec.name = "m"
    request.modelSpec.signatureName = "regress"
    request.input.exampleList.examples = [example(["x": [0]]), example(["x": [-1.5]]), example([:])]
    let response = try regress(try .ofExamples(), request)
    #expect(response.result.regressions.map(\.value) == [0, -1.5, 2])
    #expect(response.modelSpec.signatureName == "regress")
    request.modelSpec.signatureName = "scores"
    #expect(throws: Status.self) { try regress(try .ofExamples(), request) }
  }
}

@Suite struct MultiInferenceTests {
  private func task(_ signature: String, _ method: String, model: String = "m") -> Tensorflow_Serving_InferenceTask {
    var task = Tensorflow_Serving_InferenceTask()
    task.modelSpec.name = model
    task.modelSpec.signatureName = signature
    task.methodName = "tensorflow/serving/\(method)"
    return task
  }

  private func ask(_ tasks: [Tensorflow_Serving_InferenceTask], examples: Int = 1) throws -> Tensorflow_Serving_MultiInferenceResponse {
    var request = Tensorflow_Serving_MultiInferenceRequest()
    request.tasks = tasks
    request.input.exampleList.examples = [Tensorflow_Example](repeating: example(["x": [3]]), count: examples)
    return try ServingTests.ask(MultiInferenceRequest.self, try request.serializedBytes(), try .ofExamples())
  }

  @Test func `one run answers several tasks, in their order`() throws {
    let response = try ask([task("regress", "regress"), task("", "classify")])
    #expect(response.results.count == 2)
    #expect(response.results[0].regressionResult.regressions.map(\.value) == [3])
    #expect(response.results[1].classificationResult.classifications[0].classes.map(\.score) == [3, -3])
    #expect(response.results.map(\.modelSpec.version.value) == [7, 7])
    #expect(response.results.map(\.modelSpec.signatureName) == ["regress", "serving_default"])
    #expect(try ask([task("scores", "classify")]).results.count == 1)
  }

  @Test func `mistakes are told task by task`() throws {
    func expect(_ code: Status.Code, _ message: String, _ tasks: [Tensorflow_Serving_InferenceTask], examples: Int = 1) {
      #expect(throws: Status(code, message)) { try ask(tasks, examples: examples) }
    }
    let regress = task("regress", "regress")
    expect(.invalidArgument, "Found ModelSpec with an empty model name.", [regress, task("", "classify", model: "")])
    expect(
      .invalidArgument, "All ModelSpecs in a MultiInferenceRequest must access the same model name.",
      [regress, task("", "classify", model: "n")])
    expect(.invalidArgument, "Duplicate evaluation of signature: regress", [regress, regress])
    expect(.invalidArgument, "Requested signature not found in model graph: s", [regress, task("s", "classify")])
    expect(.unimplemented, "Unsupported signature method_name: tensorflow/serving/predict", [task("", "predict")])
    expect(.invalidArgument, "Input tensor must be the same for all Signatures.", [regress, task("scores", "classify")])
    expect(.invalidArgument, "Input is empty.", [regress], examples: 0)
  }
}

@Suite struct SessionRunTests {
  private func request(
    feeds: [(String, TensorMessage)], _ fetches: [String], targets: [String] = [], aliases: Bool = false
  ) -> Tensorflow_Serving_SessionRunRequest {
    var request = Tensorflow_Serving_SessionRunRequest()
    request.modelSpec.name = "m"
    request.feed = feeds.map { name, tensor in
      var feed = Tensorflow_NamedTensorProto()
      feed.name = name
      feed.tensor = tensor
      return feed
    }
    request.fetch = fetches
    request.target = targets
    request.tensorNameIsAlias = aliases
    return request
  }

  private func ask(_ model: Model, _ request: Tensorflow_Serving_SessionRunRequest) throws -> Tensorflow_Serving_SessionRunResponse {
    try ServingTests.ask(SessionRunRequest.self, try request.serializedBytes(), model)
  }

  @Test func `any tensor may be fed and fetched, and comes back under the name it was asked by`() throws {
    let model = try Model.ofExamples()
    let response = try ask(model, request(feeds: [("parse:0", .floats(1, 2, shape: [2, 1]))], ["scores", "negative:0"]))
    #expect(response.tensor.map(\.name) == ["scores", "negative:0"])
    #expect(response.tensor.map(\.tensor.floatVal) == [[1, -1, 2, -2], [-1, -2]])
    #expect(response.modelSpec.name == "m" && response.modelSpec.version.value == 7)
    #expect(response.modelSpec.signatureName.isEmpty && !response.hasMetadata)
    #expect(model.sessionPlans?.known(.init(feeds: ["parse:0"], fetches: ["scores", "negative:0"], targets: [])) != nil)
  }

  @Test func `names may be the signature's`() throws {
    let model = try Model.ofExamples()
    let bytes = try example(["x": [6]]).serializedBytes() as [UInt8]
    let examples = TensorMessage(.dtString, [1]) { $0.stringVal = [.init(bytes)] }
    let response = try ask(model, request(feeds: [("inputs", examples)], ["scores"], aliases: true))
    #expect(response.tensor.map(\.name) == ["scores"])
    #expect(response.tensor[0].tensor.floatVal == [6, -6])
    #expect(response.modelSpec.signatureName == "serving_default")
    #expect(throws: Status(.invalidArgument, "tensor alias not found in signature: outputs")) {
      try ask(model, request(feeds: [("inputs", examples)], ["outputs"], aliases: true))
    }
  }

  @Test func `mistakes are told in TensorFlow's words`() throws {
    let model = try Model.ofExamples()
    func expect(_ code: Status.Code, _ message: String, _ request: Tensorflow_Serving_SessionRunRequest) {
      #expect(throws: Status(code, message)) { try ask(model, request) }
    }
    let one = TensorMessage.floats(1)
    expect(.invalidArgument, "Must specify at least one target to fetch or execute.", request(feeds: [], []))
    expect(.invalidArgument, "Endpoint \"parse\" fed more than once.", request(feeds: [("parse", one), ("parse", one)], ["scores"]))
    expect(.invalidArgument, "scores is both fed and fetched.", request(feeds: [("scores", one)], ["scores"]))
    expect(.notFound, "FeedInputs: unable to find feed output nothing:0", request(feeds: [("nothing:0", one)], ["scores"]))
    expect(.notFound, "FetchOutputs node nothing: not found", request(feeds: [], ["nothing"]))
    expect(
      .notFound, "PruneForTargets: Some target nodes not found: a,b",
      request(feeds: [], ["labels"], targets: ["a", "labels", "b"]))
    expect(.invalidArgument, "tensor parsing error: parse", request(feeds: [("parse", TensorMessage())], ["scores"]))
    do {
      _ = try ask(model, request(feeds: [], ["scores"]))
      Issue.record("an unfed placeholder was read")
    } catch let status as Status {
      #expect(status.code == .invalidArgument)
      #expect(status.message.hasPrefix("You must feed a value for placeholder tensor 'examples'"))
    }
    #expect(throws: Status.self) { try ask(try .halfPlusTwo(), request(feeds: [], ["y"])) }
  }

  @Test func `plans are kept, and of many those used longest ago go`() throws {
    let model = try Model.ofExamples()
    let plans = try #require(model.sessionPlans)
    func names(_ i: Int) -> SessionPlans.Names { .init(feeds: [], fetches: [String](repeating: "labels", count: i), targets: []) }
    let first = try plans.plan(names(1))
    #expect(try plans.plan(names(1)) === first)
    for i in 2...SessionPlans.plansMax {
      _ = try plans.plan(names(i))
      #expect(plans.known(names(1)) === first)
    }
    _ = try plans.plan(names(SessionPlans.plansMax + 1))
    #expect(plans.known(names(1)) === first)
    #expect(plans.known(names(2)) == nil)
  }
}
