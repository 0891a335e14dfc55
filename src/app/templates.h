/* src/app/templates.h: the files of `nexus new`, compiled in (templates/embed.py writes them at build time).
 *
 * Where a text holds {{name}}, the project's name is put. */
#pragma once

#include <stddef.h>

struct nx_template {
    const char *language; /* of the project: "c", "rust" ...; a language's files stand together */
    const char *path;     /* relative to the project's folder */
    const char *text;
    size_t size; /* bytes */
};

extern const struct nx_template nx_templates[];
extern const size_t nx_template_count;
