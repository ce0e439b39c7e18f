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
