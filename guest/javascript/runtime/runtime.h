/* guest/javascript/runtime/runtime.h: what the units of the JavaScript runtime share. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct runtime_source {
    const char *name;
    const char *text; /* zero-terminated */
    size_t size;
};

/* A script that is compiled in: "prelude", "nexus" ...; NULL where there is none. Made by sources.py. */
const struct runtime_source *runtime_find_module(const char *name);

/* SHA-1 (bits 1), SHA-256, SHA-384 or SHA-512; its size in bytes, 0 for another number. */
size_t runtime_digest(int32_t bits, const uint8_t *bytes, size_t size, uint8_t digest[64]);
