// The vector loops in C, a header for each file.
#pragma once
#include "activation.h"
#include "convolution.h"
#include "elementwise.h"
#include "gemm.h"
#include "json.h"
#include "pooling.h"
#include "resize.h"
#include "window.h"
