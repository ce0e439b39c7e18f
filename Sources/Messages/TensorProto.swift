// A tensor on the wire (tensorflow/core/framework/tensor.proto).
//
//     dtype 1, tensor_shape 2, tensor_content 4, and a repeated field for each family of types: float_val 5 …
//
// Reading is two steps, for two kinds of wrong. `TensorProto` reads the fields: what fails there is no protobuf message.
// `elements(bytesMax:)` makes sense of them: type, shape and values must fit each other. What comes out,
// `TensorElements`, cannot fail any more.
//
//     bytes ──► TensorProto ──► TensorElements ──► used in place, or copied out
//            WireError    TensorProtoError
//
// The values of an element type stand in one field, usually packed into one chunk. The first pass notes that chunk, so
// that the common tensor is found without a second. Packed varints are checked there too, eight bytes at a time.

public import Tensors
public import Wire

/// The fields of a tensor message.
public struct TensorProto: ~Escapable {
  let message: WireMessage
  /// `tensorflow.DataType` as sent.
  public private(set) var dtypeNumber: Int32 = 0
  public private(set) var shape: TensorShapeProto
  /// `tensor_content`; empty when the values are in a typed field.
  public private(set) var content: Range<UInt32> = 0..<0
  /// The first typed field with values, and whether there are others.
  var values = ValueField()
  var hasOtherValues = false

  @_lifetime(copy message)
  public init(_ message: WireMessage) throws(WireError) {
    self.message = message
    var dtypeNumber: Int32 = 0
    var content: Range<UInt32> = 0..<0
    var shape = WireExtent.absent
    var values = ValueField()
    var hasOtherValues = false
    var reader = WireReader(message)
    while let tag = try reader.nextTag() {
      switch tag {
      case .varint(1): dtypeNumber = try reader.int32()
      case .length(2): try shape.append(try reader.lengthDelimited())
      case .length(4): content = try reader.lengthDelimited()
      default:
        guard ValueField.isValues(tag.number) else {
          try reader.skip(tag)
          continue
        }
        guard let chunk = try ValueChunk(tag, &reader) else { continue }
        if values.number == tag.number || values.number == 0 {
          values.append(tag.number, chunk)
        } else {
          hasOtherValues = true
        }
      }
    }
    self.dtypeNumber = dtypeNumber
    self.content = content
    self.values = values
    self.hasOtherValues = hasOtherValues
    self.shape = try TensorShapeProto(WireMessage(message.bytes, at: shape))
  }

  /// The element type; `nil` for DT_INVALID and numbers no type has.
  public var dtype: DType? { DType(wire: Int(dtypeNumber)) }

  /// The tensor, if type, shape and values fit each other. By the rules of TensorFlow's `Tensor::FromProto`:
  /// `tensor_content`, unless empty, wins and must be exactly as long as the elements; otherwise the typed field counts,
  /// the last value standing for those that are missing, none for zeros, and those too many ignored.
  /// - Parameter bytesMax: The memory the elements may take, as `DType.size` counts it.
  @_lifetime(copy self)
  public func elements(bytesMax: Int) throws(TensorProtoError) -> TensorElements {
    guard let dtype else { throw .invalidType(dtypeNumber) }
    if dtype == .resource || dtype == .variant { throw .unsupportedType(dtype) }
    let shape = try shape.shape()
    let count = shape.count
    let (byteCount, overflow) = count.multipliedReportingOverflow(by: dtype.size)
    if overflow || byteCount > bytesMax { throw .tooLarge(elements: count, bytesMax: bytesMax) }
    if count == 0 {
      // TensorFlow does not look at the values of a tensor that has none.
      return TensorElements(message, dtype, shape, .values(ValueField()))
    }
    if !content.isEmpty {
      if dtype == .string {
        guard let strings = StringContent(message.bytes, at: content, count: count) else { throw .contentStrings }
        return TensorElements(message, dtype, shape, .strings(strings))
      }
      guard content.count == byteCount else { throw .contentSize(expected: byteCount, actual: content.count) }
      return TensorElements(message, dtype, shape, .content(content))
    }
    let number = ValueField.number(of: dtype)
    var field = values
    if values.number != number { field = hasOtherValues ? find(number) : ValueField() }
    return TensorElements(message, dtype, shape, .values(field))
  }

  /// A typed field that is not the first one with values: a message of a mixed mind, walked again.
  func find(_ number: UInt32) -> ValueField {
    var field = ValueField()
    var chunks = ValueChunks(message, number: number)
    while let chunk = chunks.next() { field.append(number, chunk) }
    return field
  }
}

/// One of TensorProto's typed fields.
struct ValueField {
  /// The field's number; zero when no value occurred.
  var number: UInt32 = 0
  /// The first chunk, and almost always the only one.
  var first: Range<UInt32> = 0..<0
  var chunkCount = 0
  /// Values in all chunks. A complex number is two.
  var count = 0

  @inline(__always)
  mutating func append(_ number: UInt32, _ chunk: ValueChunk) {
    // float8_val is no repeated field but one of bytes: the last counts.
    if number == 18 { self = ValueField() }
    if chunkCount == 0 {
      self.number = number
      first = chunk.range
    }
    chunkCount &+= 1
    count &+= chunk.count
  }

  @inline(__always)
  static func isValues(_ number: UInt32) -> Bool { number >= 5 && number <= 18 && number != 14 && number != 15 }

  /// Where values of a type are sent. Types without a field of their own travel as int32; half and bfloat16 as the bits
  /// of an int32; eight-bit floats as bytes.
  static func number(of dtype: DType) -> UInt32 {
    switch dtype {
    case .float: 5
    case .double: 6
    case .string: 8
    case .complex64: 9
    case .int64: 10
    case .bool: 11
    case .complex128: 12
    case .half, .bfloat16: 13
    case .uint32: 16
    case .uint64: 17
    case .float8e5m2, .float8e4m3fn, .float8e4m3fnuz, .float8e4m3b11fnuz, .float8e5m2fnuz: 18
    case .int32, .int16, .int8, .uint16, .uint8, .qint8, .quint8, .qint32, .qint16, .quint16, .int4, .uint4, .int2,
      .uint2, .float4e2m1fn:
      7
    case .resource: 14
    case .variant: 15
    }
  }
}

/// A stretch of values of one typed field: a packed field, or one value that was sent alone.
struct ValueChunk {
  var range: Range<UInt32>
  var count: Int

  /// Reads the value of `tag`, one of the typed fields; `nil` when its wire type is not the field's, and it was skipped.
  @inline(__always)
  init?(_ tag: WireTag, _ reader: inout WireReader) throws(WireError) {
    switch tag {
    case .length(5), .length(9):
      range = try reader.lengthDelimited()
      guard range.count & 3 == 0 else { throw WireError(.packedLength, at: Int(range.lowerBound)) }
      count = range.count &>> 2
    case .length(6), .length(12):
      range = try reader.lengthDelimited()
      guard range.count & 7 == 0 else { throw WireError(.packedLength, at: Int(range.lowerBound)) }
      count = range.count &>> 3
    case .length(8):
      range = try reader.lengthDelimited()
      count = 1
    case .length(18):
      range = try reader.lengthDelimited()
      count = range.count
    case .length(7), .length(10), .length(11), .length(13), .length(16), .length(17):
      range = try reader.lengthDelimited()
      count = try Varint.count(reader.bytes, in: range)
    case .fixed32(5), .fixed32(9):
      let start = reader.position
      _ = try reader.fixed32()
      range = UInt32(start)..<UInt32(reader.position)
      count = 1
    case .fixed64(6), .fixed64(12):
      let start = reader.position
      _ = try reader.fixed64()
      range = UInt32(start)..<UInt32(reader.position)
      count = 1
    case .varint(7), .varint(10), .varint(11), .varint(13), .varint(16), .varint(17):
      let start = reader.position
      _ = try reader.varint()
      range = UInt32(start)..<UInt32(reader.position)
      count = 1
    default:
      try reader.skip(tag)
      return nil
    }
  }
}

/// The chunks of one typed field of a TensorProto that was read before, and so reads without fail.
struct ValueChunks: ~Escapable {
  var reader: WireReader
  let number: UInt32

  @_lifetime(copy message)
  init(_ message: WireMessage, number: UInt32) {
    reader = WireReader(message)
    self.number = number
  }

  @_lifetime(self: copy self)
  mutating func next() -> ValueChunk? {
    while let tag = (try? reader.nextTag()) ?? nil {
      if tag.number == number {
        if let chunk = (try? ValueChunk(tag, &reader)) ?? nil { return chunk }
      } else {
        guard (try? reader.skip(tag)) != nil else { return nil }
      }
    }
    return nil
  }
}

/// `tensor_content` of strings: the lengths of all as varints, then the bytes of all.
struct StringContent {
  var lengths: Range<UInt32>
  var bytes: Range<UInt32>

  /// `nil` unless there are `count` lengths of at most 32 bits and their sum is what follows them.
  init?(_ buffer: RawSpan, at content: Range<UInt32>, count: Int) {
    guard count <= content.count else { return nil }
    var reader = WireReader(buffer, at: content)
    var sum: UInt64 = 0
    for _ in 0..<count {
      guard let length = try? reader.varint(), length <= UInt64(UInt32.max) else { return nil }
      sum += length
    }
    let lower = UInt32(reader.position)
    guard sum == UInt64(content.upperBound - lower) else { return nil }
    lengths = content.lowerBound..<lower
    bytes = lower..<content.upperBound
  }
}
