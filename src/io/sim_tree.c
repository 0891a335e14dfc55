#include "io/sim_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"

/* ---- nodes ---- */

struct nx_sim_node *nx_sim_node_new(struct nx_sim_tree *tree, bool is_directory) {
    struct nx_sim_node *node = calloc(1, sizeof *node);
    if (node == NULL || (!is_directory && !nx_sim_image_init(&node->shown))) {
        free(node);
        return NULL;
    }
    if (!is_directory && !nx_sim_image_init(&node->durable)) {
        nx_sim_image_fini(&node->shown);
        free(node);
        return NULL;
    }
    node->ref_count = 1;
    node->is_directory = is_directory;
    nx_list_init(&node->changes);
    nx_list_init(&node->names);
    nx_list_init(&node->durable_names);
    nx_list_init(&node->renames);
    nx_list_append(&tree->nodes, &node->all);
    return node;
}

struct nx_sim_node *nx_sim_node_ref(struct nx_sim_node *node) {
    nx_assert(node != NULL);
    node->ref_count++;
    return node;
}

static void drop_changes(struct nx_sim_node *node) {
    struct nx_list_node *at;
    while ((at = nx_list_take_first(&node->changes)) != NULL) {
        free(nx_container_of(at, struct nx_sim_change, node));
    }
}

void nx_sim_names_drop(struct nx_sim_tree *tree, struct nx_list *names) {
    struct nx_list_node *at;
    while ((at = nx_list_take_first(names)) != NULL) {
        struct nx_sim_entry *entry = nx_container_of(at, struct nx_sim_entry, node);
        nx_sim_node_unref(tree, entry->target);
        free(entry);
    }
}

static void rename_free(struct nx_sim_tree *tree, struct nx_sim_rename *rename) {
    nx_sim_node_unref(tree, rename->target);
    free(rename);
}

static void drop_renames(struct nx_sim_tree *tree, struct nx_sim_node *directory) {
    struct nx_list_node *at;
    while ((at = nx_list_take_first(&directory->renames)) != NULL) {
        rename_free(tree, nx_container_of(at, struct nx_sim_rename, node));
    }
}

/** Recurses as deep as directories are nested, which the tests decide. */
void nx_sim_node_unref(struct nx_sim_tree *tree, struct nx_sim_node *node) {
    if (node == NULL || --node->ref_count > 0) {
        return;
    }
    drop_changes(node);
    nx_sim_names_drop(tree, &node->names);
    nx_sim_names_drop(tree, &node->durable_names);
    drop_renames(tree, node);
    nx_sim_image_fini(&node->shown);
    nx_sim_image_fini(&node->durable);
    nx_list_remove(&tree->nodes, &node->all);
    free(node);
}

/* ---- names ---- */

struct nx_sim_entry *nx_sim_names_find(const struct nx_list *names, const char *name) {
    for (struct nx_list_node *at = nx_list_first(names); at != NULL; at = nx_list_next(names, at)) {
        struct nx_sim_entry *entry = nx_container_of(at, struct nx_sim_entry, node);
        if (strcmp(entry->name, name) == 0) {
            return entry;
        }
    }
    return NULL;
}

static void remove_name(struct nx_sim_tree *tree, struct nx_list *names, const char *name) {
    struct nx_sim_entry *entry = nx_sim_names_find(names, name);
    if (entry != NULL) {
        nx_list_remove(names, &entry->node);
        nx_sim_node_unref(tree, entry->target);
        free(entry);
    }
}

/* The simulated world does not go on without memory for a name: that is the test's trouble, not the disk's.
 */
void nx_sim_names_add(struct nx_sim_tree *tree, struct nx_list *names, const char *name,
                      struct nx_sim_node *target) {
    struct nx_sim_entry *entry = calloc(1, sizeof *entry);
    nx_assert(entry != NULL);
    (void)snprintf(entry->name, sizeof entry->name, "%s", name);
    entry->target = nx_sim_node_ref(target);
    remove_name(tree, names, name);
    nx_list_append(names, &entry->node);
}

static void apply_rename(struct nx_sim_tree *tree, struct nx_list *names,
                         const struct nx_sim_rename *rename) {
    if (rename->removed[0] != '\0') {
        remove_name(tree, names, rename->removed);
    }
    if (rename->added[0] != '\0') {
        nx_sim_names_add(tree, names, rename->added, rename->target);
    }
}

/** Change the directory's names: at once for those who look, after its sync for good. */
void nx_sim_directory_change(struct nx_sim_tree *tree, struct nx_sim_node *directory, const char *removed,
                             const char *added, struct nx_sim_node *target) {
    struct nx_sim_rename *rename = calloc(1, sizeof *rename);
    nx_assert(rename != NULL);
    (void)snprintf(rename->removed, sizeof rename->removed, "%s", removed);
    (void)snprintf(rename->added, sizeof rename->added, "%s", added);
    rename->target = target != NULL ? nx_sim_node_ref(target) : NULL;
    nx_list_append(&directory->renames, &rename->node);
    apply_rename(tree, &directory->names, rename);
}

/** Make the first `count` changes of names durable and forget the others. */
void nx_sim_directory_settle(struct nx_sim_tree *tree, struct nx_sim_node *directory, uint64_t count) {
    struct nx_list_node *at;
    for (; (at = nx_list_take_first(&directory->renames)) != NULL; count -= count > 0 ? 1 : 0) {
        struct nx_sim_rename *rename = nx_container_of(at, struct nx_sim_rename, node);
        if (count > 0) {
            apply_rename(tree, &directory->durable_names, rename);
        }
        rename_free(tree, rename);
    }
}

/** Walk to the directory that holds the last part of `path`, which is copied to `name_out`
 * (NX_SIM_NAME_SIZE_MAX; empty for the root itself). 0, or an errno. */
int nx_sim_tree_walk(struct nx_sim_tree *tree, const char *path, struct nx_sim_node **directory_out,
                     char *name_out) {
    struct nx_str rest = nx_str_from_c(path);
    struct nx_str part;
    struct nx_sim_node *directory = tree->root;
    name_out[0] = '\0';
    while (nx_str_split(&rest, '/', &part)) {
        if (part.len == 0 || nx_str_is(part, ".")) {
            continue;
        }
        if (part.len >= NX_SIM_NAME_SIZE_MAX) {
            return ENAMETOOLONG;
        }
        if (name_out[0] != '\0') {
            const struct nx_sim_entry *entry = nx_sim_names_find(&directory->names, name_out);
            if (entry == NULL) {
                return ENOENT;
            }
            if (!entry->target->is_directory) {
                return ENOTDIR;
            }
            directory = entry->target;
        }
        memcpy(name_out, part.ptr, part.len);
        name_out[part.len] = '\0';
    }
    *directory_out = directory;
    return 0;
}

/** The node at `path`, borrowed; 0, or an errno. */
int nx_sim_tree_find(struct nx_sim_tree *tree, const char *path, struct nx_sim_node **node_out) {
    char name[NX_SIM_NAME_SIZE_MAX];
    struct nx_sim_node *directory = NULL;
    const int error = nx_sim_tree_walk(tree, path, &directory, name);
    if (error != 0) {
        return error;
    }
    if (name[0] == '\0') {
        *node_out = directory;
        return 0;
    }
    const struct nx_sim_entry *entry = nx_sim_names_find(&directory->names, name);
    if (entry == NULL) {
        return ENOENT;
    }
    *node_out = entry->target;
    return 0;
}
