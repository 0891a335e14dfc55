/* tests/fidelity/guests/loop.c: never ends; its deadline cuts it in the middle of writing its progress. */
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

int main(void) {
    volatile uint64_t count = 0;
    char line[32];
    for (;;) {
        count++;
        if (count % 100003 == 0) {
            const int len = snprintf(line, sizeof line, "%llu\n", (unsigned long long)count);
            (void)!write(1, line, (size_t)len);
        }
    }
}
