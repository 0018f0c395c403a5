#!/usr/bin/env python3
"""A disk whose file system becomes read-only, as kernels make it after an error, in a cluster that cannot do without
what is on it: it is read by clients, and by who rebuilds what else is lost.

Takes mounts that nobody else sees. Where even those are not allowed, the test is skipped, and `./dev test` says so at
its end; `--mounts` tells by the exit code whether they are."""

import os
import random
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
from cluster import Cluster, wait_for  # noqa: E402

FILES = 12
PATIENCE_S = 180
HAS_OWN_MOUNTS = "DOGFS_OWN_MOUNTS"


def run(*words):
    try:
        return subprocess.run(words, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def words_for_own_mounts():
    """What runs a command with mounts of its own: as root, or as root for nobody else. None if nothing does."""
    with tempfile.TemporaryDirectory() as directory:
        for words in (["unshare", "--mount"], ["unshare", "--map-root-user", "--mount"]):
            if run(*words, "mount", "--bind", directory, directory):
                return words
    return None


@unittest.skipUnless(HAS_OWN_MOUNTS in os.environ, "nothing may be mounted here")
class ReadOnly(unittest.TestCase):
    def test_a_disk_that_becomes_read_only_is_read(self):
        with Cluster(os.environ["DOGFS_BUILD_DIR"], metas=1, chunks=6) as cluster:
            self.cluster = cluster
            self.node = cluster.chunks[0]
            self.shards = cluster.directory / self.node.name / "shards"
            self.spare = cluster.chunks.pop()
            try:
                self.run_test(cluster.chunks[1:])
            finally:
                cluster.kill_all()
                run("umount", self.shards)

    def run_test(self, others):
        self.cluster.start()
        self.cluster.dogfs("mkdir", "--ec", "3+2,64", "/files")
        self.contents = {f"/files/{i}": random.Random(i).randbytes(600_000) for i in range(FILES)}
        for path, content in self.contents.items():
            self.cluster.dogfs("put", "-", path, stdin=content)
        self.become_read_only()
        # Of the five shards of each block three are left, and one of them is on the disk.
        for node in others[:2]:
            node.kill()
        self.read_all()
        # For another server either a lost shard is rebuilt, which takes all three, or that of the disk is copied. Then
        # the disk may go.
        self.cluster.chunks.append(self.spare)
        self.spare.start()
        wait_for("a shard of each block there", lambda: self.shards_on(self.spare) == FILES, PATIENCE_S, 0.5)
        self.node.kill()
        self.read_all()

    def become_read_only(self):
        self.assertEqual(self.node.stop(), 0)
        self.assertTrue(run("mount", "--bind", self.shards, self.shards))
        self.node.start()
        self.cluster.wait_ready()
        self.assertTrue(run("mount", "-o", "remount,bind,ro", self.shards))
        wait_for("its server to find it so", lambda: self.disk(self.node)["state"] == "READ_ONLY", PATIENCE_S, 0.2)
        self.assertEqual(self.shards_on(self.node), FILES)

    def disk(self, node):
        """What the cluster says of the server's only disk, or None while it has not heard of it."""
        servers = self.cluster.json("status")[0]["servers"]
        disks = next((server["disks"] for server in servers if server["address"] == node.address), [])
        return disks[0] if disks else None

    def shards_on(self, node):
        disk = self.disk(node)
        return int(disk["shards"]) if disk else 0

    def read_all(self):
        for path, content in self.contents.items():
            self.assertEqual(self.cluster.dogfs("cat", path).stdout, content, path)


if __name__ == "__main__":
    words = words_for_own_mounts() if HAS_OWN_MOUNTS not in os.environ else None
    if "--mounts" in sys.argv:
        sys.exit(0 if words else 1)
    if words:
        os.environ[HAS_OWN_MOUNTS] = "yes"
        os.execvp(words[0], [*words, sys.executable, *sys.argv])
    unittest.main()
