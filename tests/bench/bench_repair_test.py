"""What bench_repair.py makes of the latencies that it measured."""

import collections
import contextlib
import io
import sys
import types
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.dont_write_bytecode = True
from bench import bench_repair  # noqa: E402


def latencies(**by_phase):
    """The same of reads and writes; of each phase a hundred operations unless told, one of which was slow."""
    found = collections.defaultdict(list)
    for phase in bench_repair.PHASES:
        for kind in bench_repair.KINDS:
            found[phase, kind] = list(by_phase.get(phase, [10.0] * 99 + [20.0]))
    return found


def run(measured, rate=1.0):
    return types.SimpleNamespace(latencies=measured, rate=lambda: rate)


def slowed(factor, rate=1.0):
    """A run in which the clients felt repair by that factor."""
    return run(latencies(repair=[10.0 * factor] * 98 + [20.0 * factor] * 2), rate)


IDLE_RATE = "rate of repair without clients, of that beside them"
MEDIANS = [f"{kind}s' p50 during repair, of that before repair began" for kind in ("read", "write")]
LIMITS = [f"{kind}s' p99 during repair without its limit, of that with it" for kind in ("read", "write")]


class Marks(unittest.TestCase):
    def check(self, **runs):
        """What was missed, and what was said."""
        with contextlib.redirect_stdout(io.StringIO()) as said:
            missed = bench_repair.check_marks(runs)
        return missed, said.getvalue()

    def test_are_met_by_a_repair_that_is_held_back_for_clients(self):
        missed, said = self.check(busy=slowed(1.5), unlimited=slowed(15), idle=run(None, 2.0))
        self.assertEqual(missed, [])
        self.assertEqual(said.count(": met"), 5)

    def test_are_missed_by_a_repair_that_slows_clients_down(self):
        self.assertEqual(self.check(busy=slowed(3))[0], MEDIANS)

    def test_are_missed_by_a_limit_that_does_nothing_for_clients(self):
        self.assertEqual(self.check(busy=slowed(2), unlimited=slowed(3))[0], LIMITS)

    def test_are_missed_where_repair_is_not_held_back_for_clients(self):
        self.assertEqual(self.check(busy=slowed(1), idle=run(None, 1.9))[0], [IDLE_RATE])

    def test_are_missed_by_a_phase_without_operations(self):
        for phase in ("degraded", "repair"):
            missed, said = self.check(busy=run(latencies(**{phase: []})))
            self.assertEqual(missed, MEDIANS)
            self.assertEqual(said.count("no operation to compare: MISSED"), 2)
        measured = latencies()
        measured["repair", "write"] = []
        self.assertEqual(self.check(busy=run(measured))[0], MEDIANS[1:])
        self.assertEqual(self.check(busy=slowed(1), unlimited=run(latencies(repair=[])))[0], LIMITS)

    def test_do_not_need_the_other_phases(self):
        quiet = run(latencies(before=[], after=[]))
        self.assertEqual(self.check(busy=quiet)[0], [])
        unlimited = slowed(15)
        for kind in bench_repair.KINDS:
            unlimited.latencies["degraded", kind].clear()
        self.assertEqual(self.check(busy=slowed(1), unlimited=unlimited)[0], [])

    def test_are_only_of_the_runs_that_were_asked_for(self):
        missed, said = self.check(unlimited=slowed(15), idle=run(None, 1.0))
        self.assertEqual((missed, said.count("\n")), ([], 1))

    def test_fail_the_bench_only_when_it_is_strict(self):
        missed, _ = self.check(busy=run(latencies(repair=[])))
        self.assertEqual(bench_repair.exit_code([], missed, strict=True), 1)
        self.assertEqual(bench_repair.exit_code([], missed, strict=False), 0)
        self.assertEqual(bench_repair.exit_code(["a read was wrong"], [], strict=False), 1)
        self.assertEqual(bench_repair.exit_code([], [], strict=True), 0)


class Table(unittest.TestCase):
    def test_has_each_phase_against_that_before(self):
        measured = latencies(degraded=[15.0] * 99 + [50.0], repair=[20.0] * 99 + [30.0])
        _, read, ratios, counts, *_ = bench_repair.latency_table(measured)
        self.assertEqual(read.split()[1:9], "p50 10.0 p99 20.0 p50 15.0 p99 50.0".split())
        self.assertEqual(ratios.split()[2:14], "p50 1.00 p99 1.00 p50 1.50 p99 2.50 p50 2.00 p99 1.50".split())
        self.assertEqual(counts.split(), ["100", "op"] * 4)

    def test_has_no_ratio_where_a_phase_has_no_operation(self):
        _, _, ratios, *_ = bench_repair.latency_table(latencies(degraded=[]))
        self.assertEqual(ratios.split()[6], "-")
        _, _, ratios, *_ = bench_repair.latency_table(latencies(before=[]))
        self.assertEqual(ratios.split()[2:], ["-"] * 4)


if __name__ == "__main__":
    unittest.main()
