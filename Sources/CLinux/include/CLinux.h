// What Swift cannot see of Linux and glibc, and the one instruction it cannot say. A header per subject.
#pragma once

#include "clinux_thread.h"
#include "crc32c.h"
