/* src/app/command_journal.c: nexus journal verify | dump | repair: the log's files, looked at directly.
 *
 * verify and dump open the directory read only, also beside a running server; repair takes it for itself,
 * puts aside what cannot be read, lets recovery end the log behind its last whole append, and says what it
 * found. Sequences of what was cut are written down as void: none of them is used again. */
#include "app/commands.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "app/journal_objects.h"
#include "app/source.h"
#include "app/terminal.h"
#include "app/times.h"
#include "codec/base64.h"
#include "codec/headers.h"
#include "codec/json.h"
#include "codec/time_format.h"
#include "codec/word.h"
#include "io/clock.h"
#include "platform/function/functions.h"
#include "storage/check/check.h"

enum {
    LINE_SIZE_MAX = 16 * 1024 * 1024,
    PATH_SIZE_MAX = 4096,
    NAMED_MAX = 100,       /* ranges of destroyed records, one a line */
    LOOKS_MAX = 100 * 1000 /* sequences without a record that are looked at in one page */
};

static const struct nx_flag flags[] = {
    { .name = "stream", .value = "NAME", .help = "only this stream, such as EVENTS" },
    { .name = "since", .value = "TIME", .help = "dump: records from then on" },
    { .name = "until", .value = "TIME", .help = "dump: and before then" },
    { .name = "output", .value = "FORMAT", .help = "verify: text (default) or json; dump is always JSON" },
    NX_SOURCE_FLAGS,
};

struct walk {
    struct nx_fabric *fabric;
    const char *stream; /* NULL: all */
    int64_t since_ns;
    int64_t until_ns;
    bool dump;
    uint64_t count;
    uint64_t size;
    uint64_t lost_count;
    uint64_t stream_count;
    struct nx_buf named; /* what is destroyed, a line for each range */
    size_t named_count;
    struct nx_journal_objects *objects; /* NULL: not all is looked at */
};

static enum nx_status open_fabric(const struct nx_source *source, bool read_only,
                                  struct nx_fabric **fabric_out, struct nx_error *err) {
    const struct nx_fabric_options options = {
        .disk = nx_disk_system(),
        .clock = nx_clock_system(),
        .random = nx_random_system(),
        .directory = source->directory,
        .read_only = read_only,
        .streams = read_only ? NULL : nx_functions_streams(),
        .stream_count = read_only ? 0 : NX_FUNCTIONS_STREAMS_COUNT,
    };
    const enum nx_status status = nx_fabric_open(&options, fabric_out, err);
    if (status == NX_NOT_FOUND) {
        return nx_fail(err, NX_NOT_FOUND, "%s holds no data", source->directory);
    }
    return status;
}

static void write_headers(struct nx_json_writer *json, struct nx_str block) {
    struct nx_header header;

    nx_json_key(json, NX_STR("headers"));
    nx_json_object_begin(json);
    while (nx_headers_next(&block, &header)) {
        nx_json_key(json, header.name);
        nx_json_string(json, header.value);
    }
    nx_json_object_end(json);
}

static enum nx_status dump(const struct nx_record *record, struct nx_error *err) {
    NX_AUTO(nx_buf) line = { 0 };
    NX_AUTO(nx_buf) base64 = { 0 };
    struct nx_json_writer json;
    char time[NX_TIME_TEXT_SIZE + 1];

    nx_buf_init(&line, LINE_SIZE_MAX);
    nx_buf_init(&base64, LINE_SIZE_MAX);
    nx_json_writer_init(&json, &line);
    nx_json_object_begin(&json);
    nx_json_member_str(&json, "stream", record->stream);
    nx_json_member_u64(&json, "sequence", record->sequence);
    nx_json_member_str(&json, "time", nx_time_format(record->time_ns, NX_TIME_NANOSECONDS, time));
    nx_json_member_str(&json, "subject", record->subject);
    write_headers(&json, record->headers);
    if (nx_str_is_utf8(record->payload)) {
        nx_json_member_str(&json, "payload", record->payload);
    } else {
        nx_base64_encode(&base64, NX_BASE64_STANDARD, record->payload);
        nx_json_member_str(&json, "payload_base64", nx_buf_str(&base64));
    }
    nx_json_object_end(&json);
    nx_json_writer_end(&json);
    nx_buf_append_c(&line, "\n");
    NX_TRY(nx_buf_check(&line, err));
    (void)fwrite(line.ptr, 1, line.len, stdout);
    return NX_OK;
}

static bool is_destroyed(struct nx_fabric *fabric, struct nx_str stream, uint64_t sequence) {
    NX_AUTO(nx_read) *read = NULL;

    if (nx_read_new(NX_READ_BY_SEQUENCE, &read, NULL) != NX_OK) {
        return false;
    }
    read->stream = nx_arena_copy(&read->arena, stream);
    read->from_sequence = sequence;
    nx_fabric_read_now(fabric, read);
    return read->status == NX_DATA_LOSS;
}

static void name_range(struct walk *walk, struct nx_str stream, uint64_t first, uint64_t last) {
    if (walk->named_count++ >= NAMED_MAX) {
        return; /* the number of all is told */
    }
    nx_buf_append_format(&walk->named, "%.*s:%" PRIu64, NX_STR_ARG(stream), first);
    if (last > first) {
        nx_buf_append_format(&walk->named, " to %" PRIu64, last);
    }
    nx_buf_append_c(&walk->named, first == last ? " is destroyed\n" : " are destroyed\n");
}

/* Which of the sequences that a page has no record of are destroyed; others were never written, or left. */
static void name_destroyed(struct walk *walk, struct nx_str stream, uint64_t first,
                           const struct nx_read *page) {
    uint64_t range_first = 0;
    size_t index = 0;
    size_t looks = 0;
    uint64_t at = first;

    for (; at < page->next_sequence && looks < LOOKS_MAX; at++) {
        while (index < page->record_count && page->records[index].sequence < at) {
            index++;
        }
        const bool is_there = index < page->record_count && page->records[index].sequence == at;
        looks += is_there ? 0 : 1;
        if (!is_there && is_destroyed(walk->fabric, stream, at)) {
            range_first = range_first == 0 ? at : range_first;
        } else if (range_first != 0) {
            name_range(walk, stream, range_first, at - 1);
            range_first = 0;
        }
    }
    if (range_first != 0) {
        name_range(walk, stream, range_first, at - 1);
    }
}

/* Read every record of the stream: whatever is read was checked against its sum. */
static enum nx_status walk_stream(struct walk *walk, const struct nx_stream_info *info,
                                  struct nx_error *err) {
    uint64_t next = info->first_sequence;
    bool at_end = info->last_sequence == 0;

    walk->stream_count++;
    while (!at_end && ferror(stdout) == 0) {
        NX_AUTO(nx_read) *read = NULL;
        NX_TRY(nx_read_new(NX_READ_SCAN, &read, err));
        read->stream = nx_arena_copy(&read->arena, info->name);
        read->from_sequence = next;
        read->from_time_ns = walk->since_ns;
        read->to_time_ns = walk->until_ns;
        nx_fabric_read_now(walk->fabric, read);
        if (read->status != NX_OK) {
            *err = read->error;
            return nx_wrap(err, read->status, "stream %.*s at %" PRIu64, NX_STR_ARG(info->name), next);
        }
        for (size_t i = 0; i < read->record_count; i++) {
            const struct nx_record *record = &read->records[i];
            walk->count++;
            walk->size += record->subject.len + record->headers.len + record->payload.len;
            if (walk->objects != NULL) {
                nx_journal_objects_see(walk->objects, record);
            }
            if (walk->dump) {
                NX_TRY(dump(record, err));
            }
        }
        walk->lost_count += read->lost_count;
        if (read->lost_count > 0 && !walk->dump) {
            name_destroyed(walk, info->name, next, read);
        }
        at_end = read->at_end || read->next_sequence <= next;
        next = read->next_sequence;
    }
    return NX_OK;
}

/* What there is instead of a stream that is not there. */
static enum nx_status fail_no_stream(const char *name, const struct nx_read *read, struct nx_error *err) {
    NX_AUTO(nx_buf) names = { 0 };

    nx_buf_init(&names, LINE_SIZE_MAX);
    for (size_t i = 0; i < read->info_count; i++) {
        nx_buf_append_format(&names, "%s%.*s", i == 0 ? "" : ", ", NX_STR_ARG(read->infos[i].name));
    }
    (void)nx_fail(err, NX_NOT_FOUND, "there is no stream '%s' in this log", name);
    if (names.len == 0) {
        nx_hint(err, "there is none yet: nothing was stored");
    } else {
        nx_hint(err, "it has: %.*s", NX_STR_ARG(nx_buf_str(&names)));
    }
    return NX_NOT_FOUND;
}

static enum nx_status walk_all(struct walk *walk, struct nx_error *err) {
    NX_AUTO(nx_read) *read = NULL;

    NX_TRY(nx_read_new(NX_READ_INFO, &read, err));
    nx_fabric_read_now(walk->fabric, read);
    if (read->status != NX_OK) {
        *err = read->error;
        return read->status;
    }
    for (size_t i = 0; i < read->info_count; i++) {
        if (walk->stream == NULL || nx_str_is(read->infos[i].name, walk->stream)) {
            NX_TRY(walk_stream(walk, &read->infos[i], err));
        }
    }
    if (walk->stream != NULL && walk->stream_count == 0) {
        return fail_no_stream(walk->stream, read, err);
    }
    return NX_OK;
}

static void print_report(struct nx_str report) {
    struct nx_str line;

    while (nx_str_split(&report, '\n', &line)) {
        if (line.len > 0) {
            (void)printf("  %.*s\n", NX_STR_ARG(line));
        }
    }
}

/* Modules are never collected: what objects come to is told. */
static void print_objects(const struct nx_journal_objects *objects) {
    struct nx_journal_objects_count count;

    if (nx_journal_objects_count(objects, &count) && count.count > 0) {
        (void)printf("   %" PRIu64 " object%s of %" PRIu64 " bytes; %" PRIu64 " of %" PRIu64
                     " bytes are named by no record any more\n",
                     count.count, count.count == 1 ? "" : "s", count.size, count.unnamed_count,
                     count.unnamed_size);
    }
}

static enum nx_status verify(struct nx_args *args, struct walk *walk, bool json, struct nx_error *err) {
    NX_TRY(walk_all(walk, err));
    if (json) {
        (void)printf("{\"streams\":%" PRIu64 ",\"records\":%" PRIu64 ",\"bytes\":%" PRIu64
                     ",\"lost\":%" PRIu64 "}\n",
                     walk->stream_count, walk->count, walk->size, walk->lost_count);
    } else {
        print_report(nx_fabric_recovery_report(walk->fabric));
        print_report(nx_buf_str(&walk->named));
        (void)printf("%s %" PRIu64 " records of %" PRIu64 " streams read and checked, %" PRIu64 " bytes",
                     walk->lost_count == 0 ? "OK" : "FAIL", walk->count, walk->stream_count, walk->size);
        (void)printf(walk->lost_count == 0 ? "\n" : "; %" PRIu64 " are destroyed\n", walk->lost_count);
        if (walk->objects != NULL) {
            print_objects(walk->objects);
        }
    }
    if (walk->lost_count > 0) {
        args->exit_status = NX_EXIT_FAILED;
    }
    return NX_OK;
}

static void print_problem(void *data, const char *file, const char *text) {
    (void)printf("  %s: %s\n", file, text);
    ++*(size_t *)data;
}

/* Files that cannot be read, as long as nobody else has the directory. */
static enum nx_status put_aside(const struct nx_source *source, const char *journal, size_t *count_out,
                                struct nx_error *err) {
    const struct nx_check_visitor visitor = { .data = count_out, .problem = print_problem };
    struct nx_disk_lock *lock = NULL;
    char path[PATH_SIZE_MAX];
    uint64_t holder = 0;

    (void)snprintf(path, sizeof path, "%s/nexus.lock", source->directory);
    if (nx_disk_lock(nx_disk_system(), path, &lock, &holder, err) != NX_OK) {
        return NX_OK; /* opening the log says who has it */
    }
    const enum nx_status status = nx_journal_repair(nx_disk_system(), journal, &visitor, err);
    nx_disk_unlock(lock);
    return status;
}

static enum nx_status repair(const struct nx_source *source, struct nx_error *err) {
    NX_AUTO(nx_fabric) *fabric = NULL;
    char path[PATH_SIZE_MAX];

    /* Opening for writing would create what is not there. */
    const int len = snprintf(path, sizeof path, "%s/journal", source->directory);
    if (len < 0 || (size_t)len >= sizeof path || access(path, F_OK) != 0) {
        (void)nx_fail(err, NX_NOT_FOUND, "%s holds no data", source->directory);
        nx_hint(err, "name the data directory: --data FOLDER");
        return NX_NOT_FOUND;
    }
    size_t count = 0;
    NX_TRY(put_aside(source, path, &count, err));
    NX_TRY(open_fabric(source, false, &fabric, err));
    const struct nx_str report = nx_fabric_recovery_report(fabric);
    print_report(report);
    if (!nx_fabric_is_writable(fabric, err)) {
        return nx_wrap(err, err->status,
                       "the log cannot be written to"); /* its void sequences are not on disk */
    }
    (void)printf(report.len == 0 && count == 0
                     ? "OK nothing to repair in %s\n"
                     : "OK repaired %s; what was destroyed stays named: nexus journal verify\n",
                 source->directory);
    return NX_OK;
}

static enum nx_status look(struct nx_args *args, const struct nx_source *source, bool is_dump,
                           struct nx_error *err) {
    NX_AUTO(nx_fabric) *fabric = NULL;
    const struct nx_clock clock = nx_clock_system();
    const int64_t now_ns = nx_clock_read(&clock).wall_ns;
    struct walk walk = { .stream = nx_args_value(args, "stream"), .dump = is_dump };
    bool json;

    NX_TRY(nx_args_output_is_json(args, &json, err));
    NX_TRY(nx_time_range(args, now_ns, &walk.since_ns, &walk.until_ns, err));
    NX_TRY(open_fabric(source, true, &fabric, err));
    walk.fabric = fabric;
    if (is_dump) {
        return walk_all(&walk, err);
    }
    struct nx_journal_objects objects;
    const struct nx_random random = nx_random_system();
    nx_journal_objects_init(&objects, nx_random_u64(&random));
    const bool is_all = walk.stream == NULL && walk.since_ns == 0 && walk.until_ns == 0;
    walk.objects = is_all ? &objects : NULL;
    nx_buf_init(&walk.named, LINE_SIZE_MAX);
    const enum nx_status status = verify(args, &walk, json, err);
    nx_journal_objects_fini(&objects);
    nx_buf_fini(&walk.named);
    return status;
}

static enum nx_status run(struct nx_args *args, struct nx_error *err) {
    static const char *const verbs[] = { "verify", "dump", "repair" };
    const struct nx_str verb = nx_str_from_c(args->words[0]);
    NX_AUTO(nx_source) source = { 0 };
    size_t i = 0;

    while (i < 3 && !nx_str_is(verb, verbs[i])) {
        i++;
    }
    if (i == 3) {
        const char *nearest = nx_word_nearest(verb, verbs, 3);
        (void)nx_args_fail(args, err, "nexus journal cannot '%.*s'", NX_STR_ARG(verb));
        nx_hint(err, nearest == NULL ? "it can verify, dump and repair" : "did you mean: nexus journal %s?",
                nearest);
        return NX_INVALID_ARGUMENT;
    }
    NX_TRY(nx_source_find_directory(args, &source, err));
    return i == 2 ? repair(&source, err) : look(args, &source, i == 1, err);
}

const struct nx_command nx_command_journal = {
    .name = "journal",
    .words = "verify|dump|repair",
    .summary = "check, print or repair the log's files",
    .text = "verify reads every record and checks its sum; status 1 when records are destroyed. dump prints\n"
            "records as JSON, one a line. repair, with no server running, puts files aside that cannot be\n"
            "read, and ends the log behind its last whole append; sequences that were cut are never used\n"
            "again.",
    .example = "nexus journal verify\nnexus journal dump --stream EVENTS --since 1h",
    .flags = flags,
    .flag_count = sizeof flags / sizeof flags[0],
    .word_count_min = 1,
    .word_count_max = 1,
    .run = run,
};
