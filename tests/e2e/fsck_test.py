#!/usr/bin/env python3
"""`dogfs fsck --verify` reads every shard: what is damaged is found among the spares too, told from what cannot be
reached, and repaired because it was reported. What is in the trash counts like any other file."""

import json
import os
import random
import sys
import unittest

sys.dont_write_bytecode = True
from cluster import EXIT_FAILED, EXIT_TRY_AGAIN, Cluster, wait_for  # noqa: E402

EXIT_DAMAGED = 74
SIZES = [1, 200_000, 1_500_000, 9_000_000]
HEAL_S = 120


def fsck(cluster, *words, code=0):
    """The lines of `dogfs fsck --json`: the blocks that it lists, and the summary."""
    done = cluster.dogfs("fsck", *words, "--json", code=code)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return [line["block"] for line in lines if "block" in line], lines[-1]["summary"]


def shard_file(cluster, block, shard):
    """Where a server keeps a shard."""
    name = f"{int(block['block']):016x}-{shard['index']:02x}-{int(shard['generation']):016x}.shard"
    found = [path for chunk in cluster.chunks for path in (cluster.directory / chunk.name).rglob(name)]
    assert len(found) == 1, (name, found)
    return found[0]


def flip_a_bit(path, length):
    """Somewhere in the bytes of the shard, behind the header of the file."""
    with open(path, "r+b") as file:
        file.seek(4096 + length // 2)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 1]))


class FsckTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(os.environ["DOGFS_BUILD_DIR"], metas=1, chunks=6)
        cls.addClassCleanup(cls.cluster.__exit__)
        cls.cluster.start()
        cls.cluster.dogfs("mkdir", "--ec", "3+2,64", "/files")
        for i, size in enumerate(SIZES):
            cls.cluster.dogfs("put", "-", f"/files/{i}", stdin=random.Random(i).randbytes(size))

    def blocks(self):
        return [found["block"] for found in fsck(self.cluster, "--all")[0]]

    def clean(self):
        done = self.cluster.dogfs("fsck", "--verify", code=None)
        return done.returncode == 0 and b"0 damaged, 0 missing, 0 unreachable" in done.stdout

    def expect_found_and_healed(self, block, index, text):
        """Plain fsck sees nothing, --verify names the shard, and then it is repaired."""
        self.assertEqual(fsck(self.cluster)[0], [])
        done = self.cluster.dogfs("fsck", "/files", "--verify", code=EXIT_DAMAGED)
        shard = next(shard for shard in block["shards"] if shard["index"] == index)
        expected = f"shard {index:>2}: damaged on server {shard['server']} {shard['server_address']}: {text}"
        self.assertIn(expected, done.stdout.decode())
        self.assertIn("1 damaged, 0 missing, 0 unreachable", done.stdout.decode())
        wait_for("the damage to be repaired", self.clean, timeout_s=HEAL_S)

    def test_what_is_whole_is_read_to_the_last_byte(self):
        blocks, summary = fsck(self.cluster, "--verify", "--all")
        shards = [shard for block in blocks for shard in block["block"]["shards"]]
        self.assertEqual(int(summary["shards_read"]), len(shards))
        self.assertEqual(int(summary["bytes_read"]), sum(int(shard["length"]) for shard in shards))
        self.assertEqual(int(summary["files"]), len(SIZES))
        self.assertTrue(all(block["health"] == "HEALTHY" and not block["findings"] for block in blocks))

    def test_a_flipped_bit_of_a_spare_is_found_and_repaired(self):
        block = self.blocks()[-1]
        spare = block["shards"][-1]
        flip_a_bit(shard_file(self.cluster, block, spare), int(spare["length"]))
        self.expect_found_and_healed(block, spare["index"], "checksum mismatch")

    def test_a_file_that_is_gone_is_found_and_repaired(self):
        # Not of a block that was read a moment ago: its files are kept open.
        self.cluster.dogfs("put", "-", "/files/new", stdin=bytes(400_000))
        self.addCleanup(self.cluster.dogfs, "rm", "/files/new")
        block = fsck(self.cluster, "/files/new", "--all")[0][0]["block"]
        shard = block["shards"][0]
        shard_file(self.cluster, block, shard).unlink()
        self.expect_found_and_healed(block, shard["index"], "corrupt data: the file of the shard is gone")

    def test_what_is_in_the_trash_is_checked_and_named_as_it_was(self):
        self.cluster.dogfs("admin", "trash", "on")
        self.addCleanup(self.cluster.dogfs, "admin", "trash", "off")
        self.addCleanup(self.cluster.dogfs, "trash", "empty")
        self.cluster.dogfs("mkdir", "-p", "/files/tree/inner", "/files/treehouse")
        for path in ("/files/tree/inner/a", "/files/tree/inner/b", "/files/alone", "/files/treehouse/c"):
            self.cluster.dogfs("put", "-", path, stdin=random.Random(path).randbytes(400_000))
        found = fsck(self.cluster, "/files/tree/inner/a", "--all")[0][0]
        self.assertEqual(found["trash"], "0")
        self.cluster.dogfs("rm", "-r", "/files/tree", "/files/alone", "/files/treehouse")
        ids = {entry["inode"] for entry in self.cluster.json("trash", "list")}
        self.assertEqual(len(ids), 3)

        blocks, summary = fsck(self.cluster, "--all")
        self.assertEqual(int(summary["files"]), len(SIZES) + 4)
        self.assertEqual(int(summary["files_in_trash"]), 4)
        self.assertEqual({block["trash"] for block in blocks} - {"0"}, ids)
        # By the path that it had, where there is nothing now.
        blocks, summary = fsck(self.cluster, "/files/tree", "--all")
        self.assertEqual((int(summary["files"]), int(summary["directories"])), (2, 2))
        self.assertEqual(len({block["trash"] for block in blocks}), 1)
        self.cluster.dogfs("fsck", "/files/tre", code=EXIT_FAILED)

        block, shard = found["block"], found["block"]["shards"][1]
        flip_a_bit(shard_file(self.cluster, block, shard), int(shard["length"]))
        said = self.cluster.dogfs("fsck", "--verify", code=EXIT_DAMAGED).stdout.decode()
        tree = blocks[0]["trash"]
        self.assertIn(f"/files/tree/inner/a (in the trash as {tree}): block {block['block']} at 0: degraded", said)
        self.assertIn(f"{len(SIZES) + 4} files (4 of them in the trash) in ", said)
        wait_for("the damage to be repaired", self.clean, timeout_s=HEAL_S)
        self.cluster.dogfs("trash", "restore", tree)
        self.addCleanup(self.cluster.dogfs, "rm", "-r", "--skip-trash", "/files/tree")
        self.assertEqual(int(fsck(self.cluster)[1]["files_in_trash"]), 2)

    def test_a_server_that_is_down_is_unreachable_and_nothing_is_damaged(self):
        victim = self.cluster.chunks[0]
        victim.kill()
        try:
            done = self.cluster.dogfs("fsck", "--verify", code=EXIT_TRY_AGAIN)
            self.assertRegex(done.stdout.decode(), rf"unreachable on server \d+ {victim.address}: ")
            blocks, summary = fsck(self.cluster, "--verify", code=EXIT_TRY_AGAIN)
            self.assertEqual(int(summary["shards_damaged"]) + int(summary["shards_missing"]), 0)
            self.assertEqual(int(summary["shards_unreachable"]), len(blocks))
            self.assertEqual(int(summary["lost"]), 0)
            kinds = {(found["kind"], found["server_address"]) for block in blocks for found in block["findings"]}
            self.assertEqual(kinds, {("UNREACHABLE", victim.address)})
        finally:
            victim.start()
            self.cluster.wait_ready()
        wait_for("all to be read again", self.clean)


if __name__ == "__main__":
    unittest.main()
