/* tests/torture/failing_malloc.c: a preloaded allocator that finds no memory at the Nth request.
 *
 * NX_FAIL_ALLOCATION=N   the Nth allocation of the program itself fails; later ones succeed again
 *
 * Only calls that come from the main program's own text fail: libraries underneath (and cmocka) are not what
 * is tested. When the program ends by itself it prints "allocations: <count>" on standard error, so that the
 * caller knows when N passed the last one. */
#include <dlfcn.h>
#include <link.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static uintptr_t text_start;
static uintptr_t text_end;
static uint64_t fail_at;
static _Atomic uint64_t count;

static int note_main_program(struct dl_phdr_info *info, size_t size, void *data) {
    (void)size;
    (void)data;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        if (segment->p_type == PT_LOAD && (segment->p_flags & PF_X) != 0) {
            text_start = info->dlpi_addr + segment->p_vaddr;
            text_end = text_start + segment->p_memsz;
        }
    }
    return 1; /* the first one is the program; no more are wanted */
}

__attribute__((constructor)) static void begin(void) {
    const char *value = getenv("NX_FAIL_ALLOCATION");
    (void)dl_iterate_phdr(note_main_program, NULL);
    fail_at = value == NULL ? 0 : strtoull(value, NULL, 10);
}

__attribute__((destructor)) static void end(void) {
    char text[64];
    const int len = snprintf(text, sizeof text, "allocations: %llu\n", (unsigned long long)count);
    (void)!write(STDERR_FILENO, text, (size_t)len);
}

static int fails(const void *caller) {
    const uintptr_t at = (uintptr_t)caller;
    return at >= text_start && at < text_end && ++count == fail_at;
}

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);

void *malloc(size_t size) {
    return fails(__builtin_return_address(0)) ? NULL : __libc_malloc(size);
}
void *calloc(size_t elements, size_t size) {
    return fails(__builtin_return_address(0)) ? NULL : __libc_calloc(elements, size);
}
void *realloc(void *memory, size_t size) {
    return fails(__builtin_return_address(0)) ? NULL : __libc_realloc(memory, size);
}
