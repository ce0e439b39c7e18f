/// An element of a string tensor: where the bytes are, and how many. Trivial, sixteen bytes, so that moving string
/// tensors about is the same memory move as for numbers. Whoever makes one answers for the bytes outliving it: during a
/// run they stand in the request, in the run's arena, or in a constant of the plan.
@unsafe public struct StringRef: BitwiseCopyable, @unchecked Sendable {
  public let base: UnsafeRawPointer?
  public let count: Int

  public init(base: UnsafeRawPointer?, count: Int) {
    unsafe self.base = base
    unsafe self.count = count
  }

  public var buffer: UnsafeRawBufferPointer {
    unsafe UnsafeRawBufferPointer(start: base, count: count)
  }
}

/// A tensor lent for a moment: its type, its shape and its bytes (row-major, little endian; `StringRef`s for strings).
public struct TensorView: ~Escapable {
  public let dtype: DType
  public let shape: Shape
  public let bytes: RawSpan

  /// - Precondition: `bytes` holds exactly `shape.count` elements.
  @_lifetime(copy bytes)
  public init(dtype: DType, shape: Shape, bytes: RawSpan) {
    precondition(bytes.byteCount == shape.count * dtype.size)
    self.dtype = dtype
    self.shape = shape
    self.bytes = bytes
  }

  /// The bytes of a string element.
  /// - Precondition: `dtype == .string` and `index < shape.count`.
  public func withString<R, E: Error>(at index: Int, _ body: (RawSpan) throws(E) -> R) throws(E) -> R {
    precondition(dtype == .string && index >= 0 && index < shape.count)
    // A StringRef's bytes outlive the tensor that holds it: the promise its maker gave.
    let ref = unsafe bytes.unsafeLoadUnaligned(fromByteOffset: index * 16, as: StringRef.self)
    return try unsafe body(ref.buffer.bytes)
  }
}

/// Memory for tensor elements: aligned for vector loads, owned by one, freed at the end of its life.
/// `count` bytes are initialised from the start: a buffer is born zeroed unless its maker promises to fill it.
@safe public struct TensorBuffer: ~Copyable, @unchecked Sendable {
  /// One cache line, and an AVX-512 register.
  public static let alignment = 64

  let base: UnsafeMutableRawPointer
  public let byteCount: Int

  public init(byteCount: Int) {
    precondition(byteCount >= 0)
    unsafe base = UnsafeMutableRawPointer.allocate(
      byteCount: max(byteCount, 1), alignment: TensorBuffer.alignment)
    unsafe base.initializeMemory(as: UInt8.self, repeating: 0, count: byteCount)
    self.byteCount = byteCount
  }

  deinit { unsafe base.deallocate() }

  public var bytes: RawSpan {
    @_lifetime(borrow self)
    get { unsafe _overrideLifetime(RawSpan(_unsafeStart: base, byteCount: byteCount), borrowing: self) }
  }

  public var mutableBytes: MutableRawSpan {
    @_lifetime(&self)
    mutating get {
      unsafe _overrideLifetime(MutableRawSpan(_unsafeStart: base, byteCount: byteCount), mutating: &self)
    }
  }

  /// For kernels in C. Valid while the buffer lives.
  @unsafe public var unsafeBase: UnsafeMutableRawPointer { unsafe base }
}

/// A tensor that owns its memory and never changes: a constant, a weight, a variable's value.
/// A string tensor keeps its `StringRef`s first and the bytes they point to behind them, in one buffer.
public final class Tensor: Sendable {
  public let dtype: DType
  public let shape: Shape
  let storage: TensorBuffer

  /// Copies `bytes`. Strings are made by `init(shape:strings:)` or `init(copying:)`.
  /// - Precondition: `bytes` holds exactly `shape.count` elements of a type that is not a string.
  public init(dtype: DType, shape: Shape, bytes: RawSpan) {
    precondition(dtype != .string && bytes.byteCount == shape.count * dtype.size)
    self.dtype = dtype
    self.shape = shape
    var buffer = TensorBuffer(byteCount: bytes.byteCount)
    unsafe bytes.withUnsafeBytes { source in
      if let from = source.baseAddress { unsafe buffer.unsafeBase.copyMemory(from: from, byteCount: source.count) }
    }
    _ = buffer.mutableBytes
    storage = buffer
  }

  /// Takes a filled buffer over.
  public init(dtype: DType, shape: Shape, adopting buffer: consuming TensorBuffer) {
    precondition(dtype != .string && buffer.byteCount == shape.count * dtype.size)
    self.dtype = dtype
    self.shape = shape
    storage = buffer
  }

  /// Copies a view, the bytes of strings included.
  public convenience init(copying view: borrowing TensorView) {
    if view.dtype == .string {
      var strings: [[UInt8]] = []
      strings.reserveCapacity(view.shape.count)
      for i in 0..<view.shape.count {
        strings.append(view.withString(at: i) { span in unsafe span.withUnsafeBytes { unsafe Array($0) } })
      }
      self.init(shape: view.shape, strings: strings)
    } else {
      self.init(dtype: view.dtype, shape: view.shape, bytes: view.bytes)
    }
  }

  /// A string tensor.
  public init(shape: Shape, strings: [[UInt8]]) {
    precondition(strings.count == shape.count)
    dtype = .string
    self.shape = shape
    let total = strings.reduce(0) { $0 + $1.count }
    let buffer = TensorBuffer(byteCount: strings.count * 16 + total)
    // The buffer is ours until the end of init; the references point into it and live as long as it does.
    let base = unsafe buffer.unsafeBase
    var at = unsafe base + strings.count * 16
    for (i, string) in strings.enumerated() {
      unsafe string.withUnsafeBytes { source in
        if let from = source.baseAddress { unsafe at.copyMemory(from: from, byteCount: source.count) }
      }
      unsafe base.storeBytes(
        of: StringRef(base: UnsafeRawPointer(at), count: string.count), toByteOffset: i * 16, as: StringRef.self)
      unsafe at += string.count
    }
    storage = buffer
  }

  /// A tensor of plain numbers.
  public convenience init<Element: BitwiseCopyable>(_ dtype: DType, shape: Shape, _ values: [Element]) {
    precondition(MemoryLayout<Element>.size == dtype.size)
    unsafe self.init(dtype: dtype, shape: shape, bytes: values.span.bytes)
  }

  public var view: TensorView {
    @_lifetime(borrow self)
    get {
      // The storage is a `let` of this object: it lives as long as `self` is borrowed.
      let bytes = unsafe RawSpan(_unsafeStart: unsafeBase, byteCount: shape.count * dtype.size)
      return unsafe _overrideLifetime(TensorView(dtype: dtype, shape: shape, bytes: bytes), borrowing: self)
    }
  }

  /// The memory of the elements. Valid while the tensor lives.
  @unsafe public var unsafeBase: UnsafeRawPointer { unsafe UnsafeRawPointer(storage.unsafeBase) }

  /// Bytes the tensor occupies, those of its strings included.
  public var byteCount: Int { storage.byteCount }

  /// The numbers as an array, for load-time decisions and tests.
  /// - Precondition: `Element` has the size of `dtype`, which is no string.
  public func array<Element: BitwiseCopyable>(of type: Element.Type) -> [Element] {
    precondition(MemoryLayout<Element>.size == dtype.size && dtype != .string)
    return unsafe Array(UnsafeRawBufferPointer(start: unsafeBase, count: shape.count * dtype.size).bindMemory(to: Element.self))
  }

  /// The strings as byte arrays.
  /// - Precondition: `dtype == .string`.
  public var strings: [[UInt8]] {
    return (0..<shape.count).map { i in
      view.withString(at: i) { span in unsafe span.withUnsafeBytes { unsafe Array($0) } }
    }
  }
}
