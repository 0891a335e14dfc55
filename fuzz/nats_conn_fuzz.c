/* fuzz/nats_conn_fuzz.c: what three clients of two accounts say, in any order and pieces.
 *
 * Input: turns of one byte that says who speaks (two bits) and in which pieces (six), one byte of how much,
 * then as many bytes. However they are cut, each client must hear the same; nobody hears what it may not: the
 * one who is alone in its account hears no message of others; nothing is left behind. */
#include <stdio.h>

#include "base/assert.h"
#include "fuzz.h"
#include "server/nats/conn_internal.h"

enum { CLIENTS = 3, ALONE = 2, OUTPUT_SIZE_MAX = 1024 * 1024, PAYLOAD_SIZE_MAX = 4096, TURN_SIZE_MAX = 256 };

struct world {
    struct nx_nats_hub hub;
    struct nx_nats_counters counters;
    struct nx_nats_conn *conns[CLIENTS];
};

static void wants_flush(void *transport) {
    (void)transport;
}

static size_t unwritten(void *transport) {
    (void)transport;
    return 0;
}

static void fill_same(void *data, void *bytes, size_t len) {
    (void)data;
    memset(bytes, 7, len);
}

static struct nx_nats_access *access_new(void) {
    const struct nx_nats_rule rules[] = { { .subject = NX_STR("a.*") },
                                          { .subject = NX_STR("q"), .queue = NX_STR("g") } };
    const struct nx_nats_rule denied[] = { { .subject = NX_STR("a.b") } };
    const struct nx_nats_permissions limited = {
        .publish = { .allow = rules, .allow_count = 1, .is_limited = true },
        .subscribe = { .allow = rules,
                       .allow_count = 2,
                       .deny = denied,
                       .deny_count = 1,
                       .is_limited = true },
        .allow_responses = true,
    };
    const struct nx_nats_user users[] = {
        { .name = NX_STR("l"), .password = NX_STR("l"), .permissions = &limited },
        { .name = NX_STR("f"), .password = NX_STR("f") },
        { .name = NX_STR("o"), .password = NX_STR("o"), .account = NX_STR("O") },
    };
    struct nx_nats_access *access = NULL;
    nx_assert(nx_nats_access_new(&(struct nx_nats_options){ .users = users, .user_count = 3 }, 5, &access,
                                 NULL) == NX_OK);
    return access;
}

static void open_world(struct world *world) {
    static const char *const names = "lfo";
    *world = (struct world){ .hub = { .control_line_size_max = 512 } };
    world->hub.transport = (struct nx_nats_transport){ .wants_flush = wants_flush, .unwritten = unwritten };
    world->hub.info.payload_size_max = PAYLOAD_SIZE_MAX;
    world->hub.random = (struct nx_random){ .fill = fill_same };
    world->hub.pending_size_max = OUTPUT_SIZE_MAX;
    world->hub.subscriptions_max = 64;
    world->hub.counters = &world->counters;
    nx_nats_hub_init(&world->hub, 5, access_new());
    for (size_t i = 0; i < CLIENTS; i++) {
        char text[128];
        nx_assert(nx_nats_conn_open(&world->hub, world, NX_STR("127.0.0.1:1"), &world->conns[i], NULL) ==
                  NX_OK);
        (void)snprintf(
            text, sizeof text,
            "CONNECT "
            "{\"user\":\"%c\",\"pass\":\"%c\",\"verbose\":false,\"headers\":true,\"no_responders\":true}\r\n",
            names[i], names[i]);
        nx_nats_conn_feed(world->conns[i], nx_str_from_c(text));
        nx_assert(world->conns[i]->user != NULL && nx_nats_conn_output(world->conns[i])->len == 0);
    }
}

static void close_world(struct world *world) {
    for (size_t i = 0; i < CLIENTS; i++) {
        nx_nats_conn_close(world->conns[i]);
    }
    nx_nats_hub_fini(&world->hub);
}

static void say(struct world *world, size_t who, struct nx_str bytes, size_t piece) {
    for (size_t i = 0; i < bytes.len; i += piece) {
        nx_nats_conn_feed(world->conns[who], nx_str_slice(bytes, i, i + piece));
    }
}

/* Whoever still is who it was. */
static bool is_alone(const struct world *world) {
    const struct nx_nats_conn *alone = world->conns[ALONE];
    return alone->user != NULL && nx_str_is(alone->user->name, "o") && alone->account->conn_count == 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct nx_reader reader = nx_reader_of(nx_str_of(data, size));
    static struct world whole;
    static struct world cut;
    open_world(&whole);
    open_world(&cut);
    while (nx_reader_left(&reader) >= 2) {
        const uint8_t turn = nx_reader_u8(&reader);
        const size_t len = nx_reader_u8(&reader);
        const size_t left = nx_reader_left(&reader);
        const struct nx_str bytes = nx_reader_bytes(&reader, len < left ? len : left);
        const size_t who = turn % 4 % CLIENTS;
        const bool was_alone = is_alone(&whole) && who != ALONE;
        const size_t heard = nx_nats_conn_output(whole.conns[ALONE])->len;
        say(&whole, who, bytes, TURN_SIZE_MAX);
        say(&cut, who, bytes, (size_t)(turn >> 2) + 1);
        nx_assert(!was_alone || nx_nats_conn_output(whole.conns[ALONE])->len == heard);
    }
    for (size_t i = 0; i < CLIENTS; i++) {
        nx_assert(nx_nats_conn_is_done(whole.conns[i]) == nx_nats_conn_is_done(cut.conns[i]));
        nx_assert(nx_str_equal(nx_buf_str(nx_nats_conn_output(whole.conns[i])),
                               nx_buf_str(nx_nats_conn_output(cut.conns[i]))));
    }
    close_world(&whole);
    close_world(&cut);
    return 0;
}
