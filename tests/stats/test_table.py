import io
from math import isnan

import pandas as pd
import pytest
from numpy.random import default_rng
from scipy import stats

from paribus.errors import ParibusError
from paribus.stats.table import contrasts, observations, tidy

VALUES = {
    ("vanilla", 1): 0.90,
    ("vanilla", 2): 0.92,
    ("vanilla", 3): 0.91,
    ("rope", 1): 0.95,
    ("rope", 2): 0.96,
    ("rope", 3): 0.97,
}

LONG = "arm,seed,value\n" + "".join(f"{arm},{seed},{value}\n" for (arm, seed), value in VALUES.items())
ARMS_WIDE = "seed,vanilla,rope\n1,0.90,0.95\n2,0.92,0.96\n3,0.91,0.97\n"
SEEDS_WIDE = "arm,seed_1,seed_2,seed_3\nvanilla,0.90,0.92,0.91\nrope,0.95,0.96,0.97\n"
TRACKER = "Name,State,Created,Runtime,config.seed,config.lr,acc,loss\n" + "".join(
    f"{arm}-seed{seed},finished,2026-11-21T10:00:00Z,61,{seed},0.001,{value},{2 - value}\n"
    for (arm, seed), value in VALUES.items()
)
GROUPS = "run,Group,State,params.seed,metrics.acc\n" + "".join(
    f"swift-sun-{seed},{arm},finished,{seed},{value}\n" for (arm, seed), value in VALUES.items()
)
COLUMNS = [f'"{arm}-s{seed} - acc{end}"' for arm, seed in VALUES for end in ("", "__MIN", "__MAX")]
LAST = [str(value) for value in VALUES.values() for _ in range(3)]
CURVES = f"Step,{','.join(COLUMNS)}\n1,{','.join(['0.1'] * len(LAST))}\n2,{','.join(LAST)}\n"
OURS = "experiment,arm,task,seed,status,metric,split,value\n" + "".join(
    f"x,{arm},t,{seed},ok,{metric},{split},{value if (metric, split) == ('acc', 'test') else 0}\n"
    for (arm, seed), value in VALUES.items()
    for metric in ("acc", "loss")
    for split in ("test", "test_longer")
)


def read(text: str) -> pd.DataFrame:
    return pd.read_csv(io.StringIO(text))


@pytest.mark.parametrize(
    ("text", "metric", "named"),
    [
        (LONG, "", "value"),
        (ARMS_WIDE, "", "value"),
        (SEEDS_WIDE, "score", "score"),
        (TRACKER, "acc", "acc"),
        (GROUPS, "acc", "acc"),
        (GROUPS, "", "metrics.acc"),
        (CURVES, "", "acc"),
        (OURS, "acc", "acc"),
    ],
)
def test_every_shape_of_table_says_the_same(text: str, metric: str, named: str) -> None:
    frame, name = tidy(read(text), metric=metric, baseline="vanilla")
    found = {(row.arm, int(row.seed)): row.value for row in frame.itertuples()}
    assert found == VALUES
    assert name == named


def test_the_frame_of_contrasts_takes_the_columns_of_the_file() -> None:
    found = contrasts(read(LONG), baseline="vanilla", direction="max", smallest_effect=0.01).iloc[0]
    assert (found["arm"], found["n_pairs"], found["direction"]) == ("rope", 3, "max")
    assert found["improvement"] == pytest.approx(0.05)


def test_an_empty_value_is_a_failed_run_unless_its_status_says_more() -> None:
    text = "arm,seed,value,status\na,1,,finished\na,2,,running\na,3,1.0,OK\nb,1,1,\nb,2,2,\nb,3,3,\n"
    runs = observations(read(text), "b")[""]["a"]
    assert [(run.status, run.ok, run.failed) for run in runs] == [
        ("ok", False, True),
        ("running", False, False),
        ("ok", True, False),
    ]
    assert isnan(runs[0].value)


def test_the_baseline_comes_first_wherever_it_stands() -> None:
    assert list(observations(read(LONG), "rope")[""]) == ["rope", "vanilla"]


@pytest.mark.parametrize(
    ("text", "metric", "message"),
    [
        ("arm,value\na,1\n", "", "lacks a column for seed; it has arm, value"),
        ("value\n1\n", "", "lacks a column for arm and seed; it has value"),
        (TRACKER, "", "choose one with --metric: Runtime, acc, loss"),
        (TRACKER, "accc", "--metric: the table has no column 'accc'; did you mean 'acc'"),
        (OURS, "", "the table has several metrics: acc, loss; choose one with --metric"),
        (OURS, "los", "no metric 'los'; did you mean 'loss'"),
        (CURVES, "los", "no metric 'los'"),
        ("arm,seed,note\na,1,x\n", "", "lacks the column value; it has arm, seed, note"),
    ],
)
def test_what_a_table_lacks_is_said(text: str, metric: str, message: str) -> None:
    with pytest.raises(ParibusError, match=message):
        tidy(read(text), metric=metric)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("arm,seed,value\na,1,high\n", "arm a, seed 1 has the value 'high', which is no number"),
        ("arm,seed,value\na,1,1\na,1,2\n", "more than one value for arm a, seed 1"),
        ("arm,seed,value\na,1,1\n,2,2\n", "row 2 of the table has no arm"),
        ("arm,seed,value\na,,1\n", "row 1 of the table has no seed"),
        (
            "arm,seed,value,status\na,1,1,finnished\n",
            "arm a, seed 1 has the status 'finnished'; did you mean 'finished'",
        ),
        ("arm,seed,value\n", "the table has no rows"),
        ("arm,seed,value\na,1,1\n", "no arm is called 'base'. Known: a"),
        ("arm,seed,value,task\na,1,1,t\nbase,1,1,u\n", "no arm of task t is called 'base'"),
    ],
)
def test_what_is_wrong_with_a_row_is_said(text: str, message: str) -> None:
    with pytest.raises(ParibusError, match=message):
        observations(read(text), "base")


@pytest.mark.parametrize(
    ("name", "value"),
    [("direction", "up"), ("alpha", 0.0), ("smallest_effect", -1.0), ("correction", "bonferroni"), ("pairing", "x")],
)
def test_a_rule_that_cannot_be_meant_is_refused_with_its_value(name: str, value: object) -> None:
    with pytest.raises(ParibusError, match=f"{name}: got '?{value}"):
        contrasts(read(LONG), **{"baseline": "vanilla", "direction": "max", name: value})  # type: ignore[arg-type]


def test_twenty_thousand_rows_are_contrasted_in_little_memory() -> None:
    values = default_rng(0).normal(size=(2, 10_000)).round(3)
    frame = pd.DataFrame(
        {
            "arm": ["a"] * 10_000 + ["base"] * 10_000,
            "seed": [*range(10_000)] * 2,
            "value": values.ravel(),
        }
    )
    found = contrasts(frame, baseline="base", direction="max").iloc[0]
    assert found["p_t"] == pytest.approx(stats.ttest_rel(*values).pvalue)
    assert found["pi_unpaired"] == pytest.approx(stats.mannwhitneyu(*values).statistic / 10_000**2)
    assert found["p_signflip"] == pytest.approx(found["p_t"], abs=0.03)
