"""When two networks are told to be the same function class, and that they are."""

from typing import Any

import pytest
import torch

from paribus.network import Batch, Sizes, build
from paribus.spec.equivalence import same_functions
from paribus.spec.network import Architecture, Network, resolve


def architecture(score: Any = "scaled_dot", mixer: dict[str, Any] | None = None, **settings: Any) -> Architecture:
    mixer = {"kind": "attention", "score": score, "heads": 2, **(mixer or {})}
    return resolve(Network.model_validate({"width": 8, "depth": 1, "dropout": 0.0, "mixer": mixer, **settings}))


@pytest.mark.parametrize(
    ("one", "other", "told"),
    [
        ("dot", "general", "W folds into the key's matrix"),
        ("general", "scaled_dot", "W folds into the key's matrix"),
        ("dot", "scaled_dot", "how training starts and moves only"),
        ("additive", "concat", "a matrix for q, one for k and a bias"),
        ({"kind": "additive", "hidden": 8}, "concat", ""),
        ("dot", "cosine", ""),
        ("dot", "dot", ""),
    ],
)
def test_scores_of_one_function_class_are_told(one: Any, other: Any, told: str) -> None:
    found = same_functions(architecture(one), architecture(other))
    assert (told in found) == bool(found or told == "")
    assert bool(found) == bool(told)


def test_a_score_folds_into_projections_only_where_they_are_free() -> None:
    assert not same_functions(
        architecture("dot", {"projections": "none"}), architecture("general", {"projections": "none"})
    )
    assert not same_functions(architecture("dot", position="rotary"), architecture("general", position="rotary"))
    shared = {"projections": "shared_qk"}
    assert same_functions(architecture("additive", shared), architecture("concat", shared))


def test_another_difference_beside_the_score_silences_the_note() -> None:
    assert not same_functions(architecture("dot"), architecture("general", norm="rms"))


def test_adding_codes_is_told_to_be_a_tied_case_of_joining_them() -> None:
    joined = architecture(position={"kind": "sinusoidal", "combine": "concat"})
    assert "tied to the identity" in same_functions(architecture(), joined)


def test_a_general_score_whose_matrix_is_folded_into_the_keys_is_a_dot_score() -> None:
    sizes = Sizes(9, 9, 8, 8)
    general, dot = (build(architecture(score), sizes, seed=1).double().eval() for score in ("general", "dot"))
    state = general.state_dict()
    for name in [name for name in state if name.endswith("score.key.weight")]:
        matrix, path = state.pop(name), name.removesuffix("score.key.weight")
        for kind in ("weight", "bias"):
            q, k, v = state[f"{path}project.{kind}"].split(8)
            k = torch.einsum("ij,hj...->hi...", matrix, k.unflatten(0, (2, 4))).flatten(0, 1)
            state[f"{path}project.{kind}"] = torch.cat((q, k, v))
    dot.load_state_dict(state)
    batch = Batch(torch.tensor([[5, 6, 7]]), None, torch.tensor([[5, 8]]), None)
    assert (general(batch) - dot(batch)).abs().max() < 1e-12
