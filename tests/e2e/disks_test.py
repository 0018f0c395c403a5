#!/usr/bin/env python3
"""A chunk server of two disks, one of which fails its reads, and one that comes up empty, in a cluster of exactly k + m
servers: what `dogfs status` and `dogfs admin report` say of them, what is moved away, and that nothing is deleted for
it."""

import json
import os
import random
import shutil
import sys
import unittest

sys.dont_write_bytecode = True
from cluster import Cluster, wait_for  # noqa: E402

FILES = 24
MOVE_S = 180


def shard_files(directory):
    return {path.name for path in (directory / "shards").glob("*.shard")}


class Disks(unittest.TestCase):
    def test_disks_that_fail_and_disks_that_are_empty(self):
        with Cluster(os.environ["DOGFS_BUILD_DIR"], chunks=9) as cluster:
            self.cluster = cluster
            self.node = cluster.chunks[0]
            self.disks = [cluster.directory / self.node.name, cluster.directory / "second"]
            self.node.argv += ["--dir", str(self.disks[1])]
            cluster.start()
            cluster.dogfs("mkdir", "/files")
            self.contents = {f"/files/{i}": random.Random(i).randbytes(400_000) for i in range(FILES)}
            for path, content in self.contents.items():
                cluster.dogfs("put", "-", path, stdin=content)
            self.assertTrue(shard_files(self.disks[0]) and shard_files(self.disks[1]))
            self.check_report()
            self.come_up_empty()
            self.fail_reads()

    def disk(self, number):
        """What the cluster says of a disk of the server, or None while it has not heard of it."""
        servers = self.cluster.json("status")[0]["servers"]
        server = next(each for each in servers if each["address"] == self.node.address)
        name = str(self.disks[number])
        return next((disk for disk in server["disks"] if disk["name"] == name), None)

    def wait_for_state(self, number, state):
        def reached():
            disk = self.disk(number)
            return disk and disk["state"] == state

        wait_for(f"disk {number} to be {state}", reached, MOVE_S, 0.2)

    def check_report(self):
        wait_for("both disks to be reported", lambda: self.disk(0) and self.disk(1))
        for number, directory in enumerate(self.disks):
            wait_for("its shards", lambda: int(self.disk(number)["shards"]) == len(shard_files(directory)))
            self.assertEqual(self.disk(number)["state"], "WORKING")
            self.assertEqual(self.disk(number)["alarm"], "")
            self.assertGreaterEqual(int(self.disk(number)["last_scrub_ms"]), 0)
            self.assertGreaterEqual(int(self.disk(number)["all_read_ms"]), int(self.disk(number)["last_scrub_ms"]))
        report = self.cluster.json("admin", "report")[0]
        self.assertEqual(int(report["disk_alarms"]), 0)
        self.assertEqual(sum(len(server["disks"]) for server in report["status"]["servers"]), 10)
        self.assertIn("10 of the servers that were heard of, 0 with an alarm", self.text("admin", "report"))

    def text(self, *words):
        return self.cluster.dogfs(*words).stdout.decode()

    def come_up_empty(self):
        others = shard_files(self.disks[0])
        moved = self.disks[1].rename(self.cluster.directory / "not-mounted")
        self.restart()
        self.wait_for_state(1, "EMPTY")
        self.assertEqual(self.disk(1)["last_scrub_ms"], "-1")
        self.assertRegex(self.text("status"), rf"ALARM: {self.disks[1]}: came up empty")
        self.assertEqual(int(self.cluster.json("admin", "report")[0]["disk_alarms"]), 1)
        self.assertIn("1 with an alarm", self.text("admin", "report"))
        self.read_all()
        self.assertEqual(shard_files(self.disks[0]), others)
        self.assertEqual(shard_files(self.disks[1]), set())
        # It is mounted again.
        shutil.rmtree(self.disks[1])
        moved.rename(self.disks[1])
        self.restart()
        self.wait_for_state(1, "WORKING")
        self.assertNotIn("ALARM", self.text("status"))
        self.assertIn(" 0 degraded, 0 at risk, 0 lost", self.text("fsck", "--verify"))

    def restart(self):
        self.assertEqual(self.node.stop(), 0)
        self.node.start()
        self.cluster.wait_ready()

    def fail_reads(self):
        """Where a shard's file was, there is a directory: opening it fails with something else than that it is gone."""
        self.restart()  # no file is open
        files = shard_files(self.disks[1])
        for name in files:
            (self.disks[1] / "shards" / name).rename(self.cluster.directory / name)
            (self.disks[1] / "shards" / name).mkdir()

        def failing():
            self.read_all()
            return self.disk(1)["state"] == "FAILING"

        wait_for("the disk to take itself out", failing, MOVE_S)
        self.assertIn("reads failed of late", self.text("status"))
        wait_for("its shards to be elsewhere", lambda: not self.listed() & files, MOVE_S, 0.5)
        self.read_all()
        self.assertEqual(self.disk(0)["state"], "WORKING")
        self.assertIn(" 0 degraded, 0 at risk, 0 lost", self.text("fsck", "--verify"))

    def listed(self):
        """The names of the shards that the map has on the server."""
        names = set()
        for line in self.cluster.dogfs("fsck", "--all", "--json").stdout.splitlines():
            block = json.loads(line).get("block", {}).get("block", {})
            for shard in block.get("shards", []):
                if shard["server_address"] == self.node.address:
                    names.add(f"{int(block['block']):016x}-{shard['index']:02x}-{int(shard['generation']):016x}.shard")
        return names

    def read_all(self):
        for path, content in self.contents.items():
            self.assertEqual(self.cluster.dogfs("cat", path).stdout, content, path)


if __name__ == "__main__":
    unittest.main()
