/* src/server/http/page.c: see page.h. */
#include "server/http/page.h"

#include <stdio.h>

#include "codec/time_format.h"

static enum nx_status apply_cursor(struct nx_str cursor, struct nx_read *read, struct nx_error *err) {
    uint64_t sequence;
    if (cursor.len < 2 || (cursor.ptr[0] != 'a' && cursor.ptr[0] != 'd') ||
        !nx_str_to_u64(nx_str_slice(cursor, 1, cursor.len), &sequence)) {
        (void)nx_fail(err, NX_INVALID_ARGUMENT, "parameter 'cursor': '%.*s' is not one of ours",
                      NX_STR_ARG(nx_str_slice(cursor, 0, 64)));
        nx_hint(err, "take the member 'cursor' of the page before");
        return NX_INVALID_ARGUMENT;
    }
    read->backward = cursor.ptr[0] == 'd';
    if (read->backward) {
        read->to_sequence = sequence;
    } else {
        read->from_sequence = sequence;
    }
    return NX_OK;
}

static enum nx_status apply_order(struct nx_str order, struct nx_read *read, struct nx_error *err) {
    if (order.ptr == NULL || nx_str_is(order, "asc")) {
        return NX_OK;
    }
    if (!nx_str_is(order, "desc")) {
        return nx_fail(err, NX_INVALID_ARGUMENT, "parameter 'order': expected asc or desc, not '%.*s'",
                       NX_STR_ARG(nx_str_slice(order, 0, 64)));
    }
    read->backward = true;
    return NX_OK;
}

static enum nx_status apply_wait(struct nx_http_exchange *exchange, struct nx_str wait, struct nx_read *read,
                                 struct nx_error *err) {
    const int64_t wait_max_ns = (int64_t)NX_HTTP_WAIT_MAX_MS * NX_NS_PER_MS;
    int64_t wait_ns = 0;
    if (wait.ptr == NULL) {
        return NX_OK;
    }
    const enum nx_status status = nx_duration_parse(wait, &wait_ns, err);
    if (status != NX_OK) {
        return nx_wrap(err, status, "parameter 'wait'");
    }
    if (read->backward) {
        return nx_fail(err, NX_INVALID_ARGUMENT, "parameter 'wait': nothing new arrives in order desc");
    }
    wait_ns = wait_ns > wait_max_ns ? wait_max_ns : wait_ns;
    read->wait = wait_ns > 0;
    read->wait_until_ns = exchange->shared->now.monotonic_ns + wait_ns;
    exchange->interruptible = read->wait;
    return NX_OK;
}

enum nx_status nx_http_page_scan(struct nx_http_exchange *exchange, const char *stream,
                                 const struct nx_http_query *query, struct nx_read **read_out,
                                 struct nx_error *err) {
    NX_AUTO(nx_read) *read = NULL;
    const int64_t now_ns = exchange->shared->now.wall_ns;
    uint64_t limit = NX_HTTP_PAGE_COUNT_DEFAULT;
    NX_TRY(nx_read_new(NX_READ_SCAN, &read, err));
    read->stream = nx_str_from_c(stream);
    read->size_max = NX_HTTP_PAGE_SIZE_MAX;
    NX_TRY(nx_http_query_u64(query, "limit", 1, NX_HTTP_PAGE_COUNT_MAX, &limit, err));
    read->count_max = (size_t)limit;
    NX_TRY(nx_http_query_time(query, "since", now_ns, &read->from_time_ns, err));
    NX_TRY(nx_http_query_time(query, "until", now_ns, &read->to_time_ns, err));
    NX_TRY(apply_order(nx_http_query_value(query, "order"), read, err));
    const struct nx_str cursor = nx_http_query_value(query, "cursor");
    if (cursor.ptr != NULL) {
        NX_TRY(apply_cursor(cursor, read, err));
    }
    NX_TRY(apply_wait(exchange, nx_http_query_value(query, "wait"), read, err));
    *read_out = NX_TAKE(read);
    return NX_OK;
}

bool nx_http_page_goes_on(struct nx_http_exchange *exchange, struct nx_read *read) {
    struct nx_http_services *services = nx_http_services_of(exchange);
    if (read->status != NX_OK || read->record_count > 0 || read->at_end || read->next_sequence == 0 ||
        exchange->rounds >= NX_HTTP_PAGE_ROUNDS_MAX || exchange->conn == NULL) {
        return false;
    }
    exchange->rounds++;
    if (read->backward) {
        read->to_sequence = read->next_sequence;
    } else {
        read->from_sequence = read->next_sequence;
    }
    nx_http_ask(exchange, services->reads, &read->message, exchange->resume);
    return true;
}

void nx_http_page_end(struct nx_json_writer *writer, const struct nx_read *read) {
    char cursor[32];
    /* Upward there is always a next page: of what is still to come. */
    nx_json_key(writer, NX_STR("cursor"));
    if (read->backward && (read->at_end || read->next_sequence == 0)) {
        nx_json_null(writer);
    } else {
        const int len = snprintf(cursor, sizeof cursor, "%c%llu", read->backward ? 'd' : 'a',
                                 (unsigned long long)read->next_sequence);
        nx_json_string(writer, nx_str_of(cursor, (size_t)len));
    }
    nx_json_member_bool(writer, "at_end", read->at_end);
    if (read->lost_count > 0) {
        nx_json_member_u64(writer, "lost", read->lost_count);
    }
}

enum nx_status nx_http_check_function(struct nx_str name, struct nx_error *err) {
    for (size_t i = 0; i < name.len; i++) {
        const char c = name.ptr[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-')) {
            return nx_fail(err, NX_INVALID_ARGUMENT, "parameter 'function': '%.*s' is not a function's name",
                           NX_STR_ARG(nx_str_slice(name, 0, 64)));
        }
    }
    return NX_OK;
}

bool nx_http_parse_reference(struct nx_str text, struct nx_str stream, uint64_t *sequence_out) {
    return text.len > stream.len + 1 && nx_str_starts_with(text, stream) && text.ptr[stream.len] == ':' &&
           nx_str_to_u64(nx_str_slice(text, stream.len + 1, text.len), sequence_out);
}

void nx_http_member_reference(struct nx_json_writer *writer, const char *key, struct nx_str stream,
                              uint64_t sequence) {
    char text[NX_STREAM_NAME_SIZE_MAX + 32];
    const int len =
        snprintf(text, sizeof text, "%.*s:%llu", NX_STR_ARG(stream), (unsigned long long)sequence);
    nx_json_member_str(writer, key, nx_str_of(text, (size_t)len));
}

void nx_http_member_time(struct nx_json_writer *writer, const char *key, int64_t wall_ns) {
    char text[NX_TIME_TEXT_SIZE + 1];
    nx_json_key(writer, nx_str_from_c(key));
    if (wall_ns == 0) {
        nx_json_null(writer);
        return;
    }
    nx_json_string(writer, nx_time_format(wall_ns, NX_TIME_SHORTEST, text));
}

void nx_http_member_withheld(struct nx_json_writer *writer, const struct nx_record *record) {
    struct nx_str time = nx_record_withheld(record);
    struct nx_str reason;
    if (time.len == 0) {
        return;
    }
    (void)nx_str_split(&time, ' ', &reason);
    nx_json_key(writer, NX_STR("withheld"));
    nx_json_object_begin(writer);
    nx_json_member_str(writer, "reason", reason);
    if (time.len > 0) {
        nx_json_member_str(writer, "time", time);
    }
    nx_json_object_end(writer);
}
