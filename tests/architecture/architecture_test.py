#!/usr/bin/env python3
"""Holds the tree to the architecture (architecture.py), and the check itself to what it must find."""

import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.dont_write_bytecode = True
import architecture as rules  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]


def findings(path, text):
    return [finding.text for finding in rules.check_source(path, text)]


class TheTree(unittest.TestCase):
    def test_keeps_the_architecture(self):
        found = rules.check_tree(ROOT)
        self.assertEqual(found, [], "\n" + "\n".join(map(str, found)))


class AnEdge(unittest.TestCase):
    def test_against_the_layers_is_found(self):
        for path, include in [
            ("core/base/x.h", "core/env/clock.h"),
            ("core/raft/x.cc", "core/meta/tables.h"),
            ("core/raft/x.cc", "core/ec/codec.h"),
            ("core/client/x.cc", "core/chunk/chunk_server.h"),
            ("core/meta/x.cc", "sim/clock.h"),
            ("core/env/x.h", "net/transport.h"),
            ("sim/x.cc", "runtime/clock.h"),
            ("sim/x.cc", "net/transport.h"),
            ("net/x.cc", "runtime/clock.h"),
            ("net/x.cc", "core/meta/meta_node.h"),
            ("runtime/x.cc", "sim/clock.h"),
        ]:
            with self.subTest(path=path, include=include):
                self.assertEqual(len(findings(path, f'#include "{include}"\n')), 1)

    def test_along_the_layers_is_not(self):
        for path, include in [
            ("core/meta/x.cc", "core/raft/replica.h"),
            ("core/chunk/x.cc", "core/wire/rpc.h"),
            ("sim/x.cc", "core/meta/meta_node.h"),
            ("runtime/x.cc", "net/transport.h"),
            ("tests/sim/x.cc", "sim/clock.h"),
        ]:
            with self.subTest(path=path, include=include):
                self.assertEqual(findings(path, f'#include "{include}"\n'), [])

    def test_from_a_folder_without_a_rule_is_found(self):
        self.assertEqual(len(findings("shiny/x.cc", "int x;\n")), 1)

    def test_by_a_relative_path_is_found(self):
        self.assertEqual(len(findings("core/raft/x.cc", '#include "log.h"\n')), 1)

    def test_in_cmake_is_found(self):
        def findings_of(raft):
            builds = {
                "core/env/CMakeLists.txt": "dogfs_library(dogfs_env SOURCES sync.cc)\n",
                "sim/CMakeLists.txt": "# Two.\ndogfs_library(dogfs_sim_ports SOURCES clock.cc DEPENDS dogfs_env)\n"
                "dogfs_proto_library(dogfs_sim_proto scenario.proto)\n",
                "core/raft/CMakeLists.txt": raft,
            }
            libraries = rules.libraries_declared(builds)
            return [(f.path, f.line) for path, text in builds.items() for f in rules.check_cmake(path, text, libraries)]

        raft = "core/raft/CMakeLists.txt"
        good = "dogfs_library(dogfs_raft SOURCES raft.cc DEPENDS dogfs_env Threads::Threads)\n"
        self.assertEqual(findings_of(good), [])
        for target in ("dogfs_sim_ports", "dogfs_sim_proto"):
            self.assertEqual(findings_of(good.replace("dogfs_env", f"dogfs_env\n  {target}")), [(raft, 1)])
            self.assertEqual(findings_of(f"{good}target_link_libraries(dogfs_raft PRIVATE {target})\n"), [(raft, 2)])


class Impurity(unittest.TestCase):
    BAD_INCLUDES = [
        "<thread>", "<mutex>", "<condition_variable>", "<future>", "<fstream>", "<filesystem>", "<unistd.h>", "<ctime>",
        "<random>", "<iostream>", "<rocksdb/db.h>", "<spdlog/spdlog.h>", "<sys/socket.h>", "<boost/asio.hpp>",
        "<boost/asio/io_context.hpp>", "<boost/asio/ip/tcp.hpp>", "<boost/asio/steady_timer.hpp>",
        "<boost/asio/experimental/parallel_group.hpp>", "<boost/beast/http.hpp>",
    ]  # fmt: skip
    BAD_CODE = [
        "auto t = std::chrono::steady_clock::now();",
        "auto t = std::chrono::system_clock::now();",
        "int r = std::rand();",
        "std::mt19937_64 engine;",
        "std::uniform_int_distribution<int> d(0, 5);",
        'const char* home = getenv("HOME");',
        "std::thread t;",
        "boost::asio::steady_timer timer(executor);",
        "boost::asio::io_context context;",
        "std::unordered_map<int, int> m;",
        "size_t h = std::hash<int>()(5);",
        "std::set<Node*> nodes;",
        "std::map<const Node*, int> ranks;",
    ]

    def test_in_core_or_sim_is_found(self):
        for folder in ("core/base", "core/raft", "sim"):
            for text in [f"#include {name}" for name in self.BAD_INCLUDES] + self.BAD_CODE:
                with self.subTest(folder=folder, text=text):
                    self.assertGreaterEqual(len(findings(f"{folder}/x.cc", text + "\n")), 1)

    def test_in_net_runtime_and_tests_is_free(self):
        for folder in ("net", "runtime", "tests/net"):
            for text in [f"#include {name}" for name in self.BAD_INCLUDES] + self.BAD_CODE:
                with self.subTest(folder=folder, text=text):
                    self.assertEqual(findings(f"{folder}/x.cc", text + "\n"), [])

    def test_in_comments_and_literals_is_free(self):
        text = '// std::thread\n/* steady_clock\n getenv */\nauto s = "std::rand() // x";\nchar c = \'"\'; int d;\n'
        self.assertEqual(findings("core/raft/x.cc", text), [])

    def test_after_a_literal_is_found(self):
        self.assertEqual(len(findings("core/raft/x.cc", 'f("//", std::rand());\n')), 1)

    def test_is_excused_by_a_reason(self):
        line = "std::unordered_map<int, int> m;"
        for text in (
            f"{line}  // architecture: allow unordered: only looked up\n",
            f"// architecture: allow unordered: only looked up\n{line}\n",
        ):
            self.assertEqual(findings("core/raft/x.cc", text), [])
        self.assertEqual(len(findings("core/raft/x.cc", f"{line}  // architecture: allow unordered:\n")), 1)
        self.assertEqual(len(findings("core/raft/x.cc", f"{line}  // architecture: allow hash: wrong rule\n")), 1)

    def test_of_the_grave_kinds_is_never_excused_in_core(self):
        text = "#include <thread>  // architecture: allow thread: the swarm's workers\n"
        self.assertEqual(len(findings("core/raft/x.cc", text)), 1)
        self.assertEqual(findings("sim/x.cc", text), [])


class ASecondDefinition(unittest.TestCase):
    def check(self, a, b):
        return [(f.path, f.line) for f in rules.check_definitions({"a.h": a, "b.h": b})]

    def test_is_found(self):
        a = "namespace dogfs {\nstruct Outlook {\n  int a = 0;\n};\n}\n"
        for b in (
            a,
            "namespace dogfs {\nclass Outlook final : public Base<int> {\n};\n}\n",
            "namespace dogfs {\nenum class Outlook : uint8_t { kGood };\n}\n",
            "namespace dogfs {\nclass [[nodiscard]] Outlook {};\n}\n",
        ):
            with self.subTest(b=b):
                self.assertEqual(self.check(a, b), [("b.h", 2)])
        self.assertEqual(self.check("namespace a::b { struct X {}; }\n", "namespace a { namespace b { struct X {}; } }\n"),
                         [("b.h", 1)])  # fmt: skip

    def test_of_another_scope_is_none(self):
        a = "namespace dogfs {\nstruct X {\n};\n}\n"
        for b in (
            "namespace dogfs {\nstruct X;\n}\n",
            "namespace dogfs {\nnamespace {\nstruct X {\n};\n}\n}\n",
            "namespace dogfs {\nnamespace sim {\nstruct X {\n};\n}\n}\n",
            "namespace dogfs {\nclass Y {\n  struct X {\n  };\n};\n}\n",
            "namespace dogfs {\nvoid f() {\n  struct X {};\n}\n}\n",
            "namespace dogfs {\nvoid f() {}\n}\nstruct X {};\n",
        ):
            with self.subTest(b=b):
                self.assertEqual(self.check(a, b), [])


class APlantedFile(unittest.TestCase):
    def test_fails_the_tree(self):
        with tempfile.TemporaryDirectory() as directory:
            root = Path(directory)
            (root / "core" / "raft").mkdir(parents=True)
            (root / "core" / "raft" / "good.cc").write_text('#include "core/base/result.h"\n')
            self.assertEqual(rules.check_tree(root), [])
            (root / "core" / "raft" / "bad.cc").write_text('#include <mutex>\n#include "sim/clock.h"\n')
            self.assertEqual([(f.path, f.line) for f in rules.check_tree(root)],
                             [("core/raft/bad.cc", 1), ("core/raft/bad.cc", 2)])


if __name__ == "__main__":
    unittest.main()
