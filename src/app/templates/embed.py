#!/usr/bin/env python3
"""Write template files into a C source, so that `nexus new` needs nothing but the binary.

embed.py OUTPUT NAME=FILE... : each FILE becomes an entry of nx_templates[] called NAME.
"""
import pathlib
import sys


def main() -> None:
    output, pairs = sys.argv[1], [p.split("=", 1) for p in sys.argv[2:]]
    lines = ['#include "app/templates.h"', ""]
    for index, (_, path) in enumerate(pairs):
        data = pathlib.Path(path).read_bytes()
        rows = [data[i:i + 20] for i in range(0, len(data), 20)]
        lines.append(f"static const char file_{index}[] = {{")
        lines += ["    " + " ".join(f"{b if b < 128 else b - 256}," for b in row) for row in rows]
        lines += ["    0 };", ""]
    lines.append("const struct nx_template nx_templates[] = {")
    for index, (name, _) in enumerate(pairs):
        lines.append(f'    {{ "{name}", file_{index}, sizeof file_{index} - 1 }},')
    lines += ["};", f"const size_t nx_template_count = {len(pairs)};", ""]
    pathlib.Path(output).write_text("\n".join(lines))


main()
