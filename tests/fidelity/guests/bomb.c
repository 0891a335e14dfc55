/* tests/fidelity/guests/bomb.c: takes memory until there is none, then fails. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *volatile newest; /* each block names the one before: the compiler cannot leave them out */

int main(void) {
    size_t taken = 0;
    for (;;) {
        char *block = malloc(1 << 20);
        if (block == NULL) {
            printf("refused after %zu MiB\n", taken);
            fflush(stdout);
            abort();
        }
        memset(block, (int)taken, 1 << 20);
        memcpy(block, (const void *)&newest, sizeof newest);
        newest = block;
        taken++;
    }
}
