#!/usr/bin/env python3
"""Draws what may include what into docs/architecture.md.

    tests/layering/picture.py ROOT           rewrites the picture
    tests/layering/picture.py ROOT --check   fails when it is not the one of rules.py
"""
import pathlib
import sys

import graph
import rules

PAGE = "docs/architecture.md"
BEGIN = "<!-- The picture is made by tests/layering/picture.py: do not edit it. -->"
END = "<!-- End of the picture. -->"
# Rooms of the house: each folder is drawn inside the longest of these it lies under.
ROOMS = ["participant/resources", "participant", "coordinator", "examples"]


def edges():
    """The rules without the tests, which may see everything."""
    return {folder: targets for folder, targets in rules.ALLOWED.items()
            if folder != "tests"}


def name_of(folder):
    return {rules.GENERATED: "thrift (IDL)"}.get(folder, folder)


def id_of(folder):
    return folder.replace("/", "_").replace("-", "_")


def room_of(folder):
    rooms = [r for r in ROOMS if folder.startswith(r + "/")]
    return max(rooms, key=len) if rooms else ""


def drawn():
    """The picture for whoever renders Mermaid, and the same in words for all others."""
    arrows = graph.reduced(edges())
    nodes = set(arrows).union(*arrows.values())
    lines = ["```mermaid", "flowchart TD"]
    for room in [""] + sorted(ROOMS):
        inside = sorted(n for n in nodes if room_of(n) == room)
        if room:
            lines.append(f'  subgraph {id_of(room)}["{room}/"]')
        for node in inside:
            label = name_of(node)[len(room) + 1:] if room else name_of(node)
            shape = f'[["{label}"]]' if node in rules.PURE else f'["{label}"]'
            lines.append(f"  {id_of(node)}{shape}")
        if room:
            lines.append("  end")
    lines += [f"  {id_of(node)} --> {id_of(target)}"
              for node in sorted(arrows) for target in arrows[node]]
    lines += ["```", "", "| floor | folder | sees, with all that those see |", "|---|---|---|"]
    floor = graph.floors(edges())
    for node in sorted(nodes, key=lambda n: (-floor.get(n, 0), n)):
        pure = ", pure" if node in rules.PURE else ""
        sees = ", ".join(f"`{name_of(t)}`" for t in arrows.get(node, ())) or "nothing of ours"
        lines.append(f"| {floor.get(node, 0)} | `{name_of(node)}`{pure} | {sees} |")
    return lines


def with_picture(text):
    before, rest = text.split(BEGIN + "\n", 1)
    after = rest.split(END + "\n", 1)[1]
    return "\n".join([before + BEGIN, *drawn(), END, after])


def main():
    page = pathlib.Path(sys.argv[1]) / PAGE
    text = page.read_text(encoding="utf-8")
    wanted = with_picture(text)
    if "--check" not in sys.argv:
        page.write_text(wanted, encoding="utf-8")
    elif wanted != text:
        print(f"{PAGE}: the picture is not that of tests/layering/rules.py; run "
              "tests/layering/picture.py . to draw it anew")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
