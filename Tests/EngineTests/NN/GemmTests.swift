import CKernels
import TestThreads
import Testing

/// The packed products of every instruction set this machine has, against three loops.
@Suite(.blocking) struct GemmTests {
  static let sets = [ck_isa_portable, ck_isa_avx2, ck_isa_avx512].filter { unsafe ck_gemm_isa(ck_gemm_kernels($0)) == $0 }

  /// Numbers of few bits: every sum is exact, whatever its order.
  private func numbers(_ count: Int, _ seed: Int) -> [Float] {
    (0..<count).map { Float(($0 &* 7 &+ seed &* 13) % 17 - 8) / 4 }
  }

  /// The elements that differ from three loops. Rows of A, C and the addend are further apart than they are long, and what lies
  /// between them in C must stay as it was.
  private func differences(
    _ kernels: OpaquePointer, _ m: Int, _ n: Int, _ k: Int, bias: Bool, add: Bool, low: Float = -.infinity
  ) -> Int {
    let (aStride, cStride) = (k + 1, n + 3)
    let (a, b) = (numbers(m * aStride, 1), numbers(k * n, 2))
    let (biases, addend) = (numbers(n, 3), numbers(m * cStride, 4))
    var c = [Float](repeating: 99, count: m * cStride)
    var packed = unsafe [Float](repeating: .nan, count: ck_gemm_packed_count_f32(kernels, k, n) + 16)
    unsafe a.withUnsafeBufferPointer { a in
      unsafe b.withUnsafeBufferPointer { b in
        unsafe biases.withUnsafeBufferPointer { biases in
          unsafe addend.withUnsafeBufferPointer { addend in
            unsafe c.withUnsafeMutableBufferPointer { c in
              unsafe packed.withUnsafeMutableBufferPointer { packed in
                // All arrays have the sizes the product asks for; those of no elements still have an address.
                unsafe ck_gemm_pack_f32(kernels, b.baseAddress!, n, 1, k, n, packed.baseAddress!)
                var product = unsafe ck_gemm_f32(
                  m: m, n: n, k: k, a: a.baseAddress!, a_stride: aStride, packed_b: UnsafePointer(packed.baseAddress!),
                  c: c.baseAddress!, c_stride: cStride, bias: bias ? biases.baseAddress : nil,
                  add: add ? addend.baseAddress : nil, add_stride: cStride, low: low, high: .infinity)
                unsafe ck_gemm_multiply_f32(kernels, &product)
              }
            }
          }
        }
      }
    }
    var wrong = 0
    for i in 0..<m {
      for j in 0..<n {
        var sum: Float = 0
        for l in 0..<k { sum += a[i * aStride + l] * b[l * n + j] }
        if bias { sum += biases[j] }
        if add { sum += addend[i * cStride + j] }
        if c[i * cStride + j] != max(sum, low) { wrong += 1 }
      }
      for j in n..<cStride where c[i * cStride + j] != 99 { wrong += 1 }
    }
    return wrong
  }

  @Test(arguments: sets.map(\.rawValue))
  func `every small product is exact`(set: UInt32) {
    let kernels = unsafe ck_gemm_kernels(ck_isa(set))
    for m in 1...20 {
      for n in 1...20 {
        for k in [1, 2, 3, 4, 5, 7, 8, 13] {
          let wrong = unsafe differences(kernels, m, n, k, bias: k % 2 == 0, add: (m + n) % 3 == 0, low: m % 2 == 0 ? 0 : -.infinity)
          #expect(wrong == 0, "\(m) x \(n) x \(k): \(wrong) elements")
        }
      }
    }
  }

  @Test(arguments: sets.map(\.rawValue))
  func `products that span panels, strips and blocks are exact`(set: UInt32) {
    let kernels = unsafe ck_gemm_kernels(ck_isa(set))
    let sizes = [
      (1, 33, 1000), (2, 64, 385), (29, 65, 384), (15, 257, 769), (43, 31, 1024), (64, 96, 512), (3, 300, 2048), (100, 17, 1),
      (7, 32, 1024), (28, 512, 16), (5, 16, 400), (1, 1, 1), (14, 32, 0), (0, 8, 8),
    ]
    for (m, n, k) in sizes {
      for (bias, add) in [(false, false), (true, false), (true, true)] {
        let wrong = unsafe differences(kernels, m, n, k, bias: bias, add: add, low: 0)
        #expect(wrong == 0, "\(m) x \(n) x \(k): \(wrong) elements")
      }
    }
  }

  @Test func `a NaN passes a clamp`() {
    for set in GemmTests.sets {
      let kernels = unsafe ck_gemm_kernels(set)
      var packed = unsafe [Float](repeating: 0, count: ck_gemm_packed_count_f32(kernels, 1, 3))
      var c: [Float] = [7, 7, 7]
      unsafe [Float.nan, 1, -1].withUnsafeBufferPointer { b in
        unsafe packed.withUnsafeMutableBufferPointer { packed in
          unsafe c.withUnsafeMutableBufferPointer { c in
            // One row of one number times three columns.
            unsafe ck_gemm_pack_f32(kernels, b.baseAddress!, 3, 1, 1, 3, packed.baseAddress!)
            var one: Float = 1
            unsafe withUnsafePointer(to: &one) { a in
              var product = unsafe ck_gemm_f32(
                m: 1, n: 3, k: 1, a: a, a_stride: 1, packed_b: UnsafePointer(packed.baseAddress!), c: c.baseAddress!,
                c_stride: 3, bias: nil, add: nil, add_stride: 0, low: 0, high: 6)
              unsafe ck_gemm_multiply_f32(kernels, &product)
            }
          }
        }
      }
      #expect(c[0].isNaN && c[1] == 1 && c[2] == 0)
    }
  }
}
