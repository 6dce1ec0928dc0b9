"""What goes on inside a network in training: spread of scores, entropy of attention, gradients, batch norm's gap.

Axes: B batch, T time, H heads, Q queries, K keys.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from itertools import islice

import torch
from torch import Tensor, nn

from paribus.network import Batch, Network
from paribus.parts.mixer import Tokens
from paribus.parts.mixer.attention import Seen, watching
from paribus.parts.norm import Norm
from paribus.store.record import Score
from paribus.training.data import Order, Split
from paribus.training.evaluation import judged

EXAMPLES = 8  # of a batch that attention is looked at in
BATCHES = 8  # of training that the gap of batch norm is taken over

Precision = Callable[[], AbstractContextManager[object]]
Values = dict[str, float]


def attention(network: Network, batch: Batch, precision: Precision) -> Values:
    """Mean standard deviation of scores over the keys that a query sees, and mean entropy in nats, by attention."""
    few = Batch(**{name: None if value is None else value[:EXAMPLES] for name, value in vars(batch).items()})
    with _mode(network, training=False), watching(network) as seen, torch.no_grad(), precision():
        network.forward(few)  # forward: past what torch.compile made of it
    found: Values = {}
    for path, looks in seen.items():
        if looks:
            real_BT = _real(few, path.split(".")[0])
            found[f"logit_spread.{path}"] = _spread(looks[0], real_BT)
            found[f"attention_entropy.{path}"] = _entropy(looks[0], real_BT)
    return found


def gradients(network: Network) -> Values:
    """Norm of the gradient of each layer, embedding and readout."""
    squares: dict[str, list[Tensor]] = {}
    for name, parameter in network.named_parameters():
        if parameter.grad is not None:
            squares.setdefault(_place(name), []).append(parameter.grad.detach().float().square().sum())
    return {f"gradient_norm.{place}": float(torch.stack(sums).sum().sqrt()) for place, sums in squares.items()}


def summary(split: str, values: Values) -> list[Score]:
    """The mean over attentions of what is told of each, and the norm of the whole gradient."""
    found = []
    for metric in ("logit_spread", "attention_entropy"):
        single = [value for name, value in values.items() if name.startswith(f"{metric}.")]
        if single:
            found.append(Score(split, metric, sum(single) / len(single)))
    norms = [value for name, value in values.items() if name.startswith("gradient_norm.")]
    if norms:
        found.append(Score(split, "gradient_norm", sum(norm**2 for norm in norms) ** 0.5))
    return [score if _finite(score) else replace(score, value=None, reason="not finite") for score in found]


def train_eval_gap(network: Network, split: Split, order: Order, device: torch.device, precision: Precision) -> float:
    """Loss with running statistics less loss with those of the batch, over the first batches of training."""
    losses = []
    for training in (True, False):
        total, asked = 0.0, 0
        with _mode(network, training=False), _batch_statistics(network, training), torch.no_grad(), precision():
            for rows in islice(order, BATCHES):
                reading = split.reading(rows).to(device)
                total, asked = (
                    total + judged(network.forward(reading.batch, reading.places_N), reading)[0],
                    asked + reading.asked,
                )
        losses.append(total / asked)
    return losses[1] - losses[0]


def remembers(network: Network) -> bool:
    """Whether any norm keeps statistics for evaluation."""
    return any(True for norm in _norms(network) for _ in norm.buffers())


def _norms(network: Network) -> list[Norm]:
    return [module for module in network.modules() if isinstance(module, Norm)]


@contextmanager
def _mode(network: nn.Module, training: bool) -> Iterator[None]:
    before = network.training
    network.train(training)
    try:
        yield
    finally:
        network.train(before)


@contextmanager
def _batch_statistics(network: Network, training: bool) -> Iterator[None]:
    """Norms in training mode or not, everything else as it is; what they remember is given back."""
    norms = _norms(network)
    kept = [{name: buffer.clone() for name, buffer in norm.named_buffers()} for norm in norms]
    for norm in norms:
        norm.train(training)
    try:
        yield
    finally:
        for norm, buffers in zip(norms, kept, strict=True):
            for name, buffer in norm.named_buffers():
                buffer.copy_(buffers[name])


def _place(name: str) -> str:
    pieces = name.split(".")
    return ".".join(pieces[:2]) if pieces[0] in ("encoder", "decoder") else pieces[0]


def _real(batch: Batch, side: str) -> Tensor | None:
    """(B,T): which queries of a side are real tokens."""
    ids, lengths = (
        (batch.source_BS, batch.source_lengths_B) if side == "encoder" else (batch.inputs_BT, batch.input_lengths_B)
    )
    return None if ids is None else Tokens.of(ids, lengths).mask_BT


def _spread(seen: Seen, real_BT: Tensor | None) -> float:
    scores = seen.scores_BHQK.float()
    mask = torch.ones_like(scores, dtype=torch.bool) if seen.mask_BHQK is None else seen.mask_BHQK.expand_as(scores)
    count = mask.sum(-1, keepdim=True)
    held = scores.masked_fill(~mask, 0.0)
    mean = held.sum(-1, keepdim=True) / count.clamp(min=1)
    variance = (((held - mean) ** 2) * mask).sum(-1) / count.squeeze(-1).clamp(min=1)
    return _mean(variance.sqrt(), (count.squeeze(-1) > 1), real_BT)


def _entropy(seen: Seen, real_BT: Tensor | None) -> float:
    weights = seen.weights_BHQK.float()
    total = weights.sum(-1, keepdim=True)
    shares = weights / total.clamp(min=torch.finfo(weights.dtype).tiny)
    return _mean(torch.special.entr(shares).sum(-1), total.squeeze(-1) > 0, real_BT)


def _mean(values_BHQ: Tensor, counts_BHQ: Tensor, real_BT: Tensor | None) -> float:
    if real_BT is not None:
        counts_BHQ = counts_BHQ & real_BT.unsqueeze(1)
    counts = counts_BHQ.expand_as(values_BHQ)
    return float(values_BHQ[counts].mean()) if bool(counts.any()) else 0.0


def _finite(score: Score) -> bool:
    return score.value is not None and score.value - score.value == 0
