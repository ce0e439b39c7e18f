// What Swift cannot see of Linux and glibc, and the one instruction it cannot say. Static inline where the headers allow
// (Swift imports them without _GNU_SOURCE); no policy, no state. A header per subject.
#pragma once

#include "clinux_io.h"
#include "clinux_memory.h"
#include "clinux_thread.h"
#include "crc32c.h"
