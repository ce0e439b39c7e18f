// Small lists of integers as kernels get them: shapes, axes, paddings. Inline, so that reading them allocates nothing.
internal import Tensors

/// Up to eight integers, of any sign.
struct Dims {
  private var values: [8 of Int] = .init(repeating: 0)
  private(set) var count = 0

  init() {}

  init(_ shape: Shape) {
    for d in 0..<shape.rank { values[d] = shape[d] }
    count = shape.rank
  }

  init(repeating value: Int, count: Int) {
    precondition(count >= 0 && count <= Shape.rankMax)
    values = .init(repeating: value)
    self.count = count
  }

  subscript(index: Int) -> Int {
    get {
      precondition(index >= 0 && index < count)
      return values[index]
    }
    set {
      precondition(index >= 0 && index < count)
      values[index] = newValue
    }
  }

  mutating func append(_ value: Int) throws(RunError) {
    guard count < Shape.rankMax else { throw Dims.tooMany(count + 1) }
    values[count] = value
    count += 1
  }

  static func tooMany(_ rank: Int) -> RunError {
    .unimplemented("tensors of more than \(Shape.rankMax) dimensions are not supported, got \(rank)")
  }
}

extension Shape {
  /// The shape with these extents, or TensorFlow's complaint.
  init(checking dims: Dims) throws(RunError) {
    self.init()
    var product = 1
    for d in 0..<dims.count {
      guard dims[d] >= 0 else { throw .invalidArgument("Dimension \(dims[d]) must be >= 0") }
      let (next, overflow) = product.multipliedReportingOverflow(by: Swift.max(dims[d], 1))
      guard !overflow else {
        let text = (0..<dims.count).map { String(dims[$0]) }.joined(separator: ",")
        throw .invalidArgument("Shape [\(text)] would have more than 2**63 - 1 elements")
      }
      product = next
      append(dims[d])
    }
  }

  /// The shape with one extent another.
  func replacing(_ axis: Int, by extent: Int) throws(RunError) -> Shape {
    var dims = Dims(self)
    dims[axis] = extent
    return try Shape(checking: dims)
  }

  /// The shape without one dimension.
  func removing(_ axis: Int) -> Shape {
    var result = Shape()
    for d in 0..<rank where d != axis { result.append(self[d]) }
    return result
  }

  /// The shape of this one's dimensions `range`, followed by those of another.
  func joined(_ range: Range<Int>, _ other: Shape, _ otherRange: Range<Int>) throws(RunError) -> Shape {
    var dims = Dims()
    for d in range { try dims.append(self[d]) }
    for d in otherRange { try dims.append(other[d]) }
    return try Shape(checking: dims)
  }

  /// The strides, in elements, of a tensor of this shape.
  var strides: [8 of Int] {
    var result = [8 of Int](repeating: 0)
    var stride = 1
    for d in (0..<rank).reversed() {
      result[d] = stride
      stride &*= self[d]
    }
    return result
  }
}

extension Frame {
  /// The integers of an input that is a vector or a scalar.
  func dims(_ input: Int) throws(RunError) -> Dims { try self.input(input).dims() }

  /// The integer of an input that is a scalar (or holds one element).
  func scalar(_ input: Int, _ name: String) throws(RunError) -> Int {
    guard let value = self.input(input).intScalar else {
      throw .invalidArgument("\(name) must be a scalar, but received tensor of shape: \(self.input(input).shape)")
    }
    return value
  }
}

extension Value {
  func dims() throws(RunError) -> Dims {
    guard count <= Shape.rankMax else { throw Dims.tooMany(count) }
    var dims = Dims()
    for i in 0..<count { try dims.append(try integer(at: i)) }
    return dims
  }

  /// An element that must be there and be an integer.
  func integer(at index: Int) throws(RunError) -> Int {
    guard index >= 0, index < count else { throw .invalidArgument("expected more than \(index) elements, got shape \(shape)") }
    guard let value = int(at: index) else { throw .invalidArgument("expected integers, got \(dtype)") }
    return value
  }
}

/// An axis counted from the front; `nil` when it is out of range.
func axis(_ axis: Int, rank: Int) -> Int? {
  let front = axis < 0 ? axis &+ rank : axis
  return front >= 0 && front < rank ? front : nil
}
