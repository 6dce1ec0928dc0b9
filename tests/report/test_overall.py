from types import SimpleNamespace
from typing import Any

import pytest

from paribus.planning import Plan
from paribus.report.findings import find
from paribus.report.overall import best_told, overall, ranks
from paribus.report.results import Results

Made = SimpleNamespace


def contrasts(results: Results) -> dict[str, Any]:
    return {
        task.name: results.contrasts(task, results.metric(task), results.split(task)) for task in results.plan.tasks
    }


def test_tasks_are_summed_up_in_units_of_the_baselines_noise(two_tasks: tuple[Plan, Any]) -> None:
    results = Results(*two_tasks)
    found = {line.arm: line for line in overall(results, contrasts(results))}
    assert set(found) == {"no_position", "learned", "one_head"}
    assert found["no_position"].improvement.value < -10
    assert found["no_position"].sentence.endswith("noise floors over all tasks; wins 0 % of pairs.")
    assert overall(results, contrasts(results)) == overall(results, contrasts(results))


def test_one_task_has_no_sum(six_arms: tuple[Plan, Any]) -> None:
    results = Results(*six_arms)
    assert overall(results, contrasts(results)) == ()


def test_only_a_sure_winner_is_called_the_best(made: Made) -> None:
    arms = [made.Arm("baseline", 0.5), made.Arm("high", 0.9), made.Arm("other", 0.9)]
    results = Results(*made.experiment(arms))
    assert best_told(ranks(results, "phrases")).startswith(("No arm can be called the best", "high is", "other is"))
    assert best_told(ranks(Results(*made.experiment(arms[:2])), "phrases")) == "high is best in 100 % of the draws."
    assert best_told([]) == "No arm can be called the best."


BANNED = ("significan", "no difference", "trend", "sota", "state of the art", "proves", "outperform", "confirms that")


@pytest.mark.parametrize("seeds", [1, 2, 3, 5, 10])
def test_no_sentence_says_more_than_is_known(made: Made, seeds: int) -> None:
    found = find(*made.experiment(made.six, seeds))
    told = [found.answer, *found.method, *(line.sentence for part in found.sections for line in part.lines)]
    told += [text for warning in found.warnings for text in (warning.evidence, warning.effect, warning.remedy)]
    for text in told:
        assert not [word for word in BANNED if word in text.lower()], text
