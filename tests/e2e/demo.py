#!/usr/bin/env python3
"""Puts a real directory tree through a real cluster that is being killed under it.

Three metadata nodes and nine chunk servers, each a process of its own on loopback, with RS(6,3): a block is stored as
six data and three parity shards, and any six of them give it back. Ends with 0 when everything held, 1 at a miss.
"""

import argparse
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).parent))
import trees  # noqa: E402
from cluster import EXIT_FAILED, EXIT_TRY_AGAIN, Cluster, Miss, expect, wait_for  # noqa: E402

MIB = trees.MIB
DATA_SHARDS = 6
# A block is acknowledged once one shard more than it needs is durable.
FEWEST_SERVERS = DATA_SHARDS + 1
# "At once", for a refusal. Servers that refuse connections are tried once more, and that is all.
TOO_FEW_SERVERS_S = 1
# A metadata node that is left alone may believe for an election timeout (of 0.3 to 0.6 s) that it leads, or might come
# to.
NO_MAJORITY_S = 2


class Narrator:
    def __init__(self):
        self.begin = time.monotonic()

    def chapter(self, text):
        print(f"\n== {text}", flush=True)

    def say(self, text):
        print(f"   [{time.monotonic() - self.begin:6.1f} s] {text}", flush=True)


def rate(size, seconds):
    return f"{size / MIB:,.0f} MiB in {seconds:.1f} s, {size / MIB / seconds:,.0f} MiB/s"


class Demo:
    def __init__(self, cluster, work, small):
        self.cluster = cluster
        self.work = work
        self.small = small
        self.narrator = Narrator()
        self.say = self.narrator.say
        self.tree = work / "tree"
        self.killed_chunks = []

    def run(self):
        chapters = [
            ("A real tree", self.build_tree),
            ("A cluster of processes", self.start_cluster),
            ("The tree goes in, while its leader and a server are killed", self.write_under_fire),
            ("The dead server returns, and as many die as the weakest block can spare", self.lose_the_spares),
            ("Everything reads back", self.read_everything),
            ("A write that finds too few servers is refused", self.refuse_write),
            ("Without a majority of the metadata nodes the cluster refuses, and guesses nothing", self.lose_majority),
            ("The killed servers return and are used again", self.bring_all_back),
        ]
        for title, act in chapters:
            self.narrator.chapter(title)
            act()

    def build_tree(self):
        if self.small:
            trees.build_tree(self.tree, small_files=800, library_bytes=60 * MIB, big_bytes=200 * MIB)
        else:
            trees.build_tree(self.tree, small_files=4000, library_bytes=280 * MIB, big_bytes=260 * MIB)
        self.expected = trees.manifest(self.tree)
        self.bytes = trees.tree_bytes(self.tree)
        files = sum(digest is not None for digest in self.expected.values())
        largest = (self.tree / "big.bin").stat().st_size
        self.say(f"{files:,} files, {self.bytes / MIB:,.0f} MiB, from what is installed here: thousands of small ones, "
                 f"one of {largest / MIB:,.0f} MiB, an empty one, and odd names such as {trees.ODD_NAMES[5]!r}")
        expect(self.small or (self.bytes >= 500e6 and largest > 256 * MIB), "the tree is too small for this demo")

    def start_cluster(self):
        begin = time.monotonic()
        self.cluster.start()
        for node in self.cluster.nodes():
            self.say(f"{node.name:<8} {node.address}  pid {node.process.pid}")
        self.say(f"all serve, {self.cluster.leader().name} leads, after {time.monotonic() - begin:.1f} s")

    def write_under_fire(self):
        begin = time.monotonic()
        put = self.cluster.start_dogfs("put", "-r", self.tree, "/demo")
        self.wait_for_share(put, 0.15)
        leader = self.cluster.leader()
        self.kill_during(put, leader, "the metadata leader")
        self.dead_meta = leader
        self.wait_for_share(put, 0.40)
        self.returning_chunk = self.cluster.chunks[4]
        self.kill_during(put, self.returning_chunk, "a chunk server")
        _, errors = put.communicate(timeout=900)
        seconds = time.monotonic() - begin
        expect(put.returncode == 0, f"put failed with exit code {put.returncode}: {errors.decode(errors='replace')}")
        for line in errors.decode(errors="replace").splitlines():
            self.say(f"(put says: {line})")
        self.say(f"put succeeded all the same: {rate(self.bytes, seconds)}; {self.cluster.leader().name} leads now")

    def wait_for_share(self, put, share):
        """Waits until this share of the bytes is committed."""
        def reached():
            expect(put.poll() is None, "put ended before its cluster could be hurt: give it a larger tree")
            status = self.cluster.status()
            return status and int(status["bytes"]) >= share * self.bytes

        wait_for(f"{share:.0%} of the tree", reached, timeout_s=300, interval_s=0.01)

    def kill_during(self, put, node, what):
        node.kill()
        expect(put.poll() is None, "put had ended before its cluster was hurt: give it a larger tree")
        self.say(f"kill -9 {node.name}, {what}; the write goes on")

    def lose_the_spares(self):
        self.returning_chunk.start()
        self.cluster.wait_ready(servers=len(self.cluster.chunks))
        summary = self.cluster.summary("/demo")
        spares = summary["least_spares"]
        self.say(f"{self.returning_chunk.name} is back: {summary['blocks']} blocks are known, {summary['blocks_short']} "
                 f"of them with fewer than all their shards; the weakest has {spares} spare")  # fmt: skip
        expect(spares >= 1, "a block was acknowledged without a spare")
        # Not the one that was away: the blocks that were written meanwhile have nothing on it.
        for node in [node for node in self.cluster.chunks if node is not self.returning_chunk][:spares]:
            self.kill_chunk(node)

    def kill_chunk(self, node):
        node.kill()
        self.killed_chunks.append(node)
        self.say(f"kill -9 {node.name}")

    def read_everything(self):
        back = self.work / "back"
        begin = time.monotonic()
        self.cluster.dogfs("get", "-r", "/demo", back, timeout_s=900)
        seconds = time.monotonic() - begin
        self.say(f"got {rate(self.bytes, seconds)}, with {len(self.killed_chunks)} servers dead")
        wrong = trees.differences(self.expected, trees.manifest(back))
        expect(not wrong, "what came back is not what went in:\n" + "\n".join(wrong[:20]))
        self.say(f"all {len(self.expected):,} paths are there, and every file has the SHA-256 that it had")
        shutil.rmtree(back)

    def refuse_write(self):
        alive = [node for node in self.cluster.chunks if node.alive()]
        while len(alive) >= FEWEST_SERVERS:
            self.kill_chunk(alive.pop(0))
        self.say(f"{len(alive)} servers are left; a full block needs {FEWEST_SERVERS}")
        data = self.work / "refused.bin"
        data.write_bytes(bytes(16 * MIB))
        seconds, text = self.refusal(EXIT_FAILED, TOO_FEW_SERVERS_S, "put", data, "/demo/refused")
        expect("too few chunk servers" in text, f"the error is not clear: {text}")
        self.say(f"refused at once, after {seconds:.2f} s: {text}")
        self.cluster.dogfs("stat", "/demo/refused", code=EXIT_FAILED)
        self.say("and nothing of it is to be seen")

    def refusal(self, code, limit_s, *words):
        """Runs a command that must be refused within `limit_s`; returns the seconds it took and what it said."""
        begin = time.monotonic()
        done = self.cluster.dogfs(*words, code=code, timeout_s=60)
        seconds = time.monotonic() - begin
        expect(seconds < limit_s, f"dogfs {words[0]} took {seconds:.2f} s to refuse, and not {limit_s} s at most")
        return seconds, done.stderr.decode(errors="replace").strip()

    def lose_majority(self):
        second = next(node for node in self.cluster.metas if node.alive())
        second.kill()
        self.say(f"kill -9 {second.name}: {self.dead_meta.name} is still dead, so one of three is left")
        for words in (["mkdir", "/demo/never"], ["ls", "/demo"]):
            seconds, text = self.refusal(EXIT_TRY_AGAIN, NO_MAJORITY_S, *words)
            expect("no metadata leader" in text, f"the error is not clear: {text}")
            expect("1 of 3 metadata nodes answered" in text, f"the error does not say who answered: {text}")
            self.say(f"dogfs {words[0]} is refused at once, after {seconds:.2f} s: {text}")
        second.start()
        begin = time.monotonic()
        self.cluster.wait_ready()
        self.say(f"{second.name} is back, and after {time.monotonic() - begin:.1f} s {self.cluster.leader().name} leads")
        self.cluster.dogfs("mkdir", "/demo/after")
        names = self.cluster.dogfs("ls", "/demo").stdout.splitlines()
        expect(b"after" in names and b"never" not in names, "the cluster did what it had refused, or forgot")
        self.say("it goes on: what was refused has not happened, what was asked for now has")

    def bring_all_back(self):
        for node in [*self.killed_chunks, self.dead_meta]:
            node.start()
        self.cluster.wait_ready(servers=len(self.cluster.chunks))
        self.say(f"{', '.join(node.name for node in self.killed_chunks)} and {self.dead_meta.name} are back")
        data = self.tree / "big.bin"
        begin = time.monotonic()
        self.cluster.dogfs("put", data, "/demo/again", timeout_s=300)
        self.say(f"a new file: {rate(data.stat().st_size, time.monotonic() - begin)}")
        used = {shard["server_address"]
                for page in self.cluster.json("stat", "/demo/again") if "blocks" in page and "file_length" in page
                for block in page["blocks"] for shard in block["shards"]}  # fmt: skip
        unused = [node.name for node in self.killed_chunks if node.address not in used]
        expect(not unused, f"not used again: {', '.join(unused)}")
        copy = self.work / "again"
        begin = time.monotonic()
        self.cluster.dogfs("get", "/demo/again", copy, timeout_s=300)
        self.say(f"and back: {rate(data.stat().st_size, time.monotonic() - begin)}")
        expect(trees.sha256_of(copy) == trees.sha256_of(data), "the new file did not come back as it was")
        self.say("its shards are on the servers that were dead, and it reads back with equal SHA-256")


def stop_on_signal(number, _frame):
    raise SystemExit(128 + number)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True, help="build directory with dogfsd and dogfs")
    parser.add_argument("--small", action="store_true", help="a smaller tree, for tests")
    parser.add_argument("--keep", action="store_true", help="leave data and logs where they are")
    parser.add_argument("--dir", help="where to work; a temporary directory unless given")
    arguments = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop_on_signal)

    work = Path(tempfile.mkdtemp(prefix="dogfs-demo-", dir=arguments.dir))
    begin = time.monotonic()
    cluster = None
    try:
        cluster = Cluster(arguments.bin, directory=work / "cluster")
        Demo(cluster, work, arguments.small).run()
        print(f"\nEverything held, in {time.monotonic() - begin:.0f} s.", flush=True)
        return 0
    except (Miss, subprocess.TimeoutExpired) as miss:
        print(f"\nMISS: {miss}", file=sys.stderr, flush=True)
        return 1
    finally:
        if cluster:
            cluster.kill_all()
        if arguments.keep:
            print(f"data and logs: {work}")
        else:
            shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
