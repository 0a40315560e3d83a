#!/usr/bin/env python3
"""Writes the made-up sample of transfers, always the same bytes.

    examples/transfer/make_sample.py > examples/transfer/sample-transfers.csv

Five banks of different size; most people pay the same few, some once. The numbers
come from a generator written out here, because Python's own may change.
"""

BANKS = [("alder", 260), ("birch", 180), ("cedar", 120), ("damson", 60), ("elm", 30)]
ROWS = 3000


class Numbers:
    """The minimal standard generator of Park and Miller (CACM 31:10, 1988)."""

    def __init__(self, seed):
        self.state = seed

    def below(self, bound):
        self.state = self.state * 48271 % 2147483647
        return self.state % bound


def account(numbers):
    drawn = numbers.below(sum(size for _, size in BANKS))
    for bank, size in BANKS:
        if drawn < size:
            # Low account numbers are busier: the smaller of two draws.
            number = min(numbers.below(size), numbers.below(size))
            return f"{bank}:{1001 + number}"
        drawn -= size
    raise AssertionError("unreachable")


def amount(numbers):
    """Mostly small, now and then a rent, seldom a car."""
    kind = numbers.below(100)
    limit = 9_000 if kind < 70 else 120_000 if kind < 98 else 2_500_000
    cents = 1 + numbers.below(limit)
    return f"{cents // 100}.{cents % 100:02}"


def main():
    numbers = Numbers(20240229)
    print("from,to,amount")
    for _ in range(ROWS):
        sender = receiver = account(numbers)
        while receiver == sender:
            receiver = account(numbers)
        print(f"{sender},{receiver},{amount(numbers)}")


if __name__ == "__main__":
    main()
