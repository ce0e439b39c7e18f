internal import Tensors

extension Shape {
  /// The shape with these extents, without an array in between; `nil` when one is negative or their product does not fit an `Int`.
  init?<let count: Int>(extents: [count of Int]) {
    self.init()
    var product = 1
    for d in 0..<count {
      guard extents[d] >= 0 else { return nil }
      let (next, overflow) = product.multipliedReportingOverflow(by: max(extents[d], 1))
      if overflow { return nil }
      product = next
      append(extents[d])
    }
  }
}
