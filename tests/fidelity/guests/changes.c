/* A function, and with -DCHANGE=1 and up the same with one change of behaviour each; test_compare.py names
 * them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "nexus.h"

#ifndef CHANGE
#define CHANGE 0
#endif
#define IS(number) (CHANGE == (number))

static char event[64 * 1024];
static volatile unsigned sink;
static char *volatile kept;

static void spin(unsigned rounds) {
    for (unsigned i = 0; i < rounds; i++) {
        sink += i;
    }
}

static void nap(long ns) {
    const struct timespec time = { .tv_nsec = ns };
    nanosleep(&time, NULL);
}

static unsigned read_key(const char *key) {
    unsigned value = 0;
    size_t len;
    return nexus_kv_get(key, &value, sizeof value, &len) == NEXUS_OK ? value : 0;
}

int main(void) {
    unsigned char bytes[4];
    char text[256];
    const size_t size = fread(event, 1, sizeof event - 1, stdin);
    event[size] = '\0';
    const int number = atoi(strstr(event, "\"n\":") + 4);
    if (IS(1) && number % 2 == 1) {
        return 1;
    }
    if (IS(2) && number == 3) {
        abort();
    }
    if (IS(3)) {
        exit(7);
    }
    if (number % 5 == 4 && !IS(4)) {
        nexus_log(NEXUS_ERROR, "fives are refused");
        return IS(5) ? 3 : 2;
    }
    if (IS(6)) {
        printf("{\"n\":%d,", number);
    }
    const unsigned first = IS(7) ? read_key("second") : read_key("first");
    if (IS(8)) {
        (void)nexus_now();
    }
    const long long now = IS(9) ? 0 : nexus_now();
    const unsigned second = IS(7) ? read_key("first") : read_key("second");
    if (IS(10)) {
        (void)read_key("third");
    }
    if (!IS(11)) {
        nap(IS(12) ? 2000000 : 1000000);
    }
    if (IS(13)) {
        nap(1000000);
    }
    nexus_random(bytes, sizeof bytes);
    if (IS(14)) {
        nexus_random(bytes, sizeof bytes);
    }
    spin(IS(15) ? 20000 : IS(16) ? 1000 : 10000);
    if (IS(17)) {
        kept = malloc(4 << 20);
        memset(kept, 1, 4 << 20);
    }
    if (!IS(18)) {
        nexus_log(IS(19) ? NEXUS_WARN : NEXUS_INFO, IS(20) ? "worked" : "works");
    }
    if (IS(21)) {
        nexus_log(NEXUS_INFO, "and once more");
    }
    if (IS(22)) {
        nexus_log_fields(NEXUS_INFO, "with", "{\"a\":1}");
    }
    int len = snprintf(text, sizeof text, "{\"n\":%d}", IS(23) ? number + 1 : number);
    if (!IS(24)) {
        nexus_publish(IS(25) ? "change.finished" : "change.done", text, (size_t)len);
    }
    if (IS(26)) {
        nexus_publish("change.done", text, (size_t)len);
    }
    if (!IS(27)) {
        const unsigned next = first + (IS(28) ? 2 : 1);
        nexus_kv_set(IS(29) ? "fist" : "first", &next, sizeof next);
    }
    const unsigned after = second + 3;
    if (IS(30)) {
        nexus_kv_delete("second");
    } else {
        nexus_kv_set("second", &after, sizeof after);
    }
    if (IS(31)) {
        const unsigned extra = 1;
        nexus_kv_set("extra", &extra, sizeof extra);
    }
    if (IS(32) && number == 7) {
        for (;;) {
            spin(1);
        }
    }
    if (IS(33) && number == 7) {
        kept = malloc(512 << 20); /* more than it may have */
    }
    if (!IS(6)) {
        printf(IS(34) ? "{\"n\": %d," : "{\"n\":%d,", number);
    }
    printf("\"first\":%u,\"second\":%u,\"at\":%lld,\"random\":%u%s}\n", first, second, now,
           (unsigned)bytes[0], IS(35) ? ",\"new\":true" : "");
    return 0;
}
