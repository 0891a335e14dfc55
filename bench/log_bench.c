/* bench/log_bench.c: what the log does on this machine's disk, in process.
 *
 *   log_bench [--directory D] [--rounds N] [ROW ...]                      rows: log streams read start
 *   log_bench [--directory D] --streams N --subjects M [--records R]      the log at scale: log_scale.c
 *
 * In a directory of its own, which is removed; what is in D stays there.
 *
 * log      appends that are synced before they are answered, beside a bare loop that writes and syncs the
 * same batches: as many, as large streams  64 publishers on 64 streams, beside 64 publishers on one read a
 * range, where it lies, by nx_read and as CloudEvents
 *
 * Rounds are interleaved, ratios are their medians, and each line names the sync time of its own seconds. */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "codec/cloudevents.h"
#include "io/file.h"
#include "log_world.h"
#include "storage/run/run.h"

enum {
    SIZE = 128,
    EVENT_SIZE = 500,
    ROUNDS_MAX = 99,
    STREAMS = 64,
    SLICES = 6, /* of a round: the two things that are compared take turns, as the disk's mood changes */
    READ_RECORDS = 400000,
    START_RECORDS = 1000000,
};

struct bench {
    struct world world;
    struct nx_stream_config streams[STREAMS];
    char names[STREAMS][16];
    uint64_t spread; /* over so many streams */
    uint64_t only;   /* from this one on */
    size_t size;     /* of the payload */
    bool event;
};

static int compare(const void *a, const void *b) {
    const double left = *(const double *)a;
    const double right = *(const double *)b;
    return left < right ? -1 : left > right ? 1 : 0;
}

static double median(double *values, int count) {
    qsort(values, (size_t)count, sizeof *values, compare);
    return values[count / 2];
}

static struct nx_append *make(void *data, uint64_t number) {
    static char payload[EVENT_SIZE];
    const struct bench *bench = data;
    struct nx_append *append = NULL;
    struct nx_error err = { 0 };
    char headers[256] = "";
    for (size_t i = 0; i < bench->size; i++) { /* as compressible as JSON: about half */
        payload[i] = i % 8 < 4 ? (char)('a' + (number * 2654435761U >> i % 23) % 16) : "\"key\":1,"[i % 8];
    }
    if (bench->event) {
        (void)snprintf(headers, sizeof headers,
                       "ce-specversion: 1.0\r\nce-id: 01JD%022" PRIu64 "\r\nce-source: /http/bench\r\n"
                       "ce-type: user.created\r\nce-time: 2026-11-21T08:00:%02dZ\r\n",
                       number, (int)(number % 60));
    }
    const struct nx_append_entry entry = {
        .stream = nx_str_from_c(bench->names[bench->only + number % bench->spread]),
        .subject = NX_STR("events.user.created"),
        .headers = nx_str_from_c(headers),
        .payload = nx_str_of(payload, bench->size),
    };
    must(nx_append_new(1, 0, &append, &err), &err);
    must(nx_append_add(append, &entry, &err), &err);
    return append;
}

static void take(void *data, const struct nx_append *answer) {
    (void)data;
    must(answer->status, &answer->error);
}

/* What some appends came to. */
struct round {
    double records;
    double took_s;
    double batches;
    double bytes;  /* of all batches */
    double sync_s; /* in all */
    double cpu_s;  /* of all threads */
};

static struct round append(struct bench *bench, uint64_t count, uint64_t in_flight, uint64_t spread) {
    const struct nx_fabric_stats stats = nx_fabric_stats_get(bench->world.fabric);
    const uint64_t batches = nx_histogram_count(stats.sync_ns);
    const uint64_t sync_ns = nx_histogram_sum(stats.sync_ns);
    const uint64_t bytes = nx_counter_get(stats.bytes_written);
    const double cpu = cpu_s();
    struct load load = { .world = &bench->world,
                         .count = count,
                         .in_flight = in_flight,
                         .make = make,
                         .take = take,
                         .data = bench };
    bench->spread = spread;
    const double took = load_run(&load);
    return (struct round){ .records = (double)count,
                           .took_s = took,
                           .batches = (double)(nx_histogram_count(stats.sync_ns) - batches),
                           .bytes = (double)(nx_counter_get(stats.bytes_written) - bytes),
                           .sync_s = (double)(nx_histogram_sum(stats.sync_ns) - sync_ns) / 1e9,
                           .cpu_s = cpu_s() - cpu };
}

/* Write and sync as many batches of that size; the seconds that it took. */
static double bare(struct bench *bench, const struct round *like) {
    char path[600];
    struct nx_error err = { 0 };
    NX_AUTO(nx_file) *file = NULL;
    const uint64_t size = (uint64_t)(like->bytes / like->batches);
    const uint64_t count = (uint64_t)like->batches;
    char *bytes = calloc(1, size);
    nx_assert(bytes != NULL);
    (void)snprintf(path, sizeof path, "%s/bare", bench->world.directory);
    must(nx_file_open(nx_disk_system(), path, NX_FILE_TRUNCATE, &file, &err), &err);
    must(nx_file_preallocate(file, (count + 1) * size, &err), &err);
    must(nx_file_sync(file, &err), &err);
    const double start = world_now_s(&bench->world);
    for (uint64_t i = 0; i < count; i++) {
        const struct nx_str part = nx_str_of(bytes, size);
        must(nx_file_write_at(file, i * size, &part, 1, &err), &err);
        must(nx_file_sync(file, &err), &err);
    }
    const double took = world_now_s(&bench->world) - start;
    free(bytes);
    must(nx_disk_unlink(nx_disk_system(), path, &err), &err);
    return took;
}

/* A line of bench/run's table. */
static void print_row(const char *what, double figure, const char *unit, const char *must_text, bool met,
                      double sync_us) {
    (void)printf("row | %s | %.2f %s | %s | %s | ", what, figure, unit, must_text, met ? "yes" : "no");
    (void)(sync_us > 0 ? printf("%.1f\n", sync_us) : printf("-\n"));
}

static void add_slice(struct round *sum, const struct round *slice) {
    sum->records += slice->records;
    sum->took_s += slice->took_s;
    sum->batches += slice->batches;
    sum->bytes += slice->bytes;
    sum->sync_s += slice->sync_s;
    sum->cpu_s += slice->cpu_s;
}

static double rate_of(const struct round *round) {
    return round->records / round->took_s;
}

static double sync_us_of(const struct round *round) {
    return round->sync_s / round->batches * 1e6;
}

static void row_log(struct bench *bench, int rounds) {
    double rates[ROUNDS_MAX] = { 0 };
    double bares[ROUNDS_MAX] = { 0 };
    double ratios[ROUNDS_MAX] = { 0 };
    double syncs[ROUNDS_MAX] = { 0 };
    struct round all = { 0 };
    for (int i = 0; i < rounds; i++) {
        struct round round = { 0 };
        double bare_s = 0;
        for (int k = 0; k < SLICES; k++) {
            const struct round slice = append(bench, 4000, 256, 1);
            bare_s += bare(bench, &slice);
            add_slice(&round, &slice);
        }
        rates[i] = rate_of(&round);
        bares[i] = round.records / bare_s;
        ratios[i] = rates[i] / bares[i];
        syncs[i] = sync_us_of(&round);
        add_slice(&all, &round);
    }
    const double ratio = median(ratios, rounds);
    const double sync_us = median(syncs, rounds);
    const double rate = median(rates, rounds);
    (void)printf(
        "log, 128 B, 256 in flight: %.0f records/s, the bare loop with the same batches %.0f (%d rounds); "
        "batch %.0f records, %.2f us CPU a record in all\n",
        rate, median(bares, rounds), rounds, all.records / all.batches, all.cpu_s / all.records * 1e6);
    print_row("log, 128 B, 256 in flight, synced: of a bare loop with the same batches", ratio, "x", "0.5 x",
              ratio >= 0.5, sync_us);
    if (sync_us < 500) {
        print_row("log, 128 B, 256 in flight, synced", rate / 1e3, "k/s", "100 k/s", rate >= 1e5, sync_us);
    }
}

static void row_streams(struct bench *bench, int rounds) {
    double rates[2][ROUNDS_MAX] = { 0 };
    double syncs[2][ROUNDS_MAX] = { 0 };
    double ratios[ROUNDS_MAX] = { 0 };
    struct round all[2] = { 0 };
    (void)append(bench, 2000, 64, STREAMS); /* every stream is there already */
    for (int i = 0; i < rounds; i++) {
        struct round round[2] = { 0 };
        for (int k = 0; k < 2 * SLICES; k++) {
            const int which = (i + k) % 2; /* either may come first */
            const struct round slice = append(bench, 1000, 64, which == 0 ? 1 : STREAMS);
            add_slice(&round[which], &slice);
        }
        for (int k = 0; k < 2; k++) {
            rates[k][i] = rate_of(&round[k]);
            syncs[k][i] = sync_us_of(&round[k]);
            add_slice(&all[k], &round[k]);
        }
        ratios[i] = rates[1][i] / rates[0][i];
    }
    const double ratio = median(ratios, rounds);
    const double many = median(rates[1], rounds);
    const double one = median(rates[0], rounds);
    const double many_us = median(syncs[1], rounds);
    (void)printf("64 publishers on 64 streams: %.0f records/s, on one %.0f (%d rounds); CPU a record %.2f "
                 "and %.2f us; "
                 "records a batch %.0f and %.0f; mean sync %.0f and %.0f us\n",
                 many, one, rounds, all[1].cpu_s / all[1].records * 1e6, all[0].cpu_s / all[0].records * 1e6,
                 all[1].records / all[1].batches, all[0].records / all[0].batches, many_us,
                 median(syncs[0], rounds));
    print_row("64 publishers on 64 streams: of 64 on one", ratio, "x", "0.9 x", ratio >= 0.9, many_us);
}

/* ---- reading ---- */

/* Read the whole stream by nx_read; `events`: as CloudEvents. CPU seconds. */
static double read_range(struct bench *bench, bool events, uint64_t *count_out) {
    struct nx_error err = { 0 };
    struct nx_arena arena;
    uint64_t next = 1;
    uint64_t count = 0;
    const double start = cpu_s();
    nx_arena_init(&arena, 1024 * 1024);
    for (bool at_end = false; !at_end;) {
        NX_AUTO(nx_read) *read = NULL;
        must(nx_read_new(NX_READ_SCAN, &read, &err), &err);
        read->stream = events ? NX_STR("S1") : NX_STR("S0");
        read->from_sequence = next;
        nx_fabric_read_now(bench->world.fabric, read);
        must(read->status, &read->error);
        for (size_t i = 0; events && i < read->record_count; i++) {
            const struct nx_cloudevent_record record = nx_record_as_event(&read->records[i]);
            struct nx_cloudevent event;
            must(nx_cloudevent_from_record(&record, &arena, &event, &err), &err);
            nx_assert(event.id.len == 26);
            nx_arena_fini(&arena);
        }
        count += read->record_count;
        next = read->next_sequence;
        at_end = read->at_end;
    }
    *count_out = count;
    return cpu_s() - start;
}

static bool find_run(void *data, const struct nx_disk_entry *entry) {
    uint64_t *range = data;
    return !nx_run_name_parse(entry->name, &range[0], &range[1]);
}

/* Decode every record of the directory's first run where it lies; records a second of CPU, 0 without a run.
 */
static double read_run(struct bench *bench) {
    struct nx_error err = { 0 };
    char directory[600];
    uint64_t range[2] = { 0 };
    uint64_t count = 0;
    struct nx_run *run = NULL;
    struct nx_run_cache cache = { 0 };
    (void)snprintf(directory, sizeof directory, "%s/journal", bench->world.directory);
    must(nx_disk_list(nx_disk_system(), directory, find_run, range, &err), &err);
    if (range[0] == 0) {
        return 0;
    }
    must(nx_run_open(nx_disk_system(), directory, range[0], range[1], &run, &err), &err);
    const double start = cpu_s();
    for (size_t i = 0; i < nx_run_extent_count(run); i++) {
        struct nx_str name;
        const struct nx_extent extent = nx_run_extent_at(run, i, &name);
        struct nx_stored stored = { .sequence = extent.first_sequence - 1 };
        while (nx_str_is(name, "S0") && nx_run_at_or_after(run, &cache, extent.stream, stored.sequence + 1,
                                                           &stored) == NX_STORED_FOUND) {
            count += stored.payload.len == SIZE ? 1 : 0;
        }
    }
    const double took = cpu_s() - start;
    nx_run_close(run, &cache);
    nx_run_cache_fini(&cache);
    return (double)count / took;
}

static void row_read(struct bench *bench, int rounds) {
    double rates[3][ROUNDS_MAX] = { 0 };
    world_open(&bench->world, true);
    (void)append(bench, READ_RECORDS, 4000, 1);
    bench->event = true;
    bench->only = 1;
    (void)append(bench, READ_RECORDS, 4000, 1);
    bench->only = 0;
    bench->event = false;
    world_close(&bench->world);
    world_open(&bench->world, false);
    for (int i = 0; i < rounds; i++) {
        uint64_t count = 0;
        rates[0][i] = read_run(bench);
        rates[1][i] = (double)READ_RECORDS / read_range(bench, false, &count);
        nx_assert(count >= READ_RECORDS);
        rates[1][i] *= (double)count / READ_RECORDS;
        rates[2][i] = (double)count / read_range(bench, true, &count);
    }
    world_close(&bench->world);
    (void)printf("reading a range, 128 B, records a second of CPU: %.1f M where it lies in a "
                 "run, %.1f M "
                 "by nx_read, %.1f M as CloudEvents (%d rounds)\n",
                 median(rates[0], rounds) / 1e6, median(rates[1], rounds) / 1e6,
                 median(rates[2], rounds) / 1e6, rounds);
    print_row("reading a range in process, 128 B, decoded", median(rates[0], rounds) / 1e6, "M/s of CPU",
              "10 M/s", median(rates[0], rounds) >= 1e7, 0);
    print_row("reading a range in process, 128 B, as CloudEvents", median(rates[2], rounds) / 1e6,
              "M/s of CPU", "2 M/s", median(rates[2], rounds) >= 2e6, 0);
}

/* ---- starting ---- */

/* A process of its own stores the events and is killed while it goes on storing. */
static void store_and_be_killed(struct bench *bench) {
    (void)fflush(stdout);
    const pid_t child = fork();
    nx_assert(child >= 0);
    if (child == 0) {
        world_open(&bench->world, true);
        (void)append(bench, START_RECORDS, 4000, 1);
        (void)kill(getpid(), SIGKILL);
    }
    int status = 0;
    nx_assert(waitpid(child, &status, 0) == child);
    nx_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void row_start(struct bench *bench, int rounds) {
    double opened[ROUNDS_MAX] = { 0 };
    double cpus[ROUNDS_MAX] = { 0 };
    bench->event = true;
    bench->size = EVENT_SIZE;
    store_and_be_killed(bench);
    for (int i = 0; i < rounds; i++) { /* opening and closing again leaves the segments as they are */
        const double start = world_now_s(&bench->world);
        const double cpu = cpu_s();
        world_open(&bench->world, false);
        opened[i] = (world_now_s(&bench->world) - start) * 1e3;
        cpus[i] = (cpu_s() - cpu) * 1e3;
        world_close(&bench->world);
    }
    bench->event = false;
    bench->size = SIZE;
    (void)printf("start after a kill with %d events of 0.5 KB: the log opened in %.0f ms, %.0f ms of CPU (%d "
                 "rounds)\n",
                 START_RECORDS, median(opened, rounds), median(cpus, rounds), rounds);
}

/* ---- the program ---- */

static struct bench bench;

static void run_row(struct nx_str row, int rounds) {
    char folder[512];
    (void)snprintf(folder, sizeof folder, "%s", bench.world.directory);
    (void)snprintf(bench.world.directory, sizeof bench.world.directory, "%.400s/%.*s", folder,
                   NX_STR_ARG(row));
    bench.size = SIZE;
    if (nx_str_is(row, "read")) {
        row_read(&bench, rounds);
    } else if (nx_str_is(row, "start")) {
        row_start(&bench, rounds);
    } else {
        world_open(&bench.world, true);
        (nx_str_is(row, "log") ? row_log : row_streams)(&bench, rounds);
        world_close(&bench.world);
    }
    (void)snprintf(bench.world.directory, sizeof bench.world.directory, "%s", folder);
    (void)fflush(stdout);
}

static int usage(void) {
    (void)fprintf(stderr, "log_bench [--directory D] [--rounds N] [log] [streams] [read] [start]\n"
                          "log_bench [--directory D] --streams N --subjects M [--records R]\n");
    return 2;
}

int main(int argc, char **argv) {
    static const char *const rows[] = { "log", "streams", "read", "start" };
    uint64_t rounds = 9;
    uint64_t streams = 0;
    uint64_t subjects = 0;
    uint64_t records = 0;
    bool made = true;
    int first = 1;
    (void)snprintf(bench.world.directory, sizeof bench.world.directory, "log_bench-XXXXXX");
    for (; first + 1 < argc && nx_str_starts_with(nx_str_from_c(argv[first]), NX_STR("--")); first += 2) {
        const struct nx_str name = nx_str_from_c(argv[first]);
        uint64_t *number = nx_str_is(name, "--rounds")     ? &rounds
                           : nx_str_is(name, "--streams")  ? &streams
                           : nx_str_is(name, "--subjects") ? &subjects
                           : nx_str_is(name, "--records")  ? &records
                                                           : NULL;
        if (nx_str_is(name, "--directory")) {
            made = false;
            (void)snprintf(bench.world.directory, sizeof bench.world.directory, "%s", argv[first + 1]);
        } else if (number == NULL || !nx_str_to_u64(nx_str_from_c(argv[first + 1]), number)) {
            return usage();
        }
    }
    if (rounds == 0 || rounds > ROUNDS_MAX || (made && mkdtemp(bench.world.directory) == NULL)) {
        return usage();
    }
    bench.world.clock = nx_clock_system();
    bench.world.streams = bench.streams;
    bench.world.stream_count = STREAMS;
    for (int i = 0; i < STREAMS; i++) {
        (void)snprintf(bench.names[i], sizeof bench.names[i], "S%d", i);
        bench.streams[i].name = nx_str_from_c(bench.names[i]);
    }
    int status = 0;
    if (streams > 0) {
        status = log_scale(bench.world.directory, streams, subjects == 0 ? streams * 100 : subjects, records);
    }
    for (size_t i = 0; streams == 0 && i < sizeof rows / sizeof rows[0]; i++) {
        bool is_wanted = first >= argc;
        for (int k = first; k < argc; k++) {
            is_wanted = is_wanted || strcmp(argv[k], rows[i]) == 0;
        }
        if (is_wanted) {
            run_row(nx_str_from_c(rows[i]), (int)rounds);
        }
    }
    char command[600];
    (void)snprintf(command, sizeof command, "rm -rf '%s'", bench.world.directory);
    return !made || system(command) == 0 ? status : 1;
}
