// When to be woken for bytes. A large message comes in dozens of pieces, and waking up for each costs more than the rest of
// the work together: so while it is known that nothing can be done before many more bytes are here, the kernel is asked to
// let them gather (SO_RCVLOWAT) and wakes us for the lot.
//
// What else the peer sends meanwhile (a cancellation, a small request beside the large one) gathers too. That is why waiting
// is only for a peer that sends fast, and why a timer looks after it: a millisecond without a wake-up ends the wait.
//
// A value: what was read goes in, the mark to set comes out.
struct Patience {
  /// The socket's low-water mark: bytes that must be there before it counts as readable.
  private(set) var mark = 1
  private var hasRead = false

  var isWaiting: Bool { mark > 1 }

  /// `count` bytes were read, and nothing can be done before `expected` more are here.
  /// - Returns: the mark to set; nil: it is set already.
  mutating func read(_ count: Int, expecting expected: Int) -> Int? {
    hasRead = true
    let isWorthIt = count >= Quantum.patientFromBytes && expected >= Quantum.patientFromBytes
    return set(isWorthIt ? min(expected, Quantum.patientBytesMax) : 1)
  }

  /// The timer fired. True: bytes keep coming, and the timer goes on.
  mutating func checked() -> Bool {
    defer { hasRead = false }
    return hasRead && isWaiting
  }

  /// No more waiting. The mark to set, if any.
  mutating func end() -> Int? { set(1) }

  private mutating func set(_ wanted: Int) -> Int? {
    if wanted == mark { return nil }
    mark = wanted
    return wanted
  }
}
