// The floor under a server: what the kernel alone costs for the same bytes through the same system calls, without a
// protocol in between. Three tools in one, because they share everything.
//
//   echo-server serve --port=N --request=BYTES --response=BYTES   epoll, one recv per readable event, one send per recv
//     --gather=BYTES: while a request is incomplete, is woken when the rest or so much of it is there (SO_RCVLOWAT)
//   echo-server drive --port=N --request=BYTES --response=BYTES --calls=N --connections=C --streams=M
//   echo-server tap   --port=N --upstream=N                       forwards one connection, says what went each way
//
// `serve` counts: for every REQUEST bytes that came it sends RESPONSE bytes. `drive` keeps M requests in flight on each of C
// connections, as h2load does: what was answered by one read is asked again by one write. The kernel does not look at the
// bytes, so their number is what matters; `tap`, put between an HTTP/2 client and its server, finds it.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { read_bytes_max = 256 << 10, events_max = 256 };  // As the server under test: one read takes at most this.

static long port = 18710, upstream = 0, request = 100, response = 50, calls = 10000, connections = 1, streams = 1,
            gather = 0;
static char *zeroes, *scratch;

static void die(const char *what) {
  perror(what);
  exit(1);
}

struct connection {
  int fd;
  long received;  // Of the request or response that is coming in.
  long unsent;    // Did not fit the socket yet.
  int watched;
  int mark;  // SO_RCVLOWAT.
};

static void watch(int epoll, struct connection *c, int operation, int flags) {
  struct epoll_event event = {.events = (uint32_t)flags, .data.ptr = c};
  if (epoll_ctl(epoll, operation, c->fd, &event) != 0) die("epoll_ctl");
  c->watched = flags;
}

// Sends what is owed; what does not fit waits for the socket to become writable.
static void pay(int epoll, struct connection *c, long chunk_max) {
  while (c->unsent > 0) {
    long n = send(c->fd, zeroes, (size_t)(c->unsent < chunk_max ? c->unsent : chunk_max), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0) break;
    c->unsent -= n;
  }
  int wanted = EPOLLIN | (c->unsent > 0 ? EPOLLOUT : 0);
  if (wanted != c->watched) watch(epoll, c, EPOLL_CTL_MOD, wanted);
}

static void wait_for_rest(struct connection *c) {
  long rest = c->received > 0 ? request - c->received : 1;
  int mark = (int)(rest < gather ? rest : gather);
  if (mark == c->mark) return;
  c->mark = mark;
  setsockopt(c->fd, SOL_SOCKET, SO_RCVLOWAT, &mark, sizeof mark);
}

static struct sockaddr_in local(long at) {
  return (struct sockaddr_in){
      .sin_family = AF_INET, .sin_port = htons((uint16_t)at), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static int listen_on(long at) {
  int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
  struct sockaddr_in address = local(at);
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 1024) != 0) die("listen");
  return fd;
}

static int connect_to(long at) {
  int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
  struct sockaddr_in address = local(at);
  if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) die("connect");
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  return fd;
}

static struct connection *new_connection(int epoll, int fd) {
  struct connection *c = calloc(1, sizeof *c);
  c->fd = fd;
  c->mark = 1;
  watch(epoll, c, EPOLL_CTL_ADD, EPOLLIN);
  return c;
}

static void serve(void) {
  int epoll = epoll_create1(0);
  struct connection listener = {.fd = listen_on(port)};
  watch(epoll, &listener, EPOLL_CTL_ADD, EPOLLIN);
  for (;;) {
    struct epoll_event events[events_max];
    int n = epoll_wait(epoll, events, events_max, -1);
    for (int i = 0; i < n; i++) {
      struct connection *c = events[i].data.ptr;
      if (c == &listener) {
        int fd = accept4(listener.fd, NULL, NULL, SOCK_NONBLOCK), one = 1;
        if (fd < 0) continue;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        new_connection(epoll, fd);
        continue;
      }
      if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
        long got = recv(c->fd, scratch, read_bytes_max, 0);
        if (got == 0 || (got < 0 && errno != EAGAIN)) {
          close(c->fd);
          free(c);
          continue;
        }
        if (got > 0) c->received += got;
        c->unsent += c->received / request * response;
        c->received %= request;
        if (gather > 0) wait_for_rest(c);
      }
      if (c->unsent > 0) pay(epoll, c, read_bytes_max);
    }
  }
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void drive(void) {
  int epoll = epoll_create1(0);
  long asked = 0, answered = 0;
  double start = now();
  for (long i = 0; i < connections; i++) {
    struct connection *c = new_connection(epoll, connect_to(port));
    long first = streams < calls - asked ? streams : calls - asked;
    asked += first;
    c->unsent = first * request;
    pay(epoll, c, 64 << 10);
  }
  while (answered < calls) {
    struct epoll_event events[events_max];
    int n = epoll_wait(epoll, events, events_max, 10000);
    if (n == 0) {
      fprintf(stderr, "no answer for ten seconds; %ld of %ld came\n", answered, calls);
      exit(1);
    }
    for (int i = 0; i < n; i++) {
      struct connection *c = events[i].data.ptr;
      if (events[i].events & EPOLLIN) {
        long got = recv(c->fd, scratch, read_bytes_max, MSG_DONTWAIT);
        if (got == 0) {
          fprintf(stderr, "the server closed the connection\n");
          exit(1);
        }
        if (got > 0) c->received += got;
        long finished = c->received / response;
        c->received %= response;
        answered += finished;
        long again = finished < calls - asked ? finished : calls - asked;
        asked += again;
        c->unsent += again * request;
      }
      if (c->unsent > 0) pay(epoll, c, 64 << 10);
    }
  }
  printf("%ld calls, %.0f per second\n", answered, (double)answered / (now() - start));
}

static long forward(int from, int to) {
  long got = recv(from, scratch, read_bytes_max, 0);
  for (long sent = 0; sent < got;) {
    long n = send(to, scratch + sent, (size_t)(got - sent), MSG_NOSIGNAL);
    if (n <= 0) return 0;
    sent += n;
  }
  return got;
}

static void tap(void) {
  int listener = listen_on(port), epoll = epoll_create1(0);
  int client = accept(listener, NULL, NULL), server = connect_to(upstream);
  struct connection *a = new_connection(epoll, client);
  new_connection(epoll, server);
  long up = 0, down = 0;
  for (;;) {
    struct epoll_event event;
    if (epoll_wait(epoll, &event, 1, -1) != 1) continue;
    long n = event.data.ptr == a ? forward(client, server) : forward(server, client);
    if (n <= 0) break;
    if (event.data.ptr == a) up += n;
    else down += n;
  }
  printf("%ld %ld\n", up, down);
}

int main(int count, char **arguments) {
  struct { const char *name; long *value; } options[] = {
      {"port", &port}, {"upstream", &upstream}, {"request", &request}, {"response", &response}, {"calls", &calls},
      {"connections", &connections}, {"streams", &streams},
      {"gather", &gather}};
  for (int i = 2; i < count; i++) {
    int known = 0;
    for (size_t k = 0; k < sizeof options / sizeof *options; k++) {
      size_t length = strlen(options[k].name);
      if (strncmp(arguments[i], "--", 2) == 0 && strncmp(arguments[i] + 2, options[k].name, length) == 0 &&
          arguments[i][2 + length] == '=') {
        *options[k].value = atol(arguments[i] + 3 + length);
        known = 1;
      }
    }
    if (!known) {
      fprintf(stderr, "unknown option %s\n", arguments[i]);
      return 2;
    }
  }
  signal(SIGPIPE, SIG_IGN);
  zeroes = calloc(1, read_bytes_max);
  scratch = malloc(read_bytes_max);
  const char *what = count > 1 ? arguments[1] : "";
  if (strcmp(what, "serve") == 0) serve();
  else if (strcmp(what, "drive") == 0) drive();
  else if (strcmp(what, "tap") == 0) tap();
  else {
    fprintf(stderr, "echo-server serve|drive|tap --port=N …: see the head of main.c\n");
    return 2;
  }
  return 0;
}
