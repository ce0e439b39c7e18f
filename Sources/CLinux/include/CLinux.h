#include "clinux_thread.h"
