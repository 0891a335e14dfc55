#include "platform/function/modules.h"

#include "base/assert.h"

enum { KEY_SIZE = NX_DIGEST_SIZE + sizeof(uint64_t), MAP_COUNT_MAX = 4 * NX_REGISTRY_FUNCTIONS_MAX };

static struct nx_str key_of(const struct nx_digest *digest, uint64_t memory_max, char buffer[KEY_SIZE]) {
    memcpy(buffer, digest->bytes, NX_DIGEST_SIZE);
    memcpy(buffer + NX_DIGEST_SIZE, &memory_max, sizeof memory_max);
    return nx_str_of(buffer, KEY_SIZE);
}

void nx_modules_init(struct nx_modules *modules, const struct nx_guest_kind *guests,
                     struct nx_mailbox *loader, struct nx_mailbox *reply_to, uint64_t seed) {
    *modules = (struct nx_modules){ .guests = guests, .reply_to = reply_to, .loader = { .to = loader } };
    nx_map_init(&modules->map, MAP_COUNT_MAX, seed);
    nx_list_init(&modules->kept);
}

static void loaded_free(const struct nx_modules *modules, struct nx_loaded *loaded) {
    if (loaded->module != NULL) {
        modules->guests->module_unref(loaded->module);
    }
    free(loaded);
}

void nx_modules_fini(struct nx_modules *modules) {
    size_t cursor = 0;
    void *loaded;
    while (nx_map_next(&modules->map, &cursor, NULL, &loaded)) {
        loaded_free(modules, loaded);
    }
    nx_map_fini(&modules->map);
    nx_message_queue_release(&modules->loader.waiting);
}

/* False: no memory; nx_modules_ask_again() tries again. */
static bool ask(struct nx_modules *modules, struct nx_loaded *loaded) {
    struct nx_load *load = NULL;
    if (nx_load_new(modules->guests, &loaded->digest, loaded->memory_max, &load, NULL) != NX_OK) {
        return false;
    }
    load->message.reply_to = modules->reply_to;
    loaded->is_asked = true;
    nx_outbox_send(&modules->loader, &load->message);
    return true;
}

struct nx_loaded *nx_modules_want(struct nx_modules *modules, const struct nx_registered *registered) {
    char buffer[KEY_SIZE];
    const struct nx_str key = key_of(&registered->module_digest, registered->function->memory_max, buffer);
    struct nx_loaded *loaded = nx_map_get(&modules->map, key);
    if (loaded != NULL) {
        if (loaded->state != NX_LOADED_LOADING) {
            nx_list_remove(&modules->kept, &loaded->node);
            nx_list_append(&modules->kept, &loaded->node);
        }
        return loaded;
    }
    loaded = calloc(1, sizeof *loaded);
    if (loaded == NULL) {
        return NULL;
    }
    nx_list_init(&loaded->waiting);
    loaded->digest = registered->module_digest;
    loaded->memory_max = registered->function->memory_max;
    if (nx_map_set(&modules->map, key, loaded, NULL) != NX_OK) {
        free(loaded);
        return NULL;
    }
    if (!ask(modules, loaded)) {
        (void)nx_map_remove(&modules->map, key);
        free(loaded);
        return NULL;
    }
    return loaded;
}

static void drop(struct nx_modules *modules, struct nx_loaded *loaded) {
    char buffer[KEY_SIZE];
    nx_assert(nx_list_is_empty(&loaded->waiting));
    (void)nx_map_remove(&modules->map, key_of(&loaded->digest, loaded->memory_max, buffer));
    nx_list_remove(&modules->kept, &loaded->node);
    modules->count--;
    modules->size -= loaded->size;
    loaded_free(modules, loaded);
}

/* Drop the least recently used ones until the limits hold, but none that is in use, and not `keep`. */
static void shrink(struct nx_modules *modules, size_t count_max, uint64_t size_max,
                   const struct nx_loaded *keep) {
    struct nx_list_node *node = nx_list_first(&modules->kept);
    while (node != NULL && (modules->count > count_max || modules->size > size_max)) {
        struct nx_loaded *loaded = nx_container_of(node, struct nx_loaded, node);
        node = nx_list_next(&modules->kept, node);
        if (loaded->use_count == 0 && loaded != keep) {
            drop(modules, loaded);
        }
    }
}

void nx_modules_use(struct nx_loaded *loaded) {
    loaded->use_count++;
}

void nx_modules_release(struct nx_modules *modules, struct nx_loaded *loaded) {
    nx_assert(loaded->use_count > 0);
    loaded->use_count--;
    shrink(modules, NX_MODULES_COUNT_MAX, NX_MODULES_SIZE_MAX, NULL);
}

static int64_t retry_wait_ns(unsigned failures) {
    int64_t wait_ms = NX_MODULE_RETRY_MIN_MS;
    for (unsigned i = 1; i < failures && wait_ms < NX_MODULE_RETRY_MAX_MS; i++) {
        wait_ms *= 2;
    }
    wait_ms = wait_ms < NX_MODULE_RETRY_MAX_MS ? wait_ms : NX_MODULE_RETRY_MAX_MS;
    return wait_ms * (int64_t)NX_NS_PER_MS;
}

struct nx_loaded *nx_modules_take(struct nx_modules *modules, struct nx_load *load, int64_t now_ns) {
    char buffer[KEY_SIZE];
    struct nx_loaded *loaded = nx_map_get(&modules->map, key_of(&load->digest, load->memory_max, buffer));
    nx_assert(loaded != NULL);
    nx_assert(loaded->state == NX_LOADED_LOADING);
    loaded->is_asked = false;
    loaded->error = load->error;
    if (load->status != NX_OK && load->status != NX_INVALID_ARGUMENT && load->status != NX_DATA_LOSS) {
        loaded->failures++;
        loaded->retry_ns = now_ns + retry_wait_ns(loaded->failures);
        nx_message_release(&load->message);
        return loaded;
    }
    loaded->state = load->status == NX_OK ? NX_LOADED_READY : NX_LOADED_REFUSED;
    loaded->module = NX_TAKE(load->module);
    loaded->size = load->size;
    nx_message_release(&load->message);
    nx_list_append(&modules->kept, &loaded->node);
    modules->count++;
    modules->size += loaded->size;
    shrink(modules, NX_MODULES_COUNT_MAX, NX_MODULES_SIZE_MAX, loaded);
    return loaded;
}

int64_t nx_modules_ask_again(struct nx_modules *modules, int64_t now_ns) {
    size_t cursor = 0;
    void *value;
    int64_t next_ns = INT64_MAX;
    while (nx_map_next(&modules->map, &cursor, NULL, &value)) {
        struct nx_loaded *loaded = value;
        if (loaded->state != NX_LOADED_LOADING || loaded->is_asked) {
            continue;
        }
        if (loaded->retry_ns <= now_ns && !ask(modules, loaded)) {
            loaded->retry_ns = now_ns + retry_wait_ns(1);
        }
        if (!loaded->is_asked && loaded->retry_ns < next_ns) {
            next_ns = loaded->retry_ns;
        }
    }
    return next_ns;
}

void nx_modules_hope(struct nx_modules *modules) {
    size_t cursor = 0;
    void *value;
    while (nx_map_next(&modules->map, &cursor, NULL, &value)) {
        struct nx_loaded *loaded = value;
        loaded->failures = 0;
        loaded->retry_ns = 0;
    }
}

void nx_modules_drop_unused(struct nx_modules *modules) {
    shrink(modules, 0, 0, NULL);
}
