/* src/server/http/status.c: is it alive, does it take events, what does it count, what does it offer. */
#include "server/http/services.h"

#include "server/http/openapi.h"

enum { METRICS_SIZE_MAX = 16 * 1024 * 1024 };

void nx_http_get_healthz(struct nx_http_services *services, struct nx_http_exchange *exchange,
                         const struct nx_http_request *request, struct nx_str parameter) {
    (void)services;
    (void)request;
    (void)parameter;
    nx_http_respond(exchange, &(struct nx_http_response){ .status = 200,
                                                          .content_type = NX_STR("application/json"),
                                                          .body = NX_STR("{\"status\":\"ok\"}\n") });
}

void nx_http_get_readyz(struct nx_http_services *services, struct nx_http_exchange *exchange,
                        const struct nx_http_request *request, struct nx_str parameter) {
    struct nx_error err = { 0 };
    (void)request;
    (void)parameter;
    if (!nx_fabric_is_writable(services->fabric, &err) || !nx_fabric_keeps_keys(services->fabric, &err)) {
        /* Whatever an append would be answered (507, …): not ready is 503. */
        nx_http_respond_error_as(exchange, 503, &err, NX_STR_EMPTY);
        return;
    }
    nx_http_respond(exchange, &(struct nx_http_response){ .status = 200,
                                                          .content_type = NX_STR("application/json"),
                                                          .body = NX_STR("{\"status\":\"ready\"}\n") });
}

void nx_http_get_metrics(struct nx_http_services *services, struct nx_http_exchange *exchange,
                         const struct nx_http_request *request, struct nx_str parameter) {
    NX_AUTO(nx_buf) body;
    struct nx_error err = { 0 };
    (void)request;
    (void)parameter;
    nx_buf_init(&body, METRICS_SIZE_MAX);
    if (services->metrics != NULL) {
        nx_metrics_write(services->metrics, &body);
    }
    if (nx_buf_check(&body, &err) != NX_OK) {
        nx_http_respond_error(exchange, &err, NX_STR_EMPTY);
        return;
    }
    nx_http_respond(exchange, &(struct nx_http_response){ .status = 200,
                                                          .content_type = NX_STR("text/plain; version=0.0.4"),
                                                          .body = nx_buf_str(&body) });
}

void nx_http_get_openapi(struct nx_http_services *services, struct nx_http_exchange *exchange,
                         const struct nx_http_request *request, struct nx_str parameter) {
    NX_AUTO(nx_openapi) *openapi = NULL;
    struct nx_error err = { 0 };
    (void)services;
    (void)request;
    (void)parameter;
    /* Made each time: it is asked for seldom, and would take memory for ever. */
    if (nx_openapi_new(&openapi, &err) != NX_OK) {
        nx_http_respond_error(exchange, &err, NX_STR_EMPTY);
        return;
    }
    nx_http_respond(exchange, &(struct nx_http_response){ .status = 200,
                                                          .content_type = NX_STR("application/json"),
                                                          .body = nx_openapi_json(openapi) });
}
