internal import Tensors

extension Shape {
  /// The shape with these extents, or TensorFlow's complaint.
  init<let count: Int>(checking extents: [count of Int]) throws(RunError) {
    var dims = Dims()
    for d in 0..<count { try dims.append(extents[d]) }
    try self.init(checking: dims)
  }
}
