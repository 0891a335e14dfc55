/* fuzz/tls_fuzz.c: whatever comes from the network ends a session at most, and what was not sealed by its
 * client never shows as said by it.
 *
 * Input: one byte of what is done, one of the pieces in which it comes, then the bytes. They come in place of
 * a handshake; or they change that of a true client byte by byte; or what it says after it. */
#include "base/assert.h"
#include "fuzz.h"
#include "io/tls.h"
#include "io/tls_test.h"

enum {
    OUTPUT_SIZE_MAX = 4 * 1024 * 1024,
    PLAIN_SIZE_MAX = 4 * 1024 * 1024,
    ROUNDS_MAX = 8,
    FLIGHT_SIZE_MAX = 65536
};
enum what { INSTEAD, IN_HANDSHAKE, AFTERWARDS, WHAT_COUNT };

static struct test_identity identity;
static struct nx_tls_context *context;

struct world {
    struct nx_tls *tls;
    struct test_client client;
    struct nx_buf plain;
    struct nx_str changes; /* still to be applied */
    size_t piece;
    bool is_changed;
};

static void make_once(void) {
    if (context != NULL) {
        return;
    }
    test_identity_make(&identity, "localhost", NULL, NULL, 30);
    const struct nx_tls_options options = { .certificate = nx_str_from_c(identity.certificate_pem),
                                            .key = nx_str_from_c(identity.key_pem) };
    nx_assert(nx_tls_context_new(&options, &context, NULL) == NX_OK);
}

static enum nx_status give(struct world *world, struct nx_str bytes) {
    enum nx_status status = NX_OK;
    for (size_t i = 0; i < bytes.len && status == NX_OK; i += world->piece) {
        status = nx_tls_read(world->tls, nx_str_slice(bytes, i, i + world->piece), &world->plain, NULL);
    }
    nx_assert(nx_tls_is_established(world->tls) || world->plain.len == 0);
    if (status != NX_OK) {
        nx_assert(nx_tls_read(world->tls, bytes, &world->plain, NULL) != NX_OK);
        nx_assert(nx_tls_write(world->tls, NX_STR("x"), NULL) != NX_OK);
    }
    return status;
}

static void change(struct world *world, char *bytes, size_t len) {
    for (size_t i = 0; i < len && i < world->changes.len; i++) {
        bytes[i] = (char)(bytes[i] ^ world->changes.ptr[i]);
        world->is_changed = world->is_changed || world->changes.ptr[i] != 0;
    }
    world->changes = nx_str_slice(world->changes, len, world->changes.len);
}

/* Carry what each has to say to the other. */
static enum nx_status carry(struct world *world, bool is_changed) {
    static char bytes[FLIGHT_SIZE_MAX];
    struct nx_buf *output = nx_tls_output(world->tls);
    const int count = BIO_read(world->client.out, bytes, sizeof bytes);
    enum nx_status status = NX_OK;
    if (count > 0) {
        if (is_changed) {
            change(world, bytes, (size_t)count);
        }
        status = give(world, nx_str_of(bytes, (size_t)count));
    }
    if (output->len > 0) {
        (void)BIO_write(world->client.in, output->ptr, (int)output->len);
        nx_buf_reset(output);
    }
    return status;
}

static void meet(struct world *world, bool is_changed) {
    enum nx_status status = NX_OK;
    for (int i = 0; i < ROUNDS_MAX && status == NX_OK; i++) {
        (void)SSL_do_handshake(world->client.ssl);
        status = carry(world, is_changed);
    }
    if (!world->is_changed) {
        nx_assert(status == NX_OK && nx_tls_is_established(world->tls));
    }
}

static void talk(struct world *world) {
    static const char words[] = "PUB a 5\r\nhello\r\n";
    nx_assert(SSL_write(world->client.ssl, words, sizeof words - 1) == sizeof words - 1);
    const enum nx_status status = carry(world, true);
    if (world->is_changed) {
        nx_assert(world->plain.len == 0);
    } else {
        nx_assert(status == NX_OK && nx_str_is(nx_buf_str(&world->plain), words));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2) {
        return 0;
    }
    make_once();
    struct world world = { .changes = nx_str_of(data + 2, size - 2), .piece = (size_t)data[1] + 1 };
    nx_buf_init(&world.plain, PLAIN_SIZE_MAX);
    nx_assert(nx_tls_open(context, OUTPUT_SIZE_MAX, &world.tls, NULL) == NX_OK);
    test_client_open(&world.client, &identity, NULL, TLS1_3_VERSION);
    switch ((enum what)(data[0] % WHAT_COUNT)) {
    case INSTEAD:
        (void)give(&world, world.changes);
        break;
    case IN_HANDSHAKE:
        meet(&world, true);
        break;
    case AFTERWARDS:
    case WHAT_COUNT:
        meet(&world, false);
        talk(&world);
        break;
    }
    ERR_clear_error();
    nx_tls_end(world.tls);
    nx_tls_close(world.tls);
    test_client_close(&world.client);
    nx_buf_fini(&world.plain);
    return 0;
}
