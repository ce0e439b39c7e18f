// Resizing images between pixels.
#pragma once
#include <stddef.h>

/// One row of the output: pixel `x` lies between the columns `left[x]` and `right[x]` of the rows `top` and `bottom`,
/// `across[x]` and `down` of the way. Columns count elements (pixel times channels).
void ck_resize_bilinear_row_f32(
    const float *_Nonnull top, const float *_Nonnull bottom, const size_t *_Nonnull left, const size_t *_Nonnull right,
    const float *_Nonnull across, float down, size_t width, size_t channels, float *_Nonnull out);
