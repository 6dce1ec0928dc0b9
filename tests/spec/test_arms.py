"""Arms, generators, sides, layers and cross-attention: each rule by the example that would break it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from paribus.errors import SpecError
from paribus.parts import Part
from paribus.spec.arms import Arm
from paribus.spec.load import load
from paribus.spec.network import ResolvedLayer

Write = Callable[..., Path]


def arms(file: Path, sets: tuple[str, ...] = ()) -> dict[str, Arm]:
    return {arm.name: arm for arm in load(file, sets).arms}


def layers(arm: Arm, side: str) -> list[ResolvedLayer]:
    return arm.setting.network.stacks()[side].layers


def cross(arm: Arm, layer: int = 0) -> Part:
    found = layers(arm, "decoder")[layer].cross
    assert found is not None
    return found


def mixer(arm: Arm, side: str = "decoder", layer: int = 0) -> Part:
    return layers(arm, side)[layer].mixer


def said(file: Path) -> str:
    with pytest.raises(SpecError) as caught:
        load(file)
    return str(caught.value)


# Generators


def test_generated_arms_bear_the_shortest_end_of_the_key_and_the_value(write: Write) -> None:
    found = arms(write("vary: [{one_at_a_time: {network.mixer.heads: [1, 4], network.norm: [{kind: batch}, none]}}]\n"))
    assert list(found) == ["baseline", "heads=1", "heads=4", "norm=batch", "norm=none"]


def test_a_key_whose_end_is_ambiguous_is_named_longer(write: Write) -> None:
    found = arms(write("vary: [{one_at_a_time: {network.encoder.norm: [batch], network.decoder.norm: [batch]}}]\n"))
    assert list(found) == ["baseline", "encoder.norm=batch", "decoder.norm=batch"]


def test_a_grid_makes_every_combination_in_the_order_of_the_file(write: Write) -> None:
    found = arms(write("vary: [{grid: {network.mixer.heads: [1, 4], network.norm: [batch, none]}}]\n"))
    assert list(found)[1:] == ["heads=1,norm=batch", "heads=1,norm=none", "heads=4,norm=batch", "heads=4,norm=none"]


def test_a_generated_cell_that_equals_the_baseline_or_a_named_arm_is_that_arm(write: Write) -> None:
    found = arms(
        write("arms: {single: {network.mixer.heads: 1}}\nvary: [{one_at_a_time: {network.mixer.heads: [1, 2, 4]}}]\n")
    )
    assert list(found) == ["baseline", "single", "heads=4"]


def test_a_generator_may_start_from_another_arm(write: Write) -> None:
    found = arms(
        write(
            "arms: {recurrent: {network.mixer: gru}}\n"
            "vary: [{one_at_a_time: {network.norm: [batch]}, from: recurrent}]\n"
        )
    )
    assert mixer(found["norm=batch"]).kind == "gru"
    assert found["norm=batch"].start == "recurrent"


# Files that extend others, and the command line


def test_extends_follows_the_rule_of_changes_and_merges_arms_by_name(write: Write) -> None:
    write("arms: {one: {network.depth: 1}, both: {network.depth: 3}}\n", name="base.yaml")
    file = write(
        text="extends: base.yaml\nname: child\nnetwork: {mixer: {score: dot}, feedforward: relu}\nseeds: [7]\n"
        "arms: {both: {network.width: 32}, two: {network.norm: none}}\n",
        name="child.yaml",
    )
    loaded = load(file)
    assert loaded.name == "child"
    assert loaded.experiment.seeds == [7]
    found = {arm.name: arm for arm in loaded.arms}
    assert list(found) == ["baseline", "one", "both", "two"]
    assert dict(found["both"].changes) == {"network.depth": 3, "network.width": 32}
    spec = mixer(found["baseline"])
    assert spec.model_dump()["heads"] == 2
    assert spec.model_dump()["score"] == {"kind": "dot"}
    assert layers(found["baseline"], "encoder")[0].feedforward.model_dump() == {"kind": "relu", "width": 32}


def test_later_files_win_and_mistakes_are_told_in_the_file_that_makes_them(write: Write) -> None:
    write(name="base.yaml")
    write(text="network: {depth: 0}\n", name="other.yaml")
    told = said(write(text="extends: [base.yaml, other.yaml]\nname: child\n", name="child.yaml"))
    assert told.startswith("other.yaml:1:18  network.depth: got 0, needs a whole number above 0")


def test_set_edits_the_baseline_before_the_arms(write: Write) -> None:
    found = arms(write("arms: {deep: {network.depth: 3}}\n"), ("network.mixer.heads=1", "network.norm=batch"))
    assert mixer(found["deep"]).model_dump()["heads"] == 1
    assert layers(found["deep"], "encoder")[2].norm.kind == "batch"


def test_a_mistake_of_the_command_line_names_it(write: Write) -> None:
    with pytest.raises(SpecError, match=r"--set network\.depth=0  network\.depth: got 0, needs a whole number above 0"):
        load(write(), ["network.depth=0"])
    with pytest.raises(SpecError, match=r"netwrok: unknown key|netwrok\.depth: unknown key; did you mean 'network'"):
        load(write(), ["netwrok.depth=1"])


def test_a_batch_norm_that_an_arm_brings_into_accumulation_is_told_at_the_arm(write: Write) -> None:
    told = said(write("arms: {bn: {network.norm: batch, training.accumulate: 2}}\n"))
    assert "small.yaml:7:27  arms.bn.'network.norm': batch norm sees one micro-batch at a time" in told


# Sides and layers


def test_a_side_follows_the_block_field_unless_it_sets_it(write: Write) -> None:
    found = arms(
        write(
            "arms:\n  sided: {network.encoder.norm: batch, network.decoder.depth: 3, network.decoder.position: none}\n"
            "  heads: {network.encoder.mixer.heads: 1}\n"
        )
    )
    network = found["sided"].setting.network
    assert network.encoder is not None
    assert network.decoder is not None
    assert [layer.norm.kind for layer in network.encoder.layers] == ["batch", "batch"]
    assert [layer.norm.kind for layer in network.decoder.layers] == ["layer"] * 3
    assert (network.encoder.position.kind, network.decoder.position.kind) == ("sinusoidal", "none")
    assert mixer(found["heads"], "encoder").model_dump()["heads"] == 1
    assert mixer(found["heads"], "decoder").model_dump()["heads"] == 2


def test_a_layer_follows_its_side_unless_it_sets_a_field(write: Write) -> None:
    file = write(
        "arms: {mixed: {network.depth: 3, network.layers.encoder.last.norm: none, "
        "network.layers.decoder.0: {mixer: gru}}}\n"
    )
    found = arms(file)["mixed"]
    assert [layer.norm.kind for layer in layers(found, "encoder")] == ["layer", "layer", "none"]
    assert [layer.mixer.kind for layer in layers(found, "decoder")] == ["gru", "attention", "attention"]
    assert [cross(found, index).kind for index in range(3)] == ["attention"] * 3


@pytest.mark.parametrize(
    ("base", "arm", "narrow"),
    [
        ("encoder: {norm: batch}", "network.norm: none", "network.encoder.norm"),
        ("encoder: {mixer: {heads: 1}}", "network.mixer.heads: 4", "network.encoder.mixer.heads"),
        ("encoder: {mixer: {heads: 1}}", "network.mixer: gru", "network.encoder.mixer.heads"),
        ("layers: {decoder: {0: {norm: batch}}}", "network.norm: none", "network.layers.decoder.0.norm"),
        ("layers: {decoder: {0: {norm: batch}}}", "network.decoder.norm: none", "network.layers.decoder.0.norm"),
    ],
)
def test_a_change_that_a_side_or_a_layer_would_hide_is_an_error_naming_both(
    write: Write, base: str, arm: str, narrow: str
) -> None:
    told = said(_with(write, base, arm))
    assert f"arms.changed.'{arm.split(':')[0]}': would be hidden: the baseline's `{narrow}` sets it for itself" in told


def _with(write: Write, base: str, arm: str) -> Path:
    text = f"name: a\ntask: {{kind: copy}}\nnetwork: {{{base}}}\narms: {{changed: {{{arm}}}}}\n"
    return write(text=text, name="sides.yaml")


def test_a_change_of_another_field_of_the_same_part_is_not_hidden(write: Write) -> None:
    found = arms(_with(write, "encoder: {mixer: {heads: 1}}", "network.mixer.score: dot"))["changed"]
    assert mixer(found, "encoder").model_dump()["score"] == {"kind": "dot"}
    assert mixer(found, "encoder").model_dump()["heads"] == 1


# Cross-attention


def test_a_cross_attention_that_is_left_out_follows_the_mixer_of_the_decoder(write: Write) -> None:
    found = arms(write("arms: {additive: {network.mixer.score: additive}, side: {network.decoder.mixer.heads: 1}}\n"))
    assert cross(found["additive"]).model_dump()["score"] == {"kind": "additive", "hidden": 64}
    assert cross(found["side"]).model_dump()["heads"] == 1


def test_a_cross_attention_stays_what_it_was_where_an_arm_no_longer_attends(write: Write) -> None:
    file = write("arms: {recurrent: {network.mixer: gru}, half: {network.decoder.mixer: gru}}\n")
    found = arms(file, ("network.mixer.score=dot",))
    for name in ("recurrent", "half"):
        assert cross(found[name]) == cross(found["baseline"])
        assert cross(found[name]).model_dump()["score"] == {"kind": "dot"}
    assert mixer(found["recurrent"], "encoder").kind == "gru"
    assert mixer(found["half"], "encoder").kind == "attention"


def test_a_recurrent_baseline_reads_across_by_the_default_attention_and_follows_again_in_an_arm(write: Write) -> None:
    found = arms(write("arms: {attends: {network.mixer: {kind: attention, heads: 8}}}\n"), ("network.mixer=gru",))
    assert cross(found["baseline"]).model_dump()["heads"] == 4
    assert cross(found["attends"]).model_dump()["heads"] == 8


def test_a_cross_attention_that_is_written_out_stands_by_itself(write: Write) -> None:
    found = arms(
        _with(write, "cross: {kind: attention, heads: 1}", "network.mixer.heads: 8"),
    )
    assert cross(found["changed"]).model_dump()["heads"] == 1


def test_a_key_below_a_followed_cross_attention_fixes_the_rest_as_followed(write: Write) -> None:
    found = arms(write("arms: {crossed: {network.cross.score: dot, network.mixer.heads: 4}}\n"))["crossed"]
    assert cross(found).model_dump()["heads"] == 4
    assert cross(found).model_dump()["score"] == {"kind": "dot"}
    assert mixer(found).model_dump()["score"] == {"kind": "scaled_dot"}


def test_only_the_decoder_of_an_encoder_decoder_reads_across(write: Write) -> None:
    found = arms(write(), ("network.family=decoder",))["baseline"]
    assert all(layer.cross is None for layer in layers(found, "decoder"))
    assert found.setting.network.encoder is None


def test_several_tasks_take_a_change_of_their_size_each(write: Write) -> None:
    text = (
        "name: two\ntasks: {copy: {kind: copy, longest: 5}, back: {kind: reverse, longest: 5}}\n"
        "arms: {little: {task.training_examples: 100}}\n"
    )
    found = arms(write(text=text))
    sizes = {name: task.model_dump()["training_examples"] for name, task in found["little"].setting.tasks.items()}
    assert sizes == {"copy": 100, "back": 100}
