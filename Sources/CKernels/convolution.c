#include "convolution.h"

#include <string.h>

#include "clones.h"

// The part of a window along one axis that lies in the image: taps `from..<to`, the first of them at pixel `at`.
struct taps {
  size_t from, to;
  ptrdiff_t at;
};

// The quotient rounded up; a division takes longer than everything else here, and most windows have no gaps.
static inline ptrdiff_t steps(ptrdiff_t distance, ptrdiff_t step)
{
  return step == 1 ? distance : (distance + step - 1) / step;
}

static inline struct taps taps(const struct ck_window *w, int axis, size_t position)
{
  const ptrdiff_t start = (ptrdiff_t)(position * w->stride[axis]) - (ptrdiff_t)w->padding[axis];
  const ptrdiff_t step = (ptrdiff_t)w->dilation[axis], image = (ptrdiff_t)w->image[axis];
  struct taps t = {0, w->extent[axis], start};
  if (start < 0) t.from = (size_t)steps(-start, step);
  if (t.from > t.to) t.from = t.to;
  t.at = start + (ptrdiff_t)t.from * step;
  const ptrdiff_t room = t.at < image ? steps(image - t.at, step) : 0;
  if ((size_t)room < t.to - t.from) t.to = t.from + (size_t)room;
  return t;
}

// A copy of a few elements without a call: two moves that may overlap, of the largest size that fits.
static inline void copy(char *out, const char *from, size_t count)
{
#define MOVES(bytes)                                                                                                       \
  typedef char block __attribute__((vector_size(bytes), aligned(1), may_alias));                                           \
  const block head = *(const block *)from, tail = *(const block *)(from + count - bytes);                                  \
  *(block *)out = head;                                                                                                    \
  *(block *)(out + count - bytes) = tail
  if (count > 64) {
    memcpy(out, from, count);
  } else if (count >= 32) {
    MOVES(32);
  } else if (count >= 16) {
    MOVES(16);
  } else if (count >= 8) {
    MOVES(8);
  } else if (count >= 4) {
    MOVES(4);
  } else {
    for (size_t i = 0; i < count; i++) out[i] = from[i];
  }
#undef MOVES
}

void ck_patches(
    const struct ck_window *window, const void *image, size_t size, size_t first, size_t count, void *rows,
    size_t row_stride)
{
  // A copy of our own: the bytes written below cannot be part of it.
  const struct ck_window own = *window, *const w = &own;
  const size_t pixel = w->pixel_stride * size, bytes = w->channels * size;
  const size_t line = w->extent[2] * bytes;
  const int dense = w->dilation[2] == 1 && w->pixel_stride == w->channels;
  const size_t plane = w->positions[1] * w->positions[2];
  size_t pz = first / plane, py = first / w->positions[2] % w->positions[1], px = first % w->positions[2];
  struct taps z = taps(w, 0, pz), y = taps(w, 1, py);
  for (size_t p = 0; p < count; p++) {
    char *out = (char *)rows + p * row_stride * size;
    const struct taps x = taps(w, 2, px);
    for (size_t kz = 0; kz < w->extent[0]; kz++) {
      for (size_t ky = 0; ky < w->extent[1]; ky++, out += line) {
        if (kz < z.from || kz >= z.to || ky < y.from || ky >= y.to || x.from == x.to) {
          memset(out, 0, line);
          continue;
        }
        const size_t depth = (size_t)z.at + (kz - z.from) * w->dilation[0];
        const size_t height = (size_t)y.at + (ky - y.from) * w->dilation[1];
        const char *from = (const char *)image + ((depth * w->image[1] + height) * w->image[2] + (size_t)x.at) * pixel;
        if (x.from > 0) memset(out, 0, x.from * bytes);
        if (dense) {
          copy(out + x.from * bytes, from, (x.to - x.from) * bytes);
        } else {
          for (size_t kx = x.from; kx < x.to; kx++, from += w->dilation[2] * pixel) copy(out + kx * bytes, from, bytes);
        }
        if (x.to < w->extent[2]) memset(out + x.to * bytes, 0, (w->extent[2] - x.to) * bytes);
      }
    }
    if (++px < w->positions[2]) continue;
    px = 0;
    if (++py == w->positions[1]) {
      py = 0;
      z = taps(w, 0, ++pz);
    }
    y = taps(w, 1, py);
  }
}

#define SCATTER(suffix, REAL)                                                                                              \
  CLONES void ck_scatter_patches_##suffix(                                                                                 \
      const struct ck_window *w, const REAL *rows, size_t row_stride, size_t first, size_t count, REAL *image)             \
  {                                                                                                                        \
    const size_t plane = w->positions[1] * w->positions[2];                                                                \
    for (size_t p = first; p < first + count; p++, rows += row_stride) {                                                   \
      const struct taps z = taps(w, 0, p / plane), y = taps(w, 1, p / w->positions[2] % w->positions[1]),                  \
                        x = taps(w, 2, p % w->positions[2]);                                                               \
      for (size_t kz = z.from; kz < z.to; kz++)                                                                            \
        for (size_t ky = y.from; ky < y.to; ky++)                                                                          \
          for (size_t kx = x.from; kx < x.to; kx++) {                                                                      \
            const size_t depth = (size_t)z.at + (kz - z.from) * w->dilation[0];                                            \
            const size_t height = (size_t)y.at + (ky - y.from) * w->dilation[1];                                           \
            const size_t width = (size_t)x.at + (kx - x.from) * w->dilation[2];                                            \
            const REAL *from = rows + ((kz * w->extent[1] + ky) * w->extent[2] + kx) * w->channels;                        \
            REAL *to = image + ((depth * w->image[1] + height) * w->image[2] + width) * w->pixel_stride;                   \
            for (size_t c = 0; c < w->channels; c++) to[c] += from[c];                                                     \
          }                                                                                                                \
    }                                                                                                                      \
  }
SCATTER(f32, float)
SCATTER(f64, double)

// Depthwise. Vectors of channels, and for each several neighbouring pixels at once, so that a vector of the filter is read once
// for all of them. Where the window reaches beyond the image's left or right, pixels come one by one.
#define PIXELS 4

#define DEPTHWISE(suffix, REAL, LANES)                                                                                     \
  typedef REAL vector_##suffix __attribute__((vector_size(LANES * sizeof(REAL)), aligned(sizeof(REAL)), may_alias));       \
                                                                                                                           \
  struct depthwise_##suffix {                                                                                              \
    const REAL *x, *filter, *bias;                                                                                         \
    REAL *out;                                                                                                             \
    REAL low, high;                                                                                                        \
    size_t channels, multiplier;                                                                                           \
    /* Taps, and the distances of their pixels and of the output's. */                                                     \
    struct taps v, h;                                                                                                      \
    size_t width, down, across, next;                                                                                      \
  };                                                                                                                       \
                                                                                                                           \
  static inline __attribute__((always_inline)) REAL held_##suffix(REAL x, REAL low, REAL high)                             \
  {                                                                                                                        \
    x = low > x ? low : x;                                                                                                 \
    return high < x ? high : x;                                                                                            \
  }                                                                                                                        \
                                                                                                                           \
  static inline __attribute__((always_inline)) void pixels_##suffix(const struct depthwise_##suffix *d, const int pixels)  \
  {                                                                                                                        \
    typedef vector_##suffix V;                                                                                             \
    const size_t outputs = d->channels * d->multiplier;                                                                    \
    size_t c = 0;                                                                                                          \
    for (; d->multiplier == 1 && c + LANES <= outputs; c += LANES) {                                                       \
      V sum[PIXELS];                                                                                                       \
      const V start = d->bias ? *(const V *)(d->bias + c) : (V){0};                                                        \
      for (int p = 0; p < pixels; p++) sum[p] = start;                                                                     \
      for (size_t ky = d->v.from; ky < d->v.to; ky++)                                                                      \
        for (size_t kx = d->h.from; kx < d->h.to; kx++) {                                                                  \
          const REAL *x = d->x + (ky - d->v.from) * d->down + (kx - d->h.from) * d->across + c;                            \
          const V f = *(const V *)(d->filter + (ky * d->width + kx) * outputs + c);                                        \
          for (int p = 0; p < pixels; p++) sum[p] += *(const V *)(x + p * d->next) * f;                                    \
        }                                                                                                                  \
      for (int p = 0; p < pixels; p++)                                                                                     \
        for (int l = 0; l < LANES; l++) d->out[p * outputs + c + l] = held_##suffix(sum[p][l], d->low, d->high);           \
    }                                                                                                                      \
    for (int p = 0; p < pixels; p++)                                                                                       \
      for (size_t i = c; i < outputs; i++) {                                                                               \
        REAL sum = d->bias ? d->bias[i] : 0;                                                                               \
        for (size_t ky = d->v.from; ky < d->v.to; ky++)                                                                    \
          for (size_t kx = d->h.from; kx < d->h.to; kx++)                                                                  \
            sum += d->x[p * d->next + (ky - d->v.from) * d->down + (kx - d->h.from) * d->across + i / d->multiplier] *     \
                   d->filter[(ky * d->width + kx) * outputs + i];                                                          \
        d->out[p * outputs + i] = held_##suffix(sum, d->low, d->high);                                                     \
      }                                                                                                                    \
  }                                                                                                                        \
                                                                                                                           \
  CLONES void ck_depthwise_##suffix(                                                                                       \
      const struct ck_window *w, const REAL *image, const REAL *filter, size_t multiplier, const REAL *bias, REAL low,     \
      REAL high, size_t y, REAL *row)                                                                                      \
  {                                                                                                                        \
    struct depthwise_##suffix d = {                                                                                        \
        .filter = filter, .bias = bias, .low = low, .high = high, .channels = w->channels, .multiplier = multiplier,       \
        .v = taps(w, 1, y), .width = w->extent[2], .down = w->dilation[1] * w->image[2] * w->pixel_stride,                 \
        .across = w->dilation[2] * w->pixel_stride, .next = w->stride[2] * w->pixel_stride};                               \
    size_t p = 0;                                                                                                          \
    while (p < w->positions[2]) {                                                                                          \
      d.h = taps(w, 2, p);                                                                                                 \
      d.x = image + ((size_t)d.v.at * w->image[2] + (size_t)d.h.at) * w->pixel_stride;                                     \
      d.out = row + p * w->channels * multiplier;                                                                          \
      if (p + PIXELS <= w->positions[2] && all_inside(w, p) && all_inside(w, p + PIXELS - 1)) {                            \
        pixels_##suffix(&d, PIXELS);                                                                                       \
        p += PIXELS;                                                                                                       \
      } else {                                                                                                             \
        pixels_##suffix(&d, 1);                                                                                            \
        p++;                                                                                                               \
      }                                                                                                                    \
    }                                                                                                                      \
  }

// Whether the window at a position of its width lies within the image.
static int all_inside(const struct ck_window *w, size_t position)
{
  const struct taps t = taps(w, 2, position);
  return t.from == 0 && t.to == w->extent[2];
}

DEPTHWISE(f32, float, 16)
DEPTHWISE(f64, double, 8)
