from math import nan

import pytest

from paribus.report import numbers


@pytest.mark.parametrize(
    ("errors", "places"), [([0.0045], 4), ([0.012, 0.034, nan], 3), ([1.3], 1), ([250.0], 0), ([nan, 0.0], 4), ([], 4)]
)
def test_decimals_show_two_digits_of_the_standard_error(errors: list[float], places: int) -> None:
    assert numbers.decimals(errors) == places


@pytest.mark.parametrize(
    ("p", "text"), [(0.0123, ".012"), (0.0004, "< .001"), (0.05, ".050"), (1.0, "1"), (nan, "—"), (None, "—")]
)
def test_p_values_are_short(p: float | None, text: str) -> None:
    assert numbers.probability(p) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.0414, "+0.041"), (-0.0414, "−0.041"), (-0.0001, "0.000"), (0.0, "0.000"), (nan, "—")]
)
def test_what_rounds_to_nothing_has_no_sign(value: float, text: str) -> None:
    assert numbers.signed(value, 3) == text


def test_counts_and_changes_are_short() -> None:
    assert [numbers.short(value) for value in (950, 41_200, 10_200_000, None)] == ["950", "41.2k", "10.2M", "—"]
    assert numbers.percent(0.0314) == "+3.1 %"
    assert numbers.listed(["a", "b", "c"]) == "a, b and c"
    assert numbers.plural(1, "run") == "1 run"
