/* Records about people on their way in, and keys on their way out; reads are opened where they are answered.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/assert.h"
#include "codec/hex.h"
#include "codec/json.h"
#include "codec/time_format.h"
#include "fabric/backend_journal/library_internal.h"

enum { AUDIT_SIZE_MAX = 1024 };

void nx_library_note_keys(struct nx_library *library) {
    const struct nx_key_store *store = &library->vault.store;
    struct nx_board *board = library->board;
    char text[NX_BOARD_TEXT_WORDS * 8];
    if (!store->is_frozen || nx_counter_get(&board->keys_frozen) != 0) {
        return;
    }
    (void)snprintf(text, sizeof text,
                   "the keys of people could not be written: events that name a %s are refused",
                   store->is_found_unsafe ? "person" : "new person, or one whose erasure failed,");
    nx_board_set_text(board->keys_text, text);
    nx_counter_set(&board->keys_frozen, 1);
}

static void refuse(struct nx_library *library, struct nx_append *append, enum nx_status status,
                   const struct nx_error *err) {
    nx_library_note_keys(library); /* whoever is refused finds the reason everywhere */
    append->status = status;
    append->error = *err;
    nx_message_reply(&append->message);
}

void nx_library_seal_appends(struct nx_library *library) {
    struct nx_message_queue ready = { 0 };
    struct nx_error err = { 0 };
    struct nx_message *message;
    while ((message = nx_message_queue_pop(&library->to_seal)) != NULL) {
        struct nx_append *append = (struct nx_append *)message;
        const enum nx_status status = nx_vault_prepare(&library->vault, append, &err);
        if (status == NX_OK) {
            nx_message_queue_push(&ready, message);
        } else {
            refuse(library, append, status, &err);
        }
    }
    const enum nx_status secured = nx_key_store_secure(&library->vault.store, &err);
    while ((message = nx_message_queue_pop(&ready)) != NULL) {
        struct nx_append *append = (struct nx_append *)message;
        const enum nx_status status =
            secured == NX_OK ? nx_vault_seal(&library->vault, append, &err) : secured;
        if (status == NX_OK) {
            nx_mailbox_send_reply(library->appends, message); /* it was in that bounded mailbox before */
        } else {
            refuse(library, append, status, &err);
        }
    }
}

static void answer_audited(struct nx_library *library, struct nx_append *audit) {
    struct nx_erase *erase = (struct nx_erase *)nx_message_queue_pop(&library->erasing);
    nx_assert(erase != NULL);
    if (audit->status != NX_OK) {
        erase->error = audit->error;
        (void)nx_wrap(&erase->error, audit->status, "the key is destroyed, but not its audit record written");
        nx_log_error(library->options->log, "an erasure could not be audited", NX_F_C("key", erase->key_id),
                     NX_F_C("error", audit->error.message));
    }
    nx_message_reply(&erase->message);
    nx_append_free(audit);
}

void nx_library_take_append(struct nx_library *library, struct nx_append *append) {
    if (append->is_personal) {
        nx_message_queue_push(&library->to_seal, &append->message);
    } else {
        answer_audited(library, append);
    }
}

/* What was done, and to which key: never to whom. */
static enum nx_status make_audit(const struct nx_library *library, const struct nx_erase *erase,
                                 struct nx_append **append_out, struct nx_error *err) {
    const char *node = library->options->node_name == NULL ? "node" : library->options->node_name;
    char time[NX_TIME_TEXT_SIZE + 1];
    struct nx_json_writer writer;
    NX_AUTO(nx_append) *append = NULL;
    NX_AUTO(nx_buf) payload;
    NX_AUTO(nx_buf) subject;
    nx_buf_init(&payload, AUDIT_SIZE_MAX);
    nx_buf_init(&subject, NX_SUBJECT_SIZE_MAX);
    nx_buf_append_format(&subject, "audit.%s.erase", node);
    nx_json_writer_init(&writer, &payload);
    nx_json_object_begin(&writer);
    nx_json_member_c(&writer, "action", "erase");
    nx_json_member_c(&writer, "key", erase->key_id);
    nx_json_member_str(&writer, "time", nx_time_format(erase->erased_ns, NX_TIME_MILLISECONDS, time));
    nx_json_object_end(&writer);
    nx_json_writer_end(&writer);
    NX_TRY(nx_buf_check(&payload, err));
    NX_TRY(nx_buf_check(&subject, err));
    const struct nx_append_entry entry = {
        .stream = NX_STR("AUDIT"),
        .subject = nx_buf_str(&subject),
        .headers = NX_STR("content-type: application/json\r\n"),
        .payload = nx_buf_str(&payload),
    };
    NX_TRY(nx_append_new(1, 0, &append, err));
    NX_TRY(nx_append_add(append, &entry, err));
    append->makes_room = true;
    *append_out = NX_TAKE(append);
    return NX_OK;
}

void nx_library_erase(struct nx_library *library, struct nx_erase *erase) {
    const struct nx_person_key *key = NULL;
    struct nx_append *audit = NULL;
    nx_library_seal_appends(library); /* their keys first: they were sent before */
    erase->erased_ns = nx_clock_read(&library->options->clock).wall_ns;
    erase->status = nx_key_store_erase(&library->vault.store, nx_str_from_c(erase->person), erase->erased_ns,
                                       &key, &erase->error);
    if (erase->status != NX_OK) {
        nx_library_note_keys(library);
        nx_message_reply(&erase->message);
        return;
    }
    nx_hex_write(erase->key_id, key->id, sizeof key->id);
    if (make_audit(library, erase, &audit, &erase->error) != NX_OK) {
        nx_message_reply(&erase->message); /* `error` says it */
        return;
    }
    audit->message.reply_to = library->reads;
    nx_message_queue_push(&library->erasing, &erase->message);
    nx_mailbox_send_reply(library->appends,
                          &audit->message); /* one for each that our bounded mailbox let in */
}
