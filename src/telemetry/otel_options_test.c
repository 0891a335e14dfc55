/* src/telemetry/otel_options_test.c: the variables mean what OpenTelemetry's specification says they mean. */
#include "telemetry/otel_options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* Name, value, name, value, NULL: the environment. */
static const char *const *environment;

static const char *get(const char *name) {
    for (size_t i = 0; environment[i] != NULL; i += 2) {
        if (nx_str_is(nx_str_from_c(name), environment[i])) {
            return environment[i + 1];
        }
    }
    return NULL;
}

static void read_all(struct nx_otel_options *options_out) {
    assert_int_equal(nx_otel_options_read(get, "1.0", "instance", options_out, NULL), NX_OK);
}

static bool has(const struct nx_buf *buf, const char *text) {
    return nx_str_find(nx_buf_str(buf), nx_str_from_c(text)) != SIZE_MAX;
}

#define SET(...)                          \
    environment = (const char *const[]) { \
        __VA_ARGS__, NULL                 \
    }

static void test_nothing_is_on_without_an_endpoint(void **state) {
    struct nx_otel_options options;
    (void)state;
    SET("OTEL_SERVICE_NAME", "shop", "OTEL_EXPORTER_OTLP_ENDPOINT", "");
    read_all(&options);
    assert_false(options.is_on);
    assert_int_equal(options.warnings.len, 0);
    nx_otel_options_fini(&options);
}

static void test_the_endpoint_for_all_signals_is_a_base(void **state) {
    static const char *const endpoints[][2] = { { "http://c:4318", "/v1/traces" },
                                                { "http://c:4318/", "/v1/traces" },
                                                { "http://c:4318/otlp", "/otlp/v1/traces" } };
    struct nx_otel_options options;
    (void)state;
    for (size_t i = 0; i < sizeof endpoints / sizeof endpoints[0]; i++) {
        SET("OTEL_EXPORTER_OTLP_ENDPOINT", endpoints[i][0]);
        read_all(&options);
        assert_true(options.is_on);
        assert_string_equal(options.endpoint.target, endpoints[i][1]);
        assert_int_equal(options.sampler.sampling, NX_SAMPLE_ALL);
        assert_true(options.sampler.asks_parent);
        nx_otel_options_fini(&options);
    }
    SET("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:1", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://d:2/x");
    read_all(&options);
    assert_string_equal(options.endpoint.host, "d");
    assert_string_equal(options.endpoint.target, "/x");
    nx_otel_options_fini(&options);
}

static void test_headers_and_attributes_are_decoded(void **state) {
    struct nx_otel_options options;
    (void)state;
    SET("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c", "OTEL_EXPORTER_OTLP_HEADERS",
        "api-key=a%20b , x=1,bad name=2,forged=a%0d%0ab", "OTEL_RESOURCE_ATTRIBUTES",
        "service.name=no,team=a%2Cb,=x", "OTEL_SERVICE_NAME", "shop");
    read_all(&options);
    assert_true(nx_str_is(nx_buf_str(&options.headers), "api-key: a b\r\nx: 1\r\n"));
    assert_true(has(&options.resource, "shop"));
    assert_true(has(&options.resource, "a,b"));
    assert_false(has(&options.resource, "no"));
    assert_true(has(&options.warnings, "bad name"));
    assert_false(has(&options.warnings, "a b")); /* a value of a header is a secret */
    nx_otel_options_fini(&options);
}

static void test_samplers_are_those_of_the_specification(void **state) {
    struct nx_otel_options options;
    (void)state;
    SET("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c", "OTEL_TRACES_SAMPLER", "traceidratio",
        "OTEL_TRACES_SAMPLER_ARG", "0.25");
    read_all(&options);
    assert_int_equal(options.sampler.sampling, NX_SAMPLE_PART);
    assert_false(options.sampler.asks_parent);
    assert_true(options.sampler.below == UINT64_C(1) << 61);
    nx_otel_options_fini(&options);
    SET("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c", "OTEL_TRACES_SAMPLER", "parentbased_traceidratio",
        "OTEL_TRACES_SAMPLER_ARG", "2");
    read_all(&options);
    assert_int_equal(options.sampler.sampling, NX_SAMPLE_ALL);
    assert_true(has(&options.warnings, "OTEL_TRACES_SAMPLER_ARG: '2'"));
    nx_otel_options_fini(&options);
    SET("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c", "OTEL_TRACES_SAMPLER", "jaeger_remote");
    read_all(&options);
    assert_int_equal(options.sampler.sampling, NX_SAMPLE_ALL);
    assert_true(has(&options.warnings, "jaeger_remote"));
    nx_otel_options_fini(&options);
}

static void test_numbers_have_defaults_where_they_are_none(void **state) {
    struct nx_otel_options options;
    (void)state;
    SET("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c", "OTEL_EXPORTER_OTLP_TIMEOUT", "250",
        "OTEL_BSP_MAX_QUEUE_SIZE", "many", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "7");
    read_all(&options);
    assert_int_equal(options.timeout_ms, 250);
    assert_int_equal(options.queue_size, NX_OTEL_QUEUE_SIZE);
    assert_int_equal(options.batch_size, 7);
    assert_true(has(&options.warnings, "OTEL_BSP_MAX_QUEUE_SIZE: 'many'"));
    nx_otel_options_fini(&options);
}

static void test_off_is_off(void **state) {
    struct nx_otel_options options;
    (void)state;
    SET("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c", "OTEL_SDK_DISABLED", "TRUE");
    read_all(&options);
    assert_false(options.is_on);
    nx_otel_options_fini(&options);
    SET("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c", "OTEL_TRACES_EXPORTER", "none");
    read_all(&options);
    assert_false(options.is_on);
    nx_otel_options_fini(&options);
}

static void test_files_for_https_are_named(void **state) {
    struct nx_otel_options options;
    (void)state;
    SET("OTEL_EXPORTER_OTLP_ENDPOINT", "https://c", "OTEL_EXPORTER_OTLP_CERTIFICATE", "/all.pem",
        "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", " /ca.pem ", "OTEL_EXPORTER_OTLP_CLIENT_KEY", "me.key");
    read_all(&options);
    assert_true(options.is_on);
    assert_true(options.endpoint.is_https);
    assert_int_equal(options.endpoint.port, 443);
    assert_string_equal(nx_otel_options_file(&options, NX_OTEL_AUTHORITIES), "/ca.pem");
    assert_string_equal(nx_otel_options_file(&options, NX_OTEL_CLIENT_KEY), "me.key");
    assert_null(nx_otel_options_file(&options, NX_OTEL_CLIENT_CERTIFICATE));
    nx_otel_options_fini(&options);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_on_without_an_endpoint),
        cmocka_unit_test(test_the_endpoint_for_all_signals_is_a_base),
        cmocka_unit_test(test_headers_and_attributes_are_decoded),
        cmocka_unit_test(test_samplers_are_those_of_the_specification),
        cmocka_unit_test(test_numbers_have_defaults_where_they_are_none),
        cmocka_unit_test(test_off_is_off),
        cmocka_unit_test(test_files_for_https_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
