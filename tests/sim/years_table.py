#!/usr/bin/env python3
"""Prints the tables of docs/durability.md anew: each of their rows by the command that stands above the table.

    tests/sim/years_table.py build/release/sim/dogfs-sim docs/durability.md [--write] [--jobs N]

With --write they are put into the file. It takes as long as the runs do: some minutes.
"""

import argparse
import re
import subprocess
import sys
from pathlib import Path

COMMAND = re.compile(r"^<!-- years: (.*) -->$", re.MULTILINE)
TABLE = re.compile(r"((?:<!-- years: [^\n]* -->\n)+<!-- table -->\n).*?(<!-- end of table -->)", re.DOTALL)


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
    if not TABLE.search(text):
        print(f"{arguments.document} has no table with commands above it", file=sys.stderr)
        return 1

    def make_anew(found: re.Match[str]) -> str:
        lines: list[str] = []
        for command in COMMAND.findall(found[1]):
            table = run(arguments.sim, command, arguments.jobs)
            lines += table[-1:] if lines else table
        print("\n".join(lines), flush=True)
        return found[1] + "\n".join(lines) + "\n" + found[2]

    anew = TABLE.sub(make_anew, text)
    if arguments.write:
        arguments.document.write_text(anew)
    return 0


if __name__ == "__main__":
    sys.exit(main())
