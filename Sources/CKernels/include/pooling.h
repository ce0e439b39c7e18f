// The largest and the mean of what a window sees; pixels outside of the image do not count.
#pragma once
#include "window.h"

/// `out` holds every position, channels last.
void ck_max_pool_f32(const struct ck_window *_Nonnull window, const float *_Nonnull image, float *_Nonnull out);
void ck_max_pool_f64(const struct ck_window *_Nonnull window, const double *_Nonnull image, double *_Nonnull out);
void ck_average_pool_f32(const struct ck_window *_Nonnull window, const float *_Nonnull image, float *_Nonnull out);
void ck_average_pool_f64(const struct ck_window *_Nonnull window, const double *_Nonnull image, double *_Nonnull out);
