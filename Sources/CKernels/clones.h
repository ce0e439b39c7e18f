// A function marked CLONES is compiled once for each instruction set; the loader picks the machine's.
#pragma once
#if defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
// The loader picks before a sanitizer's runtime is there, and the picking is instrumented too.
#define CLONES
#endif
#endif
#if defined(CLONES)
#elif defined(__x86_64__) && defined(__linux__)
#define CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define CLONES
#endif

// `out` is either another array or exactly an input: element i never depends on an earlier one.
#define FOR_EACH(i, n) _Pragma("clang loop vectorize(assume_safety)") for (size_t i = 0; i < (n); i++)
