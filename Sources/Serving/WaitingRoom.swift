// Requests for models that are on their way. A value: calls go in, and each change of the catalog brings out those worth
// another try. Bounded, first come first served; who finds it full is turned away at once, and who leaves leaves nothing.

struct WaitingRoom<Call> {
  /// What `leave` asks for. Never used twice.
  typealias Ticket = UInt64

  private struct Place {
    let ticket: Ticket
    /// `nil` once the call has left.
    var call: Call?
  }

  let capacity: Int
  /// In the order of tickets.
  private var places: [Place] = []
  private var empty = 0
  private var lastTicket: Ticket = 0

  init(capacity: Int) { self.capacity = capacity }

  var count: Int { places.count - empty }

  /// Takes a call in; `nil` when there is no room.
  mutating func admit(_ call: Call) -> Ticket? {
    guard count < capacity else { return nil }
    lastTicket += 1
    places.append(Place(ticket: lastTicket, call: call))
    return lastTicket
  }

  /// Lets go of a call that waits no longer. Does nothing for one that is out already.
  mutating func leave(_ ticket: Ticket) {
    var (low, high) = (0, places.count)
    while low < high {
      let middle = (low + high) / 2
      if places[middle].ticket < ticket { low = middle + 1 } else { high = middle }
    }
    guard low < places.count, places[low].ticket == ticket, places[low].call != nil else { return }
    places[low].call = nil
    empty += 1
    // Each sweep costs as much as the leaves before it.
    guard empty > places.count / 2 else { return }
    places.removeAll { $0.call == nil }
    empty = 0
  }

  /// Brings everybody out, in the order of arrival: the catalog changed, or time is up. Who still has to wait is admitted again.
  mutating func takeAll() -> [Call] {
    defer {
      places.removeAll(keepingCapacity: places.count <= 1024)
      empty = 0
    }
    return places.compactMap(\.call)
  }
}
