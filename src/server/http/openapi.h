/* src/server/http/openapi.h: spec/openapi.yaml, as this server tells it. Threads: any. */
#pragma once

#include "base/error.h"
#include "base/own.h"
#include "base/str.h"

/* The file itself, put into the program by the build. */
extern const struct nx_str nx_openapi_yaml;

struct nx_openapi;

/** Turn the description that is built into the program into JSON.
 * Ownership: the caller ends it by nx_openapi_free().
 * Errors:    NX_INVALID_ARGUMENT    the file is no YAML: our own mistake, which a test finds
 *            NX_RESOURCE_EXHAUSTED  out of memory */
NX_MUST_CHECK enum nx_status nx_openapi_new(struct nx_openapi **openapi_out, struct nx_error *err);
void nx_openapi_free(struct nx_openapi *openapi); /* NULL allowed */
/** The JSON, borrowed from it. */
struct nx_str nx_openapi_json(const struct nx_openapi *openapi);

NX_DEFINE_AUTO(nx_openapi, nx_openapi_free)
