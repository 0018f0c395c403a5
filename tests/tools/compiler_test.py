#!/usr/bin/env python3
"""CMake refuses the compilers that miscompile coroutines, with a message that says so and what to do."""

import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

ROOT = Path(os.environ.get("DOGFS_SOURCE_DIR", Path(__file__).resolve().parents[2]))


def check_compiler(compiler_id, version):
    """Runs the check by itself, as if CMake had found such a compiler: (exit code, what it said in one line)."""
    done = subprocess.run(
        ["cmake", f"-DCMAKE_CXX_COMPILER_ID={compiler_id}", f"-DCMAKE_CXX_COMPILER_VERSION={version}", "-P",
         ROOT / "cmake" / "dogfs_compiler.cmake"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode, " ".join(done.stderr.split())


class Compiler(unittest.TestCase):
    def assert_refusal(self, code, text):
        self.assertNotEqual(code, 0)
        self.assertIn("GCC before 13 miscompiles coroutines", text)
        self.assertIn("clang++-19", text)

    def test_gcc_before_13_is_refused_with_the_reason(self):
        for version in ("11.4.0", "12.2.0", "12.99"):
            self.assert_refusal(*check_compiler("GNU", version))

    def test_gcc_13_and_clang_are_taken(self):
        for compiler_id, version in (("GNU", "13.1.0"), ("GNU", "14.2.0"), ("Clang", "19.1.7")):
            self.assertEqual(check_compiler(compiler_id, version), (0, ""))

    @unittest.skipUnless(shutil.which("g++-12"), "there is no g++-12 here")
    def test_the_project_is_not_configured_with_a_real_gcc_12(self):
        with tempfile.TemporaryDirectory() as build:
            done = subprocess.run(["cmake", "-S", ROOT, "-B", build, "-DCMAKE_CXX_COMPILER=g++-12"],
                                  capture_output=True, text=True, check=False)  # fmt: skip
            self.assert_refusal(done.returncode, " ".join(done.stderr.split()))


if __name__ == "__main__":
    unittest.main()
