// One product, written once (gemm_template.h), compiled for each instruction set; the machine's is chosen when the kernels are
// asked for.
#include "gemm.h"

#include <math.h>
#include <string.h>

struct ck_gemm_kernels {
  enum ck_isa isa;
  void (*multiply_f32)(const struct ck_gemm_f32 *);
  void (*pack_f32)(const float *, size_t, size_t, size_t, size_t, float *);
  size_t (*packed_count_f32)(size_t, size_t);
  void (*multiply_f64)(const struct ck_gemm_f64 *);
  void (*pack_f64)(const double *, size_t, size_t, size_t, size_t, double *);
  size_t (*packed_count_f64)(size_t, size_t);
};

// 8 panels of 384 rows are 393 KB, the largest strip 21 KB.
#define PANELS 8
#define DEPTH 384

#if defined(__x86_64__)

#pragma clang attribute push(__attribute__((target("avx512f,avx512vl,avx512dq,avx512bw,fma,avx2"))), apply_to = function)
#define ROWS 14
#define REAL float
#define PRODUCT ck_gemm_f32
#define NAME(x) avx512_f32_##x
#define LANES 16
#include "gemm_template.h"
#undef REAL
#undef PRODUCT
#undef NAME
#undef LANES
#define REAL double
#define PRODUCT ck_gemm_f64
#define NAME(x) avx512_f64_##x
#define LANES 8
#include "gemm_template.h"
#undef REAL
#undef PRODUCT
#undef NAME
#undef LANES
#undef ROWS
#pragma clang attribute pop

#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#define ROWS 6
#define REAL float
#define PRODUCT ck_gemm_f32
#define NAME(x) avx2_f32_##x
#define LANES 8
#include "gemm_template.h"
#undef REAL
#undef PRODUCT
#undef NAME
#undef LANES
#define REAL double
#define PRODUCT ck_gemm_f64
#define NAME(x) avx2_f64_##x
#define LANES 4
#include "gemm_template.h"
#undef REAL
#undef PRODUCT
#undef NAME
#undef LANES
#undef ROWS
#pragma clang attribute pop

#endif

// SSE2 has 16 registers, NEON 32.
#if defined(__aarch64__)
#define ROWS 6
#else
#define ROWS 4
#endif
#define REAL float
#define PRODUCT ck_gemm_f32
#define NAME(x) portable_f32_##x
#define LANES 4
#include "gemm_template.h"
#undef REAL
#undef PRODUCT
#undef NAME
#undef LANES
#define REAL double
#define PRODUCT ck_gemm_f64
#define NAME(x) portable_f64_##x
#define LANES 2
#include "gemm_template.h"

#define KERNELS(name)                                                                                                      \
  {                                                                                                                        \
    ck_isa_##name, name##_f32_gemm, name##_f32_pack, name##_f32_packed_count, name##_f64_gemm, name##_f64_pack,            \
        name##_f64_packed_count                                                                                            \
  }

const struct ck_gemm_kernels *ck_gemm_kernels(enum ck_isa limit)
{
#if defined(__x86_64__)
  static const struct ck_gemm_kernels avx512 = KERNELS(avx512), avx2 = KERNELS(avx2);
  __builtin_cpu_init();
  const int has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const int has_avx512 = has_avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
                         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw");
  if (limit >= ck_isa_avx512 && has_avx512) return &avx512;
  if (limit >= ck_isa_avx2 && has_avx2) return &avx2;
#endif
  static const struct ck_gemm_kernels portable = KERNELS(portable);
  return &portable;
}

enum ck_isa ck_gemm_isa(const struct ck_gemm_kernels *kernels) { return kernels->isa; }

size_t ck_gemm_packed_count_f32(const struct ck_gemm_kernels *kernels, size_t k, size_t n)
{
  return kernels->packed_count_f32(k, n);
}

size_t ck_gemm_packed_count_f64(const struct ck_gemm_kernels *kernels, size_t k, size_t n)
{
  return kernels->packed_count_f64(k, n);
}

void ck_gemm_pack_f32(
    const struct ck_gemm_kernels *kernels, const float *b, size_t row_stride, size_t column_stride, size_t k, size_t n,
    float *packed)
{
  kernels->pack_f32(b, row_stride, column_stride, k, n, packed);
}

void ck_gemm_pack_f64(
    const struct ck_gemm_kernels *kernels, const double *b, size_t row_stride, size_t column_stride, size_t k, size_t n,
    double *packed)
{
  kernels->pack_f64(b, row_stride, column_stride, k, n, packed);
}

void ck_gemm_multiply_f32(const struct ck_gemm_kernels *kernels, const struct ck_gemm_f32 *product) { kernels->multiply_f32(product); }
void ck_gemm_multiply_f64(const struct ck_gemm_kernels *kernels, const struct ck_gemm_f64 *product) { kernels->multiply_f64(product); }
