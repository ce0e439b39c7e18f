public import Tensors
import Wire

/// The elements of a TensorProto that was found to be a tensor. Nothing here fails.
public struct TensorElements: ~Escapable {
  enum Source {
    /// `tensor_content`: exactly the elements' bytes.
    case content(Range<UInt32>)
    /// `tensor_content` of strings.
    case strings(StringContent)
    /// A typed field with as many values as the sender cared to give.
    case values(ValueField)
  }

  let message: WireMessage
  public let dtype: DType
  public let shape: Shape
  let source: Source

  @_lifetime(copy message)
  init(_ message: WireMessage, _ dtype: DType, _ shape: Shape, _ source: Source) {
    self.message = message
    self.dtype = dtype
    self.shape = shape
    self.source = source
  }

  /// The number of elements.
  public var count: Int { shape.count }
  /// The memory they take; within the limit given to `elements(bytesMax:)`.
  public var byteCount: Int { shape.count * dtype.size }

  /// Where in the message's buffer the elements stand as memory wants them: all, in order, little endian. `nil` when
  /// they must be decoded or filled up. The place need not be aligned.
  public var contiguousRange: Range<Int>? {
    switch source {
    case .content(let range): return Int(range.lowerBound)..<Int(range.upperBound)
    case .strings: return nil
    case .values(let field):
      guard field.chunkCount == 1, isCopied else { return nil }
      let lower = Int(field.first.lowerBound)
      return field.first.count >= byteCount ? lower..<lower + byteCount : nil
    }
  }

  /// The bytes at `contiguousRange`.
  public var contiguousBytes: RawSpan? {
    @_lifetime(copy self)
    get {
      guard let range = contiguousRange else { return nil }
      return message.bytes.extracting(range)
    }
  }

  /// Whether values of the type stand on the wire as in memory.
  var isCopied: Bool {
    switch ValueField.number(of: dtype) {
    case 5, 6, 9, 12, 18: true
    default: false
    }
  }

  /// Writes the elements, decoded and filled up, little endian, `dtype.size` bytes each.
  /// - Precondition: `destination` has room for `byteCount` bytes, and the elements are no strings.
  public func copyElements(into destination: inout MutableRawSpan) {
    precondition(dtype != .string && destination.byteCount >= byteCount)
    let byteCount = byteCount
    switch source {
    case .strings: break
    case .content(let range):
      let from = message.bytes.extracting(range)
      unsafe destination.withUnsafeMutableBytes { to in
        unsafe from.withUnsafeBytes { from in unsafe to.copyMemory(from: from) }
      }
    case .values(let field):
      // The destination holds `byteCount` bytes; each of these writes that many and no more.
      unsafe destination.withUnsafeMutableBytes { room in
        let to = unsafe UnsafeMutableRawBufferPointer(rebasing: room[..<byteCount])
        let count = count
        switch ValueField.number(of: dtype) {
        case 7:
          switch dtype.size {
          case 1: unsafe decode(field, to, count, as: UInt8.self)
          case 2: unsafe decode(field, to, count, as: UInt16.self)
          default: unsafe decode(field, to, count, as: UInt32.self)
          }
        case 10, 17: unsafe decode(field, to, count, as: UInt64.self)
        case 11: unsafe decodeBools(field, to, count)
        case 13: unsafe decode(field, to, count, as: UInt16.self)
        case 16: unsafe decode(field, to, count, as: UInt32.self)
        default: unsafe copy(field, to)
        }
      }
    }
  }

  /// Copies chunks that stand as memory wants them, then repeats the last whole element.
  func copy(_ field: ValueField, _ to: UnsafeMutableRawBufferPointer) {
    let size = dtype.size
    var at = 0
    forEachChunk(field) { range in
      let count = min(range.count, to.count - at)
      let from = message.bytes.extracting(range).extracting(first: count)
      unsafe from.withUnsafeBytes { from in
        unsafe UnsafeMutableRawBufferPointer(rebasing: to[at..<at + count]).copyMemory(from: from)
      }
      at += count
    }
    // A complex number of which only one half came does not count.
    at -= at % size
    if at == 0 {
      unsafe to.initializeMemory(as: UInt8.self, repeating: 0)
      return
    }
    let last = at - size
    while at < to.count {
      // What is filled so far, from the last element on, doubles each time.
      let count = min(at - last, to.count - at)
      unsafe UnsafeMutableRawBufferPointer(rebasing: to[at..<at + count])
        .copyMemory(from: UnsafeRawBufferPointer(rebasing: to[last..<last + count]))
      at += count
    }
  }

  /// Decodes varints, keeping the low bits, then repeats the last.
  @inline(__always)
  func decode<T: FixedWidthInteger & BitwiseCopyable>(
    _ field: ValueField, _ to: UnsafeMutableRawBufferPointer, _ count: Int, as type: T.Type
  ) {
    guard let base = to.baseAddress else { return }
    var at = 0
    var last: T = 0
    forEachChunk(field) { range in
      var position = Int(range.lowerBound)
      let end = Int(range.upperBound)
      while position < end && at < count {
        last = T(truncatingIfNeeded: Varint.read(message.bytes, at: &position))
        // `at` is below `count`, and there is room for `count` elements.
        unsafe base.storeBytes(of: last.littleEndian, toByteOffset: at &* MemoryLayout<T>.size, as: T.self)
        at &+= 1
      }
    }
    while at < count {
      // As above.
      unsafe base.storeBytes(of: last.littleEndian, toByteOffset: at &* MemoryLayout<T>.size, as: T.self)
      at &+= 1
    }
  }

  func decodeBools(_ field: ValueField, _ to: UnsafeMutableRawBufferPointer, _ count: Int) {
    var at = 0
    var last: UInt8 = 0
    forEachChunk(field) { range in
      var position = Int(range.lowerBound)
      let end = Int(range.upperBound)
      while position < end && at < count {
        last = Varint.read(message.bytes, at: &position) == 0 ? 0 : 1
        unsafe to[at] = last
        at &+= 1
      }
    }
    while at < count {
      unsafe to[at] = last
      at &+= 1
    }
  }

  @inline(__always)
  func forEachChunk(_ field: ValueField, _ body: (Range<UInt32>) -> Void) {
    if field.chunkCount == 1 {
      body(field.first)
    } else if field.chunkCount > 1 {
      var chunks = ValueChunks(message, number: field.number)
      while let chunk = chunks.next() { body(chunk.range) }
    }
  }

  // MARK: Strings

  /// The strings, one for each element.
  /// - Precondition: the elements are strings.
  public var strings: TensorStrings {
    @_lifetime(copy self)
    get {
      precondition(dtype == .string)
      return TensorStrings(message, source, count)
    }
  }

  /// Writes a `StringRef` for each element, pointing into the message's buffer.
  /// - Precondition: `destination` has room for `byteCount` bytes, and the elements are strings. Whoever asks answers for the
  ///   buffer outliving the references.
  @unsafe public func copyStringRefs(into destination: inout MutableRawSpan) {
    precondition(destination.byteCount >= byteCount)
    var strings = strings
    var at = 0
    while let string = strings.next() {
      // The caller keeps the buffer; `at` counts the elements there is room for.
      let ref = unsafe string.withUnsafeBytes { unsafe StringRef(base: $0.baseAddress, count: $0.count) }
      unsafe destination.storeBytes(of: ref, toByteOffset: at, as: StringRef.self)
      at += DType.string.size
    }
  }
}

/// The elements of a string tensor in order, the missing ones filled up.
public struct TensorStrings: ~Escapable {
  let bytes: RawSpan
  var remaining: Int
  var last: Range<UInt32> = 0..<0
  /// For `string_val`.
  var chunks: ValueChunks
  /// For `tensor_content`: where the next length and the next string stand.
  let isContent: Bool
  var lengthAt = 0
  var stringAt = 0

  @_lifetime(copy message)
  init(_ message: WireMessage, _ source: TensorElements.Source, _ count: Int) {
    bytes = message.bytes
    remaining = count
    chunks = ValueChunks(message, number: 8)
    if case .strings(let content) = source {
      isContent = true
      lengthAt = Int(content.lengths.lowerBound)
      stringAt = Int(content.bytes.lowerBound)
    } else {
      isContent = false
    }
  }

  /// Where in the buffer the next string stands; `nil` after the last element.
  @_lifetime(self: copy self)
  public mutating func nextRange() -> Range<UInt32>? {
    guard remaining > 0 else { return nil }
    remaining &-= 1
    if isContent {
      // Lengths were checked to add up to the bytes behind them.
      let length = Int(Varint.read(bytes, at: &lengthAt))
      last = UInt32(stringAt)..<UInt32(stringAt + length)
      stringAt += length
    } else if let chunk = chunks.next() {
      last = chunk.range
    }
    return last
  }

  @_lifetime(copy self)
  @_lifetime(self: copy self)
  public mutating func next() -> RawSpan? {
    guard let range = nextRange() else { return nil }
    return bytes.extracting(range)
  }
}
