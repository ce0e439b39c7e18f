// What runs do to variables. Each op is one change that nobody sees half of: it happens under the variable's lock, against the value
// of that moment, and gives on the value it left behind, so that of two increments neither is lost and each tells its own sum.
//
// TF1's ops take a reference and give one; which variable that is was resolved at load (`Node.variable`), and the edge cut:
// inputs count from the value on. TF2's take a handle first.
internal import CKernels
internal import Tensors

let assignmentKernels: [KernelDefinition] = [
  assign("Assign"), assign("AssignVariableOp"),
  arithmetic("AssignAdd", CK_ADD), arithmetic("AssignAddVariableOp", CK_ADD),
  arithmetic("AssignSub", CK_SUB), arithmetic("AssignSubVariableOp", CK_SUB),
  count("CountUpTo"), count("ResourceCountUpTo"),
  scatter("ScatterUpdate", nil), scatter("ResourceScatterUpdate", nil),
  scatter("ScatterAdd", CK_ADD), scatter("ResourceScatterAdd", CK_ADD),
  scatter("ScatterSub", CK_SUB), scatter("ResourceScatterSub", CK_SUB),
  scatter("ScatterMul", CK_MUL), scatter("ResourceScatterMul", CK_MUL),
  scatter("ScatterDiv", CK_DIV), scatter("ResourceScatterDiv", CK_DIV),
  scatter("ScatterMax", CK_MAXIMUM), scatter("ResourceScatterMax", CK_MAXIMUM),
  scatter("ScatterMin", CK_MINIMUM), scatter("ResourceScatterMin", CK_MINIMUM),
  scatterNd("ScatterNdUpdate", nil), scatterNd("ResourceScatterNdUpdate", nil),
  scatterNd("ScatterNdAdd", CK_ADD), scatterNd("ResourceScatterNdAdd", CK_ADD),
  scatterNd("ScatterNdSub", CK_SUB), scatterNd("ResourceScatterNdSub", CK_SUB),
  scatterNd("ScatterNdMax", CK_MAXIMUM), scatterNd("ResourceScatterNdMax", CK_MAXIMUM),
  scatterNd("ScatterNdMin", CK_MINIMUM), scatterNd("ResourceScatterNdMin", CK_MINIMUM),
  stridedSliceAssign("StridedSliceAssign"), stridedSliceAssign("ResourceStridedSliceAssign"),
]

extension Subgraph {
  /// Ops whose first input is a reference: a variable to be written or asked about, not its value.
  static let referenceOps = Set(
    assignmentKernels.map(\.op).filter { !takesHandle($0) } + ["IsVariableInitialized"])

  private static func takesHandle(_ op: String) -> Bool { op.hasPrefix("Resource") || op.hasSuffix("VariableOp") }

  fileprivate static func isReferenceOp(_ op: String) -> Bool { !takesHandle(op) }
}

/// A definition of an op that changes a variable. `first` is the first input behind the variable.
private func writing(
  _ op: String,
  _ make: @escaping @Sendable (NodeContext) throws(GraphError)
    -> @Sendable (_ frame: inout Frame, _ variable: Variable, _ first: Int) throws(RunError) -> Tensor?
) -> KernelDefinition {
  KernelDefinition(op, .writes) { node throws(GraphError) in
    let body = try make(node)
    guard Subgraph.isReferenceOp(op) else {
      let resources = node.session.resources
      return { frame throws(RunError) in
        let result = try body(&frame, try resources.variable(frame.input(0)), 1)
        if let result, frame.outputCount > 0 { frame.output(0, result) }
      }
    }
    let variable = try node.referencedVariable()
    return { frame throws(RunError) in
      if let result = try body(&frame, variable, 0) { frame.output(0, result) }
    }
  }
}

private func assign(_ op: String) -> KernelDefinition {
  writing(op) { node throws(GraphError) in
    let isReference = Subgraph.isReferenceOp(op)
    let validates = try node.bool("validate_shape", default: isReference)
    return { frame, variable, first throws(RunError) in
      let new = frame.owner(of: first) ?? Tensor(copying: frame.input(first).view)
      try variable.assign(new) { old throws(RunError) in
        guard let old else { return }
        guard old.dtype == new.dtype else {
          throw .invalidArgument("Trying to assign variable with wrong dtype. Expected \(old.dtype.name) got \(new.dtype.name)")
        }
        guard !validates || old.shape == new.shape else {
          throw .invalidArgument(
            isReference
              ? "Assign requires shapes of both tensors to match. lhs shape= \(old.shape) rhs shape= \(new.shape)"
              : "Trying to assign to variable with tensor with wrong shape. Expected \(old.shape) got \(new.shape)")
        }
      }
      return isReference ? new : nil
    }
  }
}

private func arithmetic(_ op: String, _ code: ck_binary_op) -> KernelDefinition {
  writing(op) { _ throws(GraphError) in
    { frame, variable, first throws(RunError) in
      let x = frame.input(first)
      let result = try variable.update { value throws(RunError) in
        guard value.dtype == x.dtype, let loop = unsafe ck_binary_loop(code, value.kernelType) else {
          throw unsupported(op, x.dtype)
        }
        guard value.shape == x.shape else {
          throw .invalidArgument(
            Subgraph.isReferenceOp(op)
              ? "Parameters and update must be the same size"
              : "Cannot update variable with shape \(value.shape) using a Tensor with shape \(x.shape), shapes must be equal.")
        }
        // Both hold `count` elements of the type the loop was chosen for.
        if value.count > 0 { _ = unsafe loop(value.count, value.base, 1, x.base, 1, value.base) }
      }
      return Subgraph.isReferenceOp(op) ? result : nil
    }
  }
}

private func count(_ op: String) -> KernelDefinition {
  writing(op) { node throws(GraphError) in
    let limit = try node.int("limit")
    return { frame, variable, _ throws(RunError) in
      var before = 0
      let result = try variable.update { value throws(RunError) in
        guard value.shape.rank == 0 else { throw .invalidArgument("input is not a scalar: \(value.shape)") }
        guard value.dtype == .int32 || value.dtype == .int64 else { throw unsupported(op, value.dtype) }
        before = try value.integer(at: 0)
        guard before < limit else { throw RunError(.outOfRange, "Reached limit of \(limit)") }
        value.set(0, before + 1)
      }
      try frame.output(0, result.dtype, []).set(0, before)
      return nil
    }
  }
}

private func scatter(_ op: String, _ code: ck_binary_op?) -> KernelDefinition {
  writing(op) { _ throws(GraphError) in
    { frame, variable, first throws(RunError) in
      let (indices, updates) = (frame.input(first), frame.input(first + 1))
      let isReference = Subgraph.isReferenceOp(op)
      let result = try variable.update { value throws(RunError) in
        guard value.shape.rank >= 1 else { throw .invalidArgument("params must be at least 1-D, got shape \(value.shape)") }
        guard updates.dtype == value.dtype else { throw unsupported(op, updates.dtype) }
        let isScalar = updates.shape.rank == 0
        let expected = try indices.shape.joined(0..<indices.shape.rank, value.shape, 1..<value.shape.rank)
        guard isScalar || updates.shape == expected else {
          throw .invalidArgument(
            "Must have updates.shape = indices.shape + params.shape[1:] or updates.shape = [], got updates.shape \(updates.shape), indices.shape \(indices.shape), params.shape \(value.shape)")
        }
        var step: ck_binary? = nil
        if let code {
          unsafe step = ck_binary_loop(code, value.kernelType)
          guard unsafe step != nil else { throw unsupported(op, value.dtype) }
        }
        for i in 0..<indices.count {
          let index = try indices.integer(at: i)
          guard index >= 0, index < value.shape[0] else {
            throw .invalidArgument("indices\(indices.position(i)) = \(index) is not in [0, \(value.shape[0]))")
          }
        }
        let row = value.shape.count(from: 1)
        guard row > 0 else { return }
        for i in 0..<indices.count {
          // All rows lie within the value, and the updates have one for each index.
          let to = unsafe value.at(try indices.integer(at: i) * row)
          if let step = unsafe step {
            _ = unsafe step(row, to, 1, updates.at(isScalar ? 0 : i * row), isScalar ? 0 : 1, to)
          } else if isScalar {
            unsafe ck_fill(row, value.dtype.size, updates.base, to)
          } else {
            unsafe to.copyMemory(from: updates.at(i * row), byteCount: row * value.dtype.size)
          }
        }
      }
      return isReference ? result : nil
    }
  }
}

private func scatterNd(_ op: String, _ code: ck_binary_op?) -> KernelDefinition {
  writing(op) { _ throws(GraphError) in
    { frame, variable, first throws(RunError) in
      let (indices, updates) = (frame.input(first), frame.input(first + 1))
      guard indices.shape.rank >= 1 else { throw .invalidArgument("Indices shape must have rank at least one. Found:\(indices.shape)") }
      let result = try variable.update { value throws(RunError) in
        try frame.scatter(indices, updates, into: value, code, op)
      }
      return Subgraph.isReferenceOp(op) ? result : nil
    }
  }
}

private func stridedSliceAssign(_ op: String) -> KernelDefinition {
  writing(op) { node throws(GraphError) in
    let masks = try SliceMasks(node)
    return { frame, variable, first throws(RunError) in
      let (begin, end, strides, x) = (frame.input(first), frame.input(first + 1), frame.input(first + 2), frame.input(first + 3))
      let result = try variable.update { value throws(RunError) in
        let slice = try masks.resolve(value.shape, begin, end, strides)
        guard x.dtype == value.dtype else { throw unsupported(op, x.dtype) }
        guard x.shape == slice.shape || x.shape.rank == 0 else {
          throw .unimplemented(
            "Slice assign of shape \(slice.shape) with a value of shape \(x.shape): broadcasting is not supported")
        }
        var copy = slice.copy.reversed
        if x.shape.rank == 0 { copy.repeatSource() }
        copy.run(from: x, to: value)
      }
      return Subgraph.isReferenceOp(op) ? result : nil
    }
  }
}
