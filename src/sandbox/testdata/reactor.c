/* A library with an entry point: constructors run first, the returned number decides. */
#include <stdio.h>

static int is_ready;

__attribute__((constructor)) static void get_ready(void) {
    is_ready = 1;
}

__attribute__((export_name("handle_event"))) int handle_event(void) {
    int digit = getchar() - '0';
    (void)printf("ready %d digit %d", is_ready, digit);
    (void)fflush(stdout);
    return digit;
}
