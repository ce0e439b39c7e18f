#include "crc32c.h"

#include <pthread.h>
#include <string.h>

#if defined(__x86_64__)
#include <nmmintrin.h>
#elif defined(__aarch64__)
#include <arm_acle.h>
#include <sys/auxv.h>
#endif

// tables[k][b]: what byte b does to the checksum when k more bytes follow it in the same step of eight.
static uint32_t tables[8][256];
static pthread_once_t tables_once = PTHREAD_ONCE_INIT;

static void make_tables(void) {
  for (uint32_t b = 0; b < 256; b++) {
    uint32_t crc = b;
    for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ (crc & 1 ? 0x82F63B78u : 0);
    tables[0][b] = crc;
  }
  for (int k = 1; k < 8; k++)
    for (uint32_t b = 0; b < 256; b++)
      tables[k][b] = (tables[k - 1][b] >> 8) ^ tables[0][tables[k - 1][b] & 0xFF];
}

static uint64_t load64(const unsigned char *p) {
  uint64_t word;
  memcpy(&word, p, sizeof word);
  return word;
}

uint32_t clinux_crc32c_tables(uint32_t crc, const void *bytes, size_t count) {
  pthread_once(&tables_once, make_tables);
  const unsigned char *p = bytes;
  crc = ~crc;
  while (count >= 8) {
    uint64_t word = load64(p) ^ crc;  // little endian: both CPUs we build for
    crc = 0;
    for (int k = 0; k < 8; k++) crc ^= tables[7 - k][(word >> (8 * k)) & 0xFF];
    p += 8;
    count -= 8;
  }
  while (count-- > 0) crc = (crc >> 8) ^ tables[0][(crc ^ *p++) & 0xFF];
  return ~crc;
}

#if defined(__x86_64__)

__attribute__((target("sse4.2"))) static uint32_t crc32c_hardware(uint32_t crc, const unsigned char *p, size_t count) {
  uint64_t state = ~crc;
  for (; count >= 8; p += 8, count -= 8) state = _mm_crc32_u64(state, load64(p));
  for (; count > 0; p++, count--) state = _mm_crc32_u8((uint32_t)state, *p);
  return ~(uint32_t)state;
}

static int has_hardware(void) { return __builtin_cpu_supports("sse4.2"); }

#elif defined(__aarch64__)

__attribute__((target("crc"))) static uint32_t crc32c_hardware(uint32_t crc, const unsigned char *p, size_t count) {
  crc = ~crc;
  for (; count >= 8; p += 8, count -= 8) crc = __crc32cd(crc, load64(p));
  for (; count > 0; p++, count--) crc = __crc32cb(crc, *p);
  return ~crc;
}

static int has_hardware(void) { return (getauxval(AT_HWCAP) & HWCAP_CRC32) != 0; }

#endif

uint32_t clinux_crc32c(uint32_t crc, const void *bytes, size_t count) {
#if defined(__x86_64__) || defined(__aarch64__)
  if (has_hardware()) return crc32c_hardware(crc, bytes, count);
#endif
  return clinux_crc32c_tables(crc, bytes, count);
}
