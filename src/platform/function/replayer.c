#include "platform/function/replayer.h"

#include "platform/function/functions.h"

struct nx_replayer {
    struct nx_replayer_options options;
    struct nx_mailbox *mailbox;
    struct nx_mailbox *dispatch;
};

static int64_t step(void *state, struct nx_now now, struct nx_message_queue *inbox) {
    struct nx_message *message;
    (void)state;
    (void)now;
    while ((message = nx_message_queue_pop(inbox)) != NULL) {
        struct nx_functions_replay *replay = (struct nx_functions_replay *)(void *)message;
        replay->status = nx_fail(&replay->error, NX_UNIMPLEMENTED, "no replay yet");
        nx_message_reply(message);
    }
    return NX_STEP_IDLE;
}

enum nx_status nx_replayer_open(const struct nx_replayer_options *options, struct nx_replayer **replayer_out,
                                struct nx_error *err) {
    NX_AUTO(nx_replayer) *replayer = calloc(1, sizeof *replayer);
    if (replayer == NULL) {
        return nx_fail_memory(err);
    }
    replayer->options = *options;
    NX_TRY(nx_mailbox_open(NX_REPLAYER_REQUESTS_MAX, &replayer->mailbox, err));
    *replayer_out = NX_TAKE(replayer);
    return NX_OK;
}

void nx_replayer_close(struct nx_replayer *replayer) {
    if (replayer == NULL) {
        return;
    }
    nx_mailbox_close(replayer->mailbox);
    free(replayer);
}

void nx_replayer_set_dispatch(struct nx_replayer *replayer, struct nx_mailbox *dispatch) {
    replayer->dispatch = dispatch;
}

struct nx_actor nx_replayer_actor(struct nx_replayer *replayer) {
    return (
        struct nx_actor){ .name = "replayer", .mailbox = replayer->mailbox, .state = replayer, .step = step };
}

struct nx_mailbox *nx_replayer_mailbox(struct nx_replayer *replayer) {
    return replayer->mailbox;
}
