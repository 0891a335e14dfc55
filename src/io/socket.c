#include "io/socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "base/assert.h"
#include "io/loop_internal.h"

enum { BACKLOG = 1024 };

struct nx_listener {
    uv_tcp_t tcp;
    struct nx_loop_guest guest;
    struct nx_loop *loop;
    struct nx_listen_options options; /* `host` is not kept */
    uint16_t port;
    uv_tcp_t refused; /* a connection for which there was no memory, being closed */
    bool is_refusing; /* `refused` is in use */
    bool has_waiting; /* meanwhile another one came: the engine holds it, and accepts no more */
    bool is_gone;     /* and `refused` is the last that uses this memory */
};

struct nx_socket {
    uv_tcp_t tcp;
    struct nx_loop_guest guest;
    struct nx_loop *loop;
    const struct nx_socket_handler *handler; /* NULL before the start */
    void *data;
    size_t pending_size_max;
    size_t write_count; /* requests whose end was not told yet */
    uint64_t handed;    /* bytes given to be written, ever */
    bool is_paused;
    bool has_ended; /* nothing more will come */
    bool is_broken; /* and nothing can be sent */
    bool is_finishing;
    bool is_shut; /* finishing, and the peer was told the end */
    uv_shutdown_t shutdown;
    struct nx_timer finish_timer;
    size_t finish_pending; /* what waited when the timer was started */
};

/* Bytes that the kernel did not take at once. */
struct write {
    uv_write_t request;
    struct nx_socket *socket;
    struct nx_buf bytes;
};

static uv_stream_t *stream_of(struct nx_socket *socket) {
    return (uv_stream_t *)&socket->tcp;
}

static bool is_closing(const struct nx_socket *socket) {
    return uv_is_closing((const uv_handle_t *)&socket->tcp) != 0;
}

/* ---- listening ---- */

static enum nx_status parse_address(const char *host, uint16_t port, struct sockaddr_storage *address_out,
                                    socklen_t *len_out, struct nx_error *err) {
    struct sockaddr_in six_or_four = { .sin_family = AF_INET, .sin_port = htons(port) };
    struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
    const char *text = strcmp(host, "localhost") == 0 ? "127.0.0.1" : host;
    memset(address_out, 0, sizeof *address_out);
    if (inet_pton(AF_INET, text, &six_or_four.sin_addr) == 1) {
        memcpy(address_out, &six_or_four, sizeof six_or_four);
        *len_out = sizeof six_or_four;
        return NX_OK;
    }
    if (inet_pton(AF_INET6, text, &six.sin6_addr) == 1) {
        memcpy(address_out, &six, sizeof six);
        *len_out = sizeof six;
        return NX_OK;
    }
    return nx_fail(err, NX_INVALID_ARGUMENT, "'%s' is not an IPv4 or IPv6 address", host);
}

static enum nx_status fail_to_listen(struct nx_error *err, int error, const char *host, uint16_t port) {
    const char *reason = strerror(error);
    switch (error) {
    case EADDRINUSE:
        (void)nx_fail(err, NX_FAILED_PRECONDITION, "cannot listen on %s port %u: the port is in use", host,
                      port);
        nx_hint(err, "choose another port, or 0 for a free one");
        return NX_FAILED_PRECONDITION;
    case EACCES:
    case EPERM:
        return nx_fail(err, NX_PERMISSION_DENIED, "cannot listen on %s port %u: %s", host, port, reason);
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
        return nx_fail(err, NX_RESOURCE_EXHAUSTED, "cannot listen on %s port %u: %s", host, port, reason);
    default:
        return nx_fail(err, NX_UNAVAILABLE, "cannot listen on %s port %u: %s", host, port, reason);
    }
}

/** A descriptor bound to the address; negative errno on failure. */
static int bind_descriptor(const struct sockaddr_storage *address, socklen_t len, bool share) {
    const int on = 1;
    const int fd = socket(address->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -errno;
    }
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        (share && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0) ||
        bind(fd, (const struct sockaddr *)address, len) != 0) {
        const int error = errno;
        (void)close(fd);
        return -error;
    }
    return fd;
}

/** Any process of the same user could share a port that is to be shared between our loops, and two servers
 * would each get half of the connections. So look first whether the port is free for one that does not
 * share. */
static int bind_first(const struct sockaddr_storage *address, socklen_t len) {
    const int probe = bind_descriptor(address, len, false);
    if (probe < 0) {
        return probe;
    }
    const bool is_taken = listen(probe, 1) != 0; /* of two that are bound, only one can listen */
    const int error = errno;
    (void)close(probe);
    return is_taken ? -error : bind_descriptor(address, len, true);
}

static uint16_t port_of(int fd) {
    struct sockaddr_storage address = { 0 };
    socklen_t len = sizeof address;
    if (getsockname(fd, (struct sockaddr *)&address, &len) != 0) {
        return 0;
    }
    if (address.ss_family == AF_INET6) {
        struct sockaddr_in6 six;
        memcpy(&six, &address, sizeof six);
        return ntohs(six.sin6_port);
    }
    struct sockaddr_in four;
    memcpy(&four, &address, sizeof four);
    return ntohs(four.sin_port);
}

static void listener_free(struct nx_listener *listener) {
    nx_loop_leave(listener->loop, &listener->guest);
    free(listener);
}

static void listener_gone(uv_handle_t *handle) {
    struct nx_listener *listener = handle->data;
    if (listener->is_refusing) {
        listener->is_gone = true;
    } else {
        listener_free(listener);
    }
}

void nx_listener_close(struct nx_listener *listener) {
    if (listener == NULL) {
        return;
    }
    nx_loop_assert_owner(listener->loop);
    if (!uv_is_closing((uv_handle_t *)&listener->tcp)) {
        uv_close((uv_handle_t *)&listener->tcp, listener_gone);
    }
}

static void close_listener_guest(struct nx_loop_guest *guest) {
    nx_listener_close(nx_container_of(guest, struct nx_listener, guest));
}

uint16_t nx_listener_port(const struct nx_listener *listener) {
    return listener->port;
}

static void connection_came(uv_stream_t *stream, int status);

enum nx_status nx_listener_open(struct nx_loop *loop, const struct nx_listen_options *options,
                                struct nx_listener **listener_out, struct nx_error *err) {
    struct sockaddr_storage address;
    socklen_t len = 0;
    nx_loop_assert_owner(loop);
    NX_TRY(parse_address(options->host, options->port, &address, &len, err));
    struct nx_listener *listener = calloc(1, sizeof *listener);
    if (listener == NULL) {
        return nx_fail_memory(err);
    }
    const bool is_first = !options->join && options->port != 0;
    const int fd = is_first ? bind_first(&address, len) : bind_descriptor(&address, len, true);
    if (fd < 0) {
        free(listener);
        return fail_to_listen(err, -fd, options->host, options->port);
    }
    listener->loop = loop;
    listener->options = *options;
    listener->options.host = NULL;
    listener->port = port_of(fd);
    (void)uv_tcp_init(nx_loop_engine(loop), &listener->tcp); /* without a descriptor it cannot fail */
    listener->tcp.data = listener;
    listener->guest.close = close_listener_guest;
    nx_loop_enter(loop, &listener->guest);
    int failure = uv_tcp_open(&listener->tcp, fd);
    if (failure != 0) {
        (void)close(fd);
    } else {
        failure = uv_listen((uv_stream_t *)&listener->tcp, BACKLOG, connection_came);
    }
    if (failure != 0) {
        nx_listener_close(listener);
        return fail_to_listen(err, -failure, options->host, options->port);
    }
    *listener_out = listener;
    return NX_OK;
}

enum nx_status nx_listener_open_named(const char *name, struct nx_loop *loop,
                                      const struct nx_listen_options *options,
                                      struct nx_listener **listener_out, struct nx_error *err) {
    const enum nx_status status = nx_listener_open(loop, options, listener_out, err);
    if (status == NX_FAILED_PRECONDITION) {
        return nx_fail(err, NX_ALREADY_EXISTS, "%s on %s:%u: another program has this port", name,
                       options->host, (unsigned)options->port);
    }
    return status == NX_OK
               ? NX_OK
               : nx_wrap(err, status, "%s on %s:%u", name, options->host, (unsigned)options->port);
}

/* ---- accepting and closing ---- */

static void socket_gone(uv_handle_t *handle) {
    struct nx_socket *socket = handle->data;
    nx_timer_stop(socket->loop, &socket->finish_timer);
    nx_loop_leave(socket->loop, &socket->guest);
    if (socket->handler != NULL) {
        socket->handler->closed(socket->data);
    }
    free(socket);
}

void nx_socket_close(struct nx_socket *socket) {
    if (socket == NULL) {
        return;
    }
    nx_loop_assert_owner(socket->loop);
    if (!is_closing(socket)) {
        uv_close((uv_handle_t *)&socket->tcp, socket_gone);
    }
}

static void close_socket_guest(struct nx_loop_guest *guest) {
    nx_socket_close(nx_container_of(guest, struct nx_socket, guest));
}

static void finish_timed_out(void *data);

static void connection_came(uv_stream_t *stream, int status);

static void refused_gone(uv_handle_t *handle) {
    struct nx_listener *listener = handle->data;
    listener->is_refusing = false;
    if (listener->is_gone) {
        listener_free(listener);
    } else if (listener->has_waiting && !uv_is_closing((uv_handle_t *)&listener->tcp)) {
        listener->has_waiting = false;
        connection_came((uv_stream_t *)&listener->tcp, 0);
    }
}

/** There is no memory for the connection that came: end it, so that its peer knows and others can come. */
static void refuse(struct nx_listener *listener) {
    if (listener->is_refusing) {
        listener->has_waiting = true;
        return;
    }
    listener->is_refusing = true;
    (void)uv_tcp_init(listener->tcp.loop, &listener->refused);
    listener->refused.data = listener;
    (void)uv_accept((uv_stream_t *)&listener->tcp, (uv_stream_t *)&listener->refused);
    uv_close((uv_handle_t *)&listener->refused, refused_gone);
}

static void connection_came(uv_stream_t *stream, int status) {
    struct nx_listener *listener = stream->data;
    if (status != 0) {
        return; /* the peer left again, or no descriptors: others will be tried */
    }
    struct nx_socket *socket = calloc(1, sizeof *socket);
    if (socket == NULL) {
        refuse(listener);
        return;
    }
    socket->loop = listener->loop;
    socket->pending_size_max = listener->options.pending_size_max != 0 ? listener->options.pending_size_max
                                                                       : NX_SOCKET_PENDING_SIZE_MAX;
    (void)uv_tcp_init(stream->loop, &socket->tcp);
    socket->tcp.data = socket;
    socket->finish_timer.end = finish_timed_out;
    socket->finish_timer.data = socket;
    socket->guest.close = close_socket_guest;
    nx_loop_enter(socket->loop, &socket->guest);
    if (uv_accept(stream, stream_of(socket)) != 0) {
        nx_socket_close(socket);
        return;
    }
    (void)uv_tcp_nodelay(&socket->tcp, 1); /* slower without, no worse */
    listener->options.accepted(listener->options.data, socket);
    nx_assert(socket->handler != NULL || is_closing(socket));
}

struct nx_str nx_socket_peer(const struct nx_socket *socket, char text_out[NX_SOCKET_PEER_SIZE]) {
    struct sockaddr_storage address;
    char host[INET6_ADDRSTRLEN] = "?";
    int len = sizeof address;
    unsigned port = 0;
    text_out[0] = '\0';
    if (uv_tcp_getpeername(&socket->tcp, (struct sockaddr *)&address, &len) != 0) {
        return NX_STR_EMPTY;
    }
    if (address.ss_family == AF_INET6) {
        struct sockaddr_in6 six;
        memcpy(&six, &address, sizeof six);
        (void)inet_ntop(AF_INET6, &six.sin6_addr, host, sizeof host);
        port = ntohs(six.sin6_port);
    } else {
        struct sockaddr_in four;
        memcpy(&four, &address, sizeof four);
        (void)inet_ntop(AF_INET, &four.sin_addr, host, sizeof host);
        port = ntohs(four.sin_port);
    }
    (void)snprintf(text_out, NX_SOCKET_PEER_SIZE, address.ss_family == AF_INET6 ? "[%s]:%u" : "%s:%u", host,
                   port);
    return nx_str_from_c(text_out);
}

/* ---- reading ---- */

static enum nx_status fail_broken(struct nx_error *err, int failure) {
    return nx_fail(err, NX_UNAVAILABLE, "the connection is broken: %s", uv_strerror(failure));
}

/** Nothing more will come; `failure` is the engine's, 0 for an end in good order. */
static void end(struct nx_socket *socket, int failure) {
    struct nx_error err = { 0 };
    if (socket->has_ended) {
        return;
    }
    socket->has_ended = true;
    socket->is_broken = socket->is_broken || failure != 0;
    (void)uv_read_stop(stream_of(socket));
    if (socket->is_finishing) {
        if (socket->is_shut || socket->is_broken) {
            nx_socket_close(socket);
        }
        return;
    }
    if (failure != 0) {
        (void)fail_broken(&err, failure);
    }
    socket->handler->ended(socket->data, failure != 0 ? &err : NULL);
}

static void lend_buffer(uv_handle_t *handle, size_t suggested_size, uv_buf_t *buf_out) {
    struct nx_socket *socket = handle->data;
    (void)suggested_size;
    *buf_out = uv_buf_init(nx_loop_read_buffer(socket->loop), NX_SOCKET_READ_SIZE);
}

static void bytes_came(uv_stream_t *stream, ssize_t len, const uv_buf_t *buf) {
    struct nx_socket *socket = stream->data;
    if (len < 0) {
        end(socket, len == UV_EOF ? 0 : (int)len);
    } else if (len > 0 && !socket->is_finishing) {
        socket->handler->read(socket->data, nx_str_of(buf->base, (size_t)len));
    }
}

/** Read when somebody wants it: the handler, or the end that a finish waits for. */
static void update_reading(struct nx_socket *socket) {
    if (is_closing(socket) || socket->has_ended) {
        return;
    }
    if (socket->is_paused && !socket->is_finishing) {
        (void)uv_read_stop(stream_of(socket));
    } else if (!uv_is_readable(stream_of(socket)) ||
               uv_read_start(stream_of(socket), lend_buffer, bytes_came) == UV_ENOTCONN) {
        socket->has_ended = true; /* nothing can come */
    }
}

void nx_socket_start(struct nx_socket *socket, const struct nx_socket_handler *handler, void *data) {
    nx_loop_assert_owner(socket->loop);
    nx_assert(socket->handler == NULL);
    socket->handler = handler;
    socket->data = data;
    update_reading(socket);
}

void nx_socket_pause(struct nx_socket *socket) {
    nx_loop_assert_owner(socket->loop);
    socket->is_paused = true;
    update_reading(socket);
}

void nx_socket_resume(struct nx_socket *socket) {
    nx_loop_assert_owner(socket->loop);
    if (socket->is_paused) {
        socket->is_paused = false;
        update_reading(socket);
    }
}

/* ---- writing ---- */

uint64_t nx_socket_written(const struct nx_socket *socket) {
    return socket->handed - nx_socket_pending(socket);
}

size_t nx_socket_pending(const struct nx_socket *socket) {
    return uv_stream_get_write_queue_size((const uv_stream_t *)&socket->tcp);
}

static void write_free(struct write *write) {
    if (write != NULL) {
        nx_buf_fini(&write->bytes);
        free(write);
    }
}

static void written(uv_write_t *request, int status) {
    struct write *write = nx_container_of(request, struct write, request);
    struct nx_socket *socket = write->socket;
    write_free(write);
    socket->write_count--;
    if (is_closing(socket)) {
        return;
    }
    if (status != 0) {
        socket->is_broken = true;
        end(socket, status);
        return;
    }
    if (socket->write_count == 0 && !socket->is_finishing && socket->handler->drained != NULL) {
        socket->handler->drained(socket->data);
    }
}

/** Queue what follows the first `done` bytes of `bytes`, which are moved. */
static enum nx_status queue(struct nx_socket *socket, struct nx_buf *bytes, size_t done,
                            struct nx_error *err) {
    struct write *write = malloc(sizeof *write);
    if (write == NULL) {
        return nx_fail_memory(err);
    }
    *write = (struct write){ .socket = socket, .bytes = *bytes };
    *bytes = (struct nx_buf){ .len_max = bytes->len_max };
    const uv_buf_t rest = uv_buf_init(write->bytes.ptr + done, (unsigned)(write->bytes.len - done));
    const int failure = uv_write(&write->request, stream_of(socket), &rest, 1, written);
    if (failure != 0) {
        write_free(write);
        socket->is_broken = true;
        return fail_broken(err, failure);
    }
    socket->write_count++;
    return NX_OK;
}

/** Whether `size` more bytes may be written now. */
static enum nx_status check_writable(struct nx_socket *socket, size_t size, struct nx_error *err) {
    nx_loop_assert_owner(socket->loop);
    nx_assert(socket->handler != NULL);
    if (is_closing(socket) || socket->is_finishing || socket->is_broken) {
        return nx_fail(err, NX_UNAVAILABLE, "the connection is closed");
    }
    const size_t pending = nx_socket_pending(socket);
    if (size > socket->pending_size_max || pending > socket->pending_size_max - size) {
        return nx_fail_kind(err, NX_KIND_OVERLOADED, "the peer is too slow: %zu bytes wait to be written",
                            pending);
    }
    return NX_OK;
}

/** Give the kernel what it takes at once. */
static enum nx_status try_write(struct nx_socket *socket, const uv_buf_t *bufs, unsigned buf_count,
                                size_t *done_out, struct nx_error *err) {
    const int count = uv_try_write(stream_of(socket), bufs, buf_count);
    if (count < 0 && count != UV_EAGAIN) {
        socket->is_broken = true;
        return fail_broken(err, count);
    }
    *done_out = count < 0 ? 0 : (size_t)count;
    return NX_OK;
}

enum nx_status nx_socket_write(struct nx_socket *socket, const struct nx_str *parts, size_t part_count,
                               struct nx_error *err) {
    uv_buf_t bufs[NX_SOCKET_PARTS_MAX];
    size_t size = 0;
    size_t done = 0;
    nx_assert(part_count <= NX_SOCKET_PARTS_MAX);
    for (size_t i = 0; i < part_count; i++) {
        bufs[i] = uv_buf_init((char *)(uintptr_t)parts[i].ptr, (unsigned)parts[i].len);
        size += parts[i].len;
    }
    NX_TRY(check_writable(socket, size, err));
    if (size == 0) {
        return NX_OK;
    }
    NX_TRY(try_write(socket, bufs, (unsigned)part_count, &done, err));
    socket->handed += size;
    if (done == size) {
        return NX_OK;
    }
    NX_AUTO(nx_buf) rest;
    nx_buf_init(&rest, size);
    (void)nx_buf_reserve(&rest, size - done); /* appending says whether it failed */
    for (size_t i = 0; i < part_count; i++) {
        const size_t skip = done < parts[i].len ? done : parts[i].len;
        done -= skip;
        nx_buf_append(&rest, nx_str_slice(parts[i], skip, parts[i].len));
    }
    NX_TRY(nx_buf_check(&rest, err));
    return queue(socket, &rest, 0, err);
}

enum nx_status nx_socket_write_buf(struct nx_socket *socket, struct nx_buf *buf, struct nx_error *err) {
    size_t done = 0;
    NX_TRY(nx_buf_check(buf, err));
    NX_TRY(check_writable(socket, buf->len, err));
    if (buf->len == 0) {
        return NX_OK;
    }
    const uv_buf_t all = uv_buf_init(buf->ptr, (unsigned)buf->len);
    NX_TRY(try_write(socket, &all, 1, &done, err));
    socket->handed += buf->len;
    if (done == buf->len) {
        nx_buf_reset(buf);
        return NX_OK;
    }
    return queue(socket, buf, done, err);
}

/* ---- finishing ---- */

static void finish_timed_out(void *data) {
    struct nx_socket *socket = data;
    const size_t pending = nx_socket_pending(socket);
    if (socket->is_shut || pending >= socket->finish_pending) {
        nx_socket_close(socket);
        return;
    }
    socket->finish_pending = pending; /* slow, but it moves */
    nx_timer_start(socket->loop, &socket->finish_timer, NX_SOCKET_FINISH_MS);
}

static void shut_done(uv_shutdown_t *request, int status) {
    struct nx_socket *socket = nx_container_of(request, struct nx_socket, shutdown);
    if (is_closing(socket)) {
        return;
    }
    socket->is_shut = true;
    if (status != 0 || socket->has_ended) {
        nx_socket_close(socket);
        return;
    }
    nx_timer_start(socket->loop, &socket->finish_timer, NX_SOCKET_FINISH_MS);
}

static void shut(struct nx_socket *socket) {
    /* The engine writes what waits first. */
    if (uv_shutdown(&socket->shutdown, stream_of(socket), shut_done) != 0) {
        nx_socket_close(socket);
    }
}

void nx_socket_finish(struct nx_socket *socket) {
    nx_loop_assert_owner(socket->loop);
    if (is_closing(socket) || socket->is_finishing) {
        return;
    }
    if (socket->is_broken) {
        nx_socket_close(socket);
        return;
    }
    socket->is_finishing = true;
    socket->finish_pending = nx_socket_pending(socket);
    update_reading(socket);
    nx_timer_start(socket->loop, &socket->finish_timer, NX_SOCKET_FINISH_MS);
    shut(socket);
}
