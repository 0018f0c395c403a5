#!/usr/bin/env python3
"""Each test that docs/known_bugs.md names exists, and each that is named for a bug of others is in its table."""

import os
import re
import unittest
from pathlib import Path

ROOT = Path(os.environ.get("DOGFS_SOURCE_DIR", Path(__file__).resolve().parents[2]))
# As in `Suite.Hdfs123Name` and `Other.Hdfs123Name` in `core/some_test.cc`
PLACES = re.compile(r"((?:`\w+\.\w+`(?: and )?)+) in `([\w/]+\.cc)`")
DEFINED = re.compile(r"^TEST(?:_F|_P)?\((\w+), ((?:Hdfs|Hdds|Hadoop|Ceph)\d+\w+)\)", re.MULTILINE)


def named_tests():
    """What the table names: (bug as tests spell it, file, test)."""
    for row in (ROOT / "docs" / "known_bugs.md").read_text().splitlines():
        if not row.startswith("| H") and not row.startswith("| Ceph"):
            continue
        _, bug, _, tests, _ = row.split("|")
        for names, file in PLACES.findall(tests):
            for name in re.findall(r"`([\w.]+)`", names):
                yield re.sub(r"[^A-Za-z0-9]", "", bug).capitalize(), file, name


def defined_tests():
    for path in sorted((ROOT / "tests").rglob("*_test.cc")):
        for suite, name in DEFINED.findall(path.read_text()):
            yield path.relative_to(ROOT / "tests").as_posix(), f"{suite}.{name}"


class KnownBugs(unittest.TestCase):
    def test_the_table_names_the_tests_that_there_are(self):
        named = [(file, test) for _, file, test in named_tests()]
        self.assertGreater(len(named), 14)
        self.assertEqual(sorted(named), sorted(defined_tests()))

    def test_each_is_named_for_its_bug(self):
        for bug, _, test in named_tests():
            self.assertTrue(test.split(".")[1].startswith(bug), f"{test} is no test of {bug}")


if __name__ == "__main__":
    unittest.main()
