"""What the checkers share: which files are ours, and C text without its comments and strings."""

import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent


def files(root=ROOT):
    """Paths of the tree relative to `root`, sorted: tracked ones and new ones that git does not ignore."""
    listed = subprocess.run(
        ["git", "-C", str(root), "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        capture_output=True, check=True, text=True).stdout
    return sorted(p for p in set(listed.split("\0")) if p and (root / p).is_file())


_TOKEN = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)


def code_only(text):
    """C text with comments blanked and strings emptied; every line keeps its number."""

    def blank(match):
        token = match.group(0)
        if token[0] in "\"'":
            return token[0] * 2
        return " " + "\n" * token.count("\n")

    return _TOKEN.sub(blank, text)
