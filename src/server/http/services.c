/* src/server/http/services.c: see services.h. */
#include "server/http/services.h"

#include "base/assert.h"

void nx_http_ask(struct nx_http_exchange *exchange, struct nx_mailbox *mailbox, struct nx_message *message,
                 void (*resume)(struct nx_http_exchange *, struct nx_message *)) {
    struct nx_http_services *services = nx_http_services_of(exchange);
    message->context = exchange;
    message->reply_to = services->replies;
    exchange->resume = resume;
    if (nx_mailbox_send(mailbox, message)) {
        services->under_way_count++;
        return;
    }
    struct nx_error err = { 0 };
    (void)nx_fail_kind(&err, NX_KIND_OVERLOADED, "too many requests wait already");
    nx_hint(&err, "send it again in a second; nothing of it was stored");
    nx_counter_add(&services->counters->overloaded, 1);
    nx_message_release(message);
    nx_http_respond_error(exchange, &err, NX_STR_EMPTY);
}

struct nx_http_conn *nx_http_answered(struct nx_http_services *services, struct nx_message *message) {
    struct nx_http_exchange *exchange = message->context;
    nx_assert(services->under_way_count > 0);
    services->under_way_count--;
    struct nx_http_conn *conn = exchange->conn;
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
