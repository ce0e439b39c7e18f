#include "resize.h"

#include "clones.h"

CLONES void ck_resize_bilinear_row_f32(
    const float *top, const float *bottom, const size_t *left, const size_t *right, const float *across, float down,
    size_t width, size_t channels, float *out)
{
  for (size_t x = 0; x < width; x++, out += channels) {
    const float *a = top + left[x], *b = top + right[x], *c = bottom + left[x], *d = bottom + right[x];
    const float t = across[x];
    for (size_t i = 0; i < channels; i++) {
      const float above = a[i] + (b[i] - a[i]) * t, below = c[i] + (d[i] - c[i]) * t;
      out[i] = above + (below - above) * down;
    }
  }
}
