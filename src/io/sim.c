#include "io/sim.h"

#include <string.h>

#include "base/assert.h"
#include "io/mailbox_internal.h"
#include "io/sim_internal.h"

#define START_WALL_NS INT64_C(1767225600000000000) /* 2026-01-01T00:00:00Z */
#define START_MONOTONIC_NS INT64_C(1000000000)

enum { STEP_NS = 1000, DEFAULT_DISK_SIZE = 1024 * 1024 * 1024, PPM = 1000000 };

/* xoshiro256**: fast, and good enough to choose by. */
struct chance {
    uint64_t words[4];
};

/* An actor, and what the scheduler knows about it. */
struct role {
    struct nx_actor actor;
    struct nx_message_queue inbox;
    int64_t wanted_ns; /* when it asked to be called again */
    int64_t stalled_until_ns;
    bool noticed; /* its mailbox was seen to be not empty, and the delay for that was drawn */
};

struct nx_sim {
    struct chance world;      /* decides about scheduling and the disk */
    struct chance components; /* what components are given; so their draws do not change the scheduling */
    struct nx_now now;
    uint64_t digest;
    struct nx_sim_disk *disk;
    struct nx_sim_faults faults;
    size_t role_count;
    struct role roles[NX_SIM_ACTORS_MAX];
};

/* ---- chance ---- */

static uint64_t rotate_left(uint64_t value, unsigned count) {
    return value << count | value >> (64 - count);
}

static uint64_t split_mix(uint64_t *seed) {
    uint64_t value = *seed += UINT64_C(0x9E3779B97F4A7C15);
    value = (value ^ value >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    value = (value ^ value >> 27) * UINT64_C(0x94D049BB133111EB);
    return value ^ value >> 31;
}

static struct chance chance_of(uint64_t seed) {
    struct chance chance;
    for (size_t i = 0; i < 4; i++) {
        chance.words[i] = split_mix(&seed);
    }
    return chance;
}

static uint64_t draw(struct chance *chance) {
    uint64_t *words = chance->words;
    const uint64_t result = rotate_left(words[1] * 5, 7) * 9;
    const uint64_t shifted = words[1] << 17;
    words[2] ^= words[0];
    words[3] ^= words[1];
    words[1] ^= words[2];
    words[0] ^= words[3];
    words[2] ^= shifted;
    words[3] = rotate_left(words[3], 45);
    return result;
}

uint64_t nx_sim_below(struct nx_sim *sim, uint64_t limit) {
    nx_assert(limit > 0);
    return draw(&sim->world) % limit; /* a hair uneven for huge limits: no matter here */
}

bool nx_sim_chance(struct nx_sim *sim, uint32_t ppm) {
    return ppm != 0 && nx_sim_below(sim, PPM) < ppm;
}

static void fill(void *data, void *bytes, size_t len) {
    struct nx_sim *sim = data;
    unsigned char *to = bytes;
    while (len > 0) {
        const uint64_t word = draw(&sim->components);
        const size_t part = len < sizeof word ? len : sizeof word;
        memcpy(to, &word, part);
        to += part;
        len -= part;
    }
}

/* ---- time and trace ---- */

static struct nx_now read_clock(void *data) {
    const struct nx_sim *sim = data;
    return sim->now;
}

static void advance(struct nx_sim *sim, int64_t ns) {
    sim->now.wall_ns += ns;
    sim->now.monotonic_ns += ns;
}

void nx_sim_pass_time(struct nx_sim *sim, int64_t ns_max) {
    if (ns_max > 0) {
        advance(sim, (int64_t)nx_sim_below(sim, (uint64_t)ns_max + 1));
    }
}

void nx_sim_trace(struct nx_sim *sim, uint64_t value) {
    sim->digest = (sim->digest ^ value ^ (uint64_t)sim->now.monotonic_ns) * UINT64_C(0x9E3779B97F4A7C15);
    sim->digest ^= sim->digest >> 32;
}

uint64_t nx_sim_digest(const struct nx_sim *sim) {
    return sim->digest;
}

/* ---- the world ---- */

enum nx_status nx_sim_open(const struct nx_sim_options *options, struct nx_sim **sim_out,
                           struct nx_error *err) {
    struct nx_sim *sim = calloc(1, sizeof *sim);
    if (sim == NULL) {
        return nx_fail_memory(err);
    }
    sim->world = chance_of(options->seed);
    sim->components = chance_of(~options->seed);
    sim->now = (struct nx_now){ .wall_ns = START_WALL_NS, .monotonic_ns = START_MONOTONIC_NS };
    const uint64_t disk_size = options->disk_size != 0 ? options->disk_size : DEFAULT_DISK_SIZE;
    const enum nx_status status = nx_sim_disk_new(sim, disk_size, &sim->disk, err);
    if (status != NX_OK) {
        free(sim);
        return status;
    }
    *sim_out = sim;
    return NX_OK;
}

void nx_sim_close(struct nx_sim *sim) {
    if (sim == NULL) {
        return;
    }
    nx_sim_remove_all(sim);
    nx_sim_disk_free(sim->disk);
    free(sim);
}

struct nx_clock nx_sim_clock(struct nx_sim *sim) {
    return (struct nx_clock){ .read = read_clock, .data = sim };
}

struct nx_random nx_sim_random(struct nx_sim *sim) {
    return (struct nx_random){ .fill = fill, .data = sim };
}

struct nx_disk *nx_sim_disk(struct nx_sim *sim) {
    return nx_sim_disk_base(sim->disk);
}

void nx_sim_set_faults(struct nx_sim *sim, const struct nx_sim_faults *faults) {
    sim->faults = *faults;
    nx_sim_disk_set_faults(sim->disk, faults);
}

void nx_sim_set_disk_size(struct nx_sim *sim, uint64_t size) {
    nx_sim_disk_set_size(sim->disk, size);
}

uint64_t nx_sim_operation_count(const struct nx_sim *sim) {
    return nx_sim_disk_operation_count(sim->disk);
}

bool nx_sim_flip_bits(struct nx_sim *sim, const char *path, uint64_t offset, uint8_t mask) {
    return nx_sim_disk_flip_bits(sim->disk, path, offset, mask);
}

void nx_sim_crash(struct nx_sim *sim, enum nx_sim_crash how) {
    nx_assert(how != NX_SIM_NO_CRASH);
    nx_sim_disk_go_down(sim->disk, how);
    nx_sim_remove_all(sim);
}

bool nx_sim_has_crashed(const struct nx_sim *sim) {
    return nx_sim_disk_crash(sim->disk) != NX_SIM_NO_CRASH;
}

void nx_sim_boot(struct nx_sim *sim) {
    nx_assert(nx_sim_has_crashed(sim));
    nx_sim_remove_all(sim);
    sim->faults = (struct nx_sim_faults){ 0 };
    nx_sim_disk_boot(sim->disk);
}

/* ---- the scheduler ---- */

void nx_sim_add(struct nx_sim *sim, const struct nx_actor *actor) {
    nx_assert(sim->role_count < NX_SIM_ACTORS_MAX);
    sim->roles[sim->role_count++] = (struct role){ .actor = *actor, .wanted_ns = NX_STEP_AGAIN };
}

void nx_sim_remove_all(struct nx_sim *sim) {
    for (size_t i = 0; i < sim->role_count; i++) {
        nx_message_queue_release(&sim->roles[i].inbox);
    }
    sim->role_count = 0;
}

/** When the actor is to be stepped; INT64_MAX: when something comes. */
static int64_t ready_at(struct nx_sim *sim, struct role *role) {
    if (nx_mailbox_has_messages(role->actor.mailbox)) {
        if (!role->noticed && nx_sim_chance(sim, sim->faults.stall_ppm) && sim->faults.stall_ns_max > 0) {
            role->stalled_until_ns =
                sim->now.monotonic_ns + (int64_t)nx_sim_below(sim, (uint64_t)sim->faults.stall_ns_max + 1);
        }
        role->noticed = true;
        return role->stalled_until_ns;
    }
    return role->wanted_ns < role->stalled_until_ns ? role->stalled_until_ns : role->wanted_ns;
}

/** Choose among those that can run; NULL when none can, *earliest_out then says when the first one will. */
static struct role *choose(struct nx_sim *sim, int64_t *earliest_out) {
    struct role *ready[NX_SIM_ACTORS_MAX];
    size_t ready_count = 0;
    *earliest_out = INT64_MAX;
    for (size_t i = 0; i < sim->role_count; i++) {
        const int64_t at_ns = ready_at(sim, &sim->roles[i]);
        if (at_ns <= sim->now.monotonic_ns) {
            ready[ready_count++] = &sim->roles[i];
        } else if (at_ns < *earliest_out) {
            *earliest_out = at_ns;
        }
    }
    return ready_count == 0 ? NULL : ready[nx_sim_below(sim, ready_count)];
}

static void step(struct nx_sim *sim, struct role *role) {
    nx_sim_trace(sim, (uint64_t)(role - sim->roles));
    advance(sim, STEP_NS);
    role->noticed = false;
    (void)nx_mailbox_take(role->actor.mailbox, &role->inbox);
    role->wanted_ns = role->actor.step(role->actor.state, sim->now, &role->inbox);
}

enum nx_sim_end nx_sim_run(struct nx_sim *sim, const struct nx_sim_limits *limits) {
    const int64_t end_ns = limits->time_ns > 0 ? sim->now.monotonic_ns + limits->time_ns : INT64_MAX;
    for (uint64_t steps = 0;; steps++) {
        int64_t earliest_ns;
        if (nx_sim_has_crashed(sim)) {
            nx_sim_remove_all(sim);
            return NX_SIM_CRASHED;
        }
        if (limits->is_done != NULL && limits->is_done(limits->data)) {
            return NX_SIM_DONE;
        }
        if (limits->step_count > 0 && steps >= limits->step_count) {
            return NX_SIM_STEPS;
        }
        struct role *role = choose(sim, &earliest_ns);
        if (role == NULL && earliest_ns == INT64_MAX) {
            return NX_SIM_IDLE;
        }
        if (sim->now.monotonic_ns >= end_ns || (role == NULL && earliest_ns > end_ns)) {
            advance(sim, sim->now.monotonic_ns < end_ns ? end_ns - sim->now.monotonic_ns : 0);
            return NX_SIM_TIME;
        }
        if (role == NULL) {
            advance(sim, earliest_ns - sim->now.monotonic_ns);
            role = choose(sim, &earliest_ns);
        }
        step(sim, role);
    }
}
