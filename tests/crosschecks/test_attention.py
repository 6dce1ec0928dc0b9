"""The attention mixer against torch: its kernel, its module, and the formulas of the papers written out in loops."""

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from paribus.parts import Swappable, spec_class
from paribus.parts.mixer import Memory, Tokens
from paribus.parts.mixer.attention import Attention
from paribus.parts.position import Position
from paribus.parts.score import Positions

WIDTH, HEADS = 12, 3
TARGETS, SOURCES = [5, 3, 4], [2, 7, 4]


def attention(dtype: torch.dtype, *, causal: bool, across: bool, fuses: bool) -> Attention:
    written = {"kind": "attention", "heads": HEADS, "score": "scaled_dot"}
    known = {"width": WIDTH, "causal": causal, "max_length": 16, "memory_length": 16 if across else None}
    mixer: Attention = Swappable("mixer").validate(written).build(**known).to(dtype)
    nn.init.normal_(mixer.project.bias)  # zero at the start, which would hide a bias that is left out
    mixer.fuses = fuses
    return mixer


def both(
    x: Tensor, lengths: Tensor, source: Tensor, source_lengths: Tensor, across: bool
) -> tuple[Tokens, Memory | None]:
    memory = Memory(source, Tokens.of(source[..., 0], source_lengths)) if across else None
    return Tokens.of(x[..., 0], lengths), memory


@pytest.mark.parametrize("fuses", [True, False])
@pytest.mark.parametrize(("causal", "across"), [(False, False), (True, False), (False, True)])
def test_attention_equals_the_module_of_torch_with_the_same_weights(exactness, padded, causal, across, fuses) -> None:
    mixer = attention(exactness.dtype, causal=causal, across=across, fuses=fuses)
    peer = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True, dtype=exactness.dtype)
    names = {
        "project.weight": "in_proj_weight",
        "project.bias": "in_proj_bias",
        "output.weight": "out_proj.weight",
        "output.bias": "out_proj.bias",
    }
    with torch.no_grad():
        for ours, theirs in names.items():
            peer.get_parameter(theirs).copy_(mixer.get_parameter(ours))
    (x, lengths), (source, source_lengths) = padded(TARGETS, WIDTH), padded(SOURCES, WIDTH)
    tokens, memory = both(x, lengths, source, source_lengths, across)
    keys, seen = (source, memory.tokens.mask_BT) if memory is not None else (x, tokens.mask_BT)
    later = torch.ones(5, 5, dtype=torch.bool).triu(1) if causal else None
    wanted, _ = peer(x, keys, keys, key_padding_mask=~seen, attn_mask=later, need_weights=False)
    found = mixer(x, tokens, memory, Position())
    real = tokens.mask_BT
    exactness.equal(found[real], wanted[real])
    read = [x, source] if across else [x]
    of_theirs = torch.autograd.grad(wanted[real].square().sum(), [*read, *peer.parameters()])
    of_ours = torch.autograd.grad(found[real].square().sum(), [*read, *mixer.parameters()])
    order = dict(zip([name for name, _ in peer.named_parameters()], of_theirs[len(read) :], strict=True))
    ours = [name for name, _ in mixer.named_parameters()]
    for one, other in zip(of_ours[: len(read)], of_theirs[: len(read)], strict=True):
        exactness.equal(one, other, "input")
    for name, gradient in zip(ours, of_ours[len(read) :], strict=True):
        exactness.equal(gradient, order[names[name]], name)


@pytest.mark.parametrize("fuses", [True, False])
@pytest.mark.parametrize("across", [False, True])
def test_attention_equals_the_kernel_of_torch_between_its_projections(exactness, padded, across, fuses) -> None:
    mixer = attention(exactness.dtype, causal=False, across=across, fuses=fuses)
    (x, lengths), (source, source_lengths) = padded(TARGETS, WIDTH), padded(SOURCES, WIDTH)
    tokens, memory = both(x, lengths, source, source_lengths, across)
    keys, seen = (source, memory.tokens.mask_BT) if memory is not None else (x, tokens.mask_BT)
    weights, biases = mixer.project.weight.split(WIDTH), mixer.project.bias.split(WIDTH)
    q, k, v = (
        functional.linear(read, weight, bias).view(3, -1, HEADS, WIDTH // HEADS).transpose(1, 2)
        for read, weight, bias in zip((x, keys, keys), weights, biases, strict=True)
    )
    mixed = functional.scaled_dot_product_attention(q, k, v, seen[:, None, None])
    wanted = mixer.output(mixed.transpose(1, 2).reshape(3, -1, WIDTH))
    real = tokens.mask_BT
    found = mixer(x, tokens, memory, Position())
    exactness.equal(found[real], wanted[real])
    read = [x, source] if across else [x]
    gradients = [torch.autograd.grad(y[real].square().sum(), [*read, *mixer.parameters()]) for y in (found, wanted)]
    for one, other in zip(*gradients, strict=True):
        exactness.equal(one, other)


def test_the_additive_score_is_the_formula_of_the_paper_written_out(exactness) -> None:
    score = spec_class("score", "additive")(hidden=5).build(head_dim=4).to(exactness.dtype)
    q, k = torch.randn(1, 1, 3, 4, dtype=exactness.dtype), torch.randn(1, 1, 2, 4, dtype=exactness.dtype)
    w, b, u, v = (p.tolist() for p in (score.query.weight, score.query.bias, score.key.weight, score.score.weight[0]))
    wanted = [
        [
            sum(v[h] * math.tanh(sum(w[h][d] * s[d] + u[h][d] * a[d] for d in range(4)) + b[h]) for h in range(5))
            for a in k[0, 0].tolist()
        ]
        for s in q[0, 0].tolist()
    ]
    places = Positions(torch.arange(3)[None], torch.arange(2)[None])
    exactness.equal(score(q, k, places)[0, 0], torch.tensor(wanted, dtype=exactness.dtype))
