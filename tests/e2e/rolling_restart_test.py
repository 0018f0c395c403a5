#!/usr/bin/env python3
"""Every node is restarted, one after the other, while files are open for writing: by one who is idle meanwhile, by one
who writes some bytes now and then, and by one who writes all the time. Each goes on where it was, in the same `dogfs`
process, and what is open all the time has all its shards in the end."""

import argparse
import hashlib
import os
import random
import subprocess
import sys
import threading

sys.dont_write_bytecode = True
from cluster import Cluster, Miss, die_with_parent, expect, wait_for  # noqa: E402

CHUNKS = 6  # for 3 + 2: whoever is down has a stand-in, and may be needed again for the next one
FIRST_BYTES = 8_000_000
SLOW_BYTES = 200_000
FAST_BYTES = 200_000  # so that some blocks are complete, and committed, while servers are down
BYTES_MEANWHILE = 1_000_000  # that the fast writer gets rid of while a node is down


class Writer:
    """A `dogfs` whose standard input stays open."""

    def __init__(self, cluster, path, verb="put"):
        self.path = path
        self.rng = random.Random(int.from_bytes(hashlib.sha256(path.encode()).digest()[:8], "big"))
        self.digest = hashlib.sha256()
        self.size = 0
        self.process = subprocess.Popen([cluster.dogfs_program, verb, "-", path], env=cluster.environment(),
                                        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                        preexec_fn=die_with_parent)  # fmt: skip

    def write(self, count):
        data = self.rng.randbytes(count)
        self.digest.update(data)
        self.size += count
        try:
            self.process.stdin.write(data)
            self.process.stdin.flush()
        except BrokenPipeError as failure:
            raise Miss(f"the writer of {self.path} has ended: {self.process.stderr.read().decode()}") from failure

    def end(self):
        """The exit code, and what it said."""
        _, said = self.process.communicate(timeout=120)
        return self.process.returncode, said.decode()


def keep_writing(writer, count, pause_s, stop, failures):
    try:
        while not stop.wait(pause_s):
            writer.write(count)
    except Miss as failure:
        failures.append(failure)


def restart_all(cluster, fast, failures):
    for node in cluster.nodes():
        code = node.stop()
        expect(code == 0, f"{node.name} ended with {code}")
        wanted = fast.size + BYTES_MEANWHILE
        wait_for(f"the load to go on without {node.name}", lambda: failures or fast.size >= wanted)
        expect(not failures, str(failures))
        node.start()
        cluster.wait_ready()


def writers_outlive_restarts(cluster):
    cluster.dogfs("mkdir", "--ec", "3+2,64", "/files")
    idle, slow, fast = (Writer(cluster, f"/files/{name}") for name in ("idle", "slow", "fast"))
    for writer in (idle, slow, fast):
        writer.write(FIRST_BYTES)
    wait_for("the files to be there", lambda: len(cluster.dogfs("ls", "/files").stdout.split()) == 3)
    stop, failures = threading.Event(), []
    threads = [
        threading.Thread(target=keep_writing, args=(slow, SLOW_BYTES, 1.0, stop, failures)),
        threading.Thread(target=keep_writing, args=(fast, FAST_BYTES, 0.05, stop, failures)),
    ]
    for thread in threads:
        thread.start()
    try:
        restart_all(cluster, fast, failures)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    expect(not failures, str(failures))
    for writer in (idle, slow, fast):
        writer.write(FIRST_BYTES)
        code, said = writer.end()
        expect(code == 0, f"the writer of {writer.path}: exit code {code}: {said}")
        # A block that is complete while a server is away may do without it.
        expect(writer is fast or "fewer shards" not in said, f"{writer.path}: {said}")
        read = hashlib.sha256(cluster.dogfs("cat", writer.path).stdout)
        expect(read.digest() == writer.digest.digest(), f"{writer.path} is not what was written")
        print(f"{writer.path}: {writer.size} bytes")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default=os.environ.get("DOGFS_BUILD_DIR", "build/release"))
    arguments = parser.parse_args()
    with Cluster(arguments.build, metas=3, chunks=CHUNKS) as cluster:
        cluster.start()
        writers_outlive_restarts(cluster)
    print("ok")


if __name__ == "__main__":
    try:
        main()
    except Miss as miss:
        sys.exit(f"rolling_restart_test: {miss}")
