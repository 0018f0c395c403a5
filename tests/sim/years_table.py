#!/usr/bin/env python3
"""Prints the tables and examples of docs/durability.md anew: each by the commands that stand above it.

    tests/sim/years_table.py build/release/sim/dogfs-sim docs/durability.md [--write | --check] [--jobs N]

With --write they are put into the file. That takes as long as the runs do: some minutes. With --check only the examples are
run, which is quick, and held against the file: `./dev test` does so.
"""

import argparse
import difflib
import re
import subprocess
import sys
from pathlib import Path
from typing import Callable

COMMAND = re.compile(r"^<!-- years: (.*) -->$", re.MULTILINE)
TABLE = re.compile(r"((?:<!-- years: [^\n]* -->\n)+<!-- table -->\n).*?(<!-- end of table -->)", re.DOTALL)
EXAMPLE = re.compile(r"(<!-- example -->\n    \./dev sim years ([^\n]*)\n\n).*?(<!-- end of example -->)", re.DOTALL)


def run(sim: str, arguments: str, jobs: int) -> list[str]:
    command = [sim, "years", *arguments.split(), "-j", str(jobs)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()


def table_maker(sim: str, jobs: int) -> Callable[[re.Match[str]], str]:
    def make(found: re.Match[str]) -> str:
        lines: list[str] = []
        for command in COMMAND.findall(found[1]):
            table = run(sim, f"{command} --row", jobs)
            lines += table[-1:] if lines else table
        print("\n".join(lines), flush=True)
        return found[1] + "\n".join(lines) + "\n" + found[2]

    return make


def example_maker(sim: str, jobs: int) -> Callable[[re.Match[str]], str]:
    """Of what a life comes to the page shows the states, and the blocks that are lost."""

    def make(found: re.Match[str]) -> str:
        lines = run(sim, found[2], jobs)
        begin = next(i for i, line in enumerate(lines) if line.startswith("missing "))
        shown = [f"    {line}".rstrip() for line in lines[begin:] if not line.startswith("digest ")]
        print("\n".join(shown), flush=True)
        return found[1] + "\n".join(shown) + "\n" + found[3]

    return make


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sim")
    parser.add_argument("document", type=Path)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--jobs", type=int, default=1)
    arguments = parser.parse_args()
    text = arguments.document.read_text()
    if not TABLE.search(text) or not EXAMPLE.search(text):
        print(f"{arguments.document} lacks a table or an example with its command", file=sys.stderr)
        return 1
    anew = EXAMPLE.sub(example_maker(arguments.sim, arguments.jobs), text)
    if arguments.check:
        lines = [each.splitlines() for each in (text, anew)]
        print("\n".join(difflib.unified_diff(*lines, "the page", "the program", lineterm="", n=1)))
        return int(anew != text)
    anew = TABLE.sub(table_maker(arguments.sim, arguments.jobs), anew)
    if arguments.write:
        arguments.document.write_text(anew)
    return 0


if __name__ == "__main__":
    sys.exit(main())
