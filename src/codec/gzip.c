/* src/codec/gzip.c: see gzip.h. */
#include "codec/gzip.h"

#include <zlib.h>

enum { WINDOW_BITS_GZIP = 15 + 16, MEMORY_LEVEL = 8, PIECE_SIZE = 16 * 1024 };

static void begin(z_stream *stream, struct nx_str bytes) {
    *stream = (z_stream){ .next_in = (z_const Bytef *)(uintptr_t)bytes.ptr, .avail_in = (uInt)bytes.len };
}

enum nx_status nx_gzip_encode(struct nx_buf *out, struct nx_str bytes, struct nx_error *err) {
    const size_t before = out->len;
    uint8_t piece[PIECE_SIZE];
    z_stream stream;
    begin(&stream, bytes);
    if (bytes.len > UINT32_MAX || deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, WINDOW_BITS_GZIP,
                                               MEMORY_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK) {
        return nx_fail_memory(err);
    }
    int done = Z_OK;
    while (done == Z_OK) {
        stream.next_out = piece;
        stream.avail_out = sizeof piece;
        done = deflate(&stream, Z_FINISH);
        nx_buf_append(out, nx_str_of(piece, sizeof piece - stream.avail_out));
    }
    (void)deflateEnd(&stream);
    if (done != Z_STREAM_END || nx_buf_failed(out)) {
        nx_buf_truncate(out, before);
        return nx_fail_memory(err);
    }
    return NX_OK;
}

/* Take everything out of the stream. Z_STREAM_END: all of the input was members, and whole. */
static int inflate_all(z_stream *stream, struct nx_buf *out) {
    uint8_t piece[PIECE_SIZE];
    int done = Z_OK;
    for (;;) {
        stream->next_out = piece;
        stream->avail_out = sizeof piece;
        done = inflate(stream, Z_NO_FLUSH);
        nx_buf_append(out, nx_str_of(piece, sizeof piece - stream->avail_out));
        if (nx_buf_failed(out) || (done != Z_OK && done != Z_STREAM_END)) {
            return done;
        }
        if (done == Z_STREAM_END && stream->avail_in == 0) {
            return done;
        }
        if (done == Z_STREAM_END && inflateReset(stream) != Z_OK) {
            return Z_DATA_ERROR;
        }
    }
}

enum nx_status nx_gzip_decode(struct nx_buf *out, struct nx_str bytes, struct nx_error *err) {
    const size_t before = out->len;
    z_stream stream;
    begin(&stream, bytes);
    if (bytes.len > UINT32_MAX || inflateInit2(&stream, WINDOW_BITS_GZIP) != Z_OK) {
        return nx_fail_memory(err);
    }
    const int done = inflate_all(&stream, out);
    (void)inflateEnd(&stream);
    struct nx_error why = { 0 };
    enum nx_status status = nx_buf_check(out, &why);
    if (status == NX_OK && done == Z_MEM_ERROR) {
        status = nx_fail_memory(err);
    } else if (status == NX_OK && done != Z_STREAM_END) {
        status = nx_fail(err, NX_INVALID_ARGUMENT, "this is not gzip, or it is cut short or damaged");
    } else if (status != NX_OK && why.kind == NX_KIND_OUT_OF_MEMORY) {
        status = nx_fail_memory(err);
    } else if (status != NX_OK) {
        (void)nx_fail_kind(err, NX_KIND_TOO_LARGE, "it unpacks to more than %zu bytes", out->len_max);
        status = NX_INVALID_ARGUMENT;
    }
    if (status != NX_OK) {
        nx_buf_truncate(out, before);
    }
    return status;
}
