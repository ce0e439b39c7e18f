public import Tensors
import Wire

/// How a tensor's elements are written.
public enum TensorEncoding: Sendable {
  /// In the typed field of their type, every value: TensorFlow Serving's default, and what clients and its own REST
  /// writer read.
  case typedFields
  /// In `tensor_content`, raw.
  case content
}

/// A TensorProto to be written: its sizes, found once, used when writing.
public struct TensorProtoSize: Sendable, BitwiseCopyable {
  /// The bytes of the values without tag and length; for strings with the tag and length of each.
  let values: Int
  /// The bytes of the shape.
  let shape: Int
  let isContent: Bool
  /// The bytes of the whole message.
  public let byteSize: Int

  /// Measures. For types that travel as varints this looks at each value.
  public init(_ tensor: borrowing TensorView, as encoding: TensorEncoding = .typedFields) {
    let number = ValueField.number(of: tensor.dtype)
    shape = TensorShapeProto.size(tensor.shape)
    var size = WireSize.varint(1, UInt64(tensor.dtype.rawValue)) + WireSize.length(2, shape)
    isContent = encoding == .content
    let count = tensor.bytes.byteCount / tensor.dtype.size
    if isContent && tensor.dtype == .string {
      var bytes = 0
      for i in 0..<count {
        bytes += tensor.withString(at: i) { Varint.size(UInt64($0.byteCount)) + $0.byteCount }
      }
      values = bytes
    } else if isContent {
      values = tensor.bytes.byteCount
    } else {
      switch number {
      case 5, 6, 9, 12, 18: values = tensor.bytes.byteCount
      case 8:
        var bytes = 0
        for i in 0..<count { bytes += tensor.withString(at: i) { WireSize.length(8, $0.byteCount) } }
        values = bytes
      case 14, 15: values = 0
      default: values = TensorProtoSize.varintBytes(tensor)
      }
    }
    if values > 0 {
      if isContent {
        size += WireSize.length(4, values)
      } else if number == 8 {
        size += values
      } else {
        size += WireSize.length(number, values)
      }
    }
    byteSize = size
  }

  /// Writes the message: `byteSize` bytes.
  /// - Precondition: `tensor` is the one that was measured.
  public func append(_ tensor: borrowing TensorView, to output: inout OutputRawSpan) {
    output.appendVarint(1, UInt64(tensor.dtype.rawValue))
    output.appendLength(2, shape)
    TensorShapeProto.append(tensor.shape, to: &output)
    guard values > 0 else { return }
    let number = ValueField.number(of: tensor.dtype)
    let count = tensor.bytes.byteCount / tensor.dtype.size
    if isContent {
      output.appendLength(4, values)
      if tensor.dtype == .string {
        for i in 0..<count { output.appendVarint(UInt64(tensor.withString(at: i) { $0.byteCount })) }
        for i in 0..<count { tensor.withString(at: i) { output.appendBytes($0) } }
      } else {
        output.appendBytes(tensor.bytes)
      }
      return
    }
    if number == 8 {
      for i in 0..<count { tensor.withString(at: i) { output.appendBytes(8, $0) } }
      return
    }
    output.appendLength(number, values)
    switch number {
    case 5, 6, 9, 12, 18: output.appendBytes(tensor.bytes)
    default: TensorProtoSize.appendVarints(tensor, to: &output)
    }
  }

  // MARK: As the value of a map entry, key 1 and value 2

  static func entryBody(_ name: RawSpan, _ tensor: TensorProtoSize) -> Int {
    WireSize.length(1, name.byteCount) + WireSize.length(2, tensor.byteSize)
  }

  static func entrySize(_ number: UInt32, name: RawSpan, _ tensor: TensorProtoSize) -> Int {
    WireSize.length(number, entryBody(name, tensor))
  }

  func appendEntry(
    _ number: UInt32, name: RawSpan, _ tensor: borrowing TensorView, to output: inout OutputRawSpan
  ) {
    output.appendLength(number, TensorProtoSize.entryBody(name, self))
    output.appendBytes(1, name)
    output.appendLength(2, byteSize)
    append(tensor, to: &output)
  }

  // MARK: Varints

  /// How an element becomes the 64 bits of a varint: signed ones are extended, the others filled with zeros.
  static func varintBytes(_ tensor: borrowing TensorView) -> Int {
    let bytes = tensor.bytes
    switch tensor.dtype {
    case .int64: return sum(bytes, Int64.self)
    case .int32, .qint32: return sum(bytes, Int32.self)
    case .int16, .qint16: return sum(bytes, Int16.self)
    case .int8, .qint8, .int4, .int2: return sum(bytes, Int8.self)
    case .uint64: return sum(bytes, UInt64.self)
    case .uint32: return sum(bytes, UInt32.self)
    case .uint16, .quint16, .half, .bfloat16: return sum(bytes, UInt16.self)
    case .bool: return bytes.byteCount
    default: return sum(bytes, UInt8.self)
    }
  }

  static func appendVarints(_ tensor: borrowing TensorView, to output: inout OutputRawSpan) {
    let bytes = tensor.bytes
    switch tensor.dtype {
    case .int64: append(bytes, Int64.self, to: &output)
    case .int32, .qint32: append(bytes, Int32.self, to: &output)
    case .int16, .qint16: append(bytes, Int16.self, to: &output)
    case .int8, .qint8, .int4, .int2: append(bytes, Int8.self, to: &output)
    case .uint64: append(bytes, UInt64.self, to: &output)
    case .uint32: append(bytes, UInt32.self, to: &output)
    case .uint16, .quint16, .half, .bfloat16: append(bytes, UInt16.self, to: &output)
    case .bool:
      for i in 0..<bytes.byteCount {
        // Below the count.
        output.append(unsafe bytes.unsafeLoad(fromUncheckedByteOffset: i, as: UInt8.self) == 0 ? 0 : 1)
      }
    default: append(bytes, UInt8.self, to: &output)
    }
  }

  @inline(__always)
  static func sum<T: FixedWidthInteger & BitwiseCopyable>(_ bytes: RawSpan, _ type: T.Type) -> Int {
    var total = 0
    var offset = 0
    while offset &+ MemoryLayout<T>.size <= bytes.byteCount {
      // One more element lies before the end.
      let value = unsafe bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: T.self)
      total &+= Varint.size(UInt64(truncatingIfNeeded: T(littleEndian: value)))
      offset &+= MemoryLayout<T>.size
    }
    return total
  }

  @inline(__always)
  static func append<T: FixedWidthInteger & BitwiseCopyable>(
    _ bytes: RawSpan, _ type: T.Type, to output: inout OutputRawSpan
  ) {
    var offset = 0
    while offset &+ MemoryLayout<T>.size <= bytes.byteCount {
      // One more element lies before the end.
      let value = unsafe bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: T.self)
      output.appendVarint(UInt64(truncatingIfNeeded: T(littleEndian: value)))
      offset &+= MemoryLayout<T>.size
    }
  }
}
