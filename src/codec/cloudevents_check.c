/* src/codec/cloudevents_check.c: is this an event that CloudEvents 1.0.2 allows? */
#include "codec/cloudevents.h"

#include "codec/byte_class.h"
#include "codec/hex.h"
#include "codec/time_format.h"
#include "codec/traceparent.h"

bool nx_cloudevent_is_json_type(struct nx_str content_type) {
    const struct nx_str media =
        nx_str_trim(nx_str_slice(content_type, 0, nx_str_find_byte(content_type, ';')));
    const size_t slash = nx_str_find_byte(media, '/');
    if (slash == SIZE_MAX) {
        return false;
    }
    const struct nx_str subtype = nx_str_slice(media, slash + 1, media.len);
    const struct nx_str suffix =
        subtype.len < 5 ? NX_STR_EMPTY : nx_str_slice(subtype, subtype.len - 5, subtype.len);
    return nx_str_equal_ignore_case(subtype, NX_STR("json")) ||
           nx_str_equal_ignore_case(suffix, NX_STR("+json"));
}

bool nx_cloudevent_is_structured(struct nx_str content_type) {
    const struct nx_str prefix = NX_STR("application/cloudevents");
    return nx_str_equal_ignore_case(nx_str_slice(content_type, 0, prefix.len), prefix);
}

static bool is_media(struct nx_str content_type, const char *wanted) {
    const struct nx_str media =
        nx_str_trim(nx_str_slice(content_type, 0, nx_str_find_byte(content_type, ';')));
    return nx_str_equal_ignore_case(media, nx_str_from_c(wanted));
}

bool nx_cloudevent_is_json_event(struct nx_str content_type) {
    return is_media(content_type, "application/cloudevents+json");
}

bool nx_cloudevent_is_json_batch(struct nx_str content_type) {
    return is_media(content_type, "application/cloudevents-batch+json");
}

static enum nx_status fail_attribute(struct nx_error *err, struct nx_str name, const char *why) {
    return nx_fail(err, NX_INVALID_ARGUMENT, "attribute '%.*s' %s", NX_STR_ARG(nx_str_slice(name, 0, 64)),
                   why);
}

/* What CloudEvents calls a String: Unicode without control characters. */
static bool has_control_character(struct nx_str text) {
    for (size_t i = nx_byte_span(text, NX_BYTE_TEXT); i < text.len; i++) {
        const unsigned char c = (unsigned char)text.ptr[i];
        const bool is_c1 = c == 0xC2 && i + 1 < text.len && (unsigned char)text.ptr[i + 1] < 0xA0;
        if (c < 0x20 || c == 0x7F || is_c1) {
            return true;
        }
    }
    return false;
}

static enum nx_status check_string(struct nx_str name, struct nx_str value, size_t size_max,
                                   struct nx_error *err) {
    if (value.len <= size_max && nx_byte_span(value, NX_BYTE_TEXT) == value.len) {
        return NX_OK;
    }
    if (value.len > size_max) {
        return nx_fail(err, NX_INVALID_ARGUMENT, "attribute '%.*s' has %zu bytes, more than the limit of %zu",
                       NX_STR_ARG(name), value.len, size_max);
    }
    if (!nx_str_is_utf8(value)) {
        return fail_attribute(err, name, "is not valid UTF-8");
    }
    if (has_control_character(value)) {
        return fail_attribute(err, name, "has a control character in it");
    }
    return NX_OK;
}

/* The characters that RFC 3986 allows somewhere in a URI reference, and whole percent triplets. */
static bool is_uri_text(struct nx_str text) {
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '%') {
            if (text.len - i < 3 || nx_hex_digit(text.ptr[i + 1]) < 0 || nx_hex_digit(text.ptr[i + 2]) < 0) {
                return false;
            }
        } else if (!nx_byte_is(text.ptr[i], NX_BYTE_URI)) {
            return false;
        }
    }
    return true;
}

/* A URI, not a reference: it starts with a scheme. */
static bool has_scheme(struct nx_str text) {
    const size_t colon = nx_str_find_byte(text, ':');
    for (size_t i = 0; i < colon && colon != SIZE_MAX; i++) {
        const char c = text.ptr[i];
        const bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        const bool is_other = (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.';
        if (!is_letter && (i == 0 || !is_other)) {
            return false;
        }
    }
    return colon != SIZE_MAX && colon > 0;
}

/* type "/" subtype, then whatever a parameter may be. */
static bool is_media_type(struct nx_str text) {
    const struct nx_str media = nx_str_trim(nx_str_slice(text, 0, nx_str_find_byte(text, ';')));
    const size_t slash = nx_str_find_byte(media, '/');
    return slash != SIZE_MAX && nx_headers_is_name(nx_str_slice(media, 0, slash)) &&
           nx_headers_is_name(nx_str_slice(media, slash + 1, media.len));
}

static enum nx_status check_required(struct nx_str name, struct nx_str value, size_t size_max,
                                     struct nx_error *err) {
    if (value.len == 0) {
        return fail_attribute(err, name, "is missing or empty");
    }
    return check_string(name, value, size_max, err);
}

/* `*name` is the attribute that is looked at, so that after a failure it says which one is wrong. */
static enum nx_status check_texts(const struct nx_cloudevent *event, struct nx_str *name,
                                  struct nx_error *err) {
    const size_t size_max = NX_CLOUDEVENT_ATTRIBUTE_SIZE_MAX;
    *name = NX_STR("id");
    NX_TRY(check_required(*name, event->id, NX_CLOUDEVENT_ID_SIZE_MAX, err));
    *name = NX_STR("source");
    NX_TRY(check_required(*name, event->source, size_max, err));
    *name = NX_STR("type");
    NX_TRY(check_required(*name, event->type, NX_CLOUDEVENT_TYPE_SIZE_MAX, err));
    *name = NX_STR("subject");
    NX_TRY(check_string(*name, event->subject, size_max, err));
    *name = NX_STR("dataschema");
    NX_TRY(check_string(*name, event->dataschema, size_max, err));
    *name = NX_STR("datacontenttype");
    NX_TRY(check_string(*name, event->datacontenttype, size_max, err));
    *name = NX_STR("tracestate");
    NX_TRY(check_string(*name, event->tracestate, size_max, err));
    *name = NX_STR("baggage");
    return check_string(*name, event->baggage, 2 * size_max, err);
}

static enum nx_status check_core(const struct nx_cloudevent *event, struct nx_str *name,
                                 struct nx_error *err) {
    struct nx_traceparent trace;
    NX_TRY(check_texts(event, name, err));
    *name = NX_STR("source");
    if (!is_uri_text(event->source)) {
        return fail_attribute(err, *name, "is not a URI reference");
    }
    *name = NX_STR("time");
    if (event->time.len > 0 && !nx_time_is_valid(event->time)) {
        return fail_attribute(err, *name, "is not an RFC 3339 time");
    }
    *name = NX_STR("dataschema");
    if (event->dataschema.len > 0 && (!is_uri_text(event->dataschema) || !has_scheme(event->dataschema))) {
        return fail_attribute(err, *name, "is not an absolute URI");
    }
    *name = NX_STR("datacontenttype");
    if (event->datacontenttype.len > 0 && !is_media_type(event->datacontenttype)) {
        return fail_attribute(err, *name, "is not a media type");
    }
    *name = NX_STR("traceparent");
    if (event->traceparent.len > 0 && !nx_traceparent_parse(event->traceparent, &trace)) {
        return fail_attribute(err, *name, "is not a W3C trace parent");
    }
    return NX_OK;
}

static bool is_attribute_name(struct nx_str name) {
    for (size_t i = 0; i < name.len; i++) {
        const char c = name.ptr[i];
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9')) {
            return false;
        }
    }
    return name.len > 0 && name.len <= NX_CLOUDEVENT_NAME_SIZE_MAX;
}

enum nx_status nx_cloudevent_check_named(const struct nx_cloudevent *event, struct nx_str *name_out,
                                         struct nx_error *err) {
    NX_TRY(check_core(event, name_out, err));
    for (size_t i = 0; i < event->extension_count; i++) {
        const struct nx_str name = event->extensions[i].name;
        *name_out = name;
        if (!is_attribute_name(name)) {
            return nx_fail(err, NX_INVALID_ARGUMENT,
                           "'%.*s' is not an attribute's name: 1 to %d lower-case letters and digits",
                           NX_STR_ARG(nx_str_slice(name, 0, 80)), NX_CLOUDEVENT_NAME_SIZE_MAX);
        }
        if (nx_str_is(name, "data")) {
            return nx_fail(err, NX_INVALID_ARGUMENT, "an attribute must not be named 'data'");
        }
        NX_TRY(check_required(name, event->extensions[i].value, NX_CLOUDEVENT_ATTRIBUTE_SIZE_MAX, err));
    }
    return NX_OK;
}

enum nx_status nx_cloudevent_check(const struct nx_cloudevent *event, struct nx_error *err) {
    struct nx_str name;
    return nx_cloudevent_check_named(event, &name, err);
}
