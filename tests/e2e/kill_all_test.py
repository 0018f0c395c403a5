#!/usr/bin/env python3
"""Every process of a cluster is killed at once, during writes, again and again: what was acknowledged reads back."""

import hashlib
import os
import random
import sys
import threading
import time
import unittest

sys.dont_write_bytecode = True
from cluster import Cluster  # noqa: E402

ROUNDS = 10
WRITERS = 4
SEED = int(os.environ.get("DOGFS_SEED", "1"))


def content(name):
    """The bytes of a file follow from its name: from nothing to a few blocks."""
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
    size = random.Random(seed).choice([0, 1, 4096, 100_000, 262_144, 1_572_864, 3_000_000, 20_000_000])
    return random.Random(seed).randbytes(size)


class Writer(threading.Thread):
    """Puts one file after the other, until it is told to stop, and remembers which were acknowledged."""

    def __init__(self, cluster, prefix):
        super().__init__()
        self.cluster = cluster
        self.prefix = prefix
        self.stopped = False
        self.acknowledged = []

    def run(self):
        number = 0
        while not self.stopped:
            name = f"{self.prefix}-{number}"
            number += 1
            done = self.cluster.dogfs("put", "-", f"/files/{name}", code=None, stdin=content(name))
            if done.returncode == 0:
                self.acknowledged.append(name)


class KillAll(unittest.TestCase):
    def test_during_writes_loses_nothing_acknowledged(self):
        rng = random.Random(SEED)
        print(f"DOGFS_SEED={SEED}")
        with Cluster(os.environ["DOGFS_BUILD_DIR"]) as cluster:
            cluster.start()
            cluster.dogfs("mkdir", "/files")
            acknowledged = []
            for round_number in range(ROUNDS):
                new = self.write_until_killed(cluster, f"round{round_number}", rng)
                self.assertTrue(new, "nothing was acknowledged before the kill")
                cluster.start()
                self.check(cluster, new)
                acknowledged += new
                print(f"round {round_number}: {len(new)} files were acknowledged, and all are there", flush=True)
            self.check(cluster, acknowledged)

    @staticmethod
    def write_until_killed(cluster, prefix, rng):
        """Kills everything at a drawn moment once enough has been acknowledged; returns the names that were."""
        writers = [Writer(cluster, f"{prefix}-{i}") for i in range(WRITERS)]
        for writer in writers:
            writer.start()
        enough = rng.randint(WRITERS, 4 * WRITERS)
        while sum(len(writer.acknowledged) for writer in writers) < enough:
            time.sleep(rng.uniform(0, 0.05))
        cluster.kill_all()
        for writer in writers:
            writer.stopped = True
        for writer in writers:
            writer.join()
        return [name for writer in writers for name in writer.acknowledged]

    def check(self, cluster, names):
        for name in names:
            done = cluster.dogfs("cat", f"/files/{name}")
            self.assertTrue(done.stdout == content(name), f"/files/{name} is not what was acknowledged")


if __name__ == "__main__":
    unittest.main()
