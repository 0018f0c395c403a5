#!/usr/bin/env python3
"""A chunk server is killed for good: the cluster notices, rebuilds what it held, and is whole again without anybody."""

import os
import random
import shutil
import sys
import unittest

sys.dont_write_bytecode = True
from cluster import Cluster, wait_for  # noqa: E402

FILES = 8
DEAD_AFTER_S = 4
HEAL_S = 120


def short_blocks(status):
    """Blocks that lack shards, or None while nobody can say."""
    if not status:
        return None
    return sum(map(int, status["blocks_with_spares"])) + int(status["blocks_lost"])


class Heal(unittest.TestCase):
    def test_a_server_that_is_gone_for_good_is_made_up_for(self):
        with Cluster(os.environ["DOGFS_BUILD_DIR"], chunks=11) as cluster:
            for node in cluster.metas:
                node.argv += ["--dead-after", str(DEAD_AFTER_S), "--repair-grace", "1"]
            cluster.start()
            cluster.dogfs("mkdir", "/files")
            contents = {}
            for i in range(FILES):
                contents[f"/files/{i}"] = random.Random(i).randbytes(300_000 + 700_000 * i)
                cluster.dogfs("put", "-", f"/files/{i}", stdin=contents[f"/files/{i}"])
            self.assertIn(b" 0 degraded, 0 at risk, 0 lost", cluster.dogfs("fsck").stdout)

            for victim in random.Random(1).sample(cluster.chunks, 2):
                victim.kill()
                shutil.rmtree(cluster.directory / victim.name)
                wait_for("the loss to be noticed", lambda: short_blocks(cluster.status()), timeout_s=HEAL_S)
                print(cluster.dogfs("status").stdout.decode(), flush=True)
                wait_for("full redundancy", lambda: short_blocks(cluster.status()) == 0, timeout_s=HEAL_S)
                self.check_all_healthy(cluster)
            for path, content in contents.items():
                self.assertEqual(cluster.dogfs("cat", path).stdout, content, path)

    def check_all_healthy(self, cluster):
        report = cluster.dogfs("fsck", "/files").stdout
        self.assertIn(b" 0 degraded, 0 at risk, 0 lost", report)
        self.assertIn(f"{FILES} files".encode(), report)


if __name__ == "__main__":
    unittest.main()
