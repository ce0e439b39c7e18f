internal import Tensors

/// Variables, TF1's and TF2's: what names, reads and restores them. `AssignmentKernels.swift` writes them.
let resourceKernels: [KernelDefinition] = [
  KernelDefinition("VarHandleOp", .reads) { node throws(GraphError) in
    let (handle, _) = node.session.resources.variable(try node.resourceName)
    return { frame throws(RunError) in
      var out = try frame.output(0, .resource, [])
      var span = out.mutableSpan(of: Int.self)
      span[0] = handle
    }
  },
  KernelDefinition("ReadVariableOp", .reads) { node throws(GraphError) in
    let resources = node.session.resources
    return { frame throws(RunError) in frame.output(0, try resources.value(frame.input(0))) }
  },
  KernelDefinition("VarIsInitializedOp", .reads) { node throws(GraphError) in
    let resources = node.session.resources
    return { frame throws(RunError) in
      let present = try resources.variable(frame.input(0)).tensor != nil
      var out = try frame.output(0, .bool, [])
      var span = out.mutableSpan(of: UInt8.self)
      span[0] = present ? 1 : 0
    }
  },
  KernelDefinition("VariableShape", .reads) { node throws(GraphError) in
    let resources = node.session.resources
    let type = try node.dtype("out_type", default: .int32)
    return { frame throws(RunError) in try frame.shape(try resources.value(frame.input(0)).shape, type) }
  },
  KernelDefinition("DisableCopyOnRead", .writes) { _ throws(GraphError) in { _ throws(RunError) in } },
  KernelDefinition("DestroyResourceOp", .writes) { _ throws(GraphError) in { _ throws(RunError) in } },

  referenceRead("VariableV2"), referenceRead("Variable"),
  KernelDefinition("IsVariableInitialized", .reads) { node throws(GraphError) in
    let variable = try node.referencedVariable()
    return { frame throws(RunError) in
      var out = try frame.output(0, .bool, [])
      var span = out.mutableSpan(of: UInt8.self)
      span[0] = variable.tensor == nil ? 0 : 1
    }
  },

  KernelDefinition("RestoreV2", .reads) { node throws(GraphError) in
    guard let checkpoint = node.session.checkpoint else { throw node.unsupported("the model has no variables to restore") }
    let types = try node.dtypes("dtypes")
    return { frame throws(RunError) in
      let names = frame.input(1)
      let slices = frame.input(2)
      guard names.dtype == .string, slices.dtype == .string, names.count == types.count, slices.count == types.count else {
        throw .invalidArgument("RestoreV2: \(names.count) names and \(slices.count) slices for \(types.count) types")
      }
      for i in 0..<types.count {
        let name = names.text(at: i)
        let tensor = try checkpoint.tensor(name, slice: slices.text(at: i))
        guard tensor.dtype == types[i] else {
          throw .invalidArgument("tensor '\(name)' of the checkpoint is \(tensor.dtype), the graph expects \(types[i])")
        }
        frame.output(i, tensor)
      }
    }
  },
]

extension NodeContext {
  /// The name variables and tables go by: `shared_name`, or the node's own, within the container.
  var resourceName: String {
    get throws(GraphError) {
      let container = try string("container", default: "")
      let shared = try string("shared_name", default: "")
      return container + "/" + (shared.isEmpty ? node.name : shared)
    }
  }

  /// The variable the node refers to by what was its first input.
  func referencedVariable() throws(GraphError) -> Variable {
    guard node.attributes[Node.variable] != nil else { throw invalid("its first input is no reference to a variable") }
    return session.resources.variable(try string(Node.variable)).variable
  }
}

extension Value {
  /// A string element as text.
  func text(at index: Int) -> String {
    unsafe string(at: index).withUnsafeBytes { unsafe String(decoding: $0, as: UTF8.self) }
  }
}

extension Resources {
  func variable(_ handle: Value) throws(RunError) -> Variable {
    guard handle.dtype == .resource, handle.count == 1 else { throw .invalidArgument("expected a resource, got \(handle.dtype)") }
    guard let variable = self[handle.span(of: Int.self)[0]] as? Variable else {
      throw RunError(.notFound, "the resource is no variable")
    }
    return variable
  }

  func value(_ handle: Value) throws(RunError) -> Tensor {
    let variable = try variable(handle)
    guard let tensor = variable.tensor else {
      throw RunError(
        .failedPrecondition, "Error while reading resource variable \(variable.name): it has no value yet")
    }
    return tensor
  }
}

private func referenceRead(_ op: String) -> KernelDefinition {
  KernelDefinition(op, .reads) { node throws(GraphError) in
    let variable = node.session.resources.variable(try node.resourceName).variable
    return { frame throws(RunError) in
      guard let tensor = variable.tensor else {
        throw RunError(.failedPrecondition, "Attempting to use uninitialized value \(variable.name)")
      }
      frame.output(0, tensor)
    }
  }
}
