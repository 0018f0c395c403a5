#!/usr/bin/env python3
"""A metadata node that was away for longer than the others keep the log is sent their state while commands go on, and can
then be relied on."""

import os
import subprocess
import sys
import time
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
from cluster import Cluster, expect, wait_for  # noqa: E402
from history_tool import HistoryTool  # noqa: E402

LOG_ENTRIES = 50
# Enough that some of them are always at work.
CLIENTS = 32
# A state of several parts (kSnapshotChunkBytes), so that commands fall between them.
FILES_IN_FLIGHT = 256


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
        self.load = HistoryTool(build, self.cluster)
        self.addCleanup(self.load.end)

    def make_entries(self, path, in_flight=16):
        """Creates, closes and looks at some thousands of files."""
        load = ["metadata", "--meta", self.cluster.meta_list, "--path", path, "--in-flight", in_flight, "--seconds", 1]
        subprocess.run([self.bench, *map(str, load)], check=True, stdout=subprocess.DEVNULL)

    def start_load(self):
        """Clients that change and read a small tree, /load, until they are stopped. Returns once they are at work."""
        before = self.commit_index()
        self.load.start_load(CLIENTS)
        wait_for("the load", lambda: self.commit_index() > before + LOG_ENTRIES)

    def commit_index(self):
        return int(self.membership()["commit_index"])

    def membership(self):
        return self.cluster.json("admin", "meta", "status")[0]

    def tree(self, path):
        return self.cluster.dogfs("ls", "-l", "-R", path).stdout

    def test_a_node_that_lacks_the_log_is_sent_the_state_while_commands_go_on(self):
        cluster = self.cluster
        leader = cluster.leader()
        away, other = [node for node in cluster.metas if node is not leader]
        away.kill()
        self.make_entries("/before", FILES_IN_FLIGHT)
        self.start_load()
        away.start()
        begun, under_way = self.watch_snapshot(away)
        self.load.stop_load()
        amid = sum(begun < asked and answered < under_way for asked, answered in self.load.changes())
        print(f"{amid} changes in the {(under_way - begun) // 1_000_000} ms of the snapshot", file=sys.stderr)
        expect(amid > 0, "no command was answered while the snapshot was sent")

        self.make_entries("/more")
        written = {path: self.tree(path) for path in ("/before", "/load", "/more")}
        count = len(written["/before"].splitlines())
        expect(count > 10 * LOG_ENTRIES, f"only {count} files were made")
        self.make_leader(away)
        self.expect_trees(written)
        other.kill()
        self.expect_trees(written)
        leader.kill()
        other.start()
        wait_for("a leader", cluster.status)
        self.expect_trees(written)
        expect(cluster.dogfs("cat", "/files/first").stdout == b"first", "the file is another than before")

    def watch_snapshot(self, node):
        """Waits for the node's first snapshot. Returns two moments between its beginning and its installation, as far
        apart as could be seen, in ns of the monotonic clock."""
        wait_for("the snapshot to begin", self.snapshots_begun, interval_s=0.001)
        begun = under_way = time.monotonic_ns()

        def is_installed():
            nonlocal under_way
            now = time.monotonic_ns()
            if self.snapshots_installed(node):
                return True
            under_way = now
            return False

        wait_for("the snapshot", is_installed, interval_s=0.001)
        return begun, under_way

    def make_leader(self, node):
        """Once it has everything; then what it has is what the group answers."""
        identity = str(1 + self.cluster.metas.index(node))

        def has_everything():
            status = self.membership()
            member = next(member for member in status["members"] if member["node"] == identity)
            return status["from_leader"] and int(member["match_index"]) >= int(status["last_index"])

        def leads():
            self.cluster.dogfs("admin", "meta", "transfer", identity, code=None)
            return self.cluster.leader() is node

        wait_for("the node to have everything", has_everything)
        wait_for("the node to lead", leads)

    def expect_trees(self, written):
        for path, tree in written.items():
            expect(self.tree(path) == tree, f"{path} is another than before")

    def test_kill_9_in_the_middle_loses_nothing(self):
        cluster = self.cluster
        away = next(node for node in cluster.metas if node is not cluster.leader())
        away.kill()
        self.start_load()
        for i in range(5):
            # It may have got all of the last one before it was killed.
            self.make_entries(f"/files-{i}")
            before = self.snapshots_begun()
            away.start()
            wait_for("the snapshot to begin", lambda: self.snapshots_begun() > before)
            away.kill()
        self.make_entries("/files-last")
        installed = self.snapshots_installed(away)
        away.start()
        wait_for("the snapshot", lambda: self.snapshots_installed(away) > installed)
        self.load.stop_load()
        written = {path: self.tree(path) for path in ("/load", "/files-0", "/files-last")}
        self.make_leader(away)
        self.expect_trees(written)
        next(node for node in cluster.metas if node is not away).kill()
        self.expect_trees(written)

    @staticmethod
    def snapshots_installed(node):
        return node.log_path.read_text().count("has installed the snapshot")

    def snapshots_begun(self):
        return sum(node.log_path.read_text().count("a snapshot at") for node in self.cluster.metas)


if __name__ == "__main__":
    unittest.main()
