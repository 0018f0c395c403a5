"""history_tool (tests/e2e/history) for tests: a load of changes and reads, what it was answered, and the oracle."""

import subprocess

from cluster import die_with_parent, expect, find_program

CLIENTS = 4
MUTATE = "101"  # core/wire/message_type.h


class HistoryTool:
    """Runs history_tool: the load, the log of nodes that are down, the check."""

    def __init__(self, build, cluster):
        self.program = find_program(build, "history_tool")
        self.cluster = cluster
        self.history = cluster.directory / "history"
        self.log = cluster.directory / "log"
        self.kills = cluster.directory / "kills"
        self.last_index = 0
        self.load = None

    def start_load(self, clients=CLIENTS):
        self.load = subprocess.Popen([self.program, "load", "--meta", self.cluster.meta_list, "--clients", str(clients),
                                      "--history", self.history], preexec_fn=die_with_parent)  # fmt: skip

    def stop_load(self):
        self.load.terminate()
        expect(self.load.wait(60) == 0, "the load did not end well")

    def end(self):
        if self.load and self.load.poll() is None:
            self.load.kill()
            self.load.wait()

    def changes(self):
        """(when it was asked for, when it was answered) of each change that was done, in ns of the monotonic clock."""
        fields = {}
        for line in self.history.read_text(encoding="ascii").splitlines():
            name, _, value = line.strip().partition(": ")
            fields[name] = value
            if line == "}":
                if fields.get("type") == MUTATE and "answered" in fields and "error" not in fields:
                    yield int(fields["invoked_ns"]), int(fields["answered_ns"])
                fields = {}

    def take_log(self, node):
        """Adds what the node, which is down, has applied to what is known of the log. In portions, because nodes drop
        the beginning of a log that grows long."""
        done = subprocess.run([self.program, "log", "--store", self.cluster.directory / node.name / "store",
                               "--after", str(self.last_index)], capture_output=True, check=False)  # fmt: skip
        expect(done.returncode == 0, done.stderr.decode(errors="replace"))
        with open(self.log, "ab") as log:
            log.write(done.stdout)
        for line in done.stdout.splitlines():
            if line.startswith(b"  index: "):
                self.last_index = int(line.split()[1])

    def note_kill(self, moment_ns):
        with open(self.kills, "a", encoding="ascii") as kills:
            kills.write(f"{moment_ns}\n")

    def check(self):
        """The lines that the check prints; a violation is a Miss."""
        done = subprocess.run([self.program, "check", "--history", self.history, "--log", self.log,
                               "--kills", self.kills], capture_output=True, check=False)  # fmt: skip
        expect(done.returncode == 0, done.stderr.decode(errors="replace"))
        return done.stdout.decode().splitlines()
