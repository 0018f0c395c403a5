#!/usr/bin/env python3
"""Prints the table of docs/durability.md anew: each of its rows by the command that stands above the table.

    tests/sim/years_table.py build/release/sim/dogfs-sim docs/durability.md [--write] [--jobs N]

With --write the table is put into the file. It takes as long as the runs do: an hour of processor time.
"""

import argparse
import re
import subprocess
import sys
from pathlib import Path

COMMAND = re.compile(r"^<!-- years: (.*) -->$", re.MULTILINE)
TABLE = re.compile(r"(<!-- table -->\n).*?(<!-- end of table -->)", re.DOTALL)


def run(sim: str, arguments: str, jobs: int) -> list[str]:
    """The three lines of a table of one row."""
    command = [sim, "years", *arguments.split(), "--row", "-j", str(jobs)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sim")
    parser.add_argument("document", type=Path)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--jobs", type=int, default=1)
    arguments = parser.parse_args()
    text = arguments.document.read_text()
    commands = COMMAND.findall(text)
    if not commands or not TABLE.search(text):
        print(f"{arguments.document} has no commands, or no table", file=sys.stderr)
        return 1
    lines: list[str] = []
    for command in commands:
        table = run(arguments.sim, command, arguments.jobs)
        lines += table[-1:] if lines else table
    print("\n".join(lines))
    if arguments.write:
        arguments.document.write_text(TABLE.sub(lambda found: found[1] + "\n".join(lines) + "\n" + found[2], text))
    return 0


if __name__ == "__main__":
    sys.exit(main())
