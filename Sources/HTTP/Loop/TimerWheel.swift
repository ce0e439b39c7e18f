// Timers of one loop: deadlines, handshakes, drains. Nearly all of them are cancelled before they fire, so both
// scheduling and cancelling are a few stores.
//
//   slots   [ 0 ][ 1 ][ 2 ] … [ 1023 ]      one slot per millisecond, 1.024 s around
//             │
//             ▼
//           node ⇄ node                     doubly linked by index through one array
//
// A timer further away than one turn of the wheel stays in its slot and is passed over until its tick comes. A bitmap
// says which slots hold anything; the loop sleeps until the next of those, at worst once per second for nothing.
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
  static let slotCount = 1024
  private static let nanosecondsPerTick: UInt64 = 1_000_000

  private struct Node {
    var tick: UInt64 = 0
    var next: Int32 = -1
    var previous: Int32 = -1
    var generation: UInt32 = 0
    var target: (any TimerTarget)?
  }

  private var nodes: [Node] = []
  private var free: Int32 = -1
  private var heads = [Int32](repeating: -1, count: slotCount)
  private var occupied = [UInt64](repeating: 0, count: slotCount / 64)
  /// Every tick up to and including this one has fired.
  private var tickDone: UInt64
  private(set) var count = 0

  init(now: MonotonicTime) { tickDone = now.nanoseconds / TimerWheel.nanosecondsPerTick }

  mutating func schedule(at time: MonotonicTime, _ target: any TimerTarget) -> TimerID {
    // Rounded up, so that no timer fires early; a moment in the past fires at the next advance.
    let rounded = time.nanoseconds / TimerWheel.nanosecondsPerTick + (time.nanoseconds % TimerWheel.nanosecondsPerTick == 0 ? 0 : 1)
    let tick = max(rounded, tickDone + 1)
    let index: Int32
    if free >= 0 {
      index = free
      free = nodes[Int(index)].next
    } else {
      index = Int32(nodes.count)
      nodes.append(Node())
    }
    let slot = Int(tick % UInt64(TimerWheel.slotCount))
    let head = heads[slot]
    nodes[Int(index)].tick = tick
    nodes[Int(index)].target = target
    nodes[Int(index)].previous = -1
    nodes[Int(index)].next = head
    if head >= 0 { nodes[Int(head)].previous = index }
    heads[slot] = index
    occupied[slot / 64] |= 1 << UInt64(slot % 64)
    count += 1
    return TimerID(node: index, generation: nodes[Int(index)].generation)
  }

  mutating func cancel(_ id: TimerID) {
    guard id.node >= 0, Int(id.node) < nodes.count, nodes[Int(id.node)].generation == id.generation else { return }
    _ = remove(id.node)
  }

  private mutating func remove(_ index: Int32) -> (any TimerTarget)? {
    let i = Int(index)
    let slot = Int(nodes[i].tick % UInt64(TimerWheel.slotCount))
    let next = nodes[i].next, previous = nodes[i].previous
    if next >= 0 { nodes[Int(next)].previous = previous }
    if previous >= 0 { nodes[Int(previous)].next = next } else { heads[slot] = next }
    if heads[slot] < 0 { occupied[slot / 64] &= ~(1 << UInt64(slot % 64)) }
    let target = nodes[i].target
    nodes[i].target = nil
    nodes[i].generation &+= 1
    nodes[i].next = free
    free = index
    count -= 1
    return target
  }

  /// Takes out one timer that is due. Ask until the answer is nil.
  mutating func popDue(at now: MonotonicTime) -> (TimerID, any TimerTarget)? {
    let current = now.nanoseconds / TimerWheel.nanosecondsPerTick
    if count == 0 {
      tickDone = max(tickDone, current)
      return nil
    }
    // After a long sleep one turn of the wheel sees every slot.
    if current > tickDone, current - tickDone > UInt64(TimerWheel.slotCount) {
      tickDone = current - UInt64(TimerWheel.slotCount)
    }
    while tickDone < current {
      let slot = Int((tickDone + 1) % UInt64(TimerWheel.slotCount))
      var index = heads[slot]
      while index >= 0 {
        let node = nodes[Int(index)]
        if node.tick <= current {
          let id = TimerID(node: index, generation: node.generation)
          return remove(index).map { (id, $0) }
        }
        index = node.next
      }
      tickDone += 1
    }
    return nil
  }

  /// When to look again: the next occupied slot, which may hold only timers of later turns. Nil: nothing is scheduled.
  func nextWake() -> MonotonicTime? {
    if count == 0 { return nil }
    for step in 1...UInt64(TimerWheel.slotCount) {
      let slot = Int((tickDone + step) % UInt64(TimerWheel.slotCount))
      if slot % 64 == 0 && occupied[slot / 64] == 0 { continue }
      if occupied[slot / 64] & (1 << UInt64(slot % 64)) != 0 {
        return MonotonicTime(nanoseconds: (tickDone + step) * TimerWheel.nanosecondsPerTick)
      }
    }
    return nil
  }
}
