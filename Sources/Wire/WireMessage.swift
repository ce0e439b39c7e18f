// A message is where its bytes are. Nearly always that is one stretch of the buffer. But protobuf lets a singular
// message field occur more than once, and the occurrences, read one after the other, are the merged message:
//
//     buffer   │ a: 1 │ spec { name: "m" } │ b: 2 │ spec { version: 3 } │
//     extent              └── first ───┘                 └── rest[0] ┘
//
// So an extent is a first range and, rarely, more; a reader walks them as one. Only a message that is in pieces costs
// an allocation, and whoever writes messages in more pieces than `WireLimits.piecesMax` is refused.

/// Where a message stands in its buffer. Can be kept; the bytes themselves are lent anew each time.
public struct WireExtent: Sendable, Equatable {
  public var first: Range<UInt32>
  @usableFromInline var rest: [Range<UInt32>]?
  /// Whether the field occurred at all. An absent message reads as an empty one.
  public var isPresent: Bool

  /// A field that did not occur.
  public static var absent: WireExtent { WireExtent() }

  @inlinable @inline(__always)
  init() {
    first = 0..<0
    rest = nil
    isPresent = false
  }

  @inlinable @inline(__always)
  public init(_ range: Range<UInt32>) {
    first = range
    rest = nil
    isPresent = true
  }

  /// Whether the message is one stretch of bytes: `first`.
  public var isWhole: Bool { rest == nil }

  /// Merges another occurrence in.
  @inlinable @inline(__always)
  public mutating func append(_ range: Range<UInt32>) throws(WireError) {
    if isPresent {
      try appendPiece(range)
    } else {
      first = range
      isPresent = true
    }
  }

  @usableFromInline @inline(never)
  mutating func appendPiece(_ range: Range<UInt32>) throws(WireError) {
    guard (rest?.count ?? 0) < WireLimits.piecesMax - 1 else {
      throw WireError(.tooManyPieces, at: Int(range.lowerBound))
    }
    if rest == nil { rest = [range] } else { rest?.append(range) }
  }

  /// The number of bytes in all pieces.
  public var byteCount: Int {
    rest.map { $0.reduce(first.count) { $0 + $1.count } } ?? first.count
  }
}

/// A message, lent: the buffer and where in it the message stands.
public struct WireMessage: ~Escapable {
  /// The whole buffer; every position a reader or an error tells counts from its start.
  public let bytes: RawSpan
  public let extent: WireExtent

  /// The message that fills `bytes`.
  @_lifetime(copy bytes)
  public init(_ bytes: RawSpan) throws(WireError) {
    guard bytes.byteCount <= WireLimits.bytesMax else { throw WireError(.tooLarge, at: WireLimits.bytesMax) }
    self.bytes = bytes
    extent = WireExtent(0..<UInt32(bytes.byteCount))
  }

  /// The message at `extent`, as a reader of the same bytes found it.
  @inlinable
  @_lifetime(copy bytes)
  public init(_ bytes: RawSpan, at extent: WireExtent) {
    precondition(Int(extent.first.upperBound) <= bytes.byteCount)
    if let rest = extent.rest {
      for range in rest { precondition(Int(range.upperBound) <= bytes.byteCount) }
    }
    self.bytes = bytes
    self.extent = extent
  }

  /// The message at `range`.
  @inlinable
  @_lifetime(copy bytes)
  public init(_ bytes: RawSpan, at range: Range<UInt32>) {
    self.init(bytes, at: WireExtent(range))
  }

  /// Whether the field occurred.
  public var isPresent: Bool { extent.isPresent }

  /// The message's bytes, when they are one stretch.
  public var contiguous: RawSpan? {
    @_lifetime(copy self)
    get { extent.isWhole ? bytes.extracting(extent.first) : nil }
  }

  /// A copy of the message's bytes, pieces joined. For keeping; not for the request path.
  public func copy() -> [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity(extent.byteCount)
    result.append(contentsOf: bytes.extracting(extent.first))
    for range in extent.rest ?? [] { result.append(contentsOf: bytes.extracting(range)) }
    return result
  }
}
