"""What attention scores cost: memory of the pairwise ones as sequences grow, time of the bilinear ones.

Memory is the peak of a forward and a backward pass of the default encoder-decoder with another score, each in a fresh
process, less the size of the process before it. Time is a full training step at width 64, in paired rounds.

    python benchmarks/memory.py [--rounds 20] [--clock cpu] [--scores additive mlp]
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

import torch
from model_step import SIZES, Examples, Ours, Size, step
from paired import CLOCKS, Clock, ratio, rounds

REFERENCE = "scaled_dot"
PAIRWISE = ("additive", "mlp")
BILINEAR = ("dot", "general", "cosine", "distance")
LENGTHS = (512, 1024)
BATCH = 4
GROWTH, AGAINST, SLOWER = 2.3, 3.0, 1.25  # targets


def resident(line: str) -> int:
    """Bytes that the process holds: now (VmRSS) or at most since the mark was set (VmHWM)."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(next(row for row in status.splitlines() if row.startswith(line)).split()[1])


def measure(score: str, length: int) -> int:
    """Peak bytes of one step of this process, which has done nothing before."""
    size = Size(width=64, heads=4, depth=2, hidden=256, vocabulary=64, tokens=length, batch=BATCH)
    read = Examples.of(size, torch.device("cpu"))
    model = Ours(size, 0.0, score).train()
    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the mark starts anew
    model(read).backward()
    return resident("VmHWM") - before


def fresh(score: str, length: int) -> int:
    words = [sys.executable, __file__, "--measure", json.dumps([score, length])]
    return int(subprocess.run(words, check=True, capture_output=True, text=True).stdout)


def memory(scores: list[str]) -> None:
    print(f"\npeak memory of forward and backward, MiB; width 64, 4 heads, 2+2 layers, batch {BATCH}, N+N tokens")
    columns = "".join(f"{f'N = {length}':>12}" for length in LENGTHS)
    print(f"  {'':<12}{columns}{'growth':>9}{'to ' + REFERENCE:>15}")
    reference = 0
    for score in (REFERENCE, *scores):
        short, long = (fresh(score, length) for length in LENGTHS)
        reference = reference or short
        growth, against = long / short, short / reference
        verdict = "" if score == REFERENCE else "met" if growth <= GROWTH and against <= AGAINST else "not met"
        print(f"  {score:<12}{short / 2**20:>12.1f}{long / 2**20:>12.1f}{growth:>9.2f}{against:>15.2f}   {verdict}")
    print(f"  target: growth at most {GROWTH}, at most {AGAINST:g} times {REFERENCE}")


def time(count: int, clock: Clock) -> None:
    size = SIZES[64]
    read = Examples.of(size, torch.device("cpu"))
    steps = {score: step(Ours(size, 0.0, score).train(), read, "32") for score in (REFERENCE, *BILINEAR)}
    times = rounds(steps, count, clock=clock)
    print(f"\nfull training step, {size}, dropout 0")
    print(f"  {'':<12}{'ms a step':>11}   times as long as {REFERENCE} [95 % interval]")
    for score, found in times.items():
        slower = ratio(found, times[REFERENCE])
        told = "" if score == REFERENCE else f"{slower}   {'met' if slower.median <= SLOWER else 'not met'}"
        print(f"  {score:<12}{statistics.median(found):>11.2f}   {told}")
    print(f"  target: median at most {SLOWER}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--clock", default="wall", choices=list(CLOCKS))
    parser.add_argument("--scores", nargs="+", default=list(PAIRWISE), help="whose memory is measured")
    parser.add_argument("--measure", type=json.loads, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.measure:
        print(measure(*options.measure))
        return
    memory(options.scores)
    sys.stdout.flush()
    time(options.rounds, CLOCKS[options.clock])


if __name__ == "__main__":
    main()
