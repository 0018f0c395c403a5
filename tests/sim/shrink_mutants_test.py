"""For each mutant: finds a run that it breaks, shrinks it, and checks that little is left and that it fails the same way.

For a build of the preset mutants. Prints a table: seeds tried, faults before and after, seconds.
"""

import argparse
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MOST_FAULTS = 8
MOST_SECONDS = 60


def run(*words) -> subprocess.CompletedProcess:
    return subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False)


def one_line(text: str) -> str:
    return " ".join(text.split())


def promised_failure(scenario: str) -> str:
    """What the comment of a shrunk scenario says that it fails with."""
    comment = one_line(" ".join(line[1:] for line in scenario.splitlines() if line.startswith("#")))
    found = re.search(r"Fails with: (.*) Run it with: ", comment)
    return found[1] if found else ""


def failure_of(done: subprocess.CompletedProcess) -> str:
    """What a run of one scenario said of its failure; where the process has died, the check that did not hold."""
    if done.returncode < 0:
        check = re.search(r"^(.*): invariant broken: (.*)$", done.stderr, re.MULTILINE)
        broken = f"invariant broken at {check[1]}: {check[2]}" if check else f"ended by signal {-done.returncode}"
        return one_line(f"process: {broken}")
    found = re.search(r"^FAILED: (.*?)\n  dogfs-sim run ", done.stdout, re.DOTALL | re.MULTILINE)
    return one_line(found[1]) if found else ""


def oracle_of(failure: str) -> str:
    return failure.split(":")[0]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("program", type=Path)
    parser.add_argument("--mutant", action="append", help="only these")
    parser.add_argument("--seeds", default="1..300")
    arguments = parser.parse_args()
    program = arguments.program.resolve()
    listing = run(program, "list").stdout
    if "not in this build" in listing:
        sys.exit("this build has no mutants")
    names = arguments.mutant or re.findall(r"^  (\S+)", listing.split("Mutants:")[1], re.MULTILINE)
    failed = False
    for name in names:
        swarm = run(program, "swarm", "--seeds", arguments.seeds, "-j2", "--mutant", name, "--most-failures", 1)
        found = re.search(r"FAILED (\S+) seed (\d+): (.*)", swarm.stdout)
        if not found:
            print(f"{name}: no run fails")
            failed = True
            continue
        with tempfile.TemporaryDirectory() as directory:
            small = Path(directory) / "small.textproto"
            begin = time.monotonic()
            shrunk = run(program, "shrink", found[1], "--seed", found[2], "--mutant", name, "-j2", "--out", small)
            seconds = time.monotonic() - begin
            if shrunk.returncode != 0:
                sys.exit(f"{name}: shrinking {found[1]} seed {found[2]} failed:\n{shrunk.stdout}{shrunk.stderr}")
            text = small.read_text()
            faults = text.count("\nfaults {")
            again = run(program, "run", small, "--mutant", name)
            clean = run(program, "run", small)
        print(f"{name}: {found[1]} seed {found[2]} ({found[3]}); {shrunk.stderr.strip()}\n{text}", flush=True)
        its_seed = f"shrink from {found[1]}, seed {found[2]}:" in text
        little = faults <= MOST_FAULTS and seconds <= MOST_SECONDS
        promised, failure = promised_failure(text), failure_of(again)
        same = promised != "" and failure == promised and oracle_of(failure) == oracle_of(found[3])
        good = its_seed and little and same and again.returncode != 0 and clean.returncode == 0
        if not good:
            print(f"{name}: {faults} faults, {seconds:.0f} s, again {again.returncode}, clean {clean.returncode}, "
                  f"{'its' if its_seed else 'another'} seed\n  was:      {found[3]}\n  promised: {promised}\n"
                  f"  again:    {failure}")
        failed = failed or not good
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
