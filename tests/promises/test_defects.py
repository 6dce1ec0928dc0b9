"""Planted defects, found in published code or easily made: each is caught by the promise that is named for it."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from paribus.errors import Broken
from paribus.parts import Part, spec_class
from paribus.parts.feedforward.relu import Relu as ReluFeedforward
from paribus.parts.initialisation import Initialisation
from paribus.parts.metric.accuracy import Spec as AccuracySpec
from paribus.parts.mixer import Memory, Mixer, MixerSpec, State, Tokens
from paribus.parts.mixer._recurrent import Recurrent
from paribus.parts.mixer.average import Average
from paribus.parts.mixer.conv import Conv
from paribus.parts.mixer.summary import Summary
from paribus.parts.norm import Norm
from paribus.parts.norm.batch import Batch
from paribus.parts.norm.layer import Layer
from paribus.parts.optimizer.adam import Spec as AdamSpec
from paribus.parts.position import Coded, CodedSpec, Position, PositionSpec
from paribus.parts.position.alibi import Alibi
from paribus.parts.position.learned import Learned
from paribus.parts.position.relative import Relative
from paribus.parts.position.rotary import Rotary
from paribus.parts.schedule import ScheduleSpec
from paribus.parts.score import FusedScore, Positions, Score
from paribus.parts.score.scaled_dot import ScaledDot
from paribus.parts.task import Example, GeneratedTask
from paribus.parts.task.copy import Spec as CopySpec
from paribus.parts.weights import Weights
from paribus.parts.window import Window
from paribus.promises import named, promises_of


def planted(make: Callable[[dict[str, Any]], Any], base: type[Part] = Part, **declared: Any) -> Part:
    """A part whose module is made of all that is known of its place."""
    body = {"__module__": __name__, "make": lambda self, **known: make(known), **declared}
    made: Part = type("Spec", (base,), body)()
    return made


class PlainScore(Score):
    """A dot product with something wrong."""

    def __init__(self, formula: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.formula = formula

    def forward(self, q_BHQD: Tensor, k_BHKD: Tensor, positions: Positions) -> Tensor:
        return self.formula(q_BHQD, k_BHKD)

    def flops(self, queries: float, keys: float) -> float:
        return 0.0


def score(formula: Callable[[Tensor, Tensor], Tensor]) -> Part:
    return planted(lambda known: PlainScore(formula))


class WrongFusedScale(FusedScore):
    def forward(self, q_BHQD: Tensor, k_BHKD: Tensor, positions: Positions) -> Tensor:
        return q_BHQD @ k_BHKD.transpose(-2, -1) / q_BHQD.shape[-1] ** 0.5

    def fused(self, q_BHQD: Tensor, k_BHKD: Tensor) -> tuple[Tensor, Tensor]:
        return q_BHQD / q_BHQD.shape[-1], k_BHKD

    def flops(self, queries: float, keys: float) -> float:
        return 0.0


class FrozenScore(ScaledDot):
    def __init__(self, head_dim: int) -> None:
        super().__init__(head_dim)
        self.tilt = nn.Parameter(torch.ones(head_dim), requires_grad=False)

    def forward(self, q_BHQD: Tensor, k_BHKD: Tensor, positions: Positions) -> Tensor:
        return super().forward(q_BHQD * self.tilt, k_BHKD, positions)

    def fused(self, q_BHQD: Tensor, k_BHKD: Tensor) -> tuple[Tensor, Tensor]:
        return super().fused(q_BHQD * self.tilt, k_BHKD)


class ForgottenTable(PlainScore):
    """Scaled by numbers that no state holds and no seed decides."""

    def __init__(self, head_dim: int) -> None:
        scale = torch.rand(head_dim).double()
        super().__init__(lambda q, k: (q * scale.to(q.dtype)) @ k.transpose(-2, -1))


class PlainWeights(Weights):
    def __init__(self, formula: Callable[[Tensor, Tensor], Tensor], *, whole: bool = True) -> None:
        super().__init__()
        self.formula = formula
        self.sums_to_one = whole  # type: ignore[misc]

    def forward(self, scores_BHQK: Tensor, mask_BHQK: Tensor | None) -> Tensor:
        seen = torch.ones_like(scores_BHQK, dtype=torch.bool) if mask_BHQK is None else mask_BHQK
        return self.formula(scores_BHQK, seen.expand_as(scores_BHQK))


def weights(formula: Callable[[Tensor, Tensor], Tensor], *, whole: bool = True) -> Part:
    return planted(lambda known: PlainWeights(formula, whole=whole))


def _softmax(scores: Tensor, mask: Tensor, dim: int = -1) -> Tensor:
    return scores.masked_fill(~mask, -1e30).softmax(dim).masked_fill(~mask, 0.0)


class ClampedPosition(Learned):
    def codes(self, positions_BT: Tensor, mask_BT: Tensor | None) -> Tensor:
        return self.table(positions_BT.clamp(max=self.capacity - 1))


class CountingPosition(Learned):
    """Looks at the length of what it is given, not at the places."""

    def codes(self, positions_BT: Tensor, mask_BT: Tensor | None) -> Tensor:
        return self.table(torch.arange(positions_BT.shape[1]))[None]


class ConstantRows(Coded):
    def codes(self, positions_BT: Tensor, mask_BT: Tensor | None) -> Tensor:
        return torch.ones(1, positions_BT.shape[1], 1).double()


class ReversedRelative(Relative):
    def bias(self, positions: Positions, heads: int) -> Tensor:
        return super().bias(Positions(-positions.queries_BQ, -positions.keys_BK), heads)


class RisingAlibi(Alibi):
    def bias(self, positions: Positions, heads: int) -> Tensor:
        return -super().bias(positions, heads)


class SharedAlibi(Alibi):
    def bias(self, positions: Positions, heads: int) -> Tensor:
        bias = super().bias(positions, heads)
        return bias[:, :1].expand_as(bias)


class HalfRotary(Rotary):
    def rotate(self, q_BHQD: Tensor, k_BHKD: Tensor, positions: Positions) -> tuple[Tensor, Tensor]:
        return super().rotate(q_BHQD, k_BHKD, positions)[0], k_BHKD


def position(make: Callable[[dict[str, Any]], Position], base: type[Part] = CodedSpec, **declared: Any) -> Part:
    return planted(make, base, **declared)


def attending(make: Callable[[dict[str, Any]], Position], **declared: Any) -> Part:
    return planted(make, PositionSpec, acts_on="attention", **declared)


class PaddedStatistics(Batch):
    def forward(self, x_BTC: Tensor, mask_BT: Tensor | None, positions_BT: Tensor) -> Tensor:
        return super().forward(x_BTC, None, positions_BT)


class PaddedMemory(Batch):
    """Normalises by real tokens, and remembers padding too."""

    def forward(self, x_BTC: Tensor, mask_BT: Tensor | None, positions_BT: Tensor) -> Tensor:
        found = super().forward(x_BTC, mask_BT, positions_BT)
        if self.training:
            with torch.no_grad():
                self.running_mean.lerp_(x_BTC.mean((0, 1)), 0.1)
        return found


class TimeNorm(Layer):
    def forward(self, x_BTC: Tensor, mask_BT: Tensor | None, positions_BT: Tensor) -> Tensor:
        mean = x_BTC.cumsum(1) / torch.arange(1, x_BTC.shape[1] + 1).unsqueeze(-1)
        return (x_BTC - mean) * self.weight + self.bias


class LeakingEvaluation(Batch):
    """Takes the statistics of the batch in evaluation too."""

    def train(self, mode: bool = True) -> "LeakingEvaluation":
        super().train(True)
        return self


def norm(kind: Callable[..., Norm], **declared: Any) -> Part:
    return planted(lambda known: kind(known["width"], 0.1, 1e-5), **declared)


class TimeFeedforward(ReluFeedforward):
    def forward(self, x_BTC: Tensor) -> Tensor:
        return super().forward(x_BTC - x_BTC.mean(-2, keepdim=True))


class AheadConv(Conv):
    def forward(self, x_BTC: Tensor, tokens: Tokens, memory: Memory | None, position: Position) -> Tensor:
        if tokens.mask_BT is not None:
            x_BTC = x_BTC * tokens.mask_BT.unsqueeze(-1)
        return self._convolved(functional.pad(x_BTC, (0, 0, self.reach - 1, 1)))


class PaddedGru(Recurrent):
    """Reads backwards from the end of the padding."""

    def forward(self, x_BTC: Tensor, tokens: Tokens, memory: Memory | None, position: Position) -> Tensor:
        return super().forward(x_BTC, Tokens(None, tokens.positions_BT), memory, position)


class ForgetfulGru(Recurrent):
    def step(self, x_B1C: Tensor, tokens: Tokens, state: State, position: Position) -> Tensor:
        return super().step(x_B1C, tokens, {}, position)


class PaddedAverage(Average):
    def forward(self, x_BTC: Tensor, tokens: Tokens, memory: Memory | None, position: Position) -> Tensor:
        return super().forward(x_BTC, Tokens(None, tokens.positions_BT), memory, position)


class TargetReadingSummary(Summary):
    def forward(self, x_BTC: Tensor, tokens: Tokens, memory: Memory | None, position: Position) -> Tensor:
        return super().forward(x_BTC, tokens, memory, position) + self.output(x_BTC.mean(1, keepdim=True))


class BlindCross(Summary):
    """Reads the target where the source was meant."""

    def forward(self, x_BTC: Tensor, tokens: Tokens, memory: Memory | None, position: Position) -> Tensor:
        return self.output(x_BTC)


class InertMixer(Average):
    def forward(self, x_BTC: Tensor, tokens: Tokens, memory: Memory | None, position: Position) -> Tensor:
        return self.output(x_BTC)


def mixer(make: Callable[[dict[str, Any]], Mixer], **declared: Any) -> Part:
    return planted(make, MixerSpec, **declared)


def blind_attention(known: dict[str, Any]) -> Any:
    """Attention that forgets that it is causal."""
    return spec_class("mixer", "attention")().make(**{**known, "causal": False})


def gru(kind: type[Recurrent], *, both_ways: bool) -> Callable[[dict[str, Any]], Mixer]:
    gates = ("reset", "update", "candidate")
    return lambda known: kind(nn.GRU, gates, known["width"], 4 if both_ways else known["width"], both_ways)


class LopsidedWindow(Window):
    def allows(self, positions: Positions) -> Tensor:
        offset_BQK = positions.keys_BK.unsqueeze(-2) - positions.queries_BQ.unsqueeze(-1)
        return ((offset_BQK < 2) & (offset_BQK >= -2)).unsqueeze(1)


class ColdSchedule(ScheduleSpec):
    def factor(self, before: float, after: float, budget: float) -> float:
        return 1.0

    def later(self, before: float, after: float, rise: float, budget: float) -> float:
        return 1.0


class LateSchedule(ScheduleSpec):
    """Reaches zero at the last step, which then is lost."""

    def later(self, before: float, after: float, rise: float, budget: float) -> float:
        return (budget - after) / (budget - rise)


class ReversedAccuracy(AccuracySpec):
    direction = "min"

    @property
    def kind(self) -> str:
        return "accuracy"


class HalfAdam(AdamSpec):
    def build(self, network: nn.Module, *, fused: bool) -> torch.optim.Optimizer:
        return torch.optim.Adam([p for p in network.parameters() if p.ndim > 1], lr=self.lr)


class GlobalDraws(Initialisation):
    def std(self, fan_out: int, fan_in: int) -> float:
        return 1.0

    def fill(self, shape: tuple[int, int], generator: torch.Generator) -> Tensor:
        return torch.randn(shape)


class WrongSpread(Initialisation):
    def std(self, fan_out: int, fan_in: int) -> float:
        return math.sqrt(2.0 / (fan_out + fan_in))

    def fill(self, shape: tuple[int, int], generator: torch.Generator) -> Tensor:
        bound = self.std(*shape)  # the root of three is missing
        return torch.empty(shape).uniform_(-bound, bound, generator=generator)


class OverlappingTask(GeneratedTask):
    def examples(self, split: str) -> Sequence[Example]:
        found = super().examples(split)
        return [*found[:-1], super().examples("training")[0]] if split == "test" else found


class OverlappingCopy(CopySpec):
    def build(self) -> GeneratedTask:
        return OverlappingTask(self)


@dataclass(frozen=True)
class Defect:
    name: str
    family: str
    spec: Part
    promise: str


SUMS = "weights of a query sum to one where they should, and to zero where it sees no key"
HIDDEN = "hidden keys weigh exactly zero"
PAIR = "entry (i, j) depends on query i and key j only"
READS = "gradients reach query and key, except what it declares to ignore"
LEARNS = "every parameter gets a gradient"
AHEAD = "no token sees a later one when causal, except as declared"
KEPT = "padding never moves a kept value"
STEPS = "step by step equals all at once"
CROSS = "in cross position a token reads the source, and of the target itself at most"
BY_ITSELF = "no token sees another of its sequence, except as declared"
BEYOND = "a place beyond the longest is an error, never a clamp"

DEFECTS = [
    Defect("softmax over the queries", "weights", weights(lambda s, m: _softmax(s, m, -2)), SUMS),
    Defect("softmax over an axis of size one", "weights", weights(lambda s, m: torch.ones_like(s) * m), SUMS),
    Defect("mask off by one", "weights", weights(lambda s, m: _softmax(s, m.roll(1, -1))), HIDDEN),
    Defect("mask after softmax", "weights", weights(lambda s, m: s.softmax(-1) * m), SUMS),
    Defect("mask with a number too small", "weights", weights(lambda s, m: (s - 9.0 * ~m).softmax(-1)), HIDDEN),
    Defect(
        "NaN where no key is seen",
        "weights",
        weights(lambda s, m: s.masked_fill(~m, float("-inf")).softmax(-1)),
        HIDDEN,
    ),
    Defect(
        "padding counted in n",
        "weights",
        weights(lambda s, m: (s - math.log(s.shape[-1])).sigmoid() * m, whole=False),
        "more padding changes no weight",
    ),
    Defect(
        "the lowest score weighs most",
        "weights",
        weights(lambda s, m: _softmax(-s, m)),
        "a key that fits better never weighs less",
    ),
    Defect("a score that ignores k", "score", score(lambda q, k: q.sum(-1, keepdim=True) + 0 * k[..., :1].mT), READS),
    Defect("a dropped gradient", "score", score(lambda q, k: q @ k.detach().mT), READS),
    Defect("a score of the mean key", "score", score(lambda q, k: q @ (k - k.mean(-2, keepdim=True)).mT), PAIR),
    Defect("softmax inside the score", "score", score(lambda q, k: (q @ k.mT).softmax(-1)), PAIR),
    Defect("keys of the next head", "score", score(lambda q, k: q @ k.roll(1, 1).mT), PAIR),
    Defect(
        "a wrong fused scale",
        "score",
        planted(lambda known: WrongFusedScale()),
        "fused it gives the same scores, up to a term that is the same for all keys",
    ),
    Defect(
        "a wrong fused scale, in attention",
        "score",
        planted(lambda known: WrongFusedScale()),
        "attention with it gives the same output and gradients fused and not",
    ),
    Defect("a frozen parameter", "score", planted(lambda known: FrozenScore(known["head_dim"])), LEARNS),
    Defect(
        "numbers outside of the state",
        "score",
        planted(lambda known: ForgottenTable(known["head_dim"])),
        "its state saves and loads",
    ),
    Defect(
        "a null score under another name",
        "score",
        score(lambda q, k: 0 * (q @ k.mT)),
        "it changes the output of a network",
    ),
    Defect(
        "a clamped position",
        "position",
        position(lambda known: ClampedPosition(known["width"], known["max_length"], "add")),
        BEYOND,
    ),
    Defect(
        "a learned position that ignores positions",
        "position",
        position(lambda known: CountingPosition(known["width"], known["max_length"], "add")),
        "on the decoder side a token is told the same when it is written",
    ),
    Defect(
        "constant rows",
        "position",
        position(lambda known: ConstantRows(known["width"], 1, "add")),
        "every place has a code of its own",
    ),
    Defect(
        "constant rows, in an encoder",
        "position",
        position(lambda known: ConstantRows(known["width"], 1, "add")),
        "in an encoder, reordering the input only reorders the output if no order is told",
    ),
    Defect(
        "a reversed relative bias",
        "position",
        attending(lambda known: ReversedRelative(known["heads"], 32, 128, both_ways=known["side"] == "encoder")),
        "distances to earlier keys are told apart",
    ),
    Defect(
        "alibi with the other sign",
        "position",
        attending(lambda known: RisingAlibi(), ignores=frozenset({"direction"})),
        "a fixed bias never favours the farther key",
    ),
    Defect(
        "alibi with one slope",
        "position",
        attending(lambda known: SharedAlibi(), ignores=frozenset({"direction"})),
        "each head has a bias of its own",
    ),
    Defect(
        "a direction that is lost and not declared",
        "position",
        attending(lambda known: Alibi()),
        "before and after are told apart, except as declared",
    ),
    Defect(
        "rotary applied to queries only",
        "position",
        attending(lambda known: HalfRotary(10_000.0)),
        "in attention only the distance of key and query counts",
    ),
    Defect("padding in batch statistics", "norm", norm(PaddedStatistics, leaks=frozenset({"future"})), KEPT),
    Defect(
        "padding in running statistics",
        "norm",
        norm(PaddedMemory, leaks=frozenset({"future"})),
        "padding never moves the running statistics",
    ),
    Defect("layer norm over time", "norm", planted(lambda known: TimeNorm(known["width"], 1e-5)), BY_ITSELF),
    Defect("a leak that is not declared", "norm", norm(Batch), BY_ITSELF),
    Defect(
        "a declared leak that is none",
        "norm",
        planted(lambda known: Layer(known["width"], 1e-5), leaks=frozenset({"future"})),
        BY_ITSELF,
    ),
    Defect("a leak in evaluation", "norm", norm(LeakingEvaluation, leaks=frozenset({"future"})), BY_ITSELF),
    Defect(
        "a feed-forward over time",
        "feedforward",
        planted(lambda known: TimeFeedforward(known["width"], 8)),
        "what a token becomes depends on no other token",
    ),
    Defect("a bidirectional decoder", "mixer", mixer(blind_attention), AHEAD),
    Defect(
        "a bidirectional decoder, in a network",
        "mixer",
        mixer(blind_attention),
        "in a network, no token sees a later one, except as declared",
    ),
    Defect(
        "a convolution that looks ahead",
        "mixer",
        mixer(lambda known: AheadConv(known["width"], 3, 1, known["causal"])),
        AHEAD,
    ),
    Defect("a gru that reads padding", "mixer", mixer(gru(PaddedGru, both_ways=True)), KEPT),
    Defect("an average over padding", "mixer", mixer(lambda known: PaddedAverage(known["width"], False)), KEPT),
    Defect("a step that forgets its state", "mixer", mixer(gru(ForgetfulGru, both_ways=False)), STEPS),
    Defect(
        "a step that forgets its state, in a network",
        "mixer",
        mixer(gru(ForgetfulGru, both_ways=False)),
        f"in a network, {STEPS}",
    ),
    Defect(
        "cross-attention that reads the target",
        "mixer",
        mixer(lambda known: TargetReadingSummary(known["width"], False), places=frozenset({"cross"})),
        CROSS,
    ),
    Defect(
        "cross-attention that reads no source",
        "mixer",
        mixer(lambda known: BlindCross(known["width"], False), places=frozenset({"cross"})),
        CROSS,
    ),
    Defect(
        "a mixer that mixes nothing",
        "mixer",
        mixer(lambda known: InertMixer(known["width"], known["causal"])),
        "tokens learn of each other",
    ),
    Defect(
        "a window that reaches farther back",
        "window",
        planted(lambda known: LopsidedWindow()),
        "what it hides hangs on the distance only, and never is the query's own place",
    ),
    Defect("a schedule that never warms up", "schedule", ColdSchedule(), "a warm-up rises from near zero to the peak"),
    Defect(
        "a last step at rate zero",
        "schedule",
        LateSchedule(),
        "the rate is above zero at every step, and never above its peak",
    ),
    Defect("a reversed metric", "metric", ReversedAccuracy(), "the right answer gets the best score"),
    Defect(
        "parameters that nobody trains",
        "optimizer",
        HalfAdam(),
        "every parameter is in one group, at the rate that was set",
    ),
    Defect(
        "draws from the global random numbers",
        "initialisation",
        planted(lambda known: GlobalDraws()),
        "it draws from the generator that it is given and from nothing else",
    ),
    Defect(
        "a spread that is not the one told",
        "initialisation",
        planted(lambda known: WrongSpread()),
        "values have mean zero and the spread that it says",
    ),
    Defect("test examples in training", "task", OverlappingCopy(), "no source is in two splits"),
]


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name)
def test_a_planted_defect_breaks_the_promise_named_for_it(defect: Defect) -> None:
    with pytest.raises(Broken) as broken:
        named(promises_of(defect.family), defect.promise).demand(defect.spec)
    assert broken.value.promise == defect.promise


def test_the_smallest_example_is_told() -> None:
    found = {}
    for name in ("mask after softmax", "a bidirectional decoder", "a gru that reads padding"):
        defect = next(defect for defect in DEFECTS if defect.name == name)
        with pytest.raises(Broken) as broken:
            named(promises_of(defect.family), defect.promise).demand(defect.spec)
        found[name] = broken.value.example
    assert found == {
        "mask after softmax": "batch of 1, queries 1, keys 2",
        "a bidirectional decoder": "1 sequence of 2 tokens, in training",
        "a gru that reads padding": "1 sequence of 1 token, in an encoder, in training, 3 more of padding",
    }
