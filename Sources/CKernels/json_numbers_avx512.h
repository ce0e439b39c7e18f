// Eight numbers at a time: part of json_numbers.c, for CPUs with AVX-512. What is odd is read as with AVX2.
#pragma clang attribute push(                                                                                     \
    __attribute__((target("avx2,bmi,bmi2,lzcnt,popcnt,fma,avx512f,avx512bw,avx512vl,avx512dq,avx512cd,avx512vbmi," \
                          "avx512vbmi2,avx512bitalg,avx512vpopcntdq"))),                                          \
    apply_to = function)

/// Where numbers end in some blocks, as distances from an origin. At most 32 end in a block; places for 16 more are there.
INLINE size_t find_ends_512(const uint8_t *p, size_t blocks, uint32_t base, uint64_t *inside, uint32_t *ends) {
  const __m512i table = _mm512_broadcast_i32x4(
      _mm_setr_epi8('0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 0, '+', 0, '-', '.', 0));
  const __m512i places = _mm512_set_epi8(
      63, 62, 61, 60, 59, 58, 57, 56, 55, 54, 53, 52, 51, 50, 49, 48, 47, 46, 45, 44, 43, 42, 41, 40, 39, 38, 37, 36, 35, 34,
      33, 32, 31, 30, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20, 19, 18, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2,
      1, 0);
  uint64_t before = *inside;
  uint32_t *out = ends;
  for (size_t b = 0; b < blocks; b++, p += 64, base += 64) {
    __m512i bytes = _mm512_loadu_si512(p);
    uint64_t mask = _mm512_cmpeq_epi8_mask(_mm512_shuffle_epi8(table, bytes), bytes) |
                    _mm512_cmpeq_epi8_mask(_mm512_or_si512(bytes, _mm512_set1_epi8(0x20)), _mm512_set1_epi8('e'));
    uint64_t edges = (mask << 1 | before) & ~mask;
    before = mask >> 63;
    size_t count = (size_t)__builtin_popcountll(edges);
    __m512i packed = _mm512_maskz_compress_epi8(edges, places), add = _mm512_set1_epi32((int)base);
    _mm512_storeu_si512(out, _mm512_add_epi32(_mm512_cvtepu8_epi32(_mm512_castsi512_si128(packed)), add));
    if (UNLIKELY(count > 16))
      _mm512_storeu_si512(out + 16, _mm512_add_epi32(_mm512_cvtepu8_epi32(_mm512_extracti32x4_epi32(packed, 1)), add));
    out += count;
  }
  *inside = before;
  return (size_t)(out - ends);
}

/// The ones of a mask with a field for each number, shaped into what its digits need. Of each field, `top` is the highest
/// bit, `low` the lowest and `all` the width.
struct marks {
  uint64_t keep, moved, fraction, points, negative, wrong;
};

INLINE struct marks marks_of(
    uint64_t valid, uint64_t minus, uint64_t points, uint64_t zeros, uint64_t top, uint64_t low, uint64_t all) {
  struct marks m;
  uint64_t first = valid & ~(valid << 1 & ~low);
  m.negative = minus & first;
  m.wrong = 0;
  if (m.negative) {
    m.wrong = m.negative & top;
    valid &= ~m.negative;
    first = (first & ~m.negative) | (m.negative << 1 & ~low);
  }
  points &= valid;
  // The top of each field that has a point: nothing carries from one into the next.
  m.points = (points + (top - low)) & top;
  uint64_t has = (m.points >> __builtin_ctzll(top)) * all;
  uint64_t stop = points | top;
  // Up to and with the point.
  m.moved = (stop ^ (stop - low)) & has;
  m.fraction = ~m.moved & has;
  m.keep = valid & ~(first & has);
  // The point is not at an end; no zero before another digit; more than a sign. That what is kept is digits, and no second
  // point, is for the caller to see.
  m.wrong |= (points & (first | top)) | (zeros & first & ~top & ~(points >> 1));
  return m;
}

/// Digits of eight numbers. The masks have a bit for each number.
struct digits_of_8 {
  __m512i value, fraction;
  __mmask8 points, negative;
  bool wrong;
};

INLINE __m128i pair(const uint8_t *a, const uint8_t *b) {
  return _mm_castpd_si128(_mm_loadh_pd(_mm_load_sd((const double *)a), (const double *)b));
}

/// The words at eight places. Gathering would take twice as long.
INLINE __m512i words8(const uint8_t *p, const uint32_t *at) {
  __m512i words = _mm512_castsi128_si512(pair(p + at[0], p + at[1]));
  words = _mm512_inserti32x4(words, pair(p + at[2], p + at[3]), 1);
  words = _mm512_inserti32x4(words, pair(p + at[4], p + at[5]), 2);
  return _mm512_inserti32x4(words, pair(p + at[6], p + at[7]), 3);
}

/// Eight numbers of at most eight bytes.
INLINE struct digits_of_8 digits8x8(const uint8_t *origin, const uint32_t *ends, __m256i lengths) {
  __m512i bytes = words8(origin - 8, ends);
  const __m512i place = _mm512_set1_epi64(0x0706050403020100);
  const __m512i spread = _mm512_broadcast_i32x4(_mm_set_epi64x(0x0808080808080808, 0));
  __m512i empty = _mm512_cvtepu32_epi64(_mm256_sub_epi32(_mm256_set1_epi32(8), lengths));
  uint64_t valid = _mm512_cmpge_epu8_mask(place, _mm512_shuffle_epi8(empty, spread));
  __m512i values = _mm512_sub_epi8(bytes, _mm512_set1_epi8('0'));
  const uint64_t top = 0x8080808080808080;
  struct marks m = marks_of(
      valid, _mm512_cmpeq_epi8_mask(bytes, _mm512_set1_epi8('-')), _mm512_cmpeq_epi8_mask(bytes, _mm512_set1_epi8('.')),
      _mm512_testn_epi8_mask(values, values), top, 0x0101010101010101, 0xff);
  __m512i joined = _mm512_maskz_mov_epi8(m.keep, _mm512_mask_mov_epi8(values, m.moved, _mm512_slli_epi64(values, 8)));
  m.wrong |= _mm512_cmpgt_epu8_mask(joined, _mm512_set1_epi8(9));
  __m512i pairs = _mm512_maddubs_epi16(joined, _mm512_set1_epi16(1 << 8 | 10));
  __m512i fours = _mm512_madd_epi16(pairs, _mm512_set1_epi32(1 << 16 | 100));
  __m512i whole = _mm512_add_epi64(_mm512_mul_epu32(fours, _mm512_set1_epi64(10000)), _mm512_srli_epi64(fours, 32));
  return (struct digits_of_8){
      whole, _mm512_cvtepu8_epi64(_mm_popcnt_epi8(_mm_cvtsi64_si128((int64_t)m.fraction))),
      (__mmask8)_pext_u64(m.points, top), (__mmask8)_pext_u64(m.negative + 0x7f7f7f7f7f7f7f7f, top), m.wrong != 0};
}

/// Digits of four numbers of at most 16 bytes, each at the end of its lane, as numbers in the even words.
INLINE __m512i digits16x4(__m512i bytes, __m128i lengths, struct marks *m) {
  const __m512i place = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
  const __m512i spread = _mm512_set_epi32(
      0x0c0c0c0c, 0x0c0c0c0c, 0x0c0c0c0c, 0x0c0c0c0c, 0x08080808, 0x08080808, 0x08080808, 0x08080808, 0x04040404, 0x04040404,
      0x04040404, 0x04040404, 0, 0, 0, 0);
  __m128i empty = _mm_sub_epi32(_mm_set1_epi32(16), lengths);
  uint64_t valid = _mm512_cmpge_epu8_mask(place, _mm512_shuffle_epi8(_mm512_broadcast_i32x4(empty), spread));
  __m512i values = _mm512_sub_epi8(bytes, _mm512_set1_epi8('0'));
  *m = marks_of(
      valid, _mm512_cmpeq_epi8_mask(bytes, _mm512_set1_epi8('-')), _mm512_cmpeq_epi8_mask(bytes, _mm512_set1_epi8('.')),
      _mm512_testn_epi8_mask(values, values), 0x8000800080008000, 0x0001000100010001, 0xffff);
  __m512i joined = _mm512_maskz_mov_epi8(m->keep, _mm512_mask_mov_epi8(values, m->moved, _mm512_bslli_epi128(values, 1)));
  m->wrong |= _mm512_cmpgt_epu8_mask(joined, _mm512_set1_epi8(9));
  __m512i pairs = _mm512_maddubs_epi16(joined, _mm512_set1_epi16(1 << 8 | 10));
  __m512i fours = _mm512_madd_epi16(pairs, _mm512_set1_epi32(1 << 16 | 100));
  __m512i eights = _mm512_madd_epi16(_mm512_packus_epi32(fours, fours), _mm512_set1_epi32(1 << 16 | 10000));
  return _mm512_add_epi64(_mm512_mul_epu32(eights, _mm512_set1_epi64(100000000)), _mm512_srli_epi64(eights, 32));
}

INLINE __m512i four16(const uint8_t *origin, const uint32_t *ends) {
  const uint8_t *o = origin - 16;
  __m512i bytes = _mm512_castsi128_si512(_mm_loadu_si128((const __m128i *)(o + ends[0])));
  bytes = _mm512_inserti32x4(bytes, _mm_loadu_si128((const __m128i *)(o + ends[1])), 1);
  bytes = _mm512_inserti32x4(bytes, _mm_loadu_si128((const __m128i *)(o + ends[2])), 2);
  return _mm512_inserti32x4(bytes, _mm_loadu_si128((const __m128i *)(o + ends[3])), 3);
}

INLINE struct digits_of_8 joined16(__m512i low, __m512i high, struct marks a, struct marks b) {
  const uint64_t top = 0x8000800080008000, fill = 0x7fff7fff7fff7fff;
  __m128i fraction = _mm_popcnt_epi16(_mm_set_epi64x((int64_t)b.fraction, (int64_t)a.fraction));
  return (struct digits_of_8){
      _mm512_permutex2var_epi64(low, _mm512_set_epi64(14, 12, 10, 8, 6, 4, 2, 0), high), _mm512_cvtepu16_epi64(fraction),
      (__mmask8)(_pext_u64(a.points, top) | _pext_u64(b.points, top) << 4),
      (__mmask8)(_pext_u64(a.negative + fill, top) | _pext_u64(b.negative + fill, top) << 4), (a.wrong | b.wrong) != 0};
}

/// Eight numbers of at most 16 bytes.
INLINE struct digits_of_8 digits16x8(const uint8_t *origin, const uint32_t *ends, __m256i lengths) {
  struct marks a, b;
  __m512i low = digits16x4(four16(origin, ends), _mm256_castsi256_si128(lengths), &a);
  __m512i high = digits16x4(four16(origin, ends + 4), _mm256_extracti128_si256(lengths, 1), &b);
  return joined16(low, high, a, b);
}

/// Two numbers of at most 32 bytes: the digits of each in two words of sixteen, every other word.
INLINE __m512i digits32x2(const uint8_t *end0, const uint8_t *end1, __m128i lengths, struct marks *m) {
  const __m512i place = _mm512_broadcast_i64x4(_mm256_setr_epi8(
      0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31));
  const __m512i spread = _mm512_set_epi32(
      0x04040404, 0x04040404, 0x04040404, 0x04040404, 0x04040404, 0x04040404, 0x04040404, 0x04040404, 0, 0, 0, 0, 0, 0, 0, 0);
  __m512i bytes = _mm512_inserti64x4(
      _mm512_castsi256_si512(_mm256_loadu_si256((const __m256i *)(end0 - 32))), _mm256_loadu_si256((const __m256i *)(end1 - 32)), 1);
  __m512i shifted = _mm512_inserti64x4(
      _mm512_castsi256_si512(_mm256_loadu_si256((const __m256i *)(end0 - 33))), _mm256_loadu_si256((const __m256i *)(end1 - 33)), 1);
  __m128i empty = _mm_sub_epi32(_mm_set1_epi32(32), lengths);
  uint64_t valid = _mm512_cmpge_epu8_mask(place, _mm512_shuffle_epi8(_mm512_broadcast_i32x4(empty), spread));
  __m512i values = _mm512_sub_epi8(bytes, _mm512_set1_epi8('0'));
  *m = marks_of(
      valid, _mm512_cmpeq_epi8_mask(bytes, _mm512_set1_epi8('-')), _mm512_cmpeq_epi8_mask(bytes, _mm512_set1_epi8('.')),
      _mm512_testn_epi8_mask(values, values), 0x8000000080000000, 0x0000000100000001, 0xffffffff);
  __m512i joined = _mm512_maskz_sub_epi8(m->keep, _mm512_mask_mov_epi8(bytes, m->moved, shifted), _mm512_set1_epi8('0'));
  m->wrong |= _mm512_cmpgt_epu8_mask(joined, _mm512_set1_epi8(9));
  __m512i pairs = _mm512_maddubs_epi16(joined, _mm512_set1_epi16(1 << 8 | 10));
  __m512i fours = _mm512_madd_epi16(pairs, _mm512_set1_epi32(1 << 16 | 100));
  __m512i eights = _mm512_madd_epi16(_mm512_packus_epi32(fours, fours), _mm512_set1_epi32(1 << 16 | 10000));
  return _mm512_add_epi64(_mm512_mul_epu32(eights, _mm512_set1_epi64(100000000)), _mm512_srli_epi64(eights, 32));
}

/// Eight numbers of at most 32 bytes; their digits must fit 63 bits.
INLINE struct digits_of_8 digits32x8(const uint8_t *origin, const uint32_t *ends, __m256i lengths) {
  const uint64_t top = 0x8000000080000000, fill = 0x7fffffff7fffffff;
  struct marks m[4];
  __m512i words[4];
  for (int k = 0; k < 4; k++) {
    __m128i two = k < 2 ? _mm256_castsi256_si128(lengths) : _mm256_extracti128_si256(lengths, 1);
    if (k & 1) two = _mm_srli_si128(two, 8);
    words[k] = digits32x2(origin + ends[2 * k], origin + ends[2 * k + 1], two, &m[k]);
  }
  // Words 0 and 4 are the upper sixteen digits of two numbers, words 2 and 6 the lower.
  const __m512i sort = _mm512_set_epi64(14, 10, 6, 2, 12, 8, 4, 0);
  __m512i a = _mm512_permutex2var_epi64(words[0], sort, words[1]), b = _mm512_permutex2var_epi64(words[2], sort, words[3]);
  __m512i head = _mm512_shuffle_i64x2(a, b, 0x44), tail = _mm512_shuffle_i64x2(a, b, 0xee);
  __mmask8 large = _mm512_cmpgt_epu64_mask(head, _mm512_set1_epi64(921));
  __m256i fraction = _mm256_popcnt_epi32(_mm256_set_epi64x(
      (int64_t)m[3].fraction, (int64_t)m[2].fraction, (int64_t)m[1].fraction, (int64_t)m[0].fraction));
  uint64_t points = 0, negative = 0, wrong = large;
  for (int k = 0; k < 4; k++) {
    points |= _pext_u64(m[k].points, top) << (2 * k);
    negative |= _pext_u64(m[k].negative + fill, top) << (2 * k);
    wrong |= m[k].wrong;
  }
  return (struct digits_of_8){
      _mm512_add_epi64(_mm512_mullo_epi64(head, _mm512_set1_epi64(10000000000000000)), tail),
      _mm512_cvtepu32_epi64(fraction), (__mmask8)points, (__mmask8)negative, wrong != 0};
}

/// Four numbers of at most 16 bytes with exponents: those taken off, the rest moved to the end of its lane. Their lengths
/// are left in `lengths`, those of the exponents with their mark in `tails`.
INLINE __m512i without_exponents(__m512i bytes, __m128i *lengths, __m128i *tails) {
  const __m512i place = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
  const __m512i spread = _mm512_set_epi32(
      0x0c0c0c0c, 0x0c0c0c0c, 0x0c0c0c0c, 0x0c0c0c0c, 0x08080808, 0x08080808, 0x08080808, 0x08080808, 0x04040404, 0x04040404,
      0x04040404, 0x04040404, 0, 0, 0, 0);
  // What stands before a number may be an e too: the last one is its own.
  __m128i marks = _mm_cvtsi64_si128(
      (int64_t)_mm512_cmpeq_epi8_mask(_mm512_or_si512(bytes, _mm512_set1_epi8(0x20)), _mm512_set1_epi8('e')));
  // Zeros above the highest one of 16 bits: those of 32 less 16.
  *tails = _mm_sub_epi32(_mm_lzcnt_epi32(_mm_cvtepu16_epi32(marks)), _mm_set1_epi32(15));
  *lengths = _mm_sub_epi32(*lengths, *tails);
  __m512i shift = _mm512_shuffle_epi8(_mm512_broadcast_i32x4(*tails), spread);
  return _mm512_shuffle_epi8(bytes, _mm512_sub_epi8(place, shift));
}

/// Eight numbers of at most 16 bytes, exponents with them.
INLINE struct digits_of_8 scientific16x8(
    const uint8_t *origin, const uint32_t *ends, __m256i lengths, __m512i *powers) {
  __m128i low_lengths = _mm256_castsi256_si128(lengths), high_lengths = _mm256_extracti128_si256(lengths, 1);
  __m128i low_tails, high_tails;
  __m512i low = without_exponents(four16(origin, ends), &low_lengths, &low_tails);
  __m512i high = without_exponents(four16(origin, ends + 4), &high_lengths, &high_tails);
  struct marks a, b;
  low = digits16x4(low, low_lengths, &a);
  high = digits16x4(high, high_lengths, &b);
  struct digits_of_8 d = joined16(low, high, a, b);
  __mmask8 none = _mm_cmple_epi32_mask(low_lengths, _mm_setzero_si128()) |
                  _mm_cmple_epi32_mask(high_lengths, _mm_setzero_si128());
  // The exponents: 'e', a sign perhaps, digits, in the last eight bytes.
  __m512i tails = _mm512_cvtepu32_epi64(_mm256_set_m128i(high_tails, low_tails));
  __m512i bytes = words8(origin - 8, ends);
  __mmask8 long_ones = _mm512_cmpgt_epu64_mask(_mm512_sub_epi64(tails, _mm512_set1_epi64(2)), _mm512_set1_epi64(4));
  // The byte behind the mark is a sign or the first digit.
  __m512i length = _mm512_sub_epi64(tails, _mm512_set1_epi64(1));
  __m512i sign = _mm512_and_si512(
      _mm512_srlv_epi64(bytes, _mm512_slli_epi64(_mm512_sub_epi64(_mm512_set1_epi64(8), length), 3)), _mm512_set1_epi64(0xff));
  __mmask8 down = _mm512_cmpeq_epi64_mask(sign, _mm512_set1_epi64('-'));
  __mmask8 has_sign = down | _mm512_cmpeq_epi64_mask(sign, _mm512_set1_epi64('+'));
  length = _mm512_mask_sub_epi64(length, has_sign, length, _mm512_set1_epi64(1));
  __m512i cut = _mm512_slli_epi64(_mm512_sub_epi64(_mm512_set1_epi64(8), length), 3);
  // Shifted out and in again, what stood before the digits is gone; for none at all, everything is.
  __m512i values = _mm512_sllv_epi64(
      _mm512_srlv_epi64(_mm512_xor_si512(bytes, _mm512_set1_epi8('0')), cut), cut);
  uint64_t bad = _mm512_cmpgt_epu8_mask(values, _mm512_set1_epi8(9)) | _mm512_testn_epi64_mask(length, length);
  __m512i pairs = _mm512_maddubs_epi16(values, _mm512_set1_epi16(1 << 8 | 10));
  __m512i fours = _mm512_madd_epi16(pairs, _mm512_set1_epi32(1 << 16 | 100));
  __m512i power = _mm512_add_epi64(_mm512_mul_epu32(fours, _mm512_set1_epi64(10000)), _mm512_srli_epi64(fours, 32));
  *powers = _mm512_mask_sub_epi64(power, down, _mm512_setzero_si512(), power);
  d.wrong |= (none | long_ones | bad) != 0;
  return d;
}

/// Eight numbers of at most 16 bytes, if the exponents of all look as C prints them: a mark, a sign, two digits. Else they are
/// wrong. `heads` are the lengths of what stands before.
INLINE struct digits_of_8 exponential16x8(
    const uint8_t *origin, const uint32_t *ends, __m256i heads, __m512i *powers) {
  __m512i low = four16(origin, ends), high = four16(origin, ends + 4);
  __m512i tails = _mm512_permutex2var_epi32(
      low, _mm512_castsi256_si512(_mm256_setr_epi32(3, 7, 11, 15, 19, 23, 27, 31)), high);
  tails = _mm512_cvtepu32_epi64(_mm512_castsi512_si256(tails));
  // An e of either case and what stands behind it, by its code.
  __m512i marks = _mm512_or_si512(_mm512_and_si512(tails, _mm512_set1_epi64(0xffff)), _mm512_set1_epi64(0x20));
  __mmask8 down = _mm512_cmpeq_epi64_mask(marks, _mm512_set1_epi64('-' << 8 | 'e'));
  __mmask8 up = _mm512_cmpeq_epi64_mask(marks, _mm512_set1_epi64('+' << 8 | 'e'));
  __m512i digits = _mm512_xor_si512(_mm512_srli_epi64(tails, 16), _mm512_set1_epi64('0' << 8 | '0'));
  __m512i power = _mm512_maddubs_epi16(digits, _mm512_set1_epi64(1 << 8 | 10));
  *powers = _mm512_mask_sub_epi64(power, down, _mm512_setzero_si512(), power);
  struct marks a, b;
  low = digits16x4(_mm512_bslli_epi128(low, 4), _mm256_castsi256_si128(heads), &a);
  high = digits16x4(_mm512_bslli_epi128(high, 4), _mm256_extracti128_si256(heads, 1), &b);
  struct digits_of_8 d = joined16(low, high, a, b);
  d.wrong |= ((up | down) != 0xff) | (_mm512_cmpgt_epu8_mask(digits, _mm512_set1_epi8(9)) != 0);
  return d;
}

/// The powers of ten that numbers near each other have: this many of the table from a window on, which a permutation finds
/// sooner than gathering.
#define NEAR_COUNT (NEAR_HIGHEST - NEAR_LOWEST + 1)
#define WINDOW 16

INLINE __m512d in_window(const double *table, uint32_t window, __m512i place) {
  return _mm512_permutex2var_pd(_mm512_loadu_pd(table + window), place, _mm512_loadu_pd(table + window + 8));
}

/// Stores eight; false when one of them must be looked at by itself.
INLINE bool keep8(
    struct digits_of_8 d, __m512i powers, uint32_t *window, bool is_scientific, int width, enum ck_json_type type, void *out,
    size_t i) {
  uint64_t wrong = d.wrong;
  if (type == CK_JSON_F32 || type == CK_JSON_F64) {
    __m512d head, tail = _mm512_setzero_pd();
    if (is_scientific) {
      __m512i exponent = _mm512_sub_epi64(powers, _mm512_add_epi64(d.fraction, _mm512_set1_epi64(NEAR_LOWEST)));
      wrong |= _mm512_cmpgt_epu64_mask(exponent, _mm512_set1_epi64(NEAR_HIGHEST - NEAR_LOWEST));
      if (UNLIKELY(wrong)) return false;
      __m512i place = _mm512_sub_epi64(exponent, _mm512_set1_epi64(*window));
      if (LIKELY(_mm512_cmpgt_epu64_mask(place, _mm512_set1_epi64(WINDOW - 1)) == 0)) {
        head = in_window(near_head, *window, place);
        if (type == CK_JSON_F64) tail = in_window(near_tail, *window, place);
      } else {
        head = _mm512_i64gather_pd(exponent, near_head, 8);
        if (type == CK_JSON_F64) tail = _mm512_i64gather_pd(exponent, near_tail, 8);
        // The first of these numbers goes to the middle of the window.
        int64_t low = _mm_cvtsi128_si64(_mm512_castsi512_si128(exponent)) - WINDOW / 2;
        *window = low < 0 ? 0 : low > NEAR_COUNT - WINDOW ? NEAR_COUNT - WINDOW : (uint32_t)low;
      }
    } else {
      // Powers from 1e0 down, as many as there can be digits behind the point; their order in the table is the other one.
      const double *heads = near_head - NEAR_LOWEST, *tails = near_tail - NEAR_LOWEST;
      __m512i back = _mm512_sub_epi64(_mm512_set1_epi64(7), d.fraction), more = _mm512_add_epi64(back, _mm512_set1_epi64(8));
      if (width == 8) {
        head = _mm512_permutexvar_pd(back, _mm512_loadu_pd(heads - 7));
        if (type == CK_JSON_F64) tail = _mm512_permutexvar_pd(back, _mm512_loadu_pd(tails - 7));
      } else if (width == 16) {
        head = _mm512_permutex2var_pd(_mm512_loadu_pd(heads - 15), more, _mm512_loadu_pd(heads - 7));
        if (type == CK_JSON_F64) tail = _mm512_permutex2var_pd(_mm512_loadu_pd(tails - 15), more, _mm512_loadu_pd(tails - 7));
      } else {
        __mmask8 far = _mm512_cmpgt_epu64_mask(d.fraction, _mm512_set1_epi64(15));
        head = _mm512_permutex2var_pd(_mm512_loadu_pd(heads - 15), more, _mm512_loadu_pd(heads - 7));
        head = _mm512_mask_mov_pd(
            head, far, _mm512_permutex2var_pd(_mm512_loadu_pd(heads - 31), more, _mm512_loadu_pd(heads - 23)));
        if (type == CK_JSON_F64) {
          tail = _mm512_permutex2var_pd(_mm512_loadu_pd(tails - 15), more, _mm512_loadu_pd(tails - 7));
          tail = _mm512_mask_mov_pd(
              tail, far, _mm512_permutex2var_pd(_mm512_loadu_pd(tails - 31), more, _mm512_loadu_pd(tails - 23)));
        }
      }
    }
    __m512d value = _mm512_cvtepi64_pd(d.value);
    if (type == CK_JSON_F32) {
      value = _mm512_mul_pd(value, head);
      __m512i bits = _mm512_castpd_si512(value);
      // As in `nearest_float`.
      wrong |= _mm512_cmple_epu64_mask(
          _mm512_sub_epi64(_mm512_and_si512(bits, _mm512_set1_epi64(0x1fffffff)), _mm512_set1_epi64(0x0ffffffc)),
          _mm512_set1_epi64(8));
      if (is_scientific)
        wrong |= _mm512_mask_cmpge_epu64_mask(
            _mm512_test_epi64_mask(d.value, d.value), _mm512_sub_epi64(bits, _mm512_set1_epi64(0x3810000000000000)),
            _mm512_set1_epi64(0x47efffffe0000000 - 0x3810000000000000));
      else
        wrong |= _mm512_mask_cmpgt_epu64_mask((__mmask8)~d.points, d.value, _mm512_set1_epi64((1 << 24) - 1));
      bits = _mm512_mask_or_epi64(bits, d.negative, bits, _mm512_set1_epi64(INT64_MIN));
      _mm256_storeu_ps((float *)out + i, _mm512_cvtpd_ps(_mm512_castsi512_pd(bits)));
      return wrong == 0;
    }
    // In pairs of doubles: off by less than 2^-103 of the value. What comes out is rounded right unless 2^-98 up or down would
    // round otherwise (Ziv).
    __m512d rest = _mm512_cvtepi64_pd(_mm512_sub_epi64(d.value, _mm512_cvtpd_epi64(value)));
    __m512d product = _mm512_mul_pd(value, head);
    __m512d error = _mm512_fmsub_pd(value, head, product);
    error = _mm512_fmadd_pd(value, tail, error);
    error = _mm512_fmadd_pd(rest, head, error);
    const __m512d doubt = _mm512_set1_pd(0x1p-98);
    __m512d up = _mm512_add_pd(product, _mm512_fmadd_pd(product, doubt, error));
    __m512d down = _mm512_add_pd(product, _mm512_fnmadd_pd(product, doubt, error));
    wrong |= _mm512_cmp_pd_mask(up, down, _CMP_NEQ_OQ);
    if (!is_scientific)
      wrong |= _mm512_mask_cmpgt_epu64_mask((__mmask8)~d.points, d.value, _mm512_set1_epi64((1ll << 53) - 1));
    __m512i bits = _mm512_castpd_si512(up);
    bits = _mm512_mask_or_epi64(bits, d.negative, bits, _mm512_set1_epi64(INT64_MIN));
    _mm512_storeu_si512((double *)out + i, bits);
    return wrong == 0;
  }
  if (is_scientific) return false;
  wrong |= d.points;
#define INTEGER(CASE, NEGATIVE, POSITIVE, WRITE)                                                                    \
  if (type == CASE) {                                                                                               \
    __m512i limit = _mm512_mask_mov_epi64(                                                                          \
        _mm512_set1_epi64((int64_t)(POSITIVE)), d.negative, _mm512_set1_epi64((int64_t)(NEGATIVE)));                \
    wrong |= _mm512_cmpgt_epu64_mask(d.value, limit);                                                               \
    __m512i value = _mm512_mask_sub_epi64(d.value, d.negative, _mm512_setzero_si512(), d.value);                    \
    WRITE;                                                                                                          \
  }
#define BYTES _mm_storeu_si64((uint8_t *)out + i, _mm512_cvtepi64_epi8(value))
#define WORDS _mm_storeu_si128((__m128i *)((uint16_t *)out + i), _mm512_cvtepi64_epi16(value))
#define DOUBLES _mm256_storeu_si256((__m256i *)((uint32_t *)out + i), _mm512_cvtepi64_epi32(value))
#define QUADS _mm512_storeu_si512((uint64_t *)out + i, value)
  INTEGER(CK_JSON_I8, 1u << 7, INT8_MAX, BYTES)
  INTEGER(CK_JSON_U8, 0, UINT8_MAX, BYTES)
  INTEGER(CK_JSON_I16, 1u << 15, INT16_MAX, WORDS)
  INTEGER(CK_JSON_U16, 0, UINT16_MAX, WORDS)
  INTEGER(CK_JSON_I32, 1ull << 31, INT32_MAX, DOUBLES)
  INTEGER(CK_JSON_U32, 0, UINT32_MAX, DOUBLES)
  INTEGER(CK_JSON_I64, 1ull << 63, INT64_MAX, QUADS)
  INTEGER(CK_JSON_U64, 0, UINT64_MAX, QUADS)
#undef INTEGER
#undef BYTES
#undef WORDS
#undef DOUBLES
#undef QUADS
  return wrong == 0;
}

/// Stores eight numbers of 17 to 32 bytes as floats: by their first sixteen bytes, if those tell. What follows is digits
/// and adds less than one to the last of the digits before.
INLINE bool keep8_long(const uint8_t *origin, const uint32_t *ends, __m256i starts, void *out, size_t i) {
  uint32_t cuts[8];
  _mm256_storeu_si256((__m256i *)cuts, _mm256_add_epi32(starts, _mm256_set1_epi32(16)));
  struct digits_of_8 d = digits16x8(origin, cuts, _mm256_set1_epi32(16));
  // The last sixteen bytes reach into what is read already, and so may have the point in them.
  __m512i low = _mm512_sub_epi8(four16(origin, ends), _mm512_set1_epi8('0'));
  __m512i high = _mm512_sub_epi8(four16(origin, ends + 4), _mm512_set1_epi8('0'));
  __mmask64 odd = _mm512_cmpgt_epu8_mask(low, _mm512_set1_epi8(9)) | _mm512_cmpgt_epu8_mask(high, _mm512_set1_epi8(9));
  if (UNLIKELY(odd)) {
    // Bytes behind the sixteenth: the last `length - 16` of each lane.
    __m256i more = _mm256_sub_epi32(
        _mm256_sub_epi32(_mm256_loadu_si256((const __m256i *)ends), starts), _mm256_set1_epi32(16));
    const __m512i place = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
    const __m512i spread = _mm512_set_epi32(
        0x0c0c0c0c, 0x0c0c0c0c, 0x0c0c0c0c, 0x0c0c0c0c, 0x08080808, 0x08080808, 0x08080808, 0x08080808, 0x04040404,
        0x04040404, 0x04040404, 0x04040404, 0, 0, 0, 0);
    __m256i empty = _mm256_sub_epi32(_mm256_set1_epi32(16), more);
    __m512i a = _mm512_shuffle_epi8(_mm512_broadcast_i32x4(_mm256_castsi256_si128(empty)), spread);
    __m512i b = _mm512_shuffle_epi8(_mm512_broadcast_i32x4(_mm256_extracti128_si256(empty, 1)), spread);
    if (_mm512_mask_cmpgt_epu8_mask(_mm512_cmpge_epu8_mask(place, a), low, _mm512_set1_epi8(9)) |
        _mm512_mask_cmpgt_epu8_mask(_mm512_cmpge_epu8_mask(place, b), high, _mm512_set1_epi8(9)))
      return false;
  }
  // Without a point so far, nobody knows how many digits follow before it.
  if (UNLIKELY(d.wrong | (d.points != 0xff))) return false;
  const double *heads = near_head - NEAR_LOWEST;
  __m512i index = _mm512_sub_epi64(_mm512_set1_epi64(15), d.fraction);
  __m512d head = _mm512_permutex2var_pd(_mm512_loadu_pd(heads - 15), index, _mm512_loadu_pd(heads - 7));
  __m512d value = _mm512_cvtepi64_pd(d.value);
  // A value between these two, rounded: off by less than four last places, as in `nearest_float`.
  __m512d least = _mm512_mul_pd(value, head);
  __m512d most = _mm512_mul_pd(_mm512_add_pd(value, _mm512_set1_pd(1)), head);
  __m256 down = _mm512_cvtpd_ps(_mm512_fnmadd_pd(least, _mm512_set1_pd(0x1p-50), least));
  __m256 up = _mm512_cvtpd_ps(_mm512_fmadd_pd(most, _mm512_set1_pd(0x1p-50), most));
  if (UNLIKELY(_mm256_cmp_ps_mask(down, up, _CMP_NEQ_OQ))) return false;
  __m256i bits = _mm256_castps_si256(down);
  bits = _mm256_mask_or_epi32(bits, d.negative, bits, _mm256_set1_epi32(INT32_MIN));
  _mm256_storeu_si256((__m256i *)((float *)out + i), bits);
  return true;
}

/// Rows of at most this many numbers have a place in the table for each gap.
#define COLUMNS 32

/// The gaps around eight numbers that begin at a column: entry `column` is the one before its number.
struct columns {
  uint64_t words[COLUMNS + 9], masks[COLUMNS + 9];
  uint32_t widths[COLUMNS + 9];
  uint8_t is_row_gap[COLUMNS + 9];
};

INLINE void fill(struct columns *columns, const struct gaps *gaps, size_t row) {
  // Long rows need what lies within a row only.
  size_t count = row <= COLUMNS ? row + 9 : 10;
  for (size_t k = 0; k < count; k++) {
    bool is_row_gap = k % row == 0 && row <= COLUMNS;
    size_t width = is_row_gap ? gaps->row_gap_count : gaps->gap_count;
    columns->words[k] = is_row_gap ? gaps->row_word : gaps->gap_word;
    columns->masks[k] = width >= 8 ? ~0ull : (1ull << width * 8) - 1;
    columns->widths[k] = (uint32_t)width;
    columns->is_row_gap[k] = is_row_gap;
  }
}

/// Whether the gaps behind eight numbers are what they were.
INLINE bool same8(
    const struct columns *columns, size_t column, const struct gaps *gaps, bool is_wide, const uint8_t *origin,
    const uint32_t *ends) {
  uint64_t differences = 0;
  if (is_wide) {
    uint64_t mask = ~0ull >> ((64 - gaps->gap_count) & 63), row_mask = ~0ull >> ((64 - gaps->row_gap_count) & 63);
    __m512i pattern = _mm512_loadu_si512(gaps->gap), row_pattern = _mm512_loadu_si512(gaps->row_gap);
    // Half a line seldom reaches into the next one; a whole one nearly always does.
    bool is_half = gaps->gap_count <= 32;
    for (int k = 0; k < 8; k++) {
      const uint8_t *p = origin + ends[k];
      if (columns->is_row_gap[column + 1 + (size_t)k])
        differences |= _mm512_cmpneq_epi8_mask(_mm512_loadu_si512(p), row_pattern) & row_mask;
      else if (is_half)
        differences |= _mm256_cmpneq_epi8_mask(
            _mm256_loadu_si256((const __m256i *)p), _mm512_castsi512_si256(pattern)) & mask;
      else
        differences |= _mm512_cmpneq_epi8_mask(_mm512_loadu_si512(p), pattern) & mask;
    }
  } else {
    __m512i other = _mm512_xor_si512(words8(origin, ends), _mm512_loadu_si512(columns->words + column + 1));
    differences = _mm512_test_epi64_mask(other, _mm512_loadu_si512(columns->masks + column + 1));
  }
  return differences == 0;
}

INLINE size_t by_eights(struct ck_json_run *run, enum ck_json_type type, bool is_wide, void *out, size_t capacity) {
  const uint8_t *text = run->text;
  size_t count = run->count - run->at < (1u << 30) ? run->count : run->at + (1u << 30);
  if (run->at < 2 * BEFORE + GAP_MAX || count < run->at + BEHIND + 64) return 0;
  // Positions are counted from before the first number, so that none is negative.
  const uint8_t *origin = text + run->at - BEFORE - GAP_MAX, *block = text + run->at, *limit = text + count - BEHIND;
  struct gaps gaps = gaps_of(run);
  size_t row = run->row ? run->row : SIZE_MAX, column = run->column;
  bool is_long = row > COLUMNS || gaps.row_gap_count == 0;
  struct columns columns;
  if (is_long)
    fill(&columns, &gaps, COLUMNS + 1);
  else
    fill(&columns, &gaps, row);
  // The first place is for the end before the first number.
  uint32_t places[BLOCKS * 32 + 64], *ends = places + 1;
  places[0] = (uint32_t)(block - origin) - columns.widths[is_long ? 1 : column];
  size_t found = 0, next = 0, i = 0, blocks = 4;
  uint64_t inside = 0;
  enum look look = FRACTION;
  uint32_t window = 0;
  const uint8_t *behind = NULL;
  while (i < capacity) {
    if (found - next < 8) {
      // What is left moves to the front.
      size_t rest = found - next;
      for (size_t k = 0; k <= rest; k++) places[k] = places[next + k];
      next = 0;
      size_t left = block < limit ? (size_t)(limit - block) / 64 : 0;
      if (left < blocks) blocks = left;
      found = rest + find_ends_512(block, blocks, (uint32_t)(block - origin), &inside, ends + rest);
      block += blocks * 64;
      // A run that ends soon does not look far.
      if (blocks) blocks = BLOCKS - 1;
      if (found == 0) break;
    }
    size_t at = is_long ? 1 : column;
    if (LIKELY((found - next >= 8) & (capacity - i >= 8)) && (!is_long || column + 8 < row)) {
      const uint32_t *e = ends + next;
      __m256i starts = _mm256_add_epi32(
          _mm256_loadu_si256((const __m256i *)(e - 1)), _mm256_loadu_si256((const __m256i *)(columns.widths + at)));
      __m256i lengths = _mm256_sub_epi32(_mm256_loadu_si256((const __m256i *)e), starts);
      bool is_kept = false;
      // No number at all has a length of zero or less than that.
      __m256i over = _mm256_sub_epi32(lengths, _mm256_set1_epi32(1));
      if (look == SCIENTIFIC) {
        __m512i powers;
        if (LIKELY(_mm256_cmpgt_epu32_mask(over, _mm256_set1_epi32(15)) == 0)) {
          // At least a digit before the exponent.
          __m256i heads = _mm256_sub_epi32(lengths, _mm256_set1_epi32(4));
          if (LIKELY(_mm256_cmpgt_epu32_mask(_mm256_sub_epi32(heads, _mm256_set1_epi32(1)), _mm256_set1_epi32(11)) == 0))
            is_kept = keep8(exponential16x8(origin, e, heads, &powers), powers, &window, true, 16, type, out, i);
          if (UNLIKELY(!is_kept)) {
            struct digits_of_8 d = scientific16x8(origin, e, lengths, &powers);
            is_kept = keep8(d, powers, &window, true, 16, type, out, i);
          }
        }
      } else if (_mm256_cmpgt_epu32_mask(over, _mm256_set1_epi32(7)) == 0) {
        is_kept = keep8(digits8x8(origin, e, lengths), _mm512_setzero_si512(), &window, false, 8, type, out, i);
      } else if (_mm256_cmpgt_epu32_mask(over, _mm256_set1_epi32(15)) == 0) {
        is_kept = keep8(digits16x8(origin, e, lengths), _mm512_setzero_si512(), &window, false, 16, type, out, i);
      } else if (_mm256_cmpgt_epu32_mask(over, _mm256_set1_epi32(31)) == 0) {
        is_kept = (type == CK_JSON_F32 && _mm256_cmpgt_epu32_mask(_mm256_set1_epi32(16), over) == 0 &&
                   keep8_long(origin, e, starts, out, i)) ||
                  keep8(digits32x8(origin, e, lengths), _mm512_setzero_si512(), &window, false, 32, type, out, i);
      }
      if (LIKELY(is_kept && same8(&columns, at, &gaps, is_wide, origin, e))) {
        behind = origin + e[7];
        i += 8;
        next += 8;
        column += 8;
        if (!is_long)
          while (column >= row) column -= row;
        continue;
      }
    }
    // One by one: what is odd, and the ends of long rows.
    const uint8_t *p = origin + places[next] + columns.widths[at];
    size_t together = found - next < 8 ? found - next : 8;
    if (together > capacity - i) together = capacity - i;
    for (size_t k = 0; k < together; k++, next++) {
      const uint8_t *end = origin + ends[next];
      if (UNLIKELY(!store_one(p, end, &look, type, out, i))) goto done;
      i++;
      behind = end;
      bool is_last = ++column == row;
      size_t width = is_last ? gaps.row_gap_count : gaps.gap_count;
      if (is_last) column = 0;
      if (UNLIKELY(width == 0 || !same(end, is_last ? gaps.row_gap : gaps.gap, width))) goto done;
      p = end + width;
    }
    if (is_long) places[next] = (uint32_t)(p - origin) - columns.widths[1];
  }
done:
  if (behind) run->at = (size_t)(behind - text);
  run->column = column;
  return i;
}

#define EACH(TYPE)                                                                                          \
  static size_t by_eights_##TYPE(struct ck_json_run *run, bool is_wide, void *out, size_t capacity) {       \
    return is_wide ? by_eights(run, TYPE, true, out, capacity) : by_eights(run, TYPE, false, out, capacity); \
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
