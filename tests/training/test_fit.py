"""One run by Lightning: repeatable to the last bit, equal conditions, every ending told."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from paribus.errors import MachineError
from paribus.planning import Job, plan
from paribus.spec.load import load
from paribus.spec.training import Evaluate, Training
from paribus.store.record import Record
from paribus.training.fit import evaluation_steps, train
from paribus.training.settings import Settings, device_of

Write = Callable[..., Path]
Trained = Callable[..., Record]


@pytest.fixture
def trained(write: Write, tmp_path: Path) -> Trained:
    """The record of an arm of the small experiment with changes."""

    def run(*sets: str, arm: str = "baseline", more: str = "", stop: Callable[[], str] = lambda: "") -> Record:
        return train(job(write(more), sets, arm), tmp_path, lambda news: None, stop)

    return run


def job(file: Path, sets: tuple[str, ...] = (), arm: str = "baseline") -> Job:
    planned = plan(load(file, sets))
    return planned.job(next(run for run in planned.runs if run.arm == arm))


def numbers(record: Record) -> dict[str, Any]:
    """Everything of a record but times, speeds and memory."""
    curves = {name: column for name, column in record.curves.items() if name != "seconds"}
    return {
        "scores": record.scores,
        "curves": curves,
        "order": record.order,
        "initial": record.initial,
        "chosen": record.chosen_step,
    }


def score(record: Record, metric: str, split: str = "test") -> float:
    value = next(s.value for s in record.scores if (s.metric, s.split) == (metric, split))
    assert value is not None
    return value


def test_a_run_repeated_is_equal_to_the_last_bit(trained: Trained) -> None:
    one, other = (trained("network.dropout=0.2", "training.accumulate=2") for _ in range(2))
    assert one.status == "ok"
    assert numbers(one) == numbers(other)


def test_what_happened_before_in_the_same_process_changes_nothing(trained: Trained) -> None:
    before = trained("network.dropout=0.2")
    torch.rand(7)
    trained("network.mixer.heads=1", "network.dropout=0.5", "seeds=[9]")
    assert numbers(trained("network.dropout=0.2")) == numbers(before)


def test_the_variables_of_a_batch_system_do_not_make_a_run_join_others(
    trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = trained()
    for name, value in {"NTASKS": "4", "JOB_NAME": "study", "PROCID": "3", "LOCALID": "3", "NODEID": "1"}.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    assert numbers(trained()) == numbers(before)


def test_arms_of_a_seed_see_the_same_batches_and_share_what_they_can(trained: Trained) -> None:
    base = trained()
    for change in ("network.mixer=gru", "network.norm=batch", "network.family=decoder", "network.mixer.score=additive"):
        arm = trained(change)
        assert arm.order == base.order
        same_shape = [
            p
            for p in base.initial
            if p in arm.initial and arm.initial[p].split(":")[0] == base.initial[p].split(":")[0]
        ]
        shared = [path for path in same_shape if arm.initial[path] == base.initial[path]]
        assert shared == [path for path in same_shape if path in shared]
        if change != "network.family=decoder":  # one vocabulary for both sides: other shapes
            assert shared == same_shape
            assert len(shared) > 10
    assert trained("seeds=[2]").order != base.order


def test_micro_batches_that_are_gathered_equal_one_batch_of_their_size(trained: Trained) -> None:
    # One pool of like lengths holds more examples than all steps take, so both see the same ones, in other batches.
    whole = trained("training.batch.examples=200", "training.steps=3", "training.optimizer=sgd")
    pieces = trained(
        "training.batch.examples=50", "training.accumulate=4", "training.steps=3", "training.optimizer=sgd"
    )
    assert whole.tokens == pieces.tokens
    for metric in ("loss", "token_accuracy"):
        assert score(pieces, metric) == pytest.approx(score(whole, metric), abs=1e-5)


def test_label_smoothing_counts_in_training_only(trained: Trained) -> None:
    sets = ("training.steps=1", "training.optimizer=sgd", "training.optimizer.lr=1e-12")
    plain, smooth = trained(*sets), trained(*sets, "training.label_smoothing=0.3")
    assert score(smooth, "loss") == pytest.approx(score(plain, "loss"), abs=1e-6)
    assert smooth.curves["train_loss"] != plain.curves["train_loss"]


def test_a_clipped_gradient_moves_less(trained: Trained) -> None:
    sets = ("training.steps=1", "training.optimizer=sgd", "training.optimizer.lr=1.0", "training.schedule=constant")
    free, clipped, start = (
        score(trained(*sets, f"training.clip_norm={norm}"), "loss") for norm in ("null", "1e-6", "1e-9")
    )
    assert clipped == pytest.approx(start, abs=1e-4)
    assert abs(free - start) > 1e-2


@pytest.mark.parametrize(("unit", "budget"), [("tokens", 700), ("flops", 700 * 20_000)])
def test_a_budget_of_tokens_or_flops_is_spent_and_not_passed_by_more_than_a_step(
    trained: Trained, unit: str, budget: int
) -> None:
    record = trained(f"training.{unit}={budget}")
    rate = 1.0 if unit == "tokens" else record.cost["flops_per_token"]
    assert record.status == "ok"
    assert record.tokens * rate >= budget
    assert (record.tokens - record.tokens / record.steps * 1.5) * rate < budget


def test_a_loss_that_is_not_finite_is_a_result_with_its_step(trained: Trained) -> None:
    record = trained(
        "training.optimizer.lr=1e30", "training.clip_norm=null", "network.norm=none", "training.schedule=constant"
    )
    assert record.status == "diverged"
    assert record.fail_step is not None
    assert 1 <= record.fail_step <= 6
    assert record.scores == []
    assert f"step {record.fail_step}" in record.reason


def test_the_first_best_checkpoint_is_tested_or_the_last(trained: Trained) -> None:
    # At a rate that ruins what was learned, the best checkpoint is an early one.
    sets = (
        "training.steps=40",
        "training.optimizer.lr=0.3",
        "training.schedule=constant",
        "training.evaluate.every=0.1",
    )
    best, last = trained(*sets), trained(*sets, "training.select=last")
    losses = best.curves["validation_loss"]
    steps = best.curves["step"]
    assert best.chosen_step == steps[losses.index(min(value for value in losses if value is not None))]
    assert last.chosen_step == 40
    assert score(best, "loss", "validation") == pytest.approx(min(v for v in losses if v is not None), abs=1e-6)


def test_an_early_stop_ends_before_the_budget(trained: Trained) -> None:
    sets = ("training.steps=60", "training.optimizer.lr=0.5", "training.schedule=constant", "training.evaluate.every=2")
    record = trained(*sets, "training.early_stop={patience: 3}")
    assert record.status == "ok"
    assert record.steps < 60
    assert record.chosen_step == record.steps - 6


def test_a_split_longer_than_a_part_has_places_has_no_value_and_says_why(trained: Trained) -> None:
    record = trained("network.position=learned")
    longer = [s for s in record.scores if s.split == "test_longer"]
    assert [(s.value, s.reason) for s in longer] == [(None, "capacity")] * 3
    assert all(s.value is not None for s in record.scores if s.split != "test_longer")


@pytest.mark.parametrize("family", ["encoder", "decoder"])
def test_labels_are_learned_by_encoders_and_decoders(trained: Trained, family: str) -> None:
    task = "task={kind: parity, longest: 6, training_examples: 60, validation_examples: 20, test_examples: 20}"
    record = trained(task, f"network.family={family}", "training.steps=4")
    assert {s.metric for s in record.scores if s.split == "test"} == {"accuracy", "loss"}
    assert record.status == "ok"


def test_half_precision_trains(trained: Trained) -> None:
    full, half = trained(), trained("machine.precision=bf16")
    assert half.status == "ok"
    assert score(half, "loss") == pytest.approx(score(full, "loss"), rel=0.05)
    assert score(half, "loss") != score(full, "loss")


@pytest.mark.skipif(torch.cuda.is_available(), reason="has a GPU")
def test_a_cpu_does_not_train_in_bf16_where_16_is_asked_for(trained: Trained) -> None:
    with pytest.raises(MachineError, match=r"machine\.precision is 16, but CPUs compute in 32 or bf16 only"):
        trained("machine.precision=16")


def test_a_run_that_is_asked_to_stop_says_how_far_it_came(trained: Trained) -> None:
    calls = iter([False, False, True])
    record = trained(stop=lambda: "interrupted" if next(calls) else "")
    assert (record.status, record.steps, record.reason) == ("interrupted", 3, "stopped at step 3 of 6")


def test_a_run_out_of_time_is_a_timeout_and_never_silently_shorter(write: Write, tmp_path: Path) -> None:
    slow = job(write(), ("machine.time_limit=1s", "training.steps=100000", "training.evaluate.every=1000"))
    record = train(slow, tmp_path, lambda news: None, lambda: "")
    assert record.status == "timeout"
    assert "the time limit of 1s was over at step" in record.reason


def test_an_accelerator_that_is_not_there_is_told(write: Write, tmp_path: Path) -> None:
    if torch.cuda.is_available():
        assert device_of(machine("cuda")).type == "cuda"
        return
    with pytest.raises(MachineError, match=r"machine\.accelerator is cuda, but torch finds no cuda device here"):
        device_of(machine("cuda"))


def machine(accelerator: str) -> Any:
    from paribus.spec.machine import Machine

    return Machine.model_validate({"accelerator": accelerator})


@pytest.mark.parametrize(
    ("every", "steps", "wanted"),
    [
        (0.5, 10, {5, 10}),
        (0.4, 10, {4, 8, 10}),
        (1.0, 7, {7}),
        (3, 10, {3, 6, 9, 10}),
        (0.1, 5, {1, 2, 3, 4, 5}),
        (20, 10, {10}),
    ],
)
def test_validation_is_looked_at_when_the_file_says_and_at_the_end(every: float, steps: int, wanted: set[int]) -> None:
    training = Training(steps=max(steps, 20), evaluate=Evaluate(every=every))
    assert evaluation_steps(training, steps) == wanted


def test_weight_decay_spares_biases_norms_and_tables(write: Write) -> None:
    from paribus.network import build

    settings = Settings.of(job(write(), ("network.position=learned", "training.optimizer.weight_decay=0.1")))
    network = build(settings.network, settings.data.sizes(), 1)
    decayed, spared = settings.training.optimizer.build(network, fused=False).param_groups
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    assert decayed["weight_decay"] == 0.1
    assert spared["weight_decay"] == 0.0
    assert all(names[id(p)].endswith("weight") and "norm" not in names[id(p)] for p in decayed["params"])
    assert {"encoder.tokens.weight", "decoder.position.table.weight", "readout.bias"} <= {
        names[id(p)] for p in spared["params"]
    }
    assert len(decayed["params"]) + len(spared["params"]) == len(names)


def test_probes_tell_what_goes_on_inside_at_the_first_and_the_last_step(trained: Trained) -> None:
    uniform = trained("network.mixer={kind: attention, score: uniform}")
    assert score(uniform, "logit_spread", "first_step") == 0.0
    found = {name for name in uniform.probes["last"] if name.startswith("attention_entropy")}
    places = ("encoder.0.mixer", "encoder.1.mixer", "decoder.0.mixer", "decoder.0.cross", "decoder.1.mixer")
    assert found == {f"attention_entropy.{place}" for place in (*places, "decoder.1.cross")}
    plain = trained()
    for name in ("first", "last"):
        assert score(plain, "logit_spread", f"{name}_step") > 0
        norms = [value for key, value in plain.probes[name].items() if key.startswith("gradient_norm.")]
        assert score(plain, "gradient_norm", f"{name}_step") == pytest.approx(sum(norm**2 for norm in norms) ** 0.5)
    assert plain.probes["first"] != plain.probes["last"]
    assert not [one for one in plain.scores if one.metric == "train_eval_gap"]


def test_batch_norm_tells_how_far_training_and_evaluation_are_apart(trained: Trained) -> None:
    slow = trained("network.norm={kind: batch, momentum: 0.001}")
    quick = trained("network.norm={kind: batch, momentum: 0.5}")
    assert score(slow, "train_eval_gap", "training") > abs(score(quick, "train_eval_gap", "training"))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the compiler about itself
def test_a_compiled_network_learns_the_same(trained: Trained) -> None:
    plain, compiled = (trained("network.depth=1", f"machine.compile={on}") for on in ("false", "true"))
    assert compiled.environment["compile"] is True
    assert compiled.run == plain.run
    assert score(compiled, "loss") == pytest.approx(score(plain, "loss"), rel=1e-3)
