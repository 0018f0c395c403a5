#!/usr/bin/env python3
"""./dev bench io: puts and gets a file on a real cluster, beside the bare program that does only the unavoidable work.

The cluster is 3 metadata nodes and 9 chunk servers, release processes on loopback, RS(6,3); every block is synced at
its commit. The client is bench_client: the Client class of DogFS with its data in memory, since the local disk and the
start of a process are not what is measured here. bare_io (tests/bench/bare) runs in turn with it, so that both meet the
same machine. Whole reads come from the page cache, as the bare program's do; the first read after a write, which
may come from the disk, is not counted. That one is held against what was written; in the others, as in the bare
program, bytes are held only against the checksums that came with them.

Then three chunk servers are killed and the file is read again, decoded; and a larger file goes in and out, after which
the peak memory of each process is held against its limit.

Rates are in GB/s (10^9 bytes of user data). Exit code 0 unless something failed or a limit on memory was exceeded;
the marks for rates are printed, and held only with --strict, since a busy machine misses them.
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.dont_write_bytecode = True
from bench.report import cpu_seconds, median, run, spread, warn_if_loaded  # noqa: E402
from e2e.cluster import Cluster  # noqa: E402

META_NODES, CHUNK_SERVERS, PARITY = 3, 9, 3
MIB = 1 << 20
CLIENT_LIMIT_BYTES, SERVER_LIMIT_BYTES = 512 * MIB, 256 * MIB
RATE_MARK = 0.5  # of the bare program
DEGRADED_MARK = 0.8  # of whole reads
# Measured on this kind of machine by others, not in this run.
PEERS = "QFS 0.37 in (not synced), 0.79 out; Ceph EC 0.39 in, 0.75 out"


def parse_size(text):
    units = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
    text = text.lower().removesuffix("b").removesuffix("i")
    return int(float(text[:-1]) * units[text[-1]]) if text[-1:] in units else int(text)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True, type=Path, help="the release build directory")
    parser.add_argument("--dir", type=Path, help="where the data goes (default: a new directory in /tmp)")
    parser.add_argument("--size", type=parse_size, default=1 << 30, help="of the file, e.g. 1G")
    parser.add_argument("--rounds", type=int, default=5, help="puts, and gets, of each program")
    parser.add_argument("--memory-size", type=parse_size, default=4 << 30, help="of the large file; 0 leaves it out")
    parser.add_argument("--strict", action="store_true", help="fail when a rate misses its mark")
    return parser.parse_args()


class Bench:
    def __init__(self, arguments, directory, cluster):
        self.arguments = arguments
        self.directory = directory
        self.cluster = cluster
        self.programs = arguments.bin / "tests" / "bench"
        self.missed = []
        self.failed = []

    def client(self, operation, path, *more):
        """One run of bench_client: its line, if it has one, with the CPU time that the cluster's processes spent too."""
        before = cpu_seconds(self.pids())
        command = [self.programs / "bench_client", operation, "--meta", self.cluster.meta_list, "--path", path]
        lines = run(command + list(more))
        if not lines:
            return None
        (line,) = lines
        line["all_cpu_seconds"] = line["cpu_seconds"] + cpu_seconds(self.pids()) - before
        return line

    def pids(self):
        return [node.process.pid for node in self.cluster.nodes() if node.alive()]

    def put(self, path, size):
        return self.client("put", path, "--size", size)

    def get(self, path, written):
        line = self.client("get", path)
        if line["bytes"] != written["bytes"]:
            self.failed.append(f"{path} has another length than was written")
        return line

    def get_and_compare(self, path, written):
        line = self.client("get", path, "--sum")
        if (line["bytes"], line["crc32c"]) != (written["bytes"], written["crc32c"]):
            self.failed.append(f"{path} does not read back as it was written")
        return line

    def bare(self):
        """One run of the bare program: the better way of writing (O_DIRECT or buffered) counts, and its reads."""
        lines = run([self.programs / "bare_io", "--dir", self.directory / "bare", "--size", self.arguments.size])
        return lines

    def check(self, what, value, mark):
        met = value >= mark
        print(f"  {what:<46} {value:5.2f}   mark {mark:.2f}: {'met' if met else 'MISSED'}")
        if not met:
            self.missed.append(what)

    def compare_with_bare(self):
        size, rounds = self.arguments.size, self.arguments.rounds
        bare, puts, gets = [], [], []
        for i in range(rounds):
            bare += self.bare()
            written = self.put(f"/bench/io-{i}", size)
            self.get_and_compare(f"/bench/io-{i}", written)
            puts.append(written)
            gets += [self.get(f"/bench/io-{i}", written) for _ in range(2)]
            if i + 1 < rounds:
                self.client("remove", f"/bench/io-{i}")

        def rates(lines, **wanted):
            return [line["gb_per_s"] for line in lines if all(line[key] == value for key, value in wanted.items())]

        bare_puts = {mode: rates(bare, op="put", mode=mode) for mode in ("direct", "buffered")}
        bare_put = max(bare_puts.values(), key=median)
        bare_get = rates(bare, op="get")
        put, get = rates(puts), rates(gets)
        print(f"\nGB/s of a {size / 1e9:.2f} GB file, median (least to most) of {rounds} rounds")
        print(f"  {'':<18}{'in':<28}{'out':<28}")
        for mode, values in bare_puts.items():
            print(f"  {'bare, ' + mode:<18}{spread(values):<28}{spread(rates(bare, op='get', mode=mode)):<28}")
        print(f"  {'dogfs':<18}{spread(put):<28}{spread(get):<28}")
        print(f"  elsewhere on this kind of machine: {PEERS}")
        print("CPU seconds, client and servers, median")
        print(f"  bare   in {median([x['cpu_seconds'] for x in bare if x['op'] == 'put' and x['mode'] == 'direct']):.2f}"
              f"   out {median([x['cpu_seconds'] for x in bare if x['op'] == 'get']):.2f}")
        print(f"  dogfs  in {median([x['all_cpu_seconds'] for x in puts]):.2f}"
              f"   out {median([x['all_cpu_seconds'] for x in gets]):.2f}")
        print("Against the marks")
        self.check("put, part of the bare program's rate", median(put) / median(bare_put), RATE_MARK)
        self.check("get, part of the bare program's rate", median(get) / median(bare_get), RATE_MARK)
        return f"/bench/io-{rounds - 1}", written

    def compare_degraded(self, path, written):
        rounds = self.arguments.rounds
        whole = [self.get(path, written)["gb_per_s"] for _ in range(rounds)]
        dead = self.cluster.chunks[:PARITY]
        for node in dead:
            node.kill()
        self.get_and_compare(path, written)  # parity comes from the disk
        degraded = [self.get(path, written)["gb_per_s"] for _ in range(rounds)]
        for node in dead:
            node.start()
        self.cluster.wait_ready()
        print(f"\nReads with {PARITY} of {CHUNK_SERVERS} chunk servers dead, GB/s")
        print(f"  whole {spread(whole)}   degraded {spread(degraded)}")
        self.check("degraded reads, part of whole ones' rate", median(degraded) / median(whole), DEGRADED_MARK)

    def check_memory(self):
        size = self.arguments.memory_size
        written = self.put("/bench/large", size)
        read = self.get_and_compare("/bench/large", written)
        servers_peak = max(node.memory_peak_bytes() for node in self.cluster.chunks)
        client_peak = max(written["peak_bytes"], read["peak_bytes"])
        print(f"\nPeak memory for a {size / 1e9:.2f} GB file ({written['gb_per_s']:.2f} GB/s in, "
              f"{read['gb_per_s']:.2f} out)")
        for what, peak, limit in [("client", client_peak, CLIENT_LIMIT_BYTES),
                                  ("largest chunk server", servers_peak, SERVER_LIMIT_BYTES)]:
            print(f"  {what:<24} {peak / MIB:6.0f} MiB   limit {limit // MIB} MiB")
            if peak > limit:
                self.failed.append(f"the {what} took {peak / MIB:.0f} MiB")


def main():
    arguments = parse_arguments()
    directory = arguments.dir or Path(tempfile.mkdtemp(prefix="dogfs-bench-io-"))
    warn_if_loaded()
    try:
        with Cluster(arguments.bin, META_NODES, CHUNK_SERVERS, directory / "cluster") as cluster:
            cluster.start()
            bench = Bench(arguments, directory, cluster)
            path, written = bench.compare_with_bare()
            bench.compare_degraded(path, written)
            if arguments.memory_size:
                bench.check_memory()
    finally:
        if arguments.dir is None:
            shutil.rmtree(directory, ignore_errors=True)
    for failure in bench.failed:
        print(f"FAILED: {failure}")
    if bench.failed or (arguments.strict and bench.missed):
        sys.exit(1)


if __name__ == "__main__":
    main()
