/* src/app/command_erase.c: nexus erase: forget a person, by the running server or in the directory itself. */
#include "app/commands.h"

#include <stdio.h>

#include "app/source.h"
#include "codec/json.h"
#include "codec/time_format.h"
#include "platform/function/functions.h"

enum { BODY_SIZE_MAX = 16 * 1024, ANSWERS_MAX = 4 };

static const struct nx_flag flags[] = {
    { .name = "person", .value = "ID", .help = "whom: what events have in their attribute personkey" },
    { .name = "output", .value = "FORMAT", .help = "text or json" },
    NX_SOURCE_FLAGS,
};

/* What was done. */
struct erased {
    char key[33]; /* the id of the key that is gone */
    char time[NX_TIME_TEXT_SIZE + 1];
    struct nx_error warning;
};

static void copy_text(char *out, size_t size, struct nx_str text) {
    (void)snprintf(out, size, "%.*s", NX_STR_ARG(text));
}

static enum nx_status erase_there(const struct nx_client *client, struct nx_str person, struct erased *erased,
                                  struct nx_error *err) {
    NX_AUTO(nx_buf) body = { 0 };
    NX_AUTO(nx_buf) answer = { 0 };
    NX_AUTO(nx_json_doc) *doc = NULL;
    struct nx_json_writer json;

    nx_buf_init(&body, BODY_SIZE_MAX);
    nx_buf_init(&answer, BODY_SIZE_MAX);
    nx_json_writer_init(&json, &body);
    nx_json_object_begin(&json);
    nx_json_member_str(&json, "person", person);
    nx_json_object_end(&json);
    nx_json_writer_end(&json);
    NX_TRY(nx_buf_check(&body, err));
    NX_TRY(nx_client_request(client, "POST", NX_STR("/erase"), nx_buf_str(&body), &answer, err));
    NX_TRY(nx_json_parse(nx_buf_str(&answer), answer.len * 16 + 4096, &doc, err));
    const struct nx_json_value *root = nx_json_root(doc);
    copy_text(erased->key, sizeof erased->key, nx_json_get_str(root, "key"));
    copy_text(erased->time, sizeof erased->time, nx_json_get_str(root, "time"));
    copy_text(erased->warning.message, sizeof erased->warning.message, nx_json_get_str(root, "warning"));
    return NX_OK;
}

/* Nobody serves the directory: its actors run here, step by step, until the answer is there. */
static struct nx_message *run_until_answered(struct nx_fabric *fabric, struct nx_mailbox *answers) {
    const struct nx_clock clock = nx_clock_system();
    struct nx_actor actors[2];
    struct nx_message_queue inboxes[2] = { 0 };
    struct nx_message_queue answered = { 0 };

    nx_fabric_actors(fabric, &actors[0], &actors[1]);
    while (!nx_mailbox_take(answers, &answered)) {
        for (size_t i = 0; i < 2; i++) {
            (void)nx_mailbox_take(actors[i].mailbox, &inboxes[i]);
            (void)actors[i].step(actors[i].state, nx_clock_read(&clock), &inboxes[i]);
        }
    }
    return nx_message_queue_pop(&answered);
}

static enum nx_status erase_in(struct nx_fabric *fabric, struct nx_str person, struct erased *erased,
                               struct nx_error *err) {
    NX_AUTO(nx_mailbox) *answers = NULL;
    struct nx_erase *erase = NULL;

    NX_TRY(nx_mailbox_open(ANSWERS_MAX, &answers, err));
    NX_TRY(nx_erase_new(person, &erase, err));
    erase->message.reply_to = answers;
    nx_mailbox_send_reply(nx_fabric_reads(fabric), &erase->message);
    struct nx_message *message = run_until_answered(fabric, answers);
    const enum nx_status status = erase->status;
    if (status == NX_OK) {
        copy_text(erased->key, sizeof erased->key, nx_str_from_c(erase->key_id));
        (void)nx_time_format(erase->erased_ns, NX_TIME_MILLISECONDS, erased->time);
        erased->warning = erase->error;
    } else {
        *err = erase->error;
    }
    nx_message_release(message);
    return status;
}

static enum nx_status erase_here(const char *directory, struct nx_str person, struct erased *erased,
                                 struct nx_error *err) {
    NX_AUTO(nx_fabric) *fabric = NULL;
    struct nx_fabric_options options = {
        .disk = nx_disk_system(),
        .clock = nx_clock_system(),
        .random = nx_random_system(),
        .directory = directory,
        .read_only = true,
        .streams = nx_functions_streams(),
        .stream_count = NX_FUNCTIONS_STREAMS_COUNT,
        .retention_waits_for = NX_FUNCTIONS_CONSUMER,
    };

    NX_TRY(nx_fabric_open(&options, &fabric, err)); /* is there anything? else it would be created */
    nx_fabric_close(NX_TAKE(fabric));
    options.read_only = false;
    NX_TRY(nx_fabric_open(&options, &fabric, err));
    return erase_in(fabric, person, erased, err);
}

static void print(const struct erased *erased, bool as_json) {
    NX_AUTO(nx_buf) text = { 0 };
    struct nx_json_writer json;

    if (!as_json) {
        (void)printf("OK forgotten: key %s is destroyed, and with it all that was sealed with it\n",
                     erased->key);
        (void)printf("   backups of the folder keys/ still have it: remove it there too\n");
        return;
    }
    nx_buf_init(&text, BODY_SIZE_MAX);
    nx_json_writer_init(&json, &text);
    nx_json_object_begin(&json);
    nx_json_member_c(&json, "status", "erased");
    nx_json_member_c(&json, "key", erased->key);
    nx_json_member_c(&json, "time", erased->time);
    nx_json_object_end(&json);
    nx_json_writer_end(&json);
    (void)printf("%.*s\n", NX_STR_ARG(nx_buf_str(&text)));
}

static enum nx_status run(struct nx_args *args, struct nx_error *err) {
    NX_AUTO(nx_source) source = { 0 };
    struct erased erased = { 0 };
    struct nx_client client;
    bool as_json = false;

    const struct nx_str person = nx_str_from_c(nx_args_value(args, "person"));
    if (person.len == 0) {
        return nx_args_fail(args, err, "whom? --person names them");
    }
    NX_TRY(nx_args_output_is_json(args, &as_json, err));
    NX_TRY(nx_source_find_directory(args, &source, err));
    const bool is_live = nx_client_find(nx_disk_system(), source.directory, &client, NULL) == NX_OK;
    const enum nx_status status = is_live ? erase_there(&client, person, &erased, err)
                                          : erase_here(source.directory, person, &erased, err);
    if (status == NX_NOT_FOUND && err->hint[0] == '\0') {
        nx_hint(err, "no event named them, or they were forgotten before; ids are compared byte by byte");
    }
    NX_TRY(status);
    print(&erased, as_json);
    if (erased.warning.message[0] != '\0') {
        (void)fprintf(stderr, "warning: %s\n", erased.warning.message);
    }
    return NX_OK;
}

const struct nx_command nx_command_erase = {
    .name = "erase",
    .words = "--person ID",
    .summary = "forget a person: destroy the key of all that events about them hold",
    .text =
        "Events that name a person (attribute personkey, or a rule of nexus.yaml) are stored sealed, and so\n"
        "is what functions make of them. This destroys the person's key: from then on nobody can read any\n"
        "of it, in this directory or in a copy of its log; replays, lists and exports say so. It cannot be\n"
        "undone. Backups of the folder keys/ have the key until they are deleted. Works with the server up\n"
        "or down; an event about them that comes later is stored under a new key.",
    .example = "nexus erase --person alice",
    .flags = flags,
    .flag_count = sizeof flags / sizeof flags[0],
    .run = run,
};
