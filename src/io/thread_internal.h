/* src/io/thread_internal.h: how io/thread and io/loop make a thread. */
#pragma once

#include <pthread.h>

#include "base/error.h"

/** Start a thread with all signals blocked: they go to the main thread only. Ended by pthread_join().
 * `name` is static storage. Errors: NX_RESOURCE_EXHAUSTED */
NX_MUST_CHECK enum nx_status nx_thread_spawn(const char *name, void *(*run)(void *data), void *data,
                                             pthread_t *handle_out, struct nx_error *err);
