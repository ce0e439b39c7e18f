public import Tensors

/// A tensor during a run: what steps read and write. Trivial; it does not own its memory. The memory stands in the
/// frame's arena (`block >= 0`), in a constant of the plan, or in the request (`block < 0`), and all of them
/// outlive the run: that is the promise every accessor below relies on.
@safe public struct Value: BitwiseCopyable, @unchecked Sendable {
  public var dtype: DType
  public var shape: Shape
  @unsafe public var base: UnsafeMutableRawPointer
  var block: Int32

  @unsafe init(dtype: DType, shape: Shape, base: UnsafeMutableRawPointer, block: Int32 = -1) {
    self.dtype = dtype
    self.shape = shape
    unsafe self.base = base
    self.block = block
  }

  /// A constant. The tensor must outlive the run.
  @unsafe init(_ tensor: Tensor) {
    dtype = tensor.dtype
    shape = tensor.shape
    unsafe base = UnsafeMutableRawPointer(mutating: tensor.unsafeBase)
    block = -1
  }

  /// The place in the frame's list of the tensor this is, when `Frame.output` made it of one. Kept in `block`, below -1.
  var owner: Int? {
    get { block < -1 && !isDead ? -2 - Int(block) : nil }
    set { block = newValue.map { Int32(-2 - $0) } ?? -1 }
  }

  /// An empty tensor, in the place of one that nobody made.
  // Nothing reads the memory of a tensor without elements.
  static let absent = unsafe Value(dtype: .float, shape: [0], base: UnsafeMutableRawPointer(bitPattern: 64)!)

  /// Makes this an empty tensor, whatever it was.
  mutating func clear() {
    dtype = .float
    shape.clear()
    unsafe base = UnsafeMutableRawPointer(bitPattern: 64)!
    block = -1
  }

  /// Whether this stands in the place of a value that was not computed, because a branch was not taken (`Optimize/Branches.swift`).
  var isDead: Bool { block == .min }

  /// Makes this dead.
  mutating func die() {
    clear()
    block = .min
  }

  /// The number of elements.
  public var count: Int { shape.count }
  public var byteCount: Int { shape.count * dtype.size }

  /// The elements, read.
  /// - Precondition: `Element` has the size of the value's type.
  @_lifetime(borrow self)
  public func span<Element: BitwiseCopyable>(of type: Element.Type = Element.self) -> Span<Element> {
    precondition(MemoryLayout<Element>.stride == dtype.size)
    let typed = unsafe UnsafePointer(base.assumingMemoryBound(to: Element.self))
    return unsafe _overrideLifetime(Span(_unsafeStart: typed, count: count), borrowing: self)
  }

  /// The elements, to be written. Only for a value the step has just allocated.
  /// - Precondition: `Element` has the size of the value's type.
  @_lifetime(&self)
  public mutating func mutableSpan<Element: BitwiseCopyable>(
    of type: Element.Type = Element.self
  ) -> MutableSpan<Element> {
    precondition(MemoryLayout<Element>.stride == dtype.size)
    let typed = unsafe base.assumingMemoryBound(to: Element.self)
    return unsafe _overrideLifetime(MutableSpan(_unsafeStart: typed, count: shape.count), mutating: &self)
  }

  /// The bytes, to be written. Only for a value that was just allocated.
  public var mutableBytes: MutableRawSpan {
    @_lifetime(&self)
    mutating get {
      let bytes = unsafe MutableRawSpan(_unsafeStart: base, byteCount: byteCount)
      return unsafe _overrideLifetime(bytes, mutating: &self)
    }
  }

  /// The elements for a kernel in C. Valid for `count` elements until the run ends.
  @unsafe public func pointer<Element: BitwiseCopyable>(_ type: Element.Type) -> UnsafeMutablePointer<Element> {
    unsafe base.assumingMemoryBound(to: Element.self)
  }

  /// A single integer, whatever integer type holds it; `nil` when the value is no integer scalar.
  public var intScalar: Int? { count == 1 ? int(at: 0) : nil }

  /// An element as an integer; `nil` when the type is not an integer or the number does not fit.
  public func int(at index: Int) -> Int? {
    precondition(index >= 0 && index < count)
    switch dtype {
    case .int32, .qint32: return unsafe Int(base.assumingMemoryBound(to: Int32.self)[index])
    case .int64: return unsafe Int(base.assumingMemoryBound(to: Int64.self)[index])
    case .int8, .qint8: return unsafe Int(base.assumingMemoryBound(to: Int8.self)[index])
    case .uint8, .quint8: return unsafe Int(base.assumingMemoryBound(to: UInt8.self)[index])
    case .int16, .qint16: return unsafe Int(base.assumingMemoryBound(to: Int16.self)[index])
    case .uint16, .quint16: return unsafe Int(base.assumingMemoryBound(to: UInt16.self)[index])
    case .uint32: return unsafe Int(base.assumingMemoryBound(to: UInt32.self)[index])
    case .uint64: return unsafe Int(exactly: base.assumingMemoryBound(to: UInt64.self)[index])
    default: return nil
    }
  }

  /// The bytes of a string element.
  /// - Precondition: the value is a string tensor and `index` is in range.
  @_lifetime(borrow self)
  public func string(at index: Int) -> RawSpan {
    precondition(dtype == .string && index >= 0 && index < count)
    let ref = unsafe base.assumingMemoryBound(to: StringRef.self)[index]
    let bytes = unsafe RawSpan(_unsafeStart: ref.base ?? UnsafeRawPointer(base), byteCount: ref.count)
    return unsafe _overrideLifetime(bytes, borrowing: self)
  }

  /// The value as the outside sees it.
  public var view: TensorView {
    @_lifetime(borrow self)
    get {
      let bytes = unsafe RawSpan(_unsafeStart: base, byteCount: byteCount)
      return unsafe _overrideLifetime(TensorView(dtype: dtype, shape: shape, bytes: bytes), borrowing: self)
    }
  }
}
