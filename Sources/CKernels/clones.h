// A function marked CLONES is compiled once for each instruction set; the loader picks the machine's.
#pragma once
#if defined(__x86_64__) && defined(__linux__)
#define CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define CLONES
#endif
