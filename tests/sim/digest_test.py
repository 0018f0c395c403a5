"""Runs every scenario in each of several builds, and in the first of them twice: all digests of a run must be equal (P6).

Of the first runs that differ, the first event that does is printed. The builds must be of the same sources: `./dev test` has a
stage for it, which brings all of them up to date first.

They must also equal those in digests.txt, which another machine may have recorded. Whoever changes what runs do records
them anew, with --record; whoever has not, and finds another digest here, has found what depends on the machine.
"""

import argparse
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

SCENARIOS = Path(__file__).resolve().parents[2] / "scenarios"
RECORD = Path(__file__).resolve().parent / "digests.txt"
SEEDS = (1,)
MOST_EXPLAINED = 3  # runs that differ: an event log takes as long as its run, and much room


class Failure(Exception):
    """A run that has no digest."""


def digest(program: Path, scenario: str, seed: int) -> str:
    words = [program, "--scenarios", SCENARIOS, "run", scenario, "--seed", str(seed)]
    run = subprocess.run(words, capture_output=True, text=True, check=False)
    lines = [line.split()[1] for line in run.stdout.splitlines() if line.startswith("digest ")]
    if run.returncode != 0 or len(lines) != 1:
        raise Failure(f"{program} run {scenario} --seed {seed} failed:\n{run.stdout}{run.stderr}")
    return lines[0]


def first_difference(one: Path, other: Path, scenario: str, seed: int) -> str:
    """Where the event logs of two programs part ways."""
    with tempfile.TemporaryDirectory() as directory:
        logs = [Path(directory) / name for name in ("one.events", "other.events")]
        for program, log in zip((one, other), logs):
            words = [program, "--scenarios", SCENARIOS, "run", scenario, "--seed", str(seed), "--events", log]
            subprocess.run(words, capture_output=True, check=False)
        diff = subprocess.run([one, "diff", *logs], capture_output=True, text=True, check=False)
    text = diff.stdout.replace(str(logs[0]), str(one)).replace(str(logs[1]), str(other)) + diff.stderr
    # A run that does not even repeat may be the same this time.
    return text if diff.returncode else "Run once more, their events are the same.\n"


def recorded() -> dict[tuple[str, int], str]:
    lines = [line.split() for line in RECORD.read_text().splitlines()]
    return {(scenario, int(seed)): value for scenario, seed, value in lines}


def record(found: dict[tuple[str, int], str]) -> None:
    RECORD.write_text("".join(f"{scenario} {seed} {value}\n" for (scenario, seed), value in sorted(found.items())))


def compare_with_record(found: dict[tuple[str, int], str]) -> int:
    """Prints which runs are not as they were recorded; returns how many."""
    before = recorded()
    changed = sorted(run for run in before.keys() | found.keys() if before.get(run) != found.get(run))
    for scenario, seed in changed:
        print(f"{scenario} seed {seed}: recorded {before.get((scenario, seed))}, now {found.get((scenario, seed))}")
    if changed:
        print(f"{len(changed)} runs are not as in {RECORD.name}. If what runs do was changed: digest_test.py --record")
    return len(changed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("programs", type=Path, nargs="+", help="dogfs-sim of each build")
    parser.add_argument("-j", "--jobs", type=int, default=1, help="runs at once (default: %(default)s)")
    parser.add_argument("--record", action="store_true", help="writes the digests of the first build to digests.txt")
    arguments = parser.parse_args()
    runs = [(path.stem, seed) for path in sorted(SCENARIOS.glob("*.textproto")) for seed in SEEDS]
    if not runs:
        sys.exit(f"there are no scenarios in {SCENARIOS}")
    for program in arguments.programs:
        if not program.exists():
            sys.exit(f"there is no {program}: build it first")
    programs = [*arguments.programs, arguments.programs[0]]

    with ThreadPoolExecutor(arguments.jobs) as pool:
        found = list(pool.map(lambda run: [digest(program, *run) for program in programs], runs))
    different = 0
    for (scenario, seed), digests in zip(runs, found):
        if len(set(digests)) != 1:
            different += 1
            print(f"{scenario} seed {seed} differs:")
            for program, value in zip(programs, digests):
                print(f"  {value} {program}")
            if different > MOST_EXPLAINED:
                continue
            other = next(i for i, value in enumerate(digests) if value != digests[0])
            print(first_difference(programs[0], programs[other], scenario, seed))
    print(f"{len(runs)} runs in {len(arguments.programs)} builds, the first twice: {different} differ")
    of_first = {run: digests[0] for run, digests in zip(runs, found)}
    if arguments.record and not different:
        record(of_first)
    different += compare_with_record(of_first)
    sys.exit(1 if different else 0)


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(str(failure))
