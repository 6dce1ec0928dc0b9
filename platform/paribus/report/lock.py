"""Whether what is compared was declared before its results were seen."""

from collections.abc import Iterator, Sequence

from paribus.report.numbers import general, listed, plural
from paribus.report.results import Results
from paribus.report.warnings import Warning
from paribus.store.lock import Lock, declared, looks, since
from paribus.store.record import RESULTS


def state(results: Results, locks: Sequence[Lock]) -> str:
    """One phrase for the provenance of a report."""
    now = declared(results.plan)
    same = next((lock for lock in locks if lock.digest == now.digest), None)
    if same is None:
        return "not as it was declared when runs were made" if locks else "not known"
    seen = f", when {plural(len(same.seen), 'run')} had results" if same.seen else ", before any result"
    return f"declared {same.at[:16].replace('T', ' ')} UTC{seen}"


def of_locks(results: Results, locks: Sequence[Lock]) -> Iterator[Warning]:
    """What was decided after results were seen; nothing is known of experiments without a lock."""
    if locks:
        yield from _posthoc(results, locks)
        yield from _claims(results, locks)
        yield from _looks(results, locks)


def _posthoc(results: Results, locks: Sequence[Lock]) -> Iterator[Warning]:
    now = declared(results.plan)
    late = [arm.name for arm in results.others if _seen_before(results, since(now, locks, arm.name), arm.name)]
    if late:
        brief = listed(late) if len(late) < 4 else plural(len(late), "arm")
        yield Warning(
            "POSTHOC",
            f"decided after results: {brief}",
            f"Runs of {listed(late)} had results before this comparison was declared.",
            "A comparison that is chosen by its results is found more easily than its p says: read it as exploratory.",
            "Confirm it on fresh seeds with `paribus confirm`.",
            tuple(late),
        )


def _seen_before(results: Results, lock: Lock | None, arm: str) -> bool:
    """Whether any run of an arm had a result when the comparison was declared, or has one now if it never was."""
    runs = [run.id for run in results.plan.runs if run.arm == arm]
    if lock is None:
        return any(results.outcomes[run].status in RESULTS for run in runs if run in results.outcomes)
    planned = [run.id for run in results.plan.runs if run.arm == arm and run.seed in lock.seeds]
    return not lock.seen.isdisjoint(planned)


def _claims(results: Results, locks: Sequence[Lock]) -> Iterator[Warning]:
    now = declared(results.plan)
    told = {run.id for run in results.plan.runs if results.status(run.arm, run.task, run.seed) in RESULTS}
    late = []
    for number, claim in enumerate(now.claims, 1):
        first = next((lock for lock in locks if claim in lock.claims), None)
        if told & first.seen if first else told:
            late.append(number)
    if late:
        which = listed(map(str, late))
        yield Warning(
            "POSTHOC",
            f"written after results: {'claim' if len(late) == 1 else 'claims'} {which}",
            f"Runs had results before claim {which} was written.",
            "A claim that was written after the results is no prediction.",
            "Confirm it on fresh seeds with `paribus confirm`.",
        )


def _looks(results: Results, locks: Sequence[Lock]) -> Iterator[Warning]:
    taken, planned = looks(declared(results.plan), locks), results.analysis.looks
    if taken > planned:
        spent = results.analysis.alpha * taken / planned
        yield Warning(
            "LOOKS",
            f"seeds were added {plural(taken - 1, 'time')} after results",
            f"Seeds were added {plural(taken - 1, 'time')} after results were seen, and analysis.looks is {planned}.",
            f"Each look is a chance of a false claim: the risk may be up to {general(min(1.0, spent), 2)}.",
            f"Declare analysis.looks: {taken} or more before the first run, which splits alpha.",
        )
