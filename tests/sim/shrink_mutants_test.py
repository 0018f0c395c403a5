"""For each mutant: finds a run that it breaks, shrinks it, and checks that little is left and that it fails the same way.

So it does with large runs of swarms, of which much must go for little processor time: as much as two idle cores have in
half a minute, whatever else the machine does meanwhile.

And so do the commands of docs/simulator.md, as they stand there.

For a build of the preset mutants. Prints a table: seeds tried, faults before and after, seconds.
"""

import argparse
import re
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "simulator.md"
MOST_FAULTS = 8
MOST_SECONDS = 60
# A swarm, a mutant that is seldom caught early there, and how many faults must have struck for the run to be large.
LARGE = (
    ("swarm_everything", "commit-unsealed", 20),
    ("swarm_of_sixteen", "commit-unsealed", 40),
    ("swarm_of_sixteen", "commit-without-match", 40),
)
LARGE_SEEDS = 60
LARGE_FAULTS = 4
LARGE_NODES = 14  # of 18 and more
LARGE_WORK_MS = 10_000  # of 96,000 and more
LARGE_PROCESSOR_SECONDS = 60


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


def planted(program: Path) -> list[str]:
    listing = run(program, "list").stdout
    if "not in this build" in listing:
        sys.exit("this build has no mutants")
    return re.findall(r"^  (\S+)", listing.split("Mutants:")[1], re.MULTILINE)


def number(text: str, name: str, default: int) -> int:
    found = re.search(rf"\b{name}: (\d+)", text)
    return int(found[1]) if found else default


class Shrunk:
    """A run that fails, made small; and whether that is so in the way that was promised."""

    def __init__(self, program: Path, scenario: str, seed: str, mutant: str, failure: str, *limits) -> None:
        planted_one = ("--mutant", mutant)
        with tempfile.TemporaryDirectory() as directory:
            small = Path(directory) / "small.textproto"
            begin = time.monotonic()
            done = run(program, "shrink", scenario, "--seed", seed, *planted_one, "-j2", "--out", small, *limits)
            self.seconds = time.monotonic() - begin
            if done.returncode != 0:
                sys.exit(f"{mutant}: shrinking {scenario} seed {seed} failed:\n{done.stdout}{done.stderr}")
            self.text = small.read_text()
            again = run(program, "run", small, *planted_one)
            clean = run(program, "run", small)
        print(f"{mutant}: {scenario} seed {seed} ({failure}); {done.stderr.strip()}\n{self.text}", flush=True)
        self.faults = self.text.count("\nfaults {")
        self.nodes = (number(self.text, "meta_nodes", 3) + number(self.text, "spare_meta_nodes", 0)
                      + number(self.text, "chunk_servers", 9) + number(self.text, "clients", 2))
        self.work_ms = number(self.text, r"work \{ for_ms", 20_000)
        promised, found = promised_failure(self.text), failure_of(again)
        its_seed = f"shrink from {scenario}, seed {seed}:" in self.text
        same = promised != "" and found == promised and oracle_of(found) == oracle_of(failure)
        self.good = its_seed and same and again.returncode != 0 and clean.returncode == 0
        if not self.good:
            print(f"{mutant}: again {again.returncode}, clean {clean.returncode}, "
                  f"{'its' if its_seed else 'another'} seed\n  was:      {failure}\n  promised: {promised}\n"
                  f"  again:    {found}")


def shrinks_well(program: Path, mutant: str, seeds: str) -> bool:
    swarm = run(program, "swarm", "--seeds", seeds, "-j2", "--mutant", mutant, "--most-failures", 1)
    found = re.search(r"FAILED (\S+) seed (\d+): (.*)", swarm.stdout)
    if not found:
        print(f"{mutant}: no run fails")
        return False
    shrunk = Shrunk(program, found[1], found[2], mutant, found[3])
    little = shrunk.faults <= MOST_FAULTS and shrunk.seconds <= MOST_SECONDS
    if not little:
        print(f"{mutant}: {shrunk.faults} faults, {shrunk.seconds:.0f} s")
    return little and shrunk.good


def large_run(program: Path, scenario: str, mutant: str, faults: int) -> tuple[int, str] | None:
    """The first seed that fails when so many faults have struck, and how."""
    for seed in range(1, LARGE_SEEDS + 1):
        done = run(program, "run", scenario, "--seed", seed, "--mutant", mutant)
        failure = failure_of(done)
        struck = re.search(r"^faults +(\d+)$", done.stdout, re.MULTILINE)
        if failure and struck and int(struck[1]) >= faults:
            return seed, failure
    return None


def much_goes(program: Path, scenario: str, mutant: str, faults: int) -> bool:
    found = large_run(program, scenario, mutant, faults)
    if found is None:
        print(f"{mutant}: no run of {scenario} fails late")
        return False
    # Real time is no measure on a machine that others use, too.
    limits = ("--seconds", 1200, "--processor-seconds", LARGE_PROCESSOR_SECONDS)
    shrunk = Shrunk(program, scenario, str(found[0]), mutant, found[1], *limits)
    little = shrunk.faults <= LARGE_FAULTS and shrunk.nodes <= LARGE_NODES and shrunk.work_ms <= LARGE_WORK_MS
    if not little:
        print(f"{mutant}: much is left of {scenario} seed {found[0]}: {shrunk.faults} faults, {shrunk.nodes} nodes, "
              f"{shrunk.work_ms} ms of work")
    return little and shrunk.good


def keeps_its_promise(program: Path, command: str) -> bool:
    """A command of the page: it finds a run that fails, and leaves little of it."""
    with tempfile.TemporaryDirectory() as directory:
        small = Path(directory) / "small.textproto"
        words = [small if word == "small.textproto" else word for word in shlex.split(command)]
        done = run(program, *words)
        faults = small.read_text().count("\nfaults {") if small.exists() else None
    print(f"{command}: {done.stderr.strip()}", flush=True)
    if done.returncode == 0 and faults is not None and faults <= MOST_FAULTS:
        return True
    print(f"exits with {done.returncode}, faults left: {faults}")
    return False


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("program", type=Path)
    parser.add_argument("--mutant", action="append", help="only these, and the large runs")
    parser.add_argument("--seeds", default="1..300")
    arguments = parser.parse_args()
    program = arguments.program.resolve()
    known = planted(program)
    names = arguments.mutant or known
    good = [shrinks_well(program, name, arguments.seeds) for name in names]
    promised = re.findall(r"^    \./dev sim (shrink .*--mutant .*)$", PAGE.read_text(), re.MULTILINE)
    good += [len(promised) >= 2, *(keeps_its_promise(program, command) for command in promised)]
    good += [much_goes(program, *large) for large in LARGE]
    sys.exit(0 if all(good) else 1)


if __name__ == "__main__":
    main()
