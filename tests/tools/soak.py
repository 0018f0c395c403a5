#!/usr/bin/env python3
"""Runs every scenario of the simulator with fresh seeds until the time is up. What it finds is shrunk and kept.

Called again, it goes on where it was stopped, however that was: all that counts is in the directory of its state.
"""

import argparse
import contextlib
import ctypes
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.dont_write_bytecode = True
from soak_state import FAILURES, FILE, Failure, SoakError, State, load, lock, save, set_aside  # noqa: E402
from soak_summary import summary  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
# Of every scenario. What a round has done is lost if it is interrupted: it takes about a minute on two cores.
SEEDS_A_ROUND = 5
SHRINK_SECONDS = 50
# One that takes longer has failed. A run takes seconds; one that never ends must not take the night.
LONGEST_RUN_SECONDS = 120
MOST_OUTPUT_KEPT = 20_000


_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


def die_with_parent() -> None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Stopped(Exception):
    """Somebody has asked this process to end."""


class Simulator:
    def __init__(self, program: Path, jobs: int, mutant: str, run_seconds: int):
        self.program = program.resolve()
        self.jobs = str(jobs)
        self.run_seconds = run_seconds
        self.mutant = ["--mutant", mutant] if mutant else []
        self.process: subprocess.Popen | None = None
        self.stopped = False

    def stop(self, *_) -> None:
        """Handles a signal: ends what runs, and nothing more begins. It raises nothing, so it may come at any time."""
        self.stopped = True
        self.kill()

    def kill(self) -> None:
        if self.process:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)

    def run(self, *words: str, seconds: float | None = None, keep_open: tuple[int, ...] = ()) -> tuple[int, str]:
        """The exit status, and what it said. In a group of its own: Ctrl-C must not look like a run that failed."""
        if self.stopped:
            raise Stopped
        with subprocess.Popen([self.program, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              errors="replace", start_new_session=True, preexec_fn=die_with_parent,
                              pass_fds=keep_open) as process:  # fmt: skip
            self.process = process
            try:
                if self.stopped:
                    self.kill()
                output, _ = process.communicate(timeout=seconds)
            except subprocess.TimeoutExpired:
                self.kill()
                raise
            finally:
                self.process = None
        if self.stopped:
            raise Stopped
        return process.returncode, output

    def scenarios(self) -> list[str]:
        code, listing = self.run("list")
        if code != 0:
            raise SoakError(f"{self.program} list failed: {listing}")
        section = listing.split("Scenarios:")[1].split("\n\n")[0]
        return [line.split()[0] for line in section.splitlines() if line.strip()]

    def swarm(self, scenarios: list[str], first: int, last: int) -> dict:
        """The report (sim/swarm_report.proto). No failure ends it early, so that equal seeds have equal sums."""
        # A file without a name: whatever ends this process, nothing is left over.
        with tempfile.TemporaryFile() as report:
            code, output = self.run(
                "swarm", *scenarios, "--seeds", f"{first}..{last}", "-j", self.jobs, *self.mutant,
                "--run-seconds", str(self.run_seconds), "--most-failures", str(len(scenarios) * (last - first + 1)),
                "--report", f"/dev/fd/{report.fileno()}",
                keep_open=(report.fileno(),))  # fmt: skip
            report.seek(0)
            text = report.read()
        if code not in (0, 1) or not text:
            raise SoakError(f"dogfs-sim swarm --seeds {first}..{last} ended with {code}:\n{output[-MOST_OUTPUT_KEPT:]}")
        return json.loads(text)

    def shrink(self, failure: Failure, out: Path) -> str:
        """What came of it, for a person to read."""
        try:
            code, output = self.run(
                "shrink", failure.scenario, "--seed", str(failure.seed), *self.mutant, "--out", str(out),
                "-j", self.jobs, "--seconds", str(SHRINK_SECONDS),
                seconds=SHRINK_SECONDS + self.run_seconds)  # fmt: skip
        except subprocess.TimeoutExpired:
            return "not shrunk: it does not end"
        if code == 0:
            return f"shrunk: {' '.join(['dogfs-sim run', str(out), *self.mutant])}"
        return f"not shrunk: {output.strip().splitlines()[-1] if output.strip() else f'exit status {code}'}"

    def output_of(self, failure: Failure) -> str:
        """What the run prints. Of a process that broke off, the report has only the signal."""
        try:
            _, output = self.run("run", failure.scenario, "--seed", str(failure.seed), *self.mutant,
                                 seconds=self.run_seconds)  # fmt: skip
        except subprocess.TimeoutExpired:
            return f"It had not ended after {self.run_seconds} s."
        return output[-MOST_OUTPUT_KEPT:]


def keep_failures(simulator: Simulator, directory: Path, state: State) -> None:
    for failure in state.failures:
        if failure.outcome:
            continue
        begin = time.monotonic()
        (directory / FAILURES).mkdir(exist_ok=True)
        kept = directory / FAILURES / failure.name()
        output = simulator.output_of(failure)
        failure.outcome = simulator.shrink(failure, Path(f"{kept}.textproto"))
        Path(f"{kept}.txt").write_text(
            f"{failure.what}\n{failure.command}\n{failure.outcome}\n"
            f"found by a soak of commit {state.commit}, build {state.build}\n\n{output}")  # fmt: skip
        state.keeping_ms += int((time.monotonic() - begin) * 1000)
        os.sync()
        save(directory, state)
        print(f"  {failure.outcome}", flush=True)


def soak(simulator: Simulator, directory: Path, state: State, hours: float, rounds: int) -> None:
    names = state.chosen or simulator.scenarios()
    keep_failures(simulator, directory, state)
    begin = time.monotonic()
    done = 0
    while done < rounds and time.monotonic() - begin < hours * 3600:
        following = state.next_seed + SEEDS_A_ROUND
        report = simulator.swarm(names, state.next_seed, following - 1)
        known = len(state.failures)
        state.add_round(report, following)
        save(directory, state)
        done += 1
        for failure in state.failures[known:]:
            print(f"FAILED {failure.name()}: {failure.what}\n  {failure.command}")
        hours_passed = (time.monotonic() - begin) / 3600
        print(f"{hours_passed:.2f} h: {state.totals['runs']} runs, {state.totals['failed']} failed, "
              f"up to seed {following - 1}", flush=True)  # fmt: skip
        keep_failures(simulator, directory, state)


def build_of(program: Path, names: list[str]) -> str:
    """A hash of all that a run follows from, but the seed."""
    digest = hashlib.sha256(program.read_bytes())
    for name in names:
        path = scenario_path(name)
        digest.update(name.encode() + (path.read_bytes() if path.exists() else b""))
    return digest.hexdigest()


def scenario_path(name: str) -> Path:
    return ROOT / "scenarios" / f"{name}.textproto" if "/" not in name else Path(name)


def commit() -> str:
    described = subprocess.run(["git", "-C", ROOT, "describe", "--always", "--dirty", "--exclude=*"],
                               capture_output=True, text=True, check=False)  # fmt: skip
    return described.stdout.strip() or "unknown"


def state_for(arguments: argparse.Namespace, simulator: Simulator) -> State:
    """The state to go on from: that of the directory, or a new one."""
    directory = arguments.state
    chosen = [name if scenario_path(name).exists() and "/" not in name else str(Path(name).resolve())
              for name in arguments.scenarios]  # fmt: skip
    build = build_of(simulator.program, chosen or simulator.scenarios())
    seed = int(time.time()) * 1000 if arguments.seed is None else arguments.seed
    fresh = State(build, commit(), time.strftime("%Y-%m-%d %H:%M"), chosen, arguments.mutant, seed, seed)
    if arguments.anew:
        if (directory / FILE).exists():
            print(f"The soak before this is now in {set_aside(directory)}.")
        return fresh
    state = load(directory)
    if state is None:
        return fresh
    if (state.chosen, state.mutant) != (chosen, arguments.mutant) or arguments.seed not in (None, state.first_seed):
        words = [*state.chosen, "--seed", str(state.first_seed), *(["--mutant", state.mutant] if state.mutant else [])]
        raise SoakError(f"{directory} has a soak of {' '.join(words)}: go on with the same, begin a new one with "
                        "--anew, or give this one its own directory with --state")  # fmt: skip
    if state.build != build:
        print(f"The soak since {state.begun} was of another build (commit {state.commit}), or of other scenarios: "
              f"its sums and failures are now in {set_aside(directory)}. A new one begins.")  # fmt: skip
        return fresh
    print(f"Going on with the soak since {state.begun}: {state.totals.get('runs', 0)} runs so far.")
    return state


def main() -> int:
    parser = argparse.ArgumentParser(prog="./dev soak", description=__doc__)
    parser.add_argument("--sim", type=Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--mutant", default="", help=argparse.SUPPRESS)
    parser.add_argument("--run-seconds", type=int, default=LONGEST_RUN_SECONDS, help=argparse.SUPPRESS)
    parser.add_argument("scenarios", metavar="SCENARIO", nargs="*", help="which scenarios; none: all")
    parser.add_argument("--hours", type=float, default=1.0, help="how long from now (1)")
    parser.add_argument("--rounds", type=int, default=sys.maxsize,
                        help=f"no more rounds than these; one is {SEEDS_A_ROUND} seeds of each scenario")  # fmt: skip
    parser.add_argument("-j", "--jobs", type=int, default=os.cpu_count(), help="worker processes")
    parser.add_argument("--seed", type=int, help="the first seed of a new soak; by the clock if not given")
    parser.add_argument("--state", type=Path, default=ROOT / "build" / "soak", help="where its state is (build/soak)")
    parser.add_argument("--anew", action="store_true", help="begin a new soak, and set aside what is there")
    arguments = parser.parse_args()
    directory = arguments.state = arguments.state.resolve()
    simulator = Simulator(arguments.sim, arguments.jobs, arguments.mutant, arguments.run_seconds)
    for ending in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if ending != signal.SIGHUP or signal.getsignal(ending) != signal.SIG_IGN:  # nohup
            signal.signal(ending, simulator.stop)
    try:
        lock(directory)
        state = state_for(arguments, simulator)
        save(directory, state)
        try:
            soak(simulator, directory, state, arguments.hours, arguments.rounds)
        except Stopped:
            print("Stopped: ./dev soak goes on with it.")
    except Stopped:
        return 0  # before it had begun
    except (SoakError, OSError) as error:
        print(f"soak: {error}", file=sys.stderr)
        return 2
    print(f"\n{summary(state, directory)}")
    return 1 if state.totals.get("failed", 0) else 0


if __name__ == "__main__":
    sys.exit(main())
