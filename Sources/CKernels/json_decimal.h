// Decimal numbers of JSON: what a number's text says, the nearest float and double to it, and a tensor's element of it.
#include "json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "json_powers.h"

#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)
#define INLINE static inline __attribute__((always_inline))

INLINE uint64_t load64(const uint8_t *p) {
  uint64_t x;
  memcpy(&x, p, 8);
  return x;
}

INLINE bool is_digit(uint8_t c) { return (uint8_t)(c - '0') <= 9; }

// MARK: Decimal to binary

/// A decimal number: its digits as an integer, times a power of ten.
struct decimal {
  uint64_t digits;
  int32_t exponent;
  bool is_negative;
  /// Neither fraction nor exponent.
  bool is_integer;
};

/// Exactly representable.
static const double exact_powers[23] = {
    1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
    1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
};

/// The nearest float, by way of a double that is off by less than four of its last places: rounding that once more is right
/// unless it lies so close to the middle of two floats. Returns whether it does not.
INLINE bool nearest_float(struct decimal number, float *out) {
  if (UNLIKELY(number.exponent < NEAR_LOWEST || number.exponent > NEAR_HIGHEST || number.digits >> 63)) return false;
  double value = (double)(int64_t)number.digits * near_head[number.exponent - NEAR_LOWEST];
  uint64_t bits;
  memcpy(&bits, &value, 8);
  // The 29 bits that a float does not have, and the middle at one half of their range.
  if (UNLIKELY((bits & 0x1fffffff) - 0x0ffffffc <= 8)) return false;
  // Between the smallest normal float and the largest, or zero.
  if (UNLIKELY((bits - 0x3810000000000000 >= 0x47efffffe0000000 - 0x3810000000000000) & (number.digits != 0))) return false;
  bits |= (uint64_t)number.is_negative << 63;
  memcpy(&value, &bits, 8);
  *out = (float)value;
  return true;
}

/// The nearest double: exact arithmetic where that suffices (Clinger), else 128 bits of the power (Eisel and Lemire).
/// Returns false when even those do not tell.
INLINE bool nearest_double(struct decimal number, bool is_short, double *out) {
  uint64_t digits = number.digits;
  if (is_short && LIKELY((digits <= 1ull << 53) & (number.exponent <= 0) & (number.exponent >= -22))) {
    double result = (double)(int64_t)digits / exact_powers[-number.exponent];
    uint64_t bits;
    memcpy(&bits, &result, 8);
    bits |= (uint64_t)number.is_negative << 63;
    memcpy(out, &bits, 8);
    return true;
  }
  if (digits == 0) {
    *out = number.is_negative ? -0.0 : 0.0;
    return true;
  }
  if (number.exponent < POWERS_LOWEST || number.exponent > POWERS_HIGHEST) return false;
  const uint64_t *power = powers_of_ten[number.exponent - POWERS_LOWEST];
  int zeros = __builtin_clzll(digits);
  digits <<= zeros;
  uint64_t exponent = (uint64_t)(((217706 * (int64_t)number.exponent) >> 16) + 64 + 1023) - (uint64_t)zeros;
  unsigned __int128 product = (unsigned __int128)digits * power[0];
  uint64_t high = (uint64_t)(product >> 64), low = (uint64_t)product;
  if (UNLIKELY((high & 0x1ff) == 0x1ff && low + digits < digits)) {
    // The half of the power that was left out may matter.
    unsigned __int128 rest = (unsigned __int128)digits * power[1];
    uint64_t rest_high = (uint64_t)(rest >> 64), rest_low = (uint64_t)rest;
    uint64_t merged = low + rest_high;
    if (merged < low) high++;
    if ((high & 0x1ff) == 0x1ff && merged + 1 == 0 && rest_low + digits < digits) return false;
    low = merged;
  }
  uint64_t top = high >> 63;
  uint64_t mantissa = high >> (top + 9);
  exponent -= 1 ^ top;
  if (UNLIKELY(low == 0 && (high & 0x1ff) == 0 && (mantissa & 3) == 1)) return false;
  mantissa = (mantissa + (mantissa & 1)) >> 1;
  if (mantissa >> 53) {
    mantissa >>= 1;
    exponent++;
  }
  if (UNLIKELY(exponent - 1 >= 0x7fe)) return false;
  uint64_t bits = exponent << 52 | (mantissa & 0xfffffffffffff) | (uint64_t)number.is_negative << 63;
  memcpy(out, &bits, 8);
  return true;
}

// MARK: One number, with care

/// A number as strtod wants it, on the stack if it is not absurdly long. Its readers are exact, whatever it is.
static double exactly(const uint8_t *text, size_t count, bool single) {
  char room[512], *copy = count < sizeof room ? room : malloc(count + 1);
  if (!copy) return NAN;
  memcpy(copy, text, count);
  copy[count] = 0;
  // The locale is never set, so the point is a point.
  double result = single ? (double)strtof(copy, NULL) : strtod(copy, NULL);
  if (copy != room) free(copy);
  return result;
}

/// Reads what JSON's grammar calls a number, and its value as far as 19 digits tell it: `is_whole` if they are all of them.
INLINE struct ck_json_number scan(const uint8_t *text, size_t count, struct decimal *value, bool *is_whole) {
  struct ck_json_number number = {.fault = CK_JSON_VALID};
  const uint8_t *p = text, *end = text + count;
  uint64_t digits = 0;
  int64_t exponent = 0;
  int significant = 0;
  bool whole = true;
  if (p < end && *p == '-') number.is_negative = true, p++;
  if (p == end || !is_digit(*p)) {
    number.fault = CK_JSON_INVALID;
    number.count = (size_t)(p - text);
    return number;
  }
  if (*p == '0') {
    p++;
  } else {
    for (; p < end && is_digit(*p); p++) {
      if (significant < 19) {
        digits = digits * 10 + (*p - '0');
        significant++;
      } else if (significant == 19 && digits <= (UINT64_MAX - (*p - '0')) / 10 && (p + 1 == end || !is_digit(p[1])) &&
                 (p + 1 == end || (p[1] != '.' && (p[1] | 0x20) != 'e'))) {
        // An integer of twenty digits may still fit.
        digits = digits * 10 + (*p - '0');
        significant++;
      } else {
        exponent++;
        whole = false;
        significant = 21;
      }
    }
  }
  number.is_integer = true;
  if (p < end && *p == '.') {
    number.is_integer = false;
    const uint8_t *first = ++p;
    for (; p < end && is_digit(*p); p++) {
      if (significant < 19) {
        digits = digits * 10 + (*p - '0');
        if (digits) significant++;
        exponent--;
      } else if (*p != '0') {
        whole = false;
      }
    }
    if (p == first) {
      number.fault = CK_JSON_NO_FRACTION;
      number.count = (size_t)(p - text);
      return number;
    }
  }
  if (p < end && (*p | 0x20) == 'e') {
    number.is_integer = false;
    bool down = false;
    int64_t power = 0;
    p++;
    if (p < end && (*p == '+' || *p == '-')) down = *p++ == '-';
    const uint8_t *first = p;
    for (; p < end && is_digit(*p); p++)
      if (power < 1 << 20) power = power * 10 + (*p - '0');
    if (p == first) {
      number.fault = CK_JSON_NO_EXPONENT;
      number.count = (size_t)(p - text);
      return number;
    }
    exponent += down ? -power : power;
  }
  number.count = (size_t)(p - text);
  if (UNLIKELY(exponent + significant > 306 && isinf(exactly(text, number.count, false)))) {
    number.fault = CK_JSON_TOO_BIG;
    number.count = 0;
    return number;
  }
  number.is_integer = number.is_integer && whole;
  number.magnitude = number.is_integer ? digits : 0;
  value->digits = digits;
  value->exponent = exponent < -100000 ? -100000 : exponent > 100000 ? 100000 : (int32_t)exponent;
  value->is_negative = number.is_negative;
  value->is_integer = number.is_integer;
  *is_whole = whole;
  return number;
}

// MARK: Into a tensor

/// Stores a number; false when its type does not take it, or only with loss.
INLINE bool store(struct decimal number, enum ck_json_type type, const uint8_t *text, size_t count, void *out, size_t i) {
  if (type == CK_JSON_F32) {
    float value;
    // An integer that a float may not have all of is refused, as TensorFlow Serving does.
    if (UNLIKELY((number.digits > (1 << 24) - 1) & number.is_integer)) return false;
    if (UNLIKELY(!nearest_float(number, &value))) {
      value = (float)exactly(text, count, true);
      if (isinf(value)) return false;
    }
    ((float *)out)[i] = value;
    return true;
  }
  if (type == CK_JSON_F64) {
    double value;
    if (UNLIKELY((number.digits > (1ull << 53) - 1) & number.is_integer)) return false;
    if (UNLIKELY(!nearest_double(number, count <= 16, &value))) {
      value = exactly(text, count, false);
      if (isinf(value)) return false;
    }
    ((double *)out)[i] = value;
    return true;
  }
  if (UNLIKELY(!number.is_integer)) return false;
#define INTEGER(CASE, T, NEGATIVE, POSITIVE)                                      \
  if (type == CASE) {                                                             \
    uint64_t limit = number.is_negative ? (NEGATIVE) : (uint64_t)(POSITIVE);      \
    if (UNLIKELY(number.digits > limit)) return false;                            \
    ((T *)out)[i] = (T)(number.is_negative ? 0 - number.digits : number.digits); \
    return true;                                                                  \
  }
  INTEGER(CK_JSON_I8, int8_t, 1u << 7, INT8_MAX)
  INTEGER(CK_JSON_U8, uint8_t, 0, UINT8_MAX)
  INTEGER(CK_JSON_I16, int16_t, 1u << 15, INT16_MAX)
  INTEGER(CK_JSON_U16, uint16_t, 0, UINT16_MAX)
  INTEGER(CK_JSON_I32, int32_t, 1ull << 31, INT32_MAX)
  INTEGER(CK_JSON_U32, uint32_t, 0, UINT32_MAX)
  INTEGER(CK_JSON_I64, int64_t, 1ull << 63, INT64_MAX)
  INTEGER(CK_JSON_U64, uint64_t, 0, UINT64_MAX)
#undef INTEGER
  return false;
}

/// One number that did not take the short way.
static bool store_carefully(const uint8_t *text, size_t count, enum ck_json_type type, void *out, size_t i) {
  struct decimal value;
  bool is_whole;
  struct ck_json_number number = scan(text, count, &value, &is_whole);
  if (number.fault != CK_JSON_VALID || number.count != count) return false;
  if (LIKELY(is_whole)) return store(value, type, text, count, out, i);
  if (type == CK_JSON_F32) {
    float result = (float)exactly(text, count, true);
    ((float *)out)[i] = result;
    return !isinf(result);
  }
  if (type == CK_JSON_F64) {
    double result = exactly(text, count, false);
    ((double *)out)[i] = result;
    return !isinf(result);
  }
  return false;
}
