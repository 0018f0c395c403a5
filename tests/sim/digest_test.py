"""Runs every scenario twice in this build and once in another one: all digests must be equal (P6).

The other build is taken only if it is newer than every source that goes into it.
"""

import argparse
import subprocess
import sys
from pathlib import Path


def digest(program: Path, scenario: str, seed: int) -> str:
    run = subprocess.run([program, "run", scenario, "--seed", str(seed)], capture_output=True, text=True)
    lines = [line.split()[1] for line in run.stdout.splitlines() if line.startswith("digest ")]
    if run.returncode != 0 or len(lines) != 1:
        sys.exit(f"{program} run {scenario} --seed {seed} failed:\n{run.stdout}{run.stderr}")
    return lines[0]


def is_current(program: Path, root: Path) -> bool:
    if not program.exists():
        return False
    sources = [path for folder in ("core", "sim") for path in (root / folder).rglob("*") if path.is_file()]
    return program.stat().st_mtime >= max(path.stat().st_mtime for path in sources)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("program", type=Path)
    parser.add_argument("others", type=Path, nargs="*", help="the same program of other builds")
    arguments = parser.parse_args()
    root = Path(__file__).resolve().parents[2]
    others = [other for other in arguments.others if is_current(other, root)]
    print(f"comparing {arguments.program} with itself and {[str(other) for other in others]}")
    failed = False
    for scenario in sorted(path.stem for path in (root / "scenarios").glob("*.textproto")):
        for seed in (1, 2):
            digests = {str(program): digest(program, scenario, seed) for program in [arguments.program, *others]}
            digests["again"] = digest(arguments.program, scenario, seed)
            if len(set(digests.values())) != 1:
                failed = True
                print(f"{scenario} seed {seed} differs: {digests}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
