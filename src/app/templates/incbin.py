#!/usr/bin/env python3
"""Write an assembler source that holds a file's bytes: incbin.py SYMBOL FILE OUTPUT defines SYMBOL and SYMBOL_size."""
import hashlib
import pathlib
import sys


def main() -> None:
    symbol, path, output = sys.argv[1], pathlib.Path(sys.argv[2]).resolve(), sys.argv[3]
    data = path.read_bytes()
    pathlib.Path(output).write_text(f"""// {hashlib.sha256(data).hexdigest()}, so that a changed file is assembled anew
    .section .rodata.{symbol}, "a"
    .globl {symbol}
    .balign 16
{symbol}:
    .incbin "{path}"
    .globl {symbol}_size
    .balign 8
{symbol}_size:
    .quad {len(data)}
    .section .note.GNU-stack, "", %progbits
""")


main()
