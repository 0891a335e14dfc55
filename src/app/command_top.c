/* src/app/command_top.c: nexus top: the functions of a running server, as they work.
 *
 * On a terminal it takes the whole screen until q; elsewhere, or with --once, it prints tables. A server that
 * goes away is waited for. */
#include "app/commands.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "app/client.h"
#include "app/source.h"
#include "app/terminal.h"
#include "app/top.h"
#include "io/clock.h"
#include "io/file.h"

enum {
    INTERVAL_MS = 1000,
    INTERVAL_MS_MIN = 100,
    INTERVAL_MS_MAX = 3600 * 1000,
    TIMEOUT_MS = 3000,
    SCREEN_SIZE_MAX = 16 * 1024 * 1024,
    KEYS_SIZE = 64,
    TERMINAL_WIDTH = 80, /* where the terminal does not say */
    TERMINAL_HEIGHT = 24,
};

static const struct nx_flag flags[] = {
    { .name = "once", .help = "look for one interval, print one table, and end" },
    { .name = "interval", .value = "SECONDS", .help = "between two looks: 1 (default), 0.1 to 3600" },
    { .name = "sort",
      .value = "COLUMN",
      .help = "function, state, calls (default), fails, p50, p99, fuel, memory, queue, retry, dead" },
    { .name = "output", .value = "FORMAT", .help = "text (default) or json, one object for each look" },
    NX_SOURCE_FLAGS,
};

struct top {
    struct nx_source source;
    struct nx_client client;
    struct nx_clock clock;
    struct nx_top_look before; /* taken_ns 0: none */
    struct nx_top_look now;
    struct nx_top_table table;
    struct nx_top_view view;
    struct nx_buf screen;
    int64_t interval_ms;
    bool is_json;
    bool is_away;
    bool has_ended;
    char where[128];
};

/* What signals leave; the terminal is put back by the one way out. */
static volatile sig_atomic_t signalled;
static volatile sig_atomic_t resized;

static void on_signal(int number) {
    if (number == SIGWINCH) {
        resized = 1;
    } else {
        signalled = number;
    }
}

/* Looking */

static enum nx_status ask(struct top *top, struct nx_top_look *look, struct nx_error *err) {
    NX_AUTO(nx_buf) metrics;
    NX_AUTO(nx_buf) functions;
    nx_buf_init(&metrics, NX_TOP_LOOK_SIZE_MAX);
    nx_buf_init(&functions, NX_TOP_LOOK_SIZE_MAX);
    top->client.timeout_ms = TIMEOUT_MS;
    NX_TRY(nx_client_request(&top->client, "GET", NX_STR("/functions"), NX_STR_EMPTY, &functions, err));
    NX_TRY(nx_client_request(&top->client, "GET", NX_STR("/metrics"), NX_STR_EMPTY, &metrics, err));
    return nx_top_look_read(nx_buf_str(&metrics), nx_buf_str(&functions),
                            nx_clock_read(&top->clock).monotonic_ns, look, err);
}

static enum nx_status find_server(struct top *top, struct nx_error *err) {
    const enum nx_status status = nx_client_find(nx_disk_system(), top->source.directory, &top->client, err);
    if (status != NX_OK) {
        nx_hint(err, "start it by: nexus dev; or name its data directory: --data FOLDER");
        return status;
    }
    const struct nx_str project = top->source.config == NULL ? NX_STR_EMPTY : top->source.config->project;
    (void)snprintf(top->where, sizeof top->where, "%.*s%shttp://%s:%u",
                   NX_STR_ARG(nx_str_slice(project, 0, 64)), project.len > 0 ? "  " : "",
                   top->client.ports.host, (unsigned)top->client.ports.port);
    top->view.where = nx_str_from_c(top->where);
    return NX_OK;
}

/* Another look, and the table of what happened since the last one. A server that is away is looked for. */
static enum nx_status look_again(struct top *top, struct nx_error *err) {
    struct nx_top_look look = { .function_count = 0 };
    if (top->is_away) {
        NX_TRY(find_server(top, err));
    }
    const enum nx_status status = ask(top, &look, err);
    if (status != NX_OK) {
        nx_top_look_fini(&look);
        return status;
    }
    nx_top_table_fini(&top->table);
    nx_top_look_fini(&top->before);
    if (top->is_away) { /* what it counted before is no measure of what it counts now */
        nx_top_look_fini(&top->now);
        top->is_away = false;
    }
    top->before = top->now;
    top->now = look;
    return nx_top_compare(top->before.taken_ns == 0 ? NULL : &top->before, &top->now, &top->table, err);
}

/* Tables, one after the other */

static void pause_for(const struct top *top, int64_t ms) {
    const int64_t end_ns = nx_clock_read(&top->clock).monotonic_ns + ms * NX_NS_PER_MS;
    for (;;) {
        const int64_t left_ns = end_ns - nx_clock_read(&top->clock).monotonic_ns;
        if (left_ns <= 0 || signalled != 0) {
            return;
        }
        (void)poll(NULL, 0, (int)(left_ns / NX_NS_PER_MS) + 1);
    }
}

static enum nx_status print_table(struct top *top, struct nx_error *err) {
    nx_buf_reset(&top->screen);
    nx_top_sort(&top->table, top->view.sorted, top->view.reversed);
    if (top->is_json) {
        nx_top_write_json(&top->screen, &top->table);
    } else {
        nx_top_draw(&top->screen, &top->table, &top->view);
    }
    NX_TRY(nx_buf_check(&top->screen, err));
    (void)fwrite(top->screen.ptr, 1, top->screen.len, stdout);
    return NX_OK;
}

static enum nx_status print_tables(struct top *top, bool once, struct nx_error *err) {
    NX_TRY(look_again(top, err));
    for (bool is_first = true; signalled == 0; is_first = false) {
        pause_for(top, top->interval_ms);
        if (signalled != 0) {
            break;
        }
        if (!is_first && !top->is_json) {
            (void)putchar('\n');
        }
        NX_TRY(look_again(top, err));
        NX_TRY(print_table(top, err));
        if (once || fflush(stdout) != 0) {
            break;
        }
    }
    return NX_OK;
}

/* The whole screen */

static void measure(struct top *top) {
    struct winsize size = { 0 };
    const bool is_known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0;
    top->view.width = is_known && size.ws_col > 0 ? size.ws_col : TERMINAL_WIDTH;
    top->view.height = is_known && size.ws_row > 0 ? size.ws_row : TERMINAL_HEIGHT;
}

static void write_all(struct nx_str bytes) {
    (void)fwrite(bytes.ptr, 1, bytes.len, stdout);
    (void)fflush(stdout);
}

static void scroll(struct top *top, int64_t by) {
    const int64_t shown = (int64_t)nx_top_rows_shown(top->view.height);
    const int64_t last = (int64_t)top->table.row_count - shown;
    int64_t first = (int64_t)top->view.first + by;
    first = first > last ? last : first;
    top->view.first = first < 0 ? 0 : (size_t)first;
}

/* Every line over the one that was there, so that nothing flickers. */
static enum nx_status draw(struct top *top, struct nx_error *err) {
    NX_AUTO(nx_buf) text;
    nx_buf_init(&text, SCREEN_SIZE_MAX);
    nx_buf_reset(&top->screen);
    nx_top_sort(&top->table, top->view.sorted, top->view.reversed);
    scroll(top, 0);
    nx_top_draw(&text, &top->table, &top->view);
    NX_TRY(nx_buf_check(&text, err));
    nx_buf_append_c(&top->screen, "\033[H");
    struct nx_str rest = nx_buf_str(&text);
    struct nx_str line;
    for (bool is_first = true; nx_str_split(&rest, '\n', &line); is_first = false) {
        nx_buf_append_c(&top->screen, is_first ? "" : "\r\n");
        nx_buf_append(&top->screen, line);
        nx_buf_append_c(&top->screen, "\033[K");
    }
    nx_buf_append_c(&top->screen, "\033[J");
    NX_TRY(nx_buf_check(&top->screen, err));
    write_all(nx_buf_str(&top->screen));
    return NX_OK;
}

static void sort_by(struct top *top, enum nx_top_column column) {
    top->view.sorted = column;
    top->view.reversed = false;
    top->view.first = 0;
}

/* True: look at the server now. */
static bool take_key(struct top *top, char key) {
    static const struct {
        char key;
        enum nx_top_column column;
    } columns[] = { { 'n', NX_TOP_NAME }, { 'c', NX_TOP_CALLS },  { 'f', NX_TOP_FAILURES },
                    { 'p', NX_TOP_P99 },  { 'm', NX_TOP_MEMORY }, { 'u', NX_TOP_FUEL },
                    { 'w', NX_TOP_QUEUE } };
    const int count = NX_TOP_COLUMN_COUNT;
    for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++) {
        if (columns[i].key == key) {
            sort_by(top, columns[i].column);
        }
    }
    switch (key) {
    case 'q':
    case 'Q':
        top->has_ended = true;
        break;
    case 's':
        sort_by(top, (enum nx_top_column)(((int)top->view.sorted + 1) % count));
        break;
    case 'S':
        sort_by(top, (enum nx_top_column)(((int)top->view.sorted + count - 1) % count));
        break;
    case 'r':
        top->view.reversed = !top->view.reversed;
        break;
    case '?':
    case 'h':
        top->view.is_help = !top->view.is_help;
        break;
    case 'j':
        scroll(top, 1);
        break;
    case 'k':
        scroll(top, -1);
        break;
    case ' ':
        return true;
    default:
        break;
    }
    return false;
}

/* What special keys send. Returns how many bytes they are; 0: it is none of them. */
static size_t take_special(struct top *top, struct nx_str bytes) {
    const int64_t page = (int64_t)nx_top_rows_shown(top->view.height);
    const struct {
        struct nx_str bytes;
        int64_t by;
    } keys[] = { { { "\033[A", 3 }, -1 },         { { "\033[B", 3 }, 1 },        { { "\033OA", 3 }, -1 },
                 { { "\033OB", 3 }, 1 },          { { "\033[5~", 4 }, -page },   { { "\033[6~", 4 }, page },
                 { { "\033[H", 3 }, -INT32_MAX }, { { "\033[F", 3 }, INT32_MAX } };
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        if (nx_str_starts_with(bytes, keys[i].bytes)) {
            scroll(top, keys[i].by);
            return keys[i].bytes.len;
        }
    }
    return bytes.ptr[0] == '\033' ? bytes.len : 0; /* a key that means nothing here */
}

static bool take_keys(struct top *top) {
    char bytes[KEYS_SIZE];
    const ssize_t count = read(STDIN_FILENO, bytes, sizeof bytes);
    bool wants_look = false;
    if (count == 0 || (count < 0 && errno != EINTR && errno != EAGAIN)) {
        top->has_ended = true; /* the terminal is gone */
        return false;
    }
    for (ssize_t i = 0; i < count;) {
        const size_t special = take_special(top, nx_str_of(bytes + i, (size_t)(count - i)));
        wants_look = (special == 0 && take_key(top, bytes[i])) || wants_look;
        i += special == 0 ? 1 : (ssize_t)special;
    }
    return wants_look;
}

/* Wait for keys until it is time to look; redraws for what they change. */
static enum nx_status wait_for_keys(struct top *top, int64_t due_ns, struct nx_error *err) {
    while (!top->has_ended && signalled == 0) {
        struct pollfd keyboard = { .fd = STDIN_FILENO, .events = POLLIN };
        const int64_t left_ns = due_ns - nx_clock_read(&top->clock).monotonic_ns;
        if (left_ns <= 0) {
            return NX_OK;
        }
        const int ready = poll(&keyboard, 1, (int)(left_ns / NX_NS_PER_MS) + 1);
        if (ready > 0 && take_keys(top)) {
            return NX_OK;
        }
        if (resized != 0) {
            resized = 0;
            measure(top);
        }
        if (!top->has_ended) {
            NX_TRY(draw(top, err));
        }
    }
    return NX_OK;
}

static enum nx_status show(struct top *top, struct nx_error *err) {
    char trouble[256];
    while (!top->has_ended && signalled == 0) {
        struct nx_error why = { 0 };
        const int64_t begun_ns = nx_clock_read(&top->clock).monotonic_ns;
        const enum nx_status status = look_again(top, &why);
        if (status == NX_RESOURCE_EXHAUSTED) {
            *err = why;
            return status;
        }
        top->is_away = status != NX_OK;
        (void)snprintf(trouble, sizeof trouble, "waiting for the server: %.200s", why.message);
        top->view.trouble = status == NX_OK ? NX_STR_EMPTY : nx_str_from_c(trouble);
        NX_TRY(draw(top, err));
        NX_TRY(wait_for_keys(top, begun_ns + top->interval_ms * NX_NS_PER_MS, err));
    }
    return NX_OK;
}

static void watch_signals(void) {
    static const int numbers[] = { SIGINT, SIGTERM, SIGHUP, SIGWINCH };
    struct sigaction action = { .sa_handler = on_signal }; /* no SA_RESTART: poll() is to return */
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        (void)sigaction(numbers[i], &action, NULL);
    }
}

/* The screen is ours from here to the end, whatever the end is. */
static enum nx_status show_on_terminal(struct top *top, struct nx_error *err) {
    struct termios before;
    if (tcgetattr(STDIN_FILENO, &before) != 0) {
        return nx_fail(err, NX_FAILED_PRECONDITION, "the terminal cannot be used");
    }
    struct termios keys = before;
    keys.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    keys.c_cc[VMIN] = 1;
    keys.c_cc[VTIME] = 0;
    keys.c_cc[VSUSP] = _POSIX_VDISABLE; /* ^Z would leave the screen as it is */
    (void)tcsetattr(STDIN_FILENO, TCSANOW, &keys);
    write_all(NX_STR("\033[?1049h\033[?25l\033[2J"));
    measure(top);
    const enum nx_status status = show(top, err);
    write_all(NX_STR("\033[?25h\033[?1049l"));
    (void)tcsetattr(STDIN_FILENO, TCSANOW, &before);
    return status;
}

static enum nx_status read_flags(struct nx_args *args, struct top *top, struct nx_error *err) {
    const char *interval = nx_args_value(args, "interval");
    const char *sort = nx_args_value(args, "sort");
    top->interval_ms = INTERVAL_MS;
    top->view.sorted = NX_TOP_CALLS;
    if (interval != NULL) {
        char *end;
        const double seconds = strtod(interval, &end);
        if (end == interval || *end != '\0' || !(seconds * 1000 >= INTERVAL_MS_MIN) ||
            !(seconds * 1000 <= INTERVAL_MS_MAX)) {
            return nx_args_fail(args, err, "--interval is a number of seconds from 0.1 to 3600, not '%s'",
                                interval);
        }
        top->interval_ms = (int64_t)(seconds * 1000);
    }
    if (sort != NULL && !nx_top_column_parse(nx_str_from_c(sort), &top->view.sorted)) {
        (void)nx_args_fail(args, err, "there is no column '%s' to sort by", sort);
        nx_hint(err, "columns are function, state, calls, fails, p50, p99, fuel, memory, queue, retry, dead");
        return NX_INVALID_ARGUMENT;
    }
    return nx_args_output_is_json(args, &top->is_json, err);
}

static enum nx_status begin(struct nx_args *args, struct top *top, struct nx_error *err) {
    NX_TRY(read_flags(args, top, err));
    NX_TRY(nx_source_find_directory(args, &top->source, err));
    NX_TRY(find_server(top, err));
    const bool once = nx_args_has(args, "once");
    watch_signals();
    if (once || top->is_json || !nx_terminal_is(stdout) || !nx_terminal_is(stdin)) {
        return print_tables(top, once, err);
    }
    top->view.is_styled = nx_terminal_plain(stdout)[0] != '\0';
    return show_on_terminal(top, err);
}

static enum nx_status run(struct nx_args *args, struct nx_error *err) {
    struct top top = { .clock = nx_clock_system() };
    nx_buf_init(&top.screen, SCREEN_SIZE_MAX);
    const enum nx_status status = begin(args, &top, err);
    nx_top_table_fini(&top.table);
    nx_top_look_fini(&top.before);
    nx_top_look_fini(&top.now);
    nx_source_close(&top.source);
    nx_buf_fini(&top.screen);
    return status;
}

const struct nx_command nx_command_top = {
    .name = "top",
    .summary = "watch the functions of a running server",
    .text = "On a terminal it takes the whole screen: q ends it, s sorts, ? explains the columns and keys. "
            "Elsewhere it prints a table for each interval.",
    .example = "nexus top\nnexus top --sort p99 --interval 5\nnexus top --once --output json",
    .flags = flags,
    .flag_count = sizeof flags / sizeof flags[0],
    .run = run,
};
