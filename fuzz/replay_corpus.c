/* fuzz/replay_corpus.c: runs a fuzzer over the files of its corpus, as an ordinary test.
 *
 *   <name>_replay <folder>...      one TAP line a folder; every file in it is one input
 *
 * Each input is copied to memory of exactly its size, so that the sanitizers see one byte too many. What a
 * fuzzer finds wrong ends the process; the input's name has been printed before. */
#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "fuzz.h"

enum { PATH_SIZE_MAX = 4096, INPUT_SIZE_MAX = 16 * 1024 * 1024 };

/* False when the file cannot be read or is too large. */
static bool replay_file(const char *path) {
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        return false;
    }
    NX_AUTO_FREE uint8_t *all = malloc(INPUT_SIZE_MAX);
    const size_t size = all == NULL ? INPUT_SIZE_MAX : fread(all, 1, INPUT_SIZE_MAX, file);
    const bool whole = ferror(file) == 0 && size < INPUT_SIZE_MAX;
    (void)fclose(file);
    if (!whole) {
        return false;
    }
    NX_AUTO_FREE uint8_t *exact = malloc(size == 0 ? 1 : size);
    if (exact == NULL) {
        return false;
    }
    for (size_t i = 0; i < size; i++) {
        exact[i] = all[i];
    }
    (void)printf("# %s\n", path);
    (void)fflush(stdout);
    (void)LLVMFuzzerTestOneInput(exact, size);
    return true;
}

/* The number of inputs replayed, or -1 when the folder or one of its files cannot be read. */
static int replay_folder(const char *folder) {
    DIR *entries = opendir(folder);
    if (entries == NULL) {
        return -1;
    }
    int count = 0;
    for (struct dirent *entry = readdir(entries); entry != NULL && count >= 0; entry = readdir(entries)) {
        char path[PATH_SIZE_MAX];
        if (entry->d_name[0] == '.') {
            continue;
        }
        const int len = snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        count = len > 0 && (size_t)len < sizeof path && replay_file(path) ? count + 1 : -1;
    }
    (void)closedir(entries);
    return count;
}

int main(int argc, char **argv) {
    int result = 0;
    (void)printf("1..%d\n", argc - 1);
    for (int i = 1; i < argc; i++) {
        const int count = replay_folder(argv[i]);
        if (count <= 0) {
            result = 1; /* an empty corpus proves nothing */
        }
        const char *slash = strrchr(argv[i], '/');
        (void)printf("%s %d - replays the corpus of %s\n", count > 0 ? "ok" : "not ok", i,
                     slash == NULL ? argv[i] : slash + 1);
    }
    return result;
}
