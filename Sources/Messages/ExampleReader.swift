// tf.Example to values a model can index, in one pass over the bytes.
//
//     Example { features 1 } ─ Features { feature 1 … } ─ entry { key 1, value 2 } ─ Feature { *_list } ─ { value 1 }
//
//     0A .. │ 0A .. │ 0A .. "age" │ 12 .. │ 12 .. │ 0A .. floats          written by every known writer in this order
//
// The features a model wants are numbered when it is loaded (`FeatureTable`). A request's examples then fill one
// `FeatureSlot` for each: kind, number of values, and where they stand. What every writer writes is recognised byte by
// byte in `readPlain`; whatever protobuf allows besides (lists in pieces, numbers unpacked, fields in another order,
// unknown fields) takes the general way through `Feature`, and ends in the same slots.

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
  /// Whether `place` is the values themselves: the packed numbers, or the list of strings. Otherwise it is the map entry.
  var isPlain = true
  var valueCount: UInt32 = 0
  var place: Range<UInt32> = 0..<0

  public init() {}

  @inline(__always)
  init(_ kind: FeatureKind, isPlain: Bool, count: Int, _ place: Range<UInt32>) {
    self.kind = kind
    self.isPlain = isPlain
    valueCount = UInt32(truncatingIfNeeded: count)
    self.place = place
  }

  /// The number of values.
  public var count: Int { Int(valueCount) }

  /// The bytes `copyNumbers` writes: four for a float, eight for an integer.
  public var byteCount: Int { count &* (kind == .float ? 4 : 8) }

  /// Writes the values, little endian, `byteCount` bytes from `offset` on.
  /// - Precondition: `destination` has room for them; `bytes` are those the slot was read from, and hold numbers.
  @inline(__always)
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
  @inline(never)
  func copyPieces(of bytes: RawSpan, into destination: inout MutableRawSpan, at offset: Int) {
    guard let entry = try? WireMapEntry(WireMessage(bytes, at: place)), let feature = try? Feature(entry.value) else {
      return
    }
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

  /// The strings of a feature of kind `.bytes`.
  @_lifetime(copy bytes)
  public func strings(of bytes: RawSpan) -> FeatureStrings {
    precondition(kind == .bytes)
    if isPlain { return FeatureStrings(WireMessage(bytes, at: place)) }
    // Read before without fail.
    if let entry = try? WireMapEntry(WireMessage(bytes, at: place)), let feature = try? Feature(entry.value) {
      return FeatureStrings(feature.list)
    }
    return FeatureStrings(WireMessage(bytes, at: 0..<0))
  }
}

/// The strings of a bytes_list, in order.
public struct FeatureStrings: ~Escapable {
  var fields: WireFields

  @_lifetime(copy list)
  init(_ list: WireMessage) { fields = WireFields(list, number: 1) }

  /// Where the next string stands; `nil` after the last.
  @_lifetime(self: copy self)
  public mutating func nextRange() -> Range<UInt32>? {
    // The list was read before, when the slot was made, so nothing is thrown.
    (try? fields.nextRange()) ?? nil
  }
}

/// Reads examples into slots.
public struct ExampleReader: Sendable {
  public let table: FeatureTable

  public init(_ table: FeatureTable) { self.table = table }

  /// Fills `slots`, one for each feature of the table, from a serialized tf.Example. Features the table does not have
  /// are checked and skipped. Of features with one name the last counts.
  /// - Precondition: as many slots as features.
  public func read(_ bytes: RawSpan, into slots: inout MutableSpan<FeatureSlot>) throws(WireError) {
    try read(WireMessage(bytes), into: &slots)
  }

  /// The same, for an example inside a larger message: slots then count positions in that message's buffer.
  public func read(_ example: WireMessage, into slots: inout MutableSpan<FeatureSlot>) throws(WireError) {
    precondition(slots.count == table.count)
    for i in 0..<slots.count { slots[i] = FeatureSlot() }
    let bytes = example.bytes
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
        let slot: FeatureSlot
        if let plain = try ExampleReader.readPlain(bytes, at: entry, &key) {
          slot = plain
        } else {
          slot = try ExampleReader.readGeneral(bytes, at: entry, &key)
        }
        // A key's range was found inside `bytes`.
        let name = unsafe bytes.extracting(unchecked: Int(key.lowerBound)..<Int(key.upperBound))
        if let index = table.names.index(of: name) {
          // The table numbers below its count, which is that of the slots.
          unsafe slots[unchecked: index] = slot
        }
      }
    }
  }

  /// An entry as every writer writes it: key, value, one list, packed. `nil` for anything else.
  @inline(__always)
  static func readPlain(
    _ bytes: RawSpan, at entry: Range<UInt32>, _ key: inout Range<UInt32>
  ) throws(WireError) -> FeatureSlot? {
    var reader = WireReader(bytes, at: entry)
    guard try reader.nextTag() == .length(1) else { return nil }
    key = try reader.lengthDelimited()
    guard try reader.nextTag() == .length(2), try reader.descend() else { return nil }
    if reader.isAtEnd { return FeatureSlot(.none, isPlain: true, count: 0, 0..<0) }
    let kind: FeatureKind
    switch try reader.nextTag() {
    case .length(1): kind = .bytes
    case .length(2): kind = .float
    case .length(3): kind = .int64
    default: return nil
    }
    guard try reader.descend() else { return nil }
    let list = UInt32(truncatingIfNeeded: reader.position)..<entry.upperBound
    if list.isEmpty { return FeatureSlot(kind, isPlain: true, count: 0, list) }
    if kind == .bytes {
      var count = 0
      while let tag = try reader.nextTag() {
        guard tag == .length(1) else { return nil }
        _ = try reader.lengthDelimited()
        count &+= 1
      }
      return FeatureSlot(.bytes, isPlain: true, count: count, list)
    }
    guard try reader.nextTag() == .length(1), try reader.descend() else { return nil }
    let values = UInt32(truncatingIfNeeded: reader.position)..<entry.upperBound
    if kind == .int64 {
      return FeatureSlot(.int64, isPlain: true, count: try Varint.count(bytes, in: values), values)
    }
    guard values.count & 3 == 0 else { return nil }
    return FeatureSlot(.float, isPlain: true, count: values.count &>> 2, values)
  }

  /// An entry in whatever form protobuf allows.
  @inline(never)
  static func readGeneral(
    _ bytes: RawSpan, at range: Range<UInt32>, _ key: inout Range<UInt32>
  ) throws(WireError) -> FeatureSlot {
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
    let feature = try Feature(WireMessage(bytes, at: value))
    return FeatureSlot(feature.kind, isPlain: false, count: try feature.count(), range)
  }
}
