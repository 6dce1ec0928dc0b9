"""The pages of the project: generated ones are up to date, and what they show works."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from paribus.cli import COMMANDS
from paribus.planning import plan
from paribus.spec.load import load

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def test_the_reference_is_what_the_program_says_of_itself() -> None:
    done = subprocess.run([sys.executable, "docs/generate.py", "--check"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_experiment_of_the_readme_is_the_quickstart(tmp_path: Path) -> None:
    file = tmp_path / "readme.yaml"
    file.write_text(blocks(ROOT / "README.md", "yaml")[0], encoding="utf-8")
    assert plan(load(file)).digest == plan(load(ROOT / "experiments" / "quickstart.yaml")).digest


def test_the_experiment_of_the_start_page_is_right(tmp_path: Path) -> None:
    file = tmp_path / "words.yaml"
    file.write_text(blocks(ROOT / "docs" / "start.md", "yaml")[0], encoding="utf-8")
    names = [arm.name for arm in load(file).arms]
    assert names == ["baseline", "learned", "no_position", "recurrent", "heads=1", "heads=2", "heads=8"]


def test_the_part_of_the_docs_trains_by_its_import_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import paribus

    package = tmp_path / "mylab" / "scores"
    package.mkdir(parents=True)
    (package / "tilted.py").write_text(blocks(ROOT / "docs" / "add-a-part.md", "python")[0])
    arms = blocks(ROOT / "docs" / "add-a-part.md", "yaml")[0]
    small = (
        (ROOT / "experiments" / "copy-smoke.yaml")
        .read_text()
        .replace("arms: {no_position: {network.position: none}}", arms)
    )
    (tmp_path / "tilted.yaml").write_text(small)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])  # loading the file makes its folder importable
    summary = paribus.run("tilted.yaml", sets=["training.steps=4"], seeds=[1], store="store")
    assert (summary.trained, summary.broken) == (3, {})
    frame = paribus.results("copy-smoke@steps=4,seeds=1", store="store")
    losses = frame[(frame.split == "test") & (frame.metric == "loss")].set_index("arm").value
    assert losses.nunique() == 3
    model = paribus.load_model("copy-smoke@steps=4,seeds=1/steep/1", store="store")
    assert not model.training
    for name in [name for name in sys.modules if name.split(".")[0] == "mylab"]:
        del sys.modules[name]


def test_scripts_for_clusters_can_be_read() -> None:
    from ruamel.yaml import YAML

    page = ROOT / "docs" / "clusters.md"
    for text in blocks(page, "bash"):
        subprocess.run(["bash", "-n"], input=text, text=True, check=True)
    kinds = [YAML(typ="safe").load(text)["kind"] for text in blocks(page, "yaml")]
    assert kinds == ["RayJob"]


def commands_in(page: Path) -> Iterator[str]:
    text = page.read_text(encoding="utf-8")
    yield from re.findall(r"(?:^|`|&& )paribus ([a-z-]+)", text, re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_name_commands_and_files_that_are_there(page: Path) -> None:
    for command in commands_in(page):
        assert command in COMMANDS, command
    prose = re.sub(r"`[^`\n]*`", "", page.read_text(encoding="utf-8"))
    for target in re.findall(r"\]\(([^)#:]+)\)", prose):
        assert (page.parent / target).exists(), target


def test_the_experiments_of_the_tuning_page_are_right(tmp_path: Path) -> None:
    for number, text in enumerate(blocks(ROOT / "docs" / "tuning.md", "yaml")):
        file = tmp_path / f"{number}.yaml"
        file.write_text(text, encoding="utf-8")
        assert load(file).experiment.tuning is not None
