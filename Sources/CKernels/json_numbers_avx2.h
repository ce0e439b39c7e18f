// Numbers one after the other, the digits of each in one go: part of json_numbers.c, for CPUs with AVX2.
#include <immintrin.h>

#pragma clang attribute push(__attribute__((target("avx2,bmi,bmi2,lzcnt,popcnt"))), apply_to = function)

/// Blocks of 64 bytes whose numbers are looked for at once.
#define BLOCKS 32

/// From 32 bytes of zeros to 32 of ones: a mask of the last bytes of a register, by where it is loaded from.
static const uint8_t steps[96] = {
    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,
    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff,
};

/// Ones from byte `first` on.
INLINE __m128i from128(size_t first) { return _mm_loadu_si128((const __m128i *)(steps + 32 - first)); }
INLINE __m256i from256(size_t first) { return _mm256_loadu_si256((const __m256i *)(steps + 32 - first)); }

/// Which of 32 bytes may stand in a number.
INLINE uint32_t numeric(__m256i bytes) {
  // By its low half, the one byte that is accepted: digits, '+', '-', '.'.
  const __m256i table = _mm256_setr_epi8(
      '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 0, '+', 0, '-', '.', 0, '0', '1', '2', '3', '4', '5', '6', '7', '8',
      '9', 0, '+', 0, '-', '.', 0);
  __m256i plain = _mm256_cmpeq_epi8(_mm256_shuffle_epi8(table, bytes), bytes);
  __m256i power = _mm256_cmpeq_epi8(_mm256_or_si256(bytes, _mm256_set1_epi8(0x20)), _mm256_set1_epi8('e'));
  return (uint32_t)_mm256_movemask_epi8(_mm256_or_si256(plain, power));
}

/// Where numbers end in up to `BLOCKS` blocks from `p` on, as distances from `origin`.
INLINE size_t find_ends(const uint8_t *p, size_t blocks, uint32_t base, uint64_t *inside, uint32_t *ends) {
  size_t found = 0;
  uint64_t before = *inside;
  for (size_t b = 0; b < blocks; b++, p += 64, base += 64) {
    uint64_t low = numeric(_mm256_loadu_si256((const __m256i *)p));
    uint64_t high = numeric(_mm256_loadu_si256((const __m256i *)(p + 32)));
    uint64_t mask = low | high << 32;
    uint64_t edges = (mask << 1 | before) & ~mask;
    before = mask >> 63;
    uint32_t count = (uint32_t)__builtin_popcountll(edges);
    uint32_t *out = ends + found;
    // A few too many cost less than a branch for each.
    for (int k = 0; k < 8; k++) {
      out[k] = base + (uint32_t)_tzcnt_u64(edges);
      edges = _blsr_u64(edges);
    }
    if (count > 8) {
      for (int k = 8; k < 20; k++) {
        out[k] = base + (uint32_t)_tzcnt_u64(edges);
        edges = _blsr_u64(edges);
      }
      for (uint32_t k = 20; k < count; k++) {
        out[k] = base + (uint32_t)_tzcnt_u64(edges);
        edges = _blsr_u64(edges);
      }
    }
    found += count;
  }
  *inside = before;
  return found;
}

/// Keeps a condition a value: the compiler would rather branch on each.
INLINE uint64_t flag(bool condition) {
  uint64_t value = condition;
  __asm__("" : "+r"(value));
  return value;
}

/// What digits say: an integer, and where among them the point stood.
struct digits {
  uint64_t value;
  /// Digits behind the point.
  uint64_t fraction;
  /// Zero without a point.
  uint64_t has_point;
  /// Not zero: these are no digits with one point among them at most, or too many.
  uint64_t wrong;
};

/// The digits of at most 16 bytes that end at `end`.
INLINE struct digits digits16(const uint8_t *end, size_t count) {
  __m128i bytes = _mm_loadu_si128((const __m128i *)(end - 16));
  __m128i moved = _mm_loadu_si128((const __m128i *)(end - 17));
  __m128i values = _mm_sub_epi8(bytes, _mm_set1_epi8('0'));
  uint32_t points = (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('.')));
  uint32_t numerals = (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_min_epu8(values, _mm_set1_epi8(9)), values));
  uint32_t valid = (0xffffu << (16 - count)) & 0xffffu;
  points &= valid;
  // One point at most, with digits on both sides.
  uint32_t wrong = (~(points | numerals) & valid) | (points & (points - 1)) | (points & (0x8000u | (valid & (0 - valid))));
  // The byte behind the point, zero without one.
  uint32_t point = 32 - _lzcnt_u32(points);
  uint64_t has = flag(points != 0);
  __m128i joined = _mm_blendv_epi8(moved, bytes, from128(point));
  joined = _mm_and_si128(_mm_sub_epi8(joined, _mm_set1_epi8('0')), from128(16 - count + has));
  __m128i pairs = _mm_maddubs_epi16(joined, _mm_set1_epi16(1 << 8 | 10));
  __m128i fours = _mm_madd_epi16(pairs, _mm_set1_epi32(1 << 16 | 100));
  __m128i eights = _mm_madd_epi16(_mm_packus_epi32(fours, fours), _mm_set1_epi32(1 << 16 | 10000));
  uint64_t both = (uint64_t)_mm_cvtsi128_si64(eights);
  return (struct digits){(both & 0xffffffff) * 100000000 + (both >> 32), (16 - point) & (0 - has), has, wrong};
}

/// The same for at most 32 bytes; their digits must fit 63 bits.
INLINE struct digits digits32(const uint8_t *end, size_t count) {
  __m256i bytes = _mm256_loadu_si256((const __m256i *)(end - 32));
  __m256i moved = _mm256_loadu_si256((const __m256i *)(end - 33));
  __m256i values = _mm256_sub_epi8(bytes, _mm256_set1_epi8('0'));
  uint32_t points = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(bytes, _mm256_set1_epi8('.')));
  uint32_t numerals =
      (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(_mm256_min_epu8(values, _mm256_set1_epi8(9)), values));
  uint32_t valid = 0xffffffffu << (32 - count);
  points &= valid;
  uint32_t wrong =
      (~(points | numerals) & valid) | (points & (points - 1)) | (points & (0x80000000u | (valid & (0 - valid))));
  uint32_t point = 32 - _lzcnt_u32(points);
  uint64_t has = flag(points != 0);
  __m256i joined = _mm256_blendv_epi8(moved, bytes, from256(point));
  joined = _mm256_and_si256(_mm256_sub_epi8(joined, _mm256_set1_epi8('0')), from256(32 - count + has));
  __m256i pairs = _mm256_maddubs_epi16(joined, _mm256_set1_epi16(1 << 8 | 10));
  __m256i fours = _mm256_madd_epi16(pairs, _mm256_set1_epi32(1 << 16 | 100));
  __m256i eights = _mm256_madd_epi16(_mm256_packus_epi32(fours, fours), _mm256_set1_epi32(1 << 16 | 10000));
  // Digits 1 to 8 in the low half and 9 to 16, then 17 to 24 and 25 to 32.
  uint64_t front = (uint64_t)_mm256_extract_epi64(eights, 0), back = (uint64_t)_mm256_extract_epi64(eights, 2);
  uint64_t head = front >> 32;
  uint64_t value = head * 10000000000000000 + (back & 0xffffffff) * 100000000 + (back >> 32);
  return (struct digits){
      value, (32 - point) & (0 - has), has, wrong | (front & 0xffffffff) | flag(head > 921)};
}

INLINE double with_sign(double value, uint64_t is_negative) {
  uint64_t bits;
  memcpy(&bits, &value, 8);
  bits |= is_negative << 63;
  memcpy(&value, &bits, 8);
  return value;
}

/// Stores digits; not zero when they must be looked at again.
INLINE uint64_t keep(
    struct digits d, int64_t exponent, bool is_scientific, bool is_short, uint64_t negative, enum ck_json_type type,
    void *out, size_t i) {
  uint64_t wrong = d.wrong;
  if (type == CK_JSON_F32) {
    if (is_scientific) wrong |= flag((uint64_t)(exponent - NEAR_LOWEST) > NEAR_HIGHEST - NEAR_LOWEST);
    if (is_scientific && UNLIKELY(wrong)) return wrong;
    double value = (double)(int64_t)d.value * near_head[exponent - NEAR_LOWEST];
    uint64_t bits;
    memcpy(&bits, &value, 8);
    // As in `nearest_float`.
    wrong |= flag((bits & 0x1fffffff) - 0x0ffffffc <= 8);
    if (is_scientific)
      wrong |= flag(bits - 0x3810000000000000 >= 0x47efffffe0000000 - 0x3810000000000000) & flag(d.value != 0);
    else
      wrong |= flag(d.value > (1 << 24) - 1) & (d.has_point ^ 1);
    ((float *)out)[i] = (float)with_sign(value, negative);
    return wrong;
  }
  if (type == CK_JSON_F64) {
    if (is_short && !is_scientific) {
      // Fifteen digits at most, or sixteen without a point: quotients of exact numbers.
      wrong |= flag(d.value > (1ull << 53) - 1);
      ((double *)out)[i] = with_sign((double)(int64_t)d.value / exact_powers[d.fraction & 15], negative);
      return wrong;
    }
    // As in `nearest_double`; what it would look at again is left to it.
    if (is_scientific) wrong |= flag((uint64_t)(exponent - POWERS_LOWEST) > POWERS_HIGHEST - POWERS_LOWEST);
    if (is_scientific && UNLIKELY(wrong)) return wrong;
    wrong |= flag(d.value == 0);
    if (!is_scientific) wrong |= flag(d.value > (1ull << 53) - 1) & (d.has_point ^ 1);
    uint64_t zeros = _lzcnt_u64(d.value | 1), whole = d.value << zeros;
    uint64_t power = (uint64_t)(((217706 * exponent) >> 16) + 64 + 1023) - zeros;
    unsigned __int128 product = (unsigned __int128)whole * powers_of_ten[exponent - POWERS_LOWEST][0];
    uint64_t high = (uint64_t)(product >> 64), low = (uint64_t)product;
    wrong |= flag((high & 0x1ff) == 0x1ff) | (flag((high & 0x1ff) == 0) & flag(low == 0));
    uint64_t top = high >> 63, mantissa = high >> (top + 9);
    mantissa = (mantissa + (mantissa & 1)) >> 1;
    power -= 1 ^ top;
    // Rounding up to the next power of two carries into the exponent as it should.
    uint64_t bits = (power << 52) + (mantissa - (1ull << 52));
    if (is_scientific) wrong |= flag(power - 1 >= 0x7fd);
    ((uint64_t *)out)[i] = bits | negative << 63;
    return wrong;
  }
  if (is_scientific) return 1;
  wrong |= d.has_point;
#define INTEGER(CASE, T, NEGATIVE, POSITIVE)                                                   \
  if (type == CASE) {                                                                          \
    wrong |= flag(d.value > (negative ? (uint64_t)(NEGATIVE) : (uint64_t)(POSITIVE)));         \
    ((T *)out)[i] = (T)((d.value ^ (0 - negative)) + negative);                                \
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
  return wrong;
}

/// The integer of at most eight bytes that end at `end`.
INLINE struct digits digits8(const uint8_t *end, size_t count) {
  uint64_t bytes = load64(end - 8), mask = ~0ull << ((8 - count) * 8);
  bytes = (bytes ^ 0x3030303030303030) & mask;
  uint64_t wrong = (bytes | (bytes + 0x7676767676767676)) & 0x8080808080808080;
  bytes = bytes * 10 + (bytes >> 8);
  uint64_t value =
      ((bytes & 0x000000ff000000ff) * 0x000f424000000064 + ((bytes >> 16) & 0x000000ff000000ff) * 0x0000271000000001) >> 32;
  return (struct digits){value, 0, 0, wrong};
}

/// A number with an exponent, of at most 32 bytes.
INLINE struct digits scientific(const uint8_t *p, const uint8_t *end, int64_t *exponent) {
  struct digits none = {0, 0, 0, 1};
  size_t count = (size_t)(end - p);
  __m256i bytes = _mm256_or_si256(_mm256_loadu_si256((const __m256i *)p), _mm256_set1_epi8(0x20));
  uint32_t marks = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(bytes, _mm256_set1_epi8('e')));
  size_t mark = _tzcnt_u32(marks);
  if (UNLIKELY(mark == 0 || mark + 1 >= count)) return none;
  const uint8_t *power = p + mark + 1;
  uint64_t down = flag(*power == '-');
  power += down | flag(*power == '+');
  size_t length = (size_t)(end - power);
  if (UNLIKELY(length - 1 > 3)) return none;
  struct digits value = digits8(end, length);
  struct digits d = mark <= 16 ? digits16(p + mark, mark) : digits32(p + mark, mark);
  *exponent = (int64_t)((value.value ^ (0 - down)) + down) - (int64_t)d.fraction;
  d.wrong |= value.wrong;
  return d;
}

/// What numbers looked like last: what is tried first.
enum look { WHOLE, FRACTION, SCIENTIFIC };

INLINE bool has_exponent(const uint8_t *end, size_t length) {
  if (length - 1 > 31) return false;
  __m256i bytes = _mm256_or_si256(_mm256_loadu_si256((const __m256i *)(end - 32)), _mm256_set1_epi8(0x20));
  uint32_t marks = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(bytes, _mm256_set1_epi8('e')));
  return (marks >> (32 - length)) != 0;
}

/// Stores one number of at most 32 bytes after its sign, or the way that takes any. False when it is none of this type.
INLINE bool store_one(const uint8_t *p, const uint8_t *end, enum look *look, enum ck_json_type type, void *out, size_t i) {
  uint64_t negative = flag(*p == '-');
  const uint8_t *first = p + negative;
  size_t length = (size_t)(end - first);
  if (LIKELY(length - 1 <= 31)) {
    // Zeros in front are for "0" and "0." alone.
    uint64_t zeros = flag(first[0] == '0') & flag(is_digit(first[1]));
    if (*look == WHOLE) {
      if (LIKELY(length <= 8)) {
        uint64_t wrong = zeros | keep(digits8(end, length), 0, false, true, negative, type, out, i);
        if (LIKELY(wrong == 0)) return true;
      }
      *look = FRACTION;
    }
    if (*look == FRACTION) {
      uint64_t wrong = zeros;
      if (length <= 16) {
        struct digits d = digits16(end, length);
        wrong |= keep(d, -(int64_t)d.fraction, false, true, negative, type, out, i);
      } else {
        struct digits d = digits32(end, length);
        wrong |= keep(d, -(int64_t)d.fraction, false, false, negative, type, out, i);
      }
      if (LIKELY(wrong == 0)) return true;
    } else {
      int64_t exponent = 0;
      struct digits d = scientific(first, end, &exponent);
      uint64_t wrong = zeros | keep(d, exponent, true, false, negative, type, out, i);
      if (LIKELY(wrong == 0)) return true;
    }
  }
  // What comes next may well look the same.
  *look = has_exponent(end, length) ? SCIENTIFIC : FRACTION;
  return end > p && store_carefully(p, (size_t)(end - p), type, out, i);
}

/// What lies between numbers, as it was seen.
struct gaps {
  const uint8_t *gap, *row_gap;
  size_t gap_count, row_gap_count;
  /// Gaps of at most eight bytes are compared by one word, the bytes that do not matter shifted out.
  uint64_t gap_word, row_word;
  unsigned gap_cut, row_cut;
};

INLINE struct gaps gaps_of(const struct ck_json_run *run) {
  const uint8_t *gap = run->text + run->gap, *row_gap = run->text + run->row_gap;
  return (struct gaps){
      gap, row_gap, run->gap_count, run->row_gap_count, load64(gap), load64(row_gap),
      (unsigned)(64 - run->gap_count * 8) & 63, (unsigned)(64 - run->row_gap_count * 8) & 63};
}

INLINE size_t vectorized(struct ck_json_run *run, enum ck_json_type type, bool is_wide, void *out, size_t capacity) {
  const uint8_t *text = run->text, *p = text + run->at;
  // Positions are kept in 32 bits.
  size_t count = run->count - run->at < (1u << 30) ? run->count : run->at + (1u << 30);
  if (run->at < BEFORE || count < run->at + BEHIND + 64) return 0;
  const uint8_t *origin = p, *block = p, *limit = text + count - BEHIND;
  struct gaps gaps = gaps_of(run);
  uint32_t ends[BLOCKS * 32 + 32];
  size_t found = 0, next = 0, i = 0, column = run->column, row = run->row ? run->row : SIZE_MAX;
  size_t blocks = 4;
  uint64_t inside = 0;
  enum look look = WHOLE;
  const uint8_t *behind = NULL;
  while (i < capacity) {
    if (next == found) {
      size_t left = (size_t)(limit - block) / 64;
      if (block >= limit || left == 0) break;
      if (left < blocks) blocks = left;
      found = find_ends(block, blocks, (uint32_t)(block - origin), &inside, ends);
      next = 0;
      block += blocks * 64;
      // A run that ends soon does not look far.
      blocks = BLOCKS;
      if (found == 0) break;
    }
    size_t stop = found - next < capacity - i ? found : next + (capacity - i);
    for (; next < stop; next++) {
      const uint8_t *end = origin + ends[next];
      if (UNLIKELY(!store_one(p, end, &look, type, out, i))) goto done;
      i++;
      behind = end;
      bool is_same;
      if (++column == row) {
        column = 0;
        is_same = is_wide ? same(end, gaps.row_gap, gaps.row_gap_count) : (load64(end) ^ gaps.row_word) << gaps.row_cut == 0;
        p = end + gaps.row_gap_count;
        if (UNLIKELY(gaps.row_gap_count == 0)) goto done;
      } else {
        is_same = is_wide ? same(end, gaps.gap, gaps.gap_count) : (load64(end) ^ gaps.gap_word) << gaps.gap_cut == 0;
        p = end + gaps.gap_count;
      }
      if (UNLIKELY(!is_same)) goto done;
    }
  }
done:
  if (behind) run->at = (size_t)(behind - text);
  run->column = column;
  return i;
}

#define EACH(TYPE)                                                                                       \
  static size_t vectorized_##TYPE(struct ck_json_run *run, bool is_wide, void *out, size_t capacity) { \
    return is_wide ? vectorized(run, TYPE, true, out, capacity) : vectorized(run, TYPE, false, out, capacity); \
  }
EACH(CK_JSON_F32)
EACH(CK_JSON_F64)
EACH(CK_JSON_I8)
EACH(CK_JSON_U8)
EACH(CK_JSON_I16)
EACH(CK_JSON_U16)
EACH(CK_JSON_I32)
EACH(CK_JSON_U32)
EACH(CK_JSON_I64)
EACH(CK_JSON_U64)
#undef EACH

#pragma clang attribute pop
