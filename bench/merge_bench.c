/* bench/merge_bench.c: what keys that are written again and again cost on this machine's disk, in process.
 *
 *   merge_bench [--directory D] [--keys N] [--times N]
 *
 * A bucket (one record kept of a subject) of N keys, each written so many times in turn, in segments that are
 * small enough for sealing and merging to run all the time. Two lives:
 *
 * apart    nothing is merged while the keys are written: what is on the disk then, and after merging
 * beside   runs are merged while the keys are written, as in a server
 *
 * In both the library's steps that merged are timed one by one, and at the end the newest value of every key
 * is read and must be the last one written. Merging pauses as long as it worked: driven by hand the clock is
 * moved over these pauses, so what is printed of `apart` is time at work. */
#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fabric/backend_journal/library.h"
#include "log_world.h"

enum {
    SEGMENT_SIZE = 4 * 1024 * 1024,
    ENTRIES = 16, /* of an append */
    IN_FLIGHT = 256,
    SIZE = 100,                  /* bytes of a value */
    STEPS_MAX = 4 * 1000 * 1000, /* timed */
    QUIET_LOOKS = 100,           /* with nothing to merge, ten seconds apart on the clock */
};

struct bench {
    struct world world;
    struct nx_stream_config stream;
    uint64_t keys;
    uint64_t times;
    int64_t offset_ns; /* the clock is moved on by it */
    struct nx_actor library;
    uint32_t *steps_ns; /* of steps that merged */
    size_t step_count;
    double merging_s;
};

static struct bench bench;

static struct nx_now moved_clock(void *data) {
    const struct bench *moved = data;
    const struct nx_clock system = nx_clock_system();
    struct nx_now now = nx_clock_read(&system);
    now.monotonic_ns += moved->offset_ns;
    now.wall_ns += moved->offset_ns;
    return now;
}

static struct nx_library *library_of(const struct bench *of) {
    return of->library.state;
}

/* The library's step, timed when it merged. */
static int64_t timed_step(void *state, struct nx_now now, struct nx_message_queue *inbox) {
    struct bench *timed = state;
    struct nx_library *library = library_of(timed);
    const bool was_merging = library->merging.writer != NULL && library->sealing.writer == NULL;
    const int64_t resume_ns = library->merging.resume_ns;
    const int64_t start_ns = moved_clock(timed).monotonic_ns;
    const int64_t next_ns = timed->library.step(library, now, inbox);
    const int64_t took_ns = moved_clock(timed).monotonic_ns - start_ns;
    if ((was_merging || library->merging.writer != NULL) && library->merging.resume_ns != resume_ns &&
        timed->step_count < STEPS_MAX) {
        timed->steps_ns[timed->step_count++] = (uint32_t)took_ns;
        timed->merging_s += (double)took_ns / 1e9;
    }
    return next_ns;
}

static void open_fabric(void) {
    struct nx_error err = { 0 };
    const struct nx_fabric_options options = { .disk = nx_disk_system(),
                                               .clock = bench.world.clock,
                                               .random = nx_random_system(),
                                               .directory = bench.world.directory,
                                               .streams = &bench.stream,
                                               .stream_count = 1,
                                               .segment_size = SEGMENT_SIZE };
    struct nx_actor journal;
    must(nx_fabric_open(&options, &bench.world.fabric, &err), &err);
    nx_fabric_actors(bench.world.fabric, &journal, &bench.library);
    if (bench.world.answers == NULL) {
        must(nx_mailbox_open(65536, &bench.world.answers, &err), &err);
    }
}

static void run_fabric(void) {
    struct nx_error err = { 0 };
    struct nx_actor actors[2];
    nx_fabric_actors(bench.world.fabric, &actors[0], &actors[1]);
    actors[1].state = &bench;
    actors[1].step = timed_step;
    for (int i = 0; i < 2; i++) {
        must(nx_thread_start(&actors[i], 1, &bench.world.clock, &bench.world.threads[i], &err), &err);
    }
}

static void stop_fabric(void) {
    for (int i = 0; i < 2; i++) {
        nx_thread_stop(NX_TAKE(bench.world.threads[i]));
    }
    /* The last batch was answered by the journal; the library may not have taken it in yet. */
    struct nx_message_queue inbox = { 0 };
    (void)nx_mailbox_take(bench.library.mailbox, &inbox);
    (void)bench.library.step(library_of(&bench), moved_clock(&bench), &inbox);
}

/* ---- the client ---- */

static struct nx_str subject_of(uint64_t key, char text[64]) {
    return nx_str_of(text, (size_t)snprintf(text, 64, "$KV.bench.key-%08" PRIu64, key));
}

/* Begins with how often the key was written; about half of it is compressible. */
static struct nx_str value_of(uint64_t key, uint64_t time, char text[SIZE + 1]) {
    (void)snprintf(text, SIZE + 1, "%08" PRIu64, time);
    for (size_t i = 8; i < SIZE; i++) {
        const uint64_t mixed = (key * 31 + time + i / 8) * 0x9e3779b97f4a7c15ULL;
        text[i] = i % 8 < 4 ? (char)('a' + (mixed >> (4 * (i % 8) + 32)) % 16) : "\"key\":1,"[i % 8];
    }
    return nx_str_of(text, SIZE);
}

static struct nx_append *make(void *data, uint64_t number) {
    struct nx_append *append = NULL;
    struct nx_error err = { 0 };
    (void)data;
    must(nx_append_new(ENTRIES, 0, &append, &err), &err);
    for (uint64_t i = number * ENTRIES; i < (number + 1) * ENTRIES; i++) {
        char subject[64];
        char value[SIZE + 1];
        const uint64_t key = i * 7368787 % bench.keys;
        const struct nx_append_entry entry = { .stream = bench.stream.name,
                                               .subject = subject_of(key, subject),
                                               .payload = value_of(key, i / bench.keys + 1, value) };
        must(nx_append_add(append, &entry, &err), &err);
    }
    return append;
}

static void take(void *data, const struct nx_append *answer) {
    (void)data;
    must(answer->status, &answer->error);
}

/* ---- what it came to ---- */

static uint64_t written_bytes(void) {
    char line[128];
    uint64_t number = 0;
    FILE *file = fopen("/proc/self/io", "re");
    nx_assert(file != NULL);
    while (fgets(line, sizeof line, file) != NULL) {
        number = strncmp(line, "write_bytes: ", 13) == 0 ? strtoull(line + 13, NULL, 10) : number;
    }
    (void)fclose(file);
    return number;
}

/* Bytes of the journal's files that begin so. */
static uint64_t files_size(const char *prefix) {
    char path[1200];
    uint64_t size = 0;
    (void)snprintf(path, sizeof path, "%s/journal", bench.world.directory);
    DIR *directory = opendir(path);
    nx_assert(directory != NULL);
    for (const struct dirent *entry = readdir(directory); entry != NULL; entry = readdir(directory)) {
        struct stat found;
        (void)snprintf(path, sizeof path, "%s/journal/%s", bench.world.directory, entry->d_name);
        if (strncmp(entry->d_name, prefix, strlen(prefix)) == 0 && stat(path, &found) == 0) {
            size += (uint64_t)found.st_blocks * 512;
        }
    }
    (void)closedir(directory);
    return size;
}

static int compare(const void *a, const void *b) {
    const uint32_t left = *(const uint32_t *)a;
    const uint32_t right = *(const uint32_t *)b;
    return left < right ? -1 : left > right ? 1 : 0;
}

static void print_disk(const char *when) {
    (void)printf("  %s: %.1f MB in %zu runs, %.1f MB in segments\n", when, (double)files_size("runs-") / 1e6,
                 library_of(&bench)->run_count, (double)files_size("wal-") / 1e6);
}

static void print_steps(const char *when) {
    const size_t count = bench.step_count;
    qsort(bench.steps_ns, count, sizeof *bench.steps_ns, compare);
    if (count > 0) {
        (void)printf(
            "  %zu steps that merged %s, %.2f s in all: p50 %.2f ms, p99 %.2f ms, the longest %.2f ms\n",
            count, when, bench.merging_s, bench.steps_ns[count / 2] / 1e6,
            bench.steps_ns[count * 99 / 100] / 1e6, bench.steps_ns[count - 1] / 1e6);
    }
    bench.step_count = 0;
    bench.merging_s = 0;
}

/* Read the newest value of every key; it must be the last one written. */
static void look_up_all(const char *when) {
    uint32_t *took_ns = calloc(bench.keys, sizeof *took_ns);
    nx_assert(took_ns != NULL);
    const double cpu = cpu_s();
    for (uint64_t i = 0; i < bench.keys; i++) {
        struct nx_error err = { 0 };
        char subject[64];
        char value[SIZE + 1];
        const uint64_t key = i * 48271 % bench.keys;
        NX_AUTO(nx_read) *read = NULL;
        must(nx_read_new(NX_READ_LAST, &read, &err), &err);
        read->stream = bench.stream.name;
        read->subject = subject_of(key, subject);
        const int64_t start_ns = moved_clock(&bench).monotonic_ns;
        nx_fabric_read_now(bench.world.fabric, read);
        took_ns[i] = (uint32_t)(moved_clock(&bench).monotonic_ns - start_ns);
        must(read->status, &read->error);
        if (read->record_count != 1 ||
            !nx_str_equal(read->records[0].payload, value_of(key, bench.times, value))) {
            (void)fprintf(stderr,
                          "merge_bench: %s, the newest value of key %" PRIu64 " is '%.8s', sequence %" PRIu64
                          "\n",
                          when, key, read->record_count == 0 ? "none" : read->records[0].payload.ptr,
                          read->record_count == 0 ? 0 : read->records[0].sequence);
            exit(1);
        }
    }
    const double each_us = (cpu_s() - cpu) / (double)bench.keys * 1e6;
    qsort(took_ns, bench.keys, sizeof *took_ns, compare);
    (void)printf(
        "  %s, the newest value of each key is right; a look-up: p50 %.1f us, p99 %.1f us, %.1f us of CPU\n",
        when, took_ns[bench.keys / 2] / 1e3, took_ns[bench.keys * 99 / 100] / 1e3, each_us);
    free(took_ns);
}

/* Step the library by hand until it has nothing left to seal and to merge. */
static void merge_to_the_end(void) {
    const struct nx_library *library = library_of(&bench);
    struct nx_message_queue inbox = { 0 };
    for (size_t quiet = 0; quiet < QUIET_LOOKS;) {
        (void)nx_mailbox_take(bench.library.mailbox, &inbox);
        const struct nx_now now = moved_clock(&bench);
        const int64_t next_ns = timed_step(&bench, now, &inbox);
        const bool is_busy = library->sealing.writer != NULL || (library->merging.writer != NULL);
        quiet = is_busy ? 0 : quiet + 1;
        if (next_ns == NX_STEP_IDLE) {
            break;
        }
        bench.offset_ns += next_ns > now.monotonic_ns ? next_ns - now.monotonic_ns : 0;
    }
}

static void print_amplification(uint64_t payload, uint64_t written) {
    (void)printf(
        "  %.1f MB of values acknowledged, %.1f MB handed to the disk: write amplification %.2f, of the "
        "keys and values %.2f\n",
        (double)payload / 1e6, (double)written / 1e6, (double)written / (double)payload,
        (double)written / ((double)payload / SIZE * (SIZE + sizeof "$KV.bench.key-00000000" - 1)));
}

static void row(bool beside) {
    const uint64_t count = bench.keys * bench.times / ENTRIES;
    const uint64_t payload = count * ENTRIES * SIZE;
    const uint64_t before = written_bytes();
    open_fabric();
    library_of(&bench)->merging.is_off = !beside;
    run_fabric();
    struct load load = {
        .world = &bench.world, .count = count, .in_flight = IN_FLIGHT, .make = make, .take = take
    };
    const double cpu = cpu_s();
    const double took = load_run(&load);
    stop_fabric();
    const double records = (double)(count * ENTRIES);
    (void)printf("%s: %" PRIu64 " keys written %" PRIu64
                 " times, %d B, synced: %.0f records/s, %.2f us of CPU a record\n",
                 beside ? "merged beside writing" : "merged apart", bench.keys, bench.times, SIZE,
                 records / took, (cpu_s() - cpu) / records * 1e6);
    print_amplification(payload, written_bytes() - before);
    print_disk("after writing");
    print_steps("while writing");
    look_up_all("before the rest is merged");
    library_of(&bench)->merging.is_off = false;
    merge_to_the_end();
    print_steps("then");
    print_disk("after merging");
    print_amplification(payload, written_bytes() - before);
    const double on_disk = (double)files_size("runs-") / (double)bench.keys;
    look_up_all("after merging");
    nx_fabric_close(NX_TAKE(bench.world.fabric));
    open_fabric(); /* as the next start will see it */
    look_up_all("opened again");
    nx_fabric_close(NX_TAKE(bench.world.fabric));
    nx_mailbox_close(NX_TAKE(bench.world.answers));
    (void)printf("row | a bucket written %" PRIu64
                 " times, merged%s: bytes in runs a key | %.0f bytes | - | - | -\n",
                 bench.times, beside ? " beside" : "", on_disk);
    (void)fflush(stdout);
}

int main(int argc, char **argv) {
    char folder[512] = "merge_bench-XXXXXX";
    bool made = true;
    bench.keys = 100000;
    bench.times = 20;
    for (int i = 1; i + 1 < argc; i += 2) {
        const struct nx_str name = nx_str_from_c(argv[i]);
        uint64_t *number = nx_str_is(name, "--keys")    ? &bench.keys
                           : nx_str_is(name, "--times") ? &bench.times
                                                        : NULL;
        if (nx_str_is(name, "--directory")) {
            made = false;
            (void)snprintf(folder, sizeof folder, "%s", argv[i + 1]);
        } else if (number == NULL || !nx_str_to_u64(nx_str_from_c(argv[i + 1]), number)) {
            made = false;
            folder[0] = '\0';
        }
    }
    if (argc % 2 == 0 || folder[0] == '\0' || bench.keys == 0 || bench.times == 0 ||
        bench.keys % ENTRIES != 0 || (made && mkdtemp(folder) == NULL)) {
        (void)fprintf(stderr, "merge_bench [--directory D] [--keys N, a multiple of %d] [--times N]\n",
                      ENTRIES);
        return 2;
    }
    bench.stream = (struct nx_stream_config){ .name = NX_STR("KV_bench"), .per_subject_max = 1 };
    bench.world.clock = (struct nx_clock){ .read = moved_clock, .data = &bench };
    bench.steps_ns = calloc(STEPS_MAX, sizeof *bench.steps_ns);
    nx_assert(bench.steps_ns != NULL);
    for (int beside = 0; beside < 2; beside++) {
        (void)snprintf(bench.world.directory, sizeof bench.world.directory, "%.400s/%d", folder, beside);
        row(beside == 1);
    }
    free(bench.steps_ns);
    char command[600];
    (void)snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return !made || system(command) == 0 ? 0 : 1;
}
