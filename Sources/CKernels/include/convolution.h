// Convolution as a matrix product: the pixels under a window become a row. And the one that is none, depthwise.
#pragma once
#include "window.h"

/// Writes what the window sees at the positions from `first` on, one row each: depth, height, width, channel; zeros outside
/// of the image. `size` is that of an element; `row_stride` counts elements.
void ck_patches(
    const struct ck_window *_Nonnull window, const void *_Nonnull image, size_t size, size_t first, size_t count,
    void *_Nonnull rows, size_t row_stride);

/// The reverse: adds each row to the pixels its window saw.
void ck_scatter_patches_f32(
    const struct ck_window *_Nonnull window, const float *_Nonnull rows, size_t row_stride, size_t first, size_t count,
    float *_Nonnull image);
void ck_scatter_patches_f64(
    const struct ck_window *_Nonnull window, const double *_Nonnull rows, size_t row_stride, size_t first, size_t count,
    double *_Nonnull image);

/// Every channel has filters of its own: `filter[height][width][channel][multiplier]`, in a plane (depth of one).
/// Row `y` of the positions is written. The sum plus the bias (which may be null) is held between `low` and `high`.
void ck_depthwise_f32(
    const struct ck_window *_Nonnull window, const float *_Nonnull image, const float *_Nonnull filter, size_t multiplier,
    const float *_Nullable bias, float low, float high, size_t y, float *_Nonnull row);
void ck_depthwise_f64(
    const struct ck_window *_Nonnull window, const double *_Nonnull image, const double *_Nonnull filter, size_t multiplier,
    const double *_Nullable bias, double low, double high, size_t y, double *_Nonnull row);
