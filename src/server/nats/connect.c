/* src/server/nats/connect.c: see connect.h. */
#include "server/nats/connect.h"

#include "codec/json.h"
#include "codec/nats.h"

enum { PROTOCOL = 1, /* asynchronous INFO is understood */ MEMORY_FACTOR = 16, INFO_SIZE_MAX = 4096 };

static void read_flag(const struct nx_json_value *object, const char *name, bool *flag) {
    (void)nx_json_to_bool(nx_json_get(object, nx_str_from_c(name)), flag);
}

enum nx_status nx_nats_connect_read(struct nx_str json, struct nx_nats_client *client_out,
                                    struct nx_error *err) {
    NX_AUTO(nx_json_doc) *doc = NULL;
    struct nx_nats_client client = { .echo = true };
    const bool is_json =
        nx_json_parse(json, MEMORY_FACTOR * NX_NATS_CONTROL_LINE_SIZE_MAX, &doc, NULL) == NX_OK;
    const struct nx_json_value *object = is_json ? nx_json_root(doc) : NULL;
    if (nx_json_kind(object) != NX_JSON_OBJECT) {
        return nx_fail(err, NX_INVALID_ARGUMENT, "Parser Error");
    }
    read_flag(object, "verbose", &client.verbose);
    read_flag(object, "pedantic", &client.pedantic);
    read_flag(object, "echo", &client.echo);
    read_flag(object, "headers", &client.headers);
    read_flag(object, "no_responders", &client.no_responders);
    if (client.no_responders && !client.headers) {
        return nx_fail(err, NX_INVALID_ARGUMENT, "No Responders Requires Headers Support");
    }
    *client_out = client;
    return NX_OK;
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
    nx_json_member_bool(&writer, "jetstream", false);
    nx_json_member_u64(&writer, "client_id", info->client_id);
    nx_json_member_str(&writer, "client_ip", info->client_ip);
    if (info->lame_duck) {
        nx_json_member_bool(&writer, "ldm", true);
    }
    nx_json_object_end(&writer);
    nx_json_writer_end(&writer);
    nx_nats_append(out, &(struct nx_nats_op){ .verb = NX_NATS_INFO, .text = nx_buf_str(&text) });
}
