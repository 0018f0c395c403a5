"""What `dogfs-sim` makes of what it is called with: what it cannot take, it refuses with exit code 2, and says which."""

import argparse
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

PROGRAM = Path()
SMALL = """
chunk_servers: 3 clients: 1 policy { data_shards: 1 parity_shards: 1 } work { for_ms: 500 }
faults { at_ms: 100 for_ms: 100 pause { nodes: "chunk-1" } }
"""


class CommandLine(unittest.TestCase):
    def setUp(self):
        self.directory = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.small = self.directory / "small.textproto"
        self.small.write_text(SMALL)

    def run_sim(self, *words, code: int) -> str:
        done = subprocess.run([PROGRAM, *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              check=False)  # fmt: skip
        self.assertEqual(done.returncode, code, f"{words}: {done.stdout}")
        return done.stdout

    def test_refuses_numbers_that_do_not_fit(self):
        for number in ("-1", "99999999999999999999999", "0x10", "010", "1.5"):
            for words in (("run", self.small, "--seed"), ("swarm", self.small, "--seeds"),
                          ("shrink", self.small, "--seed"), ("mutants", "--seeds"), ("years", "--seeds"),
                          ("years", "--blocks"), ("swarm", self.small, "--seeds", 1, "--run-seconds"),
                          ("swarm", self.small, "--seeds", 1, "-j")):  # fmt: skip
                # Not as a word of its own, which might be another option.
                last = str(words[-1])
                given = (f"{last}={number}",) if last.startswith("--") else (f"{last}{number}",)
                self.assertIn(number, self.run_sim(*words[:-1], *given, code=2))
        self.assertIn("seeds", self.run_sim("swarm", self.small, "--seeds", "0..18446744073709551615", code=2))
        self.run_sim("run", self.small, "--seed", 18446744073709551615, code=0)

    def test_runs_an_empty_file(self):
        self.small.write_text("")
        self.run_sim("run", self.small, code=0)

    def test_names_what_is_no_mutant_before_it_hunts(self):
        said = self.run_sim("mutants", "--only", "read-unconfirmed", "calm", code=2)
        self.assertIn("calm", said)
        self.assertNotIn("===", said)

    def test_helps(self):
        self.assertIn("swarm", self.run_sim("help", code=0))
        self.assertIn("swarm", self.run_sim("--help", code=0))
        self.run_sim(code=2)

    def test_all_scenarios_together_have_all_kinds_of_faults(self):
        missing = "NOT COVERED: in no scenario: disk_hangs"
        words = ("--scenarios", self.directory, "swarm", "--seeds", 1, "--coverage")
        self.assertIn(missing, self.run_sim(*words, code=1))
        self.assertNotIn(missing, self.run_sim(*words, "small", code=1))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("program", type=Path)
    arguments, rest = parser.parse_known_args()
    PROGRAM = arguments.program.resolve()
    unittest.main(argv=[sys.argv[0], *rest])
