import Synchronization
import Tensors
import TestThreads
import Testing

@testable import Engine

/// Element-wise ops on floats, enough to see what the passes do with a graph.
private let testKernels: [KernelDefinition] = [
  binary("Add") { $0 + $1 },
  binary("Mul") { $0 * $1 },
  KernelDefinition("Negative?") { _ throws(GraphError) in
    { frame throws(RunError) in
      let x = frame.input(0)
      var out = try frame.output(0, .bool, [])
      var span = out.mutableSpan(of: UInt8.self)
      span[0] = x.span(of: Float.self)[0] < 0 ? 1 : 0
    }
  },
]

private func binary(_ op: String, _ combine: @escaping @Sendable (Float, Float) -> Float) -> KernelDefinition {
  KernelDefinition(op) { _ throws(GraphError) in
    { frame throws(RunError) in
      let (a, b) = (frame.input(0), frame.input(1))
      guard a.shape == b.shape else { throw .invalidArgument("Incompatible shapes: \(a.shape) vs. \(b.shape)") }
      var out = try frame.output(0, .float, a.shape, reusing: 0)
      var span = out.mutableSpan(of: Float.self)
      for i in 0..<a.count { span[i] = combine(a.span(of: Float.self)[i], b.span(of: Float.self)[i]) }
    }
  }
}

private let registry = KernelRegistry([controlKernels, resourceKernels, assignmentKernels, testKernels])

private func constant(_ name: String, _ values: Float...) -> Node {
  Node(name: name, op: "Const", attributes: ["value": .tensor(tensor(values))])
}
private func tensor(_ values: [Float]) -> Tensor {
  Tensor(.float, shape: values.count == 1 ? [] : Shape([values.count])!, values)
}
private func node(_ name: String, _ op: String, _ inputs: Int..., controls: [Int] = [], attributes: [String: Attribute] = [:]) -> Node {
  Node(name: name, op: op, inputs: inputs.map { Endpoint(node: $0) }, controls: controls, attributes: attributes)
}

private func run(_ plan: Plan, _ inputs: [[Float]], wanted: UInt64 = .max) throws -> [[Float]] {
  var frame = Frame()
  var last: [[Float]] = []
  // The second run uses the memory of the first.
  for _ in 0..<2 {
    frame.begin(plan)
    for (i, input) in inputs.enumerated() { frame.feed(i, tensor(input)) }
    try frame.run(plan, wanted: wanted)
    last = (0..<plan.outputCount).filter { wanted & (1 << UInt64($0)) != 0 }.map { i in
      let value = frame.output(i, of: plan)
      return (0..<value.count).map { value.span(of: Float.self)[$0] }
    }
  }
  return last
}

@Suite struct SessionTests {
  @Test func `a plan computes what the graph says`() throws {
    let graph = Graph(nodes: [
      node("x", "Placeholder"), constant("a", 0.5), constant("b", 2), node("mul", "Mul", 0, 1), node("y", "Add", 3, 2),
    ])
    let plan = try Session(graph, registry: registry).plans([.init(feeds: [Endpoint(node: 0)], fetches: [Endpoint(node: 4)])])[0]
    #expect(try run(plan, [[4]]) == [[4]])
    #expect(plan.names == ["mul", "y"])
  }

  @Test func `an interior tensor may be fed and what stood above it does not run`() throws {
    let graph = Graph(nodes: [
      node("x", "Placeholder"), node("unknown", "NoSuchOp", 0), constant("b", 2), node("y", "Add", 1, 2),
    ])
    let plan = try Session(graph, registry: registry).plans([.init(feeds: [Endpoint(node: 1)], fetches: [Endpoint(node: 3)])])[0]
    #expect(try run(plan, [[5]]) == [[7]])
  }

  @Test func `an op without a kernel is named at load`() {
    let graph = Graph(nodes: [node("x", "Placeholder"), node("odd", "NoSuchOp", 0)])
    #expect(throws: GraphError(.unsupported, "Op type not registered 'NoSuchOp'", node: "odd")) {
      try Session(graph, registry: registry).plans([.init(feeds: [Endpoint(node: 0)], fetches: [Endpoint(node: 1)])])
    }
  }

  @Test func `calls are inlined, nested ones too`() throws {
    let twice = Function(
      name: "twice", argumentCount: 1, body: [node("arg", "_Arg"), node("sum", "Add", 0, 0)], results: [Endpoint(node: 1)])
    let four = Function(
      name: "four", argumentCount: 1,
      body: [node("arg", "_Arg"), node("b", "twice", 2), node("a", "twice", 0)], results: [Endpoint(node: 1)])
    let graph = Graph(
      nodes: [
        node("x", "Placeholder"),
        node("call", "StatefulPartitionedCall", 0, attributes: ["f": .function(FunctionReference(name: "four"))]),
      ], functions: ["twice": twice, "four": four])
    let plan = try Session(graph, registry: registry).plans([.init(feeds: [Endpoint(node: 0)], fetches: [Endpoint(node: 1)])])[0]
    #expect(try run(plan, [[3]]) == [[12]])
    #expect(plan.names == ["call/a/sum", "call/b/sum"])
  }

  @Test func `a function that calls itself is refused`() {
    let forever = Function(
      name: "f", argumentCount: 1, body: [node("arg", "_Arg"), node("again", "f", 0)], results: [Endpoint(node: 1)])
    let graph = Graph(nodes: [node("x", "Placeholder"), node("call", "f", 0)], functions: ["f": forever])
    #expect(throws: GraphError.self) {
      try Session(graph, registry: registry).plans([.init(feeds: [Endpoint(node: 0)], fetches: [Endpoint(node: 1)])])
    }
  }

  @Test func `a cycle is refused by name`() {
    let graph = Graph(nodes: [node("a", "Add", 1, 1), node("b", "Add", 0, 0)])
    #expect(throws: GraphError.self) {
      try Session(graph, registry: registry).plans([.init(feeds: [], fetches: [Endpoint(node: 1)])])
    }
  }

  @Test func `what depends on constants alone is folded away`() throws {
    let graph = Graph(nodes: [
      node("x", "Placeholder"), constant("a", 3), constant("b", 4), node("product", "Mul", 1, 2), node("i", "Identity", 3),
      node("y", "Add", 0, 4),
    ])
    let plan = try Session(graph, registry: registry).plans([.init(feeds: [Endpoint(node: 0)], fetches: [Endpoint(node: 5)])])[0]
    #expect(plan.names == ["y"])
    #expect(try run(plan, [[1]]) == [[13]])
  }

  @Test func `a variable is restored by its assignment and frozen when nobody writes it`() throws {
    let graph = Graph(nodes: [
      node("v", "VarHandleOp", attributes: ["shared_name": .string(Array("w".utf8))]), constant("value", 6),
      node("assign", "AssignVariableOp", 0, 1), node("init", "NoOp", controls: [2]),
      node("x", "Placeholder"), node("read", "ReadVariableOp", 0), node("y", "Mul", 4, 5),
    ])
    let session = Session(graph, registry: registry)
    _ = try session.run(.init(feeds: [], fetches: [], targets: [3]))
    let plan = try session.plans([.init(feeds: [Endpoint(node: 4)], fetches: [Endpoint(node: 6)])])[0]
    #expect(plan.ops == ["Mul"])
    #expect(try run(plan, [[7]]) == [[42]])
  }

  @Test func `a variable that a signature writes keeps its state`() throws {
    let graph = Graph(nodes: [
      node("counter", "VariableV2"), constant("zero", 0), node("assign", "Assign", 0, 1),
      node("by", "Placeholder"), node("add", "AssignAdd", 0, 3), node("read", "Identity", 0),
    ])
    let session = Session(graph, registry: registry)
    _ = try session.run(.init(feeds: [], fetches: [], targets: [2]))
    let plans = try session.plans([
      .init(feeds: [Endpoint(node: 3)], fetches: [Endpoint(node: 4)]), .init(feeds: [], fetches: [Endpoint(node: 5)]),
    ])
    #expect(try run(plans[0], [[5]]) == [[10]])
    #expect(try run(plans[1], []) == [[10]])
  }

  @Test func `an op without state behind a control edge is not run, one with state is`() throws {
    let graph = Graph(nodes: [
      node("x", "Placeholder"), node("unknown", "NoSuchOp", 0), constant("no", 0),
      node("v", "VariableV2"), node("assign", "Assign", 3, 0), node("y", "Add", 0, 0, controls: [1, 4]),
    ])
    let plan = try Session(graph, registry: registry).plans([.init(feeds: [Endpoint(node: 0)], fetches: [Endpoint(node: 5)])])[0]
    #expect(plan.ops == ["Assign", "Add"])
  }

  @Test func `a loop runs its body until the condition fails`() throws {
    let condition = Function(
      name: "cond", argumentCount: 2, body: [node("i", "_Arg"), node("x", "_Arg"), node("go", "Negative?", 0)],
      results: [Endpoint(node: 2)])
    let body = Function(
      name: "body", argumentCount: 2,
      body: [node("i", "_Arg"), node("x", "_Arg"), constant("one", 1), node("next", "Add", 0, 2), node("twice", "Add", 1, 1)],
      results: [Endpoint(node: 3), Endpoint(node: 4)])
    let graph = Graph(
      nodes: [
        node("i", "Placeholder"), node("x", "Placeholder"),
        node(
          "loop", "StatelessWhile", 0, 1,
          attributes: ["cond": .function(.init(name: "cond")), "body": .function(.init(name: "body"))]),
      ], functions: ["cond": condition, "body": body])
    let plan = try Session(graph, registry: registry).plans([
      .init(feeds: [Endpoint(node: 0), Endpoint(node: 1)], fetches: [Endpoint(node: 2, output: 1)])
    ])[0]
    #expect(try run(plan, [[-5], [3]]) == [[96]])
    #expect(try run(plan, [[1], [3]]) == [[3]])
  }

  @Test func `steps that no wanted output needs are left out`() throws {
    let graph = Graph(nodes: [
      node("x", "Placeholder"), constant("two", 1, 1), node("fine", "Add", 0, 0), node("fails", "Add", 0, 1),
    ])
    let plan = try Session(graph, registry: registry).plans([
      .init(feeds: [Endpoint(node: 0)], fetches: [Endpoint(node: 2), Endpoint(node: 3)])
    ])[0]
    #expect(try run(plan, [[2]], wanted: 1) == [[4]])
    #expect(throws: RunError.self) { try run(plan, [[2]]) }
  }

  @Test func `an error names the node`() throws {
    let graph = Graph(nodes: [node("x", "Placeholder"), node("z", "Placeholder"), node("sum", "Add", 0, 1)])
    let plan = try Session(graph, registry: registry).plans([
      .init(feeds: [Endpoint(node: 0), Endpoint(node: 1)], fetches: [Endpoint(node: 2)])
    ])[0]
    #expect(throws: RunError(.invalidArgument, "Incompatible shapes: [2] vs. []\n\t [[{{node sum}}]]")) {
      try run(plan, [[2, 3], [1]])
    }
  }

  @Test func `a run that would hold more than its limit is refused`() throws {
    var frame = Frame(bytesMax: 1 << 16)
    let graph = Graph(nodes: [node("x", "Placeholder"), node("y", "Add", 0, 0)])
    let plan = try Session(graph, registry: registry).plans([.init(feeds: [Endpoint(node: 0)], fetches: [Endpoint(node: 1)])])[0]
    frame.begin(plan)
    frame.feed(0, Tensor(.float, shape: [100_000], [Float](repeating: 0, count: 100_000)))
    do {
      try frame.run(plan)
      Issue.record("the run went through")
    } catch {
      #expect(error.code == .resourceExhausted)
    }
  }
}

@Suite(.blocking) struct HostileGraphTests {
  private func plan(_ graph: Graph, _ fetch: Int) throws -> Plan {
    try Session(graph, registry: registry).plans([.init(feeds: [], fetches: [Endpoint(node: fetch)])])[0]
  }

  @Test func `a chain of a hundred thousand nodes does not exhaust the stack`() throws {
    var nodes = [constant("c", 1)]
    for i in 1...100_000 { nodes.append(node("n\(i)", "NoOp", controls: [i - 1])) }
    nodes.append(node("y", "Add", 0, 0, controls: [100_000]))
    #expect(try plan(Graph(nodes: nodes), 100_001).ops == [])
  }

  @Test func `a branch that leads back into its own function is refused`() {
    let forever = Function(
      name: "f", argumentCount: 1,
      body: [
        node("x", "_Arg"), node("y", "StatelessIf", 0, 0, attributes: ["then_branch": .function(.init(name: "f")), "else_branch": .function(.init(name: "f"))]),
      ], results: [Endpoint(node: 1)])
    let graph = Graph(nodes: [constant("c", 1), node("call", "f", 0)], functions: ["f": forever])
    #expect(throws: GraphError.self) { try plan(graph, 1) }
  }

  @Test func `branches nested a thousand deep are refused`() {
    var functions: [String: Function] = [:]
    for i in 0..<1000 {
      let next = Attribute.function(.init(name: "f\(i + 1)"))
      functions["f\(i)"] = Function(
        name: "f\(i)", argumentCount: 1,
        body: [node("x", "_Arg"), node("y", "StatelessIf", 0, 0, attributes: ["then_branch": next, "else_branch": next])],
        results: [Endpoint(node: 1)])
    }
    let graph = Graph(nodes: [constant("c", 1), node("call", "f0", 0)], functions: functions)
    #expect(throws: GraphError.self) { try plan(graph, 1) }
  }

  @Test func `functions that double the graph with every level are refused`() {
    var functions: [String: Function] = [:]
    for i in 0..<40 {
      functions["f\(i)"] = Function(
        name: "f\(i)", argumentCount: 1,
        body: [node("x", "_Arg"), node("a", "f\(i + 1)", 0), node("b", "f\(i + 1)", 1)], results: [Endpoint(node: 2)])
    }
    functions["f40"] = Function(
      name: "f40", argumentCount: 1, body: [node("x", "_Arg"), node("y", "Add", 0, 0)], results: [Endpoint(node: 1)])
    let graph = Graph(nodes: [node("x", "Placeholder"), node("call", "f0", 0)], functions: functions)
    #expect(throws: GraphError.self) { try plan(graph, 1) }
  }

  @Test func `functions that only call each other are refused before they are counted out`() {
    var functions: [String: Function] = [:]
    for i in 0..<60 {
      functions["f\(i)"] = Function(
        name: "f\(i)", argumentCount: 1,
        body: [node("x", "_Arg"), node("a", "f\(i + 1)", 0), node("b", "f\(i + 1)", 1)], results: [Endpoint(node: 2)])
    }
    functions["f60"] = Function(name: "f60", argumentCount: 1, body: [node("x", "_Arg")], results: [Endpoint(node: 0)])
    let graph = Graph(nodes: [node("x", "Placeholder"), node("call", "f0", 0)], functions: functions)
    #expect(throws: GraphError.self) { try plan(graph, 1) }
  }

  @Test func `a loop without end among constants stays a step, and a run of it can be stopped`() throws {
    let condition = Function(
      name: "cond", argumentCount: 1, body: [node("i", "_Arg"), constant("true", 1)], results: [Endpoint(node: 1)])
    let body = Function(name: "body", argumentCount: 1, body: [node("i", "_Arg")], results: [Endpoint(node: 0)])
    let attributes: [String: Attribute] = ["cond": .function(.init(name: "cond")), "body": .function(.init(name: "body"))]
    let graph = Graph(
      nodes: [constant("c", 1), node("loop", "StatelessWhile", 0, attributes: attributes)],
      functions: ["cond": condition, "body": body])
    let plan = try plan(graph, 1)
    #expect(plan.ops == ["StatelessWhile"])
    #expect(!plan.isPlain)
    final class Impatient: Interruption {
      private let questions = Atomic(0)
      var reason: RunError.Code? { questions.add(1, ordering: .relaxed).newValue > 1000 ? .cancelled : nil }
    }
    var frame = Frame()
    frame.interruption = Impatient()
    frame.begin(plan)
    do {
      try frame.run(plan)
      Issue.record("the loop ended")
    } catch { #expect(error.code == .cancelled) }
  }

  @Test func `a plan is plain unless it loops or changes something, branches included`() throws {
    func isPlain(_ nodes: [Node], _ functions: [Function] = []) throws -> Bool {
      let graph = Graph(nodes: nodes, functions: Dictionary(uniqueKeysWithValues: functions.map { ($0.name, $0) }))
      return try Session(graph, registry: registry).plans([
        .init(feeds: [Endpoint(node: 0)], fetches: [Endpoint(node: nodes.count - 1)])
      ])[0].isPlain
    }
    let x = node("x", "Placeholder")
    let same = Function(name: "same", argumentCount: 1, body: [node("x", "_Arg")], results: [Endpoint(node: 0)])
    let loop = node(
      "loop", "StatelessWhile", 0, attributes: ["cond": .function(.init(name: "same")), "body": .function(.init(name: "same"))])
    let looping = Function(name: "looping", argumentCount: 1, body: [node("x", "_Arg"), loop], results: [Endpoint(node: 1)])
    func branch(_ then: String) -> Node {
      node(
        "y", "StatelessIf", 0, 0,
        attributes: ["then_branch": .function(.init(name: then)), "else_branch": .function(.init(name: "same"))])
    }
    #expect(try isPlain([x, node("y", "Add", 0, 0)]))
    #expect(try !isPlain([x, node("v", "VariableV2"), node("y", "AssignAdd", 1, 0)]))
    #expect(try !isPlain([x, loop], [same]))
    #expect(try isPlain([x, branch("same")], [same]))
    #expect(try !isPlain([x, branch("looping")], [same, looping]))
  }

  @Test func `an edge that leads nowhere is refused`() {
    #expect(throws: GraphError.self) { try plan(Graph(nodes: [node("y", "Add", 7, 8)]), 0) }
    #expect(throws: GraphError.self) { try plan(Graph(nodes: [node("y", "NoOp", controls: [9])]), 0) }
  }
}

@Suite struct SessionPlansTests {
  @Test func `who asks for the same names at the same time gets the same plan`() async throws {
    let graph = Graph(nodes: [node("x", "Placeholder"), node("y", "Neg", 0)])
    for _ in 0..<20 {
      let plans = SessionPlans { SessionPlans.Opened(session: Session(graph), types: { _ in [.float] }) }
      let names = SessionPlans.Names(feeds: ["x:0"], fetches: ["y:0"], targets: [])
      let different = try await withThrowingTaskGroup(of: ObjectIdentifier.self) { group in
        for _ in 0..<8 { group.addTask { ObjectIdentifier(try plans.plan(names)) } }
        return try await group.reduce(into: Set<ObjectIdentifier>()) { $0.insert($1) }
      }
      #expect(different.count == 1)
    }
  }
}
