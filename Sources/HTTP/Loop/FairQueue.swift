/// What waits in lines, one for each peer: the next to go is the first of the next peer's line, in a circle, so that who has
/// much waiting keeps nobody else waiting for it. A value.
struct FairQueue<Element> {
  private var lines: [String: Line<Element>] = [:]
  /// Every peer that has a line, who is next first.
  private var circle = Line<String>()
  private(set) var count = 0

  var isEmpty: Bool { count == 0 }

  mutating func append(_ element: Element, for peer: String) {
    if lines[peer] == nil { circle.append(peer) }
    lines[peer, default: Line()].append(element)
    count += 1
  }

  /// Puts what was next back to the front of its line; the other peers come first all the same.
  mutating func putBack(_ element: Element, for peer: String) {
    if lines[peer] == nil { circle.append(peer) }
    lines[peer, default: Line()].putBack(element)
    count += 1
  }

  /// Nil: nobody waits.
  mutating func removeNext() -> (peer: String, element: Element)? {
    if count == 0 { return nil }
    guard let peer = circle.removeFirst(), let element = lines[peer]?.removeFirst() else { return nil }
    count -= 1
    if lines[peer]!.count == 0 { lines[peer] = nil } else { circle.append(peer) }
    return (peer, element)
  }

  /// Makes room for one more of `peer`'s: the latest of whoever has the longest line goes, if that is longer than `peer`'s would
  /// be. Nil: `peer` itself has waiting what there is room for.
  mutating func makeRoom(for peer: String) -> Element? {
    guard let (longest, line) = lines.max(by: { $0.value.count < $1.value.count }), line.count > 1 + (lines[peer]?.count ?? 0)
    else { return nil }
    count -= 1
    return lines[longest]!.removeLast()
  }
}

/// First in, first out; the places of those that have gone are given back in bulk.
private struct Line<Item> {
  private var items: [Item?] = []
  private var first = 0
  var count: Int { items.count - first }

  mutating func append(_ item: Item) { items.append(item) }

  mutating func putBack(_ item: Item) {
    if first == 0 { return items.insert(item, at: 0) }
    first -= 1
    items[first] = item
  }

  /// - Precondition: it is not empty.
  mutating func removeLast() -> Item? { items.removeLast() }

  mutating func removeFirst() -> Item? {
    guard first < items.count else { return nil }
    let item = items[first]
    items[first] = nil
    first += 1
    if first >= 32, first * 2 >= items.count {
      items.removeFirst(first)
      first = 0
    }
    return item
  }
}
