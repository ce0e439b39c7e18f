// What follows a layer: activations, softmax, a scale and an offset for each channel.
#pragma once
#include <stddef.h>

enum ck_activation {
  ck_activation_none,
  ck_activation_relu,
  ck_activation_relu6,
  /// `x < 0 ? alpha x : x`
  ck_activation_leaky_relu,
  /// `x < 0 ? e^x - 1 : x`
  ck_activation_elu,
  ck_activation_selu,
  ck_activation_sigmoid,
  ck_activation_tanh,
  ck_activation_softplus,
  ck_activation_softsign,
  /// `x sigmoid(x)`
  ck_activation_swish,
  /// `x (1 + erf(x / sqrt 2)) / 2`
  ck_activation_gelu,
};

/// `out[i] = activation(x[i])`; `out` may be `x`.
void ck_activate_f32(enum ck_activation activation, float alpha, size_t n, const float *_Nonnull x, float *_Nonnull out);
void ck_activate_f64(enum ck_activation activation, double alpha, size_t n, const double *_Nonnull x, double *_Nonnull out);

/// Softmax, or its logarithm, of each row; `out` may be `x`.
void ck_softmax_f32(int logarithm, size_t rows, size_t columns, const float *_Nonnull x, float *_Nonnull out);
void ck_softmax_f64(int logarithm, size_t rows, size_t columns, const double *_Nonnull x, double *_Nonnull out);

/// `out[r][c] = clamp(x[r][c] * scale[c] + offset[c], low, high)`; a null `scale` is all ones; `out` may be `x`. NaN passes.
void ck_scale_f32(
    size_t rows, size_t columns, const float *_Nonnull x, const float *_Nullable scale, const float *_Nonnull offset,
    float low, float high, float *_Nonnull out);
void ck_scale_f64(
    size_t rows, size_t columns, const double *_Nonnull x, const double *_Nullable scale, const double *_Nonnull offset,
    double low, double high, double *_Nonnull out);
