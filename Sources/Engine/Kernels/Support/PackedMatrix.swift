// Constant right-hand sides, packed once at load. The kernel that packed one never looks at the constant again (`KernelDefinition.packs`),
// so that the plan need not keep it; plans of one session that pack the same constant alike share the result.
internal import Synchronization
internal import Tensors

/// Memory a kernel keeps for itself, for accounting.
protocol PackedStorage: AnyObject, Sendable {
  var byteCount: Int { get }
}

/// One or more matrices of the same shape in the order the packed kernels read.
@safe final class PackedMatrix<T: Real>: PackedStorage {
  let rows: Int
  let columns: Int
  private let storage: TensorBuffer
  /// From one matrix to the next, in elements.
  private let stride: Int

  /// Packs matrices whose elements (i, j) are elements `i * rowStride + j * columnStride` of the constant from
  /// `matrix * rows * columns` on.
  /// - Precondition: all of them are within the constant, and it is of type `T`.
  init(_ tensor: Tensor, count: Int = 1, rows: Int, columns: Int, rowStride: Int, columnStride: Int) {
    precondition(tensor.dtype == T.dtype && rowStride >= 0 && columnStride >= 0 && count * rows * columns <= tensor.shape.count)
    precondition(rows == 0 || columns == 0 || (rows - 1) * rowStride + (columns - 1) * columnStride < rows * columns)
    self.rows = rows
    self.columns = columns
    stride = T.packedCount(rows, columns)
    storage = TensorBuffer(byteCount: count * stride * T.dtype.size)
    for i in 0..<count {
      // The elements read are within the tensor: checked above. Those written are as many as the buffer was made for.
      unsafe T.pack(
        tensor.unsafeBase.assumingMemoryBound(to: T.self) + i * rows * columns, rowStride: rowStride,
        columnStride: columnStride, k: rows, n: columns,
        into: storage.unsafeBase.assumingMemoryBound(to: T.self) + i * stride)
    }
  }

  /// Packs the matrices in the last two dimensions of a constant, or what they are when rows become columns.
  convenience init(matrices tensor: Tensor, transposed: Bool) {
    let shape = tensor.shape
    let (rows, columns) = (shape[shape.rank - 2], shape[shape.rank - 1])
    self.init(
      tensor, count: shape.count(upTo: shape.rank - 2), rows: transposed ? columns : rows,
      columns: transposed ? rows : columns, rowStride: transposed ? 1 : columns, columnStride: transposed ? columns : 1)
  }

  /// The first matrix. Valid while this object lives.
  @unsafe var base: UnsafePointer<T> { unsafe UnsafePointer(storage.unsafeBase.assumingMemoryBound(to: T.self)) }
  /// - Precondition: there are more matrices than `index`.
  @unsafe func base(of index: Int) -> UnsafePointer<T> { unsafe base + index * stride }
  var byteCount: Int { storage.byteCount }

  /// Writes the first matrix as rows of its columns.
  /// - Precondition: `out` holds `rows * columns` elements.
  @unsafe func unpack(into out: UnsafeMutablePointer<T>) {
    let width = T.packedCount(1, 1)
    for i in 0..<rows {
      for j in 0..<columns {
        unsafe out[i * columns + j] = base[j / width * width * rows + i * width + j % width]
      }
    }
  }
}

/// A constant input in packed form, and its shape before.
struct ConstantOperand<T: Real>: Sendable {
  let packed: PackedMatrix<T>
  let shape: Shape
}

extension NodeContext {
  /// An input in packed form, when it is a constant.
  /// - Parameters:
  ///   - rank: the number of dimensions the op asks for; without one, two or more.
  ///   - form: tells apart the ways in which ops pack.
  func packed<T: Real>(
    _ input: Int, rank: Int? = nil, _ form: String = "", _ make: (Tensor) -> PackedMatrix<T>
  ) throws(GraphError) -> ConstantOperand<T>? {
    guard input < constants.count, let tensor = constants[input] else { return nil }
    guard tensor.dtype == T.dtype else { throw invalid("input \(input) is \(tensor.dtype), expected \(T.dtype)") }
    guard rank.map({ $0 == tensor.shape.rank }) ?? (tensor.shape.rank >= 2) else {
      throw invalid("input \(input) has shape \(tensor.shape), expected \(rank.map(String.init) ?? "2 or more") dimensions")
    }
    let packed = session.packed.storage(for: tensor, "\(node.op.hasPrefix("_Fused") ? String(node.op.dropFirst(6)) : node.op) \(form)") {
      make(tensor)
    }
    guard let matrix = packed as? PackedMatrix<T> else { throw invalid("input \(input) was packed otherwise") }
    return ConstantOperand(packed: matrix, shape: tensor.shape)
  }

  /// An input as it is, when it is a constant: for a kernel of an op that packs, but not this one.
  func plainConstant(_ input: Int) throws(GraphError) -> Tensor? {
    guard input < constants.count, let tensor = constants[input] else { return nil }
    _ = session.packed.storage(for: tensor, "plain") { tensor }
    return tensor
  }
}

extension Tensor: PackedStorage {}

/// What the plans of a session have made of constants, so that they share it. Lives as long as the session: while a model loads.
final class PackedConstants: Sendable {
  private struct Entry {
    var tensor: Tensor
    var form: String
    var storage: any PackedStorage
  }
  private let entries = Mutex<[ObjectIdentifier: [Entry]]>([:])

  /// The packed form of a constant, made when it is asked for first.
  func storage(for tensor: Tensor, _ form: String, make: () -> any PackedStorage) -> any PackedStorage {
    if let known = entries.withLock({ $0[ObjectIdentifier(tensor)]?.first { $0.form == form }?.storage }) { return known }
    let storage = make()
    entries.withLock { $0[ObjectIdentifier(tensor), default: []].append(Entry(tensor: tensor, form: form, storage: storage)) }
    return storage
  }

  /// A constant matrix of floats with every column (or row) multiplied by a factor.
  /// - Precondition: the number of factors divides that of the elements.
  func scaled(_ tensor: Tensor, by factors: [Float], rows: Bool) -> Tensor {
    let key = ScaledKey(tensor: ObjectIdentifier(tensor), factors: factors, rows: rows)
    if let known = scaled.withLock({ $0[key]?.scaled }) { return known }
    let columns = tensor.shape.count / factors.count
    let values = tensor.array(of: Float.self).enumerated().map { i, value in
      value * factors[rows ? i / columns : i % factors.count]
    }
    let result = Tensor(.float, shape: tensor.shape, values)
    scaled.withLock { $0[key] = (tensor, result) }
    return result
  }

  private struct ScaledKey: Hashable {
    var tensor: ObjectIdentifier
    var factors: [Float]
    var rows: Bool
  }
  // The tensor that was scaled is kept, so that no other takes its identity.
  private let scaled = Mutex<[ScaledKey: (original: Tensor, scaled: Tensor)]>([:])

  /// Every packed form of a constant.
  func storage(of tensor: Tensor) -> [any PackedStorage] {
    entries.withLock { $0[ObjectIdentifier(tensor)]?.map(\.storage) ?? [] }
  }
}
