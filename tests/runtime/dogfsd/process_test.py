#!/usr/bin/env python3
"""dogfsd as processes: starting, stopping, dying, coming back, and refusing what is wrong."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

DOGFSD = os.environ["DOGFSD"]
PATIENCE_S = 60


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Process:
    """One dogfsd, ended at the latest by close()."""

    def __init__(self, directory, *words, environment=None):
        self.log = tempfile.NamedTemporaryFile(dir=directory, prefix="log-", delete=False)
        self.child = subprocess.Popen([DOGFSD, *map(str, words)], stdin=subprocess.DEVNULL, stdout=self.log,
                                      stderr=self.log, env={**os.environ, **(environment or {})})

    def output(self):
        return Path(self.log.name).read_text()

    def wait_for(self, condition, what):
        end = time.monotonic() + PATIENCE_S
        while not condition():
            if self.child.poll() is not None or time.monotonic() > end:
                raise AssertionError(f"{what} did not come; it said:\n{self.output()}")
            time.sleep(0.01)

    def wait_for_text(self, text):
        self.wait_for(lambda: text in self.output(), text)

    def end(self, signal_number):
        self.child.send_signal(signal_number)
        return self.child.wait(PATIENCE_S)

    def close(self):
        if self.child.poll() is None:
            self.child.kill()
        self.child.wait()
        self.log.close()


class DogfsdTest(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory(prefix="dogfsd-test-")
        self.addCleanup(temporary.cleanup)
        self.directory = Path(temporary.name)

    def start(self, *words, environment=None):
        process = Process(self.directory, *words, environment=environment)
        self.addCleanup(process.close)
        return process

    def start_chunk(self, *words, name="chunk"):
        port_file = self.directory / f"{name}.port"
        port_file.unlink(missing_ok=True)
        process = self.start("chunk", "--meta", "127.0.0.1:1", "--dir", self.directory / name, "--port-file", port_file,
                             *words)
        process.wait_for(port_file.exists, "the port file")
        return process, port_file.read_text().strip()

    def start_dev(self, *words):
        process = self.start("dev", "--dir", self.directory / "dev", "--meta", 3, "--chunks", 4, *words)
        process.wait_for_text("the cluster serves: --meta ")
        return process

    def refuse(self, *words, code, text, environment=None):
        done = subprocess.run([DOGFSD, *map(str, words)], capture_output=True, text=True, timeout=PATIENCE_S,
                              env={**os.environ, **(environment or {})}, check=False)
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertIn(text, done.stdout + done.stderr)

    def test_signals_stop_in_good_order(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            process, _ = self.start_chunk()
            self.assertEqual(process.end(number), 0, process.output())

    def test_a_second_signal_cuts_the_stop_short(self):
        process, _ = self.start_chunk()
        # Both are there when it goes on: the first alone might be done with before the second comes.
        for number in (signal.SIGSTOP, signal.SIGTERM, signal.SIGINT):
            process.child.send_signal(number)
        self.assertEqual(process.end(signal.SIGCONT), 5, process.output())

    def test_port_is_told_once_it_serves(self):
        process, address = self.start_chunk()
        self.assertRegex(address, r"^127\.0\.0\.1:[1-9][0-9]*$")
        self.assertIn(f"serving on {address}", process.output())

    def test_comes_back_after_kill(self):
        process, address = self.start_chunk()
        process.end(signal.SIGKILL)
        _, again = self.start_chunk("--listen", address)
        self.assertEqual(again, address)

    def test_directory_in_use_is_refused(self):
        self.start_chunk()
        self.refuse("chunk", "--meta", "127.0.0.1:1", "--dir", self.directory / "chunk", code=1, text="in use")

    def test_wrong_directory_is_refused(self):
        process, _ = self.start_chunk()
        process.end(signal.SIGTERM)
        chunk = self.directory / "chunk"
        self.refuse("chunk", "--meta", "127.0.0.1:1", "--dir", chunk, "--cluster", "other", code=1,
                    text="its cluster is default")
        self.refuse("meta", "--id", 1, "--peers", f"1=127.0.0.1:{free_port()}", "--dir", chunk, code=1,
                    text="belongs to another node")
        self.refuse("chunk", "--meta", "127.0.0.1:1", "--dir", "/usr", code=1, text="neither empty nor")
        self.assertFalse(Path("/usr/lock").exists())

    def test_metadata_node_does_not_start_over_with_an_empty_store(self):
        process = self.start_dev()
        self.assertEqual(process.end(signal.SIGTERM), 0, process.output())
        store = self.directory / "dev/meta-1/store"
        store.rename(self.directory / "lost")
        self.refuse("dev", "--dir", self.directory / "dev", "--chunks", 4, code=1, text="missing")

    def test_metadata_node_does_not_take_an_empty_directory_for_its_first_start(self):
        address = f"127.0.0.1:{free_port()}"
        words = ["meta", "--id", 1, "--peers", f"1={address}", "--dir", self.directory / "meta"]
        self.refuse(*words, code=1, text="--form")
        self.refuse(*words, "--form", "--join", code=2, text="--join")
        self.assertFalse((self.directory / "meta/store").exists())
        first = self.start(*words, "--form")
        first.wait_for_text("serving on")
        first.end(signal.SIGKILL)
        for flags in ([], ["--form"], ["--join"]):
            again = self.start(*words, *flags)
            again.wait_for_text("serving on")
            self.assertEqual(again.end(signal.SIGTERM), 0, again.output())

    def test_port_in_use_is_refused(self):
        _, address = self.start_chunk()
        self.refuse("chunk", "--meta", "127.0.0.1:1", "--dir", self.directory / "other", "--listen", address, code=1,
                    text=f"cannot listen on {address}")

    def test_bad_flags_are_named(self):
        self.refuse(code=2, text="subcommand is required")
        self.refuse("chunk", code=2, text="is required")
        self.refuse("gateway", code=2, text="subcommand is required")
        self.refuse("chunk", "--meta", "x", "--dir", "/d", code=2, text="--meta")
        self.refuse("chunk", "--meta", "a:1", "--dir", "/d", "--rack", "r", code=2, text="--rack")
        self.refuse("meta", "--id", 1, "--peers", "2=a:1", "--dir", "/d", code=2, text="--id")
        self.refuse("meta", "--id", "one", "--peers", "2=a:1", "--dir", "/d", code=2, text="--id")
        self.refuse("meta", "--id", -1, "--peers", "1=a:1", "--dir", "/d", code=2, text="-1 is negative")
        self.refuse("dev", "--dir", "/d", "--chunks", 0, code=2, text="--chunks")
        self.refuse("chunk", "--config", "/no/such/file", code=2, text="/no/such/file")

    def test_help_is_no_error(self):
        for words in (["--help"], ["meta", "--help"], ["chunk", "--help"], ["dev", "--help"]):
            self.refuse(*words, code=0, text="Usage")

    def test_flags_come_from_environment_and_file(self):
        self.refuse("chunk", environment={"DOGFS_META": "127.0.0.1:1", "DOGFS_DIR": "/d", "DOGFS_RACK": "bad"}, code=2,
                    text="--rack")
        config = self.directory / "dogfsd.ini"
        config.write_text('[chunk]\nmeta="127.0.0.1:1"\ndir="/d"\nrack="bad"\n')
        self.refuse("chunk", "--config", config, code=2, text="--rack")

    def test_dev_keeps_its_ports(self):
        process = self.start_dev()
        cluster_file = self.directory / "dev/cluster"
        before = cluster_file.read_text()
        process.end(signal.SIGKILL)
        process = self.start_dev()
        self.assertEqual(cluster_file.read_text(), before)
        process.wait_for_text("leader of term")
        self.assertEqual(process.end(signal.SIGTERM), 0, process.output())

    def test_dev_refuses_another_shape(self):
        self.start_dev().end(signal.SIGTERM)
        self.refuse("dev", "--dir", self.directory / "dev", "--meta", 5, code=1, text="names 3 metadata nodes")


if __name__ == "__main__":
    sys.exit(unittest.main())
