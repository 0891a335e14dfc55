/* src/app/console.h: where a server's own log lines go: standard error, one write a line, from any thread. */
#pragma once

#include "base/counter.h"
#include "base/log.h"
#include "io/clock.h"
#include "telemetry/log_line.h"

struct nx_console {
    struct nx_clock clock;
    enum nx_log_format format;
    struct nx_counter
        is_started; /* 0: the server says itself what it starts; below a warning nothing is written */
};

/** A log that writes to `console`, which is borrowed for the log's life. */
struct nx_log nx_console_log(struct nx_console *console, const char *component, enum nx_log_level level);
