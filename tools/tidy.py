#!/usr/bin/env python3
"""What the compiler does not refuse, and we do. Prints file:line: message; exit status 1 when there is any.

    tools/tidy.py [--warnings]

C: banned functions; system calls outside src/io; atomics outside their homes; a file comment first in every
header, then #pragma once; #if inside functions; functions over 100 lines (over 70 with --warnings); a name that two
headers give to two functions or structs, which static libraries would hide until it crashes.
All text: files over 800 lines of code, tabs, trailing whitespace, missing newline at the end, notes to
ourselves, paths of one machine, host names of package registries.
"""

import re
import sys

import source

FILE_LINES_MAX = 800
FUNCTION_LINES_WARN = 70
FUNCTION_LINES_MAX = 100

CODE = (".c", ".h", ".py", ".sh", ".go", ".rs", ".js", ".ts")
TEXT = CODE + (".md", ".txt", ".yaml", ".yml", ".json", ".toml", ".build", ".lock", ".html", ".css")
TEXT_NAMES = {"Makefile", "setup", "run", "demo", "pre-commit", "meson_options.txt"}
TABS_ALLOWED = re.compile(r"(^|/)Makefile$|\.mk$|\.go$|/go\.mod$")
GENERATED = re.compile(r"(^|/)(Cargo\.lock|package-lock\.json|go\.sum)$")
GUESTS = re.compile(r"^guest/|/(testdata|templates|guests)/")  # programs that run inside: text rules only
DATA = re.compile(r"(^|/)(corpus|vectors|golden)/")

# (pattern, message, may this path do it?)
BANNED = [
    (re.compile(r"\b(strcpy|strcat|sprintf|vsprintf|strtok|atoi|gets|alloca)\s*\("),
     "{0} is banned: use nx_buf, nx_str or nx_str_to_u64", None),
    (re.compile(r"\b(assert)\s*\("), "use nx_assert, which stays on in release builds", None),
    (re.compile(r"(?<![.>\w])(open|openat|pread|preadv|pwrite|pwritev|fsync|fdatasync|socket|clock_gettime|"
                r"gettimeofday|getrandom|usleep|nanosleep|pthread_\w+|uv_\w+)\s*\("),
     "{0} outside src/io: clock, random, disk, network and threads come through src/io",
     lambda path: not path.startswith("src/") or path.startswith("src/io/") or path.endswith(("_test.c", "_test.h"))),
    (re.compile(r"\b(_Atomic|atomic_\w+|__atomic_\w+|__sync_\w+)\b"),
     "{0} outside base/counter and io/mailbox",
     lambda path: path.startswith(("src/base/counter", "src/io/mailbox", "src/io/thread"))
     or not path.startswith("src/") or path.endswith(("_test.c", "_test.h"))),
    (re.compile(r"^\s*typedef\s+(struct|union|enum)\b"), "no typedef for a {0}: say what it is", None),
]
NOTE = re.compile(r"\b(TO" r"DO|FIX" r"ME|X" r"XX)\b")
MACHINE_PATH = re.compile(r"(?<![\w.~})])/(wor" r"k|roo" r"t)/")
REGISTRY = re.compile(r"\b(crates\.i" r"o|pypi\.or" r"g|files\.pythonhosted\.or" r"g|registry\.npmjs\.or" r"g"
                      r"|proxy\.golang\.or" r"g|deb\.debian\.or" r"g)\b")
SIZEOF = re.compile(r"\bsizeof\s*(\([^()]*\)|\*?[\w.>\[\]-]+)")
CAST = re.compile(r"\([\w\s]+\*+\)|\((size_t|unsigned|int|uint\d+_t)\)")
PRODUCT = re.compile(r"[\w)\]]\s*\*\s*[\w(]")
REALLOC = re.compile(r"([\w.>\[\]-]+)\s*=\s*(?:\([^()]*\)\s*)?realloc\(\s*([^,]+?)\s*,")


def arguments_of(code, at):
    """The text between the parenthesis at `at` and the one that closes it."""
    depth = 0
    for end in range(at, len(code)):
        depth += {"(": 1, ")": -1}.get(code[end], 0)
        if depth == 0:
            return code[at + 1:end]
    return code[at + 1:]


def allocation_problems(code):
    """(offset, message): products in malloc, realloc into its own argument."""
    for match in re.finditer(r"\bmalloc\s*\(", code):
        inside = CAST.sub("", SIZEOF.sub("S", arguments_of(code, match.end() - 1)))
        if PRODUCT.search(inside):
            yield match.start(), "a product in malloc can overflow: use calloc"
    for match in REALLOC.finditer(code):
        if match.group(1) == match.group(2):
            yield match.start(), "realloc into its own argument loses the memory when it fails"


def functions(code):
    """(first line, last line, line of the opening brace) of each function, lines counted from 1.

    The code is as clang-format leaves it: a definition begins in column 0 and ends with '}' there."""
    start, opened = None, None
    for number, line in enumerate(code.splitlines(), 1):
        if start is None and re.match(r"[A-Za-z_]", line) and not re.match(r"(typedef|#)", line):
            start, head, opened = number, "", None
        if start is not None and opened is None:
            head += line
            if line.rstrip().endswith("{"):
                opened = number
                if "(" not in head or "=" in head or re.match(r"(struct|enum|union)\s+\w+\s*{", head):
                    start = None
            elif line.rstrip().endswith((";", "}")):
                start = None
        elif start is not None and line.startswith("}"):
            yield start, number, opened
            start = None


def c_problems(path, text):
    """(line, message) for one C file."""
    code = source.code_only(text)
    lines = code.splitlines()
    for pattern, message, allowed in BANNED:
        if allowed is not None and (allowed(path) or "#include <cmocka.h>" in text):  # what only tests include
            continue
        for number, line in enumerate(lines, 1):
            for match in pattern.finditer(line):
                yield number, message.format(match.group(1))
    for offset, message in allocation_problems(code):
        yield code.count("\n", 0, offset) + 1, message
    if path.endswith(".h"):
        if not text.startswith(f"/* {path}:"):
            yield 1, f"a header begins with its file comment: /* {path}: what it is"
        if "\n#pragma once\n" not in text:
            yield 1, "a header has #pragma once"
    for first, last, opened in functions(code):
        size = last - opened - 1
        if size > FUNCTION_LINES_MAX:
            yield first, f"a function of {size} lines; {FUNCTION_LINES_WARN} are enough"
        elif size > FUNCTION_LINES_WARN:
            yield first, f"warning: a function of {size} lines; {FUNCTION_LINES_WARN} are enough"
        for number in range(opened, last):
            if re.match(r"\s*#\s*(if|ifdef|ifndef)\b", lines[number - 1]):
                yield number, "#if inside a function: choose outside of it"


def text_problems(path, text):
    """(line, message) for any text file."""
    lines = text.splitlines()
    for number, line in enumerate(lines, 1):
        if line != line.rstrip():
            yield number, "whitespace at the end of the line"
        if "\t" in line and not TABS_ALLOWED.search(path):
            yield number, "a tab"
        if NOTE.search(line):
            yield number, "a note to ourselves: do it, or put it in ROADMAP.md"
        if MACHINE_PATH.search(line):
            yield number, "a path of one machine"
        if REGISTRY.search(line):
            yield number, "the host name of a package registry"
    if text and not text.endswith("\n"):
        yield len(lines), "no newline at the end of the file"
    if path.endswith(CODE) and len(lines) > FILE_LINES_MAX:
        yield FILE_LINES_MAX, f"a file of {len(lines)} lines; {FILE_LINES_MAX} are enough"


def check(path, text):
    """[(line, message)] for one file, by its path."""
    if GENERATED.search(path) or DATA.search(path):
        return []
    problems = list(text_problems(path, text))
    if path.endswith((".c", ".h")) and not GUESTS.search(path):
        problems += c_problems(path, text)
    return sorted(problems)


PUBLIC = re.compile(r"^(?!static\b|return\b|typedef\b)[A-Za-z_][\w \t\n*]*?\b(nx_\w+)\([^;{}]*\)[^;{}]*;"
                    r"|^struct (nx_\w+) \{", re.MULTILINE)
STAND_INS = ("src/platform/function/guest_script.h",)  # has the names of what it takes the place of in tests


def clashes(headers):
    """[(path, line, message)] for names that more than one header declares; `headers` is {path: text}."""
    first = {}
    found = []
    for path, text in sorted(headers.items()):
        code = source.code_only(text)
        for match in PUBLIC.finditer(code):
            name = f"{match[1]}()" if match[1] else f"struct {match[2]}"
            if first.setdefault(name, path) != path:
                line = code.count("\n", 0, match.end()) + 1
                found.append((path, line, f"{name} is {first[name]}'s already: public names are unique"))
    return found


def is_text(path):
    name = path.rsplit("/", 1)[-1]
    return name in TEXT_NAMES or path.endswith(TEXT)


def main():
    show_warnings = "--warnings" in sys.argv[1:]
    failed = False
    headers = {}
    for path in filter(is_text, source.files()):
        try:
            text = (source.ROOT / path).read_text()
        except UnicodeDecodeError:
            print(f"{path}:1: not UTF-8")
            failed = True
            continue
        for line, message in check(path, text):
            is_warning = message.startswith("warning: ")
            failed = failed or not is_warning
            if show_warnings or not is_warning:
                print(f"{path}:{line}: {message}")
        if path.startswith("src/") and path.endswith(".h") and not GUESTS.search(path) and path not in STAND_INS:
            headers[path] = text
    for path, line, message in clashes(headers):
        print(f"{path}:{line}: {message}")
        failed = True
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
