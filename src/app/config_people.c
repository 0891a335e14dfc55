/* src/app/config_people.c: `people:` of nexus.yaml: which events are about a person, and where they name
 * them. */
#include <stdio.h>

#include "app/config_internal.h"
#include "codec/cloudevents.h"
#include "fabric/subject/subject.h"

/* A type, or a filter of types in NATS's wildcards, as a filter of subjects. */
static bool read_types(struct nx_config_reader *reader, const struct nx_yaml_node *node,
                       struct nx_str *subjects_out) {
    NX_AUTO(nx_buf) subjects = { 0 };

    nx_buf_init(&subjects, NX_SUBJECT_SIZE_MAX);
    nx_cloudevent_subject_filter(&subjects, node->key);
    if (nx_buf_failed(&subjects) || !nx_subject_is_filter(nx_buf_str(&subjects))) {
        nx_config_problem_at_key(reader, node,
                                 "'%.*s' is no type of events: expected one such as user.created or user.*",
                                 NX_STR_ARG(node->key));
        return false;
    }
    *subjects_out = nx_arena_copy(&reader->config->arena, nx_buf_str(&subjects));
    return subjects_out->ptr != NULL;
}

void nx_config_read_people(struct nx_config_reader *reader, const struct nx_yaml_node *node, void *target) {
    struct nx_config *config = target;
    struct nx_error err = { 0 };

    if (nx_yaml_expect(node, NX_YAML_MAPPING, &err) != NX_OK) {
        nx_config_problem_from(reader, &err);
        return;
    }
    for (const struct nx_yaml_node *child = node->first; child != NULL; child = child->next) {
        struct nx_person_rule rule = { .path = NX_STR_EMPTY };
        if (config->people_count == NX_PERSON_RULES_MAX) {
            nx_config_problem_at_key(reader, child, "'people' has more than %d types", NX_PERSON_RULES_MAX);
            return;
        }
        const bool has_types = read_types(reader, child, &rule.subjects);
        if (nx_config_read_event_path(reader, child, &rule.path) && has_types) {
            config->people[config->people_count++] = rule;
        }
    }
}
