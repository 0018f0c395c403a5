#!/usr/bin/env python3
"""What a shell user sees of dogfs: output, messages and exit codes, against a real cluster."""

import os
import signal
import stat
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
import trees  # noqa: E402
from cluster import EXIT_FAILED, EXIT_TRY_AGAIN, EXIT_USAGE, Cluster, Miss, die_with_parent, wait_for  # noqa: E402

BUILD = os.environ["DOGFS_BUILD_DIR"]


class CliTest(unittest.TestCase):
    """All tests share one cluster; each has its own directory in it, and a local one."""

    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(BUILD, metas=1)
        cls.addClassCleanup(cls.cluster.__exit__)
        cls.cluster.start()

    def setUp(self):
        self.home = "/" + self.id().split(".")[-1]
        self.cluster.dogfs("mkdir", self.home)
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.local = Path(directory.name)

    def path(self, name):
        return f"{self.home}/{name}"

    def dogfs(self, *words, **options):
        return self.cluster.dogfs(*words, **options)

    def refuse(self, *words, text, code=EXIT_FAILED, **options):
        """Expects a failure with one message that begins as it should."""
        done = self.dogfs(*words, code=code, **options)
        self.assertEqual(done.stdout, b"")
        self.assertEqual(done.stderr.decode(), f"dogfs: {text}\n")

    def put_bytes(self, name, data):
        self.dogfs("put", "-", self.path(name), stdin=data)

    # --- put, get, cat

    def test_a_file_goes_in_and_out_again(self):
        data = os.urandom(3_000_001)
        (self.local / "file").write_bytes(data)
        self.dogfs("put", self.local / "file", self.path("copy"))
        self.dogfs("get", self.path("copy"), self.local / "back")
        self.assertEqual((self.local / "back").read_bytes(), data)
        self.assertEqual(self.dogfs("cat", self.path("copy")).stdout, data)
        self.assertEqual(self.dogfs("get", self.path("copy"), "-").stdout, data)

    def test_put_into_a_directory_keeps_the_name_as_cp_does(self):
        (self.local / "file").write_bytes(b"dog")
        self.dogfs("put", self.local / "file", self.home)
        self.assertEqual(self.dogfs("cat", self.path("file")).stdout, b"dog")

    def test_put_replaces_a_file_whole(self):
        self.put_bytes("file", b"old and long")
        self.put_bytes("file", b"new")
        self.assertEqual(self.dogfs("cat", self.path("file")).stdout, b"new")
        self.assertEqual(self.dogfs("ls", self.home).stdout, b"file\n")

    def test_put_with_no_clobber_leaves_a_file(self):
        self.put_bytes("file", b"old")
        done = self.dogfs("put", "-n", "-", self.path("file"), stdin=b"new")
        self.assertIn(b"left 1 files as they were", done.stderr)
        self.assertEqual(self.dogfs("cat", self.path("file")).stdout, b"old")

    def test_modes_are_kept(self):
        (self.local / "script").write_bytes(b"#!/bin/sh\n")
        (self.local / "script").chmod(0o755)
        self.dogfs("put", self.local / "script", self.path("script"))
        self.dogfs("get", self.path("script"), self.local / "back")
        self.assertEqual(stat.S_IMODE((self.local / "back").stat().st_mode) & 0o700, 0o700)
        self.assertTrue(self.dogfs("ls", "-l", self.home).stdout.startswith(b"-rwxr-xr-x "))

    def test_trees_keep_every_name_and_byte(self):
        trees.add_odd_names(self.local / "tree" / "odd")
        trees.add_small_files(self.local / "tree" / "small", ["/usr/include"], 100)
        (self.local / "tree" / "empty").mkdir()
        (self.local / "tree" / "several-blocks").write_bytes(os.urandom(70 << 20))
        self.dogfs("put", "-r", self.local / "tree", self.home)
        self.dogfs("get", "-r", self.path("tree"), self.local / "back")
        expected = trees.manifest(self.local / "tree")
        self.assertEqual(trees.differences(expected, trees.manifest(self.local / "back")), [])
        summary = self.cluster.summary(self.path("tree"))
        self.assertEqual(int(summary["files"]), sum(digest is not None for digest in expected.values()))
        # A second time, over what is there.
        self.dogfs("put", "-r", f"{self.local}/tree/.", self.path("tree"))
        self.assertEqual(self.cluster.summary(self.path("tree"))["files"], summary["files"])

    def test_put_skips_links_and_says_so(self):
        tree = self.local / "tree"
        tree.mkdir()
        (tree / "file").write_bytes(b"dog")
        (tree / "link").symlink_to("file")
        os.mkfifo(tree / "pipe")
        done = self.dogfs("put", "-r", tree, self.path("copy"))
        self.assertIn(b"link: skipped: symbolic link", done.stderr)
        self.assertIn(b"skipped 1 symbolic links and 1 special files", done.stderr)
        self.assertEqual(self.dogfs("ls", self.path("copy")).stdout, b"file\n")

    def test_a_failed_put_leaves_nothing_and_the_others_go_on(self):
        for name in ("a", "c"):
            (self.local / name).write_bytes(b"dog")
        missing = self.local / "b"
        self.refuse("put", self.local / "a", missing, self.local / "c", self.home,
                    text=f"{missing}: no such file or directory")  # fmt: skip
        self.assertEqual(self.dogfs("ls", self.home).stdout, b"a\nc\n")

    def test_put_and_get_of_directories_want_r(self):
        self.refuse("put", self.local, self.home, text=f"{self.local}: is a directory: use put -r")
        self.refuse("get", self.home, self.local, text=f"{self.home}: is a directory: use get -r")

    def test_put_below_a_missing_directory_or_a_file_is_refused(self):
        (self.local / "file").write_bytes(b"dog")
        self.put_bytes("file", b"dog")
        done = self.dogfs("put", self.local / "file", self.path("none/file"), code=EXIT_FAILED)
        self.assertIn(b"no such file or directory", done.stderr)
        done = self.dogfs("put", self.local / "file", self.path("file/file"), code=EXIT_FAILED)
        self.assertIn(b"not a directory", done.stderr)

    def test_get_does_not_touch_the_local_file_when_it_fails(self):
        (self.local / "file").write_bytes(b"mine")
        self.refuse("get", self.path("none"), self.local / "file",
                    text=f"{self.path('none')}: no such file or directory")  # fmt: skip
        self.assertEqual((self.local / "file").read_bytes(), b"mine")

    def test_ctrl_c_during_a_put_leaves_nothing(self):
        put = subprocess.Popen([self.cluster.dogfs_program, "put", "-", self.path("file")], stdin=subprocess.PIPE,
                               env=self.cluster.environment())  # fmt: skip
        put.stdin.write(os.urandom(1 << 20))
        put.stdin.flush()
        wait_for("the file to be begun", lambda: self.dogfs("ls", self.home).stdout)
        put.send_signal(signal.SIGINT)
        self.assertEqual(put.wait(30), 130)
        put.stdin.close()
        self.assertEqual(self.dogfs("ls", self.home).stdout, b"")

    def test_a_put_that_fails_leaves_what_another_has_put_in_its_place(self):
        put = subprocess.Popen([self.cluster.dogfs_program, "put", "-", self.path("file")], stdin=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, env=self.cluster.environment())  # fmt: skip
        put.stdin.write(b"one")
        put.stdin.flush()
        wait_for("the file to be begun", lambda: self.dogfs("ls", self.home).stdout)
        self.put_bytes("other", b"two")
        self.dogfs("mv", self.path("other"), self.path("file"))
        put.stdin.close()
        self.assertEqual(put.wait(30), EXIT_FAILED)
        self.assertEqual(self.dogfs("cat", self.path("file")).stdout, b"two")

    # --- names

    # --- append, truncate

    def test_append_adds_behind_the_end_and_makes_what_is_missing(self):
        parts = [os.urandom(n) for n in (1_000_001, 3, 700_000)]
        (self.local / "first").write_bytes(parts[0])
        (self.local / "last").write_bytes(parts[2])
        self.dogfs("append", self.local / "first", self.path("log"))
        self.dogfs("append", "-", self.path("log"), stdin=parts[1])
        self.dogfs("append", self.local / "last", self.path("log"))
        self.assertEqual(self.dogfs("cat", self.path("log")).stdout, b"".join(parts))
        self.assertIn("1700004", self.dogfs("stat", self.path("log")).stdout.decode().replace(",", ""))

    def test_append_takes_several_sources_in_their_order(self):
        for name in ("a", "b"):
            (self.local / name).write_text(name * 10)
        self.dogfs("append", self.local / "a", self.local / "b", self.path("both"))
        self.assertEqual(self.dogfs("cat", self.path("both")).stdout, b"a" * 10 + b"b" * 10)

    def test_append_keeps_what_came_before_a_source_that_is_missing(self):
        (self.local / "a").write_text("a")
        missing = self.local / "none"
        self.refuse("append", self.local / "a", missing, self.path("f"), text=f"{missing}: no such file or directory")
        self.assertEqual(self.dogfs("cat", self.path("f")).stdout, b"a")

    def test_append_that_fails_takes_back_the_file_that_it_made(self):
        self.dogfs("quota", "set", self.home, "--bytes", "1000000")
        self.put_bytes("old", b"")
        for name, size in (("new", 1 << 20), ("new", 4 << 20), ("old", 1 << 20)):
            done = self.dogfs("append", "-", self.path(name), stdin=bytes(size), code=EXIT_FAILED)
            self.assertIn("quota exceeded", done.stderr.decode())
        missing = self.local / "none"
        self.refuse("append", missing, self.path("new"), text=f"{missing}: no such file or directory")
        self.assertEqual(self.dogfs("ls", self.home).stdout, b"old\n")

    def test_append_to_a_directory_is_refused(self):
        self.refuse("append", "-", self.home, text=f"{self.home}: is a directory", stdin=b"x")

    def test_truncate_cuts_and_append_goes_on_from_there(self):
        data = os.urandom(5_000_000)
        self.put_bytes("f", data)
        for length in (4_000_001, 4096, 1):
            self.dogfs("truncate", "-s", str(length), self.path("f"))
            self.assertEqual(self.dogfs("cat", self.path("f")).stdout, data[:length])
        self.dogfs("append", "-", self.path("f"), stdin=data)
        self.assertEqual(self.dogfs("cat", self.path("f")).stdout, data[:1] + data)
        self.dogfs("fsck", self.home)
        self.dogfs("truncate", "-s", "4k", self.path("f"))
        self.assertEqual(len(self.dogfs("cat", self.path("f")).stdout), 4096)
        self.dogfs("truncate", "-s", "0", self.path("f"))
        self.assertEqual(self.dogfs("cat", self.path("f")).stdout, b"")

    # --- recover-lease

    def open_files(self):
        return int(self.cluster.json("admin", "report")[0]["status"]["open_files"])

    def append_slowly(self, name):
        """An append whose input stays open."""
        open_before = self.open_files()
        writer = subprocess.Popen([self.cluster.dogfs_program, "append", "-", self.path(name)], stdin=subprocess.PIPE,
                                  stderr=subprocess.PIPE, env=self.cluster.environment(),
                                  preexec_fn=die_with_parent)  # fmt: skip
        self.addCleanup(writer.communicate)
        self.addCleanup(writer.kill)
        wait_for("the file to be open", lambda: self.open_files() == open_before + 1)
        return writer

    def expect_refused(self, writer, name, more):
        _, said = writer.communicate(more, timeout=60)
        self.assertEqual(writer.returncode, EXIT_FAILED)
        self.assertRegex(said.decode(), rf"\Adogfs: {self.path(name)}: write lease lost.*\n\Z")

    def test_recover_lease_keeps_what_was_acknowledged_and_fences_the_writer_off(self):
        open_before = self.open_files()
        self.dogfs("mkdir", "--ec", "2+1,64", self.path("d"))
        self.put_bytes("d/f", b"first")
        block_bytes = 63 << 20
        data = os.urandom(block_bytes + (2 << 20))
        writer = self.append_slowly("d/f")
        writer.stdin.write(data)
        writer.stdin.flush()
        wait_for("a block to be committed", lambda: int(self.cluster.summary(self.path("d/f"))["bytes"]) > 5)
        self.refuse("append", "-", self.path("d/f"), stdin=b"x",
                    text=f"{self.path('d/f')}: file is being written by another client")  # fmt: skip
        self.dogfs("recover-lease", self.path("d/f"))
        self.assertEqual(self.open_files(), open_before)
        kept = (b"first" + data)[:block_bytes]
        self.assertTrue(self.dogfs("cat", self.path("d/f")).stdout == kept)
        self.dogfs("append", "-", self.path("d/f"), stdin=b"last")
        self.expect_refused(writer, "d/f", more=data)
        self.assertTrue(self.dogfs("cat", self.path("d/f")).stdout == kept + b"last")

    def test_recover_lease_of_an_idle_writer_is_told_to_it_at_the_end(self):
        self.put_bytes("f", b"first")
        writer = self.append_slowly("f")
        self.dogfs("recover-lease", self.path("f"))
        self.dogfs("recover-lease", self.path("f"))
        self.expect_refused(writer, "f", more=b"more")
        self.assertEqual(self.dogfs("cat", self.path("f")).stdout, b"first")
        self.refuse("recover-lease", self.path("none"), text=f"{self.path('none')}: no such file or directory")

    def test_truncate_to_more_than_there_is_is_refused(self):
        self.put_bytes("f", b"12345")
        done = self.dogfs("truncate", "-s", "6", self.path("f"), code=EXIT_FAILED)
        self.assertIn("5 bytes", done.stderr.decode())
        self.assertEqual(self.dogfs("cat", self.path("f")).stdout, b"12345")

    def test_negative_numbers_are_refused(self):
        self.put_bytes("f", b"12345")
        for words in (("truncate", "-s", "-100", self.path("f")), ("truncate", "-s", str(10 - 2**64), self.path("f")),
                      ("quota", "set", self.home, "--bytes", "-1k"), ("quota", "set", self.home, "--names", "-1"),
                      ("admin", "trash", "on", "--period", "-1d"), ("admin", "meta", "promote", "-1"),
                      ("admin", "node", "maintenance", "1", "--for", "-1h"), ("trash", "restore", "-1"),
                      ("admin", "balance", "start", "--threshold", "-1")):  # fmt: skip
            self.assertIn("is negative", self.dogfs(*words, code=EXIT_USAGE).stderr.decode(), words)
        self.assertEqual(self.dogfs("cat", self.path("f")).stdout, b"12345")

    def test_names_are_raw_in_pipes_and_quoted_on_terminals(self):
        self.put_bytes("new\nline", b"")
        self.assertEqual(self.dogfs("ls", self.home).stdout, b"new\nline\n")
        leader, follower = os.openpty()
        subprocess.run([self.cluster.dogfs_program, "ls", self.home], env=self.cluster.environment(), stdout=follower,
                       check=True)  # fmt: skip
        os.close(follower)
        self.assertEqual(os.read(leader, 1000), b"$'new\\nline'\r\n")
        os.close(leader)

    def test_names_beyond_the_limits_are_refused(self):
        longest = "n" * 255
        self.put_bytes(longest, b"dog")
        self.assertEqual(self.dogfs("cat", self.path(longest)).stdout, b"dog")
        done = self.dogfs("mkdir", self.path("n" * 256), code=EXIT_FAILED)
        self.assertIn(b"file name too long", done.stderr)
        done = self.dogfs("mkdir", "-p", "/deep" + "/d" * 200, code=EXIT_FAILED)
        self.assertIn(b"path too long or too deep", done.stderr)

    def test_relative_paths_and_dot_dot_are_refused(self):
        for path in ("file", "../file"):
            self.refuse("stat", path, text=f"{path}: invalid argument: a path in DogFS begins with /")
        self.refuse("stat", "/a/../b", text="/a/../b: invalid argument: a path in DogFS may not contain '..'")

    # --- mkdir, mv, rm

    def test_mkdir_needs_p_for_parents_and_for_what_is_there(self):
        self.refuse("mkdir", self.path("a/b"),
                    text=f"{self.path('a/b')}: no such file or directory: {self.path('a')}")  # fmt: skip
        self.dogfs("mkdir", "-p", self.path("a/b"))
        self.dogfs("mkdir", "-p", self.path("a/b"))
        self.refuse("mkdir", self.path("a"), text=f"{self.path('a')}: file exists")

    def test_mkdir_sets_the_code_of_what_is_below(self):
        self.dogfs("mkdir", "--ec", "3+2,64", self.path("a"))
        self.put_bytes("a/file", os.urandom(1 << 20))
        policy = self.cluster.json("stat", self.path("a/file"))[0]["policy"]
        self.assertEqual((policy["data_shards"], policy["parity_shards"], policy["cell_bytes"]), (3, 2, "65536"))
        self.dogfs("mkdir", "--ec", "0+2", self.path("b"), code=EXIT_USAGE)

    def test_mv_renames_and_moves_into_directories(self):
        self.put_bytes("file", b"dog")
        self.dogfs("mv", self.path("file"), self.path("other"))
        self.dogfs("mkdir", self.path("d"))
        self.dogfs("mv", self.path("other"), self.path("d"))
        self.assertEqual(self.dogfs("cat", self.path("d/other")).stdout, b"dog")
        self.put_bytes("file", b"cat")
        self.dogfs("mv", "-n", self.path("d/other"), self.path("file"), code=EXIT_FAILED)
        self.dogfs("mv", self.path("d/other"), self.path("file"))
        self.assertEqual(self.dogfs("cat", self.path("file")).stdout, b"dog")

    def test_rm_wants_r_for_directories_and_f_for_what_is_missing(self):
        self.dogfs("mkdir", "-p", self.path("a/b"))
        self.refuse("rm", self.path("a"), text=f"{self.path('a')}: is a directory: use rm -r")
        self.dogfs("rm", "-r", self.path("a"))
        self.refuse("rm", self.path("a"), text=f"{self.path('a')}: no such file or directory")
        self.dogfs("rm", "-f", self.path("a"))
        self.refuse("rm", "-r", "/", text="/: invalid argument: the root cannot be removed")

    # --- ls, stat, du, status

    def test_ls_pages_through_large_directories_in_order(self):
        tree = self.local / "many"
        tree.mkdir()
        names = sorted(f"file-{i:04}" for i in range(1500))
        for name in names:
            (tree / name).touch()
        self.dogfs("put", "-r", tree, self.home)
        self.assertEqual(self.dogfs("ls", self.path("many")).stdout.decode().split(), names)

    def test_ls_recursive_shows_every_directory_under_its_heading(self):
        self.dogfs("mkdir", "-p", self.path("a/b"))
        self.put_bytes("a/file", b"dog")
        h = self.home
        self.assertEqual(self.dogfs("ls", "-R", self.home).stdout.decode(),
                         f"{h}:\na\n\n{h}/a:\nb\nfile\n\n{h}/a/b:\n")  # fmt: skip

    def test_ls_of_a_file_names_it(self):
        self.put_bytes("file", bytes(1536))
        self.assertEqual(self.dogfs("ls", self.path("file")).stdout.decode(), self.path("file") + "\n")
        line = self.dogfs("ls", "-l", "-h", self.path("file")).stdout.decode()
        self.assertRegex(line, r"^-rw-r--r-- .* 1\.5K +\d{4}-\d\d-\d\d \d\d:\d\d  " + self.path("file") + "\n$")

    def test_stat_shows_shards_and_spares(self):
        self.put_bytes("file", os.urandom(2_000_000))
        text = self.dogfs("stat", self.path("file")).stdout.decode()
        self.assertIn("2000000 bytes in 1 blocks", text)
        self.assertIn("9 of 9 shards stored, 3 spare", text)
        self.assertEqual(text.count("  crc "), 9)

    def test_a_small_file_lies_in_the_metadata_and_grows_out_of_it(self):
        self.put_bytes("file", b"small")
        text = self.dogfs("stat", self.path("file")).stdout.decode()
        self.assertIn("  0 bytes in 0 blocks and 5 in the metadata", text)
        self.assertEqual(self.dogfs("cat", self.path("file")).stdout, b"small")
        more = os.urandom(100_000)
        self.dogfs("append", "-", self.path("file"), stdin=more)
        self.assertIn("  100005 bytes in 1 blocks,", self.dogfs("stat", self.path("file")).stdout.decode())
        self.assertEqual(self.dogfs("cat", self.path("file")).stdout, b"small" + more)
        self.dogfs("truncate", "-s", "3", self.path("file"))
        self.assertEqual(self.dogfs("cat", self.path("file")).stdout, b"sma")

    # --- admin policy, admin convert

    def test_old_files_are_converted_to_the_new_code_of_their_directory(self):
        data = {f"d/{name}": os.urandom(size) for name, size in (("a", 3_000_000), ("b", 300_000), ("c", 10))}
        self.dogfs("mkdir", "--ec", "2+1,64", self.path("d"))
        for name, content in data.items():
            self.put_bytes(name, content)
        self.dogfs("append", "-", self.path("d/b"), stdin=b"x" * 5000)
        self.dogfs("admin", "policy", "--ec", "4+2,64", self.path("d"))
        self.assertIn("RS(2,1)", self.dogfs("stat", self.path("d/a")).stdout.decode())
        text = self.dogfs("admin", "convert", self.path("d")).stdout.decode()
        self.assertIn("2 of 3 files were written anew", text)
        self.assertIn("3 blocks became 2", text)
        for name in ("d/a", "d/b"):
            self.assertIn("RS(4,2)", self.dogfs("stat", self.path(name)).stdout.decode())
        data["d/b"] += b"x" * 5000
        for name, content in data.items():
            self.assertEqual(self.dogfs("cat", self.path(name)).stdout, content)
        self.assertIn("0 of 3 files", self.dogfs("admin", "convert", self.path("d")).stdout.decode())
        self.dogfs("admin", "policy", "--inherit", self.path("d"))
        self.assertIn("RS(6,3)", self.dogfs("stat", self.path("d")).stdout.decode())
        self.dogfs("admin", "policy", self.path("d"), code=EXIT_USAGE)

    def test_du_counts_user_bytes_and_stored_bytes(self):
        self.put_bytes("file", os.urandom(6 * 256 * 1024))
        summary = self.cluster.summary(self.home)
        self.assertEqual(int(summary["bytes"]), 6 * 256 * 1024)
        self.assertEqual(int(summary["stored_bytes"]), 9 * 256 * 1024)
        self.assertEqual(summary["least_spares"], 3)

    def test_status_shows_leader_and_servers(self):
        text = self.dogfs("status").stdout.decode()
        self.assertIn("leader", text)
        self.assertIn("chunk servers: 9 known, 9 alive", text)

    # --- the command line itself

    def test_a_wrong_command_line_is_a_usage_error(self):
        for words in ([], ["fly"], ["put", "only-one"], ["ls", "--what"], ["rm"]):
            self.assertEqual(self.dogfs(*words, code=EXIT_USAGE).stdout, b"", words)

    def test_help_teaches(self):
        text = self.dogfs("--help").stdout.decode()
        for word in ("Examples:", "Exit codes:", "dogfs put -r", "DOGFS_META"):
            self.assertIn(word, text)
        self.assertIn("Example: ", self.dogfs("put", "--help").stdout.decode())

    def test_no_cluster_is_a_usage_error_and_a_dead_one_a_temporary_failure(self):
        done = subprocess.run([self.cluster.dogfs_program, "ls"], capture_output=True, check=False,
                              env={"PATH": os.environ["PATH"]})  # fmt: skip
        self.assertEqual(done.returncode, EXIT_USAGE)
        self.assertIn(b"no cluster", done.stderr)
        begin = time.monotonic()
        done = self.dogfs("--meta", "127.0.0.1:1", "ls", code=EXIT_TRY_AGAIN)
        self.assertLess(time.monotonic() - begin, 10)
        self.assertIn(b"no metadata leader", done.stderr)

    def test_a_cluster_file_names_the_cluster(self):
        (self.local / "cluster").write_text(f"# metadata nodes\n{self.cluster.meta_list}\n")
        environment = {"PATH": os.environ["PATH"], "DOGFS_CLUSTER": str(self.local / "cluster")}
        subprocess.run([self.cluster.dogfs_program, "ls"], env=environment, check=True, capture_output=True)
        self.assertRaises(Miss, self.dogfs, "--meta", "nonsense", "ls")
        # dogfs() itself names the cluster by DOGFS_META.
        self.dogfs("--cluster", str(self.local / "missing"), "ls", code=EXIT_USAGE)
        self.dogfs("--cluster", str(self.local / "cluster"), "--meta", "127.0.0.1:1", "ls", code=EXIT_USAGE)


if __name__ == "__main__":
    unittest.main()
