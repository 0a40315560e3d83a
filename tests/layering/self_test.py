#!/usr/bin/env python3
"""Proves that the layering check fails: plants one violation at a time in a copy.

    tests/layering/self_test.py ROOT
"""
import pathlib
import shutil
import sys
import tempfile
import unittest

import check
import graph
import picture
import rules

ROOT = pathlib.Path(sys.argv.pop(1)) if len(sys.argv) > 1 else pathlib.Path(".")
PLANT = "planted_violation"


def include(header):
    return f"#include {header}\n"


class Planted(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="concordat-layering-")
        cls.addClassCleanup(folder.cleanup)
        cls.root = pathlib.Path(folder.name)
        for top in rules.TOP_LEVEL:
            if (ROOT / top).is_dir():
                shutil.copytree(ROOT / top, cls.root / top)
            elif (ROOT / top).exists():
                shutil.copy(ROOT / top, cls.root / top)
        cls.before = set(check.check(cls.root))

    def setUp(self):
        self.after = None  # what the check says since the last plant

    def plant(self, path, text):
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        self.after = None
        self.addCleanup(self.uproot, file)

    def uproot(self, file):
        file.unlink(missing_ok=True)
        while not any(file.parent.iterdir()):
            file = file.parent
            file.rmdir()

    def found(self):
        if self.after is None:
            self.after = sorted(set(check.check(self.root)) - self.before)
        return self.after

    def assert_found(self, path, *parts):
        """One new violation names the path and says the parts."""
        found = self.found()
        for part in parts:
            self.assertTrue(any(v.startswith(path) and part in v for v in found),
                            f"nothing on {path} says '{part}': {found}")

    def assert_clean(self, path):
        self.assertEqual([v for v in self.found() if v.startswith(path + ":")], [])

    def test_pure_folder_that_includes_an_impure_header_is_found(self):
        planted = [(kind, h + "x.h" if h.endswith("/") else h)
                   for kind, headers in rules.IMPURE_HEADERS.items() for h in headers]
        for folder in rules.PURE:
            self.plant(f"{folder}/{PLANT}.cc",
                       "".join(include(f"<{header}>") for _, header in planted))
        found = self.found()
        for folder in rules.PURE:
            for line, (kind, header) in enumerate(planted, 1):
                wanted = f"{folder}/{PLANT}.cc:{line}: pure code reaches {kind}: <{header}>"
                self.assertIn(wanted, found)

    def test_pure_folder_that_reaches_one_through_our_own_header_is_found(self):
        self.plant(f"coordinator/base/{PLANT}.h", include("<chrono>"))
        self.plant(f"coordinator/base/{PLANT}_2.h",
                   include(f'"coordinator/base/{PLANT}.h"'))
        path = f"coordinator/raft/{PLANT}.cc"
        self.plant(path, "\n" + include(f'"coordinator/base/{PLANT}_2.h"'))
        self.assert_found(f"{path}:2", f"<chrono> by way of coordinator/base/{PLANT}.h")

    def test_pure_folder_that_uses_an_impure_name_is_found(self):
        planted = [
            ("clock", "auto t = std::chrono::steady_clock::now();"),
            ("clock", "auto t = time(nullptr);"),
            ("clock", "SystemClock clock;"),
            ("randomness", "int r = rand();"),
            ("randomness", "std::random_device device;"),
            ("randomness", "auto r = SystemRandom64();"),
            ("threads", "std::atomic<int> n;"),
            ("threads", "thread_local int n;"),
            ("logging", 'LogEvent(Level::kInfo, "x");'),
            ("I/O", 'printf("x");'),
            ("I/O", 'std::cerr << "x";'),
            ("I/O", "std::ifstream in(path);"),
        ]
        path = f"coordinator/txn/{PLANT}.cc"
        self.plant(path, "".join(code + "\n" for _, code in planted))
        for number, (kind, _) in enumerate(planted, 1):
            self.assert_found(f"{path}:{number}:", f"uses {kind}")

    def test_pure_folder_that_only_speaks_of_them_is_not(self):
        path = f"coordinator/raft/{PLANT}.cc"
        self.plant(path, "// no std::chrono, no rand() here\n/* SystemClock */\n"
                   'const char* kText = "printf(std::cerr)";\n'
                   + include('"coordinator/base/random.h"')
                   + include('"coordinator/base/clock.h"')
                   + include("<sstream>") + include("<ostream>"))
        self.assert_clean(path)

    def test_dependency_that_points_the_wrong_way_is_found(self):
        headers = {
            "coordinator/base": "coordinator/raft", "wal": "coordinator/raft",
            "thrift/rpc": "coordinator/node", "coordinator/raft": "coordinator/txn",
            "coordinator/txn": "coordinator/raft",
            "coordinator/storage": "coordinator/txn",
            "coordinator/rpc": "coordinator/node", "coordinator/node": "coordinator/cli",
            "coordinator/client": "participant/sdk",
            "participant/sdk": "coordinator/client",
            "participant/sdk/core": "participant/sdk",
            "participant/resources/kv": "participant/resources/sqlite",
            "participant/resources/sqlite": "thrift/rpc", "participant/daemon": "coordinator/node",
            "coordinator/daemon": "participant/resources/kv", "coordinator/cli": "participant/sdk",
            "examples/transfer": "coordinator/node",
            "coordinator/embedded": "examples/transfer",
            "participant/resources/postgresql": "coordinator/txn",
        }
        for folder, target in headers.items():
            self.plant(f"{target}/{PLANT}.h", "")
            header = f"{target}/{PLANT}.h"
            self.plant(f"{folder}/{PLANT}_2.cc", include(f'"{header}"'))
        for folder, target in headers.items():
            self.assert_found(f"{folder}/{PLANT}_2.cc:1:",
                              f"must not include {target}/{PLANT}.h")

    def test_generated_code_outside_the_layers_that_speak_thrift_is_found(self):
        folders = ["coordinator/base", "wal", "coordinator/storage",
                   "participant/sdk/core", "examples/transfer"]
        for folder in folders:
            self.plant(f"{folder}/{PLANT}.cc",
                       include('"concordat_wire/types_types.h"'))
        for folder in folders:
            self.assert_found(f"{folder}/{PLANT}.cc", "must not include concordat_wire")

    def test_include_of_tests_is_found_everywhere_else(self):
        self.plant(f"tests/{PLANT}.h", "")
        folders = ["coordinator/embedded", "participant/daemon", "examples/transfer",
                   "wal"]
        for folder in folders:
            self.plant(f"{folder}/{PLANT}.cc", include(f'"tests/{PLANT}.h"'))
        for folder in folders:
            self.assert_found(f"{folder}/{PLANT}.cc", "must not include tests/")

    def test_allowed_dependency_is_not(self):
        self.plant(f"coordinator/raft/{PLANT}.h", "")
        self.plant(f"thrift/rpc/{PLANT}.h", "")
        path = f"coordinator/rpc/{PLANT}.cc"
        self.plant(path, include(f'"coordinator/raft/{PLANT}.h"')
                   + include(f'"thrift/rpc/{PLANT}.h"')
                   + include("<thrift/transport/TBufferTransports.h>")
                   + include('"concordat_wire/types_types.h"'))
        self.assert_clean(path)

    def test_include_that_goes_round_the_rules_is_found(self):
        self.plant(f"coordinator/raft/{PLANT}.h", "")
        path = f"coordinator/raft/{PLANT}.cc"
        self.plant(path, include(f'"{PLANT}.h"') + include(f'"../raft/{PLANT}.h"')
                   + include(f'"coordinator/raft/{PLANT}_missing.h"'))
        self.assert_found(f"{path}:1:", "not written from the root")
        self.assert_found(f"{path}:2:", "by a relative path")
        self.assert_found(f"{path}:3:", "which is not there")

    def test_banned_header_is_found_outside_the_pure_folders_too(self):
        path = f"participant/daemon/{PLANT}.cc"
        self.plant(path, include('"absl/synchronization/mutex.h"')
                   + include('"absl/log/log.h"'))
        self.assert_found(f"{path}:1:", "ThreadSanitizer")
        self.assert_found(f"{path}:2:", "coordinator/base/log.h")

    def test_circle_of_folders_is_found(self):
        self.plant(f"wal/{PLANT}.h", "")
        self.plant(f"thrift/rpc/{PLANT}.h", include(f'"wal/{PLANT}.h"'))
        path = f"wal/{PLANT}.cc"
        self.plant(path, include(f'"thrift/rpc/{PLANT}.h"'))
        self.assert_found(f"{path}:1:", "circle of folders", "thrift/rpc, wal")

    def test_circles_are_those_that_reach_each_other(self):
        edges = {"a": {"b"}, "b": {"c", "d"}, "c": {"a"}, "d": {"e"}, "e": set()}
        self.assertEqual(graph.circles(edges), [["a", "b", "c"]])

    def test_rule_that_nothing_needs_is_found(self):
        rules.ALLOWED["wal"].append("thrift/rpc")
        self.addCleanup(rules.ALLOWED["wal"].remove, "thrift/rpc")
        self.after = None
        self.assert_found("tests/layering/rules.py", "wal may include thrift/rpc")

    def test_picture_leaves_out_what_other_arrows_say(self):
        edges = {"a": ["b", "c"], "b": ["c"], "c": []}
        self.assertEqual(graph.reduced(edges), {"a": ["b"], "b": ["c"], "c": []})
        self.assertEqual(graph.floors(edges), {"a": 2, "b": 1, "c": 0})

    def test_picture_follows_the_rules(self):
        page = f"x\n{picture.BEGIN}\nold\n{picture.END}\ny\n"
        before = picture.with_picture(page)
        self.assertIn("wal --> coordinator_base", before)
        self.assertEqual(picture.with_picture(before), before)
        rules.ALLOWED["wal"].append("thrift/rpc")
        self.addCleanup(rules.ALLOWED["wal"].remove, "thrift/rpc")
        self.assertIn("wal --> thrift_rpc", picture.with_picture(page))

    def test_folder_without_a_rule_is_found(self):
        self.plant(f"coordinator/{PLANT}/a.cc", "")
        self.assert_found(f"coordinator/{PLANT}/a.cc", "rules.py does not know")

    def test_long_file_is_found(self):
        suffixes = [".cc", ".py", ".thrift", ".sh"]
        for suffix in suffixes:
            self.plant(f"wal/{PLANT}{suffix}", "\n" * (rules.MAX_LINES + 1))
        self.plant(f"wal/{PLANT}_2.cc", "\n" * rules.MAX_LINES)
        for suffix in suffixes:
            self.assert_found(f"wal/{PLANT}{suffix}", "over 600 lines")
        self.assert_clean(f"wal/{PLANT}_2.cc")

    def test_stranger_at_the_top_level_is_found(self):
        self.plant(f"{PLANT}.md", "")
        self.plant(f"src/{PLANT}.cc", "")
        self.assert_found(f"{PLANT}.md", "top level")
        self.assert_found("src", "top level")

    def test_second_library_in_a_folder_and_none_are_found(self):
        self.plant(f"participant/{PLANT}/a.cc", "")
        self.assert_found(f"participant/{PLANT}", "no CMakeLists.txt")
        cmake = f"participant/{PLANT}/CMakeLists.txt"
        self.plant(cmake, "concordat_library(a SOURCES a.cc)\n"
                   "concordat_library(b SOURCES b.cc)\n")
        self.assert_found(cmake, "2 libraries")
        self.plant(cmake, "# concordat_library(a SOURCES a.cc)\n")
        self.assert_found(cmake, "0 libraries")
        self.plant(cmake, "add_executable(a a.cc)\n")
        self.assert_clean(cmake)


if __name__ == "__main__":
    unittest.main()
