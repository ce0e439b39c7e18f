// Who holds how many bytes, in total, without a counter that every request touches:
//
//   SharedBytes          one per server and kind, an atomic
//      └─ ByteAccount    one per loop, plain integers: reserves from the shared sum in steps, and gives back in steps
//
// So a loop whose load swings within a step never leaves its own memory.
internal import Synchronization

final class SharedBytes: Sendable {
  let bytesMax: Int
  private let taken = Atomic<Int>(0)

  init(bytesMax: Int) { self.bytesMax = bytesMax }

  var bytesTaken: Int { taken.load(ordering: .relaxed) }

  /// - Parameter reserve: what must be left when `count` has been taken.
  func take(_ count: Int, leaving reserve: Int = 0) -> Bool {
    let (sum, overflow) = taken.load(ordering: .relaxed).addingReportingOverflow(count)
    if overflow || sum > bytesMax - reserve { return false }
    if taken.add(count, ordering: .relaxed).newValue <= bytesMax - reserve { return true }
    taken.subtract(count, ordering: .relaxed)
    return false
  }

  /// For bytes that exist already.
  func takeAnyway(_ count: Int) { taken.add(count, ordering: .relaxed) }
  func give(_ count: Int) { taken.subtract(count, ordering: .relaxed) }
}

struct ByteAccount {
  private let shared: SharedBytes?
  /// What is reserved and given back at once: small beside the sum, so that no loop keeps much from the others.
  private let step: Int
  private(set) var held = 0
  private var reserved = 0

  /// - Parameter shared: nil counts without a limit.
  init(_ shared: SharedBytes?, loops: Int = 1) {
    self.shared = shared
    step = shared.map { max(1, min(1 << 20, $0.bytesMax / (8 * max(loops, 1)))) } ?? Int.max
  }

  /// False: there is no room for `count` more, and nothing has changed.
  /// - Parameter reserve: what must be left of the sum for others.
  mutating func hold(_ count: Int, leaving reserve: Int = 0) -> Bool {
    let (sum, overflow) = held.addingReportingOverflow(count)
    if overflow { return false }
    if sum > reserved {
      if !self.reserve(sum, leaving: reserve) { return false }
    } else if reserve > 0, let shared, shared.bytesTaken - reserved + sum > shared.bytesMax - reserve {
      // What we have reserved in advance is not for this.
      return false
    }
    held = sum
    return true
  }

  /// Counts bytes that exist already. False: they are more than there is room for.
  mutating func holdAnyway(_ count: Int) -> Bool {
    if hold(count) { return true }
    held += count
    shared?.takeAnyway(held - reserved)
    reserved = held
    return false
  }

  private mutating func reserve(_ wanted: Int, leaving reserve: Int) -> Bool {
    guard let shared else {
      reserved = .max
      return true
    }
    let missing = wanted - reserved
    let rounded = missing > Int.max - step ? missing : (missing + step - 1) / step * step
    if shared.take(rounded, leaving: reserve) {
      reserved += rounded
    } else if shared.take(missing, leaving: reserve) {
      reserved = wanted
    } else {
      return false
    }
    return true
  }

  mutating func release(_ count: Int) {
    held -= count
    // More than two steps to spare: all but one of them go back.
    guard let shared, reserved - held > 2 * step else { return }
    shared.give(reserved - held - step)
    reserved = held + step
  }
}
