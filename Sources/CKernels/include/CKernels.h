// The vector loops in C, a header for each file.
#pragma once
#include "elementwise.h"
