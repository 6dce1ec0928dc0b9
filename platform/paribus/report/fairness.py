"""Warnings about what was not equal, and about verdicts that say more than they can."""

from collections.abc import Callable, Iterable, Iterator
from statistics import median

from paribus.report.numbers import listed, percent, plural
from paribus.report.results import Results, change
from paribus.report.warnings import Compared, Warning
from paribus.store.record import Record

APART = 0.01  # budgets that differ by less are equal


def of_fairness(compared: Compared) -> Iterator[Warning]:
    """What concerns one task."""
    for check in _CHECKS:
        yield from check(compared)


def _baseline(compared: Compared) -> Iterator[Warning]:
    results, task = compared.results, compared.task.name
    failed, planned = results.failures(results.baseline, task), results.tally(results.baseline, task).total()
    if planned and failed / planned >= results.analysis.unstable_failure_rate:
        yield Warning(
            "BASELINE",
            f"the baseline failed in {failed} of {plural(planned, 'run')}",
            f"{failed} of {plural(planned, 'run')} of {results.baseline} failed.",
            "Arms are compared with the runs of the baseline that survived, which are no fair measure.",
            "Mend the baseline first: a lower learning rate, clipped gradients, a longer warm-up.",
            (results.baseline,),
            task,
        )


def _budget(compared: Compared) -> Iterator[Warning]:
    effect = "Arms that trained longer had more chances; the difference may come from that."
    remedy = "Give all arms the same budget, and stop none of them early."
    yield from _apart(compared, "BUDGET", "steps", lambda record: record.steps, effect, remedy)


def _tokens(compared: Compared) -> Iterator[Warning]:
    effect = "Arms that saw more tokens had more to learn from; the difference may come from that."
    remedy = "Expected where an arm changes the batch; else give `training.tokens` instead of steps."
    yield from _apart(compared, "TOKENS", "tokens seen", lambda record: record.tokens, effect, remedy)


def _apart(
    compared: Compared, code: str, noun: str, of: Callable[[Record], float], effect: str, remedy: str
) -> Iterator[Warning]:
    results, task = compared.results, compared.task.name
    reference = _usual(results, results.baseline, task, of)
    shares = {arm.name: change(_usual(results, arm.name, task, of), reference) for arm in results.others}
    over = {arm: share for arm, share in shares.items() if share is not None and abs(share) > APART}
    if over:
        told = listed(f"{arm} {percent(share)}" for arm, share in over.items())
        brief = told if len(over) < 3 else f"{len(over)} arms differ"
        evidence = f"{noun[0].upper()}{noun[1:]} against the baseline: {told}."
        yield Warning(code, f"{noun}: {brief}", evidence, effect, remedy, tuple(over), task)


def _speed(compared: Compared) -> Iterator[Warning]:
    results, task = compared.results, compared.task.name
    found = results.unsteady(task)
    if found:
        base = next(iter(found.values()))[1]
        told = [
            f"{100 * of_arm:.0f} % in {arm}, whose median is {percent(apart)} against the baseline"
            for arm, (of_arm, _) in found.items()
            if (apart := change(results.speed(arm, task), results.speed(results.baseline, task))) is not None
        ]
        yield Warning(
            "SPEED",
            f"speeds vary too much over seeds: {listed(found) if len(found) < 4 else plural(len(found), 'arm')}",
            f"The fastest seed outdoes the slowest in tokens a second by {100 * base:.0f} % in the baseline; "
            f"{'; '.join(told)}.",
            "What else the machine does may make up these differences in speed and seconds.",
            "Compare parameters and FLOPs, or run again with nothing else on the machine.",
            tuple(found),
            task,
        )


def _usual(results: Results, arm: str, task: str, of: Callable[[Record], float]) -> float | None:
    """The median over runs that ended well."""
    known = [of(record) for _, record in results.finished(arm, task)]
    return median(known) if known else None


def _chosen_by(compared: Compared) -> Iterator[Warning]:
    if compared.split == "validation":
        yield Warning(
            "TESTTUNED",
            "compared where checkpoints were chosen",
            "The split that decides, validation, also chose the checkpoints and any tuning.",
            "All scores are too good, and those of arms with more to choose from more so.",
            "Set analysis.split to test.",
            task=compared.task.name,
        )


def _pooled(compared: Compared) -> Iterator[Warning]:
    refused = {arm: found.not_pooled for arm, found in compared.contrasts.items() if found.not_pooled}
    if refused:
        why = next(iter(refused.values()))
        yield Warning(
            "POOLED",
            "variances are not pooled",
            f"analysis.variance is pooled, but {why}.",
            "Each arm is judged by its own spread.",
            "Leave variance at per_arm, or repeat the runs that failed.",
            tuple(refused),
            compared.task.name,
        )


def _overstated(compared: Compared) -> Iterator[Warning]:
    found = [contrast for contrast in compared.contrasts.values() if contrast.overstated]
    if found:
        arms = [contrast.arm for contrast in found]
        yield Warning(
            "OVERSTATED",
            f"sizes are likely too large: {listed(arms)}",
            f"With these seeds the least effects that the intervals allow would mostly be missed: {listed(arms)}.",
            "A difference that is found with little power looks larger than it is.",
            "Believe the direction rather than the size, or confirm on fresh seeds.",
            tuple(arms),
            compared.task.name,
        )


def _excluded(compared: Compared) -> Iterator[Warning]:
    results, task = compared.results, compared.task.name
    left_out = list(results.excluded(task))
    if left_out:
        told = "; ".join(f"{arm} seed {seed}: {why}" for arm, seed, why in left_out)
        yield Warning(
            "EXCLUDED",
            f"{plural(len(left_out), 'run')} left out by hand",
            f"Left out by hand: {told}.",
            "What is left out after its score is known can turn any verdict.",
            "Say in the text why it is out, and give the verdict with it as well.",
            tuple(dict.fromkeys(arm for arm, _, _ in left_out)),
            task,
        )


_CHECKS: tuple[Callable[[Compared], Iterable[Warning]], ...] = (
    _baseline,
    _excluded,
    _budget,
    _tokens,
    _speed,
    _chosen_by,
    _pooled,
    _overstated,
)
