/* src/app/command_new.c: nexus new NAME --lang=LANGUAGE: a project that builds and runs as it is.
 *
 * The files are compiled in (templates.h). A folder that holds anything is left alone. */
#include "app/commands.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/templates.h"
#include "base/buf.h"
#include "codec/word.h"
#include "io/file.h"

enum { FILE_SIZE_MAX = 256 * 1024, PATH_SIZE_MAX = 4096 };

static const struct nx_flag flags[] = {
    { .name = "lang",
      .value = "LANGUAGE",
      .help = "c (default), rust, go, javascript, typescript, assemblyscript" },
};

enum { LANGUAGES_MAX = 16 };

/* The languages there are templates for, each once. */
static size_t list_languages(const char *languages[LANGUAGES_MAX]) {
    size_t count = 0;
    for (size_t i = 0; i < nx_template_count && count < LANGUAGES_MAX; i++) {
        if (count == 0 || strcmp(languages[count - 1], nx_templates[i].language) != 0) {
            languages[count++] = nx_templates[i].language;
        }
    }
    return count;
}

static enum nx_status choose_language(struct nx_args *args, const char **language_out, struct nx_error *err) {
    const char *known[LANGUAGES_MAX];
    const size_t count = list_languages(known);
    const char *asked = nx_args_value(args, "lang");
    const char *language = asked == NULL ? "c" : asked;

    for (size_t i = 0; i < count; i++) {
        if (strcmp(known[i], language) == 0) {
            *language_out = known[i];
            return NX_OK;
        }
    }
    const char *nearest = nx_word_nearest(nx_str_from_c(language), known, count);
    (void)nx_args_fail(args, err, "there is no template for --lang=%s", language);
    if (nearest != NULL) {
        nx_hint(err, "did you mean --lang=%s?", nearest);
    } else {
        nx_hint(err, "anything that compiles to WASI preview 1 runs: make a project with --lang=c, then "
                     "let code: in nexus.yaml name your .wasm");
    }
    return NX_INVALID_ARGUMENT;
}

/* The last part of the path, which names the project. `folder` is where the shell is, for NAME ".". */
static enum nx_status project_name(struct nx_args *args, const char *path, const char *folder,
                                   struct nx_str *name_out, struct nx_error *err) {
    struct nx_str rest = nx_str_from_c(strcmp(path, ".") == 0 || strcmp(path, "./") == 0 ? folder : path);
    while (rest.len > 1 && rest.ptr[rest.len - 1] == '/') {
        rest.len--;
    }
    struct nx_str name = rest;
    struct nx_str part;
    while (nx_str_split(&rest, '/', &part)) {
        name = part;
    }
    bool good = name.len > 0 && name.len <= 64 && name.ptr[0] != '.' && name.ptr[0] != '-';
    for (size_t i = 0; good && i < name.len; i++) {
        const char c = name.ptr[i];
        good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
               c == '_' || c == '.';
    }
    if (!good) {
        return nx_args_fail(args, err,
                            "'%.*s' cannot name a project: letters, digits, - _ and . (neither - nor . in "
                            "front), at most 64",
                            NX_STR_ARG(name));
    }
    *name_out = name;
    return NX_OK;
}

static bool note_entry(void *data, const struct nx_disk_entry *entry) {
    (void)entry;
    *(bool *)data = true;
    return false;
}

static enum nx_status check_empty(struct nx_disk *disk, const char *path, struct nx_error *err) {
    struct nx_error ignored = { 0 };
    bool has_entries = false;

    const enum nx_status status = nx_disk_list(disk, path, note_entry, &has_entries, &ignored);
    if (status == NX_NOT_FOUND && access(path, F_OK) == 0) {
        (void)nx_fail(err, NX_ALREADY_EXISTS, "'%s' is a file; nothing was written", path);
        nx_hint(err, "choose another name");
        return NX_ALREADY_EXISTS;
    }
    if (status == NX_NOT_FOUND) {
        return NX_OK;
    }
    if (status != NX_OK) {
        *err = ignored;
        return nx_wrap(err, status, "cannot use '%s' for the project", path);
    }
    if (has_entries) {
        (void)nx_fail(err, NX_ALREADY_EXISTS, "the folder '%s' is not empty; nothing was written", path);
        nx_hint(err, "choose another name, or empty the folder first");
        return NX_ALREADY_EXISTS;
    }
    return NX_OK;
}

static void fill_in(struct nx_buf *out, struct nx_str text, struct nx_str name) {
    const struct nx_str mark = NX_STR("{{name}}");

    for (;;) {
        const size_t at = nx_str_find(text, mark);
        if (at == SIZE_MAX) {
            nx_buf_append(out, text);
            return;
        }
        nx_buf_append(out, nx_str_slice(text, 0, at));
        nx_buf_append(out, name);
        text = nx_str_slice(text, at + mark.len, text.len);
    }
}

/* What Nexus keeps is for nobody else, but a project is like any other source: as the umask says. */
static void share(const char *path, mode_t mode) {
    const mode_t mask = umask(0);

    (void)umask(mask);
    (void)chmod(path, mode & ~mask); /* at worst it stays private */
}

static enum nx_status write_template(struct nx_disk *disk, const char *folder, struct nx_str name,
                                     const struct nx_template *template, struct nx_error *err) {
    char path[PATH_SIZE_MAX];
    NX_AUTO(nx_buf) content = { 0 };

    const int len = snprintf(path, sizeof path, "%s/%s", folder, template->path);
    if (len < 0 || (size_t)len >= sizeof path) {
        return nx_fail(err, NX_INVALID_ARGUMENT, "the path '%s' is too long", folder);
    }
    char *slash = strrchr(path, '/');
    *slash = '\0';
    NX_TRY(nx_disk_make_directory(disk, path, err));
    share(path, 0777);
    *slash = '/';
    nx_buf_init(&content, FILE_SIZE_MAX);
    fill_in(&content, nx_str_of(template->text, template->size), name);
    NX_TRY(nx_buf_check(&content, err));
    NX_TRY(nx_disk_write_file(disk, path, nx_buf_str(&content), err));
    share(path, 0666);
    return NX_OK;
}

static enum nx_status run(struct nx_args *args, struct nx_error *err) {
    struct nx_disk *disk = nx_disk_system();
    const char *folder = args->words[0];
    struct nx_str name = NX_STR_EMPTY;
    char here[PATH_SIZE_MAX] = "";
    const char *language;
    size_t count = 0;

    NX_TRY(choose_language(args, &language, err));
    if (getcwd(here, sizeof here) == NULL) {
        here[0] = '\0';
    }
    NX_TRY(project_name(args, folder, here, &name, err));
    NX_TRY(check_empty(disk, folder, err));
    for (size_t i = 0; i < nx_template_count; i++) {
        if (strcmp(nx_templates[i].language, language) != 0) {
            continue;
        }
        count++;
        const enum nx_status status = write_template(disk, folder, name, &nx_templates[i], err);
        if (status != NX_OK) {
            return nx_wrap(err, status, "writing %s/%s", folder, nx_templates[i].path);
        }
    }
    (void)printf("OK Created %s with %zu files:\n", folder, count);
    for (size_t i = 0; i < nx_template_count; i++) {
        if (strcmp(nx_templates[i].language, language) == 0) {
            (void)printf("     %s/%s\n", folder, nx_templates[i].path);
        }
    }
    if (strcmp(folder, ".") == 0) {
        (void)printf("Next: nexus build && nexus dev\n");
    } else {
        (void)printf("Next: cd %s && nexus build && nexus dev\n", folder);
    }
    return NX_OK;
}

const struct nx_command nx_command_new = {
    .name = "new",
    .words = "NAME",
    .summary = "write a project that builds and runs as it is",
    .text = "Makes the folder NAME with nexus.yaml, one function, an event to try it with and a README.\n"
            "NAME may be a path, or . for the folder you are in. One that holds files is left as it is.",
    .example = "nexus new my-app --lang=c",
    .flags = flags,
    .flag_count = sizeof flags / sizeof flags[0],
    .word_count_min = 1,
    .word_count_max = 1,
    .run = run,
};
