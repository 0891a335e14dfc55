/* src/app/fixture.h: a call as a file of the project: its event, the world that it saw, and what it must do.
 * The form is spec/fixture.md: JSON, made by nexus test --from, edited by hand. One owner. */
#pragma once

#include <stdbool.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/own.h"
#include "codec/cloudevents.h"
#include "codec/json.h"
#include "codec/tape_format.h"
#include "platform/function/function.h"
#include "platform/function/replay.h"
#include "sandbox/host/host.h"

enum { NX_FIXTURE_VERSION = 1, NX_FIXTURE_SIZE_MAX = 8 * 1024 * 1024 };

/* What is compared, each as lines of text. */
#define NX_FIXTURE_PART_TABLE(X)         \
    X(NX_FIXTURE_OUTCOME, "outcome")     \
    X(NX_FIXTURE_OUTPUT, "output")       \
    X(NX_FIXTURE_LOG, "log")             \
    X(NX_FIXTURE_PUBLISHED, "published") \
    X(NX_FIXTURE_STORED, "stored")       \
    X(NX_FIXTURE_RESPONSE, "response")
#define NX_FIXTURE_PART_MEMBER(part, name) part,
enum nx_fixture_part { NX_FIXTURE_PART_TABLE(NX_FIXTURE_PART_MEMBER) NX_FIXTURE_PART_COUNT };
#undef NX_FIXTURE_PART_MEMBER
/** "outcome", …; static storage. */
const char *nx_fixture_part_name(enum nx_fixture_part part);

struct nx_fixture_parts {
    struct nx_buf text[NX_FIXTURE_PART_COUNT];
    bool has[NX_FIXTURE_PART_COUNT]; /* false: nothing is expected of it */
};
void nx_fixture_parts_init(struct nx_fixture_parts *parts);
void nx_fixture_parts_fini(struct nx_fixture_parts *parts);

struct nx_fixture {
    struct nx_arena arena;
    struct nx_json_doc *doc;
    struct nx_str text; /* of the file, in the arena, as everything below */
    struct nx_str function;
    struct nx_cloudevent event;
    const struct nx_json_value *world;
    const struct nx_json_value *expect;
};

/** Read a fixture. Ownership: the caller ends it by nx_fixture_fini(); zero it first. `text` is copied.
 * Errors: NX_INVALID_ARGUMENT  it is none; the message says where it is wrong */
NX_MUST_CHECK enum nx_status nx_fixture_parse(struct nx_str text, struct nx_fixture *fixture,
                                              struct nx_error *err);
void nx_fixture_fini(struct nx_fixture *fixture);
/** Append the tape that answers as the fixture's world does, in the environment of `function`.
 * Errors: NX_INVALID_ARGUMENT  the world is wrong; the message says where */
NX_MUST_CHECK enum nx_status nx_fixture_to_tape(const struct nx_fixture *fixture,
                                                const struct nx_function *function, struct nx_buf *out,
                                                struct nx_error *err);
/** What it expects. `parts` is initialised. Errors: NX_INVALID_ARGUMENT */
NX_MUST_CHECK enum nx_status nx_fixture_expected(const struct nx_fixture *fixture,
                                                 struct nx_fixture_parts *parts, struct nx_error *err);
/** What a call did, in the same form. */
void nx_fixture_actual(const struct nx_call_result *result, struct nx_fixture_parts *parts);

/** Append a fixture of a recorded call that was just replayed exactly. `function` is what nexus.yaml says of
 * it, or NULL. Errors: NX_DATA_LOSS  the event cannot be read */
NX_MUST_CHECK enum nx_status nx_fixture_write(const struct nx_check_subject *subject,
                                              const struct nx_call_result *result,
                                              const struct nx_function *function, struct nx_buf *out,
                                              struct nx_error *err);
/** Append the fixture's text with what the call did in place of what was expected. */
void nx_fixture_update(const struct nx_fixture *fixture, const struct nx_call_result *result,
                       struct nx_buf *out);

NX_DEFINE_AUTO_IN_PLACE(nx_fixture, nx_fixture_fini)
NX_DEFINE_AUTO_IN_PLACE(nx_fixture_parts, nx_fixture_parts_fini)
