#!/usr/bin/env python3
"""The examples at the top of the public headers are those that the consumer compiles.

Every line of code in a header's first comment has to be in project/examples.cc, spaces
aside. Lines with an ellipsis, and comments in them, are for readers and are left out.
"""
import re
import sys
from pathlib import Path

HEADERS = [
    "coordinator/client/client.h",
    "coordinator/client/async_client.h",
    "coordinator/embedded/embedded.h",
    "participant/sdk/participant.h",
]


def squeezed(text):
    return re.sub(r"\s+", "", text)


def blocks(header):
    """Indented blocks of the first comment that look like code."""
    block = []
    for line in header.split("#ifndef")[0].splitlines() + ["//"]:
        if line.startswith("//   "):
            block.append(line[5:])
            continue
        if any(item.rstrip().endswith((";", "{")) for item in block):
            yield block
        block = []


def main(root):
    compiled = squeezed((root / "tests/consumer/project/examples.cc").read_text())
    missing = []
    examples = 0
    for name in HEADERS:
        for block in blocks((root / name).read_text()):
            examples += 1
            for line in block:
                code = re.sub(r"\s*//.*", "", line)
                if "…" in line or "..." in line or not code.strip():
                    continue
                if squeezed(code) not in compiled:
                    missing.append(f"{name}: not compiled by examples.cc: {line.strip()}")
    print("\n".join(missing) or f"{examples} examples are compiled")
    return 1 if missing or examples < len(HEADERS) else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
