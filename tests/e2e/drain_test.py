#!/usr/bin/env python3
"""Chunk servers are drained, away for maintenance, and removed, as docs/operations.md says, while files are read."""

import os
import random
import subprocess
import sys
import unittest

sys.dont_write_bytecode = True
from cluster import (  # noqa: E402
    EXIT_FAILED, EXIT_REFUSED, EXIT_TRY_AGAIN, EXIT_USAGE, Cluster, die_with_parent, wait_for,
)  # fmt: skip

DEAD_AFTER_S = 4
MOVE_S = 120
HEALTHY = b" 0 degraded, 0 at risk, 0 lost"


def node(cluster, *words, code=0):
    """`dogfs admin node WORDS`: what it says on standard output, or with another exit code on standard error."""
    done = cluster.dogfs("admin", "node", *words, code=code)
    return (done.stdout if code == 0 else done.stderr).decode()


def servers(cluster):
    return {server["address"]: server for server in cluster.json("admin", "node", "list")}


class Drain(unittest.TestCase):
    def test_servers_come_and_go_by_intent(self):
        with Cluster(os.environ["DOGFS_BUILD_DIR"], chunks=10) as cluster:
            for each in cluster.metas:
                each.argv += ["--dead-after", str(DEAD_AFTER_S), "--repair-grace", "1"]
            cluster.start()
            cluster.dogfs("mkdir", "/files")
            self.contents = {}
            for i in range(8):
                self.contents[f"/files/{i}"] = random.Random(i).randbytes(200_000 + 1_200_000 * i)
                cluster.dogfs("put", "-", f"/files/{i}", stdin=self.contents[f"/files/{i}"])
            self.drain_and_remove(cluster)
            self.refuse_what_cannot_be(cluster)
            self.end_a_drain_that_is_stuck(cluster)
            self.end_a_wait_that_nobody_answers(cluster)
            self.be_away(cluster)

    def drain_and_remove(self, cluster):
        victim = cluster.chunks[0]
        self.assertIn("still has shards", node(cluster, "remove", victim.address, code=EXIT_FAILED))
        said = node(cluster, "drain", victim.address, "--wait")
        self.assertIn("are to be moved", said)
        self.assertIn(f"{victim.address}: empty", said)
        self.assertTrue(victim.alive())
        self.assertEqual(servers(cluster)[victim.address]["state"], "DRAINING")
        self.assertIn(HEALTHY, cluster.dogfs("fsck").stdout)
        self.assertIn("removed for good", node(cluster, "remove", victim.address))
        wait_for("the removed server to end", lambda: not victim.alive(), MOVE_S)
        self.assertIn("removed for good", victim.log_path.read_text())
        self.assertEqual(victim.process.wait(), EXIT_REFUSED)
        self.read_all(cluster)

    # Nine are left, and RS(6,3) needs nine.
    def refuse_what_cannot_be(self, cluster):
        refusal = node(cluster, "drain", cluster.chunks[1].address, code=EXIT_FAILED)
        self.assertIn("have no other server to go to", refusal)
        self.assertEqual(servers(cluster)[cluster.chunks[1].address]["state"], "LIVE")
        self.assertIn("no chunk server has this id or address", node(cluster, "drain", "77", code=EXIT_FAILED))
        self.assertIn("SERVER", node(cluster, "drain", code=EXIT_USAGE))
        for period in ("2", "0s", "40d", "soon"):
            node(cluster, "maintenance", cluster.chunks[1].address, "--for", period, code=EXIT_USAGE)

    def write_slowly(self, cluster, path):
        """A put whose input stays open, when it has a block on each of nine servers."""
        cluster.dogfs("mkdir", os.path.dirname(path))
        cluster.dogfs("quota", "set", os.path.dirname(path), "--bytes", "1T")
        writer = subprocess.Popen([cluster.dogfs_program, "put", "-", path], stdin=subprocess.PIPE,
                                  env=cluster.environment(), preexec_fn=die_with_parent)  # fmt: skip
        self.addCleanup(writer.kill)
        writer.stdin.write(self.contents[path])
        writer.stdin.flush()
        wait_for("a block to be charged", lambda: int(cluster.json("quota", "show", os.path.dirname(path))[0]["quotas"][0]["bytes"]) > 0)
        return writer

    # By force it begins all the same. Small blocks have fewer shards, and go; of the others nothing can be moved. What is
    # being written does not hide that.
    def end_a_drain_that_is_stuck(self, cluster):
        victim = cluster.chunks[1]
        self.contents["/open/file"] = random.Random(99).randbytes(4 << 20)
        writer = self.write_slowly(cluster, "/open/file")
        said = node(cluster, "drain", victim.address, "--force", "--wait", code=EXIT_FAILED)
        self.assertIn("it cannot be emptied", said)
        self.assertIn("(1 of files that are being written", said)
        self.assertIn("(1 of files that are being written", node(cluster, "list"))
        self.assertEqual(int(servers(cluster)[victim.address]["open_blocks"]), 1)
        writer.stdin.close()
        self.assertEqual(writer.wait(60), 0)
        wait_for("all that is left to be held up",
                 lambda: servers(cluster)[victim.address]["shards_to_go"] == servers(cluster)[victim.address]["blocks"])
        self.assertIn("every server that takes shards has one of the block already: add servers", said)
        listed = servers(cluster)[victim.address]
        self.assertEqual([each["reason"] for each in listed["hindrances"]], ["TOO_FEW_SERVERS"])
        self.assertEqual(int(listed["blocks"]), int(listed["shards_to_go"]))
        for words in (("status",), ("admin", "report"), ("admin", "node", "list")):
            self.assertIn("add servers", cluster.dogfs(*words).stdout.decode(), words)
        node(cluster, "return", victim.address)
        wait_for("nothing to be held up", lambda: not cluster.status()["hindrances"], MOVE_S)
        self.assertIn(HEALTHY, cluster.dogfs("fsck").stdout)

    def end_a_wait_that_nobody_answers(self, cluster):
        victim = cluster.chunks[1]
        waiting = subprocess.Popen([cluster.dogfs_program, "admin", "node", "drain", victim.address, "--force", "--wait"],
                                   env=cluster.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   preexec_fn=die_with_parent)  # fmt: skip
        self.addCleanup(waiting.kill)
        self.assertIn(b"are to be moved", waiting.stdout.readline())
        for each in cluster.metas:
            each.kill()
        said = waiting.communicate(timeout=150)[1].decode()
        self.assertEqual(waiting.returncode, EXIT_TRY_AGAIN, said)
        self.assertIn("no metadata leader: a majority of metadata nodes cannot be reached", said.splitlines()[0])
        self.assertRegex(said.splitlines()[-1], "unavailable: no metadata leader has answered for .*; the drain itself")
        for each in cluster.metas:
            each.start()
        wait_for("a leader", lambda: servers(cluster)[victim.address]["state"] == "DRAINING", MOVE_S)
        node(cluster, "return", victim.address)
        wait_for("all to be well", lambda: HEALTHY in cluster.dogfs("fsck").stdout, MOVE_S)

    def be_away(self, cluster):
        away, gone = cluster.chunks[1], cluster.chunks[2]
        number = servers(cluster)[away.address]["server"]
        self.assertIn("may be away for", node(cluster, "maintenance", str(number), "--for", "1h"))
        away.kill()
        gone.kill()
        wait_for("the other to be found dead", lambda: servers(cluster)[gone.address]["state"] == "DEAD", MOVE_S)
        self.assertEqual(servers(cluster)[away.address]["state"], "MAINTENANCE")
        self.check_report(cluster, gone)
        self.read_all(cluster)
        wait_for("the loss to show", lambda: b" 0 degraded" not in cluster.dogfs("fsck").stdout, MOVE_S)
        third = node(cluster, "maintenance", cluster.chunks[3].address, "--for", "1h")
        self.assertIn("may be away", third)
        fourth = node(cluster, "maintenance", cluster.chunks[4].address, code=EXIT_FAILED)
        self.assertIn("could not be read without it", fourth)
        self.assertIn("takes shards again", node(cluster, "return", str(number), cluster.chunks[3].address))
        away.start()
        gone.start()
        wait_for("all to be back", lambda: HEALTHY in cluster.dogfs("fsck").stdout, MOVE_S)
        states = [server["state"] for server in servers(cluster).values()]
        self.assertEqual(sorted(states), ["LIVE"] * 9 + ["REMOVED"])
        self.read_all(cluster)

    def check_report(self, cluster, gone):
        report = cluster.json("admin", "report")[0]
        states = {name: int(report[name]) for name in ("live", "dead", "draining", "maintenance", "removed", "silent")}
        self.assertEqual(states, {"live": 7, "dead": 1, "draining": 0, "maintenance": 1, "removed": 1, "silent": 2})
        self.assertEqual(int(report["capacity_bytes"]), int(report["used_bytes"]) + int(report["free_bytes"]))
        self.assertEqual(int(report["status"]["files"]), len(self.contents))
        self.assertEqual(int(report["status"]["open_files"]), 0)
        self.assertEqual(len(report["membership"]["members"]), 3)
        self.assertEqual(report["balance"]["threshold_percent"], 0)
        text = cluster.dogfs("admin", "report").stdout.decode()
        self.assertIn("7 live, 1 dead, 0 draining, 1 in maintenance, 1 removed; 2 silent now", text)
        self.assertRegex(text, rf"{gone.address} +/default +DEAD ")
        print(text, flush=True)

    def read_all(self, cluster):
        for path, content in self.contents.items():
            self.assertEqual(cluster.dogfs("cat", path).stdout, content, path)


if __name__ == "__main__":
    unittest.main()
