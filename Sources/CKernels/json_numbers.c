// Numbers in JSON text, straight into tensors, correctly rounded.
//
// Two passes over a piece of the text that stays in the nearest cache: the first finds where numbers end, 64 bytes at a time,
// the second turns each number's digits into one integer, 16 or 32 bytes at a time. No pass looks at a byte by itself, and
// one number's work does not wait for another's: only where numbers end is passed on, and that is known beforehand.
//
// What lies between numbers repeats itself, so it is compared with what was seen before and not read again.
//
//   json_decimal.h          a number by itself, exactly
//   json_numbers_avx2.h     one number after the other
//   json_numbers_avx512.h   eight at a time
#include "json_decimal.h"

struct ck_json_number ck_json_scan(const uint8_t *text, size_t count) {
  struct decimal value;
  bool is_whole;
  return scan(text, count, &value, &is_whole);
}

double ck_json_double(const uint8_t *text, size_t count) {
  struct decimal value = {0};
  bool is_whole;
  double result;
  scan(text, count, &value, &is_whole);
  if (is_whole && nearest_double(value, true, &result)) return result;
  return exactly(text, count, false);
}

float ck_json_float(const uint8_t *text, size_t count) {
  struct decimal value = {0};
  bool is_whole;
  float result;
  scan(text, count, &value, &is_whole);
  if (is_whole && value.digits >> 63 == 0 && nearest_float(value, &result)) return result;
  return (float)exactly(text, count, true);
}

/// The parts of the text that a run reads beside its numbers.
#define BEFORE 40
#define BEHIND 96
#define GAP_MAX 64

/// Whether a gap is what was seen before.
INLINE bool same(const uint8_t *p, const uint8_t *pattern, size_t count) {
  // Words of eight, the last of them cut.
  uint64_t differences = 0;
  size_t i = 0;
  for (; i + 8 <= count; i += 8) differences |= load64(p + i) ^ load64(pattern + i);
  if (i < count) differences |= (load64(p + i) ^ load64(pattern + i)) << (64 - (count - i) * 8);
  return differences == 0;
}

// MARK: The portable way: number after number

INLINE size_t portable(struct ck_json_run *run, enum ck_json_type type, void *out, size_t capacity) {
  if (run->count < BEHIND) return 0;
  const uint8_t *last = run->text + run->count - BEHIND;
  const uint8_t *gap = run->text + run->gap, *row_gap = run->text + run->row_gap;
  const uint8_t *p = run->text + run->at;
  size_t column = run->column, i = 0;
  while (i < capacity && p < last) {
    const uint8_t *end = p;
    while (end < last + 32 && (is_digit(*end) || *end == '.' || *end == '-' || *end == '+' || (*end | 0x20) == 'e')) end++;
    if (end >= last + 32 || !store_carefully(p, (size_t)(end - p), type, out, i)) break;
    i++;
    run->at = (size_t)(end - run->text);
    column++;
    bool is_last = column == run->row;
    if (is_last) column = 0;
    size_t count = is_last ? run->row_gap_count : run->gap_count;
    run->column = column;
    if (count == 0 || !same(end, is_last ? row_gap : gap, count)) break;
    p = end + count;
  }
  return i;
}

size_t ck_json_numbers_portable(struct ck_json_run *run, enum ck_json_type type, void *out, size_t capacity) {
  if (run->gap_count > GAP_MAX || run->row_gap_count > GAP_MAX || (run->row && run->column >= run->row)) return 0;
  return portable(run, type, out, capacity);
}

#if defined(__x86_64__)
#include "json_numbers_avx2.h"
#include "json_numbers_avx512.h"

size_t ck_json_numbers(struct ck_json_run *run, enum ck_json_type type, void *out, size_t capacity) {
  if (run->gap_count == 0 || run->gap_count > GAP_MAX || run->row_gap_count > GAP_MAX) return 0;
  // A row that is longer than the others has no place for this number.
  if (run->row && run->column >= run->row) return 0;
  if (run->gap + BEHIND > run->count || run->row_gap + BEHIND > run->count) return 0;
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("bmi2")) return portable(run, type, out, capacity);
  bool is_wide = run->gap_count > 8 || run->row_gap_count > 8;
  bool eights = __builtin_cpu_supports("avx512vbmi2") && __builtin_cpu_supports("avx512bitalg") &&
               __builtin_cpu_supports("avx512vpopcntdq") && __builtin_cpu_supports("avx512dq") &&
               __builtin_cpu_supports("avx512cd");
  switch (type) {
#define EACH(TYPE) \
  case TYPE: return eights ? by_eights_##TYPE(run, is_wide, out, capacity) : vectorized_##TYPE(run, is_wide, out, capacity);
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
  }
  return 0;
}

#else

size_t ck_json_numbers(struct ck_json_run *run, enum ck_json_type type, void *out, size_t capacity) {
  return ck_json_numbers_portable(run, type, out, capacity);
}

#endif
