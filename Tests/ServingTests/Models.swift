// Models made by hand, and requests for them.
import Foundation
import Glibc
import Schemas
import Synchronization
import SwiftProtobuf
import Tensors

@testable import Engine

/// A tensor of a signature: its alias, its node in the graph, its type, what it is when it is left out.
struct Parameter {
  var alias: String
  var node: String
  var dtype: DType
  var defaultValue: Tensor?

  init(_ alias: String, _ node: String? = nil, _ dtype: DType = .float, default defaultValue: Tensor? = nil) {
    self.alias = alias
    self.node = node ?? alias
    self.dtype = dtype
    self.defaultValue = defaultValue
  }

  fileprivate func parameter() -> Signature.Parameter {
    Signature.Parameter(
      alias: alias, tensorName: "\(node):0", dtype: dtype, shape: PartialShape(nil), defaultValue: defaultValue)
  }
}

extension Model {
  /// A model of one signature.
  convenience init(
    _ graph: Graph, _ inputs: [Parameter], _ outputs: [Parameter], name: String = "serving_default",
    method: String = "tensorflow/serving/predict", registry: KernelRegistry = .tests
  ) throws {
    let session = Session(graph, registry: registry)
    let plan = try session.plans([
      .init(feeds: inputs.map { session.endpoint($0.node)! }, fetches: outputs.map { session.endpoint($0.node)! })
    ])[0]
    let signature = Signature(
      name: name, methodName: method, inputs: inputs.map { $0.parameter() }, outputs: outputs.map { $0.parameter() },
      plan: plan)
    var definition = Tensorflow_SignatureDef()
    definition.methodName = method
    for input in inputs { definition.inputs[input.alias, default: Tensorflow_TensorInfo()].name = "\(input.node):0" }
    self.init(signatures: [signature], signatureDefs: [(name, try definition.serializedBytes())])
  }

  /// y = x / 2 + 2.
  static func halfPlusTwo() throws -> Model {
    let graph = Graph(nodes: [
      node("x", "Placeholder"), constant("a", 0.5), constant("b", 2), node("product", "Mul", 0, 1), node("y", "AddV2", 3, 2),
    ])
    return try Model(graph, [Parameter("x")], [Parameter("y")])
  }

  /// y = x + `number`, a scalar.
  static func adding(_ number: Float) throws -> Model {
    let graph = Graph(nodes: [node("x", "Placeholder"), constant("c", number), node("y", "AddV2", 0, 1)])
    return try Model(graph, [Parameter("x")], [Parameter("y")])
  }

  /// y is x, without a step between.
  static func echo(_ dtype: DType) throws -> Model {
    let graph = Graph(nodes: [node("x", "Placeholder"), node("y", "Identity", 0)])
    return try Model(graph, [Parameter("x", nil, dtype)], [Parameter("y", nil, dtype)])
  }

  /// Each output is the input of that number.
  static func echoes(_ count: Int) throws -> Model {
    var nodes: [Node] = []
    for i in 0..<count { nodes.append(node("x\(i)", "Placeholder")) }
    for i in 0..<count { nodes.append(node("y\(i)", "Neg", i)) }
    return try Model(
      Graph(nodes: nodes), (0..<count).map { Parameter("x\($0)") }, (0..<count).map { Parameter("y\($0)") })
  }
}

func node(
  _ name: String, _ op: String, _ inputs: Int..., attributes: [String: Attribute] = [:]
) -> Node {
  Node(name: name, op: op, inputs: inputs.map { Endpoint(node: $0) }, attributes: attributes)
}

func constant(_ name: String, _ values: Float...) -> Node {
  let shape: Shape = values.count == 1 ? [] : [values.count]
  return Node(name: name, op: "Const", attributes: ["value": .tensor(Tensor(.float, shape: shape, values))])
}

func constant(_ name: String, _ value: Bool) -> Node {
  Node(name: name, op: "Const", attributes: ["value": .tensor(Tensor(.bool, shape: [], [value]))])
}

extension KernelRegistry {
  /// The engine's own ops, and those of the tests.
  static let tests = KernelRegistry([
    KernelRegistry.standard.ops.map { KernelRegistry.standard[$0]! },
    [
      // Its input, once the gate of that name has been opened.
      KernelDefinition("TestGate") { node throws(GraphError) in
        let gate = Gate[try node.string("gate")]
        return { frame throws(RunError) in
          gate.pass()
          frame.forward(0, to: 0)
        }
      },
      // Twice its input, of numbers none of which is negative.
      KernelDefinition("TestDouble") { _ throws(GraphError) in double },
      // The same, of which nobody knows what else it does.
      KernelDefinition("TestWritingDouble", .writes) { _ throws(GraphError) in double },
      // Whether the step runs on an event loop.
      KernelDefinition("TestOnLoop") { _ throws(GraphError) in
        { frame throws(RunError) in
          var out = try frame.output(0, .float, frame.input(0).shape)
          var values = out.mutableSpan(of: Float.self)
          for i in 0..<values.count { values[i] = threadName().hasPrefix("loop") ? 1 : 0 }
        }
      },
    ],
  ])
}

private let double: Kernel.Body = { frame throws(RunError) in
  let input = frame.input(0)
  var out = try frame.output(0, .float, input.shape)
  let from = input.span(of: Float.self)
  var to = out.mutableSpan(of: Float.self)
  for i in 0..<to.count {
    if from[i] < 0 { throw .invalidArgument("\(from[i]) is negative") }
    to[i] = 2 * from[i]
  }
}

func threadName() -> String { (try? String(contentsOfFile: "/proc/thread-self/comm", encoding: .utf8)) ?? "" }

/// Where a test holds up a run. Found by name, because kernels are made from attributes.
final class Gate: Sendable {
  private static let all = Mutex<[String: Gate]>([:])
  private let isOpen = Atomic(false)
  private let visits = Atomic(0)

  static subscript(name: String) -> Gate {
    all.withLock { gates in
      if let gate = gates[name] { return gate }
      let gate = Gate()
      gates[name] = gate
      return gate
    }
  }

  func open() { isOpen.store(true, ordering: .releasing) }

  /// How many runs have come here.
  var count: Int { visits.load(ordering: .acquiring) }

  fileprivate func pass() {
    visits.add(1, ordering: .acquiringAndReleasing)
    while !isOpen.load(ordering: .acquiring) { usleep(200) }
  }
}

/// Waits until something is so; false after a time that means it will not be.
func eventually(_ isSo: () -> Bool) async -> Bool {
  let end = ContinuousClock.now + .seconds(20)
  while !isSo() {
    if ContinuousClock.now > end { return false }
    try? await Task.sleep(for: .milliseconds(1))
  }
  return true
}

// MARK: Requests, by swift-protobuf

typealias Request = Tensorflow_Serving_PredictRequest
typealias TensorMessage = Tensorflow_TensorProto

extension Request {
  init(_ inputs: [String: TensorMessage], signature: String = "", outputs: [String] = [], model: String = "m") {
    self.init()
    modelSpec.name = model
    modelSpec.signatureName = signature
    self.inputs = inputs
    outputFilter = outputs
  }

  var bytes: [UInt8] { try! serializedBytes() }
}

extension TensorMessage {
  init(_ type: Tensorflow_DataType, _ extents: [Int64], _ fill: (inout TensorMessage) -> Void = { _ in }) {
    self.init()
    dtype = type
    tensorShape = Tensorflow_TensorShapeProto()
    for extent in extents {
      var dim = Tensorflow_TensorShapeProto.Dim()
      dim.size = extent
      tensorShape.dim.append(dim)
    }
    fill(&self)
  }

  static func floats(_ values: Float..., shape: [Int64]? = nil) -> TensorMessage {
    TensorMessage(.dtFloat, shape ?? [Int64(values.count)]) { $0.floatVal = values }
  }

  var extents: [Int64] { tensorShape.dim.map(\.size) }
}
