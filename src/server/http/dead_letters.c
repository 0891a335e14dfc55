/* src/server/http/dead_letters.c: a page of what functions gave up.
 *
 * Whether a letter was put back since stands in its function's position: that of each function on the page is
 * read behind the page, one after the other. */
#include "platform/function/functions.h"
#include "server/http/invocation_json.h"
#include "server/http/page.h"
#include "server/http/services.h"

enum { ARENA_SIZE_MAX = 1024 * 1024 };

/* The exchange's state. */
struct letters {
    struct nx_arena arena;
    struct nx_read *page; /* answered; owned; NULL until then */
    uint64_t *put_back;   /* for each record; 0: not known, or not asked yet */
    size_t next;          /* the first record whose function was not asked for */
};

static void letters_free(void *state) {
    struct letters *letters = state;
    nx_read_free(letters->page);
    nx_arena_fini(&letters->arena);
    free(letters);
}

static void respond(struct nx_http_exchange *exchange, const struct letters *letters) {
    const struct nx_read *page = letters->page;
    NX_AUTO(nx_buf) body;
    struct nx_json_writer writer;
    nx_buf_init(&body, NX_HTTP_ANSWER_SIZE_MAX);
    nx_json_writer_init(&writer, &body);
    nx_json_object_begin(&writer);
    nx_json_key(&writer, NX_STR("dead_letters"));
    nx_json_array_begin(&writer);
    for (size_t i = 0; i < page->record_count; i++) {
        nx_http_write_dead_letter(&writer, &page->records[i], letters->put_back[i]);
    }
    nx_json_array_end(&writer);
    nx_http_page_end(&writer, page);
    nx_json_object_end(&writer);
    nx_json_writer_end(&writer);
    nx_http_respond_json(exchange, &body);
}

static void ask_next_position(struct nx_http_exchange *exchange, struct letters *letters);

/* The position of the function of record `next`: of all later ones of its too. */
static void position_read(struct nx_http_exchange *exchange, struct nx_message *message) {
    struct nx_read *read = (struct nx_read *)message;
    struct letters *letters = exchange->state;
    const struct nx_record *records = letters->page->records;
    const uint64_t put_back = nx_functions_put_back_until(read);
    const size_t asked = letters->next;
    for (size_t i = asked; i < letters->page->record_count; i++) {
        if (nx_str_equal(records[i].subject, records[asked].subject)) {
            letters->put_back[i] = put_back;
        }
    }
    letters->next++;
    nx_message_release(message);
    ask_next_position(exchange, letters);
}

static bool is_asked(const struct letters *letters, size_t index) {
    const struct nx_record *records = letters->page->records;
    for (size_t i = 0; i < index; i++) {
        if (nx_str_equal(records[i].subject, records[index].subject)) {
            return true;
        }
    }
    return false;
}

static void ask_next_position(struct nx_http_exchange *exchange, struct letters *letters) {
    struct nx_read *read = NULL;
    struct nx_error err = { 0 };
    while (letters->next < letters->page->record_count && is_asked(letters, letters->next)) {
        letters->next++;
    }
    if (letters->next == letters->page->record_count || exchange->conn == NULL) {
        respond(exchange, letters);
        return;
    }
    const struct nx_str function = nx_http_dead_letter_function(&letters->page->records[letters->next]);
    if (nx_functions_position_read_new(function, &read, &err) != NX_OK) {
        nx_http_respond_error(exchange, &err, NX_STR_EMPTY);
        return;
    }
    nx_http_ask(exchange, nx_http_services_of(exchange)->reads, &read->message, position_read);
}

static void dead_letters_read(struct nx_http_exchange *exchange, struct nx_message *message) {
    struct nx_read *read = (struct nx_read *)message;
    struct letters *letters = exchange->state;
    struct nx_error err = { 0 };
    if (nx_http_page_goes_on(exchange, read)) {
        return;
    }
    if (read->status != NX_OK) {
        nx_http_respond_error(exchange, &read->error, NX_STR_EMPTY);
        nx_message_release(message);
        return;
    }
    letters->page = read;
    letters->put_back = nx_arena_alloc(&letters->arena, (read->record_count + 1) * sizeof *letters->put_back);
    if (letters->put_back == NULL) {
        (void)nx_fail_memory(&err);
        nx_http_respond_error(exchange, &err, NX_STR_EMPTY);
        return;
    }
    ask_next_position(exchange, letters);
}

static enum nx_status make_scan(struct nx_http_exchange *exchange, const struct nx_http_request *request,
                                struct nx_read **read_out, struct nx_error *err) {
    static const char *const names[] = { "function", NX_HTTP_PAGE_PARAMETERS, NULL };
    NX_AUTO(nx_read) *read = NULL;
    NX_AUTO(nx_buf) subject;
    struct nx_http_query query;
    struct letters *letters = calloc(1, sizeof *letters);
    nx_buf_init(&subject, NX_SUBJECT_SIZE_MAX);
    if (letters == NULL) {
        return nx_fail_memory(err);
    }
    nx_arena_init(&letters->arena, ARENA_SIZE_MAX);
    exchange->state = letters;
    exchange->state_free = letters_free;
    NX_TRY(nx_http_query_parse(request->query, names, &letters->arena, &query, err));
    NX_TRY(nx_http_page_scan(exchange, "DLQ", &query, &read, err));
    const struct nx_str function = nx_http_query_value(&query, "function");
    if (function.len > 0) {
        nx_buf_append(&subject, NX_STR("dlq."));
        nx_buf_append(&subject, function);
    }
    NX_TRY(nx_buf_check(&subject, err));
    read->subject = nx_arena_copy(&read->arena, nx_buf_str(&subject));
    if (read->subject.ptr == NULL) {
        return nx_fail_memory(err);
    }
    *read_out = NX_TAKE(read);
    return NX_OK;
}

void nx_http_list_dead_letters(struct nx_http_services *services, struct nx_http_exchange *exchange,
                               const struct nx_http_request *request, struct nx_str parameter) {
    struct nx_read *read = NULL;
    struct nx_error err = { 0 };
    (void)parameter;
    if (make_scan(exchange, request, &read, &err) != NX_OK) {
        nx_http_respond_error(exchange, &err, NX_STR_EMPTY);
        return;
    }
    nx_http_ask(exchange, services->reads, &read->message, dead_letters_read);
}
