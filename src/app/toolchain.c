/* src/app/toolchain.c */
#include "app/toolchain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/process.h"

enum { PATH_SIZE_MAX = 4096 };

struct tool {
    const char *word;   /* the command that needs it */
    const char *when;   /* only where the line holds this; NULL: always */
    const char *probe;  /* a shell line that succeeds where it is here */
    const char *what;   /* what is missing, for the message */
    const char *remedy; /* for the hint */
};

/* In the order in which they are looked for: a library after the compiler that it belongs to. */
static const struct tool tools[] = {
    { "make", NULL, "command -v make", "make", "on Debian and Ubuntu: sudo apt install make" },
    { "cargo", NULL, "command -v cargo && command -v rustc", "Rust (cargo)",
      "install it as https://rustup.rs says, then: rustup target add wasm32-wasip1" },
    { "cargo", "wasm32-wasip1", "test -d \"$(rustc --print target-libdir --target wasm32-wasip1)\"",
      "Rust's library for WebAssembly (wasm32-wasip1)", "rustup target add wasm32-wasip1" },
    { "go", NULL, "command -v go", "Go", "install Go 1.21 or newer: https://go.dev/doc/install" },
    { "go", "wasip1", "GOOS=wasip1 GOARCH=wasm go list runtime", "a Go that can build for wasip1",
      "install Go 1.21 or newer: https://go.dev/doc/install" },
    { "npm", NULL, "command -v npm && command -v node", "Node.js (npm)",
      "install Node.js 20 or newer: https://nodejs.org; on Debian and Ubuntu: sudo apt install npm" },
    { "npx", NULL, "command -v npx && command -v node", "Node.js (npx)",
      "install Node.js 20 or newer: https://nodejs.org; on Debian and Ubuntu: sudo apt install npm" },
};

static enum nx_status check_word(struct nx_str word, struct nx_str command, const char *directory,
                                 struct nx_error *err) {
    for (size_t i = 0; i < sizeof tools / sizeof tools[0]; i++) {
        const struct tool *tool = &tools[i];
        if (!nx_str_is(word, tool->word) ||
            (tool->when != NULL && nx_str_find(command, nx_str_from_c(tool->when)) == SIZE_MAX)) {
            continue;
        }
        char line[512];
        int exit_status;
        (void)snprintf(line, sizeof line, "{ %s; } > /dev/null 2>&1", tool->probe);
        NX_TRY(nx_process_run(line, directory, NULL, &exit_status, err));
        if (exit_status != 0) {
            (void)nx_fail(err, NX_FAILED_PRECONDITION, "'%.*s' needs %s, which is not here",
                          NX_STR_ARG(command), tool->what);
            nx_hint(err, "%s", tool->remedy);
            return NX_FAILED_PRECONDITION;
        }
    }
    return NX_OK;
}

/* Words behind which another command begins, or that only stand in front of one. */
static bool leads(struct nx_str word) {
    static const char *const leaders[] = { "&&", "||", "|", ";", "exec", "env", "then", "do", "{", "(" };
    for (size_t i = 0; i < sizeof leaders / sizeof leaders[0]; i++) {
        if (nx_str_is(word, leaders[i])) {
            return true;
        }
    }
    return word.len > 0 && word.ptr[word.len - 1] == ';';
}

enum nx_status nx_toolchain_check(struct nx_str command, const char *directory, struct nx_error *err) {
    struct nx_str rest = command;
    struct nx_str word;
    bool at_start = true;

    while (nx_str_split(&rest, ' ', &word)) {
        if (word.len == 0) {
            continue;
        }
        if (at_start && memchr(word.ptr, '=', word.len) == NULL && !leads(word)) {
            NX_TRY(check_word(word, command, directory, err));
            at_start = false;
        }
        at_start = at_start || leads(word);
    }
    return NX_OK;
}

void nx_toolchain_offer_nexus(void) {
    char self[PATH_SIZE_MAX];
    char path[2 * PATH_SIZE_MAX];
    const char *before = getenv("PATH");

    const ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    if (len <= 0) {
        return;
    }
    self[len] = '\0';
    *strrchr(self, '/') = '\0';
    const int size = snprintf(path, sizeof path, "%s:%s", self, before == NULL ? "/usr/bin:/bin" : before);
    if (size > 0 && (size_t)size < sizeof path) {
        (void)setenv("PATH", path, 1);
    }
}
