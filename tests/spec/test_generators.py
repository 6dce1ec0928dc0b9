from itertools import combinations
from math import prod
from pathlib import Path

import pytest

from paribus.errors import SpecError
from paribus.planning import Plan, plan
from paribus.spec.generators import two_level
from paribus.spec.load import load

ARMS = """\
arms:
  bare: {network.position: none, network.norm: batch}
  gru: {network.mixer: gru, network.position: none}
  rich: {network.position: none, network.norm: rms, network.depth: 1}
"""


def planned(write: object, vary: str, arms: str = ARMS) -> Plan:
    return plan(load(write(f"{arms}vary:\n  - {vary}\n")))  # type: ignore[operator]


def resolution(cells: list[tuple[int, ...]]) -> int:
    """The fewest columns whose product is constant: the length of the shortest word."""
    signs = [[1 - 2 * value for value in cell] for cell in cells]
    count = len(signs[0])
    for size in range(1, count + 1):
        for places in combinations(range(count), size):
            if len({prod(row[place] for place in places) for row in signs}) == 1:
                return size
    return count + 1


@pytest.mark.parametrize(
    ("factors", "wanted", "cells"),
    [  # Box, Hunter and Hunter 2005, table 6.22: the smallest designs
        (3, 3, 4), (4, 4, 8), (5, 3, 8), (5, 5, 16), (6, 3, 8), (6, 4, 16), (7, 3, 8), (7, 4, 16), (8, 4, 16),
        (8, 5, 64), (2, 4, 4), (3, 4, 8), (11, 3, 16),
    ],
)  # fmt: skip
def test_fractions_are_the_smallest_of_their_resolution(factors: int, wanted: int, cells: int) -> None:
    found = two_level(factors, wanted)
    assert len(found) == len(set(found)) == cells
    assert resolution(found) >= min(wanted, factors + 1)
    assert all(sum(cell[place] for cell in found) == cells / 2 for place in range(factors))


def test_a_fraction_makes_half_of_a_grid_with_the_names_of_one(write: object) -> None:
    of = "{network.norm: [layer, batch], network.depth: [2, 1], network.position: [sinusoidal, none]}"
    found = planned(write, f"fraction: {{of: {of}, resolution: 3}}", "")
    assert [arm.name for arm in found.arms] == [
        "baseline",
        "norm=layer,depth=1,position=none",
        "norm=batch,depth=2,position=none",
        "norm=batch,depth=1,position=sinusoidal",
    ]
    design = found.designs[0]
    assert design["factors"] == {"norm": ["layer", "batch"], "depth": ["2", "1"], "position": ["sinusoidal", "none"]}
    assert design["cells"][0] == {"arm": "baseline", "levels": ["layer", "2", "sinusoidal"]}


def test_a_grid_tells_which_arm_each_cell_is(write: object) -> None:
    found = planned(write, "grid: {network.norm: [layer, batch], network.position: [sinusoidal, none]}")
    assert [cell["arm"] for cell in found.designs[0]["cells"]] == [
        "baseline",
        "norm=layer,position=none",
        "norm=batch,position=sinusoidal",
        "bare",
    ]


def test_leaving_one_out_makes_an_arm_for_each_change(write: object) -> None:
    found = planned(write, "leave_one_out: rich")
    cells = {cell["without"]: cell["arm"] for cell in found.designs[0]["cells"]}
    assert cells == {
        "position": "rich-without-position",
        "norm": "rich-without-norm",
        "depth": "rich-without-depth",
    }
    changes = {arm.name: arm.changes for arm in found.arms}
    assert changes["rich-without-norm"] == {"network.position": "none", "network.depth": 1}


def test_a_path_makes_every_subset_of_the_changes_once(write: object) -> None:
    found = planned(write, "path: {to: rich}")
    design = found.designs[0]
    assert len(design["orders"]) == 6
    cells = {frozenset(cell["changes"]): cell["arm"] for cell in design["cells"]}
    assert len(cells) == 8
    assert (cells[frozenset()], cells[frozenset({"position", "norm", "depth"})]) == ("baseline", "rich")
    assert cells[frozenset({"norm", "depth"})] == "norm=rms,depth=1"
    assert len(found.arms) == 4 + 6


def test_some_orders_make_only_the_cells_on_them_and_the_same_ones_each_time(write: object) -> None:
    one, other = (planned(write, "path: {to: rich, orders: 2}") for _ in range(2))
    assert one.designs == other.designs
    assert len(one.designs[0]["orders"]) == 2
    assert 4 < len(one.designs[0]["cells"]) <= 6


def test_a_path_from_an_arm_undoes_what_the_end_does_not_have(write: object) -> None:
    found = planned(write, "{path: {to: bare}, from: rich}")
    cells = {frozenset(cell["changes"]): cell["arm"] for cell in found.designs[0]["cells"]}
    assert cells == {
        frozenset(): "rich",
        frozenset({"norm"}): "rich+norm=batch",
        frozenset({"depth"}): "rich+depth=2",
        frozenset({"norm", "depth"}): "bare",
    }


@pytest.mark.parametrize(
    ("vary", "message"),
    [
        ("fraction: {of: {network.depth: [1, 2, 3], network.norm: [layer, rms]}}", "got 3 values, needs exactly two"),
        ("fraction: {of: {network.depth: [1, 2]}}", "got 1 keys, needs 2 to 12"),
        ("fraction: {of: {network.depth: [1, 2]}, resolution: 2}", "got 2, needs a number of at least 3"),
        ("leave_one_out: ritch", "got 'ritch', names no arm under `arms`; did you mean 'rich'"),
        ("leave_one_out: one", "got 'one', which makes 1 change; needs an arm with two or more"),
        ("{leave_one_out: rich, from: gru}", "'rich' starts from the baseline"),
        ("path: {to: nowhere}", "got 'nowhere', names no arm"),
        ("path: {to: one}", "got 'one', 1 change away from 'baseline'; needs two or more"),
        ("path: {to: rich, orders: some}", "got 'some', needs all, or a number of orders"),
        ("path: {to: long}", "got all, but 7 changes have 5,040 orders; needs a number of them"),
    ],
)
def test_what_a_generator_cannot_do_is_said_with_its_place(write: object, vary: str, message: str) -> None:
    more = (
        "  one: {network.depth: 1}\n  long: {network.depth: 1, network.norm: rms, network.dropout: 0.1,"
        " network.width: 32, network.position: none, network.residual: false, network.norm_placement: pre}\n"
    )
    with pytest.raises(SpecError, match=r"small.yaml:\d+:\d+  vary\[0\]") as error:
        planned(write, vary, ARMS + more)
    assert message in str(error.value)


def test_old_plans_have_no_designs(write: object, tmp_path: Path) -> None:
    tree = planned(write, "leave_one_out: rich").tree()
    del tree["designs"]
    assert Plan.of(tree).designs == []
