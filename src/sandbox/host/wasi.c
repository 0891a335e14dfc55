/* src/sandbox/host/wasi.c: WASI preview 1: all 46 functions, of which the world of a function needs some.
 *
 * File descriptor 0 is the input, 1 the output, 2 the log; there is nothing else: no directories, so every
 * path_ function answers NOTCAPABLE, and no sockets. What depends on the world outside (clocks, what a poll
 * found) goes through the tape; all else is computed, and so repeats by itself. */
#include "sandbox/host/wasi_poll.h"

#include <string.h>

#include "sandbox/host/state.h"

enum {
    IOVS_MAX = 1024,
    RANDOM_SIZE_MAX = 1024 * 1024, /* bytes in one random_get */
    RANDOM_BYTES_A_CALL = 4096,    /* what counts as one more host call */
    FILETYPE_CHARACTER_DEVICE = 2,
    FD_COUNT = 3,
};

static uint32_t read_u32(const uint8_t *bytes) {
    uint32_t value;
    memcpy(&value, bytes, sizeof value);
    return value;
}

/* Arguments and environment: there is one argument, the program's name. */
static const char PROGRAM[] = "function";

static wasm_trap_t *args_sizes_get(struct nx_host *host, wasmtime_val_raw_t *args) {
    return nx_host_answer(args, nx_host_put_u32(host, nx_host_argument(args, 0), 1) &&
                                        nx_host_put_u32(host, nx_host_argument(args, 1), sizeof PROGRAM)
                                    ? NX_ERRNO_SUCCESS
                                    : NX_ERRNO_FAULT);
}

static wasm_trap_t *args_get(struct nx_host *host, wasmtime_val_raw_t *args) {
    uint8_t *bytes = nx_host_bytes(host, nx_host_argument(args, 1), sizeof PROGRAM);
    if (bytes == NULL || !nx_host_put_u32(host, nx_host_argument(args, 0), nx_host_argument(args, 1))) {
        return nx_host_answer(args, NX_ERRNO_FAULT);
    }
    memcpy(bytes, PROGRAM, sizeof PROGRAM);
    return nx_host_answer(args, NX_ERRNO_SUCCESS);
}

static wasm_trap_t *environ_sizes_get(struct nx_host *host, wasmtime_val_raw_t *args) {
    if (!nx_environment_complete(&host->environment)) {
        return nx_host_end(host, NX_OUTCOME_HOST_ERROR, "the environment is too large");
    }
    return nx_host_answer(
        args, nx_host_put_u32(host, nx_host_argument(args, 0), (uint32_t)host->environment.count) &&
                      nx_host_put_u32(host, nx_host_argument(args, 1), (uint32_t)host->environment.block.len)
                  ? NX_ERRNO_SUCCESS
                  : NX_ERRNO_FAULT);
}

static wasm_trap_t *environ_get(struct nx_host *host, wasmtime_val_raw_t *args) {
    const struct nx_environment *environment = &host->environment;
    if (!nx_environment_complete(&host->environment)) {
        return nx_host_end(host, NX_OUTCOME_HOST_ERROR, "the environment is too large");
    }
    uint8_t *bytes = nx_host_bytes(host, nx_host_argument(args, 1), environment->block.len);
    uint8_t *pointers = nx_host_bytes(host, nx_host_argument(args, 0), environment->count * 4);
    if (bytes == NULL || pointers == NULL) {
        return nx_host_answer(args, NX_ERRNO_FAULT);
    }
    memcpy(bytes, environment->block.ptr, environment->block.len);
    size_t at = 0;
    for (size_t i = 0; i < environment->count; i++) {
        const uint32_t address = nx_host_argument(args, 1) + (uint32_t)at;
        memcpy(pointers + i * 4, &address, 4);
        at += strlen(environment->block.ptr + at) + 1;
    }
    return nx_host_answer(args, NX_ERRNO_SUCCESS);
}

static wasm_trap_t *clock_res_get(struct nx_host *host, wasmtime_val_raw_t *args) {
    if (nx_host_argument(args, 0) > 1) {
        return nx_host_answer(args, NX_ERRNO_INVAL);
    }
    return nx_host_answer(args, nx_host_put_u64(host, nx_host_argument(args, 1), 1) ? NX_ERRNO_SUCCESS
                                                                                    : NX_ERRNO_FAULT);
}

static wasm_trap_t *clock_time_get(struct nx_host *host, wasmtime_val_raw_t *args) {
    int64_t time_ns = 0;
    if (nx_host_argument(args, 0) > 1) {
        return nx_host_answer(args, NX_ERRNO_INVAL);
    }
    if (!nx_host_read_clock(host, nx_host_argument(args, 0), &time_ns)) {
        return nx_host_end_by_tape(host);
    }
    return nx_host_answer(args, nx_host_put_u64(host, nx_host_argument(args, 2), (uint64_t)time_ns)
                                    ? NX_ERRNO_SUCCESS
                                    : NX_ERRNO_FAULT);
}

wasm_trap_t *nx_wasi_random_get(struct nx_host *host, wasmtime_val_raw_t *args) {
    uint8_t *bytes = nx_host_bytes(host, nx_host_argument(args, 0), nx_host_argument(args, 1));
    if (bytes == NULL) {
        return nx_host_answer(args, NX_ERRNO_FAULT);
    }
    if (nx_host_argument(args, 1) > RANDOM_SIZE_MAX) {
        return nx_host_answer(args, NX_ERRNO_INVAL);
    }
    host->host_call_count += nx_host_argument(args, 1) / RANDOM_BYTES_A_CALL;
    nx_generator_fill(&host->generator, bytes, nx_host_argument(args, 1));
    return nx_host_answer(args, NX_ERRNO_SUCCESS);
}

static wasm_trap_t *sched_yield(struct nx_host *host, wasmtime_val_raw_t *args) {
    (void)host;
    return nx_host_answer(args, NX_ERRNO_SUCCESS);
}

static wasm_trap_t *proc_exit(struct nx_host *host, wasmtime_val_raw_t *args) {
    host->exit_code = args[0].i32;
    if (nx_host_argument(args, 0) == 0) {
        return nx_host_end_ok(host);
    }
    return nx_host_end(host, NX_OUTCOME_EXIT, "exit status %u", nx_host_argument(args, 0));
}

static wasm_trap_t *proc_raise(struct nx_host *host, wasmtime_val_raw_t *args) {
    return nx_host_end(host, NX_OUTCOME_TRAP, "the guest raised signal %u", nx_host_argument(args, 0));
}

static wasm_trap_t *fd_read(struct nx_host *host, wasmtime_val_raw_t *args) {
    if (nx_host_argument(args, 0) != 0) {
        return nx_host_answer(args, NX_ERRNO_BADF);
    }
    if (nx_host_argument(args, 2) > IOVS_MAX) {
        return nx_host_answer(args, NX_ERRNO_INVAL);
    }
    const uint8_t *iovs =
        nx_host_bytes(host, nx_host_argument(args, 1), (uint64_t)nx_host_argument(args, 2) * 8);
    if (iovs == NULL) {
        return nx_host_answer(args, NX_ERRNO_FAULT);
    }
    uint32_t total = 0;
    for (uint32_t i = 0; i < nx_host_argument(args, 2); i++) {
        const uint32_t address = read_u32(iovs + i * 8);
        const uint32_t room = read_u32(iovs + i * 8 + 4);
        const size_t left = host->input.len - host->input_at;
        const size_t part = left < room ? left : room;
        uint8_t *bytes = nx_host_bytes(host, address, part);
        if (bytes == NULL) {
            return nx_host_answer(args, NX_ERRNO_FAULT);
        }
        if (part > 0) {
            memcpy(bytes, host->input.ptr + host->input_at, part);
        }
        host->input_at += part;
        total += (uint32_t)part;
    }
    return nx_host_answer(args, nx_host_put_u32(host, nx_host_argument(args, 3), total) ? NX_ERRNO_SUCCESS
                                                                                        : NX_ERRNO_FAULT);
}

static wasm_trap_t *write_output(struct nx_host *host, struct nx_str bytes) {
    if (bytes.len > host->limits.output_size_max - host->output.len) {
        return nx_host_end(host, NX_OUTCOME_OUTPUT_LIMIT, "more than %llu bytes of output",
                           (unsigned long long)host->limits.output_size_max);
    }
    nx_buf_append(&host->output, bytes);
    return nx_buf_failed(&host->output) ? nx_host_end(host, NX_OUTCOME_HOST_ERROR, "out of memory") : NULL;
}

static wasm_trap_t *write_log(struct nx_host *host, struct nx_str bytes) {
    while (bytes.len > 0) {
        const size_t line_feed = nx_str_find_byte(bytes, '\n');
        size_t part = line_feed == SIZE_MAX ? bytes.len : line_feed;
        const size_t room = host->partial_line.len_max - host->partial_line.len;
        const bool is_full = part >= room;
        part = is_full ? room : part;
        nx_buf_append(&host->partial_line, nx_str_slice(bytes, 0, part));
        if (is_full || line_feed != SIZE_MAX) {
            wasm_trap_t *trap = nx_host_log(host, NX_LOG_INFO, nx_buf_str(&host->partial_line), NX_STR_EMPTY);
            nx_buf_reset(&host->partial_line);
            if (trap != NULL) {
                return trap;
            }
        }
        bytes = nx_str_slice(bytes, part + (!is_full && line_feed != SIZE_MAX ? 1 : 0), bytes.len);
    }
    return NULL;
}

static wasm_trap_t *fd_write(struct nx_host *host, wasmtime_val_raw_t *args) {
    if (nx_host_argument(args, 0) != 1 && nx_host_argument(args, 0) != 2) {
        return nx_host_answer(args, NX_ERRNO_BADF);
    }
    if (nx_host_argument(args, 2) > IOVS_MAX) {
        return nx_host_answer(args, NX_ERRNO_INVAL);
    }
    const uint8_t *iovs =
        nx_host_bytes(host, nx_host_argument(args, 1), (uint64_t)nx_host_argument(args, 2) * 8);
    if (iovs == NULL) {
        return nx_host_answer(args, NX_ERRNO_FAULT);
    }
    uint64_t total = 0;
    for (uint32_t i = 0; i < nx_host_argument(args, 2); i++) {
        const uint32_t len = read_u32(iovs + i * 8 + 4);
        const uint8_t *bytes = nx_host_bytes(host, read_u32(iovs + i * 8), len);
        if (bytes == NULL) {
            return nx_host_answer(args, NX_ERRNO_FAULT);
        }
        const struct nx_str part = nx_str_of(bytes, len);
        wasm_trap_t *trap = nx_host_argument(args, 0) == 1 ? write_output(host, part) : write_log(host, part);
        if (trap != NULL) {
            return trap;
        }
        total += len;
    }
    return nx_host_answer(args, nx_host_put_u32(host, nx_host_argument(args, 3), (uint32_t)total)
                                    ? NX_ERRNO_SUCCESS
                                    : NX_ERRNO_FAULT);
}

static wasm_trap_t *fd_fdstat_get(struct nx_host *host, wasmtime_val_raw_t *args) {
    uint8_t *stat = nx_host_bytes(host, nx_host_argument(args, 1), 24);
    if (nx_host_argument(args, 0) >= FD_COUNT) {
        return nx_host_answer(args, NX_ERRNO_BADF);
    }
    if (stat == NULL) {
        return nx_host_answer(args, NX_ERRNO_FAULT);
    }
    /* A character device without the right to seek: what a C library takes for a pipe or terminal. */
    const uint64_t rights =
        nx_host_argument(args, 0) == 0 ? UINT64_C(1) << 1 : UINT64_C(1) << 6; /* fd_read : fd_write */
    memset(stat, 0, 24);
    stat[0] = FILETYPE_CHARACTER_DEVICE;
    memcpy(stat + 8, &rights, sizeof rights);
    return nx_host_answer(args, NX_ERRNO_SUCCESS);
}

static wasm_trap_t *fd_filestat_get(struct nx_host *host, wasmtime_val_raw_t *args) {
    uint8_t *stat = nx_host_bytes(host, nx_host_argument(args, 1), 64);
    if (nx_host_argument(args, 0) >= FD_COUNT) {
        return nx_host_answer(args, NX_ERRNO_BADF);
    }
    if (stat == NULL) {
        return nx_host_answer(args, NX_ERRNO_FAULT);
    }
    memset(stat, 0, 64);
    stat[16] = FILETYPE_CHARACTER_DEVICE;
    return nx_host_answer(args, NX_ERRNO_SUCCESS);
}

/* On the three descriptors there are: nothing to do. */
static wasm_trap_t *fd_done(struct nx_host *host, wasmtime_val_raw_t *args) {
    (void)host;
    return nx_host_answer(args, nx_host_argument(args, 0) < FD_COUNT ? NX_ERRNO_SUCCESS : NX_ERRNO_BADF);
}

/* What cannot be done with a pipe. */
static wasm_trap_t *fd_no_seek(struct nx_host *host, wasmtime_val_raw_t *args) {
    (void)host;
    return nx_host_answer(args, nx_host_argument(args, 0) < FD_COUNT ? NX_ERRNO_SPIPE : NX_ERRNO_BADF);
}

static wasm_trap_t *fd_not_capable(struct nx_host *host, wasmtime_val_raw_t *args) {
    (void)host;
    return nx_host_answer(args, nx_host_argument(args, 0) < FD_COUNT ? NX_ERRNO_NOTCAPABLE : NX_ERRNO_BADF);
}

/* There are no preopened directories: this very answer ends a C library's search for them. */
static wasm_trap_t *fd_bad(struct nx_host *host, wasmtime_val_raw_t *args) {
    (void)host;
    return nx_host_answer(args, NX_ERRNO_BADF);
}

static wasm_trap_t *not_capable(struct nx_host *host, wasmtime_val_raw_t *args) {
    (void)host;
    return nx_host_answer(args, NX_ERRNO_NOTCAPABLE);
}

static wasm_trap_t *not_socket(struct nx_host *host, wasmtime_val_raw_t *args) {
    (void)host;
    return nx_host_answer(args, NX_ERRNO_NOTSOCK);
}

#define P1(function, signature, host_function)                                                         \
    {                                                                                                  \
        .module = "wasi_snapshot_preview1", .name = function, .parameters = signature, .results = "i", \
        .plain = host_function                                                                         \
    }

const struct nx_import nx_wasi_imports[] = {
    P1("args_get", "ii", args_get),
    P1("args_sizes_get", "ii", args_sizes_get),
    P1("environ_get", "ii", environ_get),
    P1("environ_sizes_get", "ii", environ_sizes_get),
    P1("clock_res_get", "ii", clock_res_get),
    P1("clock_time_get", "iIi", clock_time_get),
    P1("fd_advise", "iIIi", fd_no_seek),
    P1("fd_allocate", "iII", fd_not_capable),
    P1("fd_close", "i", fd_done),
    P1("fd_datasync", "i", fd_done),
    P1("fd_fdstat_get", "ii", fd_fdstat_get),
    P1("fd_fdstat_set_flags", "ii", fd_done),
    P1("fd_fdstat_set_rights", "iII", fd_done),
    P1("fd_filestat_get", "ii", fd_filestat_get),
    P1("fd_filestat_set_size", "iI", fd_not_capable),
    P1("fd_filestat_set_times", "iIIi", fd_not_capable),
    P1("fd_pread", "iiiIi", fd_no_seek),
    P1("fd_prestat_get", "ii", fd_bad),
    P1("fd_prestat_dir_name", "iii", fd_bad),
    P1("fd_pwrite", "iiiIi", fd_no_seek),
    P1("fd_read", "iiii", fd_read),
    P1("fd_readdir", "iiiIi", fd_bad),
    P1("fd_renumber", "ii", fd_not_capable),
    P1("fd_seek", "iIii", fd_no_seek),
    P1("fd_sync", "i", fd_done),
    P1("fd_tell", "ii", fd_no_seek),
    P1("fd_write", "iiii", fd_write),
    P1("path_create_directory", "iii", not_capable),
    P1("path_filestat_get", "iiiii", not_capable),
    P1("path_filestat_set_times", "iiiiIIi", not_capable),
    P1("path_link", "iiiiiii", not_capable),
    P1("path_open", "iiiiiIIii", not_capable),
    P1("path_readlink", "iiiiii", not_capable),
    P1("path_remove_directory", "iii", not_capable),
    P1("path_rename", "iiiiii", not_capable),
    P1("path_symlink", "iiiii", not_capable),
    P1("path_unlink_file", "iii", not_capable),
    { .module = "wasi_snapshot_preview1",
      .name = "poll_oneoff",
      .parameters = "iiii",
      .results = "i",
      .parking = nx_wasi_poll_oneoff },
    { .module = "wasi_snapshot_preview1",
      .name = "proc_exit",
      .parameters = "i",
      .results = "",
      .plain = proc_exit },
    P1("proc_raise", "i", proc_raise),
    P1("sched_yield", "", sched_yield),
    P1("random_get", "ii", nx_wasi_random_get),
    P1("sock_accept", "iii", not_socket),
    P1("sock_recv", "iiiiii", not_socket),
    P1("sock_send", "iiiii", not_socket),
    P1("sock_shutdown", "ii", not_socket),
};
const size_t nx_wasi_import_count = sizeof nx_wasi_imports / sizeof nx_wasi_imports[0];
_Static_assert(sizeof nx_wasi_imports / sizeof nx_wasi_imports[0] == 46, "preview 1 has 46 functions");
