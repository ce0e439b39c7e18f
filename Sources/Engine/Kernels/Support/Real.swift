// The two element types the dense kernels are compiled for, and their loops in C. Half and bfloat16 are widened to float
// before a plan is made (`Optimize/Widen.swift`).
internal import CKernels
internal import Tensors

protocol Real: Scalar, BinaryFloatingPoint {
  // Matrix products: see gemm.h.
  static func packedCount(_ k: Int, _ n: Int) -> Int
  @unsafe static func pack(
    _ b: UnsafePointer<Self>, rowStride: Int, columnStride: Int, k: Int, n: Int, into packed: UnsafeMutablePointer<Self>)
  @unsafe static func multiply(_ product: Product<Self>)

  // Windows: see convolution.h and pooling.h.
  @unsafe static func scatter(
    _ window: ck_window, _ rows: UnsafePointer<Self>, _ stride: Int, _ first: Int, _ count: Int,
    _ image: UnsafeMutablePointer<Self>)
  @unsafe static func depthwise(
    _ window: ck_window, _ image: UnsafePointer<Self>, _ filter: UnsafePointer<Self>, _ multiplier: Int,
    _ bias: UnsafePointer<Self>?, _ low: Self, _ high: Self, _ y: Int, _ row: UnsafeMutablePointer<Self>)
  @unsafe static func maxPool(_ window: ck_window, _ image: UnsafePointer<Self>, _ out: UnsafeMutablePointer<Self>)
  @unsafe static func averagePool(_ window: ck_window, _ image: UnsafePointer<Self>, _ out: UnsafeMutablePointer<Self>)

  // Rows: see activation.h.
  @unsafe static func activate(
    _ activation: ck_activation, _ alpha: Self, _ count: Int, _ x: UnsafePointer<Self>, _ out: UnsafeMutablePointer<Self>)
  @unsafe static func softmax(
    logarithm: Bool, _ rows: Int, _ columns: Int, _ x: UnsafePointer<Self>, _ out: UnsafeMutablePointer<Self>)
  @unsafe static func scale(
    _ rows: Int, _ columns: Int, _ x: UnsafePointer<Self>, _ scale: UnsafePointer<Self>?, _ offset: UnsafePointer<Self>,
    _ low: Self, _ high: Self, _ out: UnsafeMutablePointer<Self>)
}

/// One product for the packed kernels: `c = clamp(a × b + bias + add, low, high)`, `a`, `c` and `add` with rows of their own stride.
/// `add` may be `c`.
@unsafe struct Product<T: Real> {
  var m: Int
  var n: Int
  var k: Int
  var a: UnsafePointer<T>
  var aStride: Int
  var packedB: UnsafePointer<T>
  var c: UnsafeMutablePointer<T>
  var cStride: Int
  var bias: UnsafePointer<T>?
  var add: UnsafePointer<T>? = nil
  var addStride = 0
  var low: T
  var high: T
}

/// The packed kernels of this machine: a table of C functions that never changes.
nonisolated(unsafe) private let kernels = unsafe ck_gemm_kernels(ck_isa_avx512)

extension Float: Real {
  static func packedCount(_ k: Int, _ n: Int) -> Int { unsafe ck_gemm_packed_count_f32(kernels, k, n) }
  @unsafe static func pack(
    _ b: UnsafePointer<Float>, rowStride: Int, columnStride: Int, k: Int, n: Int, into packed: UnsafeMutablePointer<Float>
  ) { unsafe ck_gemm_pack_f32(kernels, b, rowStride, columnStride, k, n, packed) }
  @unsafe static func multiply(_ p: Product<Float>) {
    var product = unsafe ck_gemm_f32(
      m: p.m, n: p.n, k: p.k, a: p.a, a_stride: p.aStride, packed_b: p.packedB, c: p.c, c_stride: p.cStride, bias: p.bias,
      add: p.add, add_stride: p.addStride, low: p.low, high: p.high)
    unsafe ck_gemm_multiply_f32(kernels, &product)
  }
  @unsafe static func scatter(
    _ window: ck_window, _ rows: UnsafePointer<Float>, _ stride: Int, _ first: Int, _ count: Int,
    _ image: UnsafeMutablePointer<Float>
  ) { unsafe withUnsafePointer(to: window) { unsafe ck_scatter_patches_f32($0, rows, stride, first, count, image) } }
  @unsafe static func depthwise(
    _ window: ck_window, _ image: UnsafePointer<Float>, _ filter: UnsafePointer<Float>, _ multiplier: Int,
    _ bias: UnsafePointer<Float>?, _ low: Float, _ high: Float, _ y: Int, _ row: UnsafeMutablePointer<Float>
  ) {
    unsafe withUnsafePointer(to: window) { unsafe ck_depthwise_f32($0, image, filter, multiplier, bias, low, high, y, row) }
  }
  @unsafe static func maxPool(_ window: ck_window, _ image: UnsafePointer<Float>, _ out: UnsafeMutablePointer<Float>) {
    unsafe withUnsafePointer(to: window) { unsafe ck_max_pool_f32($0, image, out) }
  }
  @unsafe static func averagePool(_ window: ck_window, _ image: UnsafePointer<Float>, _ out: UnsafeMutablePointer<Float>) {
    unsafe withUnsafePointer(to: window) { unsafe ck_average_pool_f32($0, image, out) }
  }
  @unsafe static func activate(
    _ activation: ck_activation, _ alpha: Float, _ count: Int, _ x: UnsafePointer<Float>, _ out: UnsafeMutablePointer<Float>
  ) { unsafe ck_activate_f32(activation, alpha, count, x, out) }
  @unsafe static func softmax(
    logarithm: Bool, _ rows: Int, _ columns: Int, _ x: UnsafePointer<Float>, _ out: UnsafeMutablePointer<Float>
  ) { unsafe ck_softmax_f32(logarithm ? 1 : 0, rows, columns, x, out) }
  @unsafe static func scale(
    _ rows: Int, _ columns: Int, _ x: UnsafePointer<Float>, _ scale: UnsafePointer<Float>?, _ offset: UnsafePointer<Float>,
    _ low: Float, _ high: Float, _ out: UnsafeMutablePointer<Float>
  ) { unsafe ck_scale_f32(rows, columns, x, scale, offset, low, high, out) }
}

extension Double: Real {
  static func packedCount(_ k: Int, _ n: Int) -> Int { unsafe ck_gemm_packed_count_f64(kernels, k, n) }
  @unsafe static func pack(
    _ b: UnsafePointer<Double>, rowStride: Int, columnStride: Int, k: Int, n: Int, into packed: UnsafeMutablePointer<Double>
  ) { unsafe ck_gemm_pack_f64(kernels, b, rowStride, columnStride, k, n, packed) }
  @unsafe static func multiply(_ p: Product<Double>) {
    var product = unsafe ck_gemm_f64(
      m: p.m, n: p.n, k: p.k, a: p.a, a_stride: p.aStride, packed_b: p.packedB, c: p.c, c_stride: p.cStride, bias: p.bias,
      add: p.add, add_stride: p.addStride, low: p.low, high: p.high)
    unsafe ck_gemm_multiply_f64(kernels, &product)
  }
  @unsafe static func scatter(
    _ window: ck_window, _ rows: UnsafePointer<Double>, _ stride: Int, _ first: Int, _ count: Int,
    _ image: UnsafeMutablePointer<Double>
  ) { unsafe withUnsafePointer(to: window) { unsafe ck_scatter_patches_f64($0, rows, stride, first, count, image) } }
  @unsafe static func depthwise(
    _ window: ck_window, _ image: UnsafePointer<Double>, _ filter: UnsafePointer<Double>, _ multiplier: Int,
    _ bias: UnsafePointer<Double>?, _ low: Double, _ high: Double, _ y: Int, _ row: UnsafeMutablePointer<Double>
  ) {
    unsafe withUnsafePointer(to: window) { unsafe ck_depthwise_f64($0, image, filter, multiplier, bias, low, high, y, row) }
  }
  @unsafe static func maxPool(_ window: ck_window, _ image: UnsafePointer<Double>, _ out: UnsafeMutablePointer<Double>) {
    unsafe withUnsafePointer(to: window) { unsafe ck_max_pool_f64($0, image, out) }
  }
  @unsafe static func averagePool(_ window: ck_window, _ image: UnsafePointer<Double>, _ out: UnsafeMutablePointer<Double>) {
    unsafe withUnsafePointer(to: window) { unsafe ck_average_pool_f64($0, image, out) }
  }
  @unsafe static func activate(
    _ activation: ck_activation, _ alpha: Double, _ count: Int, _ x: UnsafePointer<Double>, _ out: UnsafeMutablePointer<Double>
  ) { unsafe ck_activate_f64(activation, alpha, count, x, out) }
  @unsafe static func softmax(
    logarithm: Bool, _ rows: Int, _ columns: Int, _ x: UnsafePointer<Double>, _ out: UnsafeMutablePointer<Double>
  ) { unsafe ck_softmax_f64(logarithm ? 1 : 0, rows, columns, x, out) }
  @unsafe static func scale(
    _ rows: Int, _ columns: Int, _ x: UnsafePointer<Double>, _ scale: UnsafePointer<Double>?, _ offset: UnsafePointer<Double>,
    _ low: Double, _ high: Double, _ out: UnsafeMutablePointer<Double>
  ) { unsafe ck_scale_f64(rows, columns, x, scale, offset, low, high, out) }
}
