#include "telemetry/otel_options.h"

#include <stdio.h>

#include "codec/percent.h"
#include "codec/protobuf.h"
#include "io/clock.h"

enum { RESOURCE_ATTRIBUTES = 1, NAME_SIZE_MAX = 128, VALUE_SIZE_MAX = 4096 };

struct reading {
    const char *(*get)(const char *name);
    struct nx_otel_options *options;
};

static struct nx_str get(const struct reading *reading, const char *name) {
    return nx_str_trim(nx_str_from_c(reading->get(name)));
}

/* The variable for traces, else the one for all signals; `*name_out` is the one that is set. */
static struct nx_str get_otlp(const struct reading *reading, const char *what, char name_out[NAME_SIZE_MAX]) {
    (void)snprintf(name_out, NAME_SIZE_MAX, "OTEL_EXPORTER_OTLP_TRACES_%s", what);
    struct nx_str value = get(reading, name_out);
    if (value.len == 0) {
        (void)snprintf(name_out, NAME_SIZE_MAX, "OTEL_EXPORTER_OTLP_%s", what);
        value = get(reading, name_out);
    }
    return value;
}

static void warn(const struct reading *reading, const char *name, struct nx_str value, const char *why) {
    nx_buf_append_format(&reading->options->warnings, "%s: '%.*s' %s\n", name,
                         NX_STR_ARG(nx_str_slice(value, 0, 100)), why);
}

static uint64_t read_number(const struct reading *reading, const char *name, uint64_t otherwise,
                            uint64_t max) {
    const struct nx_str text = get(reading, name);
    uint64_t number;
    if (text.len == 0) {
        return otherwise;
    }
    if (!nx_str_to_u64(text, &number) || number == 0 || number > max) {
        warn(reading, name, text, "is no number that can be used: the default is");
        return otherwise;
    }
    return number;
}

/* "0.25" as the part of 2^63 that it is. */
static bool read_part(struct nx_str text, uint64_t *below_out) {
    const uint64_t whole = UINT64_C(1) << 63;
    uint64_t digits = 0;
    uint64_t scale = 1;
    struct nx_str rest = text;
    struct nx_str units;
    (void)nx_str_split(&rest, '.', &units);
    uint64_t unit = 0;
    if ((units.len > 0 && (!nx_str_to_u64(units, &unit) || unit > 1)) || text.len == 0) {
        return false;
    }
    const struct nx_str fraction = units.len == text.len ? NX_STR_EMPTY : nx_str_slice(rest, 0, 9);
    if (fraction.len > 0 && !nx_str_to_u64(fraction, &digits)) {
        return false;
    }
    for (size_t i = 0; i < fraction.len; i++) {
        scale *= 10;
    }
    if (unit == 1 && digits != 0) {
        return false;
    }
    *below_out = unit == 1 ? whole : (uint64_t)((double)digits / (double)scale * (double)whole);
    return true;
}

static void read_sampler(const struct reading *reading) {
    static const struct {
        const char *name;
        struct nx_sampler sampler;
    } samplers[] = {
        { "parentbased_always_on", { NX_SAMPLE_ALL, true, 0 } },
        { "parentbased_always_off", { NX_SAMPLE_NONE, true, 0 } },
        { "parentbased_traceidratio", { NX_SAMPLE_PART, true, 0 } },
        { "always_on", { NX_SAMPLE_ALL, false, 0 } },
        { "always_off", { NX_SAMPLE_NONE, false, 0 } },
        { "traceidratio", { NX_SAMPLE_PART, false, 0 } },
    };
    struct nx_sampler *sampler = &reading->options->sampler;
    const struct nx_str name = get(reading, "OTEL_TRACES_SAMPLER");
    const struct nx_str part = get(reading, "OTEL_TRACES_SAMPLER_ARG");
    *sampler = samplers[0].sampler;
    bool is_known = name.len == 0;
    for (size_t i = 0; i < sizeof samplers / sizeof samplers[0]; i++) {
        if (nx_str_is(name, samplers[i].name)) {
            *sampler = samplers[i].sampler;
            is_known = true;
        }
    }
    if (!is_known) {
        warn(reading, "OTEL_TRACES_SAMPLER", name, "is not known: it is parentbased_always_on");
    }
    if (sampler->sampling == NX_SAMPLE_PART &&
        !read_part(part.len == 0 ? NX_STR("1") : part, &sampler->below)) {
        warn(reading, "OTEL_TRACES_SAMPLER_ARG", part, "is no number from 0 to 1: it is 1");
        sampler->sampling = NX_SAMPLE_ALL;
    }
}

/* "key=value,key=value", percent-encoded; false at what is none. */
static bool next_pair(struct nx_str *rest, struct nx_str *key_out, struct nx_buf *value) {
    struct nx_str pair;
    if (!nx_str_split(rest, ',', &pair)) {
        return false;
    }
    struct nx_str text = nx_str_trim(pair);
    nx_buf_reset(value);
    *key_out = NX_STR_EMPTY;
    const size_t equals = nx_str_find_byte(text, '=');
    if (equals == SIZE_MAX ||
        nx_percent_decode(value, nx_str_trim(nx_str_slice(text, equals + 1, text.len)), NULL) != NX_OK) {
        return true;
    }
    *key_out = nx_str_trim(nx_str_slice(text, 0, equals));
    return true;
}

static bool is_header_text(struct nx_str text) {
    for (size_t i = 0; i < text.len; i++) {
        if ((unsigned char)text.ptr[i] < ' ' || text.ptr[i] == 0x7F) {
            return false;
        }
    }
    return true;
}

static bool is_header_name(struct nx_str name) {
    for (size_t i = 0; i < name.len; i++) {
        const char c = name.ptr[i];
        if (c <= ' ' || c >= 0x7F || c == ':') {
            return false;
        }
    }
    return name.len > 0;
}

/* Values of headers are keys to something: a warning does not show them. */
static void read_headers(const struct reading *reading) {
    char name[NAME_SIZE_MAX];
    NX_AUTO(nx_buf) value;
    struct nx_str rest = get_otlp(reading, "HEADERS", name);
    struct nx_str key;
    nx_buf_init(&value, VALUE_SIZE_MAX);
    while (rest.len > 0 && next_pair(&rest, &key, &value)) {
        if (!is_header_name(key) || !is_header_text(nx_buf_str(&value))) {
            warn(reading, name, nx_str_slice(key, 0, 64), "is no header as name=value: it is not sent");
            continue;
        }
        nx_buf_append(&reading->options->headers, key);
        nx_buf_append_c(&reading->options->headers, ": ");
        nx_buf_append(&reading->options->headers, nx_buf_str(&value));
        nx_buf_append_c(&reading->options->headers, "\r\n");
    }
}

static void add_attribute(const struct reading *reading, const char *key, struct nx_str value) {
    const struct nx_span_attribute attribute = NX_SPAN_STR(key, value);
    nx_span_attribute_write(&reading->options->resource, RESOURCE_ATTRIBUTES, &attribute);
}

static void read_resource(const struct reading *reading, const char *version, const char *instance) {
    static const char variable[] = "OTEL_RESOURCE_ATTRIBUTES";
    NX_AUTO(nx_buf) value;
    struct nx_str rest = get(reading, variable);
    struct nx_str key;
    bool has_service = get(reading, "OTEL_SERVICE_NAME").len > 0;
    bool has_instance = false;
    nx_buf_init(&value, VALUE_SIZE_MAX);
    if (has_service) {
        add_attribute(reading, "service.name", get(reading, "OTEL_SERVICE_NAME"));
    }
    for (int count = 0; rest.len > 0 && count < NX_OTEL_ATTRIBUTES_MAX && next_pair(&rest, &key, &value);
         count++) {
        char name[NAME_SIZE_MAX];
        const bool is_service = nx_str_is(key, "service.name");
        if (key.len == 0 || key.len >= sizeof name || !nx_str_is_utf8(key)) {
            warn(reading, variable, nx_str_slice(key, 0, 64),
                 "is no attribute as name=value: it is left out");
            continue;
        }
        if (is_service && has_service) {
            continue; /* OTEL_SERVICE_NAME goes before */
        }
        has_service = has_service || is_service;
        has_instance = has_instance || nx_str_is(key, "service.instance.id");
        (void)snprintf(name, sizeof name, "%.*s", NX_STR_ARG(key));
        add_attribute(reading, name, nx_buf_str(&value));
    }
    if (!has_service) {
        add_attribute(reading, "service.name", NX_STR("nexus"));
    }
    if (!has_instance) {
        add_attribute(reading, "service.instance.id", nx_str_from_c(instance));
    }
    add_attribute(reading, "service.version", nx_str_from_c(version));
    add_attribute(reading, "telemetry.sdk.name", NX_STR("nexus"));
    add_attribute(reading, "telemetry.sdk.language", NX_STR("c"));
    add_attribute(reading, "telemetry.sdk.version", nx_str_from_c(version));
}

/* False: nothing can be exported, and why was noted. */
static bool read_endpoint(const struct reading *reading, const char *name, struct nx_str text) {
    char what[NAME_SIZE_MAX];
    struct nx_error err = { 0 };
    struct nx_url *url = &reading->options->endpoint;
    if (nx_url_parse(text, url, &err) != NX_OK) {
        warn(reading, name, text, "is no URL such as http://127.0.0.1:4318: spans are not exported");
        return false;
    }
    const struct nx_str protocol = get_otlp(reading, "PROTOCOL", what);
    if (protocol.len > 0 && !nx_str_is(protocol, "http/protobuf")) {
        warn(reading, what, protocol, "is not there, only http/protobuf: spans are not exported");
        return false;
    }
    const struct nx_str compression = get_otlp(reading, "COMPRESSION", what);
    if (compression.len > 0 && !nx_str_is(compression, "none")) {
        warn(reading, what, compression, "is not there: spans are sent as they are");
    }
    return true;
}

/* The endpoint for all signals is a base, that for traces the whole URL. */
static void append_path(struct nx_url *url) {
    const size_t len = strlen(url->target);
    const bool has_slash = len > 0 && url->target[len - 1] == '/';
    (void)snprintf(url->target + len, sizeof url->target - len, "%s", has_slash ? "v1/traces" : "/v1/traces");
}

static void read_files(const struct reading *reading) {
    static const char *const names[NX_OTEL_FILE_COUNT] = {
        [NX_OTEL_AUTHORITIES] = "CERTIFICATE",
        [NX_OTEL_CLIENT_CERTIFICATE] = "CLIENT_CERTIFICATE",
        [NX_OTEL_CLIENT_KEY] = "CLIENT_KEY",
    };
    char name[NAME_SIZE_MAX];
    for (size_t i = 0; i < NX_OTEL_FILE_COUNT; i++) {
        const struct nx_str path = get_otlp(reading, names[i], name);
        if (path.len > 0) {
            nx_buf_append(&reading->options->files[i], path);
            nx_buf_append_u8(&reading->options->files[i], 0);
        }
    }
}

const char *nx_otel_options_file(const struct nx_otel_options *options, enum nx_otel_file file) {
    return options->files[file].len == 0 ? NULL : options->files[file].ptr;
}

static bool is_off(const struct reading *reading) {
    const struct nx_str exporter = get(reading, "OTEL_TRACES_EXPORTER");
    if (nx_str_equal_ignore_case(get(reading, "OTEL_SDK_DISABLED"), NX_STR("true")) ||
        nx_str_is(exporter, "none")) {
        return true;
    }
    if (exporter.len > 0 && !nx_str_is(exporter, "otlp")) {
        warn(reading, "OTEL_TRACES_EXPORTER", exporter, "is not there, only otlp and none: it is otlp");
    }
    return false;
}

enum nx_status nx_otel_options_read(const char *(*get_variable)(const char *name), const char *version,
                                    const char *instance, struct nx_otel_options *options_out,
                                    struct nx_error *err) {
    const struct reading reading = { .get = get_variable, .options = options_out };
    char name[NAME_SIZE_MAX];
    *options_out = (struct nx_otel_options){ .is_on = false };
    nx_buf_init(&options_out->headers, NX_OTEL_TEXT_SIZE_MAX);
    nx_buf_init(&options_out->resource, NX_OTEL_TEXT_SIZE_MAX);
    nx_buf_init(&options_out->warnings, NX_OTEL_TEXT_SIZE_MAX);
    for (size_t i = 0; i < NX_OTEL_FILE_COUNT; i++) {
        nx_buf_init(&options_out->files[i], NX_OTEL_TEXT_SIZE_MAX);
    }
    const struct nx_str endpoint = get_otlp(&reading, "ENDPOINT", name);
    if (endpoint.len == 0 || is_off(&reading)) {
        return NX_OK;
    }
    options_out->is_on = read_endpoint(&reading, name, endpoint);
    if (options_out->is_on && get(&reading, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT").len == 0) {
        append_path(&options_out->endpoint);
    }
    (void)get_otlp(&reading, "TIMEOUT", name);
    options_out->timeout_ms = (int)read_number(&reading, name, NX_OTEL_TIMEOUT_MS, 600 * 1000);
    options_out->schedule_delay_ns =
        NX_NS_PER_MS *
        (int64_t)read_number(&reading, "OTEL_BSP_SCHEDULE_DELAY", NX_OTEL_SCHEDULE_DELAY_MS, 600 * 1000);
    options_out->queue_size =
        read_number(&reading, "OTEL_BSP_MAX_QUEUE_SIZE", NX_OTEL_QUEUE_SIZE, 16 * 1024 * 1024);
    options_out->batch_size =
        read_number(&reading, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", NX_OTEL_BATCH_SIZE, 16 * 1024 * 1024);
    read_sampler(&reading);
    read_headers(&reading);
    read_resource(&reading, version, instance);
    read_files(&reading);
    for (size_t i = 0; i < NX_OTEL_FILE_COUNT; i++) {
        NX_TRY(nx_buf_check(&options_out->files[i], err));
    }
    NX_TRY(nx_buf_check(&options_out->headers, err));
    NX_TRY(nx_buf_check(&options_out->resource, err));
    return nx_buf_check(&options_out->warnings, err);
}

void nx_otel_options_fini(struct nx_otel_options *options) {
    nx_buf_fini(&options->headers);
    nx_buf_fini(&options->resource);
    nx_buf_fini(&options->warnings);
    for (size_t i = 0; i < NX_OTEL_FILE_COUNT; i++) {
        nx_buf_fini(&options->files[i]);
    }
}
