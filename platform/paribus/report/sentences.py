"""What a verdict says in one sentence, with the numbers that carry it."""

from collections.abc import Callable, Iterable, Sequence
from math import isnan

from paribus.report.numbers import equation, fixed, general, interval, level, listed, plural, signed
from paribus.stats.contrast import Contrast
from paribus.stats.verdict import VERDICTS

ICONS = {
    "better": "▲",
    "negligibly better": "△",
    "worse": "▼",
    "negligibly worse": "▽",
    "equivalent": "≡",
    "inconclusive": "?",
    "identical": "=",
    "insufficient": "…",
    "unstable": "!",
    "failed": "✕",
    "not applicable": "–",
}
# The family of colours that a verdict is shown in; the icon and the word say the rest.
TONES = {
    "better": "better",
    "negligibly better": "equivalent",
    "worse": "worse",
    "negligibly worse": "equivalent",
    "equivalent": "equivalent",
    "unstable": "unstable",
    "failed": "unstable",
    "identical": "unstable",
}


def tone(verdict: str) -> str:
    return TONES.get(verdict, "inconclusive")


def sentence(contrast: Contrast, places: int, unit: str) -> str:
    """The verdict of one arm, said in full."""
    return _SENTENCES[contrast.verdict](contrast, places, unit)


def _failed(contrast: Contrast, places: int, unit: str) -> str:
    return f"No run of {contrast.arm} finished (0/{contrast.counts.planned})."


def _unstable(contrast: Contrast, places: int, unit: str) -> str:
    counts = contrast.counts
    return f"{counts.failed} of {plural(counts.planned, 'run')} failed; the scores of the others are not comparable."


def _identical(contrast: Contrast, places: int, unit: str) -> str:
    n = contrast.paired.n
    return f"Equal to the baseline to the last digit on {n}/{n} seeds: check that the swap is applied."


def _insufficient(contrast: Contrast, places: int, unit: str) -> str:
    pairs = contrast.paired
    seen = signed(pairs.mean, places)
    if not pairs.n:
        return "No pair of finished runs: nothing can be compared."
    if pairs.constant:
        return f"The difference is {seen}{unit} on every seed: the seeds vary nothing, so no test is possible."
    needed = contrast.rule.min_pairs
    return (
        f"{plural(pairs.n, 'pair')} of runs where a verdict needs {needed}: description only (difference {seen}{unit})."
    )


def _different(contrast: Contrast, places: int, unit: str) -> str:
    pairs = contrast.paired
    side, count = ("Better", pairs.wins) if pairs.mean > 0 else ("Worse", pairs.losses)
    seen = f"{signed(pairs.mean, places)}{unit} {interval(pairs.interval.low, pairs.interval.high, places)}"
    seeds_won = f", on {count}/{pairs.n} seeds" if contrast.rule.pairing == "seed" else ""
    said = f"{side} than the baseline: {seen}{seeds_won} ({equation(contrast.p)}{_corrected(contrast)})."
    if pairs.simultaneous.low <= 0 <= pairs.simultaneous.high:
        return f"{said} The thin whisker, which holds for all arms at once, is wider than the test and includes 0."
    return said


def _negligible(contrast: Contrast, places: int, unit: str) -> str:
    pairs = contrast.paired
    seen = f"{signed(pairs.mean, places)}{unit} {interval(pairs.interval.low, pairs.interval.high, places)}"
    return f"A real but negligible {seen}, inside ±{margin(contrast)} ({equation(contrast.p)}{_corrected(contrast)})."


def _equivalent(contrast: Contrast, places: int, unit: str) -> str:
    narrow = contrast.paired.narrow
    ends = f"{signed(narrow.low, places)} to {signed(narrow.high, places)}"
    return f"Equivalent within ±{margin(contrast)}{unit} ({level(2 * contrast.rule.alpha)} interval {ends})."


def margin(contrast: Contrast) -> str:
    return general(contrast.rule.smallest_effect)


def _inconclusive(contrast: Contrast, places: int, unit: str) -> str:
    pairs = contrast.paired
    ends = f"{signed(pairs.interval.low, places)} to {signed(pairs.interval.high, places)}{unit}"
    if "worst case flips it" in contrast.tags:
        lost = plural(contrast.counts.failed, "failed run")
        return f"Undecided: {ends} given that training finishes; with {lost} counted as lost, too few pairs are won."
    alone = pairs.p <= contrast.rule.alpha  # a difference that the correction takes back
    head = f"Undecided{_corrected(contrast)} ({equation(contrast.p)})" if alone else "Undecided"
    return f"{head}: {ends}; {_seeds(contrast)}; equivalent for any margin ≥ {fixed(pairs.least_margin, places)}{unit}."


def _not_applicable(contrast: Contrast, places: int, unit: str) -> str:
    return "The split is longer than the arm or the baseline has places for; it is outside the family of comparisons."


_SENTENCES: dict[str, Callable[[Contrast, int, str], str]] = {
    "better": _different,
    "worse": _different,
    "negligibly better": _negligible,
    "negligibly worse": _negligible,
    "equivalent": _equivalent,
    "inconclusive": _inconclusive,
    "identical": _identical,
    "insufficient": _insufficient,
    "unstable": _unstable,
    "failed": _failed,
    "not applicable": _not_applicable,
}


def _corrected(contrast: Contrast) -> str:
    names = {"holm": " after Holm", "bh": " after Benjamini-Hochberg", "none": ", uncorrected"}
    return names[contrast.rule.correction]


def _seeds(contrast: Contrast) -> str:
    """What would settle it."""
    outlook = contrast.outlook
    if contrast.rule.smallest_effect is not None:
        count = seeds(outlook.seeds_smallest_effect)
        low, high = outlook.seeds_smallest_effect_range
        return f"about {count} seeds ({seeds(low)} to {seeds(high)}) would detect ±{margin(contrast)}"
    return f"about {seeds(outlook.seeds_observed)} seeds would detect an effect of this size, if it were exact"


def seeds(count: int | None) -> str:
    return "more than 10,000" if count is None else str(count)


def answer(contrasts: Sequence[Contrast], places: int, unit: str) -> str:
    """What the arms of one task come to, without a full stop."""
    if not contrasts:
        return "there is no arm to compare with the baseline"
    if all(contrast.verdict == "insufficient" for contrast in contrasts):
        return f"no verdict yet: {_waiting(contrasts)}"
    parts = [
        _said(verdict, group, places, unit)
        for verdict in VERDICTS
        if (group := [contrast for contrast in contrasts if contrast.verdict == verdict])
    ]
    head = f"of {len(contrasts)} arms, " if len(contrasts) > 1 else "beside the baseline, "
    return head + "; ".join(parts)


def _waiting(contrasts: Iterable[Contrast]) -> str:
    pairs = max(contrast.paired.n for contrast in contrasts)
    needed = max(contrast.rule.min_pairs for contrast in contrasts)
    if pairs >= needed:
        return "the seeds vary nothing"
    return f"at most {plural(pairs, 'pair')} of finished runs, where {needed} are needed"


def _said(verdict: str, group: Sequence[Contrast], places: int, unit: str) -> str:
    names = listed(_named(contrast, places, unit) for contrast in group)
    verb = "is" if len(group) == 1 else "are"
    if verdict == "equivalent":
        return f"{names} {verb} equivalent within ±{margin(group[0])}{unit}"
    if verdict == "insufficient":
        return f"{names} {'has' if len(group) == 1 else 'have'} too few pairs for a verdict"
    if verdict == "failed":
        return f"{names} never finished"
    if verdict == "identical":
        return f"{names} {verb} identical to the baseline"
    return f"{names} {verb} {verdict}"


def _named(contrast: Contrast, places: int, unit: str) -> str:
    """The arm, with its numbers where it differs."""
    pairs = contrast.paired
    if contrast.verdict not in ("better", "worse", "negligibly better", "negligibly worse") or isnan(pairs.mean):
        return contrast.arm
    ends = interval(pairs.interval.low, pairs.interval.high, places)
    return f"{contrast.arm} ({signed(pairs.mean, places)}{unit} {ends})"
