/* One gRPC call in C: protobuf-c for the messages, nghttp2 for HTTP/2, a blocking socket.
 *
 *   predict HOST:PORT MODEL [TIMEOUT_MILLISECONDS] < image.txt
 *
 * sends an 8x8 image (64 numbers, 0 paper to 16 ink) to a model of handwritten digits, and prints what it saw.
 *
 * A unary gRPC call is one HTTP/2 stream:
 *
 *   client  HEADERS :path=/tensorflow.serving.PredictionService/Predict  te=trailers  grpc-timeout=5000m
 *           DATA    0, length (4 bytes, big endian), PredictRequest                        END_STREAM
 *   server  HEADERS :status=200
 *           DATA    0, length, PredictResponse
 *           HEADERS grpc-status=0                                                          END_STREAM
 *
 * `Call` below is that stream; nghttp2 turns bytes into its callbacks and back. Left out: TLS, compression, a second call on
 * the same connection. An application would keep the connection: nghttp2_submit_request once per call is all that changes.
 */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <nghttp2/nghttp2.h>

#include "tensorflow_serving/apis/predict.pb-c.h"

enum { SIDE = 8, PIXELS = SIDE * SIDE, PREFIX = 5, RESPONSE_BYTES_MAX = 4 << 20 };

typedef Tensorflow__TensorProto Tensor;
typedef Tensorflow__Serving__PredictRequest Request;
typedef Tensorflow__Serving__PredictRequest__InputsEntry InputsEntry;
typedef Tensorflow__Serving__PredictResponse Response;

/* A message as gRPC frames it: the prefix, then the protobuf bytes. */
typedef struct {
  uint8_t *bytes;
  size_t count, capacity;
} Buffer;

typedef struct {
  Buffer request, response;
  size_t sent;          /* bytes of `request` already given to nghttp2 */
  bool closed;          /* the stream has ended, well or not */
  int http_status;      /* 0: no answer yet */
  int grpc_status;      /* -1: the server sent none */
  char message[512];    /* grpc-message, or our own words */
} Call;

static bool failed(Call *call, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(call->message, sizeof call->message, format, arguments);
  va_end(arguments);
  return false;
}

/* --- Messages ---------------------------------------------------------------------------------------------------------- */

static bool pack_request(Call *call, const char *model, float image[PIXELS]) {
  Tensorflow__TensorShapeProto__Dim sizes[3], *dims[3];
  const int64_t shape[3] = {1, SIDE, SIDE};
  for (int i = 0; i < 3; i++) {
    tensorflow__tensor_shape_proto__dim__init(&sizes[i]);
    sizes[i].size = shape[i];
    dims[i] = &sizes[i];
  }
  Tensorflow__TensorShapeProto tensor_shape = TENSORFLOW__TENSOR_SHAPE_PROTO__INIT;
  tensor_shape.n_dim = 3;
  tensor_shape.dim = dims;

  Tensor tensor = TENSORFLOW__TENSOR_PROTO__INIT;
  tensor.dtype = TENSORFLOW__DATA_TYPE__DT_FLOAT;
  tensor.tensor_shape = &tensor_shape;
  tensor.n_float_val = PIXELS;
  tensor.float_val = image;

  InputsEntry input = TENSORFLOW__SERVING__PREDICT_REQUEST__INPUTS_ENTRY__INIT, *inputs[] = {&input};
  input.key = "image";
  input.value = &tensor;

  Tensorflow__Serving__ModelSpec spec = TENSORFLOW__SERVING__MODEL_SPEC__INIT;
  spec.name = (char *)model;

  Request request = TENSORFLOW__SERVING__PREDICT_REQUEST__INIT;
  request.model_spec = &spec;
  request.n_inputs = 1;
  request.inputs = inputs;

  size_t size = tensorflow__serving__predict_request__get_packed_size(&request);
  call->request.bytes = malloc(PREFIX + size);
  if (!call->request.bytes) return failed(call, "out of memory");
  const uint8_t prefix[PREFIX] = {0, size >> 24, size >> 16, size >> 8, size};
  memcpy(call->request.bytes, prefix, PREFIX);
  tensorflow__serving__predict_request__pack(&request, call->request.bytes + PREFIX);
  call->request.count = PREFIX + size;
  return true;
}

/* The response's message, or NULL with the reason in `call`. Free it with predict_response__free_unpacked. */
static Response *unpack_response(Call *call) {
  const Buffer *b = &call->response;
  if (b->count < PREFIX) return failed(call, "the answer has %zu bytes: too short for a message", b->count), NULL;
  if (b->bytes[0] != 0) return failed(call, "the answer is compressed, which this client did not ask for"), NULL;
  size_t size = (size_t)b->bytes[1] << 24 | (size_t)b->bytes[2] << 16 | (size_t)b->bytes[3] << 8 | b->bytes[4];
  if (size != b->count - PREFIX) return failed(call, "the answer claims %zu bytes and has %zu", size, b->count - PREFIX), NULL;
  Response *response = tensorflow__serving__predict_response__unpack(NULL, size, b->bytes + PREFIX);
  if (!response) failed(call, "the answer is not a PredictResponse");
  return response;
}

static const Tensor *output(const Response *response, const char *name) {
  for (size_t i = 0; i < response->n_outputs; i++)
    if (strcmp(response->outputs[i]->key, name) == 0) return response->outputs[i]->value;
  return NULL;
}

/* --- The stream, as nghttp2 sees it ------------------------------------------------------------------------------------ */

static ssize_t read_request(nghttp2_session *session, int32_t stream, uint8_t *into, size_t room, uint32_t *flags,
                            nghttp2_data_source *source, void *user) {
  (void)session, (void)stream, (void)user;
  Call *call = source->ptr;
  size_t left = call->request.count - call->sent, count = left < room ? left : room;
  memcpy(into, call->request.bytes + call->sent, count);
  call->sent += count;
  if (call->sent == call->request.count) *flags |= NGHTTP2_DATA_FLAG_EOF;
  return (ssize_t)count;
}

/* gRPC writes "%" and every byte outside printable ASCII as %XX. */
static void decode_message(Call *call, const uint8_t *value, size_t length) {
  size_t out = 0;
  for (size_t i = 0; i < length && out + 1 < sizeof call->message; i++) {
    unsigned byte;
    if (value[i] == '%' && i + 2 < length && sscanf((const char[]){value[i + 1], value[i + 2], 0}, "%2x", &byte) == 1) {
      call->message[out++] = (char)byte;
      i += 2;
    } else {
      call->message[out++] = (char)value[i];
    }
  }
  call->message[out] = 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_length,
                     const uint8_t *value, size_t value_length, uint8_t flags, void *user) {
  (void)session, (void)frame, (void)name_length, (void)flags;
  Call *call = user;  /* nghttp2 ends name and value with a zero byte */
  if (strcmp((const char *)name, ":status") == 0) call->http_status = atoi((const char *)value);
  else if (strcmp((const char *)name, "grpc-status") == 0) call->grpc_status = atoi((const char *)value);
  else if (strcmp((const char *)name, "grpc-message") == 0) decode_message(call, value, value_length);
  return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *data, size_t length, void *user) {
  (void)session, (void)flags, (void)stream;
  Call *call = user;
  Buffer *b = &call->response;
  if (b->count + length > RESPONSE_BYTES_MAX) return failed(call, "the answer is longer than %d bytes", RESPONSE_BYTES_MAX), NGHTTP2_ERR_CALLBACK_FAILURE;
  if (b->count + length > b->capacity) {
    size_t capacity = 2 * (b->count + length);
    uint8_t *bytes = realloc(b->bytes, capacity);
    if (!bytes) return failed(call, "out of memory"), NGHTTP2_ERR_CALLBACK_FAILURE;
    b->bytes = bytes;
    b->capacity = capacity;
  }
  memcpy(b->bytes + b->count, data, length);
  b->count += length;
  return 0;
}

static int on_close(nghttp2_session *session, int32_t stream, uint32_t error, void *user) {
  (void)session, (void)stream;
  Call *call = user;
  call->closed = true;
  if (error != NGHTTP2_NO_ERROR && call->grpc_status < 0) failed(call, "the server reset the stream: %s", nghttp2_http2_strerror(error));
  return 0;
}

static nghttp2_session *open_session(Call *call, const char *authority, int timeout_ms) {
  nghttp2_session_callbacks *callbacks;
  if (nghttp2_session_callbacks_new(&callbacks) != 0) return NULL;
  nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
  nghttp2_session *session = NULL;
  nghttp2_session_client_new(&session, callbacks, call);
  nghttp2_session_callbacks_del(callbacks);
  if (!session) return NULL;

  char timeout[16];
  snprintf(timeout, sizeof timeout, "%dm", timeout_ms);
#define HEADER(n, v) {(uint8_t *)(n), (uint8_t *)(v), strlen(n), strlen(v), NGHTTP2_NV_FLAG_NONE}
  const nghttp2_nv headers[] = {
    HEADER(":method", "POST"), HEADER(":scheme", "http"), HEADER(":path", "/tensorflow.serving.PredictionService/Predict"),
    HEADER(":authority", authority), HEADER("te", "trailers"), HEADER("content-type", "application/grpc"),
    HEADER("grpc-timeout", timeout), HEADER("user-agent", "martlet-c-example/1"),
  };
  const nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_ENABLE_PUSH, 0}};
  nghttp2_data_provider body = {.source.ptr = call, .read_callback = read_request};
  if (nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, settings, 1) != 0 ||
      nghttp2_submit_request(session, NULL, headers, sizeof headers / sizeof *headers, &body, NULL) < 0) {
    nghttp2_session_del(session);
    return NULL;
  }
  return session;
}

/* --- The socket -------------------------------------------------------------------------------------------------------- */

static int64_t now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Waits for `events` on `fd` until `deadline`; false, with the reason in `call`, when it passes first. */
static bool ready(Call *call, int fd, short events, int64_t deadline) {
  for (;;) {
    int64_t left = deadline - now_ms();
    struct pollfd entry = {.fd = fd, .events = events};
    int count = left > 0 ? poll(&entry, 1, (int)left) : 0;
    if (count > 0) return true;
    if (count == 0) return failed(call, "no answer within the deadline");
    if (errno != EINTR) return failed(call, "poll: %s", strerror(errno));
  }
}

/* "host:port", "[::1]:port" -> a connected socket, or -1 with the reason in `call`. */
static int dial(Call *call, const char *authority, int64_t deadline) {
  char host[256];
  const char *colon = strrchr(authority, ':');
  if (!colon || colon == authority || !colon[1] || (size_t)(colon - authority) >= sizeof host) return failed(call, "expected HOST:PORT, got %s", authority), -1;
  bool bracketed = authority[0] == '[' && colon[-1] == ']';
  snprintf(host, sizeof host, "%.*s", (int)(colon - authority) - 2 * bracketed, authority + bracketed);

  struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
  int problem = getaddrinfo(host, colon + 1, &hints, &found);
  if (problem) return failed(call, "cannot find %s: %s", authority, gai_strerror(problem)), -1;

  int fd = -1;
  for (struct addrinfo *a = found; a && fd < 0; a = a->ai_next) {
    fd = socket(a->ai_family, a->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, a->ai_protocol);
    if (fd < 0) continue;
    int error = connect(fd, a->ai_addr, a->ai_addrlen) == 0 ? 0 : errno;
    if (error == EINPROGRESS && ready(call, fd, POLLOUT, deadline)) {
      socklen_t size = sizeof error;
      getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    }
    if (error) {
      failed(call, "cannot connect to %s: %s", authority, error == EINPROGRESS ? "no answer within the deadline" : strerror(error));
      close(fd);
      fd = -1;
    }
  }
  freeaddrinfo(found);
  if (fd >= 0) fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
  return fd;
}

static bool flush(Call *call, nghttp2_session *session, int fd) {
  for (;;) {
    const uint8_t *bytes;
    ssize_t count = nghttp2_session_mem_send(session, &bytes);
    if (count == 0) return true;
    if (count < 0) return failed(call, "HTTP/2: %s", nghttp2_strerror((int)count));
    while (count > 0) {
      ssize_t sent = send(fd, bytes, (size_t)count, MSG_NOSIGNAL);
      if (sent < 0 && errno == EINTR) continue;
      if (sent < 0) return failed(call, "sending: %s", strerror(errno));
      bytes += sent;
      count -= sent;
    }
  }
}

/* Writes what nghttp2 has to say and feeds it what comes, until the stream is closed. */
static bool exchange(Call *call, nghttp2_session *session, int fd, int64_t deadline) {
  uint8_t bytes[16384];
  while (flush(call, session, fd) && !call->closed) {
    if (!ready(call, fd, POLLIN, deadline)) return false;
    ssize_t count = recv(fd, bytes, sizeof bytes, 0);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return failed(call, "receiving: %s", strerror(errno));
    if (count == 0) return failed(call, "the server closed the connection");
    ssize_t problem = nghttp2_session_mem_recv(session, bytes, (size_t)count);
    if (problem == NGHTTP2_ERR_CALLBACK_FAILURE) return false;
    if (problem < 0) return failed(call, "this is no HTTP/2 server: %s", nghttp2_strerror((int)problem));
  }
  return call->closed;
}

static const char *status_name(int code) {
  static const char *const names[] = {
    "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
  };
  return code >= 0 && code < (int)(sizeof names / sizeof *names) ? names[code] : "unknown status";
}

/* The whole call: the answer, or NULL with the reason in `call->message`. */
static Response *predict(Call *call, const char *authority, const char *model, float image[PIXELS], int timeout_ms) {
  int64_t deadline = now_ms() + timeout_ms;
  if (!pack_request(call, model, image)) return NULL;
  int fd = dial(call, authority, deadline);
  if (fd < 0) return NULL;
  Response *response = NULL;
  nghttp2_session *session = open_session(call, authority, timeout_ms);
  if (!session) {
    failed(call, "out of memory");
  } else if (exchange(call, session, fd, deadline)) {
    if (call->grpc_status == 0) response = unpack_response(call);
    else if (call->grpc_status < 0 && !call->message[0]) failed(call, "no grpc-status in the answer (HTTP %d)", call->http_status);
  }
  nghttp2_session_del(session);
  close(fd);
  return response;
}

/* --- Paper and screen -------------------------------------------------------------------------------------------------- */

static bool read_image(float image[PIXELS]) {
  for (int i = 0; i < PIXELS; i++)
    if (scanf("%f", &image[i]) != 1) return false;
  float more;
  return scanf("%f", &more) != 1;
}

static void print_image(const float image[PIXELS]) {
  static const char ink[] = " .:-=+*#@";
  for (int y = 0; y < SIDE; y++) {
    printf("    ");
    for (int x = 0; x < SIDE; x++) {
      float value = image[y * SIDE + x];
      char c = ink[value <= 0 ? 0 : value >= 16 ? 8 : (int)(value / 2)];
      printf("%c%c", c, c);
    }
    printf("\n");
  }
}

static bool print_answer(Call *call, const Response *response) {
  const Tensor *p = output(response, "probabilities");
  if (!p || p->dtype != TENSORFLOW__DATA_TYPE__DT_FLOAT || p->n_float_val == 0) return failed(call, "the model has no float output \"probabilities\"");
  size_t best = 0;
  for (size_t i = 1; i < p->n_float_val; i++)
    if (p->float_val[i] > p->float_val[best]) best = i;
  printf("\n");
  for (size_t i = 0; i < p->n_float_val; i++) {
    float value = p->float_val[i];
    int bar = value > 0 && value <= 1 ? (int)(30 * value + 0.5f) : 0;
    printf("    %zu  %5.1f %%  %-30.*s%s\n", i, 100 * value, bar, "##############################", i == best ? "  <-" : "");
  }
  return true;
}

int main(int count, char **arguments) {
  long timeout_ms = count == 4 ? strtol(arguments[3], NULL, 10) : 5000;
  if (count < 3 || count > 4 || timeout_ms <= 0 || timeout_ms > 99999999) {
    fprintf(stderr, "usage: %s HOST:PORT MODEL [TIMEOUT_MILLISECONDS] < image.txt\n", arguments[0]);
    return 2;
  }
  float image[PIXELS];
  if (!read_image(image)) {
    fprintf(stderr, "expected %d numbers on standard input: an image of %dx%d pixels, 0 to 16\n", PIXELS, SIDE, SIDE);
    return 2;
  }
  Call call = {.grpc_status = -1};
  Response *response = predict(&call, arguments[1], arguments[2], image, (int)timeout_ms);
  bool good = response != NULL;
  if (good) {
    print_image(image);
    good = print_answer(&call, response);
    tensorflow__serving__predict_response__free_unpacked(response, NULL);
  }
  if (!good && call.grpc_status > 0) fprintf(stderr, "%s: %s\n", status_name(call.grpc_status), call.message);
  else if (!good) fprintf(stderr, "%s\n", call.message);
  free(call.request.bytes);
  free(call.response.bytes);
  return good ? 0 : 1;
}
