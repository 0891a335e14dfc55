/* fuzz/nats_settings_fuzz.c: any configuration file is either settings that hold what the server relies on,
 * or an error with its place; and any query of a monitoring page is an answer or an error. */
#include "app/nats_settings.h"
#include "base/assert.h"
#include "fuzz.h"
#include "server/nats/access.h"
#include "server/nats/pages.h"

enum { PAGE_SIZE_MAX = 64 * 1024 };

static struct nx_str file;

static enum nx_status read_file(void *data, const char *path, struct nx_buf *content, struct nx_error *err) {
    (void)data;
    if (!nx_str_is(nx_str_from_c(path), "f.conf")) {
        return nx_fail(err, NX_NOT_FOUND, "%s: no such file", path);
    }
    nx_buf_append(content, file);
    return nx_buf_check(content, err);
}

static void check_settings(const struct nx_nats_settings *settings) {
    const struct nx_nats_options *server = &settings->server;
    NX_AUTO(nx_nats_access) *access = NULL;
    struct nx_error err = { 0 };
    nx_assert(settings->port >= -1 && settings->port <= UINT16_MAX && settings->port != 0);
    nx_assert(settings->http_port >= -1 && settings->http_port <= UINT16_MAX);
    nx_assert(server->user_count <= NX_NATS_USERS_MAX && server->account_count <= NX_NATS_ACCOUNTS_MAX);
    nx_assert(server->token.len == 0 || server->user_name.len == 0);
    for (size_t i = 0; i < server->user_count; i++) {
        nx_assert(server->users[i].name.len > 0 || server->users[i].nkey.len > 0);
    }
    nx_assert(nx_nats_access_new(server, 1, &access, &err) == NX_OK || err.message[0] != '\0');
}

/* Pages of a server without connections. */
static void check_page(struct nx_str target) {
    struct nx_nats_counters counters = { 0 };
    struct nx_nats_hub hub = { .counters = &counters };
    struct nx_nats_access *access = NULL;
    NX_AUTO(nx_buf) out = { 0 };
    struct nx_error err = { 0 };
    struct nx_str type;
    const size_t question = nx_str_find_byte(target, '?');
    if (nx_nats_access_new(&(struct nx_nats_options){ .port = 0 }, 1, &access, NULL) != NX_OK) {
        return;
    }
    nx_nats_hub_init(&hub, 1, access);
    nx_buf_init(&out, PAGE_SIZE_MAX);
    struct nx_nats_pages pages = { .options = { .hub = &hub } };
    const enum nx_status status = nx_nats_page_write(
        &pages, nx_str_slice(target, 0, question),
        question == SIZE_MAX ? NX_STR_EMPTY : nx_str_slice(target, question + 1, target.len), &out, &type,
        &err);
    nx_assert(status == NX_OK ? out.len > 0 : err.message[0] != '\0');
    nx_nats_hub_fini(&hub);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const struct nx_nats_config_source source = { .read = read_file };
    NX_AUTO(nx_nats_settings) settings = { 0 };
    struct nx_nats_config *config = NULL;
    struct nx_error err = { 0 };
    file = nx_str_of(data, size);
    if (nx_str_starts_with(file, NX_STR("/"))) {
        check_page(file);
        return 0;
    }
    nx_nats_settings_init(&settings);
    if (nx_nats_config_read("f.conf", &source, &config, &err) != NX_OK ||
        nx_nats_settings_take(&settings, config, &err) != NX_OK) {
        nx_assert(nx_str_starts_with(nx_str_from_c(err.message), NX_STR("f.conf:")));
        return 0;
    }
    check_settings(&settings);
    return 0;
}
