// A file of its own: the kernel's header has fields of tcp_info that glibc's does not, and they cannot be included together.
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stddef.h>
#include <sys/socket.h>

long clinux_round_trip_min(int fd) {
  struct tcp_info info;
  socklen_t length = sizeof info;
  if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) != 0) return -1;
  if (length < offsetof(struct tcp_info, tcpi_min_rtt) + sizeof info.tcpi_min_rtt) return -1;
  return info.tcpi_min_rtt == ~0u ? -1 : (long)info.tcpi_min_rtt;
}
