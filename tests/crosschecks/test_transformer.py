"""The whole encoder-decoder against torch.nn.Transformer with the same weights."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from paribus.network import Batch, Network, Sizes, build
from paribus.spec.network import Network as Written
from paribus.spec.network import resolve

WIDTH, HEADS, DEPTH, HIDDEN = 12, 3, 2, 20
VOCABULARY = {"encoder": 11, "decoder": 9}
LENGTHS = {"encoder": [4, 7, 6], "decoder": [5, 3, 4]}

# What each piece of a layer is called here and there; decoders have three norms, encoders two.
PIECES = {
    "mixer.project.weight": "self_attn.in_proj_weight",
    "mixer.project.bias": "self_attn.in_proj_bias",
    "mixer.output": "self_attn.out_proj",
    "cross.project.weight": "multihead_attn.in_proj_weight",
    "cross.project.bias": "multihead_attn.in_proj_bias",
    "cross.output": "multihead_attn.out_proj",
    "feedforward.widen": "linear1",
    "feedforward.narrow": "linear2",
    "norms.mixer": "norm1",
}
NORMS = {
    "encoder": {"norms.feedforward": "norm2"},
    "decoder": {"norms.cross": "norm2", "norms.feedforward": "norm3"},
}


class Peer(nn.Module):
    """torch.nn.Transformer between embeddings and a readout; without the final norms that it adds to post-norm."""

    def __init__(self, pre: bool, **settings: Any) -> None:
        super().__init__()
        shape: dict[str, Any] = {"dim_feedforward": HIDDEN, "dropout": 0.0, "batch_first": True, "norm_first": pre}
        ends = [nn.LayerNorm(WIDTH) if pre else None for _ in range(2)]
        encoder = nn.TransformerEncoderLayer(WIDTH, HEADS, **shape)
        decoder = nn.TransformerDecoderLayer(WIDTH, HEADS, **shape)
        self.transformer = nn.Transformer(
            WIDTH,
            HEADS,
            batch_first=True,
            custom_encoder=nn.TransformerEncoder(encoder, DEPTH, ends[0], enable_nested_tensor=False),
            custom_decoder=nn.TransformerDecoder(decoder, DEPTH, ends[1]),
        )
        self.source = nn.Embedding(VOCABULARY["encoder"], WIDTH)
        self.target = nn.Embedding(VOCABULARY["decoder"], WIDTH)
        self.readout = nn.Linear(WIDTH, VOCABULARY["decoder"])

    def forward(self, batch: Batch) -> Tensor:
        length = batch.inputs_BT.shape[1]
        padding = torch.arange(batch.source_BS.shape[1]) >= batch.source_lengths_B[:, None]
        decoded = self.transformer(
            self._embedded(self.source, batch.source_BS),
            self._embedded(self.target, batch.inputs_BT),
            tgt_mask=torch.ones(length, length, dtype=torch.bool).triu(1),
            src_key_padding_mask=padding,
            memory_key_padding_mask=padding,
            tgt_key_padding_mask=torch.arange(length) >= batch.input_lengths_B[:, None],
        )
        return self.readout(decoded)

    def _embedded(self, table: nn.Embedding, ids: Tensor) -> Tensor:
        codes = [[wave(t, channel) for channel in range(WIDTH)] for t in range(ids.shape[1])]
        # Our table is held in float32.
        return table(ids) * math.sqrt(WIDTH) + torch.tensor(codes, dtype=torch.float32).to(table.weight.dtype)


def wave(t: int, channel: int) -> float:
    """PE(pos, 2i) = sin(pos / 10000^(2i/d)), PE(pos, 2i + 1) = cos of the same."""
    angle = t / 10_000 ** (channel // 2 * 2 / WIDTH)
    return math.cos(angle) if channel % 2 else math.sin(angle)


def names(ours: Network, pre: bool) -> dict[str, str]:
    """The peer's name of each of our parameters."""
    found = {"encoder.tokens.weight": "source.weight", "decoder.tokens.weight": "target.weight"}
    found |= {f"readout.{kind}": f"readout.{kind}" for kind in ("weight", "bias")}
    for name, _ in ours.named_parameters():
        side, index, *rest = name.split(".")
        tail = ".".join(rest)
        if index == "final_norm":
            found[name] = f"transformer.{side}.norm.{tail}"
        for here, there in {**PIECES, **NORMS.get(side, {})}.items():
            if index.isdecimal() and (tail == here or tail.startswith(f"{here}.")):
                found[name] = f"transformer.{side}.layers.{index}.{there}{tail.removeprefix(here)}"
    return found


def batch() -> Batch:
    generator = torch.Generator().manual_seed(1)
    source, inputs = (
        torch.randint(5, VOCABULARY[side], (3, max(LENGTHS[side])), generator=generator)
        for side in ("encoder", "decoder")
    )
    return Batch(source, torch.tensor(LENGTHS["encoder"]), inputs, torch.tensor(LENGTHS["decoder"]))


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("placement", ["post", "pre"])
def test_the_encoder_decoder_equals_the_one_of_torch_with_the_same_weights(exactness, placement, training) -> None:
    pre = placement == "pre"
    written = {
        "width": WIDTH,
        "depth": DEPTH,
        "dropout": 0.0,
        "norm_placement": placement,
        "mixer": {"kind": "attention", "heads": HEADS},
        "feedforward": {"kind": "relu", "width": HIDDEN},
    }
    sizes = Sizes(VOCABULARY["encoder"], VOCABULARY["decoder"], longest_source=8, longest_target=8)
    ours = build(resolve(Written.model_validate(written)), sizes, seed=1).to(exactness.dtype)
    peer = Peer(pre).to(exactness.dtype)
    with torch.no_grad():
        for parameter in ours.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))  # biases and norms that start at 0 and 1 would hide much
        for name, theirs in names(ours, pre).items():
            peer.get_parameter(theirs).copy_(ours.get_parameter(name))
    ours.train(training), peer.train(training)
    read = batch()
    real = torch.arange(max(LENGTHS["decoder"])) < torch.tensor(LENGTHS["decoder"])[:, None]
    found, wanted = ours(read)[real], peer(read)[real]
    exactness.equal(found, wanted)
    found.square().mean().backward(), wanted.square().mean().backward()
    exactness.equal_gradients(ours, peer, names(ours, pre))
