#include "io/dial.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"

struct nx_dial {
    int fd;
    int timeout_ms;
};

/** 0 when the descriptor is ready, else ETIMEDOUT or another errno. */
static int wait_ready(const struct nx_dial *dial, short events, int timeout_ms) {
    struct pollfd poll_for = { .fd = dial->fd, .events = events };
    int count;
    do {
        count = poll(&poll_for, 1, timeout_ms); /* a signal starts the time anew: good enough here */
    } while (count < 0 && errno == EINTR);
    return count > 0 ? 0 : count == 0 ? ETIMEDOUT : errno;
}

static int connect_to(struct nx_dial *dial, const struct addrinfo *address) {
    const int on = 1;
    int error = 0;
    socklen_t error_size = sizeof error;
    dial->fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (dial->fd < 0) {
        return errno;
    }
    if (connect(dial->fd, address->ai_addr, address->ai_addrlen) != 0) {
        error = errno == EINPROGRESS ? wait_ready(dial, POLLOUT, dial->timeout_ms) : errno;
        if (error == 0 && getsockopt(dial->fd, SOL_SOCKET, SO_ERROR, &error, &error_size) != 0) {
            error = errno;
        }
    }
    if (error != 0) {
        (void)close(dial->fd);
        dial->fd = -1;
        return error;
    }
    (void)setsockopt(dial->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* slower without, no worse */
    return 0;
}

static enum nx_status fail_to_connect(struct nx_error *err, int error, const char *host, uint16_t port) {
    switch (error) {
    case ETIMEDOUT:
        return nx_fail(err, NX_DEADLINE_EXCEEDED, "%s port %u does not answer", host, port);
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case ENOBUFS:
        return nx_fail(err, NX_RESOURCE_EXHAUSTED, "cannot connect to %s port %u: %s", host, port,
                       strerror(error));
    default:
        return nx_fail(err, NX_UNAVAILABLE, "cannot connect to %s port %u: %s", host, port, strerror(error));
    }
}

enum nx_status nx_dial_open(const char *host, uint16_t port, int timeout_ms, struct nx_dial **dial_out,
                            struct nx_error *err) {
    const struct addrinfo wanted = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
    struct addrinfo *addresses = NULL;
    char port_text[8];
    nx_assert(timeout_ms > 0);
    (void)snprintf(port_text, sizeof port_text, "%u", port);
    const int failure = getaddrinfo(host, port_text, &wanted, &addresses);
    if (failure != 0) {
        return nx_fail(err, NX_UNAVAILABLE, "cannot find the host '%s': %s", host, gai_strerror(failure));
    }
    NX_AUTO(nx_dial) *dial = malloc(sizeof *dial);
    if (dial == NULL) {
        freeaddrinfo(addresses);
        return nx_fail_memory(err);
    }
    *dial = (struct nx_dial){ .fd = -1, .timeout_ms = timeout_ms };
    int error = EADDRNOTAVAIL;
    for (const struct addrinfo *address = addresses; address != NULL && dial->fd < 0;
         address = address->ai_next) {
        error = connect_to(dial, address);
    }
    freeaddrinfo(addresses);
    if (dial->fd < 0) {
        return fail_to_connect(err, error, host, port);
    }
    *dial_out = NX_TAKE(dial);
    return NX_OK;
}

void nx_dial_close(struct nx_dial *dial) {
    if (dial == NULL) {
        return;
    }
    if (dial->fd >= 0) {
        (void)close(dial->fd);
    }
    free(dial);
}

/** Wait until the descriptor is ready after a call that would have blocked; else say what broke. */
static enum nx_status wait_or_fail(struct nx_dial *dial, int error, short events, struct nx_error *err) {
    if (error == EINTR) {
        return NX_OK;
    }
    if (error == EAGAIN) {
        error = wait_ready(dial, events, dial->timeout_ms);
    }
    if (error == 0) {
        return NX_OK;
    }
    if (error == ETIMEDOUT) {
        return nx_fail(err, NX_DEADLINE_EXCEEDED, "the server did not answer within %d ms", dial->timeout_ms);
    }
    return nx_fail(err, NX_UNAVAILABLE, "the connection to the server is broken: %s", strerror(error));
}

enum nx_status nx_dial_write(struct nx_dial *dial, struct nx_str bytes, struct nx_error *err) {
    while (bytes.len > 0) {
        const ssize_t count = send(dial->fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
        if (count < 0) {
            NX_TRY(wait_or_fail(dial, errno, POLLOUT, err));
        } else {
            bytes = nx_str_slice(bytes, (size_t)count, bytes.len);
        }
    }
    return NX_OK;
}

enum nx_status nx_dial_read(struct nx_dial *dial, void *bytes, size_t len, size_t *len_out,
                            struct nx_error *err) {
    nx_assert(len > 0);
    for (;;) {
        const ssize_t count = recv(dial->fd, bytes, len, 0);
        if (count >= 0) {
            *len_out = (size_t)count;
            return NX_OK;
        }
        NX_TRY(wait_or_fail(dial, errno, POLLIN, err));
    }
}

bool nx_dial_wait(const struct nx_dial *dial, int timeout_ms) {
    return wait_ready(dial, POLLIN, timeout_ms) != ETIMEDOUT;
}
