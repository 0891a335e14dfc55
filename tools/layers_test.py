"""tools/layers.py catches what it is there for."""

import layers
import source

TABLE = layers.read_table("""
```layers
app     | main, commands             | all
server  | http                       | io base
storage | wal · index: no I/O        | io base
io      | file · loop (of libuv)     | base
base    | str · buf                  |
```
""")


def problems(path, *includes):
    text = "".join(f"#include {include}\n" for include in includes)
    return [message for _, message in layers.check_file(path, text, TABLE, lambda header: True)]


def test_reads_modules_without_their_remarks():
    assert TABLE["storage"].modules == ["wal", "index"]
    assert TABLE["io"].modules == ["file", "loop"]


def test_refuses_a_layer_above():
    assert problems("src/base/str.c", '"io/file.h"') == ['base may not use io ("io/file.h")']
    assert problems("src/server/http/server.c", '"storage/wal/wal.h"')


def test_refuses_a_module_to_the_right():
    assert problems("src/storage/wal/wal.c", '"storage/index/index.h"')
    assert not problems("src/storage/index/index.c", '"storage/wal/wal.h"')


def test_a_file_with_a_longer_name_belongs_to_its_module():
    assert not problems("src/base/buf_grow.c", '"base/buf.h"', '"base/str.h"')
    assert problems("src/base/str_find.c", '"base/buf.h"')


def test_refuses_what_is_not_in_the_table():
    assert problems("src/base/stack.c")
    assert problems("src/extra/thing.c")
    assert problems("src/server/http/server.c", '"io/tar.h"') == []  # its own layer complains about it
    assert problems("src/io/loop.c", '"io/tar.h"')


def test_unit_tests_may_use_every_module_of_their_layer():
    assert not problems("src/base/str_test.c", '"base/buf.h"', "<cmocka.h>")
    assert problems("src/base/str_test.c", '"io/file.h"')


def test_app_may_use_everything():
    assert not problems("src/app/main.c", '"storage/wal/wal.h"', '"app/config.h"')


def test_foreign_headers_stay_at_home():
    assert problems("src/server/http/server.c", "<uv.h>")
    assert not problems("src/io/loop.c", "<uv.h>")
    assert problems("src/io/loop.h", "<uv.h>")
    assert problems("src/storage/wal/wal.c", "<lz4.h>")
    assert problems("src/io/file.c", "<wasmtime/store.h>")
    assert problems("src/base/buf.c", "<pthread.h>")


def test_a_missing_header_is_named():
    found = layers.check_file("src/base/buf.c", '#include "base/gone.h"\n', TABLE, lambda header: False)
    assert found == [(1, '"base/gone.h" is not a file below src/')]


def test_the_real_table_has_every_layer_below_src():
    table = layers.read_table((source.ROOT / "ARCHITECTURE.md").read_text())
    folders = {path.split("/")[1] for path in source.files() if path.startswith("src/") and path.count("/") > 1}
    assert folders <= set(table)
