// Repeated fields and maps are walked, not collected: an iterator holds a reader and a field number.

/// The occurrences of one length-delimited field: strings, bytes or messages.
public struct WireFields: ~Escapable {
  var reader: WireReader
  let tag: WireTag

  @_lifetime(copy message)
  public init(_ message: WireMessage, number: UInt32) {
    reader = WireReader(message)
    tag = .length(number)
  }

  @_lifetime(self: copy self)
  public mutating func nextRange() throws(WireError) -> Range<UInt32>? {
    while let next = try reader.nextTag() {
      if next == tag { return try reader.lengthDelimited() }
      try reader.skip(next)
    }
    return nil
  }

  /// The next string or bytes value.
  @_lifetime(copy self)
  @_lifetime(self: copy self)
  public mutating func nextSpan() throws(WireError) -> RawSpan? {
    guard let range = try nextRange() else { return nil }
    return reader.bytes.extracting(range)
  }

  /// The next message.
  @_lifetime(copy self)
  @_lifetime(self: copy self)
  public mutating func nextMessage() throws(WireError) -> WireMessage? {
    guard let range = try nextRange() else { return nil }
    return WireMessage(reader.bytes, at: range)
  }
}

/// An entry of a map field: a message with the key as field 1 and the value as field 2, either of which may be missing
/// and then has its type's default.
public struct WireMapEntry: ~Escapable {
  /// A string key.
  public private(set) var key: RawSpan
  /// An integer key.
  public private(set) var keyNumber: UInt64 = 0
  /// A message value.
  public let value: WireMessage
  /// A string or bytes value.
  public private(set) var valueSpan: RawSpan
  /// An integer value.
  public private(set) var valueNumber: UInt64 = 0

  @_lifetime(copy message)
  public init(_ message: WireMessage) throws(WireError) {
    let bytes = message.bytes
    var key: Range<UInt32> = 0..<0
    var valueRange: Range<UInt32> = 0..<0
    var extent = WireExtent.absent
    var reader = WireReader(message)
    while let tag = try reader.nextTag() {
      switch tag {
      case .length(1): key = try reader.lengthDelimited()
      case .length(2):
        valueRange = try reader.lengthDelimited()
        try extent.append(valueRange)
      case .varint(1): keyNumber = try reader.varint()
      case .varint(2): valueNumber = try reader.varint()
      default: try reader.skip(tag)
      }
    }
    self.key = bytes.extracting(key)
    valueSpan = bytes.extracting(valueRange)
    value = WireMessage(bytes, at: extent)
  }
}

/// The entries of a map field, in the order of the wire. Of entries with one key the last counts: a walker that files
/// them by key overwrites.
public struct WireMap: ~Escapable {
  let message: WireMessage
  let number: UInt32
  var fields: WireFields

  @_lifetime(copy message)
  public init(_ message: WireMessage, number: UInt32) {
    self.message = message
    self.number = number
    fields = WireFields(message, number: number)
  }

  @_lifetime(copy self)
  @_lifetime(self: copy self)
  public mutating func next() throws(WireError) -> WireMapEntry? {
    guard let entry = try fields.nextMessage() else { return nil }
    return try WireMapEntry(entry)
  }

  /// The entry of a key. Walks the whole map: for maps looked into once or twice.
  @_lifetime(copy self)
  public func entry(_ key: RawSpan) throws(WireError) -> WireMapEntry? {
    var fields = WireFields(message, number: number)
    var found: Range<UInt32>? = nil
    while let range = try fields.nextRange() {
      if try WireMapEntry(WireMessage(message.bytes, at: range)).key.hasSameBytes(as: key) { found = range }
    }
    guard let found else { return nil }
    return try WireMapEntry(WireMessage(message.bytes, at: found))
  }
}
