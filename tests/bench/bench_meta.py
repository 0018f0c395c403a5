#!/usr/bin/env python3
"""./dev bench meta: how many files a second a three-node metadata group creates and stats, with its log synced, and how
many puts a second etcd takes beside it.

All nodes are release processes on loopback that share this machine's disk; each load keeps 1, 16, 64 and 256 operations
in flight. A create is one command through the Raft log, synced by a majority before it is answered; the close that
follows is another; a stat is a linearizable read. A put of etcd is one synced command as well, of a key as long as the
path and 32 bytes. The two take turns, because this kind of machine is faster in one minute than in the next: what
counts is the ratio of neighbours. Beside them stands what the disk can do at best (sync_floor).
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.dont_write_bytecode = True
from bench.etcd_cluster import EtcdCluster  # noqa: E402
from bench.report import median, run, spread, warn_if_loaded  # noqa: E402
from e2e.cluster import Cluster  # noqa: E402

# As many creates as etcd takes puts.
LEAST_RATIO = 1


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True, type=Path, help="the release build directory")
    parser.add_argument("--etcd", type=Path, default="build/peers/usr/bin/etcd", help="etcd 3.4 (default: %(default)s)")
    parser.add_argument("--dir", type=Path, help="where the data goes (default: a new directory in /tmp)")
    parser.add_argument("--seconds", type=float, default=2, help="of creating or putting, for each line of a round")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each; their median counts")
    parser.add_argument("--in-flight", type=int, nargs="+", default=[1, 16, 64, 256])
    parser.add_argument("--strict", action="store_true", help="fail when there are fewer creates than puts of etcd")
    return parser.parse_args()


def print_floor(programs, directory):
    print("What the disk can make durable, one writer (records of 200 bytes)")
    print(f"  {'':<10}{'records to a sync':>18}{'records/s':>12}{'p50 ms':>9}{'p99 ms':>9}")
    for line in run([programs / "sync_floor", "--dir", directory / "floor"]):
        print(f"  {line['store']:<10}{line['batch']:>18.0f}{line['records_per_s']:>12.0f}"
              f"{line['p50_us'] / 1e3:>9.2f}{line['p99_us'] / 1e3:>9.2f}")


def dogfs_load(programs, cluster, path, in_flight, seconds):
    """Creates, closes and stats files under `path`; the parsed lines by operation."""
    lines = run([programs / "bench_client", "metadata", "--meta", cluster.meta_list, "--path", path,
                 "--in-flight", in_flight, "--seconds", seconds])  # fmt: skip
    return {line["op"]: line for line in lines}


def print_row(name, lines, remark=""):
    row = [median([line[key] for line in lines]) for key in ("per_second", "p50_ms", "p99_ms")]
    print(f"  {name:<20}{row[0]:>10.0f}{row[1]:>9.2f}{row[2]:>9.2f}  {remark}")


def print_comparison(in_flight, puts, loads):
    """One number in flight; returns whether it is as fast as etcd."""
    creates = [load["create"] for load in loads]
    ratios = [create["per_second"] / put["per_second"] for create, put in zip(creates, puts, strict=True)]
    met = median(ratios) >= LEAST_RATIO
    print(f"{in_flight} in flight")
    print_row("etcd put", puts)
    print_row("dogfs create", creates, f"{spread(ratios)} of etcd: {'met' if met else 'MISSED'}")
    print_row("dogfs close", [load["close"] for load in loads])
    print_row("dogfs stat", [load["stat"] for load in loads])
    return met


def main():
    arguments = parse_arguments()
    directory = arguments.dir or Path(tempfile.mkdtemp(prefix="dogfs-bench-meta-"))
    programs = arguments.bin / "tests" / "bench"
    warn_if_loaded()
    all_met = True
    try:
        print_floor(programs, directory)
        print(f"\nThree nodes each, synced logs; medians of {arguments.rounds} turns of {arguments.seconds:g} s")
        print(f"  {'':<20}{'per s':>10}{'p50 ms':>9}{'p99 ms':>9}")
        with (EtcdCluster(arguments.etcd, programs, directory / "etcd") as etcd,
              Cluster(arguments.bin, 3, 0, directory / "cluster") as cluster):  # fmt: skip
            cluster.start()
            for in_flight in arguments.in_flight:
                puts = []
                loads = []
                for turn in range(arguments.rounds):
                    puts.append(etcd.put(in_flight, arguments.seconds))
                    path = f"/bench/{in_flight}/{turn}"
                    loads.append(dogfs_load(programs, cluster, path, in_flight, arguments.seconds))
                all_met = print_comparison(in_flight, puts, loads) and all_met
    finally:
        if arguments.dir is None:
            shutil.rmtree(directory, ignore_errors=True)
    if arguments.strict and not all_met:
        sys.exit(1)


if __name__ == "__main__":
    main()
