"""Every kind of every family, and settings that change what a kind does, keep every promise."""

from typing import Any

import pytest
from pydantic import ValidationError

from paribus.parts import FAMILIES, Part, Swappable, kinds
from paribus.promises import Promise, any_module, in_network, promises_of
from paribus.promises.using import CALLED

# Settings beside the defaults of each kind.
VARIANTS: list[tuple[str, dict[str, Any]]] = [
    ("mixer", {"kind": "attention", "heads": 1}),
    ("mixer", {"kind": "attention", "head_width": 3}),
    ("mixer", {"kind": "attention", "value_width": 5}),
    ("mixer", {"kind": "attention", "score": "additive"}),
    ("mixer", {"kind": "attention", "score": "offset"}),
    ("mixer", {"kind": "attention", "score": "distance", "value_width": 7}),
    ("mixer", {"kind": "attention", "weights": "sparsemax"}),
    ("mixer", {"kind": "attention", "weights": "sigmoid"}),
    ("mixer", {"kind": "attention", "key_heads": 1}),
    ("mixer", {"kind": "attention", "key_heads": 2, "score": "cosine"}),
    ("mixer", {"kind": "attention", "projections": "shared_qk"}),
    ("mixer", {"kind": "attention", "projections": "none"}),
    ("mixer", {"kind": "attention", "window": {"kind": "fixed", "size": 1}}),
    ("mixer", {"kind": "attention", "window": {"kind": "predictive", "size": 3}}),
    ("mixer", {"kind": "attention", "window": {"kind": "fixed", "size": 2}, "score": "additive"}),
    ("mixer", {"kind": "attention", "score": "location"}),
    ("mixer", {"kind": "attention", "score": "random"}),
    ("mixer", {"kind": "rnn", "bidirectional": True}),
    ("mixer", {"kind": "lstm", "bidirectional": True, "hidden": 3}),
    ("mixer", {"kind": "gru", "bidirectional": True}),
    ("mixer", {"kind": "gru", "hidden": 5}),
    ("mixer", {"kind": "conv", "kernel": 2}),
    ("mixer", {"kind": "conv", "kernel": 3, "dilation": 2}),
    ("mixer", {"kind": "summary", "pooling": "last"}),
    ("position", {"kind": "sinusoidal", "combine": "concat"}),
    ("position", {"kind": "learned", "combine": "concat", "max_length": 15}),
    ("position", {"kind": "unit", "combine": "concat"}),
    ("position", {"kind": "index", "combine": "concat"}),
    ("position", {"kind": "relative", "buckets": 16, "farthest": 20}),
    ("norm", {"kind": "batch", "scope": "features_and_positions"}),
    ("score", {"kind": "offset", "offset": 1}),
    ("optimizer", {"kind": "sgd", "momentum": 0.9}),
    ("schedule", {"kind": "linear", "warmup": 0}),
    ("schedule", {"kind": "inverse_sqrt", "warmup": 40}),
    ("task", {"kind": "phrases", "level": "phrases"}),
]

# Every reason for which a promise may say nothing of a part of ours.
REASONS = (
    "acts on attention", "acts on embeddings", "cannot stand in cross position", "cannot stand in self position",
    "does not fit in an encoder", "does not make its own examples", "fits in no decoder", "fits in no encoder",
    "fits in no small network", "hides no key", "got 2, needs an odd number: a centred window has a middle",
    "got true, but the decoder side must not see later tokens; use it under `encoder`", "has no bias",
    "has no limited number of places", "has no parameters", "has no scores", "has no weight decay",
    "ignores query and key", "it builds nothing", "it builds nothing: the sublayer is left out",
    "its score looks at places", "its warm-up is counted in the unit of the budget", "its window looks at places",
    "keeps no statistics", "learns its bias", "no fused form", "no fused form with these scores and weights",
    "no small task is judged by it", "reads its tokens in order", "tells nothing", "weighs no key",
)  # fmt: skip


def built(family: str, settings: str | dict[str, Any]) -> Part | None:
    """The part, or None where a setting of it is not built yet or one has to be given."""
    try:
        return Swappable(family).validate(settings)
    except (ValidationError, ValueError):
        return None


def cases() -> list[Any]:
    """Compilation takes longest, so it is quick for each kind and slow for its variants."""
    found = [(family, kind, kind) for family in FAMILIES for kind in kinds(family)]
    found += [
        (family, settings, ",".join(f"{k}={v}" if k != "kind" else str(v) for k, v in settings.items()))
        for family, settings in VARIANTS
    ]
    return [
        pytest.param(
            spec,
            promise,
            id=f"{family}-{name}-{promise.name}",
            marks=[pytest.mark.slow] if isinstance(settings, dict) and promise.name.startswith("compiled") else [],
        )
        for family, settings, name in found
        if (spec := built(family, settings)) is not None
        for promise in promises_of(family)
    ]


@pytest.mark.parametrize(("spec", "promise"), cases())
def test_it_keeps_the_promise(spec: Part, promise: Promise) -> None:
    outcome = promise.outcome(spec)
    assert outcome.verdict != "broken", str(outcome)
    if outcome.verdict == "does not apply":
        assert outcome.text in REASONS, str(outcome)


def test_every_family_that_a_run_computes_with_has_promises_with_names_of_their_own() -> None:
    for family in FAMILIES:
        names = [promise.name for promise in promises_of(family)]
        assert len(names) == len(set(names))
        assert bool(names) == (family not in ("decoding", "tracker"))


@pytest.mark.slow
@pytest.mark.parametrize("family", CALLED)
def test_inductor_gives_the_same(family: str) -> None:
    spec = built(family, {"score": "additive", "norm": "batch", "position": "relative"}.get(family, kinds(family)[0]))
    assert spec is not None
    any_module.compiled(family, spec, 1, backend="inductor")


@pytest.mark.slow
@pytest.mark.parametrize("settings", ["attention", "gru", "conv"])
def test_inductor_gives_the_same_for_whole_networks(settings: str) -> None:
    spec = built("mixer", settings)
    assert spec is not None
    in_network.compiled("mixer", spec, 1, backend="inductor")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 6))
@pytest.mark.parametrize("family", list(FAMILIES))
def test_promises_are_kept_for_other_seeds_too(family: str, seed: int) -> None:
    for kind in kinds(family):
        spec = built(family, kind)
        for promise in promises_of(family) if spec is not None else ():
            if "compiled" not in promise.name:
                assert spec is not None
                assert promise.outcome(spec, seed).verdict != "broken", str(promise.outcome(spec, seed))
