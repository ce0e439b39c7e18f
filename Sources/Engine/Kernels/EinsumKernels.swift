// Einstein sums as matrix products. Every label of the equation is one of these:
//
//                      in the output          not in the output
//   in both inputs     a batch dimension      summed by the product
//   in one input       rows or columns        summed beforehand
//
// Rows, columns and the summed dimensions are each walked with one stride where they lie well, which they mostly do; otherwise
// the operand is copied into that order first. `...` stands for dimensions that are aligned at the end and broadcast.
internal import CKernels
internal import Tensors

let einsumKernels: [KernelDefinition] = [
  KernelDefinition("Einsum", packs: [1]) { node throws(GraphError) in
    switch try node.elementType() {
    case .float: return try Einsum<Float>(node).body
    case .double: return try Einsum<Double>(node).body
    case let type: throw node.unsupported("there is no kernel for \(type)")
    }
  }
]

/// A dimension's name: a letter of the equation, or a dimension of `...`, counted from the end.
private enum Label: Hashable {
  case letter(UInt8)
  case ellipsis(Int)
}

/// The labels of an operand as the equation writes them.
private struct Term: Sendable {
  /// The letters before and after `...`, or all of them before.
  var before: [UInt8] = []
  var after: [UInt8] = []
  var hasEllipsis = false

  init(_ text: Substring, _ node: NodeContext) throws(GraphError) {
    var rest = text.utf8.filter { $0 != UInt8(ascii: " ") }[...]
    while let byte = rest.first {
      if rest.starts(with: "...".utf8), !hasEllipsis {
        hasEllipsis = true
        rest = rest.dropFirst(3)
        continue
      }
      let lower = byte | 0x20
      guard lower >= UInt8(ascii: "a"), lower <= UInt8(ascii: "z") else { throw node.invalid("Invalid subscripts in '\(text)'") }
      if hasEllipsis { after.append(byte) } else { before.append(byte) }
      rest = rest.dropFirst()
    }
  }

  var letters: [UInt8] { before + after }

  /// A label for each dimension, of which `...` takes `width`.
  func labels(ellipsis width: Int) -> [Label] {
    before.map(Label.letter) + (0..<width).map { Label.ellipsis(width - 1 - $0) } + after.map(Label.letter)
  }
}

/// Dimensions with their extents and strides in one tensor, in some order.
private struct Axes {
  var list: [(label: Label, extent: Int, stride: Int)] = []

  subscript(label: Label) -> (label: Label, extent: Int, stride: Int)? { list.first { $0.label == label } }

  /// These dimensions as one: its stride, or `nil` when no single one walks them in this order.
  func stride(of labels: [Label]) -> Int? {
    var result: Int?
    var next = 0
    for label in labels.reversed() {
      guard let axis = self[label], axis.extent != 1 else { continue }
      if result == nil { result = axis.stride } else if axis.stride != next { return nil }
      next = axis.stride &* axis.extent
    }
    return result ?? 1
  }

  func extent(of labels: [Label]) -> Int { labels.reduce(1) { $0 &* (self[$1]?.extent ?? 1) } }

  /// The same dimensions in another order, densely packed.
  func dense(_ labels: [Label]) -> Axes {
    var result = Axes()
    var stride = 1
    for label in labels.reversed() {
      guard let axis = self[label] else { continue }
      result.list.append((label, axis.extent, stride))
      stride &*= axis.extent
    }
    result.list.reverse()
    return result
  }
}

private struct Einsum<T: Real> {
  let terms: [Term]
  let result: Term
  /// The second input, when it is a constant: packed, or as it was.
  let packed: PackedMatrix<T>?
  let constant: Tensor?
  let constantShape: Shape?

  init(_ node: NodeContext) throws(GraphError) {
    let equation = try node.string("equation")
    let arrow = Einsum.split(equation, "->")
    guard arrow.count == 2 else { throw node.invalid("Expecting exactly one '->' in einsum equation: \(equation)") }
    var terms: [Term] = []
    for text in arrow[0].split(separator: ",", omittingEmptySubsequences: false) { terms.append(try Term(text, node)) }
    let result = try Term(arrow[1], node)
    guard terms.count == node.node.inputs.count else {
      throw node.invalid("Expected \(terms.count) inputs but got: \(node.node.inputs.count)")
    }
    guard terms.count == 1 || terms.count == 2 else { throw node.unsupported("Expected 1 or 2 inputs, got \(terms.count)") }
    let known = Set(terms.flatMap(\.letters))
    guard result.letters.allSatisfy(known.contains) else {
      throw node.unsupported("the output of '\(equation)' has a label no input has")
    }
    self.terms = terms
    self.result = result
    guard terms.count == 2, let tensor = node.constants[1] else {
      (packed, constant, constantShape) = (nil, nil, nil)
      return
    }
    guard tensor.dtype == T.dtype else { throw node.invalid("input 1 is \(tensor.dtype), expected \(T.dtype)") }
    constantShape = tensor.shape
    packed = Einsum.pack(tensor, equation, terms, result, node.session)
    constant = packed == nil ? try node.plainConstant(1) : nil
  }

  private static func split(_ text: String, _ separator: String) -> [Substring] {
    var parts: [Substring] = []
    var rest = text[...]
    while let range = rest.firstRange(of: separator) {
      parts.append(rest[..<range.lowerBound])
      rest = rest[range.upperBound...]
    }
    return parts + [rest]
  }

  /// Packs a constant whose dimensions are all columns or summed by the product; `nil` for any other.
  private static func pack(
    _ tensor: Tensor, _ equation: String, _ terms: [Term], _ result: Term, _ session: Session
  ) -> PackedMatrix<T>? {
    let letters = terms[1].letters
    guard !terms[1].hasEllipsis, letters.count == tensor.shape.rank, Set(letters).count == letters.count,
      Set(result.letters).count == result.letters.count
    else { return nil }
    let (first, out) = (terms[0].letters, result.letters)
    // Neither a batch dimension nor one to be summed beforehand.
    guard letters.allSatisfy({ first.contains($0) != out.contains($0) }) else { return nil }
    var axes = Axes()
    let strides = tensor.shape.strides
    for (d, letter) in letters.enumerated() { axes.list.append((.letter(letter), tensor.shape[d], strides[d])) }
    let summed = first.filter { letters.contains($0) }.map(Label.letter)
    let columns = out.filter { letters.contains($0) }.map(Label.letter)
    return session.packed.storage(for: tensor, "Einsum \(equation)") {
      let order = summed + columns
      let dense = axes.dense(order)
      let buffer = TensorBuffer(byteCount: tensor.byteCount)
      var copy = StridedCopy()
      for axis in dense.list { copy.append(axis.extent, from: axes[axis.label]!.stride, to: axis.stride) }
      // The buffer has the tensor's size, and the copy permutes its elements.
      copy.run(
        from: unsafe Value(tensor), to: unsafe Value(dtype: tensor.dtype, shape: tensor.shape, base: buffer.unsafeBase))
      let (k, n) = (axes.extent(of: summed), axes.extent(of: columns))
      return PackedMatrix<T>(
        Tensor(dtype: tensor.dtype, shape: tensor.shape, adopting: buffer), rows: k, columns: n, rowStride: n, columnStride: 1)
    } as? PackedMatrix<T>
  }

  var body: Kernel.Body { { frame throws(RunError) in try run(&frame) } }

  // MARK: Run

  func run(_ frame: inout Frame) throws(RunError) {
    var values = [frame.input(0)]
    if terms.count == 2 {
      if let constant {
        // The kernel owns the constant.
        values.append(unsafe Value(constant))
      } else {
        values.append(frame.input(1))
        if let constantShape { values[1] = unsafe Value(dtype: T.dtype, shape: constantShape, base: values[1].base) }
      }
    }
    let extents = try extents(values)
    var operands = try values.indices.map { i throws(RunError) in try axes(values[i], terms[i], extents) }
    let width = terms.indices.map { values[$0].shape.rank - terms[$0].letters.count }.max() ?? 0
    let labels = result.labels(ellipsis: result.hasEllipsis ? max(width, 0) : 0)
    var dims = Dims()
    for label in labels { try dims.append(extents[label] ?? 1) }
    let shape = try Shape(checking: dims)
    let out = try frame.output(0, T.dtype, shape)
    if out.count == 0 { return }
    // A label that stands twice in the output is its diagonal; the rest is zero.
    var target = Axes()
    let strides = shape.strides
    for (d, label) in labels.enumerated() {
      if let known = target.list.firstIndex(where: { $0.label == label }) {
        target.list[known].stride += strides[d]
      } else {
        target.list.append((label, shape[d], strides[d]))
      }
    }
    if target.list.count < labels.count {
      unsafe out.base.initializeMemory(as: UInt8.self, repeating: 0, count: out.byteCount)
    }
    var pieces = ScratchPieces()
    // Sum what stands in one input only.
    for i in operands.indices {
      let other = operands.count == 2 ? operands[1 - i] : Axes()
      let kept = operands[i].list.map(\.label).filter { target[$0] != nil || other[$0] != nil }
      if operands.count == 1 {
        // The precondition of `sum`: the axes are those of the value and of `out`.
        let order = kept.filter { target[$0] != nil }
        unsafe sum(values[0].pointer(T.self), operands[0], order, out.pointer(T.self), target)
      } else if kept.count < operands[i].list.count {
        let dense = operands[i].dense(kept)
        let memory = unsafe try pieces.take(T.self, &frame, count: dense.extent(of: kept))
        unsafe sum(values[i].pointer(T.self), operands[i], kept, memory, dense)
        unsafe values[i] = Value(dtype: T.dtype, shape: try vector(dense.extent(of: kept)), base: UnsafeMutableRawPointer(memory))
        operands[i] = dense
      }
    }
    if operands.count == 2 { try multiply(&frame, &pieces, values, operands, out, target) }
    pieces.release(&frame)
  }

  private func vector(_ count: Int) throws(RunError) -> Shape { try Shape(checking: [count]) }

  /// The extent of every label.
  private func extents(_ values: [Value]) throws(RunError) -> [Label: Int] {
    var result: [Label: Int] = [:]
    for (i, value) in values.enumerated() {
      let term = terms[i]
      guard value.dtype == T.dtype else { throw .invalidArgument("Einsum: input \(i) is \(value.dtype), expected \(T.dtype)") }
      let width = value.shape.rank - term.letters.count
      guard term.hasEllipsis ? width >= 0 : width == 0 else {
        throw .invalidArgument(
          "Expected input \(i) to have rank \(term.hasEllipsis ? "at least " : "")\(term.letters.count) but got: \(value.shape.rank)")
      }
      for (d, label) in term.labels(ellipsis: width).enumerated() {
        let extent = value.shape[d]
        guard let known = result[label], known != extent else {
          result[label] = extent
          continue
        }
        if case .ellipsis = label {
          guard known == 1 || extent == 1 else {
            throw .invalidArgument("Invalid broadcasting dimensions: \(values[0].shape) vs. \(values[1].shape)")
          }
          result[label] = known == 1 ? extent : known
        } else {
          throw .invalidArgument(
            "Expected dimension \(known) at axis \(d) of the input shaped \(value.shape) but got dimension \(extent)")
        }
      }
    }
    return result
  }

  /// An operand's dimensions. One that is repeated to meet the other operand is left out: it is not walked.
  private func axes(_ value: Value, _ term: Term, _ extents: [Label: Int]) throws(RunError) -> Axes {
    var result = Axes()
    let strides = value.shape.strides
    for (d, label) in term.labels(ellipsis: value.shape.rank - term.letters.count).enumerated() {
      if value.shape[d] != extents[label] { continue }
      if let known = result.list.firstIndex(where: { $0.label == label }) {
        result.list[known].stride += strides[d]
      } else {
        result.list.append((label, value.shape[d], strides[d]))
      }
    }
    return result
  }

  /// `out[kept] = sum of x[kept, others]`.
  /// - Precondition: the axes are those of the memory behind the pointers.
  @unsafe private func sum(
    _ x: UnsafePointer<T>, _ from: Axes, _ kept: [Label], _ out: UnsafeMutablePointer<T>, _ to: Axes
  ) {
    let outer = kept.map { (extent: from[$0]!.extent, from: from[$0]!.stride, to: to[$0]!.stride) }
    let inner = from.list.filter { axis in !kept.contains(axis.label) }
    func total(_ x: UnsafePointer<T>, _ d: Int) -> T {
      if d == inner.count { return unsafe x.pointee }
      var sum: T = 0
      for i in 0..<inner[d].extent { unsafe sum += total(x + i * inner[d].stride, d + 1) }
      return sum
    }
    func walk(_ x: UnsafePointer<T>, _ out: UnsafeMutablePointer<T>, _ d: Int) {
      if d == outer.count { return unsafe out.pointee = total(x, 0) }
      for i in 0..<outer[d].extent { unsafe walk(x + i * outer[d].from, out + i * outer[d].to, d + 1) }
    }
    unsafe walk(x, out, 0)
  }

  private func multiply(
    _ frame: inout Frame, _ pieces: inout ScratchPieces, _ values: [Value], _ operands: [Axes], _ out: Value, _ target: Axes
  ) throws(RunError) {
    var (x, y) = (values[0], values[1])
    var (a, b) = (operands[0], operands[1])
    let order = target.list.map(\.label)
    var rows = order.filter { a[$0] != nil && b[$0] == nil }
    var columns = order.filter { a[$0] == nil && b[$0] != nil }
    let batches = order.filter { a[$0] != nil && b[$0] != nil }
    let summed = a.list.map(\.label).filter { b[$0] != nil && target[$0] == nil }
    // The product's columns are those that lie side by side in the output.
    if packed == nil, target.stride(of: columns) != 1, target.stride(of: rows) == 1 {
      swap(&x, &y)
      swap(&a, &b)
      swap(&rows, &columns)
    }
    if a.stride(of: rows) == nil || a.stride(of: summed) == nil {
      (x, a) = try copied(&frame, &pieces, x, a, batches + rows + summed)
    }
    if packed == nil, b.stride(of: columns) == nil || b.stride(of: summed) == nil {
      (y, b) = try copied(&frame, &pieces, y, b, batches + summed + columns)
    }
    // Into the output directly, or beside it and then in its order.
    let direct = target.stride(of: rows) != nil && target.stride(of: columns) != nil
    let c = direct ? target : target.dense(batches + rows + columns)
    let memory = direct ? nil : unsafe try pieces.take(T.self, &frame, count: out.count)
    var product = MatrixProduct<T>(
      m: a.extent(of: rows), n: b.extent(of: columns), k: a.extent(of: summed),
      a: .init(row: a.stride(of: rows) ?? 1, column: a.stride(of: summed) ?? 1),
      b: .init(row: b.stride(of: summed) ?? 1, column: b.stride(of: columns) ?? 1),
      c: .init(row: c.stride(of: rows) ?? 1, column: c.stride(of: columns) ?? 1))
    for label in batches {
      product.appendBatch(target[label]!.extent, a: a[label]!.stride, b: b[label]!.stride, c: c[label]!.stride)
    }
    // All axes are those of the memory they walk; extents agree where a label is shared.
    try unsafe product.run(
      &frame, x.pointer(T.self), packed == nil ? y.pointer(T.self) : nil, packed: packed, memory ?? out.pointer(T.self))
    if let memory = unsafe memory {
      var copy = StridedCopy()
      for axis in c.list { copy.append(axis.extent, from: axis.stride, to: target[axis.label]!.stride) }
      copy.run(from: unsafe Value(dtype: T.dtype, shape: out.shape, base: UnsafeMutableRawPointer(memory)), to: out)
    }
  }

  /// An operand in another order of its dimensions.
  private func copied(
    _ frame: inout Frame, _ pieces: inout ScratchPieces, _ value: Value, _ axes: Axes, _ order: [Label]
  ) throws(RunError) -> (Value, Axes) {
    let dense = axes.dense(order)
    let count = dense.extent(of: order)
    let memory = unsafe try pieces.take(T.self, &frame, count: count)
    let result = unsafe Value(dtype: T.dtype, shape: try vector(count), base: UnsafeMutableRawPointer(memory))
    var copy = StridedCopy()
    for axis in dense.list { copy.append(axis.extent, from: axes[axis.label]!.stride, to: axis.stride) }
    copy.run(from: value, to: result)
    return (result, dense)
  }
}
