/// The element types of TensorFlow, numbered as `tensorflow.DataType` numbers them
/// (tensorflow/core/framework/types.proto). `*_REF` types (value + 100, seen in TF1 signatures) are read as their base type.
public enum DType: UInt8, Sendable, Hashable, CaseIterable, BitwiseCopyable {
  case float = 1
  case double = 2
  case int32 = 3
  case uint8 = 4
  case int16 = 5
  case int8 = 6
  case string = 7
  case complex64 = 8
  case int64 = 9
  case bool = 10
  case qint8 = 11
  case quint8 = 12
  case qint32 = 13
  case bfloat16 = 14
  case qint16 = 15
  case quint16 = 16
  case uint16 = 17
  case complex128 = 18
  case half = 19
  case resource = 20
  case variant = 21
  case uint32 = 22
  case uint64 = 23
  case float8e5m2 = 24
  case float8e4m3fn = 25
  case float8e4m3fnuz = 26
  case float8e4m3b11fnuz = 27
  case float8e5m2fnuz = 28
  case int4 = 29
  case uint4 = 30
  case int2 = 31
  case uint2 = 32
  case float4e2m1fn = 33

  /// The type a wire value of `tensorflow.DataType` names; `nil` for `DT_INVALID` (0) and numbers nobody assigned.
  public init?(wire value: Int) {
    let base = value > 100 && value < 200 ? value - 100 : value
    guard let byte = UInt8(exactly: base), let type = DType(rawValue: byte) else { return nil }
    self = type
  }

  /// Bytes an element takes in memory while a plan runs. A string is a `StringRef` to bytes that live elsewhere;
  /// a resource is an index into the session's table. Types of less than a byte are stored one to a byte.
  public var size: Int {
    switch self {
    case .int8, .uint8, .bool, .qint8, .quint8, .float8e5m2, .float8e4m3fn, .float8e4m3fnuz, .float8e4m3b11fnuz,
      .float8e5m2fnuz, .int4, .uint4, .int2, .uint2, .float4e2m1fn:
      1
    case .int16, .uint16, .qint16, .quint16, .half, .bfloat16: 2
    case .float, .int32, .uint32, .qint32: 4
    case .double, .int64, .uint64, .complex64, .resource: 8
    case .string, .complex128, .variant: 16
    }
  }

  /// TensorFlow's lower-case name (`DataTypeString` in types.cc), as its error texts print it.
  public var name: String {
    switch self {
    case .float: "float"
    case .double: "double"
    case .int32: "int32"
    case .uint8: "uint8"
    case .int16: "int16"
    case .int8: "int8"
    case .string: "string"
    case .complex64: "complex64"
    case .int64: "int64"
    case .bool: "bool"
    case .qint8: "qint8"
    case .quint8: "quint8"
    case .qint32: "qint32"
    case .bfloat16: "bfloat16"
    case .qint16: "qint16"
    case .quint16: "quint16"
    case .uint16: "uint16"
    case .complex128: "complex128"
    case .half: "half"
    case .resource: "resource"
    case .variant: "variant"
    case .uint32: "uint32"
    case .uint64: "uint64"
    case .float8e5m2: "float8_e5m2"
    case .float8e4m3fn: "float8_e4m3fn"
    case .float8e4m3fnuz: "float8_e4m3fnuz"
    case .float8e4m3b11fnuz: "float8_e4m3b11fnuz"
    case .float8e5m2fnuz: "float8_e5m2fnuz"
    case .int4: "int4"
    case .uint4: "uint4"
    case .int2: "int2"
    case .uint2: "uint2"
    case .float4e2m1fn: "float4_e2m1fn"
    }
  }
}

extension DType: CustomStringConvertible {
  public var description: String { name }
}
