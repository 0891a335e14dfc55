/* src/io/service_test.c: the service manager hears what is said, where there is one. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "io/service.h"

static int listen_at(const char *path, size_t name_size) {
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    memcpy(address.sun_path, path, name_size);
    const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + name_size)),
                     0);
    return fd;
}

static void test_says_the_state_to_the_socket_named(void **state) {
    char path[] = "/tmp/nexus-service-XXXXXX";
    char said[64];
    (void)state;
    assert_non_null(mkdtemp(path));
    char name[64];
    (void)snprintf(name, sizeof name, "%s/notify", path);
    const int fd = listen_at(name, strlen(name));

    assert_int_equal(setenv("NOTIFY_SOCKET", name, 1), 0);
    nx_service_notify("READY=1");
    const ssize_t size = recv(fd, said, sizeof said, 0);
    assert_int_equal(size, 7);
    assert_memory_equal(said, "READY=1", 7);
    (void)close(fd);
    (void)unlink(name);
    (void)rmdir(path);
}

static void test_knows_abstract_names(void **state) {
    char name[64];
    char said[64];
    (void)state;
    const int size = snprintf(name, sizeof name, "@nexus-service-test-%d", (int)getpid());
    name[0] = '\0';
    const int fd = listen_at(name, (size_t)size);
    name[0] = '@';
    assert_int_equal(setenv("NOTIFY_SOCKET", name, 1), 0);
    nx_service_notify("STOPPING=1");
    assert_int_equal(recv(fd, said, sizeof said, 0), 10);
    (void)close(fd);
}

static void test_says_nothing_where_nobody_listens(void **state) {
    char too_long[256];
    (void)state;
    assert_int_equal(unsetenv("NOTIFY_SOCKET"), 0);
    nx_service_notify("READY=1");
    assert_int_equal(setenv("NOTIFY_SOCKET", "/nonexistent/notify", 1), 0);
    nx_service_notify("READY=1");
    memset(too_long, 'a', sizeof too_long);
    too_long[0] = '/';
    too_long[sizeof too_long - 1] = '\0';
    assert_int_equal(setenv("NOTIFY_SOCKET", too_long, 1), 0);
    nx_service_notify("READY=1");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_says_the_state_to_the_socket_named),
        cmocka_unit_test(test_knows_abstract_names),
        cmocka_unit_test(test_says_nothing_where_nobody_listens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
