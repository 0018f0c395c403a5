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


class Marks(unittest.TestCase):
    def check(self, busy, idle=None):
        """What was missed, and what was said."""
        with contextlib.redirect_stdout(io.StringIO()) as said:
            missed = bench_repair.check_marks(busy, idle)
        return missed, said.getvalue()

    def test_are_met_by_a_repair_that_nobody_feels(self):
        missed, said = self.check(run(latencies(), 1.0), run(None, 2.0))
        self.assertEqual(missed, [])
        self.assertEqual(said.count(": met"), 3)

    def test_are_missed_by_a_repair_that_slows_clients_down(self):
        missed, _ = self.check(run(latencies(repair=[100.0] * 100)))
        self.assertEqual(len(missed), 2)

    def test_are_missed_where_repair_is_not_held_back_for_clients(self):
        missed, _ = self.check(run(latencies(), 1.0), run(None, 1.0))
        self.assertEqual(missed, ["rate of repair without clients, of that beside them"])

    def test_are_missed_by_a_phase_without_operations(self):
        for phase in ("degraded", "repair"):
            missed, said = self.check(run(latencies(**{phase: []})))
            self.assertEqual(len(missed), 2, "reads and writes")
            self.assertIn(f"no read in {phase}: MISSED", said)
        measured = latencies()
        measured["repair", "write"] = []
        missed, _ = self.check(run(measured))
        self.assertEqual(missed, ["writes' p99 during repair, of that before repair began"])

    def test_do_not_need_the_other_phases(self):
        self.assertEqual(self.check(run(latencies(before=[], after=[])))[0], [])

    def test_fail_the_bench_only_when_it_is_strict(self):
        missed, _ = self.check(run(latencies(repair=[])))
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
