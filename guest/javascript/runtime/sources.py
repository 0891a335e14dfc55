#!/usr/bin/env python3
"""Write the scripts of the JavaScript runtime into a C source: sources.py OUTPUT NAME=FILE..."""
import pathlib
import sys


def main() -> None:
    output, pairs = sys.argv[1], [pair.split("=", 1) for pair in sys.argv[2:]]
    lines = ["#include <string.h>", '#include "runtime.h"', ""]
    for index, (_, path) in enumerate(pairs):
        data = pathlib.Path(path).read_bytes() + b"\0"
        lines.append(f"static const char text_{index}[] = {{")
        lines += [" ".join(f"{b if b < 128 else b - 256}," for b in data[i:i + 20]) for i in range(0, len(data), 20)]
        lines.append("};")
    lines.append("static const struct runtime_source sources[] = {")
    lines += [f'    {{ "{name}", text_{index}, sizeof text_{index} - 1 }},' for index, (name, _) in enumerate(pairs)]
    lines += ["};", "const struct runtime_source *runtime_find_module(const char *name) {",
              "    for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++) {",
              "        if (strcmp(sources[i].name, name) == 0) {", "            return &sources[i];", "        }", "    }",
              "    return NULL;", "}", ""]
    pathlib.Path(output).write_text("\n".join(lines))


main()
