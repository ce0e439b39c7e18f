// Counts allocations by who asked: LD_PRELOAD it, read the line it prints to standard error at exit.
//   ours: the program and the Swift runtime;  nghttp2: the library;  others: libc, the loader, C++.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <link.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

static struct { uintptr_t start, end; int owner; } ranges[256];
static int range_count;
static atomic_ulong counts[3];

static int note(struct dl_phdr_info *info, size_t size, void *data) {
  const char *name = info->dlpi_name;
  int owner = strstr(name, "libnghttp2") ? 1 : (name[0] == 0 || strstr(name, "libswift")) ? 0 : 2;
  for (int i = 0; i < info->dlpi_phnum && range_count < 256; i++)
    if (info->dlpi_phdr[i].p_type == PT_LOAD && (info->dlpi_phdr[i].p_flags & PF_X)) {
      uintptr_t start = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
      ranges[range_count].start = start;
      ranges[range_count].end = start + info->dlpi_phdr[i].p_memsz;
      ranges[range_count++].owner = owner;
    }
  return 0;
}

__attribute__((constructor)) static void start(void) { dl_iterate_phdr(note, NULL); }

static void count(void *caller) {
  for (int i = 0; i < range_count; i++)
    if ((uintptr_t)caller >= ranges[i].start && (uintptr_t)caller < ranges[i].end) {
      counts[ranges[i].owner]++;
      return;
    }
}

void *malloc(size_t n) { count(__builtin_return_address(0)); return __libc_malloc(n); }
void *calloc(size_t m, size_t n) { count(__builtin_return_address(0)); return __libc_calloc(m, n); }
void *realloc(void *p, size_t n) { count(__builtin_return_address(0)); return __libc_realloc(p, n); }
int posix_memalign(void **out, size_t alignment, size_t n) {
  count(__builtin_return_address(0));
  *out = __libc_memalign(alignment, n);
  return *out ? 0 : 12;
}

__attribute__((destructor)) static void stop(void) {
  fprintf(stderr, "allocations ours=%lu nghttp2=%lu others=%lu\n", counts[0], counts[1], counts[2]);
}
