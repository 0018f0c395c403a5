"""A cluster of real dogfsd processes on loopback, for tests and demonstrations.

Every process that is started is remembered by its own id and ended by it. Each also asks the kernel to be killed when
this program dies, so that nothing outlives even a kill -9 of the test.
"""

import ctypes
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_TRY_AGAIN = 75
EXIT_REFUSED = 4  # of dogfsd: the cluster does not take it

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


class Miss(Exception):
    """Something did not happen that had to."""


def expect(condition, text):
    if not condition:
        raise Miss(text)


def wait_for(what, condition, timeout_s=60, interval_s=0.05):
    """Polls until the condition gives something true, and returns that. Whatever must happen has a bound."""
    end = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        expect(time.monotonic() < end, f"{what}: not within {timeout_s} s")
        time.sleep(interval_s)


def find_program(build, name):
    """The executable of that name in a build directory."""
    found = [path for path in Path(build).rglob(name) if path.is_file() and os.access(path, os.X_OK)]
    expect(found, f"there is no {name} in {build}: build it first")
    return found[0]


def free_ports(count):
    """Ports that nobody has, below those that the kernel gives to outgoing connections: a server that is down for a
    while must find its port free when it returns."""
    ports = []
    for port in random.sample(range(20000, 32000), 2000):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        ports.append(port)
        if len(ports) == count:
            return ports
    raise Miss("no free ports")


def die_with_parent():
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Node:
    """One dogfsd process, that may be killed and started again."""

    def __init__(self, name, address, argv, log_path):
        self.name = name
        self.address = address
        self.argv = [str(word) for word in argv]
        self.log_path = log_path
        self.process = None
        self.started_at = None

    def start(self):
        expect(not self.alive(), f"{self.name} runs already")
        self.started_at = time.monotonic()
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            start_new_session=True, preexec_fn=die_with_parent)

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        """kill -9"""
        expect(self.alive(), f"{self.name} is dead already (its log: {self.log_path})")
        self.process.kill()
        self.process.wait()

    def stop(self, timeout_s=20):
        """SIGTERM; returns the exit code."""
        self.process.terminate()
        return self.process.wait(timeout_s)

    def memory_peak_bytes(self):
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
        return 0


class Cluster:
    """Metadata nodes and chunk servers under one directory. Use as a context manager: it ends everything."""

    def __init__(self, build, metas=3, chunks=9, directory=None):
        self.dogfsd = find_program(build, "dogfsd")
        self.dogfs_program = find_program(build, "dogfs")
        self.directory = Path(directory or tempfile.mkdtemp(prefix="dogfs-"))
        self.directory.mkdir(parents=True, exist_ok=True)
        addresses = [f"127.0.0.1:{port}" for port in free_ports(metas + chunks)]
        self.meta_list = ",".join(addresses[:metas])
        peers = ",".join(f"{i + 1}={address}" for i, address in enumerate(addresses[:metas]))
        self.metas = [
            self._node(f"meta-{i + 1}", addresses[i], ["meta", "--form", "--id", i + 1, "--peers", peers])
            for i in range(metas)
        ]
        self.chunks = [
            self._node(f"chunk-{i + 1}", addresses[metas + i],
                       ["chunk", "--meta", self.meta_list, "--listen", addresses[metas + i]])
            for i in range(chunks)
        ]

    def _node(self, name, address, words):
        argv = [self.dogfsd, *words, "--dir", self.directory / name, "--log-level", "info"]
        return Node(name, address, argv, self.directory / f"{name}.log")

    def nodes(self):
        return self.metas + self.chunks

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill_all()
        shutil.rmtree(self.directory, ignore_errors=True)

    def start(self):
        for node in self.nodes():
            if not node.alive():
                node.start()
        self.wait_ready()

    def kill_all(self):
        """kill -9 of every process, all before the first is waited for: a power cut, as far as processes go."""
        alive = [node for node in self.nodes() if node.alive()]
        for node in alive:
            node.process.kill()
        for node in alive:
            node.process.wait()

    def wait_ready(self, servers=None, timeout_s=120):
        """Waits for a leader that hears of as many chunk servers (all that run, unless told)."""
        wanted = sum(node.alive() for node in self.chunks) if servers is None else servers

        def ready():
            for node in self.nodes():
                died = node.process is not None and node.process.poll() not in (None, -signal.SIGKILL)
                expect(not died, f"{node.name} ended by itself: {tail(node.log_path)}")
            asked = time.monotonic()
            status = self.status()
            return status and self.leader_of(status) and self.heard_of(status, asked) >= wanted

        wait_for(f"a leader with {wanted} chunk servers", ready, timeout_s)

    def heard_of(self, status, asked):
        """How many chunk servers the leader has heard of as they are now: a server that was killed and started again
        counts as alive for a while by what it had said before."""
        started = {node.address: node.started_at for node in self.chunks if node.alive()}
        return sum(server["alive"] and server["address"] in started
                   and int(server["last_heartbeat_ms"]) < (asked - started[server["address"]]) * 1000
                   for server in status["servers"])  # fmt: skip

    def environment(self):
        return {**os.environ, "DOGFS_META": self.meta_list}

    def dogfs(self, *words, code=0, stdin=None, timeout_s=120, **options):
        """Runs dogfs to its end and returns it, with bytes in stdout and stderr. Expects the exit code (None: any)."""
        done = subprocess.run([self.dogfs_program, *words], env=self.environment(), input=stdin, capture_output=True,
                              timeout=timeout_s, check=False, **options)  # fmt: skip
        if code is not None:
            expect(done.returncode == code,
                   f"dogfs {' '.join(map(str, words))}: exit code {done.returncode} instead of {code}: "
                   f"{done.stderr.decode(errors='replace').strip()}")  # fmt: skip
        return done

    def start_dogfs(self, *words):
        """Starts dogfs in the background."""
        return subprocess.Popen([self.dogfs_program, *words], env=self.environment(), stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=die_with_parent)

    def json(self, *words):
        return [json.loads(line) for line in self.dogfs(*words, "--json").stdout.splitlines()]

    def status(self):
        """The cluster's status, or None while nobody leads."""
        done = self.dogfs("status", "--json", code=None)
        if done.returncode == EXIT_TRY_AGAIN:
            return None
        expect(done.returncode == 0, f"dogfs status: {done.stderr.decode(errors='replace')}")
        return json.loads(done.stdout)

    @staticmethod
    def leader_of(status):
        return next((node["address"] for node in status["nodes"] if node["leader"]), None)

    def leader(self):
        """The Node that leads."""
        status = wait_for("a leader", self.status)
        address = self.leader_of(status)
        return next(node for node in self.metas if node.address == address)

    def summary(self, path):
        return self.json("du", path)[0]


def tail(path, lines=5):
    return "\n".join(Path(path).read_text(errors="replace").splitlines()[-lines:])
