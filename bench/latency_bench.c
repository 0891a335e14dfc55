/* bench/latency_bench.c: from a POST until the function that it fires has finished, as a client sees it.
 *
 *     latency_bench PORT one COUNT           one event at a time
 *     latency_bench PORT open RATE SECONDS   events at fixed times, whether the ones before are done or not
 *
 * The end is learned from a GET /invocations that waits for the next records: the library answers it once
 * they are on disk, so one hop back to the client is in the figure. The trace id of each POST is its number,
 * and comes back in the invocation's record. In `open` the time counts from when the event was due, so that a
 * stall shows in every event that it held up. Prints one line of JSON, in microseconds.
 *
 * One thread, blocking sockets and epoll: it must cost little beside the server. Any unexpected answer ends
 * the program: a figure of refused events is none. */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum {
    POSTERS = 64, /* connections, so many events can wait for their answers */
    BODY_SIZE = 500,
    BUFFER_SIZE = 8 * 1024 * 1024,
    EVENTS_MAX = 4 * 1024 * 1024,
    NS_PER_US = 1000,
    WARM_UP = 50, /* of one at a time: not counted */
};

struct connection {
    int fd;
    char *bytes; /* of the answer under way */
    size_t len;
    size_t capacity;
    size_t number; /* of the event posted */
    bool is_busy;
};

struct event {
    int64_t due_ns;
    int64_t answered_ns;
    int64_t finished_ns;
};

struct bench {
    uint16_t port;
    int epoll;
    struct connection follower;
    struct connection posters[POSTERS];
    char cursor[64];
    struct event *events;
    size_t posted_count;
    size_t answered_count;
    size_t finished_count;
};

static void check(bool is_good, const char *what) {
    if (!is_good) {
        (void)fprintf(stderr, "latency_bench: %s (%s)\n", what, strerror(errno));
        exit(1);
    }
}

static int64_t now_ns(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void connect_to(struct bench *bench, struct connection *connection, size_t capacity) {
    const int on = 1;
    const struct sockaddr_in address = { .sin_family = AF_INET,
                                         .sin_port = htons(bench->port),
                                         .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    connection->capacity = capacity;
    connection->bytes = malloc(capacity);
    check(connection->fd >= 0 && connection->bytes != NULL, "cannot open a connection");
    check(connect(connection->fd, (const struct sockaddr *)&address, sizeof address) == 0, "cannot connect");
    (void)setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct epoll_event wanted = { .events = EPOLLIN, .data.ptr = connection };
    check(epoll_ctl(bench->epoll, EPOLL_CTL_ADD, connection->fd, &wanted) == 0, "cannot watch a connection");
}

static void send_all(const struct connection *connection, const char *bytes, size_t len) {
    check(send(connection->fd, bytes, len, MSG_NOSIGNAL) == (ssize_t)len, "cannot send a request");
}

static void follow(struct bench *bench) {
    char request[256];
    const int len = snprintf(
        request, sizeof request,
        "GET /invocations?cursor=%s&wait=30s&limit=1000 HTTP/1.1\r\nHost: localhost\r\n\r\n", bench->cursor);
    bench->follower.is_busy = true;
    send_all(&bench->follower, request, (size_t)len);
}

static void post(struct bench *bench, struct connection *connection, size_t number, int64_t due_ns) {
    char request[1024];
    char body[BODY_SIZE + 1];
    memset(body, 'x', BODY_SIZE);
    body[0] = body[BODY_SIZE - 1] = '"';
    body[BODY_SIZE] = '\0';
    const int len =
        snprintf(request, sizeof request,
                 "POST /events/x HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                 "traceparent: 00-%032zx-00000000000000ff-01\r\nContent-Length: %d\r\n\r\n%s",
                 number + 1, BODY_SIZE, body);
    connection->is_busy = true;
    connection->number = number;
    bench->events[number] = (struct event){ .due_ns = due_ns };
    bench->posted_count++;
    send_all(connection, request, (size_t)len);
}

/** Read what is there; true when the answer is whole. Its body is then at `body_out`, with a NUL behind it.
 */
static bool read_answer(struct connection *connection, const char **body_out) {
    check(connection->len < connection->capacity - 1, "an answer is too long");
    const ssize_t count = recv(connection->fd, connection->bytes + connection->len,
                               connection->capacity - 1 - connection->len, 0);
    check(count > 0, "the server closed a connection");
    connection->len += (size_t)count;
    connection->bytes[connection->len] = '\0';
    const char *head_end = strstr(connection->bytes, "\r\n\r\n");
    const char *length = strstr(connection->bytes, "Content-Length: ");
    if (head_end == NULL) {
        return false;
    }
    check(length != NULL && length < head_end, "an answer without a length");
    *body_out = head_end + 4;
    const size_t size = (size_t)(*body_out - connection->bytes) + strtoul(length + 16, NULL, 10);
    check(connection->len <= size, "two answers to one request");
    return connection->len == size;
}

static void take_page(struct bench *bench, const char *body, int64_t at_ns) {
    static const char key[] = "\"trace_id\":\"";
    check(strncmp(bench->follower.bytes, "HTTP/1.1 200", 12) == 0, "GET /invocations was refused");
    for (const char *at = body; (at = strstr(at, key)) != NULL;) {
        at += sizeof key - 1;
        const size_t number = strtoull(at + 16, NULL, 16) - 1; /* the lower half: its digits end at a quote */
        check(number < EVENTS_MAX && bench->events[number].finished_ns == 0, "an invocation of no event");
        bench->events[number].finished_ns = at_ns;
        bench->finished_count++;
    }
    const char *cursor = strstr(body, "\"cursor\":\"");
    check(cursor != NULL && sscanf(cursor, "\"cursor\":\"%63[^\"]", bench->cursor) == 1,
          "a page without a cursor");
}

static void take(struct bench *bench, struct connection *connection, int64_t at_ns) {
    const char *body;
    if (!read_answer(connection, &body)) {
        return;
    }
    connection->len = 0;
    connection->is_busy = false;
    if (connection == &bench->follower) {
        take_page(bench, body, at_ns);
        return;
    }
    check(strncmp(connection->bytes, "HTTP/1.1 202", 12) == 0, "POST was refused");
    bench->events[connection->number].answered_ns = at_ns;
    bench->answered_count++;
}

/** Wait until something came, and take it. */
static void turn(struct bench *bench, int timeout_ms) {
    struct epoll_event came[POSTERS + 2];
    const int count = epoll_wait(bench->epoll, came, POSTERS + 2, timeout_ms);
    check(count >= 0 || errno == EINTR, "cannot wait");
    const int64_t at_ns = now_ns();
    for (int i = 0; i < count; i++) {
        if (came[i].data.ptr != NULL) {
            take(bench, came[i].data.ptr, at_ns);
        }
    }
}

static void run_one_at_a_time(struct bench *bench, size_t count) {
    for (size_t i = 0; i < count; i++) {
        follow(bench);
        /* It waits at the head before the event comes: half a millisecond is ten times what that takes. */
        (void)usleep(500);
        post(bench, &bench->posters[0], i, now_ns());
        while (bench->events[i].finished_ns == 0 || bench->posters[0].is_busy) {
            turn(bench, -1);
            if (!bench->follower.is_busy && bench->events[i].finished_ns == 0) {
                follow(bench);
            }
        }
    }
}

static struct connection *idle_poster(struct bench *bench) {
    for (size_t i = 0; i < POSTERS; i++) {
        if (!bench->posters[i].is_busy) {
            return &bench->posters[i];
        }
    }
    return NULL;
}

static void run_open(struct bench *bench, size_t rate, size_t seconds) {
    const size_t count = rate * seconds;
    const int64_t start_ns = now_ns();
    const int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    struct epoll_event wanted = { .events = EPOLLIN, .data.ptr = NULL };
    check(timer >= 0 && epoll_ctl(bench->epoll, EPOLL_CTL_ADD, timer, &wanted) == 0, "no timer");
    while (bench->finished_count < count || bench->answered_count < count) {
        struct connection *poster;
        int64_t due_ns = start_ns + (int64_t)(bench->posted_count * 1000000000 / rate);
        while (bench->posted_count < count && due_ns <= now_ns() && (poster = idle_poster(bench)) != NULL) {
            post(bench, poster, bench->posted_count, due_ns);
            due_ns = start_ns + (int64_t)(bench->posted_count * 1000000000 / rate);
        }
        if (!bench->follower.is_busy) {
            follow(bench);
        }
        const struct itimerspec at = { .it_value = { .tv_sec = due_ns / 1000000000,
                                                     .tv_nsec = due_ns % 1000000000 } };
        if (bench->posted_count < count) {
            check(timerfd_settime(timer, TFD_TIMER_ABSTIME, &at, NULL) == 0, "cannot set the timer");
        } else {
            check(timerfd_settime(timer, 0, &(struct itimerspec){ 0 }, NULL) == 0, "cannot stop the timer");
        }
        /* All posters busy: the next answer frees one, the timer would only wake us in vain. */
        if (bench->posted_count < count && due_ns <= now_ns() && idle_poster(bench) == NULL) {
            check(timerfd_settime(timer, 0, &(struct itimerspec){ 0 }, NULL) == 0, "cannot stop the timer");
        }
        turn(bench, 30000);
    }
}

static int compare(const void *a, const void *b) {
    const int64_t left = *(const int64_t *)a;
    const int64_t right = *(const int64_t *)b;
    return left < right ? -1 : left > right;
}

static void print_quantiles(const char *name, int64_t *times, size_t count) {
    qsort(times, count, sizeof *times, compare);
    (void)printf("\"%s\":{\"p50\":%.1f,\"p90\":%.1f,\"p99\":%.1f,\"max\":%.1f}", name,
                 (double)times[count / 2] / NS_PER_US, (double)times[count * 9 / 10] / NS_PER_US,
                 (double)times[count * 99 / 100] / NS_PER_US, (double)times[count - 1] / NS_PER_US);
}

static void report(const struct bench *bench, size_t from) {
    const size_t count = bench->posted_count - from;
    int64_t *times = calloc(count, sizeof *times);
    check(times != NULL && count > 0, "nothing was measured");
    (void)printf("{\"events\":%zu,", count);
    for (size_t i = 0; i < count; i++) {
        times[i] = bench->events[from + i].answered_ns - bench->events[from + i].due_ns;
    }
    print_quantiles("answered", times, count);
    (void)printf(",");
    for (size_t i = 0; i < count; i++) {
        times[i] = bench->events[from + i].finished_ns - bench->events[from + i].due_ns;
    }
    print_quantiles("finished", times, count);
    (void)printf("}\n");
    free(times);
}

int main(int argc, char **argv) {
    struct bench bench = { .cursor = "a1" };
    const bool is_open = argc == 5 && strcmp(argv[2], "open") == 0;
    const size_t count = argc < 4 ? 0 : strtoul(argv[3], NULL, 10);
    const size_t seconds = is_open ? strtoul(argv[4], NULL, 10) : 1;
    if ((!is_open && (argc != 4 || strcmp(argv[2], "one") != 0)) || count == 0 || seconds == 0 ||
        count * seconds + WARM_UP > EVENTS_MAX) {
        (void)fprintf(stderr, "latency_bench PORT one COUNT | latency_bench PORT open RATE SECONDS\n");
        return 2;
    }
    bench.port = (uint16_t)strtoul(argv[1], NULL, 10);
    bench.epoll = epoll_create1(EPOLL_CLOEXEC);
    bench.events = calloc(EVENTS_MAX, sizeof *bench.events);
    check(bench.epoll >= 0 && bench.events != NULL, "no memory");
    connect_to(&bench, &bench.follower, BUFFER_SIZE);
    for (size_t i = 0; i < POSTERS; i++) {
        connect_to(&bench, &bench.posters[i], 64 * 1024);
    }
    if (is_open) {
        run_open(&bench, count, seconds);
    } else {
        run_one_at_a_time(&bench, count + WARM_UP);
    }
    report(&bench, is_open ? 0 : WARM_UP);
    return 0;
}
