#!/usr/bin/env python3
"""./dev bench sim: how fast the simulator is: a swarm of three metadata nodes, nine chunk servers and four clients under
whatever faults the seeds draw (scenarios/swarm_of_sixteen.textproto), on one core; and how fast the history of ten thousand
operations on the metadata is checked.

The marks are per second of processor time, so other programs cost only what they take from the caches. That is up to a
third on a shared machine, and only ever slows a run down: of each run the quickest of all rounds counts, and what whole
rounds came to stands beside it. --profile runs the swarm once more below `perf record` and prints where its time goes.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.dont_write_bytecode = True
from bench.report import run, warn_if_loaded  # noqa: E402

SCENARIO = "swarm_of_sixteen"
LEAST_VIRTUAL_SECONDS = 500
LEAST_EVENTS = 300_000
LEAST_OPERATIONS_CHECKED = 10_000
EVENTS = re.compile(r"^events +(\d+)", re.MULTILINE)
TIMES = re.compile(r"^virtual time +([\d.]+) s in ([\d.]+) s of processor time", re.MULTILINE)

# The first part whose pattern is found in a symbol, or in the library that it is of, has its time.
PARTS = [
    ("malloc and free", r"jemalloc|malloc|\bfree\b|operator new|operator delete|thread_info_base"),
    ("protobuf", r"libprotobuf|google::protobuf|dogfs::wire::|_InternalParse"),
    ("copies and comparisons of bytes", r"mem(move|cpy|cmp|set)|basic_string"),
    ("checksums and codes", r"libisal|gf_complete|Jerasure|crc32c|dogfs::ec::"),
    ("oracles, the models of clients", r"Oracle|Checker|check_meta_invariants|SafetyHistory|linearizab|content|Workload"),
    ("simulated stores", r"KvDisk|SimKvStore|ShardStore|ShardDisk|ShardFile"),
    ("simulated network", r"sim::Network|SimTransport|Envelope|draws_of"),
    ("the event queue, clocks", r"sim::Simulator|Simulator::Entry|SimClock|SimWaiter|RandomStream"),
    ("coroutines", r"boost::asio|awaitable|dogfs::spawn|ParkedHandler|Completion"),
    ("the kernel", r"\[k\]"),
    ("core: Raft", r"dogfs::raft|Replica|GroupHost|Outbox"),
    ("core: all else", r"dogfs"),
]  # fmt: skip


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True, type=Path, help="the release build directory")
    parser.add_argument("--seeds", type=int, default=60, help="runs in a round (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="the best of so many counts (default: %(default)s)")
    parser.add_argument("--profile", action="store_true", help="show where the time goes (needs Debian's linux-perf)")
    parser.add_argument("--strict", action="store_true", help="fail when a mark is missed")
    return parser.parse_args()


def run_seed(arguments, seed):
    """Events, virtual seconds and seconds of processor time."""
    words = [arguments.bin / "sim" / "dogfs-sim", "run", SCENARIO, "--seed", str(seed)]
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True)
    events, times = EVENTS.search(done.stdout), TIMES.search(done.stdout)
    if done.returncode != 0 or events is None or times is None:
        sys.exit(f"seed {seed} failed:\n{done.stdout}")
    return int(events.group(1)), float(times.group(1)), float(times.group(2))


def run_round(arguments):
    return [run_seed(arguments, seed) for seed in range(1, arguments.seeds + 1)]


def rates_of(runs):
    """Events and virtual seconds per second of processor time."""
    seconds = sum(run[2] for run in runs)
    return sum(run[0] for run in runs) / seconds, sum(run[1] for run in runs) / seconds


def quickest(rounds):
    """Of each seed the run that took the least time."""
    return [min(runs, key=lambda run: run[2]) for runs in zip(*rounds)]


def check_history(arguments):
    """Operations that are checked per second of processor time."""
    [line] = run([arguments.bin / "tests" / "bench" / "linearizability_bench"])
    return int(line["operations"] / line["cpu_seconds"])


def part_of(line):
    return next((part for part, pattern in PARTS if re.search(pattern, line)), "other")


def print_profile(arguments):
    with tempfile.TemporaryDirectory(prefix="dogfs-bench-sim-") as directory:
        samples = Path(directory) / "perf.data"
        swarm = [arguments.bin / "sim" / "dogfs-sim", "swarm", SCENARIO, "--seeds", f"1..{arguments.seeds}"]
        subprocess.run(["perf", "record", "-q", "-o", samples, *swarm], check=True, stdout=subprocess.DEVNULL)
        report = subprocess.run(["perf", "report", "-i", samples, "--stdio", "-g", "none", "-F", "overhead,dso,sym"],
                                check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)  # fmt: skip
    shares = {}
    for line in report.stdout.splitlines():
        share = re.match(r"\s*([\d.]+)%\s+(.*)", line)
        if share:
            part = part_of(share.group(2))
            shares[part] = shares.get(part, 0) + float(share.group(1))
    print("\nWhere the time goes, each function by itself")
    for part, share in sorted(shares.items(), key=lambda each: -each[1]):
        print(f"  {share:5.1f} %  {part}")


def print_mark(name, best, of_rounds, least):
    met = best >= least
    found = f"{best:.0f} (whole rounds {min(of_rounds):.0f} to {max(of_rounds):.0f})"
    print(f"  {name:<18}{found}, at least {least}: {'met' if met else 'MISSED'}")
    return met


def main():
    arguments = parse_arguments()
    warn_if_loaded()
    rounds = [run_round(arguments) for _ in range(arguments.rounds)]
    best = rates_of(quickest(rounds))
    of_rounds = [rates_of(runs) for runs in rounds]
    print(f"{SCENARIO}, seeds 1 to {arguments.seeds}, one core; per second of processor time, of each seed the best run of "
          f"{arguments.rounds}")  # fmt: skip
    met = [print_mark("virtual seconds", best[1], [rates[1] for rates in of_rounds], LEAST_VIRTUAL_SECONDS),
           print_mark("events", best[0], [rates[0] for rates in of_rounds], LEAST_EVENTS)]  # fmt: skip
    print("a history of the metadata; per second of processor time")
    checked = [check_history(arguments) for _ in range(arguments.rounds)]
    met.append(print_mark("operations", max(checked), checked, LEAST_OPERATIONS_CHECKED))
    if arguments.profile:
        print_profile(arguments)
    if arguments.strict and not all(met):
        sys.exit(1)


if __name__ == "__main__":
    main()
