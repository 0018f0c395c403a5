"""The state of a soak: what its rounds have come to, in a file that a power cut leaves whole."""

import dataclasses
import fcntl
import hashlib
import json
import os
from collections import Counter
from pathlib import Path

FORMAT = 3
FILE = "state.json"
FAILURES = "failures"
# Later failures of a scenario are recorded, but neither kept nor shrunk: one bug that is found all the time must not
# take the night.
MOST_KEPT_A_SCENARIO = 3
# With those that are kept; later ones are only counted. The state is written anew after each round.
MOST_RECORDED_A_SCENARIO = 1_000
MOST_TEXT_RECORDED = 2_000

TOTALS = ("runs", "failed", "events", "virtual_ms", "operations", "failed_operations", "cpu_ms", "wall_ms")


class SoakError(Exception):
    """What the user has to do something about."""


@dataclasses.dataclass
class Failure:
    scenario: str
    seed: int
    what: str
    command: str
    outcome: str = ""  # of keeping and shrinking it; empty: not done yet

    def name(self) -> str:
        return f"{Path(self.scenario).stem}-{self.seed}"


@dataclasses.dataclass
class State:
    build: str  # hash of the simulator and the scenarios: sums over two builds would speak of neither
    commit: str
    begun: str
    chosen: list[str]  # the scenarios that were named; empty: all
    mutant: str
    first_seed: int
    next_seed: int
    rounds: int = 0
    keeping_ms: int = 0  # real time that keeping and shrinking failures took
    totals: dict[str, int] = dataclasses.field(default_factory=dict)
    scenarios: dict[str, list[int]] = dataclasses.field(default_factory=dict)  # [runs, failed]
    faults: dict[str, int] = dataclasses.field(default_factory=dict)
    expected_faults: list[str] = dataclasses.field(default_factory=list)
    harms: dict[str, int] = dataclasses.field(default_factory=dict)
    has_marks: bool = False
    marks: dict[str, int] = dataclasses.field(default_factory=dict)
    failures: list[Failure] = dataclasses.field(default_factory=list)  # that are kept
    further: list[Failure] = dataclasses.field(default_factory=list)  # that are recorded: another bug may be among them

    def add_round(self, report: dict, next_seed: int) -> None:
        """Adds the report of a swarm (sim/swarm_report.proto). Its 64-bit numbers are strings."""
        self.rounds += 1
        self.next_seed = next_seed
        self.totals = add(self.totals, {name: report[name] for name in TOTALS})
        self.faults = add(self.faults, {fault["kind"]: fault["struck"] for fault in report["faults"]})
        self.harms = add(self.harms, {harm["name"]: harm["struck"] for harm in report["harms"]})
        self.marks = add(self.marks, {mark["text"]: mark["passed"] for mark in report["marks"]})
        self.has_marks = report["has_marks"]
        expected = {fault["kind"] for fault in report["faults"] if fault["expected"]}
        self.expected_faults = sorted(expected | set(self.expected_faults))
        for scenario in report["scenarios"]:
            runs, failed = self.scenarios.get(scenario["scenario"], [0, 0])
            self.scenarios[scenario["scenario"]] = [runs + int(scenario["runs"]), failed + int(scenario["failed"])]
        self.add_failures(report["failures"])

    def add_failures(self, found: list[dict]) -> None:
        # Which failures are found first depends on how fast each worker is; which are kept must not.
        ordered = sorted(found, key=lambda failure: (int(failure["seed"]), failure["scenario"]))
        recorded = self.recorded()
        for failure in ordered:
            scenario, what = failure["scenario"], failure["what"]
            recorded[scenario] += 1
            if recorded[scenario] <= MOST_KEPT_A_SCENARIO:
                self.failures.append(Failure(scenario, int(failure["seed"]), what, failure["command"]))
            elif recorded[scenario] <= MOST_RECORDED_A_SCENARIO:
                what = what[:MOST_TEXT_RECORDED]
                self.further.append(Failure(scenario, int(failure["seed"]), what, failure["command"]))

    def recorded(self) -> Counter[str]:
        """How many failures of each scenario are known by their seeds."""
        return Counter(failure.scenario for failure in self.failures + self.further)


def add(sums: dict[str, int], more: dict[str, str]) -> dict[str, int]:
    """Keeps what is zero: a mark that no run has passed is worth knowing."""
    sums = Counter(sums)
    for name, count in more.items():
        sums[name] += int(count)
    return dict(sums)


def checksum(state: dict) -> str:
    return hashlib.sha256(json.dumps(state, sort_keys=True).encode()).hexdigest()


def save(directory: Path, state: State) -> None:
    """When it returns, the state is on disk; whenever the power fails, the old or the new one is, whole."""
    content = dataclasses.asdict(state)
    temporary = directory / (FILE + ".new")
    with open(temporary, "w", encoding="utf-8") as file:
        json.dump({"format": FORMAT, "sha256": checksum(content), "state": content}, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(directory / FILE)
    handle = os.open(directory, os.O_RDONLY)
    os.fsync(handle)
    os.close(handle)


def load(directory: Path) -> State | None:
    """None where there is no state yet."""
    path = directory / FILE
    if not path.exists():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise SoakError(f"{path} was written by another version of soak: begin a new one with --anew")
        if content["sha256"] != checksum(content["state"]):
            raise ValueError("its checksum does not fit")
        state = State(**content["state"])
        state.failures = [Failure(**failure) for failure in content["state"]["failures"]]
        state.further = [Failure(**failure) for failure in content["state"]["further"]]
    except (ValueError, KeyError, TypeError) as error:
        raise SoakError(f"{path} is damaged ({error}): begin a new soak with --anew, which keeps this file") from error
    return state


def lock(directory: Path) -> None:
    """Makes the directory, and keeps others out of it until this process ends."""
    directory.mkdir(parents=True, exist_ok=True)
    handle = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise SoakError(f"another soak is at work in {directory}: --state gives this one its own directory") from None


def set_aside(directory: Path) -> Path:
    """Moves a soak out of the way of a new one, into a directory below it. Returns where it is."""
    number = 1
    while (directory / f"before-{number}").exists():
        number += 1
    aside = directory / f"before-{number}"
    aside.mkdir()
    for name in (FAILURES, FILE):
        if (directory / name).exists():
            (directory / name).rename(aside / name)
    return aside
