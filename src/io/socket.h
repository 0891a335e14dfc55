/* src/io/socket.h: TCP for servers, on a loop.
 *
 * A socket reads by callback into one buffer that all sockets of the loop share, and writes at once as far as
 * the kernel takes it; the rest waits in the socket, up to a maximum, and `drained` tells when it is gone. So
 * a write that completes at once allocates nothing. Nagle's delay is off.
 *
 * After nx_socket_close() or nx_socket_finish() only `closed` comes, once, and the socket is gone after it;
 * never inside the call. Threads: the loop's owner. There is no simulated socket (yet): protocol code is
 * written as bytes in, bytes out, and tested so. */
#pragma once

#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/own.h"
#include "base/str.h"
#include "io/loop.h"

struct nx_listener;
struct nx_socket;

enum {
    NX_SOCKET_READ_SIZE = NX_LOOP_READ_SIZE,      /* most bytes in one `read` */
    NX_SOCKET_PENDING_SIZE_MAX = 4 * 1024 * 1024, /* default for bytes that wait to be written */
    NX_SOCKET_PARTS_MAX = 64,                     /* parts in one write */
    NX_SOCKET_FINISH_MS = 2000,                   /* how long nx_socket_finish() waits for the peer */
    NX_SOCKET_PEER_SIZE = 64,                     /* room for an address as text */
};

/* What a socket tells; static storage. All but `drained` must be there. */
struct nx_socket_handler {
    /* Bytes came, never none; borrowed for the call. */
    void (*read)(void *data, struct nx_str bytes);
    /* Nothing more will come: `err` is NULL when the peer ended in good order (and may still be written to),
     * else why the connection broke; borrowed for the call. At most once. */
    void (*ended)(void *data, const struct nx_error *err);
    /* All that waited has been written. */
    void (*drained)(void *data);
    /* The last call: the socket must not be used any more. */
    void (*closed)(void *data);
};

struct nx_listen_options {
    const char *host; /* an IPv4 or IPv6 address, or "localhost" (127.0.0.1); borrowed for the call */
    uint16_t port;    /* 0: a free one */
    bool join;        /* share the port of another listener of this process; the kernel spreads connections */
    size_t pending_size_max; /* for each socket, bytes; 0: NX_SOCKET_PENDING_SIZE_MAX */
    /* A connection came. The receiver must call nx_socket_start() or nx_socket_close() in it. */
    void (*accepted)(void *data, struct nx_socket *socket);
    void *data; /* borrowed for the listener's life */
};

/** Ownership: the caller closes it, or the loop when it is closed. `options` is copied.
 * Errors:    NX_INVALID_ARGUMENT     the host is no address
 *            NX_FAILED_PRECONDITION  the port is in use
 *            NX_PERMISSION_DENIED    not for this user
 *            NX_UNAVAILABLE          the address is not this machine's, or refused otherwise
 *            NX_RESOURCE_EXHAUSTED   no memory or descriptors */
NX_MUST_CHECK enum nx_status nx_listener_open(struct nx_loop *loop, const struct nx_listen_options *options,
                                              struct nx_listener **listener_out, struct nx_error *err);
/** The same for a service that people know by this name: errors begin "NAME on HOST:PORT". Errors: as above,
 * but NX_ALREADY_EXISTS where the port is in use */
NX_MUST_CHECK enum nx_status nx_listener_open_named(const char *name, struct nx_loop *loop,
                                                    const struct nx_listen_options *options,
                                                    struct nx_listener **listener_out, struct nx_error *err);
/** Accept no more; the sockets that it accepted live on. NULL allowed. */
void nx_listener_close(struct nx_listener *listener);
/** The real one. */
uint16_t nx_listener_port(const struct nx_listener *listener);

/** Hand over the handler, and begin to read. Once. `data` is borrowed until `closed`. */
void nx_socket_start(struct nx_socket *socket, const struct nx_socket_handler *handler, void *data);
/** Back pressure: no `read` until resumed. Both may be called at any time, any number of times. */
void nx_socket_pause(struct nx_socket *socket);
void nx_socket_resume(struct nx_socket *socket);

/** Write all parts; what the kernel does not take at once is copied and waits. All or nothing is taken.
 * Errors:    NX_RESOURCE_EXHAUSTED  more than the maximum would wait: nothing was taken; or no memory: close
 * it NX_UNAVAILABLE         the connection is broken: close it (`ended` need not come) */
NX_MUST_CHECK enum nx_status nx_socket_write(struct nx_socket *socket, const struct nx_str *parts,
                                             size_t part_count, struct nx_error *err);
/** Write the buffer's bytes. On NX_OK the buffer is empty: it kept its memory when the kernel took
 * everything, else its memory was moved into the socket. Errors: as nx_socket_write(), and as nx_buf_check().
 */
NX_MUST_CHECK enum nx_status nx_socket_write_buf(struct nx_socket *socket, struct nx_buf *buf,
                                                 struct nx_error *err);
/** Bytes that wait to be written. */
size_t nx_socket_pending(const struct nx_socket *socket);
/** Bytes that the kernel took since the start: while some wait and this stays, the peer does not read. */
uint64_t nx_socket_written(const struct nx_socket *socket);

/** Close now; what waits is dropped. NULL allowed; a no-op when it is closing. */
void nx_socket_close(struct nx_socket *socket);
/** Close in good order: write what waits, tell the peer the end, drop what it still sends (closing with
 * unread bytes would destroy the last answer under way), and close when it ends too or after
 * NX_SOCKET_FINISH_MS. */
void nx_socket_finish(struct nx_socket *socket);

/** The peer's address and port as text, such as "127.0.0.1:40112" or "[::1]:40112". */
struct nx_str nx_socket_peer(const struct nx_socket *socket, char text_out[NX_SOCKET_PEER_SIZE]);
