#!/usr/bin/env python3
"""Write a file's bytes as the definition of a struct nx_str that a header declares:
embed.py <input> <output.c> <header> <name>."""
import sys

source, target, header, name = sys.argv[1:]
with open(source, "rb") as file:
    data = file.read()
rows = [", ".join(str(byte) for byte in data[i : i + 24]) for i in range(0, len(data), 24)]
with open(target, "w", encoding="ascii") as file:
    file.write('/* Made from %s; do not edit. */\n#include "%s"\n' % (source.rsplit("/", 1)[-1], header))
    file.write("static const char bytes[] = {\n    %s\n};\n" % (",\n    ".join(rows)))
    file.write("const struct nx_str %s = { .ptr = bytes, .len = sizeof bytes };\n" % name)
