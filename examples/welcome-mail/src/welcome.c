/* welcome.c: asks for one welcome mail per address; runs for every event of type user.created.
 *
 * A function has no network: it publishes mail.requested, and whoever sends mail takes it from there. The key
 * and the event take effect together, when main returns 0. */
#include <stdio.h>
#include <string.h>

#include "nexus.h"

static char data[256 * 1024];

/* Copy the text of the member `name` of a JSON object. 0 when there is none, when it is empty or does not
 * fit, or when it has escapes, which no address needs: so what was copied can stand in JSON as it is. */
static int find_text(const char *json, const char *name, char *text, size_t size) {
    static const char space[] = " \t\r\n";
    char quoted[64];

    snprintf(quoted, sizeof quoted, "\"%s\"", name);
    for (const char *at = json; (at = strstr(at, quoted)) != NULL;) {
        at += strlen(quoted);
        const char *value = at + strspn(at, space);
        if (*value != ':') {
            continue; /* a value that is spelt like the name */
        }
        value += 1 + strspn(value + 1, space);
        if (*value != '"') {
            return 0;
        }
        const size_t len = strcspn(++value, "\"\\");
        if (len == 0 || len >= size || value[len] != '"') {
            return 0;
        }
        memcpy(text, value, len);
        text[len] = '\0';
        return 1;
    }
    return 0;
}

int main(void) {
    char address[256], key[300], mail[400];
    int64_t asked_at = 0; /* nanoseconds since 1970, from the call's tape: a replay writes the same */
    size_t len = 0;

    data[fread(data, 1, sizeof data - 1, stdin)] = '\0';
    if (!find_text(data, "email", address, sizeof address)) {
        nexus_log(NEXUS_ERROR, "the event has no email");
        return 1;
    }

    snprintf(key, sizeof key, "asked.%s", address);
    const int found = nexus_kv_get(key, &asked_at, sizeof asked_at, &len);
    if (found == NEXUS_OK) {
        nexus_log(NEXUS_INFO, "this address has its mail");
        printf("{\"mail\":\"asked before\",\"at\":%lld}\n", (long long)asked_at);
        return 0;
    }
    if (found != NEXUS_NOT_FOUND) {
        return 1;
    }

    asked_at = nexus_now();
    const int size = snprintf(mail, sizeof mail, "{\"to\":\"%s\",\"template\":\"welcome\"}", address);
    if (nexus_kv_set(key, &asked_at, sizeof asked_at) != NEXUS_OK ||
        nexus_publish("mail.requested", mail, (size_t)size) != NEXUS_OK) {
        return 1;
    }
    printf("{\"mail\":\"asked\",\"at\":%lld}\n", (long long)asked_at);
    return 0;
}
