/* src/io/mailbox_internal.h: how a receiver sleeps until a message comes, shared by io/mailbox, io/thread and
 * io/loop.
 *
 * A doze is one word: awake, asleep, or called (somebody sent something since the receiver last looked). The
 * receiver looks into its mailboxes between nx_doze_rise() and nx_doze_try(): a message that comes after the
 * look changes the word, and the receiver does not fall asleep. A sender pays a system call only when the
 * receiver really sleeps. It does not spin before it sleeps: on two cores that was tried (bench/hops_bench.c,
 * with 100 and 500 pauses) and doubled to sixfolded both the time and the CPU of a round trip. Lives as long
 * as its last reference, so a late sender never touches freed memory.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "io/mailbox.h"

struct nx_doze;

/** Ownership: the caller ends its reference with nx_doze_unref(). Errors: NX_RESOURCE_EXHAUSTED */
NX_MUST_CHECK enum nx_status nx_doze_new(struct nx_doze **doze_out, struct nx_error *err);
struct nx_doze *nx_doze_ref(struct nx_doze *doze);
void nx_doze_unref(struct nx_doze *doze);

/** Receiver: awake, and about to look into its mailboxes. */
void nx_doze_rise(struct nx_doze *doze);
/** Receiver: fall asleep unless somebody called since nx_doze_rise(). True: asleep; whoever calls next gets
 * true from nx_doze_call() and must wake the receiver by its own means. */
bool nx_doze_try(struct nx_doze *doze);
/** Sender, any thread: true when the receiver was asleep and must be woken now. */
bool nx_doze_call(struct nx_doze *doze);
/** As nx_doze_call(), and wakes a receiver that sleeps in nx_doze_sleep(). */
void nx_doze_wake(struct nx_doze *doze);
/** Receiver: sleep until called or until the monotonic time; INT64_MAX is for ever. May return early. */
void nx_doze_sleep(struct nx_doze *doze, int64_t until_monotonic_ns);

/** Any thread: tell the receiver to stop, and then wake it. */
void nx_doze_stop(struct nx_doze *doze);
/** Receiver: whether it was told to stop. */
bool nx_doze_is_stopped(const struct nx_doze *doze);
/** Receiver: it has stopped, and may be started again. */
void nx_doze_restart(struct nx_doze *doze);

/** Wake the mailbox's receiver by `doze` (which the mailbox then holds a reference to). */
void nx_mailbox_set_doze(struct nx_mailbox *mailbox, struct nx_doze *doze);
/** Receiver: whether nx_mailbox_take() would give something. */
bool nx_mailbox_has_messages(const struct nx_mailbox *mailbox);
