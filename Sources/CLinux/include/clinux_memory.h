#ifndef CLINUX_MEMORY_H
#define CLINUX_MEMORY_H

#include <malloc.h>

/// Returns free heap pages of all arenas to the system (malloc_trim(3)). Nothing where the C library has no such call.
static inline void clinux_trim_memory(void) {
#ifdef __GLIBC__
  malloc_trim(0);
#endif
}

#endif
