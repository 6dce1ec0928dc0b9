"""How long commands take to start: `paribus --help` and `paribus check`, whole processes, medians.

python benchmarks/startup.py [--rounds 9]
"""

import argparse
import statistics
import subprocess
import sys
import time

CASES = {"--help": (["--help"], 0.3), "check": (["check", "experiments/quickstart.yaml"], 2.0)}


def seconds(words: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", "paribus", *words], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    for name, (words, target) in CASES.items():
        seconds(words)
        times = [seconds(words) for _ in range(rounds)]
        rest = f"median of {rounds}, lowest {min(times):.2f}"
        print(f"{name:<8} {statistics.median(times):.2f} s ({rest}); target {target} s")


if __name__ == "__main__":
    main()
