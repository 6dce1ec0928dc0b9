"""Parts against independent code and hand-worked numbers."""

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from paribus.parts import Swappable, kinds, spec_class
from paribus.parts.mixer import Memory, Tokens
from paribus.parts.mixer.attention import Attention
from paribus.parts.mixer.gru import Gru
from paribus.parts.norm.batch import Batch
from paribus.parts.position import CapacityError, Position
from paribus.parts.position.sinusoidal import sinusoids
from paribus.parts.score import FusedScore, Positions, Score

B, T, S, C, H = 3, 5, 7, 12, 3
NO_POSITION = Position()


def build_score(kind: str, head_dim: int) -> Score:
    score: Score = spec_class("score", kind)().build(head_dim=head_dim)
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


@pytest.mark.parametrize("kind", kinds("score"))
def test_each_score_differs_from_the_others_and_reads_query_and_key(kind: str) -> None:
    torch.manual_seed(0)
    q, k = torch.randn(2, 1, 2, 4, 4).double().requires_grad_().unbind(0)
    scores = build_score(kind, 4)(q, k, Positions(torch.arange(4)[None], torch.arange(4)[None]))
    gradients = torch.autograd.grad(scores.square().sum(), (q, k))
    assert all(gradient.abs().max() > 0 for gradient in gradients)
    for other in kinds("score"):
        if other != kind:
            assert not torch.allclose(
                scores, build_score(other, 4)(q, k, Positions(torch.arange(4)[None], torch.arange(4)[None]))
            )


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("across", [False, True])
@pytest.mark.parametrize("value_width", [None, 2, 7])
@pytest.mark.parametrize("kind", [k for k in kinds("score") if issubclass(type(build_score(k, 4)), FusedScore)])
def test_output_and_gradients_are_equal_fused_and_not(
    kind: str, across: bool, causal: bool, value_width: int | None
) -> None:
    mixer = attention(kind, causal=causal, value_width=value_width)
    x, tokens = padded([5, 3, 4])
    source, source_tokens = padded([2, 7, 4])
    memory = Memory(source, source_tokens) if across else None
    results = []
    for fuses in (True, False):
        mixer.fuses = fuses
        mixer.zero_grad()
        output = mixer(x, tokens, memory, NO_POSITION)
        output[tokens.mask_BT].square().sum().backward()
        results.append(
            [output[tokens.mask_BT].detach(), *(p.grad.clone() for p in mixer.parameters() if p.grad is not None)]
        )
    for fused, reference in zip(*results, strict=True):
        assert (fused - reference).abs().max() < 1e-10


@pytest.mark.parametrize("causal", [False, True])
def test_attention_equals_the_one_of_torch_with_the_same_weights(causal: bool) -> None:
    mixer = attention(causal=causal)
    peer = nn.MultiheadAttention(C, H, batch_first=True).double()
    with torch.no_grad():
        peer.in_proj_weight.copy_(mixer.project.weight)
        peer.in_proj_bias.copy_(mixer.project.bias)
        peer.out_proj.load_state_dict(mixer.output.state_dict())
    x, tokens = padded([5, 3, 4])
    assert tokens.mask_BT is not None
    later = torch.ones(5, 5, dtype=torch.bool).triu(1) if causal else None
    wanted, _ = peer(x, x, x, key_padding_mask=~tokens.mask_BT, attn_mask=later, need_weights=False)
    found = mixer(x, tokens, None, NO_POSITION)
    assert (found - wanted)[tokens.mask_BT].abs().max() < 1e-10


def test_a_query_that_sees_no_key_gives_zeros_and_finite_gradients() -> None:
    weights = spec_class("weights", "softmax")().build()
    scores = torch.randn(1, 1, 2, 3, requires_grad=True)
    mask = torch.tensor([[[[True, False, True], [False, False, False]]]])
    found = weights(scores, mask)
    assert found[0, 0, 1].tolist() == [0, 0, 0]
    assert found[0, 0, 0, 1] == 0
    assert found[0, 0, 0].sum().item() == pytest.approx(1)
    found.square().sum().backward()
    assert scores.grad is not None
    assert scores.grad.isfinite().all()


def test_chunks_of_queries_give_the_same_as_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from paribus.parts.mixer import attention as module

    results = []
    for chunk in (module.CHUNK, 2 * B * H * 5 * 64):
        monkeypatch.setattr(module, "CHUNK", chunk)
        mixer = attention("additive", causal=True)
        x, tokens = padded([5, 3, 4])
        output = mixer(x, tokens, None, NO_POSITION)
        output.square().sum().backward()
        results.append([output.detach(), *(p.grad for p in mixer.parameters() if p.grad is not None)])
    for whole, pieces in zip(*results, strict=True):
        assert (whole - pieces).abs().max() < 1e-10


@pytest.mark.parametrize("kind", ["attention", "gru"])
def test_step_by_step_equals_all_at_once(kind: str) -> None:
    torch.manual_seed(0)
    mixer = spec_class("mixer", kind)().build(width=C, causal=True, max_length=16).double()
    x, _ = padded([5, 5])
    tokens = Tokens.of(x[..., 0], None)
    whole = mixer(x, tokens, None, NO_POSITION)
    state = mixer.begin(None)
    steps = [mixer.step(x[:, t : t + 1], Tokens(None, torch.tensor([[t]])), state, NO_POSITION) for t in range(5)]
    assert (torch.cat(steps, 1) - whole).abs().max() < 1e-12


@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_gru_equals_the_one_of_torch_on_packed_sequences(bidirectional: bool) -> None:
    torch.manual_seed(0)
    mixer: Gru = (
        spec_class("mixer", "gru")(bidirectional=bidirectional).build(width=C, causal=False, max_length=16).double()
    )
    peer = nn.GRU(C, C // 2 if bidirectional else C, batch_first=True, bidirectional=bidirectional).double()
    with torch.no_grad():
        for direction, end in ((mixer.forwards, ""), (mixer.backwards, "_reverse")):
            for name, parameter in direction.named_parameters() if direction is not None else ():
                getattr(peer, name + end).copy_(parameter)
    lengths = [5, 3, 4]
    x, tokens = padded(lengths)
    packed, _ = peer(pack_padded_sequence(x, torch.tensor(lengths), batch_first=True, enforce_sorted=False))
    wanted, _ = pad_packed_sequence(packed, batch_first=True)
    found = mixer(x, tokens, None, NO_POSITION)
    assert tokens.mask_BT is not None
    assert (found - wanted)[tokens.mask_BT].abs().max() < 1e-12


def test_batch_norm_equals_the_one_of_torch_on_the_real_tokens_alone() -> None:
    mixer = Batch(C, momentum=0.1, eps=1e-5).double()
    peer = nn.BatchNorm1d(C).double()
    x, tokens = padded([5, 3, 4])
    mask = tokens.mask_BT
    assert mask is not None
    for _ in range(3):
        found, wanted = mixer(x, mask, tokens.positions_BT)[mask], peer(x[mask])
        assert (found - wanted).abs().max() < 1e-10
    assert (mixer.running_mean - peer.running_mean).abs().max() < 1e-10
    assert (mixer.running_variance - peer.running_var).abs().max() < 1e-10
    mixer.eval(), peer.eval()
    assert (mixer(x, mask, tokens.positions_BT)[mask] - peer(x[mask])).abs().max() < 1e-10


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("kind", kinds("norm"))
def test_padding_never_moves_a_kept_value(kind: str, training: bool) -> None:
    norm = spec_class("norm", kind)().build(width=C, max_length=16).train(training)
    x, tokens = padded([5, 3, 4])
    longer = functional.pad(x, (0, 0, 0, 6), value=1e3).float()
    mask = tokens.mask_BT
    assert mask is not None
    short = norm(x.float(), mask, tokens.positions_BT)[mask]
    long = norm(longer, functional.pad(mask, (0, 6)), torch.arange(11)[None])[functional.pad(mask, (0, 6))]
    assert torch.allclose(short, long, atol=1e-6)


def test_sinusoids_follow_the_formula_of_the_paper() -> None:
    table = sinusoids(torch.tensor([0, 3]), 6)
    wanted = [f(3 / 10_000 ** (2 * i / 6)) for i in range(3) for f in (math.sin, math.cos)]
    assert table[0].tolist() == [0, 1, 0, 1, 0, 1]
    assert table[1].tolist() == pytest.approx(wanted)


def test_sinusoids_go_on_beyond_the_table_and_a_learned_table_refuses() -> None:
    x = torch.zeros(1, 9, 6)
    places = torch.arange(9)[None]
    sinusoidal = spec_class("position", "sinusoidal")().build(width=6, max_length=4)
    assert torch.equal(sinusoidal.embed(x, places)[0], sinusoids(torch.arange(9), 6))
    learned = spec_class("position", "learned")().build(width=6, max_length=4)
    with pytest.raises(CapacityError, match="a sequence of 9 tokens needs more than the 4 places"):
        learned.embed(x, places)


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


def test_inverse_sqrt_is_the_formula_of_the_paper_up_to_its_peak() -> None:
    schedule = spec_class("schedule", "inverse_sqrt")(warmup=40)

    def paper(step: int) -> float:
        return float(min(step**-0.5, step * 40**-1.5))

    for step in (1, 20, 40, 41, 400):
        assert schedule.factor(step - 1, step, 1000) == pytest.approx(paper(step) / paper(40))
