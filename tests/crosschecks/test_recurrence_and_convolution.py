"""Recurrent and convolutional mixers against the modules of torch: packed sequences, and sequences without padding."""

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from paribus.parts import spec_class
from paribus.parts.mixer import Tokens
from paribus.parts.position import Position

WIDTH = 12


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize(("kind", "cell"), [("rnn", nn.RNN), ("lstm", nn.LSTM), ("gru", nn.GRU)])
def test_recurrent_mixers_equal_those_of_torch_on_packed_sequences(
    exactness, padded, kind: str, cell: type[nn.RNNBase], bidirectional: bool
) -> None:
    spec = spec_class("mixer", kind)(bidirectional=bidirectional)
    mixer = spec.build(width=WIDTH, causal=False, max_length=16).to(exactness.dtype)
    hidden = WIDTH // 2 if bidirectional else WIDTH
    peer = cell(WIDTH, hidden, batch_first=True, bidirectional=bidirectional, dtype=exactness.dtype)
    names = {f"forwards.{name}": name for name, _ in mixer.forwards.named_parameters()}
    if bidirectional:
        names |= {f"backwards.{name}": f"{name}_reverse" for name, _ in mixer.backwards.named_parameters()}
    with torch.no_grad():
        for ours, theirs in names.items():
            peer.get_parameter(theirs).copy_(mixer.get_parameter(ours))
    x, lengths = padded([5, 3, 4], WIDTH)
    packed, _ = peer(pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False))
    wanted, _ = pad_packed_sequence(packed, batch_first=True)
    tokens = Tokens.of(x[..., 0], lengths)
    found = mixer(x, tokens, None, Position())
    real = tokens.mask_BT
    exactness.equal(found[real], wanted[real])
    found[real].square().sum().backward()
    of_input = x.grad.clone()
    x.grad = None
    wanted[real].square().sum().backward()
    exactness.equal(of_input, x.grad, "input")
    exactness.equal_gradients(mixer, peer, names)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(("kernel", "dilation"), [(1, 1), (3, 1), (5, 2)])
def test_a_convolution_is_the_one_of_torch(exactness, padded, kernel: int, dilation: int, causal: bool) -> None:
    spec = spec_class("mixer", "conv")(kernel=kernel, dilation=dilation)
    mixer = spec.build(width=WIDTH, causal=causal, max_length=16).to(exactness.dtype)
    reach = (kernel - 1) * dilation
    peer = nn.Conv1d(
        WIDTH, 2 * WIDTH, kernel, dilation=dilation, padding=reach if causal else reach // 2, dtype=exactness.dtype
    )
    peer.load_state_dict(mixer.conv.state_dict())
    x, _ = padded([6, 6], WIDTH)
    seen = peer(x.transpose(1, 2))[..., :6]  # what stands at the right of a causal window is cut
    wanted = (seen[:, :WIDTH] * seen[:, WIDTH:].sigmoid()).transpose(1, 2)
    found = mixer(x, Tokens.of(x[..., 0], None), None, Position())
    exactness.equal(found, wanted)
    (of_ours,) = torch.autograd.grad(found.square().sum(), x)
    (of_theirs,) = torch.autograd.grad(wanted.square().sum(), x)
    exactness.equal(of_ours, of_theirs)


def test_the_average_of_a_causal_side_is_that_of_a_loop(exactness, padded) -> None:
    mixer = spec_class("mixer", "average")().build(width=WIDTH, causal=True, max_length=16).to(exactness.dtype)
    x, _ = padded([5, 5], WIDTH)
    means = torch.stack([torch.stack([row[: t + 1].mean(0) for t in range(5)]) for row in x])
    wanted = functional.linear(means, mixer.output.weight, mixer.output.bias)
    exactness.equal(mixer(x, Tokens.of(x[..., 0], None), None, Position()), wanted)
