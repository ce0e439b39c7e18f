import Engine
import Tensors
import TestThreads
import Testing

/// What requests change: each op whole, whoever else is at it.
@Suite(.blocking) struct StateTests {
  /// A graph by name: inputs as `node`, control inputs as `^node`.
  private struct Model {
    let session: Session

    init(_ specs: [NodeSpec]) {
      let index = Dictionary(uniqueKeysWithValues: specs.enumerated().map { ($1.name, $0) })
      session = Session(
        Graph(
          nodes: specs.map { spec in
            Node(
              name: spec.name, op: spec.op,
              inputs: spec.inputs.filter { !$0.hasPrefix("^") }.map { Endpoint(node: index[$0]!) },
              controls: spec.inputs.filter { $0.hasPrefix("^") }.map { index[String($0.dropFirst())]! },
              attributes: spec.attributes)
          }))
    }

    func initialise(_ target: String) throws {
      _ = try session.run(.init(feeds: [], fetches: [], targets: [session.node(target)!]))
    }

    /// Plans made together, as those of a model's signatures are.
    func plans(_ interfaces: (feeds: [String], fetches: [String])...) throws -> [Plan] {
      try session.plans(
        interfaces.map { interface in
          .init(feeds: interface.feeds.map { session.endpoint($0)! }, fetches: interface.fetches.map { session.endpoint($0)! })
        })
    }
  }

  private typealias NodeSpec = (name: String, op: String, inputs: [String], attributes: [String: Attribute])
  private func const(_ name: String, _ tensor: Tensor) -> NodeSpec { (name, "Const", [], ["value": .tensor(tensor)]) }
  private func scalar(_ value: Float) -> Tensor { Tensor(.float, shape: [], [value]) }
  private func feed(_ name: String) -> NodeSpec { (name, "Placeholder", [], [:]) }

  private func run(_ plan: Plan, _ inputs: [Tensor] = [], in frame: inout Frame) throws -> [Tensor] {
    frame.begin(plan)
    for (i, tensor) in inputs.enumerated() { frame.feed(i, tensor) }
    try frame.run(plan)
    return (0..<plan.outputCount).map { Tensor(copying: frame.output($0, of: plan).view) }
  }

  private func run(_ plan: Plan, _ inputs: [Tensor] = []) throws -> [Tensor] {
    var frame = Frame()
    return try run(plan, inputs, in: &frame)
  }

  private func counter() -> Model {
    Model([
      ("v", "VariableV2", [], ["dtype": .type(.float)]), const("zero", scalar(0)), ("init", "Assign", ["v", "zero"], [:]),
      const("one", scalar(1)), ("add", "AssignAdd", ["v", "one"], [:]), ("sub", "AssignSub", ["v", "one"], [:]),
    ])
  }

  @Test func `no increment of many threads is lost, and each tells its own sum`() async throws {
    let model = counter()
    try model.initialise("init")
    let plans = try model.plans(([], ["add"]), ([], ["v"]))
    let (threads, times) = (8, 500)
    let sums = try await withThrowingTaskGroup(of: [Float].self) { group in
      for _ in 0..<threads {
        group.addTask {
          var frame = Frame()
          return try (0..<times).map { _ in try self.run(plans[0], in: &frame)[0].array(of: Float.self)[0] }
        }
      }
      return try await group.reduce(into: [Float]()) { $0 += $1 }
    }
    #expect(sums.sorted() == (1...threads * times).map(Float.init))
    #expect(try run(plans[1])[0].array(of: Float.self) == [Float(threads * times)])
  }

  @Test(arguments: ["AssignVariableOp", "ResourceScatterAdd"])
  func `a reader never sees half of a change`(op: String) async throws {
    let n = 512
    let handle: [String: Attribute] = ["shared_name": .string(Array("w".utf8)), "dtype": .type(.float)]
    let model = Model([
      ("h", "VarHandleOp", [], handle), const("zeros", Tensor(.float, shape: [n], [Float](repeating: 0, count: n))),
      ("init", "AssignVariableOp", ["h", "zeros"], [:]), feed("x"),
      const("rows", Tensor(.int32, shape: [n], (0..<Int32(n)).map { $0 })),
      ("write", op, op == "AssignVariableOp" ? ["h", "x"] : ["h", "rows", "x"], [:]), ("read", "ReadVariableOp", ["h"], ["dtype": .type(.float)]),
      ("after", "Identity", ["zeros", "^write"], [:]),
    ])
    try model.initialise("init")
    let plans = try model.plans((["x"], ["after"]), ([], ["read"]))
    try await withThrowingTaskGroup(of: Void.self) { group in
      for writer in 1...2 {
        group.addTask {
          var frame = Frame()
          let all = Tensor(.float, shape: [n], [Float](repeating: Float(writer), count: n))
          for _ in 0..<300 { _ = try self.run(plans[0], [all], in: &frame) }
        }
      }
      for _ in 0..<2 {
        group.addTask {
          var frame = Frame()
          for _ in 0..<300 {
            let values = try self.run(plans[1], in: &frame)[0].array(of: Float.self)
            #expect(values.allSatisfy { $0 == values[0] })
          }
        }
      }
      try await group.waitForAll()
    }
  }

  @Test func `what a run has read does not change under it`() throws {
    let model = counter()
    try model.initialise("init")
    let plans = try model.plans(([], ["v"]), ([], ["add"]))
    var reader = Frame()
    reader.begin(plans[0])
    try reader.run(plans[0])
    for expected in 1...3 { #expect(try run(plans[1])[0].array(of: Float.self) == [Float(expected)]) }
    #expect(reader.output(0, of: plans[0]).span(of: Float.self)[0] == 0)
  }

  @Test func `a reference is read behind the assignments its reader waits for`() throws {
    let model = Model([
      ("v", "VariableV2", [], ["dtype": .type(.float)]), const("five", scalar(5)), ("init", "Assign", ["v", "five"], [:]), feed("x"),
      ("read", "Identity", ["v"], [:]), ("add", "AssignAdd", ["v", "x"], [:]), ("y", "AddV2", ["read", "x", "^add"], ["T": .type(.float)]),
    ])
    try model.initialise("init")
    let plan = try model.plans((["x"], ["y"]))[0]
    #expect(try run(plan, [scalar(2)])[0].array(of: Float.self) == [9])
  }

  @Test func `a change that is refused leaves everything as it was`() throws {
    let model = Model([
      ("v", "VariableV2", [], ["dtype": .type(.float)]), const("start", Tensor(.float, shape: [3], [Float(1), 2, 3])),
      ("init", "Assign", ["v", "start"], [:]), feed("i"), feed("x"), ("scatter", "ScatterAdd", ["v", "i", "x"], [:]),
    ])
    try model.initialise("init")
    let plans = try model.plans((["i", "x"], ["scatter"]), ([], ["v"]))
    #expect(throws: RunError.self) {
      try run(plans[0], [Tensor(.int32, shape: [2], [Int32(0), 3]), Tensor(.float, shape: [2], [Float(9), 9])])
    }
    #expect(try run(plans[1])[0].array(of: Float.self) == [1, 2, 3])
  }

  @Test func `a variable nobody has given a value says so`() throws {
    let plan = try counter().plans(([], ["add"]))[0]
    let error = #expect(throws: RunError.self) { try run(plan) }
    #expect(error?.code == .failedPrecondition)
    #expect(error?.message.contains("Attempting to use uninitialized value") == true)
  }

  @Test func `strings of a variable are its own`() throws {
    let model = Model([
      ("v", "VariableV2", [], ["dtype": .type(.string)]), const("start", Tensor(shape: [2], strings: [Array("a".utf8), Array("b".utf8)])),
      ("init", "Assign", ["v", "start"], [:]), feed("i"), feed("x"), ("scatter", "ScatterUpdate", ["v", "i", "x"], [:]),
    ])
    try model.initialise("init")
    let plans = try model.plans((["i", "x"], ["scatter"]), ([], ["v"]))
    for round in 0..<3 {
      let text = Array(String(repeating: "long enough to need memory ", count: round + 1).utf8)
      _ = try run(plans[0], [Tensor(.int32, shape: [1], [Int32(1)]), Tensor(shape: [1], strings: [text])])
      #expect(try run(plans[1])[0].strings == [Array("a".utf8), text])
    }
  }

  @Test func `only plans that leave something behind change state`() throws {
    let model = counter()
    try model.initialise("init")
    let plans = try model.plans(([], ["add"]), ([], ["v"]))
    #expect(plans.map(\.changesState) == [true, false])
    #expect(plans.map(\.isPlain) == [false, true])
  }

  @Test func `entries of many threads are all in the table`() async throws {
    let types: [String: Attribute] = ["key_dtype": .type(.int64), "value_dtype": .type(.int64), "shared_name": .string(Array("t".utf8))]
    let model = Model([
      ("t", "MutableHashTableV2", [], types), feed("k"), ("insert", "LookupTableInsertV2", ["t", "k", "k"], [:]),
      ("size", "LookupTableSizeV2", ["t", "^insert"], [:]), const("none", Tensor(.int64, shape: [], [Int64(-1)])),
      ("find", "LookupTableFindV2", ["t", "k", "none"], [:]), ("remove", "LookupTableRemoveV2", ["t", "k"], [:]),
      ("left", "LookupTableSizeV2", ["t", "^remove"], [:]),
    ])
    let plans = try model.plans((["k"], ["size"]), (["k"], ["find"]), (["k"], ["left"]))
    let (threads, times) = (4, 40)
    func key(_ thread: Int, _ i: Int) -> Tensor { Tensor(.int64, shape: [2], [Int64(thread * 1000 + i), Int64(-i)]) }
    try await withThrowingTaskGroup(of: Void.self) { group in
      for thread in 1...threads {
        group.addTask {
          var frame = Frame()
          for i in 1...times { _ = try self.run(plans[0], [key(thread, i)], in: &frame) }
        }
      }
      try await group.waitForAll()
    }
    for thread in 1...threads {
      for i in 1...times { #expect(try run(plans[1], [key(thread, i)])[0].array(of: Int64.self) == [Int64(thread * 1000 + i), Int64(-i)]) }
    }
    #expect(try run(plans[2], [key(1, 1)])[0].array(of: Int64.self) == [Int64(threads * times + times - 2)])
    #expect(try run(plans[1], [key(1, 1)])[0].array(of: Int64.self) == [-1, -1])
  }

  /// Every op that changes state, with values, shapes and types no graph would give it. Whatever comes out, the process lives, and
  /// what is in the variable and the table can still be read.
  @Test(arguments: UInt64(1)...8)
  func `no input to an op that changes state stops the process`(seed: UInt64) throws {
    var random = Seeded(state: seed)
    let vector: [String: Attribute] = ["key_dtype": .type(.string), "value_dtype": .type(.float), "shared_name": .string(Array("t".utf8)), "value_shape": .shape(PartialShape([2]))]
    let dense: [String: Attribute] = ["key_dtype": .type(.int64), "value_dtype": .type(.float), "shared_name": .string(Array("d".utf8))]
    let names = [
      "Assign", "AssignAdd", "AssignSub", "CountUpTo", "ScatterUpdate", "ScatterAdd", "ScatterDiv", "ScatterMax", "ScatterNdUpdate", "ScatterNdAdd",
      "StridedSliceAssign", "LookupTableInsertV2", "LookupTableImportV2", "LookupTableRemoveV2", "LookupTableFindV2",
    ]
    let stateful: [String: [String: Attribute]] = ["CountUpTo": ["limit": .int(2)]]
    for start in [Tensor(.float, shape: [3, 2], [Float](repeating: 1, count: 6)), Tensor(.int64, shape: [], [Int64(0)]), Tensor(shape: [2], strings: [[97], [98]])] {
      for op in names {
        for target in op.hasPrefix("Lookup") ? ["t", "d"] : ["v"] {
          let model = Model([
            ("v", "VariableV2", [], ["dtype": .type(start.dtype)]), const("start", start), ("init", "Assign", ["v", "start"], [:]),
            ("t", "MutableHashTableOfTensorsV2", [], vector),
            const("empty", Tensor(.int64, shape: [], [Int64(0)])), const("deleted", Tensor(.int64, shape: [], [Int64(-1)])),
            ("d", "MutableDenseHashTableV2", ["empty", "deleted"], dense),
            feed("a"), feed("b"), feed("c"), feed("e"), ("op", op, [target, "a", "b", "c", "e"], stateful[op] ?? [:]),
            const("zero", scalar(0)), ("done", "Identity", ["zero", "^op"], [:]), ("size", "LookupTableSizeV2", ["t"], [:]), ("length", "LookupTableSizeV2", ["d"], [:]),
          ])
          try model.initialise("init")
          let plans = try model.plans((["a", "b", "c", "e"], ["done"]), ([], ["v"]), ([], ["size"]), ([], ["length"]))
          for _ in 0..<12 {
            _ = try? run(plans[0], (0..<4).map { _ in random.tensor() })
            for plan in plans.dropFirst() { _ = try run(plan) }
          }
        }
      }
    }
  }

  /// SplitMix64: the seed is the test.
  private struct Seeded: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
      state &+= 0x9E37_79B9_7F4A_7C15
      var z = state
      z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
      z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
      return z ^ (z >> 31)
    }

    mutating func tensor() -> Tensor {
      let shapes: [Shape] = [[], [0], [1], [2], [3], [1, 1], [2, 1], [3, 2], [1, 2], [0, 2], [2, 2, 1]]
      let shape = shapes.randomElement(using: &self)!
      func filled<T: BitwiseCopyable>(_ dtype: DType, _ choices: [T]) -> Tensor {
        Tensor(dtype, shape: shape, (0..<shape.count).map { _ in choices.randomElement(using: &self)! })
      }
      switch Int.random(in: 0..<5, using: &self) {
      case 0: return filled(.float, [Float(0), 1, -1e30, .nan, .infinity])
      case 1: return filled(.int64, [Int64(0), 1, 2, -1, 5, .max, .min])
      case 2: return filled(.int32, [Int32(0), 1, 2, -1, 5, .max, .min])
      case 3: return filled(.bool, [UInt8(0), 1])
      default:
        return Tensor(shape: shape, strings: (0..<shape.count).map { _ in [[], [97], [98, 99], [UInt8](repeating: 100, count: 40)].randomElement(using: &self)! })
      }
    }
  }
}
