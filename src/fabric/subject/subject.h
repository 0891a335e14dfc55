/* src/fabric/subject/subject.h: the names records are filed under, as in NATS.
 *
 * A subject is tokens joined by dots, none empty, without spaces, control bytes and wildcards. In a filter
 * the token `*` stands for any one token and a last token `>` for one or more. Pure functions. */
#pragma once

#include <stdbool.h>

#include "base/error.h"
#include "base/str.h"

/** True when it can be a record's subject: 1 to NX_SUBJECT_SIZE_MAX bytes. */
bool nx_subject_is_valid(struct nx_str subject);
/** True when it can be a filter; every subject is one. */
bool nx_subject_is_filter(struct nx_str filter);
/** True when the filter contains a wildcard. */
bool nx_subject_has_wildcard(struct nx_str filter);
/** True when a valid filter covers a valid subject. */
bool nx_subject_matches(struct nx_str filter, struct nx_str subject);
/** True when every subject that the valid filter `other` covers is covered by the valid filter, too. */
bool nx_subject_covers(struct nx_str filter, struct nx_str other);
/** True when some subject is covered by both valid filters. */
bool nx_subject_overlaps(struct nx_str a, struct nx_str b);
/** True for the streams of JetStream: JS_…, JSM_…, JSC_…, which are defined while the log is open. What
 * stands in them came from outside: no header in it is ours. */
bool nx_stream_name_is_jetstream(struct nx_str name);
/** True when it can name a stream: 1 to NX_STREAM_NAME_SIZE_MAX bytes of [A-Za-z0-9_-]. */
bool nx_stream_name_is_valid(struct nx_str name);
