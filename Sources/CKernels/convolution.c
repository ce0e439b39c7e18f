#include "convolution.h"

#include <string.h>

#include "clones.h"

// The part of a window along one axis that lies in the image: taps `from..<to`, the first of them at pixel `at`.
struct taps {
  size_t from, to;
  ptrdiff_t at;
};

static struct taps taps(const struct ck_window *w, int axis, size_t position)
{
  const ptrdiff_t start = (ptrdiff_t)(position * w->stride[axis]) - (ptrdiff_t)w->padding[axis];
  const ptrdiff_t step = (ptrdiff_t)w->dilation[axis], image = (ptrdiff_t)w->image[axis];
  struct taps t = {0, w->extent[axis], start};
  if (start < 0) t.from = (size_t)((-start + step - 1) / step);
  if (t.from > t.to) t.from = t.to;
  t.at = start + (ptrdiff_t)t.from * step;
  const ptrdiff_t room = t.at < image ? (image - t.at + step - 1) / step : 0;
  if ((size_t)room < t.to - t.from) t.to = t.from + (size_t)room;
  return t;
}

void ck_patches(
    const struct ck_window *w, const void *image, size_t size, size_t first, size_t count, void *rows, size_t row_stride)
{
  const size_t pixel = w->pixel_stride * size, bytes = w->channels * size;
  const size_t line = w->extent[2] * bytes;
  const int dense = w->dilation[2] == 1 && w->pixel_stride == w->channels;
  const size_t plane = w->positions[1] * w->positions[2];
  for (size_t p = first; p < first + count; p++) {
    char *out = (char *)rows + (p - first) * row_stride * size;
    const struct taps z = taps(w, 0, p / plane), y = taps(w, 1, p / w->positions[2] % w->positions[1]),
                      x = taps(w, 2, p % w->positions[2]);
    for (size_t kz = 0; kz < w->extent[0]; kz++) {
      for (size_t ky = 0; ky < w->extent[1]; ky++, out += line) {
        if (kz < z.from || kz >= z.to || ky < y.from || ky >= y.to) {
          memset(out, 0, line);
          continue;
        }
        const size_t depth = (size_t)z.at + (kz - z.from) * w->dilation[0];
        const size_t height = (size_t)y.at + (ky - y.from) * w->dilation[1];
        const char *from = (const char *)image + ((depth * w->image[1] + height) * w->image[2] + (size_t)x.at) * pixel;
        if (x.from > 0) memset(out, 0, x.from * bytes);
        if (dense) {
          if (x.to > x.from) memcpy(out + x.from * bytes, from, (x.to - x.from) * bytes);
        } else {
          for (size_t kx = x.from; kx < x.to; kx++, from += w->dilation[2] * pixel) memcpy(out + kx * bytes, from, bytes);
        }
        if (x.to < w->extent[2]) memset(out + x.to * bytes, 0, (w->extent[2] - x.to) * bytes);
      }
    }
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

// Sums of this many channels stay in registers while the window's taps pass.
#define BLOCK 32

#define DEPTHWISE(suffix, REAL)                                                                                            \
  CLONES void ck_depthwise_##suffix(                                                                                       \
      const struct ck_window *w, const REAL *image, const REAL *filter, size_t multiplier, const REAL *bias, REAL low,     \
      REAL high, size_t y, REAL *row)                                                                                      \
  {                                                                                                                        \
    const size_t channels = w->channels, outputs = channels * multiplier;                                                  \
    const struct taps v = taps(w, 1, y);                                                                                   \
    for (size_t p = 0; p < w->positions[2]; p++, row += outputs) {                                                         \
      const struct taps h = taps(w, 2, p);                                                                                 \
      const REAL *corner = image + ((size_t)v.at * w->image[2] + (size_t)h.at) * w->pixel_stride;                          \
      const size_t down = w->dilation[1] * w->image[2] * w->pixel_stride, across = w->dilation[2] * w->pixel_stride;       \
      for (size_t c = 0; c < outputs; c += BLOCK) {                                                                        \
        const size_t n = outputs - c < BLOCK ? outputs - c : BLOCK;                                                        \
        REAL sum[BLOCK] = {0};                                                                                             \
        for (size_t ky = v.from; ky < v.to; ky++)                                                                          \
          for (size_t kx = h.from; kx < h.to; kx++) {                                                                      \
            const REAL *x = corner + (ky - v.from) * down + (kx - h.from) * across;                                        \
            const REAL *f = filter + (ky * w->extent[2] + kx) * outputs + c;                                               \
            if (multiplier != 1)                                                                                           \
              for (size_t i = 0; i < n; i++) sum[i] += x[(c + i) / multiplier] * f[i];                                     \
            else if (n == BLOCK)                                                                                           \
              for (size_t i = 0; i < BLOCK; i++) sum[i] += x[c + i] * f[i];                                                \
            else                                                                                                           \
              for (size_t i = 0; i < n; i++) sum[i] += x[c + i] * f[i];                                                    \
          }                                                                                                                \
        for (size_t i = 0; i < n; i++) {                                                                                   \
          REAL value = bias ? sum[i] + bias[c + i] : sum[i];                                                               \
          value = low > value ? low : value;                                                                               \
          row[c + i] = high < value ? high : value;                                                                        \
        }                                                                                                                  \
      }                                                                                                                    \
    }                                                                                                                      \
  }
DEPTHWISE(f32, float)
DEPTHWISE(f64, double)
