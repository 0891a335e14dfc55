#include "platform/function/loader.h"

#include "base/assert.h"
#include "fabric/object/object.h"
#include "platform/function/invocation.h"
#include "platform/function/outbox.h"

struct nx_loader {
    struct nx_mailbox *mailbox;
    struct nx_outbox reads;
    struct nx_message_queue waiting; /* requests, the first one is next */
    struct nx_load *load;            /* under way */
    struct nx_object_get get;        /* of its bytes */
    struct nx_buf wasm;
};

static void load_release(struct nx_message *message) {
    struct nx_load *load = (struct nx_load *)(void *)message;
    if (load->module != NULL) {
        load->guests->module_unref(load->module);
    }
    free(load);
}

enum nx_status nx_load_new(const struct nx_guest_kind *guests, const struct nx_digest *digest,
                           uint64_t memory_max, struct nx_load **load_out, struct nx_error *err) {
    struct nx_load *load = calloc(1, sizeof *load);
    if (load == NULL) {
        return nx_fail_memory(err);
    }
    load->message.kind = NX_LOAD;
    load->message.release = load_release;
    load->guests = guests;
    load->digest = *digest;
    load->memory_max = memory_max;
    *load_out = load;
    return NX_OK;
}

static void answer(struct nx_loader *loader, enum nx_status status) {
    struct nx_load *load = NX_TAKE(loader->load);
    load->status = status;
    nx_buf_fini(&loader->wasm);
    nx_message_reply(&load->message);
}

/* Ask for the next piece of the module; when all are there, load it. */
static void go_on(struct nx_loader *loader) {
    struct nx_load *load = loader->load;
    struct nx_read *read = NULL;
    enum nx_status status = nx_object_get_next(&loader->get, &read, &load->error);
    if (status == NX_OK && read != NULL) {
        read->message.reply_to = loader->mailbox;
        nx_outbox_send(&loader->reads, &read->message);
        return;
    }
    if (status == NX_OK) {
        load->size = loader->wasm.len;
        status = load->guests->module_load(load->guests->data, nx_buf_str(&loader->wasm), load->memory_max,
                                           &load->module, &load->error);
    }
    answer(loader, status);
}

static void take_read(struct nx_loader *loader, struct nx_read *read) {
    const enum nx_status status = nx_object_get_take(&loader->get, read, &loader->load->error);
    nx_read_free(read);
    if (status != NX_OK) {
        answer(loader, nx_wrap(&loader->load->error, status, "the module cannot be read"));
        return;
    }
    go_on(loader);
}

static int64_t step(void *state, struct nx_now now, struct nx_message_queue *inbox) {
    struct nx_loader *loader = state;
    struct nx_message *message;
    while ((message = nx_message_queue_pop(inbox)) != NULL) {
        if (message->kind == NX_FABRIC_READ) {
            take_read(loader, (struct nx_read *)(void *)message);
        } else {
            nx_assert(message->kind == NX_LOAD);
            nx_message_queue_push(&loader->waiting, message);
        }
    }
    if (loader->load == NULL && loader->waiting.count > 0) {
        loader->load = (struct nx_load *)(void *)nx_message_queue_pop(&loader->waiting);
        nx_buf_init(&loader->wasm, NX_MODULE_SIZE_MAX);
        nx_object_get_init(&loader->get, NX_OBJECTS_BUCKET, &loader->load->digest, &loader->wasm);
        go_on(loader);
    }
    const bool is_sent = nx_outbox_flush(&loader->reads);
    const bool has_next = loader->load == NULL && loader->waiting.count > 0;
    return has_next ? NX_STEP_AGAIN : is_sent ? NX_STEP_IDLE : now.monotonic_ns + NX_OUTBOX_RETRY_NS;
}

enum nx_status nx_loader_open(struct nx_mailbox *reads, struct nx_loader **loader_out, struct nx_error *err) {
    NX_AUTO(nx_loader) *loader = calloc(1, sizeof *loader);
    if (loader == NULL) {
        return nx_fail_memory(err);
    }
    loader->reads.to = reads;
    NX_TRY(nx_mailbox_open(NX_LOADER_REQUESTS_MAX, &loader->mailbox, err));
    *loader_out = NX_TAKE(loader);
    return NX_OK;
}

void nx_loader_close(struct nx_loader *loader) {
    if (loader == NULL) {
        return;
    }
    if (loader->load != NULL) {
        nx_message_release(&loader->load->message);
    }
    nx_message_queue_release(&loader->waiting);
    nx_message_queue_release(&loader->reads.waiting);
    nx_mailbox_close(loader->mailbox);
    nx_buf_fini(&loader->wasm);
    free(loader);
}

struct nx_actor nx_loader_actor(struct nx_loader *loader) {
    return (struct nx_actor){ .name = "loader", .mailbox = loader->mailbox, .state = loader, .step = step };
}

struct nx_mailbox *nx_loader_mailbox(struct nx_loader *loader) {
    return loader->mailbox;
}
