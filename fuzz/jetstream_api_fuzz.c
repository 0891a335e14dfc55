/* fuzz/jetstream_api_fuzz.c: what clients of JetStream ask for, publish and acknowledge, in any order, on the
 * real log over a simulated disk, with restarts and power cuts in between.
 *
 * What a stream of files shows before a stop is what it shows after it.
 *
 * Input: lines. "+<ms>" lets time pass, "!" cuts the power, "=" stops and starts; any other line is a message
 * "<subject>|<header lines, separated by ;>|<payload>". Every request that the API knows has exactly one
 * answer, and each is JSON; a message has at most one; nothing is left behind; and what was acknowledged
 * before a power cut and not deleted is counted after it. */
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "fabric/fabric.h"
#include "fuzz.h"
#include "io/sim.h"
#include "server/nats/jetstream_internal.h"

enum { LINES_MAX = 200, LINE_SIZE_MAX = 2048, ROUNDS = 200, HEARD_SIZE_MAX = 1024 * 1024 };

struct world {
    struct nx_sim *sim;
    struct nx_fabric *fabric;
    struct nx_actor actors[2];
    struct nx_message_queue inboxes[2];
    struct nx_mailbox *answers;
    struct nx_nats_jetstream *jetstream;
    struct nx_stream_config streams[1];
    struct nx_now now;
    unsigned replies[LINES_MAX]; /* to each line */
    bool is_request[LINES_MAX];
    struct nx_buf heard; /* the last answer to "info" */
};

static struct nx_now read_clock(void *data) {
    struct world *world = data;
    world->now.monotonic_ns += 1000;
    world->now.wall_ns += 1000;
    return world->now;
}

/* "r.<line>" */
static size_t line_of(struct nx_str subject) {
    uint64_t line;
    return nx_str_starts_with(subject, NX_STR("r.")) &&
                   nx_str_to_u64(nx_str_slice(subject, 2, subject.len), &line) && line < LINES_MAX
               ? (size_t)line
               : LINES_MAX;
}

static void publish(void *data, struct nx_str account, const struct nx_nats_op *message) {
    struct world *world = data;
    const size_t line = line_of(message->subject);
    nx_assert(nx_str_is(account, "$G"));
    if (nx_str_is(message->subject, "info")) {
        nx_buf_reset(&world->heard);
        nx_buf_append(&world->heard, message->payload);
    }
    if (line < LINES_MAX) {
        world->replies[line]++;
        nx_assert(!world->is_request[line] || message->headers.len > 0 || nx_json_is_valid(message->payload));
    }
}

static size_t deliver(void *data, struct nx_str account, struct nx_str route,
                      const struct nx_nats_op *message) {
    (void)data;
    (void)account;
    nx_assert(route.len > 0 && nx_str_starts_with(message->reply, NX_STR("$JS.ACK.")));
    return 1;
}

static bool listens(void *data, struct nx_str account, struct nx_str subject) {
    (void)data;
    (void)account;
    return subject.len % 7 != 0;
}

static void run(struct world *world) {
    for (int round = 0; round < ROUNDS; round++) {
        struct nx_message_queue inbox = { 0 };
        struct nx_message *message;
        bool is_idle = true;
        if (nx_nats_jetstream_due(world->jetstream) <= world->now.monotonic_ns) {
            nx_nats_jetstream_wake(world->jetstream, read_clock(world));
        }
        is_idle = nx_nats_jetstream_flush(world->jetstream, read_clock(world));
        for (int i = 0; i < 2; i++) {
            is_idle = !nx_mailbox_take(world->actors[i].mailbox, &world->inboxes[i]) && is_idle;
            (void)world->actors[i].step(world->actors[i].state, read_clock(world), &world->inboxes[i]);
        }
        is_idle = !nx_mailbox_take(world->answers, &inbox) && is_idle;
        while ((message = nx_message_queue_pop(&inbox)) != NULL) {
            nx_nats_jetstream_receive(world->jetstream, message, read_clock(world));
        }
        if (is_idle && nx_nats_jetstream_is_idle(world->jetstream)) {
            return;
        }
    }
}

static void start(struct world *world) {
    const struct nx_fabric_options options = { .disk = nx_sim_disk(world->sim),
                                               .clock = { .read = read_clock, .data = world },
                                               .random = nx_sim_random(world->sim),
                                               .directory = "/data",
                                               .streams = world->streams,
                                               .stream_count = 1,
                                               .segment_size = 256 * 1024 };
    nx_assert(nx_fabric_open(&options, &world->fabric, NULL) == NX_OK);
    nx_fabric_actors(world->fabric, &world->actors[0], &world->actors[1]);
    const struct nx_nats_jetstream_options jetstream = { .appends = nx_fabric_appends(world->fabric),
                                                         .reads = nx_fabric_reads(world->fabric),
                                                         .answers = world->answers,
                                                         .has_api = true,
                                                         .publish = publish,
                                                         .deliver = deliver,
                                                         .listens = listens,
                                                         .data = world };
    nx_assert(nx_nats_jetstream_new(&jetstream, &world->jetstream, NULL) == NX_OK);
    run(world);
}

/* The state of a stream as it is shown, without its consumers, some of which are kept in memory. */
static void look(struct world *world, const char *subject, struct nx_buf *out) {
    const struct nx_nats_op message = { .subject = nx_str_from_c(subject),
                                        .reply = NX_STR("info"),
                                        .payload =
                                            NX_STR("{\"deleted_details\":true,\"subjects_filter\":\">\"}") };
    nx_buf_reset(&world->heard);
    (void)nx_nats_jetstream_take(world->jetstream, NX_STR("$G"), &message, read_clock(world));
    run(world);
    const size_t end = nx_str_find(nx_buf_str(&world->heard), NX_STR(",\"consumer_count\":"));
    nx_buf_append(out, nx_str_slice(nx_buf_str(&world->heard), 0, end == SIZE_MAX ? world->heard.len : end));
}

static void look_at_all(struct world *world, struct nx_buf *out) {
    look(world, "$JS.API.STREAM.INFO.A", out);
    look(world, "$JS.API.STREAM.INFO.N", out);
}

static void stop(struct world *world, bool cuts_power) {
    run(world);
    if (cuts_power) {
        nx_sim_crash(world->sim, NX_SIM_POWER_LOSS);
    }
    nx_fabric_close(world->fabric);
    nx_nats_jetstream_free(world->jetstream);
    if (cuts_power) {
        nx_sim_boot(world->sim);
    }
}

static void pass_time(struct world *world, struct nx_str text) {
    uint64_t ms = 0;
    if (nx_str_to_u64(text, &ms) && ms < 3600000) {
        world->now.monotonic_ns += (int64_t)ms * NX_NS_PER_MS;
        world->now.wall_ns += (int64_t)ms * NX_NS_PER_MS;
    }
    run(world);
}

static void say(struct world *world, struct nx_str line, size_t number) {
    NX_AUTO(nx_buf) block;
    char reply[32];
    struct nx_str subject = NX_STR_EMPTY;
    struct nx_str headers = NX_STR_EMPTY;
    struct nx_str header;
    struct nx_str name;
    struct nx_str rest;
    nx_buf_init(&block, 2 * LINE_SIZE_MAX);
    (void)nx_str_split(&line, '|', &subject);
    (void)nx_str_split(&line, '|', &headers);
    if (headers.len > 0) {
        nx_buf_append_c(&block, "NATS/1.0\r\n");
        while (nx_str_split(&headers, ';', &header)) {
            nx_buf_append(&block, header);
            nx_buf_append_c(&block, "\r\n");
        }
        nx_buf_append_c(&block, "\r\n");
    }
    (void)snprintf(reply, sizeof reply, "r.%zu", number);
    const struct nx_nats_op message = {
        .subject = subject, .reply = nx_str_from_c(reply), .headers = nx_buf_str(&block), .payload = line
    };
    const struct nx_nats_js_api *api =
        nx_str_starts_with(subject, NX_STR("$JS.API."))
            ? nx_nats_js_api_find(nx_str_slice(subject, 8, subject.len), &name, &rest)
            : NULL;
    const bool is_taken = nx_nats_jetstream_take(world->jetstream, NX_STR("$G"), &message, read_clock(world));
    world->is_request[number] = api != NULL && is_taken;
    nx_assert(api == NULL || is_taken || api->is_direct);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct world world = { .now = { .wall_ns = 1700000000LL * NX_NS_PER_S, .monotonic_ns = NX_NS_PER_S } };
    const struct nx_sim_options options = { .seed = 1 };
    struct nx_str input = nx_str_of(data, size);
    struct nx_str line;
    world.streams[0] = (struct nx_stream_config){ .name = NX_STR("JETSTREAM"), .per_subject_max = 1 };
    nx_buf_init(&world.heard, HEARD_SIZE_MAX);
    nx_assert(nx_sim_open(&options, &world.sim, NULL) == NX_OK);
    nx_assert(nx_mailbox_open(65536, &world.answers, NULL) == NX_OK);
    start(&world);
    for (size_t i = 0; i < LINES_MAX && nx_str_split(&input, '\n', &line); i++) {
        if (line.len > LINE_SIZE_MAX) {
            continue;
        }
        if (nx_str_starts_with(line, NX_STR("+"))) {
            pass_time(&world, nx_str_slice(line, 1, line.len));
        } else if (nx_str_is(line, "!") || nx_str_is(line, "=")) {
            NX_AUTO(nx_buf) before;
            NX_AUTO(nx_buf) after;
            nx_buf_init(&before, HEARD_SIZE_MAX);
            nx_buf_init(&after, HEARD_SIZE_MAX);
            run(&world);
            look_at_all(&world, &before);
            stop(&world, nx_str_is(line, "!"));
            start(&world);
            look_at_all(&world, &after);
            if (!nx_str_equal(nx_buf_str(&before), nx_buf_str(&after))) {
                (void)fprintf(stderr, "line %zu: before %.*s\nafter %.*s\n", i, (int)before.len, before.ptr,
                              (int)after.len, after.ptr);
                nx_assert_never("a stop has changed what is shown");
            }
        } else {
            say(&world, line, i);
        }
    }
    run(&world);
    for (size_t i = 0; i < LINES_MAX; i++) {
        nx_assert(!world.is_request[i] || world.replies[i] == 1);
    }
    stop(&world, false);
    nx_buf_fini(&world.heard);
    nx_mailbox_close(world.answers);
    nx_sim_close(world.sim);
    return 0;
}
