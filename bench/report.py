"""The rows that bench/run prints: each figure beside what it must reach, at the end all of them in one table.

A program measured by bench/run adds rows of its own by printing lines of the form

    row | what | figure | must reach | yes, no or - | sync time in us or -
"""

import json
import os
import pathlib
import platform
import re
import shutil
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
MET = {True: "yes", False: "NO", None: ""}
COLUMNS = ("what", "figure", "must reach", "reached", "mean sync")


def first_line(*command):
    """What a program says of its version, or nothing when it is not there."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return (done.stdout + done.stderr).strip().split("\n")[0]


def wasmtime_version():
    found = re.search(r'name = "wasmtime"\nversion = "([^"]+)"', (ROOT / "tools/wasmtime/Cargo.lock").read_text())
    return f"wasmtime {found.group(1)}" if found else ""


class Report:
    def __init__(self, nexus, tools):
        load = f"load {os.getloadavg()[0]:.1f} at the start"
        self.versions = [first_line(nexus, "version"), f"commit {first_line('git', '-C', ROOT, 'rev-parse', '--short', 'HEAD')}",
                         wasmtime_version(), first_line("gcc", "--version"),
                         first_line(shutil.which("nginx", path=f"{tools}:/usr/sbin:{os.environ['PATH']}") or "nginx", "-v"), first_line("wrk", "-v").split(" Copyright")[0],
                         f"kernel {platform.release()}", f"{os.cpu_count()} cores", load,
                         time.strftime("%Y-%m-%d", time.gmtime())]
        self.rows = []

    def head(self):
        return " · ".join(v for v in self.versions if v)

    def add(self, what, figure, must="", met=None, sync_us=None):
        """Note a row; `met` is None where nothing was to be reached or it cannot be said."""
        known = sync_us is not None and sync_us == sync_us
        self.rows.append({"what": what, "figure": figure, "must": must, "met": met,
                          "sync_us": round(sync_us, 1) if known else None})

    def take_line(self, line):
        """A line of a program; True when it was a row."""
        parts = [part.strip() for part in line.split("|")]
        if parts[0] != "row" or len(parts) != 6:
            return False
        sync = None if parts[5] == "-" else float(parts[5])
        self.add(parts[1], parts[2], "" if parts[3] == "-" else parts[3], {"yes": True, "no": False}.get(parts[4]), sync)
        return True

    def cells(self):
        for row in self.rows:
            sync = "" if row["sync_us"] is None else f"{row['sync_us']:.0f} us"
            yield row["what"], row["figure"], row["must"], MET[row["met"]], sync

    def text(self):
        table = [COLUMNS, *self.cells()]
        widths = [max(len(line[i]) for line in table) for i in range(len(COLUMNS))]
        return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in table)

    def markdown(self):
        lines = [f"# `make bench`\n\n{self.head()}\n", f"| {' | '.join(COLUMNS)} |", "|---|---|---|---|---|"]
        lines += [f"| {' | '.join(cells)} |" for cells in self.cells()]
        return "\n".join(lines) + "\n"

    def json(self):
        return json.dumps({"versions": [v for v in self.versions if v], "rows": self.rows}, indent=1) + "\n"
