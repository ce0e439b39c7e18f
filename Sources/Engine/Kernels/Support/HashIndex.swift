// Finding among numbered entries by hash: what lookup tables and `Unique` share. Open addressing over entry numbers; the entries
// themselves stay with the caller, who says whether two are the same.
internal import Tensors

/// A view of memory that its owner keeps: `slotCount(n)` numbers for `n` entries.
@safe struct HashIndex: @unchecked Sendable {
  /// Valid for `mask + 1` initialised numbers, -1 where free, while the owner lives.
  @unsafe private let slots: UnsafeMutablePointer<Int32>
  private let mask: Int

  /// Slots for `entries`: a power of two, at most half full.
  static func slotCount(_ entries: Int) -> Int {
    var count = 8
    while count < 2 * entries { count *= 2 }
    return count
  }

  @unsafe init(memory: UnsafeMutableRawPointer, slotCount: Int) {
    unsafe slots = memory.bindMemory(to: Int32.self, capacity: slotCount)
    unsafe slots.initialize(repeating: -1, count: slotCount)
    mask = slotCount - 1
  }

  /// The entry with this hash that is the `same`; `nil` when there is none.
  func find(_ hash: UInt64, _ same: (Int) -> Bool) -> Int? {
    var at = Int(truncatingIfNeeded: hash) & mask
    while true {
      // Held within the slots by the mask; there is always a free one.
      let entry = unsafe Int(slots[at])
      if entry < 0 { return nil }
      if same(entry) { return entry }
      at = (at + 1) & mask
    }
  }

  /// Adds an entry that `find` did not find. The caller keeps to the number of entries the slots were made for.
  func insert(_ hash: UInt64, _ entry: Int) {
    var at = Int(truncatingIfNeeded: hash) & mask
    while unsafe slots[at] >= 0 { at = (at + 1) & mask }
    unsafe slots[at] = Int32(truncatingIfNeeded: entry)
  }

  /// Differs from process to process, so that nobody outside can prepare keys that collide.
  private static let seed = UInt64.random(in: .min ... .max) | 1

  static func hash(_ value: UInt64) -> UInt64 {
    let (high, low) = (value ^ seed).multipliedFullWidth(by: 0x9E37_79B9_7F4A_7C15)
    return high ^ low
  }

  static func hash(_ bytes: RawSpan) -> UInt64 {
    unsafe bytes.withUnsafeBytes { bytes in
      var state = seed ^ UInt64(truncatingIfNeeded: bytes.count)
      var at = 0
      while at + 8 <= bytes.count {
        state = unsafe hash(state ^ bytes.loadUnaligned(fromByteOffset: at, as: UInt64.self))
        at += 8
      }
      var rest: UInt64 = 0
      while at < bytes.count {
        rest = unsafe rest << 8 | UInt64(bytes[at])
        at += 1
      }
      return hash(state ^ rest)
    }
  }
}
