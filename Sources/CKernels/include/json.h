// Numbers in JSON text, straight into tensors.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// What a number becomes.
enum ck_json_type {
  CK_JSON_F32,
  CK_JSON_F64,
  CK_JSON_I8,
  CK_JSON_U8,
  CK_JSON_I16,
  CK_JSON_U16,
  CK_JSON_I32,
  CK_JSON_U32,
  CK_JSON_I64,
  CK_JSON_U64,
};

/// A run of numbers in rows that look alike: what lies between two numbers of a row has been seen once, and what lies between
/// two rows too.
struct ck_json_run {
  const uint8_t *_Nonnull text;
  size_t count;
  /// In: where a number begins. Out: behind the last number that was stored.
  size_t at;
  /// The text between two numbers of a row, somewhere in `text`.
  size_t gap, gap_count;
  /// The text between the last number of a row and the first of the next. A count of zero: not seen yet.
  size_t row_gap, row_gap_count;
  /// Numbers in a row, zero if nobody knows, and which of them comes next.
  size_t row, column;
};

/// Stores the numbers that follow each other as `run` says, at most `capacity` of them, and stops before the first that is
/// not one of `type` without loss, or behind the one that is followed by something else. Stops early near the end of the
/// text, and does nothing near its beginning: it reads a few bytes around each number. Nothing is read outside `text`.
/// Returns how many were stored.
size_t ck_json_numbers(
    struct ck_json_run *_Nonnull run, enum ck_json_type type, void *_Nonnull out, size_t capacity);

/// The same by the instructions that every machine has, for tests.
size_t ck_json_numbers_portable(
    struct ck_json_run *_Nonnull run, enum ck_json_type type, void *_Nonnull out, size_t capacity);

enum ck_json_fault {
  CK_JSON_VALID,
  CK_JSON_INVALID,
  CK_JSON_NO_FRACTION,
  CK_JSON_NO_EXPONENT,
  /// Larger than any double.
  CK_JSON_TOO_BIG,
};

/// One number, read with care.
struct ck_json_number {
  enum ck_json_fault fault;
  /// Bytes that belong to it; with a fault, bytes before what is wrong.
  size_t count;
  bool is_negative;
  /// Neither fraction nor exponent, and `magnitude` is its whole value.
  bool is_integer;
  uint64_t magnitude;
};

/// Reads the number at the beginning of `text` as the grammar of JSON has it.
struct ck_json_number ck_json_scan(const uint8_t *_Nonnull text, size_t count);

/// The nearest double or float of a number that `ck_json_scan` found valid; infinite when it is too large.
double ck_json_double(const uint8_t *_Nonnull text, size_t count);
float ck_json_float(const uint8_t *_Nonnull text, size_t count);

/// The most bytes that a float takes with what stands behind it, and the bytes behind the last that may be written over.
#define CK_JSON_FLOAT_BYTES 20
#define CK_JSON_FLOAT_SLACK 32

/// Writes floats, each with as few digits as tell it from its neighbours, and with a point or an exponent, and behind each a
/// comma and a blank, or behind the last of a row `], [`. The first stands at `column` of its row. NaN and the infinities are
/// bare tokens, or in quotation marks if `is_strict`. `values` need not be aligned; `out` has room for
/// `count * CK_JSON_FLOAT_BYTES + CK_JSON_FLOAT_SLACK`. Returns the bytes written.
size_t ck_json_print_floats(
    const void *_Nonnull values, size_t count, size_t column, size_t row, bool is_strict, uint8_t *_Nonnull out);
