"""Full training steps of the default encoder-decoder and of its peers: forward, loss, backward, fused Adam.

One process, one thread, paired rounds whose order turns. All read the same padded batches, mask the same keys, drop
the same shares at the same kinds of places (none of attention weights) and take the same loss over real tokens.

    python benchmarks/model_step.py [--rounds 20] [--sizes 64 128 256] [--dropout 0 0.1] [--device cuda]
        [--precision bf16] [--clock cpu]
"""

import argparse
import math
import statistics
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from paired import CLOCKS, Clock, Ratio, Step, ratio, rounds
from torch import Tensor, nn
from torch.nn import functional

from paribus.network import Batch, Sizes, build
from paribus.spec.network import Network as Written
from paribus.spec.network import resolve
from paribus.training.data import IGNORED, Reading
from paribus.training.module import loss_of

PAD = 0
OURS = "paribus"
TORCH = "torch.nn.Transformer"


@dataclass(frozen=True)
class Size:
    width: int
    heads: int
    depth: int  # layers of each side
    hidden: int
    vocabulary: int
    tokens: int  # of each side, with padding
    batch: int

    def __str__(self) -> str:
        layers, tokens = f"{self.depth}+{self.depth} layers", f"{self.tokens}+{self.tokens} tokens"
        return (
            f"width {self.width}, {self.heads} heads, {layers}, feed-forward {self.hidden}, "
            f"vocabulary {self.vocabulary}, {tokens}, batch {self.batch}"
        )


SIZES = {
    64: Size(64, 4, 2, 256, 64, 32, 32),
    128: Size(128, 4, 2, 512, 1000, 64, 32),
    256: Size(256, 8, 3, 1024, 4000, 64, 16),
}


@dataclass(frozen=True)
class Examples:
    """A batch whose sequences are padded at the right, with lengths from a share of the longest up."""

    source_BS: Tensor
    source_lengths_B: Tensor
    inputs_BT: Tensor
    input_lengths_B: Tensor
    targets_BT: Tensor
    reading: Reading  # the same, as training gives it to ours

    @classmethod
    def of(cls, size: Size, device: torch.device, shortest: float = 0.5) -> "Examples":
        generator = torch.Generator().manual_seed(1)

        def side() -> tuple[Tensor, Tensor]:
            lengths = torch.randint(int(shortest * size.tokens), size.tokens + 1, (size.batch,), generator=generator)
            lengths[0] = size.tokens
            ids = torch.randint(4, size.vocabulary, (size.batch, size.tokens), generator=generator)
            return ids.masked_fill(torch.arange(size.tokens) >= lengths.unsqueeze(1), PAD), lengths

        (source, source_lengths), (inputs, input_lengths) = side(), side()
        targets = torch.cat((inputs[:, 1:], torch.full((size.batch, 1), 4)), 1)
        targets = targets.masked_fill(inputs == PAD, IGNORED)
        batch = Batch(source, source_lengths, inputs, input_lengths)
        reading = Reading.of(batch, targets, np.arange(size.batch))
        tensors = (source, source_lengths, inputs, input_lengths, targets)
        return cls(*(tensor.to(device) for tensor in tensors), reading.to(device))


class Ours(nn.Module):
    """Built and asked for its loss as in a run."""

    def __init__(self, size: Size, dropout: float, score: str = "scaled_dot") -> None:
        super().__init__()
        written = Written.model_validate(
            {
                "width": size.width,
                "depth": size.depth,
                "mixer": {"kind": "attention", "heads": size.heads, "score": score},
                "feedforward": {"kind": "relu", "width": size.hidden},
                "dropout": dropout,
            }
        )
        sizes = Sizes(size.vocabulary, size.vocabulary, size.tokens, size.tokens)
        self.network = build(resolve(written), sizes, seed=1)

    def forward(self, read: Examples) -> Tensor:
        return loss_of(self.network, read.reading, 0.0) / read.reading.asked


class Peer(ABC, nn.Module):
    """A network that gives logits; the loss is the one of ours."""

    def forward(self, read: Examples) -> Tensor:
        logits = self.logits(read)
        total = functional.cross_entropy(
            logits.flatten(0, 1).float(), read.targets_BT.flatten(), ignore_index=IGNORED, reduction="sum"
        )
        return total / read.reading.asked

    @abstractmethod
    def logits(self, read: Examples) -> Tensor: ...


class OfTorch(Peer):
    """torch.nn.Transformer as published: without final norms, without dropout of weights and of hidden units."""

    def __init__(self, size: Size, dropout: float) -> None:
        super().__init__()
        self.source = nn.Embedding(size.vocabulary, size.width)
        self.target = nn.Embedding(size.vocabulary, size.width)
        places = torch.arange(size.tokens).unsqueeze(1)
        rates = torch.exp(-math.log(10_000.0) * torch.arange(0, size.width, 2) / size.width)
        codes = torch.stack(((places * rates).sin(), (places * rates).cos()), -1).flatten(1)
        self.register_buffer("codes", codes)
        self.scale = size.width**0.5
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()
        settings = {"dim_feedforward": size.hidden, "dropout": dropout, "batch_first": True}
        encoder = nn.TransformerEncoderLayer(size.width, size.heads, **settings)
        decoder = nn.TransformerDecoderLayer(size.width, size.heads, **settings)
        self.transformer = nn.Transformer(
            size.width,
            size.heads,
            batch_first=True,
            custom_encoder=nn.TransformerEncoder(encoder, size.depth, enable_nested_tensor=False),
            custom_decoder=nn.TransformerDecoder(decoder, size.depth),
        )
        for module in self.transformer.modules():
            if isinstance(module, nn.MultiheadAttention):
                module.dropout = 0.0
            elif isinstance(module, nn.TransformerEncoderLayer | nn.TransformerDecoderLayer):
                module.dropout = nn.Identity()
                if not dropout:
                    module.dropout1 = module.dropout2 = module.dropout3 = nn.Identity()
        self.readout = nn.Linear(size.width, size.vocabulary)
        self.register_buffer("later", nn.Transformer.generate_square_subsequent_mask(size.tokens))

    def logits(self, read: Examples) -> Tensor:
        source = self.dropout(self.source(read.source_BS) * self.scale + self.codes)
        target = self.dropout(self.target(read.inputs_BT) * self.scale + self.codes)
        padding = read.source_BS == PAD
        # Padding of the target stands at the right, so the causal mask hides it, and its kernel needs no mask.
        return self.readout(
            self.transformer(
                source,
                target,
                tgt_mask=self.later,
                tgt_is_causal=True,
                src_key_padding_mask=padding,
                memory_key_padding_mask=padding,
            )
        )


class OfXTransformers(Peer):
    """x-transformers with flash attention and post-norm; its norms and attention have no biases."""

    def __init__(self, size: Size, dropout: float) -> None:
        super().__init__()
        from x_transformers import Decoder, Encoder, TransformerWrapper

        settings = {
            "dim": size.width,
            "depth": size.depth,
            "heads": size.heads,
            "attn_dim_head": size.width // size.heads,
            "attn_flash": True,
            "pre_norm": False,
            "ff_mult": size.hidden // size.width,
            "ff_custom_activation": nn.ReLU(),
            "ff_sublayer_dropout": dropout,
            "attn_sublayer_dropout": dropout,
        }
        wrapped = {"num_tokens": size.vocabulary, "max_seq_len": size.tokens, "emb_dropout": dropout}
        self.encoder = TransformerWrapper(**wrapped, attn_layers=Encoder(**settings), return_only_embed=True)
        self.decoder = TransformerWrapper(**wrapped, attn_layers=Decoder(**settings, cross_attend=True))

    def logits(self, read: Examples) -> Tensor:
        real = read.source_BS != PAD
        return self.decoder(read.inputs_BT, context=self.encoder(read.source_BS, mask=real), context_mask=real)


class OfBart(Peer):
    """BART of transformers with scaled_dot_product_attention."""

    def __init__(self, size: Size, dropout: float) -> None:
        super().__init__()
        from transformers import BartConfig, BartForConditionalGeneration

        sides = {f"{side}_layers": size.depth for side in ("encoder", "decoder")}
        sides |= {f"{side}_ffn_dim": size.hidden for side in ("encoder", "decoder")}
        sides |= {f"{side}_attention_heads": size.heads for side in ("encoder", "decoder")}
        config = BartConfig(
            **sides,
            d_model=size.width,
            vocab_size=size.vocabulary,
            max_position_embeddings=size.tokens,
            activation_function="relu",
            dropout=dropout,
            scale_embedding=True,
            use_cache=False,
            pad_token_id=PAD,
            tie_word_embeddings=False,
            attn_implementation="sdpa",
        )
        self.bart = BartForConditionalGeneration(config)

    def logits(self, read: Examples) -> Tensor:
        real = (read.source_BS != PAD).long()
        return self.bart(input_ids=read.source_BS, attention_mask=real, decoder_input_ids=read.inputs_BT).logits


CONTESTANTS: dict[str, Callable[[Size, float], nn.Module]] = {
    OURS: Ours,
    TORCH: OfTorch,
    "x-transformers": OfXTransformers,
    "BART (SDPA)": OfBart,
}


def step(model: nn.Module, read: Examples, precision: str) -> Step:
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4, betas=(0.9, 0.98), eps=1e-9, fused=True)
    device = read.source_BS.device.type

    def run() -> None:
        optimizer.zero_grad()
        with torch.autocast(device, torch.bfloat16, enabled=precision == "bf16"):
            loss = model(read)
        loss.backward()
        optimizer.step()

    return run


def compare(
    size: Size, dropout: float, count: int, device: torch.device, precision: str, clock: Clock, shortest: float
) -> tuple[Ratio, Ratio]:
    """Print one table; gives the ratios to the fastest peer and to torch.nn.Transformer."""
    read = Examples.of(size, device, shortest)
    torch.manual_seed(0)
    models = {name: make(size, dropout).to(device).train() for name, make in CONTESTANTS.items()}
    wait = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    times = rounds({name: step(model, read, precision) for name, model in models.items()}, count, wait, clock)
    padding = 1 - float((read.targets_BT != IGNORED).float().mean())
    print(f"\n{size}, dropout {dropout:g}, {padding:.0%} of the target is padding")
    print(f"  {'':<22}{'parameters':>11}{'ms a step':>11}   how many times as fast paribus is [95 % interval]")
    for name, model in models.items():
        parameters = sum(parameter.numel() for parameter in model.parameters())
        against = "" if name == OURS else str(ratio(times[name], times[OURS]))
        print(f"  {name:<22}{parameters:>11,}{statistics.median(times[name]):>11.2f}   {against}")
    fastest = min((name for name in models if name != OURS), key=lambda name: statistics.median(times[name]))
    to_fastest, to_torch = ratio(times[fastest], times[OURS]), ratio(times[TORCH], times[OURS])
    met = to_fastest.median >= 1.0 and to_fastest.low >= 0.98 and to_torch.median >= 1.05
    print(f"  to the fastest, {fastest}: {to_fastest}; {'met' if met else 'not met'}")
    return to_fastest, to_torch


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES), choices=list(SIZES), help="by width")
    parser.add_argument("--dropout", type=float, nargs="+", default=[0.0, 0.1])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="32", choices=["32", "bf16"])
    parser.add_argument("--shortest", type=float, default=0.5, help="length of the shortest, as a share of the longest")
    parser.add_argument("--clock", default="wall", choices=list(CLOCKS))
    options = parser.parse_args()
    torch.set_num_threads(1)
    device = torch.device(options.device)
    name = torch.cuda.get_device_name() if device.type == "cuda" else "one thread of the CPU"
    print(f"torch {torch.__version__}, {name}, precision {options.precision}, {options.rounds} rounds")
    print(
        "target: to the fastest at least 1.00 with the lower end at least 0.98; to torch.nn.Transformer at least 1.05"
    )
    for width in options.sizes:
        for dropout in options.dropout:
            clock = CLOCKS[options.clock]
            compare(SIZES[width], dropout, options.rounds, device, options.precision, clock, options.shortest)
            sys.stdout.flush()


if __name__ == "__main__":
    main()
