// Everything here is driven by protobuf-c's descriptors, so that a field is handled because the .proto has it.
//
// The text: {number=value;...} in order of number, absent and default fields left out, as our views see them:
//   integers in decimal, floats as their bits in hexadecimal, strings and bytes as "hex", repeated fields as [a,b],
//   maps as <"key":value,...> sorted by key with the last of equal keys.
//
// Where protobuf-c differs from protobuf C++ (`oracle_quirk`):
//   - it refuses groups; C++ skips them
//   - it refuses a known field of another wire type; C++ takes it for an unknown one
//   - it takes packed bools for one byte each, and refuses those above 1
//   - it takes field number 0 and tags of more than 32 bits
//   - it merges a message in pieces field by field when all is read, and loses some: so `join` puts pieces together first
//   - its strings end at the first zero byte
//   - it reads into messages that our views leave alone
#include "include/CProtoOracle.h"
#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tensorflow/core/example/example.pb-c.h"
#include "tensorflow/core/framework/tensor.pb-c.h"
#include "tensorflow/core/protobuf/named_tensor.pb-c.h"
#include "tensorflow/core/protobuf/saved_model.pb-c.h"
#include "tensorflow/core/protobuf/tensor_bundle.pb-c.h"
#include "tensorflow_serving/apis/predict.pb-c.h"

typedef ProtobufCMessageDescriptor Message;
typedef ProtobufCFieldDescriptor Field;

static const Message *descriptor(oracle_kind kind) {
  switch (kind) {
  case ORACLE_PREDICT_REQUEST: return &tensorflow__serving__predict_request__descriptor;
  case ORACLE_PREDICT_RESPONSE: return &tensorflow__serving__predict_response__descriptor;
  case ORACLE_TENSOR: return &tensorflow__tensor_proto__descriptor;
  case ORACLE_EXAMPLE: return &tensorflow__example__descriptor;
  case ORACLE_SAVED_MODEL: return &tensorflow__saved_model__descriptor;
  case ORACLE_BUNDLE_HEADER: return &tensorflow__bundle_header_proto__descriptor;
  case ORACLE_BUNDLE_ENTRY: return &tensorflow__bundle_entry_proto__descriptor;
  default: return &tensorflow__named_tensor_proto__descriptor;
  }
}

// Fields our views do not show.
static bool is_hidden(const Message *m, const Field *f) {
  static const struct {
    const char *message;
    const char *fields;
  } hidden[] = {
    {"tensorflow.serving.PredictRequest", " 5 6 7 "},
    {"tensorflow.TensorProto", " 3 14 15 "},
    {"tensorflow.TensorShapeProto.Dim", " 2 "},
    {"tensorflow.MetaGraphDef.MetaInfoDef", " 2 3 6 "},
    {"tensorflow.SaverDef", " 4 5 6 "},
    {"tensorflow.VersionDef", " 3 "},
    {"tensorflow.GraphDef", " 3 "},
    {"tensorflow.NodeDef", " 6 7 "},
    {"tensorflow.FunctionDefLibrary", " 2 3 "},
    {"tensorflow.FunctionDef", " 8 "},
    {"tensorflow.OpDef", " 5 6 8 16 18 19 21 "},
    {"tensorflow.OpDef.ArgDef", " 2 7 "},
    {"tensorflow.OpDef.AttrDef", " 4 5 6 7 "},
  };
  char number[16];
  snprintf(number, sizeof number, " %u ", f->id);
  for (size_t i = 0; i < sizeof hidden / sizeof *hidden; i++)
    if (!strcmp(m->name, hidden[i].message)) return strstr(hidden[i].fields, number) != NULL;
  return false;
}

static bool is_map(const Field *f) {
  if (f->label != PROTOBUF_C_LABEL_REPEATED || f->type != PROTOBUF_C_TYPE_MESSAGE) return false;
  const Message *m = f->descriptor;
  size_t n = strlen(m->name);
  return n > 5 && !strcmp(m->name + n - 5, "Entry") && m->n_fields == 2 && !strcmp(m->fields[0].name, "key");
}

static bool is_oneof(const Field *f) { return f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF; }

// MARK: The text

typedef struct {
  char *text;
  size_t at, capacity;
} Out;

static void put(Out *o, const char *s) {
  size_t n = strlen(s);
  if (o->at + n < o->capacity) memcpy(o->text + o->at, s, n);
  o->at += n;
}

static void put_hex(Out *o, const uint8_t *bytes, size_t count) {
  put(o, "\"");
  for (size_t i = 0; i < count; i++) {
    char s[3];
    snprintf(s, sizeof s, "%02x", bytes[i]);
    put(o, s);
  }
  put(o, "\"");
}

static void dump(Out *o, const ProtobufCMessage *m);

static size_t element_size(ProtobufCType type) {
  switch (type) {
  case PROTOBUF_C_TYPE_INT64: case PROTOBUF_C_TYPE_UINT64: case PROTOBUF_C_TYPE_SINT64: case PROTOBUF_C_TYPE_FIXED64:
  case PROTOBUF_C_TYPE_SFIXED64: case PROTOBUF_C_TYPE_DOUBLE: return 8;
  case PROTOBUF_C_TYPE_BOOL: return sizeof(protobuf_c_boolean);
  case PROTOBUF_C_TYPE_STRING: case PROTOBUF_C_TYPE_MESSAGE: return sizeof(void *);
  case PROTOBUF_C_TYPE_BYTES: return sizeof(ProtobufCBinaryData);
  default: return 4;
  }
}

static bool is_default(ProtobufCType type, const void *p) {
  switch (type) {
  case PROTOBUF_C_TYPE_STRING: { const char *s = *(char *const *)p; return !s || !*s; }
  case PROTOBUF_C_TYPE_BYTES: return ((const ProtobufCBinaryData *)p)->len == 0;
  case PROTOBUF_C_TYPE_MESSAGE: return *(void *const *)p == NULL;
  default: {
    static const uint8_t zero[8];
    return !memcmp(p, zero, element_size(type));
  }
  }
}

static void dump_value(Out *o, ProtobufCType type, const void *p) {
  char s[40];
  switch (type) {
  case PROTOBUF_C_TYPE_STRING: {
    const char *string = *(char *const *)p;
    put_hex(o, (const uint8_t *)string, string ? strlen(string) : 0);
    return;
  }
  case PROTOBUF_C_TYPE_BYTES: put_hex(o, ((const ProtobufCBinaryData *)p)->data, ((const ProtobufCBinaryData *)p)->len); return;
  case PROTOBUF_C_TYPE_MESSAGE: {
    const ProtobufCMessage *m = *(ProtobufCMessage *const *)p;
    if (m) dump(o, m); else put(o, "{}");
    return;
  }
  case PROTOBUF_C_TYPE_INT64: snprintf(s, sizeof s, "%lld", (long long)*(const int64_t *)p); break;
  case PROTOBUF_C_TYPE_UINT64: snprintf(s, sizeof s, "%llu", (unsigned long long)*(const uint64_t *)p); break;
  case PROTOBUF_C_TYPE_DOUBLE: case PROTOBUF_C_TYPE_FIXED64: snprintf(s, sizeof s, "%llx", (unsigned long long)*(const uint64_t *)p); break;
  case PROTOBUF_C_TYPE_FLOAT: case PROTOBUF_C_TYPE_FIXED32: snprintf(s, sizeof s, "%x", *(const uint32_t *)p); break;
  case PROTOBUF_C_TYPE_UINT32: snprintf(s, sizeof s, "%u", *(const uint32_t *)p); break;
  case PROTOBUF_C_TYPE_BOOL: snprintf(s, sizeof s, "%d", *(const protobuf_c_boolean *)p ? 1 : 0); break;
  default: snprintf(s, sizeof s, "%d", *(const int32_t *)p); break;
  }
  put(o, s);
}

typedef struct {
  const ProtobufCMessage *entry;
  const Field *key, *value;
  size_t index;
} Entry;

static int compare_keys(const Entry *a, const Entry *b) {
  const void *x = (const char *)a->entry + a->key->offset, *y = (const char *)b->entry + b->key->offset;
  if (a->key->type == PROTOBUF_C_TYPE_STRING) {
    const char *s = *(char *const *)x, *t = *(char *const *)y;
    return strcmp(s ? s : "", t ? t : "");
  }
  uint32_t k = *(const uint32_t *)x, l = *(const uint32_t *)y;
  return k < l ? -1 : k > l;
}

static int compare_entries(const void *x, const void *y) {
  const Entry *a = x, *b = y;
  int keys = compare_keys(a, b);
  return keys ? keys : a->index < b->index ? -1 : a->index > b->index;
}

static void dump_map(Out *o, const Field *f, void *const *values, size_t count) {
  Entry *entries = calloc(count, sizeof *entries);
  const Message *m = f->descriptor;
  for (size_t i = 0; i < count; i++) entries[i] = (Entry){values[i], &m->fields[0], &m->fields[1], i};
  qsort(entries, count, sizeof *entries, compare_entries);
  put(o, "<");
  bool first = true;
  for (size_t i = 0; i < count; i++) {
    if (i + 1 < count && !compare_keys(&entries[i], &entries[i + 1])) continue;
    if (!first) put(o, ",");
    first = false;
    dump_value(o, entries[i].key->type, (const char *)entries[i].entry + entries[i].key->offset);
    put(o, ":");
    dump_value(o, entries[i].value->type, (const char *)entries[i].entry + entries[i].value->offset);
  }
  put(o, ">");
  free(entries);
}

static void dump(Out *o, const ProtobufCMessage *m) {
  put(o, "{");
  for (unsigned i = 0; i < m->descriptor->n_fields; i++) {
    const Field *f = &m->descriptor->fields[i];
    if (is_hidden(m->descriptor, f)) continue;
    const char *member = (const char *)m + f->offset;
    char number[16];
    snprintf(number, sizeof number, "%u=", f->id);
    if (f->label == PROTOBUF_C_LABEL_REPEATED) {
      size_t count = *(const size_t *)((const char *)m + f->quantifier_offset);
      if (!count) continue;
      const char *values = *(char *const *)member;
      put(o, number);
      if (is_map(f)) {
        dump_map(o, f, (void *const *)values, count);
      } else {
        put(o, "[");
        for (size_t j = 0; j < count; j++) {
          if (j) put(o, ",");
          dump_value(o, f->type, values + j * element_size(f->type));
        }
        put(o, "]");
      }
    } else {
      if (is_oneof(f)) {
        if (*(const uint32_t *)((const char *)m + f->quantifier_offset) != f->id) continue;
      } else if (is_default(f->type, member)) {
        continue;
      }
      put(o, number);
      dump_value(o, f->type, member);
    }
    put(o, ";");
  }
  put(o, "}");
}

// MARK: Messages in pieces

static bool read_varint(const uint8_t *p, size_t *at, size_t end, uint64_t *value);

typedef struct {
  uint8_t *bytes;
  size_t count, capacity;
} Buffer;

static void append(Buffer *b, const void *bytes, size_t count) {
  if (b->count + count > b->capacity) b->bytes = realloc(b->bytes, b->capacity = 2 * (b->count + count));
  if (count) memcpy(b->bytes + b->count, bytes, count);
  b->count += count;
}

static void append_varint(Buffer *b, uint64_t v) {
  for (; v >= 0x80; v >>= 7) append(b, &(uint8_t){v | 0x80}, 1);
  append(b, &(uint8_t){v}, 1);
}

// The message with the occurrences of each singular message field made one, by concatenation, as the encoding's rules
// say they read. False when the bytes are no message.
// A lenient one does not look into what another member of its oneof replaced.
static bool join(const Message *m, const uint8_t *p, size_t end, Buffer *out, bool lenient, int depth) {
  enum { FIELDS = 64 };
  Buffer pieces[FIELDS] = {0};
  bool present[FIELDS] = {0};
  bool ok = m->n_fields <= FIELDS && depth < 90;
  for (size_t at = 0; ok && at < end;) {
    size_t start = at;
    uint64_t tag, value = 0;
    if (!(ok = read_varint(p, &at, end, &tag))) break;
    int type = tag & 7;
    if (type == 0) ok = read_varint(p, &at, end, &value);
    else if (type == 1) at += 8;
    else if (type == 5) at += 4;
    else if (type == 2) ok = read_varint(p, &at, end, &value) && value <= end - at;
    else ok = false;
    if (!(ok = ok && at <= end)) break;
    const uint8_t *body = p + at;
    if (type == 2) at += value;
    unsigned index = 0;
    while (index < m->n_fields && m->fields[index].id != tag >> 3) index++;
    const Field *f = index < m->n_fields ? &m->fields[index] : NULL;
    if (f && is_oneof(f)) {
      // Another member of the oneof, of whatever type, ends those before.
      for (unsigned i = 0; i < m->n_fields; i++)
        if (i != index && present[i] && is_oneof(&m->fields[i]) && m->fields[i].quantifier_offset == f->quantifier_offset) {
          Buffer inner = {0};
          ok = ok && (lenient || join(m->fields[i].descriptor, pieces[i].bytes, pieces[i].count, &inner, lenient, depth + 1));
          free(inner.bytes);
          present[i] = false, pieces[i].count = 0;
        }
    }
    if (!f || f->type != PROTOBUF_C_TYPE_MESSAGE || type != 2) {
      append(out, p + start, at - start);
    } else if (f->label != PROTOBUF_C_LABEL_REPEATED) {
      if (present[index] && !lenient) {
        // No field reaches from one piece into the next.
        Buffer inner = {0};
        ok = join(f->descriptor, pieces[index].bytes, pieces[index].count, &inner, lenient, depth + 1);
        inner.count = 0;
        ok = ok && join(f->descriptor, body, value, &inner, lenient, depth + 1);
        free(inner.bytes);
      }
      append(&pieces[index], body, value);
      present[index] = true;
    } else {
      Buffer inner = {0};
      ok = join(f->descriptor, body, value, &inner, lenient, depth + 1);
      append_varint(out, f->id << 3 | 2);
      append_varint(out, inner.count);
      append(out, inner.bytes, inner.count);
      free(inner.bytes);
    }
  }
  for (unsigned i = 0; i < m->n_fields && i < FIELDS; i++) {
    if (ok && present[i]) {
      Buffer inner = {0};
      ok = join(m->fields[i].descriptor, pieces[i].bytes, pieces[i].count, &inner, lenient, depth + 1);
      append_varint(out, m->fields[i].id << 3 | 2);
      append_varint(out, inner.count);
      append(out, inner.bytes, inner.count);
      free(inner.bytes);
    }
    free(pieces[i].bytes);
  }
  return ok;
}

long oracle_dump(oracle_kind kind, int lenient, const uint8_t *bytes, size_t count, char *text, size_t capacity) {
  Buffer whole = {0};
  bool ok = join(descriptor(kind), bytes, count, &whole, lenient, 0);
  ProtobufCMessage *m = ok ? protobuf_c_message_unpack(descriptor(kind), NULL, whole.count, whole.bytes) : NULL;
  free(whole.bytes);
  if (!m) return -1;
  Out o = {text, 0, capacity};
  dump(&o, m);
  protobuf_c_message_free_unpacked(m, NULL);
  return o.at < capacity ? (long)o.at : -2;
}

// MARK: Random messages

typedef struct {
  uint64_t state;
  uint8_t *bytes;
  size_t at, capacity;
} Maker;

static uint64_t next(Maker *k) {
  // splitmix64
  uint64_t z = k->state += 0x9E3779B97F4A7C15u;
  z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
  z = (z ^ z >> 27) * 0x94D049BB133111EBu;
  return z ^ z >> 31;
}

static uint64_t below(Maker *k, uint64_t n) { return next(k) % n; }

static void byte(Maker *k, uint8_t b) {
  if (k->at < k->capacity) k->bytes[k->at++] = b;
}

static void varint(Maker *k, uint64_t v) {
  while (v >= 0x80) byte(k, v | 0x80), v >>= 7;
  byte(k, v);
}

// Now and then a varint longer than it needs to be.
static void loose_varint(Maker *k, uint64_t v, int max) {
  int size = 1;
  for (uint64_t u = v; u >= 0x80; u >>= 7) size++;
  int more = below(k, 16) || size >= max ? 0 : (int)below(k, max + 1 - size);
  for (int i = 1; i < size + more; i++) byte(k, v | 0x80), v >>= 7;
  byte(k, v & 0x7F);
}

static void fixed(Maker *k, uint64_t v, int size) {
  for (int i = 0; i < size; i++) byte(k, v >> 8 * i);
}

// Never zero: see the quirk of merging.
static uint64_t number(Maker *k) {
  uint64_t v = next(k) >> below(k, 64);
  return v ? v : 1;
}

static void make(Maker *k, const Message *m, int depth, bool plain);

static void length_delimited(Maker *k, size_t start) {
  // Made behind the place of its length, then moved.
  size_t count = k->at - start;
  uint8_t *copy = malloc(count + 1);
  memcpy(copy, k->bytes + start, count);
  k->at = start;
  loose_varint(k, count, 5);
  for (size_t i = 0; i < count; i++) byte(k, copy[i]);
  free(copy);
}

static void scalar(Maker *k, ProtobufCType type, bool in_packed) {
  switch (type) {
  case PROTOBUF_C_TYPE_DOUBLE: case PROTOBUF_C_TYPE_FIXED64: case PROTOBUF_C_TYPE_SFIXED64: fixed(k, number(k), 8); return;
  case PROTOBUF_C_TYPE_FLOAT: case PROTOBUF_C_TYPE_FIXED32: case PROTOBUF_C_TYPE_SFIXED32: fixed(k, (uint32_t)number(k) | 1, 4); return;
  case PROTOBUF_C_TYPE_BOOL: byte(k, in_packed ? below(k, 2) : 1); return;
  case PROTOBUF_C_TYPE_UINT32: loose_varint(k, (uint32_t)number(k) | 1, 10); return;
  case PROTOBUF_C_TYPE_INT32: case PROTOBUF_C_TYPE_ENUM: loose_varint(k, (uint64_t)(int64_t)(int32_t)(number(k) | 1), 10); return;
  default: loose_varint(k, below(k, 4) ? number(k) : ~number(k) | 1, 10); return;
  }
}

static int wire_type(ProtobufCType type) {
  switch (type) {
  case PROTOBUF_C_TYPE_DOUBLE: case PROTOBUF_C_TYPE_FIXED64: case PROTOBUF_C_TYPE_SFIXED64: return 1;
  case PROTOBUF_C_TYPE_FLOAT: case PROTOBUF_C_TYPE_FIXED32: case PROTOBUF_C_TYPE_SFIXED32: return 5;
  case PROTOBUF_C_TYPE_STRING: case PROTOBUF_C_TYPE_BYTES: case PROTOBUF_C_TYPE_MESSAGE: return 2;
  default: return 0;
  }
}

static void make_field(Maker *k, const Field *f, int depth) {
  int type = wire_type(f->type);
  if (f->label == PROTOBUF_C_LABEL_REPEATED && type != 2 && below(k, 3)) {
    varint(k, f->id << 3 | 2);
    size_t start = k->at;
    for (uint64_t n = below(k, 2) ? below(k, 4) : below(k, 40); n; n--) scalar(k, f->type, true);
    length_delimited(k, start);
    return;
  }
  varint(k, f->id << 3 | type);
  if (type != 2) {
    scalar(k, f->type, false);
    return;
  }
  size_t start = k->at;
  if (f->type == PROTOBUF_C_TYPE_MESSAGE) {
    make(k, f->descriptor, depth + 1, is_map(f) && below(k, 3));
  } else {
    // Few letters, so that keys repeat; and lengths on both sides of what takes two bytes.
    uint64_t n = below(k, 24) ? 1 + below(k, 3) : below(k, 200);
    for (; n; n--) byte(k, f->type == PROTOBUF_C_TYPE_STRING ? 'a' + below(k, 3) : next(k));
  }
  length_delimited(k, start);
}

static void unknown(Maker *k) {
  int types[] = {0, 1, 2, 5}, type = types[below(k, 4)];
  loose_varint(k, (1000 + below(k, 1 << 20)) << 3 | type, 5);
  if (type == 0) loose_varint(k, next(k), 10);
  if (type == 1) fixed(k, next(k), 8);
  if (type == 5) fixed(k, next(k), 4);
  if (type == 2) {
    size_t start = k->at;
    for (uint64_t n = below(k, 9); n; n--) byte(k, next(k));
    length_delimited(k, start);
  }
}

// A plain one has each field once, in order, as writers write map entries.
static void make(Maker *k, const Message *m, int depth, bool plain) {
  if (k->at + 600 > k->capacity) return;
  if (plain) {
    for (unsigned i = 0; i < m->n_fields; i++) make_field(k, &m->fields[i], depth);
    return;
  }
  if (!m->n_fields) return;
  uint64_t fields = depth > 7 ? 0 : below(k, depth < 2 ? 8 : 5);
  if (depth == 0) fields += 2;
  for (; fields; fields--) {
    const Field *f = &m->fields[below(k, m->n_fields)];
    if (!is_hidden(m, f)) make_field(k, f, depth);
    if (!below(k, 12)) unknown(k);
  }
}

size_t oracle_random(oracle_kind kind, uint64_t seed, uint8_t *bytes, size_t capacity) {
  Maker k = {seed, bytes, 0, capacity};
  make(&k, descriptor(kind), 0, false);
  // What did not fit was left out in the middle of something: then nothing is whole.
  return k.at < capacity ? k.at : 0;
}

// MARK: Quirks

static bool read_varint(const uint8_t *p, size_t *at, size_t end, uint64_t *value) {
  *value = 0;
  for (int i = 0; i < 10; i++) {
    if (*at + i >= end) return false;
    *value |= (uint64_t)(p[*at + i] & 0x7F) << 7 * i;
    if (p[*at + i] < 0x80) {
      *at += i + 1;
      return true;
    }
  }
  return false;
}

static const char *quirk(const Message *m, const uint8_t *p, size_t at, size_t end, int depth) {
  if (depth > 60) return "deep";
  while (at < end) {
    uint64_t tag, value;
    size_t start = at;
    if (!read_varint(p, &at, end, &tag)) return at + 5 > end ? NULL : "long tag";
    if (tag >> 32 || at - start > 5) return "tag of more than 32 bits";
    if (!(tag >> 3)) return "field number 0";
    int type = tag & 7;
    if (type == 3 || type == 4) return "group";
    if (type > 5) return NULL;
    const Field *f = NULL;
    for (unsigned i = 0; i < m->n_fields; i++)
      if (m->fields[i].id == tag >> 3) f = &m->fields[i];
    size_t lower = at, upper = at;
    if (type == 0) {
      if (!read_varint(p, &at, end, &value)) return NULL;
    } else if (type == 2) {
      if (!read_varint(p, &at, end, &value) || value > end - at) return NULL;
      lower = at, upper = at += value;
    } else {
      size_t size = type == 1 ? 8 : 4;
      if (size > end - at) return NULL;
      at += size;
    }
    if (!f) continue;
    bool packed = type == 2 && wire_type(f->type) != 2 && f->label == PROTOBUF_C_LABEL_REPEATED;
    if (type != wire_type(f->type) && !packed) return "known field of another wire type";
    if (packed && f->type == PROTOBUF_C_TYPE_BOOL)
      for (size_t i = lower; i < upper; i++)
        if (p[i] > 1) return "packed bool above 1";
    if (is_hidden(m, f)) {
      if (f->type == PROTOBUF_C_TYPE_MESSAGE || packed) return "hidden field";
      continue;
    }
    if (f->type == PROTOBUF_C_TYPE_MESSAGE) {
      const char *inner = quirk(f->descriptor, p, lower, upper, depth + 1);
      if (inner) return inner;
    }
  }
  return NULL;
}

const char *oracle_quirk(oracle_kind kind, const uint8_t *bytes, size_t count) {
  return quirk(descriptor(kind), bytes, 0, count, 0);
}
