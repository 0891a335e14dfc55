/* Calls imports with whatever standard input says: records of 40 bytes: function number, nine arguments.
 * Bytes that are missing are zero. Answers go to standard output, so that a replay is compared over them. */
#include <stddef.h>
#include <stdint.h>

#define P1(name) __attribute__((import_module("wasi_snapshot_preview1"), import_name(#name)))
#define NX(name) __attribute__((import_module("nexus"), import_name(#name)))
typedef int32_t i;
typedef int64_t I;
P1(args_get) i args_get(i, i);
P1(args_sizes_get) i args_sizes_get(i, i);
P1(environ_get) i environ_get(i, i);
P1(environ_sizes_get) i environ_sizes_get(i, i);
P1(clock_res_get) i clock_res_get(i, i);
P1(clock_time_get) i clock_time_get(i, I, i);
P1(fd_advise) i fd_advise(i, I, I, i);
P1(fd_allocate) i fd_allocate(i, I, I);
P1(fd_close) i fd_close(i);
P1(fd_datasync) i fd_datasync(i);
P1(fd_fdstat_get) i fd_fdstat_get(i, i);
P1(fd_fdstat_set_flags) i fd_fdstat_set_flags(i, i);
P1(fd_fdstat_set_rights) i fd_fdstat_set_rights(i, I, I);
P1(fd_filestat_get) i fd_filestat_get(i, i);
P1(fd_filestat_set_size) i fd_filestat_set_size(i, I);
P1(fd_filestat_set_times) i fd_filestat_set_times(i, I, I, i);
P1(fd_pread) i fd_pread(i, i, i, I, i);
P1(fd_prestat_get) i fd_prestat_get(i, i);
P1(fd_prestat_dir_name) i fd_prestat_dir_name(i, i, i);
P1(fd_pwrite) i fd_pwrite(i, i, i, I, i);
P1(fd_read) i fd_read(i, i, i, i);
P1(fd_readdir) i fd_readdir(i, i, i, I, i);
P1(fd_renumber) i fd_renumber(i, i);
P1(fd_seek) i fd_seek(i, I, i, i);
P1(fd_sync) i fd_sync(i);
P1(fd_tell) i fd_tell(i, i);
P1(fd_write) i fd_write(i, i, i, i);
P1(path_create_directory) i path_create_directory(i, i, i);
P1(path_filestat_get) i path_filestat_get(i, i, i, i, i);
P1(path_filestat_set_times) i path_filestat_set_times(i, i, i, i, I, I, i);
P1(path_link) i path_link(i, i, i, i, i, i, i);
P1(path_open) i path_open(i, i, i, i, i, I, I, i, i);
P1(path_readlink) i path_readlink(i, i, i, i, i, i);
P1(path_remove_directory) i path_remove_directory(i, i, i);
P1(path_rename) i path_rename(i, i, i, i, i, i);
P1(path_symlink) i path_symlink(i, i, i, i, i);
P1(path_unlink_file) i path_unlink_file(i, i, i);
P1(poll_oneoff) i poll_oneoff(i, i, i, i);
P1(proc_exit) void proc_exit(i);
P1(proc_raise) i proc_raise(i);
P1(sched_yield) i sched_yield(void);
P1(random_get) i random_get(i, i);
P1(sock_accept) i sock_accept(i, i, i);
P1(sock_recv) i sock_recv(i, i, i, i, i, i);
P1(sock_send) i sock_send(i, i, i, i, i);
P1(sock_shutdown) i sock_shutdown(i, i);
NX(log) i nx_log(i, i, i, i, i);
NX(publish) i nx_publish(i, i, i, i, i, i);
NX(kv_get) i nx_kv_get(i, i, i, i, i);
NX(kv_set) i nx_kv_set(i, i, i, i);
NX(kv_delete) i nx_kv_delete(i, i);
NX(now) I nx_now(void);
NX(random) i nx_random(i, i);

static i call(uint32_t function, const i *a) {
    switch (function % 53) {
    case 0:
        return args_get(a[0], a[1]);
    case 1:
        return args_sizes_get(a[0], a[1]);
    case 2:
        return environ_get(a[0], a[1]);
    case 3:
        return environ_sizes_get(a[0], a[1]);
    case 4:
        return clock_res_get(a[0], a[1]);
    case 5:
        return clock_time_get(a[0], a[1], a[2]);
    case 6:
        return fd_advise(a[0], a[1], a[2], a[3]);
    case 7:
        return fd_allocate(a[0], a[1], a[2]);
    case 8:
        return fd_close(a[0]);
    case 9:
        return fd_datasync(a[0]);
    case 10:
        return fd_fdstat_get(a[0], a[1]);
    case 11:
        return fd_fdstat_set_flags(a[0], a[1]);
    case 12:
        return fd_fdstat_set_rights(a[0], a[1], a[2]);
    case 13:
        return fd_filestat_get(a[0], a[1]);
    case 14:
        return fd_filestat_set_size(a[0], a[1]);
    case 15:
        return fd_filestat_set_times(a[0], a[1], a[2], a[3]);
    case 16:
        return fd_pread(a[0], a[1], a[2], a[3], a[4]);
    case 17:
        return fd_prestat_get(a[0], a[1]);
    case 18:
        return fd_prestat_dir_name(a[0], a[1], a[2]);
    case 19:
        return fd_pwrite(a[0], a[1], a[2], a[3], a[4]);
    case 20:
        return fd_read(a[0], a[1], a[2], a[3]);
    case 21:
        return fd_readdir(a[0], a[1], a[2], a[3], a[4]);
    case 22:
        return fd_renumber(a[0], a[1]);
    case 23:
        return fd_seek(a[0], a[1], a[2], a[3]);
    case 24:
        return fd_sync(a[0]);
    case 25:
        return fd_tell(a[0], a[1]);
    case 26:
        return fd_write(a[0], a[1], a[2], a[3]);
    case 27:
        return path_create_directory(a[0], a[1], a[2]);
    case 28:
        return path_filestat_get(a[0], a[1], a[2], a[3], a[4]);
    case 29:
        return path_filestat_set_times(a[0], a[1], a[2], a[3], a[4], a[5], a[6]);
    case 30:
        return path_link(a[0], a[1], a[2], a[3], a[4], a[5], a[6]);
    case 31:
        return path_open(a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8]);
    case 32:
        return path_readlink(a[0], a[1], a[2], a[3], a[4], a[5]);
    case 33:
        return path_remove_directory(a[0], a[1], a[2]);
    case 34:
        return path_rename(a[0], a[1], a[2], a[3], a[4], a[5]);
    case 35:
        return path_symlink(a[0], a[1], a[2], a[3], a[4]);
    case 36:
        return path_unlink_file(a[0], a[1], a[2]);
    case 37:
        return poll_oneoff(a[0], a[1], a[2], a[3]);
    case 38:
        proc_exit(a[0]);
        return 0;
    case 39:
        return proc_raise(a[0]);
    case 40:
        return sched_yield();
    case 41:
        return random_get(a[0], a[1]);
    case 42:
        return sock_accept(a[0], a[1], a[2]);
    case 43:
        return sock_recv(a[0], a[1], a[2], a[3], a[4], a[5]);
    case 44:
        return sock_send(a[0], a[1], a[2], a[3], a[4]);
    case 45:
        return sock_shutdown(a[0], a[1]);
    case 46:
        return nx_log(a[0], a[1], a[2], a[3], a[4]);
    case 47:
        return nx_publish(a[0], a[1], a[2], a[3], a[4], a[5]);
    case 48:
        return nx_kv_get(a[0], a[1], a[2], a[3], a[4]);
    case 49:
        return nx_kv_set(a[0], a[1], a[2], a[3]);
    case 50:
        return nx_kv_delete(a[0], a[1]);
    case 51:
        return (i)nx_now();
    default:
        return nx_random(a[0], a[1]);
    }
}

static char *address(const void *p) {
    return (char *)p;
}

void _start(void);
void _start(void) {
    for (;;) {
        static i record[10];
        static i answer;
        i iov[2] = { (i)address(record), sizeof record };
        i size = 0;
        for (int k = 0; k < 10; k++) {
            record[k] = 0;
        }
        if (fd_read(0, (i)address(iov), 1, (i)address(&size)) != 0 || size == 0) {
            return;
        }
        answer = call((uint32_t)record[0], record + 1);
        i out[2] = { (i)address(&answer), sizeof answer };
        (void)fd_write(1, (i)address(out), 1, (i)address(&size));
    }
}
