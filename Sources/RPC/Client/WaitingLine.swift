// Calls that wait for a connection or for room on one, first come, first served. A call may leave the line from its middle
// (its deadline passed, it was cancelled): it is passed over when its turn comes, and swept out before such calls are many.

protocol Waiting: AnyObject {
  var isWaiting: Bool { get set }
}

struct WaitingLine<Element: Waiting> {
  private var entries: [Element] = []
  private var first = 0
  /// Elements that still wait.
  private(set) var count = 0

  var isEmpty: Bool { count == 0 }

  mutating func append(_ element: Element) {
    element.isWaiting = true
    count += 1
    entries.append(element)
    // At most as many dead as living, and a few: amortised, a constant amount of work per element.
    if entries.count - first > 2 * count + 64 {
      entries = entries[first...].filter(\.isWaiting)
      first = 0
    }
  }

  mutating func popFirst() -> Element? {
    while first < entries.count {
      let element = entries[first]
      first += 1
      if first == entries.count || first >= 1024 {
        entries.removeFirst(first)
        first = 0
      }
      if element.isWaiting {
        element.isWaiting = false
        count -= 1
        return element
      }
    }
    return nil
  }

  /// `element` waits no longer.
  mutating func leave(_ element: Element) {
    guard element.isWaiting else { return }
    element.isWaiting = false
    count -= 1
  }

  /// Empties the line: those that still wait, in order.
  mutating func removeAll() -> [Element] {
    let waiting = entries[first...].filter(\.isWaiting)
    for element in waiting { element.isWaiting = false }
    entries = []
    first = 0
    count = 0
    return waiting
  }
}
