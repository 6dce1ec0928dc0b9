"""The commands as users call them: the tiny experiment goes the whole way, in one process of its own each time."""

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from ruamel.yaml import YAML

from paribus.cli import COMMANDS
from paribus.parts import FAMILIES, kinds
from paribus.planning import hashed

ROOT = Path(__file__).parents[2]
EXPERIMENTS = sorted((ROOT / "experiments").glob("*.yaml"))

Paribus = Callable[..., "subprocess.CompletedProcess[str]"]


def call(folder: Path, *words: str, code: int = 0) -> "subprocess.CompletedProcess[str]":
    """One command in a folder; checks its exit code, and that nobody sees a traceback."""
    environment = {**os.environ, "NO_COLOR": "1", "COLUMNS": "140"}
    environment.pop("PARIBUS_STORE", None)
    done = subprocess.run(
        [sys.executable, "-m", "paribus", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        env=environment,
        timeout=300,
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the smallest experiment was run."""
    folder = tmp_path_factory.mktemp("lab")
    (folder / "copy-smoke.yaml").write_text((ROOT / "experiments" / "copy-smoke.yaml").read_text())
    done = call(folder, "run", "copy-smoke.yaml")
    (folder / "printed.txt").write_text(done.stdout)
    (folder / "progress.txt").write_text(done.stderr)
    return folder


def test_a_run_prints_progress_on_stderr_and_the_answer_on_stdout(lab: Path) -> None:
    printed, progress = (lab / "printed.txt").read_text(), (lab / "progress.txt").read_text()
    assert "training 6 runs on" in progress
    assert "[6/6] ok" in progress
    assert "6 runs trained" in progress
    assert "no_position" in printed
    assert "Report: " in printed
    assert "\x1b" not in printed + progress


def test_a_run_leaves_a_report_in_every_format_with_the_same_numbers(lab: Path) -> None:
    folder = lab / "reports" / "copy-smoke"
    page = (folder / "index.html").read_text(encoding="utf-8")
    with (folder / "contrasts.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    arm = next(row for row in rows if row["arm"] == "no_position")
    assert arm["n_pairs"] == "3"
    assert arm["verdict"] in page
    assert arm["verdict"] in (folder / "report.md").read_text(encoding="utf-8")


def test_a_second_run_trains_nothing(lab: Path) -> None:
    done = call(lab, "run", "copy-smoke.yaml")
    assert "0 runs trained, 6 taken from the store" in done.stderr


def test_runs_show_and_status_tell_what_is_stored(lab: Path) -> None:
    members = json.loads(call(lab, "runs", "--json").stdout)
    assert len(members) == 6
    assert {member["status"] for member in members} == {"ok"}
    assert all(0 <= member["score"]["value"] <= 1 for member in members)
    assert json.loads(call(lab, "status", "--json").stdout) == [{"experiment": "copy-smoke", "runs": 6, "ok": 6}]
    shown = json.loads(call(lab, "show", "copy-smoke/baseline/1", "--json").stdout)
    assert shown["record"]["status"] == "ok"
    assert shown["run"] in call(lab, "show", shown["run"][:8]).stdout
    assert "copy-smoke" in call(lab, "status").stdout
    assert call(lab, "runs", "copy-smoke", "--status", "ok").stdout.count("copy-smoke/") == 6


def test_reading_commands_load_nothing_heavy(lab: Path) -> None:
    for words in (["runs"], ["status"], ["report", "copy-smoke.yaml"], ["show", "copy-smoke/baseline/1"]):
        code = (
            "import sys\nfrom paribus.__main__ import main\n"
            f"try:\n    main({words!r})\nexcept SystemExit as ended:\n    assert not ended.code\n"
            "print('LOADED', *sorted({'torch', 'lightning', 'optuna', 'wandb'} & set(sys.modules)))"
        )
        done = subprocess.run([sys.executable, "-c", code], cwd=lab, capture_output=True, text=True, check=True)
        assert done.stdout.splitlines()[-1].strip() == "LOADED", words


def test_scores_are_exported_as_a_table(lab: Path) -> None:
    rows = list(csv.DictReader(call(lab, "export", "copy-smoke").stdout.splitlines()))
    assert {row["run"] for row in rows} == {member["run"] for member in json.loads(call(lab, "runs", "--json").stdout)}
    assert "rows: scores.json" in call(lab, "export", "--format", "json", "--out", "scores.json").stdout
    assert len(json.loads((lab / "scores.json").read_text())) == len(rows)
    assert (
        "no experiment called 'copy-smok'; did you mean 'copy-smoke'?"
        in call(lab, "export", "copy-smok", code=2).stderr
    )


def test_a_run_is_left_out_with_a_reason_and_taken_in_again(lab: Path) -> None:
    page = lab / "reports" / "copy-smoke" / "report.md"
    assert "needs --why with a reason" in call(lab, "exclude", "copy-smoke/baseline/1", code=2).stderr
    call(lab, "exclude", "copy-smoke/baseline/1", "--why", "the room was on fire")
    call(lab, "report", "copy-smoke")
    assert "eft out by hand: baseline seed 1: the room was on fire" in page.read_text(encoding="utf-8")
    assert "0 runs trained, 6 taken from the store" in call(lab, "run", "copy-smoke.yaml", "--quiet").stderr
    call(lab, "exclude", "copy-smoke/baseline/1", "--undo")
    call(lab, "report", "copy-smoke")
    assert "left out" not in page.read_text(encoding="utf-8")


def test_a_store_is_taken_over_by_another_one(lab: Path) -> None:
    told = call(lab, "import", ".paribus", "--store", "second").stdout
    assert told == "1 experiment, 6 attempts at 6 runs and 6 run folders taken over\n"
    assert json.loads(call(lab, "status", "--json", "--watch", "--store", "second").stdout)[0]["ok"] == 6


def test_progress_and_results_are_told_as_json_lines_where_asked(lab: Path) -> None:
    sets = ("--set", "training.steps=2", "--set", "training.schedule.warmup=0", "--seeds", "1")
    words = ("run", "copy-smoke.yaml", *sets, "--json-lines")
    cut = [json.loads(text) for text in call(lab, *words, "--max-hours", "0.0000001", code=130).stdout.splitlines()]
    assert cut[0]["event"] == "begin"
    assert (cut[-1]["event"], cut[-1]["interrupted"]) == ("end", True)
    again = [json.loads(text)["event"] for text in call(lab, *words).stdout.splitlines()]
    assert again[-2:] == ["end", "report"]


def test_a_table_that_nobody_can_take_is_told_in_a_sentence(lab: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([sys.executable, "-m", "paribus", "runs"], cwd=lab, stdout=full, stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (2, b"cannot write to the output: No space left on device\n")


def test_diff_tells_what_differs_between_runs_and_between_arms_of_files(lab: Path) -> None:
    found = json.loads(call(lab, "diff", "copy-smoke/baseline/1", "copy-smoke/no_position/2", "--json").stdout)
    assert {"what": "position", "where": "encoder, decoder", "one": "sinusoidal", "other": "none"} in found
    assert {"what": "seed", "where": "", "one": "1", "other": "2"} in found
    same = call(lab, "diff", "copy-smoke.yaml", "copy-smoke.yaml:baseline").stdout
    assert "no setting that counts differs" in same
    assert "position" in call(lab, "diff", "copy-smoke.yaml", "copy-smoke.yaml:no_position").stdout


def test_changes_of_the_command_line_have_a_report_of_their_own(lab: Path) -> None:
    done = call(
        lab,
        "run",
        "copy-smoke.yaml",
        "--set",
        "training.steps=3",
        "--set",
        "training.schedule.warmup=1",
        "--seeds",
        "1",
    )
    assert (lab / "reports" / "copy-smoke@steps=3,warmup=1,seeds=1" / "index.html").is_file()
    assert "2 runs trained" in done.stderr


def test_a_smoke_run_tries_every_arm(lab: Path) -> None:
    done = call(lab, "run", "copy-smoke.yaml", "--smoke")
    assert done.stdout.count("yes") == 2
    assert (lab / "reports" / "copy-smoke@smoke" / "index.html").is_file()


def test_plan_prints_cost_and_what_is_missing_and_leaves_no_store(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("name: a\ntask: {kind: copy, longest: 5}\narms: {deep: {network.depth: 3}}\n")
    planned = json.loads(call(tmp_path, "plan", "a.yaml", "--no-probe", "--json").stdout)
    assert (planned["runs"], planned["missing"]) == (10, 10)
    base, deep = (arm["cost"]["parameters"] for arm in planned["arms"])
    assert deep > base
    assert "10 runs: 0 in the store, 10 to train" in call(tmp_path, "plan", "a.yaml", "--no-probe").stdout
    assert [file.name for file in tmp_path.iterdir()] == ["a.yaml"]


def test_small_mistakes_on_the_command_line_are_told_in_plain_words(lab: Path) -> None:
    told = call(lab, "plan", "copy-smoke.yaml", "--set", "network.width:1:1", code=2).stderr
    assert (
        told == "--set network.width:1:1  --set: got 'network.width:1:1', needs key=value\n1 problem; nothing was run\n"
    )
    assert "plan takes one file; left over: b.yaml" in call(lab, "plan", "copy-smoke.yaml", "b.yaml", code=2).stderr
    assert "needs a-z, A-Z, 0-9, - and _" in call(lab, "init", "größe", code=2).stderr
    assert call(lab, "report", "copy-smoke", "--metric", "los", code=2).stderr.count("Known:") == 1


def test_check_and_plan_count_the_same_runs_and_name_the_floors(tmp_path: Path) -> None:
    text = "name: a\ntask: {kind: copy, longest: 5}\narms: {deep: {network.depth: 3}}\nseeds: 3\n"
    (tmp_path / "a.yaml").write_text(text + "floors: [majority, random_network]\n")
    size = "1 arm and the baseline, 1 task, 3 seeds: 6 runs and 4 of floors"
    assert call(tmp_path, "check", "a.yaml").stdout.splitlines()[0] == f"a.yaml: right; {size}"
    planned = call(tmp_path, "plan", "a.yaml", "--no-probe").stdout
    assert "6 runs and 4 of floors: 0 in the store, 10 to do" in planned


def test_gc_removes_a_run_and_says_first_what_else_it_would_delete(lab: Path) -> None:
    run = json.loads(call(lab, "runs", "copy-smoke", "--json").stdout)[0]["run"]
    before = json.loads(call(lab, "show", run, "--json").stdout)["record"]["scores"]
    told = call(lab, "gc", "--run", run).stdout
    assert told.startswith(f"would remove {run} (copy-smoke/")
    assert "--delete does it" in told
    assert json.loads(call(lab, "show", run, "--json").stdout)["record"]["scores"] == before
    assert (lab / ".paribus" / "runs" / run).is_dir()
    assert f"removed {run}" in call(lab, "gc", "--run", run, "--delete").stdout
    assert not (lab / ".paribus" / "runs" / run).exists()
    assert "1 run trained, 5 taken from the store" in call(lab, "run", "copy-smoke.yaml", "--quiet").stderr
    assert json.loads(call(lab, "show", run, "--json").stdout)["record"]["scores"] == before
    leftover = lab / ".paribus" / "runs" / "0123.partial-999999999"
    leftover.mkdir()
    assert "would remove 0123.partial-999999999" in call(lab, "gc").stdout
    assert leftover.exists()
    call(lab, "gc", "--delete")
    assert not leftover.exists()
    assert "nothing is left over" in call(lab, "gc").stdout


def test_init_writes_files_that_check_and_that_the_schema_accepts(tmp_path: Path) -> None:
    for template in ("translation", "labels"):
        call(tmp_path, "init", f"my-{template}", "--template", template)
    assert (tmp_path / "my-labels.yaml").read_text().startswith("# yaml-language-server: $schema=paribus.schema.json\n")
    call(tmp_path, "check", "my-translation.yaml", "my-labels.yaml")
    schema = json.loads((tmp_path / "paribus.schema.json").read_text())
    validator = jsonschema.Draft7Validator(schema)
    for file in (tmp_path / "my-translation.yaml", tmp_path / "my-labels.yaml", *EXPERIMENTS):
        assert list(validator.iter_errors(YAML(typ="safe").load(file.read_text(encoding="utf-8")))) == []
    assert "is there already" in call(tmp_path, "init", "my-labels", code=2).stderr
    assert "did you mean 'labels'" in call(tmp_path, "init", "x", "--template", "label", code=2).stderr


def test_init_keeps_a_schema_that_somebody_changed_and_brings_its_own_up_to_date(tmp_path: Path) -> None:
    file = tmp_path / "paribus.schema.json"
    assert f"wrote {file.name}" in call(tmp_path, "init", "a").stdout
    newest = file.read_text()
    assert "up to date" in call(tmp_path, "init", "b").stdout
    assert file.read_text() == newest
    older = json.loads(newest)
    del older["$comment"], older["properties"]["claims"]
    older["$comment"] = f"written by paribus init, {hashed(older)}"
    file.write_text(json.dumps(older))
    assert f"brought up to date: {file.name}" in call(tmp_path, "init", "c").stdout
    assert file.read_text() == newest
    for number, own in enumerate((newest.replace('"claims"', '"wishes"'), "{}", "[1]")):
        file.write_text(own)
        assert f"kept {file.name}" in call(tmp_path, "init", f"d{number}").stdout
        assert file.read_text() == own


SCORE = '''"""q . k, and a setting of its own."""
from pydantic import Field
from paribus.parts import Part
from lab.settings import {setting}

class Spec(Part):
    {setting}: float = Field({setting}, description="of the plane")
    def build(self, *, head_dim):
        raise NotImplementedError
'''


def test_each_file_that_is_checked_finds_the_modules_beside_it(tmp_path: Path) -> None:
    for name, setting in (("a", "tilt"), ("b", "bend")):
        (tmp_path / name / "lab").mkdir(parents=True)
        if name == "a":
            (tmp_path / name / "lab" / "__init__.py").touch()
        (tmp_path / name / "lab" / "settings.py").write_text(f"{setting} = 0.1\n")
        (tmp_path / name / "lab" / "score.py").write_text(SCORE.format(setting=setting))
        mixer = f"{{kind: attention, score: {{kind: lab.score, {setting}: 0.2}}}}"
        (tmp_path / name / "x.yaml").write_text(f"name: {name}\ntask: copy\nnetwork: {{mixer: {mixer}}}\n")
    for files in (("a/x.yaml", "b/x.yaml", "a/x.yaml"), ("b/x.yaml", "a/x.yaml")):
        assert call(tmp_path, "check", *files).stdout.count("imports lab.score") == len(files)


@pytest.fixture(scope="session")
def schema(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(call(tmp_path_factory.mktemp("schema"), "schema").stdout)
    jsonschema.Draft7Validator.check_schema(found)
    return found


@pytest.mark.parametrize(
    "text",
    [
        "name: a\ntask: copy\nsedes: 3",
        "name: a\ntask: {kind: copy, leters: 3}",
        "name: a\ntask: copy\nnetwork: {mixer: {score: {kind: additive, hiden: 3}}}",
        "name: a\ntask: copy\nnetwork: {mixer: {kind: gru, heads: 3}}",
        "name: a\ntask: copy\nnetwork: {mixer: {heads: 0}}",
        "name: a\ntask: copy\nnetwork: {norm: lyer}",
        "name: a\ntask: copy\nnetwork: {encoder: {nrom: batch}}",
        "name: a\ntask: copy\nnetwork: {layers: {decoder: {0: {mixer: {kind: gru, heads: 1}}}}}",
        "name: a\ntask: copy\ntraining: {optimizer: {lr: -1}}",
        "name: a\ntask: copy\ntraining: {optimizer: {kind: sgd, betas: [0.1, 0.2]}}",
        "name: ../a\ntask: copy",
    ],
)
def test_the_schema_refuses_what_the_command_refuses(schema: dict[str, Any], text: str, tmp_path: Path) -> None:
    from paribus.errors import SpecError
    from paribus.spec.load import load

    assert list(jsonschema.Draft7Validator(schema).iter_errors(YAML(typ="safe").load(text)))
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(SpecError):
        load(tmp_path / "a.yaml")


def test_each_kind_of_each_family_is_listed_by_parts_by_the_schema_and_by_the_reference(
    schema: dict[str, Any], tmp_path: Path
) -> None:
    listed = json.loads(call(tmp_path, "parts", "--json").stdout)
    reference = (ROOT / "docs" / "reference" / "parts.md").read_text(encoding="utf-8")
    for family in FAMILIES:
        assert listed[family] == list(kinds(family))
        for kind in kinds(family):
            assert f"### {kind}" in reference.split(f"## {family}\n")[1].split("\n## ")[0]
            if family != "metric":
                branches = schema["$defs"][family]["then"]["allOf"]
                assert kind in [branch["if"]["properties"]["kind"]["const"] for branch in branches]


def test_parts_tells_formula_settings_and_declarations(tmp_path: Path) -> None:
    norms = {part["kind"]: part for part in json.loads(call(tmp_path, "parts", "norm", "--json").stdout)}
    assert norms["batch"]["leaks"] == ["future"]
    assert "Ioffe" in norms["batch"]["summary"]
    assert "hidden: 64" in call(tmp_path, "parts", "score").stdout
    assert "did you mean 'score'" in call(tmp_path, "parts", "scores", code=2).stderr


def test_doctor_says_what_is_there(tmp_path: Path) -> None:
    found = {row["what"]: row for row in json.loads(call(tmp_path, "doctor", "--json").stdout)}
    assert found["torch"]["state"] == "good"
    assert found["store"]["found"].endswith("(not there yet)")
    assert list(tmp_path.iterdir()) == []


def test_mistakes_of_the_command_line_end_with_two(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("name: a\ntask: copy\narms: {deep: {network.depth: 3}}\n")
    assert (
        "no arm is called 'deap'; did you mean 'deep'?"
        in call(tmp_path, "run", "a.yaml", "--arms", "deap", code=2).stderr
    )
    assert "there is no store at" in call(tmp_path, "runs", code=2).stderr
    assert "Unknown" in call(tmp_path, "run", "a.yaml", "--sed", "3", code=2).stderr
    call(tmp_path, "walk", code=2)
    assert "needs a whole number above 0" in call(tmp_path, "run", "a.yaml", "--workers", "0", code=2).stderr
    assert [file.name for file in tmp_path.iterdir() if file.name != ".paribus"] == ["a.yaml"]


def test_every_command_has_help_and_stands_in_the_reference(tmp_path: Path) -> None:
    reference = (ROOT / "docs" / "reference" / "commands.md").read_text(encoding="utf-8")
    for name in COMMANDS:
        assert f"## paribus {name}\n" in reference


@pytest.mark.parametrize("file", EXPERIMENTS, ids=lambda file: file.stem)
def test_every_experiment_of_the_project_is_right(file: Path) -> None:
    from paribus.spec.load import load

    assert load(file).arms[0].name == "baseline"


def test_reports_are_found_by_names_that_look_like_files(lab: Path) -> None:
    call(lab, "run", "copy-smoke.yaml", "--set", "training.optimizer.lr=0.02", "--seeds", "1", "--quiet")
    done = call(lab, "report", "copy-smoke@lr=0.02,seeds=1", "--format", "md")
    assert "copy-smoke@lr=0.02,seeds=1" in done.stdout
    text = (lab / "reports" / "copy-smoke@lr=0.02,seeds=1" / "report.md").read_text()
    assert "paribus report copy-smoke&#64;lr=0.02,seeds=1" in text
    assert "paribus run copy-smoke.yaml --set training.optimizer.lr=0.02 --seeds 1 --fresh" in text
    both = call(
        lab, "report", "copy-smoke.yaml", "copy-smoke@lr=0.02,seeds=1", "--metric", "loss", "--format", "md"
    ).stdout
    together = lab / "reports" / "copy-smoke+copy-smoke@lr=0.02,seeds=1" / "by-loss" / "report.md"
    assert "copy-smoke+copy-smoke@lr=0.02,seeds=1/by-loss" in both.splitlines()[-1]
    assert together.read_text(encoding="utf-8").count("This page is by loss") == 2


def test_one_store_gives_the_same_bytes_in_every_format_and_reports_need_no_torch(lab: Path, tmp_path: Path) -> None:
    store = str(lab / ".paribus")
    words = [
        "report",
        str(lab / "copy-smoke.yaml"),
        "--store",
        store,
        "--format",
        "html,md,tex,csv,json,parquet,svg,pdf,png",
    ]
    seen = []
    for turn in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-X", "importtime", "-m", "paribus", *words],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONHASHSEED": turn},
            timeout=300,
        )
        assert done.returncode == 0, done.stdout
        loaded = {
            line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")
        }
        assert "paribus.report.figures" in loaded
        assert not {"torch", "lightning", "optuna", "wandb"} & loaded
        folder = lab / "reports" / "copy-smoke"  # beside the store
        seen.append({path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()})
    assert {path for path in seen[0] if seen[0][path] != seen[1][path]} == set()
    assert seen[0].keys() == seen[1].keys()
    assert len(seen[0]) > 15


def test_a_report_by_another_metric_stands_beside_the_first(lab: Path) -> None:
    done = call(lab, "report", "copy-smoke.yaml", "--metric", "loss", "--format", "md")
    assert "by-loss" in done.stdout
    assert "This page is by loss" in (lab / "reports" / "copy-smoke" / "by-loss" / "report.md").read_text()
    assert "no task measures 'nope'" in call(lab, "report", "copy-smoke.yaml", "--metric", "nope", code=2).stderr


def test_a_change_of_an_extended_file_or_of_the_precision_is_told(lab: Path, tmp_path: Path) -> None:
    parent, child = tmp_path / "parent.yaml", tmp_path / "child.yaml"
    parent.write_text((lab / "copy-smoke.yaml").read_text())
    child.write_text("extends: parent.yaml\nname: child\nseeds: 1\n")
    call(tmp_path, "run", "child.yaml", "--quiet", "--store", str(tmp_path / "store"))
    report = ("report", "child.yaml", "--store", str(tmp_path / "store"), "--format", "md")
    told = tmp_path / "reports" / "child" / "report.md"
    for change, known in (
        ("", False),
        ("question: Why?\nmachine: {threads: 2}\n", False),
        ("training: {steps: 3}\n", True),
        ("machine: {precision: bf16}\n", True),
    ):
        child.write_text(f"extends: parent.yaml\nname: child\nseeds: 1\n{change}")
        call(tmp_path, *report)
        assert ("OUTOFDATE" in told.read_text()) == known, change
    child.write_text("extends: parent.yaml\nname: child\nseeds: 1\n")
    parent.write_text(parent.read_text() + "floors: []\n")
    call(tmp_path, *report)
    assert "OUTOFDATE" in told.read_text()


def test_a_file_where_reports_should_go_is_one_clear_sentence(lab: Path, tmp_path: Path) -> None:
    (tmp_path / "reports").write_text("")
    done = call(tmp_path, "report", "copy-smoke", "--store", str(lab / ".paribus"), code=0)
    assert done.stdout
    store = tmp_path / ".paribus"
    store.mkdir()
    (store / "store.db").write_bytes((lab / ".paribus" / "store.db").read_bytes())
    assert "the report cannot be written to" in call(tmp_path, "report", "copy-smoke", code=2).stderr


def test_runs_know_their_statuses_and_show_what_decides(lab: Path) -> None:
    assert "there is no status 'zzz'" in call(lab, "runs", "--status", "zzz", code=2).stderr
    text = (lab / "copy-smoke.yaml").read_text()
    (lab / "other.yaml").write_text(
        text.replace("name: copy-smoke", "name: other") + "\nanalysis: {metric: loss, split: test_longer}\n"
    )
    call(lab, "run", "other.yaml", "--quiet", code=0)
    assert "loss" in call(lab, "runs", "other").stdout
    assert "on test_longer" in call(lab, "runs", "other").stdout


def test_markup_in_a_question_is_text(lab: Path) -> None:
    text = (lab / "copy-smoke.yaml").read_text()
    (lab / "marked.yaml").write_text(text.replace("Does copying need positions?", "'[/bold] [red]x[/]'"))
    assert "[/bold] [red]x[/]" in call(lab, "plan", "marked.yaml", "--no-probe").stdout
    assert "marked[/x].yaml" in call(lab, "plan", "marked[/x].yaml", code=2).stderr


def test_explain_tells_what_a_key_means_and_where_a_part_has_it(tmp_path: Path) -> None:
    told = call(tmp_path, "explain", "network.mixer.heads").stdout
    assert told == "network.mixer.heads\n  how many attend side by side  [attention]\n  default: 4\n"
    told = call(tmp_path, "explain", "network.encoder.norm.eps").stdout
    assert "network.norm.eps  (of that side alone)" in told
    assert "added to the mean square  [rms]" in told
    assert "one of: post, pre, sandwich" in call(tmp_path, "explain", "norm_placement").stdout
    mistaken = call(tmp_path, "explain", "network.mixer.hedas", code=2)
    assert "did you mean network.mixer.heads" in mistaken.stderr


def test_the_catalogue_tells_formula_parameters_growth_and_range(tmp_path: Path) -> None:
    told = call(tmp_path, "parts", "score").stdout
    additive = told[told.index("\nadditive\n") : told.index("\nconcat\n")]
    assert "v . tanh(W q + U k" in additive
    assert f"{2 * 16 * 64 + 64 + 64:,} parameters; work grows as Q K hidden" in additive
    assert "tuning range 16, 32, 64, 128" in additive


def test_a_trained_run_answers_and_shows_where_it_looks(lab: Path, tmp_path: Path) -> None:
    name, store = "copy-smoke/baseline/1", str(lab / ".paribus")
    answer = json.loads(call(tmp_path, "predict", name, "--text", "a b zzz", "--store", store, "--json").stdout)
    assert answer["source"] == ["a", "b", "zzz"]
    assert answer["unknown"] == ["zzz"]
    done = call(tmp_path, "attend", name, "--text", "a b", "--target", "a b", "--store", store)
    assert "cross-attention" in done.stdout
    page = (tmp_path / "attention.html").read_text()
    assert page.count("<svg") == 3 * (1 + 2)  # the mean and both heads of three attentions
    assert "<script" not in page
    words = ("attend", name, "--text", "a b", "--store", store)
    looks = json.loads(call(tmp_path, *words, "--json").stdout)
    assert set(looks["weights"]) == {"encoder.0.mixer", "decoder.0.mixer", "decoder.0.cross"}
    assert all(abs(sum(row) - 1) < 1e-2 for head in looks["weights"]["decoder.0.cross"] for row in head)
    assert "got nothing to read" in call(tmp_path, "predict", name, "--text", " ", "--store", store, code=2).stderr
