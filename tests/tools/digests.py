#!/usr/bin/env python3
"""Runs each scenario in two builds of the simulator, and twice in one: the digests of the traces must be equal (P6)."""

import argparse
import re
import subprocess
import sys

from soak import scenarios


def digest(sim, scenario, seed):
    done = subprocess.run([sim, "run", scenario, "--seed", str(seed)], capture_output=True, text=True, check=False)
    found = re.search(r"^digest\s+([0-9a-f]{16})$", done.stdout, re.MULTILINE)
    return found.group(1) if found and done.returncode == 0 else f"none: {done.stdout}{done.stderr}"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("builds", nargs="+", help="dogfs-sim of each build; name one twice to compare it with itself")
    parser.add_argument("--seeds", type=int, default=2)
    arguments = parser.parse_args()
    wrong = 0
    for name in scenarios(arguments.builds[0]):
        for seed in range(1, arguments.seeds + 1):
            digests = [digest(sim, name, seed) for sim in arguments.builds]
            if len(set(digests)) != 1 or digests[0].startswith("none"):
                wrong += 1
                print(f"{name} --seed {seed}:")
                for sim, value in zip(arguments.builds, digests):
                    print(f"  {value}  {sim}")
            else:
                print(f"{digests[0]}  {name} --seed {seed}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
