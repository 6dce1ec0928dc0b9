from dataclasses import replace
from itertools import product
from types import SimpleNamespace
from typing import Any

import pytest

from paribus.report.effects import Explained, effects
from paribus.report.findings import find
from paribus.report.results import Results

Made = SimpleNamespace


def explained(made: Made, arms: dict[str, list[float]], design: dict[str, Any], **more: Any) -> Explained:
    likes = [made.Arm(name, 0.9, values=values, **more.get(name, {})) for name, values in arms.items()]
    plan, outcomes = made.experiment(likes, len(next(iter(arms.values()))))
    results = Results(replace(plan, designs=[design]), outcomes)
    return effects(results, plan.tasks[0])[0]


def noisy(mean: float, salt: int) -> list[float]:
    return [mean + 0.002 * ((seed * (3 + salt)) % 5) for seed in range(5)]


GRID = {"norm": ["layer", "batch"], "position": ["sinusoidal", "none"]}


def grid(made: Made, both: float, **more: Any) -> Explained:
    cells = list(product(*GRID.values()))
    names = ["baseline", *(",".join(cell) for cell in cells[1:])]
    means = (0.9, 0.6, 0.8, 0.5 + both)
    arms = {name: noisy(mean, index) for index, (name, mean) in enumerate(zip(names, means, strict=True))}
    design = {
        "kind": "grid",
        "from": "baseline",
        "factors": GRID,
        "cells": [{"arm": name, "levels": list(cell)} for name, cell in zip(names, cells, strict=True)],
    }
    return explained(made, arms, design, **more)


def test_without_an_interaction_a_grid_tells_main_effects(made: Made) -> None:
    found = grid(made, 0.0)
    assert found.design is not None
    assert found.sentences[0].startswith("norm: batch instead of layer changes the metric by −0.")
    assert found.sentences[1].startswith("position: none instead of sinusoidal changes the metric by −0.29")
    assert found.arms["batch", "none"] == "batch,none"


def test_an_interaction_comes_first_and_takes_the_main_effects_place(made: Made) -> None:
    found = grid(made, 0.2)
    assert found.sentences[0].startswith("batch instead of layer gains 0.20")
    assert "more with position=none than with position=sinusoidal" in found.sentences[0]
    assert "The effect of norm depends on the other settings" in found.sentences[1]


def test_findings_hold_effects_in_words_and_in_a_table(made: Made) -> None:
    cells = list(product(*GRID.values()))
    likes = [made.Arm("baseline", 0.9), *(made.Arm(",".join(cell), 0.8) for cell in cells[1:])]
    plan, outcomes = made.experiment(likes)
    design = {
        "kind": "grid",
        "from": "baseline",
        "factors": GRID,
        "cells": [{"arm": like.name, "levels": list(cell)} for like, cell in zip(likes, cells, strict=True)],
    }
    found = find(replace(plan, designs=[design]), outcomes)
    assert found.effects_text.startswith("\nEffects and interactions, phrases\n")
    kinds = [line["kind"] for line in found.tables.effects]
    assert (kinds.count("mean"), kinds.count("effect"), kinds.count("interaction"), kinds.count("simple")) == (
        8,
        2,
        1,
        4,
    )


def test_an_empty_cell_is_a_problem_that_is_told(made: Made) -> None:
    failed = {"batch,none": {"statuses": dict.fromkeys(range(1, 6), "diverged")}}
    found = grid(made, 0.0, **failed)
    assert "no run finished of norm=batch, position=none" in found.problem
    assert found.sentences == ()


def test_a_path_shares_out_the_whole_difference(made: Made) -> None:
    arms = {"baseline": noisy(0.5, 0), "norm=rms": noisy(0.6, 1), "depth=3": noisy(0.7, 2), "rich": noisy(0.9, 3)}
    cells = [[], ["norm"], ["depth"], ["norm", "depth"]]
    design = {
        "kind": "path",
        "from": "baseline",
        "to": "rich",
        "orders": [["norm", "depth"], ["depth", "norm"]],
        "cells": [{"arm": arm, "changes": made} for arm, made in zip(arms, cells, strict=True)],
    }
    found = explained(made, arms, design)
    assert found.title == "What each change adds on the way from baseline to rich"
    assert found.attribution is not None
    shares = {share.change: share.effect.mean for share in found.attribution.shares}
    assert shares["norm"] == pytest.approx(0.15, abs=0.01)
    assert shares["depth"] == pytest.approx(0.25, abs=0.01)
    assert "over 2 orders and 5 seeds" in found.sentences[0]
    assert found.sentences[1].startswith("depth: +0.248")
    missing = {**design, "cells": design["cells"][:3]}
    assert "not part of these runs" in explained(made, arms, missing).problem


def test_what_is_left_out_is_told_with_the_whole(made: Made) -> None:
    arms = {"baseline": noisy(0.5, 0), "rich": noisy(0.9, 1), "a": noisy(0.7, 2), "b": noisy(0.9, 3)}
    cells = [{"arm": "a", "without": "norm"}, {"arm": "b", "without": "depth"}]
    design = {"kind": "leave_one_out", "from": "baseline", "to": "rich", "cells": cells}
    found = explained(made, arms, design)
    assert found.attribution is not None
    assert [round(share.effect.mean, 1) for share in found.attribution.shares] == [0.2, 0.0]
    assert "Undecided whether there is any share of depth." in found.sentences[-1]
