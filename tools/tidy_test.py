"""tools/tidy.py catches what it is there for, and lets pass what is right."""

import pytest
import tidy

SOURCE = "src/fabric/kv.c"


def messages(text, path=SOURCE):
    return [message for _, message in tidy.check(path, text)]


@pytest.mark.parametrize("line", [
    "strcpy(a, b);", "x = atoi(text);", "char *p = alloca(n);", "sprintf(text, format);", "assert(x);",
    "open(path, O_RDONLY);", "fsync(fd);", "pthread_create(&thread);", "uv_run(loop);", "clock_gettime(c, &t);",
    "_Atomic int count;", "typedef struct point point;",
    "p = malloc(count * 8);", "p = malloc(count * sizeof *p);", "p = malloc(sizeof(int) * count);",
    "p = realloc(p, size);", "buf->ptr = realloc(buf->ptr, size);", "p = (char *)realloc(p, 2);",
])
def test_refuses(line):
    assert len(messages(line + "\n")) == 1


@pytest.mark.parametrize("line", [
    "nx_strcpy_like(a);", "file->ops.open(path);", "ops->fsync(file);", "/* never strcpy(a, b) */",
    'puts("strcpy(a, b)");', "p = malloc(sizeof *p);", "p = malloc(sizeof(struct a) + len);",
    "p = malloc((size_t)len + 1);", "grown = realloc(p, size);", "nx_assert(x);", "_Static_assert(1, 2);",
])
def test_allows(line):
    assert messages(line + "\n") == []


def test_system_calls_are_at_home_in_io():
    assert messages("fsync(fd);\n", "src/io/file.c") == []
    assert messages("fsync(fd);\n", "src/storage/wal/wal_test.c") == []
    assert messages("#include <cmocka.h>\nfsync(fd);\n") == []


def test_a_header_begins_with_its_file_comment():
    good = "/* src/base/x.h: what it is. */\n#pragma once\n"
    assert messages(good, "src/base/x.h") == []
    assert messages(good, "src/base/y.h")
    assert messages("/* src/base/x.h: what it is. */\n", "src/base/x.h")


def function(lines):
    return "static void long_one(int a,\n                     int b) {\n" + "    a += b;\n" * lines + "}\n"


def test_measures_functions():
    assert messages(function(70)) == []
    assert messages(function(71))[0].startswith("warning: ")
    assert not messages(function(101))[0].startswith("warning: ")


def test_tables_are_no_functions():
    assert messages("static const int table[] = {\n" + "    1,\n" * 200 + "};\n") == []


def test_refuses_preprocessor_conditions_inside_functions():
    assert messages("void f(void) {\n#if X\n    g();\n#endif\n}\n")
    assert messages("#if X\nvoid f(void) {\n    g();\n}\n#endif\n") == []


@pytest.mark.parametrize("text", [
    "a\tb\n", "a \n", "a", "/* TO" "DO: later */\n", "/wor" "k/main/x\n", "see /roo" "t/x\n", "pypi.or" "g\n",
])
def test_refuses_in_any_text(text):
    assert len(messages(text, "docs/x.md")) == 1


def test_make_needs_tabs():
    assert messages("all:\n\ttrue\n", "Makefile") == []


def test_long_files():
    assert messages("x;\n" * 801)
    assert messages("x\n" * 801, "docs/x.md") == []


def test_names_file_and_line():
    assert tidy.check(SOURCE, "ok();\n\natoi(x);\n")[0][0] == 3


def test_a_public_name_belongs_to_one_header():
    one = "/* x */\nstruct nx_x {\n};\nNX_MUST_CHECK enum nx_status\nnx_x_add(struct nx_x *x, int a);\n"
    again = "/* y */\nvoid nx_x_free(struct nx_x *x);\nNX_MUST_CHECK enum nx_status nx_x_add(struct nx_y *y,\n    int b);\n"
    inline = "/* z */\nstatic inline void nx_x_add(int z) {\n}\n"
    headers = {"src/a.h": one, "src/b.h": again, "src/c.h": inline}
    assert tidy.clashes(headers) == [("src/b.h", 4, "nx_x_add() is src/a.h's already: public names are unique")]
