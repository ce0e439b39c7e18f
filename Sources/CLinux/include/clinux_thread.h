#ifndef CLINUX_THREAD_H
#define CLINUX_THREAD_H

#include <semaphore.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/// Names the calling thread for `ps -L` and profilers; the kernel keeps 15 bytes.
static inline void clinux_name_thread(const char *name) { prctl(PR_SET_NAME, name, 0, 0, 0); }

/// The calling thread's name; `name` has room for 16 bytes, the last of them zero.
static inline void clinux_thread_name(char *name) {
  name[0] = 0;
  prctl(PR_GET_NAME, name, 0, 0, 0);
}

/// The calling thread's number, as `ps -L` shows it.
static inline long clinux_thread_id(void) { return syscall(SYS_gettid); }

/// Sets the calling thread's niceness: on Linux it belongs to the thread (sched(7)). Returns 0, or -1 when not permitted.
static inline int clinux_nice_thread(int niceness) { return setpriority(PRIO_PROCESS, 0, niceness); }

/// Waits for a semaphore, `nanoseconds` at most, by the monotonic clock. Returns 0, or -1 when the time is up.
int clinux_sem_wait(sem_t *semaphore, int64_t nanoseconds);

#endif
