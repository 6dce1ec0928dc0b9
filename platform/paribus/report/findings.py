"""Everything that a report says, decided once: the writers only place it."""

import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from paribus.errors import ParibusError, suggestion
from paribus.planning import Plan
from paribus.report import tables, tuning
from paribus.report.across import across
from paribus.report.blocks import blocks
from paribus.report.claims import Claimed, claims
from paribus.report.comparison import SHOWN_TAGS, Facts, Line, Section, others, section
from paribus.report.confirm import Shrinkage
from paribus.report.effects import Explained, effects
from paribus.report.fairness import of_fairness
from paribus.report.grids import Block
from paribus.report.lock import of_locks, state
from paribus.report.numbers import MISSING, general, level, listed, plural
from paribus.report.overall import Overall, overall, ranks
from paribus.report.results import Results, reproduce
from paribus.report.tables import Table
from paribus.report.warnings import Compared, Warning, of_experiment, of_task
from paribus.stats.paired import floor
from paribus.stats.power import detectable
from paribus.stats.ranks import Rank
from paribus.stats.verdict import FAILURES
from paribus.store.kept import Kept
from paribus.store.lock import Lock
from paribus.store.record import Outcome


@dataclass(frozen=True)
class Tables:
    """The same findings unrounded."""

    runs: Table
    contrasts: Table
    curves: Table
    heads: Table
    lengths: Table
    warnings: Table
    samples: Table
    claims: Table = ()
    effects: Table = ()
    tuning: Table = ()
    trials: Table = ()
    noise: Table = ()
    overall: Table = ()
    ranks: Table = ()
    confirmed: Table = ()

    def named(self) -> dict[str, tuple[Table, Sequence[str]]]:
        """Name of its file -> table and columns; those that always are, and others where they hold anything."""
        always = {
            "runs": (self.runs, tables.RUNS),
            "contrasts": (self.contrasts, tables.CONTRASTS),
            "curves": (self.curves, tables.CURVES),
            "warnings": (self.warnings, tables.WARNINGS),
        }
        others = {
            "heads": (self.heads, tables.HEADS),
            "lengths": (self.lengths, tables.LENGTHS),
            "claims": (self.claims, tables.CLAIMS),
            "effects": (self.effects, tables.EFFECTS),
            "tuning": (self.tuning, tuning.LEDGER),
            "trials": (self.trials, tuning.TRIALS),
            "noise": (self.noise, tables.NOISE),
            "overall": (self.overall, tables.OVERALL),
            "ranks": (self.ranks, tables.RANKS),
            "confirmed": (self.confirmed, tables.CONFIRMED),
        }
        return {**always, **{name: found for name, found in others.items() if found[0]}}


@dataclass(frozen=True)
class Findings:
    title: str
    question: str
    answer: str
    state: str  # of the runs
    identity: str  # digest and code revision
    sections: tuple[Section, ...]
    warnings: tuple[Warning, ...]
    blocks: tuple[Block, ...]  # further sections
    method: tuple[str, ...]
    provenance: Facts
    source: str  # the experiment file
    tables: Tables
    claims: tuple[Claimed, ...] = ()
    effects: tuple[Explained, ...] = ()  # of the generators of arms
    overall: tuple[Overall, ...] = ()  # every arm over several tasks
    ranks: tuple[tuple[str, tuple[Rank, ...]], ...] = ()  # by task

    @property
    def claims_text(self) -> str:
        """What became of the claims, a line each."""
        several = len(self.sections) > 1
        return "\n".join(
            f"{_ended(claimed.text or claimed.stated, f' ({claimed.task})' if several else '')} {claimed.sentence}"
            for claimed in self.claims
        )

    @property
    def effects_text(self) -> str:
        """What the generators of arms came to, a line each."""
        return "\n".join(
            line
            for part in self.effects
            for line in (f"\n{part.title}, {part.task}", *([part.problem] if part.problem else part.sentences))
        )

    @property
    def table_text(self) -> str:
        """The main table as plain text, one part a task."""
        tables = [_plain(part, len(self.sections) > 1) for part in self.sections]
        leaks = [f"{warning.brief}." for warning in self.warnings if warning.code == "LEAKS"]
        return "\n\n".join([*tables, *(["\n".join(leaks)] if leaks else [])])


def find(
    plan: Plan,
    outcomes: Mapping[str, Outcome],
    *,
    out_of_date: str = "",
    locks: Sequence[Lock] = (),
    parents: Sequence[Lock] = (),
    read: Callable[[str], Kept | None] = lambda run: None,
    metric: str = "",
    shrunk: Sequence[Shrinkage] = (),
) -> Findings:
    """What the runs of a plan say; `out_of_date` tells why the plan is no longer what its file says, if so.

    `locks` are what was declared of it before, and `parents` of the experiment that it is a variant of; `read` gives
    what a run keeps beside its record, `shrunk` is what became of its findings on fresh seeds. With a `metric` the
    tables are by that one, as an exploration: claims and the smallest effect belong to the metric that decides.
    """
    decides = _decides(plan)
    if metric:
        plan = _by(plan, metric)
    results = Results(plan, outcomes, read)
    compared = [_compare(results, index) for index in range(len(plan.tasks))]
    sections = tuple(section(part) for part in compared)
    by_task = {part.task.name: part.contrasts for part in compared}
    claimed = claims(results, by_task)
    explained = tuple(found for task in plan.tasks for found in effects(results, task))
    searched = tuning.warnings(plan.tuning) if plan.tuning else ()
    whole = overall(results, by_task)
    ranked = tuple((task.title, tuple(ranks(results, task.name))) for task in plan.tasks)
    warnings = _once(
        [
            *searched,
            *(_switched(metric, decides) if metric else of_locks(results, locks, parents)),
            *of_experiment(results, out_of_date),
            *(found for part in compared for found in (*of_task(part), *of_fairness(part))),
        ]
    )
    return Findings(
        title=plan.folder,
        question=plan.question.strip(),
        answer=_answer(sections),
        state=_state(results),
        identity=_identity(results),
        sections=sections,
        warnings=warnings,
        blocks=(
            *blocks(claimed, explained, whole, ranked, tuple(across(results, by_task, whole)), shrunk),
            *((tuning.block(results, plan.tuning),) if plan.tuning else ()),
        ),
        method=tuple(_method(results)),
        provenance=(*_provenance(results, metric), ("analysis lock", state(results, locks, parents))),
        source=plan.text,
        tables=Tables(
            tables.runs(results),
            tuple(line for part in compared for line in _contrasts(part)),
            tables.curves(results),
            tables.heads(results),
            tables.lengths(results, sections),
            tables.warnings(warnings, plan.name),
            tables.samples(results),
            tables.claims(claimed),
            tables.effects(explained),
            tuning.ledger_table(plan.tuning) if plan.tuning else (),
            tuning.trial_table(plan.tuning) if plan.tuning else (),
            tables.noise(compared),
            tables.overall(whole, plan.name),
            tables.ranks({t.name: of for t, (_, of) in zip(plan.tasks, ranked, strict=True)}, plan.name),
            tables.confirmed(shrunk, plan.name),
        ),
        claims=claimed,
        effects=explained,
        overall=whole,
        ranks=ranked,
    )


def _ended(text: str, where: str) -> str:
    """A claim as a sentence of its own, whatever its author ended it with."""
    return f"{text}{where}" if text.endswith(tuple(".!?。！？")) else f"{text}{where}."


def _decides(plan: Plan) -> str:
    return listed(dict.fromkeys(plan.deciding(task)[0] for task in plan.tasks))


def _by(plan: Plan, metric: str) -> Plan:
    """The plan with another metric in its tables; a task that lacks it keeps its own."""
    known = {task.name for task in plan.tasks if any(found.name == metric for found in task.metrics)}
    if not known:
        names = list(dict.fromkeys(found.name for task in plan.tasks for found in task.metrics))
        raise ParibusError(f"no task measures '{metric}'{suggestion(metric, names)}")
    chosen = {task.name: metric if task.name in known else plan.deciding(task)[0] for task in plan.tasks}
    asked = chosen if len(set(chosen.values())) > 1 else metric
    return replace(plan, analysis={**plan.analysis, "metric": asked, "smallest_effect": None}, claims=[])


def _switched(metric: str, decides: str) -> Iterator[Warning]:
    yield Warning(
        "POSTHOC",
        f"by {metric}, which was not chosen to decide",
        f"This page is by {metric}; the experiment decides by {decides}.",
        "A metric that is chosen after the results are known finds something more easily than its p says.",
        "Read it as exploratory; claims and the smallest effect are judged in the report without --metric.",
    )


def _compare(results: Results, index: int) -> Compared:
    task = results.plan.tasks[index]
    metric, split = results.metric(task), results.split(task)
    return Compared(results, task, metric, split, results.contrasts(task, metric, split))


def _once(warnings: Iterable[Warning]) -> tuple[Warning, ...]:
    """Warnings that say the same of several tasks are said once."""
    found: dict[tuple[str, ...], Warning] = {}
    for warning in warnings:
        found.setdefault((warning.code, warning.evidence), warning)
    return tuple(found.values())


def _contrasts(compared: Compared) -> Iterator[Mapping[str, tables.Cell]]:
    results, task, metric, split = compared.results, compared.task, compared.metric, compared.split
    where = {"experiment": results.plan.name, "task": task.name}
    main = {"metric": metric.name, "split": split, "unit": metric.unit, "role": "main"}
    yield from tables.contrasts(compared.contrasts.values(), **where, **main)
    if results.analysis.comparisons == "all":
        pairs = results.all_contrasts(task, metric, split)[len(compared.contrasts) :]
        yield from tables.contrasts(pairs, **where, **{**main, "role": "pair"})
    for other, place in others(results, task, metric, split):
        found = results.contrasts(task, other, place, exploratory=True).values()
        names = {"metric": other.name, "split": place, "unit": other.unit, "role": "exploratory"}
        yield from tables.contrasts(found, **where, **names)


def _answer(sections: tuple[Section, ...]) -> str:
    """One sentence; it never opens with the name of an arm, whose first letter stays as it is."""
    if len(sections) > 1:
        return " — ".join(f"{part.task}: {part.answer}" for part in sections) + "."
    text = sections[0].answer
    return f"{text[:1].upper()}{text[1:]}."


def _state(results: Results) -> str:
    tally = dict.fromkeys(("ok", *FAILURES, "interrupted", "running", "pending"), 0)
    for run in results.plan.runs:
        status = results.status(run.arm, run.task, run.seed)
        tally[status] = tally.get(status, 0) + 1
    rest = [f"{count} {status}" for status, count in tally.items() if count and status != "ok"]
    return " · ".join([f"{tally['ok']}/{len(results.plan.runs)} runs ok", *rest])


def _environment(results: Results, key: str) -> str:
    """All values of one thing that the runs' environments say, the commonest case being one."""
    found: dict[str, None] = {}
    for run in results.plan.runs:
        record = results.outcome(run.arm, run.task, run.seed).record
        if record is not None and record.environment.get(key) not in (None, ""):
            found[str(record.environment[key])] = None
    return ", ".join(found)


def _identity(results: Results) -> str:
    revision = _environment(results, "revision")
    return f"plan {results.plan.digest[:8]}" + (f" · code {revision}" if revision else "")


def _published(reference: Mapping[str, Any]) -> Iterator[str]:
    """Numbers that others published, in one sentence."""
    arms = {name: values for name, values in reference.items() if name != "source"}
    told = "; ".join(
        f"{arm} {metric} {general(value, 4)}" for arm, values in arms.items() for metric, value in values.items()
    )
    if told:
        source = f" ({reference['source']})" if reference.get("source") else ""
        yield f"Published numbers, of other data and budgets than here{source}: {told}."


def _method(results: Results) -> Iterator[str]:
    analysis, n = results.analysis, len(results.plan.seeds)
    alpha = analysis.alpha_a_look
    yield from _published(analysis.reference)
    family = max(1, len(results.others))
    same = "with the same seed" if analysis.pairing == "seed" else "as means over all seeds, by Welch"
    yield (
        f"An improvement is the arm's score minus the baseline's {same}, turned so that more is better. Its "
        f"interval is Student's t at {level(alpha)}; the thin whisker holds for all arms at once (Bonferroni)."
    )
    yield (
        "Better and worse: the corrected p of the paired t test is at most "
        f"{general(alpha)}. Equivalent: two one-sided tests within the smallest effect, corrected by Holm. "
        "Negligibly better or worse: both. Inconclusive: neither."
    )
    if n >= 2:
        strict = alpha / family if analysis.correction == "holm" else alpha
        yield (
            f"With {plural(n, 'seed')} a difference of {general(detectable(n, strict), 2)} standard deviations of the "
            f"differences is found with 80 % power in a family of {plural(family, 'arm')}; the exact sign-flip test "
            f"cannot give a p under {general(floor(n))}."
        )
    share = f"{100 * analysis.unstable_failure_rate:.0f} %"
    yield (
        "A failed run is a result and is never replaced. Where an arm has failed runs, a good verdict stands only if "
        "the arm wins more than half of the planned pairs with its failures counted as lost; an arm of which "
        f"{share} or more of the runs failed is called unstable."
    )
    if results.plan.compared:
        yield "The table was made elsewhere: what its seeds vary, and whether its arms are treated alike, is unknown."
        return
    yield (
        "A seed varies initial values, data order and dropout; parameters of equal name and shape start equal in all "
        "arms. Intervals speak of training again, not of another test set. Other metrics and splits are exploratory."
    )


def _provenance(results: Results, metric: str) -> Iterator[tuple[str, str]]:
    plan = results.plan
    if plan.compared:
        yield "table", plan.file
        yield "rebuild this page", plan.compared
        yield "seeds", ", ".join(map(str, plan.seeds))
        return
    yield "experiment file", plan.file
    words = ["paribus", "report", plan.folder if plan.label else plan.file]
    yield "rebuild this page", shlex.join([*words, *(["--metric", metric] if metric else [])])
    yield "train it all again", f"{reproduce(plan)} --fresh"
    yield "plan", plan.digest
    yield "seeds", ", ".join(map(str, plan.seeds))
    names = {
        "paribus": "paribus",
        "revision": "code revision",
        "results": "results version",
        "python": "Python",
        "torch": "torch",
        "lightning": "Lightning",
        "system": "system",
        "device_name": "device",
        "threads": "threads a run",
        "tf32": "TF32",
        "compile": "compiled",
    }
    for key, name in names.items():
        value = _environment(results, key)
        if value:
            yield name, value
    for task in plan.tasks:
        yield f"task {task.title}", ", ".join(f"{key} {value}" for key, value in task.settings.items() if key != "kind")
    analysis = plan.analysis
    kept = ("alpha", "correction", "split", "smallest_effect", "min_pairs", "unstable_failure_rate")
    yield "analysis", ", ".join(f"{key} {analysis[key]}" for key in kept if key in analysis)


def _plain(part: Section, named: bool) -> str:
    head = ("arm", f"{part.metric} {part.arrow}", f"improvement [{part.level} CI]", "verdict")
    lines = [head, *(_plain_line(line) for line in part.lines)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    texts = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    if any(line.incomplete for line in part.lines):
        texts.append("An improvement is over the seeds that both arms finished, a mean over all that the one finished.")
    return "\n".join([f"{part.task}, {part.split}", *texts] if named else texts)


def _plain_line(line: Line) -> tuple[str, str, str, str]:
    """With its marks behind the verdict, where they are a part of it: what is equivalent is not worse."""
    difference = f"{line.difference} {line.interval}".strip()
    verdict = "baseline" if line.is_baseline else f"{line.icon} {line.verdict}"
    shown = [tag for tag in SHOWN_TAGS if (tag, line.verdict) != ("not worse", "equivalent")]
    marks = [tag for tag in line.tags if tag in shown] + ([line.incomplete] if line.incomplete else [])
    told = verdict + (f" ({', '.join(marks)})" if marks else "")
    return line.arm, line.score, MISSING if line.is_baseline else difference, told
