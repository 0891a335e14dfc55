/* src/codec/nats.c: see nats.h. */
#include "codec/nats.h"

#include "base/assert.h"

enum { ARGUMENTS_MAX = 4, VERB_SIZE_MAX = 7, LINE_END_SIZE = 2 };

struct verb {
    struct nx_str text;
    bool has_payload;
    bool from[2]; /* by enum nx_nats_peer */
};

#define VERB_ROW(verb, text, payload, client, server) { NX_STR(text), payload, { client, server } },
static const struct verb verbs[] = { NX_NATS_VERB_TABLE(VERB_ROW) };
#undef VERB_ROW

enum { VERB_COUNT = sizeof verbs / sizeof verbs[0] };

static const struct nx_str first_line = NX_STR("NATS/1.0");
static const struct nx_str line_end = NX_STR("\r\n");

static bool is_blank(char byte) {
    return byte == ' ' || byte == '\t';
}

static enum nx_nats_parse fail(struct nx_error *err, const char *message) {
    (void)nx_fail(err, NX_INVALID_ARGUMENT, "%s", message);
    return NX_NATS_PARSE_FAILED;
}

/* The verb at the front of a line that may still be growing; VERB_COUNT when it can be none. */
static size_t verb_of(struct nx_str bytes, enum nx_nats_peer peer) {
    for (size_t i = 0; i < VERB_COUNT; i++) {
        const size_t len = bytes.len < verbs[i].text.len ? bytes.len : verbs[i].text.len;
        if (verbs[i].from[peer] &&
            nx_str_equal_ignore_case(nx_str_slice(bytes, 0, len), nx_str_slice(verbs[i].text, 0, len)) &&
            (len == bytes.len || is_blank(bytes.ptr[len]) || bytes.ptr[len] == '\r')) {
            return i;
        }
    }
    return VERB_COUNT;
}

struct arguments {
    struct nx_str at[ARGUMENTS_MAX + 1]; /* one more than any verb takes, to see that there are too many */
    size_t count;
};

static struct arguments split(struct nx_str line) {
    struct arguments arguments = { .count = 0 };
    size_t i = 0;
    while (i < line.len && arguments.count <= ARGUMENTS_MAX) {
        if (is_blank(line.ptr[i])) {
            i++;
            continue;
        }
        const size_t from = i;
        while (i < line.len && !is_blank(line.ptr[i])) {
            i++;
        }
        arguments.at[arguments.count++] = nx_str_slice(line, from, i);
    }
    return arguments;
}

/* What a line with a payload says of its sizes. */
struct sizes {
    uint64_t headers;
    uint64_t total;
};

/* "subject [sid] [reply] [header size] total size": the verbs with a payload, all alike. */
static bool read_message_line(struct nx_str line, struct nx_nats_op *op, struct sizes *sizes_out) {
    const struct arguments arguments = split(line);
    const bool has_sid = op->verb == NX_NATS_MSG || op->verb == NX_NATS_HMSG;
    const bool has_headers = op->verb == NX_NATS_HPUB || op->verb == NX_NATS_HMSG;
    const size_t least = 2U + has_sid + has_headers;
    struct sizes sizes = { .headers = 0 };
    size_t next = 0;
    if (arguments.count != least && arguments.count != least + 1) {
        return false;
    }
    op->subject = arguments.at[next++];
    if (has_sid) {
        op->sid = arguments.at[next++];
    }
    if (arguments.count > least) {
        op->reply = arguments.at[next++];
    }
    if (has_headers && !nx_str_to_u64(arguments.at[next++], &sizes.headers)) {
        return false;
    }
    if (!nx_str_to_u64(arguments.at[next], &sizes.total) || sizes.headers > sizes.total) {
        return false;
    }
    *sizes_out = sizes;
    return true;
}

static bool read_sub(struct nx_str line, struct nx_nats_op *op) {
    const struct arguments arguments = split(line);
    if (arguments.count != 2 && arguments.count != 3) {
        return false;
    }
    op->subject = arguments.at[0];
    op->queue = arguments.count == 3 ? arguments.at[1] : NX_STR_EMPTY;
    op->sid = arguments.at[arguments.count - 1];
    return true;
}

static bool read_unsub(struct nx_str line, struct nx_nats_op *op) {
    const struct arguments arguments = split(line);
    if (arguments.count != 1 && arguments.count != 2) {
        return false;
    }
    op->sid = arguments.at[0];
    return arguments.count == 1 || nx_str_to_u64(arguments.at[1], &op->count_max);
}

/* -ERR 'text' */
static struct nx_str unquoted(struct nx_str text) {
    const bool is_quoted = text.len >= 2 && text.ptr[0] == '\'' && text.ptr[text.len - 1] == '\'';
    return is_quoted ? nx_str_slice(text, 1, text.len - 1) : text;
}

static bool read_line(struct nx_str line, struct nx_nats_op *op) {
    switch (op->verb) {
    case NX_NATS_SUB:
        return read_sub(line, op);
    case NX_NATS_UNSUB:
        return read_unsub(line, op);
    case NX_NATS_CONNECT:
    case NX_NATS_INFO:
        op->text = nx_str_trim(line);
        return true;
    case NX_NATS_ERR:
        op->text = unquoted(nx_str_trim(line));
        return true;
    case NX_NATS_PING:
    case NX_NATS_PONG:
    case NX_NATS_OK:
    case NX_NATS_PUB:
    case NX_NATS_HPUB:
    case NX_NATS_MSG:
    case NX_NATS_HMSG:
        break;
    }
    return true;
}

/* The bytes behind a line that names its payload; `offset` is where they begin. */
static enum nx_nats_parse read_payload(struct nx_str bytes, size_t offset, struct sizes sizes,
                                       struct nx_nats_op *op, size_t *size_out, struct nx_error *err) {
    const size_t end = offset + sizes.total;
    if (bytes.len < end + LINE_END_SIZE) {
        *size_out = end + LINE_END_SIZE;
        return NX_NATS_PARSE_MORE;
    }
    if (!nx_str_equal(nx_str_slice(bytes, end, end + LINE_END_SIZE), line_end)) {
        return fail(err, "Unknown Protocol Operation");
    }
    op->headers = nx_str_slice(bytes, offset, offset + sizes.headers);
    op->payload = nx_str_slice(bytes, offset + sizes.headers, end);
    *size_out = end + LINE_END_SIZE;
    return NX_NATS_PARSE_DONE;
}

enum nx_nats_parse nx_nats_parse(struct nx_str bytes, const struct nx_nats_limits *limits,
                                 struct nx_nats_op *op_out, size_t *size_out, struct nx_error *err) {
    /* Looked for no further than a line may be long: an endless one costs no more than that. */
    const size_t newline =
        nx_str_find_byte(nx_str_slice(bytes, 0, limits->line_size_max + LINE_END_SIZE), '\n');
    const bool is_whole = newline != SIZE_MAX;
    struct nx_str line = is_whole ? nx_str_slice(bytes, 0, newline) : bytes;
    if (is_whole && line.len > 0 && line.ptr[line.len - 1] == '\r') {
        line.len--;
    }
    const size_t verb = verb_of(nx_str_slice(line, 0, VERB_SIZE_MAX + 1), limits->peer);
    if (verb == VERB_COUNT || (is_whole && line.len < verbs[verb].text.len)) {
        return fail(err, "Unknown Protocol Operation");
    }
    if (line.len > limits->line_size_max + (is_whole ? 0 : 1)) {
        return fail(err, "maximum control line exceeded");
    }
    if (!is_whole) {
        *size_out = bytes.len + 1;
        return NX_NATS_PARSE_MORE;
    }
    struct nx_nats_op op = { .verb = (enum nx_nats_verb)verb };
    const struct nx_str rest = nx_str_slice(line, verbs[verb].text.len, line.len);
    enum nx_nats_parse parsed = NX_NATS_PARSE_DONE;
    if (verbs[verb].has_payload) {
        struct sizes sizes;
        if (!read_message_line(rest, &op, &sizes)) {
            return fail(err, "Parser Error");
        }
        if (sizes.total > limits->payload_size_max) {
            return fail(err, "Maximum Payload Violation");
        }
        parsed = read_payload(bytes, newline + 1, sizes, &op, size_out, err);
    } else {
        if (!read_line(rest, &op)) {
            return fail(err, "Parser Error");
        }
        *size_out = newline + 1;
    }
    if (parsed == NX_NATS_PARSE_DONE) {
        *op_out = op;
    }
    return parsed;
}

static void append_argument(struct nx_buf *out, struct nx_str argument) {
    if (argument.len > 0) {
        nx_buf_append_u8(out, ' ');
        nx_buf_append(out, argument);
    }
}

static void append_number(struct nx_buf *out, uint64_t number) {
    nx_buf_append_u8(out, ' ');
    nx_buf_append_decimal(out, number);
}

static void append_message(struct nx_buf *out, const struct nx_nats_op *op) {
    append_argument(out, op->subject);
    append_argument(out, op->sid);
    append_argument(out, op->reply);
    if (op->verb == NX_NATS_HPUB || op->verb == NX_NATS_HMSG) {
        append_number(out, op->headers.len);
    }
    append_number(out, op->headers.len + op->payload.len);
    nx_buf_append(out, line_end);
    nx_buf_append(out, op->headers);
    nx_buf_append(out, op->payload);
}

void nx_nats_append(struct nx_buf *out, const struct nx_nats_op *op) {
    nx_buf_append(out, verbs[op->verb].text);
    switch (op->verb) {
    case NX_NATS_PUB:
    case NX_NATS_HPUB:
    case NX_NATS_MSG:
    case NX_NATS_HMSG:
        append_message(out, op);
        break;
    case NX_NATS_SUB:
        append_argument(out, op->subject);
        append_argument(out, op->queue);
        append_argument(out, op->sid);
        break;
    case NX_NATS_UNSUB:
        append_argument(out, op->sid);
        if (op->count_max > 0) {
            append_number(out, op->count_max);
        }
        break;
    case NX_NATS_CONNECT:
    case NX_NATS_INFO:
        append_argument(out, op->text);
        break;
    case NX_NATS_ERR:
        nx_buf_append_c(out, " '");
        nx_buf_append(out, op->text);
        nx_buf_append_u8(out, '\'');
        break;
    case NX_NATS_PING:
    case NX_NATS_PONG:
    case NX_NATS_OK:
        break;
    }
    nx_buf_append(out, line_end);
}

bool nx_nats_headers_split(struct nx_str block, struct nx_nats_headers *headers_out) {
    const size_t first_end = nx_str_find(block, line_end);
    if (first_end == SIZE_MAX || !nx_str_starts_with(block, first_line) ||
        (first_end > first_line.len && !is_blank(block.ptr[first_line.len])) ||
        !nx_str_ends_with(block, NX_STR("\r\n\r\n"))) {
        return false;
    }
    struct nx_nats_headers headers = { .description = NX_STR_EMPTY };
    struct nx_str rest = nx_str_trim(nx_str_slice(block, first_line.len, first_end));
    struct nx_str status;
    uint64_t number;
    if (nx_str_split(&rest, ' ', &status) && nx_str_to_u64(status, &number) && number <= UINT16_MAX) {
        headers.status = (uint16_t)number;
        headers.description = nx_str_trim(rest);
    }
    headers.lines = nx_str_slice(block, first_end + LINE_END_SIZE, block.len - LINE_END_SIZE);
    *headers_out = headers;
    return true;
}

void nx_nats_headers_append(struct nx_buf *out, const struct nx_nats_headers *headers) {
    nx_buf_append(out, first_line);
    if (headers->status != 0) {
        append_number(out, headers->status);
        append_argument(out, headers->description);
    }
    nx_buf_append(out, line_end);
    nx_buf_append(out, headers->lines);
    nx_buf_append(out, line_end);
}
