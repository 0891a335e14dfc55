/* Looks for what another call left in its memory, then leaves as much there itself: "all" over every page,
 * "few" over some. SIZE bytes are data that the module brings, as many are zeros, as many are asked for. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE = 4096, WASM_PAGE = 65536 };

static volatile char data[SIZE] = { [0] = 1, [SIZE / 2] = 2, [SIZE - 1] = 3 };
static volatile char zeros[SIZE];

static void look(const char *where, const volatile char *bytes, int is_data) {
    for (int i = 0; i < SIZE; i++) {
        const int expected = !is_data ? 0 : i == 0 ? 1 : i == SIZE / 2 ? 2 : i == SIZE - 1 ? 3 : 0;
        if (bytes[i] != expected) {
            printf("%s: byte %d is %d", where, i, bytes[i]);
            exit(0);
        }
    }
}

static void leave(volatile char *bytes, int step) {
    for (int i = 0; i < SIZE; i += step) {
        bytes[i] = 'x';
    }
}

int main(void) {
    char what[4] = "";
    (void)!fread(what, 1, 3, stdin);
    const int step = strcmp(what, "all") == 0 ? 64 : 5 * PAGE + 1;
    volatile char *grown =
        (char *)(__builtin_wasm_memory_grow(0, (SIZE + WASM_PAGE - 1) / WASM_PAGE) * WASM_PAGE);
    look("data", data, 1);
    look("zeros", zeros, 0);
    look("grown", grown, 0);
    leave(data, step);
    leave(zeros, step);
    leave(grown, step);
    printf("clean");
    return 0;
}
