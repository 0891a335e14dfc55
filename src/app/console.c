/* src/app/console.c */
#include "app/console.h"

#include <stdio.h>

#include "base/buf.h"

enum { LINE_SIZE_MAX = 64 * 1024 };

static void write_entry(void *sink_data, const struct nx_log_entry *entry) {
    const struct nx_console *console = sink_data;
    NX_AUTO(nx_buf) line = { 0 };

    if (entry->level < NX_LOG_WARN && nx_counter_get(&console->is_started) == 0) {
        return;
    }
    nx_buf_init(&line, LINE_SIZE_MAX);
    nx_log_line_write(&line, console->format, nx_clock_read(&console->clock).wall_ns, entry);
    (void)fwrite(nx_buf_str(&line).ptr, 1, line.len, stderr); /* stdio locks the stream: lines stay whole */
}

struct nx_log nx_console_log(struct nx_console *console, const char *component, enum nx_log_level level) {
    return (
        struct nx_log){ .sink = write_entry, .sink_data = console, .component = component, .level = level };
}
