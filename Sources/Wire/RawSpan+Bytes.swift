// What names need: to be cut out, compared, and shown.

extension RawSpan {
  /// The bytes at a range some reader of this span returned.
  @inlinable @inline(__always)
  @_lifetime(copy self)
  public func extracting(_ range: Range<UInt32>) -> RawSpan {
    extracting(Int(range.lowerBound)..<Int(range.upperBound))
  }

  /// The eight bytes at `offset`, as one number.
  @inlinable @inline(__always)
  func word(_ offset: Int) -> UInt64 {
    // Callers have checked that eight bytes from `offset` on are inside.
    unsafe unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: UInt64.self)
  }

  /// All of a span of fewer than eight bytes, as one number: two loads that overlap rather than a loop.
  @inlinable @inline(__always)
  var shortWord: UInt64 {
    let count = byteCount
    if count >= 4 {
      // The first four bytes and the last four.
      let low = unsafe unsafeLoadUnaligned(fromUncheckedByteOffset: 0, as: UInt32.self)
      let high = unsafe unsafeLoadUnaligned(fromUncheckedByteOffset: count &- 4, as: UInt32.self)
      return UInt64(low) | UInt64(high) &<< 32
    }
    if count == 0 { return 0 }
    // The first byte, the middle one and the last: of one to three, all.
    let first = unsafe unsafeLoad(fromUncheckedByteOffset: 0, as: UInt8.self)
    let middle = unsafe unsafeLoad(fromUncheckedByteOffset: count &>> 1, as: UInt8.self)
    let last = unsafe unsafeLoad(fromUncheckedByteOffset: count &- 1, as: UInt8.self)
    return UInt64(first) | UInt64(middle) &<< 8 | UInt64(last) &<< 16
  }

  /// Whether the bytes are the same, one by one.
  @inlinable @inline(__always)
  public func hasSameBytes(as other: RawSpan) -> Bool {
    let count = byteCount
    guard count == other.byteCount else { return false }
    if count < 8 { return shortWord == other.shortWord }
    var offset = 0
    while offset < count &- 8 {
      if word(offset) != other.word(offset) { return false }
      offset &+= 8
    }
    return word(count &- 8) == other.word(count &- 8)
  }

  /// Whether these are the bytes of a literal.
  public func equals(_ literal: StaticString) -> Bool {
    // A literal's bytes live as long as the program.
    let other = unsafe RawSpan(_unsafeStart: literal.utf8Start, byteCount: literal.utf8CodeUnitCount)
    return hasSameBytes(as: other)
  }
}

extension RawSpan {
  /// The bytes of a literal.
  @_lifetime(immortal)
  public init(literal: StaticString) {
    // A literal's bytes live as long as the program.
    let bytes = unsafe RawSpan(_unsafeStart: literal.utf8Start, byteCount: literal.utf8CodeUnitCount)
    self = unsafe _overrideLifetime(bytes, borrowing: ())
  }
}

extension Array where Element == UInt8 {
  /// The array's bytes, lent.
  @inlinable
  public var rawSpan: RawSpan {
    @_lifetime(borrow self)
    get {
      // Bytes have no padding and no invalid values.
      unsafe span.bytes
    }
  }

  /// A copy.
  public init(_ span: RawSpan) {
    self = unsafe span.withUnsafeBytes { unsafe Array($0) }
  }

  /// Appends a copy.
  public mutating func append(contentsOf span: RawSpan) {
    unsafe span.withUnsafeBytes { unsafe append(contentsOf: $0) }
  }
}

extension String {
  /// The text; `nil` when the bytes are no UTF-8. protobuf strings are, but nobody checks before this.
  public init?(validating span: RawSpan) {
    guard let text = unsafe span.withUnsafeBytes({ unsafe String(validating: $0, as: UTF8.self) }) else { return nil }
    self = text
  }

  /// The text for an error or a log line: what is no UTF-8 shows as U+FFFD.
  public init(showing span: RawSpan) {
    self = unsafe span.withUnsafeBytes { unsafe String(decoding: $0, as: UTF8.self) }
  }
}
