// A window that slides over an image: what convolution and pooling have in common. Images are channels-last (NDHWC); an image in
// a plane has a depth of one. Index 0 is the depth, 1 the height, 2 the width.
#pragma once
#include <stddef.h>

struct ck_window {
  /// Of the image read.
  size_t image[3];
  /// The number of positions of the window.
  size_t positions[3];
  /// Of the window.
  size_t extent[3];
  size_t stride[3];
  size_t dilation[3];
  /// Imagined pixels before the first real one.
  size_t padding[3];
  /// Channels of the image that are read, from the first on.
  size_t channels;
  /// From a pixel to the next, in elements.
  size_t pixel_stride;
};
