/* src/platform/function/function.h: what nexus.yaml says of a function. Immutable once made; shared by
 * reference.
 *
 * app/config fills it from the file, dispatch and the HTTP server read it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "codec/event_filter.h"

enum {
    NX_FUNCTION_TRIGGERS_MAX = 32,
    NX_FUNCTION_ENV_MAX = 128,
    NX_CORS_ORIGINS_MAX = 16,
    NX_PERSON_RULES_MAX = 64,
    NX_FUNCTION_NAME_SIZE_MAX = 64, /* bytes; [a-z0-9]([a-z0-9-]*[a-z0-9])? */
};

enum nx_trigger_kind { NX_TRIGGER_HTTP, NX_TRIGGER_EVENT, NX_TRIGGER_NATS };

/* Request headers that hold somebody's credentials: they stay out of the log unless a trigger keeps them. */
enum nx_credential { NX_AUTHORIZATION, NX_COOKIE, NX_PROXY_AUTHORIZATION, NX_CREDENTIAL_COUNT };
/** The header's name in lower case; static storage. */
static inline const char *nx_credential_name(enum nx_credential credential) {
    static const char *const names[] = { "authorization", "cookie", "proxy-authorization" };
    return names[credential];
}
/** Which one the header of this name, in any case, is; NX_CREDENTIAL_COUNT: none. */
static inline enum nx_credential nx_credential_find(struct nx_str name) {
    unsigned i = 0;
    while (i < NX_CREDENTIAL_COUNT &&
           !nx_str_equal_ignore_case(name, nx_str_from_c(nx_credential_name((enum nx_credential)i)))) {
        i++;
    }
    return (enum nx_credential)i;
}

/* What a request on a trigger's path, or to its NATS subject, is answered. */
enum nx_respond {
    NX_RESPOND_PUBLISHED, /* 202, or a PubAck, when its event is on disk */
    NX_RESPOND_EARLY,     /* the function's answer, as soon as there is one */
    NX_RESPOND_RESULT,    /* the function's answer, when the record of its call is on disk */
};

/* Which web pages of other sites may use a function's paths, and how (the Fetch standard's CORS protocol). */
struct nx_cors {
    struct nx_str origins[NX_CORS_ORIGINS_MAX]; /* such as "https://app.example.com" */
    size_t origin_count;
    bool any_origin;       /* "*" */
    bool credentials;      /* cookies and the like may be sent */
    struct nx_str headers; /* that a request may have beyond the simple ones, joined by ", " */
    struct nx_str expose;  /* of an answer that a page may read beyond ours, joined by ", " */
    int64_t max_age_ns;    /* how long a browser may remember the answer to its question */
};

struct nx_trigger {
    enum nx_trigger_kind kind;
    struct nx_str method;  /* HTTP: upper case */
    struct nx_str path;    /* HTTP: absolute */
    struct nx_str subject; /* NATS: a filter */
    struct nx_str queue;   /* NATS: the group of which the function is one member; empty: none */
    /* The CloudEvents type that fires it. For an HTTP path under /events/ the type which that path stores;
     * for other paths "http.<function>"; for NATS "nats.<function>". */
    struct nx_str event_type;
    const struct nx_event_filter *filter; /* of these events only; NULL: all */
    enum nx_respond respond;              /* HTTP, NATS */
    const struct nx_cors *cors;           /* HTTP: NULL: pages of other sites may not */
    int64_t wait_ns;                      /* HTTP, NATS: how long a request waits for the function's answer */
    unsigned kept_credentials; /* HTTP: bits 1 << enum nx_credential: headers that go into the event too */
};

/** "published", "early", "result": as in nexus.yaml; static storage. */
static inline const char *nx_respond_name(enum nx_respond respond) {
    static const char *const names[] = { "published", "early", "result" };
    return names[respond];
}
/** The function whose own path an HTTP trigger is; empty for paths under /events/, which are nobody's. */
static inline struct nx_str nx_trigger_function(const struct nx_trigger *trigger) {
    const struct nx_str prefix = NX_STR("http.");
    return nx_str_starts_with(trigger->path, NX_STR("/events/")) ||
                   !nx_str_starts_with(trigger->event_type, prefix)
               ? NX_STR_EMPTY
               : nx_str_slice(trigger->event_type, prefix.len, trigger->event_type.len);
}

struct nx_env_entry {
    struct nx_str name;
    struct nx_str value;
    struct nx_str from_env; /* the variable of the server's own environment that it is; empty: none */
    bool is_missing;        /* which is not set, and there is no default */
};

struct nx_retry_policy {
    uint32_t attempts_max; /* the first one included */
    int64_t backoff_ns;    /* before the second attempt; doubles each time */
    int64_t backoff_max_ns;
    double jitter; /* 0..1: the wait is multiplied by 1 - jitter .. 1 + jitter */
};

enum nx_function_from_kind { NX_FROM_NEW, NX_FROM_ALL, NX_FROM_TIME, NX_FROM_SEQUENCE };

/* Events of these types are about the person whom a path names, unless they name one themselves. */
struct nx_person_rule {
    struct nx_str subjects; /* a filter such as "events.user.*" */
    struct nx_str path;     /* such as "data.user_id" */
};

struct nx_function {
    struct nx_str name;
    struct nx_trigger triggers[NX_FUNCTION_TRIGGERS_MAX];
    size_t trigger_count;
    struct nx_str code_path;     /* of the .wasm file, relative to the project's folder */
    struct nx_str build_command; /* empty: none */
    int64_t timeout_ns;
    uint64_t memory_max; /* bytes */
    struct nx_env_entry env[NX_FUNCTION_ENV_MAX];
    size_t env_count;
    struct nx_retry_policy retry;
    struct nx_str order_key;  /* such as "data.user_id"; empty: no order */
    uint32_t concurrency_max; /* calls of this function at once */
    enum nx_function_from_kind from;
    int64_t from_time_ns;
    uint64_t from_sequence;
    bool input_is_data;    /* standard input holds the data alone, not the whole CloudEvent */
    bool values_are_about; /* what a call stores under a key is about the person of its event, and sealed */
};
