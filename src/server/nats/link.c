/* src/server/nats/link.c: see link.h. */
#include "server/nats/link.h"

#include <stdlib.h>

#include "base/assert.h"
#include "server/nats/jetstream.h"

enum {
    HANDSHAKE_BYTE = 0x16, /* the first one of TLS */
    TLS_OVERHEAD_MAX = 1024 * 1024,
    PLAIN_SIZE_MAX = NX_SOCKET_READ_SIZE + 4 * NX_TLS_RECORD_SIZE_MAX,
    PLAIN_SIZE_KEPT_MAX = 128 * 1024,
};

enum phase {
    PHASE_FIRST,     /* nothing was said: TLS when the client speaks, INFO when it does not in time */
    PHASE_CHOICE,    /* INFO was said: TLS or not, as the client's first byte says */
    PHASE_HANDSHAKE, /* of TLS: what the connection has to say waits */
    PHASE_OPEN,
};

struct nx_nats_link {
    struct nx_list_node node;
    struct nx_list_node dirty_node;
    struct nx_list_node waiting_node;
    struct nx_nats_links *links;
    struct nx_socket *socket;
    struct nx_nats_conn *conn;
    struct nx_tls *tls; /* NULL: not (yet) */
    struct nx_timer timer;
    enum phase phase;
    uint64_t written; /* bytes, at the last tick */
    int64_t stuck_ns; /* monotonic, since when it is as many though some wait */
    bool is_greeted;
    bool closing; /* the socket may only say `closed` any more */
};

static void mark_dirty(void *transport) {
    struct nx_nats_link *link = transport;
    if (link->dirty_node.next == NULL) {
        nx_list_append(&link->links->dirty, &link->dirty_node);
    }
}

static size_t unwritten(void *transport) {
    const struct nx_nats_link *link = transport;
    return nx_socket_pending(link->socket);
}

static enum nx_nats_verdict compare(void *transport, struct nx_str hash, struct nx_str given) {
    struct nx_nats_link *link = transport;
    struct nx_nats_links *links = link->links;
    if (nx_nats_known_has(&links->known, hash, given)) {
        return NX_NATS_MATCHES;
    }
    if (links->comparer == NULL && nx_nats_comparer_open(&links->comparer, NULL) != NX_OK) {
        return NX_NATS_DIFFERS;
    }
    const enum nx_status status =
        nx_nats_comparer_ask(links->comparer, hash, given, nx_nats_conn_id(link->conn), links->compared_kind,
                             nx_loop_mailbox(links->loop), NULL);
    return status == NX_OK ? NX_NATS_COMPARED_LATER : NX_NATS_DIFFERS;
}

static bool certificate(const void *transport, size_t index, struct nx_tls_certificate *certificate_out) {
    const struct nx_nats_link *link = transport;
    return link->tls != NULL && nx_tls_peer_certificate(link->tls, index, certificate_out);
}

const struct nx_nats_transport nx_nats_link_transport = {
    .wants_flush = mark_dirty, .unwritten = unwritten, .compare = compare, .certificate = certificate
};

/* Writing and closing */

static void link_close(struct nx_nats_link *link) {
    if (!link->closing) {
        link->closing = true;
        nx_timer_stop(link->links->loop, &link->timer);
        nx_socket_close(link->socket);
    }
}

static void link_finish(struct nx_nats_link *link) {
    if (link->closing) {
        return;
    }
    if (link->tls != NULL) {
        nx_tls_end(link->tls);
        if (nx_socket_write_buf(link->socket, nx_tls_output(link->tls), NULL) != NX_OK) {
            link_close(link);
            return;
        }
    }
    link->closing = true;
    nx_timer_stop(link->links->loop, &link->timer);
    nx_socket_finish(link->socket);
}

/* What the connection has to say goes into the session. */
static enum nx_status seal(struct nx_nats_link *link) {
    struct nx_buf *output = nx_nats_conn_output(link->conn);
    if (link->phase != PHASE_OPEN || output->len == 0) {
        return NX_OK;
    }
    const enum nx_status status = nx_tls_write(link->tls, nx_buf_str(output), NULL);
    nx_buf_reset(output);
    return status;
}

static enum nx_status write_out(struct nx_nats_link *link) {
    if (link->tls == NULL) {
        struct nx_buf *output = nx_nats_conn_output(link->conn);
        return output->len == 0 ? NX_OK : nx_socket_write_buf(link->socket, output, NULL);
    }
    NX_TRY(seal(link));
    struct nx_buf *output = nx_tls_output(link->tls);
    if (output->len == 0) {
        return NX_OK;
    }
    NX_TRY(nx_socket_write_buf(link->socket, output, NULL));
    if (output->capacity > NX_NATS_OUTPUT_SIZE_KEPT_MAX) {
        const size_t size_max = output->len_max;
        nx_buf_fini(output);
        nx_buf_init(output, size_max);
    }
    return NX_OK;
}

static void link_flush(struct nx_nats_link *link) {
    if (link->closing) {
        return;
    }
    if (write_out(link) != NX_OK) {
        link_close(link);
        return;
    }
    if (link->phase != PHASE_HANDSHAKE) {
        nx_nats_conn_wrote(link->conn);
    }
    if (nx_nats_conn_is_done(link->conn)) {
        link_finish(link);
    }
}

/* Phases */

static void timed_out(void *data);

static void wait_for(struct nx_nats_link *link, int64_t delay_ms) {
    link->timer.end = timed_out;
    link->timer.data = link;
    nx_timer_start(link->links->loop, &link->timer, delay_ms);
}

/* The way is free: INFO where that was not said, and the client's time begins. */
static void become_open(struct nx_nats_link *link) {
    nx_timer_stop(link->links->loop, &link->timer);
    link->phase = PHASE_OPEN;
    if (!link->is_greeted) {
        link->is_greeted = true;
        nx_nats_conn_greet(link->conn);
    }
    nx_nats_conn_await(link->conn);
}

/* INFO goes out as it is, before anything else. */
static void greet_plainly(struct nx_nats_link *link) {
    link->is_greeted = true;
    nx_nats_conn_greet(link->conn);
    link_flush(link);
}

static void begin_handshake(struct nx_nats_link *link) {
    struct nx_nats_links *links = link->links;
    link->phase = PHASE_HANDSHAKE;
    if (nx_tls_open(links->security.context, links->hub->pending_size_max + TLS_OVERHEAD_MAX, &link->tls,
                    NULL) != NX_OK) {
        link_close(link);
        return;
    }
    wait_for(link, links->security.timeout_ms);
}

static void greet_and_wait(struct nx_nats_link *link) {
    const struct nx_nats_security *security = &link->links->security;
    greet_plainly(link);
    if (link->closing) {
        return;
    }
    if (security->allow_plain) {
        link->phase = PHASE_CHOICE;
        wait_for(link, security->timeout_ms);
    } else {
        begin_handshake(link);
    }
}

static void timed_out(void *data) {
    struct nx_nats_link *link = data;
    link->links->hub->now = nx_loop_now(link->links->loop);
    switch (link->phase) {
    case PHASE_FIRST:
        greet_and_wait(link);
        break;
    case PHASE_CHOICE:
        become_open(link);
        break;
    case PHASE_HANDSHAKE:
        nx_counter_add(&link->links->broken, 1);
        link_close(link);
        break;
    case PHASE_OPEN:
        nx_assert_never("an open link waits for nothing");
    }
}

static void begin(struct nx_nats_link *link) {
    const struct nx_nats_security *security = &link->links->security;
    if (security->context == NULL) {
        become_open(link);
    } else if (!security->handshake_first) {
        greet_and_wait(link);
    } else if (security->fallback_ms > 0) {
        link->phase = PHASE_FIRST;
        wait_for(link, security->fallback_ms);
    } else {
        begin_handshake(link);
    }
}

/* Reading */

static void wait_for_log(struct nx_nats_link *link) {
    if (link->waiting_node.next == NULL) {
        nx_socket_pause(link->socket);
        nx_list_append(&link->links->waiting, &link->waiting_node);
    }
}

static void feed(struct nx_nats_link *link, struct nx_str bytes) {
    nx_nats_conn_feed(link->conn, bytes);
    if (nx_nats_conn_is_comparing(link->conn)) {
        nx_socket_pause(link->socket);
    }
    if (nx_nats_conn_must_wait(link->conn)) {
        wait_for_log(link);
    }
    if (nx_nats_conn_is_done(link->conn)) {
        mark_dirty(link);
    }
}

static void take_facts(struct nx_nats_link *link) {
    NX_AUTO(nx_buf) names;
    nx_nats_conn_set_tls(link->conn, nx_tls_describe(link->tls), !link->is_greeted);
    nx_buf_init(&names, NX_NATS_CERTIFICATE_SIZE_MAX);
    nx_tls_peer_names(link->tls, &names);
    if (names.len > 0) {
        nx_nats_conn_set_certificate(link->conn, nx_buf_str(&names));
    }
}

static void read_tls(struct nx_nats_link *link, struct nx_str bytes) {
    struct nx_nats_links *links = link->links;
    struct nx_buf *plain = &links->plain;
    nx_buf_reset(plain);
    const enum nx_status status = nx_tls_read(link->tls, bytes, plain, NULL);
    if (link->phase == PHASE_HANDSHAKE && nx_tls_is_established(link->tls)) {
        take_facts(link);
        become_open(link);
    }
    if (plain->len > 0) {
        feed(link, nx_buf_str(plain));
    }
    if (plain->capacity > PLAIN_SIZE_KEPT_MAX) {
        nx_buf_fini(plain);
        nx_buf_init(plain, PLAIN_SIZE_MAX);
    }
    if (status != NX_OK) {
        if (link->phase == PHASE_HANDSHAKE) {
            nx_counter_add(&links->broken, 1);
        }
        link_finish(link); /* with the alert */
    } else if (nx_tls_has_ended(link->tls)) {
        link_close(link);
    } else {
        mark_dirty(link);
    }
}

static void link_read(void *data, struct nx_str bytes) {
    struct nx_nats_link *link = data;
    if (link->closing) {
        return;
    }
    link->links->hub->now = nx_loop_now(link->links->loop);
    if (link->phase == PHASE_FIRST) {
        begin_handshake(link);
    } else if (link->phase == PHASE_CHOICE && (unsigned char)bytes.ptr[0] == HANDSHAKE_BYTE) {
        begin_handshake(link);
    } else if (link->phase == PHASE_CHOICE) {
        become_open(link);
    }
    if (link->closing) {
        return;
    }
    if (link->tls != NULL) {
        read_tls(link, bytes);
    } else {
        feed(link, bytes);
    }
}

static void link_ended(void *data, const struct nx_error *err) {
    (void)err;
    link_close(data); /* as NATS: who sends no more wants no more */
}

static void link_free(struct nx_nats_link *link) {
    nx_list_remove(&link->links->dirty, &link->dirty_node);
    nx_list_remove(&link->links->waiting, &link->waiting_node);
    nx_nats_conn_close(link->conn);
    nx_tls_close(link->tls);
    free(link);
}

static void link_closed(void *data) {
    struct nx_nats_link *link = data;
    struct nx_nats_links *links = link->links;
    nx_timer_stop(links->loop, &link->timer);
    nx_list_remove(&links->all, &link->node);
    link_free(link);
    nx_counter_add(&links->count, (uint64_t)-1);
    links->closed(links->data);
}

static const struct nx_socket_handler link_handler = { .read = link_read,
                                                       .ended = link_ended,
                                                       .closed = link_closed };

void nx_nats_link_accept(struct nx_nats_links *links, struct nx_socket *socket) {
    char peer[NX_SOCKET_PEER_SIZE];
    struct nx_nats_link *link = calloc(1, sizeof *link);
    if (link == NULL) {
        nx_socket_close(socket);
        return;
    }
    link->links = links;
    link->socket = socket;
    links->hub->now = nx_loop_now(links->loop);
    if (nx_nats_conn_open(links->hub, link, nx_socket_peer(socket, peer), &link->conn, NULL) != NX_OK) {
        link_free(link);
        nx_socket_close(socket);
        return;
    }
    nx_list_append(&links->all, &link->node);
    nx_counter_add(&links->count, 1);
    nx_socket_start(socket, &link_handler, link);
    if (links->hub->jetstream != NULL && nx_nats_jetstream_is_full(links->hub->jetstream)) {
        wait_for_log(link);
    }
    if (links->all.count > links->count_max) {
        link->phase = PHASE_OPEN; /* told plainly, as NATS does */
        nx_nats_conn_greet(link->conn);
        nx_nats_conn_end(link->conn, "maximum connections exceeded");
        return;
    }
    begin(link);
}

/* All of them */

void nx_nats_links_init(struct nx_nats_links *links) {
    nx_list_init(&links->all);
    nx_list_init(&links->dirty);
    nx_list_init(&links->waiting);
    nx_buf_init(&links->plain, PLAIN_SIZE_MAX);
    nx_nats_known_init(&links->known, &links->hub->random);
}

void nx_nats_links_fini(struct nx_nats_links *links) {
    nx_nats_comparer_close(links->comparer);
    links->comparer = NULL;
    nx_nats_known_fini(&links->known);
    nx_buf_fini(&links->plain);
    nx_buf_init(&links->plain, PLAIN_SIZE_MAX);
}

void nx_nats_links_flush(struct nx_nats_links *links) {
    for (struct nx_list_node *node; (node = nx_list_take_first(&links->dirty)) != NULL;) {
        link_flush(nx_container_of(node, struct nx_nats_link, dirty_node));
    }
}

void nx_nats_links_resume(struct nx_nats_links *links) {
    for (struct nx_list_node *node; (node = nx_list_take_first(&links->waiting)) != NULL;) {
        struct nx_nats_link *link = nx_container_of(node, struct nx_nats_link, waiting_node);
        if (!link->closing && !nx_nats_conn_is_comparing(link->conn)) {
            nx_socket_resume(link->socket);
        }
    }
}

static void tick_link(struct nx_nats_link *link, int64_t now_ns) {
    const uint64_t written = nx_socket_written(link->socket);
    if (link->closing) {
        return;
    }
    if (written != link->written || nx_socket_pending(link->socket) == 0) {
        link->written = written;
        link->stuck_ns = now_ns;
    } else if (now_ns - link->stuck_ns >= link->links->write_deadline_ns) {
        nx_nats_conn_cut_stuck(link->conn);
        link_close(link);
    }
}

void nx_nats_links_tick(struct nx_nats_links *links) {
    const int64_t now_ns = nx_loop_now(links->loop).monotonic_ns;
    for (struct nx_list_node *at = nx_list_first(&links->all); at != NULL;
         at = nx_list_next(&links->all, at)) {
        tick_link(nx_container_of(at, struct nx_nats_link, node), now_ns);
    }
}

void nx_nats_links_finish(struct nx_nats_links *links, size_t count) {
    for (struct nx_list_node *at = nx_list_first(&links->all); at != NULL && count > 0;
         at = nx_list_next(&links->all, at)) {
        struct nx_nats_link *link = nx_container_of(at, struct nx_nats_link, node);
        if (!link->closing) {
            link_flush(link);
            link_finish(link);
            count--;
        }
    }
}

/* The connection may be gone. Logins are rare, and a comparison costs more than a walk over all. */
void nx_nats_links_take_comparison(struct nx_nats_links *links, const struct nx_nats_comparison *comparison) {
    if (comparison->matches) {
        nx_nats_known_add(&links->known, comparison->hash, comparison->given);
    }
    for (struct nx_list_node *at = nx_list_first(&links->all); at != NULL;
         at = nx_list_next(&links->all, at)) {
        struct nx_nats_link *link = nx_container_of(at, struct nx_nats_link, node);
        if (nx_nats_conn_id(link->conn) == comparison->conn_id) {
            nx_nats_conn_compared(link->conn, comparison->hash, comparison->matches);
            if (!link->closing && !nx_nats_conn_is_comparing(link->conn) && link->waiting_node.next == NULL) {
                nx_socket_resume(link->socket);
            }
            mark_dirty(link);
            return;
        }
    }
}

void nx_nats_links_set_context(struct nx_nats_links *links, struct nx_tls_context *context) {
    nx_tls_context_unref(links->security.context);
    links->security.context = context;
}
