"""`check-part`, and what `check` and `run` make of parts from outside."""

import json
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from paribus import api
from paribus.errors import Broken, ParibusError, PartError
from paribus.parts import outside_spec, spec_class
from paribus.parts.families import families_of

Write = Callable[..., Path]

SCORE = '''\
"""A score of a test."""

from torch import Tensor

from paribus.parts import Part
from paribus.parts.score import Positions, Score


class Spec(Part):
    tilt: float{default}

    def build(self, *, head_dim: int) -> "Tilted":
        return Tilted(self.tilt)


class Tilted(Score):
    def __init__(self, tilt: float) -> None:
        super().__init__()
        self.tilt = tilt

    def forward(self, q_BHQD: Tensor, k_BHKD: Tensor, positions: Positions) -> Tensor:
        distance = positions.queries_BQ.unsqueeze(-1) - positions.keys_BK.unsqueeze(-2)
        return {formula}

    def flops(self, queries: float, keys: float) -> float:
        return 0.0
'''
RIGHT = "q_BHQD @ k_BHKD.transpose(-2, -1) + self.tilt * distance.unsqueeze(1)"
WRONG = "(q_BHQD @ k_BHKD.transpose(-2, -1) + self.tilt * distance.unsqueeze(1)).softmax(-2)"


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], str]:
    """Writes a module into a package of its own and gives its import path."""
    package = f"lab_{abs(hash(tmp_path))}"
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)

    def write(name: str, text: str) -> str:
        (tmp_path / package / f"{name}.py").write_text(text)
        return f"{package}.{name}"

    return write


def score(formula: str = RIGHT, default: str = " = 0.1") -> str:
    return SCORE.replace("{default}", default).replace("{formula}", formula)


def said(capsys: pytest.CaptureFixture[str], *words: str, code: int) -> str:
    from paribus.__main__ import main

    with pytest.raises(SystemExit) as ended:
        main(list(words))
    streams = capsys.readouterr()
    assert ended.value.code == code, streams
    return streams.out + streams.err


def test_check_part_prints_each_promise_as_kept_or_with_the_reason_why_it_does_not_apply(
    lab: Callable[[str, str], str], capsys: pytest.CaptureFixture[str]
) -> None:
    told = said(capsys, "check-part", lab("tilted", score()), code=0)
    assert "a part of the family score" in told
    assert "kept            entry (i, j) depends on query i and key j only" in told
    assert "does not apply  fused it gives the same scores, up to a term that is the same for all keys\n" in told
    assert "no fused form" in told
    assert "broken" not in told


def test_check_part_prints_the_smallest_example_of_a_broken_promise(
    lab: Callable[[str, str], str], capsys: pytest.CaptureFixture[str]
) -> None:
    told = said(capsys, "check-part", lab("inert", score(WRONG)), code=1)
    assert "broken          entry (i, j) depends on query i and key j only" in told
    assert "smallest example: batch of 1, queries 2, keys 2, head width 4" in told


def test_check_part_takes_settings_and_asks_for_those_that_it_needs(
    lab: Callable[[str, str], str], capsys: pytest.CaptureFixture[str]
) -> None:
    module = lab("bare", score(default=""))
    assert "tilt: is missing; give --set tilt=VALUE" in said(capsys, "check-part", module, code=2)
    told = said(capsys, "check-part", module, "--set", "tilt=0.5", "--json", code=0)
    assert {outcome["verdict"] for outcome in json.loads(told)} == {"kept", "does not apply"}
    assert "unknown key; did you mean 'tilt'?" in said(capsys, "check-part", module, "--set", "tilf=1.0", code=2)


def test_check_part_knows_the_parts_of_paribus_by_family_and_kind(capsys: pytest.CaptureFixture[str]) -> None:
    assert "linear, a part of the family schedule" in said(capsys, "check-part", "schedule.linear", code=0)
    assert "did you mean 'linear'?" in said(capsys, "check-part", "schedule/linaer", code=2)
    assert "promises nothing" in said(capsys, "check-part", "decoding.greedy", code=0)


def test_a_module_that_does_not_tell_its_family_is_asked_for_it(
    lab: Callable[[str, str], str], capsys: pytest.CaptureFixture[str]
) -> None:
    module = lab("vague", "from paribus.parts import Part\n\n\nclass Spec(Part):\n    pass\n")
    assert "does not tell its family; give --family" in said(capsys, "check-part", module, code=2)
    told = said(capsys, "check-part", module, "--family", "schedule", code=2)
    assert "needs one of the family schedule, which has a Spec that derives from" in told


def test_the_family_of_a_part_is_told_by_what_it_derives_from(lab: Callable[[str, str], str]) -> None:
    assert families_of(outside_spec(lab("told", score()))) == ("score",)
    untold = score().replace(' -> "Tilted"', "")
    assert families_of(outside_spec(lab("untold", untold))) == ("score",)
    for family in ("norm", "mixer", "optimizer", "schedule", "position", "task", "metric"):
        kind = {"norm": "rms", "mixer": "gru", "optimizer": "adam", "schedule": "linear", "position": "alibi"}
        assert family in families_of(spec_class(family, kind.get(family) or {"task": "copy", "metric": "loss"}[family]))


def test_check_refuses_a_part_of_another_family(lab: Callable[[str, str], str], write: Write) -> None:
    from paribus.spec.load import load

    module = lab("elsewhere", score())
    for key, family in (("network.norm", "norm"), ("training.schedule", "schedule"), ("network.mixer.score", "")):
        file = write(f"arms:\n  mine: {{{key}: {module}}}\n")
        if not family:
            load(file)
            continue
        wanted = f"'{module}' is of the family score; needs one of the family {family}, which "
        with pytest.raises(ParibusError, match=wanted):
            load(file)


def test_a_broken_promise_stops_a_run_before_anything_is_trained(
    lab: Callable[[str, str], str], write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    module = lab("wrong", score(WRONG))
    file = write(f"arms:\n  mine: {{network.mixer.score: {module}}}\n")
    for more in ((), ("--smoke",)):
        told = said(capsys, "run", str(file), *more, code=2)
        assert f"{module} breaks" in told
        assert "entry (i, j) depends on query i and key j only: entry (0, 0) moved by" in told
        assert "nothing was trained" in told
    assert not (Path(".paribus") / "runs").exists()


def test_kept_promises_are_asked_once_for_each_source_and_setting(
    lab: Callable[[str, str], str], write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    from paribus.store.folder import open_store

    heard: list[str] = []

    def ask(module: str, tilt: float = 0.1) -> int:
        before = len(heard)
        text = f"arms:\n  mine: {{network.mixer.score: {{kind: {module}, tilt: {tilt}}}}}\n"
        loaded, plan = api.prepared(write(text))
        api.vet(loaded, plan, open_store(), heard.append)
        return len(heard) - before

    module = lab("mine", score())
    assert ask(module) == 1
    assert heard == [f"{module} keeps the promises of a score"]
    assert ask(module) == 0
    assert ask(module, tilt=0.2) == 1
    lab("mine", score() + "\n# edited\n")
    assert ask(module) == 1
    Path(".paribus/promises.json").write_text("{damaged")
    assert ask(module) == 1
    assert len(json.loads(Path(".paribus/promises.json").read_text())) == 1


def test_only_parts_of_the_chosen_arms_are_asked(lab: Callable[[str, str], str], write: Write) -> None:
    from paribus.store.folder import open_store

    text = f"""\
    arms:
      wrong: {{network.mixer.score: {lab("bad", score(WRONG))}}}
      small: {{network.width: 8}}
    """
    loaded, plan = api.prepared(write(dedent(text)), arms=["small"])
    api.vet(loaded, plan, open_store())
    loaded, plan = api.prepared(write(dedent(text)))
    with pytest.raises(PartError, match="breaks"):
        api.vet(loaded, plan, open_store())


def test_a_broken_promise_names_itself_what_was_seen_and_the_example() -> None:
    broken = Broken("a value moved", "2 tokens").of("nothing moves")
    assert str(broken) == "nothing moves: a value moved (2 tokens)"
    assert (broken.promise, broken.seen, broken.example) == ("nothing moves", "a value moved", "2 tokens")
