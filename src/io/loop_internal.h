/* src/io/loop_internal.h: what io/socket needs to know of a loop. */
#pragma once

#include "base/list.h"
#include "io/loop.h"

/* Something open on the loop: closed with it when nobody did before. */
struct nx_loop_guest {
    struct nx_list_node node;
    void (*close)(struct nx_loop_guest *guest); /* begins to close; the guest leaves before it is gone */
};

void nx_loop_enter(struct nx_loop *loop, struct nx_loop_guest *guest);
void nx_loop_leave(struct nx_loop *loop, struct nx_loop_guest *guest);
/** The library's own loop, whose type no header names. */
void *nx_loop_engine(struct nx_loop *loop);
/** NX_LOOP_READ_SIZE bytes that every read of the loop uses in turn. */
char *nx_loop_read_buffer(struct nx_loop *loop);
