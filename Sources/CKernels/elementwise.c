// Element-wise loops for every element type. The bodies are one expression each; macros spread them over the types:
//
//   INTEGERS(name, expression)   the eight integer types
//   FLOATS(name, expression)     float (with vector clones), double, and half and bfloat16 by way of float
//   COMPLEX(name, expression)    complex64 and complex128
//
// and the tables at the end say which op exists for which type. In an expression `a`, `b` and `x` are elements and `T` is
// the type. The transcendental functions of float are polynomials, so that the loops become vector code; double uses libm's.
#include "elementwise.h"
#include "clones.h"
#include "vmath.h"
#include <string.h>
#include <tgmath.h>

// What one body says for every type is idle for some: an unused type name, `b < 0` of an unsigned, a loop of libm calls that
// cannot become vector code.
#pragma clang diagnostic ignored "-Wunused-local-typedef"
#pragma clang diagnostic ignored "-Wtautological-compare"
#pragma clang diagnostic ignored "-Wpass-failed"

#define OVERLOAD static inline __attribute__((overloadable, always_inline))

typedef float _Complex complex64;
typedef double _Complex complex128;

// MARK: half and bfloat16

static inline __attribute__((always_inline)) float from_half(uint16_t h) {
  uint32_t magnitude = (uint32_t)(h & 0x7fff) << 13;
  // Exponent rebased by a multiplication, which is right for subnormals too; infinities and NaNs keep an exponent of ones.
  float scaled = ck_float_of(magnitude) * ck_float_of(239u << 23);
  uint32_t u = ck_bits_of(scaled) | ((h & 0x7c00) == 0x7c00 ? 0x7f800000u : 0) | (uint32_t)(h & 0x8000) << 16;
  return ck_float_of(u);
}

static inline __attribute__((always_inline)) uint16_t to_half(float x) {
  uint32_t u = ck_bits_of(x), sign = u >> 16 & 0x8000, magnitude = u & 0x7fffffff;
  // Normal: rebias the exponent, round half to even by adding just under a half and the last kept bit.
  uint32_t normal = (magnitude - (112u << 23) + 0xfff + (magnitude >> 13 & 1)) >> 13;
  // Subnormal: the addition aligns and rounds.
  uint32_t subnormal = ck_bits_of(ck_float_of(magnitude) + 0.5f) - ck_bits_of(0.5f);
  uint32_t h = magnitude < (113u << 23) ? subnormal : normal;
  h = magnitude >= (143u << 23) ? 0x7c00 : h;
  h = magnitude > 0x7f800000 ? 0x7e00 : h;
  return (uint16_t)(h | sign);
}

static inline __attribute__((always_inline)) float from_bfloat16(uint16_t h) { return ck_float_of((uint32_t)h << 16); }
static inline __attribute__((always_inline)) uint16_t to_bfloat16(float x) {
  uint32_t u = ck_bits_of(x);
  uint32_t rounded = (u + 0x7fff + (u >> 16 & 1)) >> 16;
  return (uint16_t)((u & 0x7fffffff) > 0x7f800000 ? (u >> 16 & 0x8000) | 0x7fc0 : rounded);
}

float ck_float_from_half(uint16_t bits) { return from_half(bits); }
uint16_t ck_half_from_float(float value) { return to_half(value); }
float ck_float_from_bfloat16(uint16_t bits) { return from_bfloat16(bits); }
uint16_t ck_bfloat16_from_float(float value) { return to_bfloat16(value); }

// MARK: Functions by type: vector code for float, libm for the rest

OVERLOAD float sqrt_of(float x) { return __builtin_elementwise_sqrt(x); }
OVERLOAD double sqrt_of(double x) { return __builtin_elementwise_sqrt(x); }
OVERLOAD complex64 sqrt_of(complex64 x) { return csqrtf(x); }
OVERLOAD complex128 sqrt_of(complex128 x) { return csqrt(x); }

OVERLOAD float exp_of(float x) { return ck_expf(x); }
OVERLOAD double exp_of(double x) { return exp(x); }
OVERLOAD complex64 exp_of(complex64 x) { return cexpf(x); }
OVERLOAD complex128 exp_of(complex128 x) { return cexp(x); }

OVERLOAD float log_of(float x) { return ck_logf(x); }
OVERLOAD double log_of(double x) { return log(x); }
OVERLOAD complex64 log_of(complex64 x) { return clogf(x); }
OVERLOAD complex128 log_of(complex128 x) { return clog(x); }

OVERLOAD float tanh_of(float x) { return ck_tanhf(x); }
OVERLOAD double tanh_of(double x) { return tanh(x); }
OVERLOAD complex64 tanh_of(complex64 x) { return ctanhf(x); }
OVERLOAD complex128 tanh_of(complex128 x) { return ctanh(x); }

OVERLOAD float sigmoid_of(float x) { return ck_sigmoidf(x); }
OVERLOAD double sigmoid_of(double x) { return 1.0 / (1.0 + exp(-x)); }
OVERLOAD complex64 sigmoid_of(complex64 x) { return 1.0f / (1.0f + cexpf(-x)); }
OVERLOAD complex128 sigmoid_of(complex128 x) { return 1.0 / (1.0 + cexp(-x)); }

OVERLOAD float erf_of(float x) { return ck_erff(x); }
OVERLOAD double erf_of(double x) { return erf(x); }
OVERLOAD float erfc_of(float x) { return ck_erfcf(x); }
OVERLOAD double erfc_of(double x) { return erfc(x); }

// The inverse of the normal distribution (Cephes ndtri), in double whatever the type.
static double normal_quantile(double y) {
  static const double p0[5] = {-5.99633501014107895267e1, 9.80010754185999661536e1, -5.66762857469070293439e1,
                               1.39312609387279679503e1, -1.23916583867381258016e0};
  static const double q0[8] = {1.95448858338141759834e0, 4.67627912898881538453e0, 8.63602421390890590575e1,
                               -2.25462687854119370527e2, 2.00260212380060660359e2, -8.20372256168333339912e1,
                               1.59056225126211695515e1, -1.18331621121330003142e0};
  static const double p1[9] = {4.05544892305962419923e0, 3.15251094599893866154e1, 5.71628192246421288162e1,
                               4.40805073893200834700e1, 1.46849561928858024014e1, 2.18663306850790267539e0,
                               -1.40256079171354495875e-1, -3.50424626827848203418e-2, -8.57456785154685413611e-4};
  static const double q1[8] = {1.57799883256466749731e1, 4.53907635128879210584e1, 4.13172038254672030440e1,
                               1.50425385692907503408e1, 2.50464946208309415979e0, -1.42182922854787788574e-1,
                               -3.80806407691578277194e-2, -9.33259480895457427372e-4};
  static const double p2[9] = {3.23774891776946035970e0, 6.91522889068984211695e0, 3.93881025292474443415e0,
                               1.33303460815807542389e0, 2.01485389549179081538e-1, 1.23716634817820021358e-2,
                               3.01581553508235416007e-4, 2.65806974686737550832e-6, 6.23974539184983293730e-9};
  static const double q2[8] = {6.02427039364742014255e0, 3.67983563856160859403e0, 1.37702099489081330271e0,
                               2.16236993594496635890e-1, 1.34204006088543189037e-2, 3.28014464682127739104e-4,
                               2.89247864745380683936e-6, 6.79019408009981274425e-9};
  if (y == 0.0) return -__builtin_inf();
  if (y == 1.0) return __builtin_inf();
  if (!(y > 0.0 && y < 1.0)) return __builtin_nan("");
  int negate = 1;
  if (y > 1.0 - 0.13533528323661269189) {
    y = 1.0 - y;
    negate = 0;
  }
  double p, q;
  if (y > 0.13533528323661269189) {
    y -= 0.5;
    double z = y * y;
    p = p0[0];
    for (int i = 1; i < 5; i++) p = p * z + p0[i];
    q = z + q0[0];
    for (int i = 1; i < 8; i++) q = q * z + q0[i];
    return (y + y * (z * p / q)) * 2.50662827463100050242;
  }
  double x = sqrt(-2.0 * log(y)), z = 1.0 / x;
  const double *ps = x < 8.0 ? p1 : p2, *qs = x < 8.0 ? q1 : q2;
  p = ps[0];
  for (int i = 1; i < 9; i++) p = p * z + ps[i];
  q = z + qs[0];
  for (int i = 1; i < 8; i++) q = q * z + qs[i];
  x = x - log(x) / x - z * p / q;
  return negate ? -x : x;
}
static double inverse_erf(double x) {
  return normal_quantile((x + 1.0) * 0.5) * 0.70710678118654752440;
}

// psi(x): the recurrence up to ten, then the asymptotic series.
static double digamma(double x) {
  double shift = 0.0;
  if (x == -__builtin_inf()) return __builtin_nan("");
  if (x <= 0.0) {
    if (x == floor(x)) return __builtin_nan("");
    shift = -M_PI / tan(M_PI * (x - floor(x)));
    x = 1.0 - x;
  }
  double sum = 0.0;
  while (x < 10.0) sum += 1.0 / x, x += 1.0;
  double z = 1.0 / (x * x);
  double series = z * (1.0 / 12 - z * (1.0 / 120 - z * (1.0 / 252 - z * (1.0 / 240 - z * (1.0 / 132 - z * (691.0 / 32760 - z / 12))))));
  return log(x) - 0.5 / x - series - sum + shift;
}
// lgamma(3) writes a global sign; this one does not.
extern double lgamma_r(double, int *);
static double log_gamma(double x) {
  int sign;
  return lgamma_r(x, &sign);
}

OVERLOAD int is_zero(complex64 x) { return crealf(x) == 0 && cimagf(x) == 0; }
OVERLOAD int is_zero(complex128 x) { return creal(x) == 0 && cimag(x) == 0; }
OVERLOAD complex64 sign_of(complex64 x) { return is_zero(x) ? 0 : x / cabsf(x); }
OVERLOAD complex128 sign_of(complex128 x) { return is_zero(x) ? 0 : x / cabs(x); }
OVERLOAD float floor_mod_of(float a, float b) {
  float m = fmodf(a, b);
  return m != 0 && (b < 0) != (m < 0) ? m + b : m;
}
OVERLOAD double floor_mod_of(double a, double b) {
  double m = fmod(a, b);
  return m != 0 && (b < 0) != (m < 0) ? m + b : m;
}

// MARK: Loops

#define LOOP2(A, B, R, LA, LB, STORE, expression)                                                              \
  {                                                                                                            \
    const A *as = a_;                                                                                          \
    const B *bs = b_;                                                                                          \
    R *out = out_;                                                                                             \
    if (a_step && b_step) {                                                                                    \
      FOR_EACH(i, n) { __auto_type a = LA(as[i]); __auto_type b = LB(bs[i]); out[i] = STORE(expression); }        \
    } else if (a_step) {                                                                                       \
      __auto_type b = LB(*bs);                                                                                 \
      FOR_EACH(i, n) { __auto_type a = LA(as[i]); out[i] = STORE(expression); }                                   \
    } else {                                                                                                   \
      __auto_type a = LA(*as);                                                                                 \
      FOR_EACH(i, n) { __auto_type b = LB(bs[i]); out[i] = STORE(expression); }                                   \
    }                                                                                                          \
    return 0;                                                                                                  \
  }
#define BINARY_ARGUMENTS (size_t n, const void *a_, int a_step, const void *b_, int b_step, void *out_)
#define PLAIN(x) (x)

#define BINARY(name, A, R, expression) \
  static int name BINARY_ARGUMENTS { typedef A T; typedef R RESULT; LOOP2(A, A, R, PLAIN, PLAIN, (RESULT), expression) }
#define BINARY_CLONED(name, A, R, expression) \
  CLONES static int name BINARY_ARGUMENTS { typedef A T; LOOP2(A, A, R, PLAIN, PLAIN, (R), expression) }
#define BINARY_BY_FLOAT(name, load, R, store, expression) \
  static int name BINARY_ARGUMENTS { typedef float T; LOOP2(uint16_t, uint16_t, R, load, load, store, expression) }

#define INTEGERS(name, expression)                       \
  BINARY(name##_i8, int8_t, int8_t, expression)          \
  BINARY(name##_i16, int16_t, int16_t, expression)       \
  BINARY_CLONED(name##_i32, int32_t, int32_t, expression) \
  BINARY_CLONED(name##_i64, int64_t, int64_t, expression) \
  BINARY(name##_u8, uint8_t, uint8_t, expression)        \
  BINARY(name##_u16, uint16_t, uint16_t, expression)     \
  BINARY(name##_u32, uint32_t, uint32_t, expression)     \
  BINARY(name##_u64, uint64_t, uint64_t, expression)
#define FLOATS(name, expression)                                              \
  BINARY_CLONED(name##_f32, float, float, expression)                         \
  BINARY(name##_f64, double, double, expression)                              \
  BINARY_BY_FLOAT(name##_f16, from_half, uint16_t, to_half, expression)       \
  BINARY_BY_FLOAT(name##_bf16, from_bfloat16, uint16_t, to_bfloat16, expression)
#define COMPLEX(name, expression)                     \
  BINARY(name##_c64, complex64, complex64, expression) \
  BINARY(name##_c128, complex128, complex128, expression)
#define COMPARISONS(name, expression)                       \
  BINARY(name##_i8, int8_t, uint8_t, expression)            \
  BINARY(name##_i16, int16_t, uint8_t, expression)          \
  BINARY_CLONED(name##_i32, int32_t, uint8_t, expression)   \
  BINARY_CLONED(name##_i64, int64_t, uint8_t, expression)   \
  BINARY(name##_u8, uint8_t, uint8_t, expression)           \
  BINARY(name##_u16, uint16_t, uint8_t, expression)         \
  BINARY(name##_u32, uint32_t, uint8_t, expression)         \
  BINARY(name##_u64, uint64_t, uint8_t, expression)         \
  BINARY_CLONED(name##_f32, float, uint8_t, expression)     \
  BINARY(name##_f64, double, uint8_t, expression)           \
  BINARY_BY_FLOAT(name##_f16, from_half, uint8_t, (uint8_t), expression) \
  BINARY_BY_FLOAT(name##_bf16, from_bfloat16, uint8_t, (uint8_t), expression)

// Integers whose answer may not exist: `failed` is set and the element reads 0.
#define PARTIAL(name, A, U, expression)                                                       \
  static int name BINARY_ARGUMENTS {                                                          \
    typedef A T;                                                                              \
    typedef U UT;                                                                             \
    const A *as = a_, *bs = b_;                                                               \
    A *out = out_;                                                                            \
    int failed = 0;                                                                           \
    for (size_t i = 0; i < n; i++) {                                                          \
      A a = as[a_step ? i : 0], b = bs[b_step ? i : 0];                                       \
      out[i] = expression;                                                                    \
    }                                                                                         \
    return failed;                                                                            \
  }
// The scalar side is read before the loop writes over it: the output never lies on an input of step 0.
#define PARTIAL_INTEGERS(name, signed_expression, unsigned_expression) \
  PARTIAL(name##_i8, int8_t, uint8_t, signed_expression)               \
  PARTIAL(name##_i16, int16_t, uint16_t, signed_expression)            \
  PARTIAL(name##_i32, int32_t, uint32_t, signed_expression)            \
  PARTIAL(name##_i64, int64_t, uint64_t, signed_expression)            \
  PARTIAL(name##_u8, uint8_t, uint8_t, unsigned_expression)            \
  PARTIAL(name##_u16, uint16_t, uint16_t, unsigned_expression)         \
  PARTIAL(name##_u32, uint32_t, uint32_t, unsigned_expression)         \
  PARTIAL(name##_u64, uint64_t, uint64_t, unsigned_expression)

// Integers wrap: signed arithmetic is done in the 64-bit unsigned type and cut.
INTEGERS(add, (T)((uint64_t)a + (uint64_t)b))
FLOATS(add, a + b)
COMPLEX(add, a + b)
INTEGERS(sub, (T)((uint64_t)a - (uint64_t)b))
FLOATS(sub, a - b)
COMPLEX(sub, a - b)
INTEGERS(mul, (T)((uint64_t)a *(uint64_t)b))
FLOATS(mul, a *b)
COMPLEX(mul, a *b)
FLOATS(div, a / b)
COMPLEX(div, a / b)
// The least integer divided by -1 does not fit: it wraps, as multiplication does.
PARTIAL_INTEGERS(truncate_div, b == 0 ? (failed = 1, 0) : b == -1 ? (T)(0 - (UT)a) : (T)(a / b), b == 0 ? (failed = 1, 0) : a / b)
FLOATS(truncate_div, __builtin_elementwise_trunc(a / b))
PARTIAL_INTEGERS(
  floor_div, b == 0 ? (failed = 1, 0) : b == -1 ? (T)(0 - (UT)a) : (T)(a / b - (a % b != 0 && (a < 0) != (b < 0))),
  b == 0 ? (failed = 1, 0) : a / b)
FLOATS(floor_div, __builtin_elementwise_floor(a / b))
PARTIAL_INTEGERS(truncate_mod, b == 0 ? (failed = 1, 0) : b == -1 ? 0 : (T)(a % b), b == 0 ? (failed = 1, 0) : a % b)
FLOATS(truncate_mod, fmod(a, b))
PARTIAL_INTEGERS(
  floor_mod, b == 0 ? (failed = 1, 0) : b == -1 ? 0 : (T)(a % b + (a % b != 0 && (a < 0) != (b < 0) ? b : 0)),
  b == 0 ? (failed = 1, 0) : a % b)
FLOATS(floor_mod, floor_mod_of(a, b))

static inline uint64_t integer_power(uint64_t base, uint64_t exponent) {
  uint64_t result = 1;
  for (; exponent; exponent >>= 1, base *= base) if (exponent & 1) result *= base;
  return result;
}
PARTIAL_INTEGERS(pow, b < 0 ? (failed = 1, 0) : (T)integer_power((uint64_t)a, (uint64_t)b), (T)integer_power(a, b))
FLOATS(pow, pow(a, b))
COMPLEX(pow, is_zero(b) ? 1 : is_zero(a) ? 0 : pow(a, b))

INTEGERS(maximum, a > b ? a : b)
FLOATS(maximum, a > b || a != a ? a : b)
INTEGERS(minimum, a < b ? a : b)
FLOATS(minimum, a < b || a != a ? a : b)
INTEGERS(squared_difference, (T)(((uint64_t)a - (uint64_t)b) * ((uint64_t)a - (uint64_t)b)))
FLOATS(squared_difference, (a - b) * (a - b))
COMPLEX(squared_difference, (a - b) * conj(a - b))
FLOATS(mul_no_nan, b == 0 ? 0 : a * b)
COMPLEX(mul_no_nan, is_zero(b) ? 0 : a * b)
FLOATS(div_no_nan, b == 0 ? 0 : a / b)
COMPLEX(div_no_nan, is_zero(b) ? 0 : a / b)
FLOATS(xdivy, a == 0 ? 0 : a / b)
COMPLEX(xdivy, is_zero(a) ? 0 : a / b)
FLOATS(xlogy, a == 0 ? 0 : a * log_of(b))
COMPLEX(xlogy, is_zero(a) ? 0 : a * log_of(b))
FLOATS(xlog1py, a == 0 ? 0 : a * log1p(b))
FLOATS(atan2, atan2(a, b))
BINARY(next_after_f32, float, float, nextafterf(a, b))
BINARY(next_after_f64, double, double, nextafter(a, b))

INTEGERS(bitwise_and, a &b)
INTEGERS(bitwise_or, a | b)
INTEGERS(bitwise_xor, a ^ b)
// Shift counts are held within the type's width, as TensorFlow does.
#define SHIFT(b) (b < 0 ? 0 : b > (T)(sizeof(T) * 8 - 1) ? (T)(sizeof(T) * 8 - 1) : b)
INTEGERS(left_shift, (T)((uint64_t)a << SHIFT(b)))
INTEGERS(right_shift, a >> SHIFT(b))
BINARY(logical_and_bool, uint8_t, uint8_t, a && b)
BINARY(logical_or_bool, uint8_t, uint8_t, a || b)

COMPARISONS(equal, a == b)
COMPARISONS(not_equal, a != b)
COMPARISONS(less, a < b)
COMPARISONS(less_equal, a <= b)
COMPARISONS(greater, a > b)
COMPARISONS(greater_equal, a >= b)
BINARY(equal_bool, uint8_t, uint8_t, !a == !b)
BINARY(not_equal_bool, uint8_t, uint8_t, !a != !b)
BINARY(equal_c64, complex64, uint8_t, a == b)
BINARY(equal_c128, complex128, uint8_t, a == b)
BINARY(not_equal_c64, complex64, uint8_t, a != b)
BINARY(not_equal_c128, complex128, uint8_t, a != b)

// MARK: One input

#define LOOP1(X, R, LOAD, STORE, expression)                                          \
  {                                                                                   \
    const X *xs = x_;                                                                 \
    R *out = out_;                                                                    \
    FOR_EACH(i, n) { __auto_type x = LOAD(xs[i]); out[i] = STORE(expression); }          \
  }
#define UNARY_ARGUMENTS (size_t n, const void *x_, void *out_)
#define UNARY(name, X, R, expression) static void name UNARY_ARGUMENTS { typedef X T; LOOP1(X, R, PLAIN, (R), expression) }
#define UNARY_CLONED(name, X, R, expression) \
  CLONES static void name UNARY_ARGUMENTS { typedef X T; LOOP1(X, R, PLAIN, (R), expression) }
#define UNARY_BY_FLOAT(name, load, R, store, expression) \
  static void name UNARY_ARGUMENTS { typedef float T; LOOP1(uint16_t, R, load, store, expression) }

#define UNARY_INTEGERS(name, expression)          \
  UNARY(name##_i8, int8_t, int8_t, expression)    \
  UNARY(name##_i16, int16_t, int16_t, expression) \
  UNARY(name##_i32, int32_t, int32_t, expression) \
  UNARY(name##_i64, int64_t, int64_t, expression) \
  UNARY(name##_u8, uint8_t, uint8_t, expression)  \
  UNARY(name##_u16, uint16_t, uint16_t, expression) \
  UNARY(name##_u32, uint32_t, uint32_t, expression) \
  UNARY(name##_u64, uint64_t, uint64_t, expression)
#define UNARY_FLOATS(name, expression)                                      \
  UNARY_CLONED(name##_f32, float, float, expression)                        \
  UNARY(name##_f64, double, double, expression)                             \
  UNARY_BY_FLOAT(name##_f16, from_half, uint16_t, to_half, expression)      \
  UNARY_BY_FLOAT(name##_bf16, from_bfloat16, uint16_t, to_bfloat16, expression)
#define UNARY_COMPLEX(name, expression)              \
  UNARY(name##_c64, complex64, complex64, expression) \
  UNARY(name##_c128, complex128, complex128, expression)
#define TESTS(name, expression)                                          \
  UNARY_CLONED(name##_f32, float, uint8_t, expression)                   \
  UNARY(name##_f64, double, uint8_t, expression)                         \
  UNARY_BY_FLOAT(name##_f16, from_half, uint8_t, (uint8_t), expression)  \
  UNARY_BY_FLOAT(name##_bf16, from_bfloat16, uint8_t, (uint8_t), expression)

UNARY_INTEGERS(neg, (T)(0 - (uint64_t)x))
UNARY_FLOATS(neg, -x)
UNARY_COMPLEX(neg, -x)
UNARY_INTEGERS(abs, x < 0 ? (T)(0 - (uint64_t)x) : x)
UNARY_FLOATS(abs, __builtin_elementwise_abs(x))
UNARY_INTEGERS(sign, (T)((x > 0) - (x < 0)))
UNARY_FLOATS(sign, x > 0 ? 1 : x < 0 ? -1 : x)
UNARY_COMPLEX(sign, sign_of(x))
UNARY_INTEGERS(square, (T)((uint64_t)x *(uint64_t)x))
UNARY_FLOATS(square, x *x)
UNARY_COMPLEX(square, x *x)
UNARY_FLOATS(sqrt, sqrt_of(x))
UNARY_COMPLEX(sqrt, sqrt_of(x))
UNARY_FLOATS(rsqrt, 1 / sqrt_of(x))
UNARY_COMPLEX(rsqrt, 1 / sqrt_of(x))
UNARY_INTEGERS(reciprocal, x == 0 ? 0 : (T)(1 / x))
UNARY_FLOATS(reciprocal, 1 / x)
UNARY_COMPLEX(reciprocal, 1 / x)
UNARY_FLOATS(exp, exp_of(x))
UNARY_COMPLEX(exp, exp_of(x))
UNARY_FLOATS(expm1, expm1(x))
UNARY_COMPLEX(expm1, exp_of(x) - 1)
UNARY_FLOATS(log, log_of(x))
UNARY_COMPLEX(log, log_of(x))
UNARY_FLOATS(log1p, log1p(x))
UNARY_COMPLEX(log1p, log_of(x + 1))
UNARY_FLOATS(sin, sin(x))
UNARY_COMPLEX(sin, sin(x))
UNARY_FLOATS(cos, cos(x))
UNARY_COMPLEX(cos, cos(x))
UNARY_FLOATS(tan, tan(x))
UNARY_COMPLEX(tan, tan(x))
UNARY_FLOATS(asin, asin(x))
UNARY_COMPLEX(asin, asin(x))
UNARY_FLOATS(acos, acos(x))
UNARY_COMPLEX(acos, acos(x))
UNARY_FLOATS(atan, atan(x))
UNARY_COMPLEX(atan, atan(x))
UNARY_FLOATS(sinh, sinh(x))
UNARY_COMPLEX(sinh, sinh(x))
UNARY_FLOATS(cosh, cosh(x))
UNARY_COMPLEX(cosh, cosh(x))
UNARY_FLOATS(tanh, tanh_of(x))
UNARY_COMPLEX(tanh, tanh_of(x))
UNARY_FLOATS(asinh, asinh(x))
UNARY_COMPLEX(asinh, asinh(x))
UNARY_FLOATS(acosh, acosh(x))
UNARY_COMPLEX(acosh, acosh(x))
UNARY_FLOATS(atanh, atanh(x))
UNARY_COMPLEX(atanh, atanh(x))
UNARY_FLOATS(sigmoid, sigmoid_of(x))
UNARY_COMPLEX(sigmoid, sigmoid_of(x))
UNARY_FLOATS(erf, erf_of(x))
UNARY_FLOATS(erfc, erfc_of(x))
UNARY_FLOATS(erfinv, (T)inverse_erf(x))
UNARY_FLOATS(ndtri, (T)normal_quantile(x))
UNARY_FLOATS(lgamma, (T)log_gamma(x))
UNARY_FLOATS(digamma, (T)digamma(x))
UNARY_FLOATS(floor, __builtin_elementwise_floor(x))
UNARY_FLOATS(ceil, __builtin_elementwise_ceil(x))
UNARY_FLOATS(rint, __builtin_elementwise_roundeven(x))
UNARY_INTEGERS(invert, (T)~x)
UNARY(logical_not_bool, uint8_t, uint8_t, !x)
UNARY(conj_c64, complex64, complex64, conjf(x))
UNARY(conj_c128, complex128, complex128, conj(x))
TESTS(is_nan, x != x)
TESTS(is_inf, __builtin_elementwise_abs(x) == (T)__builtin_inf())
TESTS(is_finite, __builtin_elementwise_abs(x) < (T)__builtin_inf())

// MARK: Reductions
// Sixteen running results, joined at the end: vector code that keeps the order of additions on every machine.

#define LANES 16
#define REDUCE_LOOP(A, R, start, step_)                                     \
  {                                                                         \
    const A *xs = x_;                                                       \
    A lanes[LANES];                                                         \
    size_t i = 0;                                                           \
    for (int j = 0; j < LANES; j++) lanes[j] = start;                       \
    for (; i + LANES <= n; i += LANES)                                      \
      for (int j = 0; j < LANES; j++) {                                     \
        A a = lanes[j], b = xs[i + j];                                      \
        lanes[j] = step_;                                                   \
      }                                                                     \
    for (int j = 0; i < n; i++, j++) {                                      \
      A a = lanes[j], b = xs[i];                                            \
      lanes[j] = step_;                                                     \
    }                                                                       \
    for (int width = LANES / 2; width > 0; width /= 2)                      \
      for (int j = 0; j < width; j++) {                                     \
        A a = lanes[j], b = lanes[j + width];                               \
        lanes[j] = step_;                                                   \
      }                                                                     \
    *(R *)out_ = lanes[0];                                                  \
  }
#define REDUCTION(name, A, start, step_) \
  static void name UNARY_ARGUMENTS { typedef A T; REDUCE_LOOP(A, A, start, step_) }
#define REDUCTION_CLONED(name, A, start, step_) \
  CLONES static void name UNARY_ARGUMENTS { typedef A T; REDUCE_LOOP(A, A, start, step_) }
#define REDUCE_INTEGERS(name, start, step_)    \
  REDUCTION(name##_i8, int8_t, start, step_)   \
  REDUCTION(name##_i16, int16_t, start, step_) \
  REDUCTION_CLONED(name##_i32, int32_t, start, step_) \
  REDUCTION_CLONED(name##_i64, int64_t, start, step_) \
  REDUCTION(name##_u8, uint8_t, start, step_)  \
  REDUCTION(name##_u16, uint16_t, start, step_) \
  REDUCTION(name##_u32, uint32_t, start, step_) \
  REDUCTION(name##_u64, uint64_t, start, step_)
#define REDUCE_FLOATS(name, start, step_)          \
  REDUCTION_CLONED(name##_f32, float, start, step_) \
  REDUCTION(name##_f64, double, start, step_)
#define REDUCE_COMPLEX(name, start, step_)         \
  REDUCTION(name##_c64, complex64, start, step_)   \
  REDUCTION(name##_c128, complex128, start, step_)

REDUCE_INTEGERS(reduce_sum, 0, (T)((uint64_t)a + (uint64_t)b))
REDUCE_FLOATS(reduce_sum, 0, a + b)
REDUCE_COMPLEX(reduce_sum, 0, a + b)
REDUCE_INTEGERS(reduce_prod, 1, (T)((uint64_t)a *(uint64_t)b))
REDUCE_FLOATS(reduce_prod, 1, a *b)
REDUCE_COMPLEX(reduce_prod, 1, a *b)
REDUCE_INTEGERS(reduce_max, xs[0], a > b ? a : b)
REDUCE_FLOATS(reduce_max, xs[0], a > b || a != a ? a : b)
REDUCE_INTEGERS(reduce_min, xs[0], a < b ? a : b)
REDUCE_FLOATS(reduce_min, xs[0], a < b || a != a ? a : b)

// MARK: Casts
// A float beyond an integer type's range has no defined value in C; by way of the wider integer it wraps, as on x86.

#define TO_i8(x) (int8_t)(int32_t)(x)
#define TO_u8(x) (uint8_t)(int32_t)(x)
#define TO_i16(x) (int16_t)(int32_t)(x)
#define TO_u16(x) (uint16_t)(int32_t)(x)
#define TO_i32(x) (int32_t)(x)
#define TO_u32(x) (uint32_t)(int64_t)(x)
#define TO_i64(x) (int64_t)(x)
#define TO_u64(x) (uint64_t)(x)
#define TO_bool(x) (uint8_t)((x) != 0)
#define TO_f32(x) (float)(x)
#define TO_f64(x) (double)(x)
#define TO_f16(x) to_half((float)(x))
#define TO_bf16(x) to_bfloat16((float)(x))
#define TO_c64(x) (complex64)(x)
#define TO_c128(x) (complex128)(x)

#define CAST(from, to, X, R, LOAD) \
  static void cast_##from##_##to UNARY_ARGUMENTS { LOOP1(X, R, LOAD, TO_##to, x) }
#define CASTS_TO_REAL(from, X, LOAD)  \
  CAST(from, i8, X, int8_t, LOAD)     \
  CAST(from, i16, X, int16_t, LOAD)   \
  CAST(from, i32, X, int32_t, LOAD)   \
  CAST(from, i64, X, int64_t, LOAD)   \
  CAST(from, u8, X, uint8_t, LOAD)    \
  CAST(from, u16, X, uint16_t, LOAD)  \
  CAST(from, u32, X, uint32_t, LOAD)  \
  CAST(from, u64, X, uint64_t, LOAD)  \
  CAST(from, f32, X, float, LOAD)     \
  CAST(from, f64, X, double, LOAD)    \
  CAST(from, f16, X, uint16_t, LOAD)  \
  CAST(from, bf16, X, uint16_t, LOAD)
#define CASTS(from, X, LOAD, REAL)    \
  CASTS_TO_REAL(from, X, REAL)        \
  CAST(from, bool, X, uint8_t, LOAD)  \
  CAST(from, c64, X, complex64, LOAD) \
  CAST(from, c128, X, complex128, LOAD)
#define TRUTH(x) (uint8_t)((x) != 0)

CASTS(i8, int8_t, PLAIN, PLAIN)
CASTS(i16, int16_t, PLAIN, PLAIN)
CASTS(i32, int32_t, PLAIN, PLAIN)
CASTS(i64, int64_t, PLAIN, PLAIN)
CASTS(u8, uint8_t, PLAIN, PLAIN)
CASTS(u16, uint16_t, PLAIN, PLAIN)
CASTS(u32, uint32_t, PLAIN, PLAIN)
CASTS(u64, uint64_t, PLAIN, PLAIN)
CASTS(bool, uint8_t, TRUTH, TRUTH)
CASTS(f32, float, PLAIN, PLAIN)
CASTS(f64, double, PLAIN, PLAIN)
CASTS(f16, uint16_t, from_half, from_half)
CASTS(bf16, uint16_t, from_bfloat16, from_bfloat16)
CASTS(c64, complex64, PLAIN, crealf)
CASTS(c128, complex128, PLAIN, creal)

// MARK: Tables, by tensorflow.DataType

enum { F32 = 1, F64 = 2, I32 = 3, U8 = 4, I16 = 5, I8 = 6, C64 = 8, I64 = 9, BOOL = 10, BF16 = 14, U16 = 17, C128 = 18, F16 = 19, U32 = 22, U64 = 23 };
enum { TYPES = 24 };

#define OF_INTEGERS(name)                                                                      \
  [I8] = name##_i8, [I16] = name##_i16, [I32] = name##_i32, [I64] = name##_i64, [U8] = name##_u8, \
  [U16] = name##_u16, [U32] = name##_u32, [U64] = name##_u64
#define OF_FLOATS(name) [F32] = name##_f32, [F64] = name##_f64, [F16] = name##_f16, [BF16] = name##_bf16
#define OF_COMPLEX(name) [C64] = name##_c64, [C128] = name##_c128
#define OF_REALS(name) OF_INTEGERS(name), OF_FLOATS(name)
#define OF_NUMBERS(name) OF_REALS(name), OF_COMPLEX(name)

static const ck_binary binary_loops[CK_BINARY_COUNT][TYPES] = {
  [CK_ADD] = {OF_NUMBERS(add)},
  [CK_SUB] = {OF_NUMBERS(sub)},
  [CK_MUL] = {OF_NUMBERS(mul)},
  [CK_DIV] = {OF_INTEGERS(truncate_div), OF_FLOATS(div), OF_COMPLEX(div)},
  [CK_TRUNCATE_DIV] = {OF_REALS(truncate_div)},
  [CK_FLOOR_DIV] = {OF_REALS(floor_div)},
  [CK_TRUNCATE_MOD] = {OF_REALS(truncate_mod)},
  [CK_FLOOR_MOD] = {OF_REALS(floor_mod)},
  [CK_POW] = {OF_NUMBERS(pow)},
  [CK_MAXIMUM] = {OF_REALS(maximum)},
  [CK_MINIMUM] = {OF_REALS(minimum)},
  [CK_SQUARED_DIFFERENCE] = {OF_NUMBERS(squared_difference)},
  [CK_MUL_NO_NAN] = {OF_FLOATS(mul_no_nan), OF_COMPLEX(mul_no_nan)},
  [CK_DIV_NO_NAN] = {OF_FLOATS(div_no_nan), OF_COMPLEX(div_no_nan)},
  [CK_XDIVY] = {OF_FLOATS(xdivy), OF_COMPLEX(xdivy)},
  [CK_XLOGY] = {OF_FLOATS(xlogy), OF_COMPLEX(xlogy)},
  [CK_XLOG1PY] = {OF_FLOATS(xlog1py)},
  [CK_ATAN2] = {OF_FLOATS(atan2)},
  [CK_NEXT_AFTER] = {[F32] = next_after_f32, [F64] = next_after_f64},
  [CK_BITWISE_AND] = {OF_INTEGERS(bitwise_and)},
  [CK_BITWISE_OR] = {OF_INTEGERS(bitwise_or)},
  [CK_BITWISE_XOR] = {OF_INTEGERS(bitwise_xor)},
  [CK_LEFT_SHIFT] = {OF_INTEGERS(left_shift)},
  [CK_RIGHT_SHIFT] = {OF_INTEGERS(right_shift)},
  [CK_LOGICAL_AND] = {[BOOL] = logical_and_bool},
  [CK_LOGICAL_OR] = {[BOOL] = logical_or_bool},
  [CK_EQUAL] = {OF_NUMBERS(equal), [BOOL] = equal_bool},
  [CK_NOT_EQUAL] = {OF_NUMBERS(not_equal), [BOOL] = not_equal_bool},
  [CK_LESS] = {OF_REALS(less)},
  [CK_LESS_EQUAL] = {OF_REALS(less_equal)},
  [CK_GREATER] = {OF_REALS(greater)},
  [CK_GREATER_EQUAL] = {OF_REALS(greater_equal)},
};

static const ck_unary unary_loops[CK_UNARY_COUNT][TYPES] = {
  [CK_NEG] = {OF_NUMBERS(neg)},
  [CK_ABS] = {OF_REALS(abs)},
  [CK_SIGN] = {OF_NUMBERS(sign)},
  [CK_SQUARE] = {OF_NUMBERS(square)},
  [CK_SQRT] = {OF_FLOATS(sqrt), OF_COMPLEX(sqrt)},
  [CK_RSQRT] = {OF_FLOATS(rsqrt), OF_COMPLEX(rsqrt)},
  [CK_RECIPROCAL] = {OF_NUMBERS(reciprocal)},
  [CK_EXP] = {OF_FLOATS(exp), OF_COMPLEX(exp)},
  [CK_EXPM1] = {OF_FLOATS(expm1), OF_COMPLEX(expm1)},
  [CK_LOG] = {OF_FLOATS(log), OF_COMPLEX(log)},
  [CK_LOG1P] = {OF_FLOATS(log1p), OF_COMPLEX(log1p)},
  [CK_SIN] = {OF_FLOATS(sin), OF_COMPLEX(sin)},
  [CK_COS] = {OF_FLOATS(cos), OF_COMPLEX(cos)},
  [CK_TAN] = {OF_FLOATS(tan), OF_COMPLEX(tan)},
  [CK_ASIN] = {OF_FLOATS(asin), OF_COMPLEX(asin)},
  [CK_ACOS] = {OF_FLOATS(acos), OF_COMPLEX(acos)},
  [CK_ATAN] = {OF_FLOATS(atan), OF_COMPLEX(atan)},
  [CK_SINH] = {OF_FLOATS(sinh), OF_COMPLEX(sinh)},
  [CK_COSH] = {OF_FLOATS(cosh), OF_COMPLEX(cosh)},
  [CK_TANH] = {OF_FLOATS(tanh), OF_COMPLEX(tanh)},
  [CK_ASINH] = {OF_FLOATS(asinh), OF_COMPLEX(asinh)},
  [CK_ACOSH] = {OF_FLOATS(acosh), OF_COMPLEX(acosh)},
  [CK_ATANH] = {OF_FLOATS(atanh), OF_COMPLEX(atanh)},
  [CK_SIGMOID] = {OF_FLOATS(sigmoid), OF_COMPLEX(sigmoid)},
  [CK_ERF] = {OF_FLOATS(erf)},
  [CK_ERFC] = {OF_FLOATS(erfc)},
  [CK_ERFINV] = {OF_FLOATS(erfinv)},
  [CK_NDTRI] = {OF_FLOATS(ndtri)},
  [CK_LGAMMA] = {OF_FLOATS(lgamma)},
  [CK_DIGAMMA] = {OF_FLOATS(digamma)},
  [CK_FLOOR] = {OF_FLOATS(floor)},
  [CK_CEIL] = {OF_FLOATS(ceil)},
  [CK_RINT] = {OF_FLOATS(rint)},
  [CK_INVERT] = {OF_INTEGERS(invert)},
  [CK_LOGICAL_NOT] = {[BOOL] = logical_not_bool},
  [CK_CONJ] = {OF_COMPLEX(conj)},
  [CK_IS_NAN] = {OF_FLOATS(is_nan)},
  [CK_IS_INF] = {OF_FLOATS(is_inf)},
  [CK_IS_FINITE] = {OF_FLOATS(is_finite)},
};

#define REDUCED(name) OF_INTEGERS(name), [F32] = name##_f32, [F64] = name##_f64
static const ck_reduce reduce_loops[CK_REDUCE_COUNT][TYPES] = {
  [CK_REDUCE_SUM] = {REDUCED(reduce_sum), OF_COMPLEX(reduce_sum)},
  [CK_REDUCE_PROD] = {REDUCED(reduce_prod), OF_COMPLEX(reduce_prod)},
  [CK_REDUCE_MAX] = {REDUCED(reduce_max)},
  [CK_REDUCE_MIN] = {REDUCED(reduce_min)},
};

#define CASTS_OF(name) {OF_NUMBERS(cast_##name), [BOOL] = cast_##name##_bool}
static const ck_unary cast_loops[TYPES][TYPES] = {
  [I8] = CASTS_OF(i8), [I16] = CASTS_OF(i16), [I32] = CASTS_OF(i32), [I64] = CASTS_OF(i64),
  [U8] = CASTS_OF(u8), [U16] = CASTS_OF(u16), [U32] = CASTS_OF(u32), [U64] = CASTS_OF(u64),
  [F32] = CASTS_OF(f32), [F64] = CASTS_OF(f64), [F16] = CASTS_OF(f16), [BF16] = CASTS_OF(bf16),
  [C64] = CASTS_OF(c64), [C128] = CASTS_OF(c128), [BOOL] = CASTS_OF(bool),
};

ck_binary ck_binary_loop(ck_binary_op op, unsigned dtype) {
  return op < CK_BINARY_COUNT && dtype < TYPES ? binary_loops[op][dtype] : 0;
}
ck_unary ck_unary_loop(ck_unary_op op, unsigned dtype) {
  return op < CK_UNARY_COUNT && dtype < TYPES ? unary_loops[op][dtype] : 0;
}
ck_reduce ck_reduce_loop(ck_reduce_op op, unsigned dtype) {
  return op < CK_REDUCE_COUNT && dtype < TYPES ? reduce_loops[op][dtype] : 0;
}
ck_unary ck_cast_loop(unsigned from, unsigned to) { return from < TYPES && to < TYPES ? cast_loops[from][to] : 0; }

// MARK: Moves, by element size

typedef struct { uint64_t words[2]; } element16;
#define BY_SIZE(size, F)                 \
  switch (size) {                        \
  case 1: F(uint8_t) break;              \
  case 2: F(uint16_t) break;             \
  case 4: F(uint32_t) break;             \
  case 8: F(uint64_t) break;             \
  case 16: F(element16) break;           \
  }

void ck_select(
  size_t n, size_t size, const uint8_t *c, int c_step, const void *a_, int a_step, const void *b_, int b_step, void *out_) {
  if (!c_step) {
    // One condition for the whole run: a copy or a fill.
    const void *from = *c ? a_ : b_;
    if (*c ? a_step : b_step) memmove(out_, from, n * size);
    else ck_fill(n, size, from, out_);
    return;
  }
#define SELECT(T)                                                                            \
  {                                                                                          \
    const T *a = a_, *b = b_;                                                                \
    T *out = out_;                                                                           \
    if (a_step && b_step) FOR_EACH(i, n) out[i] = c[i] ? a[i] : b[i];                            \
    else if (a_step) { T t = *b; FOR_EACH(i, n) out[i] = c[i] ? a[i] : t; }                      \
    else if (b_step) { T t = *a; FOR_EACH(i, n) out[i] = c[i] ? t : b[i]; }                      \
    else { T t = *a, u = *b; FOR_EACH(i, n) out[i] = c[i] ? t : u; }                             \
  }
  BY_SIZE(size, SELECT)
}

void ck_fill(size_t n, size_t size, const void *element, void *out_) {
#define FILL(T)                              \
  {                                          \
    T value = *(const T *)element, *out = out_; \
    for (size_t i = 0; i < n; i++) out[i] = value; \
  }
  BY_SIZE(size, FILL)
}

void ck_gather_strided(size_t n, size_t size, const void *x_, ptrdiff_t stride, void *out_) {
#define GATHER(T)                                                             \
  {                                                                           \
    const T *x = x_;                                                          \
    T *out = out_;                                                            \
    for (size_t i = 0; i < n; i++) out[i] = x[(ptrdiff_t)i * stride];         \
  }
  BY_SIZE(size, GATHER)
}

void ck_transpose(
  size_t rows, size_t columns, size_t size, const void *x_, size_t x_stride, void *out_, size_t out_stride) {
  // Tiles of 16 x 16: what is read and what is written both stay in the first cache.
#define TRANSPOSE(T)                                                                                       \
  {                                                                                                        \
    const T *x = x_;                                                                                       \
    T *out = out_;                                                                                         \
    for (size_t r0 = 0; r0 < rows; r0 += 16)                                                               \
      for (size_t c0 = 0; c0 < columns; c0 += 16) {                                                        \
        size_t r1 = r0 + 16 < rows ? r0 + 16 : rows, c1 = c0 + 16 < columns ? c0 + 16 : columns;           \
        for (size_t c = c0; c < c1; c++)                                                                   \
          for (size_t r = r0; r < r1; r++) out[c * out_stride + r] = x[r * x_stride + c];                  \
      }                                                                                                    \
  }
  BY_SIZE(size, TRANSPOSE)
}
