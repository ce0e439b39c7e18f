#include "pooling.h"

#include <math.h>

#include "clones.h"

// First and one past the last pixel under the window along an axis. Pooling windows have no gaps.
static size_t first_pixel(const struct ck_window *w, int axis, size_t position)
{
  const size_t at = position * w->stride[axis];
  return at > w->padding[axis] ? at - w->padding[axis] : 0;
}

static size_t last_pixel(const struct ck_window *w, int axis, size_t position)
{
  const size_t end = position * w->stride[axis] + w->extent[axis];
  if (end <= w->padding[axis]) return 0;
  return end - w->padding[axis] < w->image[axis] ? end - w->padding[axis] : w->image[axis];
}

#define POOL(name, REAL, start, combine, finish)                                                                           \
  CLONES void name(const struct ck_window *w, const REAL *image, REAL *out)                                                \
  {                                                                                                                        \
    const size_t channels = w->channels;                                                                                   \
    for (size_t pz = 0; pz < w->positions[0]; pz++)                                                                        \
      for (size_t py = 0; py < w->positions[1]; py++)                                                                      \
        for (size_t px = 0; px < w->positions[2]; px++, out += channels) {                                                 \
          const size_t z0 = first_pixel(w, 0, pz), z1 = last_pixel(w, 0, pz), y0 = first_pixel(w, 1, py),                  \
                       y1 = last_pixel(w, 1, py), x0 = first_pixel(w, 2, px), x1 = last_pixel(w, 2, px);                   \
          REAL count = 0;                                                                                                  \
          for (size_t c = 0; c < channels; c++) out[c] = start;                                                            \
          for (size_t z = z0; z < z1; z++)                                                                                 \
            for (size_t y = y0; y < y1; y++)                                                                               \
              for (size_t x = x0; x < x1; x++) {                                                                           \
                const REAL *in = image + ((z * w->image[1] + y) * w->image[2] + x) * w->pixel_stride;                      \
                for (size_t c = 0; c < channels; c++) out[c] = combine;                                                    \
                count += 1;                                                                                                \
              }                                                                                                            \
          finish;                                                                                                          \
        }                                                                                                                  \
  }
#define MEAN                                                                                                               \
  for (size_t c = 0; c < channels; c++) out[c] /= count

POOL(ck_max_pool_f32, float, -INFINITY, in[c] > out[c] ? in[c] : out[c], (void)count)
POOL(ck_max_pool_f64, double, -(double)INFINITY, in[c] > out[c] ? in[c] : out[c], (void)count)
POOL(ck_average_pool_f32, float, 0, out[c] + in[c], MEAN)
POOL(ck_average_pool_f64, double, 0, out[c] + in[c], MEAN)
