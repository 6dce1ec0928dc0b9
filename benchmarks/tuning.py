"""What a search costs beyond training: proposing, keeping and telling 200 trials of runs that take no time.

python benchmarks/tuning.py
"""

import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from paribus.planning import Job, plan
from paribus.running import Event, Finished
from paribus.spec.load import load
from paribus.store.folder import open_store
from paribus.store.record import Record, Score
from paribus.tuning import Unwatched, tune

TRIALS = 200
FILE = f"""
name: overhead
task: {{kind: copy, training_examples: 100}}
training: {{steps: 10, batch: {{examples: 10}}}}
analysis: {{metric: loss}}
tuning:
  trials: {TRIALS}
  sampler: SAMPLER
  space: {{training.optimizer.lr: {{low: 1e-4, high: 1e-1, log: true}}, network.dropout: {{low: 0.0, high: 0.5}}}}
"""


class Instant:
    """An engine whose runs are over at once."""

    def __init__(self) -> None:
        self._waiting: list[Job] = []

    def run(self, jobs: Sequence[Job], work: str) -> Iterator[Event]:
        self._waiting = list(jobs)
        while self._waiting:
            job = self._waiting.pop(0)
            value = job.settings["training"]["optimizer"]["lr"]
            yield Finished(job, "ok", "", Record(job.id, "ok", scores=[Score("validation", "loss", value)]))

    def add(self, jobs: Sequence[Job]) -> None:
        self._waiting += jobs

    def give_up(self, job: str) -> None:
        pass

    def stop(self) -> None:
        pass


def milliseconds(sampler: str) -> tuple[float, float]:
    """On the clock and on the processor, for each trial."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "overhead.yaml"
        file.write_text(FILE.replace("SAMPLER", sampler))
        loaded, store = load(file), open_store(f"{folder}/store")
        fixed = plan(loaded)
        began, worked = time.perf_counter(), time.process_time()
        found = tune(loaded, fixed, store, Instant(), Unwatched(), workers=1)
        assert len(found.taught["searches"][0]["trials"]) == TRIALS
        spent, busy = time.perf_counter() - began, time.process_time() - worked
        return 1000 * spent / TRIALS, 1000 * busy / TRIALS


if __name__ == "__main__":
    for name in sys.argv[1:] or ("random", "tpe"):
        clock, processor = milliseconds(name)
        print(f"{name}: {clock:.1f} ms a trial beyond training ({processor:.1f} of processor), {TRIALS} trials, SQLite")
