"""Stops soaks in all ways and lets them go on; lets runs fail, and looks at what is kept of them.

With a build that has mutants, one is planted too: `./dev test` runs this with both.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

SOAK = Path(__file__).resolve().parents[1] / "tools" / "soak.py"
sys.path.insert(0, str(SOAK.parent))
sys.dont_write_bytecode = True
import soak_state  # noqa: E402
from soak_summary import summary  # noqa: E402

PROGRAM = Path()
HAS_MUTANTS = False  # and coverage marks

SEED = 70_000_001
SEEDS_A_ROUND = 5
MOST_KEPT = 3
# No read is so fast: every run fails soon.
HASTE = """
chunk_servers: 3 clients: 1 policy { data_shards: 1 parity_shards: 1 } work { for_ms: 20000 } reads_within_ms: 1
network { delay_min_us: 2000 delay_max_us: 3000 }
faults { at_ms: 50 for_ms: 1 pause { nodes: "chunk-3" } }
"""
# A run takes a second, in the midst of which it can be caught.
LONG = """
chunk_servers: 3 clients: 1 policy { data_shards: 1 parity_shards: 1 } work { for_ms: 120000 think_max_ms: 100 }
"""


def processes(word: str) -> dict[int, tuple[int, int]]:
    """Those with `word` in their command line, each with its parent, and its processor time in ticks of 10 ms."""
    found = {}
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            if word.encode() in (directory / "cmdline").read_bytes():
                stat = (directory / "stat").read_text().rpartition(")")[2].split()
                found[int(directory.name)] = (int(stat[1]), int(stat[11]))
        except OSError:  # it has ended
            continue
    return found


def workers(scenario: Path) -> list[int]:
    """The processes that a swarm of this soak has for its runs, and that are in the midst of one, if it is long."""
    found = processes(f"\0{scenario}")  # the soak itself, its swarm, and the swarm's workers
    return [process for process, (swarm, ticks) in found.items()
            if ticks >= 5 and swarm in found and found[swarm][0] in found]  # fmt: skip


def wait_for(what, seconds: float = 60):
    end = time.monotonic() + seconds
    while not (found := what()):
        if time.monotonic() > end:
            raise AssertionError("waited in vain")
        time.sleep(0.01)
    return found


class Soak(unittest.TestCase):
    def setUp(self):
        self.directory = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.program = PROGRAM

    def words(self, *words, state="state", seed=SEED) -> list[str]:
        named = ["--state", self.directory / state, "--seed", seed, "-j", 2]
        return [str(word) for word in (sys.executable, "-B", SOAK, "--sim", self.program, *named, *words)]

    def soak(self, *words, code=0, **options) -> str:
        with self.start(*words, **options) as process:
            said = process.stdout.read()
        self.assertEqual(process.returncode, code, said)
        return said

    def start(self, *words, **options) -> subprocess.Popen:
        return subprocess.Popen(self.words(*words, **options), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                text=True)  # fmt: skip

    def state(self, state="state") -> dict:
        return json.loads((self.directory / state / "state.json").read_text())["state"]

    def sums(self, state="state") -> dict:
        """All that follows from the seeds."""
        found = self.state(state)
        found["totals"] = {name: count for name, count in found["totals"].items() if name not in ("cpu_ms", "wall_ms")}
        return {name: value for name, value in found.items() if name not in ("begun", "keeping_ms")}

    def haste(self) -> Path:
        return self.scenario("haste", HASTE)

    def scenario(self, name: str, text: str) -> Path:
        path = self.directory / f"{name}.textproto"
        path.write_text(text)
        return path

    def run_file(self, path: Path, *words) -> subprocess.CompletedProcess:
        return subprocess.run([PROGRAM, "run", path, *words], capture_output=True, text=True, check=False)

    def stop_in_second_round(self, how: signal.Signals) -> int:
        """Stops a soak once its first round is over. Returns its exit status."""
        with self.start("election") as process:
            for line in process.stdout:
                if " 0 failed, up to seed " in line:
                    break
            process.send_signal(how)
            said = process.stdout.read()
        if how != signal.SIGKILL:
            self.assertIn("Stopped", said)
            self.assertIn("Faults that struck:", said)
        return process.returncode

    def test_goes_on_where_it_was_stopped(self):
        for how in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            before = self.state()["rounds"] if (self.directory / "state").exists() else 0
            self.assertEqual(self.stop_in_second_round(how), -how if how == signal.SIGKILL else 0)
            if how != signal.SIGKILL:
                wait_for(lambda: not processes(f"\0{self.state()['next_seed']}.."))
            self.assertGreater(self.state()["rounds"], before)
        said = self.soak("election", "--rounds", 1)
        rounds = self.state()["rounds"]
        self.assertIn(f"{rounds * SEEDS_A_ROUND} runs, 0 failed", said)
        self.soak("election", "--rounds", rounds, state="at once")
        self.assertEqual(self.sums(), self.sums("at once"))
        self.check_sums(rounds)
        self.check_summary(said)

    def check_sums(self, rounds: int):
        state = self.state()
        self.assertEqual((state["first_seed"], state["next_seed"]), (SEED, SEED + rounds * SEEDS_A_ROUND))
        self.assertEqual(state["scenarios"], {"election": [rounds * SEEDS_A_ROUND, 0]})
        self.assertEqual(state["totals"]["runs"], rounds * SEEDS_A_ROUND)
        for name in ("events", "virtual_ms", "operations", "cpu_ms", "wall_ms"):
            self.assertGreater(state["totals"][name], rounds, name)
        self.assertEqual(state["faults"]["crash"], rounds * SEEDS_A_ROUND, "one in each run")

    def check_summary(self, said: str):
        state = self.state()
        self.assertRegex(said, rf"(?m)^events +{state['totals']['events']:,}$")
        self.assertRegex(said, r"(?m)^virtual time +0:\d\d:\d\d$")
        self.assertRegex(said, r"(?m)^(CPU|wall) time +0:\d\d:\d\d")
        self.assertRegex(said, rf"(?m)^ +{state['faults']['crash']}  crash$")
        self.assertIn("in none of these scenarios: bit_rot", said)
        self.assertEqual(state["harms"]["power lost"], state["faults"]["crash"])
        self.assertRegex(said, rf"(?m)^ +{state['harms']['power lost']:,}  power lost$")
        self.assertIn("NEVER: misdirected write", said)
        self.assertRegex(said, rf"(?m)^election +{state['totals']['runs']} +0$")
        self.assertEqual(state["has_marks"], HAS_MUTANTS)
        if not HAS_MUTANTS:
            self.assertIn("not compiled into this build", said)
            return
        hit, never = said.split("Coverage marks hit:")[1].split("Coverage marks NEVER hit:")
        for text, count in state["marks"].items():
            self.assertIn(f"{count:,}  {text}\n" if count else f"  {text}\n", hit if count else never)

    def test_shrinks_and_keeps_what_fails(self):
        haste = self.haste()
        said = self.soak(haste, "--rounds", 2, code=1)
        state = self.state()
        self.assertEqual(state["scenarios"], {str(haste): [2 * SEEDS_A_ROUND, 2 * SEEDS_A_ROUND]})
        self.assertEqual([failure["seed"] for failure in state["failures"]], [SEED + n for n in range(MOST_KEPT)])
        self.assertIn(f"Of {2 * SEEDS_A_ROUND} runs that failed, {MOST_KEPT} are kept", said)
        for failure in state["failures"]:
            kept = self.directory / "state" / "failures" / f"haste-{failure['seed']}.textproto"
            self.assertEqual(failure["outcome"], f"shrunk: dogfs-sim run {kept}")
            self.assertIn(f"seed: {failure['seed']}\n", kept.read_text())
            self.assertNotIn("pause", kept.read_text(), "what the failure does not need is gone")
            self.assertEqual(self.run_file(kept).returncode, 1)
            note = kept.with_suffix(".txt").read_text()
            command = f"dogfs-sim run {haste} --seed {failure['seed']}"
            for text in (failure["what"], command, "FAILED: ", state["build"]):
                self.assertIn(text, note)

    def test_records_every_seed_that_fails(self):
        haste = self.haste()
        self.soak(haste, "--rounds", 1, code=1)
        said = self.soak(haste, "--rounds", 1, code=1)
        further = self.state()["further"]
        self.assertEqual([failure["seed"] for failure in further],
                         [SEED + n for n in range(MOST_KEPT, 2 * SEEDS_A_ROUND)])  # fmt: skip
        self.assertIn(f"\n{len(further)} more; the commands", said)
        for failure in further:
            self.assertEqual(failure["command"], f"dogfs-sim run {haste} --seed {failure['seed']}")
            self.assertIn("latency: ", failure["what"])
            self.assertIn(f"\n  haste-{failure['seed']}: {failure['what']}\n", said + "\n")
            self.assertEqual(failure["outcome"], "")
        kept = (self.directory / "state" / "failures").iterdir()
        self.assertEqual({path.stem for path in kept}, {f"haste-{SEED + n}" for n in range(MOST_KEPT)})
        self.assertNotIn("only counted", said)

    def test_shrinks_later_what_it_could_not_when_it_was_stopped(self):
        haste = self.haste()
        with self.start(haste, "--rounds", 1) as process:
            for line in process.stdout:
                if " 5 failed, up to seed " in line:
                    break
            process.send_signal(signal.SIGKILL)
        self.assertIn("", [failure["outcome"] for failure in self.state()["failures"]])
        self.soak(haste, "--rounds", 0, code=1)
        self.assertEqual(self.state()["rounds"], 1)
        self.assertTrue(all(failure["outcome"].startswith("shrunk: ") for failure in self.state()["failures"]))

    def test_takes_the_end_of_a_process_for_a_failure_and_keeps_it_although_it_cannot_be_shrunk(self):
        scenario = self.scenario("long", LONG)
        with self.start(scenario, "--rounds", 1) as process:
            os.kill(wait_for(lambda: workers(scenario))[0], signal.SIGKILL)
            said = process.stdout.read()
        self.assertEqual(process.returncode, 1, said)
        state = self.state()
        self.assertEqual(state["scenarios"], {str(scenario): [SEEDS_A_ROUND, 1]})
        (failure,) = state["failures"]
        self.assertIn("signal 9", failure["what"])
        self.assertRegex(failure["outcome"], "not shrunk: .*does not fail")
        note = self.directory / "state" / "failures" / f"long-{failure['seed']}.txt"
        self.assertIn("not shrunk", note.read_text())

    def test_takes_a_run_that_does_not_end_for_a_failure(self):
        scenario = self.scenario("long", LONG)
        with self.start(scenario, "--rounds", 1, "--run-seconds", 12) as process:
            os.kill(wait_for(lambda: workers(scenario))[0], signal.SIGSTOP)
            said = process.stdout.read()
        self.assertEqual(process.returncode, 1, said)
        state = self.state()
        self.assertEqual(state["scenarios"], {str(scenario): [SEEDS_A_ROUND, 1]})
        self.assertIn("had not ended", state["failures"][0]["what"])

    def test_finds_a_planted_bug(self):
        if not HAS_MUTANTS:
            self.skipTest("this build has no mutants")
        mutant = ("--mutant", "commit-alone")
        # More failures than a swarm takes unless told: none of the runs is left out.
        self.soak("election_storm", "calm", "election", "--rounds", 1, *mutant, code=1)
        self.assertEqual(set(map(tuple, self.state()["scenarios"].values())), {(SEEDS_A_ROUND, SEEDS_A_ROUND)})
        kept = self.directory / "state" / "failures" / f"election_storm-{SEED}.textproto"
        self.assertEqual(self.run_file(kept, *mutant).returncode, 1)
        self.assertEqual(self.run_file(kept).returncode, 0)
        for failure in self.state()["failures"]:
            self.assertIn("--mutant commit-alone", failure["command"])

    def test_says_that_its_state_is_damaged(self):
        self.soak("election", "--rounds", 1)
        path = self.directory / "state" / "state.json"
        whole = path.read_text()
        for damaged in (whole[: len(whole) // 2], "", "[]", whole.replace('"runs": 5', '"runs": 6')):
            self.assertNotEqual(damaged, whole)
            path.write_text(damaged)
            said = self.soak("election", "--rounds", 1, code=2)
            self.assertIn(f"{path} is damaged", said)
            self.assertNotIn("Traceback", said)
            self.assertEqual(path.read_text(), damaged)
        self.soak("election", "--rounds", 0, "--anew")
        self.assertEqual((self.directory / "state" / "before-1" / "state.json").read_text(), damaged)
        self.assertEqual(self.state()["rounds"], 0)

    def test_does_not_mix_the_sums_of_two_builds(self):
        haste = self.haste()
        self.soak(haste, "--rounds", 1, code=1)
        old = self.sums()
        self.program = self.directory / "dogfs-sim"
        shutil.copy(PROGRAM, self.program)
        with open(self.program, "ab") as file:
            file.write(b"another build")
        said = self.soak(haste, "--rounds", 0)
        self.assertIn("another build", said)
        self.assertEqual(self.state()["rounds"], 0)
        self.assertEqual(self.sums("state/before-1"), old)
        self.assertEqual(len(list((self.directory / "state" / "before-1" / "failures").glob("*.textproto"))), MOST_KEPT)
        haste.write_text(HASTE.replace("3000", "3001"))
        self.assertIn("of other scenarios", self.soak(haste, "--rounds", 0))

    def test_leaves_nothing_running_when_it_is_killed(self):
        scenario = self.scenario("long", LONG)
        with self.start(scenario) as process:
            wait_for(lambda: workers(scenario))
            process.kill()
        wait_for(lambda: not processes(f"\0{scenario}"), seconds=0.5)

    def test_says_that_it_cannot_make_its_state(self):
        said = self.soak("election", state="/proc/no-such-directory", code=2)
        self.assertIn("soak: ", said)
        self.assertIn("/proc/no-such-directory", said)
        self.assertNotIn("Traceback", said)

    def test_refuses_to_go_on_with_another_soak(self):
        self.soak("election", "--rounds", 1)
        for words, options in (("calm", {}), ("election", {"seed": 5})):
            said = self.soak(words, "--rounds", 1, code=2, **options)
            self.assertIn(f"has a soak of election --seed {SEED}", said)
        with self.start("election") as process:
            wait_for(lambda: processes(f"\0{SEED + SEEDS_A_ROUND}.."))
            self.assertIn("another soak is at work", self.soak("election", code=2))
            process.kill()


class Failures(unittest.TestCase):
    """What a state makes of the failures of reports, without a simulator."""

    def setUp(self):
        self.directory = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.state = soak_state.State("build", "commit", "begun", [], "", 1, 1)

    def add_round(self, seeds: range, scenarios: tuple[str, ...], what: str = "oracle: no {}\nmore"):
        failures = [{"scenario": name, "seed": str(seed), "what": what.format(seed), "command": f"run {name} {seed}"}
                    for name in scenarios for seed in reversed(seeds)]  # fmt: skip
        runs = [{"scenario": name, "runs": str(len(seeds)), "failed": str(len(seeds))} for name in scenarios]
        report = {name: str(len(failures)) for name in soak_state.TOTALS}
        report |= {"faults": [], "harms": [], "marks": [], "has_marks": False, "scenarios": runs, "failures": failures}
        self.state.add_round(report, seeds.stop)

    def test_are_recorded_of_each_scenario_up_to_a_limit(self):
        most, over = soak_state.MOST_RECORDED_A_SCENARIO, 7
        for first in range(0, most, 500):
            self.add_round(range(first, first + 500), ("many", "few") if first == 0 else ("many",))
        self.add_round(range(most, most + over), ("many",))
        recorded = {name: [failure.seed for failure in self.state.further if failure.scenario == name]
                    for name in ("many", "few")}  # fmt: skip
        self.assertEqual(recorded, {"many": list(range(MOST_KEPT, most)), "few": list(range(MOST_KEPT, 500))})
        self.assertEqual([(kept.scenario, kept.seed) for kept in self.state.failures],
                         [(name, seed) for seed in range(MOST_KEPT) for name in ("few", "many")])  # fmt: skip
        said = summary(self.state, self.directory)
        self.assertIn("\n  few-499: oracle: no 499\n", said, "a line each")
        self.assertIn(f"\n{over} more of many are only counted.", said)
        self.assertNotIn("more of few", said)

    def test_have_texts_up_to_a_limit(self):
        self.add_round(range(MOST_KEPT + 1), ("wordy",), "x" * (soak_state.MOST_TEXT_RECORDED + 1))
        self.assertEqual(self.state.further[0].what, "x" * soak_state.MOST_TEXT_RECORDED)

    def test_are_in_the_file(self):
        self.add_round(range(10), ("calm",))
        soak_state.save(self.directory, self.state)
        self.assertEqual(soak_state.load(self.directory), self.state)
        self.assertEqual(len(self.state.further), 10 - MOST_KEPT)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("program", type=Path)
    arguments, rest = parser.parse_known_args()
    PROGRAM = arguments.program.resolve()
    listing = subprocess.run([PROGRAM, "list"], capture_output=True, text=True, check=True).stdout
    HAS_MUTANTS = "not in this build" not in listing
    unittest.main(argv=[__file__, *rest])
