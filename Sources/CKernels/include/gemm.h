// Matrix products against a packed right-hand side.
//
//   C[m,n] = clamp(A[m,k] x B[k,n] + bias[n] + add[m,n], low, high)
//
// A and C are row-major with a stride. B is packed once into panels: the columns in groups of `panel width`, each group stored
// row after row, the last one filled up with zeros, so that the innermost loop reads B in one straight line.
//
//   B = | 0 1 2 3 | 4 5 6 . |     panel 0: row 0 (0 1 2 3), row 1, ...   panel 1: row 0 (4 5 6 0), row 1, ...
#pragma once
#include <stddef.h>

/// The kernels of one instruction set. How wide a panel is, is theirs to know: what one packed only the same may multiply with.
struct ck_gemm_kernels;

enum ck_isa { ck_isa_portable, ck_isa_avx2, ck_isa_avx512 };

/// The fastest kernels of this machine that use no more than `limit`.
const struct ck_gemm_kernels *_Nonnull ck_gemm_kernels(enum ck_isa limit);

/// Which instruction set kernels were made for.
enum ck_isa ck_gemm_isa(const struct ck_gemm_kernels *_Nonnull kernels);

/// The number of elements a packed k x n matrix takes: k times n rounded up to whole panels.
size_t ck_gemm_packed_count_f32(const struct ck_gemm_kernels *_Nonnull kernels, size_t k, size_t n);
size_t ck_gemm_packed_count_f64(const struct ck_gemm_kernels *_Nonnull kernels, size_t k, size_t n);

/// Packs B, whose element (i, j) stands at `b[i * row_stride + j * column_stride]`.
void ck_gemm_pack_f32(
    const struct ck_gemm_kernels *_Nonnull kernels, const float *_Nonnull b, size_t row_stride, size_t column_stride, size_t k, size_t n,
    float *_Nonnull packed);
void ck_gemm_pack_f64(
    const struct ck_gemm_kernels *_Nonnull kernels, const double *_Nonnull b, size_t row_stride, size_t column_stride, size_t k, size_t n,
    double *_Nonnull packed);

/// A product to be done. `bias` and `add` may be null; strides count elements; no clamp is -INFINITY, INFINITY. NaN passes a clamp.
struct ck_gemm_f32 {
  size_t m, n, k;
  const float *_Nonnull a;
  size_t a_stride;
  const float *_Nonnull packed_b;
  float *_Nonnull c;
  size_t c_stride;
  const float *_Nullable bias;
  const float *_Nullable add;
  size_t add_stride;
  float low, high;
};
void ck_gemm_multiply_f32(const struct ck_gemm_kernels *_Nonnull kernels, const struct ck_gemm_f32 *_Nonnull product);

struct ck_gemm_f64 {
  size_t m, n, k;
  const double *_Nonnull a;
  size_t a_stride;
  const double *_Nonnull packed_b;
  double *_Nonnull c;
  size_t c_stride;
  const double *_Nullable bias;
  const double *_Nullable add;
  size_t add_stride;
  double low, high;
};
void ck_gemm_multiply_f64(const struct ck_gemm_kernels *_Nonnull kernels, const struct ck_gemm_f64 *_Nonnull product);
