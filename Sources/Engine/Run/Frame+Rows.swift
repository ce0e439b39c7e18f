// Rows of several requests in one tensor: dimension 0 counts rows, the others are what a row is like.
internal import Glibc
public import Tensors

extension Value {
  /// Some of the rows.
  /// - Precondition: there are so many.
  public func rows(_ range: Range<Int>) -> Value {
    precondition(shape.rank > 0 && range.lowerBound >= 0 && range.upperBound <= shape[0])
    var part = self
    // Within the value, or at its end.
    unsafe part.base += range.lowerBound * shape.count(from: 1) * dtype.size
    part.shape[0] = range.count
    return part
  }
}

extension Frame {
  /// Feeds an input with the rows of several tensors, one tensor after the other. Where one's rows are smaller than another's
  /// in some dimension, it is filled up at the end with its own first element.
  ///
  /// - Parameters:
  ///   - parts: at least one, of one type and rank. They stay where they are until this returns; the bytes of strings until the
  ///     outputs have been read.
  ///   - padding: the first row of the last part that has any is repeated so often behind all others.
  public mutating func feed(_ input: Int, joining parts: [Value], padding: Int) throws(RunError) {
    var largest = parts[0].shape
    var rows = padding
    for part in parts {
      rows += part.shape[0]
      for d in 1..<max(1, largest.rank) { largest[d] = max(largest[d], part.shape[d]) }
    }
    largest[0] = rows
    let size = parts[0].dtype.size
    // What is padded can come to more than all that was sent.
    guard let shape = Shape(largest.array), !shape.count.multipliedReportingOverflow(by: size).overflow else {
      throw RunError(.resourceExhausted, "OOM when padding \(parts.count) tensors to one shape, \(largest)")
    }
    let joined = try feed(input, dtype: parts[0].dtype, shape: shape)
    let rowBytes = shape.count(from: 1) * size
    // `joined` has room for the rows of all parts and the padding, each of `rowBytes`.
    var at = unsafe joined.base
    var last = unsafe at
    for part in parts where part.shape[0] > 0 {
      unsafe last = at
      if part.shape.count(from: 1) == shape.count(from: 1) {
        unsafe memcpy(at, part.base, part.byteCount)
      } else {
        unsafe part.copyPadded(to: at, shape, byteCount: part.shape[0] * rowBytes)
      }
      unsafe at += part.shape[0] * rowBytes
    }
    for _ in 0..<padding {
      unsafe memcpy(at, last, rowBytes)
      unsafe at += rowBytes
    }
  }
}

extension Value {
  /// - Precondition: the value has an element, and no extent past the first is above that of `target`, a shape of the same rank.
  @unsafe fileprivate func copyPadded(to base: UnsafeMutableRawPointer, _ target: Shape, byteCount: Int) {
    let size = dtype.size
    for offset in stride(from: 0, to: byteCount, by: size) { unsafe memcpy(base + offset, self.base, size) }
    unsafe copy(dimension: 0, from: self.base, to: base, target)
  }

  /// Copies what lies below `dimension`, row by row of the last one.
  @unsafe private func copy(
    dimension: Int, from source: UnsafeMutableRawPointer, to base: UnsafeMutableRawPointer, _ target: Shape
  ) {
    if dimension == shape.rank - 1 {
      unsafe memcpy(base, source, shape[dimension] * dtype.size)
      return
    }
    let step = shape.count(from: dimension + 1) * dtype.size, targetStep = target.count(from: dimension + 1) * dtype.size
    for i in 0..<shape[dimension] {
      unsafe copy(dimension: dimension + 1, from: source + i * step, to: base + i * targetStep, target)
    }
  }
}

extension Tensor {
  /// The rows of several tensors, one tensor after the other; `nil` when their types or the shapes of their rows differ.
  /// - Precondition: there is at least one, and none is a scalar.
  public convenience init?(joining parts: [Tensor]) {
    var shape = parts[0].shape
    for part in parts.dropFirst() {
      guard part.dtype == parts[0].dtype, part.shape.rank == shape.rank else { return nil }
      for d in 1..<max(1, shape.rank) where part.shape[d] != shape[d] { return nil }
      shape[0] += part.shape[0]
    }
    if parts[0].dtype == .string {
      self.init(shape: shape, strings: parts.flatMap(\.strings))
      return
    }
    let buffer = TensorBuffer(byteCount: shape.count * parts[0].dtype.size)
    // The buffer has room for all parts.
    var at = unsafe buffer.unsafeBase
    for part in parts {
      let count = part.shape.count * part.dtype.size
      unsafe at.copyMemory(from: part.unsafeBase, byteCount: count)
      unsafe at += count
    }
    self.init(dtype: parts[0].dtype, shape: shape, adopting: buffer)
  }
}
