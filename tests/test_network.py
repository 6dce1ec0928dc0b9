"""Whole networks: causality, padding, step by step, starts, cost."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from paribus.cost import Lengths, cost, flops
from paribus.network import Batch, Sizes, assemble, build
from paribus.parts import kinds
from paribus.spec.network import Architecture, resolve
from paribus.spec.network import Network as Written
from paribus.training.streams import fingerprints

SIZES = Sizes(source_vocabulary=11, target_vocabulary=9, longest_source=12, longest_target=12)
SETTINGS: list[dict[str, Any]] = [
    {},
    {"mixer": {"kind": "attention", "score": "additive"}},
    {"mixer": "gru", "position": "none"},
    {"encoder": {"mixer": {"kind": "gru", "bidirectional": True}}},
    {"norm": "batch"},
    {"norm": "none"},
    {"norm": "none", "residual": False},
    {"position": "learned", "norm_placement": "pre"},
    {"norm_placement": "sandwich"},
    {"mixer": {"kind": "attention", "heads": 1, "head_width": 3, "value_width": 5}},
    {"position": "rotary", "mixer": {"kind": "attention", "heads": 2}},
    {"position": "alibi"},
    {"position": "relative", "mixer": {"kind": "attention", "score": "mlp"}},
    {"position": {"kind": "sinusoidal", "combine": "concat"}},
    {"position": "index", "norm": "rms", "feedforward": "swiglu"},
    {"position": "unit", "feedforward": "gelu"},
    {"mixer": {"kind": "attention", "score": "cosine", "weights": "sparsemax"}},
    {"mixer": {"kind": "attention", "score": "distance"}},
    {"mixer": {"kind": "attention", "score": "dot"}},
    {"mixer": {"kind": "attention", "score": "general", "weights": "sigmoid"}},
    {"mixer": {"kind": "attention", "score": "concat", "weights": "relu"}},
    {"mixer": {"kind": "attention", "score": "uniform"}, "position": "relative"},
    {"mixer": {"kind": "attention", "score": "offset"}},
    {"mixer": {"kind": "attention", "score": "location"}},
    {"mixer": {"kind": "attention", "score": "random"}},
    {"mixer": {"kind": "attention", "heads": 2, "key_heads": 1}, "position": "rotary"},
    {"mixer": {"kind": "attention", "key_heads": 2, "value_width": 5, "score": "additive"}},
    {"mixer": {"kind": "attention", "projections": "shared_qk", "value_width": 2}},
    {"mixer": {"kind": "attention", "projections": "none", "heads": 1}},
    {"mixer": {"kind": "attention", "projections": "none", "score": "general"}, "position": "alibi"},
    {"mixer": {"kind": "attention", "window": {"kind": "fixed", "size": 2}}},
    {"mixer": {"kind": "attention", "window": {"kind": "fixed", "size": 1}, "score": "mlp"}, "position": "relative"},
    {"mixer": {"kind": "attention", "window": {"kind": "predictive", "size": 3}}},
    {"cross": {"kind": "attention", "window": {"kind": "predictive", "size": 3}}},
    {"cross": {"kind": "attention", "window": {"kind": "fixed", "size": 6}}},
    {"norm": {"kind": "batch", "scope": "features_and_positions"}},
    {"embeddings": {"tied": True}},
    {"mixer": "rnn"},
    {"mixer": "lstm", "cross": "summary"},
    {"mixer": {"kind": "conv", "kernel": 3, "dilation": 2}},
    {"mixer": "average", "cross": "none"},
    {"mixer": "none", "feedforward": "none"},
]


def architecture(**settings: Any) -> Architecture:
    return resolve(Written.model_validate({"width": 12, "depth": 2, "dropout": 0.0, **settings}))


def batch(source: list[int], target: list[int], pad: int = 0) -> Batch:
    generator = torch.Generator().manual_seed(3)

    def ids(lengths: list[int], vocabulary: int) -> Tensor:
        drawn = torch.randint(5, vocabulary, (len(lengths), 12), generator=generator)
        return functional.pad(drawn[:, : max(lengths)], (0, pad), value=7)

    return Batch(ids(source, 11), torch.tensor(source), ids(target, 9), torch.tensor(target))


def test_equal_roles_start_equal_whatever_else_an_arm_swaps() -> None:
    base = fingerprints(build(architecture(), SIZES, seed=1))
    for settings in SETTINGS[1:]:
        arm = fingerprints(build(architecture(**settings), SIZES, seed=1))
        same_shape = {path for path in base.keys() & arm.keys() if base[path].split(":")[0] == arm[path].split(":")[0]}
        assert "readout.bias" in same_shape
        assert all(base[path] == arm[path] for path in same_shape if "project" not in path)
    assert all(
        base[p] != v
        for p, v in fingerprints(build(architecture(), SIZES, seed=2)).items()
        if "weight" in p and "norm" not in p
    )


def test_query_key_and_value_start_equal_for_all_head_counts_and_across_fusing() -> None:
    four = build(architecture(), SIZES, seed=1).get_parameter("encoder.0.mixer.project.weight")
    one = build(architecture(mixer={"heads": 1}), SIZES, seed=1).get_parameter("encoder.0.mixer.project.weight")
    narrow = build(architecture(mixer={"heads": 1, "head_width": 3}), SIZES, seed=1)
    assert torch.equal(four, one)
    assert narrow.get_parameter("encoder.0.mixer.project.weight").shape == (9, 12)


def test_tied_and_shared_embeddings_are_one_matrix_that_starts_as_an_embedding() -> None:
    sizes = Sizes(11, 11, 12, 12)
    apart = build(architecture(), sizes, seed=1)
    tied = build(architecture(embeddings={"tied": True}), sizes, seed=1)
    both = build(architecture(embeddings={"tied": True, "shared_vocabulary": True}), sizes, seed=1)
    assert tied.get_parameter("readout.weight") is tied.get_parameter("decoder.tokens.weight")
    assert torch.equal(tied.get_parameter("readout.weight"), apart.get_parameter("decoder.tokens.weight"))
    assert both.get_parameter("readout.weight") is both.get_parameter("encoder.tokens.weight")
    assert torch.equal(both.get_parameter("readout.weight"), apart.get_parameter("encoder.tokens.weight"))
    counts = [sum(p.numel() for p in network.parameters()) for network in (apart, tied, both)]
    assert [counts[0] - counts[1], counts[1] - counts[2]] == [11 * 12, 11 * 12]


def test_a_network_says_the_longest_sequence_that_each_side_has_places_for() -> None:
    located = {"kind": "attention", "score": {"kind": "location", "max_length": 7}}
    cross = build(architecture(cross=located), SIZES, seed=1)
    assert (cross.capacity("encoder"), cross.capacity("decoder")) == (7, None)
    own = build(architecture(decoder={"mixer": located}, cross="none"), SIZES, seed=1)
    assert (own.capacity("encoder"), own.capacity("decoder")) == (None, 7)
    table = {"kind": "attention", "score": "random"}
    assert build(architecture(cross=table), Sizes(11, 9, 8, 6), seed=1).capacity("decoder") == 6
    norm = {"kind": "batch", "scope": "features_and_positions"}
    assert build(architecture(norm=norm), Sizes(11, 9, 8, 6), seed=1).capacity("encoder") == 8


def test_building_draws_nothing_from_the_default_generator() -> None:
    torch.manual_seed(5)
    wanted = torch.rand(1)
    torch.manual_seed(5)
    build(architecture(), SIZES, seed=1)
    assert torch.equal(torch.rand(1), wanted)


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("family", ["encoder_decoder", "decoder"])
def test_step_by_step_equals_all_at_once(family: str, settings: dict[str, Any]) -> None:
    if family == "decoder":
        settings = {key: value for key, value in settings.items() if key != "encoder"}
    sizes = SIZES if family == "encoder_decoder" else Sizes(11, 11, 12, 12)
    network = build(architecture(family=family, **settings), sizes, seed=1).double().eval()
    read = batch([4, 6], [5, 5])
    whole = network(read)
    state = network.begin(read)
    assert read.inputs_BT is not None
    steps = torch.stack([network.step(read.inputs_BT[:, t], t, state) for t in range(5)], 1)
    assert (steps - whole).abs().max() < 1e-10


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_longer_padding_changes_no_logit_of_a_real_token(settings: dict[str, Any], training: bool) -> None:
    network = build(architecture(**settings), SIZES, seed=1).double().train(training)
    lengths = [5, 3]
    short, long = network(batch([4, 6], lengths)), network(batch([4, 6], lengths, pad=3))
    for row, length in enumerate(lengths):
        assert (short[row, :length] - long[row, :length]).abs().max() < 1e-10


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_no_logit_depends_on_a_later_token_unless_a_part_declares_it(settings: dict[str, Any], training: bool) -> None:
    spec = architecture(**settings)
    network = build(spec, SIZES, seed=1).double().train(training)
    read = batch([4, 6], [5, 5])
    before = network(read)
    assert read.inputs_BT is not None
    read.inputs_BT[:, 3] = 5 + (read.inputs_BT[:, 3] - 4) % 4
    after = network(read)
    leaks = training and any("future" in part.leaking() for _, part in spec.parts())
    assert bool((before[:, :3] - after[:, :3]).abs().max() > 1e-9) == leaks
    if settings.get("residual", True):  # without, attention makes all tokens alike, and what is read hardly counts
        assert (before[:, 3:] - after[:, 3:]).abs().max() > 1e-9


def test_without_positions_the_order_of_the_source_is_invisible() -> None:
    read = batch([6, 6], [5, 5])
    assert read.source_BS is not None
    # Two neighbours change places; turning all around would keep the distances that alibi sees.
    order = torch.tensor([1, 0, *range(2, read.source_BS.shape[1])])
    turned = Batch(read.source_BS[:, order], read.source_lengths_B, read.inputs_BT, read.input_lengths_B)
    for position in kinds("position"):
        network = build(architecture(position=position), SIZES, seed=1).double().eval()
        moved = (network(read) - network(turned)).abs().max()
        assert bool(moved < 1e-10) == (position == "none"), position


@pytest.mark.parametrize("settings", [{}, {"norm_placement": "pre", "feedforward": "swiglu"}], ids=str)
def test_leaving_padding_out_of_the_feedforward_changes_no_logit_and_no_gradient(
    settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for worth in ((1, 0.0), (99, 0.0)):
        monkeypatch.setattr("paribus.parts.mixer.PADDING_WORTH_LEAVING_OUT", worth)
        network = build(architecture(**settings), SIZES, seed=1).double()
        logits = network(batch([4, 9], [5, 2]), torch.tensor([0, 1, 2, 3, 4, 5, 6]))
        logits.square().sum().backward()
        found.append([logits.detach(), *(p.grad for p in network.parameters() if p.grad is not None)])
    for left_out, worked_on in zip(*found, strict=True):
        assert (left_out - worked_on).abs().max() < 1e-10


@pytest.mark.parametrize("family", ["encoder_decoder", "decoder"])
def test_logits_of_some_places_are_those_of_all(family: str) -> None:
    network = build(architecture(family=family), SIZES, seed=1).double().eval()
    read, places = batch([4, 6], [5, 3]), torch.tensor([0, 2, 4, 5, 7])
    assert torch.allclose(network(read, places), network(read).flatten(0, 1)[places])


@pytest.mark.parametrize("pooling", ["mean", "first", "last"])
def test_an_encoder_pools_real_tokens_only(pooling: str) -> None:
    spec = architecture(family="encoder", readout={"pooling": pooling})
    network = build(spec, Sizes(11, 3, 12, 0, labels=True), seed=1).double().eval()
    short, long = network(batch([4, 6], [1, 1])), network(batch([4, 6], [1, 1], pad=3))
    assert short.shape == (2, 3)
    assert (short - long).abs().max() < 1e-10


@pytest.mark.filterwarnings("ignore:TF32 acceleration")
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_parameters_and_flops_are_those_that_torch_counts(settings: dict[str, Any]) -> None:
    spec = architecture(**settings)
    network = assemble(spec, SIZES)
    for module in network.modules():
        if hasattr(module, "fuses"):
            module.fuses = False  # the counter sees matrix products, which the fused kernel hides
    read = batch([7], [5])
    # Without oneDNN an LSTM is made of matrix products, which the counter sees.
    with torch.backends.mkldnn.flags(enabled=False), FlopCounterMode(display=False) as counter:
        network(read)
    counted = counter.get_total_flops()
    lengths = Lengths(encoder=7, decoder=5, tokens=12)
    found = cost(spec, SIZES, lengths)
    assert flops(network, lengths) == counted
    assert found.flops_per_token == counted / 12
    assert found.parameters == sum(p.numel() for p in network.parameters())
    tables = sum(
        p.numel() for name, p in network.named_parameters() if name.endswith(("tokens.weight", "table.weight"))
    )
    assert found.parameters_without_embeddings == found.parameters - tables
