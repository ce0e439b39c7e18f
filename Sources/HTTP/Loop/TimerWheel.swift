// Timers of one loop: deadlines, handshakes, keepalives, drains. Nearly all of them are cancelled before they fire, so both
// scheduling and cancelling are a few stores.
//
//   near    [ 0 ][ 1 ] … [ 1023 ]      one slot per millisecond: the next 1.024 s
//   far     [ 0 ][ 1 ] … [ 1023 ]      one slot per 1.024 s: the next 17 minutes
//             │
//             ▼
//           node ⇄ node                doubly linked by index through one array
//
// A far slot moves into the near ones when its second begins; a timer beyond both turns stays in its far slot and is looked
// at once per turn. A bitmap says which slots hold anything, and the loop sleeps until the first of those: ten thousand idle
// connections with a timer each wake it at most once per second.
//
// Left out on purpose: sub-millisecond precision. A timer fires in the millisecond after its moment, never before.

/// Who is told. Class-bound and kept alive by the wheel until the timer fires or is cancelled.
public protocol TimerTarget: AnyObject {
  func timerFired(_ timer: TimerID)
}

/// A handle to a scheduled timer. Cancelling one that has fired is harmless: the generation tells.
public struct TimerID: Hashable, Sendable, BitwiseCopyable {
  let node: Int32
  let generation: UInt32
  public static let none = TimerID(node: -1, generation: 0)
}

struct TimerWheel: ~Copyable {
  /// Slots of each of the two.
  static let slotCount = 1024
  private static let turn = UInt64(slotCount)
  private static let nanosecondsPerTick: UInt64 = 1_000_000

  private struct Node {
    var tick: UInt64 = 0
    var slot: Int32 = 0
    var next: Int32 = -1
    var previous: Int32 = -1
    var generation: UInt32 = 0
    var target: (any TimerTarget)?
  }

  private var nodes: [Node] = []
  private var free: Int32 = -1
  /// The near slots, then the far ones.
  private var heads = [Int32](repeating: -1, count: 2 * slotCount)
  private var occupied = [UInt64](repeating: 0, count: 2 * slotCount / 64)
  /// Every tick up to and including this one has fired.
  private var tickDone: UInt64
  /// The far slot of this turn of the near wheel has been moved.
  private var turnMoved: UInt64
  private(set) var count = 0

  init(now: MonotonicTime) {
    tickDone = now.nanoseconds / TimerWheel.nanosecondsPerTick
    turnMoved = tickDone / TimerWheel.turn
  }

  mutating func schedule(at time: MonotonicTime, _ target: any TimerTarget) -> TimerID {
    // Rounded up, so that no timer fires early; a moment in the past fires at the next advance.
    let rounded = time.nanoseconds / TimerWheel.nanosecondsPerTick + (time.nanoseconds % TimerWheel.nanosecondsPerTick == 0 ? 0 : 1)
    let index: Int32
    if free >= 0 {
      index = free
      free = nodes[Int(index)].next
    } else {
      index = Int32(nodes.count)
      nodes.append(Node())
    }
    nodes[Int(index)].tick = max(rounded, tickDone + 1)
    nodes[Int(index)].target = target
    place(index)
    count += 1
    return TimerID(node: index, generation: nodes[Int(index)].generation)
  }

  private mutating func place(_ index: Int32) {
    let tick = nodes[Int(index)].tick
    let slot =
      tick - tickDone <= TimerWheel.turn
      ? Int(tick % TimerWheel.turn) : TimerWheel.slotCount + Int(tick / TimerWheel.turn % TimerWheel.turn)
    let head = heads[slot]
    nodes[Int(index)].slot = Int32(slot)
    nodes[Int(index)].previous = -1
    nodes[Int(index)].next = head
    if head >= 0 { nodes[Int(head)].previous = index }
    heads[slot] = index
    occupied[slot / 64] |= 1 << UInt64(slot % 64)
  }

  mutating func cancel(_ id: TimerID) {
    guard id.node >= 0, Int(id.node) < nodes.count, nodes[Int(id.node)].generation == id.generation else { return }
    _ = remove(id.node)
  }

  private mutating func remove(_ index: Int32) -> (any TimerTarget)? {
    let i = Int(index)
    unlink(index)
    let target = nodes[i].target
    nodes[i].target = nil
    nodes[i].generation &+= 1
    nodes[i].next = free
    free = index
    count -= 1
    return target
  }

  private mutating func unlink(_ index: Int32) {
    let i = Int(index)
    let slot = Int(nodes[i].slot)
    let next = nodes[i].next, previous = nodes[i].previous
    if next >= 0 { nodes[Int(next)].previous = previous }
    if previous >= 0 { nodes[Int(previous)].next = next } else { heads[slot] = next }
    if heads[slot] < 0 { occupied[slot / 64] &= ~(1 << UInt64(slot % 64)) }
  }

  /// Takes out one timer that is due. Ask until the answer is nil.
  mutating func popDue(at now: MonotonicTime) -> (TimerID, any TimerTarget)? {
    let current = now.nanoseconds / TimerWheel.nanosecondsPerTick
    if count == 0 {
      tickDone = max(tickDone, current)
      turnMoved = tickDone / TimerWheel.turn
      return nil
    }
    while tickDone < current {
      let next = tickDone + 1
      if next / TimerWheel.turn > turnMoved { moveFar(next / TimerWheel.turn) }
      let slot = Int(next % TimerWheel.turn)
      // Sixty-four empty slots at a time.
      if slot % 64 == 0, occupied[slot / 64] == 0, current - tickDone >= 64 {
        tickDone += 64
        continue
      }
      // A near slot holds one tick's timers only.
      let index = heads[slot]
      if index >= 0 {
        let id = TimerID(node: index, generation: nodes[Int(index)].generation)
        return remove(index).map { (id, $0) }
      }
      tickDone = next
    }
    return nil
  }

  /// The timers of `turn` come near; those of later turns stay.
  private mutating func moveFar(_ turn: UInt64) {
    turnMoved = turn
    var index = heads[TimerWheel.slotCount + Int(turn % TimerWheel.turn)]
    while index >= 0 {
      let next = nodes[Int(index)].next
      if nodes[Int(index)].tick / TimerWheel.turn == turn {
        unlink(index)
        place(index)
      }
      index = next
    }
  }

  /// When to look again: at the next occupied near slot, or when a far one begins. Nil: nothing is scheduled.
  func nextWake() -> MonotonicTime? {
    if count == 0 { return nil }
    let nowSlot = Int(tickDone % TimerWheel.turn), nowTurn = tickDone / TimerWheel.turn
    var tick = UInt64.max
    if let steps = steps(from: nowSlot, wheel: 0) { tick = tickDone + UInt64(steps) }
    if let turns = steps(from: Int(nowTurn % TimerWheel.turn), wheel: 1) {
      tick = min(tick, (nowTurn + UInt64(turns)) * TimerWheel.turn)
    }
    return MonotonicTime(nanoseconds: tick * TimerWheel.nanosecondsPerTick)
  }

  /// How many slots after `slot` the first occupied one is, 1 to 1024; nil: none.
  private func steps(from slot: Int, wheel: Int) -> Int? {
    let first = wheel * TimerWheel.slotCount / 64, words = TimerWheel.slotCount / 64
    let start = (slot + 1) % TimerWheel.slotCount
    // The word of `start` is looked at twice: its upper part first, its lower part last.
    var word = occupied[first + start / 64] & (UInt64.max << UInt64(start % 64))
    for i in 0...words {
      let at = (start / 64 + i) % words
      if i > 0 { word = occupied[first + at] }
      if word != 0 {
        let found = at * 64 + word.trailingZeroBitCount
        let steps = (found - slot + TimerWheel.slotCount) % TimerWheel.slotCount
        return steps == 0 ? TimerWheel.slotCount : steps
      }
    }
    return nil
  }
}
