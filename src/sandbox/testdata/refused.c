/* Modules that cannot be run; which one is chosen by a macro. */
#include <stdint.h>

#if defined(OLD_WASI)
__attribute__((import_module("wasi_unstable"), import_name("fd_write")))
int32_t old(int32_t, int32_t, int32_t, int32_t);
#define USE old(0, 0, 0, 0)
#elif defined(UNKNOWN_IMPORT)
__attribute__((import_module("env"), import_name("launch"))) void unknown(void);
#define USE (unknown(), 0)
#elif defined(WRONG_SIGNATURE)
__attribute__((import_module("nexus"), import_name("now"))) int32_t now(void);
#define USE now()
#else
#define USE 0
#endif

#if defined(NO_ENTRY)
__attribute__((export_name("other"))) int other(void) {
    return USE;
}
#elif defined(ODD_ENTRY)
__attribute__((export_name("handle_event"))) int handle_event(int number) {
    return number;
}
#else
int main(void) {
    return USE;
}
#endif
