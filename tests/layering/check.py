#!/usr/bin/env python3
"""Checks that the tree keeps its layers: tests/layering/check.py ROOT

Prints each violation as FILE:LINE: what and why, and fails when there is one. What
is allowed stands in rules.py.
"""
import functools
import os
import pathlib
import re
import sys

import graph
import rules

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
OURS = ("coordinator/", "participant/", "wal/", "examples/", "tests/", "thrift/")
COMMENT_OR_STRING = re.compile(
    r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)


def under(path, folder):
    return path == folder or path.startswith(folder + "/")


def matches(header, entries):
    return any(header.startswith(e) if e.endswith("/") else header == e for e in entries)


@functools.cache
def kinds_of(header):
    """Which kinds of impurity a header brings."""
    return [kind for kind, entries in rules.IMPURE_HEADERS.items()
            if matches(header, entries)]


def code_only(text):
    """The text without comments and strings, its line numbers kept."""
    def blank(match):
        return re.sub(r"[^\n]", " ", match.group())
    return COMMENT_OR_STRING.sub(blank, text)


class Source:
    """A .h or .cc file, by its path from the root, and its includes."""

    def __init__(self, root, path):
        self.path = path
        self.folder = os.path.dirname(path)
        self.text = (root / path).read_text(encoding="utf-8")
        self.includes = []  # (line, quoted, header)
        for number, line in enumerate(self.text.splitlines(), 1):
            match = INCLUDE.match(line)
            if match:
                self.includes.append((number, match.group(1) == '"', match.group(2)))

    def targets(self):
        """Of each include of ours: its line, the header, and the folder it lies in."""
        for line, quoted, header in self.includes:
            if header.startswith("concordat_wire/"):
                yield line, header, rules.GENERATED
            elif is_ours(quoted, header):
                yield line, header, os.path.dirname(header)

    def pure(self):
        return any(under(self.folder, pure) for pure in rules.PURE)


def is_ours(quoted, header):
    # <thrift/...> is Thrift's own, "thrift/rpc/..." is ours.
    return header.startswith(OURS) and (quoted or not header.startswith("thrift/"))


class Checker:
    def __init__(self, root):
        self.root = pathlib.Path(root)
        self.violations = []
        self.files = sorted(self.walk())
        self.sources = {path: Source(self.root, path) for path in self.files
                        if path.endswith((".h", ".cc"))}

    def walk(self):
        for top in sorted(rules.TOP_LEVEL):
            if (self.root / top).is_file():
                yield top
            for folder, subfolders, files in os.walk(self.root / top):
                subfolders[:] = [s for s in subfolders
                                 if s not in ("__pycache__", "node_modules")]
                for name in files:
                    path = pathlib.Path(folder, name).relative_to(self.root)
                    yield path.as_posix()

    def report(self, path, line, what):
        self.violations.append(f"{path}:{line}: {what}")

    def run(self):
        self.check_top_level()
        self.check_sizes()
        self.check_libraries()
        self.check_circles()
        self.check_rules_are_used()
        for source in self.sources.values():
            self.check_form(source)
            self.check_direction(source)
            if source.pure():
                self.check_purity(source)
        return self.violations

    def check_top_level(self):
        for entry in sorted(os.listdir(self.root)):
            if entry.startswith(".") or re.match(rules.TOP_LEVEL_IGNORED, entry):
                continue
            if entry not in rules.TOP_LEVEL:
                self.report(entry, 1, "does not belong at the top level")

    def check_sizes(self):
        for path in self.files:
            if os.path.splitext(path)[1] not in rules.COUNTED_SUFFIXES:
                continue
            lines = (self.root / path).read_bytes().count(b"\n")
            if lines > rules.MAX_LINES:
                self.report(path, lines, f"over {rules.MAX_LINES} lines")

    def check_libraries(self):
        """One library a folder; a folder of programs has none."""
        folders = {s.folder for s in self.sources.values()
                   if any(under(s.folder, f) for f in rules.ONE_LIBRARY_UNDER)}
        for folder in sorted(folders):
            cmake = self.root / folder / "CMakeLists.txt"
            if not cmake.exists():
                self.report(folder, 1, "has sources but no CMakeLists.txt")
                continue
            text = re.sub(r"#[^\n]*", "", cmake.read_text(encoding="utf-8"))
            libraries = len(re.findall(r"\b(?:concordat|add)_library\s*\(", text))
            programs = len(re.findall(r"\badd_executable\s*\(", text))
            wanted = rules.LIBRARIES.get(folder, 1)
            if libraries != wanted and not (libraries == 0 and programs > 0):
                self.report(f"{folder}/CMakeLists.txt", 1,
                            f"{libraries} libraries in a folder, wanted {wanted}")

    @functools.cached_property
    def folders(self):
        """Which folder includes which: folder -> {other folder: (file, line)}."""
        edges = {}
        for source in self.sources.values():
            for line, _, target in source.targets():
                if target != source.folder:
                    edges.setdefault(source.folder, {}).setdefault(
                        target, (source.path, line))
        return edges

    def check_circles(self):
        for circle in graph.circles(self.folders):
            for folder in circle:
                for target, (path, line) in sorted(self.folders[folder].items()):
                    if target in circle:
                        self.report(path, line, f"{folder} and {target} are in a circle "
                                    f"of folders that include each other: "
                                    + ", ".join(circle))

    def check_rules_are_used(self):
        """A folder that may see more than it looks at is not as the picture shows it."""
        for key, allowed in rules.ALLOWED.items():
            if key == "tests":
                continue
            seen = {target for folder, targets in self.folders.items()
                    if self.key_of(folder) == key for target in targets}
            for entry in allowed:
                if not any(under(target, entry) for target in seen):
                    self.report("tests/layering/rules.py", 1,
                                f"{key} may include {entry}, and nothing there does")

    @staticmethod
    def key_of(folder):
        """The rule that holds for a folder: that of the longest key it lies under."""
        return max((key for key in rules.ALLOWED if under(folder, key)), key=len,
                   default=None)

    def check_form(self, source):
        for line, quoted, header in source.includes:
            for banned, why in rules.BANNED_HEADERS.items():
                if matches(header, [banned]):
                    self.report(source.path, line, f"includes {header}: {why}")
            if ".." in header.split("/"):
                self.report(source.path, line, f"includes {header} by a relative path")
            elif quoted and (self.root / source.folder / header).exists():
                # A relative include would go round the rules.
                if not (self.root / header).exists():
                    self.report(source.path, line,
                                f"includes {header} not written from the root")
            if is_ours(quoted, header) and not (self.root / header).exists():
                self.report(source.path, line, f"includes {header}, which is not there")

    def check_direction(self, source):
        key = self.key_of(source.folder)
        if key is None:
            self.report(source.path, 1, "lies in a folder that rules.py does not know")
            return
        for line, header, target in source.targets():
            if not self.may_include(key, target):
                self.report(source.path, line, f"{key} must not include {header}")

    @staticmethod
    def may_include(key, target):
        if any(under(target, allowed) for allowed in rules.ALLOWED[key]):
            return True
        return under(target, key)

    def check_purity(self, source):
        for header, chain in self.reachable(source):
            for kind in kinds_of(header):
                line, via = chain
                by_way = f" by way of {via}" if via else ""
                self.report(source.path, line,
                            f"pure code reaches {kind}: <{header}>{by_way}")
        text = code_only(source.text)
        for kind, names in rules.IMPURE_NAMES.items():
            for match in re.finditer(names, text):
                line = text.count("\n", 0, match.start()) + 1
                self.report(source.path, line,
                            f"pure code uses {kind}: {match.group().strip()}")

    def reachable(self, source):
        """Each header that is included, with the line and the way to it."""
        seen = set()
        for line, quoted, header in source.includes:
            yield header, (line, "")
            pending = [header] if is_ours(quoted, header) else []
            while pending:
                path = pending.pop()
                if path in seen or path not in self.sources:
                    continue
                seen.add(path)
                excused = rules.PURE_BY_CONTRACT.get(path, [])
                for _, inner_quoted, inner in self.sources[path].includes:
                    if inner not in excused:
                        yield inner, (line, path)
                    if is_ours(inner_quoted, inner):
                        pending.append(inner)


def check(root):
    return Checker(root).run()


def main():
    violations = check(sys.argv[1])
    for violation in violations:
        print(violation)
    print(f"layering: {len(violations)} violations")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
