/* fuzz/http_fuzz.c: bytes from the network, through parser, connection and guard, as a server would have
 * them.
 *
 * Input: one byte says in which pieces the rest comes, one in which order requests are answered, then what
 * the client sends. However the bytes are cut, the same requests must come out with the same answers;
 * whatever order they are answered in, answers come in the order of the requests, and nothing is left behind.
 */
#include "base/assert.h"
#include "base/buf.h"
#include "base/str.h"
#include "fuzz.h"
#include "server/http/conn.h"
#include "server/http/guard.h"

enum { HELD_MAX = NX_HTTP_PIPELINE_MAX, OUTPUT_SIZE_MAX = 64 * 1024 * 1024 };

struct world {
    struct nx_http_shared shared;
    struct nx_http_conn *conn;
    struct nx_http_exchange *held[HELD_MAX];
    size_t held_count;
    uint64_t digest; /* of all requests */
    size_t request_count;
    uint8_t order;         /* 0: every request is answered at once */
    struct nx_buf written; /* all that the client got */
};

static void note(struct world *world, struct nx_str bytes) {
    world->digest = nx_str_hash(bytes, world->digest + bytes.len);
}

static void answer(struct nx_http_exchange *exchange) {
    char body[24];
    const size_t len = (size_t)exchange->tag % sizeof body;
    memset(body, 'x', sizeof body);
    nx_http_respond(exchange, &(struct nx_http_response){ .status = 200, .body = nx_str_of(body, len) });
}

static void handle(void *data, struct nx_http_exchange *exchange, const struct nx_http_request *request) {
    struct world *world = data;
    note(world, request->method_name);
    note(world, request->path);
    note(world, request->query);
    note(world, request->authority);
    note(world, request->body);
    for (size_t i = 0; i < request->header_count; i++) {
        nx_assert(request->headers[i].name.len > 0);
        note(world, request->headers[i].name);
        note(world, request->headers[i].value);
    }
    nx_assert(request->path.len > 0);
    nx_assert(request->body.len <= NX_HTTP_BODY_SIZE_MAX);
    exchange->tag = (unsigned)world->request_count++;
    if (world->order == 0) {
        answer(exchange);
        return;
    }
    nx_assert(world->held_count < HELD_MAX);
    world->held[world->held_count++] = exchange;
}

static enum nx_status admit(void *data, const struct nx_http_request *request, struct nx_error *err) {
    (void)data;
    return nx_http_guard_check(request, err);
}

static void flush(struct world *world) {
    bool ran = true;
    while (ran) {
        const struct nx_str output = nx_http_conn_output(world->conn);
        nx_buf_append(&world->written, output);
        nx_http_conn_wrote(world->conn, output.len);
        ran = nx_http_conn_run(world->conn);
    }
    nx_http_conn_settle(world->conn);
    nx_assert(!nx_http_conn_is_broken(world->conn));
}

static void answer_one(struct world *world) {
    const size_t which = world->order % world->held_count;
    struct nx_http_exchange *exchange = world->held[which];
    world->held[which] = world->held[--world->held_count];
    answer(exchange);
    flush(world);
}

static void world_run(struct world *world, struct nx_str bytes, size_t piece_size, uint8_t order) {
    *world = (struct world){ .order = order };
    nx_http_shared_init(&world->shared);
    world->shared.handle = handle;
    world->shared.admit = admit;
    world->shared.data = world;
    nx_buf_init(&world->written, OUTPUT_SIZE_MAX);
    nx_assert(nx_http_conn_open(&world->shared, world, &world->conn, NULL) == NX_OK);
    for (size_t at = 0; at < bytes.len; at += piece_size) {
        nx_http_conn_feed(world->conn, nx_str_slice(bytes, at, at + piece_size));
        flush(world);
        while (world->held_count > 0 && (world->held_count == HELD_MAX || at % 3 == 0)) {
            answer_one(world);
        }
    }
    nx_http_conn_feed_end(world->conn);
    if (order % 2 == 0) {
        while (world->held_count > 0) {
            answer_one(world);
        }
        flush(world);
        nx_assert(nx_http_conn_is_done(world->conn));
    }
}

static void world_end(struct world *world) {
    nx_http_conn_close(world->conn);
    /* Every second order leaves before its answers: they must find nobody. */
    for (size_t i = 0; i < world->held_count; i++) {
        answer(world->held[i]);
    }
    nx_assert(nx_list_is_empty(&world->shared.orphans));
    nx_http_shared_fini(&world->shared);
    nx_buf_fini(&world->written);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct world whole;
    static struct world cut;
    static struct world reordered;
    if (size < 3) {
        return 0;
    }
    const struct nx_str bytes = nx_str_of(data + 2, size - 2);
    const size_t piece_size = (size_t)data[0] + 1;
    world_run(&whole, bytes, bytes.len, 0);
    world_run(&cut, bytes, piece_size, 0);
    world_run(&reordered, bytes, piece_size, data[1]);
    nx_assert(whole.request_count == cut.request_count);
    nx_assert(whole.digest == cut.digest);
    nx_assert(nx_str_equal(nx_buf_str(&whole.written), nx_buf_str(&cut.written)));
    nx_assert(whole.request_count == reordered.request_count);
    if (data[1] % 2 == 0) {
        nx_assert(nx_str_equal(nx_buf_str(&whole.written), nx_buf_str(&reordered.written)));
    }
    world_end(&whole);
    world_end(&cut);
    world_end(&reordered);
    return 0;
}
