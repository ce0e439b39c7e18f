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

  /// Replaces the value by what `update` makes of it, with nobody in between.
  public func update(_ update: (Tensor?) throws(RunError) -> Tensor) throws(RunError) {
    let failure: RunError? = value.withLock { (current: inout Tensor?) -> RunError? in
      do throws(RunError) {
        current = try update(current)
        return nil
      } catch { return error }
    }
    if let failure { throw failure }
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
