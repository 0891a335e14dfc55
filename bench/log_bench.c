/* bench/log_bench.c: what the log does on this machine's disk, in process: appends that are synced before
 * they are answered, beside a bare loop that writes and syncs batches of the same size; then reading,
 * sealing, size on disk and restart.
 *
 *   log_bench <directory> [records]
 *
 * Each line names what was measured and the sync time seen meanwhile. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/assert.h"
#include "codec/headers.h"
#include "fabric/fabric.h"
#include "io/file.h"
#include "storage/run/run.h"
#include "storage/wal/recovery.h"

enum { IN_FLIGHT = 256, SIZE = 128, EVENT_SIZE = 500, INVOCATION_SIZE = 300 };

struct bench {
    char directory[512];
    struct nx_clock clock;
    struct nx_fabric *fabric;
    struct nx_thread *threads[2];
    struct nx_mailbox *answers;
    struct nx_stream_config streams[64];
    char names[64][16];
};

static double now_s(const struct bench *bench) {
    return (double)nx_clock_read(&bench->clock).monotonic_ns / 1e9;
}

static double cpu_s(void) {
    return (double)clock() / CLOCKS_PER_SEC;
}

static void must(enum nx_status status, const struct nx_error *err) {
    if (status != NX_OK) {
        (void)fprintf(stderr, "log_bench: %s\n", err->message);
        exit(1);
    }
}

static void open_fabric(struct bench *bench, bool run) {
    struct nx_error err = { 0 };
    const struct nx_fabric_options options = { .disk = nx_disk_system(),
                                               .clock = bench->clock,
                                               .random = nx_random_system(),
                                               .directory = bench->directory,
                                               .streams = bench->streams,
                                               .stream_count = 64 };
    struct nx_actor actors[2];
    must(nx_fabric_open(&options, &bench->fabric, &err), &err);
    nx_fabric_actors(bench->fabric, &actors[0], &actors[1]);
    for (int i = 0; run && i < 2; i++) {
        must(nx_thread_start(&actors[i], 1, &bench->clock, &bench->threads[i], &err), &err);
    }
}

static void close_fabric(struct bench *bench) {
    for (int i = 0; i < 2; i++) {
        nx_thread_stop(NX_TAKE(bench->threads[i]));
    }
    nx_fabric_close(NX_TAKE(bench->fabric));
}

static void print_syncs(const struct bench *bench) {
    const struct nx_fabric_stats stats = nx_fabric_stats_get(bench->fabric);
    (void)printf("  sync p50 %.0f us p99 %.0f us, batch p50 %.0f records, written %.1f MB\n",
                 (double)nx_histogram_quantile(stats.sync_ns, 0.5) / 1e3,
                 (double)nx_histogram_quantile(stats.sync_ns, 0.99) / 1e3,
                 (double)nx_histogram_quantile(stats.batch_records, 0.5),
                 (double)nx_counter_get(stats.bytes_written) / 1e6);
}

static struct nx_append *make(struct bench *bench, uint64_t number, int streams, bool event) {
    static char payload[EVENT_SIZE];
    struct nx_append *append = NULL;
    struct nx_error err = { 0 };
    char headers[512];
    for (size_t i = 0; event && i < sizeof payload; i++) { /* as compressible as JSON: about half */
        payload[i] = i % 8 < 4 ? (char)('a' + rand() % 16) : "\"key\":1,"[i % 8];
    }
    must(nx_append_new(1, 0, &append, &err), &err);
    (void)snprintf(headers, sizeof headers,
                   "ce-specversion: 1.0\r\nce-id: 01JD%022" PRIu64 "\r\nce-source: /http/bench\r\nce-type: "
                   "user.created\r\nce-time: 2026-11-21T08:%02d:00Z\r\ncontent-type: application/json\r\n",
                   number * 2654435761U, (int)(number % 60));
    const struct nx_append_entry entry = {
        .stream = nx_str_from_c(bench->names[number % (uint64_t)streams]),
        .subject = event ? NX_STR("events.user.created") : NX_STR("e.x"),
        .headers = event ? nx_str_from_c(headers) : NX_STR_EMPTY,
        .payload = nx_str_of(payload, event ? EVENT_SIZE : SIZE),
    };
    must(nx_append_add(append, &entry, &err), &err);
    append->message.reply_to = bench->answers;
    return append;
}

/* Keep `in_flight` appends under way until `count` are answered. */
static double append_all(struct bench *bench, uint64_t count, int in_flight, int streams, bool event) {
    const double start = now_s(bench);
    uint64_t sent = 0;
    uint64_t answered = 0;
    while (answered < count) {
        struct nx_message_queue queue = { 0 };
        while (sent < count && sent - answered < (uint64_t)in_flight) {
            struct nx_append *append = make(bench, sent, streams, event);
            if (!nx_mailbox_send(nx_fabric_appends(bench->fabric), &append->message)) {
                nx_append_free(append);
                break;
            }
            sent++;
        }
        if (!nx_mailbox_take(bench->answers, &queue)) {
            const struct timespec nap = { .tv_nsec = 20000 };
            (void)nanosleep(&nap, NULL);
            continue;
        }
        answered += queue.count;
        nx_message_queue_release(&queue);
    }
    return now_s(bench) - start;
}

static void bench_bare(struct bench *bench, uint64_t count, uint64_t batch) {
    char path[600];
    struct nx_error err = { 0 };
    NX_AUTO(nx_file) *file = NULL;
    char *bytes = calloc(batch, SIZE);
    nx_assert(bytes != NULL);
    (void)snprintf(path, sizeof path, "%s/bare", bench->directory);
    must(nx_disk_make_directory(nx_disk_system(), bench->directory, &err), &err);
    must(nx_file_open(nx_disk_system(), path, NX_FILE_TRUNCATE, &file, &err), &err);
    must(nx_file_preallocate(file, count * SIZE + batch * SIZE, &err), &err);
    const double start = now_s(bench);
    uint64_t offset = 0;
    for (uint64_t done = 0; done < count; done += batch) {
        const struct nx_str part = nx_str_of(bytes, batch * SIZE);
        must(nx_file_write_at(file, offset, &part, 1, &err), &err);
        must(nx_file_sync(file, &err), &err);
        offset += batch * SIZE;
    }
    const double took = now_s(bench) - start;
    (void)printf("bare loop, %d B x %" PRIu64 " a batch: %.0f records/s, %.0f us a batch\n", SIZE, batch,
                 (double)count / took, took / ((double)count / (double)batch) * 1e6);
    free(bytes);
    must(nx_disk_unlink(nx_disk_system(), path, &err), &err);
}

static void bench_append(struct bench *bench, const char *what, uint64_t count, int in_flight, int streams,
                         bool event) {
    const double cpu = cpu_s();
    const double opening = now_s(bench);
    open_fabric(bench, true);
    (void)printf("opened in %.1f ms\n", (now_s(bench) - opening) * 1e3);
    (void)fflush(stdout);
    const double took = append_all(bench, count, in_flight, streams, event);
    (void)printf("%s: %.0f records/s, %.2f us CPU a record in all\n", what, (double)count / took,
                 (cpu_s() - cpu) / (double)count * 1e6);
    print_syncs(bench);
    close_fabric(bench);
}

static void bench_read(struct bench *bench) {
    double start = now_s(bench);
    open_fabric(bench, false);
    (void)printf("open: %.1f ms, report %zu bytes\n", (now_s(bench) - start) * 1e3,
                 nx_fabric_recovery_report(bench->fabric).len);
    start = now_s(bench);
    uint64_t count = 0;
    uint64_t next = 1;
    for (bool at_end = false; !at_end;) {
        NX_AUTO(nx_read) *read = NULL;
        struct nx_error err = { 0 };
        must(nx_read_new(NX_READ_SCAN, &read, &err), &err);
        read->stream = NX_STR("S0");
        read->from_sequence = next;
        nx_fabric_read_now(bench->fabric, read);
        must(read->status, &read->error);
        count += read->record_count;
        next = read->next_sequence;
        at_end = read->at_end;
    }
    const double took = now_s(bench) - start;
    (void)printf("scan by nx_read: %.2f M records/s\n", (double)count / took / 1e6);
    NX_AUTO(nx_read) *info = NULL;
    struct nx_error err = { 0 };
    must(nx_read_new(NX_READ_INFO, &info, &err), &err);
    info->stream = NX_STR("S0");
    nx_fabric_read_now(bench->fabric, info);
    if (info->status == NX_OK && info->infos[0].count > 0) {
        (void)printf("S0: %" PRIu64 " records, %.1f bytes of data on disk each\n", info->infos[0].count,
                     (double)info->infos[0].size / (double)info->infos[0].count);
    }
    close_fabric(bench);
}

/* Decode every record of the directory's first run, or of its first segment, where it lies. */
static bool find_run(void *data, const struct nx_disk_entry *entry) {
    uint64_t *range = data;
    return !nx_run_name_parse(entry->name, &range[0], &range[1]);
}

static void bench_iterate(struct bench *bench) {
    struct nx_error err = { 0 };
    char directory[600];
    uint64_t range[2] = { 0 };
    uint64_t count = 0;
    uint64_t sum = 0;
    (void)snprintf(directory, sizeof directory, "%s/journal", bench->directory);
    must(nx_disk_list(nx_disk_system(), directory, find_run, range, &err), &err);
    if (range[0] > 0) {
        struct nx_run *run = NULL;
        struct nx_run_cache cache = { 0 };
        must(nx_run_open(nx_disk_system(), directory, range[0], range[1], &run, &err), &err);
        const double start = cpu_s();
        for (size_t i = 0; i < nx_run_extent_count(run); i++) {
            struct nx_str name;
            const struct nx_extent extent = nx_run_extent_at(run, i, &name);
            struct nx_stored stored = { .sequence = extent.first_sequence - 1 };
            while (nx_run_at_or_after(run, &cache, extent.stream, stored.sequence + 1, &stored) ==
                   NX_STORED_FOUND) {
                sum += stored.payload.len;
                count++;
            }
        }
        const double took = cpu_s() - start;
        (void)printf("reading a run where it lies: %.1f M records a second of CPU, %.0f bytes each\n",
                     (double)count / took / 1e6, (double)sum / (double)(count + 1));
        nx_run_close(run, &cache);
        nx_run_cache_fini(&cache);
    }
    NX_AUTO(nx_wal_listing) listing = { 0 };
    must(nx_wal_list(nx_disk_system(), directory, &listing, &err), &err);
    NX_AUTO(nx_segment) *segment = NULL;
    if (listing.count == 0 ||
        nx_segment_open(nx_disk_system(), directory, listing.numbers[0], &segment, NULL) != NX_OK) {
        return;
    }
    struct nx_segment_cursor cursor = nx_segment_cursor_of(segment, segment->size);
    struct nx_frame frame;
    struct nx_damage damage;
    const double start = cpu_s();
    count = 0;
    sum = 0;
    while (nx_segment_next(&cursor, &frame, &damage) == NX_SEGMENT_FRAME) {
        sum += frame.header.body_size;
        count++;
    }
    const double took = cpu_s() - start;
    (void)printf(
        "reading a segment where it lies, checked: %.1f M records a second of CPU, %.0f bytes each\n",
        (double)count / took / 1e6, (double)sum / (double)(count + 1));
}

int main(int argc, char **argv) {
    static struct bench bench;
    uint64_t count = 200000;
    if (argc < 2) {
        (void)fprintf(stderr, "log_bench <directory> [records]\n");
        return 2;
    }
    (void)snprintf(bench.directory, sizeof bench.directory, "%s", argv[1]);
    if (argc > 2 && !nx_str_to_u64(nx_str_from_c(argv[2]), &count)) {
        return 2;
    }
    bench.clock = nx_clock_system();
    for (int i = 0; i < 64; i++) {
        (void)snprintf(bench.names[i], sizeof bench.names[i], "S%d", i);
        bench.streams[i].name = nx_str_from_c(bench.names[i]);
    }
    struct nx_error err = { 0 };
    must(nx_mailbox_open(65536, &bench.answers, &err), &err);
    bench_bare(&bench, count, 256);
    bench_append(&bench, "log, 128 B, 256 in flight", count, IN_FLIGHT, 1, false);
    bench_bare(&bench, count, 256);
    bench_append(&bench, "log, 128 B, 64 in flight on 1 stream", count / 4, 64, 1, false);
    bench_append(&bench, "log, 128 B, 64 in flight on 64 streams", count / 4, 64, 64, false);
    bench_append(&bench, "log, 128 B, 4096 in flight", count, 4000, 1, false);
    bench_append(&bench, "log, events of 0.5 KB, 256 in flight", count, IN_FLIGHT, 1, true);
    bench_read(&bench);
    bench_iterate(&bench);
    nx_mailbox_close(bench.answers);
    return 0;
}
