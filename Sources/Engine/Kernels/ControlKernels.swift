internal import Tensors

/// Ops that steer: calls, branches, loops, checks, and those that do nothing.
let controlKernels: [KernelDefinition] = [
  KernelDefinition("NoOp") { _ throws(GraphError) in { _ throws(RunError) in } },
  identity("Identity"), identity("StopGradient"), identity("PreventGradient"), identity("Snapshot"),
  identity("PlaceholderWithDefault"), identity("EnsureShape"), identity("RefIdentity"),
  KernelDefinition("IdentityN") { _ throws(GraphError) in
    { frame throws(RunError) in for i in 0..<frame.inputCount { frame.forward(i, to: i) } }
  },
  KernelDefinition("Placeholder") { node throws(GraphError) in
    // TensorFlow says it without the op's name.
    var missing = "You must feed a value for placeholder tensor '\(node.node.name)' with dtype \(try node.dtype("dtype", default: .float))"
    if let shape = try? node.shape("shape"), shape.extents?.isEmpty == false { missing += " and shape \(shape)" }
    throw GraphError(.invalid, missing, node: node.node.name)
  },
  KernelDefinition("Assert", .writes) { _ throws(GraphError) in
    { frame throws(RunError) in
      guard frame.input(0).isTrue else {
        throw .invalidArgument("assertion failed: " + frame.texts(1..<frame.inputCount))
      }
    }
  },
  branching("Switch"), branching("RefSwitch"), merging("Merge"), merging("RefMerge"),
  identity(Node.gate), kernel(Node.dead) { frame throws(RunError) in frame.kill(0) },
  KernelDefinition(Node.refused) { node throws(GraphError) in
    throw GraphError(.unsupported, try node.string("reason"), node: node.node.name)
  },
  conditional("If", .writes), conditional("StatelessIf", .none),
  loop("While", .writes), loop("StatelessWhile", .none),
  caseOf("Case", .writes), caseOf("StatelessCase", .none),
]

private func identity(_ op: String) -> KernelDefinition {
  KernelDefinition(op) { _ throws(GraphError) in { frame throws(RunError) in frame.forward(0, to: 0) } }
}

/// The one output the predicate chooses is the input, the other is dead.
private func branching(_ op: String) -> KernelDefinition {
  kernel(op) { frame throws(RunError) in
    let predicate = frame.input(1)
    guard predicate.dtype == .bool, predicate.shape.rank == 0 else {
      throw .invalidArgument("The second input must be a scalar, but it has shape \(predicate.shape)")
    }
    let branch = predicate.isTrue ? 1 : 0
    frame.forward(0, to: branch)
    frame.kill(1 - branch)
  }
}

/// The input that is alive, and which one that is.
private func merging(_ op: String) -> KernelDefinition {
  kernel(op) { frame throws(RunError) in
    guard let alive = (0..<frame.inputCount).first(where: { !frame.input($0).isDead }) else { return }
    frame.forward(alive, to: 0)
    if frame.outputCount > 1 {
      var index = try frame.output(1, .int32, [])
      var element = index.mutableSpan(of: Int32.self)
      element[0] = Int32(alive)
    }
  }
}

extension Value {
  /// What TensorFlow takes for true in `If` and `While`: a true bool, a number other than zero, a non-empty string or tensor.
  var isTrue: Bool {
    guard shape.rank == 0 else { return count > 0 }
    switch dtype {
    case .string: return string(at: 0).byteCount > 0
    case .float: return span(of: Float.self)[0] != 0
    case .double: return span(of: Double.self)[0] != 0
    case .bool: return span(of: UInt8.self)[0] != 0
    default: return int(at: 0) != 0
    }
  }
}

extension Frame {
  /// The first elements of the inputs as text, for error messages.
  func texts(_ inputs: Range<Int>) -> String {
    inputs.map { i in
      let value = input(i)
      if value.dtype == .string {
        return (0..<min(3, value.count)).map { at in
          unsafe value.string(at: at).withUnsafeBytes { unsafe String(decoding: $0, as: UTF8.self) }
        }.joined(separator: " ")
      }
      return "[" + (0..<min(3, value.count)).map { value.int(at: $0).map(String.init) ?? "..." }.joined(separator: " ") + "]"
    }.joined(separator: " ")
  }

  /// Runs a function on inputs of the step and makes its results the step's outputs.
  fileprivate mutating func branch(to plan: Plan, firstInput: Int) throws(RunError) {
    var arguments: [Value] = []
    for i in firstInput..<inputCount { arguments.append(input(i)) }
    let results = try call(plan, arguments)
    for (i, result) in results.enumerated() { adopt(result, as: i) }
  }
}

private func conditional(_ op: String, _ effect: KernelDefinition.Effect) -> KernelDefinition {
  KernelDefinition(op, effect) { node throws(GraphError) in
    let then = try node.session.plan(try node.function("then_branch"))
    let otherwise = try node.session.plan(try node.function("else_branch"))
    return { frame throws(RunError) in
      try frame.branch(to: frame.input(0).isTrue ? then : otherwise, firstInput: 1)
    }
  }
}

private func caseOf(_ op: String, _ effect: KernelDefinition.Effect) -> KernelDefinition {
  KernelDefinition(op, effect) { node throws(GraphError) in
    var branches: [Plan] = []
    for function in try node.functions("branches") { branches.append(try node.session.plan(function)) }
    guard !branches.isEmpty else { throw node.invalid("there is no branch") }
    let plans = branches
    return { frame throws(RunError) in
      // An index out of range takes the last branch (tensorflow/core/ops/functional_ops.cc).
      let index = frame.input(0).intScalar ?? -1
      try frame.branch(to: plans.indices.contains(index) ? plans[index] : plans[plans.count - 1], firstInput: 1)
    }
  }
}

private func loop(_ op: String, _ effect: KernelDefinition.Effect) -> KernelDefinition {
  KernelDefinition(op, effect) { node throws(GraphError) in
    let condition = try node.session.plan(try node.function("cond"))
    let body = try node.session.plan(try node.function("body"))
    return { frame throws(RunError) in
      var state: [Value] = []
      for i in 0..<frame.inputCount { state.append(frame.input(i)) }
      var owned = false
      while true {
        let answer = try frame.call(condition, state)
        guard answer.count == 1 else { throw .internal("the loop's condition gives \(answer.count) values") }
        let go = answer[0].isTrue
        frame.release(answer[0])
        if !go { break }
        // The state of a round is the body's own: it may be written over.
        let next = try frame.call(body, state, giving: owned)
        guard next.count == state.count else {
          throw .internal("the loop's body gives \(next.count) values for \(state.count)")
        }
        state = next
        owned = true
      }
      for i in 0..<state.count {
        if owned { frame.adopt(state[i], as: i) } else { frame.forward(i, to: i) }
      }
    }
  }
}
