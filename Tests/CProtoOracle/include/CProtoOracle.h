// protobuf-c as an independent opinion on our parser: makes random messages of a type, and tells what it reads in bytes.
#ifndef C_PROTO_ORACLE_H
#define C_PROTO_ORACLE_H
#include <stddef.h>
#include <stdint.h>

typedef enum {
  ORACLE_PREDICT_REQUEST,
  ORACLE_PREDICT_RESPONSE,
  ORACLE_TENSOR,
  ORACLE_EXAMPLE,
  ORACLE_SAVED_MODEL,
  ORACLE_BUNDLE_HEADER,
  ORACLE_BUNDLE_ENTRY,
  ORACLE_NAMED_TENSOR,
  ORACLE_KINDS
} oracle_kind;

/// Writes a random message: fields in any order and more often than once, numbers packed and not, messages in pieces,
/// unknown fields. Returns its size; at most `capacity`.
size_t oracle_random(oracle_kind kind, uint64_t seed, uint8_t *bytes, size_t capacity);

/// Writes what protobuf-c reads as text and returns its size; -1 when it refuses the bytes, -2 when `capacity` is too small.
/// A lenient reading does not look into a message that a later member of its oneof replaced.
long oracle_dump(oracle_kind kind, int lenient, const uint8_t *bytes, size_t count, char *text, size_t capacity);

/// Why protobuf-c may judge these bytes otherwise than protobuf's own C++ does; NULL when nothing in them gives cause.
const char *oracle_quirk(oracle_kind kind, const uint8_t *bytes, size_t count);

#endif
