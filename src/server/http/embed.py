#!/usr/bin/env python3
"""Write a file's bytes as a C array: embed.py <input> <output.h> <name>."""
import sys

source, target, name = sys.argv[1:]
with open(source, "rb") as file:
    data = file.read()
rows = [", ".join(str(byte) for byte in data[i : i + 24]) for i in range(0, len(data), 24)]
with open(target, "w", encoding="ascii") as file:
    file.write("/* Made from %s; do not edit. */\n#pragma once\n" % source.rsplit("/", 1)[-1])
    file.write("static const char %s[] = {\n    %s\n};\n" % (name, ",\n    ".join(rows)))
