#!/usr/bin/env python3
"""Enforce the table of layers in ARCHITECTURE.md: who may include whose headers.

    tools/layers.py

The table is the block fenced by ```layers: layer | modules | layers it may use. Within a layer a module may
use those to its left. A module is src/<layer>/<module>/ or src/<layer>/<module>.[ch]; <module>_<more>.[ch]
belongs to <module>. Unit tests (<unit>_test.c) may use every module of their own layer. A row whose last
column is "all" may use everything, and its modules are not ordered. Foreign headers have the homes below.
"""

import re
import sys

import source

# Where a foreign header may be included: prefixes of paths.
FOREIGN = [
    (re.compile(r"^(wasmtime|wasm|wasi)\b"), ["src/sandbox/"]),
    (re.compile(r"^uv\.h$|^uv/"), ["src/io/"]),
    (re.compile(r"^lz4\.h$"), ["src/storage/run"]),
    (re.compile(r"^zlib\.h$"), ["src/codec/gzip"]),
    (re.compile(r"^yyjson\.h$"), ["src/codec/json"]),
    (re.compile(r"^libfyaml"), ["src/codec/yaml"]),
    (re.compile(r"^openssl/"), ["src/io/tls", "src/codec/digest", "src/codec/nkey", "src/codec/sealed"]),
    (re.compile(r"^crypt\.h$"), ["src/codec/password"]),
    (re.compile(r"^llhttp\.h$"), ["src/server/http/"]),
    (re.compile(r"^(pthread|threads|semaphore)\.h$"), ["src/io/"]),
    (re.compile(r"^stdatomic\.h$"), ["src/io/mailbox", "src/io/thread", "src/base/counter"]),
]
HEADERLESS = re.compile(r"^uv\.h$|^uv/")  # never in a header of ours: its types would leak out of its home
TESTS = ("_test.c", "_test.h")
GUESTS = re.compile(r"/(testdata|templates)/")  # programs that run inside, not parts of ours
INCLUDE = re.compile(r'^\s*#\s*include\s+(["<])([^">]+)[">]')


class Layer:
    def __init__(self, name, modules, uses):
        self.name, self.modules, self.uses = name, modules, uses
        self.free = uses == {"all"}

    def module_of(self, unit):
        """The module that a file or folder name belongs to: the longest that it begins with; None: unlisted."""
        fitting = [m for m in self.modules if unit == m or unit.startswith(m + "_")]
        return max(fitting, key=len, default=None)


def read_table(text):
    """{name: Layer} from the text of ARCHITECTURE.md."""
    block = re.search(r"^```layers\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    if block is None:
        raise SystemExit("ARCHITECTURE.md: no ```layers block")
    table = {}
    for line in block.group(1).splitlines():
        if not line.strip():
            continue
        name, modules, uses = (column.strip() for column in line.split("|"))
        modules = re.sub(r"\([^)]*\)", "", modules.split(": ")[0])
        table[name] = Layer(name, [m.strip() for m in modules.split("·")], set(uses.split()))
    return table


def unit_of(path):
    """(layer, unit) of a path below src/: the folder in the layer, or the file's name without its ending."""
    parts = path.split("/")
    if len(parts) > 3:
        return parts[1], parts[2]
    return parts[1], re.sub(r"(_test|_internal)?\.[ch]$", "", parts[2])


def foreign_problem(path, header):
    for pattern, homes in FOREIGN:
        if pattern.search(header):
            if not any(path.startswith(home) for home in homes):
                return f"<{header}> has its home in {', '.join(homes)}"
            if path.endswith(".h") and HEADERLESS.search(header):
                return f"<{header}> in a header: its types must not leave {', '.join(homes)}"
    return None


def include_problem(path, header, table, exists):
    """What is wrong with the file at `path` including "header"; None when nothing is, or when it is generated."""
    if exists(header) is None:
        return None
    if not exists(header):
        return f'"{header}" is not a file below src/'
    layer_name, unit = unit_of(path)
    used_name, used_unit = unit_of("src/" + header)
    layer, used = table.get(layer_name), table.get(used_name)
    if used is None:
        return f"the layer {used_name} is not in ARCHITECTURE.md's table"
    if layer.free:
        return None
    if layer_name != used_name:
        return None if used_name in layer.uses else f"{layer_name} may not use {used_name} (\"{header}\")"
    if path.endswith(TESTS):
        return None
    module, used_module = layer.module_of(unit), layer.module_of(used_unit)
    if used_module is None:
        return f"the module {used_name}/{used_unit} is not in ARCHITECTURE.md's table"
    if layer.modules.index(used_module) > layer.modules.index(module):
        return f"{layer_name}/{module} may not use {used_name}/{used_module}: it stands to its right in the table"
    return None


def check_file(path, text, table, exists):
    """[(line, message)] for one file below src/."""
    layer_name, unit = unit_of(path)
    layer = table.get(layer_name)
    if layer is None:
        return [(1, f"the layer {layer_name} is not in ARCHITECTURE.md's table")]
    if not layer.free and layer.module_of(unit) is None and not path.endswith(TESTS):
        return [(1, f"the module {layer_name}/{unit} is not in ARCHITECTURE.md's table: "
                    "put it to the right of what it uses")]
    problems = []
    for number, line in enumerate(text.splitlines(), 1):
        match = INCLUDE.match(line)
        if match is None:
            continue
        problem = foreign_problem(path, match.group(2))
        if problem is None and match.group(1) == '"':
            problem = include_problem(path, match.group(2), table, exists)
        if problem is not None:
            problems.append((number, problem))
    return problems


def main():
    table = read_table((source.ROOT / "ARCHITECTURE.md").read_text())
    count = 0
    builds = "".join(p.read_text() for p in (source.ROOT / "src").glob("**/meson.build"))

    def exists(header):  # None: it is generated, and named where that is done
        is_generated = f"'{header.split('/')[-1]}'" in builds
        return (source.ROOT / "src" / header).is_file() or (None if is_generated else False)

    for path in source.files():
        if not re.match(r"src/[^/]+/.+\.[ch]$", path) or GUESTS.search(path):
            continue
        text = (source.ROOT / path).read_text()
        for line, message in check_file(path, text, table, exists):
            print(f"{path}:{line}: {message}")
            count += 1
    sys.exit(1 if count else 0)


if __name__ == "__main__":
    main()
