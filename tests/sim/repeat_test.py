"""`dogfs-sim run --check-repeat` and `dogfs-sim diff`, as they are called when digests differ."""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

SCENARIO = "election"


def run(program: Path, *words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([program, *map(str, words)], capture_output=True, text=True, check=False)


def check(condition: bool, what: str, ran: subprocess.CompletedProcess[str]) -> None:
    if not condition:
        sys.exit(f"{what}; {ran.args} exited with {ran.returncode}:\n{ran.stdout}{ran.stderr}")


def first_event_that_differs(one: Path, other: Path) -> tuple[int, str, str]:
    """Its line, counted from 1, and what each of the logs has there. Precondition: there is one."""
    pairs = zip(one.read_text().splitlines(), other.read_text().splitlines())
    return next((number, a, b) for number, (a, b) in enumerate(pairs, 1) if a != b)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program", type=Path)
    program = parser.parse_args().program.resolve()
    with tempfile.TemporaryDirectory() as directory:
        first, again, second = (Path(directory) / name for name in ("first", "again", "second"))
        for log, seed in ((first, 1), (again, 1), (second, 2)):
            ran = run(program, "run", SCENARIO, "--seed", seed, "--check-repeat", "--events", log)
            check(ran.returncode == 0 and "NOT REPEATABLE" not in ran.stdout, "a run repeats", ran)
            check(log.stat().st_size > 0, "a run writes its events", ran)

        same = run(program, "diff", first, again)
        check(same.returncode == 0 and same.stdout == "The runs are the same.\n", "equal logs are the same", same)

        ran = run(program, "diff", first, second)
        check(ran.returncode == 1, "logs of two seeds differ", ran)
        number, ours, theirs = first_event_that_differs(first, second)
        check(f"differ from line {number} on" in ran.stdout, f"they do from line {number} on", ran)
        check(f"{first}:\n  - {ours}\n" in ran.stdout, f"the event of the first is named: {ours}", ran)
        check(f"{second}:\n  + {theirs}\n" in ran.stdout, f"the event of the second is named: {theirs}", ran)

        missing = run(program, "diff", first, Path(directory) / "no such log")
        check(missing.returncode == 2, "a log that is not there is complained about", missing)


if __name__ == "__main__":
    main()
