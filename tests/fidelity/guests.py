"""Builds the guests of the fidelity test: C, Rust, Go, JavaScript, a loop that is cut, a memory bomb.

They are kept in build/guests under a hash of their sources, because QuickJS takes some twenty seconds to compile.
"""

import hashlib
import os
import pathlib
import shutil
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SOURCES = pathlib.Path(__file__).resolve().parent / "guests"
QUICKJS = ROOT / "build" / "deps" / "quickjs"
GO = ROOT / "build" / "deps" / "go"
RUST = ROOT / "build" / "deps" / "rust"
C = ["clang-19", "--target=wasm32-wasi", "-O2", "-s", "-w"]
QUICKJS_UNITS = ["quickjs.c", "libregexp.c", "libunicode.c", "dtoa.c"]


def run(command, folder, **environment):
    done = subprocess.run(command, cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}"


def build_javascript(folder):
    shutil.copy(SOURCES / "mixed.js", folder / "script")
    run(["xxd", "-i", "script", "script.h"], folder)
    units = [QUICKJS / unit for unit in QUICKJS_UNITS]
    run([*C, "-D_GNU_SOURCE", f"-I{QUICKJS}", "-I.", "-Wl,-z,stack-size=1048576", SOURCES / "javascript.c", *units,
         "-o", "javascript.wasm"], folder)


def build_go(source, folder):
    """go.wasm, by the Go of build/deps and with the caches of build/."""
    run([GO / "bin/go", "build", "-trimpath", "-ldflags=-s -w", "-o", folder / "go.wasm", source], folder,
        GOROOT=str(GO), GOOS="wasip1", GOARCH="wasm", CGO_ENABLED="0", GOFLAGS="-buildvcs=false", GOTOOLCHAIN="local",
        GOCACHE=str(ROOT / "build" / "go-cache"), GOPATH=str(ROOT / "build" / "go"))


def build_all(folder):
    for name in ("mixed", "loop", "bomb"):
        run([*C, "-Wl,-z,stack-size=65536", SOURCES / f"{name}.c", "-o", f"{name}.wasm"], folder)
    run([RUST / "usr/bin/rustc", "-O", "-C", "strip=symbols", "-C", "panic=abort", "-C", "linker=wasm-ld-14",
         "--target", "wasm32-wasi", SOURCES / "mixed.rs", "-o", "rust.wasm"], folder,
        LD_LIBRARY_PATH=str(RUST / "usr/lib/x86_64-linux-gnu"))
    build_go(SOURCES / "mixed.go", folder)
    build_javascript(folder)


def folder_of_guests():
    """The folder with mixed.wasm, loop.wasm, bomb.wasm, rust.wasm, go.wasm and javascript.wasm."""
    digest = hashlib.sha256()
    for source in [pathlib.Path(__file__), *sorted(SOURCES.iterdir()), *(QUICKJS / u for u in QUICKJS_UNITS)]:
        digest.update(source.read_bytes())
    folder = ROOT / "build" / "guests" / digest.hexdigest()[:16]
    if not folder.exists():
        making = folder.with_suffix(f".{os.getpid()}")
        making.mkdir(parents=True)
        build_all(making)
        making.rename(folder)
    return folder
