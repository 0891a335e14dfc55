#!/usr/bin/env python3
"""Write template files into a C source, so that `nexus new` needs nothing but the binary.

embed.py OUTPUT LANGUAGE:NAME=FILE... : each FILE becomes an entry of nx_templates[] called NAME.
"""
import pathlib
import sys


def main() -> None:
    output, arguments = sys.argv[1], sys.argv[2:]
    lines = ['#include "app/templates.h"', ""]
    entries, known = [], {}
    for argument in arguments:
        target, path = argument.split("=", 1)
        language, name = target.split(":", 1)
        if path not in known: # a file that several languages share is there once
            known[path] = len(known)
            data = pathlib.Path(path).read_bytes()
            lines.append(f"static const char file_{known[path]}[] = {{")
            for row in (data[i:i + 20] for i in range(0, len(data), 20)):
                lines.append("    " + " ".join(f"{b if b < 128 else b - 256}," for b in row))
            lines += ["    0 };", ""]
        entries.append(f'    {{ "{language}", "{name}", file_{known[path]}, sizeof file_{known[path]} - 1 }},')
    lines += ["const struct nx_template nx_templates[] = {", *entries, "};"]
    lines += [f"const size_t nx_template_count = {len(entries)};", ""]
    pathlib.Path(output).write_text("\n".join(lines))


main()
