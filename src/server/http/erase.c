/* src/server/http/erase.c: POST /erase {"person": "…"}: the key of a person is destroyed (fabric/vault).
 *
 * The name comes in the body, not in the path or the query: those end up in the access logs of whatever
 * stands in front of us. */
#include "codec/json.h"
#include "codec/time_format.h"
#include "server/http/services.h"

enum { BODY_SIZE_MAX = 16 * 1024, MEMORY_MAX = 256 * 1024 };

static void erased(struct nx_http_exchange *exchange, struct nx_message *message) {
    const struct nx_erase *erase = (const struct nx_erase *)message;
    char time[NX_TIME_TEXT_SIZE + 1];
    NX_AUTO(nx_buf) body;
    struct nx_json_writer writer;
    nx_buf_init(&body, NX_HTTP_ANSWER_SIZE_MAX);
    if (erase->status != NX_OK) {
        nx_http_respond_error(exchange, &erase->error, NX_STR_EMPTY);
        nx_message_release(message);
        return;
    }
    nx_json_writer_init(&writer, &body);
    nx_json_object_begin(&writer);
    nx_json_member_c(&writer, "status", "erased");
    nx_json_member_c(&writer, "key", erase->key_id);
    nx_json_member_str(&writer, "time", nx_time_format(erase->erased_ns, NX_TIME_MILLISECONDS, time));
    if (erase->error.message[0] != '\0') {
        nx_json_member_c(&writer, "warning", erase->error.message);
    }
    nx_json_object_end(&writer);
    nx_json_writer_end(&writer);
    nx_http_respond_json(exchange, &body);
    nx_message_release(message);
}

static enum nx_status make_erase(const struct nx_http_request *request, struct nx_erase **erase_out,
                                 struct nx_error *err) {
    struct nx_str person = NX_STR_EMPTY;
    NX_AUTO(nx_json_doc) *doc = NULL;
    if (request->body.len > BODY_SIZE_MAX) {
        return nx_fail_kind(err, NX_KIND_TOO_LARGE, "the body takes at most %d bytes", BODY_SIZE_MAX);
    }
    enum nx_status status = nx_json_parse(request->body, MEMORY_MAX, &doc, err);
    if (status == NX_OK && !nx_json_to_str(nx_json_get(nx_json_root(doc), NX_STR("person")), &person)) {
        status = nx_fail(err, NX_INVALID_ARGUMENT, "there is no text 'person' in the body");
    }
    if (status != NX_OK) {
        nx_hint(err, "POST /erase {\"person\": \"…\"} forgets whom events name in their attribute personkey");
        return status;
    }
    return nx_erase_new(person, erase_out, err);
}

void nx_http_post_erase(struct nx_http_services *services, struct nx_http_exchange *exchange,
                        const struct nx_http_request *request, struct nx_str parameter) {
    struct nx_erase *erase = NULL;
    struct nx_error err = { 0 };
    (void)parameter;
    if (make_erase(request, &erase, &err) != NX_OK) {
        nx_http_respond_error(exchange, &err, NX_STR_EMPTY);
        return;
    }
    nx_http_ask(exchange, services->reads, &erase->message, erased);
}
