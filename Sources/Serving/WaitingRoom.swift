// Requests for models that are on their way. A value: calls go in, and each change of the catalog brings out those worth
// another try. Bounded, first come first served; who finds it full is turned away at once.

struct WaitingRoom<Call> {
  let capacity: Int
  private var waiting: [Call] = []

  init(capacity: Int) { self.capacity = capacity }

  var count: Int { waiting.count }
  var isFull: Bool { waiting.count >= capacity }

  /// Takes a call in.
  /// - Precondition: not `isFull`.
  mutating func admit(_ call: Call) {
    precondition(!isFull)
    waiting.append(call)
  }

  /// Everybody, in the order of arrival: the catalog changed, or time is up. Who still has to wait is admitted again.
  mutating func empty() -> [Call] {
    defer { waiting.removeAll(keepingCapacity: true) }
    return waiting
  }
}
