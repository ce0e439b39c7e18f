// tf.Example to values a model can index, in one pass over the bytes.
//
//     Example { features 1 } ─ Features { feature 1 … } ─ entry { key 1, value 2 } ─ Feature { *_list } ─ { value 1 }
//
//     0A .. │ 0A .. │ 0A .. "age" │ 12 .. │ 12 .. │ 0A .. floats          written by every known writer in this order
//
// The features a model wants are numbered when it is loaded (`FeatureTable`). A request's examples then fill one
// `FeatureSlot` for each: kind, number of values, and where they stand. A short feature as every writer writes it is
// recognised at a glance; whatever protobuf allows besides (long lists, lists in pieces, numbers unpacked, fields in
// another order, unknown fields) is read at length, through `Feature`, and ends in the same slots.

public import Wire

/// The features a model takes, numbered.
public struct FeatureTable: Sendable {
  let names: ByteTable
  /// The kind each feature must have; `.none` where any will do.
  public let kinds: [FeatureKind]

  public init(_ features: [(name: [UInt8], kind: FeatureKind)]) {
    names = ByteTable(features.map(\.name))
    kinds = features.map(\.kind)
  }

  public var count: Int { kinds.count }

  /// The number of a feature.
  public func index(of name: RawSpan) -> Int? { names.index(of: name) }

  /// The name of a feature.
  public subscript(_ index: Int) -> RawSpan {
    @_lifetime(borrow self)
    get { names[index] }
  }

  /// The first feature that came with another kind than it must have.
  public func mismatch(_ slots: Span<FeatureSlot>) -> Int? {
    for (index, kind) in kinds.enumerated() where index < slots.count {
      let found = slots[index].kind
      if kind != .none && found != .none && found != kind { return index }
    }
    return nil
  }
}

/// Where a feature's values stand in the example's bytes.
public struct FeatureSlot: Sendable {
  /// `.none` when the example has no such feature.
  public internal(set) var kind = FeatureKind.none
  /// Whether `place` is the values themselves: the packed numbers, or the list of strings. Otherwise it is the map entry, or the feature.
  @usableFromInline var isPlain = true
  /// Which of the two.
  var isEntry = true
  @usableFromInline var valueCount: UInt32 = 0
  @usableFromInline var place: Range<UInt32> = 0..<0
  /// The feature that followed this one when the slots were filled last. Writers keep an order, so it is asked first;
  /// a wrong guess costs one comparison.
  var successor: UInt32 = 0

  public init() {}

  @inline(__always)
  init(_ kind: FeatureKind, isPlain: Bool, count: Int, _ place: Range<UInt32>) {
    self.kind = kind
    self.isPlain = isPlain
    valueCount = UInt32(truncatingIfNeeded: count)
    self.place = place
  }

  /// The number of values.
  @inlinable public var count: Int { Int(valueCount) }

  /// The bytes `copyNumbers` writes: four for a float, eight for an integer.
  @inlinable public var byteCount: Int { count &* (kind == .float ? 4 : 8) }

  /// Writes the values, little endian, `byteCount` bytes from `offset` on.
  /// - Precondition: `destination` has room for them; `bytes` are those the slot was read from, and hold numbers.
  @inlinable @inline(__always)
  public func copyNumbers(of bytes: RawSpan, into destination: inout MutableRawSpan, at offset: Int = 0) {
    precondition(kind != .bytes && offset >= 0 && destination.byteCount &- offset >= byteCount)
    precondition(Int(place.upperBound) <= bytes.byteCount)
    guard isPlain else { return copyPieces(of: bytes, into: &destination, at: offset) }
    // `place` lies in `bytes`; from `offset` on there is room for the values it holds: both checked above, and their
    // number when the slot was made.
    unsafe destination.withUnsafeMutableBytes { to in
      guard let to = to.baseAddress else { return }
      if kind == .float {
        unsafe bytes.withUnsafeBytes { from in
          guard let from = from.baseAddress else { return }
          unsafe (to + offset).copyMemory(from: from + Int(place.lowerBound), byteCount: Int(valueCount) &* 4)
        }
      } else {
        var position = Int(place.lowerBound)
        for i in 0..<Int(valueCount) {
          let value = Varint.read(bytes, at: &position)
          unsafe to.storeBytes(of: value.littleEndian, toByteOffset: offset &+ i &* 8, as: UInt64.self)
        }
      }
    }
  }

  /// The general way: the list of a feature in pieces, or with numbers one by one.
  @usableFromInline @inline(never)
  func copyPieces(of bytes: RawSpan, into destination: inout MutableRawSpan, at offset: Int) {
    guard let feature = try? feature(of: bytes) else { return }
    var values = FeatureValues(feature)
    var at = offset
    let end = offset + byteCount
    // The bytes were read before, when the slot was made, so nothing is thrown; as many values come as then.
    while let range = (try? values.next()) ?? nil {
      var position = Int(range.lowerBound)
      while position < Int(range.upperBound) && at < end {
        if kind == .float {
          // Four more bytes of a stretch of floats.
          let value = unsafe bytes.unsafeLoadUnaligned(fromByteOffset: position, as: UInt32.self)
          destination.storeBytes(of: value, toByteOffset: at, as: UInt32.self)
          position += 4
          at += 4
        } else {
          let value = Varint.read(bytes, at: &position)
          destination.storeBytes(of: value.littleEndian, toByteOffset: at, as: UInt64.self)
          at += 8
        }
      }
    }
  }

  /// What a slot that is not plain names.
  @_lifetime(copy bytes)
  private func feature(of bytes: RawSpan) throws(WireError) -> Feature {
    let message = WireMessage(bytes, at: place)
    return try Feature(isEntry ? try WireMapEntry(message).value : message)
  }

  /// Calls `body` with where each string of a feature of kind `.bytes` stands, in order, `count` times.
  /// - Precondition: `bytes` are those the slot was read from.
  @inlinable @inline(__always)
  public func forEachString(of bytes: RawSpan, _ body: (Range<UInt32>) -> Void) {
    precondition(kind == .bytes && Int(place.upperBound) <= bytes.byteCount)
    guard isPlain else { return forEachPiecedString(of: bytes, body) }
    // A list of strings and nothing else, checked when the slot was made: a tag of one byte, a length, and as many bytes.
    var position = Int(place.lowerBound)
    while position < Int(place.upperBound) {
      position &+= 1
      let count = Varint.read(bytes, at: &position)
      let lower = UInt32(truncatingIfNeeded: position)
      position &+= Int(truncatingIfNeeded: count)
      body(lower..<UInt32(truncatingIfNeeded: position))
    }
  }

  /// The general way: a list in pieces, or with other fields in it.
  @usableFromInline @inline(never)
  func forEachPiecedString(of bytes: RawSpan, _ body: (Range<UInt32>) -> Void) {
    // Read before without fail, when the slot was made.
    guard let feature = try? feature(of: bytes) else { return }
    var fields = WireFields(feature.list, number: 1)
    while let range = (try? fields.nextRange()) ?? nil { body(range) }
  }
}

/// Reads examples into slots.
public struct ExampleReader: Sendable {
  public let table: FeatureTable
  /// Slots for a first example: they expect the features in the order of their names, as many writers sort them.
  public let slots: [FeatureSlot]

  public init(_ table: FeatureTable) {
    self.table = table
    var slots = [FeatureSlot](repeating: FeatureSlot(), count: table.count)
    let sorted = (0..<table.count).sorted { table[$0].precedes(table[$1]) }
    for (feature, next) in zip(sorted, sorted.dropFirst()) { slots[feature].successor = UInt32(next) }
    self.slots = slots
  }

  /// Fills `slots`, one for each feature of the table, from a serialized tf.Example. Features the table does not have
  /// are checked and skipped. Of features with one name the last counts. Slots used again, or copies of used ones, remember
  /// the order of names.
  /// - Precondition: as many slots as features.
  public func read(_ bytes: RawSpan, into slots: inout MutableSpan<FeatureSlot>) throws(WireError) {
    try read(WireMessage(bytes), into: &slots)
  }

  /// The same, for an example inside a larger message: slots then count positions in that message's buffer.
  public func read(_ example: WireMessage, into slots: inout MutableSpan<FeatureSlot>) throws(WireError) {
    precondition(slots.count == table.count)
    for i in 0..<slots.count {
      slots[i].kind = .none
      slots[i].valueCount = 0
    }
    let bytes = example.bytes
    // The feature filed last.
    var last = -1
    // Occurrences of `features` merge, and merging maps is overwriting: so one after the other.
    var reader = WireReader(example)
    while let tag = try reader.nextTag() {
      guard tag == .length(1) else {
        try reader.skip(tag)
        continue
      }
      var features = WireReader(bytes, at: try reader.lengthDelimited())
      while let tag = try features.nextTag() {
        guard tag == .length(1) else {
          try features.skip(tag)
          continue
        }
        let entry = try features.lengthDelimited()
        var key: Range<UInt32> = 0..<0
        var slot = FeatureSlot()
        if try !ExampleReader.readAtAGlance(bytes, at: entry, &key, &slot) {
          try ExampleReader.readAtLength(bytes, at: entry, &key, &slot)
        }
        // A key's range was found inside `bytes`.
        let name = unsafe bytes.extracting(unchecked: Int(key.lowerBound)..<Int(key.upperBound))
        // The table numbers below its count, which is that of the slots, and so does every `successor`.
        let guess = last < 0 ? 0 : Int(unsafe slots[unchecked: last].successor)
        let index: Int
        if guess < table.count && table.names.isName(name, at: guess) {
          index = guess
        } else {
          guard let found = table.names.index(of: name) else { continue }
          index = found
          if last >= 0 { unsafe slots[unchecked: last].successor = UInt32(truncatingIfNeeded: found) }
        }
        slot.successor = unsafe slots[unchecked: index].successor
        unsafe slots[unchecked: index] = slot
        last = index
      }
    }
  }

  /// An entry as every writer writes it: key, value, one list, packed. Between key and values then stand a few bytes that
  /// follow from the entry's length, compared as one number. With n bytes from the key's end to the entry's,
  ///
  ///     12 n-2 │ kind n-4 │ 0A n-6 │ values …                            lengths of one byte
  ///     12 n-3 ... │ kind n-6 ... │ 0A n-9 ... │ values …                of two
  ///
  /// `false` for anything else, which is not wrong for that.
  @inline(__always)
  static func readAtAGlance(
    _ bytes: RawSpan, at entry: Range<UInt32>, _ key: inout Range<UInt32>, _ slot: inout FeatureSlot
  ) throws(WireError) -> Bool {
    let lower = Int(entry.lowerBound)
    let upper = Int(entry.upperBound)
    guard lower &+ 2 <= upper else { return false }
    // Two bytes of the entry.
    let start = unsafe bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: lower, as: UInt16.self).littleEndian
    let keyUpper = lower &+ 2 &+ Int(start &>> 8)
    let n = UInt64(bitPattern: Int64(upper &- keyUpper))
    guard start & 0x80FF == 0x0A, upper &- keyUpper >= 2, keyUpper &+ 8 <= bytes.byteCount else { return false }
    // Eight bytes of the buffer, just checked; what of them is not the entry's is not looked at.
    let head = unsafe bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: keyUpper, as: UInt64.self).littleEndian
    let kind: UInt64
    let list: Int
    let values: Int
    let isPacked: Bool
    if n == 2 {
      // A feature without a list.
      guard head & 0xFFFF == 0x12 else { return false }
      key = UInt32(truncatingIfNeeded: lower &+ 2)..<UInt32(truncatingIfNeeded: keyUpper)
      return true
    } else if n == 4 {
      // An empty list: nothing behind its length.
      guard head & 0xFF00_FFFF == 0x0212 else { return false }
      kind = head &>> 16 & 0xFF
      isPacked = true
      list = upper
      values = upper
    } else if n <= 129 {
      // No length that compares equal has its top bit set.
      guard head & 0xFF00_FFFF == 0x12 | (n &- 2) &<< 8 | (n &- 4) &<< 24 else { return false }
      kind = head &>> 16 & 0xFF
      isPacked = head &>> 32 & 0xFFFF == 0x0A | (n &- 6) &<< 8
      list = keyUpper &+ 4
      values = keyUpper &+ 6
    } else {
      guard n < 1 &<< 14, keyUpper &+ 10 <= upper,
        head & 0xFFFF_00FF_FFFF == 0x12 | twoBytes(n &- 3) &<< 8 | twoBytes(n &- 6) &<< 32
      else { return false }
      kind = head &>> 24 & 0xFF
      // The ninth byte of the value, which has ten.
      let last = unsafe bytes.unsafeLoad(fromUncheckedByteOffset: keyUpper &+ 8, as: UInt8.self)
      isPacked = head &>> 48 | UInt64(last) &<< 16 == 0x0A | twoBytes(n &- 9) &<< 8
      list = keyUpper &+ 6
      values = keyUpper &+ 9
    }
    key = UInt32(truncatingIfNeeded: lower &+ 2)..<UInt32(truncatingIfNeeded: keyUpper)
    switch kind {
    case 0x0A:
      // Strings: 0A and a length of one byte before each.
      var position = list
      var count: UInt32 = 0
      while position &+ 2 <= upper {
        // Two bytes before the end of the entry.
        let next = unsafe bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: position, as: UInt16.self).littleEndian
        guard next & 0x80FF == 0x0A else { return false }
        position &+= 2 &+ Int(next &>> 8)
        count &+= 1
      }
      guard position == upper else { return false }
      slot.kind = .bytes
      slot.valueCount = count
      slot.place = UInt32(truncatingIfNeeded: list)..<entry.upperBound
      return true
    case 0x12:
      guard isPacked, (upper &- values) & 3 == 0 else { return false }
      slot.kind = .float
      slot.valueCount = UInt32(truncatingIfNeeded: (upper &- values) &>> 2)
      slot.place = UInt32(truncatingIfNeeded: values)..<entry.upperBound
      return true
    case 0x1A:
      guard isPacked else { return false }
      slot.kind = .int64
      slot.place = UInt32(truncatingIfNeeded: values)..<entry.upperBound
      slot.valueCount = UInt32(truncatingIfNeeded: try Varint.count(bytes, in: slot.place))
      return true
    default:
      return false
    }
  }

  /// A length as a varint of two bytes.
  @inline(__always)
  static func twoBytes(_ length: UInt64) -> UInt64 { length & 0x7F | 0x80 | (length &>> 7) &<< 8 }

  /// An entry in whatever form protobuf allows.
  @inline(never)
  static func readAtLength(
    _ bytes: RawSpan, at range: Range<UInt32>, _ key: inout Range<UInt32>, _ slot: inout FeatureSlot
  ) throws(WireError) {
    key = 0..<0
    var value = WireExtent.absent
    var reader = WireReader(bytes, at: range)
    while let tag = try reader.nextTag() {
      switch tag {
      case .length(1): key = try reader.lengthDelimited()
      case .length(2): try value.append(try reader.lengthDelimited())
      default: try reader.skip(tag)
      }
    }
    slot = try FeatureSlot(try Feature(WireMessage(bytes, at: value)), in: range, isEntry: true)
  }
}

extension FeatureSlot {
  /// A feature in whatever form protobuf allows.
  /// - Parameter range: the map entry it is the value of, or the feature itself.
  init(_ feature: borrowing Feature, in range: Range<UInt32>, isEntry: Bool) throws(WireError) {
    var count = 0
    var stretches = 0
    var only: Range<UInt32> = 0..<0
    var plainSize = 0
    var values = FeatureValues(feature)
    while let stretch = try values.next() {
      count += values.count(stretch)
      stretches += 1
      only = stretch
      plainSize += WireSize.length(1, stretch.count)
    }
    if feature.kind == .bytes, feature.list.extent.isWhole, plainSize == feature.list.extent.byteCount {
      self.init(.bytes, isPlain: true, count: count, feature.list.extent.first)
    } else if feature.kind != .bytes, stretches <= 1 {
      self.init(feature.kind, isPlain: true, count: count, only)
    } else {
      self.init(feature.kind, isPlain: false, count: count, range)
      self.isEntry = isEntry
    }
  }
}

extension RawSpan {
  /// Whether these bytes come before others, byte by byte.
  fileprivate func precedes(_ other: RawSpan) -> Bool {
    let length = Swift.min(byteCount, other.byteCount)
    for i in 0..<length {
      // Both have `length` bytes, and every bit pattern is a byte.
      let (a, b) = unsafe (
        unsafeLoad(fromUncheckedByteOffset: i, as: UInt8.self), other.unsafeLoad(fromUncheckedByteOffset: i, as: UInt8.self)
      )
      if a != b { return a < b }
    }
    return byteCount < other.byteCount
  }
}
