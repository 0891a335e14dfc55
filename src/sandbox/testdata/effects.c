/* Uses everything that the module "nexus" offers. */
#include <stdio.h>
#include <stdlib.h>

#include "nexus.h"

static void expect(int is, int wanted, const char *what) {
    if (is != wanted) {
        (void)printf("%s: %d, not %d\n", what, is, wanted);
        exit(1);
    }
}

int main(void) {
    char value[16];
    size_t len = 0;
    unsigned char bytes[4];

    expect(nexus_log_fields(NEXUS_WARN, "low on sugar", "{\"spoons\":2}"), NEXUS_OK, "log");
    expect(nexus_kv_get("count", value, sizeof value, &len), NEXUS_OK, "first get");
    (void)printf("count was %.*s\n", (int)len, value);
    expect(nexus_kv_get("count", value, 1, &len), NEXUS_TOO_SMALL, "get into one byte");
    expect((int)len, 2, "length of what did not fit");
    expect(nexus_kv_get("nothing", value, sizeof value, &len), NEXUS_NOT_FOUND, "get of nothing");
    expect(nexus_kv_set("count", "8", 1), NEXUS_OK, "set");
    expect(nexus_kv_set("count", "9", 1), NEXUS_OK, "set again");
    expect(nexus_kv_get("count", value, sizeof value, &len), NEXUS_OK, "get of own write");
    expect(value[0], '9', "own write");
    expect(nexus_kv_delete("old"), NEXUS_OK, "delete");
    expect(nexus_kv_get("old", value, sizeof value, &len), NEXUS_NOT_FOUND, "get of own delete");
    expect(nexus_kv_set("", "x", 1), NEXUS_INVALID, "set of no key");
    expect(nexus_publish("user.welcomed", "{\"user_id\":\"u42\"}", 17), NEXUS_OK, "publish");
    expect(nexus_publish_as("note", "text/plain", "hello", 5), NEXUS_OK, "publish as text");
    expect(nexus_publish("", "1", 1), NEXUS_INVALID, "publish of no type");
    expect(nexus_publish_raw("x", 1, "", 0, (void *)0xfffffff0u, 64), NEXUS_FAULT, "publish from nowhere");
    expect(nexus_respond(99, ""), NEXUS_INVALID, "respond with no status");
    expect(nexus_respond(200, "Content-Length: 3"), NEXUS_INVALID, "respond with the server's header");
    expect(nexus_respond(200, "X-A: \1"), NEXUS_INVALID, "respond with a control character");
    expect(nexus_respond(200, "no header"), NEXUS_INVALID, "respond with no header");
    expect(nexus_respond(500, ""), NEXUS_OK, "respond");
    expect(nexus_respond(201, "location: /users/1\r\nX-A:b  \n"), NEXUS_OK, "respond again");
    expect(nexus_random(bytes, sizeof bytes), NEXUS_OK, "random");
    (void)printf("%lld %02x%02x\n", (long long)nexus_now(), bytes[0], bytes[3]);
    return 0;
}
