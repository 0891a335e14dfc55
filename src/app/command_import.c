/* src/app/command_import.c: nexus import: CloudEvents from a file into the log of the running server.
 *
 * "-" is standard input. The file holds one event a line (nexus export, or nexus events --output json), or
 * one batch, a JSON array. Events are sent as batches, each of which is stored whole or not at all. */
#include "app/commands.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "app/source.h"
#include "codec/json.h"

enum {
    FILE_SIZE_MAX = 1024 * 1024 * 1024,
    BATCH_COUNT_MAX = 500,
    BATCH_SIZE_MAX = 512 * 1024, /* bytes, unless one event alone is larger */
    EVENT_SIZE_MAX = 8 * 1024 * 1024,
    ANSWER_SIZE_MAX = 16 * 1024 * 1024,
};

static const struct nx_flag flags[] = {
    NX_SOURCE_FLAGS,
};

struct import {
    struct nx_client client;
    const char *file;
    struct nx_buf batch; /* "[{…},{…}", without its end */
    size_t batch_count;
    uint64_t first; /* the number in the file of the batch's first event, from 1 */
    uint64_t stored_count;
    uint64_t duplicate_count;
    uint64_t withheld_count;
};

/* {"items": [{"event_id": "…", "status": "published"}]} */
static enum nx_status count_answer(struct import *import, struct nx_str json, struct nx_error *err) {
    NX_AUTO(nx_json_doc) *doc = NULL;
    const struct nx_json_value *item;

    NX_TRY(nx_json_parse(json, json.len * 16 + 4096, &doc, err));
    struct nx_json_iterator walk = nx_json_iterate(nx_json_get(nx_json_root(doc), NX_STR("items")));
    while (nx_json_next(&walk, NULL, &item)) {
        const bool is_duplicate = nx_str_is(nx_json_get_str(item, "status"), "duplicate");
        import->stored_count += is_duplicate ? 0 : 1;
        import->duplicate_count += is_duplicate ? 1 : 0;
    }
    return NX_OK;
}

static enum nx_status send_batch(struct import *import, struct nx_error *err) {
    NX_AUTO(nx_buf) answer = { 0 };

    if (import->batch_count == 0) {
        return NX_OK;
    }
    nx_buf_append_c(&import->batch, "]");
    NX_TRY(nx_buf_check(&import->batch, err));
    nx_buf_init(&answer, ANSWER_SIZE_MAX);
    const enum nx_status status = nx_client_request(&import->client, "POST", NX_STR("/events"),
                                                    nx_buf_str(&import->batch), &answer, err);
    if (status != NX_OK) {
        return nx_wrap(
            err, status, "%s, events %" PRIu64 " to %" PRIu64 " (%" PRIu64 " before them are stored)",
            import->file, import->first, import->first + import->batch_count - 1, import->first - 1);
    }
    import->first += import->batch_count;
    import->batch_count = 0;
    nx_buf_reset(&import->batch);
    return count_answer(import, nx_buf_str(&answer), err);
}

/* What is left of an event whose person was forgotten is no event that a function could run on. */
static bool is_withheld(const struct nx_json_value *event) {
    return nx_json_get_str(event, "withheld").len > 0 && nx_json_get(event, NX_STR("data")) == NULL &&
           nx_json_get(event, NX_STR("data_base64")) == NULL;
}

/* What `nexus events --output json` prints has the event as a member. */
static enum nx_status add_event(struct import *import, const struct nx_json_value *value,
                                struct nx_error *err) {
    const struct nx_json_value *event = nx_json_get(value, NX_STR("event"));
    NX_AUTO(nx_buf) text = { 0 };
    struct nx_json_writer json;

    if (nx_json_get_str(value, "reference").len == 0 || event == NULL) {
        event = value;
    }
    if (is_withheld(event)) {
        NX_TRY(send_batch(import, err)); /* the events of a batch stand one behind the other in the file */
        import->first++;
        import->withheld_count++;
        return NX_OK;
    }
    nx_buf_init(&text, EVENT_SIZE_MAX);
    nx_json_writer_init(&json, &text);
    nx_json_value(&json, event);
    nx_json_writer_end(&json);
    NX_TRY(nx_buf_check(&text, err));
    if (import->batch_count == BATCH_COUNT_MAX || import->batch.len + text.len > BATCH_SIZE_MAX) {
        NX_TRY(send_batch(import, err));
    }
    nx_buf_append_c(&import->batch, import->batch_count == 0 ? "[" : ",");
    nx_buf_append(&import->batch, nx_buf_str(&text));
    import->batch_count++;
    return NX_OK;
}

static enum nx_status parse(struct import *import, struct nx_str text, uint64_t line,
                            struct nx_json_doc **doc_out, struct nx_error *err) {
    const enum nx_status status = nx_json_parse(text, text.len * 16 + 4096, doc_out, err);

    if (status == NX_OK || line == 0) {
        return status == NX_OK ? NX_OK : nx_wrap(err, status, "%s", import->file);
    }
    return nx_wrap(err, status, "%s:%" PRIu64, import->file, line);
}

static enum nx_status import_batch(struct import *import, struct nx_str text, struct nx_error *err) {
    NX_AUTO(nx_json_doc) *doc = NULL;
    const struct nx_json_value *event;

    NX_TRY(parse(import, text, 0, &doc, err));
    struct nx_json_iterator walk = nx_json_iterate(nx_json_root(doc));
    while (nx_json_next(&walk, NULL, &event)) {
        NX_TRY(add_event(import, event, err));
    }
    return send_batch(import, err);
}

static enum nx_status import_lines(struct import *import, struct nx_str text, struct nx_error *err) {
    struct nx_str line;

    for (uint64_t number = 1; nx_str_split(&text, '\n', &line); number++) {
        NX_AUTO(nx_json_doc) *doc = NULL;
        if (nx_str_trim(line).len == 0) {
            continue;
        }
        NX_TRY(parse(import, line, number, &doc, err));
        NX_TRY(add_event(import, nx_json_root(doc), err));
    }
    return send_batch(import, err);
}

/* Standard input, to its end. */
static enum nx_status read_input(struct nx_buf *text, struct nx_error *err) {
    char part[64 * 1024];
    size_t len;

    while ((len = fread(part, 1, sizeof part, stdin)) > 0) {
        nx_buf_append(text, nx_str_of(part, len));
        NX_TRY(nx_buf_check(text, err));
    }
    return ferror(stdin) == 0 ? NX_OK : nx_fail(err, NX_UNAVAILABLE, "cannot read standard input: %m");
}

static enum nx_status run(struct nx_args *args, struct nx_error *err) {
    NX_AUTO(nx_source) source = { 0 };
    NX_AUTO(nx_buf) text = { 0 };
    struct import import = { .file = args->words[0], .first = 1 };

    nx_buf_init(&text, FILE_SIZE_MAX);
    if (strcmp(import.file, "-") == 0) {
        import.file = "standard input";
        NX_TRY(read_input(&text, err));
    } else {
        NX_TRY(nx_disk_read_file(nx_disk_system(), import.file, &text, err));
    }
    NX_TRY(nx_source_find_directory(args, &source, err));
    if (nx_client_find(nx_disk_system(), source.directory, &import.client, err) != NX_OK) {
        nx_hint(err, "events are stored by the server: start it by nexus dev");
        return NX_NOT_FOUND;
    }
    import.client.content_type = "application/cloudevents-batch+json";
    nx_buf_init(&import.batch, EVENT_SIZE_MAX + BATCH_SIZE_MAX);
    const struct nx_str all = nx_str_trim(nx_buf_str(&text));
    const enum nx_status status = nx_str_starts_with(all, NX_STR("["))
                                      ? import_batch(&import, all, err)
                                      : import_lines(&import, nx_buf_str(&text), err);
    nx_buf_fini(&import.batch);
    NX_TRY(status);
    (void)printf("OK %" PRIu64 " event%s stored", import.stored_count, import.stored_count == 1 ? "" : "s");
    if (import.duplicate_count > 0) {
        (void)printf(", %" PRIu64 " were there already", import.duplicate_count);
    }
    if (import.withheld_count > 0) {
        (void)printf(", %" PRIu64 " left out: whom they are about was forgotten", import.withheld_count);
    }
    (void)printf("\n");
    return NX_OK;
}

const struct nx_command nx_command_import = {
    .name = "import",
    .words = "FILE",
    .summary = "store the CloudEvents of a file, as nexus export prints them",
    .text =
        "FILE holds one event a line, or one batch: a JSON array of events; - is standard input. Each keeps\n"
        "its id, source and time; the functions of its type run. The server stores up to 500 at once, all\n"
        "of them or none; one that it has seen a moment ago is not stored again. One that is withheld, for\n"
        "its person was forgotten, is left out.",
    .example = "nexus import events.jsonl\n"
               "nexus export --data old/.nexus | nexus import -",
    .flags = flags,
    .flag_count = sizeof flags / sizeof flags[0],
    .word_count_min = 1,
    .word_count_max = 1,
    .run = run,
};
