#!/usr/bin/env python3
"""The whole cluster is restarted again and again under load, some nodes by SIGTERM and some by SIGKILL: nothing that
was acknowledged is lost, and nothing leaks.

    restarts_test.py             4 times
    restarts_test.py --full      20 times

What is looked at after the last restart, once the load has ended:
  shards    the shard files on the disks are those that the metadata lists, no more and no fewer, and each reads back
  leases    no file has a writer any more, once the leases of the clients that failed have run out
  handles   every process has the handles that an idle one has right after its start, but for those that it keeps on
            purpose: connections with other nodes, two a pair and direction, which are made when first needed; and files
            of its own directory, which come and go with RocksDB and with the shards that were read last. Those must not
            be deleted ones, and of shards there are no more than a server keeps open
  memory    what a process takes does not grow from one round of the same load to the next, within one life
"""

import argparse
import collections
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

sys.dont_write_bytecode = True
from cluster import EXIT_TRY_AGAIN, Cluster, Miss, die_with_parent, expect, wait_for  # noqa: E402

WORKERS = 4
FILES_OF_A_WORKER = 8
OPERATIONS_A_LIFE = 3  # that each worker must have done before the next restart
# Writers renew their leases every 15 s: no limit may be less than this.
LEASE_LIMIT_S = 20
SETTLE_S = 180
KEPT_SHARD_HANDLES = 64  # kMaxOpenFiles of core/chunk/shard_reader.cc
CONNECTIONS_A_PAIR = 2  # of one direction: one for data, one for all else (net/transport.h)
TCP_LISTENS = "0A"
DYING_BYTES = 6_000_000
# A round of the load for memory: each worker puts, reads, appends to, reads and removes so many files.
FILES_A_ROUND = 4
PUT_BYTES = 1_500_000
APPEND_BYTES = 300_000
# What a chunk server is sent in a round: a fifth of the shards, which are 5/3 of the data. The bound is half of that
# over all rounds after the first, however many they are: a server that kept what it is sent would pass it in the
# second. A metadata node has the same bound: its log and RocksDB's buffers grow by a few KiB with each of the commands
# of a round, which are some hundred.
ROUND_BYTES = WORKERS * FILES_A_ROUND * (PUT_BYTES + APPEND_BYTES) // 3
GROWTH_BYTES = ROUND_BYTES // 2


def content(name, size):
    """The bytes of a name are always the same."""
    return random.Random(int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")).randbytes(size)


class Worker(threading.Thread):
    """Puts, appends to, reads and removes files of its own, through the dogfs command, until it is told to stop. Some
    of its commands are killed."""

    def __init__(self, cluster, number, seed):
        super().__init__(daemon=True)
        self.cluster = cluster
        self.directory = f"/files/{number}"
        self.rng = random.Random(f"{seed}/{number}")
        self.stopped = False
        self.failure = None
        self.done = 0
        self.files = {}  # acknowledged
        self.unsure = {}  # an append failed: they begin with this at least
        self.names = 0
        self.counts = collections.Counter()

    def run(self):
        try:
            while not self.stopped:
                operations = [self.put, self.append, self.get, self.remove, self.die]
                operation = self.rng.choices(operations, [8, 4, 6, 2, 1])[0]
                if operation not in (self.put, self.die) and not self.files:
                    continue
                operation()
        except (Miss, OSError, ValueError) as failure:
            self.failure = failure

    def dogfs(self, *words, stdin=None):
        """What was done, or None while the cluster is down. Any other failure is one of the test."""
        done = self.cluster.dogfs(*words, code=None, stdin=stdin)
        self.counts[words[0] if done.returncode == 0 else f"{words[0]} refused"] += 1
        if done.returncode == 0:
            self.done += 1
            return done
        down = any(text in done.stderr for text in (b"too few chunk servers", b"outcome unknown"))
        expect(down or done.returncode == EXIT_TRY_AGAIN,
               f"dogfs {' '.join(words)}: exit code {done.returncode}: {done.stderr.decode()}")  # fmt: skip
        return None

    def put(self):
        if len(self.files) >= FILES_OF_A_WORKER:
            return self.remove()
        self.names += 1
        name = f"{self.directory}-{self.names}"
        data = content(name, self.rng.choice([0, 1, 70_000, 300_000, 1_200_000, 6_000_000]))
        if self.dogfs("put", "-", name, stdin=data):
            self.files[name] = data

    def die(self):
        """A client that is killed in the middle of a put leaves a lease, and shards neither sealed nor given up."""
        self.names += 1
        name = f"{self.directory}-{self.names}-dies"
        put = subprocess.Popen([self.cluster.dogfs_program, "put", "-", name], env=self.cluster.environment(),
                               stdin=subprocess.PIPE, stderr=subprocess.DEVNULL,
                               preexec_fn=die_with_parent)  # fmt: skip
        try:
            put.stdin.write(content(name, DYING_BYTES))
            put.stdin.flush()
        except BrokenPipeError:
            pass  # the cluster was down
        put.kill()
        put.wait()
        try:
            put.stdin.close()
        except BrokenPipeError:
            pass
        self.counts["killed in a put"] += 1

    def append(self):
        name = self.rng.choice(sorted(self.files))
        more = content(f"{name}+{len(self.files[name])}", self.rng.choice([1, 5000, 250_000]))
        if self.dogfs("append", "-", name, stdin=more):
            self.files[name] += more
        else:
            self.unsure[name] = self.files.pop(name)

    def get(self):
        name = self.rng.choice(sorted(self.files))
        done = self.dogfs("cat", name)
        expect(done is None or done.stdout == self.files[name], f"{name} is not what was acknowledged")

    def remove(self):
        name = self.rng.choice(sorted(self.files))
        del self.files[name]
        self.dogfs("rm", name)


def tcp_sockets():
    """By the inode of the socket: both ends and the state, as the kernel writes them."""
    sockets = {}
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text(encoding="ascii").splitlines()[1:]:
            words = line.split()
            sockets[words[9]] = (words[1], words[2], words[3])
    return sockets


class Watch:
    """What a process has: its handles and its memory."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.idle = {node.name: self.handles(node) for node in cluster.nodes()}

    @staticmethod
    def open_files(node):
        found = []
        for entry in Path(f"/proc/{node.process.pid}/fd").iterdir():
            try:
                found.append(os.readlink(entry))
            except FileNotFoundError:
                pass  # closed meanwhile
        return found

    def handles(self, node):
        """Those that are always the same, counted by kind; and the files of the node's directory."""
        kinds = collections.Counter()
        files = []
        for target in self.open_files(node):
            if target.startswith(str(self.cluster.directory / node.name) + "/"):
                files.append(target)
            elif not target.startswith("socket:"):
                kinds[target.split(":")[0]] += 1
        return kinds, files

    def socket_leaks(self):
        """Connections with nobody of the cluster, and more with another node than there are to be."""
        table = tcp_sockets()
        owners = {}  # by both ends
        sockets = {}
        for node in self.cluster.nodes():
            inodes = [target[8:-1] for target in self.open_files(node) if target.startswith("socket:")]
            sockets[node.name] = [table.get(inode, ("?", "?", "gone")) for inode in inodes]
            owners |= {(local, remote): node.name for local, remote, _ in sockets[node.name]}
        found = []
        for node in self.cluster.nodes():
            own_port = f":{int(node.address.split(':')[1]):04X}"
            pairs = collections.Counter()
            for local, remote, state in sockets[node.name]:
                peer = owners.get((remote, local))
                if peer is not None:
                    pairs["from " + peer if local.endswith(own_port) else "to " + peer] += 1
                elif state != TCP_LISTENS or not local.endswith(own_port):
                    found.append(f"{node.name}: a socket {local} {remote} {state} with nobody of the cluster")
            found += [f"{node.name}: {count} connections {pair}" for pair, count in pairs.items()
                      if count > CONNECTIONS_A_PAIR]  # fmt: skip
        return found

    def leaks(self):
        """What is open beyond what there is to be, by node."""
        found = self.socket_leaks()
        for node in self.cluster.nodes():
            kinds, files = self.handles(node)
            more = kinds - self.idle[node.name][0]
            deleted = [name for name in files if name.endswith(" (deleted)")]
            shards = [name for name in files if name.endswith(".shard")]
            if more or deleted or len(shards) > KEPT_SHARD_HANDLES:
                found.append(f"{node.name}: {dict(more)} more, {deleted[:5]}, {len(shards)} shards")
        return found

    def memory(self):
        sizes = {}
        for node in self.cluster.nodes():
            status = Path(f"/proc/{node.process.pid}/status").read_text(encoding="ascii")
            line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
            sizes[node.name] = int(line.split()[1]) * 1024
        return sizes


class Restarts:
    def __init__(self, cluster, restarts, rounds, seed):
        self.cluster = cluster
        self.restarts = restarts
        self.rounds = rounds
        self.seed = seed
        self.rng = random.Random(seed)
        self.began = time.monotonic()

    def say(self, text):
        print(f"[{time.monotonic() - self.began:6.1f} s] {text}", flush=True)

    def run(self):
        cluster = self.cluster
        cluster.start()
        self.watch = Watch(cluster)
        cluster.dogfs("mkdir", "--ec", "3+2,64", "/files", "/rounds")
        self.workers = [Worker(cluster, i, self.seed) for i in range(WORKERS)]
        for worker in self.workers:
            worker.start()
        for number in range(self.restarts):
            self.let_them_work()
            killed = self.restart()
            self.say(f"restart {number + 1}: {killed} nodes by SIGKILL, {len(cluster.nodes()) - killed} by SIGTERM")
        self.let_them_work()
        for worker in self.workers:
            worker.stopped = True
        for worker in self.workers:
            worker.join()
            expect(not worker.failure, f"the load: {worker.failure}")
        self.say(f"the load ended: {dict(sum((worker.counts for worker in self.workers), collections.Counter()))}")
        self.check_memory()
        self.check_settled()
        self.check_files()
        self.check_handles()

    def let_them_work(self):
        before = [worker.done for worker in self.workers]

        def done():
            for worker in self.workers:
                expect(not worker.failure, f"the load: {worker.failure}")
            return all(worker.done >= start + OPERATIONS_A_LIFE for worker, start in zip(self.workers, before))

        wait_for("the load to go on", done, timeout_s=120)

    def restart(self):
        """All at once. How many were killed, which is at least one, and not all."""
        nodes = self.rng.sample(self.cluster.nodes(), len(self.cluster.nodes()))
        killed = self.rng.randint(1, len(nodes) - 1)
        for i, node in enumerate(nodes):
            expect(node.alive(), f"{node.name} ended by itself")
            node.process.send_signal(signal.SIGKILL if i < killed else signal.SIGTERM)
        for i, node in enumerate(nodes):
            code = node.process.wait(60)
            expect(code == (-signal.SIGKILL if i < killed else 0), f"{node.name}: exit code {code}")
        self.cluster.start()
        return killed

    # --- Within the last life

    def one_round(self, number):
        def work(i):
            for j in range(FILES_A_ROUND):
                name = f"/rounds/{number}-{i}-{j}"
                data = content(name, PUT_BYTES)
                self.cluster.dogfs("put", "-", name, stdin=data)
                got = self.cluster.dogfs("cat", name).stdout
                self.cluster.dogfs("append", "-", name, stdin=data[:APPEND_BYTES])
                if got != data or self.cluster.dogfs("cat", name).stdout != data + data[:APPEND_BYTES]:
                    raise Miss(f"{name} is not what was put")
                self.cluster.dogfs("rm", name)
                finished.append(name)

        finished = []
        threads = [threading.Thread(target=work, args=(i,), daemon=True) for i in range(WORKERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        expect(len(finished) == WORKERS * FILES_A_ROUND, f"round {number} failed")

    def check_memory(self):
        """The first round warms up what is kept on purpose: threads, caches, RocksDB's buffers."""
        self.one_round(0)
        first = self.watch.memory()
        for number in range(1, self.rounds):
            self.one_round(number)
        last = self.watch.memory()
        grown = {name: last[name] - first[name] for name in first}
        self.say(f"memory after {self.rounds} rounds of {ROUND_BYTES >> 20} MiB for each server; grown since the first "
                 f"(bound {GROWTH_BYTES >> 10} KiB): "
                 + ", ".join(f"{name} {last[name] >> 20} MiB {grown[name] >> 10:+} KiB" for name in last))  # fmt: skip
        for name, size in grown.items():
            expect(size <= GROWTH_BYTES, f"{name} has grown by {size >> 10} KiB within {self.rounds - 1} rounds")

    def check_settled(self):
        def report():
            return self.cluster.json("admin", "report")[0]

        wait_for("the leases to end", lambda: int(report()["status"]["open_files"]) == 0, SETTLE_S, 0.5)
        self.say("no file has a writer")

        def done(status):
            short = sum(map(int, status["blocks_with_spares"])) + int(status["blocks_lost"])
            return short + int(status["repairs"]) + int(status["garbage_shards"]) == 0

        wait_for("repairs and deletions to end", lambda: done(report()["status"]), SETTLE_S, 0.5)
        wait_for("the shard files to be those that are listed", self.shards_agree, SETTLE_S, 0.5)
        self.cluster.dogfs("fsck", "--verify")

    def shards_agree(self):
        on_disk = {(node.address, path.name) for node in self.cluster.chunks
                   for path in (self.cluster.directory / node.name).rglob("*.shard")}  # fmt: skip
        listed = set()
        for line in self.cluster.dogfs("fsck", "--all", "--json").stdout.splitlines():
            block = json.loads(line).get("block", {}).get("block", {})
            for shard in block.get("shards", []):
                name = f"{int(block['block']):016x}-{shard['index']:02x}-{int(shard['generation']):016x}.shard"
                listed.add((shard["server_address"], name))
        if on_disk != listed:
            self.differing = f"not listed: {sorted(on_disk - listed)[:5]}; not there: {sorted(listed - on_disk)[:5]}"
            return False
        self.say(f"{len(on_disk)} shard files, all of them listed")
        return True

    def check_files(self):
        count = 0
        for worker in self.workers:
            for name, data in worker.files.items():
                expect(self.cluster.dogfs("cat", name).stdout == data, f"{name} is not what was acknowledged")
            for name, data in worker.unsure.items():
                expect(self.cluster.dogfs("cat", name).stdout.startswith(data), f"{name} lost what was acknowledged")
            count += len(worker.files) + len(worker.unsure)
        self.say(f"{count} files are as they were acknowledged")

    def check_handles(self):
        try:
            wait_for("the handles to be closed", lambda: not self.watch.leaks())
        except Miss as miss:
            raise Miss(f"{miss}: {self.watch.leaks()}") from miss
        self.say("every process has the handles that it began with")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="20 restarts instead of 4, and more rounds")
    parser.add_argument("--seed", type=int, default=int(os.environ.get("DOGFS_SEED", "1")))
    options = parser.parse_args()
    print(f"DOGFS_SEED={options.seed}")
    with Cluster(os.environ["DOGFS_BUILD_DIR"], metas=3, chunks=5) as cluster:
        for node in cluster.metas:
            node.argv += ["--lease-limit", str(LEASE_LIMIT_S)]
        restarts = Restarts(cluster, 20 if options.full else 4, 10 if options.full else 3, options.seed)
        try:
            restarts.run()
        except Miss as miss:
            print(f"FAILED: {miss} {getattr(restarts, 'differing', '')}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
