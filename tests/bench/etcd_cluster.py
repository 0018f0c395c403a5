"""Three etcd members on loopback, with their logs synced as always: the peer of ./dev bench meta."""

import subprocess

from bench.report import run
from e2e.cluster import die_with_parent, expect, free_ports, tail, wait_for

MEMBERS = 3


class EtcdCluster:
    """Use as a context manager: it ends its processes. Their data stays in the directory."""

    def __init__(self, etcd, programs, directory):
        self.etcd = etcd
        self.load = programs / "etcd_load"
        self.directory = directory
        self.processes = []
        ports = free_ports(2 * MEMBERS)
        self.peers = [f"127.0.0.1:{port}" for port in ports[:MEMBERS]]
        self.clients = [f"127.0.0.1:{port}" for port in ports[MEMBERS:]]

    def __enter__(self):
        self.directory.mkdir(parents=True)
        cluster = ",".join(f"member-{i}=http://{peer}" for i, peer in enumerate(self.peers))
        for i in range(MEMBERS):
            with open(self.log_path(i), "wb") as log:
                self.processes.append(subprocess.Popen(
                    [self.etcd, "--name", f"member-{i}", "--data-dir", self.directory / f"member-{i}",
                     "--listen-peer-urls", f"http://{self.peers[i]}",
                     "--initial-advertise-peer-urls", f"http://{self.peers[i]}",
                     "--listen-client-urls", f"http://{self.clients[i]}",
                     "--advertise-client-urls", f"http://{self.clients[i]}",
                     "--initial-cluster", cluster, "--initial-cluster-state", "new", "--log-level", "error"],
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=die_with_parent))
        wait_for("etcd's leader", self.has_leader)
        return self

    def __exit__(self, *_):
        for process in self.processes:
            process.kill()
            process.wait()

    def log_path(self, member):
        return self.directory / f"member-{member}.log"

    def has_leader(self):
        for i, process in enumerate(self.processes):
            expect(process.poll() is None, f"an etcd member ended by itself: {tail(self.log_path(i))}")
        probe = [self.load, "--endpoints", ",".join(self.clients), "--seconds", "0.001"]
        return subprocess.run(probe, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL).returncode == 0

    def put(self, in_flight, seconds):
        """Puts from so many calls in flight; the parsed line of etcd_load."""
        return run([self.load, "--endpoints", ",".join(self.clients), "--prefix", f"/bench/{in_flight}",
                    "--in-flight", in_flight, "--seconds", seconds])[0]  # fmt: skip
