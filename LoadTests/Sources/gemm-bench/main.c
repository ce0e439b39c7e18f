// Matrix products, ours and OpenBLAS's turn about, in GFLOP/s: lines of "M N K ours theirs".
// OpenBLAS reads OPENBLAS_CORETYPE when it initialises; gemm.sh runs this once for each.
#include <CKernels.h>
#include <cblas.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

void openblas_set_num_threads(int count);

static const size_t sizes[][3] = {
    {1, 64, 32},      {1, 64, 64},     {1, 10, 64},      {1, 1024, 1024},   {8, 64, 64},      {16, 64, 64},
    {32, 10, 64},     {32, 1024, 1024}, {128, 256, 256}, {128, 768, 3072},  {3136, 64, 576},  {196, 256, 2304},
    {49, 512, 4608},  {1024, 1024, 1024},
};

static double now(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static float *numbers(size_t count)
{
  float *x = aligned_alloc(64, (count * sizeof *x + 63) / 64 * 64);
  for (size_t i = 0; i < count; i++) x[i] = (float)(rand() % 201 - 100) / 100;
  return x;
}

int main(void)
{
  // The best of this many rounds counts: other work on the machine only ever takes away.
  enum { rounds = 15 };
  const struct ck_gemm_kernels *kernels = ck_gemm_kernels(ck_isa_avx512);
  openblas_set_num_threads(1);
  for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
    const size_t m = sizes[s][0], n = sizes[s][1], k = sizes[s][2];
    float *a = numbers(m * k), *b = numbers(k * n), *c = numbers(m * n), *d = numbers(m * n);
    float *packed = numbers(ck_gemm_packed_count_f32(kernels, k, n));
    ck_gemm_pack_f32(kernels, b, n, 1, k, n, packed);
    const struct ck_gemm_f32 product = {
        .m = m, .n = n, .k = k, .a = a, .a_stride = k, .packed_b = packed, .c = c, .c_stride = n, .low = -INFINITY,
        .high = INFINITY};
    const double work = 2.0 * (double)m * (double)n * (double)k;
    const int repeats = work > 1e8 ? 1 : (int)(1e8 / work / 10) + 1;
    double ours = INFINITY, theirs = INFINITY;
    for (int round = 0; round < rounds; round++) {
      double start = now();
      for (int r = 0; r < repeats; r++) ck_gemm_multiply_f32(kernels, &product);
      ours = fmin(ours, (now() - start) / repeats);
      start = now();
      for (int r = 0; r < repeats; r++)
        cblas_sgemm(
            CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)m, (int)n, (int)k, 1, a, (int)k, b, (int)n, 0, d, (int)n);
      theirs = fmin(theirs, (now() - start) / repeats);
    }
    for (size_t i = 0; i < m * n; i++)
      if (fabsf(c[i] - d[i]) > 1e-3f * sqrtf((float)k)) {
        fprintf(stderr, "%zu x %zu x %zu: the products differ\n", m, n, k);
        return 1;
      }
    printf("%zu %zu %zu %.1f %.1f\n", m, n, k, work / ours / 1e9, work / theirs / 1e9);
    free(a), free(b), free(c), free(d), free(packed);
  }
}
