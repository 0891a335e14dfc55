#include "io/process.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { READ_SIZE = 4096, STATUS_OF_SIGNAL = 128 };

extern char **environ;

/** Start the shell; its output goes to `output_fd` (-1: where ours goes). 0 or an errno. */
static int start_shell(const char *command, const char *directory, int output_fd, pid_t *pid_out) {
    char *const arguments[] = { (char *)"sh", (char *)"-c", (char *)(uintptr_t)command, NULL };
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    int error = posix_spawn_file_actions_init(&actions);
    if (error != 0) {
        return error;
    }
    error = posix_spawnattr_init(&attributes);
    if (error != 0) {
        (void)posix_spawn_file_actions_destroy(&actions);
        return error;
    }
    /* The command must not inherit which signals this thread blocks, nor that SIGPIPE is ignored. */
    sigset_t defaults;
    (void)sigemptyset(&none);
    (void)sigemptyset(&defaults);
    (void)sigaddset(&defaults, SIGPIPE);
    (void)posix_spawnattr_setsigmask(&attributes, &none);
    (void)posix_spawnattr_setsigdefault(&attributes, &defaults);
    error = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    if (error == 0) {
        error = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    }
    if (error == 0 && output_fd >= 0) {
        error = posix_spawn_file_actions_adddup2(&actions, output_fd, STDOUT_FILENO);
    }
    if (error == 0 && output_fd >= 0) {
        error = posix_spawn_file_actions_adddup2(&actions, output_fd, STDERR_FILENO);
    }
    if (error == 0 && directory != NULL) {
        error = posix_spawn_file_actions_addchdir_np(&actions, directory);
    }
    if (error == 0) {
        error = posix_spawn(pid_out, "/bin/sh", &actions, &attributes, arguments, environ);
    }
    (void)posix_spawnattr_destroy(&attributes);
    (void)posix_spawn_file_actions_destroy(&actions);
    return error;
}

/** Append what comes until nobody has the other end open; what passes the maximum is dropped. */
static void collect(int fd, struct nx_buf *output) {
    char bytes[READ_SIZE];
    ssize_t count;
    while ((count = read(fd, bytes, sizeof bytes)) != 0) {
        if (count < 0 && errno != EINTR) {
            return;
        }
        const size_t room = output->len_max - output->len;
        if (count > 0) {
            nx_buf_append(output, nx_str_of(bytes, (size_t)count < room ? (size_t)count : room));
        }
    }
}

static enum nx_status wait_for(pid_t pid, int *exit_status_out, struct nx_error *err) {
    int status = 0;
    pid_t result;
    do {
        result = waitpid(pid, &status, 0);
    } while (result < 0 && errno == EINTR);
    if (result < 0) {
        return nx_fail(err, NX_UNAVAILABLE, "cannot wait for the command: %s", strerror(errno));
    }
    *exit_status_out = WIFEXITED(status) ? WEXITSTATUS(status) : STATUS_OF_SIGNAL + WTERMSIG(status);
    return NX_OK;
}

enum nx_status nx_process_run(const char *command, const char *directory, struct nx_buf *output,
                              int *exit_status_out, struct nx_error *err) {
    int ends[2] = { -1, -1 };
    pid_t pid = 0;
    if (directory != NULL && access(directory, X_OK) != 0) {
        return nx_fail(err, errno == EACCES ? NX_PERMISSION_DENIED : NX_NOT_FOUND,
                       "cannot run a command in '%s': %s", directory, strerror(errno));
    }
    if (output != NULL && pipe2(ends, O_CLOEXEC) != 0) {
        return nx_fail(err, NX_RESOURCE_EXHAUSTED, "cannot run a command: %s", strerror(errno));
    }
    const int error = start_shell(command, directory, ends[1], &pid);
    if (output != NULL) {
        (void)close(ends[1]);
        if (error == 0) {
            collect(ends[0], output);
        }
        (void)close(ends[0]);
    }
    if (error != 0) {
        return nx_fail(err, error == ENOTDIR ? NX_NOT_FOUND : NX_RESOURCE_EXHAUSTED,
                       "cannot run a command: %s", strerror(error));
    }
    NX_TRY(wait_for(pid, exit_status_out, err));
    return output != NULL ? nx_buf_check(output, err) : NX_OK;
}

/* The second number of /proc/self/statm: pages. */
static uint64_t memory_in_use(void) {
    char text[128];
    const int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    const ssize_t count = fd < 0 ? -1 : read(fd, text, sizeof text);
    if (fd >= 0) {
        (void)close(fd);
    }
    struct nx_str rest = nx_str_of(text, count < 0 ? 0 : (size_t)count);
    struct nx_str word;
    uint64_t pages = 0;
    for (int i = 0; i < 2; i++) {
        if (!nx_str_split(&rest, ' ', &word)) {
            return 0;
        }
    }
    if (!nx_str_to_u64(word, &pages)) {
        return 0;
    }
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

void nx_process_usage_read(struct nx_process_usage *usage_out) {
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    struct rusage usage = { 0 };
    (void)getrusage(RUSAGE_SELF, &usage);
    const int64_t seconds = (int64_t)usage.ru_utime.tv_sec + (int64_t)usage.ru_stime.tv_sec;
    const int64_t micros = (int64_t)usage.ru_utime.tv_usec + (int64_t)usage.ru_stime.tv_usec;
    *usage_out = (struct nx_process_usage){
        .memory_size = memory_in_use(),
        .cpu_ns = seconds * 1000 * 1000 * 1000 + micros * 1000,
        .core_count = cores < 1 ? 1 : (unsigned)cores,
    };
}
