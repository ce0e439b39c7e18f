// TF1 writes a loop as a cycle through nodes of its own kind. Here it becomes the `While` that TensorFlow made such cycles from: what
// runs from a Merge to the LoopCond is the condition, what runs from a Switch to a NextIteration is the body.
//
//             ┌──────────────────────── NextIteration ◄────┐
//             ▼                                            │
//   Enter ─► Merge ─► Switch ─► 1 ─► … ─────────────────────┘      one such row for each loop variable
//             │         ▲   └─► 0 ─► Exit
//             ▼         │
//             … ─► LoopCond             Enter ─► …                  an Enter that no Merge reads is an invariant
//
// A loop within a loop is a frame within a frame: the inner one goes first and is a node of the outer one's body then. Nodes keep
// their numbers: an Exit reads the `While`, which stands at the end, and the rest of the loop is nodes that nobody reads. A loop in another form
// than TensorFlow writes it is refused, with the reason, by whoever reads its Exit.
internal import Tensors

extension Graph {
  /// The graph with TF1's loops as `While`, and what a TF1 branch holds leaving with it (`Branches.swift`).
  func structured(_ registry: KernelRegistry) -> Graph {
    let ops: Set<String> = ["Enter", "RefEnter", "Switch", "RefSwitch"]
    guard ([nodes] + functions.values.map(\.body)).contains(where: { $0.contains { ops.contains($0.op) } })
    else { return self }
    var result = self
    result.nodes = result.replacingLoops(nodes, of: "", registry)
    for (name, function) in functions {
      let body = result.replacingLoops(function.body, of: name + " ", registry)
      result.functions[name]?.body = body
    }
    result.nodes = result.nodes.guardingBranches().nodes
    for (name, function) in result.functions {
      let (body, moved) = function.body.guardingBranches()
      result.functions[name]?.body = body
      result.functions[name]?.results = function.results.map { moved[$0] ?? $0 }
    }
    return result
  }

  /// Nodes with their loops replaced; the library gets the loops' functions.
  private mutating func replacingLoops(_ nodes: [Node], of owner: String, _ registry: KernelRegistry) -> [Node] {
    var nodes = nodes
    // Each loop costs a look at all nodes; more of them than any model has are left as they are, and refused.
    guard Set(nodes.lazy.filter { Loop.enterOps.contains($0.op) }.map(Loop.frame)).count <= Loop.framesMax else { return nodes }
    while let loop = Loop.innermost(nodes) {
      let name = owner + loop.frame
      do throws(Loop.Unlike) {
        let parts = try loop.parts(nodes)
        functions["cond \(name)"] = Function(name: "cond \(name)", argumentCount: parts.arguments.count, body: parts.condition.nodes, results: parts.condition.results)
        functions["body \(name)"] = Function(
          name: "body \(name)", argumentCount: parts.arguments.count, body: parts.body.nodes, results: parts.body.results,
          controlResults: parts.body.controls)
        let acts = (parts.condition.nodes + parts.body.nodes).contains { $0.acts(functions, registry) }
        nodes.append(
          Node(
            name: loop.frame, op: acts ? "While" : "StatelessWhile", inputs: parts.arguments, controls: parts.controls,
            attributes: [
              "cond": .function(FunctionReference(name: "cond \(name)")), "body": .function(FunctionReference(name: "body \(name)")),
            ]))
        for (exit, variable) in parts.exits {
          nodes[exit] = Node(name: nodes[exit].name, op: "Identity", inputs: [Endpoint(node: nodes.count - 1, output: variable)])
        }
      } catch {
        for exit in loop.exits {
          nodes[exit] = nodes[exit].refused("the TF1 loop '\(loop.frame)' is not as TensorFlow writes them: \(error.reason)")
        }
      }
      for node in loop.members where !loop.exits.contains(node) { nodes[node] = Node(name: nodes[node].name, op: "_InLoop") }
    }
    return nodes
  }
}

/// The nodes of a frame.
private struct Loop {
  /// Why a loop is none as TensorFlow writes it.
  struct Unlike: Error {
    var reason: String
  }

  let frame: String
  let enters: [Int]
  /// All nodes from the Enters to the Exits.
  let members: Set<Int>
  let exits: Set<Int>

  static let enterOps: Set<String> = ["Enter", "RefEnter"]
  static let framesMax = 1000
  private static let exitOps: Set<String> = ["Exit", "RefExit"]
  private static let mergeOps: Set<String> = ["Merge", "RefMerge"]
  private static let switchOps: Set<String> = ["Switch", "RefSwitch"]
  private static let nextOps: Set<String> = ["NextIteration", "RefNextIteration"]

  /// A loop that holds no other.
  static func innermost(_ nodes: [Node]) -> Loop? {
    var enters: [String: [Int]] = [:]
    for (i, node) in nodes.enumerated() where enterOps.contains(node.op) { enters[frame(of: node), default: []].append(i) }
    guard var frame = enters.keys.min() else { return nil }
    var readers = [[Int]](repeating: [], count: nodes.count)
    for (i, node) in nodes.enumerated() { for source in node.inputs.map(\.node) + node.controls { readers[source].append(i) } }
    var seen: Set<String> = []
    while true {
      seen.insert(frame)
      var members: Set<Int> = []
      var exits: Set<Int> = []
      var inner: String?
      var pending = enters[frame] ?? []
      while let node = pending.popLast() {
        guard members.insert(node).inserted else { continue }
        if exitOps.contains(nodes[node].op) {
          exits.insert(node)
          continue
        }
        if enterOps.contains(nodes[node].op), Loop.frame(of: nodes[node]) != frame { inner = Loop.frame(of: nodes[node]) }
        pending += readers[node]
      }
      // Frames that hold each other are broken; one of them is refused then, as a loop of that many nodes.
      guard let next = inner, !seen.contains(next) else {
        return Loop(frame: frame, enters: enters[frame] ?? [], members: members, exits: exits)
      }
      frame = next
    }
  }

  static func frame(of node: Node) -> String {
    if case .string(let name)? = node.attributes["frame_name"] { String(decoding: name, as: UTF8.self) } else { "" }
  }

  /// A function's body in the making.
  struct Part {
    var nodes: [Node]
    var results: [Endpoint] = []
    var controls: [Int] = []
  }

  struct Parts {
    /// What the `While` reads: the variables' first values, the invariants, and what the loop reads besides.
    var arguments: [Endpoint]
    /// What the `While` waits for.
    var controls: [Int]
    var condition: Part
    var body: Part
    /// Each Exit with the variable it gives.
    var exits: [(node: Int, variable: Int)]
  }

  func parts(_ nodes: [Node]) throws(Unlike) -> Parts {
    guard !members.contains(where: { Loop.enterOps.contains(nodes[$0].op) && !enters.contains($0) }) else {
      throw Unlike(reason: "two loops hold each other")
    }
    let conditions = members.filter { nodes[$0].op == "LoopCond" }
    guard let condition = conditions.first, conditions.count == 1, let decision = nodes[condition].inputs.first else {
      throw Unlike(reason: "a loop with \(conditions.count) conditions")
    }
    // Where a tensor of the loop is an argument.
    var argument: [Endpoint: Int] = [:]
    var arguments: [Endpoint] = []
    var next: [Endpoint] = []
    var nextControls: [Int] = []
    var ofVariables: Set<Int> = []
    for merge in members.sorted() where Loop.mergeOps.contains(nodes[merge].op) {
      let inputs = nodes[merge].inputs
      guard let enter = inputs.first(where: { enters.contains($0.node) }) else { continue }
      guard inputs.count == 2, let back = inputs.first(where: { Loop.nextOps.contains(nodes[$0.node].op) }),
        let first = nodes[enter.node].inputs.first, let value = nodes[back.node].inputs.first, ofVariables.insert(enter.node).inserted
      else { throw Unlike(reason: "'\(nodes[merge].name)' does not merge an Enter and a NextIteration") }
      argument[Endpoint(node: merge)] = arguments.count
      arguments.append(first)
      next.append(value)
      nextControls += nodes[back.node].controls
    }
    let variables = arguments.count
    for enter in enters where !ofVariables.contains(enter) {
      guard let value = nodes[enter].inputs.first else { throw Unlike(reason: "'\(nodes[enter].name)' enters nothing") }
      argument[Endpoint(node: enter)] = arguments.count
      arguments.append(value)
    }
    // The branch that a Switch by the condition takes to the body is the variable.
    for node in members where Loop.switchOps.contains(nodes[node].op) && nodes[node].inputs.last?.node == condition {
      guard let variable = nodes[node].inputs.first.flatMap({ argument[$0] }) else {
        throw Unlike(reason: "'\(nodes[node].name)' switches no variable of the loop")
      }
      argument[Endpoint(node: node, output: 1)] = variable
    }
    var exits: [(node: Int, variable: Int)] = []
    for exit in self.exits.sorted() {
      guard let last = nodes[exit].inputs.first, last.output == 0, let variable = argument[Endpoint(node: last.node, output: 1)],
        Loop.switchOps.contains(nodes[last.node].op)
      else { throw Unlike(reason: "'\(nodes[exit].name)' gives no variable of the loop") }
      exits.append((exit, variable))
    }

    // What the loop reads without an Enter, a constant mostly, is an argument too. Both functions take all of them.
    var controls = enters.flatMap { nodes[$0].controls }
    let boundary = Set(argument.keys.map(\.node)).union(enters)
    func reach(_ roots: [Endpoint], _ waitedFor: [Int]) throws(Unlike) -> [Int] {
      var order: [Int] = []
      var reached: Set<Int> = []
      var pending = waitedFor
      func read(_ input: Endpoint) throws(Unlike) {
        if argument[input] != nil { return }
        guard members.contains(input.node) else {
          argument[input] = arguments.count
          arguments.append(input)
          return
        }
        guard !boundary.contains(input.node), !Loop.nextOps.contains(nodes[input.node].op) else {
          throw Unlike(reason: "output \(input.output) of '\(nodes[input.node].name)' is read within the loop")
        }
        pending.append(input.node)
      }
      for root in roots { try read(root) }
      while let node = pending.popLast() {
        if !members.contains(node) {
          controls.append(node)
          continue
        }
        // That the condition was met is known in the body.
        guard !boundary.contains(node), node != condition || !waitedFor.contains(node), reached.insert(node).inserted else { continue }
        order.append(node)
        for input in nodes[node].inputs { try read(input) }
        pending += nodes[node].controls.filter { $0 != condition }
      }
      return order
    }
    let ofCondition = try reach([decision], [])
    let ofBody = try reach(next, nextControls)
    func part(_ order: [Int], _ results: [Endpoint], _ waitedFor: [Int]) -> Part {
      var part = Part(nodes: arguments.indices.map { Node(name: "arg\($0)", op: Subgraph.argument) })
      var position: [Int: Int] = [:]
      for (i, node) in order.enumerated() { position[node] = arguments.count + i }
      func moved(_ input: Endpoint) -> Endpoint {
        if let argument = argument[input] { return Endpoint(node: argument) }
        return Endpoint(node: position[input.node]!, output: input.output)
      }
      for old in order {
        var node = nodes[old]
        if old == condition { node.op = "Identity" }
        node.inputs = node.inputs.map(moved)
        node.controls = node.controls.compactMap { position[$0] }
        part.nodes.append(node)
      }
      part.results = results.map(moved)
      part.controls = waitedFor.compactMap { position[$0] }
      return part
    }
    let condition_ = part(ofCondition, [decision], [])
    var body = part(ofBody, next, nextControls)
    body.results += (variables..<arguments.count).map { Endpoint(node: $0) }
    return Parts(
      arguments: arguments, controls: Array(Set(controls)).sorted(), condition: condition_, body: body, exits: exits)
  }
}
