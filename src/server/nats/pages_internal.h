/* src/server/nats/pages_internal.h: one page a function; pages.c finds it. */
#pragma once

#include "codec/json.h"
#include "server/http/query.h"
#include "server/nats/pages.h"

/* What each page begins with: server_id, now. */
void nx_nats_page_begin(const struct nx_nats_pages *pages, struct nx_json_writer *json);
/** mem, cores, cpu. */
void nx_nats_page_members_process(struct nx_nats_pages *pages, struct nx_json_writer *json);
void nx_nats_page_member_time(struct nx_json_writer *json, const char *key, int64_t wall_ns);
/** As Go reads them: 1, true, t, 0, false, f; `*value_inout` stays as it is when it was not given. */
NX_MUST_CHECK enum nx_status nx_nats_page_flag(const struct nx_http_query *query, const char *name,
                                               bool *value_inout, struct nx_error *err);
/** `limit` and `offset`; nats-server's defaults. */
NX_MUST_CHECK enum nx_status nx_nats_page_window(const struct nx_http_query *query, uint64_t *offset_out,
                                                 uint64_t *limit_out, struct nx_error *err);

NX_MUST_CHECK enum nx_status nx_nats_page_connz(struct nx_nats_pages *pages,
                                                const struct nx_http_query *query,
                                                struct nx_json_writer *json, struct nx_error *err);
NX_MUST_CHECK enum nx_status nx_nats_page_subsz(struct nx_nats_pages *pages,
                                                const struct nx_http_query *query,
                                                struct nx_json_writer *json, struct nx_error *err);
