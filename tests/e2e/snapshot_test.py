#!/usr/bin/env python3
"""A metadata node that was away for longer than the others keep the log is sent their state, and can then be relied on."""

import os
import subprocess
import sys
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
from cluster import Cluster, expect, wait_for  # noqa: E402

LOG_ENTRIES = 50


class Snapshot(unittest.TestCase):
    def setUp(self):
        build = Path(os.environ["DOGFS_BUILD_DIR"])
        self.bench = build / "tests" / "bench" / "bench_client"
        self.cluster = Cluster(build, metas=3, chunks=3)
        self.cluster.__enter__()
        self.addCleanup(self.cluster.__exit__)
        for node in self.cluster.metas:
            node.argv += ["--log-entries", str(LOG_ENTRIES)]
        self.cluster.start()
        self.cluster.dogfs("mkdir", "--ec", "2+1", "/files")
        self.cluster.dogfs("put", "-", "/files/first", stdin=b"first")

    def make_entries(self, path):
        """Creates, closes and looks at some thousands of files."""
        load = ["metadata", "--meta", self.cluster.meta_list, "--path", path, "--in-flight", "16", "--seconds", "1"]
        subprocess.run([self.bench, *load], check=True, stdout=subprocess.DEVNULL)

    def names(self, path):
        return self.cluster.dogfs("ls", path).stdout.split()

    def test_a_node_that_lacks_the_log_is_sent_the_state(self):
        cluster = self.cluster
        leader = cluster.leader()
        away, other = [node for node in cluster.metas if node is not leader]
        away.kill()
        self.make_entries("/load")
        written = self.names("/load")
        expect(len(written) > 10 * LOG_ENTRIES, f"only {len(written)} files were made")
        away.start()
        wait_for("the snapshot", lambda: "has installed the snapshot" in away.log_path.read_text())

        # Commands go on; then the node that was away is needed for the majority, and must have everything.
        self.make_entries("/more")
        more = self.names("/more")
        other.kill()
        expect(self.names("/load") == written, "the state is another than before")
        expect(self.names("/more") == more, "the state is another than before")
        leader.kill()
        other.start()
        wait_for("a leader", cluster.status)
        expect(self.names("/load") == written, "the state is another than before")
        expect(cluster.dogfs("cat", "/files/first").stdout == b"first", "the file is another than before")

    def test_kill_9_in_the_middle_loses_nothing(self):
        cluster = self.cluster
        away = next(node for node in cluster.metas if node is not cluster.leader())
        away.kill()
        for i in range(5):
            # It may have got all of the last one before it was killed.
            self.make_entries(f"/load/{i}")
            before = self.snapshots_begun()
            away.start()
            wait_for("the snapshot to begin", lambda: self.snapshots_begun() > before)
            away.kill()
        self.make_entries("/load/last")
        installed = self.snapshots_installed(away)
        away.start()
        wait_for("the snapshot", lambda: self.snapshots_installed(away) > installed)
        written = {path: self.names(path) for path in ("/load/0", "/load/last")}
        next(node for node in cluster.metas if node not in (away, cluster.leader())).kill()
        for path, names in written.items():
            expect(self.names(path) == names, f"{path} is another than before")

    @staticmethod
    def snapshots_installed(node):
        return node.log_path.read_text().count("has installed the snapshot")

    def snapshots_begun(self):
        return sum(node.log_path.read_text().count("a snapshot at") for node in self.cluster.metas)


if __name__ == "__main__":
    unittest.main()
