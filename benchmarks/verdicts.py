"""How often each verdict is given when the truth is known: the table of docs/statistics.md, from simulated experiments.

python benchmarks/verdicts.py [--tables 2000] [--seed 0]
"""

import argparse

from numpy.random import default_rng

from paribus.stats.characteristics import false_claims, shares

SEEDS, TRUTHS = (3, 5, 10, 20), (0, 1, 2, 4)


def main() -> None:
    """Print one line a number of seeds: shares of better / equivalent / inconclusive, and of false claims."""
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


if __name__ == "__main__":
    main()
