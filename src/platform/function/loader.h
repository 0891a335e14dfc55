/* src/platform/function/loader.h: the actor that loads modules: from the object store, through the sandbox.
 *
 * Compiling may take a second, so it happens here, one module at a time, on a thread of its own: calls of
 * other functions go on meanwhile. Nothing is kept here; dispatch keeps what was loaded (modules.h). */
#pragma once

#include "base/error.h"
#include "base/own.h"
#include "codec/digest.h"
#include "io/mailbox.h"
#include "io/random.h"
#include "io/thread.h"
#include "platform/function/guest.h"

enum { NX_LOADER_REQUESTS_MAX = 256, NX_LOAD = 0x330 };

struct nx_load {
    struct nx_message message; /* first; kind NX_LOAD */
    const struct nx_guest_kind *guests;
    struct nx_digest digest;
    uint64_t memory_max;
    /* Answer. NX_INVALID_ARGUMENT: it cannot run here; NX_NOT_FOUND, NX_DATA_LOSS: its bytes are not there.
     */
    struct nx_module *module; /* owned by the message */
    uint64_t size;            /* bytes of the .wasm file */
    enum nx_status status;
    struct nx_error error;
};
NX_MUST_CHECK enum nx_status nx_load_new(const struct nx_guest_kind *guests, const struct nx_digest *digest,
                                         uint64_t memory_max, struct nx_load **load_out,
                                         struct nx_error *err);

struct nx_loader;

/** Ownership: `reads` is borrowed for the loader's life; the caller ends it by nx_loader_close(), after the
 * actor was stopped. Errors: NX_RESOURCE_EXHAUSTED (out of memory) */
NX_MUST_CHECK enum nx_status nx_loader_open(struct nx_mailbox *reads, struct nx_loader **loader_out,
                                            struct nx_error *err);
void nx_loader_close(struct nx_loader *loader); /* NULL allowed */
struct nx_actor nx_loader_actor(struct nx_loader *loader);
struct nx_mailbox *nx_loader_mailbox(struct nx_loader *loader);

NX_DEFINE_AUTO(nx_loader, nx_loader_close)
