"""Writes a file's bytes as a C array: bytes_to_c.py <name> <input> <output>."""

import pathlib
import sys

name, source, target = sys.argv[1:]
data = pathlib.Path(source).read_bytes()
rows = [", ".join(str(byte) for byte in data[at : at + 24]) for at in range(0, len(data), 24)]
text = f"extern const unsigned char {name}[];\nextern const unsigned int {name}_len;\n"
text += f"const unsigned char {name}[] = {{\n" + ",\n".join(rows) + f"\n}};\nconst unsigned int {name}_len = {len(data)};\n"
pathlib.Path(target).write_text(text)
