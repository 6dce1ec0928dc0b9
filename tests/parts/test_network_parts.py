"""Parts against independent code and hand-worked numbers; what whole families promise is asked in tests/promises."""

import math
from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from paribus.parts import Swappable, kinds, spec_class
from paribus.parts.mixer import Memory, Tokens
from paribus.parts.mixer.attention import Attention
from paribus.parts.position import CapacityError, Position
from paribus.parts.position.sinusoidal import sinusoids
from paribus.parts.score import Positions, Score

B, T, S, C, H = 3, 5, 7, 12, 3
NO_POSITION = Position()


def build_score(kind: str, head_dim: int) -> Score:
    score: Score = spec_class("score", kind)().make(head_dim=head_dim, heads=1, max_queries=16, max_keys=16)
    return score.double()


def attention(score: str = "scaled_dot", *, causal: bool = False, value_width: int | None = None) -> Attention:
    torch.manual_seed(0)
    settings = {"kind": "attention", "heads": H, "score": score, "value_width": value_width}
    built: Attention = Swappable("mixer").validate(settings).build(width=C, causal=causal, max_length=16)
    return built.double()


def padded(lengths: list[int], width: int = C) -> tuple[Tensor, Tokens]:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(len(lengths), max(lengths), width, generator=generator, dtype=torch.float64)
    return x, Tokens.of(torch.zeros(x.shape[:2]), torch.tensor(lengths))


def test_additive_score_gives_the_number_worked_by_hand() -> None:
    score = build_score("additive", 1)
    with torch.no_grad():
        for parameter in score.parameters():
            parameter.fill_(1.0)
    q, k = torch.tensor([[[[0.5]]]]).double(), torch.tensor([[[[-1.0], [2.0]]]]).double()
    # 64 hidden units that all hold tanh(q + 1 + k)
    wanted = [64 * math.tanh(0.5), 64 * math.tanh(3.5)]
    assert score(q, k, Positions(torch.zeros(1, 1), torch.zeros(1, 2))).flatten().tolist() == pytest.approx(wanted)


PLACES = Positions(torch.arange(4)[None], torch.arange(4)[None])

# What each score says it is, for one pair of vectors and the module that computed it.
FORMULAS: dict[str, Callable[[Any, Tensor, Tensor, int, int], Tensor]] = {
    "dot": lambda m, q, k, i, j: q @ k,
    "scaled_dot": lambda m, q, k, i, j: q @ k / math.sqrt(4),
    "general": lambda m, q, k, i, j: q @ m.key.weight @ k,
    "distance": lambda m, q, k, i, j: -((q - k) ** 2).sum() / math.sqrt(4),
    "cosine": lambda m, q, k, i, j: m.log_temperature.exp() * q @ k / (q.norm() * k.norm()),
    "additive": lambda m, q, k, i, j: m.score.weight[0] @ torch.tanh(m.query(q) + m.key(k)),
    "concat": lambda m, q, k, i, j: m.score.weight[0] @ torch.tanh(m.both(torch.cat((q, k)))),
    "mlp": lambda m, q, k, i, j: m.score.weight[0] @ m.inner((m.query(q) + m.key(k)).relu()).relu(),
    "location": lambda m, q, k, i, j: q @ m.places[j],
    "random": lambda m, q, k, i, j: m.table[0, i, j],
    "uniform": lambda m, q, k, i, j: torch.tensor(0.0),
    "offset": lambda m, q, k, i, j: torch.tensor(0.0 if j - i == -1 else -1e4),
}


@pytest.mark.parametrize("kind", kinds("score"))
def test_each_score_is_its_formula_pair_by_pair(kind: str) -> None:
    torch.manual_seed(0)
    q, k = torch.randn(2, 2, 3, 4, 4).double().unbind(0)
    score = build_score(kind, 4)
    found = score(q, k, PLACES).detach()
    for batch, head, i, j in product(range(2), range(3), range(4), range(4)):
        wanted = FORMULAS[kind](score, q[batch, head, i], k[batch, head, j], i, j).detach()
        assert float(found[batch, head, i, j] - wanted) == pytest.approx(0, abs=1e-10)


def test_sigmoid_and_relu_weights_divide_by_the_keys_that_may_be_seen() -> None:
    scores, mask = torch.tensor([[[[2.0, -1.0, 5.0]]]]), torch.tensor([[[[True, True, False]]]])
    sigmoid, relu = (
        spec_class("weights", kind)().build()(scores, mask).flatten().tolist() for kind in ("sigmoid", "relu")
    )
    assert sigmoid == pytest.approx([1 / (1 + 2 * math.exp(-2)), 1 / (1 + 2 * math.exp(1)), 0])
    assert relu == pytest.approx([1.0, 0.0, 0.0])


def test_rotary_scores_hang_on_the_distance_only_and_turn_as_the_paper_says() -> None:
    rotary = spec_class("position", "rotary")().build(width=8, max_length=4, heads=1, side="encoder")
    torch.manual_seed(0)
    q, k = torch.randn(2, 1, 1, 1, 4).double().unbind(0)

    def at(i: int, j: int) -> float:
        turned_q, turned_k = rotary.rotate(q, k, Positions(torch.tensor([[i]]), torch.tensor([[j]])))
        return float(turned_q.flatten() @ turned_k.flatten())

    assert at(7, 4) == pytest.approx(at(103, 100), abs=1e-9)
    assert at(7, 4) != pytest.approx(at(4, 7), abs=1e-3)
    turned, _ = rotary.rotate(q, k, Positions(torch.tensor([[1]]), torch.tensor([[0]])))
    x = q.flatten().tolist()
    wanted = [x[0] * math.cos(1) - x[1] * math.sin(1), x[0] * math.sin(1) + x[1] * math.cos(1)]
    assert turned.flatten().tolist()[:2] == pytest.approx(wanted)


def test_alibi_slopes_and_relative_buckets_are_those_of_the_papers() -> None:
    from paribus.parts.position.alibi import slopes

    assert slopes(8) == [2**-h for h in range(1, 9)]
    assert slopes(3) == pytest.approx([2**-4, 2**-8, 2**-2])
    alibi = spec_class("position", "alibi")().build(width=8, max_length=4, heads=8, side="encoder")
    assert alibi.bias(PLACES, 8)[0, 0].tolist()[2] == [-1.0, -0.5, 0.0, -0.5]
    both = spec_class("position", "relative")().build(width=8, max_length=4, heads=2, side="encoder")
    back = spec_class("position", "relative")().build(width=8, max_length=4, heads=2, side="decoder")
    offsets = torch.tensor([0, -1, -7, -8, -15, -16, -127, -128, -1000, 1, 8, 1000])
    # Worked from the published rule: 16 buckets a direction, 8 of them exact, the others logarithmic up to 128.
    assert both.bucket(offsets).tolist() == [0, 1, 7, 8, 9, 10, 15, 15, 15, 17, 24, 31]
    assert back.bucket(offsets).tolist() == [0, 1, 7, 8, 15, 16, 31, 31, 31, 0, 0, 0]


def test_unit_positions_run_from_zero_to_one_over_the_real_length_and_index_counts() -> None:
    x = torch.zeros(2, 4, 3)
    mask = torch.tensor([[True] * 4, [True, True, False, False]])
    encoder = spec_class("position", "unit")().build(width=3, max_length=11, heads=1, side="encoder")
    decoder = spec_class("position", "unit")().build(width=3, max_length=11, heads=1, side="decoder")
    places = torch.arange(4)[None]
    assert encoder.embed(x, places, mask)[..., 0].tolist() == [pytest.approx([0, 1 / 3, 2 / 3, 1]), [0, 1, 1, 1]]
    assert decoder.embed(x, places, None)[0, :, 0].tolist() == pytest.approx([0, 0.1, 0.2, 0.3])
    index = spec_class("position", "index")().build(width=3, max_length=11, heads=1, side="encoder")
    assert index.embed(x, places, mask)[0, :, 0].tolist() == [1, 2, 3, 4]


def test_a_concatenated_code_with_tied_projection_is_an_added_one() -> None:
    concat = spec_class("position", "sinusoidal")(combine="concat").build(
        width=6, max_length=9, heads=1, side="encoder"
    )
    added = spec_class("position", "sinusoidal")().build(width=6, max_length=9, heads=1, side="encoder")
    with torch.no_grad():
        concat.combine.weight.copy_(torch.cat((torch.eye(6), torch.eye(6)), dim=1))
        concat.combine.bias.zero_()
    x, places = torch.randn(2, 5, 6), torch.arange(5)[None]
    assert torch.allclose(concat.embed(x, places, None), added.embed(x, places, None), atol=1e-6)


def test_rms_norm_and_gated_feedforwards_are_their_formulas() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 3, 6)
    rms = spec_class("norm", "rms")().build(width=6, max_length=9)
    assert torch.allclose(
        rms(x, None, PLACES.queries_BQ), x / (x.square().mean(-1, keepdim=True) + 1e-5).sqrt(), atol=1e-6
    )
    gelu = spec_class("feedforward", "gelu")(width=5).build(width=6)
    inner = gelu.widen(x)
    assert torch.allclose(gelu(x), gelu.narrow(inner * 0.5 * (1 + torch.erf(inner / math.sqrt(2)))), atol=1e-6)
    swiglu = spec_class("feedforward", "swiglu")(width=5).build(width=6)
    inner = swiglu.widen(x)
    assert torch.allclose(swiglu(x), swiglu.narrow(inner * inner.sigmoid() * swiglu.gate(x)), atol=1e-6)


@pytest.mark.parametrize("causal", [False, True])
def test_a_convolution_sees_its_window_and_no_more(causal: bool) -> None:
    conv = spec_class("mixer", "conv")(kernel=3, dilation=2).build(width=C, causal=causal, max_length=16).double()
    x, _ = padded([9, 9])
    tokens = Tokens.of(x[..., 0], None)
    x.requires_grad_()
    (gradient,) = torch.autograd.grad(conv(x, tokens, None, NO_POSITION)[:, 4].sum(), x)
    seen = gradient[0].abs().sum(-1).nonzero().flatten().tolist()
    assert seen == ([0, 2, 4] if causal else [2, 4, 6])


def test_an_average_is_that_of_the_real_tokens_it_may_see() -> None:
    x, tokens = padded([5, 3, 4])
    whole = spec_class("mixer", "average")().build(width=C, causal=False, max_length=16).double()
    assert torch.allclose(whole(x, tokens, None, NO_POSITION)[1, 0], whole.output(x[1, :3].mean(0)))
    causal = spec_class("mixer", "average")().build(width=C, causal=True, max_length=16).double()
    assert torch.allclose(causal(x, tokens, None, NO_POSITION)[0, 2], causal.output(x[0, :3].mean(0)))


@pytest.mark.parametrize("pooling", ["mean", "last"])
def test_a_summary_is_one_vector_of_the_real_source(pooling: str) -> None:
    x, tokens = padded([5, 3, 4])
    source, source_tokens = padded([2, 7, 4])
    mixer = spec_class("mixer", "summary")(pooling=pooling).build(width=C, causal=False, max_length=16).double()
    found = mixer(x, tokens, Memory(source, source_tokens), NO_POSITION)
    wanted = source[0, :2].mean(0) if pooling == "mean" else source[0, 1]
    assert torch.allclose(found[0, 0], mixer.output(wanted))
    assert torch.equal(found[0, 0], found[0, 3])


@pytest.mark.parametrize("position", ["none", "relative"])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("score", ["additive", "mlp"])
def test_chunks_of_queries_give_the_same_as_all_at_once(
    score: str, dropout: float, position: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from paribus.parts.mixer import attention as module

    results = []
    told = spec_class("position", position)().build(width=C, max_length=16, heads=H, side="decoder").double()
    nn.init.normal_(next(told.parameters(), torch.zeros(1)))
    monkeypatch.setattr(module, "WHOLE", 0)
    # In one chunk, in three, and the same as in three again: weights are dropped alike forward and backward.
    for chunk in (module.CHUNK, 2 * B * H * 5 * 64, 2 * B * H * 5 * 64):
        monkeypatch.setattr(module, "CHUNK", chunk)
        mixer = attention(score, causal=True)
        mixer.dropout = dropout
        x, tokens = padded([5, 3, 4])
        x.requires_grad_()
        torch.manual_seed(5)
        output = mixer(x, tokens, None, told)
        wanted = [x, *told.parameters(), *mixer.parameters()]
        gradients = torch.autograd.grad(output.square().sum(), wanted)
        results.append([output.detach(), *gradients])
    for whole, pieces, again in zip(*results, strict=True):
        assert (again - pieces).abs().max() < 1e-10
        if not dropout:  # chunks draw in an order of their own
            assert (whole - pieces).abs().max() < 1e-10


def test_chunks_have_the_gradients_of_finite_differences_with_dropped_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    from paribus.parts.mixer import attention as module

    monkeypatch.setattr(module, "WHOLE", 0)
    monkeypatch.setattr(module, "CHUNK", 1)
    mixer, (x, tokens) = attention("additive"), padded([2])
    mixer.dropout = 0.3

    def mixed(x_BTC: Tensor) -> Tensor:
        torch.manual_seed(5)
        return mixer(x_BTC, tokens, None, NO_POSITION)

    assert torch.autograd.gradcheck(mixed, x.requires_grad_())


def test_sinusoids_go_on_beyond_the_table_and_a_learned_table_refuses() -> None:
    x = torch.zeros(1, 9, 6)
    places = torch.arange(9)[None]
    sinusoidal = spec_class("position", "sinusoidal")().build(width=6, max_length=4, heads=1, side="encoder")
    assert torch.equal(sinusoidal.embed(x, places, None)[0], sinusoids(torch.arange(9), 6))
    learned = spec_class("position", "learned")().build(width=6, max_length=4, heads=1, side="encoder")
    with pytest.raises(CapacityError, match="a sequence of 9 tokens needs more than the 4 places"):
        learned.embed(x, places, None)


@pytest.mark.parametrize(
    ("kind", "warmup", "factors"),
    [
        ("constant", 2, [0.5, 1, 1, 1]),
        ("linear", 0, [1, 0.75, 0.5, 0.25]),
        ("cosine", 0, [1, 0.8535533905932737, 0.5, 0.14644660940672624]),
        ("inverse_sqrt", 2, [0.5, 1, math.sqrt(2 / 3), math.sqrt(2 / 4)]),
    ],
)
def test_schedules_give_the_numbers_worked_by_hand(kind: str, warmup: int, factors: list[float]) -> None:
    schedule = spec_class("schedule", kind)(warmup=warmup)
    assert [schedule.factor(step, step + 1, 4) for step in range(4)] == pytest.approx(factors)
