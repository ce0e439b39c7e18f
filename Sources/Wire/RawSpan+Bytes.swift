// What names need: to be cut out, compared, and shown.

extension RawSpan {
  /// The bytes at a range some reader of this span returned.
  @inline(__always)
  @_lifetime(copy self)
  public func extracting(_ range: Range<UInt32>) -> RawSpan {
    extracting(Int(range.lowerBound)..<Int(range.upperBound))
  }

  /// Whether the bytes are the same, one by one.
  @inline(__always)
  public func hasSameBytes(as other: RawSpan) -> Bool {
    let count = byteCount
    guard count == other.byteCount else { return false }
    var offset = 0
    while offset &+ 8 <= count {
      // Both spans hold eight bytes from `offset` on.
      let a = unsafe unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: UInt64.self)
      let b = unsafe other.unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: UInt64.self)
      if a != b { return false }
      offset &+= 8
    }
    while offset < count {
      // `offset` is below both counts.
      let a = unsafe unsafeLoad(fromUncheckedByteOffset: offset, as: UInt8.self)
      let b = unsafe other.unsafeLoad(fromUncheckedByteOffset: offset, as: UInt8.self)
      if a != b { return false }
      offset &+= 1
    }
    return true
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
