// A GraphDef becomes the engine's graph: names become indices, attributes values, constants tensors. Only what is reached
// from the tensors asked for is made; a file's training functions and savers are passed over where they stand.
//
//   in the graph          input "split:1", "^init"      in a function's body   "x" (argument), "split:output:1", "^init"
//
// Nothing here trusts the file: every name must be found, every output number must be one the op has, and what a few
// bytes may claim (fills, list lengths) is bounded; the result is held against the ops' definitions (`GraphCheck`). Cycles
// are the engine's to find.
import Engine
import Messages
import Tensors
import Wire

struct GraphImporter: ~Escapable {
  private let bytes: RawSpan
  private let index: GraphIndex
  /// The file's own list of ops: for those the table does not have.
  private let stripped: [String: OpDefinition]
  /// What functions somebody asked about take and give.
  private var signatures: [String: OpDefinition] = [:]
  private var budget: ConstantBudget
  private var functions: [String: Function] = [:]
  /// What the imported functions return; unknown where that depends on the caller.
  private var resultTypes: [String: [DType?]] = [:]
  /// Functions somebody calls that are not imported yet.
  private var pending: [Int] = []
  private var reached: Set<Int> = []

  /// No op gives more tensors than this; a graph of many such would only be made to fill the memory.
  private static let outputsMax = 1 << 16
  /// The outputs of all nodes together, as far as somebody reads them.
  private static let outputsOfAllMax = 1 << 22

  @_lifetime(copy meta)
  init(_ meta: MetaGraphDef) throws {
    bytes = meta.graph.bytes
    index = try GraphIndex(meta.graph)
    stripped = try OpDefinition.stripped(meta.metaInfo)
    budget = ConstantBudget(fileSize: meta.graph.extent.byteCount)
    if let duplicate = index.duplicate {
      throw FormatError(.invalid, "two nodes have this name", place: "node '\(text(index.nodes[duplicate].name))'")
    }
  }

  private func text(_ range: Range<UInt32>) -> String { String(showing: bytes.extracting(range)) }

  /// The graph that computes the tensors of these names; those no node has are left out.
  /// - Parameter all: and every other node there is.
  @_lifetime(self: copy self)
  mutating func graph(reaching names: [String], andAllElse all: Bool = false) throws -> (graph: Graph, types: TensorTypes) {
    var roots: [Int] = all ? Array(index.scope) : []
    for name in names {
      let reference = TensorReference(name)
      if let node = index.node(named: Array(reference.node.utf8).rawSpan, in: index.scope, of: bytes) { roots.append(node) }
    }
    let body = try self.body(of: nil, roots: roots)
    while let next = pending.popLast() {
      let function = try self.function(next)
      functions[function.name] = function
    }
    let graph = Graph(nodes: body.nodes, functions: functions)
    return (graph, try GraphCheck(graph, results: resultTypes).check())
  }

  // MARK: Bodies

  /// A function being imported: its scope's names are told apart from its arguments'.
  private struct Caller {
    var name: String
    var scope: Range<Int>
    /// The arguments by name.
    var arguments: [String: Int]
    var argumentTypes: [DType?]
  }

  private struct Body {
    var nodes: [Node]
    /// For each node of the scope, its place in `nodes`, or -1.
    var position: [Int]
  }

  /// The nodes that `roots` need. Those of a function stand behind its arguments.
  @_lifetime(self: copy self)
  private mutating func body(of function: Caller?, roots: [Int]) throws -> Body {
    let scope = function?.scope ?? index.scope
    var nodes: [Node] = (function?.argumentTypes ?? []).enumerated().map { number, type in
      Node(
        name: "arg\(number)", op: "_Arg",
        attributes: type.map { ["T": .type($0), "index": .int(number)] } ?? ["index": .int(number)])
    }
    let first = nodes.count
    var position = [Int](repeating: -1, count: scope.count)
    var order: [Int] = []
    func locate(_ node: Int) -> Int {
      if position[node - scope.lowerBound] < 0 {
        position[node - scope.lowerBound] = first + order.count
        order.append(node)
      }
      return position[node - scope.lowerBound]
    }
    for root in roots { _ = locate(root) }
    var next = 0
    var outputs: [Endpoint: Int] = [:]
    while next < order.count {
      let number = order[next]
      next += 1
      do {
        var node = Node(name: text(index.nodes[number].name), op: text(index.nodes[number].op))
        for input in index.inputs(of: number) {
          switch try source(bytes.extracting(input), in: function) {
          case .argument(let argument): node.inputs.append(Endpoint(node: argument))
          case .control(let other): node.controls.append(locate(other))
          case .outputs(let other, let range):
            let at = locate(other)
            node.inputs += range.map { Endpoint(node: at, output: $0) }
            outputs[Endpoint(node: at), default: 1] = max(outputs[Endpoint(node: at), default: 1], range.upperBound)
          }
        }
        node.attributes = try attributes(of: number)
        call(node.op)
        nodes.append(node)
      } catch var error as FormatError {
        if error.place == nil { error.place = place(of: number, function) }
        throw error
      } catch let error as TensorProtoError {
        throw FormatError(.invalid, "\(error)", place: place(of: number, function))
      }
    }
    let total = outputs.values.reduce(0, +)
    guard total <= GraphImporter.outputsOfAllMax else {
      throw FormatError(.unsupported, "\(total) outputs are read, at most \(GraphImporter.outputsOfAllMax) are supported")
    }
    return Body(nodes: nodes, position: position)
  }

  private func place(of node: Int, _ function: Caller?) -> String {
    let place = "node '\(text(index.nodes[node].name))' (\(text(index.nodes[node].op)))"
    return function.map { "function '\($0.name)', \(place)" } ?? place
  }

  @_lifetime(self: copy self)
  private mutating func attributes(of node: Int) throws -> [String: Attribute] {
    var attributes: [String: Attribute] = [:]
    var keys: Set<String> = []
    for range in index.attributeNames(of: node) {
      let name = text(range)
      // Names with an underscore are notes of TensorFlow's passes: colocation, inferred shapes, XLA.
      guard !name.hasPrefix("_"), keys.insert(name).inserted else { continue }
      guard let value = try index.attribute(bytes.extracting(range), of: node, in: bytes) else { continue }
      do {
        attributes[name] = try Attribute(value, within: &budget)
      } catch let error as TensorProtoError {
        throw FormatError(.invalid, "attribute '\(name)': \(error)")
      }
    }
    var called: [String] = []
    for attribute in attributes.values { attribute.forEachFunction { called.append($0) } }
    for name in called { call(name) }
    return attributes
  }

  /// Notes that a function, if it is one, must be imported.
  @_lifetime(self: copy self)
  private mutating func call(_ name: String) {
    guard let number = index.function(named: Array(name.utf8).rawSpan, of: bytes) else { return }
    if reached.insert(number).inserted { pending.append(number) }
  }

  // MARK: Functions

  @_lifetime(self: copy self)
  private mutating func function(_ number: Int) throws -> Function {
    let entry = index.functions[number]
    let name = text(entry.name)
    do {
      let definition = try FunctionDef(WireMessage(bytes, at: entry.definition))
      let signature = try OpDefinition(definition.signature)
      var caller = Caller(name: name, scope: entry.scope, arguments: [:], argumentTypes: [])
      for argument in signature.inputs {
        guard argument.length == .one else {
          throw FormatError(.unsupported, "argument '\(argument.name)' is a list of tensors")
        }
        guard caller.arguments.updateValue(caller.argumentTypes.count, forKey: argument.name) == nil else {
          throw FormatError(.invalid, "two arguments are called '\(argument.name)'")
        }
        caller.argumentTypes.append(argument.type)
      }

      // What the function returns, by the name of the output argument; of entries with one key the last counts.
      var returned: [String: Source] = [:]
      var returns = definition.returns
      while let value = try returns.next() {
        returned[String(showing: value.key)] = try source(value.valueSpan, in: caller)
      }
      var results: [Source] = []
      for output in signature.outputs {
        guard output.length == .one else { throw FormatError(.unsupported, "result '\(output.name)' is a list of tensors") }
        guard let source = returned[output.name] else {
          throw FormatError(.invalid, "there is no value for result '\(output.name)'")
        }
        results.append(source)
      }
      resultTypes[name] = signature.outputs.map(\.type)
      var controls: [Int] = []
      var controlReturns = definition.controlReturns
      while let value = try controlReturns.next() {
        guard let node = index.node(named: value.valueSpan, in: entry.scope, of: bytes) else {
          throw FormatError(.invalid, "control output '\(String(showing: value.valueSpan))' is no node")
        }
        controls.append(node)
      }

      let roots = results.compactMap { if case .outputs(let node, _) = $0 { node } else { nil } }
      let body = try self.body(of: caller, roots: roots + controls)
      func position(_ node: Int) -> Int { body.position[node - entry.scope.lowerBound] }
      return Function(
        name: name, argumentCount: caller.argumentTypes.count, body: body.nodes,
        results: try results.map { source in
          switch source {
          case .argument(let argument): return Endpoint(node: argument)
          case .outputs(let node, let range) where range.count == 1:
            return Endpoint(node: position(node), output: range.lowerBound)
          default: throw FormatError(.invalid, "a result is not one tensor")
          }
        },
        controlResults: controls.map(position))
    } catch var error as FormatError {
      if error.place == nil { error.place = "function '\(name)'" }
      throw error
    }
  }

  // MARK: Edges

  /// What an input's name means.
  private enum Source {
    case argument(Int)
    case control(Int)
    /// Some outputs of a node; nearly always one.
    case outputs(Int, Range<Int>)
  }

  @_lifetime(self: copy self)
  private mutating func source(_ name: RawSpan, in function: Caller?) throws -> Source {
    let reference = TensorReference(String(showing: name))
    if let function, !reference.isControl, let argument = function.arguments[reference.node] {
      guard reference.rest.isEmpty || reference.rest == ["0"] else { throw unknown(name, "the argument is one tensor") }
      return .argument(argument)
    }
    guard
      let node = index.node(
        named: Array(reference.node.utf8).rawSpan, in: function?.scope ?? index.scope, of: bytes)
    else { throw unknown(name, "there is no such node") }
    if reference.isControl { return .control(node) }
    guard function != nil else {
      guard reference.rest.count <= 1, let output = reference.rest.isEmpty ? 0 : Int(reference.rest[0]),
        output >= 0, output < GraphImporter.outputsMax
      else { throw unknown(name, "the output is no number") }
      if let count = try outputs(of: node)?.last?.range.upperBound, output >= count {
        throw unknown(name, "op \(text(index.nodes[node].op)) has \(count) outputs")
      }
      return .outputs(node, output..<output + 1)
    }
    // In a body: the output argument, and, unless all of a list is meant, which of it.
    guard reference.rest.count == 1 || reference.rest.count == 2 else { throw unknown(name, "expected node:output:number") }
    guard let outputs = try outputs(of: node) else {
      throw FormatError(.unsupported, "Op type not registered '\(text(index.nodes[node].op))'")
    }
    guard let range = outputs.first(where: { $0.name == reference.rest[0] })?.range else {
      throw unknown(name, "op \(text(index.nodes[node].op)) has no such output")
    }
    guard reference.rest.count == 2 else { return .outputs(node, range) }
    guard let number = Int(reference.rest[1]), number >= 0, number < range.count else {
      throw unknown(name, "the output has \(range.count) tensors")
    }
    return .outputs(node, range.lowerBound + number..<range.lowerBound + number + 1)
  }

  private func unknown(_ name: RawSpan, _ why: String) -> FormatError {
    FormatError(.invalid, "input '\(String(showing: name))': \(why)")
  }

  /// A node's output arguments, each with the numbers of its outputs; `nil` when nobody defines the op.
  @_lifetime(self: copy self)
  private mutating func outputs(of node: Int) throws -> [(name: String, range: Range<Int>)]? {
    guard let definition = try definition(of: bytes.extracting(index.nodes[node].op)) else { return nil }
    var outputs: [(name: String, range: Range<Int>)] = []
    var next = 0
    for argument in definition.outputs {
      let count = try length(of: argument, definition.defaults, of: node)
      guard count >= 0, count < GraphImporter.outputsMax - next else {
        throw FormatError(.invalid, "\(count) outputs", place: "node '\(text(index.nodes[node].name))'")
      }
      outputs.append((argument.name, next..<next + count))
      next += count
    }
    return outputs
  }

  private func length(of argument: OpArgument, _ defaults: [String: OpDefinition.Default], of node: Int) throws -> Int {
    switch argument.length {
    case .one: return 1
    case .number(let name):
      let value = try index.attribute(Array(name.utf8).rawSpan, of: node, in: bytes)
      if let number = value?.int { return Int(number) }
      if value == nil, case .number(let number)? = defaults[name] { return number }
    case .types(let name):
      let value = try index.attribute(Array(name.utf8).rawSpan, of: node, in: bytes)
      if let list = value?.list() { return try list.typeNumbers().count }
    }
    throw FormatError(
      .unsupported, "how long output '\(argument.name)' is depends on the caller",
      place: "node '\(text(index.nodes[node].name))'")
  }

  @_lifetime(self: copy self)
  private mutating func definition(of op: RawSpan) throws -> OpDefinition? {
    let name = String(showing: op)
    if let known = signatures[name] { return known }
    guard let number = index.function(named: op, of: bytes) else {
      return OpDefinition.registered[name] ?? stripped[name]
    }
    let function = try FunctionDef(WireMessage(bytes, at: index.functions[number].definition))
    let definition = try OpDefinition(function.signature)
    signatures[name] = definition
    return definition
  }
}

/// A tensor's or node's name, taken apart at its colons.
struct TensorReference {
  var isControl: Bool
  var node: String
  var rest: [Substring]

  init(_ name: String) {
    isControl = name.hasPrefix("^")
    let parts = (isControl ? name.dropFirst() : name[...]).split(separator: ":", maxSplits: 3, omittingEmptySubsequences: false)
    node = String(parts.first ?? "")
    rest = Array(parts.dropFirst())
  }
}

extension OpArgument {
  /// The type, when it is the same wherever the op stands.
  var type: DType? { if case .type(let type)? = element { type } else { nil } }
}

extension GraphImporter {
  /// An op that has no kernel is rarely the only one: the error that names the first, with the next few behind it.
  static func listingMissing(_ error: any Error, _ graph: Graph, _ registry: KernelRegistry) -> any Error {
    guard let first = error as? GraphError, first.kind == .unsupported, first.message.hasPrefix("Op type not registered")
    else { return error }
    let others = 10
    var missing: [String: String] = [:]
    for node in graph.nodes + graph.functions.values.flatMap(\.body)
    where registry[node.op] == nil && graph.functions[node.op] == nil && !builtIn.contains(node.op)
      && !first.message.contains("'\(node.op)'") && missing[node.op] == nil
    {
      missing[node.op] = node.name
    }
    guard !missing.isEmpty else { return error }
    let listed = missing.sorted { $0.key < $1.key }.prefix(others).map { "\($0.key) (\($0.value))" }
    let more = missing.count > others ? " and \(missing.count - others) more" : ""
    return GraphError(
      .unsupported, "\(first.message); perhaps also missing: \(listed.joined(separator: ", "))\(more)", node: first.node)
  }

  /// Ops the engine has no kernels for because it needs none.
  private static let builtIn: Set<String> = [
    "Const", "_Arg", "Placeholder", "PartitionedCall", "StatefulPartitionedCall", "Enter", "RefEnter", "RefExit", "NextIteration",
    "RefNextIteration", "LoopCond",
  ]
}
