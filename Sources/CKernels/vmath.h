// Functions of float that a vector loop can hold: polynomials instead of calls, choices instead of branches.
// Reduction and coefficients are those of S. Moshier's Cephes library; within about two units in the last place.
#pragma once
#include <math.h>
#include <stdint.h>
#include <string.h>

static inline float ck_float_of(uint32_t bits)
{
  float x;
  memcpy(&x, &bits, 4);
  return x;
}

static inline uint32_t ck_bits_of(float x)
{
  uint32_t bits;
  memcpy(&bits, &x, 4);
  return bits;
}

// e^x = 2^n e^r with |r| <= ln 2 / 2.
static inline float ck_expf(float x)
{
  x = x > 89.0f ? 89.0f : x;
  x = x < -104.0f ? -104.0f : x;
  // Adding and taking away 1.5 * 2^23 rounds to an integer, which then stands in the low bits.
  const float shifted = x * 1.44269504088896341f + 12582912.0f;
  const float n = shifted - 12582912.0f;
  float r = x - n * 0.693359375f;
  r = r - n * -2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  const float y = p * (r * r) + r + 1.0f;
  // 2^n in two steps, for results that are subnormal or just below infinity.
  const int32_t k = (int32_t)(ck_bits_of(shifted) - ck_bits_of(12582912.0f)), half = k >> 1;
  return y * ck_float_of((uint32_t)(half + 127) << 23) * ck_float_of((uint32_t)(k - half + 127) << 23);
}

// e^x - 1 for x <= 0: near zero the series, elsewhere the difference.
static inline float ck_expm1f(float x)
{
  float p = 1.9875691500e-4f;
  p = p * x + 1.3981999507e-3f;
  p = p * x + 8.3334519073e-3f;
  p = p * x + 4.1665795894e-2f;
  p = p * x + 1.6666665459e-1f;
  p = p * x + 5.0000001201e-1f;
  const float near = p * (x * x) + x, far = ck_expf(x) - 1.0f;
  return x > -0.34657359f ? near : far;
}

static inline float ck_tanhf(float x)
{
  const float magnitude = fabsf(x), z = x * x;
  float p = -5.70498872745e-3f;
  p = p * z + 2.06390887954e-2f;
  p = p * z - 5.37397155531e-2f;
  p = p * z + 1.33314422036e-1f;
  p = p * z - 3.33332819422e-1f;
  const float small = p * z * x + x;
  const float large = copysignf(1.0f - 2.0f / (ck_expf(magnitude + magnitude) + 1.0f), x);
  return magnitude > 0.625f ? large : small;
}

static inline float ck_sigmoidf(float x) { return 1.0f / (1.0f + ck_expf(-x)); }

// Natural logarithm: m in [sqrt 1/2, sqrt 2) and a power of two.
static inline float ck_logf(float x)
{
  float scaled = x < 1.17549435e-38f ? x * 8388608.0f : x;
  uint32_t u = ck_bits_of(scaled);
  int32_t e = (int32_t)(u >> 23) - 126 - (x < 1.17549435e-38f ? 23 : 0);
  float m = ck_float_of((u & 0x007fffff) | 0x3f000000);  // in [0.5, 1)
  int below = m < 0.707106781186547524f;
  float n = (float)(below ? e - 1 : e);
  m = below ? m + m - 1.0f : m - 1.0f;
  float z = m * m;
  float p = 7.0376836292e-2f;
  p = p * m - 1.1514610310e-1f;
  p = p * m + 1.1676998740e-1f;
  p = p * m - 1.2420140846e-1f;
  p = p * m + 1.4249322787e-1f;
  p = p * m - 1.6668057665e-1f;
  p = p * m + 2.0000714765e-1f;
  p = p * m - 2.4999993993e-1f;
  p = p * m + 3.3333331174e-1f;
  float y = p * m * z + n * -2.12194440e-4f - 0.5f * z;
  y = m + y + n * 0.693359375f;
  y = x == 0.0f ? -__builtin_inff() : y;
  y = x < 0.0f ? __builtin_nanf("") : y;
  return !(x < __builtin_inff()) ? x : y;  // infinity and NaN
}

// erf on [-1, 1].
static inline float ck_erff_small(float x)
{
  float z = x * x;
  float p = 7.853861353153693e-5f;
  p = p * z - 8.010193625184903e-4f;
  p = p * z + 5.188327685732524e-3f;
  p = p * z - 2.685381193529856e-2f;
  p = p * z + 1.128358514861418e-1f;
  p = p * z - 3.761262582423300e-1f;
  p = p * z + 1.128379165726710f;
  return x * p;
}
// erfc for x >= 1.
static inline float ck_erfcf_large(float x)
{
  x = x > 11.0f ? 11.0f : x;
  float r = 1.0f / x, z = r * r;
  float p = 2.326819970068386e-2f;
  p = p * z - 1.387039388740657e-1f;
  p = p * z + 3.687424674597105e-1f;
  p = p * z - 5.824733027278666e-1f;
  p = p * z + 6.210004621745983e-1f;
  p = p * z - 4.944515323274145e-1f;
  p = p * z + 3.404879937665872e-1f;
  p = p * z - 2.741127028184656e-1f;
  p = p * z + 5.638259427386472e-1f;
  float q = -1.047766399936249e+1f;
  q = q * z + 1.297719955372516e+1f;
  q = q * z - 7.495518717768503e+0f;
  q = q * z + 2.921019019210786e+0f;
  q = q * z - 1.015265279202700e+0f;
  q = q * z + 4.218463358204948e-1f;
  q = q * z - 2.820767439740514e-1f;
  q = q * z + 5.641895067754075e-1f;
  // x^2 in two parts: the square of a cut x is exact, the rest is small.
  float cut = ck_float_of(ck_bits_of(x) & 0xfffff000);
  float e = ck_expf(-cut * cut) * ck_expf(-(x - cut) * (x + cut));
  return e * r * (x < 2.0f ? p : q);
}
static inline float ck_erff(float x)
{
  float magnitude = __builtin_fabsf(x);
  float large = __builtin_copysignf(1.0f - ck_erfcf_large(magnitude < 1.0f ? 1.0f : magnitude), x);
  return magnitude > 1.0f ? large : ck_erff_small(x);
}

static inline float ck_erfcf(float x)
{
  float magnitude = __builtin_fabsf(x);
  float tail = ck_erfcf_large(magnitude < 1.0f ? 1.0f : magnitude);
  float large = x < 0.0f ? 2.0f - tail : tail;
  return magnitude > 1.0f ? large : 1.0f - ck_erff_small(x);
}
