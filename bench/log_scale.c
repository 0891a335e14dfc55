/* bench/log_scale.c: the log with very many streams and subjects, against a model. What it leaves is in
 * <directory>/scale.
 *
 * Each life is a process of its own, so that its memory can be measured and it can be killed; what was sent
 * and what was answered stands in memory that all of them share. Fill: every subject once. Set: subjects
 * again, each on condition of its last sequence, every tenth of a wrong one; this life is killed half way and
 * goes on in another. Expire: two hours later; half of the streams keep one hour. After each the log is
 * opened and read from end to end: what was acknowledged is there under its sequence, what was refused is
 * not, and what is missing has expired. */
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/counter.h"
#include "log_world.h"

enum { SIZE = 128, LOOKUPS = 2000, EXPIRE_NS_H = 2 };

enum fate { UNSENT, SENT, WRITTEN, REFUSED };

struct model {
    uint64_t streams;
    uint64_t subjects;
    uint64_t records;  /* that there is room for */
    uint64_t first;    /* number of this life's first record */
    uint64_t kill_at;  /* answers after which this life ends; 0: never */
    uint64_t wrong;    /* conditions that were wrong and refused */
    uint64_t payload;  /* bytes acknowledged */
    uint64_t written;  /* bytes that the processes gave to the disk */
    int64_t offset_ns; /* of the clock */
    uint64_t expired;
    uint32_t *sequences;  /* by record */
    uint8_t *fates;       /* by record */
    uint8_t *seen;        /* by record */
    uint32_t *lasts;      /* by subject, as the client knows it */
    uint8_t *busy;        /* by subject: one is under way */
    uint32_t *subject_of; /* by record */
};

struct life {
    struct model *model;
    struct world world;
    uint64_t answered;
};

static void *shared(size_t size) {
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    nx_assert(memory != MAP_FAILED);
    return memory;
}

static uint64_t mix(uint64_t value) {
    value = (value ^ value >> 31) * 0x9e3779b97f4a7c15ULL;
    return value ^ value >> 29;
}

/* The subject of a record of the first part; the others choose one that is free. */
static uint64_t subject_of_fill(const struct model *model, uint64_t number) {
    return number * 7368787 % model->subjects;
}

static uint64_t file_number(const char *path, const char *name) {
    char line[256];
    uint64_t number = 0;
    FILE *file = fopen(path, "re");
    nx_assert(file != NULL);
    while (fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, name, strlen(name)) == 0) {
            number = strtoull(line + strlen(name), NULL, 10);
        }
    }
    (void)fclose(file);
    return number;
}

static double rss_mib(void) {
    return (double)file_number("/proc/self/status", "RssAnon:") / 1024;
}

static uint64_t disk_bytes(void) {
    return file_number("/proc/self/io", "write_bytes:");
}

/* ---- the client ---- */

static uint64_t choose_subject(struct model *model, uint64_t number) {
    if (number < model->subjects) {
        return subject_of_fill(model, number);
    }
    uint64_t subject = mix(number) % model->subjects;
    /* What has expired is not what the client knows as the last: then the streams that keep everything. */
    while (model->busy[subject] != 0 || (model->offset_ns > 0 && subject % model->streams % 2 == 0)) {
        subject = (subject + 1) % model->subjects;
    }
    return subject;
}

static struct nx_append *make(void *data, uint64_t index) {
    struct life *life = data;
    struct model *model = life->model;
    const uint64_t number = model->first + index;
    const uint64_t subject = choose_subject(model, number);
    struct nx_append *append = NULL;
    struct nx_error err = { 0 };
    char stream[32];
    char name[32];
    char headers[64];
    char payload[SIZE + 1] = { 0 };
    (void)snprintf(stream, sizeof stream, "S%" PRIu64, subject % model->streams);
    (void)snprintf(name, sizeof name, "s.%" PRIu64, subject);
    (void)snprintf(headers, sizeof headers, "ce-id: id-%" PRIu64 "\r\n", number);
    (void)snprintf(payload, sizeof payload, "%020" PRIu64 " %020" PRIu64 " ", number, subject);
    for (size_t i = 42; i < SIZE; i++) {
        payload[i] = (char)(mix(number + i) >> 60 < 8 ? 'a' + i % 16 : mix(number * 31 + i) >> 57);
    }
    const struct nx_append_entry entry = { .stream = nx_str_from_c(stream),
                                           .subject = nx_str_from_c(name),
                                           .headers = nx_str_from_c(headers),
                                           .payload = nx_str_of(payload, SIZE) };
    must(nx_append_new(1, 1, &append, &err), &err);
    must(nx_append_add(append, &entry, &err), &err);
    if (number >= model->subjects) {
        const uint64_t last = model->lasts[subject] + (number % 10 == 0 ? 1 : 0);
        const struct nx_append_condition condition = { entry.stream, entry.subject, last };
        must(nx_append_add_condition(append, &condition, &err), &err);
        model->busy[subject] = 1;
    }
    model->fates[number] = SENT;
    model->subject_of[number] = (uint32_t)subject;
    append->message.context = (void *)(uintptr_t)number;
    return append;
}

static void take(void *data, const struct nx_append *answer) {
    struct life *life = data;
    struct model *model = life->model;
    const uint64_t number = (uintptr_t)answer->message.context;
    const uint64_t subject = strtoull(answer->entries[0].payload.ptr + 21, NULL, 10);
    const bool is_wrong = number >= model->subjects && number % 10 == 0;
    model->busy[subject] = 0;
    if (is_wrong) {
        nx_assert(answer->error.kind == NX_KIND_WRONG_LAST_SEQUENCE);
        model->fates[number] = REFUSED;
        model->wrong++;
    } else {
        must(answer->status, &answer->error);
        model->sequences[number] = (uint32_t)answer->entries[0].sequence;
        model->lasts[subject] = model->sequences[number];
        model->fates[number] = WRITTEN;
        model->payload += SIZE;
    }
    if (++life->answered == model->kill_at) {
        model->written += disk_bytes();
        (void)kill(getpid(), SIGKILL);
    }
}

/* Until sealing has nothing more to do. */
static void settle(void) {
    const struct timespec nap = { .tv_nsec = 500 * (long)NX_NS_PER_MS };
    uint64_t before = 0;
    for (int i = 0; i < 120 && before != disk_bytes(); i++) {
        before = disk_bytes();
        (void)nanosleep(&nap, NULL);
    }
}

static void write_records(struct life *life, const char *what, uint64_t count) {
    struct model *model = life->model;
    const double cpu = cpu_s();
    const double empty = rss_mib();
    const double opening = world_now_s(&life->world);
    world_open(&life->world, true);
    const double opened = world_now_s(&life->world);
    const double ready = rss_mib();
    struct load load = {
        .world = &life->world, .count = count, .in_flight = 4000, .make = make, .take = take, .data = life
    };
    const double took = load_run(&load);
    const struct nx_fabric_stats stats = nx_fabric_stats_get(life->world.fabric);
    settle();
    (void)printf(
        "%s: %.0f records/s, %.2f us CPU a record in all, sync p50 %.0f us; opened in %.0f ms; RssAnon %.1f "
        "MiB before, %.1f opened, %.1f now (%.0f bytes a stream, %.0f a subject)\n",
        what, (double)count / took, (cpu_s() - cpu) / (double)count * 1e6,
        (double)nx_histogram_quantile(stats.sync_ns, 0.5) / 1e3, (opened - opening) * 1e3, empty, ready,
        rss_mib(), (ready - empty) * 1048576 / (double)model->streams,
        (rss_mib() - ready) * 1048576 / (double)model->subjects);
    world_close(&life->world);
    model->written += disk_bytes();
}

/* ---- checking ---- */

static void ask(struct life *life, struct nx_read *read) {
    nx_fabric_read_now(life->world.fabric, read);
}

static void check_record(struct model *model, const struct nx_record *record) {
    char name[32];
    nx_assert(record->payload.len == SIZE);
    const uint64_t number = strtoull(record->payload.ptr, NULL, 10);
    const uint64_t subject = strtoull(record->payload.ptr + 21, NULL, 10);
    (void)snprintf(name, sizeof name, "s.%" PRIu64, subject);
    nx_assert(number < model->records && nx_str_is(record->subject, name));
    (void)snprintf(name, sizeof name, "S%" PRIu64, subject % model->streams);
    nx_assert(nx_str_is(record->stream, name));
    nx_assert(model->fates[number] == SENT || model->fates[number] == WRITTEN);
    nx_assert(model->fates[number] == SENT || model->sequences[number] == record->sequence);
    if (model->fates[number] == SENT) { /* the answer was not seen any more */
        model->fates[number] = WRITTEN;
        model->sequences[number] = (uint32_t)record->sequence;
        model->payload += SIZE;
    }
    nx_assert(model->seen[number] == 0);
    model->seen[number] = 1;
    model->lasts[subject] =
        record->sequence > model->lasts[subject] ? (uint32_t)record->sequence : model->lasts[subject];
}

static uint64_t check_stream(struct life *life, uint64_t stream) {
    struct nx_error err = { 0 };
    char name[32];
    uint64_t next = 1;
    uint64_t count = 0;
    (void)snprintf(name, sizeof name, "S%" PRIu64, stream);
    for (bool at_end = false; !at_end;) {
        NX_AUTO(nx_read) *read = NULL;
        must(nx_read_new(NX_READ_SCAN, &read, &err), &err);
        read->stream = nx_str_from_c(name);
        read->from_sequence = next;
        ask(life, read);
        must(read->status, &read->error);
        nx_assert(read->lost_count == 0);
        for (size_t i = 0; i < read->record_count; i++) {
            nx_assert(read->records[i].sequence >= next);
            next = read->records[i].sequence + 1;
            check_record(life->model, &read->records[i]);
        }
        count += read->record_count;
        next = read->next_sequence;
        at_end = read->at_end;
    }
    return count;
}

/* What is missing has expired: only streams with an even number may lose, and only when time has passed. */
static void check_missing(struct model *model) {
    uint64_t gone = 0;
    for (uint64_t i = 0; i < model->records; i++) {
        if (model->fates[i] == WRITTEN && model->seen[i] == 0) {
            nx_assert(model->offset_ns > 0 && i < model->first);
            nx_assert(model->subject_of[i] % model->streams % 2 == 0);
            gone++;
        }
        if (model->fates[i] == SENT) {
            model->fates[i] = UNSENT; /* it never came to the disk */
        }
    }
    model->expired = gone;
    memset(model->busy, 0, model->subjects);
}

static double look_up(struct life *life, enum nx_read_kind kind, bool by_time, uint64_t *found) {
    struct model *model = life->model;
    struct nx_error err = { 0 };
    const double start = cpu_s();
    for (uint64_t i = 0; i < LOOKUPS; i++) {
        NX_AUTO(nx_read) *read = NULL;
        const uint64_t number = mix(i + 77) % model->subjects;
        const uint64_t subject = subject_of_fill(model, number);
        char text[3][32];
        (void)snprintf(text[0], sizeof text[0], "S%" PRIu64, subject % model->streams);
        (void)snprintf(text[1], sizeof text[1], "s.%" PRIu64, subject);
        (void)snprintf(text[2], sizeof text[2], "id-%" PRIu64, number);
        must(nx_read_new(kind, &read, &err), &err);
        read->stream = nx_str_from_c(text[0]);
        read->subject = by_time ? NX_STR_EMPTY : nx_str_from_c(text[1]);
        read->key = nx_str_from_c(text[2]);
        read->from_sequence = model->sequences[number];
        if (by_time) {
            read->from_sequence = 0;
            read->from_time_ns = nx_clock_read(&life->world.clock).wall_ns - NX_NS_PER_S * (int64_t)(i % 60);
            read->count_max = 1;
        }
        ask(life, read);
        *found += read->record_count;
    }
    return (cpu_s() - start) / LOOKUPS * 1e6;
}

static void check_all(struct life *life) {
    struct model *model = life->model;
    struct nx_error err = { 0 };
    uint64_t count = 0;
    uint64_t found = 0;
    const double opening = world_now_s(&life->world);
    const double empty = rss_mib();
    world_open(&life->world, false);
    const double took = world_now_s(&life->world) - opening;
    const double cpu = cpu_s();
    memset(model->seen, 0, model->records);
    for (uint64_t i = 0; i < model->streams; i++) {
        count += check_stream(life, i);
    }
    const double read_s = cpu_s() - cpu;
    check_missing(model);
    const double by_sequence = look_up(life, NX_READ_BY_SEQUENCE, false, &found);
    const double by_id = look_up(life, NX_READ_BY_ID, false, &found);
    const double by_subject = look_up(life, NX_READ_LAST, false, &found);
    nx_assert(model->expired > 0 || found == 3 * (uint64_t)LOOKUPS);
    const double by_time = look_up(life, NX_READ_SCAN, true, &found);
    const double before = cpu_s();
    NX_AUTO(nx_read) *info = NULL;
    must(nx_read_new(NX_READ_INFO, &info, &err), &err);
    ask(life, info);
    nx_assert(info->info_count == model->streams);
    const double infos = cpu_s() - before;
    (void)printf("  opened in %.0f ms, RssAnon %.1f -> %.1f MiB; %" PRIu64
                 " records read back right, %.2f M a second of "
                 "CPU; %" PRIu64
                 " have expired; by sequence %.1f us, id %.1f, subject %.1f, time %.1f; all streams' "
                 "sizes %.1f ms\n",
                 took * 1e3, empty, rss_mib(), count, (double)count / read_s / 1e6, model->expired,
                 by_sequence, by_id, by_subject, by_time, infos * 1e3);
    world_close(&life->world);
}

/* ---- lives ---- */

static struct nx_now read_clock(void *data) {
    const struct model *model = data;
    const struct nx_clock system = nx_clock_system();
    struct nx_now now = nx_clock_read(&system);
    now.wall_ns += model->offset_ns;
    return now;
}

/* Run one life in a process of its own; how it ended. */
static int live(struct model *model, const char *directory, const char *what, uint64_t count) {
    (void)fflush(stdout);
    const pid_t child = fork();
    nx_assert(child >= 0);
    if (child > 0) {
        int status = 0;
        nx_assert(waitpid(child, &status, 0) == child);
        return WIFSIGNALED(status) ? WTERMSIG(status) : -WEXITSTATUS(status);
    }
    struct life life = { .model = model };
    char(*names)[32] = calloc(model->streams, sizeof *names);
    struct nx_stream_config *streams = calloc(model->streams, sizeof *streams);
    nx_assert(names != NULL && streams != NULL);
    for (uint64_t i = 0; i < model->streams; i++) {
        (void)snprintf(names[i], sizeof names[i], "S%" PRIu64, i);
        streams[i].name = nx_str_from_c(names[i]);
        streams[i].age_max_ns = i % 2 == 0 ? 3600 * (int64_t)NX_NS_PER_S : 0;
    }
    life.world.streams = streams;
    life.world.stream_count = model->streams;
    life.world.clock = (struct nx_clock){ .read = read_clock, .data = model };
    (void)snprintf(life.world.directory, sizeof life.world.directory, "%s/scale", directory);
    if (count == 0) {
        check_all(&life);
    } else {
        write_records(&life, what, count);
    }
    (void)fflush(stdout);
    _exit(0);
}

static void print_written(const struct model *model, const char *directory) {
    char command[700];
    (void)printf("  %.1f MB of payload acknowledged, %.1f MB handed to the disk: write amplification %.2f; "
                 "now on disk: ",
                 (double)model->payload / 1e6, (double)model->written / 1e6,
                 (double)model->written / (double)model->payload);
    (void)fflush(stdout);
    (void)snprintf(command, sizeof command, "du -sh '%s/scale' | cut -f1", directory);
    nx_assert(system(command) == 0);
}

static struct model *model_new(uint64_t streams, uint64_t subjects, uint64_t records) {
    struct model *model = shared(sizeof *model);
    model->streams = streams;
    model->subjects = subjects;
    model->records = records;
    model->sequences = shared(records * sizeof *model->sequences);
    model->fates = shared(records);
    model->seen = shared(records);
    model->lasts = shared(subjects * sizeof *model->lasts);
    model->busy = shared(subjects);
    model->subject_of = shared(records * sizeof *model->subject_of);
    return model;
}

int log_scale(const char *directory, uint64_t stream_count, uint64_t subject_count, uint64_t record_count) {
    const uint64_t sets = record_count > subject_count ? record_count - subject_count : subject_count / 4;
    struct model *model = model_new(stream_count, subject_count, subject_count + 3 * sets);
    (void)printf("%" PRIu64 " streams, %" PRIu64 " subjects, %" PRIu64 " records with conditions\n",
                 stream_count, subject_count, sets);
    int failed = live(model, directory, "fill, every subject once", subject_count);
    print_written(model, directory);
    failed = failed != 0 ? failed : live(model, directory, NULL, 0);
    model->first = subject_count;
    model->kill_at = sets / 2;
    nx_assert(failed == 0 && live(model, directory, "set", sets) == SIGKILL);
    (void)printf("set, each on condition of its last sequence: killed after %" PRIu64 " answers\n",
                 model->kill_at);
    failed = live(model, directory, NULL, 0);
    model->first = subject_count + sets;
    model->kill_at = 0;
    failed = failed != 0 ? failed : live(model, directory, "set, gone on with", sets);
    print_written(model, directory);
    failed = failed != 0 ? failed : live(model, directory, NULL, 0);
    (void)printf("  %" PRIu64 " wrong conditions refused, no right one\n", model->wrong);
    model->first = subject_count + 2 * sets;
    model->offset_ns = EXPIRE_NS_H * 3600 * (int64_t)NX_NS_PER_S;
    failed = failed != 0 ? failed : live(model, directory, "two hours later", sets / 10);
    print_written(model, directory);
    failed = failed != 0 ? failed : live(model, directory, NULL, 0);
    return failed != 0 ? 1 : 0;
}
