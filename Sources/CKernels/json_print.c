// Floats as text: the shortest decimal that reads back as the same float, and of those the nearest, by R. Giulietti's Schubfach:
// three products with a power of ten say which decimals of some length lie between the float's neighbours.
#include "json.h"

#include <string.h>

#include "json_powers.h"

#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)
#define INLINE static inline __attribute__((always_inline))

/// The upper word of a product, its lowest bit set if more than rounding stands below.
INLINE uint32_t round_to_odd(uint64_t power, uint32_t factor) {
  uint64_t product = (uint64_t)(((unsigned __int128)power * factor) >> 32);
  return (uint32_t)(product >> 32) | ((uint32_t)product > 1);
}

/// Digits, times a power of ten; of a finite float that is not zero.
INLINE uint32_t shortest(uint32_t bits, int32_t *exponent) {
  uint32_t fraction = bits & 0x7fffff, biased = bits >> 23 & 0xff;
  uint32_t c = biased ? fraction | 0x800000 : fraction;
  int32_t q = (int32_t)(biased ? biased : 1) - 150;
  // A small integer is its own text.
  if (q <= 0 && q > -24 && (c & ((1u << -q) - 1)) == 0) {
    *exponent = 0;
    return c >> -q;
  }
  // Below a power of two the neighbour is nearer.
  bool is_uneven = fraction == 0 && biased > 1;
  uint32_t odd = c & 1;
  // floor(log10(2^q)), or of three quarters of that; then what makes the products' words line up.
  int32_t k = (q * 1262611 - (is_uneven ? 524031 : 0)) >> 22;
  int32_t h = q + ((-k * 1741647) >> 19) + 1;
  const uint64_t *row = powers_of_ten[-k - POWERS_LOWEST];
  // Rounded up, unless exact.
  uint64_t power = row[0] + (row[1] != 0);
  uint32_t low = round_to_odd(power, (4 * c - 2 + is_uneven) << h) + odd;
  uint32_t value = round_to_odd(power, (4 * c) << h);
  uint32_t high = round_to_odd(power, (4 * c + 2) << h) - odd;
  // With a digit less, if just one of the two decimals around lies inside; else the one that does, or the nearer. No branches:
  // which it is, nobody can foretell.
  uint32_t s = value / 4, fewer = s / 10, middle = 4 * s + 2;
  bool below = low <= 40 * fewer, above = 40 * fewer + 40 <= high;
  bool is_shorter = (s >= 10) & (below != above);
  bool under = low <= 4 * s, over = 4 * s + 4 <= high, up = (value > middle) | ((value == middle) & s & 1);
  uint32_t full = s + (under != over ? over : up);
  *exponent = k + is_shorter;
  return is_shorter ? fewer + above : full;
}

/// Eight decimal digits as bytes from 0 to 9, the first in the lowest byte: all at once, halves by halves.
INLINE uint64_t eight_digits(uint32_t x) {
  uint64_t v = x / 10000 | (uint64_t)(x % 10000) << 32;
  uint64_t hundreds = (v * 10486 >> 20) & 0x0000007f0000007f;
  v = hundreds | (v - 100 * hundreds) << 16;
  uint64_t tens = (v * 103 >> 10) & 0x000f000f000f000f;
  return tens | (v - 10 * tens) << 8;
}

INLINE uint8_t *put_text(uint8_t *out, const char *text, size_t count) {
  memcpy(out, text, count);
  return out + count;
}

static uint8_t *put_special(uint8_t *out, bool is_nan, bool is_negative, bool is_strict) {
  if (is_strict) *out++ = '"';
  if (is_nan)
    out = put_text(out, "NaN", 3);
  else
    out = is_negative ? put_text(out, "-Infinity", 9) : put_text(out, "Infinity", 8);
  if (is_strict) *out++ = '"';
  return out;
}

/// Writes a float as Swift describes it: at most 16 bytes, and as many more that do not count.
INLINE uint8_t *put_float(uint8_t *out, float value, bool is_strict) {
  uint32_t bits;
  memcpy(&bits, &value, 4);
  bool is_negative = bits >> 31;
  bits &= 0x7fffffff;
  if (UNLIKELY(bits >= 0x7f800000)) return put_special(out, bits > 0x7f800000, is_negative, is_strict);
  *out = '-';
  out += is_negative;
  if (bits == 0) return put_text(out, "0.0", 3);
  int32_t exponent;
  uint32_t digits = shortest(bits, &exponent), ninth = digits / 100000000;
  uint64_t eight = eight_digits(digits - ninth * 100000000), text = eight | 0x3030303030303030;
  // Where digits begin, of nine; zeros behind the last one.
  int first = ninth ? 0 : 1 + __builtin_ctzll(eight) / 8;
  int zeros = eight ? __builtin_clzll(eight) / 8 : 8;
  int count = 9 - first, point = count + exponent;
  uint8_t room[40];
  room[0] = (uint8_t)('0' + ninth);
  memcpy(room + 1, &text, 8);
  const uint8_t *source = room + first;
  // Whole copies, of which some is written over: what does not depend on lengths is not waited for.
  if (LIKELY(point > -4 && bits <= 0x4b800000)) {
    if (point <= 0) {
      memcpy(out, "0.000000", 8);
      out += 2 - point;
      memcpy(out, source, 16);
      return out + count - zeros;
    }
    memcpy(out, source, 16);
    // All floats here that have no fraction come with all of their digits.
    if (exponent == 0) return put_text(out + count, ".0", 2);
    memcpy(out + point + 1, source + point, 16);
    out[point] = '.';
    return out + 1 + count - zeros;
  }
  out[0] = source[0];
  out[1] = '.';
  memcpy(out + 2, source + 1, 16);
  out += count - zeros > 1 ? count - zeros + 1 : 1;
  int power = point - 1;
  uint32_t size = (uint32_t)(power < 0 ? -power : power);
  out[0] = 'e';
  out[1] = power < 0 ? '-' : '+';
  out[2] = (uint8_t)('0' + size / 10);
  out[3] = (uint8_t)('0' + size % 10);
  return out + 4;
}

size_t ck_json_print_floats(const void *values, size_t count, size_t column, size_t row, bool is_strict, uint8_t *out) {
  uint8_t *p = out;
  for (size_t i = 0; i < count; i++) {
    float value;
    memcpy(&value, (const uint8_t *)values + 4 * i, 4);
    p = put_float(p, value, is_strict);
    if (++column == row) {
      column = 0;
      p = put_text(p, "], [", 4);
    } else {
      p = put_text(p, ", ", 2);
    }
  }
  return (size_t)(p - out);
}
