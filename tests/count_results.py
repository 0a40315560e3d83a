#!/usr/bin/env python3
"""Prints "PASSED FAILED" for a results file of ctest --output-junit.

A GoogleTest program counts by its test cases, any other by itself. A program that
failed although none of its cases did (a crash, a time-out, a leak found at exit)
counts as one failure.
"""
import re
import sys
import xml.etree.ElementTree as ElementTree

CASE_PASSED = re.compile(r"^\[       OK \] ", re.MULTILINE)
CASE_FAILED = re.compile(r"^\[  FAILED  \] .*\(\d+ ms\)$", re.MULTILINE)


def count(program):
    output = program.findtext("system-out") or ""
    passed = len(CASE_PASSED.findall(output))
    failed = len(CASE_FAILED.findall(output))
    if program.get("status") == "disabled":
        return 0, 0
    if program.get("status") == "run":
        return max(passed, 1), 0
    return passed, max(failed, 1)


def main():
    programs = ElementTree.parse(sys.argv[1]).getroot().iter("testcase")
    counts = [count(program) for program in programs]
    print(sum(c[0] for c in counts), sum(c[1] for c in counts))


if __name__ == "__main__":
    main()
