/* tests/crash/ledger.c: a function whose effects can be counted: numbers each event it sees in its key-value
 * bucket and publishes one entry with the event's id and that number. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nexus.h"

int main(void) {
    static char event[65536];
    char number[24] = "0", entry[512];
    size_t len = fread(event, 1, sizeof event - 1, stdin);
    event[len] = '\0';
    const char *id = strstr(event, "\"id\":\"");
    if (id == NULL) {
        return 1;
    }
    id += 6;
    const int id_len = (int)strcspn(id, "\"");
    size_t number_len = 0;
    const int answer = nexus_kv_get("count", number, sizeof number - 1, &number_len);
    if (answer != NEXUS_OK && answer != NEXUS_NOT_FOUND) {
        return 1;
    }
    number[answer == NEXUS_OK ? number_len : 0] = '\0';
    const long count = atol(number) + 1;
    snprintf(number, sizeof number, "%ld", count);
    const int entry_len = snprintf(entry, sizeof entry, "{\"id\":\"%.*s\",\"count\":%ld}", id_len, id, count);
    if (nexus_kv_set("count", number, strlen(number)) != NEXUS_OK ||
        nexus_publish("ledger.entry", entry, (size_t)entry_len) != NEXUS_OK) {
        return 1;
    }
    nexus_log(NEXUS_INFO, "entered");
    return 0;
}
