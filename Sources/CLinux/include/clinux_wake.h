#ifndef CLINUX_WAKE_H
#define CLINUX_WAKE_H

#include <sys/eventfd.h>

/// An event counter that never blocks and is closed on exec; -1 when there is none to be had.
static inline int clinux_eventfd(void) { return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); }

#endif
