#include "io/random.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "base/assert.h"

/* A system call for each identifier would cost more than the identifier; so each thread keeps a block. What
 * was handed out is wiped, so that no later reader of this memory learns it. */
enum { BLOCK_SIZE = 1024 };

struct block {
    unsigned char bytes[BLOCK_SIZE];
    size_t left; /* bytes not handed out yet; they are the last ones */
};

static _Thread_local struct block block;

static void fill_from_kernel(unsigned char *bytes, size_t len) {
    while (len > 0) {
        const ssize_t count = getrandom(bytes, len, 0);
        if (count < 0 && errno == EINTR) {
            continue;
        }
        nx_assert(count > 0); /* without randomness no identifier and no key is safe: do not go on */
        bytes += count;
        len -= (size_t)count;
    }
}

static void fill_system(void *data, void *bytes, size_t len) {
    (void)data;
    if (len > BLOCK_SIZE) {
        fill_from_kernel(bytes, len);
        return;
    }
    if (len > block.left) {
        fill_from_kernel(block.bytes, BLOCK_SIZE);
        block.left = BLOCK_SIZE;
    }
    unsigned char *from = block.bytes + BLOCK_SIZE - block.left;
    if (len > 0) {
        memcpy(bytes, from, len);
        explicit_bzero(from, len);
    }
    block.left -= len;
}

struct nx_random nx_random_system(void) {
    return (struct nx_random){ .fill = fill_system };
}
