/* src/server/nats/connect.c: see connect.h. */
#include "server/nats/connect.h"

#include "codec/json.h"
#include "codec/nats.h"

enum { PROTOCOL = 1, /* asynchronous INFO is understood */ MEMORY_FACTOR = 16, INFO_SIZE_MAX = 4096 };

static bool read_flag(const struct nx_json_value *object, const char *name, bool *flag) {
    const struct nx_json_value *value = nx_json_get(object, nx_str_from_c(name));
    return value == NULL || nx_json_kind(value) == NX_JSON_NULL || nx_json_to_bool(value, flag);
}

static bool read_text(const struct nx_json_value *object, const char *name, struct nx_str *text) {
    const struct nx_json_value *value = nx_json_get(object, nx_str_from_c(name));
    *text = NX_STR_EMPTY;
    return value == NULL || nx_json_kind(value) == NX_JSON_NULL || nx_json_to_str(value, text);
}

static bool read_flags(const struct nx_json_value *object, struct nx_nats_client *client) {
    return read_flag(object, "verbose", &client->verbose) &&
           read_flag(object, "pedantic", &client->pedantic) && read_flag(object, "echo", &client->echo) &&
           read_flag(object, "headers", &client->headers) &&
           read_flag(object, "no_responders", &client->no_responders);
}

static bool read_texts(const struct nx_json_value *object, struct nx_nats_connect *connect) {
    struct nx_nats_credentials *credentials = &connect->credentials;
    struct nx_str account;
    bool is_new = false;
    const bool good =
        read_text(object, "user", &credentials->name) && read_text(object, "pass", &credentials->password) &&
        read_text(object, "auth_token", &credentials->token) &&
        read_text(object, "nkey", &credentials->nkey) && read_text(object, "sig", &credentials->signature) &&
        read_text(object, "name", &connect->client_name) && read_text(object, "lang", &connect->language) &&
        read_text(object, "version", &connect->version) && read_text(object, "account", &account) &&
        read_flag(object, "new_account", &is_new);
    connect->wants_account = good && (account.len > 0 || is_new);
    return good;
}

enum nx_status nx_nats_connect_read(struct nx_str json, struct nx_nats_client *client,
                                    struct nx_nats_connect *connect_out, struct nx_json_doc **doc_out,
                                    struct nx_error *err) {
    NX_AUTO(nx_json_doc) *doc = NULL;
    struct nx_nats_client said = *client;
    struct nx_nats_connect connect = { .protocol = 0 };
    const bool is_json =
        nx_json_parse(json, MEMORY_FACTOR * NX_NATS_CONTROL_LINE_SIZE_MAX, &doc, NULL) == NX_OK;
    const struct nx_json_value *object = is_json ? nx_json_root(doc) : NULL;
    if (nx_json_kind(object) != NX_JSON_OBJECT || !read_flags(object, &said) ||
        !read_texts(object, &connect)) {
        return nx_fail(err, NX_INVALID_ARGUMENT, "CONNECT has no JSON object that can be read");
    }
    (void)nx_json_to_i64(nx_json_get(object, NX_STR("protocol")), &connect.protocol);
    *client = said;
    *connect_out = connect;
    *doc_out = NX_TAKE(doc);
    return NX_OK;
}

enum nx_status nx_nats_connect_check(const struct nx_nats_connect *connect,
                                     const struct nx_nats_client *client, struct nx_error *err) {
    if (connect->protocol < 0 || connect->protocol > PROTOCOL) {
        return nx_fail(err, NX_INVALID_ARGUMENT, "invalid client protocol");
    }
    if (client->no_responders && !client->headers) {
        return nx_fail(err, NX_INVALID_ARGUMENT, "no responders requires headers support");
    }
    return NX_OK;
}

static void append_flag(struct nx_json_writer *writer, const char *name, bool flag) {
    if (flag) {
        nx_json_member_bool(writer, name, true);
    }
}

void nx_nats_info_append(struct nx_buf *out, const struct nx_nats_info *info) {
    NX_AUTO(nx_buf) text;
    struct nx_json_writer writer;
    nx_buf_init(&text, INFO_SIZE_MAX);
    nx_json_writer_init(&writer, &text);
    nx_json_object_begin(&writer);
    nx_json_member_str(&writer, "server_id", info->server_id);
    nx_json_member_str(&writer, "server_name", info->server_name);
    nx_json_member_str(&writer, "version", info->version);
    nx_json_member_i64(&writer, "proto", PROTOCOL);
    nx_json_member_str(&writer, "host", info->host);
    nx_json_member_u64(&writer, "port", info->port);
    nx_json_member_bool(&writer, "headers", true);
    nx_json_member_u64(&writer, "max_payload", info->payload_size_max);
    nx_json_member_bool(&writer, "jetstream", info->jetstream);
    nx_json_member_u64(&writer, "client_id", info->client_id);
    nx_json_member_str(&writer, "client_ip", info->client_ip);
    append_flag(&writer, "auth_required", info->auth_required);
    append_flag(&writer, "tls_required", info->tls_required);
    append_flag(&writer, "tls_verify", info->tls_verify);
    append_flag(&writer, "tls_available", info->tls_available);
    if (info->nonce.len > 0) {
        nx_json_member_str(&writer, "nonce", info->nonce);
    }
    append_flag(&writer, "ldm", info->lame_duck);
    nx_json_object_end(&writer);
    nx_json_writer_end(&writer);
    nx_nats_append(out, &(struct nx_nats_op){ .verb = NX_NATS_INFO, .text = nx_buf_str(&text) });
}
