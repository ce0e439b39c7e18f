#include "activation.h"

#include <math.h>

#include "clones.h"
#include "vmath.h"

// Some of the loops call libm and stay as they are.
#pragma clang diagnostic ignored "-Wpass-failed"

#define EACH(expression)                                                                                                   \
  FOR_EACH(i, n)                                                                                                           \
  {                                                                                                                        \
    const REAL v = x[i];                                                                                                   \
    out[i] = (expression);                                                                                                 \
  }                                                                                                                        \
  return

// Klambauer et al., "Self-Normalizing Neural Networks", 2017.
#define SELU_SCALE (REAL)1.0507009873554804934193349852946
#define SELU_SCALED_ALPHA (REAL)1.7580993408473768599402175208123

#define REAL float
CLONES void ck_activate_f32(enum ck_activation activation, float alpha, size_t n, const float *x, float *out)
{
  switch (activation) {
  case ck_activation_none: EACH(v);
  case ck_activation_relu: EACH(0 > v ? 0 : v);
  case ck_activation_relu6: EACH(0 > v ? 0 : 6 < v ? 6 : v);
  case ck_activation_leaky_relu: EACH(v < 0 ? alpha * v : v);
  case ck_activation_elu: EACH(v < 0 ? ck_expm1f(v) : v);
  case ck_activation_selu: EACH(v < 0 ? SELU_SCALED_ALPHA * ck_expm1f(v) : SELU_SCALE * v);
  case ck_activation_sigmoid: EACH(ck_sigmoidf(v));
  case ck_activation_tanh: EACH(ck_tanhf(v));
  case ck_activation_softplus: EACH(v > 20 ? v : log1pf(expf(v)));
  case ck_activation_softsign: EACH(v / (1 + fabsf(v)));
  case ck_activation_swish: EACH(v * ck_sigmoidf(v));
  case ck_activation_gelu: EACH(v * 0.5f * erfcf(v * -0.70710678118654752f));
  }
}
#undef REAL

#define REAL double
void ck_activate_f64(enum ck_activation activation, double alpha, size_t n, const double *x, double *out)
{
  switch (activation) {
  case ck_activation_none: EACH(v);
  case ck_activation_relu: EACH(0 > v ? 0 : v);
  case ck_activation_relu6: EACH(0 > v ? 0 : 6 < v ? 6 : v);
  case ck_activation_leaky_relu: EACH(v < 0 ? alpha * v : v);
  case ck_activation_elu: EACH(v < 0 ? expm1(v) : v);
  case ck_activation_selu: EACH(v < 0 ? SELU_SCALED_ALPHA * expm1(v) : SELU_SCALE * v);
  case ck_activation_sigmoid: EACH(1 / (1 + exp(-v)));
  case ck_activation_tanh: EACH(tanh(v));
  case ck_activation_softplus: EACH(v > 40 ? v : log1p(exp(v)));
  case ck_activation_softsign: EACH(v / (1 + fabs(v)));
  case ck_activation_swish: EACH(v / (1 + exp(-v)));
  case ck_activation_gelu: EACH(v * 0.5 * erfc(v * -0.70710678118654752440));
  }
}
#undef REAL

// Several partial results, so that the loops over a row become vector code without reordering a single sum.
#define PARTS 16

#define SOFTMAX(suffix, REAL, EXP, LOG)                                                                                    \
  CLONES void ck_softmax_##suffix(int logarithm, size_t rows, size_t columns, const REAL *x, REAL *out)                    \
  {                                                                                                                        \
    for (size_t r = 0; r < rows; r++, x += columns, out += columns) {                                                      \
      REAL most[PARTS], sums[PARTS] = {0};                                                                                 \
      for (size_t j = 0; j < PARTS; j++) most[j] = -(REAL)INFINITY;                                                        \
      size_t i = 0;                                                                                                        \
      for (; i + PARTS <= columns; i += PARTS)                                                                             \
        for (size_t j = 0; j < PARTS; j++) most[j] = x[i + j] > most[j] ? x[i + j] : most[j];                              \
      REAL high = most[0];                                                                                                 \
      for (size_t j = 1; j < PARTS; j++) high = most[j] > high ? most[j] : high;                                           \
      for (; i < columns; i++) high = x[i] > high ? x[i] : high;                                                           \
      if (logarithm) {                                                                                                     \
        for (i = 0; i + PARTS <= columns; i += PARTS)                                                                      \
          for (size_t j = 0; j < PARTS; j++) sums[j] += EXP(x[i + j] - high);                                              \
        for (; i < columns; i++) sums[0] += EXP(x[i] - high);                                                              \
      } else {                                                                                                             \
        FOR_EACH(j, columns) out[j] = EXP(x[j] - high);                                                                    \
        for (i = 0; i + PARTS <= columns; i += PARTS)                                                                      \
          for (size_t j = 0; j < PARTS; j++) sums[j] += out[i + j];                                                        \
        for (; i < columns; i++) sums[0] += out[i];                                                                        \
      }                                                                                                                    \
      REAL sum = 0;                                                                                                        \
      for (size_t j = 0; j < PARTS; j++) sum += sums[j];                                                                   \
      if (logarithm) {                                                                                                     \
        const REAL shift = LOG(sum);                                                                                       \
        FOR_EACH(j, columns) out[j] = x[j] - high - shift;                                                                 \
      } else {                                                                                                             \
        for (size_t j = 0; j < columns; j++) out[j] /= sum;                                                                \
      }                                                                                                                    \
    }                                                                                                                      \
  }
SOFTMAX(f32, float, ck_expf, logf)
SOFTMAX(f64, double, exp, log)

#define SCALE(suffix, REAL)                                                                                                \
  CLONES void ck_scale_##suffix(                                                                                           \
      size_t rows, size_t columns, const REAL *x, const REAL *scale, const REAL *offset, REAL low, REAL high, REAL *out)   \
  {                                                                                                                        \
    for (size_t r = 0; r < rows; r++, x += columns, out += columns)                                                        \
      if (scale)                                                                                                           \
        FOR_EACH(c, columns)                                                                                               \
        {                                                                                                                  \
          REAL v = x[c] * scale[c] + offset[c];                                                                            \
          v = low > v ? low : v;                                                                                           \
          out[c] = high < v ? high : v;                                                                                    \
        }                                                                                                                  \
      else                                                                                                                 \
        FOR_EACH(c, columns)                                                                                               \
        {                                                                                                                  \
          REAL v = x[c] + offset[c];                                                                                       \
          v = low > v ? low : v;                                                                                           \
          out[c] = high < v ? high : v;                                                                                    \
        }                                                                                                                  \
  }
SCALE(f32, float)
SCALE(f64, double)
