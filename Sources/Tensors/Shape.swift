/// The dimensions of a tensor whose extents are all known. Stored inline: a shape never allocates.
public struct Shape: Sendable, BitwiseCopyable {
  /// TensorFlow allows 254 dimensions; no kernel of its own goes past eight, and neither does a shape here.
  public static let rankMax = 8

  var extents: [8 of Int]
  /// The number of dimensions; zero for a scalar.
  public internal(set) var rank: Int

  /// A scalar.
  public init() {
    extents = .init(repeating: 1)
    rank = 0
  }

  /// The shape with these extents; `nil` when there are more than `rankMax`, one is negative, or their product
  /// does not fit an `Int`.
  public init?(_ extents: some Sequence<Int>) {
    self.init()
    var product = 1
    for extent in extents {
      guard rank < Shape.rankMax, extent >= 0 else { return nil }
      self.extents[rank] = extent
      rank += 1
      let (next, overflow) = product.multipliedReportingOverflow(by: max(extent, 1))
      if overflow { return nil }
      product = next
    }
  }

  /// Appends a dimension. The caller answers for `rank < rankMax` and for the product.
  public mutating func append(_ extent: Int) {
    precondition(rank < Shape.rankMax && extent >= 0)
    extents[rank] = extent
    rank &+= 1
  }

  /// Makes this the shape `[0]`.
  public mutating func clear() {
    extents[0] = 0
    rank = 1
  }

  /// The extent of a dimension, counted from the front.
  public subscript(_ dimension: Int) -> Int {
    get {
      precondition(dimension >= 0 && dimension < rank)
      return extents[dimension]
    }
    set {
      precondition(dimension >= 0 && dimension < rank && newValue >= 0)
      extents[dimension] = newValue
    }
  }

  /// The number of elements: the product of the extents, one for a scalar.
  public var count: Int {
    var product = 1
    for dimension in 0..<rank { product &*= extents[dimension] }
    return product
  }

  /// The number of elements below `dimension`: the product of `self[dimension...]`.
  public func count(from dimension: Int) -> Int {
    var product = 1
    for d in dimension..<max(dimension, rank) { product &*= extents[d] }
    return product
  }

  /// The product of `self[..<dimension]`.
  public func count(upTo dimension: Int) -> Int {
    var product = 1
    for d in 0..<min(dimension, rank) { product &*= extents[d] }
    return product
  }

  /// The extents as an array. Allocates; not for the request path.
  public var array: [Int] { (0..<rank).map { extents[$0] } }
}

extension Shape: Equatable, Hashable {
  public static func == (a: Shape, b: Shape) -> Bool {
    guard a.rank == b.rank else { return false }
    for dimension in 0..<a.rank where a.extents[dimension] != b.extents[dimension] { return false }
    return true
  }

  public func hash(into hasher: inout Hasher) {
    for dimension in 0..<rank { hasher.combine(extents[dimension]) }
  }
}

extension Shape: ExpressibleByArrayLiteral {
  public init(arrayLiteral elements: Int...) {
    guard let shape = Shape(elements) else { preconditionFailure("not a shape: \(elements)") }
    self = shape
  }
}

extension Shape: CustomStringConvertible {
  /// As TensorFlow prints shapes: `[2,3]`, `[]` for a scalar.
  public var description: String { "[" + array.map(String.init).joined(separator: ",") + "]" }
}

/// A shape as a graph or a signature declares it: the rank or any extent may be unknown.
public struct PartialShape: Sendable, Hashable, CustomStringConvertible {
  /// The extents, `-1` where unknown; `nil` when the rank itself is unknown.
  public var extents: [Int]?

  public init(_ extents: [Int]?) { self.extents = extents }

  /// The shape, when everything is known.
  public var shape: Shape? {
    guard let extents else { return nil }
    return Shape(extents)
  }

  /// Whether a tensor of `shape` may stand here.
  public func admits(_ shape: Shape) -> Bool {
    guard let extents else { return true }
    guard extents.count == shape.rank else { return false }
    for (dimension, extent) in extents.enumerated() where extent >= 0 && extent != shape[dimension] { return false }
    return true
  }

  /// As TensorFlow prints partial shapes: `[?,3]`, `<unknown>` without a rank.
  public var description: String {
    guard let extents else { return "<unknown>" }
    return "[" + extents.map { $0 < 0 ? "?" : String($0) }.joined(separator: ",") + "]"
  }
}
