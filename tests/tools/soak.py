#!/usr/bin/env python3
"""Runs every scenario of the simulator with fresh seeds until the time is up, and sums up what it found."""

import argparse
import re
import subprocess
import sys
import time

SEEDS_A_ROUND = 20


def scenarios(sim):
    listing = subprocess.run([sim, "list"], capture_output=True, text=True, check=True).stdout
    section = listing.split("Scenarios:")[1].split("\n\n")[0]
    return [line.split()[0] for line in section.splitlines() if line.strip()]


def swarm(sim, scenario, first, jobs):
    """Returns the number of runs, and what the simulator printed of those that failed."""
    done = subprocess.run([sim, "swarm", scenario, "--seeds", f"{first}..{first + SEEDS_A_ROUND - 1}", "-j", str(jobs)],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)  # fmt: skip
    runs = re.search(r"^(\d+) runs, (\d+) failed", done.stdout, re.MULTILINE)
    if done.returncode == 0 and runs:
        return int(runs.group(1)), ""
    return int(runs.group(1)) if runs else 0, done.stdout


def main():
    parser = argparse.ArgumentParser(prog="./dev soak", description=__doc__)
    parser.add_argument("--sim", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--jobs", type=int, default=2, help=argparse.SUPPRESS)
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=int(time.time()) * 1000, help="the first seed; by the clock if not given")
    arguments = parser.parse_args()

    names = scenarios(arguments.sim)
    runs = dict.fromkeys(names, 0)
    failed = dict.fromkeys(names, 0)
    begin = time.monotonic()
    seed = arguments.seed
    try:
        while time.monotonic() - begin < arguments.hours * 3600:
            for name in names:
                count, failures = swarm(arguments.sim, name, seed, arguments.jobs)
                runs[name] += count
                if failures:
                    failed[name] += 1
                    print(failures, flush=True)
            seed += SEEDS_A_ROUND
            print(f"{(time.monotonic() - begin) / 3600:.2f} h: {sum(runs.values())} runs, up to seed {seed - 1}", flush=True)
    except KeyboardInterrupt:
        print("interrupted")
    print(f"\n{'scenario':<32} {'runs':>8}  rounds with failures")
    for name in names:
        print(f"{name:<32} {runs[name]:>8}  {failed[name]}")
    return 1 if any(failed.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
