import Tensors
import Testing

@testable import Engine

/// Floats to add and to ask for their sign, and an op nobody should come to.
private let registry = KernelRegistry([
  controlKernels,
  [
    KernelDefinition("Add") { _ throws(GraphError) in
      { frame throws(RunError) in
        let (a, b) = (frame.input(0), frame.input(1))
        var out = try frame.output(0, .float, [], reusing: 0)
        var span = out.mutableSpan(of: Float.self)
        span[0] = a.span(of: Float.self)[0] + b.span(of: Float.self)[0]
      }
    },
    KernelDefinition("Negative") { _ throws(GraphError) in
      { frame throws(RunError) in
        let x = frame.input(0)
        var out = try frame.output(0, .bool, [])
        var span = out.mutableSpan(of: UInt8.self)
        span[0] = x.span(of: Float.self)[0] < 0 ? 1 : 0
      }
    },
    KernelDefinition("Refuse", .writes) { _ throws(GraphError) in { _ throws(RunError) in throw .invalidArgument("refused") } },
    // Wants to know its second input when the plan is made.
    KernelDefinition("AddConstant") { node throws(GraphError) in
      let addend = try node.constant(1, "the addend").array(of: Float.self)[0]
      return { frame throws(RunError) in
        let x = frame.input(0)
        var out = try frame.output(0, .float, [])
        var span = out.mutableSpan(of: Float.self)
        span[0] = x.span(of: Float.self)[0] + addend
      }
    },
  ],
])

/// What a random graph computes.
private indirect enum Expression {
  case input(Int)
  case constant(Float)
  /// The variable of a loop around this, counted from the outermost.
  case variable(Int)
  case sum(Expression, Expression)
  case branch(on: Expression, negative: Expression, otherwise: Expression)
  case loop(times: Int, from: Expression, Expression)

  static func random(_ depth: Int, loops: Int, _ random: inout some RandomNumberGenerator) -> Expression {
    func next(loops: Int = loops) -> Expression { Expression.random(depth - 1, loops: loops, &random) }
    switch Int.random(in: 0..<(depth > 0 ? 9 : 3), using: &random) {
    case 0: return .input(Int.random(in: 0...1, using: &random))
    case 1: return .constant(Float(Int.random(in: -2...2, using: &random)))
    case 2: return loops > 0 ? .variable(Int.random(in: 0..<loops, using: &random)) : .input(0)
    case 3, 4: return .sum(next(), next())
    case 5, 6: return .branch(on: next(), negative: next(), otherwise: next())
    default: return .loop(times: Int.random(in: 0...3, using: &random), from: next(), next(loops: loops + 1))
    }
  }

  func value(_ inputs: [Float], _ variables: [Float] = []) -> Float {
    switch self {
    case .input(let i): inputs[i]
    case .constant(let value): value
    case .variable(let i): variables[i]
    case .sum(let a, let b): a.value(inputs, variables) + b.value(inputs, variables)
    case .branch(let sign, let negative, let otherwise):
      sign.value(inputs, variables) < 0 ? negative.value(inputs, variables) : otherwise.value(inputs, variables)
    case .loop(let times, let start, let body):
      (0..<times).reduce(start.value(inputs, variables)) { value, _ in body.value(inputs, variables + [value]) }
    }
  }
}

/// Writes graphs as TF1 does: what a branch or a loop reads from outside it comes in by a Switch or an Enter, and what reads nothing
/// hangs on its pivot.
private struct Writer {
  enum Context {
    case branch(predicate: Endpoint, taken: Int, pivot: Int)
    case loop(frame: String, pivot: Int)
  }

  var nodes: [Node] = [Node(name: "x", op: "Placeholder"), Node(name: "y", op: "Placeholder")]
  private var contexts: [Context] = []
  private var variables: [(tensor: Endpoint, depth: Int)] = []
  private var frames = 0

  mutating func node(_ op: String, _ inputs: Endpoint..., controls: [Int] = [], attributes: [String: Attribute] = [:]) -> Endpoint {
    nodes.append(Node(name: "n\(nodes.count)", op: op, inputs: inputs, controls: controls, attributes: attributes))
    return Endpoint(node: nodes.count - 1)
  }

  private func output(_ number: Int, of node: Endpoint) -> Endpoint { Endpoint(node: node.node, output: number) }

  private mutating func constant(_ value: Float) -> Endpoint {
    var pivots: [Int] = []
    switch contexts.last {
    case .branch(_, _, let pivot), .loop(_, let pivot): pivots = [pivot]
    case nil: break
    }
    return node("Const", controls: pivots, attributes: ["value": .tensor(Tensor(.float, shape: [], [value]))])
  }

  private func frame(_ name: String) -> [String: Attribute] { ["frame_name": .string(Array(name.utf8))] }

  /// A tensor from as many contexts further out, here.
  private mutating func captured(_ tensor: Endpoint, from depth: Int) -> Endpoint {
    contexts[depth...].reduce(tensor) { tensor, context in
      switch context {
      case .branch(let predicate, let taken, _): output(taken, of: node("Switch", tensor, predicate))
      case .loop(let name, _): node("Enter", tensor, attributes: frame(name))
      }
    }
  }

  mutating func write(_ expression: Expression) -> Endpoint {
    switch expression {
    case .input(let i): return captured(Endpoint(node: i), from: 0)
    case .constant(let value): return constant(value)
    case .variable(let i): return captured(variables[i].tensor, from: variables[i].depth)
    case .sum(let a, let b):
      let (a, b) = (write(a), write(b))
      return node("Add", a, b)
    case .branch(let sign, let negative, let otherwise):
      let predicate = node("Negative", write(sign))
      let pivot = node("Switch", predicate, predicate)
      let alias = node("Identity", predicate)
      var results: [Endpoint] = []
      for (taken, side) in [(0, otherwise), (1, negative)] {
        let hold = node("Identity", output(taken, of: pivot))
        contexts.append(.branch(predicate: alias, taken: taken, pivot: hold.node))
        let result = write(side)
        results.append(node("Identity", result))
        contexts.removeLast()
      }
      return node("Merge", results[0], results[1])
    case .loop(let times, let start, let body):
      frames += 1
      let name = "loop \(frames)"
      let (count, start) = (constant(-Float(times)), write(start))
      let merges = [count, start].map { value in
        let enter = node("Enter", value, attributes: frame(name))
        return node("Merge", enter, enter)
      }
      let condition = node("LoopCond", node("Negative", merges[0]))
      let switches = merges.map { node("Switch", $0, condition) }
      let inside = switches.map { node("Identity", output(1, of: $0)) }
      contexts.append(.loop(frame: name, pivot: inside[0].node))
      variables.append((inside[1], contexts.count))
      let next = [node("Add", inside[0], constant(1)), write(body)]
      variables.removeLast()
      contexts.removeLast()
      for (merge, value) in zip(merges, next) { nodes[merge.node].inputs[1] = node("NextIteration", value) }
      return node("Exit", switches[1])
    }
  }
}

@Suite struct ControlFlowTests {
  private func run(_ plan: Plan, _ inputs: [Float], wanted: UInt64 = .max) throws -> [Float] {
    var frame = Frame()
    frame.begin(plan)
    for (i, input) in inputs.enumerated() { frame.feed(i, Tensor(.float, shape: [], [input])) }
    try frame.run(plan, wanted: wanted)
    return (0..<plan.outputCount).filter { wanted & 1 << UInt64($0) != 0 }.map { frame.output($0, of: plan).span(of: Float.self)[0] }
  }

  private func plan(_ writer: Writer, _ fetches: [Endpoint], targets: [Int] = []) throws -> Plan {
    try Session(Graph(nodes: writer.nodes), registry: registry).plans([
      .init(feeds: [Endpoint(node: 0), Endpoint(node: 1)], fetches: fetches, targets: targets)
    ])[0]
  }

  @Test(arguments: 0..<300)
  func `branches and loops in each other compute what they say`(seed: UInt64) throws {
    var random = RandomGraphTests.Generator(state: seed)
    let expression = Expression.random(Int.random(in: 1...5, using: &random), loops: 0, &random)
    var writer = Writer()
    let result = writer.write(expression)
    let plan = try plan(writer, [result])
    for inputs in [[Float(1), 2], [-1, 0], [3, -4]] {
      #expect(try run(plan, inputs) == [expression.value(inputs)], "seed \(seed)")
    }
  }

  @Test func `what the other side would do is not done`() throws {
    var writer = Writer()
    let predicate = writer.node("Negative", Endpoint(node: 0))
    let sides = writer.node("Switch", Endpoint(node: 1), predicate)
    let refused = writer.node("Refuse", Endpoint(node: sides.node, output: 1))
    let negative = writer.node("Identity", Endpoint(node: sides.node, output: 1), controls: [refused.node])
    let merge = writer.node("Merge", sides, negative)
    let plan = try plan(writer, [merge])
    #expect(try run(plan, [1, 7]) == [7])
    #expect(throws: RunError.self) { try run(plan, [-1, 7]) }
  }

  @Test func `a branch whose predicate is known leaves nothing behind`() throws {
    var writer = Writer()
    let result = writer.write(.branch(on: .constant(-1), negative: .sum(.input(0), .constant(2)), otherwise: .loop(times: 3, from: .input(1), .variable(0))))
    let plan = try plan(writer, [result])
    #expect(plan.ops == ["Add"])
    #expect(try run(plan, [5, 0]) == [7])
  }

  @Test func `a constant in a branch is one for its reader`() throws {
    var writer = Writer()
    let predicate = writer.node("Negative", Endpoint(node: 0))
    let outside = writer.node("Const", attributes: ["value": .tensor(Tensor(.float, shape: [], [Float(40)]))])
    let sides = writer.node("Switch", Endpoint(node: 1), predicate)
    let constant = writer.node("Switch", outside, predicate)
    let sums = (0...1).map { writer.node("AddConstant", Endpoint(node: sides.node, output: $0), Endpoint(node: constant.node, output: $0)) }
    let merge = writer.node("Merge", sums[0], sums[1])
    let plan = try plan(writer, [merge])
    #expect(plan.ops.count { $0 == "Switch" } == 1)
    #expect(try run(plan, [1, 2]) == [42])
  }

  @Test func `a dead output is refused when it is wanted, and only then`() throws {
    var writer = Writer()
    let predicate = writer.node("Negative", Endpoint(node: 0))
    let sides = writer.node("Switch", Endpoint(node: 1), predicate)
    let plan = try plan(writer, [sides, Endpoint(node: sides.node, output: 1)])
    #expect(try run(plan, [-1, 3], wanted: 0b10) == [3])
    let error = #expect(throws: RunError.self) { try run(plan, [-1, 3]) }
    #expect(error?.message == "Retval[0] does not have value")
  }

  @Test func `a merge says which input it took`() throws {
    var writer = Writer()
    let predicate = writer.node("Negative", Endpoint(node: 0))
    let sides = writer.node("Switch", Endpoint(node: 1), predicate)
    let merge = writer.node("Merge", sides, Endpoint(node: sides.node, output: 1))
    let plan = try plan(writer, [Endpoint(node: merge.node, output: 1)])
    var frame = Frame()
    for (x, expected) in [(Float(1), Int32(0)), (-1, 1)] {
      frame.begin(plan)
      frame.feed(0, Tensor(.float, shape: [], [x]))
      frame.feed(1, Tensor(.float, shape: [], [x]))
      try frame.run(plan)
      #expect(frame.output(0, of: plan).span(of: Int32.self)[0] == expected)
    }
  }

  @Test func `a loop of another form is refused by who reads it, with the reason`() throws {
    var writer = Writer()
    let frame: [String: Attribute] = ["frame_name": .string(Array("odd".utf8))]
    let enter = writer.node("Enter", Endpoint(node: 0), attributes: frame)
    let exit = writer.node("Exit", writer.node("Identity", enter))
    let other = writer.node("Add", Endpoint(node: 0), Endpoint(node: 1))
    #expect(try run(try plan(writer, [other]), [1, 2]) == [3])
    let error = #expect(throws: GraphError.self) { try plan(writer, [exit]) }
    #expect(error?.message == "the TF1 loop 'odd' is not as TensorFlow writes them: a loop with 0 conditions")
  }

  @Test func `a hundred branches in each other run, thousands are refused`() throws {
    for (depth, isRefused) in [(100, false), (5000, true)] {
      var writer = Writer()
      let predicate = writer.node("Negative", Endpoint(node: 0))
      var tensor = Endpoint(node: 1)
      for _ in 0..<depth {
        // Each its own predicate, as far as anybody can tell.
        let own = writer.node("Switch", predicate, predicate)
        tensor = writer.node("Switch", tensor, Endpoint(node: own.node, output: 1))
        tensor.output = 1
      }
      let fetch = tensor
      if isRefused {
        let error = #expect(throws: GraphError.self) { try plan(writer, [fetch]) }
        #expect(error?.message == "more than 256 branches in each other")
      } else {
        #expect(try run(try plan(writer, [fetch]), [-1, 5]) == [5])
      }
    }
  }

  @Test func `frames in each other are refused, whatever they hold`() throws {
    var writer = Writer()
    let enters = ["a", "b"].map { writer.node("Enter", Endpoint(node: 0), attributes: ["frame_name": .string(Array($0.utf8))]) }
    writer.nodes[enters[0].node].inputs = [enters[1]]
    writer.nodes[enters[1].node].inputs = [enters[0]]
    let exit = writer.node("Exit", enters[0])
    #expect(throws: GraphError.self) { try plan(writer, [exit]) }
  }
}
