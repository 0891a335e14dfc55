/* Does the one thing that standard input names. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "nexus.h"

static volatile unsigned long long counter;
static void *volatile keep;

static void loop(void) {
    for (;;) {
        counter = counter * 6364136223846793005ull + 1;
    }
}

static void bomb(void) {
    for (;;) {
        char *bytes = malloc(1 << 20);
        if (bytes == NULL) {
            (void)write(1, "no more", 7);
            exit(0); /* as if nothing had been: the host must notice */
        }
        bytes[0] = 1;
        keep = bytes;
    }
}

/* One instruction for each 8 MiB. */
static void fill(void) {
    for (;;) {
        char *bytes = keep == NULL ? malloc(8 << 20) : keep;
        keep = bytes;
        __builtin_memset(bytes, (int)counter++, 8 << 20);
    }
}

__attribute__((noinline)) static int recurse(int depth) {
    volatile char frame[64];
    frame[depth & 63] = (char)depth;
    return depth == (int)counter - 1 ? 0 : recurse(depth + 1) + frame[0];
}

__attribute__((noinline)) static int recurse_without_frame(int depth) {
    return depth == (int)counter ? 0 : 1 + recurse_without_frame(depth + 1) * (depth | 1);
}

static void flood(int fd) {
    static char bytes[4096];
    memset(bytes, 'x', sizeof bytes);
    for (;;) {
        (void)write(fd, bytes, sizeof bytes);
    }
}

static void flood_lines(void) {
    for (;;) {
        (void)write(2, "\n", 1);
    }
}

static void call_flood(void) {
    struct timespec now;
    for (;;) {
        (void)clock_getres(CLOCK_REALTIME, &now);
    }
}

static void publish_flood(void) {
    for (;;) {
        (void)nexus_publish("x", "1", 1);
    }
}

static void clock_flood(void) {
    struct timespec now;
    for (;;) {
        (void)clock_gettime(CLOCK_REALTIME, &now);
    }
}

static void short_naps(void) {
    for (int i = 0; i < 5; i++) {
        struct timespec now;
        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        (void)printf("%lld.%09ld\n", (long long)now.tv_sec, now.tv_nsec);
        (void)usleep(300);
    }
}

static void environment(void) {
    extern char **environ;
    for (char **entry = environ; *entry != NULL; entry++) {
        (void)printf("%s\n", *entry);
    }
}

static void dice(void) {
    unsigned char bytes[100];
    (void)getentropy(bytes, sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++) {
        (void)printf("%02x", bytes[i]);
    }
}

int main(void) {
    char word[32] = { 0 };
    (void)read(0, word, sizeof word - 1);
    (void)fprintf(stderr, "doing %s\nand no line feed", word);
    const struct {
        const char *name;
        void (*run)(void);
    } plain[] = { { "loop", loop },
                  { "bomb", bomb },
                  { "lines", flood_lines },
                  { "calls", call_flood },
                  { "dice", dice },
                  { "naps", short_naps },
                  { "publish", publish_flood },
                  { "clock", clock_flood },
                  { "environment", environment },
                  { "abort", abort },
                  { "fill", fill } };
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++) {
        if (strcmp(word, plain[i].name) == 0) {
            plain[i].run();
        }
    }
    if (strcmp(word, "recursion") == 0) {
        return recurse(0);
    }
    if (strcmp(word, "recursion2") == 0) {
        return recurse_without_frame(1);
    }
    if (strcmp(word, "output") == 0) {
        flood(1);
    }
    if (strcmp(word, "log") == 0) {
        flood(2);
    }
    if (strcmp(word, "sleep") == 0) {
        (void)sleep(3600);
    }
    if (strcmp(word, "exit") == 0) {
        return 42;
    }
    if (strcmp(word, "bounds") == 0) {
        return *(volatile char *)(uintptr_t)0xfffffff0u;
    }
    if (strcmp(word, "divide") == 0) {
        return 7 / (int)counter;
    }
    return 0;
}
