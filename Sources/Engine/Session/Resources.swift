// What outlives a run: variables and whatever else a kernel keeps by name (lookup tables). A handle (`DT_RESOURCE`) is an
// index into the session's list, so that it passes through the graph as a number.
internal import Synchronization
public import Tensors

/// Something a handle names.
public protocol Resource: AnyObject, Sendable {}

/// A variable: TF2's `VarHandleOp` and TF1's `VariableV2` alike.
public final class Variable: Resource {
  public let name: String
  private let value: Mutex<Tensor?>

  init(name: String) {
    self.name = name
    value = Mutex(nil)
  }

  /// The value now; `nil` until something was assigned.
  public var tensor: Tensor? { value.withLock { $0 } }

  /// Replaces the value.
  public func assign(_ tensor: Tensor) { value.withLock { $0 = tensor } }

  /// Replaces the value if `check` has nothing against it, with nobody in between.
  func assign(_ tensor: Tensor, check: (_ old: Tensor?) throws(RunError) -> Void) throws(RunError) {
    let outcome = value.withLock { (current: inout Tensor?) -> Result<Void, RunError> in
      do throws(RunError) { try check(current) } catch { return .failure(error) }
      current = tensor
      return .success(())
    }
    try outcome.get()
  }

  /// Changes the value, with nobody in between: `change` writes to memory that nobody else reads. That is the variable's own
  /// as long as no run holds it, and a copy's otherwise: what a run has read does not change under it. `change` throws before
  /// it writes.
  /// - Returns: The value after the change.
  @discardableResult
  func update(_ change: (Value) throws(RunError) -> Void) throws(RunError) -> Tensor {
    let outcome = value.withLock { (current: inout Tensor?) -> Result<Tensor, RunError> in
      let isAlone = isKnownUniquelyReferenced(&current)
      guard let old = current else {
        return .failure(RunError(.failedPrecondition, "Attempting to use uninitialized value \(name)"))
      }
      do throws(RunError) {
        if old.dtype == .string {
          // The references are changed, then the bytes they point to gathered in a tensor of their own.
          let references = TensorBuffer(byteCount: old.shape.count * DType.string.size)
          let value = unsafe Value(dtype: .string, shape: old.shape, base: references.unsafeBase)
          unsafe value.base.copyMemory(from: old.unsafeBase, byteCount: value.byteCount)
          try change(value)
          let new = Tensor(copying: value.view)
          current = new
          return .success(new)
        }
        if isAlone {
          // Nobody else holds the tensor, so nobody reads its memory.
          try change(unsafe Value(old))
          return .success(old)
        }
        let new = Tensor(copying: old.view)
        try change(unsafe Value(new))
        current = new
        return .success(new)
      } catch { return .failure(error) }
    }
    return try outcome.get()
  }
}

/// The resources of a session, by kind and name.
public final class Resources: Sendable {
  private struct State {
    var index: [String: Int] = [:]
    var list: [any Resource] = []
  }
  private let state = Mutex(State())

  /// The handle of the resource of that kind and name, made when it is asked for first.
  public func handle(_ kind: String, _ name: String, make: () -> any Resource) -> Int {
    state.withLock { state in
      let key = kind + "\u{0}" + name
      if let handle = state.index[key] { return handle }
      state.list.append(make())
      state.index[key] = state.list.count - 1
      return state.list.count - 1
    }
  }

  /// The variable of that name, made when it is asked for first.
  public func variable(_ name: String) -> (handle: Int, variable: Variable) {
    let handle = handle("variable", name) { Variable(name: name) }
    guard let variable = self[handle] as? Variable else { preconditionFailure("handle \(handle) is no variable") }
    return (handle, variable)
  }

  /// All variables.
  public var variables: [Variable] { state.withLock { $0.list.compactMap { $0 as? Variable } } }

  /// The name of some variable that nothing was assigned to.
  public var firstWithoutValue: String? { variables.first { $0.tensor == nil }?.name }

  /// The resource a handle names; `nil` for a number that is no handle.
  public subscript(handle: Int) -> (any Resource)? {
    state.withLock { $0.list.indices.contains(handle) ? $0.list[handle] : nil }
  }
}

/// Where saved tensors are read from while a session restores (`RestoreV2`).
public protocol CheckpointReader: AnyObject, Sendable {
  /// The tensor saved under `key`; `slice` is TensorFlow's text for a part of a partitioned variable, empty for the whole.
  func tensor(_ key: String, slice: String) throws(RunError) -> Tensor
}

/// Where a graph's own file reads (`ReadFile`, table initialisers) go.
public protocol FileReader: AnyObject, Sendable {
  func contents(ofFile path: String) throws(RunError) -> [UInt8]
}
