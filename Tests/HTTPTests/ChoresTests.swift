// Costly work and its share of a turn, without a loop and without a clock.
import Testing

@testable import HTTP

private final class Task: Chore {
  let name: String
  var isWanted = true
  init(_ name: String) { self.name = name }
  func doPart() -> Bool { false }
}

@Suite struct ChoresTests {
  private func names(_ chores: inout Chores, microseconds: UInt64 = 0) -> [String] {
    var names: [String] = []
    while let next = chores.next() {
      names.append((next.chore as! Task).name)
      chores.charge(microseconds * 1000)
    }
    return names
  }

  @Test func `a turn's share is spent, and overstepped by one part`() {
    var chores = Chores(shareMicroseconds: 250, handshakesMax: 10)
    for i in 0..<5 { #expect(chores.append(Task("\(i)"), .message, for: "a") == nil) }
    chores.turnBegan()
    #expect(names(&chores, microseconds: 100) == ["0", "1", "2"])
    #expect(names(&chores).isEmpty)
    chores.turnBegan()
    #expect(names(&chores, microseconds: 1000) == ["3"])
    chores.turnBegan()
    #expect(names(&chores) == ["4"] && chores.isEmpty)
    #expect(chores.partCount == 5)
  }

  @Test func `without a share there is one part in a turn`() {
    var chores = Chores(shareMicroseconds: 0, handshakesMax: 10)
    for i in 0..<3 { _ = chores.append(Task("\(i)"), .message, for: "a") }
    for i in 0..<3 {
      chores.turnBegan()
      #expect(names(&chores, microseconds: 1) == ["\(i)"])
    }
  }

  @Test func `something may be done at once while the share lasts and nothing waits`() {
    var chores = Chores(shareMicroseconds: 250, handshakesMax: 10)
    #expect(chores.hasRoom)
    chores.charge(249_000)
    #expect(chores.hasRoom)
    chores.charge(10_000)
    #expect(!chores.hasRoom)
    chores.turnBegan()
    #expect(chores.hasRoom)
    _ = chores.append(Task("x"), .message, for: "a")
    #expect(!chores.hasRoom)
    _ = chores.next()
    #expect(chores.hasRoom)
  }

  @Test func `peers take turns, whoever has how much`() {
    var chores = Chores(shareMicroseconds: 1, handshakesMax: 1000)
    for i in 0..<100 { _ = chores.append(Task("a\(i)"), .handshake, for: "a") }
    for name in ["b0", "b1"] { _ = chores.append(Task(name), .handshake, for: "b") }
    _ = chores.append(Task("c0"), .handshake, for: "c")
    #expect(names(&chores).prefix(7) == ["a0", "b0", "c0", "a1", "b1", "a2", "a3"])
  }

  @Test func `a peer's messages are done one after the other, and other peers' between their parts`() {
    var chores = Chores(shareMicroseconds: 1, handshakesMax: 10)
    for name in ["a0", "a1", "a2"] { _ = chores.append(Task(name), .message, for: "a") }
    _ = chores.append(Task("b0"), .message, for: "b")
    var left = ["a0": 3, "a1": 2, "a2": 1, "b0": 2], order: [String] = []
    while let next = chores.next() {
      let name = (next.chore as! Task).name
      order.append(name)
      left[name]! -= 1
      if left[name]! > 0 { chores.putBack(next) }
    }
    #expect(order == ["a0", "b0", "a0", "b0", "a0", "a1", "a1", "a2"] && chores.isEmpty)
  }

  @Test func `what has become pointless is dropped and takes nobody's turn`() {
    var chores = Chores(shareMicroseconds: 0, handshakesMax: 10)
    let tasks = (0..<6).map { Task("\($0)") }
    for task in tasks { _ = chores.append(task, .handshake, for: "a") }
    for task in tasks[0..<4] + tasks[5...] { task.isWanted = false }
    chores.turnBegan()
    #expect(names(&chores, microseconds: 1) == ["4"])
    chores.turnBegan()
    #expect(names(&chores).isEmpty && chores.isEmpty && chores.partCount == 1)
  }

  @Test func `kinds take turns, and what has begun is not behind all that has not`() {
    var chores = Chores(shareMicroseconds: 1, handshakesMax: 1000)
    for i in 0..<50 { _ = chores.append(Task("new \(i)"), .handshake, for: "a") }
    for i in 0..<3 { _ = chores.append(Task("message \(i)"), .message, for: "a") }
    _ = chores.append(Task("answered"), .handshakeAnswered, for: "a")
    let order = names(&chores)
    #expect(order.firstIndex(of: "answered")! < 3 && order.firstIndex(of: "message 2")! < 8)
    #expect(order.count == 54)
  }

  @Test func `beyond the limit the newest of whoever has most goes`() {
    var chores = Chores(shareMicroseconds: 1, handshakesMax: 4)
    for i in 0..<4 { #expect(chores.append(Task("a\(i)"), .handshake, for: "a") == nil) }
    // Its own share is full.
    #expect((chores.append(Task("a4"), .handshake, for: "a") as? Task)?.name == "a4")
    #expect((chores.append(Task("b0"), .handshake, for: "b") as? Task)?.name == "a3")
    #expect((chores.append(Task("b1"), .handshake, for: "b") as? Task)?.name == "a2")
    // As many as everybody else.
    #expect((chores.append(Task("b2"), .handshake, for: "b") as? Task)?.name == "b2")
    // What is not a new handshake is bounded elsewhere.
    #expect(chores.append(Task("message"), .message, for: "b") == nil)
    #expect(chores.append(Task("answered"), .handshakeAnswered, for: "b") == nil)
    #expect(chores.count == 6)
    #expect(Set(names(&chores)) == ["a0", "a1", "b0", "b1", "message", "answered"])
  }

  @Test(arguments: 0..<50) func `a fair queue is one line for each peer, in a circle`(_ seed: Int) {
    var state = UInt64(seed) &* 2_654_435_761 &+ 1
    func random(_ n: Int) -> Int {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int(state >> 33) % n
    }
    var queue = FairQueue<Int>()
    var model: [(peer: String, items: [Int])] = []
    for i in 0..<500 {
      switch random(6) {
      case 5:
        guard let next = queue.removeNext() else { break }
        queue.putBack(next.element, for: next.peer)
        model.append(model.removeFirst())
      case 0...2:
        let peer = "\(random(6))"
        queue.append(i, for: peer)
        if let at = model.firstIndex(where: { $0.peer == peer }) { model[at].items.append(i) } else { model.append((peer, [i])) }
      default:
        let next = queue.removeNext()
        if model.isEmpty {
          #expect(next == nil)
        } else {
          var (peer, items) = model.removeFirst()
          #expect(next?.peer == peer && next?.element == items.removeFirst(), "seed \(seed)")
          if !items.isEmpty { model.append((peer, items)) }
        }
      }
      #expect(queue.count == model.reduce(0) { $0 + $1.items.count })
    }
  }
}
