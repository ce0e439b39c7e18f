// Holds a graph against the definitions of its ops: as many inputs as an op takes, each of the type it takes, no output an op
// does not have, functions called with what they take. TensorFlow does this while it builds a graph; kernels rely on it.
//
// Every type follows from a node's own attributes, so the order of nodes does not matter. Where an attribute is the caller's
// to give (a placeholder in a function's body) the type is unknown here, and unknown agrees with everything.
import Engine
import Tensors

struct GraphCheck {
  private let graph: Graph
  /// What functions return, by name.
  private let results: [String: [DType?]]

  init(_ graph: Graph, results: [String: [DType?]]) {
    self.graph = graph
    self.results = results
  }

  /// - Returns: The types of the graph's own nodes.
  func check() throws(FormatError) -> TensorTypes {
    let types = TensorTypes(outputs: try check(graph.nodes, nil))
    for function in graph.functions.values.sorted(by: { $0.name < $1.name }) {
      let types = try check(function.body, function.name)
      for (number, result) in function.results.enumerated() {
        let declared = results[function.name]?[number] ?? nil
        if let types = types[result.node] {
          guard types.indices.contains(result.output), agree(types[result.output], declared) else {
            throw FormatError(
              .invalid, "result \(number) is not output \(result.output) of '\(function.body[result.node].name)'",
              place: "function '\(function.name)'")
          }
        }
      }
    }
    return types
  }

  private func agree(_ a: DType?, _ b: DType?) -> Bool { a == nil || b == nil || a == b }

  /// The types of each node's outputs; `nil` where the op is not known.
  private func check(_ nodes: [Node], _ function: String?) throws(FormatError) -> [[DType?]?] {
    var outputs: [[DType?]?] = []
    outputs.reserveCapacity(nodes.count)
    for node in nodes { outputs.append(try located(node, function) { () throws(FormatError) in try self.outputs(of: node) }) }
    for node in nodes {
      try located(node, function) { () throws(FormatError) in
        var found: [DType?] = []
        for input in node.inputs {
          guard let types = outputs[input.node] else {
            found.append(nil)
            continue
          }
          guard types.indices.contains(input.output) else {
            throw FormatError(.invalid, "'\(nodes[input.node].name)' has \(types.count) outputs, asked for number \(input.output)")
          }
          found.append(types[input.output])
        }
        if let wanted = try inputs(of: node) { try match(found, wanted) }
        try checkFunctions(of: node, found)
      }
    }
    return outputs
  }

  private func located<T>(
    _ node: Node, _ function: String?, _ body: () throws(FormatError) -> T
  ) throws(FormatError) -> T {
    do throws(FormatError) { return try body() } catch {
      var error = error
      let place = "node '\(node.name)' (\(node.op))"
      error.place = error.place ?? function.map { "function '\($0)', \(place)" } ?? place
      throw error
    }
  }

  private func match(_ found: [DType?], _ wanted: [DType?]) throws(FormatError) {
    guard found.count == wanted.count else {
      throw FormatError(.invalid, "it has \(found.count) inputs, expected \(wanted.count)")
    }
    for (i, (found, wanted)) in zip(found, wanted).enumerated() where !agree(found, wanted) {
      throw FormatError(.invalid, "input \(i) is \(found!), expected \(wanted!)")
    }
  }

  // MARK: Of a node

  private func outputs(of node: Node) throws(FormatError) -> [DType?]? {
    if node.op == "_Arg" { return [type("T", of: node, [:])] }
    if graph.functions[node.op] != nil { return results[node.op] }
    guard let definition = OpDefinition.registered[node.op] else { return nil }
    return try types(definition.outputs, of: node, definition.defaults)
  }

  private func inputs(of node: Node) throws(FormatError) -> [DType?]? {
    if node.op == "_Arg" { return [] }
    if let function = graph.functions[node.op] { return arguments(of: function) }
    guard let definition = OpDefinition.registered[node.op] else { return nil }
    return try types(definition.inputs, of: node, definition.defaults)
  }

  /// The types of arguments, lists laid out; `nil` when the length of one is the caller's to say.
  private func types(
    _ arguments: [OpArgument], of node: Node, _ defaults: [String: OpDefinition.Default]
  ) throws(FormatError) -> [DType?]? {
    var types: [DType?] = []
    for argument in arguments {
      let element: DType?
      switch argument.element {
      case .type(let type)?: element = type
      case .attribute(let name)?:
        element = type(name, of: node, defaults)
        if element == nil, node.attributes[name] == nil { throw FormatError(.invalid, "attribute '\(name)' is missing") }
      case nil: element = nil
      }
      switch argument.length {
      case .one: types.append(element)
      case .number(let name):
        guard let count = number(name, of: node, defaults) else { return nil }
        // As many as the importer lets an op have.
        guard count >= 0, count <= 1 << 16 else { throw FormatError(.invalid, "attribute '\(name)' is \(count)") }
        types += [DType?](repeating: element, count: count)
      case .types(let name):
        guard case .list(let list)? = node.attributes[name] else {
          if node.attributes[name] == nil { continue }
          return nil
        }
        for case .type(let type) in list { types.append(type) }
      }
    }
    return types
  }

  private func type(_ name: String, of node: Node, _ defaults: [String: OpDefinition.Default]) -> DType? {
    switch node.attributes[name] {
    case .type(let type)?: return type
    case nil: if case .type(let type)? = defaults[name] { return type } else { return nil }
    default: return nil
    }
  }

  private func number(_ name: String, of node: Node, _ defaults: [String: OpDefinition.Default]) -> Int? {
    switch node.attributes[name] {
    case .int(let number)?: return number
    case nil: if case .number(let number)? = defaults[name] { return number } else { return nil }
    default: return nil
    }
  }

  // MARK: Functions as attributes

  private func arguments(of function: Function) -> [DType?] {
    function.body.prefix(function.argumentCount).map { type("T", of: $0, [:]) }
  }

  /// Holds the functions a node calls against its inputs and outputs.
  private func checkFunctions(of node: Node, _ inputs: [DType?]) throws(FormatError) {
    switch node.op {
    case "PartitionedCall", "StatefulPartitionedCall":
      try call(node.attributes["f"], of: node, inputs, try outputs(of: node))
    case "If", "StatelessIf":
      for branch in ["then_branch", "else_branch"] {
        try call(node.attributes[branch], of: node, Array(inputs.dropFirst()), try outputs(of: node))
      }
    case "Case", "StatelessCase":
      guard case .list(let branches)? = node.attributes["branches"] else { return }
      for branch in branches { try call(branch, of: node, Array(inputs.dropFirst()), try outputs(of: node)) }
    case "While", "StatelessWhile":
      try call(node.attributes["cond"], of: node, inputs, [nil])
      try call(node.attributes["body"], of: node, inputs, inputs)
    default: break
    }
  }

  private func call(
    _ attribute: Attribute?, of node: Node, _ given: [DType?], _ expected: [DType?]?
  ) throws(FormatError) {
    // What is no function, or none of the library, the engine refuses by its name.
    guard case .function(let reference)? = attribute, let function = graph.functions[reference.name] else { return }
    do throws(FormatError) { try match(given, arguments(of: function)) } catch {
      throw FormatError(.invalid, "calling '\(function.name)': \(error.message)")
    }
    guard let expected, let returned = results[function.name] else { return }
    guard returned.count == expected.count, zip(returned, expected).allSatisfy(agree) else {
      throw FormatError(
        .invalid,
        "'\(function.name)' returns \(GraphCheck.text(returned)), expected \(GraphCheck.text(expected))")
    }
  }

  private static func text(_ types: [DType?]) -> String {
    "(" + types.map { $0?.name ?? "any" }.joined(separator: ", ") + ")"
  }
}

/// What the nodes of a graph give.
struct TensorTypes: Sendable {
  /// For each node the types of its outputs, where known; `nil` for an op that is not.
  fileprivate let outputs: [[DType?]?]

  /// The types of a node's outputs.
  subscript(node: Int) -> [DType?]? { outputs.indices.contains(node) ? outputs[node] : nil }

  /// Why a tensor of `dtype` cannot be taken from an endpoint, or put in its place; `nil` when it can.
  func objection(to dtype: DType, at endpoint: Endpoint) -> String? {
    guard outputs.indices.contains(endpoint.node), let types = outputs[endpoint.node] else {
      // The op is missing, or one of ours that TensorFlow does not have: it gives one tensor.
      return endpoint.output == 0 ? nil : "there is no such output"
    }
    guard types.indices.contains(endpoint.output) else { return "the node has \(types.count) outputs" }
    if let type = types[endpoint.output], type != dtype { return "it is \(type), not \(dtype)" }
    return nil
  }
}
