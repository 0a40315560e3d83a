#!/usr/bin/env python3
"""Plants bugs, one at a time, and shows that the simulator catches each.

    tests/simulation/mutations.py [--only NAME ...] [--seeds N] [--jobs N] [--list]

A mutation is a change of a few lines in one source file. It is made in a copy of the
tree; the checkout is never touched. The script fails when a mutation does not apply
any more (its place in the source has changed: bring it up to date), does not compile,
or survives all seeds. The unchanged copy must pass first.
"""
import argparse
import os
import pathlib
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time

from mutations_list import MUTATIONS

ROOT = pathlib.Path(__file__).resolve().parents[2]
COPIED = ["CMakeLists.txt", "coordinator", "participant", "thrift", "wal", "tests",
          "examples"]
MEMORY_BYTES = 8 << 30
RUN_SECONDS = 600


def copy_tree(to):
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, to / name)
        elif source.exists():
            shutil.copy2(source, to / name)


def build(tree):
    """Builds the simulator; returns what the build said when it failed."""
    folder = tree / ".build"
    environment = dict(os.environ, CCACHE_BASEDIR=str(tree), CCACHE_NOHASHDIR="1")
    if not (folder / "build.ninja").exists():
        made = subprocess.run(["cmake", "-S", tree, "-B", folder, "-G", "Ninja"],
                              capture_output=True, text=True, env=environment)
        if made.returncode != 0:
            return made.stdout + made.stderr
    # Another ninja than the usual one may be named, to share a machine.
    command = os.environ.get("NINJA", "ninja").split()
    made = subprocess.run([*command, "-C", folder, "simulate"], capture_output=True,
                          text=True, env=environment)
    return None if made.returncode == 0 else made.stdout + made.stderr


def limit_memory():
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))


def run(tree, seeds, jobs):
    """The first seed that failed, with what it said; None when all pass."""
    simulate = tree / ".build/tests/simulation/simulate"
    try:
        done = subprocess.run([simulate, "--seeds", str(seeds), "--jobs", str(jobs),
                               "--quiet"], capture_output=True, text=True,
                              timeout=RUN_SECONDS, preexec_fn=limit_memory)
    except subprocess.TimeoutExpired:
        raise SystemExit(f"the seeds did not end within {RUN_SECONDS} s")
    failed = re.search(r"FAILED  seed (\d+): (.*)", done.stdout)
    if not failed:
        return None
    what = failed.group(2)
    check = re.search(r"check failed: (.*)", done.stderr)
    if check:
        what = "check failed: " + check.group(1)
    return int(failed.group(1)), what


def apply(tree, mutation):
    """Changes the copy; returns the old text of the file."""
    path = tree / mutation.file
    text = path.read_text()
    found = text.count(mutation.old)
    if found != 1:
        raise SystemExit(
            f"{mutation.name} does not apply: the text to replace occurs {found} times "
            f"in {mutation.file}, not once:\n{mutation.old}")
    path.write_text(text.replace(mutation.old, mutation.new))
    return text


def try_mutation(tree, mutation, options):
    start = time.monotonic()
    old_text = apply(tree, mutation)
    try:
        failure = build(tree)
        if failure:
            raise SystemExit(f"{mutation.name} does not compile:\n{failure[-3000:]}")
        caught = run(tree, options.seeds, options.jobs)
    finally:
        (tree / mutation.file).write_text(old_text)
    seconds = time.monotonic() - start
    if caught is None:
        print(f"SURVIVED  {mutation.name}: {options.seeds} seeds, {seconds:.0f} s",
              flush=True)
        return False
    seed, what = caught
    print(f"caught    {mutation.name}: seed {seed}, {seconds:.0f} s\n"
          f"          {what[:160]}", flush=True)
    return True


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", metavar="NAME")
    parser.add_argument("--seeds", type=int, default=2000)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--list", action="store_true", help="the mutations, in words")
    options = parser.parse_args()
    mutations = [m for m in MUTATIONS if not options.only or m.name in options.only]
    if options.list:
        for mutation in mutations:
            print(f"{mutation.name}\n    {mutation.says}\n    in {mutation.file}")
        return 0
    if not mutations:
        raise SystemExit("there is no such mutation; see --list")
    # All must apply before time is spent on any.
    with tempfile.TemporaryDirectory(prefix="mutations-") as folder:
        tree = pathlib.Path(folder)
        copy_tree(tree)
        for mutation in mutations:
            (tree / mutation.file).write_text(apply(tree, mutation))
        failure = build(tree)
        if failure:
            raise SystemExit(f"the unchanged tree does not build:\n{failure[-3000:]}")
        if caught := run(tree, 100, options.jobs):
            raise SystemExit(f"the unchanged tree fails at seed {caught[0]}: {caught[1]}")
        survived = [m.name for m in mutations if not try_mutation(tree, m, options)]
    print(f"{len(mutations) - len(survived)} of {len(mutations)} planted bugs caught")
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main())
