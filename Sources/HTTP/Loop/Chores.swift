// What takes a loop long: a handshake's private-key work, a large message to inflate or deflate. All of it together gets a share
// of each turn, so that whoever needs none of it waits no longer than that.
//
//   costly work ─► nothing waits, and the share is not spent ─► at once
//                              └─ else ─► its peer's line ─► part by part behind the turn's events, peer by peer
//
// A part is short by itself: one handshake, a slice of a message. The share is overstepped by the last one at most; and because
// nothing costly is done at once while something waits, what waits gets its share of every turn.
//
// A value: times come in from outside, and the loop does what comes out.

/// Costly work in parts, confined to a loop.
package protocol Chore: AnyObject {
  /// False: it has become pointless while it waited, and is dropped without a part.
  var isWanted: Bool { get }
  /// Does a part of it. False: there is no more to do.
  func doPart() -> Bool
  /// Too much waits already; `doPart` will not be called.
  func turnedAway()
}

extension Chore {
  package var isWanted: Bool { true }
  package func turnedAway() {}
}

struct Chores {
  /// What is told apart, so that none of them waits for all of another.
  enum Kind: Int, CaseIterable {
    case message
    /// A handshake from its beginning, and one that the server has answered: what is done for it should not be lost.
    case handshake, handshakeAnswered
  }

  struct Next {
    let chore: any Chore
    let peer: String
    let kind: Kind
  }

  private let shareNanoseconds: UInt64
  private let handshakesMax: Int
  private var spent: UInt64 = 0
  private var queues = [FairQueue<any Chore>](repeating: FairQueue(), count: Kind.allCases.count)
  private var turn = 0
  /// Parts done, at once or later.
  private(set) var partCount = 0

  /// - Parameters:
  ///   - shareMicroseconds: of each turn.
  ///   - handshakesMax: handshakes that wait from their beginning.
  init(shareMicroseconds: Int, handshakesMax: Int) {
    shareNanoseconds = UInt64(max(shareMicroseconds, 0)) &* 1000 | 1
    self.handshakesMax = max(handshakesMax, 1)
  }

  /// How many wait.
  private(set) var count = 0
  var isEmpty: Bool { count == 0 }

  /// Something costly may be done at once.
  var hasRoom: Bool { spent < shareNanoseconds && isEmpty }

  mutating func turnBegan() { spent = 0 }

  /// A part took this long.
  mutating func charge(_ nanoseconds: UInt64) {
    spent += nanoseconds
    partCount += 1
  }

  /// - Returns: who has to go for it, perhaps `chore` itself.
  mutating func append(_ chore: any Chore, _ kind: Kind, for peer: String) -> (any Chore)? {
    var loser: (any Chore)?
    if kind == .handshake, queues[kind.rawValue].count >= handshakesMax {
      loser = queues[kind.rawValue].makeRoom(for: peer)
      if loser == nil { return chore }
      count -= 1
    }
    queues[kind.rawValue].append(chore, for: peer)
    count += 1
    return loser
  }

  /// There is more to do: before anything else of its peer's, so that little is half done at a time.
  mutating func putBack(_ next: Next) {
    queues[next.kind.rawValue].putBack(next.chore, for: next.peer)
    count += 1
  }

  mutating func removeAll() {
    queues = [FairQueue<any Chore>](repeating: FairQueue(), count: Kind.allCases.count)
    count = 0
  }

  /// What comes next in this turn; nil when the share is spent or nothing waits.
  mutating func next() -> Next? {
    if isEmpty || spent >= shareNanoseconds { return nil }
    for _ in Kind.allCases {
      turn = (turn + 1) % Kind.allCases.count
      while let (peer, chore) = queues[turn].removeNext(), let kind = Kind(rawValue: turn) {
        count -= 1
        if chore.isWanted { return Next(chore: chore, peer: peer, kind: kind) }
      }
    }
    return nil
  }
}
