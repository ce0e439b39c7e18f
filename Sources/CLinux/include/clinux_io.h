// Sockets and epoll: packed unions, casts, macros.
#ifndef CLINUX_IO_H
#define CLINUX_IO_H

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

// epoll: `epoll_event` is packed and holds a union. A Swift caller sees an array of sixteen-byte slots.

typedef struct {
  uint32_t flags;
  void *_Nullable source;
} clinux_event;

static inline int clinux_epoll_ctl(int epoll, int operation, int fd, uint32_t flags, void *_Nullable source) {
  struct epoll_event event;
  event.events = flags;
  event.data.ptr = source;
  return epoll_ctl(epoll, operation, fd, &event);
}

// Waits, then repacks at most `capacity` (and at most 256) events. Returns their number, or -errno.
static inline int clinux_epoll_wait(int epoll, clinux_event *_Nonnull events, int capacity, int timeout_ms) {
  struct epoll_event ready[256];
  int n = epoll_wait(epoll, ready, capacity < 256 ? capacity : 256, timeout_ms);
  if (n < 0) return -errno;
  for (int i = 0; i < n; i++) {
    events[i].flags = ready[i].events;
    events[i].source = ready[i].data.ptr;
  }
  return n;
}

// A descriptor that becomes readable at a time of the monotonic clock, in nanoseconds; a new time takes the place of the old.
int clinux_timer_open(void);
int clinux_timer_set(int fd, uint64_t nanoseconds);

// Addresses: the casts between sockaddr and its kinds.

static inline socklen_t clinux_unix_address(struct sockaddr_storage *_Nonnull out, const char *_Nonnull path) {
  struct sockaddr_un *address = (struct sockaddr_un *)out;
  size_t length = strlen(path);
  if (length >= sizeof address->sun_path) return 0;
  memset(out, 0, sizeof *out);
  address->sun_family = AF_UNIX;
  memcpy(address->sun_path, path, length + 1);
  return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + 1);
}

static inline int clinux_bind(int fd, const struct sockaddr_storage *_Nonnull address, socklen_t length) {
  return bind(fd, (const struct sockaddr *)address, length);
}

static inline int clinux_connect(int fd, const struct sockaddr_storage *_Nonnull address, socklen_t length) {
  return connect(fd, (const struct sockaddr *)address, length);
}

// accept4, non-blocking and close-on-exec.
int clinux_accept(int fd, struct sockaddr_storage *_Nonnull address, socklen_t *_Nonnull length);

// The port a TCP socket is bound to, or -1.
static inline int clinux_bound_port(int fd) {
  struct sockaddr_storage address;
  socklen_t length = sizeof address;
  if (getsockname(fd, (struct sockaddr *)&address, &length) != 0) return -1;
  if (address.ss_family == AF_INET) return ntohs(((struct sockaddr_in *)&address)->sin_port);
  if (address.ss_family == AF_INET6) return ntohs(((struct sockaddr_in6 *)&address)->sin6_port);
  return -1;
}

static inline int clinux_set_option(int fd, int level, int name, int value) {
  return setsockopt(fd, level, name, &value, sizeof value);
}

// Microseconds of the shortest round trip seen so far on a TCP connection; -1: not known.
long clinux_round_trip_min(int fd);

// The pending error of a socket whose connect finished.
static inline int clinux_socket_error(int fd) {
  int error = 0;
  socklen_t length = sizeof error;
  if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0) return errno;
  return error;
}

// Numeric host and port of an address; empty for Unix sockets.
static inline void clinux_describe(
    const struct sockaddr_storage *_Nonnull address, socklen_t length, char *_Nonnull host, size_t host_capacity,
    char *_Nonnull port, size_t port_capacity) {
  host[0] = port[0] = 0;
  if (address->ss_family != AF_INET && address->ss_family != AF_INET6) return;
  getnameinfo((const struct sockaddr *)address, length, host, (socklen_t)host_capacity, port, (socklen_t)port_capacity,
              NI_NUMERICHOST | NI_NUMERICSERV);
}

// CPUs this process may run on.
int clinux_affinity_count(void);

// Signals belong to the main thread: a loop's or worker's thread takes none.
static inline void clinux_block_all_signals(void) {
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, NULL);
}

#endif
