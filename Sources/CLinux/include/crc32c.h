// CRC-32C (Castagnoli, reflected polynomial 0x82F63B78, RFC 3720 §12.1): the checksum of TensorFlow's bundles and records.
#pragma once
#include <stddef.h>
#include <stdint.h>

/// The checksum of what `crc` is the checksum of, followed by `count` bytes at `bytes`. Begin with zero.
/// Uses the CPU's instruction where it has one (SSE4.2, ARMv8 CRC), tables elsewhere.
uint32_t clinux_crc32c(uint32_t crc, const void *bytes, size_t count);

/// The same by tables alone, for the test that holds the two against each other.
uint32_t clinux_crc32c_tables(uint32_t crc, const void *bytes, size_t count);
