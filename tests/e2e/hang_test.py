#!/usr/bin/env python3
"""Chunk servers that hang: what has gone around them is over, and so is its command. Nobody waits for what was asked of
them, and what a writer has to tell the metadata is told."""

import os
import random
import signal
import subprocess
import sys
import time
import unittest

sys.dont_write_bytecode = True
from cluster import Cluster, die_with_parent, expect, wait_for  # noqa: E402

# A request to a chunk server ends after so long by itself. One that was overtaken within half of it keeps a command
# that waits for it for longer than the bound; where machines are so slow that it takes more, this test sees less.
REQUEST_TIMEOUT_S = 10
END_S = REQUEST_TIMEOUT_S / 2


class Hang(unittest.TestCase):
    def test_commands_end_while_servers_hang(self):
        with Cluster(os.environ["DOGFS_BUILD_DIR"], metas=1, chunks=5) as cluster:
            self.cluster = cluster
            cluster.start()
            cluster.dogfs("mkdir", "--ec", "3+2,64", "/files")
            self.content = random.Random(1).randbytes(30_000_000)
            cluster.dogfs("put", "-", "/files/a", stdin=self.content)
            self.cat_ends_soon()
            self.hang(cluster.chunks[0])
            # Before its silence is noticed, so that it is asked to take a shard.
            self.interrupted_put_ends_soon()
            self.cat_ends_soon()
            self.hang(cluster.chunks[1])
            self.cat_ends_soon()
            cluster.chunks[1].process.send_signal(signal.SIGCONT)
            cluster.wait_ready(servers=4)
            self.put_is_complete()

    @staticmethod
    def hang(node):
        node.process.send_signal(signal.SIGSTOP)

    def start_cat(self):
        words = [self.cluster.dogfs_program, "cat", "/files/a"]
        return subprocess.Popen(words, env=self.cluster.environment(), stdout=subprocess.PIPE,
                                preexec_fn=die_with_parent)  # fmt: skip

    def cat_ends_soon(self):
        with self.start_cat() as cat:
            got = bytearray()
            while len(got) < len(self.content):
                part = os.read(cat.stdout.fileno(), 1 << 20)
                expect(part, f"cat ended after {len(got)} bytes")
                got += part
            self.ends_soon(cat)
            self.assertEqual(cat.returncode, 0)
        self.assertEqual(got, self.content)

    def interrupted_put_ends_soon(self):
        words = [self.cluster.dogfs_program, "put", "-", "/files/b"]
        with subprocess.Popen(words, env=self.cluster.environment(), stdin=subprocess.PIPE,
                              preexec_fn=die_with_parent) as put:  # fmt: skip
            put.stdin.write(self.content)
            put.stdin.flush()
            wait_for("the file to be begun", lambda: self.listed("/files/b"))
            put.send_signal(signal.SIGINT)
            self.ends_soon(put)
            self.assertEqual(put.returncode, 130)
        self.assertFalse(self.listed("/files/b"))

    def listed(self, path):
        return self.cluster.dogfs("stat", path, code=None).returncode == 0

    def ends_soon(self, command):
        began = time.monotonic()
        command.wait(60)
        self.assertLess(time.monotonic() - began, END_S)

    def put_is_complete(self):
        """The shard for the server that hangs may stay away, and nothing else."""
        content = self.content[:3_000_000]
        self.cluster.dogfs("put", "-", "/files/b", stdin=content)
        self.assertEqual(self.cluster.dogfs("cat", "/files/b").stdout, content)
        # Its lease has ended: another may write on.
        self.cluster.dogfs("append", "-", "/files/b", stdin=content)
        self.assertEqual(self.cluster.dogfs("cat", "/files/b").stdout, content + content)


if __name__ == "__main__":
    unittest.main()
