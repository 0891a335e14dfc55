/* src/server/http/services.c: see services.h.
 *
 * Appends are sent once a turn of the loop, all together: the journal, which begins to write as soon as it is
 * woken, then finds them all, and puts into one sync what would else be a small one and a large one. */
#include "server/http/services.h"

#include "base/assert.h"
#include "server/http/tracing.h"

static void fail_overload(struct nx_http_services *services, struct nx_error *err) {
    (void)nx_fail_kind(err, NX_KIND_OVERLOADED, "too many requests wait already");
    nx_hint(err, "send it again in a second; nothing of it was stored");
    nx_counter_add(&services->counters->overloaded, 1);
}

static void refuse_overload(struct nx_http_exchange *exchange, struct nx_message *message) {
    struct nx_error err = { 0 };
    fail_overload(nx_http_services_of(exchange), &err);
    nx_message_release(message);
    nx_http_respond_error(exchange, &err, NX_STR_EMPTY);
}

void nx_http_ask(struct nx_http_exchange *exchange, struct nx_mailbox *mailbox, struct nx_message *message,
                 void (*resume)(struct nx_http_exchange *, struct nx_message *)) {
    struct nx_http_services *services = nx_http_services_of(exchange);
    message->context = exchange;
    message->reply_to = services->replies;
    exchange->resume = resume;
    services->under_way_count++;
    if (mailbox == services->appends) {
        nx_message_queue_push(&services->to_append, message);
    } else if (!nx_mailbox_send(mailbox, message)) {
        services->under_way_count--;
        refuse_overload(exchange, message);
    }
}

void nx_http_ask_or(struct nx_http_exchange *exchange, struct nx_mailbox *mailbox, struct nx_message *message,
                    void (*resume)(struct nx_http_exchange *, struct nx_message *),
                    void (*refused)(struct nx_http_exchange *, const struct nx_error *)) {
    struct nx_http_services *services = nx_http_services_of(exchange);
    struct nx_error err = { 0 };
    nx_assert(mailbox != services->appends);
    message->context = exchange;
    message->reply_to = services->replies;
    exchange->resume = resume;
    if (nx_mailbox_send(mailbox, message)) {
        services->under_way_count++;
        return;
    }
    fail_overload(services, &err);
    nx_message_release(message);
    refused(exchange, &err);
}

void nx_http_send_appends(struct nx_http_services *services, void (*touched)(struct nx_http_conn *conn)) {
    struct nx_message *message;
    nx_mailbox_send_all(services->appends, &services->to_append);
    while ((message = nx_message_queue_pop(&services->to_append)) != NULL) {
        struct nx_http_exchange *exchange = message->context;
        struct nx_http_conn *conn = exchange->conn;
        services->under_way_count--;
        refuse_overload(exchange, message);
        if (conn != NULL && touched != NULL) {
            touched(conn);
        }
    }
}

struct nx_http_conn *nx_http_answered(struct nx_http_services *services, struct nx_message *message) {
    struct nx_http_exchange *exchange = message->context;
    nx_assert(services->under_way_count > 0);
    services->under_way_count--;
    struct nx_http_conn *conn = exchange->conn;
    if (exchange->span != NULL && message->kind == NX_FABRIC_APPEND) {
        nx_http_span_appended(exchange, (const struct nx_append *)message);
    }
    exchange->resume(exchange, message);
    return conn;
}

void nx_http_respond_json(struct nx_http_exchange *exchange, struct nx_buf *body) {
    struct nx_error err = { 0 };
    nx_buf_append_u8(body, '\n');
    if (nx_buf_check(body, &err) != NX_OK) {
        nx_http_respond_error(exchange, &err, NX_STR_EMPTY);
        return;
    }
    nx_http_respond(exchange, &(struct nx_http_response){ .status = 200,
                                                          .content_type = NX_STR("application/json"),
                                                          .body = nx_buf_str(body) });
}
