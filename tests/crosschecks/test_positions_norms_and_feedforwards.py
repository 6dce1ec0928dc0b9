"""Positions, norms and feed-forwards against x-transformers, torch and the formulas of the papers."""

import math

import pytest
import torch
from torch import nn

from paribus.parts import spec_class
from paribus.parts.norm.batch import Batch
from paribus.parts.position.sinusoidal import sinusoids
from paribus.parts.score import Positions

LENGTH = 9
PLACES = Positions(torch.arange(LENGTH)[None], torch.arange(LENGTH)[None])


def position(kind: str, side: str = "encoder", heads: int = 4):
    return spec_class("position", kind)().build(width=16, max_length=LENGTH, heads=heads, side=side)


def test_sinusoids_follow_the_formula_of_the_paper() -> None:
    wanted = [[f(t / 10_000 ** (2 * i / 6)) for i in range(3) for f in (math.sin, math.cos)] for t in (0, 3, 700)]
    assert torch.allclose(sinusoids(torch.tensor([0, 3, 700]), 6), torch.tensor(wanted), atol=1e-6, rtol=0)


def test_rotary_turns_queries_and_keys_as_x_transformers_does(exactness, x_transformers) -> None:
    q, k = torch.randn(2, 2, 3, LENGTH, 8, dtype=exactness.dtype, requires_grad=True).unbind(0)
    turned = position("rotary").rotate(q, k, PLACES)
    peer = x_transformers.RotaryEmbedding(8).to(exactness.dtype)
    peer.inv_freq = 10_000.0 ** (-torch.arange(0, 8, 2, dtype=exactness.dtype) / 8)  # it rounds its own to float32
    waves, scale = peer(torch.arange(LENGTH))
    for found, given in zip(turned, (q, k), strict=True):
        wanted = x_transformers.apply_rotary_pos_emb(given, waves, scale)
        exactness.equal(found, wanted)
        of_ours, of_theirs = (torch.autograd.grad(y.pow(3).sum(), given, retain_graph=True)[0] for y in (found, wanted))
        exactness.equal(of_ours, of_theirs)


@pytest.mark.parametrize("heads", [1, 3, 4, 8, 12])
def test_alibi_adds_what_x_transformers_adds(x_transformers, heads: int) -> None:
    wanted = x_transformers.AlibiPositionalBias(heads)(LENGTH, LENGTH)
    found = position("alibi", heads=heads).bias(PLACES, heads)[0]
    assert torch.allclose(found, wanted, atol=1e-6, rtol=0)


@pytest.mark.parametrize("side", ["encoder", "decoder"])
def test_relative_biases_and_their_gradients_are_those_of_x_transformers(exactness, x_transformers, side: str) -> None:
    far = 300  # beyond the last bucket
    ours = position("relative", side).to(exactness.dtype)
    peer = x_transformers.RelativePositionBias(1.0, causal=side == "decoder", heads=4).to(exactness.dtype)
    with torch.no_grad():
        peer.relative_attention_bias.weight.copy_(ours.table.weight)
    found = ours.bias(Positions(torch.arange(far)[None], torch.arange(far)[None]), 4)[0]
    wanted = peer(far, far)
    exactness.equal(found, wanted)
    found.pow(2).mean().backward(), wanted.pow(2).mean().backward()
    exactness.equal(ours.table.weight.grad, peer.relative_attention_bias.weight.grad)


def test_rms_norm_and_its_gradients_are_those_of_x_transformers(exactness, x_transformers) -> None:
    # The peer divides by the norm itself, with nothing added.
    ours = spec_class("norm", "rms")(eps=1e-30).build(width=6, max_length=LENGTH).to(exactness.dtype)
    peer = x_transformers.RMSNorm(6).to(exactness.dtype)
    nn.init.normal_(ours.weight)
    with torch.no_grad():
        peer.g.copy_(ours.weight)
    x = torch.randn(2, 3, 6, dtype=exactness.dtype, requires_grad=True)
    found, wanted = ours(x, None, PLACES.queries_BQ), peer(x)
    exactness.equal(found, wanted)
    of_ours = torch.autograd.grad(found.pow(3).sum(), [x, ours.weight])
    of_theirs = torch.autograd.grad(wanted.pow(3).sum(), [x, peer.g])
    for one, other in zip(of_ours, of_theirs, strict=True):
        exactness.equal(one, other)


def test_the_gated_feedforward_and_its_gradients_are_those_of_x_transformers(exactness, x_transformers) -> None:
    ours = spec_class("feedforward", "swiglu")(width=10).build(width=5).to(exactness.dtype)
    peer = x_transformers.FeedForward(5, mult=2, glu=True, swish=True).to(exactness.dtype)
    gated, narrow = peer.ff[0].proj, peer.ff[-1]
    with torch.no_grad():  # the peer stacks what is gated above the gate
        gated.weight.copy_(torch.cat((ours.gate.weight, ours.widen.weight)))
        gated.bias.copy_(torch.cat((ours.gate.bias, ours.widen.bias)))
        narrow.load_state_dict(ours.narrow.state_dict())
    x = torch.randn(2, 3, 5, dtype=exactness.dtype)
    found, wanted = ours(x), peer(x)
    exactness.equal(found, wanted)
    found.pow(2).sum().backward(), wanted.pow(2).sum().backward()
    exactness.equal(torch.cat((ours.gate.weight.grad, ours.widen.weight.grad)), gated.weight.grad)
    exactness.equal(torch.cat((ours.gate.bias.grad, ours.widen.bias.grad)), gated.bias.grad)
    exactness.equal(ours.narrow.weight.grad, narrow.weight.grad)


@pytest.mark.parametrize("lengths", [[5, 3, 4], [4, 4, 4]], ids=["padded", "unpadded"])
def test_batch_norm_is_the_one_of_torch_on_the_real_tokens_alone(exactness, padded, lengths: list[int]) -> None:
    ours = Batch(7, momentum=0.1, eps=1e-5).to(exactness.dtype)
    peer = nn.BatchNorm1d(7).to(exactness.dtype)
    nn.init.normal_(ours.weight), nn.init.normal_(ours.bias)
    with torch.no_grad():
        peer.weight.copy_(ours.weight), peer.bias.copy_(ours.bias)
    for training in (True, True, True, False):
        ours.train(training), peer.train(training)
        x, length = padded(lengths, 7)
        real = torch.arange(max(lengths)) < length[:, None]
        mask = None if real.all() else real
        found, wanted = ours(x, mask, torch.arange(max(lengths))[None])[real], peer(x[real])
        exactness.equal(found, wanted)
        of_ours = torch.autograd.grad(found.pow(3).sum(), [x, ours.weight, ours.bias])
        of_theirs = torch.autograd.grad(wanted.pow(3).sum(), [x, peer.weight, peer.bias])
        for one, other in zip(of_ours, of_theirs, strict=True):
            exactness.equal(one, other)
    exactness.equal(ours.running_mean, peer.running_mean)
    exactness.equal(ours.running_variance, peer.running_var)
