#!/usr/bin/env python3
"""Racks are added to a cluster whose blocks would not survive the loss of one: it spreads them by itself. What a balancing
is for is that servers are filled evenly."""

import collections
import json
import os
import random
import sys
import unittest

sys.dont_write_bytecode = True
from cluster import EXIT_USAGE, Cluster, free_ports, wait_for  # noqa: E402

PARITY = 3
BALANCE_S = 120
SPREAD_S = 120


def balance(cluster, *words):
    return json.loads(cluster.dogfs("admin", "balance", *words, "--json").stdout)


class Balance(unittest.TestCase):
    def test_blocks_are_spread_over_racks_that_came_later(self):
        with Cluster(os.environ["DOGFS_BUILD_DIR"], chunks=9) as cluster:
            for number, node in enumerate(cluster.chunks):
                node.argv += ["--rack", "/a" if number < 5 else "/b"]
            cluster.start()
            self.contents = {}
            for i in range(6):
                self.contents[f"/{i}"] = random.Random(i).randbytes(7_000_000 + 100_000 * i)
                cluster.dogfs("put", "-", f"/{i}", stdin=self.contents[f"/{i}"])
            self.assertEqual(self.most_in_one_rack(cluster), 5)
            # Every server has a shard of each block: there is nowhere to go.
            self.assertGreater(int(balance(cluster, "start")["threshold_percent"]), 0)
            ended = self.wait_balanced(cluster)
            self.assertEqual(int(ended["moves"]), 0)
            self.assertGreater(int(ended["stuck_blocks"]), 0)
            self.assertEqual(ended["stuck_blocks"], ended["crowded_blocks"])
            said = cluster.dogfs("admin", "balance", "status").stdout.decode()
            self.assertIn("have no other rack to go to: add servers in other racks", said)
            # The last of them may still count as written.
            wait_for("all to be told", lambda: self.held(cluster) == [("TOO_FEW_RACKS", ended["stuck_blocks"])], 2 * SPREAD_S)
            self.assertIn(b"no other rack has a server that could take them: add racks", cluster.dogfs("status").stdout)

            for number, port in enumerate(free_ports(3)):
                self.add_server(cluster, f"chunk-{10 + number}", f"127.0.0.1:{port}")
            cluster.wait_ready()
            wait_for("the blocks to be spread", lambda: self.most_in_one_rack(cluster) <= PARITY, SPREAD_S)
            wait_for("the last to be moved", lambda: self.spread_out(cluster), SPREAD_S)
            self.assertGreaterEqual(int(self.racks(cluster)["moves"]), int(ended["stuck_blocks"]))
            balance(cluster, "start", "--threshold", "5")
            ended = self.wait_balanced(cluster)
            self.assertEqual(int(ended["crowded_blocks"]), 0)
            self.assertLessEqual(self.most_in_one_rack(cluster), PARITY)
            self.assertIn(b" 0 degraded, 0 at risk, 0 lost", cluster.dogfs("fsck").stdout)
            for path, content in self.contents.items():
                self.assertEqual(cluster.dogfs("cat", path).stdout, content, path)

            self.assertEqual(int(balance(cluster, "stop")["threshold_percent"]), 0)
            cluster.dogfs("admin", "balance", "start", "--threshold", "0", code=EXIT_USAGE)

    def add_server(self, cluster, name, address):
        words = ["chunk", "--meta", cluster.meta_list, "--listen", address, "--rack", "/c"]
        cluster.chunks.append(cluster._node(name, address, words))
        cluster.chunks[-1].start()

    def wait_balanced(self, cluster):
        def done():
            status = balance(cluster, "status")
            return status if status["balanced"] and int(status["threshold_percent"]) == 0 else None

        return wait_for("the balancing to end", done, BALANCE_S)

    def racks(self, cluster):
        return cluster.status()["rack_repair"]

    def held(self, cluster):
        return [(each["reason"], each["shards"]) for each in self.racks(cluster)["hindrances"]]

    def spread_out(self, cluster):
        racks = self.racks(cluster)
        return not racks["passing"] and not racks["hindrances"] and int(racks["moving"]) + int(racks["waiting"]) == 0

    def most_in_one_rack(self, cluster):
        racks = {server["server"]: server["rack"] for server in cluster.status()["servers"]}
        most = 0
        for path in self.contents:
            for block in cluster.json("stat", path)[1]["blocks"]:
                most = max(most, *collections.Counter(racks[shard["server"]] for shard in block["shards"]).values())
        return most


if __name__ == "__main__":
    unittest.main()
