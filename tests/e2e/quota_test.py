#!/usr/bin/env python3
"""Quotas for names and bytes, as docs/operations.md says."""

import os
import random
import sys
import unittest

sys.dont_write_bytecode = True
from cluster import EXIT_FAILED, EXIT_USAGE, Cluster, wait_for  # noqa: E402

MIB = 1 << 20
RECLAIM_S = 30


class Quota(unittest.TestCase):
    def setUp(self):
        self.cluster = Cluster(os.environ["DOGFS_BUILD_DIR"], metas=3, chunks=3)
        self.cluster.__enter__()
        self.addCleanup(self.cluster.__exit__)
        self.cluster.start()
        # Two thirds of what is stored is what was written.
        self.cluster.dogfs("mkdir", "-p", "--ec", "2+1", "/team/raw")

    def put(self, path, size, code=0):
        data = random.Random(path).randbytes(size)
        local = self.cluster.directory / "local"
        local.write_bytes(data)
        return data, self.cluster.dogfs("put", local, path, code=code).stderr.decode()

    def quota(self, path):
        return self.cluster.json("quota", "show", path)[0].get("quotas", [])

    def used(self, path):
        quota = self.quota(path)[-1]
        return int(quota["names"]), int(quota["bytes"])

    def test_bytes_are_those_that_are_stored(self):
        data, _ = self.put("/team/raw/a", 4 * MIB)
        self.cluster.dogfs("quota", "set", "/team", "--bytes", "10M")
        self.assertEqual(self.used("/team"), (3, 6 * MIB))
        _, said = self.put("/team/raw/b", 4 * MIB, code=EXIT_FAILED)
        self.assertIn("quota exceeded", said)
        self.assertIn('"/team" may have 10485760 stored bytes', said)
        self.assertEqual(self.cluster.dogfs("ls", "/team/raw").stdout, b"a\n", "nothing is left of it")
        wait_for("what was written of it to be reclaimed", lambda: self.used("/team") == (3, 6 * MIB), RECLAIM_S)
        self.assertEqual(self.cluster.dogfs("cat", "/team/raw/a").stdout, data, "reads go on")
        self.put("/team/raw/c", 2 * MIB)
        self.assertEqual(self.used("/team/raw/c"), (4, 9 * MIB))

        # Of a pipe nobody knows how much comes: a full block is reserved as soon as more than a stripe has come.
        said = self.cluster.dogfs("put", "-", "/team/raw/e", stdin=bytes(2 * MIB), code=EXIT_FAILED).stderr
        self.assertIn(b"quota exceeded", said)

        # It is room again once it is reclaimed, and not while it is in the trash.
        self.cluster.dogfs("admin", "trash", "on")
        self.cluster.dogfs("rm", "/team/raw/a")
        self.assertIn("quota exceeded", self.put("/team/raw/b", 4 * MIB, code=EXIT_FAILED)[1])
        self.cluster.dogfs("trash", "empty")
        wait_for("the file to be reclaimed", lambda: self.used("/team") == (3, 3 * MIB), RECLAIM_S)
        self.put("/team/raw/b", 4 * MIB)

        # Who leads, and whether everybody was away, makes no difference.
        before = self.quota("/team")
        self.cluster.kill_all()
        self.cluster.start()
        self.assertEqual(self.quota("/team"), before)
        self.cluster.dogfs("quota", "clear", "/team")
        self.assertEqual(self.quota("/team"), [])
        self.put("/team/raw/d", 4 * MIB)

    def test_names_are_the_directory_and_all_below_it(self):
        self.cluster.dogfs("quota", "set", "/team", "--names", "4")
        self.cluster.dogfs("mkdir", "/team/x", "/team/y")
        self.assertEqual(self.used("/team"), (4, 0))
        said = self.cluster.dogfs("mkdir", "/team/z", code=EXIT_FAILED).stderr.decode()
        self.assertIn('"/team" may have 4 names, has 4, and 1 more are wanted', said)
        self.cluster.dogfs("mkdir", "-p", "/other/tree")
        self.assertIn(b"quota exceeded", self.cluster.dogfs("mv", "/other", "/team", code=EXIT_FAILED).stderr)
        self.cluster.dogfs("mv", "/team/y", "/y")
        self.cluster.dogfs("mkdir", "/team/z")
        table = self.cluster.dogfs("quota", "show", "/team/x").stdout.decode().splitlines()
        self.assertEqual(table[1].split(), ["4", "4", "0", "-", "/team"])
        self.assertIn(b"1 directories have one", self.cluster.dogfs("admin", "report").stdout)

    def test_what_makes_no_sense_is_refused(self):
        self.assertIn(b"--names, --bytes or both", self.cluster.dogfs("quota", "set", "/team", code=EXIT_FAILED).stderr)
        self.cluster.dogfs("quota", "set", "/team", "--names", "0", code=EXIT_USAGE)
        self.cluster.dogfs("quota", "set", "/team", "--bytes", "x", code=EXIT_USAGE)
        self.cluster.dogfs("quota", "set", "/none", "--names", "1", code=EXIT_FAILED)
        self.put("/team/f", 10)
        self.assertIn(b"not a directory",
                      self.cluster.dogfs("quota", "set", "/team/f", "--names", "1", code=EXIT_FAILED).stderr)


if __name__ == "__main__":
    unittest.main()
