/* welcome.c: welcomes a new user; runs for every event of type user.created.
 *
 * Standard input is the whole CloudEvent as JSON, what is printed is the output. What is stored and published
 * takes effect when main returns 0: all of it, exactly once. Any other end drops it, and the call is tried
 * again. */
#include <stdio.h>
#include <string.h>

#include "nexus.h"

static char event[256 * 1024];

/* Copy the text that stands behind "name": in the JSON. 0 when there is none, or it does not fit. */
static int find_text(const char *json, const char *name, char *text, size_t size) {
    char quoted[64];
    snprintf(quoted, sizeof quoted, "\"%s\"", name);
    const char *at = strstr(json, quoted);
    at = at == NULL ? NULL : strchr(at + strlen(quoted), '"');
    const char *end = at == NULL ? NULL : strchr(at + 1, '"');
    if (end == NULL || (size_t)(end - at) > size) {
        return 0;
    }
    memcpy(text, at + 1, (size_t)(end - at - 1));
    text[end - at - 1] = '\0';
    return 1;
}

int main(void) {
    char user[128], key[160], fields[192], welcome[256];
    unsigned visits = 0;
    size_t len;

    event[fread(event, 1, sizeof event - 1, stdin)] = '\0';
    if (!find_text(event, "user_id", user, sizeof user)) {
        nexus_log(NEXUS_ERROR, "The event has no user_id");
        return 1; /* tried again, and in the end kept among the dead letters */
    }
    snprintf(fields, sizeof fields, "{\"user_id\":\"%s\"}", user);
    nexus_log_fields(NEXUS_INFO, "Processing user event", fields);

    /* How often this user was seen: the keys are this function's own, and last. */
    snprintf(key, sizeof key, "visits.%s", user);
    if (nexus_kv_get(key, &visits, sizeof visits, &len) != NEXUS_OK) {
        visits = 0;
    }
    visits++;
    nexus_kv_set(key, &visits, sizeof visits);

    if (visits == 1) {
        int size = snprintf(welcome, sizeof welcome, "{\"user_id\":\"%s\",\"text\":\"Welcome!\"}", user);
        nexus_publish("user.welcomed", welcome, (size_t)size);
    }
    printf("{\"user_id\":\"%s\",\"visits\":%u}\n", user, visits);
    return 0;
}
