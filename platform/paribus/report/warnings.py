"""What a reader must know before believing a verdict: each warning with its evidence, its effect and its remedy."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import isfinite, isnan
from statistics import fmean

from paribus.planning import MetricInfo, TaskInfo
from paribus.report.noise import of_test
from paribus.report.numbers import fixed, general, interval, listed, percent, plural
from paribus.report.results import Results, change
from paribus.stats.contrast import Contrast
from paribus.stats.interval import NOWHERE, Interval
from paribus.stats.noise import TestNoise, of_share
from paribus.stats.paired import floor
from paribus.stats.verdict import EXCLUDED, FAILURES

FEW_SEEDS = 5
PARAMETERS = 0.05
FLOPS = 0.10
# What of a run's surroundings should be the same for all, besides the device and the code.
CONDITIONS = {
    "devices": "numbers of devices a run",
    "strategy": "ways for devices to work together",
    "threads": "numbers of threads",
    "torch": "versions of torch",
    "lightning": "versions of Lightning",
    "compile": "settings of torch.compile",
    "tf32": "settings of TF32",
}
STILL_FALLING = 0.05  # of the whole fall of the loss, in the last fifth of training


@dataclass(frozen=True)
class Warning:
    """`brief` is the evidence in a few words, for the first screen."""

    code: str
    brief: str
    evidence: str
    effect: str
    remedy: str
    arms: tuple[str, ...] = ()
    task: str = ""


@dataclass(frozen=True)
class Compared:
    """A task with its main contrasts."""

    results: Results
    task: TaskInfo
    metric: MetricInfo
    split: str
    contrasts: Mapping[str, Contrast]

    @property
    def arms(self) -> list[str]:
        return [arm.name for arm in self.results.plan.arms]

    @cached_property
    def test_noise(self) -> dict[str, tuple[int, TestNoise]]:
        """By arm, the number of test examples and what drawing others would do, where runs keep their scores."""
        return of_test(self.results, self.task, self.metric, self.split, self.contrasts)


def of_experiment(results: Results, out_of_date: str = "") -> Iterator[Warning]:
    """What concerns every task."""
    if out_of_date:
        yield Warning(
            "OUTOFDATE",
            "the file has changed",
            out_of_date,
            "The report shows what was run, not what the file says now.",
            "Run the file again.",
        )
    yield from _few_seeds(results)
    if results.analysis.correction == "none" and len(results.others) > 1:
        yield Warning(
            "CORRECTION",
            "p values are not corrected",
            f"{len(results.others)} arms are compared without a correction.",
            "The risk of at least one false claim is larger than alpha.",
            "Set analysis.correction to holm.",
        )
    yield from _mixed(results, "HARDWARE", "device_name", "devices", "Speeds and seconds of arms cannot be compared.")
    yield from _mixed(
        results, "REVISION", "revision", "revisions of the code", "Arms may differ by more than their changes."
    )
    for key, noun in CONDITIONS.items():
        effect = "Numbers of one seed may differ by rounding, and speeds cannot be compared."
        yield from _mixed(results, "CONDITIONS", key, noun, effect)


def of_task(compared: Compared) -> Iterator[Warning]:
    """What concerns one task."""
    for check in _CHECKS:
        yield from check(compared)


def _few_seeds(results: Results) -> Iterator[Warning]:
    n = len(results.plan.seeds)
    alpha = results.analysis.alpha_a_look
    if n < FEW_SEEDS:
        yield Warning(
            "SEEDS",
            f"only {plural(n, 'seed')}",
            f"{plural(n, 'seed')} for each arm.",
            "Only large differences can be told from the noise of training.",
            "5 seeds screen, 10 support a claim.",
        )
    if floor(n) > alpha:
        yield Warning(
            "FLOOR",
            f"{plural(n, 'seed')}: the exact test cannot go under {general(floor(n))}",
            f"With {plural(n, 'pair')} the exact sign-flip test cannot give a p under {general(floor(n))}.",
            f"It can confirm no verdict at alpha {general(alpha)}; verdicts rest on the t test and its assumption.",
            f"Use at least {_pairs_for(alpha)} seeds.",
        )


def _pairs_for(alpha: float) -> int:
    return next(n for n in range(2, 64) if floor(n) <= alpha)


def _mixed(results: Results, code: str, key: str, noun: str, effect: str) -> Iterator[Warning]:
    arms: dict[str, dict[str, None]] = {}
    for run in results.plan.trained:
        record = results.outcomes[run.id].record if run.id in results.outcomes else None
        value = None if record is None else record.environment.get(key)
        if value not in (None, ""):
            told = ("off", "on")[value] if isinstance(value, bool) else str(value)
            arms.setdefault(told, {})[run.arm] = None
    if len(arms) > 1:
        which = "; ".join(f"{value}: {listed(names)}" for value, names in arms.items())
        yield Warning(
            code,
            f"{len(arms)} {noun}",
            f"Runs come from {len(arms)} {noun}: {which}.",
            effect,
            "Run again with --fresh.",
        )


def _failed(compared: Compared) -> Iterator[Warning]:
    for arm in compared.arms:
        results, task = compared.results, compared.task.name
        failed = [seed for seed in results.plan.seeds if results.status(arm, task, seed) in FAILURES]
        if not failed:
            continue
        told = "; ".join(_failure(results, arm, task, seed) for seed in failed)
        baseline = arm == results.baseline
        yield Warning(
            "DIVERGED",
            f"{arm}: {plural(len(failed), 'run')} failed",
            f"{len(failed)} of {len(results.plan.seeds)} runs of {arm} failed: {told}.",
            "All contrasts lose these pairs." if baseline else "Its scores hold given that training finishes.",
            "Lower the learning rate or clip gradients for all arms alike, or accept the failures as a result.",
            (arm,),
            task,
        )


def _failure(results: Results, arm: str, task: str, seed: int) -> str:
    outcome = results.outcome(arm, task, seed)
    step = outcome.record.fail_step if outcome.record else None
    return f"seed {seed} {outcome.status}" + (f" at step {step}" if step is not None else "")


def _unfinished(compared: Compared) -> Iterator[Warning]:
    results, task = compared.results, compared.task.name
    waiting = {
        arm: count
        for arm in compared.arms
        if (
            count := sum(
                n for status, n in results.tally(arm, task).items() if status not in ("ok", EXCLUDED, *FAILURES)
            )
        )
    }
    if waiting:
        total = sum(waiting.values())
        yield Warning(
            "UNFINISHED",
            f"{plural(total, 'run')} to come",
            f"{plural(total, 'run')} not finished: {listed(f'{arm} {count}' for arm, count in waiting.items())}.",
            "Verdicts are provisional.",
            "Run the file again; only what is missing is trained.",
            tuple(waiting),
            task,
        )


def _parameters(compared: Compared) -> Iterator[Warning]:
    effect = "A difference may come from size, not from the change."
    remedy = "Set `training.match`: {on: parameters}, which adds NAME:matched for each of them at the baseline's size."
    yield from _costs(compared, "PARAMS", "parameters", "parameters", PARAMETERS, effect, remedy)


def _flops(compared: Compared) -> Iterator[Warning]:
    effect = "With equal steps the arms were not given equal computation."
    remedy = "Set `training.match`: {on: flops}, which adds NAME:matched for each of them at the baseline's FLOPs."
    yield from _costs(compared, "FLOPS", "flops_per_token", "FLOPs per token", FLOPS, effect, remedy)


def _costs(
    compared: Compared, code: str, key: str, noun: str, limit: float, effect: str, remedy: str
) -> Iterator[Warning]:
    results, task = compared.results, compared.task.name
    reference = results.cost(results.baseline, task, key)
    shares = {arm.name: change(results.cost(arm.name, task, key), reference) for arm in results.others}
    over = {arm: share for arm, share in shares.items() if share is not None and abs(share) > limit}
    if over:
        told = listed(f"{arm} {percent(share)}" for arm, share in over.items())
        brief = told if len(over) < 3 else f"{len(over)} arms differ"
        yield Warning(
            code,
            f"{noun}: {brief}",
            f"{noun[0].upper()}{noun[1:]} against the baseline: {told}.",
            effect,
            remedy,
            tuple(over),
            task,
        )


def _no_smallest_effect(compared: Compared) -> Iterator[Warning]:
    rule = next((contrast.rule for contrast in compared.contrasts.values()), None)
    if rule is not None and rule.smallest_effect is None:
        yield Warning(
            "NOSESOI",
            "no smallest effect is set",
            "analysis.smallest_effect is not set.",
            "No arm can be called equivalent, and no difference negligible.",
            f"Say which difference in {compared.metric.title} would matter, before the runs.",
            task=compared.task.name,
        )


def _pairing(compared: Compared) -> Iterator[Warning]:
    known = {arm: found.correlation for arm, found in compared.contrasts.items() if not isnan(found.correlation)}
    against = {arm: r for arm, r in known.items() if round(r, 2) < 0}
    if against:
        told = listed(f"{arm} {fixed(r, 2)}" for arm, r in against.items())
        yield Warning(
            "PAIRING",
            f"scores of a seed do not go together for {plural(len(against), 'arm')}",
            f"Correlation over seeds with the baseline: {told}.",
            "Pairing by seed widens these intervals rather than narrowing them.",
            "Compare with the p of Welch's test, which forgets the pairs.",
            tuple(against),
            compared.task.name,
        )


def _outliers(compared: Compared) -> Iterator[Warning]:
    found = {arm: seeds for arm, contrast in compared.contrasts.items() if (seeds := _turning(contrast))}
    if found:
        told = listed(f"{arm} without seed {listed(map(str, seeds), 'or')}" for arm, seeds in found.items())
        yield Warning(
            "OUTLIER",
            f"one seed turns {listed(found)}",
            f"The mean difference changes its sign when one seed is left out: {told}.",
            "The direction of these differences rests on single runs.",
            "Look at the runs by seed, and add seeds.",
            tuple(found),
            compared.task.name,
        )


def _turning(contrast: Contrast) -> list[object]:
    """Seeds without which the mean difference has the other sign, where the verdict makes something of the sign."""
    values = dict(contrast.differences)
    if len(values) < 3 or contrast.verdict == "equivalent":
        return []
    total = sum(values.values())
    return [seed for seed, value in values.items() if total * (total - value) < 0]


def _identical(compared: Compared) -> Iterator[Warning]:
    same = [arm for arm, contrast in compared.contrasts.items() if contrast.verdict == "identical"]
    blunt = [arm for arm in same if _loss_differs(compared, arm)]
    same = [arm for arm in same if arm not in blunt]
    constant = [
        arm for arm, found in compared.contrasts.items() if found.paired.constant and arm not in (*same, *blunt)
    ]
    for arms, evidence, remedy in (
        (
            blunt,
            "Scores equal the baseline's on every seed, while losses differ",
            "The metric cannot tell these arms apart: train longer, or compare another metric.",
        ),
        (same, "Scores equal the baseline's on every seed", "Check that the swap is applied."),
        (
            constant,
            "The difference is the same on every seed",
            "Check that the seed reaches initial values and data order.",
        ),
    ):
        if arms:
            yield Warning(
                "IDENTICAL",
                f"{evidence[0].lower()}{evidence[1:]}: {listed(arms)}",
                f"{evidence}: {listed(arms)}.",
                "The comparison says nothing about the change.",
                remedy,
                tuple(arms),
                compared.task.name,
            )


def _loss_differs(compared: Compared, arm: str) -> bool:
    """Whether the swap did something that the metric does not show."""
    results, task = compared.results, compared.task.name
    one, other = ([run.value for run in results.observations(name, task, "loss", compared.split) if run.ok]
                  for name in (arm, results.baseline))  # fmt: skip
    return bool(one) and one != other


def _orders(compared: Compared) -> Iterator[Warning]:
    results, task = compared.results, compared.task.name
    differ = [arm.name for arm in results.others if order(results, arm.name, task) == "differs"]
    if differ:
        yield Warning(
            "ORDER",
            f"batches came in another order for {listed(differ)}",
            f"The order of batches differs from the baseline's for {listed(differ)}.",
            "The arms were not trained on the same batches; pairs share less than they should.",
            "Expected where an arm changes the batch or the data; else report it as a bug.",
            tuple(differ),
            task,
        )


def order(results: Results, arm: str, task: str) -> str:
    """`same` or `differs` from the baseline over the common length, for all seeds; empty where it is not known."""
    reference = {seed: dict(record.order) for seed, record in results.records(results.baseline, task)}
    found = []
    for seed, record in results.records(arm, task):
        mine, theirs = dict(record.order), reference.get(seed, {})
        common = mine.keys() & theirs.keys()
        if common:  # a hash covers all batches before it, so the last common one decides
            found.append(mine[max(common)] == theirs[max(common)])
    return "" if not found else "same" if all(found) else "differs"


WIDE = "decoder"  # its path stands for a side that is not causal at all; others are those of parts


def _leaks(compared: Compared) -> Iterator[Warning]:
    for arm in compared.results.plan.arms:
        parts = {path: promise for path, promise in arm.leaks.items() if path != WIDE}
        if parts:
            told = listed(f"{path} ({promise})" for path, promise in parts.items())
            yield Warning(
                "LEAKS",
                f"{arm.name} leaks the {listed(dict.fromkeys(parts.values()))} while it trains",
                f"{arm.name} sees while it trains what it must not see: {told}.",
                "Its training loss is too good; its scores are honest, as in evaluation it sees nothing later, but it "
                "has not learned to do without.",
                "Read its verdict as one about training with the leak and use without it.",
                (arm.name,),
                compared.task.name,
            )
        if WIDE in arm.leaks:
            yield Warning(
                "LEAKS",
                f"{arm.name} leaks the {arm.leaks[WIDE]}, in evaluation too",
                f"The decoder of {arm.name} is not causal: each token sees later ones, in training and in evaluation.",
                "Scores that are given the right tokens so far, such as the loss, are too good, and do not carry over "
                "to writing freely, where nothing later is there yet.",
                "Compare scores of free writing, or make the decoder causal.",
                (arm.name,),
                compared.task.name,
            )


NOTED = {
    "SAMECLASS": (
        "is the same function class",
        "A null result says little about the part, and a difference is one of how training starts and moves.",
        "Compare with an arm that cannot compute the same, such as a uniform score.",
    ),
    "UNMATCHED": (
        "stays at its own size",
        "Its difference from the baseline is one of the part and of its size together.",
        "Match by another key of the network.",
    ),
}


def _noted(compared: Compared) -> Iterator[Warning]:
    for arm in compared.results.plan.arms:
        for code, told in arm.notes.items():
            brief, effect, remedy = NOTED[code]
            yield Warning(code, f"{arm.name} {brief}", f"{arm.name} {told}.", effect, remedy, (arm.name,))


def _capacity(compared: Compared) -> Iterator[Warning]:
    without = [arm for arm, contrast in compared.contrasts.items() if contrast.verdict == "not applicable"]
    if without:
        yield Warning(
            "CAPACITY",
            f"{compared.split} is too long for {listed(without)}",
            f"The split {compared.split} is longer than {listed(without)} has places for.",
            "No score, no verdict; the family of comparisons is smaller by these arms.",
            "Raise max_length of the part that is bound to a length.",
            tuple(without),
            compared.task.name,
        )


def _still_falling(compared: Compared) -> Iterator[Warning]:
    falling = {arm: share for arm in compared.arms if (share := _late_fall(compared, arm)) > STILL_FALLING}
    if falling:
        told = listed(f"{arm} {100 * share:.0f} %" for arm, share in falling.items())
        brief = listed(falling) if len(falling) < 4 else plural(len(falling), "arm")
        yield Warning(
            "STILLFALLING",
            f"loss still falling at the end: {brief}",
            f"Share of the whole fall of the validation loss that came in the last fifth of training: {told}.",
            "Verdicts hold for this budget; a longer one may order the arms differently.",
            "Train longer.",
            tuple(falling),
            compared.task.name,
        )


def _late_fall(compared: Compared, arm: str) -> float:
    """The part of the loss's fall that came in the last fifth, as a mean over runs."""
    return fmean(shares) if (shares := list(_late_falls(compared, arm))) else 0.0


def _late_falls(compared: Compared, arm: str) -> Iterator[float]:
    for _, record in compared.results.finished(arm, compared.task.name):
        steps, losses = record.curves.get("step", []), record.curves.get("validation_loss", [])
        points = [(x, y) for x, y in zip(steps, losses, strict=True) if x is not None and y is not None]
        late = [y for x, y in points if x <= 0.8 * points[-1][0]]
        if len(points) >= 5 and late and points[0][1] > points[-1][1]:
            yield (late[-1] - points[-1][1]) / (points[0][1] - points[-1][1])


def _noise(compared: Compared) -> Iterator[Warning]:
    known = compared.test_noise
    size = max((count for count, _ in known.values()), default=_examples(compared))
    over = {
        arm: (found.se_examples, found.se_seeds, found.by_both)
        for arm, (_, found) in known.items()
        if found.se_examples > found.se_seeds > 0
    }
    if not known and size:
        shares = {
            arm: (of_share(found.of_arm.mean, size), found.of_arm.se) for arm, found in compared.contrasts.items()
        }
        over = {arm: (noise, se, NOWHERE) for arm, (noise, se) in shares.items() if noise > se}
    if over:
        told = listed(
            f"{arm} {general(noise, 2)} against {general(se, 2)}" + _with_both(both)
            for arm, (noise, se, both) in over.items()
        )
        what = "Standard error of the difference" if known else "Standard error"
        yield Warning(
            "NOISE",
            f"{plural(size, 'test example')} are few",
            f"{what} by sampling {plural(size, 'example')} exceeds that by seed: {told}.",
            "Intervals do not include the sampling of the test set: another test set could move all arms together.",
            f"Raise task.{compared.split}_examples.",
            tuple(over),
            compared.task.name,
        )


def _examples(compared: Compared) -> int:
    """The size of the split, where shares of it are what is compared."""
    size = compared.task.settings.get(f"{compared.split}_examples")
    return size if compared.metric.bounds == [0.0, 1.0] and isinstance(size, int) and size > 0 else 0


def _with_both(ends: Interval) -> str:
    """The interval with other seeds and other examples."""
    return f" (with both, {interval(ends.low, ends.high, 3)})" if isfinite(ends.low) else ""


def _seed_sets(compared: Compared) -> Iterator[Warning]:
    apart = {
        arm: contrast.of_arm.n - contrast.paired.n
        for arm, contrast in compared.contrasts.items()
        if contrast.of_arm.n > contrast.paired.n
    }
    if apart:
        told = listed(f"{arm} {plural(count, 'run')}" for arm, count in apart.items())
        yield Warning(
            "PAIRING",
            "runs without a partner",
            f"Finished runs whose seed the baseline has not finished: {told}.",
            "They count for the mean of the arm, not for its contrast.",
            "Run the missing runs of the baseline.",
            tuple(apart),
            compared.task.name,
        )


_CHECKS: tuple[Callable[[Compared], Iterable[Warning]], ...] = (
    _failed,
    _unfinished,
    _identical,
    _leaks,
    _noted,
    _capacity,
    _orders,
    _parameters,
    _flops,
    _no_smallest_effect,
    _seed_sets,
    _pairing,
    _outliers,
    _noise,
    _still_falling,
)
