/* src/app/nats_log.c: see nats_log.h. */
#include "app/nats_log.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "codec/time_format.h"

enum { LINE_SIZE_MAX = 4096, SECONDS_LEN = 19, MICROS_OFFSET = 20, MICROS_LEN = 6 };

enum nx_status nx_nats_log_open(struct nx_nats_log *log, struct nx_disk *disk, const char *path,
                                bool has_time, struct nx_error *err) {
    *log = (struct nx_nats_log){ .clock = nx_clock_system(), .has_time = has_time };
    if (path == NULL) {
        return NX_OK;
    }
    NX_TRY(nx_file_open(disk, path, NX_FILE_CREATE, &log->file, err));
    const enum nx_status status = nx_file_size(log->file, &log->size, err);
    if (status != NX_OK) {
        nx_nats_log_close(log);
    }
    return status;
}

void nx_nats_log_close(struct nx_nats_log *log) {
    nx_file_close(log->file);
    log->file = NULL;
}

/* "2026-11-21T16:00:00.000000000Z" as "2026/11/21 16:00:00.000000". */
static void append_time(struct nx_buf *line, int64_t wall_ns) {
    char text[NX_TIME_TEXT_SIZE + 1];
    const struct nx_str time = nx_time_format(wall_ns, NX_TIME_NANOSECONDS, text);
    text[4] = text[7] = '/';
    text[10] = ' ';
    nx_buf_append(line, nx_str_slice(time, 0, SECONDS_LEN));
    nx_buf_append_u8(line, '.');
    nx_buf_append(line, nx_str_slice(time, MICROS_OFFSET, MICROS_OFFSET + MICROS_LEN));
}

void nx_nats_log_write(struct nx_nats_log *log, const char *level, const char *format, ...) {
    char text[LINE_SIZE_MAX];
    va_list args;
    NX_AUTO(nx_buf) line = { 0 };
    nx_buf_init(&line, 2 * LINE_SIZE_MAX);
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (log->has_time) {
        nx_buf_append_format(&line, "[%d] ", (int)getpid());
        append_time(&line, nx_clock_read(&log->clock).wall_ns);
        nx_buf_append_u8(&line, ' ');
    }
    nx_buf_append_format(&line, "[%s] %s\n", level, text);
    const struct nx_str bytes = nx_buf_str(&line);
    if (log->file == NULL) {
        (void)fwrite(bytes.ptr, 1, bytes.len, stderr);
    } else if (nx_file_write_at(log->file, log->size, &bytes, 1, NULL) == NX_OK) {
        log->size += bytes.len;
    }
}
