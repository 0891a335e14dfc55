/* src/app/function_name.c */
#include "app/function_name.h"

#include "app/pages.h"
#include "codec/word.h"
#include "server/http/page.h"

enum {
    NAMES_MAX = 16 * 1024,
    NAMES_SIZE_MAX = 16 * 1024 * 1024, /* bytes of them */
    SHOWN_MAX = 8,                     /* names in a hint */
};

/* What there is to choose from. */
struct names {
    struct nx_arena arena;
    const char **items;
    size_t count;
};

static bool has_name(const struct names *names, struct nx_str name) {
    for (size_t i = 0; i < names->count; i++) {
        if (nx_str_is(name, names->items[i])) {
            return true;
        }
    }
    return false;
}

/* One that finds no room is not offered. */
static void add_name(struct names *names, struct nx_str name) {
    if (names->items == NULL) {
        names->items = nx_arena_alloc(&names->arena, NAMES_MAX * sizeof *names->items);
    }
    if (names->items == NULL || names->count == NAMES_MAX) {
        return;
    }
    const struct nx_str copy = nx_arena_copy(&names->arena, name);
    if (copy.ptr != NULL) {
        names->items[names->count++] = copy.ptr;
    }
}

static void add_new_name(struct names *names, struct nx_str name) {
    if (!has_name(names, name)) {
        add_name(names, name);
    }
}

static void add_config(struct names *names, const struct nx_config *config) {
    for (size_t i = 0; config != NULL && i < config->function_count; i++) {
        add_name(names, config->functions[i].name);
    }
}

static void add_server(struct names *names, const struct nx_client *client) {
    NX_AUTO(nx_buf) answer = { 0 };
    NX_AUTO(nx_json_doc) *doc = NULL;
    const struct nx_json_value *function;

    nx_buf_init(&answer, NX_CLIENT_ANSWER_SIZE_MAX);
    if (nx_client_request(client, "GET", NX_STR("/functions"), NX_STR_EMPTY, &answer, NULL) != NX_OK ||
        nx_json_parse(nx_buf_str(&answer), answer.len * 16 + 4096, &doc, NULL) != NX_OK) {
        return;
    }
    struct nx_json_iterator walk = nx_json_iterate(nx_json_get(nx_json_root(doc), NX_STR("functions")));
    while (nx_json_next(&walk, NULL, &function)) {
        add_new_name(names, nx_json_get_str(function, "name"));
    }
}

/* Those that ever ran on the directory. */
static enum nx_status add_registered(struct names *names, struct nx_fabric *fabric, struct nx_error *err) {
    uint64_t from = 1;
    bool at_end = false;

    while (!at_end) {
        NX_AUTO(nx_read) *read = NULL;
        NX_TRY(nx_read_new(NX_READ_SCAN, &read, err));
        read->stream = NX_STR("FUNCTIONS");
        read->from_sequence = from;
        nx_fabric_read_now(fabric, read);
        for (size_t i = 0; i < read->record_count; i++) {
            const struct nx_str subject = read->records[i].subject;
            add_new_name(names, nx_str_slice(subject, sizeof "functions." - 1, subject.len));
        }
        at_end = read->status != NX_OK || read->at_end || read->next_sequence <= from;
        from = read->next_sequence;
    }
    return NX_OK;
}

/* Of whom the log has something, though nobody names it any more. */
static enum nx_status find_in_log(struct nx_source *source, struct nx_str name, bool *found_out,
                                  struct nx_error *err) {
    static const enum nx_pages_kind kinds[] = { NX_PAGES_INVOCATIONS, NX_PAGES_DEAD_LETTERS };

    *found_out = false;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0] && !*found_out; i++) {
        struct nx_pages list = { .source = source, .kind = kinds[i], .function = name, .count_max = 1 };
        while (!list.at_end && !*found_out) {
            NX_AUTO(nx_json_doc) *page = NULL;
            const struct nx_json_value *items;
            NX_TRY(nx_pages_next(&list, &page, &items, err));
            *found_out = nx_json_count(items) > 0;
        }
    }
    return NX_OK;
}

static void hint_names(const struct names *names, struct nx_error *err) {
    NX_AUTO(nx_buf) list = { 0 };

    if (names->count == 0) {
        nx_hint(err, "there are no functions: nexus.yaml names none");
        return;
    }
    nx_buf_init(&list, NAMES_SIZE_MAX);
    for (size_t i = 0; i < names->count && i < SHOWN_MAX; i++) {
        nx_buf_append_c(&list, i == 0 ? "" : ", ");
        nx_buf_append_c(&list, names->items[i]);
    }
    nx_hint(err, "there are: %.*s%s", NX_STR_ARG(nx_buf_str(&list)), names->count > SHOWN_MAX ? ", …" : "");
}

static enum nx_status fail(const char *flag, const char *name, const struct names *names,
                           struct nx_error *err) {
    const char *nearest = nx_word_nearest(nx_str_from_c(name), names->items, names->count);

    (void)nx_fail(err, NX_NOT_FOUND, "there is no function '%s'", name);
    if (nearest != NULL) {
        nx_hint(err, "did you mean: %s %s?", flag, nearest);
    } else {
        hint_names(names, err);
    }
    return NX_NOT_FOUND;
}

static enum nx_status check(const char *flag, const char *name, struct nx_source *source, struct names *names,
                            struct nx_error *err) {
    const struct nx_str wanted = nx_str_from_c(name);
    bool found = false;

    add_config(names, source->config);
    if (!has_name(names, wanted) && source->is_live) {
        add_server(names, &source->client);
    }
    if (names->count == 0 && !source->is_live) {
        NX_TRY(add_registered(names, source->fabric, err));
    }
    if (has_name(names, wanted)) {
        return NX_OK;
    }
    if (nx_http_check_function(wanted, NULL) == NX_OK) {
        NX_TRY(find_in_log(source, wanted, &found, err));
    }
    return found ? NX_OK : fail(flag, name, names, err);
}

enum nx_status nx_function_name_check(const char *flag, const char *name, struct nx_source *source,
                                      struct nx_error *err) {
    struct names names = { .items = NULL };

    if (name == NULL) {
        return NX_OK;
    }
    nx_arena_init(&names.arena, NAMES_SIZE_MAX);
    const enum nx_status status = check(flag, name, source, &names, err);
    nx_arena_fini(&names.arena);
    return status;
}

enum nx_status nx_function_name_check_config(const char *name, const struct nx_config *config,
                                             struct nx_error *err) {
    struct names names = { .items = NULL };

    if (name == NULL) {
        return NX_OK;
    }
    nx_arena_init(&names.arena, NAMES_SIZE_MAX);
    add_config(&names, config);
    const enum nx_status status =
        has_name(&names, nx_str_from_c(name)) ? NX_OK : fail("--function", name, &names, err);
    nx_arena_fini(&names.arena);
    return status;
}
