"""How often each verdict is given when the truth is known: the table of docs/statistics.md, from simulated experiments.

python benchmarks/verdicts.py [--tables 2000] [--seed 0]
"""

import argparse

from numpy.random import default_rng

from paribus.stats.characteristics import better_after_failures, false_claims, shares

SEEDS, TRUTHS = (3, 5, 10, 20), (0, 1, 2, 4)
FAILED = ((5, 1), (10, 1), (10, 3), (20, 3))  # of so many seeds, so many runs


def main() -> None:
    """Print shares of better / equivalent / inconclusive and of false claims, and what failed runs do to `better`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    dice = default_rng(options.seed)
    print("| seeds |", *(f"true {truth} SD |" for truth in TRUTHS), "false claims |")
    print("|---|", "---|" * (len(TRUTHS) + 1), sep="")
    for n in SEEDS:
        cells = []
        for truth in TRUTHS:
            found = shares(n, truth, dice, tables=options.tables)
            cells.append(" / ".join(f"{found[word]:.2f}" for word in ("better", "equivalent", "inconclusive")))
        print(f"| {n} |", *(f"{cell} |" for cell in cells), f"{false_claims(n, dice, tables=options.tables):.3f} |")
    print("\n| failed |", *(f"true {truth} SD |" for truth in TRUTHS[:3]))
    print("|---|", "---|" * 3, sep="")
    for n, failed in FAILED:
        found = [better_after_failures(n, failed, truth, dice, tables=options.tables) for truth in TRUTHS[:3]]
        print(f"| {failed} of {n} |", *(" / ".join(f"{share:.2f}" for share in some) + " |" for some in found))


if __name__ == "__main__":
    main()
