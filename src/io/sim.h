/* src/io/sim.h: a world made from one seed: clock, random, disk and scheduler, in one thread.
 *
 * The same actors that io/thread runs on the machine are stepped here, in an order that the seed decides,
 * over a disk that forgets what was not synced. The same seed gives the same run, to the last bit (as long as
 * the code under test takes time, chance and bytes from here only): nx_sim_digest() proves it. So a failure
 * is a number, and finding it again is passing that number.
 *
 * How to write a simulation:
 *     1. Open the world with a seed. Give its clock, random and disk to the components, and hand their actors
 *        to nx_sim_add() where the real program calls nx_thread_start(). Mailboxes are the ordinary ones.
 *     2. The load and the model are actors too, or plain code between runs: an actor that sends requests, and
 *        notes what was answered, makes a good client. For choices of its own it uses nx_sim_below(), never
 *        rand(). Network loops are not simulated: a client actor stands where they would.
 *     3. nx_sim_run() until a condition holds, or nothing is left to do, or a limit is met.
 *     4. Crash: either nx_sim_crash() between two steps, or faults.crash_at in the midst of one; then
 *        nx_sim_run() returns NX_SIM_CRASHED at the end of the step under way. From then on every call to the
 *        disk fails, so what the caller now closes cannot tidy up: throw all components away, nx_sim_boot(),
 *        open them again, and let the model check what is left: acknowledged is there, unchanged, in order;
 *        unacknowledged is there as a whole or not at all.
 *     5. Print the seed with every failure.
 *
 * The disk keeps two states of each file: what reads show, and what is durable. A write, a truncation or a
 * hole becomes durable by nx_file_sync(); a name by nx_disk_sync_directory(). At a loss of power each change
 * that was not synced is kept, dropped, or torn: cut at any byte, or some of its 512-byte sectors missing;
 * the names of a directory fall back to a state between the last sync and now. After a sync that failed the
 * changes may be gone although reads still show them, as Linux does it. A kill leaves the files as they are
 * and only ends the process: locks and open files are gone.
 *
 * Time stands still while an actor runs, but for a microsecond a step and what the disk takes; it jumps to
 * the next wanted time when nobody can run. There are no simulated sockets yet. Threads: one. */
#pragma once

#include <stdint.h>

#include "base/error.h"
#include "base/own.h"
#include "io/clock.h"
#include "io/file.h"
#include "io/random.h"
#include "io/thread.h"

struct nx_sim;

enum {
    NX_SIM_ACTORS_MAX = 64,
    NX_SIM_FILE_SIZE_MAX = 128 * 1024 * 1024, /* larger files are refused as if the disk were full */
};

struct nx_sim_options {
    uint64_t seed;
    uint64_t disk_size; /* bytes; 0: 1 GiB */
};

/** Ownership: the caller closes it, after everything that uses its disk. Errors: NX_RESOURCE_EXHAUSTED */
NX_MUST_CHECK enum nx_status nx_sim_open(const struct nx_sim_options *options, struct nx_sim **sim_out,
                                         struct nx_error *err);
/** Messages that actors had taken are released. NULL allowed. */
void nx_sim_close(struct nx_sim *sim);

/* What components are given; valid until nx_sim_close(). */
struct nx_clock nx_sim_clock(struct nx_sim *sim);
struct nx_random nx_sim_random(struct nx_sim *sim);
struct nx_disk *nx_sim_disk(struct nx_sim *sim);

/* Chance for the test's own choices. */
/** A number from 0 to `limit` - 1; `limit` > 0. */
uint64_t nx_sim_below(struct nx_sim *sim, uint64_t limit);
/** True `ppm` times in a million. */
bool nx_sim_chance(struct nx_sim *sim, uint32_t ppm);

/* ---- trouble ---- */

enum nx_sim_crash {
    NX_SIM_NO_CRASH,
    NX_SIM_KILL,       /* the process ends; the disk shows all that was written */
    NX_SIM_POWER_LOSS, /* the machine ends; what was not synced is kept, dropped or torn */
};

/* Zeroed is a good disk that takes no time. Rates are in a million; the counts say which operation from now
 * on (1 is the next one) fails once, 0 none. Operations are reads, writes (preallocate, truncate and hole are
 * writes), syncs (of files and directories) and changes of names. */
struct nx_sim_faults {
    uint32_t read_failure_ppm;
    uint32_t write_failure_ppm; /* part of the write may have happened */
    uint32_t sync_failure_ppm;
    uint64_t fail_read_at;
    uint64_t fail_write_at;
    uint64_t fail_sync_at;
    uint64_t crash_at; /* of all operations: that one and all later ones fail, and the run ends */
    enum nx_sim_crash crash_how;
    int64_t write_ns_max; /* a write takes up to that, by chance; so do the next two */
    int64_t sync_ns_max;
    int64_t stall_ns_max; /* what an actor may be late by */
    uint32_t stall_ppm;   /* how often it is */
};

void nx_sim_set_faults(struct nx_sim *sim, const struct nx_sim_faults *faults);
/** Operations of the disk so far: run once to count them, then crash at each in turn. */
uint64_t nx_sim_operation_count(const struct nx_sim *sim);
/** A smaller disk is full at once, a larger one has room again. */
void nx_sim_set_disk_size(struct nx_sim *sim, uint64_t size);
/** Invert bits of what is stored, durably: a disk that rots. False when there is no such byte. */
bool nx_sim_flip_bits(struct nx_sim *sim, const char *path, uint64_t offset, uint8_t mask);

/** The end, between two steps: actors are removed (messages that they had taken are released), the disk is
 * down until nx_sim_boot(). A no-op when it has crashed already. */
void nx_sim_crash(struct nx_sim *sim, enum nx_sim_crash how);
/** After a crash: the disk works again, faults are cleared. After a loss of power the boot id (the file
 * /proc/sys/kernel/random/boot_id, as on the machine) is another one. */
void nx_sim_boot(struct nx_sim *sim);
bool nx_sim_has_crashed(const struct nx_sim *sim);

/* ---- running ---- */

/** `actor` is copied, its state and mailbox borrowed until it is removed. It is stepped once without
 * messages, as by nx_thread_start(). At most NX_SIM_ACTORS_MAX. */
void nx_sim_add(struct nx_sim *sim, const struct nx_actor *actor);
/** Remove all actors, as nx_thread_stop() would end their threads. */
void nx_sim_remove_all(struct nx_sim *sim);

enum nx_sim_end {
    NX_SIM_DONE,    /* the condition holds */
    NX_SIM_IDLE,    /* nobody has anything to do, nor will have */
    NX_SIM_TIME,    /* the time limit */
    NX_SIM_STEPS,   /* the step limit */
    NX_SIM_CRASHED, /* faults.crash_at was reached */
};

struct nx_sim_limits {
    bool (*is_done)(void *data); /* asked before each step; NULL: never */
    void *data;
    int64_t time_ns;     /* of the simulated time from now; 0: no limit */
    uint64_t step_count; /* from now; 0: no limit */
};

enum nx_sim_end nx_sim_run(struct nx_sim *sim, const struct nx_sim_limits *limits);
/** A number that stands for all that happened so far: who was stepped when, and each operation of the disk.
 */
uint64_t nx_sim_digest(const struct nx_sim *sim);

NX_DEFINE_AUTO(nx_sim, nx_sim_close)
