#!/usr/bin/env python3
"""The usage examples in the headers' comments, as C++ that is compiled.

  header_examples.py --check ROOT            fails when examples and preludes do not match
  header_examples.py --generate ROOT OUT     writes OUT/<folder>.cc, one a folder of FOLDERS

A block is a run of comment lines with at least three spaces after the slashes. It is an
example, and not a table, a diagram or a format, when one of its lines ends in ";" or "{"
and its first line neither begins with "-" or a digit, nor has columns, that is, two spaces
in a row before its comment. In an example:

  - everything but an ellipsis ("…" or "...") is compiled, so an ellipsis may stand only
    in braces or on a line of its own;
  - a value that no reader needs to see is a variable, which the prelude declares.

The prelude of a header is a file of this folder whose first include is that header. It
has one line "// EXAMPLE" for each example of the header, in order, and what the examples
need around them: a function, its parameters, classes of the reader's own.
"""
import re
import sys
from pathlib import Path

FOLDERS = ["coordinator", "examples", "participant", "thrift", "wal"]
MARK = "// EXAMPLE"


def code_of(text):
    """A line without its trailing comment and without the spaces before that."""
    return re.sub(r"\s*//.*", "", text).rstrip()


def is_example(block):
    first = code_of(block[0][1].lstrip())
    if first.startswith("-") or first[:1].isdigit() or "  " in first:
        return False
    return any(code_of(text).endswith((";", "{")) for _, text in block)


def examples(header):
    """The examples of a header: lists of (line number, text)."""
    found, block = [], []
    for number, line in enumerate(header.read_text().splitlines() + [""], 1):
        comment = re.match(r"\s*//   (.*)$", line)
        if comment:
            block.append((number, comment.group(1)))
        elif block:
            if is_example(block):
                found.append(block)
            block = []
    return found


def without_ellipses(text):
    """Leaves those in a string literal alone."""
    pieces = re.split(r'("(?:[^"\\]|\\.)*"|//.*)', text)
    return "".join(piece if i % 2 else re.sub(r"…|\.\.\.", "", piece)
                   for i, piece in enumerate(pieces))


def preludes(root):
    """(header, prelude, its text) of each file of this folder, by the header's name."""
    for path in sorted((root / "tests/header_examples").glob("*/**/*.cc")):
        text = path.read_text()
        include = re.search(r'^#include "([^"]+)"', text, re.MULTILINE)
        yield (include.group(1) if include else ""), path, text


def check(root):
    problems = []
    have = {}
    for header, path, text in preludes(root):
        name = path.relative_to(root)
        if header in have:
            problems.append(f"{name}: {header} has a prelude already: {have[header]}")
        have[header] = name
        if not (root / header).is_file():
            problems.append(f"{name}: its first include, \"{header}\", is not there")
            continue
        marks, found = text.count(MARK), len(examples(root / header))
        if marks != found:
            problems.append(f"{name}: {marks} lines \"{MARK}\", "
                            f"but {header} has {found} examples")
    for folder in FOLDERS:
        for path in sorted((root / folder).glob("**/*.h")):
            header = str(path.relative_to(root))
            if header not in have and (found := examples(path)):
                problems.append(f"{header}:{found[0][0][0]}: an example without a prelude "
                                f"in tests/header_examples")
    return problems, len(have)


def compiled(root, header, text):
    """The prelude with the header's examples in it, without its includes."""
    found = iter(examples(root / header))
    lines = []
    for line in text.splitlines():
        if line.startswith("#include") or line.strip() != MARK:
            lines.append("" if line.startswith("#include") else line)
            continue
        block = next(found, [])
        for number, example in block:
            lines += [f'#line {number} "{root / header}"', without_ellipses(example)]
    return lines


def generate(root, out):
    inputs = set()
    for folder in FOLDERS:
        includes, bodies = [], []
        for header, path, text in preludes(root):
            if header.split("/")[0] != folder or not (root / header).is_file():
                continue
            inputs |= {str(path), str(root / header)}
            for line in text.splitlines():
                if line.startswith("#include") and line not in includes:
                    includes.append(line)
            bodies += [f'#line 1 "{path}"', *compiled(root, header, text)]
        content = "\n".join(includes + bodies) + "\n"
        target = out / f"{folder}.cc"
        if not target.is_file() or target.read_text() != content:
            target.write_text(content)
    depfile = " ".join([f"{out / FOLDERS[0]}.cc:", *sorted(inputs)])
    (out / "header_examples.d").write_text(depfile + "\n")


def main(arguments):
    root = Path(arguments[1]).resolve()
    if arguments[0] == "--generate":
        generate(root, Path(arguments[2]))
        return 0
    problems, count = check(root)
    print("\n".join(problems) or f"the examples of {count} headers have their preludes")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
