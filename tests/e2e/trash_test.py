#!/usr/bin/env python3
"""What is deleted is kept, restored, purged and left to expire, as docs/operations.md says."""

import os
import random
import sys
import unittest

sys.dont_write_bytecode = True
from cluster import EXIT_FAILED, EXIT_USAGE, Cluster, wait_for  # noqa: E402

EXPIRY_S = 30


class Trash(unittest.TestCase):
    def setUp(self):
        self.cluster = Cluster(os.environ["DOGFS_BUILD_DIR"], metas=3, chunks=3)
        self.cluster.__enter__()
        self.addCleanup(self.cluster.__exit__)
        self.cluster.start()
        self.cluster.dogfs("mkdir", "--ec", "2+1", "/files")

    def say(self, *words, code=0, **options):
        """What dogfs says on standard output, or with another exit code on standard error."""
        done = self.cluster.dogfs(*words, code=code, **options)
        return (done.stdout if code == 0 else done.stderr).decode()

    def put(self, path, seed):
        content = random.Random(seed).randbytes(700_000)
        self.cluster.dogfs("put", "-", path, stdin=content)
        return content

    def kept(self):
        """The ids of what is in the trash, by path."""
        entries = self.cluster.json("trash", "list")
        lines = self.say("trash", "list").splitlines()
        self.assertEqual(len(lines), 1 + len(entries), "a heading, and a line for each")
        return {line.split()[-1]: line.split()[0] for line in lines[1:]}

    def garbage_is_gone(self):
        status = self.cluster.status()
        return status and int(status["garbage_shards"]) == 0

    def test_a_tree_comes_back_with_every_byte(self):
        self.assertEqual(self.say("admin", "trash", "status"), "trash: off; 0 deleted paths are kept\n")
        self.put("/files/gone", 1)
        self.assertEqual(self.say("rm", "/files/gone"), "")
        self.assertIn("what is deleted stays for 24:00:00", self.say("admin", "trash", "on", "--period", "24h"))
        self.cluster.dogfs("mkdir", "-p", "/files/tree/inner")
        contents = {f"/files/tree/{name}": self.put(f"/files/tree/{name}", name) for name in ("a", "inner/b")}
        self.assertIn("in the trash as ", self.say("rm", "-r", "/files/tree"))
        self.assertIn("no such file", self.say("ls", "/files/tree", code=EXIT_FAILED))
        ids = self.kept()
        self.assertEqual(list(ids), ["/files/tree/"])

        # It outlives the leader, and everybody else.
        self.cluster.leader().kill()
        self.cluster.start()
        self.cluster.kill_all()
        self.cluster.start()
        self.assertEqual(self.kept(), ids)
        self.assertIn("restored to /files/tree", self.say("trash", "restore", ids["/files/tree/"]))
        for path, content in contents.items():
            self.assertEqual(self.cluster.dogfs("cat", path).stdout, content)
        self.assertIn("not in the trash", self.say("trash", "restore", ids["/files/tree/"], code=EXIT_FAILED))

    def test_it_comes_back_elsewhere_or_goes_at_once(self):
        self.cluster.dogfs("admin", "trash", "on")
        content = self.put("/files/a", 2)
        self.put("/files/b", 3)
        self.cluster.dogfs("rm", "/files/a")
        self.assertEqual(self.say("rm", "--skip-trash", "/files/b"), "")
        a = self.kept()["/files/a"]
        self.put("/files/a", 4)
        self.assertIn("file exists", self.say("trash", "restore", a, code=EXIT_FAILED))
        self.assertIn("no such file", self.say("trash", "restore", a, "--to", "/x/y", code=EXIT_FAILED))
        self.assertIn("restored to /x/y", self.say("trash", "restore", a, "--to", "/x/y", "-p"))
        self.assertEqual(self.cluster.dogfs("cat", "/x/y").stdout, content)
        self.cluster.dogfs("rm", "/x/y")
        self.assertIn("restored to /files/y", self.say("trash", "restore", a, "--to", "/files"))
        self.cluster.dogfs("rm", "/files/y", "/files/a")
        self.cluster.dogfs("trash", "empty", self.kept()["/files/a"])
        self.assertEqual(list(self.kept()), ["/files/y"])
        self.cluster.dogfs("trash", "empty")
        self.assertEqual(self.kept(), {})
        wait_for("the shards to be deleted", self.garbage_is_gone, EXPIRY_S)

    def test_it_expires_whoever_leads(self):
        self.cluster.dogfs("admin", "trash", "on", "--period", "5s")
        self.put("/files/a", 5)
        self.cluster.dogfs("rm", "/files/a")
        self.assertEqual(len(self.kept()), 1)
        self.assertIn("1 deleted paths are kept", self.say("admin", "report"))
        self.cluster.leader().kill()
        wait_for("the trash to expire", lambda: self.cluster.json("trash", "list") == [], EXPIRY_S)
        wait_for("the shards to be deleted", self.garbage_is_gone, EXPIRY_S)
        self.cluster.dogfs("admin", "trash", "on", "--period", "5", code=EXIT_USAGE)
        for words in (("restore", "abc"), ("empty", "5x"), ("empty", "0")):
            said = self.cluster.dogfs("trash", *words, code=EXIT_USAGE).stderr.decode()
            self.assertIn(f"ID: {words[1]} is not the number of a trash entry", said)
        self.assertIn("off", self.say("admin", "trash", "off"))


if __name__ == "__main__":
    unittest.main()
