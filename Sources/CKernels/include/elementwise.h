// Element-wise loops, reductions and casts over every element type. A loop is asked for by op and type once a step, and then
// runs over as many elements as lie side by side. Types are numbered as tensorflow.DataType numbers them.
#pragma once
#include <stddef.h>
#include <stdint.h>

typedef enum {
  // Arithmetic: both inputs and the output of one type.
  CK_ADD, CK_SUB, CK_MUL, CK_DIV, CK_TRUNCATE_DIV, CK_FLOOR_DIV, CK_TRUNCATE_MOD, CK_FLOOR_MOD, CK_POW,
  CK_MAXIMUM, CK_MINIMUM, CK_SQUARED_DIFFERENCE, CK_MUL_NO_NAN, CK_DIV_NO_NAN, CK_XDIVY, CK_XLOGY, CK_XLOG1PY,
  CK_ATAN2, CK_NEXT_AFTER,
  CK_BITWISE_AND, CK_BITWISE_OR, CK_BITWISE_XOR, CK_LEFT_SHIFT, CK_RIGHT_SHIFT, CK_LOGICAL_AND, CK_LOGICAL_OR,
  // Comparisons: the output is a bool.
  CK_EQUAL, CK_NOT_EQUAL, CK_LESS, CK_LESS_EQUAL, CK_GREATER, CK_GREATER_EQUAL,
  CK_BINARY_COUNT
} ck_binary_op;

typedef enum {
  CK_NEG, CK_ABS, CK_SIGN, CK_SQUARE, CK_SQRT, CK_RSQRT, CK_RECIPROCAL,
  CK_EXP, CK_EXPM1, CK_LOG, CK_LOG1P, CK_SIN, CK_COS, CK_TAN, CK_ASIN, CK_ACOS, CK_ATAN,
  CK_SINH, CK_COSH, CK_TANH, CK_ASINH, CK_ACOSH, CK_ATANH, CK_SIGMOID, CK_ERF, CK_ERFC, CK_ERFINV, CK_NDTRI,
  CK_LGAMMA, CK_DIGAMMA, CK_FLOOR, CK_CEIL, CK_RINT, CK_INVERT, CK_LOGICAL_NOT, CK_CONJ,
  // The output is a bool.
  CK_IS_NAN, CK_IS_INF, CK_IS_FINITE,
  CK_UNARY_COUNT
} ck_unary_op;

typedef enum { CK_REDUCE_SUM, CK_REDUCE_PROD, CK_REDUCE_MAX, CK_REDUCE_MIN, CK_REDUCE_COUNT } ck_reduce_op;

/// `out[i] = op(a[i * a_step], b[i * b_step])`; a step is 0 or 1, not both 0. `out` may be `a` or `b` where that has
/// step 1 and elements of the same size. Returns 1 when an element had no answer (a division of integers by zero, an integer to a negative
/// power), which then reads 0.
typedef int (*ck_binary)(
  size_t n, const void *_Nonnull a, int a_step, const void *_Nonnull b, int b_step, void *_Nonnull out);
/// `out[i] = op(x[i])`; `out` may be `x` where the elements have the same size.
typedef void (*ck_unary)(size_t n, const void *_Nonnull x, void *_Nonnull out);
/// `*out = op(x[0], ..., x[n - 1])`, `n > 0`.
typedef void (*ck_reduce)(size_t n, const void *_Nonnull x, void *_Nonnull out);

/// The loop, or null when the op is not defined for the type.
ck_binary _Nullable ck_binary_loop(ck_binary_op op, unsigned dtype);
ck_unary _Nullable ck_unary_loop(ck_unary_op op, unsigned dtype);
ck_reduce _Nullable ck_reduce_loop(ck_reduce_op op, unsigned dtype);
/// Converts as TensorFlow's `Cast`; integers wrap, floats are cut towards zero.
ck_unary _Nullable ck_cast_loop(unsigned from, unsigned to);

/// `out[i] = condition[i * c_step] ? a[i * a_step] : b[i * b_step]` for elements of 1, 2, 4, 8 or 16 bytes.
void ck_select(
  size_t n, size_t size, const uint8_t *_Nonnull condition, int c_step, const void *_Nonnull a, int a_step,
  const void *_Nonnull b, int b_step, void *_Nonnull out);

/// Writes an element of 1, 2, 4, 8 or 16 bytes `n` times.
void ck_fill(size_t n, size_t size, const void *_Nonnull element, void *_Nonnull out);

/// `out[i] = x[i * stride]`, the stride in elements and of either sign, for elements of 1, 2, 4, 8 or 16 bytes.
void ck_gather_strided(size_t n, size_t size, const void *_Nonnull x, ptrdiff_t stride, void *_Nonnull out);

/// `out[c * out_stride + r] = x[r * x_stride + c]` for `r < rows`, `c < columns`; strides in elements.
void ck_transpose(
  size_t rows, size_t columns, size_t size, const void *_Nonnull x, size_t x_stride, void *_Nonnull out, size_t out_stride);

float ck_float_from_half(uint16_t bits);
uint16_t ck_half_from_float(float value);
float ck_float_from_bfloat16(uint16_t bits);
uint16_t ck_bfloat16_from_float(float value);
