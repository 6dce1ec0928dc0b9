"""Whether what is compared was declared before its results were seen."""

from collections.abc import Iterator, Sequence

from paribus.report.numbers import general, listed, plural
from paribus.report.results import Results
from paribus.report.warnings import Warning
from paribus.store.lock import Lock, declared, looks, since
from paribus.store.record import RESULTS, Outcome

SECOND = len("2026-11-21T10:00:00")  # records tell no more


def state(results: Results, locks: Sequence[Lock], parents: Sequence[Lock] = ()) -> str:
    """One phrase for the provenance of a report; a variant may have been declared with the whole of its experiment."""
    now = declared(results.plan)
    whole = next((lock for lock in parents if _holds(lock, now)), None)
    same = whole or next((lock for lock in locks if lock.digest == now.digest), None)
    if same is None:
        return "not as it was declared when runs were made" if locks else "not known"
    seen = f", when {plural(len(same.seen), 'run')} had results" if same.seen else ", before any result"
    return f"declared {'with its experiment ' if whole else ''}{same.at[:16].replace('T', ' ')} UTC{seen}"


def _holds(whole: Lock, part: Lock) -> bool:
    """Whether a declaration says all that another does."""
    return (
        whole.analysis == part.analysis
        and part.arms.items() <= whole.arms.items()
        and {*part.claims} <= {*whole.claims}
        and {*part.seeds} <= {*whole.seeds}
    )


def of_locks(results: Results, locks: Sequence[Lock], parents: Sequence[Lock] = ()) -> Iterator[Warning]:
    """What was decided after results were seen; nothing is known of experiments without a lock.

    A variant of an experiment, by some of its arms or seeds, comes with the locks of the experiment: what they declare
    was said before, under whatever name it is run.
    """
    if locks:
        every = sorted((*parents, *locks), key=lambda lock: lock.at)
        yield from _posthoc(results, every)
        yield from _claims(results, every, parents)
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


def _claims(results: Results, locks: Sequence[Lock], parents: Sequence[Lock]) -> Iterator[Warning]:
    now = declared(results.plan)
    outcomes = [results.outcomes[run.id] for run in results.plan.runs if run.id in results.outcomes]
    told = [outcome for outcome in outcomes if outcome.status in RESULTS]
    late = []
    for number, claim in enumerate(now.claims, 1):
        first = next((lock for lock in locks if claim in lock.claims), None)
        if any(first is None or _known_at(first, outcome, first in parents) for outcome in told):
            late.append(number)
    if late:
        one, which = len(late) == 1, listed(map(str, late))
        noun, was = ("claim", "was") if one else ("claims", "were")
        yield Warning(
            "POSTHOC",
            f"written after results: {noun} {which}",
            f"Runs had results before {noun} {which} {was} written.",
            "A claim that was written after the results is no prediction.",
            f"Confirm {'it' if one else 'them'} on fresh seeds with `paribus confirm`.",
        )


def _known_at(lock: Lock, outcome: Outcome, of_parent: bool) -> bool:
    """Whether a result was there at a declaration; that of the parent may not know of the run, so its time decides."""
    finished = outcome.record.finished_at if outcome.record and of_parent else ""
    return outcome.run in lock.seen or "" < finished[:SECOND] < lock.at[:SECOND]


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
