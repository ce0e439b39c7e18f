// A fixed set of names, numbered. Built once, when a model is loaded; asked on every request, by the bytes as they stand
// in the message: no string is made, nothing is allocated.
//
//     slots   [ · | 2 | · | 0 | · | 1 | · | · ]     a power of two, at most a quarter full; linear probing
//     names   [ "age" | "income" | "zip" ]          their bytes in one buffer
//
// The names are chosen by the model, and its author is trusted with collisions among them; a peer only looks names up,
// and the probe for a name that is not here ends at the first empty slot. The hash is seeded all the same.

/// Names of bytes → their index.
public struct ByteTable: Sendable {
  /// A slot of the table: the upper half of a name's hash, to tell most strangers without touching their bytes, and
  /// the name's number plus one; zero when empty.
  @usableFromInline
  struct Slot: Sendable, BitwiseCopyable {
    @usableFromInline var check: UInt32
    @usableFromInline var number: UInt32
  }

  @usableFromInline let slots: [Slot]
  @usableFromInline let mask: Int
  @usableFromInline let seed: UInt64
  @usableFromInline let bytes: [UInt8]
  @usableFromInline let ranges: [Range<UInt32>]

  /// Numbers the names in their order. Of equal names the first keeps its number.
  /// - Precondition: their bytes are below `WireLimits.bytesMax`.
  public init(_ names: [[UInt8]]) {
    var capacity = 4
    while capacity < names.count * 4 { capacity *= 2 }
    mask = capacity - 1
    seed = ByteHash.seed
    var slots = [Slot](repeating: Slot(check: 0, number: 0), count: capacity)
    var bytes: [UInt8] = []
    var ranges: [Range<UInt32>] = []
    for name in names {
      let lower = UInt32(bytes.count)
      bytes.append(contentsOf: name)
      ranges.append(lower..<UInt32(bytes.count))
    }
    for (number, range) in ranges.enumerated() {
      let name = bytes.rawSpan.extracting(range)
      let hash = ByteHash.hash(name, seed: seed)
      var slot = Int(truncatingIfNeeded: hash) & mask
      var isNew = true
      while slots[slot].number != 0 {
        let other = bytes.rawSpan.extracting(ranges[Int(slots[slot].number) - 1])
        if other.hasSameBytes(as: name) {
          isNew = false
          break
        }
        slot = (slot + 1) & mask
      }
      if isNew { slots[slot] = Slot(check: UInt32(truncatingIfNeeded: hash >> 32), number: UInt32(number) + 1) }
    }
    self.slots = slots
    self.bytes = bytes
    self.ranges = ranges
  }

  /// The number of names.
  public var count: Int { ranges.count }

  /// The number of a name; `nil` for a stranger.
  @inlinable @inline(__always)
  public func index(of name: RawSpan) -> Int? {
    let hash = ByteHash.hash(name, seed: seed)
    let check = UInt32(truncatingIfNeeded: hash &>> 32)
    let slots = slots.span
    let names = bytes.rawSpan
    let ranges = ranges.span
    var at = Int(truncatingIfNeeded: hash) & mask
    while true {
      // `at` is masked to the table's capacity; numbers in slots are those of `ranges`, which lie in `names`.
      let slot = unsafe slots[unchecked: at]
      if slot.number == 0 { return nil }
      if slot.check == check {
        let number = Int(slot.number) &- 1
        let range = unsafe ranges[unchecked: number]
        let other = unsafe names.extracting(unchecked: Int(range.lowerBound)..<Int(range.upperBound))
        if other.hasSameBytes(as: name) { return number }
      }
      at = (at &+ 1) & mask
    }
  }

  /// Whether `name` is the one with this number.
  @inlinable @inline(__always)
  public func isName(_ name: RawSpan, at number: Int) -> Bool {
    let range = ranges.span[number]
    // Ranges lie in `bytes`.
    let other = unsafe bytes.rawSpan.extracting(unchecked: Int(range.lowerBound)..<Int(range.upperBound))
    return other.hasSameBytes(as: name)
  }

  /// The bytes of a name.
  public subscript(_ index: Int) -> RawSpan {
    @_lifetime(borrow self)
    get { bytes.rawSpan.extracting(ranges[index]) }
  }
}

/// A hash of bytes, eight at a time: each step multiplies to 128 bits and folds the halves. Seeded once a process.
public enum ByteHash {
  /// What tables seed with: another number in each process.
  public static let seed = UInt64.random(in: .min ... .max) | 1

  @inlinable @inline(__always)
  static func fold(_ a: UInt64, _ b: UInt64) -> UInt64 {
    let product = a.multipliedFullWidth(by: b)
    return product.high ^ product.low
  }

  @inlinable @inline(__always)
  public static func hash(_ bytes: RawSpan, seed: UInt64) -> UInt64 {
    let count = bytes.byteCount
    var state = seed ^ UInt64(truncatingIfNeeded: count)
    if count < 8 { return fold(state ^ bytes.shortWord, 0xD6E8_FEB8_6659_FD93) }
    var offset = 0
    while offset < count &- 8 {
      state = fold(state ^ bytes.word(offset), 0x9E37_79B9_7F4A_7C15)
      offset &+= 8
    }
    return fold(state ^ bytes.word(count &- 8), 0xD6E8_FEB8_6659_FD93)
  }
}
