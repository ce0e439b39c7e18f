// Kernels written once in Swift and compiled for every type of number. What is hot lives in CKernels instead.
internal import CKernels
internal import Tensors

/// An element type as the kernels in Swift see it.
protocol Scalar: BitwiseCopyable, Comparable, Hashable, Sendable {
  static var dtype: DType { get }
  /// The nearest value; integers are cut towards zero and held within the range.
  init(nearest value: Double)
  var double: Double { get }
  /// Whether the value is no number.
  var isNaN: Bool { get }
}

extension Scalar {
  /// The number as TensorFlow's messages print it: `5` for a float that is whole.
  var text: String { double == double.rounded() && abs(double) < 1e15 ? String(Int(double)) : "\(double)" }
}

extension Scalar where Self: FixedWidthInteger {
  init(nearest value: Double) { self = value.isNaN ? 0 : Self(exactly: value.rounded(.towardZero)) ?? (value < 0 ? .min : .max) }
  var double: Double { Double(self) }
  var isNaN: Bool { false }
}
extension Scalar where Self: BinaryFloatingPoint {
  init(nearest value: Double) { self = Self(value) }
  var double: Double { Double(self) }
}

extension Int8: Scalar { static var dtype: DType { .int8 } }
extension Int16: Scalar { static var dtype: DType { .int16 } }
extension Int32: Scalar { static var dtype: DType { .int32 } }
extension Int64: Scalar { static var dtype: DType { .int64 } }
extension UInt8: Scalar { static var dtype: DType { .uint8 } }
extension UInt16: Scalar { static var dtype: DType { .uint16 } }
extension UInt32: Scalar { static var dtype: DType { .uint32 } }
extension UInt64: Scalar { static var dtype: DType { .uint64 } }
extension Float: Scalar { static var dtype: DType { .float } }
extension Double: Scalar { static var dtype: DType { .double } }

/// IEEE binary16, kept as its bits.
struct Half: Scalar {
  var bits: UInt16
  static var dtype: DType { .half }
  init(nearest value: Double) { bits = ck_half_from_float(Float(value)) }
  var double: Double { Double(ck_float_from_half(bits)) }
  var isNaN: Bool { double.isNaN }
  static func < (a: Half, b: Half) -> Bool { a.double < b.double }
  static func == (a: Half, b: Half) -> Bool { a.double == b.double }
  func hash(into hasher: inout Hasher) { hasher.combine(double) }
}

/// The upper half of a float.
struct BFloat16: Scalar {
  var bits: UInt16
  static var dtype: DType { .bfloat16 }
  init(nearest value: Double) { bits = ck_bfloat16_from_float(Float(value)) }
  var double: Double { Double(ck_float_from_bfloat16(bits)) }
  var isNaN: Bool { double.isNaN }
  static func < (a: BFloat16, b: BFloat16) -> Bool { a.double < b.double }
  static func == (a: BFloat16, b: BFloat16) -> Bool { a.double == b.double }
  func hash(into hasher: inout Hasher) { hasher.combine(double) }
}

/// A kernel generic over the type of its elements.
protocol TypedKernel: Sendable {
  func run<T: Scalar>(_ type: T.Type, _ frame: inout Frame) throws(RunError)
}

extension TypedKernel {
  /// Runs the instance for a type. Bools are served as bytes.
  func run(as dtype: DType, _ frame: inout Frame, _ op: String) throws(RunError) {
    switch dtype {
    case .float: try run(Float.self, &frame)
    case .double: try run(Double.self, &frame)
    case .int32, .qint32: try run(Int32.self, &frame)
    case .int64: try run(Int64.self, &frame)
    case .uint8, .quint8, .bool: try run(UInt8.self, &frame)
    case .int8, .qint8: try run(Int8.self, &frame)
    case .int16: try run(Int16.self, &frame)
    case .uint16: try run(UInt16.self, &frame)
    case .uint32: try run(UInt32.self, &frame)
    case .uint64: try run(UInt64.self, &frame)
    case .half: try run(Half.self, &frame)
    case .bfloat16: try run(BFloat16.self, &frame)
    default: throw unsupported(op, dtype)
    }
  }
}

/// A definition whose kernel is generic over the type of an input's elements.
func typed(
  _ op: String, by input: Int = 0, _ make: @escaping @Sendable (NodeContext) throws(GraphError) -> some TypedKernel
) -> KernelDefinition {
  KernelDefinition(op) { node throws(GraphError) in
    let kernel = try make(node)
    return { frame throws(RunError) in try kernel.run(as: frame.input(input).dtype, &frame, op) }
  }
}

/// The error for a type an op has no kernel for.
func unsupported(_ op: String, _ dtype: DType) -> RunError { .unimplemented("\(op) is not implemented for \(dtype)") }

extension Value {
  /// The type as the tables of CKernels know it.
  var kernelType: UInt32 { UInt32(dtype.rawValue) }

  /// The value's elements from `index` on, as bytes.
  /// - Precondition: `index` is within the value.
  @unsafe func at(_ index: Int) -> UnsafeMutableRawPointer { unsafe base + index * dtype.size }
}
