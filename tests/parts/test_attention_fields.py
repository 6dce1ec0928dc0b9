"""Fields of the attention mixer and windows against loops and hand-worked numbers."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from paribus.parts import Swappable
from paribus.parts.mixer import Memory, Tokens
from paribus.parts.mixer.attention import Attention, watching
from paribus.parts.position import Position
from paribus.parts.score import Positions

C, T, S = 12, 6, 5


def attention(*, causal: bool = False, memory: int | None = None, **settings: Any) -> Attention:
    torch.manual_seed(0)
    spec = Swappable("mixer").validate({"kind": "attention", "heads": 3, **settings})
    built: Attention = spec.make(width=C, causal=causal, max_length=16, memory_length=memory)
    return built.double()


def rows(lengths: list[int], longest: int, seed: int = 1) -> tuple[Tensor, Tokens]:
    x = torch.randn(len(lengths), longest, C, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return x, Tokens.of(torch.zeros(x.shape[:2]), torch.tensor(lengths))


@pytest.mark.parametrize("score", ["scaled_dot", "mlp"])
@pytest.mark.parametrize("causal", [True, False])
def test_a_fixed_window_hides_all_keys_beyond_its_size(score: str, causal: bool) -> None:
    mixer = attention(score=score, causal=causal, window={"kind": "fixed", "size": 2})
    x, tokens = rows([6, 4], T)
    with watching(mixer) as seen:
        reference = mixer(x, tokens, None, Position())
    weights = seen[""][0].weights_BHQK
    for q in range(T):
        for k in range(T):
            open_ = abs(q - k) <= 2 and (k <= q or not causal)
            assert bool(weights[0, 0, q, k] > 0) == open_
    assert (reference - mixer(x, tokens, None, Position())).abs().max() < 1e-12


def test_a_window_without_any_real_key_gives_zeros_and_finite_gradients() -> None:
    mixer = attention(window={"kind": "fixed", "size": 1})
    x, tokens = rows([6, 1], T)
    x.requires_grad_()
    mixed = mixer(x, tokens, None, Position())
    assert torch.equal(mixed[1, 3:], mixer.output.bias.expand(3, -1))
    mixed.sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("causal", [True, False])
def test_a_predictive_window_weighs_keys_by_their_distance_from_a_centre_that_the_query_names(causal: bool) -> None:
    plain = attention(causal=causal)
    mixer = attention(causal=causal, window={"kind": "predictive", "size": 3})
    mixer.load_state_dict(plain.state_dict(), strict=False)
    x, tokens = rows([6, 4], T)
    with watching(mixer) as seen, watching(plain) as before:
        mixer(x, tokens, None, Position())
        plain(x, tokens, None, Position())
    q_BHTD = mixer._queries(x).detach()
    window: Any = mixer.window
    for row, length in ((0, 6), (1, 4)):
        for q in range(length):
            n = q + 1 if causal else length
            hidden = torch.tanh(window.query.weight.detach() @ q_BHTD[row, 1, q])
            centre = n / (1 + math.exp(-float(window.centre.weight[0].detach() @ hidden)))
            for k in range(n):
                bell = math.exp(-((k + 1 - centre) ** 2) / (2 * 1.5**2))
                wanted = float(before[""][0].weights_BHQK[row, 1, q, k].detach()) * bell
                assert float(seen[""][0].weights_BHQK[row, 1, q, k].detach()) == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize("score", ["scaled_dot", "additive"])
def test_key_heads_are_shared_by_neighbouring_query_heads(score: str) -> None:
    grouped = attention(heads=6, key_heads=3, head_width=2, score=score)
    whole = attention(heads=6, head_width=2, score=score)
    state = grouped.state_dict()
    weight, bias = state["project.weight"], state["project.bias"]

    def twice(rows: Tensor) -> Tensor:
        return rows.unflatten(0, (3, 2)).repeat_interleave(2, 0).flatten(0, 1)

    for name, value in (("weight", weight), ("bias", bias)):
        q, k, v = value.split([12, 6, 6])
        state[f"project.{name}"] = torch.cat((q, twice(k), twice(v)))
    whole.load_state_dict(state)
    x, tokens = rows([6, 4], T)
    assert (grouped(x, tokens, None, Position()) - whole(x, tokens, None, Position())).abs().max() < 1e-12


def test_shared_projections_make_queries_and_keys_by_one_matrix() -> None:
    shared, full = attention(projections="shared_qk"), attention()
    state = shared.state_dict()
    for name in ("weight", "bias"):
        both, v = state[f"project.{name}"].split([C, C])
        state[f"project.{name}"] = torch.cat((both, both, v))
    full.load_state_dict(state)
    x, tokens = rows([6, 4], T)
    memory = Memory(*rows([5, 3], S, seed=2))
    for read in (None, memory):
        assert (shared(x, tokens, read, Position()) - full(x, tokens, read, Position())).abs().max() < 1e-12


def test_without_projections_one_head_is_softmax_of_x_xt_times_x() -> None:
    mixer = attention(projections="none", heads=1, score="dot")
    x, tokens = rows([6, 6], T)
    wanted = (x @ x.transpose(1, 2)).softmax(-1) @ x
    assert (mixer(x, tokens, None, Position()) - wanted).abs().max() < 1e-12
    assert not list(mixer.parameters())
    sliced = attention(projections="none", score="dot")(x, tokens, None, Position())
    piece = x[..., 4:8]
    assert (sliced[..., 4:8] - (piece @ piece.transpose(1, 2)).softmax(-1) @ piece).abs().max() < 1e-12


def test_a_random_score_is_the_same_for_every_input_and_no_optimizer_sees_it() -> None:
    mixer = attention(score="random", memory=S)
    assert [tuple(table.shape) for table in mixer.score.buffers()] == [(3, 16, S)]
    assert not list(mixer.score.parameters())
    x, tokens = rows([6, 4], T)
    with watching(mixer) as seen:
        mixer(x, tokens, Memory(*rows([5, 5], S)), Position())
        mixer(x + 1, tokens, Memory(*rows([5, 5], S, seed=3)), Position())
    one, other = (entry.weights_BHQK for entry in seen[""])
    assert torch.equal(one, other)
    assert torch.equal(one[0], one[1])


def test_a_window_moves_with_the_positions_of_a_piece() -> None:
    window = Swappable("window").validate({"kind": "fixed", "size": 1}).build()
    allowed = window.allows(Positions(torch.tensor([[4]]), torch.tensor([[2, 3, 4, 5, 6]])))
    assert allowed.flatten().tolist() == [False, True, True, True, False]
