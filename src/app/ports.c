/* src/app/ports.c */
#include "app/ports.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "codec/json.h"

enum { PATH_SIZE_MAX = 4096, FILE_SIZE_MAX = 64 * 1024 };

static enum nx_status path_of(const char *directory, char path_out[PATH_SIZE_MAX], struct nx_error *err) {
    const int len = snprintf(path_out, PATH_SIZE_MAX, "%s/ports.json", directory);

    if (len < 0 || len >= PATH_SIZE_MAX) {
        return nx_fail(err, NX_INVALID_ARGUMENT, "the path '%s' is too long", directory);
    }
    return NX_OK;
}

void nx_ports_url(struct nx_buf *out, const struct nx_ports_address *address) {
    const bool is_v6 = nx_str_find_byte(address->host, ':') != SIZE_MAX;

    nx_buf_append_format(out, "%.*s://%s%.*s%s:%u", NX_STR_ARG(address->scheme), is_v6 ? "[" : "",
                         NX_STR_ARG(address->host), is_v6 ? "]" : "", (unsigned)address->port);
}

static void write_address(struct nx_json_writer *json, const struct nx_ports_address *address) {
    NX_AUTO(nx_buf) url = { 0 };

    nx_buf_init(&url, FILE_SIZE_MAX);
    nx_ports_url(&url, address);
    nx_json_key(json, address->scheme);
    nx_json_object_begin(json);
    nx_json_member_str(json, "host", address->host);
    nx_json_member_u64(json, "port", address->port);
    nx_json_member_str(json, "url", nx_buf_str(&url));
    nx_json_object_end(json);
}

enum nx_status nx_ports_write(struct nx_disk *disk, const char *directory,
                              const struct nx_ports_address *addresses, size_t count, struct nx_error *err) {
    char path[PATH_SIZE_MAX];
    NX_AUTO(nx_buf) text = { 0 };
    struct nx_json_writer json;

    NX_TRY(path_of(directory, path, err));
    nx_buf_init(&text, FILE_SIZE_MAX);
    nx_json_writer_init(&json, &text);
    nx_json_object_begin(&json);
    for (size_t i = 0; i < count; i++) {
        if (addresses[i].port != 0) {
            write_address(&json, &addresses[i]);
        }
    }
    nx_json_member_u64(&json, "pid", (uint64_t)getpid());
    nx_json_object_end(&json);
    nx_json_writer_end(&json);
    nx_buf_append_u8(&text, '\n');
    NX_TRY(nx_buf_check(&text, err));
    return nx_disk_write_file(disk, path, nx_buf_str(&text), err);
}

enum nx_status nx_ports_read(struct nx_disk *disk, const char *directory, struct nx_ports *ports_out,
                             struct nx_error *err) {
    char path[PATH_SIZE_MAX];
    NX_AUTO(nx_buf) text = { 0 };
    NX_AUTO(nx_json_doc) *doc = NULL;
    struct nx_ports ports = { 0 };
    struct nx_str host;
    uint64_t port;

    NX_TRY(path_of(directory, path, err));
    nx_buf_init(&text, FILE_SIZE_MAX);
    NX_TRY(nx_disk_read_file(disk, path, &text, err));
    const bool is_json = nx_json_parse(nx_buf_str(&text), FILE_SIZE_MAX * 8, &doc, NULL) == NX_OK;
    const struct nx_json_value *root = is_json ? nx_json_root(doc) : NULL;
    if (!nx_json_to_str(nx_json_lookup(root, NX_STR("http.host")), &host) ||
        !nx_json_to_u64(nx_json_lookup(root, NX_STR("http.port")), &port) ||
        !nx_json_to_u64(nx_json_get(root, NX_STR("pid")), &ports.pid) || port > UINT16_MAX ||
        host.len > NX_PORTS_HOST_SIZE_MAX) {
        return nx_fail(err, NX_DATA_LOSS, "%s is damaged", path);
    }
    (void)snprintf(ports.host, sizeof ports.host, "%.*s", NX_STR_ARG(host));
    ports.port = (uint16_t)port;
    *ports_out = ports;
    return NX_OK;
}

void nx_ports_remove(struct nx_disk *disk, const char *directory) {
    char path[PATH_SIZE_MAX];

    if (path_of(directory, path, NULL) == NX_OK) {
        const enum nx_status ignored = nx_disk_unlink(disk, path, NULL);
        (void)ignored; /* a leftover misleads nobody: see the file's comment */
    }
}
